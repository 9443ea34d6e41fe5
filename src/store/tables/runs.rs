//! The rows of runs: inserted once, then moved by the journal's projection. What no event tells
//! (where the worktree lies, the report, whose host owns it) is written here.

use crate::model::error::{Code, Failure, Result};
use crate::model::event::TokenUsage;
use crate::model::hash::ContentHash;
use crate::model::id::{GateKey, PhaseKey, RunId, ThreadId, VersionedName};
use crate::model::money::{CallCost, NanoUsd};
use crate::model::record::{RunOptions, RunOrigin, RunRecord};
use crate::model::state::Strategy;
use crate::model::time::Timestamp;
use crate::store::failpoint::planted;
use crate::store::failpoint::planted::Bug;
use crate::store::projection;
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension, Row};

/// The columns that [`read`] wants.
pub(in crate::store) const COLUMNS: &str = "id, workflow, workflow_hash, thread, state, paused_from_state, pause_reason, requirements, repo, \
     base_branch, base_commit, branch, worktree, current_phase, phases_total, phases_done, pending_gate, pending_since_ms, rehearsal, \
     options, error_code, error_message, error_hint, report_path, last_seq, cost_nano, unknown_calls, calls, tokens_input, \
     tokens_output, tokens_cached, tokens_reasoning, created_at_ms, started_at_ms, ended_at_ms, updated_at_ms, rollback, retried_from, \
     forked_from, forked_phase, coalesce(line, CASE WHEN state = 'created' AND strategy <> 'reject' THEN (SELECT count(*) FROM runs q \
     WHERE q.thread = runs.thread AND q.state = 'created' AND q.strategy <> 'reject' \
     AND (q.strategy = 'enqueue', q.created_at_ms, q.id) <= (runs.strategy = 'enqueue', runs.created_at_ms, runs.id)) END) AS line, \
     CASE WHEN state = 'executing' THEN (SELECT CASE type WHEN 'llm.retried' THEN \
     payload ->> '$.until' END FROM events e WHERE e.run_id = runs.id \
     AND type NOT IN ('run.resumed', 'phase.skipped', 'session.recovered', 'clock.skewed') \
     AND (type <> 'run.paused' OR payload ->> '$.reason' = 'operator') ORDER BY e.seq DESC LIMIT 1) END AS waits_until";

/// What a run begins with; everything else comes from its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInsert {
    /// Which.
    pub id: RunId,
    /// What it executes.
    pub workflow: VersionedName,
    /// The workflow's identity; its frozen text lies under this hash.
    pub workflow_hash: ContentHash,
    /// Its lane.
    pub thread: ThreadId,
    /// What the operator wants made.
    pub requirements: String,
    /// Where its agents work; made by the first attempt.
    pub place: RunLocation,
    /// Whether everything it makes is rehearsal.
    pub rehearsal: bool,
    /// Choices frozen with it.
    pub options: RunOptions,
    /// Makes starting it twice harmless.
    pub start: Option<StartKey>,
    /// Where it comes from.
    pub origin: RunOrigin,
    /// Now.
    pub created_at: Timestamp,
}

/// Where a run's agents work. Text, as rows keep it; paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLocation {
    /// The operator's repository; absent for a run in a plain folder.
    pub repo: Option<String>,
    /// The branch it began from.
    pub base_branch: Option<String>,
    /// The commit it began from.
    pub base_commit: Option<String>,
    /// The run's own branch.
    pub branch: Option<String>,
    /// The worktree.
    pub worktree: Option<String>,
}

/// The operator's key for a start, with a digest of what was to be started under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartKey {
    /// The key.
    pub key: String,
    /// Canonical hash of the whole start command.
    pub digest: ContentHash,
}

