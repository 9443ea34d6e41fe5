//! Runs that share a thread, and runs that come from others: one test, one promise.

use std::path::{Path, PathBuf};
use std::time::Duration;

use phasedeck::engine::api::{
    CommandAnswer, CommandSender, EngineCommand, EngineSignal, ForkRun, RetryRun, StartRun,
};
use phasedeck::engine::host::{EngineHost, HandoverScope, attach};
use phasedeck::model::error::{Code, Failure};
use phasedeck::model::event::RunFact;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::record::{RehearsalScenario, RunOptions, RunRecord};
use phasedeck::model::run_state::RunState;
use phasedeck::model::settings::AppSettings;
use phasedeck::model::state::{
    Decision, OnDisconnect, PauseReason, PhaseStatus, RunStatus, Strategy, Via,
};

use crate::demo::wait_for;
use crate::home::{Home, check_invariants, git};
use crate::model_script::write_pair;

/// A home with a host, where every run goes on thread `lane` unless it says otherwise.
struct Lane {
    home: Home,
    host: Option<EngineHost>,
    repo: Option<PathBuf>,
}

impl Lane {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: AppSettings) -> Self {
        let home = Home::new();
        write_pair(&home);
        let host = Some(EngineHost::start(&home.paths(), &settings).unwrap());
        Self {
            home,
            host,
            repo: None,
        }
    }

    fn on_git() -> Self {
        let mut lane = Self::new();
        lane.repo = Some(lane.home.repository("project"));
        lane
    }

    fn host(&self) -> &EngineHost {
        self.host.as_ref().unwrap()
    }

    fn send(&self, command: EngineCommand) -> Result<CommandAnswer, Failure> {
        let sender = CommandSender {
            by: "tester".to_owned(),
            via: Via::Cli,
        };
        self.host()
            .handle()
            .block_on(self.host().port().send(command, sender, ClientToken::new()))
    }

    fn started(&self, command: EngineCommand) -> Result<RunId, Failure> {
        self.send(command).map(|answer| match answer {
            CommandAnswer::Started { run_id, .. } => run_id,
            other => panic!("{other:?}"),
        })
    }

    fn ask(
        &self,
        thread: &str,
        strategy: Option<Strategy>,
        scenario: Option<RehearsalScenario>,
    ) -> Result<RunId, Failure> {
        let scenarios = scenario
            .into_iter()
            .map(|scenario| ("first".into(), scenario))
            .collect();
        self.started(EngineCommand::Start(Box::new(StartRun {
            workflow: "pair".to_owned(),
            requirements: "A note".to_owned(),
            repo: self.repo.clone(),
            thread: Some(thread.into()),
            options: RunOptions {
                rehearse: true,
                scenarios,
                strategy,
                ..RunOptions::default()
            },
            ..StartRun::default()
        })))
    }

    fn start(&self, strategy: Strategy) -> RunId {
        self.ask("lane", Some(strategy), None).unwrap()
    }

    fn at_work(&self) -> RunId {
        let run = self
            .ask("lane", None, Some(RehearsalScenario::Timeout))
            .unwrap();
        self.wait(run, "work", |state| state.phases[0].prompt.is_some());
        run
    }

    fn at_gate(&self, run: RunId) -> RunState {
        self.wait(run, "the gate", |state| {
            state.status == RunStatus::AwaitingApproval
        })
    }

    fn ended(&self, run: RunId) -> RunState {
        self.wait(run, "the end", |state| state.status.is_terminal());
        check_invariants(&self.home, &self.record(run))
    }

    fn approve(&self, run: RunId) {
        self.send(EngineCommand::decide(run, None, Decision::Approve, ""))
            .unwrap();
    }

    fn record(&self, run: RunId) -> RunRecord {
        self.home.archive().run(run).unwrap()
    }

    fn state(&self, run: RunId) -> RunState {
        self.home.archive().state(run).unwrap()
    }

    fn wait(&self, run: RunId, what: &str, seen: impl Fn(&RunState) -> bool) -> RunState {
        wait_for(what, || Some(self.state(run)).filter(&seen))
    }

    fn kinds(&self, run: RunId) -> Vec<&'static str> {
        self.home
            .archive()
            .events(run, 1, 1000)
            .unwrap()
            .iter()
            .map(|event| event.fact.kind())
            .collect()
    }

    fn git(&self, args: &[&str]) -> String {
        git(self.repo.as_ref().unwrap(), args).trim().to_owned()
    }
}

