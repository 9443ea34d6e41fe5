//! Switching to a cheaper persona when a budget is used up: candidates, consent, and the decision.
//!
//! Choosing a persona decides nothing. It opens the same confirmation as an amount does, and Enter
//! there follows the same rules. Consent is stored before the decision that requires it.
use crate::app::msg::{BackgroundJob, Cmd};
use crate::app::screens::gate::decision::decide;
use crate::app::screens::gate::question;
use crate::app::screens::gate::state::{DecisionStep, GateTab, GateView};
use crate::app::screens::new_run::start::describe;
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal, Screen};
use crate::app::text::document::TextDocument;
use crate::app::text::scroll_view::ScrollView;
use crate::engine::api::CheaperPersona;
use crate::model::error::Failure;
use crate::model::id::RunId;
use crate::model::state::Decision;

/// Handles the loaded candidates.
pub fn candidates_loaded(
    state: &mut AppState,
    run: RunId,
    found: Result<Vec<CheaperPersona>, Failure>,
) -> Vec<Cmd> {
    let size = state.look.reading;
    let gate = state
        .gate
        .as_mut()
        .filter(|gate| gate.run_id == run && gate.accepts_amount());
    match (gate, found) {
        (Some(gate), Ok(found)) => {
            let text = gate
                .texts
                .get(&GateTab::Whole)
                .map(|reading| (*reading.shared_document()).clone());
            let mut doc: TextDocument = text.unwrap_or_default();
            question::push_cheaper_personas(&mut doc, &found);
            gate.texts.insert(
                GateTab::Whole,
                ScrollView::new(std::sync::Arc::new(doc), size),
            );
            gate.cheaper = Some(found);
        }
        (Some(_), Err(failure)) => state.notify_failure(&failure),
        (None, _) => {}
    }
    Vec::new()
}

/// Opens the choice of persona, once the gate accepts keys.
pub fn choose_persona(state: &mut AppState) -> Vec<Cmd> {
    let (last_input, ticks) = (state.last_input, state.now.ticks);
    let Some(gate) = state.gate.as_ref().filter(|gate| gate.is_open()) else {
        return Vec::new();
    };
    let known = match &gate.cheaper {
        _ if !gate.accepts_amount() => {
            Err("a cheaper persona can take over only when a budget is used up")
        }
        None => Err("still looking up personas; press again in a moment"),
        Some(found) if found.is_empty() => {
            Err("no cheaper persona is available: raise the budget, or stop here")
        }
        Some(found) => Ok(found),
    };
    let found = match known {
        Ok(found) => found,
        Err(why) => {
            state.notify(why);
            return Vec::new();
        }
    };
    if gate.ignored_for(last_input, ticks) > 0 {
        return Vec::new();
    }
    let mut choices = vec![("Cancel".to_owned(), ConfirmChoice::Stay)];
    choices.extend(found.iter().enumerate().map(|(place, one)| {
        (
            format!("{} ({})", one.persona, one.model),
            ConfirmChoice::GoOnWith(place),
        )
    }));
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: "Switch to a cheaper persona".to_owned(),
        detail: "It continues the conversation where it stopped. You confirm once more before it takes effect.".to_owned(),
        choices,
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// A persona was chosen: opens the confirmation.
pub fn choose(state: &mut AppState, place: usize) -> Vec<Cmd> {
    if let Some(gate) = state.gate.as_mut().filter(|gate| gate.is_open()) {
        (gate.notice, gate.failure, gate.chosen) = (None, None, Some(place));
        gate.stage = DecisionStep::Confirm {
            typed: String::new(),
            since: None,
        };
    }
    Vec::new()
}

/// Asks for missing consent before the decision; returns whether any is missing.
pub fn needs_consent(state: &mut AppState) -> bool {
    let Some(ask) = state
        .gate
        .as_ref()
        .and_then(GateView::cheaper_persona)
        .and_then(|successor| successor.consent.clone())
    else {
        return false;
    };
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: "Allow this persona?".to_owned(),
        detail: describe(&ask),
        choices: vec![
            ("Cancel".to_owned(), ConfirmChoice::Stay),
            ("Allow and continue".to_owned(), ConfirmChoice::AgreeAndGoOn),
        ],
        cursor: 0,
        drawn: None,
    }));
    true
}

/// The operator consents.
pub fn agree(state: &mut AppState) -> Vec<Cmd> {
    let Some(gate) = &mut state.gate else {
        return Vec::new();
    };
    let Some(ask) = gate
        .cheaper_persona()
        .and_then(|successor| successor.consent.clone())
    else {
        return Vec::new();
    };
    gate.agreeing = true;
    vec![Cmd::Work(BackgroundJob::Agree(vec![(
        ask.persona,
        ask.hash,
    )]))]
}

/// Whether the gate is waiting for a consent to be stored.
#[must_use]
pub fn awaits_consent(state: &AppState) -> bool {
    state.gate.as_ref().is_some_and(|gate| gate.agreeing)
}

/// Handles the result of storing consent; sends the decision if the gate is still open.
pub fn agreed(state: &mut AppState, result: Result<(), Failure>) -> Vec<Cmd> {
    let on_gate = state.screen() == Screen::Gate;
    let Some(gate) = &mut state.gate else {
        return Vec::new();
    };
    gate.agreeing = false;
    match result {
        Ok(()) => {
            let place = gate.chosen;
            if let Some(one) = gate
                .cheaper
                .as_mut()
                .zip(place)
                .and_then(|(found, place)| found.get_mut(place))
            {
                one.consent = None;
            }
            let stands = on_gate && gate.is_complete();
            if stands {
                decide(state, Decision::Approve)
            } else {
                Vec::new()
            }
        }
        Err(failure) => {
            gate.failure = Some(failure);
            gate.stage = DecisionStep::Reading;
            Vec::new()
        }
    }
}
