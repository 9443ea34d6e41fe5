//! Drivers and their owner at work, with an agent that the test holds by the hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use phasedeck::engine::agent::{
    AgentEnd, AgentFuture, AgentJob, AgentStop, AttemptRecorder, Backend, CallReserve,
};
use phasedeck::engine::api::{
    CommandAnswer, CommandRequest, CommandSender, EngineCommand, StartRun,
};
use phasedeck::engine::run::context::EngineContext;
use phasedeck::engine::run::supervisor::{Supervisor, SupervisorMsg};
use phasedeck::model::error::{Code, Failure};
use phasedeck::model::event::{CallStatus, RunFact};
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::money::NanoUsd;
use phasedeck::model::persona::Persona;
use phasedeck::model::record::RunOptions;
use phasedeck::model::run_state::RunState;
use phasedeck::model::settings::AppSettings;
use phasedeck::model::state::{Decision, PauseReason, RunStatus, Via};
use phasedeck::store::Store;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::write_pair;

/// What the agent does when it is asked to work.
type Play =
    for<'a> fn(&'a Agent, &'a AgentJob, &'a AttemptRecorder, &'a AgentStop) -> AgentFuture<'a>;

/// An agent that stands in for the rehearsal.
struct Agent {
    play: Play,
    /// One permit lets one attempt go on.
    go: Semaphore,
    working: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
    prompts: Mutex<Vec<String>>,
    /// Where the agent itself gives an order at a chosen moment.
    calls: OnceLock<mpsc::Sender<SupervisorMsg>>,
}

impl Backend for Agent {
    fn name(&self) -> &'static str {
        "rehearsal"
    }

    fn available(&self, _persona: &Persona) -> Result<(), Failure> {
        Ok(())
    }

    fn model(&self, _persona: &Persona) -> Option<String> {
        None
    }

    fn work<'a>(
        &'a self,
        job: &'a AgentJob,
        desk: &'a AttemptRecorder,
        stop: &'a AgentStop,
    ) -> AgentFuture<'a> {
        self.prompts.lock().unwrap().push(job.prompt.clone());
        self.asked.fetch_add(1, Ordering::SeqCst);
        (self.play)(self, job, desk, stop)
    }
}

fn write_artifact(job: &AgentJob) {
    write(
        job,
        &json!({ "runId": job.run_id, "phaseKey": job.phase_key, "note": format!("made in attempt {}", job.attempt) }),
    );
}

fn write(job: &AgentJob, content: &Value) {
    let path = job.worktree.join(&job.artifact.as_ref().unwrap().path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content.to_string()).unwrap();
}

/// Makes eleven mistakes in the first attempt.
fn careless_at_first<'a>(
    _: &'a Agent,
    job: &'a AgentJob,
    _: &'a AttemptRecorder,
    _: &'a AgentStop,
) -> AgentFuture<'a> {
    Box::pin(async move {
        match job.attempt {
            1 => write(
                job,
                &(0..8).map(|n| (format!("extra{n}"), json!(n))).collect(),
            ),
            _ => write_artifact(job),
        }
        Ok(AgentEnd::Done)
    })
}

/// Writes the artifact as soon as the test lets it.
fn waits_for_the_test<'a>(
    agent: &'a Agent,
    job: &'a AgentJob,
    _desk: &'a AttemptRecorder,
    stop: &'a AgentStop,
) -> AgentFuture<'a> {
    Box::pin(async move {
        let working = agent.working.fetch_add(1, Ordering::SeqCst) + 1;
        agent.most.fetch_max(working, Ordering::SeqCst);
        let ended = tokio::select! {
            permit = agent.go.acquire() => {
                permit.unwrap().forget();
                write_artifact(job);
                AgentEnd::Done
            }
            () = stop.soon.cancelled() => AgentEnd::Stopped,
        };
        agent.working.fetch_sub(1, Ordering::SeqCst);
        Ok(ended)
    })
}

