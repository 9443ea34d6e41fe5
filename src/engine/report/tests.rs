use serde_json::{Value, json};

use super::*;
use crate::model::event::{CallStatus, JournalEvent, RunFact, TokenUsage};
use crate::model::money::NanoUsd;
use crate::model::persona::RoleBinding;
use crate::model::record::{ApprovalRecord, ArtifactRecord, LedgerRecord, RunRecord};
use crate::model::run_state::RunState;
use crate::model::time::Timestamp;
use crate::model::workflow::Workflow;

const RUN: &str = "01930000-0000-7000-8000-0000deadbeef";
const REQUEST: &str = "01930000-0000-7000-8000-000000000001";
const TURN: &str = "01930000-0000-7000-8000-000000000002";

/// Everything that a report is built from.
struct ReportFixture {
    run: RunRecord,
    state: RunState,
    workflow: Workflow,
    bindings: Vec<RoleBinding>,
    artifacts: Vec<ArtifactRecord>,
    approvals: Vec<ApprovalRecord>,
    ledger: Vec<LedgerRecord>,
    events: Vec<JournalEvent>,
}

impl ReportFixture {
    fn report(&self) -> RunsReport {
        RunsReport::build(
            &self.run,
            &self.state,
            Some(&self.workflow),
            &self.bindings,
            &self.artifacts,
            &self.approvals,
            &self.ledger,
            &self.events,
        )
    }
}

fn fact(kind: &str, payload: Value) -> RunFact {
    serde_json::from_value(json!({ "type": kind, "payload": payload })).unwrap()
}

/// A run of two phases whose first artifact was rejected, with one call that nobody knows the price of.
fn rejected_run() -> ReportFixture {
    let hash = |c: char| c.to_string().repeat(64);
    let workflow = json!({ "name": "development", "version": 1, "roles": [{ "id": "architect" }], "phases": [
        { "key": "spec", "title": "Specify", "role": "architect" }, { "key": "plan", "role": "architect", "risk": "high" }] });
    let artifact = json!({ "path": "spec.json", "schema": "dev/spec@1", "sha256": hash('a'), "bytes": 120, "version": 1 });
    let mut validated = json!({ "phase_key": "spec", "attempt": 1 });
    validated
        .as_object_mut()
        .unwrap()
        .extend(artifact.as_object().unwrap().clone());
    let tokens = TokenUsage {
        input: 1200,
        output: 300,
        cached: 1000,
        reasoning: 50,
    };
    let facts = [
        (
            0,
            fact(
                "run.created",
                json!({ "workflow": "development@1", "workflow_hash": hash('f'), "thread": "main", "phases": ["spec", "plan"], "rehearsal": false }),
            ),
        ),
        (
            0,
            fact(
                "run.started",
                json!({ "workflow": "development@1", "thread": "main" }),
            ),
        ),
        (
            1000,
            fact(
                "phase.started",
                json!({ "phase_key": "spec", "attempt": 1, "role": "architect", "persona": "planner@2", "cause": "first" }),
            ),
        ),
        (31_000, fact("artifact.validated", validated)),
        (
            31_000,
            fact(
                "approval.requested",
                json!({ "request_id": REQUEST, "phase_key": "spec", "gate": "spec_approved", "artifact_sha256": hash('a'), "artifact_version": 1 }),
            ),
        ),
        (
            93_000,
            fact(
                "approval.resolved",
                json!({ "request_id": REQUEST, "phase_key": "spec", "gate": "spec_approved", "action": "reject",
            "comment": "no", "by": "ada", "via": "console", "artifact_sha256": hash('a') }),
            ),
        ),
        (
            93_000,
            fact(
                "phase.failed",
                json!({ "phase_key": "spec", "reason": "approval_rejected", "message": "no" }),
            ),
        ),
        (
            93_000,
            fact(
                "run.failed",
                json!({ "code": "approval_rejected", "message": "the operator said no at spec_approved", "hint": "start again with other requirements" }),
            ),
        ),
    ];
    let events: Vec<JournalEvent> = facts
        .into_iter()
        .zip(1..)
        .map(|((at, fact), seq)| JournalEvent {
            run_id: RUN.parse().unwrap(),
            seq,
            at: Timestamp(at),
            fact,
        })
        .collect();
    let state = RunState::fold(RUN.parse().unwrap(), &events).unwrap();
    let run = json!({ "id": RUN, "workflow": "development@1", "workflow_hash": hash('f'), "thread": "main", "state": "failed",
        "requirements": "Greet people.\n# Not a heading | <b>\u{202e}x", "repo": "/src/app", "base_branch": "main", "base_commit": "0123456789abcdef",
        "branch": "phasedeck/deadbeef", "phases_total": 2, "phases_done": 0, "rehearsal": false, "options": {}, "error_code": "approval_rejected",
        "created_at": Timestamp(0), "started_at": Timestamp(1000), "ended_at": Timestamp(93_000), "updated_at": Timestamp(93_000), "last_seq": 8,
        "cost": { "known": 410_000_000, "unknown_calls": 1 }, "tokens": TokenUsage::default(), "calls": 2 });
    let call = |model: &str, cost: Option<i64>| LedgerRecord {
        turn_id: TURN.parse().unwrap(),
        run_id: RUN.parse().unwrap(),
        phase_key: "spec".into(),
        attempt: 1,
        persona: "planner@2".to_owned(),
        model: model.to_owned(),
        status: Some(CallStatus::Ok),
        reserved: None,
        cost: cost.map(NanoUsd),
        estimated: false,
        tokens,
        latency_ms: 5,
        error_code: None,
        provider_request_id: None,
        at: Timestamp(2000),
    };
    ReportFixture {
        run: serde_json::from_value(run).unwrap(),
        state,
        workflow: serde_json::from_value(workflow).unwrap(),
        bindings: serde_json::from_value(
            json!([{ "role": "architect", "persona": "planner@2", "persona_hash": hash('b'), "backend": "openai", "model": "big-1" }]),
        )
        .unwrap(),
        artifacts: serde_json::from_value(
            json!([{ "phase_key": "spec", "version": 1, "attempt": 1, "path": "spec.json", "schema": "dev/spec@1",
            "sha256": hash('a'), "bytes": 120, "valid": true, "errors": [], "at": Timestamp(31_000) }]),
        )
        .unwrap(),
        approvals: serde_json::from_value(
            json!([{ "id": REQUEST, "run_id": RUN, "phase_key": "spec", "gate": "spec_approved", "state": "rejected",
            "artifact_sha256": hash('a'), "artifact_version": 1, "requested_at": Timestamp(31_000), "resolved_at": Timestamp(93_000),
            "comment": "no\nnot | so", "resolved_by": "ada", "via": "console" }]),
        )
        .unwrap(),
        ledger: vec![call("big-1", Some(410_000_000)), call("local", None)],
        events,
    }
}

