//! The new-run form: editing fields, requesting the start preview, and saving the draft.
use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::keymap::{Action, KeyContext};
use crate::app::msg::{ArchiveQuery, BackgroundJob, Cmd, ExternalProgram, JobResult};
use crate::app::screens::gate;
use crate::app::screens::new_run::draft::FormDraft;
use crate::app::screens::new_run::start::{agreed, send, start};
use crate::app::screens::new_run::state::{FormField, NewRunForm};
use crate::app::screens::new_run::trust;
use crate::app::state::{AppState, ConfirmChoice, ConfirmDialog, Modal, Screen};

/// Notice for a text that exceeds the limit of a field.
const TOO_LONG: &str = "the text was cut to its first 64 KiB";

/// Opens the form, with what was written before, here or by a console that is gone.
pub fn open(state: &mut AppState) -> Vec<Cmd> {
    state.push_screen(Screen::NewRun);
    let mut cmds = Vec::new();
    if state.new_run.is_none() {
        state.new_run = Some(NewRunForm::new(state.here.as_deref()));
        cmds.push(Cmd::Query(ArchiveQuery::FormDraft));
    }
    // Files, keys and prices may have changed since it was left.
    cmds.extend(refresh_preview(state));
    cmds
}

/// What an earlier console kept of the form.
pub fn draft_loaded(state: &mut AppState, draft: Option<FormDraft>) -> Vec<Cmd> {
    let (Some(draft), Some(form)) = (draft, &mut state.new_run) else {
        return Vec::new();
    };
    let elsewhere = Some(draft.repo.as_str())
        .filter(|repo| !repo.is_empty() && state.here.as_deref() != Some(repo))
        .map(str::to_owned);
    draft.apply_to(form);
    let of = elsewhere
        .map(|repo| format!(" (for {repo})"))
        .unwrap_or_default();
    let keys = state.keys.display_keys(Action::FormClear);
    state.notify(format!("draft restored{of}; {keys} clears the form"));
    refresh_preview(state)
}

/// Keeps what stands in the form, if that is not kept yet.
pub fn keep_draft(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = state.new_run.as_mut().filter(|form| form.unsaved.is_some()) else {
        return Vec::new();
    };
    form.unsaved = None;
    vec![Cmd::SaveForm(
        FormDraft::from_form(form, state.here.as_deref()).map(Box::new),
    )]
}

/// A key in the form: an action of the key table, else it belongs to the field.
pub fn press(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    match state.keys.action(KeyContext::Form, chord) {
        Some(action) => act(state, action),
        None => in_field(state, chord),
    }
}

/// Does an action in the form.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    if matches!(action, Action::FormNext | Action::FormPrev) {
        (form.found, form.typed) = (0, String::new());
    }
    match action {
        Action::FormNext => form.move_focus(1),
        Action::FormPrev => form.move_focus(form.fields().len() - 1),
        Action::FormStart => return start(state),
        Action::FormEdit => return edit(state),
        Action::FormClear => confirm_clear(state),
        Action::FormTrust => trust::confirm_trust(state),
        Action::FormLeave => {
            state.pop_screen();
            return keep_draft(state);
        }
        _ => {}
    }
    Vec::new()
}

/// Opens the task in the operator's editor.
fn edit(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    form.focus = FormField::Wish;
    let text = form.wish.text();
    let mut cmds = keep_draft(state);
    cmds.push(Cmd::Outside(ExternalProgram::Wish { text }));
    cmds
}

/// Handles the edited task.
pub fn edited(state: &mut AppState, text: &str) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    if form.wish.replace(text.trim_end_matches(['\n', '\r'])) {
        state.notify(TOO_LONG);
    }
    changed(state)
}

fn confirm_clear(state: &mut AppState) {
    state.modal = Some(Modal::Confirm(ConfirmDialog {
        question: "Clear the form?".to_owned(),
        detail: "The task and all other fields are cleared.".to_owned(),
        choices: vec![
            ("Cancel".to_owned(), ConfirmChoice::Stay),
            ("Clear".to_owned(), ConfirmChoice::EmptyForm),
        ],
        cursor: 0,
        drawn: None,
    }));
}

/// Clears the form after confirmation.
pub fn clear(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    let fresh = NewRunForm::new(state.here.as_deref());
    // The outlook stays until the next one is there, so that nothing flickers, and changes go on being counted.
    *form = NewRunForm {
        revision: form.revision,
        asked: form.asked,
        outlook: form.outlook.take(),
        ..fresh
    };
    changed(state)
}

