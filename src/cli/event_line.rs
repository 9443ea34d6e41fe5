//! Formats an event as one line: time, sequence number, glyph, kind, details.

use super::style::{Mark, Style, Tone};
use super::table::shortened;
use crate::app::telling;
use crate::model::event::{
    ArtifactError, AttemptCause, CallStatus, Event, Fact, SkipReason, ToolOutcome,
};
use crate::model::hash::ContentHash;
use crate::model::money::Cost;
use crate::model::persona::NewSeat;
use crate::model::safe_text::safe_line;
use crate::model::state::{Decision, Via};
use crate::model::time::human_duration;

/// Columns of the longest event type.
const TYPE_COLUMNS: usize = 18;
/// Columns after which words of others are cut.
const WORDS_COLUMNS: usize = 100;

/// The line of an event, without a line break; `clock` is the time of day as it shall be read.
#[must_use]
pub fn line(event: &Event, clock: &str, style: Style) -> String {
    let mark = mark(&event.fact);
    let kind = format!("{:<TYPE_COLUMNS$}", event.fact.kind());
    let matters: Vec<String> = matters(&event.fact)
        .iter()
        .map(|part| safe_line(part))
        .filter(|part| !part.is_empty())
        .collect();
    let dot = if style.ascii { " - " } else { " · " };
    let line = format!(
        "{}  {:>4}  {} {}  {}",
        style.paint(Tone::Quiet, clock),
        event.seq,
        style.paint(mark.tone(), style.glyph(mark)),
        style.paint(mark.tone(), &kind),
        matters.join(dot)
    );
    line.trim_end().to_owned()
}

/// What kind of thing happened, at a glance.
fn mark(fact: &Fact) -> Mark {
    match fact {
        Fact::RunCreated { .. }
        | Fact::RunStarted { .. }
        | Fact::RunResumed { .. }
        | Fact::PhaseStarted { .. } => Mark::Running,
        Fact::RunPaused { .. } => Mark::Paused,
        Fact::RunCompleted {} | Fact::PhaseCompleted { .. } | Fact::ArtifactValidated { .. } => {
            Mark::Done
        }
        Fact::RunFailed { .. }
        | Fact::PhaseFailed { .. }
        | Fact::ArtifactInvalid { .. }
        | Fact::ArtifactTimeout { .. }
        | Fact::SessionFailed { .. }
        | Fact::ToolDenied { .. }
        | Fact::BudgetExceeded { .. } => Mark::Failed,
        Fact::RunAborted { .. } => Mark::Stopped,
        Fact::PhaseSkipped { .. } => Mark::Skipped,
        Fact::ApprovalRequested { .. }
        | Fact::BudgetWarned { .. }
        | Fact::ClockSkewed { .. }
        | Fact::ArtifactWarned { .. }
        | Fact::CommandsConfined {
            confined: false, ..
        } => Mark::Gate,
        Fact::ApprovalResolved { action, .. } => match action {
            Decision::Approve => Mark::Done,
            Decision::RequestChanges => Mark::Repair,
            Decision::Reject => Mark::Failed,
            Decision::Abort => Mark::Stopped,
        },
        Fact::PersonasChanged { .. } => Mark::Note,
        Fact::PromptRepaired { .. }
        | Fact::SessionRecovered { .. }
        | Fact::ArtifactChanged { .. }
        | Fact::LlmRepaired { .. } => Mark::Repair,
        Fact::LlmRetried { .. } => Mark::Waits,
        Fact::LlmCalled {
            status: CallStatus::Unknown,
            ..
        }
        | Fact::ToolCalled {
            outcome: ToolOutcome::Unknown,
            ..
        } => Mark::Unsure,
        Fact::LlmCalled {
            status: CallStatus::Failed,
            ..
        }
        | Fact::ToolCalled {
            outcome: ToolOutcome::Error,
            ..
        } => Mark::Failed,
        Fact::ArtifactExpected { .. }
        | Fact::PromptSent { .. }
        | Fact::SessionStarted { .. }
        | Fact::AgentAdapted { .. }
        | Fact::CommandsConfined { confined: true, .. }
        | Fact::ToolCalled { .. }
        | Fact::LlmCalled { .. } => Mark::Note,
    }
}