/// Breaks at the first call, after its money was set aside; does well when it is asked again.
fn breaks_once<'a>(
    agent: &'a Agent,
    job: &'a AgentJob,
    desk: &'a AttemptRecorder,
    _stop: &'a AgentStop,
) -> AgentFuture<'a> {
    Box::pin(async move {
        let first = agent.asked.load(Ordering::SeqCst) == 1;
        let reserve = CallReserve {
            conversation: String::new(),
            number: 1,
            model: "m".to_owned(),
            reserved: Some(NanoUsd(50)),
        };
        let turn = desk.reserve(reserve).await?;
        assert!(!first, "a defect, made on purpose");
        let failed = phasedeck::engine::agent::FailedCall {
            status: CallStatus::Failed,
            code: Code::LlmUnreachable,
            latency_ms: 1,
        };
        desk.failed(turn, failed, None).await?;
        write_artifact(job);
        Ok(AgentEnd::Done)
    })
}

/// Works until somebody lets go of it.
fn never_ends_and_is_counted<'a>(
    agent: &'a Agent,
    _: &'a AgentJob,
    _: &'a AttemptRecorder,
    _: &'a AgentStop,
) -> AgentFuture<'a> {
    struct AtWork<'a>(&'a AtomicUsize);
    impl Drop for AtWork<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    Box::pin(async move {
        agent.working.fetch_add(1, Ordering::SeqCst);
        let _at_work = AtWork(&agent.working);
        std::future::pending().await
    })
}

/// Ignores that it shall stop.
fn never_ends<'a>(
    _: &'a Agent,
    _: &'a AgentJob,
    _: &'a AttemptRecorder,
    _: &'a AgentStop,
) -> AgentFuture<'a> {
    Box::pin(std::future::pending())
}

/// An engine without a host around it.
struct Bench {
    home: Home,
    context: Arc<EngineContext>,
    agent: Arc<Agent>,
    calls: mpsc::Sender<SupervisorMsg>,
    serving: Option<mpsc::Receiver<SupervisorMsg>>,
    supervisor: Option<tokio::task::JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(play: Play, max_concurrent_runs: u32) -> Self {
        let home = Home::new();
        write_pair(&home);
        let mut settings = AppSettings::default();
        settings.engine.max_concurrent_runs = max_concurrent_runs;
        let store = Store::open(&home.paths().database()).unwrap();
        let agent = Arc::new(Agent {
            play,
            go: Semaphore::new(0),
            working: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            prompts: Mutex::new(Vec::new()),
            calls: OnceLock::new(),
        });
        let context = Arc::new(EngineContext::new(
            store,
            home.paths(),
            settings,
            vec![Arc::clone(&agent) as Arc<dyn Backend>],
        ));
        let (calls, serving) = mpsc::channel(64);
        agent.calls.set(calls.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self {
            home,
            context,
            agent,
            calls,
            serving: Some(serving),
            supervisor: None,
            runtime,
        }
    }

    fn serving(play: Play, max_concurrent_runs: u32) -> Self {
        let mut bench = Self::new(play, max_concurrent_runs);
        bench.serve();
        bench
    }

    fn serve(&mut self) {
        let supervisor = Supervisor::new(
            Arc::clone(&self.context),
            self.serving.take().unwrap(),
            self.calls.clone(),
            true,
        );
        self.supervisor = Some(self.runtime.spawn(supervisor.run()));
    }

    fn put(&self, command: EngineCommand) -> oneshot::Receiver<Result<CommandAnswer, Failure>> {
        let (call, answer) = request(command);
        self.calls.blocking_send(call).ok().unwrap();
        answer
    }

    fn send(&self, command: EngineCommand) -> Result<CommandAnswer, Failure> {
        self.put(command).blocking_recv().unwrap()
    }

    fn start(&self) -> RunId {
        match self.send(start()).unwrap() {
            CommandAnswer::Started { run_id, .. } => run_id,
            other => panic!("{other:?}"),
        }
    }

    fn drain(&self) -> oneshot::Receiver<Vec<RunId>> {
        let (done, drained) = oneshot::channel();
        self.calls
            .blocking_send(SupervisorMsg::Drain {
                grace: Duration::ZERO,
                done,
            })
            .ok()
            .unwrap();
        drained
    }

    /// Whether the drain ends, in the time that a person would wait at most.
    fn ends(&self, drained: oneshot::Receiver<Vec<RunId>>) -> bool {
        self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), drained)
                .await
                .is_ok()
        })
    }

    fn state(&self, run_id: RunId) -> RunState {
        self.home.archive().state(run_id).unwrap()
    }

    fn wait(&self, run_id: RunId, what: &str, seen: impl Fn(&RunState) -> bool) -> RunState {
        wait_for(what, || Some(self.state(run_id)).filter(&seen))
    }

    fn check(&self, run_id: RunId) {
        check_invariants(&self.home, &self.home.archive().run(run_id).unwrap());
    }
}

