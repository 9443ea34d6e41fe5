//! Events as sentences: what the Events pane and a gate's log say about a fact.
use crate::app::screens::gate;
use crate::model::event::{ArtifactError, RunFact};
use crate::model::money::CallCost;
use crate::model::persona::SeatChange;
use crate::model::time::human_duration;

/// A fact in one line, without its type, its parts apart by `dot`; foreign text in it is not safe yet.
#[must_use]
pub fn describe(fact: &RunFact, dot: &str) -> String {
    match fact {
        RunFact::RunCreated {
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
        RunFact::RunStarted { workflow, .. } => workflow.to_string(),
        RunFact::RunResumed { from_state, .. } => format!("was {from_state}"),
        RunFact::RunPaused {
            reason, from_state, ..
        } => format!("{reason}{dot}was {from_state}"),
        RunFact::RunCompleted {} => String::new(),
        RunFact::RunFailed { code, message, .. } => format!("{message} [{code}]"),
        RunFact::RunAborted { by, reason, .. } => append_message(&format!("by {by}"), reason),
        RunFact::PhaseStarted {
            phase_key,
            attempt,
            role,
            persona,
            ..
        } => format!("{phase_key}{dot}{role} ({persona}){dot}attempt {attempt}"),
        RunFact::PhaseSkipped { phase_key, .. } => format!("{phase_key}{dot}done before"),
        RunFact::PhaseCompleted {
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
        RunFact::PhaseFailed {
            phase_key,
            reason,
            message,
        } => format!("{phase_key}{dot}{message} [{reason}]"),
        RunFact::SessionStarted { role, backend, .. } => format!("{role}{dot}{backend}"),
        RunFact::SessionRecovered { role, .. } => role.to_string(),
        RunFact::SessionFailed {
            role,
            code,
            message,
            ..
        } => format!("{role}{dot}{message} [{code}]"),
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
            format!("{scope}{dot}{spent} of {limit}")
        }
        RunFact::ApprovalRequested { .. } | RunFact::ApprovalResolved { .. } => {
            describe_gate(fact, dot)
        }
        RunFact::PersonasChanged { seats, .. } => seats
            .iter()
            .map(SeatChange::in_words)
            .collect::<Vec<_>>()
            .join(dot),
        RunFact::ClockSkewed { since, behind_ms } => {
            format!(
                "the clock went back by {}; moments stay at {since} until it is there again",
                human_duration(*behind_ms)
            )
        }
        RunFact::CommandsConfined { words, .. }
        | RunFact::AgentAdapted { words, .. }
        | RunFact::LlmRepaired { words, .. } => words.clone(),
        RunFact::ArtifactWarned {
            phase_key,
            version,
            words,
            ..
        } => format!("{phase_key} v{version}{dot}{words}"),
        RunFact::ToolCalled { .. }
        | RunFact::ToolDenied { .. }
        | RunFact::LlmCalled { .. }
        | RunFact::LlmRetried { .. } => describe_agent(fact, dot),
        _ => describe_artifact(fact, dot),
    }
}

fn describe_gate(fact: &RunFact, dot: &str) -> String {
    match fact {
        RunFact::ApprovalRequested {
            gate,
            question: Some(asked),
            ..
        } => format!("{gate}{dot}{}", gate::question::summary(asked)),
        RunFact::ApprovalRequested {
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
        RunFact::ApprovalResolved {
            gate,
            action,
            comment,
            by,
            scope,
            raise,
            phase_key,
            ..
        } => {
            let came_to = gate::question::describe_effect(
                *scope,
                *raise,
                phase_key.as_ref().map(crate::model::id::PhaseKey::as_str),
            );
            append_message(&format!("{gate}{dot}{action}{came_to} by {by}"), comment)
        }
        _ => String::new(),
    }
}

fn describe_agent(fact: &RunFact, dot: &str) -> String {
    match fact {
        RunFact::ToolCalled {
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
        RunFact::ToolDenied {
            tool, target, code, ..
        } => format!("{tool} {target} [{code}]"),
        RunFact::LlmCalled {
            model,
            turn,
            tokens,
            cost,
            latency_ms,
            ..
        } => format!(
            "turn {turn}{dot}{}{dot}{} in, {} out{dot}{}{dot}{model}",
            CallCost::from_call(*cost),
            tokens.input,
            tokens.output,
            human_duration(*latency_ms)
        ),
        RunFact::LlmRetried {
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

fn describe_artifact(fact: &RunFact, dot: &str) -> String {
    match fact {
        RunFact::ArtifactExpected {
            phase_key,
            path,
            schema,
            ..
        } => format!("{phase_key}{dot}{path}{dot}{schema}"),
        RunFact::PromptSent {
            phase_key,
            attempt,
            bytes,
            ..
        } => format!("{phase_key}{dot}attempt {attempt}{dot}{bytes} bytes"),
        RunFact::PromptRepaired {
            phase_key, errors, ..
        } => format!("{phase_key}{dot}{}", first_error(errors, errors.len())),
        RunFact::ArtifactTimeout {
            phase_key,
            attempt,
            seconds,
        } => format!("{phase_key}{dot}attempt {attempt}{dot}stopped after {seconds} s"),
        RunFact::ArtifactInvalid {
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
        RunFact::ArtifactValidated {
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
        RunFact::ArtifactChanged {
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
        RunFact::ArtifactChanged {
            phase_key,
            by: Some(by),
            ..
        } => format!("{phase_key}{dot}{by} wrote another version"),
        RunFact::ArtifactChanged {
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

fn append_message(text: &str, words: &str) -> String {
    if words.is_empty() {
        text.to_owned()
    } else {
        format!("{text}: {words}")
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}