/// Stores a new run as `created`.
///
/// # Errors
/// `idempotency_conflict` when its start key is taken; what the database says.
pub fn insert(tx: &Connection, run: &RunInsert) -> Result<()> {
    if let Some(start) = &run.start
        && let Some((holder, _)) = by_start_key(tx, &start.key)?
    {
        return Err(Failure::new(
            Code::IdempotencyConflict,
            format!("the key '{}' started run {holder} already", start.key),
        )
        .hint("use another key, or leave it away"));
    }
    let options = serde_json::to_string(&run.options).map_err(Failure::internal)?;
    tx.prepare_cached(
        "INSERT INTO runs (id, workflow, workflow_hash, thread, requirements, repo, base_branch, base_commit, branch, worktree, \
         rehearsal, options, start_key, start_digest, created_at_ms, updated_at_ms, strategy, retried_from, forked_from, forked_phase) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17, ?18, ?19)",
    )?
    .execute(rusqlite::params![
        run.id.to_string(),
        run.workflow.to_string(),
        run.workflow_hash.as_str(),
        run.thread.as_str(),
        &run.requirements,
        &run.place.repo,
        &run.place.base_branch,
        &run.place.base_commit,
        &run.place.branch,
        &run.place.worktree,
        run.rehearsal,
        options,
        run.start.as_ref().filter(|_| !planted::is(Bug::StartKeyForgotten)).map(|start| &start.key),
        run.start.as_ref().map(|start| start.digest.as_str()),
        run.created_at.0,
        run.options.strategy.unwrap_or(Strategy::Reject).as_str(),
        run.origin.retried_from.map(|id| id.to_string()),
        run.origin.forked_from.map(|id| id.to_string()),
        run.origin.forked_phase.as_ref().map(PhaseKey::as_str),
    ])?;
    Ok(())
}

/// Writes the row of a run anew that has vanished, from what its owner knows of it, and everything that
/// follows from its journal with all counters. Only its start key is lost.
///
/// # Errors
/// What the database says; `illegal_transition` and `db_corrupt` for a journal that cannot be read back.
pub fn restore(tx: &Connection, known: &RunRecord) -> Result<()> {
    let text = |text: &Option<String>| text.clone();
    let place = RunLocation {
        repo: text(&known.repo),
        base_branch: text(&known.base_branch),
        base_commit: text(&known.base_commit),
        branch: text(&known.branch),
        worktree: text(&known.worktree),
    };
    let workflow = known.workflow.parse().map_err(Failure::internal)?;
    let new = RunInsert {
        id: known.id,
        workflow,
        workflow_hash: known.workflow_hash.clone(),
        thread: known.thread.clone(),
        requirements: known.requirements.clone(),
        place,
        rehearsal: known.rehearsal,
        options: known.options.clone(),
        start: None,
        origin: known.origin.clone(),
        created_at: known.created_at,
    };
    insert(tx, &new)?;
    tx.execute(
        "UPDATE runs SET chain = (SELECT chain FROM events WHERE run_id = ?1 ORDER BY seq DESC LIMIT 1), \
         chained_from = coalesce((SELECT min(seq) FROM events WHERE run_id = ?1 AND chain IS NOT NULL), 1) WHERE id = ?1",
        [known.id.to_string()],
    )?;
    projection::rebuild(tx, known.id)
}

/// The run that was started under a key, and the digest of what was started.
///
/// # Errors
/// What the database says.
pub fn by_start_key(conn: &Connection, key: &str) -> Result<Option<(RunId, ContentHash)>> {
    let mut query = conn.prepare_cached(
        "SELECT id, coalesce(start_digest, '') AS start_digest FROM runs WHERE start_key = ?1",
    )?;
    Ok(query
        .query_row([key], |row| {
            Ok((
                columns::parsed(row, "id")?,
                columns::hash(row, "start_digest")?,
            ))
        })
        .optional()?)
}

/// Stores where the final report lies, absolute, without extension.
///
/// # Errors
/// `run_not_found`; what the database says.
pub fn set_report(tx: &Connection, run: RunId, path: &str) -> Result<()> {
    one(
        run,
        tx.prepare_cached("UPDATE runs SET report_path = ?2 WHERE id = ?1")?
            .execute((run.to_string(), path))?,
    )
}

/// One run.
///
/// # Errors
/// `run_not_found`; what the database says.
pub fn get(conn: &Connection, run: RunId) -> Result<RunRecord> {
    let mut query = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"))?;
    query
        .query_row([run.to_string()], read)
        .optional()?
        .ok_or_else(|| not_found(&run.to_string()))
}

/// The runs that have not ended, oldest first.
///
/// # Errors
/// What the database says.
pub fn non_terminal(conn: &Connection) -> Result<Vec<RunRecord>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM runs WHERE state NOT IN ('completed', 'failed', 'aborted') ORDER BY created_at_ms, id"
    ))?;
    Ok(query
        .query_map([], read)?
        .filter_map(|run| run.inspect_err(unreadable).ok())
        .filter(|run| !run.id.0.is_nil())
        .collect())
}