fn request(
    command: EngineCommand,
) -> (
    SupervisorMsg,
    oneshot::Receiver<Result<CommandAnswer, Failure>>,
) {
    let (reply, answer) = oneshot::channel();
    let sender = CommandSender {
        by: "tester".to_owned(),
        via: Via::Cli,
    };
    (
        SupervisorMsg::Request(CommandRequest {
            command,
            sender,
            token: ClientToken::new(),
            reply,
        }),
        answer,
    )
}

fn start() -> EngineCommand {
    let options = RunOptions {
        rehearse: true,
        ..RunOptions::default()
    };
    let start = StartRun {
        workflow: "pair".to_owned(),
        requirements: "A note".to_owned(),
        options,
        ..StartRun::default()
    };
    EngineCommand::Start(Box::new(start))
}

fn approve(run_id: RunId) -> EngineCommand {
    EngineCommand::decide(run_id, None, Decision::Approve, "")
}

#[test]
fn no_more_attempts_work_at_once_than_there_are_places_and_a_gate_holds_none() {
    let bench = Bench::serving(waits_for_the_test, 2);
    let runs: Vec<RunId> = (0..5).map(|_| bench.start()).collect();
    wait_for("two at work", || {
        (bench.agent.working.load(Ordering::SeqCst) == 2).then_some(())
    });
    bench.agent.go.add_permits(5);
    for run_id in &runs {
        bench.wait(
            *run_id,
            "its gate, while the others' gates wait too",
            |state| state.status == RunStatus::AwaitingApproval,
        );
    }
    assert_eq!(
        bench.agent.most.load(Ordering::SeqCst),
        2,
        "never a third beside them"
    );
}

#[test]
fn a_drain_pauses_the_run_that_works_and_the_one_that_waits_for_a_place() {
    let bench = Bench::serving(waits_for_the_test, 1);
    let runs = [bench.start(), bench.start()];
    wait_for("one at work", || {
        (bench.agent.working.load(Ordering::SeqCst) == 1).then_some(())
    });
    assert!(bench.ends(bench.drain()));
    for run_id in runs {
        let state = bench.state(run_id);
        assert_eq!(
            (state.status, state.pause_reason),
            (RunStatus::Paused, Some(PauseReason::Shutdown))
        );
    }
}

#[test]
fn a_run_that_is_being_started_when_the_drain_begins_is_paused_too() {
    for live in [false, true] {
        let mut bench = Bench::new(waits_for_the_test, 2);
        // Both wait before anybody serves them, so that the start is under way when the drain begins.
        let other = live.then(|| bench.put(start()));
        let started = bench.put(start());
        let drained = bench.drain();
        bench.serve();
        assert!(
            bench.ends(drained),
            "the drain waits for nobody who does not know of it"
        );
        for answer in other.into_iter().chain([started]) {
            let Ok(CommandAnswer::Started { run_id, .. }) = answer.blocking_recv().unwrap() else {
                panic!("not started")
            };
            let state = bench.state(run_id);
            assert_eq!(
                (state.status, state.pause_reason),
                (RunStatus::Paused, Some(PauseReason::Shutdown))
            );
        }
    }
}

#[test]
fn work_that_does_not_stop_cannot_hold_a_drain_for_ever() {
    let bench = Bench::serving(never_ends, 1);
    let run_id = bench.start();
    wait_for("work", || {
        (bench.agent.asked.load(Ordering::SeqCst) == 1).then_some(())
    });
    assert!(bench.ends(bench.drain()));
    assert_eq!(
        bench.state(run_id).status,
        RunStatus::Executing,
        "nothing was said that is not true; the next start pauses it"
    );
}

#[test]
fn no_work_outlives_its_owner() {
    let bench = Bench::serving(never_ends_and_is_counted, 1);
    bench.start();
    wait_for("work", || {
        (bench.agent.working.load(Ordering::SeqCst) == 1).then_some(())
    });
    bench.supervisor.as_ref().unwrap().abort();
    wait_for("the end of the work", || {
        (bench.agent.working.load(Ordering::SeqCst) == 0).then_some(())
    });
}

