//! A small world for tests: runs in every state, one journal played to several places, and a bench
//! that answers the console's questions from it.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::document::Document;
use super::gate_texts::{self, Inputs};
use super::key::Chord;
use super::keymap::Keymap;
use super::looks::Costs;
use super::msg::{Cmd, Details, Done, Drawn, Loaded, Msg, Now, Opened, Preview, Query, Ticket, Work};
use super::recorder::{Moment, TURNS};
use super::runs::is_live;
use super::state::{AppState, Look};
use super::stored_transcript;
use super::tail::Need;
use super::update::{start, update};
use crate::engine::api::{
    Answer, ArtifactHits, Check, Command, ConsentAsk, Estimate, Outlook, Page, PageAsk, Part, RunCounts, RunPage, Seat, StartRun, Subject,
    Verdict, search_words,
};
use crate::model::error::{Code, Failure};
use crate::model::event::{ArtifactError, ArtifactRef, AttemptCause, CallStatus, Event, Fact, Tokens, ToolOutcome};
use crate::model::forecast::{Forecast, Sample};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RequestId, RunId, SessionId, TurnId};
use crate::model::money::{Cost, NanoUsd};
use crate::model::persona::{Binding, Params, Permission, Persona};
use crate::model::record::{ApprovalRecord, ArtifactRecord, CostLine, RunOptions, RunRecord};
use crate::model::run_state::RunState;
use crate::model::settings::ThemeName;
use crate::model::state::{ApprovalStatus, Decision, PauseReason, Risk, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::model::wanted::Wanted;
use crate::model::workflow::{ExpectedArtifact, Phase, Role, Workflow};

/// The moment all of this is looked at: 2025-11-21 04:40 UTC.
pub const NOW: Timestamp = Timestamp(1_763_700_000_000);

/// What the agent wrote first, and after it was told to change it.
pub const SPEC_V1: &str = r#"{"title":"Shop cart","requirements":["add an item","remove an item"],"acceptance_criteria":[]}"#;
/// See [`SPEC_V1`].
pub const SPEC_V2: &str = r#"{"title":"Shop cart","requirements":["add an item","remove an item","prices in cents"],"acceptance_criteria":["a cart with two items shows both, with the sum in cents and without rounding"]}"#;

/// Ids that are the same in every test.
pub fn run_id(n: u8) -> RunId {
    format!("01930000-0000-7000-8000-0000dead00{n:02x}").parse().unwrap()
}

/// The question at the first gate, and at the second.
pub fn request_id(n: u8) -> RequestId {
    format!("01930000-0000-7000-8000-00000000aa{n:02x}").parse().unwrap()
}

fn turn_id(n: u8) -> TurnId {
    format!("01930000-0000-7000-8000-00000000bb{n:02x}").parse().unwrap()
}

/// A row of the list.
pub fn record(n: u8, state: RunStatus, minutes_ago: i64) -> RunRecord {
    let at = Timestamp(NOW.0 - minutes_ago * 60_000);
    RunRecord {
        id: run_id(n),
        workflow: "development@1".to_owned(),
        workflow_hash: ContentHash::of(b"w"),
        thread: format!("shop-cart:main{n}").as_str().into(),
        state: state.as_str().to_owned(),
        paused_from_state: None,
        pause_reason: None,
        requirements: "A cart that shows prices in cents and never rounds them".to_owned(),
        repo: Some("/home/op/shop-cart".to_owned()),
        base_branch: Some("main".to_owned()),
        base_commit: None,
        branch: Some(format!("phasedeck/{}", run_id(n).short())),
        worktree: None,
        current_phase: Some("plan".into()),
        phases_total: 4,
        phases_done: 1,
        pending_gate: None,
        pending_since: None,
        rehearsal: false,
        options: RunOptions::default(),
        error_code: None,
        error_message: None,
        error_hint: None,
        report_path: None,
        line: None,
        rollback: None,
        origin: crate::model::record::Origin::default(),
        created_at: at,
        started_at: Some(at),
        ended_at: state.is_terminal().then_some(Timestamp(at.0 + 60_000)),
        updated_at: Timestamp(at.0 + 60_000),
        last_seq: 12,
        cost: Cost { known: NanoUsd(410_000_000 + i64::from(n) * 10_000_000), unknown_calls: 0 },
        tokens: Tokens::default(),
        calls: 3,
    }
}

/// One of thousands of runs, the first the newest.
pub fn many(n: i64, state: RunStatus) -> RunRecord {
    let id = format!("01930000-0000-7000-8000-{n:012x}").parse().unwrap();
    RunRecord { id, created_at: Timestamp(NOW.0 - n * 60_000), ..record(1, state, 5000) }
}

/// The part of a list that the archive would give.
pub fn page(records: &[RunRecord], ask: &PageAsk) -> RunPage {
    let words = search_words(&ask.filter);
    let fits = |r: &&RunRecord| {
        let text = format!("{} {} {} {} {}", r.id, r.workflow, r.thread, r.state, r.requirements).to_lowercase();
        words.iter().all(|word| text.contains(word)) || ask.also.contains(&r.id)
    };
    let done = |r: &&RunRecord| words.is_empty() && r.state == "completed" && r.ended_at >= Some(ask.midnight);
    let mut all: Vec<RunRecord> = records.iter().filter(fits).cloned().collect();
    all.sort_by_key(|r| std::cmp::Reverse(r.created_at));
    let rest: Vec<RunRecord> = all.iter().filter(|r| !is_live(r) && !done(r)).cloned().collect();
    let today: Vec<RunRecord> = all.iter().filter(|r| !is_live(r) && done(r)).cloned().collect();
    let mut counts = RunCounts { total: records.len() as u32, rest: rest.len() as u32, today: today.len() as u32, ..RunCounts::default() };
    counts.paused = records.iter().filter(|r| r.state == "paused").count() as u32;
    today.iter().for_each(|r| counts.today_cost += r.cost);
    records.iter().filter(|r| r.updated_at >= ask.midnight).for_each(|r| counts.spent += r.cost);
    let window = rest.into_iter().skip(ask.offset as usize).take(ask.limit as usize).collect();
    let live = all.iter().filter(|r| is_live(r)).cloned().collect();
    let aside = records.iter().filter(|r| is_live(r) && !fits(r)).cloned().collect();
    RunPage { live, aside, today: if ask.today { today } else { Vec::new() }, rest: window, counts }
}

/// What a month of work cost.
pub fn costs() -> Costs {
    let line = |label: String, nano: i64, unknown: u32| {
        let tokens = Tokens { input: 120_000, output: 9_000, ..Tokens::default() };
        CostLine { label, calls: 12 + unknown, tokens, cost: Cost { known: NanoUsd(nano), unknown_calls: unknown } }
    };
    let days = (1..=20i64).filter(|day| day % 6 != 0).map(|day| line(format!("2025-11-{day:02}"), (day * 37 % 11) * 130_000_000, 0));
    let phases = [("spec", 2_100), ("plan", 3_400), ("implement", 4_570), ("verify", 0)];
    let models = [("anthropic/claude-sonnet-4.5", 9_070, 0), ("openai/gpt-5-mini", 1_000, 0), ("local/unpriced", 0, 3)];
    Costs {
        days: days.collect(),
        phases: phases.iter().map(|(label, milli)| line((*label).to_owned(), milli * 1_000_000, u32::from(*milli == 0) * 3)).collect(),
        models: models.iter().map(|(label, milli, unknown)| line((*label).to_owned(), milli * 1_000_000, *unknown)).collect(),
        runs: (1..=9u8).map(|n| line(run_id(n).to_string(), i64::from(n) * 210_000_000, 0)).collect(),
    }
}

/// What the doctor found, for screens.
pub fn checks() -> Vec<Check> {
    let check = |subject, name: &str, verdict, found: &str, advice: &str| Check {
        subject,
        name: name.to_owned(),
        verdict,
        found: found.to_owned(),
        advice: advice.to_owned(),
    };
    vec![
        check(Subject::Terminal, "type", Verdict::Ok, "xterm-256color, in tmux", ""),
        check(
            Subject::Disk,
            "data: room",
            Verdict::Failure,
            "12.0 MiB free in /home/op/.local/share/phasedeck",
            "make room: runs wait when nothing can be stored",
        ),
        check(Subject::Database, "sound", Verdict::Ok, "every page reads", ""),
        check(
            Subject::Git,
            "program",
            Verdict::Warning,
            "git version 2.39.5 (/usr/bin/git) ignores GIT_ATTR_SOURCE",
            "update git to 2.41 or later: until then attributes in a worktree can change how files are stored",
        ),
        check(
            Subject::Keys,
            "openai",
            Verdict::Warning,
            "OPENROUTER_API_KEY is not set",
            "set OPENROUTER_API_KEY to the provider's key, or openai.key_env to \"\"; a rehearsal needs none",
        ),
        check(Subject::Sandbox, "Landlock", Verdict::Ok, "on; ABI 6 or later (kernel 6.12.3)", ""),
    ]
}

/// What the engine would say of a start.
pub fn outlook(request: &StartRun) -> Outlook {
    let seat = |role: &str, persona: &str, model: &str, price: Option<i64>, consent: bool| Seat {
        role: role.into(),
        persona: Some(request.personas.get(&role.into()).cloned().unwrap_or_else(|| persona.to_owned())),
        backend: "openai".to_owned(),
        model: Some(model.to_owned()),
        price: price.map(|dollars| (NanoUsd(dollars * NanoUsd::PER_DOLLAR), NanoUsd(dollars * 5 * NanoUsd::PER_DOLLAR))),
        why: "first of 3 with plan, write; on openai, which the role prefers".to_owned(),
        consent: consent.then(|| ConsentAsk {
            persona: persona.to_owned(),
            hash: ContentHash::of(persona.as_bytes()),
            runs_on: format!("openai, {model}"),
            tools: vec![("read_file".to_owned(), Permission::Auto), ("execute".to_owned(), Permission::Ask)],
        }),
        choices: vec![persona.to_owned(), "other@2".to_owned()],
    };
    let mut problems = Vec::new();
    if request.requirements.trim().is_empty() {
        problems.push((Part::Requirements, Failure::new(Code::UsageInvalid, "say what you want made")));
    }
    if request.base.as_deref() == Some("nowhere") {
        let failure = Failure::new(Code::UsageInvalid, "the repository has no branch or commit 'nowhere'").hint("its branches: main");
        problems.push((Part::Base, failure));
    }
    Outlook {
        workflows: [
            ("bugfix@1", "Reproduce, diagnose, fix and verify one defect"),
            ("development@1", "From a wish to reviewed, verified changes on a branch"),
            ("research@1", "Answer a question from sources, with findings and a report"),
        ]
        .map(|(name, about)| (name.to_owned(), about.to_owned()))
        .to_vec(),
        seats: vec![
            seat("analyst", "analyst@1", "anthropic/claude-sonnet-4.5", Some(3), true),
            seat("architect", "architect@1", "anthropic/claude-opus-4", Some(15), false),
            seat("developer", "developer@1", "local/unpriced", None, false),
        ],
        phases: 5,
        place: request.repo.as_ref().map(|repo| crate::engine::api::Place {
            repo: repo.clone(),
            branch: Some("main".to_owned()),
            commit: "3f9c12ab77".to_owned(),
        }),
        thread: request.repo.as_ref().map(|_| "shop-cart:main#a1b2".to_owned()),
        estimate: Estimate::History { p50: NanoUsd(410_000_000), p90: NanoUsd(920_000_000), runs: 12 },
        problems,
    }
}

/// A run in each state, and one in a state of a newer program; in no particular order.
pub fn records() -> Vec<RunRecord> {
    let waiting = |n, minutes: i64| RunRecord {
        pending_gate: Some("spec_approved".into()),
        pending_since: Some(Timestamp(NOW.0 - minutes * 60_000)),
        ..record(n, RunStatus::AwaitingApproval, 200)
    };
    let paused = RunRecord {
        paused_from_state: Some("executing".to_owned()),
        pause_reason: Some(PauseReason::Crashed.as_str().to_owned()),
        ..record(4, RunStatus::Paused, 90)
    };
    let completed = RunRecord { current_phase: None, phases_done: 4, ..record(5, RunStatus::Completed, 300) };
    let failed = RunRecord {
        error_code: Some("artifact_invalid_after_repair".to_owned()),
        error_message: Some("plan.json is still invalid after 1 repair".to_owned()),
        error_hint: Some("look at the errors, then start a new run with a clearer wish".to_owned()),
        ..record(6, RunStatus::Failed, 1500)
    };
    let strange = RunRecord { state: "dreaming".to_owned(), ..record(8, RunStatus::Aborted, 9000) };
    vec![
        record(7, RunStatus::Aborted, 3000),
        failed,
        waiting(2, 12),
        completed,
        record(3, RunStatus::Executing, 3),
        strange,
        paused,
        waiting(1, 190),
    ]
}

/// Where a journal is played to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The spec is being written.
    Executing,
    /// The spec waits for its first answer.
    AwaitingFirst,
    /// The spec was changed as asked and waits again.
    Awaiting,
    /// Every phase is done.
    Completed,
    /// The plan stayed invalid.
    Failed,
}

