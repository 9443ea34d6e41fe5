//! Events as sentences: what the Events pane and a gate's log say about a fact.

use super::question;
use crate::model::event::{ArtifactError, Fact};
use crate::model::money::Cost;
use crate::model::persona::NewSeat;
use crate::model::time::human_duration;

/// A fact in one line, without its type, its parts apart by `dot`; foreign text in it is not safe yet.
#[must_use]
pub fn told(fact: &Fact, dot: &str) -> String {
    match fact {
        Fact::RunCreated {
            workflow,
            thread,
            phases,
            rehearsal,
            ..
        } => {
            let kind = if *rehearsal {
                format!("{dot}rehearsal")
            } else {
                String::new()
            };
            format!(
                "{workflow}{dot}thread {thread}{dot}{} phases{kind}",
                phases.len()
            )
        }
        Fact::RunStarted { workflow, .. } => workflow.to_string(),
        Fact::RunResumed { from_state, .. } => format!("was {from_state}"),
        Fact::RunPaused {
            reason, from_state, ..
        } => format!("{reason}{dot}was {from_state}"),
        Fact::RunCompleted {} => String::new(),
        Fact::RunFailed { code, message, .. } => format!("{message} [{code}]"),
        Fact::RunAborted { by, reason, .. } => with(&format!("by {by}"), reason),
        Fact::PhaseStarted {
            phase_key,
            attempt,
            role,
            persona,
            ..
        } => format!("{phase_key}{dot}{role} ({persona}){dot}attempt {attempt}"),
        Fact::PhaseSkipped { phase_key, .. } => format!("{phase_key}{dot}done before"),
        Fact::PhaseCompleted {
            phase_key,
            attempts,
            duration_ms,
            ..
        } => {
            format!(
                "{phase_key}{dot}{attempts} attempt{}{dot}{}",
                plural(*attempts),
                human_duration(*duration_ms)
            )
        }
        Fact::PhaseFailed {
            phase_key,
            reason,
            message,
        } => format!("{phase_key}{dot}{message} [{reason}]"),
        Fact::SessionStarted { role, backend, .. } => format!("{role}{dot}{backend}"),
        Fact::SessionRecovered { role, .. } => role.to_string(),
        Fact::SessionFailed {
            role,
            code,
            message,
            ..
        } => format!("{role}{dot}{message} [{code}]"),
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
            format!("{scope}{dot}{spent} of {limit}")
        }
        Fact::ApprovalRequested { .. } | Fact::ApprovalResolved { .. } => told_of_gate(fact, dot),
        Fact::PersonasChanged { seats, .. } => seats
            .iter()
            .map(NewSeat::in_words)
            .collect::<Vec<_>>()
            .join(dot),
        Fact::ClockSkewed { since, behind_ms } => {
            format!(
                "the clock went back by {}; moments stay at {since} until it is there again",
                human_duration(*behind_ms)
            )
        }
        Fact::CommandsConfined { words, .. }
        | Fact::AgentAdapted { words, .. }
        | Fact::LlmRepaired { words, .. } => words.clone(),
        Fact::ArtifactWarned {
            phase_key,
            version,
            words,
            ..
        } => format!("{phase_key} v{version}{dot}{words}"),
        Fact::ToolCalled { .. }
        | Fact::ToolDenied { .. }
        | Fact::LlmCalled { .. }
        | Fact::LlmRetried { .. } => told_of_agent(fact, dot),
        _ => told_of_artifact(fact, dot),
    }
}

fn told_of_gate(fact: &Fact, dot: &str) -> String {
    match fact {
        Fact::ApprovalRequested {
            gate,
            question: Some(asked),
            ..
        } => format!("{gate}{dot}{}", question::line(asked)),
        Fact::ApprovalRequested {
            gate,
            artifact_version,
            artifact_sha256,
            ..
        } => {
            let version = artifact_version
                .map(|v| format!("{dot}v{v}"))
                .unwrap_or_default();
            let hash = artifact_sha256
                .as_ref()
                .map(|h| format!(" {}", h.short()))
                .unwrap_or_default();
            format!("{gate}{version}{hash}")
        }
        Fact::ApprovalResolved {
            gate,
            action,
            comment,
            by,
            scope,
            raise,
            phase_key,
            ..
        } => {
            let came_to = question::came_to(
                *scope,
                *raise,
                phase_key.as_ref().map(crate::model::id::PhaseKey::as_str),
            );
            with(&format!("{gate}{dot}{action}{came_to} by {by}"), comment)
        }
        _ => String::new(),
    }
}

