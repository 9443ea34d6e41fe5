//! What is stored in one transaction with the facts that follow from it: what the facts speak of.
//!
//! Making it is the attempt's and the decision's work, appending the facts the driver's.

use super::agent::Unsettled;
use crate::model::error::Result;
use crate::model::event::Event;
use crate::model::persona::Persona;
use crate::store::contents::Content;
use crate::store::definitions;

/// What is stored in one transaction with facts.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The answer that came before them.
    pub unsettled: Option<Unsettled>,
    /// The content that they name.
    pub content: Option<Content>,
    /// The personas that they seat, to be frozen.
    pub personas: Vec<Persona>,
    /// What was stored already, as far as it is known; nothing has to be done for it.
    pub stored: Vec<Event>,
}

impl Beside {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsettled.is_none() && self.content.is_none() && self.personas.is_empty()
    }

    /// Stores it; the facts are the caller's to append afterwards.
    ///
    /// # Errors
    /// What the store says.
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
