//! Consoles beside the host, by the ports they hold: who answers first wins, and the end of the host is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use phasedeck::engine::api::{
    CommandAnswer, CommandSender, EngineCommand, EnginePort, EngineSignal, StartRun,
};
use phasedeck::engine::host::{EngineHost, attach};
use phasedeck::model::error::{Code, Failure};
use phasedeck::model::event::RunFact;
use phasedeck::model::id::{ClientToken, RequestId, RunId};
use phasedeck::model::record::RunOptions;
use phasedeck::model::settings::AppSettings;
use phasedeck::model::state::{Decision, Via};
use tokio::runtime::Runtime;

use crate::demo::wait_for;
use crate::home::{Home, check_invariants};
use crate::model_script::write_pair;

fn host(home: &Home) -> EngineHost {
    let mut settings = AppSettings::default();
    settings.rehearsal.pace_ms = 0;
    EngineHost::start(&home.paths(), &settings).unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

async fn send(
    port: EnginePort,
    who: &str,
    command: EngineCommand,
) -> Result<CommandAnswer, Failure> {
    port.send(
        command,
        CommandSender {
            by: who.to_owned(),
            via: Via::Console,
        },
        ClientToken::new(),
    )
    .await
}

fn start(runtime: &Runtime, port: &EnginePort) -> RunId {
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
    match runtime
        .block_on(send(
            port.clone(),
            "ann",
            EngineCommand::Start(Box::new(start)),
        ))
        .unwrap()
    {
        CommandAnswer::Started { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

fn next_question(home: &Home, run_id: RunId, after: Option<RequestId>) -> RequestId {
    let archive = home.archive();
    wait_for("the next question", || {
        archive
            .state(run_id)
            .unwrap()
            .approval
            .map(|open| open.request_id)
            .filter(|id| Some(*id) != after)
    })
}

fn again(run_id: RunId, request_id: RequestId, who: &str) -> EngineCommand {
    let comment = format!("{who} wants it otherwise");
    EngineCommand::decide(run_id, Some(request_id), Decision::RequestChanges, comment)
}

/// As many gates as are asked for by `PHASEDECK_RACES`, else a few that take no time.
#[test]
fn of_two_consoles_that_answer_at_once_one_wins_at_every_gate() {
    let rounds = std::env::var("PHASEDECK_RACES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(60);
    let home = Home::new();
    write_pair(&home);
    let host = host(&home);
    let (one, other) = (runtime(), runtime());
    let ports = [
        attach(&home.paths(), one.handle()).unwrap(),
        attach(&home.paths(), other.handle()).unwrap(),
    ];
    let run_id = start(&one, &ports[0]);
    let (mut asked, mut wins) = (None, BTreeMap::from([("ann", 0), ("ben", 0)]));
    for round in 0..rounds {
        let request_id = next_question(&home, run_id, asked);
        asked = Some(request_id);
        let ann = one.spawn(send(
            ports[0].clone(),
            "ann",
            again(run_id, request_id, "ann"),
        ));
        let ben = other.spawn(send(
            ports[1].clone(),
            "ben",
            again(run_id, request_id, "ben"),
        ));
        let answers =
            one.block_on(async { [("ann", ann.await.unwrap()), ("ben", ben.await.unwrap())] });
        let won: Vec<&str> = answers
            .iter()
            .filter(|(_, answer)| answer.is_ok())
            .map(|(who, _)| *who)
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        *wins.get_mut(won[0]).unwrap() += 1;
        let lost = answers
            .iter()
            .find_map(|(_, answer)| answer.as_ref().err())
            .unwrap();
        assert!(
            matches!(
                lost.code,
                Code::ApprovalAlreadyResolved | Code::NoPendingApproval
            ),
            "{lost}"
        );
    }
    next_question(&home, run_id, asked);
    let run = home.newest();
    check_invariants(&home, &run);
    let told = |who: &str| {
        home.events(&run)
            .iter()
            .filter(
                |event| matches!(&event.fact, RunFact::ApprovalResolved { by, .. } if by == who),
            )
            .count()
    };
    assert_eq!(
        (told("ann"), told("ben")),
        (wins["ann"], wins["ben"]),
        "who was told to have won is who is in the journal"
    );
    assert_eq!(told("ann") + told("ben"), rounds);
    host.shutdown(Duration::ZERO).unwrap();
}

#[test]
fn a_command_of_another_process_wakes_a_host_at_rest() {
    let home = Home::new();
    write_pair(&home);
    let host = host(&home);
    let runtime = runtime();
    let port = attach(&home.paths(), runtime.handle()).unwrap();
    let run_id = start(&runtime, &port);
    let request_id = next_question(&home, run_id, None);
    // Longer than the host looks around after the last thing that happened.
    std::thread::sleep(Duration::from_millis(1500));
    let before = Instant::now();
    runtime
        .block_on(send(port, "ann", again(run_id, request_id, "ann")))
        .unwrap();
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "it was not woken: {:?}",
        before.elapsed()
    );
    host.shutdown(Duration::ZERO).unwrap();
}

#[test]
fn who_is_attached_hears_of_facts_and_of_the_end_and_the_return_of_the_host() {
    let home = Home::new();
    write_pair(&home);
    let first = host(&home);
    let runtime = runtime();
    let port = attach(&home.paths(), runtime.handle()).unwrap();
    let mut signals = port.signals();
    let mut hears = |what: &str, is: &dyn Fn(&EngineSignal) -> bool| {
        let heard = async { while !is(&signals.recv().await.unwrap()) {} };
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(20), heard).await })
            .unwrap_or_else(|_| panic!("never: {what}"));
    };
    start(&runtime, &port);
    hears(
        "the question",
        &|signal| matches!(signal, EngineSignal::Event(event) if matches!(event.fact, RunFact::ApprovalRequested { .. })),
    );
    first.shutdown(Duration::ZERO).unwrap();
    hears("the end", &|signal| {
        matches!(signal, EngineSignal::HostPresence(false))
    });
    let second = host(&home);
    hears("the return", &|signal| {
        matches!(signal, EngineSignal::HostPresence(true))
    });
    second.shutdown(Duration::ZERO).unwrap();
}
