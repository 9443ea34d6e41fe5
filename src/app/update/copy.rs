//! Copying to the clipboard: an event, a text, an agent's output, or a run id.

use crate::app::msg::Cmd;
use crate::app::screens::run::event_text::describe;
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::app::state::{AppState, Modal, Screen};
use crate::app::text::scroll_view::ScrollView;
use crate::model::error::{Code, Failure};

/// Clipboard limit in bytes; several terminals silently drop more.
const MOST: usize = 74_000;

/// Copies the content of the focused pane.
pub fn copy(state: &mut AppState) -> Vec<Cmd> {
    match shown(state) {
        None => {
            state.notify("nothing here to copy");
            Vec::new()
        }
        Some((text, what)) if text.len() > MOST => {
            let told = format!(
                "{what}: {} bytes exceed the terminal's clipboard limit",
                text.len()
            );
            state.notify_failure(
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
        Ok(way) => state.notify(format!(
            "{what} sent {way}, {bytes} bytes; a terminal that does not allow it says nothing"
        )),
        Err(failure) => state.notify_failure(&failure),
    }
    Vec::new()
}

fn shown(state: &AppState) -> Option<(String, &'static str)> {
    if let Some(modal) = &state.modal {
        return match modal {
            Modal::Text(_, reading) => Some((scroll_view_text(reading), "the text")),
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
            .scroll_view()
            .map(|reading| (scroll_view_text(reading), "the text")),
        Screen::NewRun | Screen::Cost | Screen::Doctor | Screen::Settings => None,
    }
}

fn in_pane(state: &AppState, run: &RunScreen) -> Option<(String, &'static str)> {
    match run.focus {
        RunPane::Phases | RunPane::Cost => Some((run.run_id.to_string(), "the run's id")),
        RunPane::Events => run.tail.selected().map(|event| {
            let line = format!(
                "{} {} {} {}",
                state.clock(event.at),
                event.seq,
                event.fact.kind(),
                describe(&event.fact, state.separator())
            );
            (line.trim_end().to_owned(), "the event")
        }),
        RunPane::Artifact => run
            .artifact
            .reading
            .as_ref()
            .map(|reading| (scroll_view_text(reading), "the artifact")),
        RunPane::Transcript => Some((scroll_view_text(&run.said.reading), "the transcript"))
            .filter(|(text, _)| !text.is_empty()),
    }
}

fn scroll_view_text(reading: &ScrollView) -> String {
    reading
        .doc()
        .lines
        .iter()
        .map(|line| line.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}