/// The runs that have ended and whose final report is not written yet, oldest first.
///
/// # Errors
/// What the database says.
pub fn terminal_without_report(conn: &Connection) -> Result<Vec<RunId>> {
    let mut query = conn.prepare_cached(
        "SELECT id FROM runs WHERE state IN ('completed', 'failed', 'aborted') AND report_path IS NULL ORDER BY created_at_ms, id",
    )?;
    let rows = query.query_map([], |row| row.get::<_, String>("id"))?;
    Ok(rows
        .filter_map(|id| {
            id.inspect_err(unreadable)
                .ok()?
                .parse()
                .inspect_err(unreadable)
                .ok()
        })
        .collect())
}

/// The runs whose final report was written, and where.
///
/// # Errors
/// What the database says.
pub fn reported(conn: &Connection) -> Result<Vec<(RunId, String)>> {
    let mut query =
        conn.prepare_cached("SELECT id, report_path FROM runs WHERE report_path IS NOT NULL")?;
    let rows = query.query_map([], |row| {
        Ok((
            row.get::<_, String>("id")?,
            row.get::<_, String>("report_path")?,
        ))
    })?;
    Ok(rows
        .filter_map(|row| row.inspect_err(unreadable).ok())
        .filter_map(|(id, path)| Some((id.parse().ok()?, path)))
        .collect())
}

/// One row that cannot be read is told in the log; it must not hide the others.
pub(in crate::store) fn unreadable(error: &impl std::fmt::Display) {
    tracing::error!(%error, "a run's row cannot be read; it is left as it is");
}

/// The refusal for a run that is not there.
#[must_use]
pub fn not_found(text: &str) -> Failure {
    Failure::new(Code::RunNotFound, format!("there is no run '{text}'"))
        .hint("`phasedeck runs` shows the runs; `@last` names the newest")
}

/// Reads a row of [`COLUMNS`], by place: a name is looked for among all of them, which costs a list more
/// than all the rest. Values that only another program can have written are shown as they are.
pub(in crate::store) fn read(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let mut places = 0..;
    let mut next = || places.next().unwrap_or(usize::MAX);
    Ok(RunRecord {
        id: row
            .get::<_, String>(next())?
            .parse()
            .unwrap_or(RunId(uuid::Uuid::nil())),
        workflow: row.get(next())?,
        workflow_hash: columns::hash(row, next())?,
        thread: ThreadId(row.get(next())?),
        state: row.get(next())?,
        paused_from_state: row.get(next())?,
        pause_reason: row.get(next())?,
        requirements: row.get(next())?,
        repo: row.get(next())?,
        base_branch: row.get(next())?,
        base_commit: row.get(next())?,
        branch: row.get(next())?,
        worktree: row.get(next())?,
        current_phase: row.get::<_, Option<String>>(next())?.map(PhaseKey),
        phases_total: columns::count(row, next())?,
        phases_done: columns::count(row, next())?,
        pending_gate: row.get::<_, Option<String>>(next())?.map(GateKey),
        pending_since: columns::at_option(row, next())?,
        rehearsal: row.get(next())?,
        options: serde_json::from_str(&row.get::<_, String>(next())?).unwrap_or_default(),
        error_code: row.get(next())?,
        error_message: row.get(next())?,
        error_hint: row.get(next())?,
        report_path: row.get(next())?,
        last_seq: columns::large(row, next())?,
        cost: CallCost {
            known: NanoUsd(row.get(next())?),
            unknown_calls: columns::count(row, next())?,
        },
        calls: columns::count(row, next())?,
        tokens: TokenUsage {
            input: columns::large(row, next())?,
            output: columns::large(row, next())?,
            cached: columns::large(row, next())?,
            reasoning: columns::large(row, next())?,
        },
        created_at: columns::at(row, next())?,
        started_at: columns::at_option(row, next())?,
        ended_at: columns::at_option(row, next())?,
        updated_at: columns::at(row, next())?,
        rollback: row.get(next())?,
        origin: RunOrigin {
            retried_from: run_id(row, next())?,
            forked_from: run_id(row, next())?,
            forked_phase: row.get::<_, Option<String>>(next())?.map(PhaseKey),
        },
        line: row
            .get::<_, Option<i64>>(next())?
            .and_then(|line| u32::try_from(line).ok()),
        waits_until: row
            .get::<_, Option<String>>(next())?
            .and_then(moment)
            .filter(|until| *until > Timestamp::now()),
    })
}

