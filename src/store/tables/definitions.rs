//! Frozen texts: what runs were begun with, by the hash of their canonical JSON.

use rusqlite::{Connection, OptionalExtension};

use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::persona::Persona;

/// What kind of text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionKind {
    /// A workflow, as JSON.
    Workflow,
    /// A persona, as JSON.
    Persona,
    /// An artifact schema, as JSON.
    Schema,
}

impl DefinitionKind {
    /// The wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Persona => "persona",
            Self::Schema => "schema",
        }
    }
}

/// Keeps a text; keeping it twice is no second row.
///
/// # Errors
/// What the database says.
pub fn insert(
    tx: &Connection,
    kind: DefinitionKind,
    hash: &ContentHash,
    name: &str,
    content: &str,
) -> Result<()> {
    tx.prepare_cached("INSERT INTO definitions (hash, kind, name, content) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hash) DO NOTHING")?
        .execute((hash.as_str(), kind.as_str(), name, content))?;
    Ok(())
}

/// Keeps a persona under its identity.
///
/// # Errors
/// What the database says.
pub fn put_persona(tx: &Connection, persona: &Persona) -> Result<()> {
    let (hash, text) = (
        persona.hash().map_err(Failure::internal)?,
        serde_json::to_string(persona).map_err(Failure::internal)?,
    );
    insert(
        tx,
        DefinitionKind::Persona,
        &hash,
        &persona.versioned_name().to_string(),
        &text,
    )
}

/// The text with this hash, if it was kept as this kind.
///
/// # Errors
/// What the database says.
pub fn get(conn: &Connection, kind: DefinitionKind, hash: &ContentHash) -> Result<Option<String>> {
    let mut query =
        conn.prepare_cached("SELECT content FROM definitions WHERE hash = ?1 AND kind = ?2")?;
    Ok(query
        .query_row((hash.as_str(), kind.as_str()), |row| row.get(0))
        .optional()?)
}
