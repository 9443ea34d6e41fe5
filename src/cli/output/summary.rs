//! Short summary of a run, printed after a headless run and at the top of `show`.

use super::style::{OutputStyle, StatusGlyph, TextTone};
use crate::model::record::RunRecord;
use crate::model::safe_text::safe_line;
use crate::model::state::RunStatus;

/// State and why, phases, cost, where the work lies. Each line ends with a break.
#[must_use]
pub fn standing(run: &RunRecord, style: OutputStyle) -> String {
    let rehearsal = if run.rehearsal { " (rehearsal)" } else { "" };
    let reason = run
        .pause_reason
        .as_deref()
        .map(|reason| format!(" ({})", safe_line(reason)))
        .unwrap_or_default();
    let state = style.marked(StatusGlyph::from_run(run), &safe_line(&run.state_text()));
    let mut text = format!(
        "run {} {}{rehearsal}: {state}{reason}\n",
        run.id.short(),
        safe_line(&run.workflow)
    );
    let mut add = |name: &str, value: &str| text.push_str(&field(name, value, style));
    add(
        "phases",
        &format!("{} of {} done", run.phases_done, run.phases_total),
    );
    add("cost", &format!("{} in {} calls", run.cost, run.calls));
    if let Some(branch) = &run.branch {
        add("branch", branch);
    } else if let Some(folder) = &run.worktree {
        add("folder", folder);
    }
    if let Some(old) = run.origin.retried_from {
        add("retry of", &old.short());
    }
    if let (Some(first), Some(phase)) = (run.origin.forked_from, &run.origin.forked_phase) {
        add("fork of", &format!("{phase} in run {}", first.short()));
    }
    match run.rollback.as_deref() {
        None => {}
        Some("done") => add("rollback", "worktree and branch are as they were before it"),
        Some("asked") => add("rollback", "under way"),
        Some(why) => add("rollback", &format!("could not be done: {why}")),
    }
    if let Some(message) = &run.error_message {
        add(
            "error",
            &format!("{message} [{}]", run.error_code.as_deref().unwrap_or("?")),
        );
    }
    if let Some(hint) = run.error_hint.as_deref().filter(|hint| !hint.is_empty()) {
        add("hint", hint);
    }
    if let Some(report) = &run.report_path {
        add("report", &format!("{report}.md"));
    }
    text
}

/// What to do next, on a line of its own; nothing where nothing is left to do.
#[must_use]
pub fn next(run: &RunRecord, style: OutputStyle) -> String {
    next_step(run)
        .map(|next| field("next", &next, style))
        .unwrap_or_default()
}

/// A name and its value on one line.
#[must_use]
pub fn field(name: &str, value: &str, style: OutputStyle) -> String {
    format!(
        "  {} {}\n",
        style.paint(TextTone::Quiet, &format!("{name:<9}")),
        safe_line(value)
    )
}

fn next_step(run: &RunRecord) -> Option<String> {
    let id = run.id.short();
    match RunStatus::parse(&run.state)? {
        RunStatus::Paused if run.pending_gate.is_some() => Some(format!(
            "phasedeck show {id}, answer, then phasedeck resume {id}"
        )),
        RunStatus::Paused => Some(format!("phasedeck resume {id}")),
        RunStatus::AwaitingApproval => Some(format!(
            "phasedeck show {id}, then approve, changes or reject"
        )),
        RunStatus::Completed if run.rehearsal => None,
        RunStatus::Completed => run
            .branch
            .as_ref()
            .map(|branch| format!("git merge {branch}")),
        RunStatus::Created | RunStatus::Executing => {
            Some(format!("phasedeck events {id} --follow"))
        }
        RunStatus::Failed | RunStatus::Aborted => Some(format!("phasedeck retry {id}")),
    }
}
