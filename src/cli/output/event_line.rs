//! Formats an event as one line: time, sequence number, glyph, kind, details.

use super::style::{OutputStyle, StatusGlyph, TextTone};
use super::table::shortened;
use crate::app::screens::run;
use crate::model::event::{
    ArtifactError, AttemptCause, CallStatus, JournalEvent, RunFact, SkipReason, ToolOutcome,
};
use crate::model::hash::ContentHash;
use crate::model::money::CallCost;
use crate::model::persona::SeatChange;
use crate::model::safe_text::safe_line;
use crate::model::state::{Decision, Via};
use crate::model::time::human_duration;

/// Columns of the longest event type.
const TYPE_COLUMNS: usize = 18;
/// Columns after which words of others are cut.
const WORDS_COLUMNS: usize = 100;

/// The line of an event, without a line break; `clock` is the time of day as it shall be read.
#[must_use]
pub fn line(event: &JournalEvent, clock: &str, style: OutputStyle) -> String {
    let mark = mark(&event.fact);
    let kind = format!("{:<TYPE_COLUMNS$}", event.fact.kind());
    let matters: Vec<String> = event_details(&event.fact)
        .iter()
        .map(|part| safe_line(part))
        .filter(|part| !part.is_empty())
        .collect();
    let dot = if style.ascii { " - " } else { " · " };
    let line = format!(
        "{}  {:>4}  {} {}  {}",
        style.paint(TextTone::Quiet, clock),
        event.seq,
        style.paint(mark.tone(), style.glyph(mark)),
        style.paint(mark.tone(), &kind),
        matters.join(dot)
    );
    line.trim_end().to_owned()
}

/// What kind of thing happened, at a glance.
fn mark(fact: &RunFact) -> StatusGlyph {
    match fact {
        RunFact::RunCreated { .. }
        | RunFact::RunStarted { .. }
        | RunFact::RunResumed { .. }
        | RunFact::PhaseStarted { .. } => StatusGlyph::Running,
        RunFact::RunPaused { .. } => StatusGlyph::Paused,
        RunFact::RunCompleted {}
        | RunFact::PhaseCompleted { .. }
        | RunFact::ArtifactValidated { .. } => StatusGlyph::Done,
        RunFact::RunFailed { .. }
        | RunFact::PhaseFailed { .. }
        | RunFact::ArtifactInvalid { .. }
        | RunFact::ArtifactTimeout { .. }
        | RunFact::SessionFailed { .. }
        | RunFact::ToolDenied { .. }
        | RunFact::BudgetExceeded { .. } => StatusGlyph::Failed,
        RunFact::RunAborted { .. } => StatusGlyph::Aborted,
        RunFact::PhaseSkipped { .. } => StatusGlyph::Skipped,
        RunFact::ApprovalRequested { .. }
        | RunFact::BudgetWarned { .. }
        | RunFact::ClockSkewed { .. }
        | RunFact::ArtifactWarned { .. }
        | RunFact::CommandsConfined {
            confined: false, ..
        } => StatusGlyph::Gate,
        RunFact::ApprovalResolved { action, .. } => match action {
            Decision::Approve => StatusGlyph::Done,
            Decision::RequestChanges => StatusGlyph::Repair,
            Decision::Reject => StatusGlyph::Failed,
            Decision::Abort => StatusGlyph::Aborted,
        },
        RunFact::PersonasChanged { .. } => StatusGlyph::Note,
        RunFact::PromptRepaired { .. }
        | RunFact::SessionRecovered { .. }
        | RunFact::ArtifactChanged { .. }
        | RunFact::LlmRepaired { .. } => StatusGlyph::Repair,
        RunFact::LlmRetried { .. } => StatusGlyph::Waiting,
        RunFact::LlmCalled {
            status: CallStatus::Unknown,
            ..
        }
        | RunFact::ToolCalled {
            outcome: ToolOutcome::Unknown,
            ..
        } => StatusGlyph::NeedsCheck,
        RunFact::LlmCalled {
            status: CallStatus::Failed,
            ..
        }
        | RunFact::ToolCalled {
            outcome: ToolOutcome::Error,
            ..
        } => StatusGlyph::Failed,
        RunFact::ArtifactExpected { .. }
        | RunFact::PromptSent { .. }
        | RunFact::SessionStarted { .. }
        | RunFact::AgentAdapted { .. }
        | RunFact::CommandsConfined { confined: true, .. }
        | RunFact::ToolCalled { .. }
        | RunFact::LlmCalled { .. } => StatusGlyph::Note,
    }
}

