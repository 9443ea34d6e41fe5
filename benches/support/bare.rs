//! Plain SQLite as the baseline for the journal: the same settings, one similar table, a full log.

use rusqlite::Connection;

use crate::measure::BenchResult;

/// Creates a plain SQLite database with the store's settings and one table shaped like the journal.
pub fn bare_database(dir: &std::path::Path) -> BenchResult<Connection> {
    let conn = Connection::open(dir.join("bare.db"))?;
    conn.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = on; PRAGMA wal_autocheckpoint = 1000; \
         PRAGMA cache_size = -16384; PRAGMA cell_size_check = on; \
         CREATE TABLE events (run_id TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, type TEXT NOT NULL, phase_key TEXT, \
         idempotency_key TEXT NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (run_id, seq), UNIQUE (run_id, idempotency_key)) \
         STRICT, WITHOUT ROWID",
    )?;
    fill_log(&conn)?;
    Ok(conn)
}

/// Grows the write-ahead log to its full size. While it grows, each flush also stores block
/// allocations, which makes a commit more expensive than in a database that has been used for a
/// while.
pub fn fill_log(conn: &Connection) -> BenchResult<()> {
    conn.execute_batch("CREATE TABLE filling (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")?;
    for _ in 0..2 {
        conn.execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16000) \
             INSERT INTO filling (text) SELECT hex(zeroblob(150)) FROM n",
        )?;
    }
    conn.execute_batch("DROP TABLE filling")?;
    Ok(())
}

/// Inserts one row shaped like a journal event.
pub fn insert_bare(conn: &Connection, run: &str, seq: i64) -> rusqlite::Result<()> {
    let key = format!("tool.called:01930000-0000-7000-8000-000000000000:call-{seq:09}");
    let payload = PAYLOAD;
    conn.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, 'tool.called', 'first', ?4, ?5)")?
        .execute((run, seq, 1_700_000_000_000_i64 + seq, key, payload))?;
    Ok(())
}

const PAYLOAD: &str = "{\"phase_key\":\"first\",\"turn_id\":\"01930000-0000-7000-8000-000000000000\",\"call_id\":\"call-000000001\",\
     \"tool\":\"read_file\",\"target\":\"src/model/event.rs\",\"outcome\":\"ok\",\"duration_ms\":3}";
