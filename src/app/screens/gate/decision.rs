//! Decisions at a gate.
//!
//! Approval takes two keystrokes; requesting changes and rejecting take a comment, so that no stray
//! key decides.
use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::keymap::{Action, KeyContext};
use crate::app::msg::Cmd;
use crate::app::screens::gate::reassign;
use crate::app::screens::gate::state::{DecisionStep, GateView};
use crate::app::screens::run;
use crate::app::state::{AppState, Screen};
use crate::app::update::tick::keep_draft;
use crate::engine::api::{CheaperPersona, EngineCommand};
use crate::model::question::{GateQuestion, PermissionScope, PersonaChoice};
use crate::model::state::Decision;

/// Handles a decision key, which counts only once the gate accepts keys.
pub fn start(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let (last_input, ticks) = (state.last_input, state.now.ticks);
    let Some(gate) = state.gate.as_mut().filter(|gate| gate.is_open()) else {
        return Vec::new();
    };
    if gate.ignored_for(last_input, ticks) > 0 {
        return Vec::new();
    }
    if action == Action::RequestChanges && !gate.accepts(Decision::RequestChanges) {
        let takes = match gate.question.as_deref() {
            Some(GateQuestion::Tool(_)) => {
                "allow the tool once, for this phase or for this run, or deny it"
            }
            Some(GateQuestion::Budget(_)) => {
                "raise the budget, switch to a cheaper persona, or stop here"
            }
            None => "this gate takes approve, reject or abort",
        };
        state.notify(takes);
        return Vec::new();
    }
    let about_tool = matches!(gate.question.as_deref(), Some(GateQuestion::Tool(_)));
    if matches!(action, Action::AllowPhase | Action::AllowRun) && !about_tool {
        state.notify("only tool permissions can be standing: approve or reject here");
        return Vec::new();
    }
    gate.scope = match action {
        Action::AllowPhase => PermissionScope::Phase,
        Action::AllowRun => PermissionScope::Run,
        _ => PermissionScope::Once,
    };
    (gate.notice, gate.failure, gate.chosen) = (None, None, None);
    gate.stage = match action {
        Action::Approve | Action::AllowPhase | Action::AllowRun => DecisionStep::Confirm {
            typed: String::new(),
            since: None,
        },
        Action::RequestChanges => DecisionStep::Writing {
            action: Decision::RequestChanges,
            on_button: false,
        },
        _ => DecisionStep::Writing {
            action: Decision::Reject,
            on_button: false,
        },
    };
    if let DecisionStep::Writing { .. } = gate.stage
        && gate.input.is_blank()
    {
        gate.input.written_for = gate.version;
    }
    Vec::new()
}

/// Whether the confirmation is open and receives all keys.
#[must_use]
pub fn confirms(state: &AppState) -> bool {
    state.screen() == Screen::Gate
        && state
            .gate
            .as_ref()
            .is_some_and(|gate| matches!(gate.stage, DecisionStep::Confirm { .. }))
}

/// Handles a key in the confirmation.
pub fn confirm(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let (last_input, ticks) = (state.last_input, state.now.ticks);
    let Some(gate) = &mut state.gate else {
        return Vec::new();
    };
    let ignored = gate.confirm_ignored_for(last_input, ticks) > 0;
    let (complete, amount) = (gate.is_complete(), gate.accepts_amount());
    let typing = amount || !gate.required_text().is_empty();
    let DecisionStep::Confirm { typed, .. } = &mut gate.stage else {
        return Vec::new();
    };
    match chord.code {
        KeyCode::Esc => gate.stage = DecisionStep::Reading,
        KeyCode::Enter if !ignored && complete => {
            return if reassign::needs_consent(state) {
                Vec::new()
            } else {
                decide(state, Decision::Approve)
            };
        }
        KeyCode::Backspace => drop(typed.pop()),
        _ if typing => typed.extend(chord.typed().filter(|c| {
            typed.chars().count() < 64 && (!amount || c.is_ascii_digit() || *c == '.')
        })),
        _ => {}
    }
    Vec::new()
}

/// Handles a key while a comment is written.
pub fn write(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let action = state.keys.action(KeyContext::Text, chord);
    let ticks = state.now.ticks;
    let Some(gate) = &mut state.gate else {
        return Vec::new();
    };
    let DecisionStep::Writing { on_button, .. } = &mut gate.stage else {
        return Vec::new();
    };
    match action {
        Some(Action::Leave) => {
            gate.stage = DecisionStep::Reading;
            return keep_draft(state);
        }
        Some(Action::TextFocus) => *on_button = !*on_button,
        Some(Action::Submit) => return submit(state),
        _ if *on_button && chord.code == KeyCode::Enter => return submit(state),
        _ if *on_button => {}
        _ => {
            if gate.input.key(chord) {
                gate.input.unsaved.get_or_insert(ticks);
                gate.notice = None;
            }
        }
    }
    Vec::new()
}

/// Handles a paste while a comment is written.
pub fn paste(state: &mut AppState, text: &str) {
    let ticks = state.now.ticks;
    let Some(gate) = &mut state.gate else { return };
    if gate.input.paste(text) {
        gate.notice = Some("the paste was cut to 64 KiB".to_owned());
    }
    gate.input.unsaved.get_or_insert(ticks);
}

fn submit(state: &mut AppState) -> Vec<Cmd> {
    let Some(gate) = &mut state.gate else {
        return Vec::new();
    };
    let DecisionStep::Writing { action, .. } = gate.stage else {
        return Vec::new();
    };
    if gate.input.is_blank() {
        let what = if action == Decision::Reject {
            "a reason"
        } else {
            "a comment"
        };
        gate.notice = Some(format!("write {what} first"));
        return Vec::new();
    }
    let mut cmds = keep_draft(state);
    cmds.extend(decide(state, action));
    cmds
}

/// Sends the decision, bound to the hash of the content that was shown.
pub fn decide(state: &mut AppState, action: Decision) -> Vec<Cmd> {
    let Some(gate) = &state.gate else {
        return Vec::new();
    };
    let command = command(gate, action);
    let run_id = gate.run_id;
    let cmds = run::actions::send(state, run_id, "answering", command);
    state.notice = None;
    let ticket = state.last_ticket;
    if let Some(gate) = &mut state.gate {
        gate.stage = DecisionStep::Sending { ticket, action };
        gate.sent = Some(action);
    }
    cmds
}

fn command(gate: &GateView, action: Decision) -> EngineCommand {
    let words = if action == Decision::Approve {
        String::new()
    } else {
        gate.input.text().trim().to_owned()
    };
    let tool = matches!(gate.question.as_deref(), Some(GateQuestion::Tool(_)));
    EngineCommand::Decide {
        run_id: gate.run_id,
        request_id: Some(gate.request_id),
        action,
        comment: words,
        artifact_sha256: gate.sha256.clone(),
        scope: (action == Decision::Approve && tool).then_some(gate.scope),
        raise_nano_usd: gate
            .budget_increase()
            .filter(|_| action == Decision::Approve),
        personas: gate
            .cheaper_persona()
            .filter(|_| action == Decision::Approve)
            .map(named)
            .into_iter()
            .collect(),
    }
}

/// Somebody for every phase that is still to be done, where they can take it.
fn named(successor: &CheaperPersona) -> PersonaChoice {
    PersonaChoice {
        phase_key: None,
        persona: successor.persona.clone(),
    }
}
