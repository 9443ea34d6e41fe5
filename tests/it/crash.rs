//! `kill -9` at random moments, again and again, until the run is done all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use phasedeck::model::event::{CallStatus, RunFact};
use phasedeck::model::state::RunStatus;
use phasedeck::store::tables::contents::SMALL;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::home::{Home, check_invariants, git};
use crate::model_script::{Script, two_phase_home};

/// Kills of each kind, unless `CRASH_KILLS` says otherwise; both tests together make more than 200.
fn kills_wanted() -> usize {
    from_env("CRASH_KILLS", 110)
}

/// Seed of the moments, unless `CRASH_SEED` says otherwise; a failure prints it with the number of the kill.
fn first_seed() -> u64 {
    from_env("CRASH_SEED", 20_261_121)
}

fn from_env<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(otherwise)
}

/// Starts the binary, lets it run for a random time, and kills it hard. True when it had ended by itself.
fn run_and_kill(home: &Home, args: &[&str], after: Duration) -> bool {
    let mut child = home
        .command(args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + after;
    loop {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        if std::time::Instant::now() >= deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills a run again and again, checking the promises after each kill; says how many kills it took.
/// A run that gets nowhere between kills is given a little more time at each.
fn kill_until_done(home: &Home, start: &[&str], seed: u64, longest_ms: u64) -> usize {
    let mut moments = StdRng::seed_from_u64(seed);
    let mut kills = 0;
    let mut args: Vec<String> = start.iter().map(|arg| (*arg).to_owned()).collect();
    loop {
        assert!(kills < 400, "no end in sight, seed {seed}");
        let after = Duration::from_millis(moments.random_range(1..=longest_ms + kills as u64));
        let borrowed: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = run_and_kill(home, &borrowed, after);
        kills += usize::from(!ended);
        let runs = if home.paths().database().exists() {
            runs(home)
        } else {
            Vec::new()
        };
        assert!(
            runs.len() <= 1,
            "a killed start never leaves two runs (seed {seed}, kill {kills})"
        );
        let Some(run) = runs.into_iter().next() else {
            continue;
        };
        if check_invariants(home, &run).status.is_terminal() {
            return kills;
        }
        args = [
            "resume",
            &run.id.to_string(),
            "--headless",
            "--on-gate",
            "approve",
        ]
        .map(str::to_owned)
        .to_vec();
    }
}

fn runs(home: &Home) -> Vec<phasedeck::model::record::RunRecord> {
    match phasedeck::engine::api::RunArchive::open(&home.paths()) {
        Ok(archive) => archive
            .runs(&phasedeck::engine::api::RunQuery::default())
            .unwrap(),
        // Killed between making the file and its first migration.
        Err(_) => Vec::new(),
    }
}

#[test]
fn a_rehearsed_run_survives_being_killed_at_any_moment() {
    let (mut kills, mut round) = (0, 0);
    while kills < kills_wanted() {
        let home = Home::new();
        let repo = home.repository("project");
        let repo_arg = repo.to_string_lossy().into_owned();
        let start = [
            "run",
            "development@1",
            "--repo",
            &repo_arg,
            "-m",
            "A counter that survives a crash",
            "--rehearse",
            "--headless",
            "--on-gate",
            "approve",
            "--idempotency-key",
            "once",
        ];
        kills += kill_until_done(&home, &start, first_seed() + round, 250);
        round += 1;
        let run = home.newest();
        let state = check_invariants(&home, &run);
        assert_eq!(state.status, RunStatus::Completed, "{:?}", state.error);
        let branch = run.branch.clone().unwrap();
        let log = git(
            &repo,
            &[
                "log",
                "--format=%(trailers:key=Phasedeck-Phase,valueonly)%x00",
                &format!("main..{branch}"),
            ],
        );
        let mut phases: Vec<&str> = log
            .split('\0')
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        phases.reverse();
        assert_eq!(
            phases,
            ["spec", "plan", "implement", "review", "verify"],
            "one commit a phase"
        );
        // Killed between the end and its report, the next start writes it.
        let host = phasedeck::engine::host::EngineHost::start(
            &home.paths(),
            &phasedeck::model::settings::AppSettings::default(),
        )
        .unwrap();
        host.shutdown(Duration::ZERO).unwrap();
        let report = home
            .archive()
            .run(run.id)
            .unwrap()
            .report_path
            .expect("a report");
        assert!(
            std::path::Path::new(&format!("{report}.json")).exists(),
            "{report}"
        );
    }
}

#[test]
fn a_run_over_http_survives_being_killed_and_never_asks_for_a_stored_turn_again() {
    let (mut kills, mut round) = (0, 0);
    while kills < kills_wanted() {
        // Too large for the database, so that kills fall where files of contents are made.
        let script = Script::serve_two_phases_with(&"a long note about notes. ".repeat(SMALL / 20));
        let (home, start) = two_phase_home(&script);
        let start: Vec<&str> = start.iter().map(String::as_str).collect();
        kills += kill_until_done(&home, &start, first_seed() + 1000 + round, 200);
        round += 1;
        let run = home.newest();
        let state = check_invariants(&home, &run);
        assert_eq!(state.status, RunStatus::Completed, "{:?}", state.error);
        let mut rows: BTreeMap<(String, u32, u32), (usize, usize)> = BTreeMap::new();
        for event in home.events(&run) {
            if let RunFact::LlmCalled {
                phase_key,
                attempt,
                turn,
                status,
                ..
            } = event.fact
            {
                let row = rows
                    .entry((phase_key.to_string(), attempt, turn))
                    .or_default();
                row.0 += 1;
                row.1 += usize::from(status == CallStatus::Ok);
            }
        }
        for (turn, (calls, answered)) in &rows {
            assert_eq!(*answered, 1, "{turn:?} has one stored answer");
            let asked = script.requests_of(turn);
            assert!(
                asked <= *calls,
                "{turn:?} was asked {asked} times, but only {calls} calls were set aside for it"
            );
        }
        assert!(
            home.archive()
                .ledger(run.id)
                .unwrap()
                .iter()
                .all(|row| row.status.is_some()),
            "no call is left open"
        );
        for artifact in home.archive().artifacts(run.id).unwrap() {
            assert!(
                home.archive().content(&artifact.sha256).unwrap().len() > SMALL,
                "{} is kept in a file, whole",
                artifact.phase_key
            );
        }
    }
}