fn told_of_agent(fact: &Fact, dot: &str) -> String {
    match fact {
        Fact::ToolCalled {
            tool,
            target,
            outcome,
            duration_ms,
            ..
        } => {
            let how = match outcome {
                crate::model::event::ToolOutcome::Ok => String::new(),
                crate::model::event::ToolOutcome::Error => format!("{dot}error"),
                crate::model::event::ToolOutcome::Unknown => format!("{dot}may have run"),
            };
            format!("{tool} {target}{dot}{}{how}", human_duration(*duration_ms))
        }
        Fact::ToolDenied {
            tool, target, code, ..
        } => format!("{tool} {target} [{code}]"),
        Fact::LlmCalled {
            model,
            turn,
            tokens,
            cost,
            latency_ms,
            ..
        } => format!(
            "turn {turn}{dot}{}{dot}{} in, {} out{dot}{}{dot}{model}",
            Cost::of_call(*cost),
            tokens.input,
            tokens.output,
            human_duration(*latency_ms)
        ),
        Fact::LlmRetried {
            r#try,
            code,
            wait_ms,
            ..
        } => format!(
            "try {try} failed [{code}]{dot}next in {}",
            human_duration(*wait_ms)
        ),
        _ => String::new(),
    }
}

fn told_of_artifact(fact: &Fact, dot: &str) -> String {
    match fact {
        Fact::ArtifactExpected {
            phase_key,
            path,
            schema,
            ..
        } => format!("{phase_key}{dot}{path}{dot}{schema}"),
        Fact::PromptSent {
            phase_key,
            attempt,
            bytes,
            ..
        } => format!("{phase_key}{dot}attempt {attempt}{dot}{bytes} bytes"),
        Fact::PromptRepaired {
            phase_key, errors, ..
        } => format!("{phase_key}{dot}{}", first_error(errors, errors.len())),
        Fact::ArtifactTimeout {
            phase_key,
            attempt,
            seconds,
        } => format!("{phase_key}{dot}attempt {attempt}{dot}stopped after {seconds} s"),
        Fact::ArtifactInvalid {
            phase_key,
            version,
            errors,
            errors_total,
            ..
        } => {
            format!(
                "{phase_key}{dot}v{version}{dot}{}",
                first_error(errors, usize::try_from(*errors_total).unwrap_or(usize::MAX))
            )
        }
        Fact::ArtifactValidated {
            phase_key,
            artifact,
            ..
        } => {
            format!(
                "{phase_key}{dot}{} v{}{dot}{}",
                artifact.path,
                artifact.version,
                artifact.sha256.short()
            )
        }
        Fact::ArtifactChanged {
            phase_key,
            by,
            picked: Some(picked),
            ..
        } => {
            let by = by.as_deref().unwrap_or("the operator");
            format!(
                "{phase_key}{dot}{by} took the version of fork {} by {}",
                picked.fork.short(),
                picked.persona
            )
        }
        Fact::ArtifactChanged {
            phase_key,
            by: Some(by),
            ..
        } => format!("{phase_key}{dot}{by} wrote another version"),
        Fact::ArtifactChanged {
            phase_key,
            restored,
            ..
        } => {
            format!(
                "{phase_key}{dot}the file was changed after the check{}",
                if *restored { " and put back" } else { "" }
            )
        }
        _ => String::new(),
    }
}

fn first_error(errors: &[ArtifactError], total: usize) -> String {
    let Some(first) = errors.first() else {
        return "no file was written".to_owned();
    };
    let more = if total > 1 {
        format!(" (+{} more)", total - 1)
    } else {
        String::new()
    };
    let place = if first.pointer.is_empty() {
        "document"
    } else {
        &first.pointer
    };
    format!("{place}: {}{more}", first.message)
}

fn with(text: &str, words: &str) -> String {
    if words.is_empty() {
        text.to_owned()
    } else {
        format!("{text}: {words}")
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}