fn artifact(text: &str, version: u32) -> ArtifactRef {
    let bytes = u64::try_from(text.len()).unwrap();
    ArtifactRef { path: "spec.json".to_owned(), schema: "dev/spec@1".into(), sha256: ContentHash::of(text.as_bytes()), bytes, version }
}

fn started(key: &str, role: &str, attempt: u32, cause: AttemptCause) -> Fact {
    let persona = format!("{role}@1").parse().unwrap();
    Fact::PhaseStarted { phase_key: key.into(), attempt, role: role.into(), persona, cause }
}

fn called(key: &str, n: u8, attempt: u32) -> Fact {
    Fact::LlmCalled {
        phase_key: key.into(),
        attempt,
        turn_id: turn_id(n),
        turn: 1,
        model: "anthropic/claude-sonnet-4.5".to_owned(),
        tokens: Tokens { input: 1840, output: 612, cached: 0, reasoning: 0 },
        cost: Some(NanoUsd(14_700_000)),
        estimated: false,
        latency_ms: 4200,
        status: CallStatus::Ok,
    }
}

fn asked(n: u8, text: &str, version: u32) -> Fact {
    Fact::ApprovalRequested {
        request_id: request_id(n),
        phase_key: Some("spec".into()),
        gate: "spec_approved".into(),
        artifact_sha256: Some(ContentHash::of(text.as_bytes())),
        artifact_version: Some(version),
        question: None,
    }
}

