//! Handles the engine's results of commands.
use super::signals;
use crate::app::modal;
use crate::app::msg::{ArchiveQuery, Cmd, CommandTicket, CommentDraft};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::screens::{gate, new_run, resume, run};
use crate::app::state::{AppState, PendingCommand};
use crate::app::update::external_program;
use crate::engine::api::CommandAnswer;
use crate::model::error::{Code, Failure};

/// Handles the result of a command.
pub fn answered(
    state: &mut AppState,
    ticket: CommandTicket,
    result: Result<CommandAnswer, Failure>,
) -> Vec<Cmd> {
    if state.starting == Some(ticket) {
        return new_run::start::started(state, result);
    }
    let sent = state.sent.remove(&ticket);
    let answer = sent.as_ref().is_some_and(|sent| sent.what == "answering");
    if let (Some((ours, request_id)), Some(sent)) = (state.revising, &sent)
        && ours == ticket
    {
        let mut cmds = external_program::revised(state, sent.run_id, request_id, &result);
        cmds.extend(signals::stale(state));
        return cmds;
    }
    let mut cmds = match answer && at_gate(state, ticket) {
        true => gate_answered(state, &result),
        false => {
            let after = after(state, sent.as_ref(), &result);
            match (&result, sent) {
                (_, Some(sent))
                    if [
                        run::actions::RETRYING,
                        run::actions::FORKING,
                        run::actions::PICKING,
                    ]
                    .contains(&sent.what) => {}
                (Ok(_), Some(sent)) => {
                    state.notify(format!("{} {}: recorded", sent.what, sent.run_id.short()))
                }
                (Err(failure), _) => state.notify_failure(failure),
                (Ok(_), None) => {}
            }
            after
        }
    };
    // The change may come from another process, which sends no signals.
    cmds.extend(signals::stale(state));
    cmds
}

/// Commands that follow from a result.
fn after(
    state: &mut AppState,
    sent: Option<&PendingCommand>,
    result: &Result<CommandAnswer, Failure>,
) -> Vec<Cmd> {
    match sent {
        Some(sent) if sent.what == run::actions::RETRYING => {
            modal::retry_update::begun(state, sent.run_id, result)
        }
        Some(sent) if sent.what == run::actions::FORKING => {
            gate::fork_update::begun(state, sent.run_id, result)
        }
        Some(sent) if sent.what == run::actions::PICKING => {
            gate::fork_update::picked(state, sent.run_id, result)
        }
        Some(sent) if sent.what == run::actions::SETTLING => resume::update::refresh(sent.run_id),
        _ => Vec::new(),
    }
}

fn at_gate(state: &AppState, ticket: CommandTicket) -> bool {
    state.gate.as_ref().is_some_and(
        |gate| matches!(gate.stage, DecisionStep::Sending { ticket: ours, .. } if ours == ticket),
    ) || state
        .gate
        .as_ref()
        .is_some_and(|gate| matches!(&gate.stage, DecisionStep::Receipt(receipt) if receipt.ours))
}

fn gate_answered(state: &mut AppState, result: &Result<CommandAnswer, Failure>) -> Vec<Cmd> {
    let Some(gate) = &mut state.gate else {
        return Vec::new();
    };
    match result {
        Ok(_) => {
            if let DecisionStep::Sending { action, .. } = gate.stage {
                gate.stage = DecisionStep::Recorded { action };
            }
            // The comment is now in the journal, so the draft is obsolete.
            let key = gate.draft_key();
            let had_words = !gate.input.is_blank();
            state.drafts.remove(&key);
            if had_words {
                vec![Cmd::SaveDraft(key, CommentDraft::default())]
            } else {
                Vec::new()
            }
        }
        Err(failure) => {
            if let DecisionStep::Sending { .. } = gate.stage {
                gate.stage = DecisionStep::Reading;
            }
            gate.drawn = None;
            gate.failure = Some(failure.clone());
            let run_id = gate.run_id;
            // A host that exits may have stored the command; any other error means it has no
            // effect.
            if !matches!(
                failure.code,
                Code::HostGoingAway | Code::PaneBrieflyUnresponsive
            ) {
                gate.sent = None;
            }
            match failure.code {
                Code::ApprovalAlreadyResolved
                | Code::NoPendingApproval
                | Code::ArtifactChanged
                | Code::RunAlreadyTerminal => {
                    vec![Cmd::Query(ArchiveQuery::Details(run_id))]
                }
                _ => Vec::new(),
            }
        }
    }
}
