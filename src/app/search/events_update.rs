//! Search (`/`) and filter (`&`) in the events pane.
use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::msg::Cmd;
use crate::app::screens::run::event_list::EventFetch;
use crate::app::screens::run::events_update::request_window;
use crate::app::screens::run::state::RunScreen;
use crate::app::search::events::{MatchStatus, PendingSearch, PromptKind, SearchPrompt};
use crate::app::state::{AppState, Screen};
use crate::engine::api::EventMatches;
use crate::model::event_filter::EventFilter;

/// Maximum length of a pattern, in characters.
const LINE: usize = 200;

/// Whether a pattern is being typed.
pub fn is_typed(state: &AppState) -> bool {
    state.modal.is_none()
        && state.screen() == Screen::Run
        && state
            .run
            .as_ref()
            .is_some_and(|run| run.finding.prompt.is_some())
}

/// Opens the search or filter line.
pub fn open(run: &mut RunScreen, asked: PromptKind) -> Vec<Cmd> {
    let text = if asked == PromptKind::Filter {
        run.finding.filter.clone()
    } else {
        String::new()
    };
    run.finding.prompt = Some(SearchPrompt {
        asked,
        text,
        began: run.tail.cursor(),
        followed: run.tail.is_following(),
    });
    run.finding.hit = MatchStatus::None;
    Vec::new()
}

/// Handles a key while the pattern is typed.
pub fn press(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let Some(prompt) = &mut run.finding.prompt else {
        return Vec::new();
    };
    match (chord.code, edit(&mut prompt.text, chord)) {
        (KeyCode::Up | KeyCode::Down, _) if prompt.asked == PromptKind::Search => {
            next(run, chord.code == KeyCode::Down)
        }
        (_, PromptEdit::Cancelled) => cancel(run),
        (_, PromptEdit::Done) => done(run),
        (_, PromptEdit::Changed) => typed(run),
    }
}

/// Effect of a key on the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptEdit {
    Cancelled,
    Done,
    Changed,
}

/// Applies a key to a search pattern.
pub fn edit(line: &mut String, chord: KeyChord) -> PromptEdit {
    match chord.code {
        KeyCode::Esc => return PromptEdit::Cancelled,
        KeyCode::Enter => return PromptEdit::Done,
        KeyCode::Backspace if line.is_empty() => return PromptEdit::Cancelled,
        KeyCode::Backspace => drop(line.pop()),
        KeyCode::Char('u') if chord.ctrl => line.clear(),
        KeyCode::Char('w') if chord.ctrl => {
            let kept = line.trim_end().rfind(' ').map_or(0, |at| at + 1);
            line.truncate(kept);
        }
        _ => line.extend(chord.typed().filter(|_| line.chars().count() < LINE)),
    }
    PromptEdit::Changed
}

/// A paste into such a line.
pub fn pasted(line: &mut String, text: &str) {
    let room = LINE.saturating_sub(line.chars().count());
    line.extend(text.chars().filter(|c| !c.is_control()).take(room));
}

/// Handles a paste while the pattern is typed.
pub fn paste(state: &mut AppState, text: &str) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    if let Some(prompt) = &mut run.finding.prompt {
        pasted(&mut prompt.text, text);
    }
    typed(run)
}

/// The pattern changed: moves to the first match from the start position, down and then up.
fn typed(run: &mut RunScreen) -> Vec<Cmd> {
    let Some(prompt) = run
        .finding
        .prompt
        .as_ref()
        .filter(|prompt| prompt.asked == PromptKind::Search)
    else {
        return Vec::new();
    };
    let began = prompt.began;
    if run.finding.event_filter().is_all() {
        return restore_position(run);
    }
    search(run, EventFetch::From(began.max(1)), Some(began))
}

fn search(run: &mut RunScreen, need: EventFetch, turn: Option<u64>) -> Vec<Cmd> {
    let wanted = run.tail.filter().and(&run.finding.event_filter());
    run.finding.hit = MatchStatus::Looking(run.tail.cursor());
    run.finding
        .start(run.run_id, PendingSearch { wanted, need, turn })
        .map(Cmd::Query)
        .into_iter()
        .collect()
}

