//! Spending limits per run, per day and per workflow.
//!
//! Limits are checked in the transaction that reserves money for a call, where all spent and
//! reserved amounts are known, so that concurrent runs cannot together exceed a limit by more than
//! one granted reserve each. Nothing is stored here: the sums come from the ledger and the run's
//! rows, and the operator's raises are facts of the run. A call without a known price cannot be
//! estimated; it is allowed as long as the limit has not been reached.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::model::error::Result;
use crate::model::event::RunFact;
use crate::model::id::RunId;
use crate::model::money::NanoUsd;
use crate::model::question::BudgetQuestion;
use crate::model::record::RunRecord;
use crate::model::settings::BudgetSettings;
use crate::model::time::Timestamp;
use crate::store::journal;
use crate::store::tables::ledger;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The limits of one run, including the operator's raises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunBudget {
    run: Option<NanoUsd>,
    day: Option<NanoUsd>,
    workflow: Option<(String, NanoUsd)>,
    raises: BTreeMap<String, NanoUsd>,
}

/// Result of checking a call against the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetDecision {
    /// The call may be made. Contains a warning for each limit that is nearly reached.
    Granted(Vec<RunFact>),
    /// The call would exceed a limit.
    Refused(BudgetQuestion),
}

/// One limit and the amount spent against it.
struct LimitUsage {
    scope: String,
    limit: NanoUsd,
    spent: NanoUsd,
}

impl RunBudget {
    /// Returns the limits that apply to a run; the run's own option overrides the setting.
    #[must_use]
    pub fn for_run(
        settings: &BudgetSettings,
        record: &RunRecord,
        raises: &BTreeMap<String, NanoUsd>,
    ) -> Self {
        let amount = |text: &str| NanoUsd::from_decimal(text).filter(|amount| amount.0 > 0);
        let name = record.workflow.split('@').next().unwrap_or_default();
        Self {
            run: record.options.budget.or_else(|| amount(&settings.run)),
            day: amount(&settings.day),
            workflow: settings
                .workflows
                .get(name)
                .and_then(|text| amount(text))
                .map(|limit| (name.to_owned(), limit)),
            raises: raises.clone(),
        }
    }

    /// Checks a call for which `needed` would be reserved; `None` if its price is unknown.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn check_call(
        &self,
        tx: &Connection,
        run: RunId,
        needed: Option<NanoUsd>,
        now: Timestamp,
    ) -> Result<BudgetDecision> {
        let mut near = Vec::new();
        for LimitUsage {
            scope,
            limit,
            spent,
        } in self.limit_usages(tx, run, now)?
        {
            // Reached as well as exceeded: a call whose price is unknown reserves nothing.
            let needed = needed.unwrap_or_default();
            let crosses = spent.0.saturating_add(needed.0) > limit.0 || spent.0 >= limit.0;
            if crosses {
                return Ok(BudgetDecision::Refused(BudgetQuestion {
                    scope,
                    limit,
                    spent,
                    needed,
                }));
            }
            let warned = RunFact::BudgetWarned {
                scope,
                limit,
                spent,
            };
            if spent.0 >= limit.0 / 5 * 4 && !journal::has_key(tx, run, &warned.key())? {
                near.push(warned);
            }
        }
        Ok(BudgetDecision::Granted(near))
    }

    /// Checks a call in progress that has cost `so_far`, which the ledger does not contain yet.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn check_call_in_progress(
        &self,
        conn: &Connection,
        run: RunId,
        so_far: NanoUsd,
        now: Timestamp,
    ) -> Result<BudgetDecision> {
        let mut near = Vec::new();
        for LimitUsage {
            scope,
            limit,
            spent,
        } in self.limit_usages(conn, run, now)?
        {
            let spent = NanoUsd(spent.0.saturating_add(so_far.0));
            if spent.0 >= limit.0 {
                return Ok(BudgetDecision::Refused(BudgetQuestion {
                    scope,
                    limit,
                    spent,
                    needed: NanoUsd::default(),
                }));
            }
            let warned = RunFact::BudgetWarned {
                scope,
                limit,
                spent,
            };
            if spent.0 >= limit.0 / 5 * 4 && !journal::has_key(conn, run, &warned.key())? {
                near.push(warned);
            }
        }
        Ok(BudgetDecision::Granted(near))
    }

    /// Returns whether no limit is set.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.run.is_none() && self.day.is_none() && self.workflow.is_none()
    }

    fn limit_usages(&self, tx: &Connection, run: RunId, now: Timestamp) -> Result<Vec<LimitUsage>> {
        let mut readings = Vec::new();
        let mut add = |scope: String, limit: NanoUsd, spent: NanoUsd| {
            let raise = self.raises.get(&scope).copied().unwrap_or_default();
            readings.push(LimitUsage {
                scope,
                limit: NanoUsd(limit.0.saturating_add(raise.0)),
                spent,
            });
        };
        if let Some(limit) = self.run {
            add("run".to_owned(), limit, ledger::spent_by_run(tx, run)?);
        }
        if let Some(limit) = self.day {
            let midnight = Timestamp(now.0.div_euclid(DAY_MS) * DAY_MS);
            let day: String = midnight.to_string().chars().take(10).collect();
            add(
                format!("day:{day}"),
                limit,
                ledger::spent_since(tx, midnight)?,
            );
        }
        if let Some((name, limit)) = &self.workflow {
            add(
                format!("workflow:{name}"),
                *limit,
                ledger::spent_by_workflow(tx, name)?,
            );
        }
        Ok(readings)
    }
}

