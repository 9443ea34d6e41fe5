//! The resume picker: opening at startup, selection, marking, and resuming.
use crate::app::keymap::{Action, is_movement};
use crate::app::msg::{ArchiveQuery, Cmd, ResumePreview};
use crate::app::screens::run;
use crate::app::screens::runs::state::{RequestStatus, is_over_budget};
use crate::app::state::{AppState, Screen};
use crate::engine::api::{CallResolution, EngineCommand};
use crate::model::error::Failure;
use crate::model::id::RunId;
use crate::model::record::RunRecord;

/// After the list came: asks for what stopped, where it is shown or may open by itself.
pub fn offer(state: &mut AppState) -> Vec<Cmd> {
    let opens =
        state.picker.may_open && state.screen() == Screen::Runs && state.runs.counts.paused > 0;
    if (opens || state.screen() == Screen::Picker) && state.picker.asking.request() {
        return vec![Cmd::Query(ArchiveQuery::Paused)];
    }
    Vec::new()
}

/// Opens the picker on request.
pub fn open(state: &mut AppState) -> Vec<Cmd> {
    if state.runs.counts.paused == 0 {
        state.notify("no interrupted runs");
        return Vec::new();
    }
    state.push_screen(Screen::Picker);
    offer(state)
}

/// What stopped is known; opens by itself at the start, when nothing was pressed.
pub fn loaded(state: &mut AppState, paused: Vec<RunRecord>) -> Vec<Cmd> {
    let again = state.picker.asking.complete();
    state.picker.set(paused);
    if state.picker.may_open && state.screen() == Screen::Runs && !state.picker.paused.is_empty() {
        state.push_screen(Screen::Picker);
    }
    state.picker.may_open = false;
    if state.screen() == Screen::Picker && state.picker.paused.is_empty() {
        state.pop_screen();
    }
    let mut cmds = inspect(state);
    if again {
        cmds.push(Cmd::Query(ArchiveQuery::Paused));
    }
    cmds
}

/// What stopped could not be read; the next news asks again.
pub fn failed(state: &mut AppState, failure: &Failure) -> Vec<Cmd> {
    state.picker.asking = RequestStatus::Idle;
    state.notify_failure(failure);
    Vec::new()
}

/// Looks into those on the screen of which something is not known.
pub fn inspect(state: &mut AppState) -> Vec<Cmd> {
    let unknown = if state.screen() == Screen::Picker {
        state.picker.outdated_previews()
    } else {
        Vec::new()
    };
    if unknown.is_empty() {
        Vec::new()
    } else {
        vec![Cmd::Query(ArchiveQuery::Previews(unknown))]
    }
}

/// Handles the loaded previews.
pub fn keep_previews(state: &mut AppState, previews: Vec<ResumePreview>) -> Vec<Cmd> {
    state
        .picker
        .previews
        .extend(previews.into_iter().map(|p| (p.state.run_id, p)));
    Vec::new()
}

/// Executes an action in the picker.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let selected = state.picker.selected().map(|r| r.id);
    match action {
        _ if is_movement(action) => {
            state.picker.unsure = 0;
            state.picker.move_by(action);
            return inspect(state);
        }
        Action::PickMark => {
            if let Some(id) = selected.filter(|id| !state.picker.marked.remove(id)) {
                state.picker.marked.insert(id);
            }
            state.picker.move_by(Action::Down);
            return inspect(state);
        }
        Action::PickPreview => state.picker.preview = !state.picker.preview,
        Action::PickNextUnsure => state.picker.cycle_unsure(true),
        Action::PickPrevUnsure => state.picker.cycle_unsure(false),
        Action::PickRedo => return settle(state, CallResolution::Redo),
        Action::PickDone => return settle(state, CallResolution::Done),
        Action::PickSkip => return settle(state, CallResolution::Skip),
        Action::PickLook => {
            return selected
                .map(|id| run::update::open(state, id))
                .unwrap_or_default();
        }
        Action::Open => return resume_chosen(state, selected),
        _ => {}
    }
    Vec::new()
}

/// Says what became of the selected unsure call. It must be on the screen to be answered.
fn settle(state: &mut AppState, how: CallResolution) -> Vec<Cmd> {
    if !std::mem::replace(&mut state.picker.preview, true) {
        return Vec::new();
    }
    let Some((run_id, call_id)) = state.picker.unsure_call() else {
        state.notify("nothing in this run needs checking");
        return Vec::new();
    };
    run::actions::send(
        state,
        run_id,
        run::actions::SETTLING,
        EngineCommand::Settle {
            run_id,
            call_id,
            how,
        },
    )
}

/// Looks into a run anew: what was unsure of it is answered.
pub fn refresh(run_id: RunId) -> Vec<Cmd> {
    vec![Cmd::Query(ArchiveQuery::Previews(vec![run_id]))]
}

/// Resumes the marked runs, or the selected one if none is marked; reports those that cannot.
fn resume_chosen(state: &mut AppState, selected: Option<RunId>) -> Vec<Cmd> {
    let marked = std::mem::take(&mut state.picker.marked);
    let wanted = |r: &&RunRecord| {
        if marked.is_empty() {
            Some(r.id) == selected
        } else {
            marked.contains(&r.id)
        }
    };
    let chosen: Vec<RunRecord> = state.picker.paused.iter().filter(wanted).cloned().collect();
    if let [one] = chosen.as_slice()
        && is_over_budget(one)
    {
        return run::actions::resume(state, one);
    }
    let (asking, chosen): (Vec<RunRecord>, Vec<RunRecord>) =
        chosen.into_iter().partition(is_over_budget);
    let (mut cmds, mut refused, asking) = (Vec::new(), 0, asking.len());
    for record in &chosen {
        let sent = run::actions::resume(state, record);
        refused += usize::from(sent.is_empty());
        cmds.extend(sent);
    }
    let sent = cmds.len();
    match chosen.as_slice() {
        [one] if sent == 1 && asking == 0 => {
            state.pop_screen();
            cmds.extend(run::update::open(state, one.id));
        }
        _ if sent == 0 && chosen.len() < 2 && asking == 0 => {}
        _ => {
            let key = state.keys.display_keys(Action::NextGate);
            state.notify(report_result(sent, (asking, &key), refused));
        }
    }
    cmds
}

/// What became of several: how many go on, how many ask for money first, how many cannot.
fn report_result(sent: usize, (asking, key): (usize, &str), refused: usize) -> String {
    let runs = if sent == 1 {
        "1 run".to_owned()
    } else {
        format!("{sent} runs")
    };
    let mut parts = vec![format!("resuming {runs}: sending")];
    if asking > 0 {
        parts.push(format!(
            "{asking} {} more budget: {key} to review",
            if asking == 1 { "needs" } else { "need" }
        ));
    }
    if refused > 0 {
        parts.push(format!("{refused} cannot resume and stay marked grey"));
    }
    parts.join("; ")
}