fn settings() -> AppSettings {
    let mut settings = AppSettings::default();
    settings.rehearsal.pace_ms = 0;
    settings
}

#[test]
fn a_held_thread_is_refused_unless_something_was_said() {
    let lane = Lane::new();
    let first = lane.at_work();
    for strategy in [None, Some(Strategy::Reject)] {
        let refused = lane.ask("lane", strategy, None).unwrap_err();
        assert_eq!(refused.code, Code::ThreadBusy);
        assert!(refused.message.contains(&first.short()), "{refused}");
    }
    assert_eq!(
        lane.home.archive().runs(&Default::default()).unwrap().len(),
        1,
        "nothing of it was stored"
    );
    assert_eq!(lane.state(first).status, RunStatus::Executing);
}

#[test]
fn who_waits_in_line_begins_when_the_thread_is_free_in_the_order_of_coming() {
    let lane = Lane::new();
    let first = lane.at_work();
    let [second, third] = [0, 1].map(|_| lane.start(Strategy::Enqueue));
    assert_eq!(
        [second, third].map(|run| lane.record(run).line),
        [Some(1), Some(2)]
    );
    assert_eq!(lane.kinds(second), ["run.created"]);
    // Whoever does not wait stands behind those who do.
    lane.send(EngineCommand::Pause { run_id: first }).unwrap();
    lane.at_gate(second);
    assert_eq!(
        (lane.record(third).line, lane.state(third).status),
        (Some(1), RunStatus::Created)
    );
    assert_eq!(
        lane.send(EngineCommand::Resume { run_id: first })
            .unwrap_err()
            .code,
        Code::ThreadBusy
    );
    lane.approve(second);
    lane.at_gate(third);
    assert_eq!(lane.ended(second).status, RunStatus::Completed);
    assert_eq!(lane.record(third).line, None);
}

#[test]
fn an_interrupted_run_rests_in_the_moment_the_newer_one_begins_and_can_go_on_later() {
    let lane = Lane::new();
    let older = lane.at_work();
    let newer = lane.start(Strategy::Interrupt);
    lane.at_gate(newer);
    let state = lane.state(older);
    assert_eq!(
        (state.status, state.pause_reason),
        (RunStatus::Paused, Some(PauseReason::Interrupted))
    );
    let at = |run, kind: &str| {
        lane.home
            .archive()
            .events(run, 1, 100)
            .unwrap()
            .iter()
            .find(|e| e.fact.kind() == kind)
            .unwrap()
            .at
    };
    assert!(at(older, "run.paused") <= at(newer, "run.started"));
    lane.send(EngineCommand::Abort {
        run_id: newer,
        reason: String::new(),
    })
    .unwrap();
    lane.send(EngineCommand::Resume { run_id: older }).unwrap();
    assert_eq!(
        lane.state(older).phases[0].attempt,
        1,
        "the same attempt goes on"
    );
}

#[test]
fn a_run_at_its_gate_gives_way_too_and_its_question_waits() {
    let lane = Lane::new();
    let older = lane.ask("lane", None, None).unwrap();
    let question = lane.at_gate(older).approval;
    let newer = lane.start(Strategy::Interrupt);
    lane.at_gate(newer);
    let state = lane.state(older);
    assert_eq!(
        (state.status, state.approval),
        (RunStatus::Paused, question)
    );
}

#[test]
fn a_run_that_was_paused_while_it_waited_never_begins_by_surprise() {
    let lane = Lane::new();
    let first = lane.at_work();
    let [second, third] = [0, 1].map(|_| lane.start(Strategy::Enqueue));
    lane.send(EngineCommand::Pause { run_id: second }).unwrap();
    lane.send(EngineCommand::Abort {
        run_id: first,
        reason: String::new(),
    })
    .unwrap();
    lane.at_gate(third);
    lane.approve(third);
    lane.ended(third);
    assert_eq!(
        (lane.state(second).status, lane.kinds(second)),
        (RunStatus::Paused, vec!["run.created", "run.paused"])
    );
    lane.send(EngineCommand::Resume { run_id: second }).unwrap();
    lane.at_gate(second);
    assert_eq!(
        lane.kinds(second)[..3],
        ["run.created", "run.paused", "run.started"]
    );
    check_invariants(&lane.home, &lane.record(second));
}

