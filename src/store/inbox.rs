//! Commands that other processes left for the host, and what the host answered.

use rusqlite::{Connection, OptionalExtension};

use super::row;
use crate::model::error::Result;
use crate::model::id::ClientToken;
use crate::model::record::InboxRecord;
use crate::model::state::Via;
use crate::model::time::Timestamp;

/// Leaves a command. `false` when the token is known already: the command that came first counts.
///
/// # Errors
/// What the database says.
pub fn put(tx: &Connection, token: ClientToken, by: &str, via: Via, command: &str, now: Timestamp) -> Result<bool> {
    let added = tx
        .prepare_cached(
            "INSERT INTO inbox (token, sent_by, via, command, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (token) DO NOTHING",
        )?
        .execute((token.to_string(), by, via.as_str(), command, now.0))?;
    Ok(added == 1)
}

/// The commands that wait, oldest first.
///
/// # Errors
/// What the database says.
pub fn open(conn: &Connection) -> Result<Vec<InboxRecord>> {
    let mut query = conn.prepare_cached(
        "SELECT token, sent_by, via, command, answer, created_at_ms FROM inbox WHERE answered_at_ms IS NULL ORDER BY created_at_ms, rowid",
    )?;
    let rows = query.query_map([], |row| {
        Ok(InboxRecord {
            token: row::parsed(row, "token")?,
            by: row.get("sent_by")?,
            via: row::named(row, "via", Via::parse)?,
            command: row.get("command")?,
            answer: row.get("answer")?,
            at: row::at(row, "created_at_ms")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Answers a command; the first answer stays.
///
/// # Errors
/// What the database says.
pub fn answer(tx: &Connection, token: ClientToken, answer: &str, now: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE inbox SET answer = ?2, answered_at_ms = ?3 WHERE token = ?1 AND answered_at_ms IS NULL")?.execute((
        token.to_string(),
        answer,
        now.0,
    ))?;
    Ok(())
}

/// What became of a command: `None` when the token is unknown, `Some(None)` while it waits.
///
/// # Errors
/// What the database says.
pub fn answer_of(conn: &Connection, token: ClientToken) -> Result<Option<Option<String>>> {
    let mut query = conn.prepare_cached("SELECT answer FROM inbox WHERE token = ?1")?;
    Ok(query.query_row([token.to_string()], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_command_is_taken_once_and_its_first_answer_stays() {
        let conn = fixture::memory();
        let (late, early) = (ClientToken::new(), ClientToken::new());
        assert!(put(&conn, late, "kim", Via::Cli, "{\"n\":2}", Timestamp(20)).unwrap());
        assert!(put(&conn, early, "lee", Via::Console, "{\"n\":1}", Timestamp(10)).unwrap());
        assert!(!put(&conn, early, "lee", Via::Console, "{\"n\":3}", Timestamp(30)).unwrap());
        let waiting = open(&conn).unwrap();
        assert_eq!(
            waiting.iter().map(|row| (row.token, row.command.as_str())).collect::<Vec<_>>(),
            [(early, "{\"n\":1}"), (late, "{\"n\":2}")]
        );
        assert_eq!((waiting[0].by.as_str(), waiting[0].via, waiting[0].at), ("lee", Via::Console, Timestamp(10)));
        assert_eq!(answer_of(&conn, early).unwrap(), Some(None));
        answer(&conn, early, "\"yes\"", Timestamp(40)).unwrap();
        answer(&conn, early, "\"no\"", Timestamp(50)).unwrap();
        assert_eq!(answer_of(&conn, early).unwrap(), Some(Some("\"yes\"".to_owned())));
        assert_eq!(answer_of(&conn, ClientToken::new()).unwrap(), None);
        assert_eq!(open(&conn).unwrap().len(), 1);
    }
}
