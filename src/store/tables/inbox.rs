//! Commands that other processes left for the host, and what the host answered.

use crate::model::error::Result;
use crate::model::id::{ClientToken, RunId};
use crate::model::record::InboxRecord;
use crate::model::state::Via;
use crate::model::time::Timestamp;
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension};

/// A command on its way into the inbox.
#[derive(Clone, Debug)]
pub struct NewCommand {
    /// Makes delivering it twice harmless.
    pub token: ClientToken,
    /// Who sends it.
    pub by: String,
    /// By which way.
    pub via: Via,
    /// The command, as JSON.
    pub command: String,
    /// The run it is about; how far that was is noted, to tell later whether the command has acted.
    pub run: Option<RunId>,
}

/// Leaves a command. `false` when the token is known already: the command that came first counts.
///
/// # Errors
/// What the database says.
pub fn insert(tx: &Connection, new: &NewCommand, now: Timestamp) -> Result<bool> {
    let added = tx
        .prepare_cached(
            "INSERT INTO inbox (token, sent_by, via, command, created_at_ms, run_seq) \
             VALUES (?1, ?2, ?3, ?4, ?5, (SELECT last_seq FROM runs WHERE id = ?6)) ON CONFLICT (token) DO NOTHING",
        )?
        .execute((new.token.to_string(), &new.by, new.via.as_str(), &new.command, now.0, new.run.map(|run| run.to_string())))?;
    Ok(added == 1)
}

/// The commands that wait, oldest first. A row that cannot be read is told in the log and hides no other.
///
/// # Errors
/// What the database says.
pub fn open(conn: &Connection) -> Result<Vec<InboxRecord>> {
    let mut query = conn.prepare_cached(
        "SELECT token, sent_by, via, command, answer, created_at_ms, run_seq FROM inbox WHERE answered_at_ms IS NULL \
         ORDER BY created_at_ms, rowid",
    )?;
    let rows = query.query_map([], |row| {
        Ok(InboxRecord {
            token: columns::parsed(row, "token")?,
            by: row.get("sent_by")?,
            via: columns::named(row, "via", Via::parse)?,
            command: row.get("command")?,
            answer: row.get("answer")?,
            at: columns::at(row, "created_at_ms")?,
            run_seq: row
                .get::<_, Option<i64>>("run_seq")?
                .and_then(|seq| u64::try_from(seq).ok()),
        })
    })?;
    let told = |error: &rusqlite::Error| tracing::error!(%error, "a command in the inbox cannot be read; it is left as it is");
    Ok(rows.filter_map(|row| row.inspect_err(told).ok()).collect())
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
    Ok(query
        .query_row([token.to_string()], |row| row.get(0))
        .optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fixture;

    #[test]
    fn a_command_is_taken_once_and_its_first_answer_stays() {
        let conn = fixture::memory();
        let (late, early) = (ClientToken::new(), ClientToken::new());
        let new = |token, by: &str, via, command: &str| NewCommand {
            token,
            by: by.to_owned(),
            via,
            command: command.to_owned(),
            run: None,
        };
        assert!(
            insert(
                &conn,
                &new(late, "kim", Via::Cli, "{\"n\":2}"),
                Timestamp(20)
            )
            .unwrap()
        );
        assert!(
            insert(
                &conn,
                &new(early, "lee", Via::Console, "{\"n\":1}"),
                Timestamp(10)
            )
            .unwrap()
        );
        assert!(
            !insert(
                &conn,
                &new(early, "lee", Via::Console, "{\"n\":3}"),
                Timestamp(30)
            )
            .unwrap()
        );
        conn.execute("INSERT INTO inbox (token, sent_by, via, command, created_at_ms) VALUES ('?', 'x', 'cli', '', 1)", []).unwrap();
        let waiting = open(&conn).unwrap();
        assert_eq!(
            waiting
                .iter()
                .map(|row| (row.token, row.command.as_str()))
                .collect::<Vec<_>>(),
            [(early, "{\"n\":1}"), (late, "{\"n\":2}")]
        );
        assert_eq!(
            (waiting[0].by.as_str(), waiting[0].via, waiting[0].at),
            ("lee", Via::Console, Timestamp(10))
        );
        assert_eq!(answer_of(&conn, early).unwrap(), Some(None));
        answer(&conn, early, "\"yes\"", Timestamp(40)).unwrap();
        answer(&conn, early, "\"no\"", Timestamp(50)).unwrap();
        assert_eq!(
            answer_of(&conn, early).unwrap(),
            Some(Some("\"yes\"".to_owned()))
        );
        assert_eq!(answer_of(&conn, ClientToken::new()).unwrap(), None);
        assert_eq!(open(&conn).unwrap().len(), 1);
    }
}