/// The parts of the line after the type, in order.
fn event_details(fact: &RunFact) -> Vec<String> {
    match fact {
        RunFact::RunCreated { .. }
        | RunFact::RunStarted { .. }
        | RunFact::RunResumed { .. }
        | RunFact::RunPaused { .. }
        | RunFact::RunCompleted {}
        | RunFact::RunFailed { .. }
        | RunFact::RunAborted { .. } => run_details(fact),
        RunFact::PhaseStarted { .. }
        | RunFact::PhaseSkipped { .. }
        | RunFact::PhaseCompleted { .. }
        | RunFact::PhaseFailed { .. } => phase_details(fact),
        RunFact::ApprovalRequested { .. } | RunFact::ApprovalResolved { .. } => {
            approval_details(fact)
        }
        RunFact::PersonasChanged { seats, .. } => seats.iter().map(SeatChange::in_words).collect(),
        RunFact::SessionStarted { .. }
        | RunFact::SessionRecovered { .. }
        | RunFact::SessionFailed { .. } => session_details(fact),
        RunFact::AgentAdapted { .. }
        | RunFact::CommandsConfined { .. }
        | RunFact::ToolCalled { .. }
        | RunFact::ToolDenied { .. }
        | RunFact::LlmCalled { .. }
        | RunFact::LlmRepaired { .. }
        | RunFact::LlmRetried { .. } => work_details(fact),
        RunFact::BudgetWarned {
            scope,
            limit,
            spent,
        }
        | RunFact::BudgetExceeded {
            scope,
            limit,
            spent,
        } => {
            vec![scope.clone(), format!("{spent} of {limit}")]
        }
        RunFact::ClockSkewed { .. } => vec![run::event_text::describe(fact, "")],
        RunFact::ArtifactWarned {
            phase_key,
            version,
            words,
            ..
        } => vec![phase_key.to_string(), format!("v{version}"), words.clone()],
        _ => artifact_details(fact),
    }
}

fn run_details(fact: &RunFact) -> Vec<String> {
    match fact {
        RunFact::RunCreated {
            workflow,
            thread,
            phases,
            rehearsal,
            ..
        } => {
            let rehearsal = if *rehearsal { "rehearsal" } else { "" };
            vec![
                workflow.to_string(),
                counted(phases.len(), "phase"),
                format!("thread {thread}"),
                rehearsal.to_owned(),
            ]
        }
        RunFact::RunStarted { workflow, .. } => vec![workflow.to_string()],
        RunFact::RunResumed { from_state, .. } => vec![format!("from {from_state}")],
        RunFact::RunPaused {
            reason, from_state, ..
        } => vec![reason.to_string(), format!("was {from_state}")],
        RunFact::RunFailed { code, message, .. } => vec![code.to_string(), quoted_text(message)],
        RunFact::RunAborted { by, via, reason } => vec![who(by, *via), quoted_text(reason)],
        _ => Vec::new(),
    }
}

