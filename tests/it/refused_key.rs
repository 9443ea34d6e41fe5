//! A key that the provider refuses: asked with once, by one of many runs, until a person has one go on.

use std::os::unix::fs::PermissionsExt;

use phasedeck::engine::api::{CommandAnswer, CommandSender, EngineCommand, StartRun};
use phasedeck::engine::host::EngineHost;
use phasedeck::model::error::Code;
use phasedeck::model::event::RunFact;
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::settings::AppSettings;
use phasedeck::model::state::{RunStatus, Via};
use serde_json::json;

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::{Script, write_pair};
use crate::model_server::Reply;

const GOOD: &str = "the-right-key-canary";

fn key(home: &Home, key: &str) -> String {
    let file = home.path().join("provider.key");
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file.to_string_lossy().into_owned()
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

fn start(host: &EngineHost, thread: &str) -> RunId {
    let (workflow, requirements) = ("pair".to_owned(), "A note".to_owned());
    let start = StartRun {
        workflow,
        requirements,
        thread: Some(thread.into()),
        ..StartRun::default()
    };
    match send(host, EngineCommand::Start(Box::new(start))) {
        CommandAnswer::Started { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

/// Waits until a run rests or asks at a gate.
fn rests(home: &Home, run: RunId) -> RunStatus {
    wait_for("rest", || {
        let state = home.archive().state(run).unwrap();
        Some(state.status)
            .filter(|status| !matches!(status, RunStatus::Created | RunStatus::Executing))
    })
}

fn refusals(home: &Home, run: RunId) -> Vec<(Code, String)> {
    let events = home.archive().events(run, 1, 10_000).unwrap();
    let failed = events.into_iter().filter_map(|event| match event.fact {
        RunFact::SessionFailed { code, message, .. } => Some((code, message)),
        _ => None,
    });
    failed.collect()
}

#[test]
fn a_refused_key_is_asked_with_once_for_all_runs_and_each_goes_on_when_it_is_mended() {
    // The agent that got through tries to have the key written down by the name of a folder.
    let script = Script::serve(|asked| match (asked.authorization.as_deref(), asked.turn) {
        (Some("Bearer the-right-key-canary"), 1) => Reply::calls("ls", &json!({"path": GOOD})),
        (Some("Bearer the-right-key-canary"), 2) => asked.writes(&asked.artifact()),
        (Some("Bearer the-right-key-canary"), _) => Reply::answer("Done."),
        _ => Reply::status(401, r#"{"error":{"message":"no such key: the-wrong-key"}}"#),
    });
    let home = Home::new();
    write_pair(&home);
    home.expect(0, &["consent", "maker"]);
    let mut settings = AppSettings::default();
    settings.openai.base_url = script.base_url();
    (settings.openai.key_env, settings.openai.key_file) =
        (String::new(), key(&home, "the-wrong-key"));
    settings.openai.model_list = false;
    settings.engine.max_concurrent_runs = 1;
    let host = EngineHost::start(&home.paths(), &settings).unwrap();

    let runs = ["a", "b", "c"].map(|thread| start(&host, thread));
    for run in runs {
        assert_eq!(rests(&home, run), RunStatus::Paused);
        let state = check_invariants(&home, &home.archive().run(run).unwrap());
        assert_eq!(
            state.approval.unwrap().gate.as_str(),
            "session_recovery_required"
        );
        let told = refusals(&home, run);
        assert_eq!((told.len(), told[0].0), (1, Code::LlmAuth));
        assert!(
            told[0].1.contains("401")
                && told[0].1.contains("resume each run")
                && !told[0].1.contains("the-wrong-key"),
            "{told:?}"
        );
    }
    assert_eq!(script.requests().len(), 1, "one run asked for all of them");
    let unasked = runs
        .iter()
        .filter(|run| refusals(&home, **run)[0].1.contains("was not asked"))
        .count();
    assert_eq!(unasked, 2);

    send(&host, EngineCommand::Resume { run_id: runs[0] });
    wait_for("the second refusal", || {
        Some(()).filter(|()| refusals(&home, runs[0]).len() == 2)
    });
    assert_eq!(
        (rests(&home, runs[0]), script.requests().len()),
        (RunStatus::Paused, 2),
        "a person's word asks once more"
    );

    key(&home, GOOD);
    for run in runs {
        send(&host, EngineCommand::Resume { run_id: run });
        assert_eq!(rests(&home, run), RunStatus::AwaitingApproval);
        check_invariants(&home, &home.archive().run(run).unwrap());
    }
    drop(host);
    for run in runs {
        let journal =
            serde_json::to_string(&home.archive().events(run, 1, 10_000).unwrap()).unwrap();
        let audit =
            std::fs::read_to_string(home.paths().audit().join(format!("{run}.jsonl"))).unwrap();
        assert!(
            journal.contains(r#""tool":"ls","target":"***""#) && !journal.contains(GOOD),
            "the later key is a secret, too: {journal}"
        );
        assert!(audit.contains("***") && !audit.contains(GOOD), "{audit}");
    }
}