#[test]
fn who_takes_the_thread_does_not_stand_behind_those_who_wait_for_it() {
    let lane = Lane::new();
    let older = lane.at_work();
    let [second, third] = [0, 1].map(|_| lane.start(Strategy::Enqueue));
    let newer = lane.start(Strategy::Interrupt);
    lane.at_gate(newer);
    assert_eq!(
        (lane.state(older).status, lane.state(older).pause_reason),
        (RunStatus::Paused, Some(PauseReason::Interrupted))
    );
    assert_eq!(
        [second, third].map(|run| (lane.state(run).status, lane.record(run).line)),
        [(RunStatus::Created, Some(1)), (RunStatus::Created, Some(2))]
    );
    // Those who wait come after it, before the run that was interrupted and that nobody resumed.
    lane.approve(newer);
    lane.at_gate(second);
    assert_eq!(lane.state(older).status, RunStatus::Paused);
}

#[test]
fn a_start_that_was_taken_back_leaves_the_older_run_at_work() {
    // Slow enough that the older run is still on its way to its checkpoint when the newer one is
    // taken back.
    let mut settings = settings();
    settings.rehearsal.pace_ms = 300;
    let lane = Lane::with(settings);
    let mut signals = lane.host().port().signals();
    let older = lane.at_work();
    let newer = lane.start(Strategy::Interrupt);
    lane.send(EngineCommand::Abort {
        run_id: newer,
        reason: String::new(),
    })
    .unwrap();
    lane.send(EngineCommand::Abort {
        run_id: newer,
        reason: "again".to_owned(),
    })
    .unwrap();
    assert_eq!(lane.kinds(newer), ["run.created", "run.aborted"]);
    // At the checkpoint nobody wants the thread any more, and it goes on: it says its opening once
    // more.
    let mut openings = 0;
    while openings < 2 {
        let heard = async { tokio::time::timeout(Duration::from_secs(60), signals.recv()).await };
        let signal = lane
            .host()
            .handle()
            .block_on(heard)
            .expect("it goes on")
            .unwrap();
        openings += usize::from(
            matches!(signal, EngineSignal::Text(chunk) if chunk.run_id == older && chunk.text.starts_with("Rehearsal of phase")),
        );
    }
    assert_eq!(lane.state(older).status, RunStatus::Executing);
    assert!(!lane.kinds(older).contains(&"run.paused"));
}