/// An answer to the n-th question about the spec.
pub fn resolved(n: u8, action: Decision, by: &str) -> Fact {
    Fact::ApprovalResolved {
        request_id: request_id(n),
        phase_key: Some("spec".into()),
        gate: "spec_approved".into(),
        action,
        comment: if action == Decision::RequestChanges { "prices belong in cents".to_owned() } else { String::new() },
        by: by.to_owned(),
        via: Via::Console,
        artifact_sha256: None,
        scope: None,
        raise: None,
    }
}

/// What five earlier runs foretell.
pub fn forecast() -> Option<Forecast> {
    let sample = |n: i64| Sample { cost: Cost { known: NanoUsd(n * 40_000_000), unknown_calls: 0 }, working_ms: n.unsigned_abs() * 31_000 };
    crate::model::forecast::of(&(1..=6).map(sample).collect::<Vec<_>>())
}

/// An agent that cannot work, and the question what to do about it.
pub fn cannot_work() -> Vec<Fact> {
    let session_id: SessionId = "01930000-0000-7000-8000-00000000cc01".parse().unwrap();
    let message = "the provider refused the key (set OPENROUTER_API_KEY, then approve)".to_owned();
    vec![
        Fact::SessionFailed { session_id, role: "analyst".into(), ordinal: 2, code: Code::LlmAuth, message },
        Fact::RunPaused { ordinal: 1, reason: PauseReason::SessionRecovery, from_state: RunStatus::Executing },
        Fact::ApprovalRequested {
            request_id: request_id(1),
            phase_key: None,
            gate: "session_recovery_required".into(),
            artifact_sha256: None,
            artifact_version: None,
            question: None,
        },
    ]
}

