//! Search (`/`) and filter (`&`) in the events pane.

use super::events_pane::ask;
use crate::app::finding::{Asked, Hit, Hunt, Prompt};
use crate::app::key::{Chord, KeyCode};
use crate::app::msg::Cmd;
use crate::app::run_view::RunView;
use crate::app::state::{AppState, Screen};
use crate::app::tail::Need;
use crate::engine::api::Page;
use crate::model::wanted::Wanted;

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
pub fn open(run: &mut RunView, asked: Asked) -> Vec<Cmd> {
    let text = if asked == Asked::Filter {
        run.finding.filter.clone()
    } else {
        String::new()
    };
    run.finding.prompt = Some(Prompt {
        asked,
        text,
        began: run.tail.cursor(),
        followed: run.tail.follows(),
    });
    run.finding.hit = Hit::None;
    Vec::new()
}

/// Handles a key while the pattern is typed.
pub fn press(state: &mut AppState, chord: Chord) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    let Some(prompt) = &mut run.finding.prompt else {
        return Vec::new();
    };
    match (chord.code, edit(&mut prompt.text, chord)) {
        (KeyCode::Up | KeyCode::Down, _) if prompt.asked == Asked::Search => {
            next(run, chord.code == KeyCode::Down)
        }
        (_, Edited::Cancelled) => cancel(run),
        (_, Edited::Done) => done(run),
        (_, Edited::Changed) => typed(run),
    }
}

/// Effect of a key on the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    Cancelled,
    Done,
    Changed,
}

/// Applies a key to a search pattern.
pub fn edit(line: &mut String, chord: Chord) -> Edited {
    match chord.code {
        KeyCode::Esc => return Edited::Cancelled,
        KeyCode::Enter => return Edited::Done,
        KeyCode::Backspace if line.is_empty() => return Edited::Cancelled,
        KeyCode::Backspace => drop(line.pop()),
        KeyCode::Char('u') if chord.ctrl => line.clear(),
        KeyCode::Char('w') if chord.ctrl => {
            let kept = line.trim_end().rfind(' ').map_or(0, |at| at + 1);
            line.truncate(kept);
        }
        _ => line.extend(chord.typed().filter(|_| line.chars().count() < LINE)),
    }
    Edited::Changed
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
fn typed(run: &mut RunView) -> Vec<Cmd> {
    let Some(prompt) = run
        .finding
        .prompt
        .as_ref()
        .filter(|prompt| prompt.asked == Asked::Search)
    else {
        return Vec::new();
    };
    let began = prompt.began;
    if run.finding.needle().is_all() {
        return stand_back(run);
    }
    look(run, Need::From(began.max(1)), Some(began))
}

fn look(run: &mut RunView, need: Need, turn: Option<u64>) -> Vec<Cmd> {
    let wanted = run.tail.wanted().and(&run.finding.needle());
    run.finding.hit = Hit::Looking(run.tail.cursor());
    run.finding
        .begin(run.run_id, Hunt { wanted, need, turn })
        .map(Cmd::Query)
        .into_iter()
        .collect()
}

/// Moves to the next match below or above the cursor.
pub fn next(run: &mut RunView, ahead: bool) -> Vec<Cmd> {
    if run.finding.needle().is_all() || run.finding.hunt.is_some() {
        return Vec::new();
    }
    let cursor = run.tail.cursor();
    look(
        run,
        if ahead {
            Need::From(cursor + 1)
        } else {
            Need::Before(cursor)
        },
        None,
    )
}

/// Handles the search result of one chunk.
pub fn found(run: &mut RunView, need: Need, wanted: &Wanted, page: Option<&Page>) -> Vec<Cmd> {
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
        run.finding.hit = Hit::None;
        return Vec::new();
    };
    if let Some(event) = page.events.first() {
        run.finding.hit = Hit::At(event.seq);
        let need = run.tail.go_to(event.seq);
        return need.map(|need| ask(run, need)).into_iter().collect();
    }
    let looked = page.to >= page.from;
    let (on, ahead) = match need {
        Need::From(_) => (
            (looked && page.to < run.tail.span().1).then_some(Need::From(page.to + 1)),
            true,
        ),
        Need::Before(_) => (
            (looked && page.from > 1).then_some(Need::Before(page.from)),
            false,
        ),
    };
    let (need, turn) = match (on, hunt.turn) {
        (Some(on), turn) => (on, turn),
        (None, Some(began)) if ahead => (Need::Before(began), Some(began)),
        (None, turn) => {
            run.finding.hit = if turn.is_some() {
                Hit::Nowhere
            } else {
                Hit::NoMore(ahead)
            };
            return Vec::new();
        }
    };
    run.finding.hit = Hit::Looking(if ahead { page.to } else { page.from });
    run.finding
        .begin(
            run.run_id,
            Hunt {
                wanted: hunt.wanted,
                need,
                turn,
            },
        )
        .map(Cmd::Query)
        .into_iter()
        .collect()
}

fn done(run: &mut RunView) -> Vec<Cmd> {
    let Some(prompt) = run.finding.prompt.take() else {
        return Vec::new();
    };
    let text = prompt.text.trim().to_owned();
    match prompt.asked {
        Asked::Search => {
            run.finding.search = text;
            Vec::new()
        }
        Asked::Filter => filter(run, text),
    }
}

fn filter(run: &mut RunView, text: String) -> Vec<Cmd> {
    let wanted = Wanted::parse(&text);
    run.finding.filter = if wanted.is_all() { String::new() } else { text };
    if wanted == *run.tail.wanted() {
        return Vec::new();
    }
    let need = run.tail.filter(wanted);
    need.map(|need| ask(run, need)).into_iter().collect()
}

fn cancel(run: &mut RunView) -> Vec<Cmd> {
    let back = match &run.finding.prompt {
        Some(prompt) if prompt.asked == Asked::Search => stand_back(run),
        _ => Vec::new(),
    };
    run.finding.prompt = None;
    back
}

/// Restores the position from before the search.
fn stand_back(run: &mut RunView) -> Vec<Cmd> {
    let Some(prompt) = &run.finding.prompt else {
        return Vec::new();
    };
    run.finding.hit = Hit::None;
    run.finding.again = run.finding.hunt.is_some();
    let need = if prompt.followed {
        run.tail.follow()
    } else {
        run.tail.go_to(prompt.began)
    };
    need.map(|need| ask(run, need)).into_iter().collect()
}

/// Ends the search, then the filter; `None` if neither is active.
pub fn step_back(run: &mut RunView) -> Option<Vec<Cmd>> {
    if !run.finding.search.is_empty() {
        run.finding.search.clear();
        run.finding.hit = Hit::None;
        return Some(Vec::new());
    }
    (!run.finding.filter.is_empty()).then(|| filter(run, String::new()))
}