/// Moves to the next match below or above the cursor.
pub fn next(run: &mut RunScreen, ahead: bool) -> Vec<Cmd> {
    if run.finding.event_filter().is_all() || run.finding.hunt.is_some() {
        return Vec::new();
    }
    let cursor = run.tail.cursor();
    search(
        run,
        if ahead {
            EventFetch::From(cursor + 1)
        } else {
            EventFetch::Before(cursor)
        },
        None,
    )
}

/// Handles the search result of one chunk.
pub fn search_result(
    run: &mut RunScreen,
    need: EventFetch,
    wanted: &EventFilter,
    page: Option<&EventMatches>,
) -> Vec<Cmd> {
    let Some(hunt) = run
        .finding
        .hunt
        .take_if(|hunt| hunt.need == need && hunt.wanted == *wanted)
    else {
        return Vec::new();
    };
    if std::mem::take(&mut run.finding.again) {
        return typed(run);
    }
    let Some(page) = page else {
        run.finding.hit = MatchStatus::None;
        return Vec::new();
    };
    if let Some(event) = page.events.first() {
        run.finding.hit = MatchStatus::At(event.seq);
        let need = run.tail.go_to(event.seq);
        return need
            .map(|need| request_window(run, need))
            .into_iter()
            .collect();
    }
    let looked = page.to >= page.from;
    let (on, ahead) = match need {
        EventFetch::From(_) => (
            (looked && page.to < run.tail.span().1).then_some(EventFetch::From(page.to + 1)),
            true,
        ),
        EventFetch::Before(_) => (
            (looked && page.from > 1).then_some(EventFetch::Before(page.from)),
            false,
        ),
    };
    let (need, turn) = match (on, hunt.turn) {
        (Some(on), turn) => (on, turn),
        (None, Some(began)) if ahead => (EventFetch::Before(began), Some(began)),
        (None, turn) => {
            run.finding.hit = if turn.is_some() {
                MatchStatus::Nowhere
            } else {
                MatchStatus::NoMore(ahead)
            };
            return Vec::new();
        }
    };
    run.finding.hit = MatchStatus::Looking(if ahead { page.to } else { page.from });
    run.finding
        .start(
            run.run_id,
            PendingSearch {
                wanted: hunt.wanted,
                need,
                turn,
            },
        )
        .map(Cmd::Query)
        .into_iter()
        .collect()
}

fn done(run: &mut RunScreen) -> Vec<Cmd> {
    let Some(prompt) = run.finding.prompt.take() else {
        return Vec::new();
    };
    let text = prompt.text.trim().to_owned();
    match prompt.asked {
        PromptKind::Search => {
            run.finding.search = text;
            Vec::new()
        }
        PromptKind::Filter => filter(run, text),
    }
}

fn filter(run: &mut RunScreen, text: String) -> Vec<Cmd> {
    let wanted = EventFilter::parse(&text);
    run.finding.filter = if wanted.is_all() { String::new() } else { text };
    if wanted == *run.tail.filter() {
        return Vec::new();
    }
    let need = run.tail.set_filter(wanted);
    need.map(|need| request_window(run, need))
        .into_iter()
        .collect()
}

fn cancel(run: &mut RunScreen) -> Vec<Cmd> {
    let back = match &run.finding.prompt {
        Some(prompt) if prompt.asked == PromptKind::Search => restore_position(run),
        _ => Vec::new(),
    };
    run.finding.prompt = None;
    back
}

/// Restores the position from before the search.
fn restore_position(run: &mut RunScreen) -> Vec<Cmd> {
    let Some(prompt) = &run.finding.prompt else {
        return Vec::new();
    };
    run.finding.hit = MatchStatus::None;
    run.finding.again = run.finding.hunt.is_some();
    let need = if prompt.followed {
        run.tail.follow()
    } else {
        run.tail.go_to(prompt.began)
    };
    need.map(|need| request_window(run, need))
        .into_iter()
        .collect()
}

/// Ends the search, then the filter; `None` if neither is active.
pub fn step_back(run: &mut RunScreen) -> Option<Vec<Cmd>> {
    if !run.finding.search.is_empty() {
        run.finding.search.clear();
        run.finding.hit = MatchStatus::None;
        return Some(Vec::new());
    }
    (!run.finding.filter.is_empty()).then(|| filter(run, String::new()))
}