/// The operator's own version in place of the first that was asked about.
pub fn revised() -> Vec<Fact> {
    let found = Some(ContentHash::of(SPEC_V2.as_bytes()));
    let expected = ContentHash::of(SPEC_V1.as_bytes());
    let by = Some("kim".to_owned());
    vec![
        Fact::ArtifactChanged { phase_key: "spec".into(), request_id: request_id(1), expected, found, restored: false, by: by.clone() },
        Fact::ArtifactValidated { phase_key: "spec".into(), attempt: 2, artifact: artifact(SPEC_V2, 3), by },
        asked(2, SPEC_V2, 3),
    ]
}

fn errors() -> Vec<ArtifactError> {
    vec![ArtifactError { pointer: "/acceptance_criteria".to_owned(), message: "needs at least 1 item".to_owned() }]
}

/// The facts of run 1 up to a place.
pub fn facts(place: Place) -> Vec<Fact> {
    let spec: PhaseKey = "spec".into();
    let phases: Vec<PhaseKey> = ["spec", "plan", "implement", "verify"].map(PhaseKey::from).to_vec();
    let workflow = || "development@1".parse().unwrap();
    let session_id: SessionId = "01930000-0000-7000-8000-00000000cc01".parse().unwrap();
    let mut facts = vec![
        Fact::RunCreated {
            workflow: workflow(),
            workflow_hash: ContentHash::of(b"w"),
            thread: "shop-cart:main1".into(),
            phases,
            rehearsal: false,
        },
        Fact::RunStarted { workflow: workflow(), thread: "shop-cart:main1".into() },
        started("spec", "analyst", 1, AttemptCause::First),
        Fact::ArtifactExpected { phase_key: spec.clone(), attempt: 1, path: "spec.json".to_owned(), schema: "dev/spec@1".into() },
        Fact::SessionStarted { session_id, role: "analyst".into(), backend: "openai".to_owned(), ordinal: 1 },
        Fact::PromptSent { phase_key: spec.clone(), attempt: 1, sha256: ContentHash::of(b"p"), bytes: 2412 },
        called("spec", 1, 1),
        Fact::ToolCalled {
            phase_key: spec.clone(),
            turn_id: turn_id(1),
            call_id: "c1".to_owned(),
            tool: "write_file".to_owned(),
            target: "spec.json".to_owned(),
            outcome: ToolOutcome::Ok,
            duration_ms: 3,
        },
    ];
    if place == Place::Executing {
        return facts;
    }
    facts.push(Fact::ArtifactInvalid {
        phase_key: spec.clone(),
        attempt: 1,
        path: "spec.json".to_owned(),
        version: 1,
        sha256: Some(ContentHash::of(b"{}")),
        bytes: 2,
        errors: errors(),
        errors_total: 1,
    });
    facts.push(started("spec", "analyst", 2, AttemptCause::Repair));
    facts.push(Fact::PromptRepaired { phase_key: spec.clone(), attempt: 2, errors: errors() });
    facts.push(called("spec", 2, 2));
    facts.push(Fact::ArtifactValidated { phase_key: spec.clone(), attempt: 2, artifact: artifact(SPEC_V1, 2), by: None });
    facts.push(asked(1, SPEC_V1, 2));
    if place == Place::AwaitingFirst {
        return facts;
    }
    facts.push(resolved(1, Decision::RequestChanges, "mo"));
    facts.push(started("spec", "analyst", 3, AttemptCause::ChangesRequested));
    facts.push(called("spec", 3, 3));
    facts.push(Fact::ArtifactValidated { phase_key: spec.clone(), attempt: 3, artifact: artifact(SPEC_V2, 3), by: None });
    facts.push(asked(2, SPEC_V2, 3));
    if place == Place::Awaiting {
        return facts;
    }
    facts.push(resolved(2, Decision::Approve, "mo"));
    facts.push(Fact::PhaseCompleted { phase_key: spec, attempts: 3, duration_ms: 95_000, commit: Some("abc".to_owned()) });
    for (key, role) in [("plan", "architect"), ("implement", "developer"), ("verify", "tester")] {
        facts.push(started(key, role, 1, AttemptCause::First));
        if place == Place::Failed {
            let message = "plan.json is still invalid after 1 repair".to_owned();
            facts.push(Fact::PhaseFailed { phase_key: key.into(), reason: Code::ArtifactInvalidAfterRepair, message: message.clone() });
            let hint = "look at the errors, then start a new run with a clearer wish".to_owned();
            facts.push(Fact::RunFailed { code: Code::ArtifactInvalidAfterRepair, message, hint });
            return facts;
        }
        facts.push(called(key, role.as_bytes()[0], 1));
        facts.push(Fact::PhaseCompleted { phase_key: key.into(), attempts: 1, duration_ms: 31_000, commit: None });
    }
    facts.push(Fact::RunCompleted {});
    facts
}

