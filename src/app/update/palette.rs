//! The command palette: every action of the place where it was opened, found by typing.

use super::keys;
use crate::app::key::{Chord, KeyCode};
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::Cmd;
use crate::app::state::{AppState, Modal, Palette};

/// Opens it.
pub fn open(state: &mut AppState) -> Vec<Cmd> {
    state.modal = Some(Modal::Palette(Palette { typed: String::new(), cursor: 0, context: state.context() }));
    Vec::new()
}

/// A key in it.
pub fn press(state: &mut AppState, chord: Chord) -> Vec<Cmd> {
    let found = match &state.modal {
        Some(Modal::Palette(palette)) => found(state, palette),
        _ => Vec::new(),
    };
    let Some(Modal::Palette(palette)) = &mut state.modal else { return Vec::new() };
    match chord.code {
        KeyCode::Esc => state.modal = None,
        KeyCode::Enter => {
            let action = found.get(palette.cursor).map(|(action, ..)| *action);
            state.modal = None;
            return action.map(|action| keys::act(state, action)).unwrap_or_default();
        }
        KeyCode::Up => palette.cursor = palette.cursor.saturating_sub(1),
        KeyCode::Down => palette.cursor = (palette.cursor + 1).min(found.len().saturating_sub(1)),
        KeyCode::Backspace => drop(palette.typed.pop()),
        _ => {
            palette.typed.extend(chord.typed());
            palette.cursor = 0;
        }
    }
    Vec::new()
}

/// What fits what was typed: action, sentence, key. Answers at gates are not among them: they are
/// given where the gate is read.
#[must_use]
pub fn found(state: &AppState, palette: &Palette) -> Vec<(Action, &'static str, String)> {
    let verdict = |action| matches!(action, Action::Approve | Action::RequestChanges | Action::Reject);
    let typed = palette.typed.trim().to_lowercase();
    let mut found: Vec<_> = state
        .keys
        .offers(palette.context)
        .filter(|(action, label, _)| {
            !is_movement(*action) && !verdict(*action) && *action != Action::Palette && fits(label, &palette.typed)
        })
        .collect();
    found.sort_by_key(|(_, label, _)| !label.contains(&typed));
    found
}

/// Whether the typed letters occur in this order.
fn fits(label: &str, typed: &str) -> bool {
    let mut letters = label.chars().flat_map(char::to_lowercase);
    typed.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).all(|wanted| letters.any(|c| c == wanted))
}
