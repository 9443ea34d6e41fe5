//! The rehearsal backend: no model, no money, a believable artifact.

mod generate;

use crate::engine::agent::{Backend, Desk, Job, Stop, Work};
use crate::model::error::Failure;
use crate::model::persona::Persona;

/// Plays any persona without a model.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsal {
    pace_ms: u64,
}

impl Rehearsal {
    /// A rehearsal that waits `pace_ms` milliseconds between two pieces of text; 0 never waits.
    #[must_use]
    pub fn new(pace_ms: u64) -> Self {
        Self { pace_ms }
    }
}

impl Backend for Rehearsal {
    fn name(&self) -> &'static str {
        "rehearsal"
    }

    fn available(&self, _persona: &Persona) -> Result<(), Failure> {
        Ok(())
    }

    fn model(&self, _persona: &Persona) -> Option<String> {
        None
    }

    fn work<'a>(&'a self, _job: &'a Job, _desk: &'a Desk, _stop: &'a Stop) -> Work<'a> {
        let pace = self.pace_ms;
        Box::pin(async move { Err(Failure::internal(format!("not built ({pace})"))) })
    }
}