#[test]
fn hurry_ends_a_drain_that_would_wait_for_long() {
    let bench = Bench::serving(never_stops_soon, 1);
    let run_id = bench.start();
    wait_for("work", || {
        (bench.agent.asked.load(Ordering::SeqCst) == 1).then_some(())
    });
    let (done, drained) = oneshot::channel();
    bench
        .calls
        .blocking_send(SupervisorMsg::Drain {
            grace: Duration::from_secs(3600),
            done,
        })
        .ok()
        .unwrap();
    bench
        .calls
        .blocking_send(SupervisorMsg::ShortenDrain)
        .ok()
        .unwrap();
    assert!(bench.ends(drained));
    assert_eq!(
        bench.state(run_id).pause_reason,
        Some(PauseReason::Shutdown)
    );
}

#[test]
fn a_repair_is_told_every_error_also_those_that_the_event_has_no_room_for() {
    let bench = Bench::serving(careless_at_first, 1);
    let run_id = bench.start();
    let state = bench.wait(run_id, "the gate", |state| {
        state.status == RunStatus::AwaitingApproval
    });
    assert_eq!(state.phases[0].attempt, 2);
    let prompts = bench.agent.prompts.lock().unwrap().clone();
    let errors = prompts[1]
        .split("Errors, each with")
        .nth(1)
        .unwrap()
        .split("Previous content")
        .next()
        .unwrap()
        .to_owned();
    for word in ["runId", "phaseKey", "note"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..8).map(|n| format!("extra{n}")))
    {
        assert!(errors.contains(&word), "{word} is missing in:\n{errors}");
    }
}

#[test]
fn a_panic_of_an_agent_leaves_a_run_that_can_go_on_and_a_call_that_is_charged() {
    let bench = Bench::serving(breaks_once, 1);
    let run_id = bench.start();
    let state = bench.wait(run_id, "the question", |state| state.approval.is_some());
    assert_eq!(
        (state.status, state.pause_reason),
        (RunStatus::Paused, Some(PauseReason::SessionRecovery))
    );
    let row = bench.home.archive().ledger(run_id).unwrap().remove(0);
    assert_eq!(
        (row.status, row.cost, row.estimated),
        (Some(CallStatus::Unknown), Some(NanoUsd(50)), true)
    );
    bench.send(approve(run_id)).unwrap();
    let state = bench.wait(run_id, "the gate", |state| {
        state.status == RunStatus::AwaitingApproval
    });
    assert_eq!(state.phases[0].attempt, 1, "the same attempt goes on");
    bench.check(run_id);
}

#[test]
fn an_abort_after_a_panic_leaves_no_call_open() {
    let bench = Bench::serving(breaks_once, 1);
    let run_id = bench.start();
    bench.wait(run_id, "the question", |state| state.approval.is_some());
    bench
        .send(EngineCommand::Abort {
            run_id,
            reason: "enough".to_owned(),
        })
        .unwrap();
    assert!(
        bench
            .home
            .archive()
            .ledger(run_id)
            .unwrap()
            .iter()
            .all(|row| row.status.is_some())
    );
    bench.check(run_id);
}

#[test]
fn a_fact_that_cannot_be_stored_pauses_its_run_and_no_other() {
    let bench = Bench::serving(waits_for_the_test, 2);
    let (broken, sound) = (bench.start(), bench.start());
    let conn = rusqlite::Connection::open(bench.home.paths().database()).unwrap();
    let refuse = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.type = 'artifact.validated' AND NEW.run_id = '{broken}' \
         BEGIN SELECT RAISE(ABORT, 'refused on purpose'); END"
    );
    conn.execute_batch(&refuse).unwrap();
    bench.agent.go.add_permits(2);
    bench.wait(sound, "its gate", |state| {
        state.status == RunStatus::AwaitingApproval
    });
    let state = bench.wait(broken, "a pause that the operator sees", |state| {
        state.status == RunStatus::Paused
    });
    assert_eq!(state.pause_reason, Some(PauseReason::Crashed));
    conn.execute_batch("DROP TRIGGER refuse").unwrap();
    bench.agent.go.add_permits(1);
    bench
        .send(EngineCommand::Resume { run_id: broken })
        .unwrap();
    bench.wait(broken, "its gate", |state| {
        state.status == RunStatus::AwaitingApproval
    });
    bench.check(broken);
}

