//! The form of a new run: writing, choosing, looking ahead, asking for consent, starting.

use super::{fork, run};
use crate::app::key::{Chord, KeyCode};
use crate::app::keymap::{Action, Context};
use crate::app::msg::{Cmd, Done, Ticket, Work};
use crate::app::new_run::{Field, NewRun};
use crate::app::state::{AppState, Choice, Confirm, Modal, Screen};
use crate::engine::api::{Answer, Command, ConsentAsk, StartRun};
use crate::model::error::Failure;
use crate::model::persona::Permission;
use crate::model::safe_text::safe_line;

/// Opens the form, with what was written before.
pub fn open(state: &mut AppState) -> Vec<Cmd> {
    state.show(Screen::NewRun);
    if state.new_run.is_none() {
        state.new_run = Some(NewRun::new(state.here.as_deref()));
    }
    // Files, keys and prices may have changed since it was left.
    changed(state)
}

/// A key in the form: an action of the key table, else it belongs to the field.
pub fn press(state: &mut AppState, chord: Chord) -> Vec<Cmd> {
    match state.keys.action(Context::Form, chord) {
        Some(action) => act(state, action),
        None => in_field(state, chord),
    }
}

/// Does an action in the form.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    match action {
        Action::FormNext => form.turn(1),
        Action::FormPrev => form.turn(form.fields().len() - 1),
        Action::FormStart => return start(state),
        Action::FormLeave => drop(state.back()),
        _ => {}
    }
    Vec::new()
}