/// Returns the fact that a limit refused a call, unless it is already stored.
///
/// # Errors
/// Errors of the database.
pub fn exceeded_fact(
    tx: &Connection,
    run: RunId,
    question: &BudgetQuestion,
) -> Result<Option<RunFact>> {
    let fact = RunFact::BudgetExceeded {
        scope: question.scope.clone(),
        limit: question.limit,
        spent: question.spent,
    };
    Ok(if journal::has_key(tx, run, &fact.key())? {
        None
    } else {
        Some(fact)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hash::ContentHash;
    use crate::store::Store;
    use crate::store::tables::{runs, turns};
    use crate::store::tests::fixture;

    /// Inserts a run that has spent `spent`.
    fn run_that_spent(tx: &Connection, spent: i64) -> Result<RunId> {
        let id = RunId::new();
        runs::insert(
            tx,
            &runs::RunInsert {
                id,
                workflow: "w@1".parse().unwrap(),
                workflow_hash: ContentHash::from_bytes(b"w"),
                thread: "t".into(),
                requirements: "make it".to_owned(),
                place: runs::RunLocation::default(),
                rehearsal: false,
                options: Default::default(),
                start: None,
                origin: Default::default(),
                created_at: Timestamp(0),
            },
        )?;
        tx.execute(
            "UPDATE runs SET cost_nano = ?2 WHERE id = ?1",
            (id.to_string(), spent),
        )?;
        Ok(id)
    }

    #[test]
    fn a_call_is_granted_up_to_the_limit_and_refused_one_past_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("b.db")).unwrap();
        for (spent, needed, raised, verdict) in [
            (79, Some(21), 0, Some(false)),
            (79, Some(22), 0, None),
            (80, Some(20), 0, Some(true)),
            (80, Some(21), 0, None),
            (80, Some(21), 1, Some(true)),
            (99, None, 0, Some(true)),
            (100, None, 0, None),
            (100, Some(0), 0, None),
        ] {
            let raises = BTreeMap::from([("run".to_owned(), NanoUsd(raised))]);
            let budget = RunBudget {
                run: Some(NanoUsd(100)),
                raises,
                ..RunBudget::default()
            };
            let judged = store.write_blocking(move |tx| {
                let run = run_that_spent(tx, spent)?;
                budget.check_call(tx, run, needed.map(NanoUsd), Timestamp(0))
            });
            let granted = match judged.unwrap() {
                BudgetDecision::Granted(near) => Some(!near.is_empty()),
                BudgetDecision::Refused(question) => {
                    assert_eq!(
                        (question.spent.0, question.needed.0),
                        (spent, needed.unwrap_or(0))
                    );
                    None
                }
            };
            assert_eq!(
                granted, verdict,
                "{spent} + {needed:?}, raised by {raised}: granted, and whether it warns"
            );
        }
    }

    #[test]
    fn a_clock_set_back_does_not_reset_the_daily_limit() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("b.db")).unwrap();
        let budget = RunBudget {
            day: Some(NanoUsd(100)),
            ..RunBudget::default()
        };
        let noon = Timestamp(20_000 * DAY_MS + DAY_MS / 2);
        let turn_of = |run| turns::NewTurn {
            reserved: Some(NanoUsd(100)),
            ..fixture::new_turn(run, 1)
        };
        let granted = store.write_blocking(move |tx| {
            let run = run_that_spent(tx, 0)?;
            turns::reserve(tx, &turn_of(run), noon)?;
            let at = |ms: i64| {
                Ok(matches!(
                    budget.check_call(tx, run, Some(NanoUsd(1)), Timestamp(noon.0 + ms))?,
                    BudgetDecision::Granted(_)
                ))
            };
            [
                -3650 * DAY_MS,
                -DAY_MS,
                -3_600_000,
                -1000,
                0,
                DAY_MS / 2 - 1,
                DAY_MS / 2,
            ]
            .map(at)
            .into_iter()
            .collect::<Result<Vec<bool>>>()
        });
        assert_eq!(
            granted.unwrap(),
            [false, false, false, false, false, false, true],
            "only the next day is a new one"
        );
    }
}