fn moment(text: String) -> Option<Timestamp> {
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

fn run_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<RunId>> {
    Ok(row
        .get::<_, Option<String>>(column)?
        .and_then(|text| text.parse().ok()))
}

fn one(run: RunId, changed: usize) -> Result<()> {
    if changed == 1 {
        Ok(())
    } else {
        Err(not_found(&run.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::RunFact;
    use crate::model::id::TurnId;
    use crate::model::state::{PauseReason, RunStatus};
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    #[test]
    fn every_column_is_read_into_its_own_field() {
        let conn = fixture::memory();
        let id = fixture::insert_run(&conn, "lane");
        let other = fixture::insert_run(&conn, "other");
        let texts = "paused_from_state = 'a', pause_reason = 'b', requirements = 'c', repo = 'd', base_branch = 'e', base_commit = 'f', \
                     branch = 'g', worktree = 'h', current_phase = 'i', pending_gate = 'j', error_code = 'k', error_message = 'l', \
                     error_hint = 'm', report_path = 'n', rollback = 'done', forked_phase = 'p', options = '{\"budget\":7}'";
        let numbers = "phases_total = 1, phases_done = 2, pending_since_ms = 3, rehearsal = 1, last_seq = 4, cost_nano = 5, \
                       unknown_calls = 6, calls = 7, tokens_input = 8, tokens_output = 9, tokens_cached = 10, tokens_reasoning = 11, \
                       created_at_ms = 12, started_at_ms = 13, ended_at_ms = 14, updated_at_ms = 15, line = 16";
        let from = format!("retried_from = '{other}', forked_from = '{id}'");
        conn.execute(
            &format!("UPDATE runs SET {texts}, {numbers}, {from} WHERE id = ?1"),
            [id.to_string()],
        )
        .unwrap();
        let told = serde_json::to_value(get(&conn, id).unwrap()).unwrap();
        let text = |name: &str| {
            told[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {told}"))
                .to_owned()
        };
        let names = [
            "paused_from_state",
            "pause_reason",
            "requirements",
            "repo",
            "base_branch",
            "base_commit",
            "branch",
            "worktree",
        ];
        assert_eq!(names.map(text).concat(), "abcdefgh");
        let names = [
            "current_phase",
            "pending_gate",
            "error_code",
            "error_message",
            "error_hint",
            "report_path",
            "rollback",
        ];
        assert_eq!(names.map(text).concat(), "ijklmndone");
        let run = get(&conn, id).unwrap();
        let TokenUsage {
            input,
            output,
            cached,
            reasoning,
        } = run.tokens;
        assert_eq!(
            (
                run.phases_total,
                run.phases_done,
                run.pending_since,
                run.rehearsal
            ),
            (1, 2, Some(Timestamp(3)), true)
        );
        assert_eq!(
            (
                run.last_seq,
                run.cost.known.0,
                run.cost.unknown_calls,
                run.calls
            ),
            (4, 5, 6, 7)
        );
        assert_eq!((input, output, cached, reasoning), (8, 9, 10, 11));
        assert_eq!(
            (run.created_at.0, run.started_at, run.ended_at),
            (12, Some(Timestamp(13)), Some(Timestamp(14)))
        );
        assert_eq!(
            (run.updated_at.0, run.line, run.options.budget.map(|b| b.0)),
            (15, Some(16), Some(7))
        );
        assert_eq!(
            (run.origin.retried_from, run.origin.forked_from),
            (Some(other), Some(id))
        );
        assert_eq!(run.origin.forked_phase, Some("p".into()));
    }

    #[test]
    fn a_run_at_work_waits_until_the_moment_its_server_named_and_no_longer() {
        let hour = Timestamp(Timestamp::now().0 + 3_600_000);
        let retried = |until| RunFact::LlmRetried {
            phase_key: "spec".into(),
            turn_id: TurnId::new(),
            r#try: 1,
            status: Some(429),
            code: Code::LlmRateLimited,
            wait_ms: 3_600_000,
            until,
        };
        let pause = |reason| RunFact::RunPaused {
            ordinal: 1,
            reason,
            from_state: RunStatus::Executing,
        };
        let resume = || RunFact::RunResumed {
            ordinal: 1,
            from_state: RunStatus::Executing,
        };
        for (facts, until) in [
            (vec![retried(Some(hour))], Some(hour)),
            (vec![retried(None)], None),
            (vec![retried(Some(BEGIN))], None),
            (
                vec![retried(Some(hour)), fixture::phase_started("spec", 1)],
                None,
            ),
            (
                vec![retried(Some(hour)), pause(PauseReason::Shutdown)],
                None,
            ),
            (
                vec![retried(Some(hour)), pause(PauseReason::Shutdown), resume()],
                Some(hour),
            ),
            (
                vec![retried(Some(hour)), pause(PauseReason::Operator), resume()],
                None,
            ),
        ] {
            let conn = fixture::memory();
            let run = fixture::insert_run(&conn, "lane");
            journal::append(
                &conn,
                run,
                &[fixture::created(&["spec"]), fixture::started()],
                BEGIN,
            )
            .unwrap();
            journal::append(&conn, run, &facts, BEGIN).unwrap();
            assert_eq!(get(&conn, run).unwrap().waits_until, until, "{facts:?}");
        }
    }

    #[test]
    fn a_start_key_starts_one_run() {
        let conn = fixture::memory();
        let start = |digest: &[u8]| {
            Some(StartKey {
                key: "nightly".to_owned(),
                digest: ContentHash::from_bytes(digest),
            })
        };
        let first = RunInsert {
            start: start(b"a"),
            ..fixture::new_run("lane")
        };
        insert(&conn, &first).unwrap();
        assert_eq!(
            by_start_key(&conn, "nightly").unwrap(),
            Some((first.id, ContentHash::from_bytes(b"a")))
        );
        assert_eq!(by_start_key(&conn, "other").unwrap(), None);
        let second = insert(
            &conn,
            &RunInsert {
                start: start(b"b"),
                ..fixture::new_run("lane")
            },
        )
        .unwrap_err();
        assert_eq!(second.code, Code::IdempotencyConflict);
        assert!(second.message.contains(&first.id.to_string()), "{second}");
    }

    #[test]
    fn what_no_event_tells_is_kept_beside_the_journal() {
        let conn = fixture::memory();
        let place = RunLocation {
            repo: Some("/r".to_owned()),
            base_branch: Some("main".to_owned()),
            base_commit: Some("c0".to_owned()),
            branch: Some("phasedeck/x".to_owned()),
            worktree: Some("/w".to_owned()),
        };
        let new = RunInsert {
            place: place.clone(),
            ..fixture::new_run("lane")
        };
        let run = new.id;
        insert(&conn, &new).unwrap();
        set_report(&conn, run, "/reports/x").unwrap();
        journal::append(&conn, run, &[fixture::created(&["spec"])], BEGIN).unwrap();
        let read = get(&conn, run).unwrap();
        let kept = RunLocation {
            repo: read.repo,
            base_branch: read.base_branch,
            base_commit: read.base_commit,
            branch: read.branch,
            worktree: read.worktree,
        };
        assert_eq!(
            (kept, read.report_path.as_deref()),
            (place, Some("/reports/x"))
        );
        assert_eq!(
            set_report(&conn, RunId::new(), "/x").unwrap_err().code,
            Code::RunNotFound
        );
    }

    #[test]
    fn recovery_finds_the_runs_that_have_not_ended_and_the_reports_that_are_missing() {
        let conn = fixture::memory();
        let [open, reported, silent] =
            ["a", "b", "c"].map(|thread| fixture::insert_run(&conn, thread));
        for run in [reported, silent] {
            journal::append(
                &conn,
                run,
                &[
                    fixture::created(&["spec"]),
                    fixture::started(),
                    RunFact::RunCompleted {},
                ],
                BEGIN,
            )
            .unwrap();
        }
        set_report(&conn, reported, "/reports/b").unwrap();
        assert_eq!(
            non_terminal(&conn)
                .unwrap()
                .iter()
                .map(|run| run.id)
                .collect::<Vec<_>>(),
            [open]
        );
        assert_eq!(terminal_without_report(&conn).unwrap(), [silent]);
    }
}