/// The parts of the line after the type, in order.
fn matters(fact: &Fact) -> Vec<String> {
    match fact {
        Fact::RunCreated { .. }
        | Fact::RunStarted { .. }
        | Fact::RunResumed { .. }
        | Fact::RunPaused { .. }
        | Fact::RunCompleted {}
        | Fact::RunFailed { .. }
        | Fact::RunAborted { .. } => of_run(fact),
        Fact::PhaseStarted { .. }
        | Fact::PhaseSkipped { .. }
        | Fact::PhaseCompleted { .. }
        | Fact::PhaseFailed { .. } => of_phase(fact),
        Fact::ApprovalRequested { .. } | Fact::ApprovalResolved { .. } => of_approval(fact),
        Fact::PersonasChanged { seats, .. } => seats.iter().map(NewSeat::in_words).collect(),
        Fact::SessionStarted { .. }
        | Fact::SessionRecovered { .. }
        | Fact::SessionFailed { .. } => of_session(fact),
        Fact::AgentAdapted { .. }
        | Fact::CommandsConfined { .. }
        | Fact::ToolCalled { .. }
        | Fact::ToolDenied { .. }
        | Fact::LlmCalled { .. }
        | Fact::LlmRepaired { .. }
        | Fact::LlmRetried { .. } => of_work(fact),
        Fact::BudgetWarned {
            scope,
            limit,
            spent,
        }
        | Fact::BudgetExceeded {
            scope,
            limit,
            spent,
        } => {
            vec![scope.clone(), format!("{spent} of {limit}")]
        }
        Fact::ClockSkewed { .. } => vec![telling::told(fact, "")],
        Fact::ArtifactWarned {
            phase_key,
            version,
            words,
            ..
        } => vec![phase_key.to_string(), format!("v{version}"), words.clone()],
        _ => of_artifact(fact),
    }
}

fn of_run(fact: &Fact) -> Vec<String> {
    match fact {
        Fact::RunCreated {
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
        Fact::RunStarted { workflow, .. } => vec![workflow.to_string()],
        Fact::RunResumed { from_state, .. } => vec![format!("from {from_state}")],
        Fact::RunPaused {
            reason, from_state, ..
        } => vec![reason.to_string(), format!("was {from_state}")],
        Fact::RunFailed { code, message, .. } => vec![code.to_string(), words(message)],
        Fact::RunAborted { by, via, reason } => vec![who(by, *via), words(reason)],
        _ => Vec::new(),
    }
}

fn of_phase(fact: &Fact) -> Vec<String> {
    match fact {
        Fact::PhaseStarted {
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
        Fact::PhaseSkipped {
            phase_key, reason, ..
        } => {
            let reason = match reason {
                SkipReason::AlreadyCompleted => "already completed",
                SkipReason::Operator => "by the operator",
            };
            vec![phase_key.to_string(), reason.to_owned()]
        }
        Fact::PhaseCompleted {
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
        Fact::PhaseFailed {
            phase_key,
            reason,
            message,
        } => vec![phase_key.to_string(), reason.to_string(), words(message)],
        _ => Vec::new(),
    }
}

fn of_artifact(fact: &Fact) -> Vec<String> {
    match fact {
        Fact::ArtifactExpected {
            phase_key,
            path,
            schema,
            ..
        } => vec![phase_key.to_string(), path.clone(), schema.to_string()],
        Fact::PromptSent {
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
        Fact::PromptRepaired {
            phase_key,
            attempt,
            errors,
        } => {
            let mut parts = vec![phase_key.to_string(), format!("attempt {attempt}")];
            parts.extend(errors.first().map(|error| first_error(error, errors.len())));
            parts
        }
        Fact::ArtifactTimeout {
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
        Fact::ArtifactInvalid {
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
        Fact::ArtifactValidated {
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
        Fact::ArtifactChanged {
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

fn of_approval(fact: &Fact) -> Vec<String> {
    let phase = |key: &Option<crate::model::id::PhaseKey>| {
        key.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    match fact {
        Fact::ApprovalRequested {
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
        Fact::ApprovalResolved {
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
                words(comment),
            ]
        }
        _ => Vec::new(),
    }
}

fn of_session(fact: &Fact) -> Vec<String> {
    match fact {
        Fact::SessionStarted { role, backend, .. } => vec![role.to_string(), backend.clone()],
        Fact::SessionRecovered { role, .. } => vec![role.to_string()],
        Fact::SessionFailed {
            role,
            code,
            message,
            ..
        } => vec![role.to_string(), code.to_string(), words(message)],
        _ => Vec::new(),
    }
}

fn of_work(fact: &Fact) -> Vec<String> {
    match fact {
        Fact::AgentAdapted {
            phase_key, words, ..
        }
        | Fact::CommandsConfined {
            phase_key, words, ..
        }
        | Fact::LlmRepaired {
            phase_key, words, ..
        } => {
            vec![phase_key.to_string(), words.clone()]
        }
        Fact::ToolCalled {
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
                format!("{tool} {}", words(target)),
                human_duration(*duration_ms),
                outcome.to_owned(),
            ]
        }
        Fact::ToolDenied {
            phase_key,
            tool,
            target,
            code,
            message,
            ..
        } => {
            vec![
                phase_key.to_string(),
                format!("{tool} {}", words(target)),
                code.to_string(),
                words(message),
            ]
        }
        Fact::LlmCalled {
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
                Cost::of_call(*cost)
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
        Fact::LlmRetried {
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
    format!("{}{more}", words(&format!("{pointer}: {}", error.message)))
}

fn who(by: &str, via: Via) -> String {
    format!("{by} by {via}")
}

fn words(text: &str) -> String {
    shortened(&safe_line(text.trim()), WORDS_COLUMNS, "…")
}

/// `1 phase`, `2 phases`.
#[must_use]
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
