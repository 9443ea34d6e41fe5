//! Search in a text (`/`, `n`, `N`): typing the pattern, moving between matches, restoring the
//! position.

use super::finding::{Edited, edit, pasted};
use crate::app::key::{Chord, KeyCode};
use crate::app::needle::Needle;
use crate::app::reading::Reading;
use crate::app::state::AppState;
use crate::app::text_search::{TextSearch, Typing, focused_mut, looking};

/// Begins a line.
pub fn open(state: &mut AppState) {
    let Some((search, reading)) = focused_mut(state) else {
        return;
    };
    let (began, followed) = reading
        .as_ref()
        .map_or(((0, 0), false), |reading| (reading.at(), reading.follows()));
    search.typing = Some(Typing {
        text: String::new(),
        began,
        followed,
    });
    if let Some(reading) = reading {
        reading.look_for(None);
    }
}

/// A key while a line is typed.
pub fn press(state: &mut AppState, chord: Chord) {
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
        (_, Edited::Cancelled) => cancel(search, reading),
        (_, Edited::Done) => done(search, reading),
        (_, Edited::Changed) => typed(search, reading),
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
fn typed(search: &TextSearch, reading: Option<&mut Reading>) {
    let (Some(typing), Some(reading)) = (&search.typing, reading) else {
        return;
    };
    let sought = search.sought();
    let any = sought.is_some();
    reading.look_for(sought);
    if any {
        reading.find_around(typing.began);
    } else {
        stand_back(typing, reading);
    }
}

fn done(search: &mut TextSearch, reading: Option<&mut Reading>) {
    search.needle = search
        .typing
        .take()
        .and_then(|typing| Needle::new(&typing.text));
    if let Some(reading) = reading {
        reading.look_for(search.needle.clone());
    }
}

fn cancel(search: &mut TextSearch, reading: Option<&mut Reading>) {
    let typing = search.typing.take();
    if let (Some(typing), Some(reading)) = (typing, reading) {
        stand_back(&typing, reading);
        reading.look_for(search.needle.clone());
    }
}

/// Goes back to where the line was begun.
fn stand_back(typing: &Typing, reading: &mut Reading) {
    if typing.followed {
        reading.follow();
    } else {
        reading.stand_at(typing.began);
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
        reading.look_for(None);
    }
    was
}

/// Looks through the next piece of every text on the screen that is searched.
pub fn look_on(state: &mut AppState) {
    looking(state).for_each(Reading::look_on);
}
