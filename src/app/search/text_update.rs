//! Search in a text (`/`, `n`, `N`): typing the pattern, moving between matches, restoring the
//! position.
use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::search::events_update::{PromptEdit, edit, pasted};
use crate::app::search::pattern::SearchPattern;
use crate::app::search::text::{SearchInput, TextSearch, focused_mut, searching_views};
use crate::app::state::AppState;
use crate::app::text::scroll_view::ScrollView;

/// Begins a line.
pub fn open(state: &mut AppState) {
    let Some((search, reading)) = focused_mut(state) else {
        return;
    };
    let (began, followed) = reading.as_ref().map_or(((0, 0), false), |reading| {
        (reading.position(), reading.is_following())
    });
    search.typing = Some(SearchInput {
        text: String::new(),
        began,
        followed,
    });
    if let Some(reading) = reading {
        reading.set_pattern(None);
    }
}

/// A key while a line is typed.
pub fn press(state: &mut AppState, chord: KeyChord) {
    let Some((search, reading)) = focused_mut(state) else {
        return;
    };
    let Some(typing) = &mut search.typing else {
        return;
    };
    match (chord.code, edit(&mut typing.text, chord)) {
        (KeyCode::Up | KeyCode::Down, _) => {
            if let Some(reading) = reading {
                reading.find_next(chord.code == KeyCode::Down);
            }
        }
        (_, PromptEdit::Cancelled) => cancel(search, reading),
        (_, PromptEdit::Done) => done(search, reading),
        (_, PromptEdit::Changed) => typed(search, reading),
    }
}

/// A paste while a line is typed.
pub fn paste(state: &mut AppState, text: &str) {
    let Some((search, reading)) = focused_mut(state) else {
        return;
    };
    if let Some(typing) = &mut search.typing {
        pasted(&mut typing.text, text);
    }
    typed(search, reading);
}

/// The line has changed: goes to the first hit from where it began, down and then up.
fn typed(search: &TextSearch, reading: Option<&mut ScrollView>) {
    let (Some(typing), Some(reading)) = (&search.typing, reading) else {
        return;
    };
    let sought = search.active_pattern();
    let any = sought.is_some();
    reading.set_pattern(sought);
    if any {
        reading.find_nearest(typing.began);
    } else {
        restore_position(typing, reading);
    }
}

fn done(search: &mut TextSearch, reading: Option<&mut ScrollView>) {
    search.needle = search
        .typing
        .take()
        .and_then(|typing| SearchPattern::new(&typing.text));
    if let Some(reading) = reading {
        reading.set_pattern(search.needle.clone());
    }
}

fn cancel(search: &mut TextSearch, reading: Option<&mut ScrollView>) {
    let typing = search.typing.take();
    if let (Some(typing), Some(reading)) = (typing, reading) {
        restore_position(&typing, reading);
        reading.set_pattern(search.needle.clone());
    }
}

/// Goes back to where the line was begun.
fn restore_position(typing: &SearchInput, reading: &mut ScrollView) {
    if typing.followed {
        reading.follow();
    } else {
        reading.restore_position(typing.began);
    }
}

/// Goes to the next hit below, or above.
pub fn next(state: &mut AppState, ahead: bool) {
    let Some((search, Some(reading))) = focused_mut(state) else {
        return;
    };
    if search.needle.is_some() {
        reading.find_next(ahead);
    }
}

/// One step back: out of the search. Whether there was one.
pub fn step_back(state: &mut AppState) -> bool {
    let Some((search, reading)) = focused_mut(state) else {
        return false;
    };
    let was = search.needle.take().is_some();
    if let Some(reading) = reading {
        reading.set_pattern(None);
    }
    was
}

/// Looks through the next piece of every text on the screen that is searched.
pub fn search_next(state: &mut AppState) {
    searching_views(state).for_each(ScrollView::advance_search);
}