#[test]
fn a_rolled_back_run_leaves_worktree_and_branch_as_they_were_before_it() {
    let lane = Lane::on_git();
    let older = lane.ask("lane", None, None).unwrap();
    lane.at_gate(older);
    lane.approve(older);
    // The second phase is never begun with: the run is kept at its first commit by a file of the
    // agent's.
    let older = {
        lane.ended(older);
        let again = lane.ask("lane", None, None).unwrap();
        lane.at_gate(again);
        again
    };
    let record = lane.record(older);
    let (base, branch) = (
        record.base_commit.clone().unwrap(),
        record.branch.clone().unwrap(),
    );
    let worktree = PathBuf::from(record.worktree.clone().unwrap());
    std::fs::write(worktree.join("left.txt"), "by an agent").unwrap();
    std::fs::write(worktree.join("README.md"), "changed").unwrap();
    git(&worktree, &["commit", "-qam", "An agent's own"]);
    let tip = lane.git(&["rev-parse", &branch]);
    assert_ne!(tip, base);
    let newer = lane.start(Strategy::Rollback);
    lane.at_gate(newer);
    assert_eq!(lane.ended(older).status, RunStatus::Aborted);
    wait_for("the rollback", || {
        (lane.record(older).rollback.as_deref() == Some("done")).then_some(())
    });
    assert_eq!(lane.git(&["rev-parse", &branch]), base);
    assert_eq!(
        std::fs::read_to_string(worktree.join("README.md")).unwrap(),
        "# a project\n"
    );
    assert_eq!(
        git(&worktree, &["status", "--porcelain", "--ignored"]),
        "",
        "nothing of it is left"
    );
    assert_eq!(
        git(&worktree, &["symbolic-ref", "HEAD"]).trim(),
        format!("refs/heads/{branch}")
    );
    assert_eq!(
        lane.git(&["rev-parse", &format!("refs/phasedeck/rolled-back/{older}")]),
        tip,
        "what was made is kept"
    );
    let aside = std::fs::read_dir(worktree.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let kept: Vec<PathBuf> = aside
        .filter(|path| path.join("left.txt").exists())
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[test]
fn a_run_that_cannot_go_back_is_not_touched_and_says_why() {
    let lane = Lane::on_git();
    let older = lane.ask("lane", None, None).unwrap();
    lane.at_gate(older);
    let worktree = PathBuf::from(lane.record(older).worktree.unwrap());
    git(&worktree, &["checkout", "-qb", "elsewhere"]);
    let before = lane.state(older);
    let refused = lane
        .send(EngineCommand::RollBack {
            run_id: older,
            reason: String::new(),
        })
        .unwrap_err();
    assert_eq!(refused.code, Code::GitFailed);
    assert!(
        refused
            .message
            .contains("cannot be rolled back and continues"),
        "{refused}"
    );
    let newer = lane.start(Strategy::Rollback);
    let failed = lane.ended(newer);
    assert!(
        failed
            .error
            .unwrap()
            .1
            .contains("could not hand over the thread")
    );
    assert_eq!(
        (lane.state(older), lane.record(older).rollback),
        (before, None)
    );
    assert!(worktree.join("out/first.json").exists());
    git(
        &worktree,
        &["checkout", "-q", &lane.record(older).branch.unwrap()],
    );
    lane.send(EngineCommand::RollBack {
        run_id: older,
        reason: String::new(),
    })
    .unwrap();
    assert_eq!(
        (
            lane.ended(older).status,
            lane.record(older).rollback.as_deref()
        ),
        (RunStatus::Aborted, Some("done"))
    );
    assert!(!worktree.join("out").exists());
}

#[test]
fn a_rollback_in_a_plain_folder_leaves_it_empty() {
    let lane = Lane::new();
    let run = lane.ask("lane", None, None).unwrap();
    lane.at_gate(run);
    lane.send(EngineCommand::RollBack {
        run_id: run,
        reason: "no".to_owned(),
    })
    .unwrap();
    let folder = lane.home.paths().worktree(run);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    assert_eq!(lane.record(run).rollback.as_deref(), Some("done"));
}

#[test]
fn a_rollback_that_a_crash_cut_short_is_done_by_the_next_host() {
    let mut lane = Lane::on_git();
    let run = lane.ask("lane", None, None).unwrap();
    lane.at_gate(run);
    lane.send(EngineCommand::Abort {
        run_id: run,
        reason: String::new(),
    })
    .unwrap();
    drop(lane.host.take());
    let conn = rusqlite::Connection::open(lane.home.paths().database()).unwrap();
    conn.execute("UPDATE runs SET rollback = 'asked'", [])
        .unwrap();
    drop(conn);
    lane.host = Some(EngineHost::start(&lane.home.paths(), &settings()).unwrap());
    wait_for("the rollback", || {
        (lane.record(run).rollback.as_deref() == Some("done")).then_some(())
    });
    assert!(!lane.home.paths().worktree(run).join("out").exists());
}

#[test]
fn a_stop_that_was_asked_for_outlives_its_host() {
    let mut lane = Lane::new();
    for (asked, status, reason) in [
        (
            r#"{"stop":"pause"}"#,
            RunStatus::Paused,
            Some(PauseReason::Operator),
        ),
        (
            r#"{"stop":"abort","who":{"by":"kim","via":"cli"},"reason":"no","roll_back":false}"#,
            RunStatus::Aborted,
            None,
        ),
    ] {
        let run = lane.at_work();
        drop(lane.host.take());
        let conn = rusqlite::Connection::open(lane.home.paths().database()).unwrap();
        conn.execute(
            "UPDATE runs SET stop = ?2 WHERE id = ?1",
            [&run.to_string(), asked],
        )
        .unwrap();
        drop(conn);
        lane.host = Some(EngineHost::start(&lane.home.paths(), &settings()).unwrap());
        let state = check_invariants(&lane.home, &lane.record(run));
        assert_eq!((state.status, state.pause_reason), (status, reason));
    }
}

#[test]
fn the_line_is_kept_over_a_change_of_hosts_and_a_brief_host_begins_nobody() {
    let mut lane = Lane::new();
    let first = lane.at_work();
    let second = lane.start(Strategy::Enqueue);
    lane.host
        .take()
        .unwrap()
        .shutdown(Duration::from_secs(5))
        .unwrap();
    assert_eq!(
        (lane.state(first).status, lane.state(second).status),
        (RunStatus::Paused, RunStatus::Created)
    );
    EngineHost::start_for_one_command(&lane.home.paths(), &settings())
        .unwrap()
        .shutdown(Duration::ZERO)
        .unwrap();
    assert_eq!(lane.state(second).status, RunStatus::Created);
    lane.host = Some(EngineHost::start(&lane.home.paths(), &settings()).unwrap());
    lane.at_gate(second);
}

#[test]
fn threads_take_turns_for_the_places_to_work_and_everybody_sees_the_line() {
    let mut settings = settings();
    settings.engine.max_concurrent_runs = 1;
    let lane = Lane::with(settings);
    let holds = lane.at_work();
    let waiting = ["a", "b", "c"].map(|thread| {
        let run = lane.ask(thread, None, None).unwrap();
        wait_for("its place in the line", || {
            lane.record(run).line.map(|_| run)
        })
    });
    assert_eq!(
        waiting.map(|run| lane.record(run).line),
        [Some(1), Some(2), Some(3)]
    );
    lane.send(EngineCommand::Pause { run_id: holds }).unwrap();
    // Waiting for a person holds no place: all three come to their gates.
    for run in waiting {
        lane.at_gate(run);
        wait_for("the line to be told", || {
            lane.record(run).line.is_none().then_some(())
        });
    }
}

#[test]
fn a_retry_begins_after_what_was_done_and_brings_it_along() {
    for on_git in [true, false] {
        let lane = if on_git { Lane::on_git() } else { Lane::new() };
        let old = lane.ask("lane", None, None).unwrap();
        lane.at_gate(old);
        let early = lane
            .started(EngineCommand::Retry(Box::new(retry(old, None))))
            .unwrap_err();
        assert_eq!(early.code, Code::IllegalTransition);
        lane.approve(old);
        assert_eq!(lane.ended(old).status, RunStatus::Completed);
        let all_done = lane
            .started(EngineCommand::Retry(Box::new(retry(old, None))))
            .unwrap_err();
        assert!(all_done.hint.contains("first, second"), "{all_done}");
        let request = RetryRun {
            idempotency_key: Some("once".to_owned()),
            ..retry(old, Some("second"))
        };
        let new = lane
            .started(EngineCommand::Retry(Box::new(request.clone())))
            .unwrap();
        assert_eq!(
            lane.started(EngineCommand::Retry(Box::new(request)))
                .unwrap(),
            new
        );
        let state = lane.ended(new);
        assert_eq!(state.status, RunStatus::Completed, "{:?}", state.error);
        assert_eq!(
            lane.kinds(new)[..5],
            [
                "run.created",
                "artifact.validated",
                "phase.skipped",
                "run.started",
                "phase.started"
            ]
        );
        assert_eq!(
            (state.phases[0].status, state.phases[1].attempt),
            (PhaseStatus::Skipped, 1)
        );
        let (before, record) = (lane.state(old), lane.record(new));
        assert_eq!(record.origin.retried_from, Some(old));
        assert_eq!(
            state.phases[0].artifact.as_ref().unwrap().sha256,
            before.phases[0].artifact.as_ref().unwrap().sha256
        );
        assert_eq!(record.base_commit, before.phases[0].commit.clone());
        let file = Path::new(&record.worktree.unwrap()).join("out/first.json");
        assert_eq!(
            std::fs::read(file).unwrap(),
            lane.home
                .archive()
                .content(&before.phases[0].artifact.clone().unwrap().sha256)
                .unwrap()
        );
        let whole = lane
            .started(EngineCommand::Retry(Box::new(retry(new, Some("first")))))
            .unwrap();
        lane.at_gate(whole);
        assert_eq!(lane.record(whole).base_commit, before_base(&lane, old));
    }
}

fn before_base(lane: &Lane, old: RunId) -> Option<String> {
    // A retry from its first phase begins where that run began: at the commit it was given.
    lane.state(old).phases[0].commit.clone()
}

fn retry(run_id: RunId, from: Option<&str>) -> RetryRun {
    RetryRun {
        run_id,
        from: from.map(Into::into),
        strategy: None,
        idempotency_key: None,
    }
}

#[test]
fn a_fork_is_made_beside_the_gate_and_picking_it_asks_about_it() {
    for on_git in [true, false] {
        let lane = if on_git { Lane::on_git() } else { Lane::new() };
        let run = lane.ask("lane", None, None).unwrap();
        let waiting = lane.at_gate(run);
        let fork = |persona: &str| {
            let personas = [("maker".into(), persona.to_owned())].into();
            lane.started(EngineCommand::Fork(Box::new(ForkRun {
                run_id: run,
                personas,
                idempotency_key: None,
            })))
        };
        assert_eq!(fork("nobody").unwrap_err().code, Code::PersonaNotFound);
        let forked = fork("maker").unwrap();
        assert_eq!(lane.ended(forked).status, RunStatus::Completed);
        assert_eq!(
            lane.state(run).approval,
            waiting.approval,
            "the first waits meanwhile"
        );
        assert_eq!(lane.state(forked).phases.len(), 1, "it ends with the phase");
        let candidates = lane.home.archive().candidates(run).unwrap();
        assert_eq!(
            candidates.iter().map(|c| c.run_id).collect::<Vec<_>>(),
            [run, forked]
        );
        assert!(
            candidates
                .iter()
                .all(|c| c.artifact.as_ref().unwrap().valid)
        );
        let other = lane.ask("aside", None, None).unwrap();
        lane.at_gate(other);
        assert_eq!(
            lane.send(EngineCommand::Pick {
                run_id: run,
                fork: other
            })
            .unwrap_err()
            .code,
            Code::UsageInvalid
        );
        lane.send(EngineCommand::Pick {
            run_id: run,
            fork: forked,
        })
        .unwrap();
        let asked = lane.at_gate(run);
        let picked = lane.state(forked).phases[0]
            .artifact
            .clone()
            .unwrap()
            .sha256;
        assert_eq!(
            asked.approval.as_ref().unwrap().artifact_sha256.as_ref(),
            Some(&picked)
        );
        assert_eq!(asked.approvals, 2, "picking approves nothing");
        let made_by = asked.phases[0].picked.clone().unwrap();
        assert_eq!(
            (made_by.fork, made_by.persona.to_string().as_str()),
            (forked, "maker@1"),
            "and says whose it is"
        );
        lane.approve(run);
        let state = lane.ended(run);
        assert_eq!(
            (
                state.status,
                state.phases[0].artifact.clone().unwrap().sha256
            ),
            (RunStatus::Completed, picked)
        );
    }
}

#[test]
fn a_host_hands_its_runs_to_the_next_as_each_of_them_says() {
    let mut lane = Lane::new();
    let start = |thread: &str, on_disconnect| {
        lane.started(EngineCommand::Start(Box::new(StartRun {
            workflow: "pair".to_owned(),
            requirements: "A note".to_owned(),
            thread: Some(thread.into()),
            options: RunOptions {
                rehearse: true,
                on_disconnect,
                ..RunOptions::default()
            },
            ..StartRun::default()
        })))
        .unwrap()
    };
    let runs = [
        start("a", Some(OnDisconnect::Continue)),
        start("b", Some(OnDisconnect::Cancel)),
        start("c", None),
    ];
    runs.iter().for_each(|run| drop(lane.at_gate(*run)));
    assert_eq!(
        lane.host
            .take()
            .unwrap()
            .hand_over(Duration::from_secs(5), HandoverScope::ByDisconnectPolicy)
            .unwrap(),
        1
    );
    assert_eq!(
        runs.map(|run| lane.state(run).status),
        [RunStatus::Paused; 3]
    );
    lane.host = Some(EngineHost::start(&lane.home.paths(), &settings()).unwrap());
    lane.at_gate(runs[0]);
    assert_eq!(
        runs[1..]
            .iter()
            .map(|run| lane.state(*run).status)
            .collect::<Vec<_>>(),
        [RunStatus::Paused; 2]
    );
    let resumed = |event: &phasedeck::model::event::JournalEvent| {
        matches!(event.fact, RunFact::RunResumed { .. })
    };
    assert_eq!(
        lane.home
            .archive()
            .events(runs[0], 1, 100)
            .unwrap()
            .iter()
            .filter(|e| resumed(e))
            .count(),
        1
    );
    lane.host
        .take()
        .unwrap()
        .hand_over(Duration::from_secs(5), HandoverScope::AllRuns)
        .unwrap();
}

#[test]
fn a_command_that_comes_while_the_host_goes_away_is_taken_up_by_the_next() {
    let mut lane = Lane::new();
    let run = lane.ask("lane", None, None).unwrap();
    lane.at_gate(run);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let port = attach(&lane.home.paths(), runtime.handle()).unwrap();
    lane.host
        .take()
        .unwrap()
        .shutdown(Duration::from_secs(5))
        .unwrap();
    let sender = CommandSender {
        by: "kim".to_owned(),
        via: Via::Cli,
    };
    let begun = std::time::Instant::now();
    let told = runtime
        .block_on(port.send(
            EngineCommand::Resume { run_id: run },
            sender,
            ClientToken::new(),
        ))
        .unwrap_err();
    assert_eq!(told.code, Code::HostGoingAway);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "the sender does not wait for nobody"
    );
    lane.host = Some(EngineHost::start(&lane.home.paths(), &settings()).unwrap());
    lane.at_gate(run);
    // Served again, as after a crash before the answer was stored, it acts no second time.
    lane.send(EngineCommand::Pause { run_id: run }).unwrap();
    drop(lane.host.take());
    let conn = rusqlite::Connection::open(lane.home.paths().database()).unwrap();
    conn.execute("UPDATE inbox SET answer = NULL, answered_at_ms = NULL", [])
        .unwrap();
    lane.host = Some(EngineHost::start(&lane.home.paths(), &settings()).unwrap());
    wait_for("the answer", || {
        conn.query_row("SELECT answer FROM inbox", [], |row| {
            row.get::<_, Option<String>>(0)
        })
        .unwrap()
    });
    assert_eq!(lane.state(run).status, RunStatus::Paused);
}

#[test]
fn a_hundred_consoles_that_answer_one_gate_make_one_decision() {
    let lane = Lane::new();
    let run = lane.ask("lane", None, None).unwrap();
    let question = lane.at_gate(run).approval.map(|open| open.request_id);
    let port = attach(&lane.home.paths(), &lane.host().handle()).unwrap();
    let send = |n: usize| {
        let action = if n.is_multiple_of(2) {
            Decision::Approve
        } else {
            Decision::Reject
        };
        let command = EngineCommand::decide(run, question, action, "so");
        let (port, sender) = (
            port.clone(),
            CommandSender {
                by: format!("console-{n}"),
                via: Via::Console,
            },
        );
        async move { (action, port.send(command, sender, ClientToken::new()).await) }
    };
    let answers = lane
        .host()
        .handle()
        .block_on(futures_util::future::join_all((0..100).map(send)));
    lane.ended(run);
    let rows = lane.home.archive().approvals(run).unwrap();
    assert_eq!(rows.len(), 1);
    let winner = rows[0].state;
    for (action, answer) in answers {
        match answer {
            Ok(_) => assert_eq!(action.resolves_to(), winner),
            Err(late) => assert!(
                matches!(
                    late.code,
                    Code::ApprovalAlreadyResolved | Code::RunAlreadyTerminal
                ),
                "{late}"
            ),
        }
    }
    assert_eq!(
        lane.kinds(run)
            .iter()
            .filter(|kind| **kind == "approval.resolved")
            .count(),
        1
    );
}

/// How many rounds of hosts that begin at once; `PHASEDECK_HOST_ROUNDS` asks for more than CI does.
fn rounds() -> usize {
    std::env::var("PHASEDECK_HOST_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(50)
}

#[test]
fn of_hosts_that_begin_at_once_exactly_one_wins() {
    let home = Home::new();
    let (paths, settings) = (home.paths(), settings());
    for round in 0..rounds() {
        let barrier = std::sync::Barrier::new(2);
        let begin = || {
            barrier.wait();
            let host = EngineHost::start(&paths, &settings);
            barrier.wait();
            host.map(|host| host.shutdown(Duration::ZERO).unwrap())
        };
        let both = std::thread::scope(|scope| {
            [scope.spawn(begin), scope.spawn(begin)].map(|thread| thread.join().unwrap())
        });
        let lost: Vec<_> = both.into_iter().filter_map(Result::err).collect();
        assert_eq!(lost.len(), 1, "round {round}");
        assert_eq!(lost[0].code, Code::SessionManagerAlreadyRunning);
        assert!(
            lost[0]
                .message
                .contains(&format!("process {}", std::process::id())),
            "{}",
            lost[0]
        );
    }
}
