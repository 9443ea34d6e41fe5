//! Rows committed together with the facts that refer to them.
//!
//! The attempt or the decision provides the rows; the driver appends the facts.

use super::agent::Unsettled;
use crate::model::error::Result;
use crate::model::event::Event;
use crate::model::persona::Persona;
use crate::store::contents::Content;
use crate::store::definitions;

/// Rows committed in the same transaction as facts.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The last answer of the attempt, not yet stored.
    pub unsettled: Option<Unsettled>,
    /// Content that the facts refer to.
    pub content: Option<Content>,
    /// Personas assigned by the facts, to be frozen for the run.
    pub personas: Vec<Persona>,
    /// Events stored earlier, as far as they are known; they need no writing.
    pub stored: Vec<Event>,
}

impl Beside {
    /// Returns whether nothing has to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsettled.is_none() && self.content.is_none() && self.personas.is_empty()
    }

    /// Writes the rows and returns the events this created. The caller appends its facts
    /// afterwards.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn store(self, tx: &rusqlite::Transaction<'_>) -> Result<Vec<Event>> {
        self.content.map_or(Ok(()), |content| content.store(tx))?;
        self.personas
            .iter()
            .try_for_each(|persona| definitions::put_persona(tx, persona).map(drop))?;
        self.unsettled
            .map_or_else(|| Ok(Vec::new()), |unsettled| unsettled.settle(tx))
    }
}

impl From<Content> for Beside {
    fn from(content: Content) -> Self {
        Self {
            content: Some(content),
            ..Self::default()
        }
    }
}

impl From<Vec<Persona>> for Beside {
    fn from(personas: Vec<Persona>) -> Self {
        Self {
            personas,
            ..Self::default()
        }
    }
}
