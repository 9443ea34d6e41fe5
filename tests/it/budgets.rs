//! Many runs at once on one budget: never more is spent and set aside than it holds.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use phasedeck::engine::api::{CommandAnswer, CommandSender, EngineCommand, RunArchive, StartRun};
use phasedeck::engine::host::EngineHost;
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::money::NanoUsd;
use phasedeck::model::settings::{AppSettings, ModelPrice};
use phasedeck::model::state::{RunStatus, Via};

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::{Asked, Script, write_pair};
use crate::model_server::Reply;

const LIMIT: i64 = 300_000_000;

fn start(host: &EngineHost, thread: usize) -> RunId {
    let (workflow, requirements) = ("pair".to_owned(), "A note".to_owned());
    let start = StartRun {
        workflow,
        requirements,
        thread: Some(format!("t{thread}").as_str().into()),
        ..StartRun::default()
    };
    let sender = CommandSender {
        by: "tester".to_owned(),
        via: Via::Cli,
    };
    match host
        .handle()
        .block_on(host.port().send(
            EngineCommand::Start(Box::new(start)),
            sender,
            ClientToken::new(),
        ))
        .unwrap()
    {
        CommandAnswer::Started { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

/// What is spent and set aside by all of them, and the largest amount that is set aside for one call.
fn used(archive: &RunArchive, runs: &[RunId]) -> (i64, i64) {
    let rows: Vec<_> = runs
        .iter()
        .flat_map(|run| archive.ledger(*run).unwrap())
        .collect();
    let amount = |amount: Option<NanoUsd>| amount.map_or(0, |amount| amount.0);
    let used = rows
        .iter()
        .map(|row| {
            if row.status.is_none() {
                amount(row.reserved)
            } else {
                amount(row.cost)
            }
        })
        .sum();
    (
        used,
        rows.iter()
            .map(|row| amount(row.reserved))
            .max()
            .unwrap_or(0),
    )
}

/// Looks at the money at each request, which is sent only when its own is set aside.
fn script(
    paths: &Arc<OnceLock<InstallPaths>>,
    most: &Arc<AtomicI64>,
    cost: &'static str,
) -> Script {
    let (paths, most) = (Arc::clone(paths), Arc::clone(most));
    Script::serve(move |asked: &Asked| {
        let archive = RunArchive::open(paths.get().unwrap()).unwrap();
        let all: Vec<RunId> = archive
            .runs(&Default::default())
            .unwrap()
            .iter()
            .map(|run| run.id)
            .collect();
        most.fetch_max(used(&archive, &all).0, Ordering::SeqCst);
        match asked.turn {
            1..=3 => Reply::stream().tool_call(
                "glob",
                &format!("{{\"pattern\":\"{}*\"}}", asked.turn),
                &[],
            ),
            4 => return asked.writes(&asked.artifact()),
            _ => Reply::stream().text("Done."),
        }
        .finish("stop")
        .usage(100, 10, Some(cost))
        .done()
    })
}

#[test]
fn eight_runs_at_once_never_cross_one_budget_and_each_rests_in_a_named_state() {
    for (what, cost) in [("day", "0.01"), ("workflow", "0.01"), ("day", "0.09")] {
        let (paths, most) = (Arc::new(OnceLock::new()), Arc::new(AtomicI64::new(0)));
        let script = script(&paths, &most, cost);
        let home = Home::new();
        write_pair(&home);
        home.expect(0, &["consent", "maker"]);
        paths.set(home.paths()).unwrap();
        let mut settings = AppSettings::default();
        (
            settings.openai.base_url,
            settings.openai.key_env,
            settings.openai.model_list,
        ) = (script.base_url(), String::new(), false);
        let price = ModelPrice {
            input: "1".to_owned(),
            output: "5".to_owned(),
            cached: None,
        };
        settings.prices = [("test/model".to_owned(), price)].into();
        match what {
            "day" => settings.budget.day = "0.30".to_owned(),
            _ => settings.budget.workflows = [("pair".to_owned(), "0.30".to_owned())].into(),
        }
        settings.engine.max_concurrent_runs = 8;
        let host = EngineHost::start(&home.paths(), &settings).unwrap();
        let runs: Vec<RunId> = (0..8).map(|thread| start(&host, thread)).collect();
        let mut refused = 0;
        for run in &runs {
            let state = wait_for("rest", || {
                let state = home.archive().state(*run).unwrap();
                Some(state).filter(|state| {
                    !matches!(state.status, RunStatus::Created | RunStatus::Executing)
                })
            });
            let gate = state
                .approval
                .map(|open| open.gate.as_str().to_owned())
                .unwrap();
            match state.status {
                RunStatus::AwaitingApproval => assert_eq!(gate, "first_approved"),
                RunStatus::Paused => {
                    assert_eq!(gate, "budget_exceeded");
                    refused += 1;
                }
                other => panic!("{what}: {other}"),
            }
        }
        drop(host);
        let archive = home.archive();
        runs.iter()
            .for_each(|run| drop(check_invariants(&home, &archive.run(*run).unwrap())));
        let (spent, one) = used(&archive, &runs);
        let most = most.load(Ordering::SeqCst).max(spent);
        assert!(
            refused > 0 && one > 0,
            "{what}: the limit was met: {refused} of 8, one reserve is {one}"
        );
        // A call that costs more than was set aside for it is known when it is paid: one for each run at most.
        let dearer = cost.parse::<f64>().unwrap() * 1e9 > one as f64;
        let over = if dearer { 8 * (90_000_000 - one) } else { 0 };
        assert!(
            most <= LIMIT + over,
            "{what} at {cost}: {most} of {LIMIT} with reserves of {one}"
        );
        assert!(most > LIMIT / 2, "{what}: it was used: {most}");
        assert!(
            archive
                .runs(&Default::default())
                .unwrap()
                .iter()
                .all(|run| run.cost.unknown_calls == 0)
        );
    }
}
