//! What a phase cost and took in the runs that completed it, for forecasts.

use crate::model::error::Result;
use crate::model::forecast::CostSample;
use crate::model::id::PhaseKey;
use crate::store::tables::columns;
use rusqlite::Connection;

/// Earlier runs that are looked at, the newest ones.
const NEWEST: u32 = 200;

/// The executions of a phase of a workflow (by `name@version`), rehearsals or real ones, newest first.
///
/// # Errors
/// What the database says.
pub fn samples(
    conn: &Connection,
    workflow: &str,
    rehearsal: bool,
    phase: &PhaseKey,
) -> Result<Vec<CostSample>> {
    let mut query = conn.prepare_cached(
        "SELECT p.cost_nano AS cost_nano, p.unknown_calls AS unknown_calls, json_extract(e.payload, '$.duration_ms') AS working_ms \
         FROM runs r JOIN run_phases p ON p.run_id = r.id AND p.phase_key = ?3 \
         JOIN events e ON e.run_id = r.id AND e.idempotency_key = 'phase.completed:' || ?3 \
         WHERE r.workflow = ?1 AND r.rehearsal = ?2 ORDER BY r.created_at_ms DESC, r.id DESC LIMIT ?4",
    )?;
    let rows = query.query_map((workflow, rehearsal, phase.as_str(), NEWEST), |row| {
        Ok(CostSample {
            cost: columns::cost(row)?,
            working_ms: columns::large(row, "working_ms")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::RunFact;
    use crate::model::time::Timestamp;
    use crate::store::tests::fixture;
    use crate::store::{Store, journal};

    #[test]
    fn only_completed_phases_of_the_same_workflow_and_kind_count() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("t.sqlite")).unwrap();
        let done = |ms| RunFact::PhaseCompleted {
            phase_key: "spec".into(),
            attempts: 1,
            duration_ms: ms,
            commit: None,
        };
        let workflow: String = store
            .write_blocking(move |tx| {
                for (n, ms) in [70, 90].into_iter().enumerate() {
                    let run = fixture::insert_run(tx, &format!("lane{n}"));
                    let facts = [
                        fixture::created(&["spec", "plan"]),
                        fixture::started(),
                        fixture::phase_started("spec", 1),
                        done(ms),
                    ];
                    journal::append(tx, run, &facts, Timestamp(1))?;
                }
                let open = fixture::insert_run(tx, "open");
                let facts = [
                    fixture::created(&["spec"]),
                    fixture::started(),
                    fixture::phase_started("spec", 1),
                ];
                journal::append(tx, open, &facts, Timestamp(1))?;
                Ok(tx.query_row("SELECT workflow FROM runs LIMIT 1", [], |row| row.get(0))?)
            })
            .unwrap();
        let told = |workflow: &str, rehearsal: bool, phase: &str| {
            let (workflow, phase) = (workflow.to_owned(), PhaseKey::from(phase));
            let found = store
                .write_blocking(move |tx| samples(tx, &workflow, rehearsal, &phase))
                .unwrap();
            let mut times: Vec<u64> = found.iter().map(|sample| sample.working_ms).collect();
            times.sort_unstable();
            times
        };
        assert_eq!(told(&workflow, false, "spec"), [70, 90]);
        assert_eq!(told(&workflow, true, "spec"), [0u64; 0]);
        assert_eq!(told(&workflow, false, "plan"), [0u64; 0]);
        assert_eq!(told("other@1", false, "spec"), [0u64; 0]);
    }
}