/// The journal of run 1 up to a place; the last event happened 12 minutes before [`NOW`].
pub fn journal(place: Place) -> Vec<Event> {
    let facts = facts(place);
    let begin = NOW.0 - 12 * 60_000 - i64::try_from(facts.len()).unwrap() * 7000;
    let event =
        |(seq, fact): (u64, Fact)| Event { run_id: run_id(1), seq, at: Timestamp(begin + i64::try_from(seq).unwrap() * 7000), fact };
    (1..).zip(facts).map(event).collect()
}

/// The workflow of run 1.
pub fn workflow(risk: Risk) -> Workflow {
    let phase = |key: &str, role: &str| Phase {
        key: key.into(),
        title: String::new(),
        risk: if key == "spec" { risk } else { Risk::Medium },
        role: role.into(),
        instructions: "Say what is wanted, and how one sees that it works.".to_owned(),
        timeout_seconds: 300,
        expected_artifact: Some(ExpectedArtifact { path: format!("{key}.json"), schema: format!("dev/{key}@1").as_str().into() }),
        gates: None,
        max_repairs: 1,
    };
    let seats = [("spec", "analyst"), ("plan", "architect"), ("implement", "developer"), ("verify", "tester")];
    Workflow {
        name: "development".to_owned(),
        version: 1,
        description: String::new(),
        roles: seats
            .iter()
            .map(|(_, role)| Role { id: (*role).into(), required_capabilities: vec![], preferred_backends: vec![] })
            .collect(),
        default_gates: vec!["spec_approved".into()],
        phases: seats.iter().map(|(key, role)| phase(key, role)).collect(),
    }
}

fn bindings() -> Vec<(Binding, Persona)> {
    let bind = |role: &str| {
        let persona = Persona {
            name: role.to_owned(),
            version: 1,
            description: String::new(),
            backend: "openai".to_owned(),
            agent: None,
            model: None,
            capabilities: vec![],
            system_prompt: String::new(),
            tools: vec!["read_file".to_owned(), "write_file".to_owned()],
            permissions: std::collections::BTreeMap::new(),
            params: Params::default(),
        };
        let model = Some("claude-sonnet-4.5".to_owned());
        let binding = Binding {
            role: role.into(),
            persona: persona.versioned_name(),
            persona_hash: ContentHash::of(b"p"),
            backend: "openai".to_owned(),
            model,
        };
        (binding, persona)
    };
    ["analyst", "architect", "developer", "tester"].map(bind).to_vec()
}

