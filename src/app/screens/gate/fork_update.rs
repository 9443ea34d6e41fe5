//! Forks at a gate: choosing the persona, comparing the results, using a fork's artifact.
use crate::app::msg::{ArchiveQuery, BackgroundJob, Cmd};
use crate::app::screens::gate::forks;
use crate::app::screens::gate::forks::{ForkComparison, ForkRequest};
use crate::app::screens::gate::state::DecisionStep;
use crate::app::screens::run;
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal, Screen};
use crate::engine::api::{CommandAnswer, EngineCommand, ForkRun, StartPreview, StartRun};
use crate::model::error::Failure;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RunId;

/// Requests the personas that could run the phase again.
pub fn choose_persona(state: &mut AppState) -> Vec<Cmd> {
    let gate = state
        .gate
        .as_ref()
        .filter(|gate| gate.is_open() && gate.sha256.is_some());
    let known = state.run.as_ref().and_then(|run| run.live_run());
    let found = gate
        .zip(known)
        .and_then(|(gate, known)| Some((gate, known, known.phase(gate.phase_key.as_ref()?)?)));
    let Some((gate, known, phase)) = found else {
        state.notify("only a phase with an artifact at a gate can be forked");
        return Vec::new();
    };
    let current = known
        .binding(phase)
        .map(|(binding, _)| binding.persona.to_string())
        .unwrap_or_default();
    let ask = ForkRequest {
        run_id: gate.run_id,
        role: phase.role.clone(),
        current,
        personas: Vec::new(),
    };
    let record = &known.record;
    let request = StartRun {
        workflow: record.workflow.clone(),
        repo: record.repo.clone().map(Into::into),
        requirements: record.requirements.clone(),
        options: record.options.clone(),
        ..StartRun::default()
    };
    state.forking = Some(ask);
    state.notify("looking up other personas");
    vec![Cmd::Work(BackgroundJob::Seats(Box::new(request)))]
}

