//! The list of runs by pages: everything in flight whole, the rest as a window, and how many there are.
//!
//! In flight is what waits for the operator or works; there are never many. Completed runs of today
//! are counted, and read only when they are wanted. The rest is newest first, any part of it at a
//! time, so that ten thousand runs open like ten. A filter looks through the rows of runs and the
//! operator's comments; texts of artifacts lie in files, and who has searched them brings the hits.

use super::runs;
use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId};
use crate::model::money::CallCost;
use crate::model::record::RunRecord;
use crate::model::time::Timestamp;
use crate::store::tables::columns;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

/// Runs in flight and completed runs of today that are read at most.
const AT_MOST: u32 = 2000;

/// A shorter word is not looked for in ids.
const SHORTEST_ID: usize = 4;

/// Waits for the operator, or works. The first term is the one of index `runs_not_ended`.
const LIVE: &str = "(state NOT IN ('completed', 'failed', 'aborted') \
                    AND (pending_gate IS NOT NULL OR state IN ('created', 'executing', 'awaiting_approval')))";

/// Which part of the list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunPageQuery {
    /// Words that must all occur; empty: everything, with the completed runs of today apart.
    pub filter: String,
    /// Runs that fit the filter by something that rows do not hold.
    pub also: Vec<RunId>,
    /// Where today began.
    pub midnight: Timestamp,
    /// Whether the completed runs of today are wanted one by one.
    pub today: bool,
    /// Where the window over the rest begins.
    pub offset: u32,
    /// How long it is.
    pub limit: u32,
}

/// A part of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunPage {
    /// What waits for the operator or works, newest first.
    pub live: Vec<RunRecord>,
    /// In flight, and left out by the filter.
    pub aside: Vec<RunRecord>,
    /// Completed today, newest first; empty unless it was wanted.
    pub today: Vec<RunRecord>,
    /// The window over the rest, newest first.
    pub rest: Vec<RunRecord>,
    /// How many there are.
    pub counts: RunCounts,
}

/// How many runs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// All, whatever the filter.
    pub total: u32,
    /// In the part that is windowed.
    pub rest: u32,
    /// Completed today; 0 under a filter.
    pub today: u32,
    /// What those cost that are counted in `today`.
    pub today_cost: CallCost,
    /// Stopped before their end, whatever the filter.
    pub paused: u32,
    /// What the calls of all runs that moved today cost.
    pub spent: CallCost,
}

/// Reads a part of the list.
///
/// # Errors
/// What the database says.
pub fn page(conn: &Connection, ask: &RunPageQuery) -> Result<RunPage> {
    let filter = RunListFilter::from_query(ask)?;
    let today = format!(
        "(state = 'completed' AND coalesce(ended_at_ms, 0) >= {})",
        ask.midnight.0
    );
    let folds = filter.is_none();
    let (fits, values) = filter.map_or_else(
        || ("1".to_owned(), Vec::new()),
        |filter| (filter.sql, filter.values),
    );
    let list = |condition: &str, offset: u32, limit: u32| -> Result<Vec<RunRecord>> {
        let sql = format!(
            "SELECT {} FROM runs WHERE {condition} AND {fits} ORDER BY created_at_ms DESC, id DESC LIMIT {limit} OFFSET {offset}",
            runs::COLUMNS
        );
        let mut query = conn.prepare(&sql)?;
        Ok(query
            .query_map(params_from_iter(&values), runs::read)?
            .collect::<rusqlite::Result<_>>()?)
    };
    let apart = if folds {
        format!("NOT {LIVE} AND NOT {today}")
    } else {
        format!("NOT {LIVE}")
    };
    let live = list(LIVE, 0, AT_MOST)?;
    let mut counts = counts(conn, ask.midnight)?;
    counts.rest = if folds {
        counts
            .total
            .saturating_sub(counts.today)
            .saturating_sub(count(conn, LIVE, &[])?)
    } else {
        (counts.today, counts.today_cost) = (0, CallCost::default());
        count(conn, &format!("{apart} AND {fits}"), &values)?
    };
    let aside = if folds {
        Vec::new()
    } else {
        left_out(conn, &live)?
    };
    Ok(RunPage {
        aside,
        today: if folds && ask.today && counts.today > 0 {
            list(&moved_today(&today, ask.midnight), 0, AT_MOST)?
        } else {
            Vec::new()
        },
        rest: list(&apart, ask.offset, ask.limit)?,
        live,
        counts,
    })
}