fn phase_details(fact: &RunFact) -> Vec<String> {
    match fact {
        RunFact::PhaseStarted {
            phase_key,
            attempt,
            role,
            persona,
            cause,
        } => {
            let cause = match cause {
                AttemptCause::First => "",
                AttemptCause::Repair => "repair",
                AttemptCause::ChangesRequested => "changes requested",
            };
            vec![
                phase_key.to_string(),
                format!("{role} ({persona})"),
                format!("attempt {attempt}"),
                cause.to_owned(),
            ]
        }
        RunFact::PhaseSkipped {
            phase_key, reason, ..
        } => {
            let reason = match reason {
                SkipReason::AlreadyCompleted => "already completed",
                SkipReason::Operator => "by the operator",
            };
            vec![phase_key.to_string(), reason.to_owned()]
        }
        RunFact::PhaseCompleted {
            phase_key,
            attempts,
            duration_ms,
            commit,
        } => {
            let commit = commit
                .as_deref()
                .map(|commit| format!("commit {}", commit.get(..10).unwrap_or(commit)));
            let attempts = counted(*attempts as usize, "attempt");
            vec![
                phase_key.to_string(),
                attempts,
                human_duration(*duration_ms),
                commit.unwrap_or_default(),
            ]
        }
        RunFact::PhaseFailed {
            phase_key,
            reason,
            message,
        } => vec![
            phase_key.to_string(),
            reason.to_string(),
            quoted_text(message),
        ],
        _ => Vec::new(),
    }
}

fn artifact_details(fact: &RunFact) -> Vec<String> {
    match fact {
        RunFact::ArtifactExpected {
            phase_key,
            path,
            schema,
            ..
        } => vec![phase_key.to_string(), path.clone(), schema.to_string()],
        RunFact::PromptSent {
            phase_key,
            attempt,
            bytes,
            ..
        } => {
            vec![
                phase_key.to_string(),
                format!("attempt {attempt}"),
                format!("{bytes} bytes"),
            ]
        }
        RunFact::PromptRepaired {
            phase_key,
            attempt,
            errors,
        } => {
            let mut parts = vec![phase_key.to_string(), format!("attempt {attempt}")];
            parts.extend(errors.first().map(|error| first_error(error, errors.len())));
            parts
        }
        RunFact::ArtifactTimeout {
            phase_key,
            attempt,
            seconds,
        } => {
            vec![
                phase_key.to_string(),
                format!("attempt {attempt}"),
                format!("stopped after {seconds}s"),
            ]
        }
        RunFact::ArtifactInvalid {
            phase_key,
            path,
            version,
            sha256,
            errors,
            errors_total,
            ..
        } => {
            let what = match sha256 {
                Some(hash) => format!("{path} v{version} {}", hash.short()),
                None => format!("{path} is missing"),
            };
            let mut parts = vec![phase_key.to_string(), what];
            parts.extend(
                errors
                    .first()
                    .map(|error| first_error(error, *errors_total as usize)),
            );
            parts
        }
        RunFact::ArtifactValidated {
            phase_key,
            artifact,
            ..
        } => {
            let what = format!(
                "{} v{} {}",
                artifact.path,
                artifact.version,
                artifact.sha256.short()
            );
            vec![
                phase_key.to_string(),
                what,
                artifact.schema.to_string(),
                format!("{} bytes", artifact.bytes),
            ]
        }
        RunFact::ArtifactChanged {
            phase_key,
            expected,
            found,
            restored,
            by,
            picked,
            ..
        } => {
            let found = found.as_ref().map_or("gone", ContentHash::short);
            let told = match (picked, by) {
                (Some(picked), by) => {
                    format!(
                        "taken from fork {} ({}) by {}",
                        picked.fork.short(),
                        picked.persona,
                        by.as_deref().unwrap_or("the operator")
                    )
                }
                (None, Some(by)) => format!("edited by {by}"),
                (None, None) if *restored => "put back".to_owned(),
                (None, None) => String::new(),
            };
            vec![
                phase_key.to_string(),
                format!("expected {} found {found}", expected.short()),
                told,
            ]
        }
        _ => Vec::new(),
    }
}