#[test]
fn a_report_reads_well() {
    insta::assert_snapshot!(render_markdown(&rejected_run().report()), @r#"
        # development@1 — failed

        0 of 2 phases done in 1m33: 30s of work, 1m02 of waiting for you. Cost: **$0.4100 + ?**.

        - Run: `01930000-0000-7000-8000-0000deadbeef`
        - Thread: `main`
        - Repository: `/src/app`
        - From: `main` at `0123456789abcdef`
        - Branch: `phasedeck/deadbeef`
        - Began: 1970-01-01T00:00:00.000Z
        - Ended: 1970-01-01T00:01:33.000Z

        ## What went wrong

        **the operator said no at spec_approved** (`approval_rejected`)

        What to do: start again with other requirements

        ## Unresolved

        - `spec`: call 01930000-0000-7000-8000-000000000002 to local has no known price
        - `plan`: phase 'plan' was not reached

        ## Requirements

        > Greet people.  
        > \# Not a heading \| \<b\>\<RLO\>x

        ## Phases

        | Phase | State | Persona | Attempts | Worked | Waited | Commit |
        | --- | --- | --- | --- | --- | --- | --- |
        | ✗ Specify | failed | planner@2 | 1 | 30s | 1m02 | – |
        | · plan | pending | – | – | 0.0s | 0.0s | – |

        ## Decisions

        - **`spec_approved`** on `spec`: rejected — ada by console, 1970-01-01T00:01:33.000Z, after 1m02; content `aaaaaaaaaaaa` (version 1)

          > no  
          > not \| so

        ## Artifacts

        | Path | Version / attempt | Schema | Valid | Bytes | SHA-256 |
        | --- | --- | --- | --- | --- | --- |
        | `spec.json` | 1 / 1 | `dev/spec@1` | ✓ valid | 120 | `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` |

        ## Costs by phase

        | Phase | Calls | Input | of it cached | Output | of it reasoning | Cost |
        | --- | --- | --- | --- | --- | --- | --- |
        | spec | 2 | 2400 | 2000 | 600 | 100 | $0.4100 + ? |
        | total | 2 | 2400 | 2000 | 600 | 100 | $0.4100 + ? |

        ## Costs by model

        | Model | Calls | Input | of it cached | Output | of it reasoning | Cost |
        | --- | --- | --- | --- | --- | --- | --- |
        | big-1 | 1 | 1200 | 1000 | 300 | 50 | $0.4100 |
        | local | 1 | 1200 | 1000 | 300 | 50 | ? |

        `?` stands for calls whose price nobody knows: 1. They are not free.

        ## Who did it

        | Role | Persona | Backend | Model | Persona hash |
        | --- | --- | --- | --- | --- |
        | architect | planner@2 | openai | `big-1` | `bbbbbbbbbbbb` |

        ## Last events

        | Seq | At | Event | Phase | What |
        | --- | --- | --- | --- | --- |
        | 1 | 1970-01-01T00:00:00.000Z | `run.created` | – | – |
        | 2 | 1970-01-01T00:00:00.000Z | `run.started` | – | – |
        | 3 | 1970-01-01T00:00:01.000Z | `phase.started` | spec | attempt 1, planner@2 |
        | 4 | 1970-01-01T00:00:31.000Z | `artifact.validated` | spec | attempt 1, spec.json |
        | 5 | 1970-01-01T00:00:31.000Z | `approval.requested` | spec | spec_approved |
        | 6 | 1970-01-01T00:01:33.000Z | `approval.resolved` | spec | spec_approved, reject |
        | 7 | 1970-01-01T00:01:33.000Z | `phase.failed` | spec | approval_rejected |
        | 8 | 1970-01-01T00:01:33.000Z | `run.failed` | – | approval_rejected |
        "#);
}

#[test]
fn a_report_of_a_rehearsal_says_so_first() {
    let mut rows = rejected_run();
    rows.run.rehearsal = true;
    rows.ledger.clear();
    let text = render_markdown(&rows.report());
    assert_eq!(
        text.lines().nth(2).unwrap(),
        "> **REHEARSAL.** No model was asked and nothing was paid. Every artifact below is made up."
    );
    assert!(text.contains("\nNo model was called.\n"));
}

#[test]
fn an_abort_says_who_and_why() {
    let mut rows = rejected_run();
    rows.events.truncate(4);
    let fact = fact(
        "run.aborted",
        json!({ "by": "ada", "via": "cli", "reason": "wrong branch" }),
    );
    rows.events.push(JournalEvent {
        run_id: rows.run.id,
        seq: 5,
        at: Timestamp(40_000),
        fact,
    });
    rows.state = RunState::fold(rows.run.id, &rows.events).unwrap();
    rows.run.error_code = None;
    let report = rows.report();
    assert_eq!(
        (report.run.state.as_str(), &report.error),
        ("aborted", &None)
    );
    let text = render_markdown(&report);
    assert!(
        text.contains("\n- Aborted: by ada (cli): wrong branch\n"),
        "{text}"
    );
}

#[test]
fn an_unknown_price_is_null_in_every_sum_it_is_part_of() {
    let costs = rejected_run().report().costs;
    let sums = |line: &CostReport| {
        (
            line.label.clone(),
            line.calls,
            line.unknown_calls,
            line.cost_nano_usd,
            line.known_nano_usd,
        )
    };
    assert_eq!(
        sums(&costs.total),
        ("total".to_owned(), 2, 1, None, Some(410_000_000))
    );
    assert_eq!(
        costs.by_phase.iter().map(sums).collect::<Vec<_>>(),
        [("spec".to_owned(), 2, 1, None, Some(410_000_000))]
    );
    assert_eq!(
        costs.by_model.iter().map(sums).collect::<Vec<_>>(),
        [
            (
                "big-1".to_owned(),
                1,
                0,
                Some(410_000_000),
                Some(410_000_000)
            ),
            ("local".to_owned(), 1, 1, None, None)
        ]
    );
    assert_eq!(
        costs.total.tokens,
        TokenUsage {
            input: 2400,
            output: 600,
            cached: 2000,
            reasoning: 100
        }
    );
}

#[test]
fn everything_open_is_listed() {
    let mut rows = rejected_run();
    rows.state = RunState::fold(rows.state.run_id, &rows.events[..5]).unwrap();
    rows.approvals[0].state = crate::model::state::ApprovalStatus::Pending;
    rows.ledger[1].status = None;
    let open: Vec<(UnresolvedKind, String)> = rows
        .report()
        .unresolved
        .into_iter()
        .map(|open| (open.kind, open.what))
        .collect();
    assert_eq!(
        open,
        [
            (
                UnresolvedKind::PendingApproval,
                "the question 'spec_approved' was never answered".to_owned()
            ),
            (
                UnresolvedKind::UnknownCost,
                format!("call {TURN} to local is still open")
            ),
            (
                UnresolvedKind::PhaseUnfinished,
                "phase 'spec' was left awaiting approval".to_owned()
            ),
            (
                UnresolvedKind::PhaseNotReached,
                "phase 'plan' was not reached".to_owned()
            ),
        ]
    );
}

#[test]
fn only_the_last_twenty_events_are_kept() {
    let mut rows = rejected_run();
    let last = rows.events.last().unwrap().clone();
    rows.events.extend((9..40).map(|seq| JournalEvent {
        seq,
        ..last.clone()
    }));
    let seqs: Vec<u64> = rows
        .report()
        .last_events
        .iter()
        .map(|event| event.seq)
        .collect();
    assert_eq!(seqs, (20..40).collect::<Vec<u64>>());
}

#[test]
fn the_json_fits_the_schema_reads_back_and_misleads_nobody() {
    let report = rejected_run().report();
    let text = to_json(&report).unwrap();
    file::check(&text).unwrap();
    assert_eq!(serde_json::from_str::<RunsReport>(&text).unwrap(), report);
    assert!(text.contains("\\u202ex") && !text.contains('\u{202e}'));
    assert!(file::check("{}").is_err());
}

#[cfg(unix)]
#[test]
fn a_report_is_written_twice_with_the_same_bytes_and_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let (dir, report) = (home.path().join("reports"), rejected_run().report());
    let mut written = Vec::new();
    for _ in 0..2 {
        let path = write(&dir, RUN.parse().unwrap(), &report).unwrap();
        assert_eq!(path, dir.join(format!("{RUN}.report")));
        let files = ["json", "md"].map(|extension| dir.join(format!("{RUN}.report.{extension}")));
        assert!(
            files
                .iter()
                .all(|file| std::fs::metadata(file).unwrap().permissions().mode() & 0o777 == 0o600)
        );
        written.push(files.map(|file| std::fs::read_to_string(file).unwrap()));
    }
    assert_eq!(written[0], written[1]);
    assert_eq!(
        written[0],
        [to_json(&report).unwrap(), render_markdown(&report)]
    );
    assert_eq!(
        std::fs::read_dir(&dir).unwrap().count(),
        2,
        "no temporary file stays"
    );
}