/// Opens the choice of persona.
pub fn seated(state: &mut AppState, ahead: &StartPreview) -> Vec<Cmd> {
    let on_gate = state.screen() == Screen::Gate && state.modal.is_none();
    let Some(ask) = state.forking.as_mut().filter(|_| on_gate) else {
        return Vec::new();
    };
    let seat = ahead.seats.iter().find(|seat| seat.role == ask.role);
    ask.personas = seat
        .map(|seat| {
            seat.choices
                .iter()
                .filter(|name| **name != ask.current)
                .cloned()
                .collect()
        })
        .unwrap_or_default();
    if ask.personas.is_empty() {
        let said = format!("no other persona has the role '{}': add one", ask.role);
        state.forking = None;
        state.notify(said);
        return Vec::new();
    }
    let mut choices = vec![("Cancel".to_owned(), ConfirmChoice::Stay)];
    choices.extend(
        ask.personas
            .iter()
            .enumerate()
            .map(|(place, name)| (name.clone(), ConfirmChoice::Fork(place))),
    );
    let detail = format!(
        "Another persona than {} runs this phase again, in a separate run and worktree, at the cost of the phase. This gate stays open.",
        ask.current
    );
    state.notice = None;
    let question = "Fork: run this phase again with another persona".to_owned();
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question,
        detail,
        choices,
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Starts the fork with the chosen persona.
pub fn start(state: &mut AppState, place: usize) -> Vec<Cmd> {
    let Some(ask) = state.forking.take() else {
        return Vec::new();
    };
    let Some(persona) = ask.personas.get(place).cloned() else {
        return Vec::new();
    };
    let key = format!("fork-{}", uuid::Uuid::new_v4());
    let fork = ForkRun {
        run_id: ask.run_id,
        personas: [(ask.role, persona)].into(),
        idempotency_key: Some(key),
    };
    run::actions::send(
        state,
        ask.run_id,
        run::actions::FORKING,
        EngineCommand::Fork(Box::new(fork)),
    )
}

/// Handles the result of starting the fork.
pub fn begun(state: &mut AppState, of: RunId, result: &Result<CommandAnswer, Failure>) -> Vec<Cmd> {
    match result {
        Ok(CommandAnswer::Started { run_id, .. }) => {
            state.notify(format!(
                "Fork {} started. Compare in the Forks tab.",
                run_id.short()
            ));
            vec![Cmd::Query(ArchiveQuery::Forks(of))]
        }
        Ok(_) => Vec::new(),
        Err(failure) => {
            state.notify_failure(failure);
            Vec::new()
        }
    }
}

/// Handles the loaded candidates; the tab is shown only if there is more than one.
pub fn compared(state: &mut AppState, run: RunId, compared: ForkComparison) -> Vec<Cmd> {
    let size = state.look.reading;
    let Some(gate) = state.gate.as_mut().filter(|gate| gate.run_id == run) else {
        return Vec::new();
    };
    gate.forks = compared;
    if gate.forks.candidates.len() > 1 {
        gate.lay_out_forks(size);
    }
    Vec::new()
}

/// Handles an event of another run, which may be a fork of the run at the gate.
pub fn on_event(state: &AppState, event: &JournalEvent) -> Vec<Cmd> {
    let matters = matches!(
        event.fact,
        RunFact::RunCreated { .. }
            | RunFact::ArtifactValidated { .. }
            | RunFact::ArtifactInvalid { .. }
            | RunFact::RunCompleted {}
            | RunFact::RunFailed { .. }
    );
    let gate = state.gate.as_ref().filter(|gate| {
        matters && gate.is_open() && gate.sha256.is_some() && gate.run_id != event.run_id
    });
    gate.map(|gate| Cmd::Query(ArchiveQuery::Forks(gate.run_id)))
        .into_iter()
        .collect()
}

/// Opens the choice of fork artifact.
pub fn choose_fork_artifact(state: &mut AppState) -> Vec<Cmd> {
    let Some(gate) = state.gate.as_ref().filter(|gate| gate.is_open()) else {
        return Vec::new();
    };
    let mut choices = vec![("Cancel".to_owned(), ConfirmChoice::Stay)];
    let picks = forks::valid(&gate.forks.candidates);
    choices.extend(picks.map(|(place, fork)| {
        (
            format!("Fork {place} by {}", fork.persona.as_deref().unwrap_or("?")),
            ConfirmChoice::Pick(place),
        )
    }));
    if choices.len() == 1 {
        state.notify("no fork has a valid artifact");
        return Vec::new();
    }
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: "Use a fork's artifact?".to_owned(),
        detail: "It becomes the next version here and needs approval. The current version stays in the history.".to_owned(),
        choices,
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// Sends the chosen fork artifact.
pub fn pick(state: &mut AppState, place: usize) -> Vec<Cmd> {
    let Some(gate) = state.gate.as_ref().filter(|gate| gate.is_open()) else {
        return Vec::new();
    };
    let (run_id, Some(fork)) = (
        gate.run_id,
        gate.forks.candidates.get(place).map(|fork| fork.run_id),
    ) else {
        return Vec::new();
    };
    let cmds = run::actions::send(
        state,
        run_id,
        run::actions::PICKING,
        EngineCommand::Pick { run_id, fork },
    );
    // The answers' line says how far it is.
    state.notice = None;
    let ticket = state.last_ticket;
    if let Some(gate) = &mut state.gate {
        (gate.stage, gate.failure) = (DecisionStep::Revising { ticket }, None);
    }
    cmds
}

/// Handles the result of using a fork's artifact.
pub fn picked(
    state: &mut AppState,
    run: RunId,
    result: &Result<CommandAnswer, Failure>,
) -> Vec<Cmd> {
    let gate = state
        .gate
        .as_mut()
        .filter(|gate| matches!(gate.stage, DecisionStep::Revising { .. }));
    match (result, gate) {
        (Ok(_), gate) => state.wants_gate |= gate.is_some(),
        (Err(failure), Some(gate)) => {
            (gate.stage, gate.drawn, gate.failure) =
                (DecisionStep::Reading, None, Some(failure.clone()))
        }
        (Err(failure), None) => state.notify_failure(failure),
    }
    vec![Cmd::Query(ArchiveQuery::Details(run))]
}
