//! Copying to the clipboard: an event, a text, an agent's output, or a run id.

use crate::app::msg::Cmd;
use crate::app::reading::Reading;
use crate::app::run_view::{Pane, RunView};
use crate::app::state::{AppState, Modal, Screen};
use crate::app::telling::told;
use crate::model::error::{Code, Failure};

/// Clipboard limit in bytes; several terminals silently drop more.
const MOST: usize = 74_000;

/// Copies the content of the focused pane.
pub fn copy(state: &mut AppState) -> Vec<Cmd> {
    match shown(state) {
        None => {
            state.say("nothing here to copy");
            Vec::new()
        }
        Some((text, what)) if text.len() > MOST => {
            let told = format!(
                "{what}: {} bytes exceed the terminal's clipboard limit",
                text.len()
            );
            state.complain(
                &Failure::new(Code::PaneBrieflyUnresponsive, told)
                    .hint("`phasedeck artifact` and `phasedeck events` print it"),
            );
            Vec::new()
        }
        Some((text, what)) => vec![Cmd::Copy(text, what)],
    }
}

/// Handles a sent copy; terminals do not confirm it.
pub fn copied(
    state: &mut AppState,
    what: &str,
    bytes: usize,
    way: Result<&'static str, Failure>,
) -> Vec<Cmd> {
    match way {
        Ok(way) => state.say(format!(
            "{what} sent {way}, {bytes} bytes; a terminal that does not allow it says nothing"
        )),
        Err(failure) => state.complain(&failure),
    }
    Vec::new()
}

fn shown(state: &AppState) -> Option<(String, &'static str)> {
    if let Some(modal) = &state.modal {
        return match modal {
            Modal::Text(_, reading) => Some((text_of(reading), "the text")),
            _ => None,
        };
    }
    match state.screen() {
        Screen::Runs => state
            .runs
            .selected()
            .map(|run| (run.id.to_string(), "the run's id")),
        Screen::Picker => state
            .picker
            .selected()
            .map(|run| (run.id.to_string(), "the run's id")),
        Screen::Run => in_pane(state, state.run.as_ref()?),
        Screen::Gate => state
            .gate
            .as_ref()?
            .reading()
            .map(|reading| (text_of(reading), "the text")),
        Screen::NewRun | Screen::Cost | Screen::Doctor | Screen::Settings => None,
    }
}

fn in_pane(state: &AppState, run: &RunView) -> Option<(String, &'static str)> {
    match run.focus {
        Pane::Phases | Pane::Cost => Some((run.run_id.to_string(), "the run's id")),
        Pane::Events => run.tail.selected().map(|event| {
            let line = format!(
                "{} {} {} {}",
                state.clock(event.at),
                event.seq,
                event.fact.kind(),
                told(&event.fact, state.dot())
            );
            (line.trim_end().to_owned(), "the event")
        }),
        Pane::Artifact => run
            .artifact
            .reading
            .as_ref()
            .map(|reading| (text_of(reading), "the artifact")),
        Pane::Transcript => Some((text_of(&run.said.reading), "the transcript"))
            .filter(|(text, _)| !text.is_empty()),
    }
}

fn text_of(reading: &Reading) -> String {
    reading
        .doc()
        .lines
        .iter()
        .map(|line| line.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}
