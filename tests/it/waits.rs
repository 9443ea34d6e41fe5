//! Waits that a model's server asks for: seen, holding nothing, and kept by the next host.

use phasedeck::engine::api::{CommandAnswer, CommandSender, EngineCommand, StartRun};
use phasedeck::engine::host::EngineHost;
use phasedeck::model::error::Code;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::{ClientToken, RunId, TurnId};
use phasedeck::model::record::RunOptions;
use phasedeck::model::run_state::RunState;
use phasedeck::model::settings::{AppSettings, CrashPolicy};
use phasedeck::model::state::{RunStatus, Via};
use phasedeck::model::time::Timestamp;
use phasedeck::store::{Store, journal};

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::{Asked, Script, write_pair};
use crate::model_server::Reply;

fn script() -> Script {
    Script::serve(|asked: &Asked| match (asked.phase.as_str(), asked.turn) {
        ("first", 1) => Reply::status(429, "{}").header("Retry-After", "3600"),
        (_, 1) => asked.writes(&asked.artifact()),
        _ => Reply::answer("done"),
    })
}

fn host(home: &Home, script: &Script) -> EngineHost {
    let mut settings = AppSettings::default();
    (settings.openai.base_url, settings.openai.key_env) = (script.base_url(), String::new());
    settings.openai.model_list = false;
    settings.rehearsal.pace_ms = 0;
    (
        settings.engine.on_crash,
        settings.engine.max_concurrent_runs,
    ) = (CrashPolicy::Resume, 1);
    EngineHost::start(&home.paths(), &settings).unwrap()
}

fn start(host: &EngineHost, thread: &str, options: RunOptions) -> RunId {
    let (workflow, requirements) = ("pair".to_owned(), "A note".to_owned());
    let start = StartRun {
        workflow,
        requirements,
        options,
        thread: Some(thread.into()),
        ..StartRun::default()
    };
    match send(host, EngineCommand::Start(Box::new(start))) {
        CommandAnswer::Started { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

fn send(host: &EngineHost, command: EngineCommand) -> CommandAnswer {
    let sender = CommandSender {
        by: "tester".to_owned(),
        via: Via::Cli,
    };
    host.handle()
        .block_on(host.port().send(command, sender, ClientToken::new()))
        .unwrap()
}

fn state(home: &Home, run: RunId) -> RunState {
    home.archive().state(run).unwrap()
}

#[test]
fn a_long_wait_is_seen_holds_no_place_and_is_kept_by_the_next_host() {
    let (home, script) = (Home::new(), script());
    write_pair(&home);
    home.expect(0, &["consent", "maker"]);
    let first = host(&home, &script);
    let began = Timestamp::now();
    let run = start(&first, "a", RunOptions::default());
    let waits = |run| wait_for("the wait", || state(&home, run).waiting);
    let waiting = waits(run);
    assert_eq!(
        (
            waiting.phase_key.as_str(),
            waiting.wait_ms,
            waiting.tries,
            waiting.code
        ),
        ("first", 3_600_000, 1, Code::LlmRateLimited)
    );
    assert!((3_600_000..3_660_000).contains(&waiting.until.since_ms(began)));
    assert_eq!(state(&home, run).status, RunStatus::Executing);

    let other = start(
        &first,
        "b",
        RunOptions {
            rehearse: true,
            ..RunOptions::default()
        },
    );
    wait_for("the only place to work", || {
        Some(()).filter(|()| state(&home, other).status == RunStatus::AwaitingApproval)
    });

    drop(first);
    let second = host(&home, &script);
    wait_for("the run is taken up", || {
        Some(()).filter(|()| state(&home, run).resumes == 1)
    });
    assert_eq!(
        waits(run).until,
        waiting.until,
        "the rest of it is waited for"
    );
    drop(second);
    assert_eq!(script.requests().len(), 1, "the server is left alone");

    let store = Store::open(&home.paths().database()).unwrap();
    let (turn_id, until) = (TurnId::new(), Some(Timestamp::now()));
    let over = RunFact::LlmRetried {
        phase_key: "first".into(),
        turn_id,
        r#try: 4,
        status: Some(429),
        code: Code::LlmRateLimited,
        wait_ms: 3_600_000,
        until,
    };
    store
        .write_blocking(move |tx| journal::append(tx, run, &[over], Timestamp::now()))
        .unwrap();
    store.close_blocking().unwrap();
    let third = host(&home, &script);
    let rests = wait_for("the last try", || {
        Some(state(&home, run)).filter(|state| state.status == RunStatus::Paused)
    });
    assert_eq!(
        script.requests().len(),
        2,
        "tried at once when it is over, as the fifth of five"
    );
    assert_eq!(
        (rests.waiting, rests.approval.unwrap().gate.as_str()),
        (None, "session_recovery_required")
    );
    let failed = home
        .archive()
        .events(run, 1, 10_000)
        .unwrap()
        .into_iter()
        .rev()
        .find_map(|event| match event.fact {
            RunFact::SessionFailed { code, .. } => Some(code),
            _ => None,
        });
    assert_eq!(failed, Some(Code::LlmRateLimited));
    drop(third);
    check_invariants(&home, &home.archive().run(run).unwrap());
}
