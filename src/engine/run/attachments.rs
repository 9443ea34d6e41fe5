//! Rows committed together with the facts that refer to them.
//!
//! The attempt or the decision provides the rows; the driver appends the facts.
use crate::engine::agent::PendingAnswer;
use crate::model::error::Result;
use crate::model::event::JournalEvent;
use crate::model::persona::Persona;
use crate::store::tables::contents::StoredContent;
use crate::store::tables::definitions;

/// Rows committed in the same transaction as facts.
#[derive(Clone, Debug, Default)]
pub struct CommitAttachments {
    /// The last answer of the attempt, not yet stored.
    pub pending_answer: Option<PendingAnswer>,
    /// Content that the facts refer to.
    pub content: Option<StoredContent>,
    /// Personas assigned by the facts, to be frozen for the run.
    pub personas: Vec<Persona>,
    /// Events stored earlier, as far as they are known; they need no writing.
    pub stored_events: Vec<JournalEvent>,
}

impl CommitAttachments {
    /// Returns whether nothing has to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending_answer.is_none() && self.content.is_none() && self.personas.is_empty()
    }

    /// Writes the rows and returns the events this created. The caller appends its facts
    /// afterwards.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn write_rows(self, tx: &rusqlite::Transaction<'_>) -> Result<Vec<JournalEvent>> {
        self.content.map_or(Ok(()), |content| content.store(tx))?;
        self.personas
            .iter()
            .try_for_each(|persona| definitions::put_persona(tx, persona).map(drop))?;
        self.pending_answer
            .map_or_else(|| Ok(Vec::new()), |unsettled| unsettled.settle(tx))
    }
}

impl From<StoredContent> for CommitAttachments {
    fn from(content: StoredContent) -> Self {
        Self {
            content: Some(content),
            ..Self::default()
        }
    }
}

impl From<Vec<Persona>> for CommitAttachments {
    fn from(personas: Vec<Persona>) -> Self {
        Self {
            personas,
            ..Self::default()
        }
    }
}