fn in_field(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    let plain = !chord.ctrl && !chord.alt;
    match (form.focus, chord.code) {
        (FormField::Workflow, _) => return in_workflow(state, chord),
        (FormField::Wish, _) => {
            return if form.wish.key(chord) {
                changed(state)
            } else {
                Vec::new()
            };
        }
        (_, KeyCode::Up) => form.move_focus(form.fields().len() - 1),
        (FormField::Start, KeyCode::Enter) if plain => return start(state),
        (_, KeyCode::Down | KeyCode::Enter) => form.move_focus(1),
        (FormField::Seat(seat), KeyCode::Left | KeyCode::Right | KeyCode::Char(' ')) => {
            form.cycle_persona(seat, chord.code != KeyCode::Left);
            return changed(state);
        }
        (FormField::Strategy, KeyCode::Left | KeyCode::Right | KeyCode::Char(' ')) => {
            form.cycle_strategy(chord.code != KeyCode::Left);
            return changed(state);
        }
        (FormField::Rehearse, KeyCode::Left | KeyCode::Right | KeyCode::Char(' ')) => {
            form.rehearse = !form.rehearse;
            return changed(state);
        }
        _ => {
            let wrote = form.text_mut().is_some_and(|input| input.key(chord));
            return if wrote { changed(state) } else { Vec::new() };
        }
    }
    Vec::new()
}

fn in_workflow(state: &mut AppState, chord: KeyChord) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    let found = form.candidates();
    match chord.code {
        KeyCode::Up => form.found = form.found.saturating_sub(1),
        KeyCode::Down => form.found = (form.found + 1).min(found.len().saturating_sub(1)),
        KeyCode::Enter => {
            form.typed.clear();
            form.move_focus(1);
            return Vec::new();
        }
        KeyCode::Backspace => {
            form.typed.pop();
            form.found = 0;
        }
        _ => {
            let Some(typed) = chord.typed() else {
                return Vec::new();
            };
            if form.typed.is_empty() {
                form.before.clone_from(&form.workflow);
            }
            form.typed.push(typed);
            form.found = 0;
        }
    }
    choose(state)
}

/// What stands first among the found ones is the choice.
fn choose(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    let found = form.candidates();
    let chosen = found
        .get(form.found)
        .and_then(|(place, _)| form.preview()?.workflows.get(*place))
        .map(|(name, _)| name.clone());
    let chosen = chosen.or_else(|| {
        Some(form.before.clone()).filter(|before| found.is_empty() && !before.is_empty())
    });
    match chosen {
        Some(name) if name != form.workflow => {
            form.workflow = name;
            form.personas.clear();
            changed(state)
        }
        _ => Vec::new(),
    }
}

/// Text that was pasted.
pub fn paste(state: &mut AppState, text: &str) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    let wish = form.focus == FormField::Wish;
    let line: String = text.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
    let Some(input) = form.text_mut() else {
        return Vec::new();
    };
    let cut = input.paste(if wish { text } else { line.trim() });
    if cut {
        state.notify(TOO_LONG);
    }
    changed(state)
}

/// Something was changed: it is to be kept, and to be looked ahead at anew.
fn changed(state: &mut AppState) -> Vec<Cmd> {
    let ticks = state.now.ticks;
    if let Some(form) = &mut state.new_run {
        form.unsaved.get_or_insert(ticks);
    }
    refresh_preview(state)
}

/// Requests a start preview of the form, even if the task is empty.
pub fn refresh_preview(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else {
        return Vec::new();
    };
    form.revision += 1;
    form.failure = None;
    request_preview(form)
}

fn request_preview(form: &mut NewRunForm) -> Vec<Cmd> {
    if form.asked.is_some() {
        return Vec::new();
    }
    form.asked = Some(form.revision);
    vec![Cmd::Work(BackgroundJob::LookAhead(
        form.revision,
        Box::new(form.request()),
    ))]
}

/// Handles the result of a background job.
pub fn done(state: &mut AppState, done: JobResult) -> Vec<Cmd> {
    match done {
        JobResult::Ahead(revision, request, ahead) => {
            let Some(form) = &mut state.new_run else {
                return Vec::new();
            };
            form.asked = None;
            form.outlook = Some((revision, request, ahead));
            if let FormField::Seat(seat) = form.focus
                && seat >= form.seats().len()
            {
                form.focus = FormField::Thread;
            }
            if form.focus == FormField::Strategy && !form.uses_thread() {
                form.focus = FormField::Budget;
            }
            if form.is_current() {
                Vec::new()
            } else {
                request_preview(form)
            }
        }
        JobResult::Seats(ahead) => gate::fork_update::seated(state, &ahead),
        JobResult::Checked(subject, checks) => {
            state.doctor.add_checks(subject, checks);
            Vec::new()
        }
        JobResult::Cheaper(run, found) => gate::reassign::candidates_loaded(state, run, found),
        JobResult::Demo(Ok(request)) => {
            state.preparing = false;
            send(state, *request)
        }
        JobResult::Demo(Err(failure)) => {
            state.preparing = false;
            state.notify_failure(&failure);
            Vec::new()
        }
        JobResult::Trusted(result) => trust::agreed(state, result),
        JobResult::Agreed(result) if gate::reassign::awaits_consent(state) => {
            gate::reassign::agreed(state, result)
        }
        JobResult::Agreed(result) => agreed(state, result),
    }
}
