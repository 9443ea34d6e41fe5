//! The command palette: every action of the place where it was opened, every screen and every listed
//! run, found by typing. What is used most stands first.
use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::keymap::{Action, KeyContext, is_movement};
use crate::app::msg::Cmd;
use crate::app::screens::run;
use crate::app::search::fuzzy::rank;
use crate::app::state::{AppState, CommandPalette, Modal};
use crate::app::update::keys;
use crate::model::id::RunId;
use crate::model::safe_text::safe_line;
use crate::model::status_glyph::StatusGlyph;

/// What Enter on a found thing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaletteTarget {
    /// An action.
    Action(Action),
    /// Opens a run.
    Run(RunId),
}

/// One thing that fits what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaletteMatch {
    /// What it does.
    pub text: String,
    /// The letters that fit, counted in characters.
    pub letters: Vec<usize>,
    /// The key that does the same; empty where there is none.
    pub key: String,
    /// What it is.
    pub target: PaletteTarget,
}

/// Opens it.
pub fn open(state: &mut AppState) -> Vec<Cmd> {
    state.modal = Some(Modal::Palette(CommandPalette {
        typed: String::new(),
        cursor: 0,
        context: state.context(),
    }));
    Vec::new()
}

/// A key in it.
pub fn press(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let found = match &state.modal {
        Some(Modal::Palette(palette)) => matches(state, palette),
        _ => Vec::new(),
    };
    let Some(Modal::Palette(palette)) = &mut state.modal else {
        return Vec::new();
    };
    match chord.code {
        KeyCode::Esc => state.modal = None,
        KeyCode::Enter => {
            let target = found.get(palette.cursor).map(|found| found.target);
            state.modal = None;
            return match target {
                Some(PaletteTarget::Action(action)) => keys::act(state, action),
                Some(PaletteTarget::Run(id)) => run::update::open(state, id),
                None => Vec::new(),
            };
        }
        KeyCode::Up => palette.cursor = palette.cursor.saturating_sub(1),
        KeyCode::Down => palette.cursor = (palette.cursor + 1).min(found.len().saturating_sub(1)),
        KeyCode::PageUp => palette.cursor = palette.cursor.saturating_sub(10),
        KeyCode::PageDown => {
            palette.cursor = (palette.cursor + 10).min(found.len().saturating_sub(1))
        }
        KeyCode::Backspace => drop(palette.typed.pop()),
        _ => {
            palette.typed.extend(chord.typed());
            palette.cursor = 0;
        }
    }
    Vec::new()
}

/// What fits what was typed, the best first. Answers at gates are not among it: they are given where
/// the gate is read.
#[must_use]
pub fn matches(state: &AppState, palette: &CommandPalette) -> Vec<PaletteMatch> {
    let all = offered(state, palette.context);
    let fits = rank(&palette.typed, all.iter().map(|(text, ..)| text.as_str()));
    let take = |(at, letters): (usize, Vec<usize>)| {
        all.get(at).map(|(text, key, target)| PaletteMatch {
            text: text.clone(),
            letters,
            key: key.clone(),
            target: *target,
        })
    };
    fits.into_iter().filter_map(take).collect()
}

fn offered(state: &AppState, context: KeyContext) -> Vec<(String, String, PaletteTarget)> {
    let mut actions: Vec<(Action, &'static str, String)> = state
        .keys
        .is_bound(context)
        .filter(|(action, ..)| may_be_offered(*action))
        .collect();
    // A run can be begun from anywhere.
    let begin = |action: &Action| matches!(action, Action::NewRun | Action::Demo);
    if context != KeyContext::List {
        actions.extend(
            state
                .keys
                .is_bound(KeyContext::List)
                .filter(|(action, ..)| begin(action)),
        );
    }
    actions.sort_by_key(|(action, ..)| {
        std::cmp::Reverse(state.used.get(action).copied().unwrap_or(0))
    });
    let mut all: Vec<_> = actions
        .into_iter()
        .map(|(action, label, key)| (label.to_owned(), key, PaletteTarget::Action(action)))
        .collect();
    let wish = |text: &str| safe_line(text).chars().take(80).collect::<String>();
    all.extend(state.runs.records.iter().map(|run| {
        let text = format!(
            "run {} {:<8} {}",
            run.id.short(),
            StatusGlyph::from_run(run).parts().2,
            wish(&run.requirements)
        );
        (text, String::new(), PaletteTarget::Run(run.id))
    }));
    all
}

fn may_be_offered(action: Action) -> bool {
    let verdict = matches!(
        action,
        Action::Approve
            | Action::AllowPhase
            | Action::AllowRun
            | Action::RequestChanges
            | Action::Reject
    );
    let itself = matches!(action, Action::Palette | Action::Open | Action::Back);
    !is_movement(action) && !verdict && !itself
}
