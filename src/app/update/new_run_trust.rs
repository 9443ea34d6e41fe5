//! The repository's `.phasedeck/` files in the new-run form: shows them and asks whether to allow
//! them.

use super::new_run::look_again;
use super::new_run_start::told;
use crate::app::msg::{Cmd, Work};
use crate::app::state::{AppState, Choice, Confirm, Modal};
use crate::engine::api::TrustAsk;
use crate::model::error::Failure;
use crate::model::safe_text::safe_line;

/// What of one kind a question shows; the rest is counted.
const SHOWN: usize = 4;

/// Shows what it brings, and asks; keeping on with the form uses nothing of it.
pub fn ask(state: &mut AppState) {
    let Some(asked) = withheld(state) else {
        return state.say("everything in the repository's .phasedeck/ is already allowed");
    };
    let question = if asked.changed {
        "Allow its changed .phasedeck/ files?"
    } else {
        "Allow the repository's .phasedeck/ files?"
    };
    state.modal = Some(Modal::Confirm(Confirm {
        question: question.to_owned(),
        detail: in_words(asked),
        choices: vec![
            ("Keep editing".to_owned(), Choice::Stay),
            ("Allow exactly these files".to_owned(), Choice::TrustBrought),
        ],
        cursor: 0,
        drawn: None,
    }));
}

fn withheld(state: &AppState) -> Option<&TrustAsk> {
    state.new_run.as_ref()?.ahead()?.withheld.as_deref()
}

/// What a yes lets be used.
fn in_words(asked: &TrustAsk) -> String {
    let mut lines = vec![safe_line(&format!(
        "{} ({})",
        asked.top.display(),
        asked.hash.short()
    ))];
    let mut list = |all: Vec<String>| {
        lines.extend(all.iter().take(SHOWN).cloned());
        if all.len() > SHOWN {
            lines.push(format!(
                "  and {} more: `phasedeck trust` shows all",
                all.len() - SHOWN
            ));
        }
    };
    list(
        asked
            .workflows
            .iter()
            .map(|(name, phases)| safe_line(&format!("workflow {name}: {}", phases.join(" > "))))
            .collect(),
    );
    list(
        asked
            .personas
            .iter()
            .map(|one| format!("persona {}", told(one)))
            .collect(),
    );
    list(
        asked
            .schemas
            .iter()
            .map(|name| safe_line(&format!("schema {name}")))
            .collect(),
    );
    list(
        asked
            .problems
            .iter()
            .map(|failure| safe_line(&format!("left out: {failure}")))
            .collect(),
    );
    if !asked.personas.is_empty() {
        lines.push("Its personas need your consent too before they run.".to_owned());
    }
    lines.join("\n")
}

/// The operator agrees.
pub fn agree(state: &mut AppState) -> Vec<Cmd> {
    withheld(state)
        .cloned()
        .map(|asked| Cmd::Work(Work::Trust(Box::new(asked))))
        .into_iter()
        .collect()
}

/// It is recorded, or why it is not; either way the form looks again.
pub fn agreed(state: &mut AppState, result: Result<(), Failure>) -> Vec<Cmd> {
    match result {
        Ok(()) => state.say("allowed; any change to these files asks again"),
        Err(failure) => state.complain(&failure),
    }
    look_again(state)
}