fn details(events: &[Event]) -> Details {
    let mut details = Details::default();
    for event in events {
        match &event.fact {
            Fact::ArtifactValidated { phase_key, attempt, artifact, .. } => details.artifacts.push(ArtifactRecord {
                phase_key: phase_key.clone(),
                version: artifact.version,
                attempt: *attempt,
                path: artifact.path.clone(),
                schema: artifact.schema.clone(),
                sha256: artifact.sha256.clone(),
                bytes: artifact.bytes,
                valid: true,
                errors: vec![],
                at: event.at,
            }),
            Fact::ArtifactInvalid { phase_key, attempt, path, version, sha256, bytes, errors, .. } => {
                details.artifacts.push(ArtifactRecord {
                    phase_key: phase_key.clone(),
                    version: *version,
                    attempt: *attempt,
                    path: path.clone(),
                    schema: "dev/spec@1".into(),
                    sha256: sha256.clone().unwrap(),
                    bytes: *bytes,
                    valid: false,
                    errors: errors.clone(),
                    at: event.at,
                })
            }
            Fact::ApprovalRequested { request_id, phase_key, gate, artifact_sha256, artifact_version, .. } => {
                details.approvals.push(ApprovalRecord {
                    id: *request_id,
                    run_id: event.run_id,
                    phase_key: phase_key.clone(),
                    gate: gate.clone(),
                    state: ApprovalStatus::Pending,
                    artifact_sha256: artifact_sha256.clone(),
                    artifact_version: *artifact_version,
                    requested_at: event.at,
                    resolved_at: None,
                    comment: None,
                    resolved_by: None,
                    via: None,
                    question: None,
                    scope: None,
                    raise: None,
                })
            }
            Fact::ApprovalResolved { request_id, action, comment, by, via, .. } => {
                let record = details.approvals.iter_mut().find(|a| a.id == *request_id).unwrap();
                record.state = action.resolves_to();
                (record.resolved_at, record.resolved_by, record.via) = (Some(event.at), Some(by.clone()), Some(*via));
                record.comment = Some(comment.clone());
            }
            _ => {}
        }
    }
    let state = RunState::fold(run_id(1), events).unwrap();
    details.models = vec![CostLine { label: "anthropic/claude-sonnet-4.5".to_owned(), calls: 3, tokens: state.tokens, cost: state.cost }];
    details
}

/// Everything about run 1 at a place.
pub fn opened(events: &[Event], risk: Risk) -> Opened {
    let state = RunState::fold(run_id(1), events).unwrap();
    let mut record = record(1, state.status, 14);
    record.pending_gate = state.approval.as_ref().map(|open| open.gate.clone());
    record.pending_since = state.approval.as_ref().map(|open| open.requested_at);
    record.last_seq = state.last_seq;
    record.cost = state.cost;
    Opened { record, state, events: events.to_vec(), workflow: Ok(workflow(risk)), bindings: bindings(), details: details(events) }
}

/// A console on a bench: questions to the archive are answered from this world, frames are drawn by
/// whoever holds it, commands are kept to be looked at.
pub struct Bench {
    /// The console.
    pub state: AppState,
    /// The list that the archive has.
    pub records: Vec<RunRecord>,
    /// The journal of run 1.
    pub events: Vec<Event>,
    /// The risk of its first phase.
    pub risk: Risk,
    /// What is known of the next phase's cost.
    pub forecast: Option<Forecast>,
    /// Milliseconds since it was opened.
    pub ticks: u64,
    /// What was sent to the engine.
    pub sent: Vec<(Ticket, Command)>,
    /// Everything else that was to be done.
    pub done: Vec<Cmd>,
    /// Slow work that waits to be done.
    pub worked: VecDeque<Work>,
    queries: VecDeque<Query>,
}

impl Bench {
    /// A console of a size over a world.
    pub fn new(size: (u16, u16), records: Vec<RunRecord>, place: Place) -> Self {
        let look = Look {
            ascii: false,
            no_color: false,
            theme: ThemeName::Dark,
            size,
            reading: (size.0, size.1),
            receipt_rows: 0,
            focused: true,
            zone: TimeZone::UTC,
        };
        let state = AppState::new(look, Keymap::default(), true);
        Self {
            state,
            records,
            events: journal(place),
            risk: Risk::Medium,
            forecast: None,
            ticks: 10_000,
            sent: Vec::new(),
            done: Vec::new(),
            worked: VecDeque::new(),
            queries: VecDeque::new(),
        }
    }

