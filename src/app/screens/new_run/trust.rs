//! The repository's `.phasedeck/` files in the new-run form: shows them and asks whether to allow
//! them.
use crate::app::msg::{BackgroundJob, Cmd};
use crate::app::screens::new_run::start::describe;
use crate::app::screens::new_run::update::refresh_preview;
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal};
use crate::engine::api::TrustRequest;
use crate::model::error::Failure;
use crate::model::safe_text::safe_line;

/// What of one kind a question shows; the rest is counted.
const SHOWN: usize = 4;

/// Shows what it brings, and asks; keeping on with the form uses nothing of it.
pub fn confirm_trust(state: &mut AppState) {
    let Some(asked) = withheld(state) else {
        return state.notify("everything in the repository's .phasedeck/ is already allowed");
    };
    let question = if asked.changed {
        "Allow its changed .phasedeck/ files?"
    } else {
        "Allow the repository's .phasedeck/ files?"
    };
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: question.to_owned(),
        detail: describe_request(asked),
        choices: vec![
            ("Keep editing".to_owned(), ConfirmChoice::Stay),
            (
                "Allow exactly these files".to_owned(),
                ConfirmChoice::TrustBrought,
            ),
        ],
        cursor: 0,
        drawn: None,
    }));
}

fn withheld(state: &AppState) -> Option<&TrustRequest> {
    state.new_run.as_ref()?.preview()?.withheld.as_deref()
}

/// What a yes lets be used.
fn describe_request(asked: &TrustRequest) -> String {
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
            .map(|one| format!("persona {}", describe(one)))
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
        .map(|asked| Cmd::Work(BackgroundJob::Trust(Box::new(asked))))
        .into_iter()
        .collect()
}

/// It is recorded, or why it is not; either way the form looks again.
pub fn agreed(state: &mut AppState, result: Result<(), Failure>) -> Vec<Cmd> {
    match result {
        Ok(()) => state.notify("allowed; any change to these files asks again"),
        Err(failure) => state.notify_failure(&failure),
    }
    refresh_preview(state)
}