/// What `docs/events.md` says: its rows by event type, and its examples.
fn documented() -> (Vec<(String, String)>, Vec<JournalEvent>) {
    let text = include_str!("../../../docs/events.md");
    let row = regex::Regex::new(r"(?m)^\| `([a-z]+\.[a-z]+)` \|(.*)$").unwrap();
    let rows = row
        .captures_iter(text)
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    let examples = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (rows, examples)
}

#[test]
fn every_event_type_is_documented_once_with_an_example() {
    let rename = regex::Regex::new(r#"#\[serde\(rename = "([a-z]+\.[a-z]+)"\)\]"#).unwrap();
    let mut kinds: Vec<String> = rename
        .captures_iter(include_str!("../../model/event.rs"))
        .map(|found| found[1].to_owned())
        .collect();
    let (rows, examples) = documented();
    let mut rows: Vec<String> = rows.into_iter().map(|(kind, _)| kind).collect();
    let mut shown: Vec<String> = examples
        .iter()
        .map(|event| event.fact.kind().to_owned())
        .collect();
    for list in [&mut kinds, &mut rows, &mut shown] {
        list.sort();
    }
    assert_eq!(kinds.len(), 35);
    assert_eq!((&rows, &shown), (&kinds, &kinds));
}

#[test]
fn every_payload_field_is_explained_in_the_row_of_its_event() {
    let (rows, examples) = documented();
    for event in examples {
        let (_, row) = rows
            .iter()
            .find(|(kind, _)| kind == event.fact.kind())
            .unwrap();
        let fact = serde_json::to_value(&event.fact).unwrap();
        for field in fact["payload"].as_object().unwrap().keys() {
            assert!(
                row.contains(&format!("`{field}`")),
                "{}: `{field}` is not explained",
                event.fact.kind()
            );
        }
    }
}

#[test]
fn the_page_holds_everything_and_lets_nothing_foreign_become_markup() {
    let mut rows = rejected_run();
    rows.run.requirements = "<script>alert(1)</script>\u{1b}[2J".to_owned();
    let report = rows.report();
    let contents = [("spec".to_owned(), 1, "{\"a\":\"<b>\"}".to_owned())];
    let page = render_html(&report, &contents);
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;\u{241b}[2J"),
        "{page}"
    );
    assert!(
        page.contains("{&quot;a&quot;:&quot;&lt;b&gt;&quot;}"),
        "{page}"
    );
    assert!(
        !page.contains("<script") && !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    for words in [
        "Specify",
        "approval_rejected",
        "Decisions",
        "Timeline",
        "By model",
    ] {
        assert!(page.contains(words), "{words}");
    }
}