fn in_field(state: &mut AppState, chord: Chord) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    let plain = !chord.ctrl && !chord.alt;
    match (form.focus, chord.code) {
        (Field::Workflow, _) => return in_workflow(state, chord),
        (Field::Wish, _) => return if form.wish.key(chord) { changed(state) } else { Vec::new() },
        (_, KeyCode::Up) => form.turn(form.fields().len() - 1),
        (Field::Start, KeyCode::Enter) if plain => return start(state),
        (_, KeyCode::Down | KeyCode::Enter) => form.turn(1),
        (Field::Seat(seat), KeyCode::Left | KeyCode::Right | KeyCode::Char(' ')) => {
            form.turn_persona(seat, chord.code != KeyCode::Left);
            return changed(state);
        }
        (Field::Rehearse, KeyCode::Left | KeyCode::Right | KeyCode::Char(' ')) => {
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

fn in_workflow(state: &mut AppState, chord: Chord) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    let found = form.candidates();
    match chord.code {
        KeyCode::Up => form.found = form.found.saturating_sub(1),
        KeyCode::Down => form.found = (form.found + 1).min(found.len().saturating_sub(1)),
        KeyCode::Enter => {
            form.typed.clear();
            form.turn(1);
            return Vec::new();
        }
        KeyCode::Backspace => {
            form.typed.pop();
            form.found = 0;
        }
        _ => {
            let Some(typed) = chord.typed() else { return Vec::new() };
            form.typed.push(typed);
            form.found = 0;
        }
    }
    choose(state)
}

/// What stands first among the found ones is the choice.
fn choose(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    let found = form.candidates();
    let chosen = found.get(form.found).and_then(|(place, _)| form.ahead()?.workflows.get(*place)).map(|(name, _)| name.clone());
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
    let Some(form) = &mut state.new_run else { return Vec::new() };
    let wish = form.focus == Field::Wish;
    let line: String = text.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
    let Some(input) = form.text_mut() else { return Vec::new() };
    let cut = input.paste(if wish { text } else { line.trim() });
    if cut {
        state.say("the paste was long: only its first 64 KiB were taken");
    }
    changed(state)
}

/// Something was changed: look ahead anew.
fn changed(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    form.revision += 1;
    form.failure = None;
    look_ahead(form)
}

fn look_ahead(form: &mut NewRun) -> Vec<Cmd> {
    if form.asked.is_some() {
        return Vec::new();
    }
    form.asked = Some(form.revision);
    vec![Cmd::Work(Work::LookAhead(form.revision, Box::new(form.request())))]
}

/// Slow work has ended.
pub fn done(state: &mut AppState, done: Done) -> Vec<Cmd> {
    match done {
        Done::Ahead(revision, request, ahead) => {
            let Some(form) = &mut state.new_run else { return Vec::new() };
            form.asked = None;
            form.outlook = Some((revision, request, ahead));
            if let Field::Seat(seat) = form.focus
                && seat >= form.seats().len()
            {
                form.focus = Field::Thread;
            }
            if form.is_current() { Vec::new() } else { look_ahead(form) }
        }
        Done::Seats(ahead) => fork::seated(state, &ahead),
        Done::Checked(subject, checks) => {
            state.doctor.take(subject, checks);
            Vec::new()
        }
        Done::Demo(Ok(request)) => {
            state.preparing = false;
            send(state, *request)
        }
        Done::Demo(Err(failure)) => {
            state.preparing = false;
            state.complain(&failure);
            Vec::new()
        }
        Done::Agreed(Ok(())) => begin(state),
        Done::Agreed(Err(failure)) => failed(state, failure),
    }
}

/// Starts, if nothing stands in the way; what needs consent is asked first.
fn start(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    if form.starting {
        return Vec::new();
    }
    if !form.is_current() {
        state.say("still looking ahead; press again in a moment");
        return Vec::new();
    }
    let problem = form.ahead().and_then(|ahead| ahead.problems.first()).map(|(_, failure)| failure.clone());
    if let Some(failure) = problem {
        state.complain(&failure);
        return Vec::new();
    }
    let asks: Vec<ConsentAsk> = consents(form);
    if asks.is_empty() {
        return begin(state);
    }
    state.modal = Some(Modal::Confirm(Confirm {
        question: format!("Let {} work for you?", if asks.len() == 1 { "this persona" } else { "these personas" }),
        detail: asks.iter().map(told).collect::<Vec<_>>().join("\n"),
        choices: vec![("Keep editing".to_owned(), Choice::Stay), ("Agree and start".to_owned(), Choice::AgreeAndStart)],
        cursor: 0,
        drawn: None,
    }));
    Vec::new()
}

/// What is asked, each persona once.
fn consents(form: &NewRun) -> Vec<ConsentAsk> {
    let mut asks: Vec<ConsentAsk> = Vec::new();
    for ask in form.seats().iter().filter_map(|seat| seat.consent.as_ref()) {
        if !asks.contains(ask) {
            asks.push(ask.clone());
        }
    }
    asks
}

fn told(ask: &ConsentAsk) -> String {
    let tool = |(name, permission): &(String, Permission)| match permission {
        Permission::Auto => name.clone(),
        Permission::Ask => format!("{name} (asks)"),
        Permission::Deny => format!("{name} (denied)"),
    };
    let tools: Vec<String> = ask.tools.iter().map(tool).collect();
    let tools = if tools.is_empty() { "no tools".to_owned() } else { tools.join(", ") };
    // One line each, whatever the files say.
    safe_line(&format!("{}: {}; {tools}", ask.persona, ask.runs_on))
}

/// The operator agrees.
pub fn agree_and_start(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    form.starting = true;
    vec![Cmd::Work(Work::Agree(consents(form).into_iter().map(|ask| (ask.persona, ask.hash)).collect()))]
}

fn begin(state: &mut AppState) -> Vec<Cmd> {
    let Some(form) = &mut state.new_run else { return Vec::new() };
    let Some((_, request, _)) = &form.outlook else { return Vec::new() };
    let request = (**request).clone();
    form.starting = true;
    send(state, request)
}

fn send(state: &mut AppState, request: StartRun) -> Vec<Cmd> {
    let ticket = Ticket(state.last_ticket.0 + 1);
    (state.last_ticket, state.starting) = (ticket, Some(ticket));
    state.say("starting the run: sending");
    vec![Cmd::Send(ticket, Command::Start(Box::new(request)))]
}

/// The engine answered a start.
pub fn started(state: &mut AppState, result: Result<Answer, Failure>) -> Vec<Cmd> {
    state.starting = None;
    match result {
        Ok(Answer::Started { run_id, .. }) => {
            if state.new_run.as_ref().is_some_and(|form| form.starting) {
                state.new_run = None;
                state.screens.retain(|screen| *screen != Screen::NewRun);
            }
            state.say(format!("run {} started", run_id.short()));
            run::open(state, run_id)
        }
        Ok(_) => Vec::new(),
        Err(failure) => failed(state, failure),
    }
}

fn failed(state: &mut AppState, failure: Failure) -> Vec<Cmd> {
    state.complain(&failure);
    if let Some(form) = &mut state.new_run {
        (form.starting, form.failure) = (false, Some(failure));
    }
    Vec::new()
}