/// What is in flight and not among `shown`.
fn left_out(conn: &Connection, shown: &[RunRecord]) -> Result<Vec<RunRecord>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT {} FROM runs WHERE {LIVE} LIMIT {AT_MOST}",
        runs::COLUMNS
    ))?;
    let mut all: Vec<RunRecord> = query
        .query_map([], runs::read)?
        .collect::<rusqlite::Result<_>>()?;
    all.retain(|run| shown.iter().all(|other| other.id != run.id));
    Ok(all)
}

/// Runs that stopped before their end, the newest first.
///
/// # Errors
/// What the database says.
pub fn paused(conn: &Connection) -> Result<Vec<RunRecord>> {
    // The first term lets the index of runs that have not ended be used.
    let mut query = conn.prepare_cached(&format!(
        "SELECT {} FROM runs WHERE state NOT IN ('completed', 'failed', 'aborted') AND state = 'paused' \
         ORDER BY created_at_ms DESC, id DESC LIMIT {AT_MOST}",
        runs::COLUMNS
    ))?;
    Ok(query
        .query_map([], runs::read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// The run that holds the thread of `run`, if it is another.
///
/// # Errors
/// What the database says.
pub fn holder(conn: &Connection, run: &RunRecord) -> Result<Option<RunId>> {
    let mut query =
        conn.prepare_cached("SELECT id FROM runs WHERE thread = ?1 AND state IN ('executing', 'awaiting_approval') AND id <> ?2")?;
    let mut rows = query.query((run.thread.as_str(), run.id.to_string()))?;
    Ok(rows
        .next()?
        .map(|found| columns::parsed(found, "id"))
        .transpose()?)
}

/// What ended today has moved today, and there is an index for that.
fn moved_today(today: &str, midnight: Timestamp) -> String {
    format!("updated_at_ms >= {} AND {today}", midnight.0)
}

fn count(conn: &Connection, condition: &str, values: &[Value]) -> Result<u32> {
    let mut query = conn.prepare(&format!("SELECT count(*) AS n FROM runs WHERE {condition}"))?;
    Ok(query.query_row(params_from_iter(values), |found| columns::count(found, "n"))?)
}

fn counts(conn: &Connection, midnight: Timestamp) -> Result<RunCounts> {
    let total = count(conn, "1", &[])?;
    let paused = count(
        conn,
        "state NOT IN ('completed', 'failed', 'aborted') AND state = 'paused'",
        &[],
    )?;
    let sums = |condition: &str| -> Result<(u32, CallCost)> {
        let sql = format!(
            "SELECT count(*) AS n, coalesce(sum(cost_nano), 0) AS cost_nano, coalesce(sum(unknown_calls), 0) AS unknown_calls \
             FROM runs WHERE {condition}"
        );
        let read = |found: &Row<'_>| Ok((columns::count(found, "n")?, columns::cost(found)?));
        Ok(conn.prepare(&sql)?.query_row([], read)?)
    };
    let (_, spent) = sums(&format!("updated_at_ms >= {}", midnight.0))?;
    let done = format!(
        "state = 'completed' AND coalesce(ended_at_ms, 0) >= {}",
        midnight.0
    );
    let (today, today_cost) = sums(&moved_today(&done, midnight))?;
    Ok(RunCounts {
        total,
        paused,
        today,
        today_cost,
        spent,
        rest: 0,
    })
}

/// A condition with its values.
struct RunListFilter {
    sql: String,
    values: Vec<Value>,
}

impl RunListFilter {
    /// Every word must occur in what a row says or in one comment to it.
    fn from_query(ask: &RunPageQuery) -> Result<Option<Self>> {
        let mut values = Vec::new();
        let words: Vec<String> = filter_terms(&ask.filter)
            .iter()
            .map(|word| {
                values.push(Value::Text(pattern(word)));
                let n = values.len();
                // Two letters stand in most ids and say nothing.
                let id = if word.chars().count() >= SHORTEST_ID { "id || ' ' || replace(id, '-', '') || ' ' || " } else { "" };
                format!(
                    "(({id}workflow || ' ' || thread || ' ' || state || ' ' || requirements \
                     || ' ' || coalesce(current_phase, '') || ' ' || coalesce(repo, '')) LIKE ?{n} ESCAPE '\\' \
                     OR EXISTS (SELECT 1 FROM approval_requests a WHERE a.run_id = runs.id AND a.comment LIKE ?{n} ESCAPE '\\'))"
                )
            })
            .collect();
        if words.is_empty() {
            return Ok(None);
        }
        let also: Vec<String> = ask.also.iter().map(ToString::to_string).collect();
        values.push(Value::Text(
            serde_json::to_string(&also).map_err(Failure::internal)?,
        ));
        let sql = format!(
            "(({}) OR id IN (SELECT value FROM json_each(?{})))",
            words.join(" AND "),
            values.len()
        );
        Ok(Some(Self { sql, values }))
    }
}

/// The words of a filter, in small letters.
#[must_use]
pub fn filter_terms(filter: &str) -> Vec<String> {
    filter
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect()
}

fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

/// An artifact version whose text can be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSearchText {
    /// Whose.
    pub run: RunId,
    /// Of which phase.
    pub phase: PhaseKey,
    /// Which version.
    pub version: u32,
    /// Its content.
    pub sha256: ContentHash,
}

/// At most `limit` artifact versions behind `after`, those of the newest runs first.
///
/// # Errors
/// What the database says.
pub fn searchable(
    conn: &Connection,
    after: Option<&RunSearchText>,
    limit: u32,
) -> Result<Vec<RunSearchText>> {
    // The ids of runs ascend with time, so the key of the table is an order by age.
    let behind = if after.is_some() {
        "WHERE (run_id, phase_key, version) < (?1, ?2, ?3) "
    } else {
        ""
    };
    let mut query = conn.prepare_cached(&format!(
        "SELECT run_id, phase_key, version, sha256 FROM artifacts {behind}ORDER BY run_id DESC, phase_key DESC, version DESC LIMIT {limit}"
    ))?;
    let values = after.map(|last| {
        [
            Value::Text(last.run.to_string()),
            Value::Text(last.phase.to_string()),
            Value::Integer(i64::from(last.version)),
        ]
    });
    let read = |found: &Row<'_>| {
        Ok(RunSearchText {
            run: columns::parsed(found, "run_id")?,
            phase: PhaseKey(found.get("phase_key")?),
            version: columns::count(found, "version")?,
            sha256: columns::hash(found, "sha256")?,
        })
    };
    Ok(query
        .query_map(params_from_iter(values.into_iter().flatten()), read)?
        .collect::<rusqlite::Result<_>>()?)
}

/// How many artifact versions there are.
///
/// # Errors
/// What the database says.
pub fn searchable_count(conn: &Connection) -> Result<u32> {
    Ok(conn
        .prepare_cached("SELECT count(*) AS n FROM artifacts")?
        .query_row([], |found| columns::count(found, "n"))?)
}

#[cfg(test)]
mod tests {
    use super::super::runs::RunInsert;
    use super::*;
    use crate::model::event::RunFact;
    use crate::model::id::RequestId;
    use crate::model::state::{Decision, PauseReason, RunStatus};
    use crate::store::journal;
    use crate::store::tests::fixture;
    use crate::store::tests::fixture::BEGIN;

    fn run(conn: &Connection, thread: &str, at: i64, wish: &str) -> RunId {
        let run = RunInsert {
            created_at: Timestamp(at),
            requirements: wish.to_owned(),
            ..fixture::new_run(thread)
        };
        runs::insert(conn, &run).unwrap();
        run.id
    }

    fn append_facts(conn: &Connection, run: RunId, at: i64, facts: &[RunFact]) {
        let all: Vec<RunFact> = [fixture::created(&["spec"]), fixture::started()]
            .into_iter()
            .chain(facts.iter().cloned())
            .collect();
        journal::append(conn, run, &all, Timestamp(at)).unwrap();
    }

    fn ids(runs: &[RunRecord]) -> Vec<RunId> {
        runs.iter().map(|run| run.id).collect()
    }

    fn page_query() -> RunPageQuery {
        RunPageQuery {
            midnight: Timestamp(500),
            limit: 10,
            ..RunPageQuery::default()
        }
    }

    #[test]
    fn what_is_in_flight_is_whole_what_is_done_today_is_counted_and_the_rest_is_a_window() {
        let conn = fixture::memory();
        let [old, today, working, paused, failed] =
            [("a", 10), ("b", 20), ("c", 30), ("d", 40), ("e", 50)]
                .map(|(thread, at)| run(&conn, thread, at, "a cart"));
        append_facts(&conn, old, 100, &[RunFact::RunCompleted {}]);
        append_facts(&conn, today, 600, &[RunFact::RunCompleted {}]);
        append_facts(&conn, working, 600, &[]);
        append_facts(
            &conn,
            paused,
            600,
            &[RunFact::RunPaused {
                ordinal: 1,
                reason: PauseReason::Crashed,
                from_state: RunStatus::Executing,
            }],
        );
        append_facts(
            &conn,
            failed,
            600,
            &[RunFact::RunAborted {
                by: "op".to_owned(),
                via: crate::model::state::Via::Cli,
                reason: String::new(),
            }],
        );
        let page = page(&conn, &page_query()).unwrap();
        assert_eq!(
            (ids(&page.live), ids(&page.today), ids(&page.rest)),
            (vec![working], vec![], vec![failed, paused, old])
        );
        let RunCounts {
            total,
            rest,
            today: done,
            paused: stopped,
            ..
        } = page.counts;
        assert_eq!((total, rest, done, stopped), (5, 3, 1, 1));
        let open = super::page(
            &conn,
            &RunPageQuery {
                today: true,
                offset: 1,
                limit: 1,
                ..page_query()
            },
        )
        .unwrap();
        assert_eq!(
            (ids(&open.today), ids(&open.rest)),
            (vec![today], vec![paused])
        );
        assert_eq!(ids(&super::paused(&conn).unwrap()), [paused]);
    }

    #[test]
    fn a_filter_looks_through_rows_and_comments_and_takes_hits_from_elsewhere() {
        let conn = fixture::memory();
        let [cart, login, other] = [
            ("shop", 10, "A CART with 100% tests"),
            ("web", 20, "a login"),
            ("cli", 30, "flags"),
        ]
        .map(|(t, at, w)| run(&conn, t, at, w));
        let request = RequestId::new();
        let facts = [
            fixture::requested(request, Some("spec")),
            fixture::resolved(request, Some("spec"), Decision::RequestChanges, "kim"),
        ];
        append_facts(&conn, login, 600, &facts);
        let found = |filter: &str, also: &[RunId]| {
            let page = page(
                &conn,
                &RunPageQuery {
                    filter: filter.to_owned(),
                    also: also.to_vec(),
                    ..page_query()
                },
            )
            .unwrap();
            assert_eq!(page.counts.rest as usize, page.rest.len());
            assert!(
                filter_terms(filter).is_empty() || page.live.len() + page.aside.len() == 3,
                "what is in flight is never lost"
            );
            let mut all = ids(&page.live);
            all.extend(ids(&page.rest));
            all
        };
        assert_eq!(found("cart", &[]), [cart]);
        assert_eq!(found("tests cart", &[]), [cart]);
        assert_eq!(found("cart login", &[]), []);
        assert_eq!(found("100%", &[]), [cart]);
        assert_eq!(
            found("%", &[]),
            [cart],
            "a sign of the pattern language is a letter"
        );
        assert_eq!(found("MY words", &[]), [login], "a comment");
        assert_eq!(found("cart", &[other]), [other, cart]);
        assert_eq!(found(&cart.short()[..4], &[]), [cart]);
        assert_eq!(found("01", &[]), []);
        assert_eq!(found("  ", &[]).len(), 3);
    }

    #[test]
    fn artifacts_come_in_steps_each_once() {
        let conn = fixture::memory();
        let mut all = Vec::new();
        for n in 0..3 {
            let id = run(&conn, &format!("t{n}"), n, "x");
            for version in 1..=3 {
                let sql = "INSERT INTO artifacts (run_id, phase_key, version, attempt, path, schema_id, sha256, bytes, valid, at_ms) \
                           VALUES (?1, 'spec', ?2, 1, 'spec.json', 's', ?3, 1, 1, 1)";
                conn.execute(sql, (id.to_string(), version, format!("{n}{version}")))
                    .unwrap();
                all.push(format!("{n}{version}"));
            }
        }
        all.reverse();
        let (mut seen, mut last) = (Vec::new(), None);
        loop {
            let step = searchable(&conn, last.as_ref(), 2).unwrap();
            let Some(end) = step.last().cloned() else {
                break;
            };
            seen.extend(step.into_iter().map(|one| one.sha256.0));
            last = Some(end);
        }
        assert_eq!((seen, searchable_count(&conn).unwrap()), (all, 9));
        assert_eq!(BEGIN.0, 1000);
    }
}