fn approval_details(fact: &RunFact) -> Vec<String> {
    let phase = |key: &Option<crate::model::id::PhaseKey>| {
        key.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    match fact {
        RunFact::ApprovalRequested {
            phase_key,
            gate,
            artifact_sha256,
            artifact_version,
            ..
        } => {
            vec![
                phase(phase_key),
                gate.to_string(),
                version_and_hash(*artifact_version, artifact_sha256.as_ref()),
            ]
        }
        RunFact::ApprovalResolved {
            phase_key,
            gate,
            action,
            comment,
            by,
            via,
            artifact_sha256,
            ..
        } => {
            let hash = version_and_hash(None, artifact_sha256.as_ref());
            vec![
                phase(phase_key),
                gate.to_string(),
                action.to_string(),
                hash,
                who(by, *via),
                quoted_text(comment),
            ]
        }
        _ => Vec::new(),
    }
}

fn session_details(fact: &RunFact) -> Vec<String> {
    match fact {
        RunFact::SessionStarted { role, backend, .. } => vec![role.to_string(), backend.clone()],
        RunFact::SessionRecovered { role, .. } => vec![role.to_string()],
        RunFact::SessionFailed {
            role,
            code,
            message,
            ..
        } => vec![role.to_string(), code.to_string(), quoted_text(message)],
        _ => Vec::new(),
    }
}

fn work_details(fact: &RunFact) -> Vec<String> {
    match fact {
        RunFact::AgentAdapted {
            phase_key, words, ..
        }
        | RunFact::CommandsConfined {
            phase_key, words, ..
        }
        | RunFact::LlmRepaired {
            phase_key, words, ..
        } => {
            vec![phase_key.to_string(), words.clone()]
        }
        RunFact::ToolCalled {
            phase_key,
            tool,
            target,
            outcome,
            duration_ms,
            ..
        } => {
            let outcome = match outcome {
                ToolOutcome::Ok => "",
                ToolOutcome::Error => "error",
                ToolOutcome::Unknown => "may have run",
            };
            vec![
                phase_key.to_string(),
                format!("{tool} {}", quoted_text(target)),
                human_duration(*duration_ms),
                outcome.to_owned(),
            ]
        }
        RunFact::ToolDenied {
            phase_key,
            tool,
            target,
            code,
            message,
            ..
        } => {
            vec![
                phase_key.to_string(),
                format!("{tool} {}", quoted_text(target)),
                code.to_string(),
                quoted_text(message),
            ]
        }
        RunFact::LlmCalled {
            phase_key,
            turn,
            model,
            tokens,
            cost,
            estimated,
            latency_ms,
            status,
            ..
        } => {
            let cost = format!(
                "{}{}",
                if *estimated { "at most " } else { "" },
                CallCost::from_call(*cost)
            );
            let status = match status {
                CallStatus::Ok => "",
                CallStatus::Failed => "failed",
                CallStatus::Unknown => "outcome unknown",
            };
            let tokens = format!("{} in, {} out", tokens.input, tokens.output);
            let turn = format!("turn {turn}");
            vec![
                phase_key.to_string(),
                model.clone(),
                turn,
                tokens,
                cost,
                human_duration(*latency_ms),
                status.to_owned(),
            ]
        }
        RunFact::LlmRetried {
            phase_key,
            r#try,
            status,
            code,
            wait_ms,
            ..
        } => {
            let status = status
                .map(|status| format!("HTTP {status}"))
                .unwrap_or_default();
            vec![
                phase_key.to_string(),
                format!("try {}", r#try),
                code.to_string(),
                status,
                format!("again in {}", human_duration(*wait_ms)),
            ]
        }
        _ => Vec::new(),
    }
}

fn version_and_hash(version: Option<u32>, hash: Option<&ContentHash>) -> String {
    let version = version.map(|version| format!("v{version}"));
    let parts: Vec<String> = version
        .into_iter()
        .chain(hash.map(|hash| hash.short().to_owned()))
        .collect();
    parts.join(" ")
}

fn first_error(error: &ArtifactError, total: usize) -> String {
    let pointer = if error.pointer.is_empty() {
        "document"
    } else {
        &error.pointer
    };
    let more = if total > 1 {
        format!(" (and {} more)", total - 1)
    } else {
        String::new()
    };
    format!(
        "{}{more}",
        quoted_text(&format!("{pointer}: {}", error.message))
    )
}

fn who(by: &str, via: Via) -> String {
    format!("{by} by {via}")
}

fn quoted_text(text: &str) -> String {
    shortened(&safe_line(text.trim()), WORDS_COLUMNS, "…")
}

/// `1 phase`, `2 phases`.
#[must_use]
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