#[test]
fn an_abort_that_meets_the_end_gives_one_end_and_a_true_answer() {
    for _ in 0..10 {
        let bench = Bench::serving(waits_for_the_test, 1);
        let run_id = bench.start();
        bench.agent.go.add_permits(2);
        bench.wait(run_id, "the gate", |state| {
            state.status == RunStatus::AwaitingApproval
        });
        bench.send(approve(run_id)).unwrap();
        let aborted = bench.send(EngineCommand::Abort {
            run_id,
            reason: "enough".to_owned(),
        });
        let state = bench.wait(run_id, "the end", |state| state.status.is_terminal());
        match aborted {
            Ok(_) => assert_eq!(state.status, RunStatus::Aborted),
            Err(failure) => assert_eq!(
                (failure.code, state.status),
                (Code::RunAlreadyTerminal, RunStatus::Completed)
            ),
        }
        bench.check(run_id);
    }
}

#[test]
fn a_pause_that_an_abort_overtakes_is_told_so() {
    let bench = Bench::serving(never_stops_soon, 1);
    let run_id = bench.start();
    wait_for("work", || {
        (bench.agent.asked.load(Ordering::SeqCst) == 1).then_some(())
    });
    let paused = bench.put(EngineCommand::Pause { run_id });
    let aborted = bench.put(EngineCommand::Abort {
        run_id,
        reason: "enough".to_owned(),
    });
    assert_eq!(
        aborted.blocking_recv().unwrap(),
        Ok(CommandAnswer::Accepted { run_id })
    );
    assert_eq!(
        paused.blocking_recv().unwrap().unwrap_err().code,
        Code::RunAlreadyTerminal
    );
    assert_eq!(bench.state(run_id).status, RunStatus::Aborted);
}

/// Ends only when it is told to end now.
fn never_stops_soon<'a>(
    _: &'a Agent,
    _: &'a AgentJob,
    _: &'a AttemptRecorder,
    stop: &'a AgentStop,
) -> AgentFuture<'a> {
    Box::pin(async move {
        stop.now.cancelled().await;
        Ok(AgentEnd::Stopped)
    })
}

/// Fails at once, and has somebody resume the run at that very moment.
fn fails_while_somebody_resumes<'a>(
    agent: &'a Agent,
    job: &'a AgentJob,
    desk: &'a AttemptRecorder,
    _stop: &'a AgentStop,
) -> AgentFuture<'a> {
    Box::pin(async move {
        desk.retried(
            phasedeck::model::id::TurnId::new(),
            1,
            None,
            Code::LlmUnreachable,
            0,
        )
        .await?;
        if job.attempt == 1 && agent.asked.load(Ordering::SeqCst) < 20 {
            let calls = agent.calls.get().unwrap();
            calls
                .send(request(EngineCommand::Resume { run_id: job.run_id }).0)
                .await
                .ok()
                .unwrap();
            return Err(Failure::new(Code::LlmUnreachable, "nobody answers"));
        }
        write_artifact(job);
        Ok(AgentEnd::Done)
    })
}

#[test]
fn a_resume_that_meets_the_pause_neither_doubles_the_prompt_nor_loses_the_run() {
    let bench = Bench::serving(fails_while_somebody_resumes, 1);
    let run_id = bench.start();
    let mut resumes = 0;
    bench.wait(run_id, "rest or gate", |state| {
        matches!(
            state.status,
            RunStatus::Paused | RunStatus::AwaitingApproval
        )
    });
    while bench
        .wait(run_id, "rest or gate", |state| {
            state.status != RunStatus::Executing
        })
        .status
        == RunStatus::Paused
    {
        let _ = bench.send(EngineCommand::Resume { run_id });
        resumes += 1;
        assert!(resumes < 1000, "no end in sight");
    }
    let events = bench.home.archive().events(run_id, 1, 1000).unwrap();
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event.fact, RunFact::PromptSent { .. }))
            .count(),
        1
    );
    bench.check(run_id);
}
