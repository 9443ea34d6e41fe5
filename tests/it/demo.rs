//! The main job on the embedded default: no key, no server, an empty home.

use std::process::Stdio;

use phasedeck::model::event::JournalEvent;

use crate::home::{Home, check_invariants, git};

/// What one phase makes of the journal; `gated` where the operator is asked.
fn phase_events(gated: bool) -> Vec<&'static str> {
    let mut events = vec![
        "phase.started",
        "artifact.expected",
        "prompt.sent",
        "artifact.validated",
    ];
    if gated {
        events.extend(["approval.requested", "approval.resolved"]);
    }
    events.push("phase.completed");
    events
}

#[test]
fn a_machine_without_certificates_can_rehearse() {
    let home = Home::new();
    let mut demo = home.command(&["demo", "--headless", "--yes"]);
    let out = demo
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nowhere")
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert_eq!(home.newest().state, "completed");
}

#[test]
fn the_headless_demo_completes_in_an_empty_home() {
    let home = Home::new();
    let out = home.expect(0, &["demo", "--headless", "--yes", "--json"]);
    let events: Vec<JournalEvent> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let run = home.newest();
    assert_eq!(
        events,
        home.events(&run),
        "what was printed is what is stored"
    );

    let workflow = home.archive().workflow(run.id).unwrap();
    let mut expected = vec!["run.created", "run.started"];
    for phase in &workflow.phases {
        expected.extend(phase_events(!workflow.gates(phase).is_empty()));
    }
    expected.push("run.completed");
    assert_eq!(
        events
            .iter()
            .map(|event| event.fact.kind())
            .collect::<Vec<_>>(),
        expected
    );

    let state = check_invariants(&home, &run);
    assert_eq!(run.state, "completed");
    assert!(run.rehearsal);
    assert_eq!(
        state
            .phases
            .iter()
            .map(|phase| phase.attempt)
            .collect::<Vec<_>>(),
        [1, 1, 1, 1, 1]
    );

    let (repo, branch) = (run.repo.clone().unwrap(), run.branch.clone().unwrap());
    let range = format!("{}..{branch}", run.base_commit.clone().unwrap());
    let commits = git(
        std::path::Path::new(&repo),
        &["log", "--reverse", "--format=%H", &range],
    );
    let recorded: Vec<_> = state
        .phases
        .iter()
        .map(|phase| phase.commit.clone().unwrap())
        .collect();
    assert_eq!(
        commits.lines().collect::<Vec<_>>(),
        recorded,
        "one commit a phase, as the journal says"
    );

    for (phase, commit) in state.phases.iter().zip(&recorded) {
        let artifact = phase.artifact.as_ref().unwrap();
        let committed = git(
            std::path::Path::new(&repo),
            &["show", &format!("{commit}:{}", artifact.path)],
        );
        assert_eq!(
            committed.into_bytes(),
            home.archive().content(&artifact.sha256).unwrap(),
            "what was validated was committed"
        );
        let body = git(
            std::path::Path::new(&repo),
            &["log", "-1", "--format=%B", commit],
        );
        assert!(
            body.contains(&format!("Phasedeck-Run: {}", run.id))
                && body.contains(&format!("Phasedeck-Phase: {}", phase.key)),
            "{body}"
        );
    }
}

#[test]
fn the_report_of_the_demo_fits_the_schema_that_ships() {
    let home = Home::new();
    home.expect(0, &["demo", "--headless", "--yes", "--json"]);
    let run = home.newest();
    let text = home.expect(0, &["report", &run.id.short(), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../schemas/output/report.schema.json")).unwrap();
    let validator = jsonschema::options().build(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&report)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    let stored = std::fs::read_to_string(format!("{}.json", run.report_path.unwrap())).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&stored).unwrap(),
        report
    );
    assert!(
        home.expect(0, &["report", "@last", "--md"])
            .contains("development@1")
    );
}

#[test]
fn a_gate_waits_and_is_answered_from_another_process() {
    let home = Home::new();
    let repo = home.repository("project");
    let mut host = home
        .command(&[
            "run",
            "bugfix@1",
            "--repo",
            repo.to_str().unwrap(),
            "-m",
            "The counter loses a click",
            "--rehearse",
            "--headless",
            "--json",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut answered = 0;
    let run = wait_for("the run to be there", || {
        phasedeck::engine::api::RunArchive::open(&home.paths())
            .ok()?
            .runs(&phasedeck::engine::api::RunQuery::default())
            .ok()?
            .pop()
    });
    loop {
        let state = wait_for("a gate or the end", || {
            let state = home.archive().state(run.id).unwrap();
            (state.approval.is_some() || state.status.is_terminal()).then_some(state)
        });
        if state.status.is_terminal() {
            break;
        }
        if answered == 0 {
            home.expect(2, &["changes", &run.id.short()]);
            home.expect(0, &["changes", &run.id.short(), "-m", "Say which click"]);
        } else {
            home.expect(0, &["approve", &run.id.short()]);
        }
        answered += 1;
    }
    assert_eq!(host.wait().unwrap().code(), Some(0));
    assert!(answered >= 2, "a gate was asked again after the changes");
    let state = check_invariants(&home, &run);
    assert!(state.phases.iter().any(|phase| phase.attempt == 2));
    home.expect(2, &["approve", &run.id.short()]);
}

/// Looks until there is something; the test's own time limit ends what never comes.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "waited in vain for {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_no_that_ends_the_run_is_in_effect_without_a_host() {
    let home = Home::new();
    let mut host = home
        .command(&["demo", "--headless"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    home.wait_for_question("spec_approved", &mut host);
    home.expect(0, &["pause", "@last"]);
    assert_eq!(host.wait().unwrap().code(), Some(4));
    let said = home.run(&["reject", "@last", "-m", "Not like this."]);
    assert_eq!(
        (
            said.status.code(),
            String::from_utf8(said.stderr).unwrap().as_str()
        ),
        (Some(0), ""),
        "nobody is told to resume it"
    );
    assert_eq!(home.newest().state, "failed");
}