    /// Opens it, on a run or at home.
    pub fn start(mut self, wanted: Option<RunId>) -> Self {
        self.state.now = self.now();
        let cmds = start(&mut self.state, wanted);
        self.take(cmds);
        self.settle();
        self
    }

    /// The moment.
    pub fn now(&self) -> Now {
        Now { wall: Timestamp(NOW.0 + i64::try_from(self.ticks).unwrap() - 10_000), ticks: self.ticks }
    }

    /// Feeds a message, and answers what it asks.
    pub fn feed(&mut self, msg: Msg) {
        let now = self.now();
        let cmds = update(&mut self.state, msg, now);
        self.take(cmds);
        self.settle();
    }

    /// Presses a key.
    pub fn press(&mut self, chord: &str) {
        self.feed(Msg::Key(chord.parse::<Chord>().unwrap()));
    }

    /// Types characters one by one, `ms` apart.
    pub fn type_text(&mut self, text: &str, ms: u64) {
        for c in text.chars() {
            self.ticks += ms;
            self.feed(Msg::Key(Chord::char(c)));
        }
    }

    /// Stores a fact of run 1 and tells of it.
    pub fn happens(&mut self, fact: Fact) {
        let seq = self.events.last().unwrap().seq + 1;
        let event = Event { run_id: run_id(1), seq, at: self.now().wall, fact };
        self.events.push(event.clone());
        self.feed(Msg::Event(Arc::new(event)));
    }

    /// Pretends that a frame showed the open question and its answers.
    pub fn drew_gate(&mut self, drained: bool) {
        let gate = self.state.gate.as_ref().map(|gate| gate.request_id);
        self.feed(Msg::Drawn(Drawn { gate, confirm: true, drained, reading: Some((78, 10)), ..Drawn::default() }));
    }

    /// Answers the last command.
    pub fn answer(&mut self, answer: Result<Answer, Failure>) {
        let ticket = self.sent.last().unwrap().0;
        self.feed(Msg::Answered(ticket, answer));
    }

    fn take(&mut self, cmds: Vec<Cmd>) {
        for cmd in cmds {
            match cmd {
                Cmd::Query(query) => self.queries.push_back(query),
                Cmd::Work(work) => self.worked.push_back(work),
                Cmd::Send(ticket, command) => self.sent.push((ticket, command)),
                other => self.done.push(other),
            }
        }
    }

