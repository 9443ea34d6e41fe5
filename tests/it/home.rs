//! An installation of its own for each test: folders in a temp dir, the real binary, the real database.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use phasedeck::engine::api::{RunArchive, RunQuery};
use phasedeck::engine::paths::InstallPaths;
use phasedeck::model::event::{JournalEvent, RunFact};
use phasedeck::model::record::RunRecord;
use phasedeck::model::run_state::{OpenApproval, RunState};

/// Folders of one installation, gone with the value.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let home = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        home.configure("[rehearsal]\npace_ms = 0\n");
        home
    }

    pub fn configure(&self, toml: &str) {
        let paths = self.paths();
        paths.create().unwrap();
        std::fs::write(paths.config_file(), toml).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn paths(&self) -> InstallPaths {
        InstallPaths::beneath(self.dir.path())
    }

    pub fn archive(&self) -> RunArchive {
        RunArchive::open(&self.paths()).unwrap()
    }

    /// The binary, in this home and with nothing of the machine's settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phasedeck"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PHASEDECK_")) {
            command.env_remove(name);
        }
        command
            .env("PHASEDECK_HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .env("USER", "tester")
            .env("TZ", "UTC");
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs and expects this exit code; gives standard output.
    pub fn expect(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert_eq!(
            output.status.code(),
            Some(code),
            "phasedeck {}\n--- stdout\n{out}\n--- stderr\n{err}",
            args.join(" ")
        );
        out
    }

    /// The newest run.
    pub fn newest(&self) -> RunRecord {
        let filter = RunQuery {
            limit: Some(1),
            ..RunQuery::default()
        };
        self.archive()
            .runs(&filter)
            .unwrap()
            .into_iter()
            .next()
            .expect("a run")
    }

    /// Waits until the newest run asks at this gate, while `host` executes it.
    pub fn wait_for_question(&self, gate: &str, host: &mut std::process::Child) -> OpenApproval {
        self.wait_for_question_of("@last", gate, host)
    }

    /// The same of any run.
    pub fn wait_for_question_of(
        &self,
        run: &str,
        gate: &str,
        host: &mut std::process::Child,
    ) -> OpenApproval {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            assert!(
                std::time::Instant::now() < deadline && host.try_wait().unwrap().is_none(),
                "nothing is asked at {gate}"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
            let Ok(archive) = RunArchive::open(&self.paths()) else {
                continue;
            };
            let Ok(run) = archive.find(run) else { continue };
            let state = RunState::fold(run, &archive.events(run, 1, 100_000).unwrap()).unwrap();
            match state.approval {
                Some(open) if open.gate.as_str() == gate => return open,
                _ => {}
            }
        }
    }

    pub fn events(&self, run: &RunRecord) -> Vec<JournalEvent> {
        self.archive().events(run.id, 1, 100_000).unwrap()
    }

    /// A small git repository with one commit, inside the home.
    pub fn repository(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("README.md"), "# a project\n").unwrap();
        for args in [
            &["init", "-q", "-b", "main"][..],
            &["add", "."],
            &["commit", "-q", "-m", "First"],
        ] {
            git(&dir, args);
        }
        dir
    }
}

/// Runs git with an identity of its own; gives standard output.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=Tester",
            "-c",
            "user.email=tester@localhost",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What must hold of every run at every moment: a journal without gaps that folds, rows that say the
/// same, no phase completed twice, totals that equal the ledger.
pub fn check_invariants(home: &Home, run: &RunRecord) -> RunState {
    let archive = home.archive();
    let events = archive.events(run.id, 1, 1_000_000).unwrap();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.seq, index as u64 + 1, "no gap in seq");
    }
    assert!(
        events.windows(2).all(|pair| pair[0].at <= pair[1].at),
        "time never goes back"
    );
    let state = RunState::fold(run.id, &events).unwrap();
    let record = archive.run(run.id).unwrap();
    assert_eq!(
        record.state,
        state.status.as_str(),
        "the row says what the journal says"
    );
    assert_eq!(record.last_seq, state.last_seq);
    for phase in archive.phases(run.id).unwrap() {
        let folded = state.phase(&phase.phase_key).unwrap();
        assert_eq!(
            (phase.state, phase.attempt),
            (folded.status, folded.attempt),
            "{}",
            phase.phase_key
        );
        let completed =
            events.iter().filter(|e| matches!(&e.fact, RunFact::PhaseCompleted { phase_key, .. } if *phase_key == phase.phase_key));
        assert!(
            completed.count() <= 1,
            "{} completed twice",
            phase.phase_key
        );
    }
    let ends = events
        .iter()
        .filter(|event| event.fact.key() == "run.ended")
        .count();
    assert_eq!(ends, usize::from(state.status.is_terminal()));
    let ledger = archive.ledger(run.id).unwrap();
    let known: i64 = ledger
        .iter()
        .filter(|row| row.status.is_some())
        .filter_map(|row| row.cost)
        .map(|cost| cost.0)
        .sum();
    assert_eq!(
        record.cost.known.0, known,
        "the run's total is the sum of its rows"
    );
    assert_eq!(record.cost, state.cost);
    state
}
