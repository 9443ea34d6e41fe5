//! One run: phases, events, artifact, transcript, cost, and the run as of an earlier event.

pub(crate) mod actions;
pub(crate) mod artifact_update;
pub mod event_list;
pub mod event_text;
pub mod event_window;
pub(crate) mod events_update;
pub(crate) mod forecast;
pub mod history;
#[cfg(test)]
pub(crate) mod history_tests;
pub(crate) mod history_update;
pub mod liveness;
pub mod state;
pub mod stored_transcript;
pub mod transcript;
pub mod transcript_pane;
pub(crate) mod transcript_update;
pub(crate) mod update;