    /// Does the slow work that waits.
    pub fn work(&mut self) {
        while let Some(work) = self.worked.pop_front() {
            match work {
                Work::Doctor => {
                    for subject in Subject::ALL {
                        let checks = checks().into_iter().filter(|check| check.subject == *subject).collect();
                        self.feed(Msg::Done(Done::Checked(*subject, checks)));
                    }
                }
                Work::LookAhead(revision, request) => {
                    let ahead = outlook(&request);
                    self.feed(Msg::Done(Done::Ahead(revision, request, Box::new(ahead))));
                }
                Work::Agree(_) => self.feed(Msg::Done(Done::Agreed(Ok(())))),
                Work::Demo => self.feed(Msg::Done(Done::Demo(Ok(Box::default())))),
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            let Some(query) = self.queries.pop_front() else { return };
            let answer = self.look_up(&query);
            let now = self.now();
            let cmds = update(&mut self.state, Msg::Loaded(query, answer), now);
            self.take(cmds);
        }
        panic!("the console asks without end");
    }

    fn look_up(&self, query: &Query) -> Result<Loaded, Failure> {
        let texts: [&[u8]; 3] = [SPEC_V1.as_bytes(), SPEC_V2.as_bytes(), b"{}"];
        let text = |hash: &ContentHash| {
            let found = texts.into_iter().find(|text| ContentHash::of(text) == *hash);
            found.ok_or_else(|| Failure::new(Code::IoFailed, format!("no content {hash}")))
        };
        Ok(match query {
            Query::Runs(ask) => Loaded::Runs(Box::new(page(&self.records, ask))),
            Query::Paused => Loaded::Paused(self.records.iter().filter(|r| r.state == "paused").cloned().collect()),
            Query::Costs => Loaded::Costs(Box::new(costs())),
            Query::SearchArtifacts(text, _) => {
                let runs = if text == "gizmo" { vec![run_id(6)] } else { Vec::new() };
                Loaded::Hits(ArtifactHits { runs, looked_at: 40, total: 40, last: None })
            }
            Query::Open(id) if *id == run_id(1) => Loaded::Open(Box::new(opened(&self.events, self.risk))),
            Query::Open(id) => return Err(Failure::new(Code::RunNotFound, format!("no run {id}")).hint("see `phasedeck runs`")),
            Query::Previews(runs) => Loaded::Previews(runs.iter().map(|id| self.preview(*id)).collect()),
            Query::Details(_) => Loaded::Details(Box::new(details(&self.events))),
            Query::Content(hash, path) => Loaded::Text(Arc::new(Document::of_content(path, text(hash)?))),
            Query::Diff(old, new) => Loaded::Text(Arc::new(Document::of_diff(text(old)?, text(new)?))),
            Query::Events(_, need, wanted) => Loaded::Page(self.page(*need, wanted, 400)),
            Query::Find(_, need, wanted) => Loaded::Page(self.page(*need, wanted, 1)),
            Query::News(_, since) => Loaded::News(self.events.iter().filter(|event| event.seq > *since).cloned().collect()),
            Query::Moment(id, moment) => Loaded::Moment(Box::new(self.state_at(*id, *moment))),
            Query::Draft(_) => Loaded::Draft(None),
            Query::Checked(hash, path, errors) => Loaded::Text(Arc::new(Document::of_checked(path, text(hash)?, errors))),
            Query::BaseDiff(_, _, hash) => Loaded::Text(Arc::new(Document::of_diff(b"", text(hash)?))),
            Query::Errors(_, key) => {
                let details = details(&self.events);
                let invalid = details.artifacts.iter().filter(|a| a.phase_key == *key && !a.valid);
                let read: Vec<_> = invalid.filter_map(|a| Some((a, text(&a.sha256).ok()?.to_vec()))).collect();
                Loaded::Text(Arc::new(gate_texts::errors(&read)))
            }
            Query::Comments(_, key, hash) => {
                let details = details(&self.events);
                let said = details
                    .approvals
                    .iter()
                    .filter(|a| a.phase_key.as_ref() == Some(key) && !a.comment.as_deref().unwrap_or("").is_empty());
                let said: Vec<_> = said.map(|a| (a, a.artifact_sha256.as_ref().and_then(|h| text(h).ok()).map(<[u8]>::to_vec))).collect();
                Loaded::Text(Arc::new(gate_texts::comments(&said, text(hash)?)))
            }
            Query::Inputs(..) => {
                let requirements = self.records.first().map(|r| r.requirements.clone()).unwrap_or_default();
                let prompt = Some("[PHASE spec]\nWrite spec.json.".to_owned());
                let persona = bindings().into_iter().next().map(|(binding, persona)| (persona, binding.model));
                Loaded::Text(Arc::new(gate_texts::inputs(&Inputs { persona, requirements, earlier: Vec::new(), prompt })))
            }
            Query::PhaseLog(_, key) => {
                Loaded::Log(self.events.iter().filter(|event| event.fact.phase_key() == Some(key)).cloned().collect())
            }
            Query::Transcript(..) => Loaded::Text(Arc::new(stored_transcript::document(&[]))),
            Query::Forecast(..) => Loaded::Forecast(self.forecast),
        })
    }

    fn page(&self, need: Need, wanted: &Wanted, limit: usize) -> Page {
        let fits = |event: &&Event| wanted.fits(event);
        let last = self.events.last().unwrap().seq;
        match need {
            Need::From(from) => {
                let events: Vec<Event> = self.events.iter().filter(|event| event.seq >= from).filter(fits).take(limit).cloned().collect();
                let to = if events.len() < limit { last.max(from - 1) } else { events.last().unwrap().seq };
                Page { events, from, to }
            }
            Need::Before(before) => {
                let back = self.events.iter().rev().filter(|event| event.seq < before).filter(fits);
                let mut events: Vec<Event> = back.take(limit).cloned().collect();
                events.reverse();
                let from = if events.len() < limit { 1 } else { events[0].seq };
                Page { events, from, to: (before - 1).min(last) }
            }
        }
    }

    fn state_at(&self, id: RunId, moment: Moment) -> RunState {
        let turns = Wanted::parse(TURNS);
        let mut turn = self.events.iter().filter(|event| turns.fits(event)).map(|event| event.seq);
        let seq = match moment {
            Moment::At(seq) => seq,
            Moment::TurnBefore(before) => turn.rfind(|seq| *seq < before).unwrap_or(1),
            Moment::TurnAfter(after) => turn.find(|seq| *seq > after).unwrap_or(u64::MAX),
        };
        RunState::fold(id, self.events.iter().filter(|event| event.seq <= seq)).unwrap()
    }

    fn preview(&self, id: RunId) -> Preview {
        let events = journal(Place::Executing);
        let mut state = RunState::fold(run_id(1), &events).unwrap();
        (state.run_id, state.last_seq) = (id, u64::MAX);
        Preview { state, last: events.last().cloned(), refusal: None }
    }
}
