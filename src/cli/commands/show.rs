//! `phasedeck show`: prints a one-screen summary of a run.

use crate::cli::args::SingleRunArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::gate::GatePrompt;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::{OutputStyle, StatusGlyph};
use crate::cli::output::summary::{field, next, standing};
use crate::cli::output::table::{TableCell, TextTable, shortened};
use crate::engine::api::{CrashCard, RunArchive, UnknownOutcome};
use crate::model::error::Result;
use crate::model::id::RunId;
use crate::model::record::{ApprovalRecord, ArtifactRecord, PhaseRecord, RunRecord};
use crate::model::run_state::RunWait;
use crate::model::safe_text::safe_line;
use crate::model::state::{ApprovalStatus, RunStatus};
use crate::model::time::{Timestamp, human_duration};
use schemars::JsonSchema;
use serde::Serialize;

/// Lines of the requirements that are shown.
const WANTED_LINES: usize = 6;

/// Everything `show` shows; its JSON is this too.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Shown")]
pub struct RunDocument {
    /// The run itself.
    run: RunRecord,
    /// Its phases in order.
    phases: Vec<PhaseRecord>,
    /// Every question to the operator, in the order they were asked.
    approvals: Vec<ApprovalRecord>,
    /// Every stored version of every artifact.
    artifacts: Vec<ArtifactRecord>,
    /// What the artifact that is asked about holds and should not: secrets, by their lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    warned: Option<String>,
    /// What a crash left; absent where there was none, or it was dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    crash: Option<CrashCard>,
    /// What the model's server asked to wait for, while that is not over.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<RunWait>,
}

/// Shows one run.
///
/// # Errors
/// `run_not_found`; what the archive says.
pub fn show(setup: &CommandContext, args: &SingleRunArgs) -> CommandOutcome {
    let (archive, run) = setup.find(&args.run)?;
    let shown = read(&archive, run)?;
    if args.json {
        setup.out.document(&shown)?;
    } else {
        setup
            .out
            .print(&screen(&shown, Timestamp::now(), setup.out.style))?;
    }
    Ok(ExitStatus::Done)
}

fn read(archive: &RunArchive, run: RunId) -> Result<RunDocument> {
    // A journal that cannot be folded is told by others; its rows are shown all the same.
    let state = archive.state(run).ok();
    let asked = state
        .as_ref()
        .and_then(|state| state.phase(state.approval.as_ref()?.phase_key.as_ref()?));
    Ok(RunDocument {
        run: archive.run(run)?,
        phases: archive.phases(run)?,
        approvals: archive.approvals(run)?,
        artifacts: archive.artifacts(run)?,
        warned: asked.and_then(|phase| phase.warned.clone()),
        crash: archive.crash_card(run)?,
        waiting: state
            .and_then(|state| state.waiting)
            .filter(|waiting| waiting.until > Timestamp::now()),
    })
}

fn screen(shown: &RunDocument, now: Timestamp, style: OutputStyle) -> String {
    let mut parts = vec![
        standing(&shown.run, style)
            + &waiting(shown, now, style)
            + &task_text(&shown.run, style)
            + &next_unless_asked(shown, style),
        phases(shown, now, style),
    ];
    parts.extend(
        shown
            .approvals
            .iter()
            .filter(|open| open.state == ApprovalStatus::Pending)
            .map(|open| {
                let since = format!(
                    "  since     {} ago\n",
                    human_duration(now.since_ms(open.requested_at))
                );
                GatePrompt {
                    warned: shown.warned.clone(),
                    ..GatePrompt::from_record(open)
                }
                .how_to_answer(style)
                    + &since
            }),
    );
    parts.extend(shown.crash.as_ref().map(|card| crash(card, style)));
    parts.push(artifacts(&shown.artifacts, style));
    parts.push(decisions(&shown.approvals, style));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// A wait that ends by itself.
fn waiting(shown: &RunDocument, now: Timestamp, style: OutputStyle) -> String {
    let Some(waiting) = &shown.waiting else {
        return String::new();
    };
    let (left, at) = (
        human_duration(waiting.until.since_ms(now)),
        waiting.until.local_clock(),
    );
    let words = format!(
        "{left} more, until {at}: the server of {} asks for it ({})",
        waiting.phase_key, waiting.code
    );
    field("waits", &words, style) + &field("", "to try earlier, pause the run and resume it", style)
}

/// A question that waits says itself what to do.
fn next_unless_asked(shown: &RunDocument, style: OutputStyle) -> String {
    let asked = shown
        .approvals
        .iter()
        .any(|approval| approval.state == ApprovalStatus::Pending);
    if asked && shown.run.state == RunStatus::AwaitingApproval.as_str() {
        String::new()
    } else {
        next(&shown.run, style)
    }
}

fn task_text(run: &RunRecord, style: OutputStyle) -> String {
    let mut text = String::new();
    let mut add = |name: &str, value: &str| {
        text.push_str(&field(name, &shortened(&safe_line(value), 100, "…"), style))
    };
    add("id", &run.id.to_string());
    add("thread", run.thread.as_str());
    if let Some(repo) = &run.repo {
        let base = run
            .base_branch
            .as_ref()
            .map(|base| format!(" from {base}"))
            .unwrap_or_default();
        add("repo", &format!("{repo}{base}"));
    }
    if let Some(worktree) = &run.worktree {
        add("worktree", worktree);
    }
    let lines: Vec<&str> = run.requirements.trim().lines().collect();
    for (at, line) in lines.iter().take(WANTED_LINES).enumerate() {
        add(if at == 0 { "wanted" } else { "" }, line);
    }
    if lines.len() > WANTED_LINES {
        add("", &format!("({} lines more)", lines.len() - WANTED_LINES));
    }
    text
}

/// What a crash left: what is certain, what is unsure and how to answer, what was lost.
fn crash(card: &CrashCard, style: OutputStyle) -> String {
    let id = card.run_id.short();
    let mut text = format!(
        "{}\n",
        style.marked(StatusGlyph::NeedsCheck, "after the crash")
    );
    let mut add = |name: &str, value: &str| text.push_str(&field(name, value, style));
    let done: Vec<&str> = card.phases_done.iter().map(|key| key.as_str()).collect();
    add(
        "certain",
        &if done.is_empty() {
            "no phase is done yet".to_owned()
        } else {
            format!("done and kept: {}", done.join(", "))
        },
    );
    if let Some((phase, attempt)) = &card.phase {
        add(
            "",
            &format!(
                "{phase}, attempt {attempt}: {} turns stored, never asked or paid for again",
                card.turns_stored
            ),
        );
    }
    if let Some(gate) = &card.gate {
        add("", &format!("{gate} still waits for you"));
    }
    add("", &format!("{} settled", card.spent));
    for unsure in &card.unsure {
        match unsure {
            UnknownOutcome::Tool {
                call_id,
                tool,
                arguments,
                redo,
                ..
            } => {
                let said = if *redo {
                    "will run again"
                } else {
                    "may have run"
                };
                add(
                    "unsure",
                    &format!(
                        "{call_id}: {tool} {} {said}",
                        shortened(&safe_line(arguments), 60, "…")
                    ),
                );
            }
            UnknownOutcome::Bill { model, charged, .. } => {
                let charged =
                    charged.map_or_else(|| "an unknown price".to_owned(), |cost| cost.to_string());
                add(
                    "unsure",
                    &format!(
                        "a call to {model} may have been billed; charged {charged}, will be made again"
                    ),
                );
            }
        }
    }
    card.lost.iter().for_each(|lost| add("lost", lost));
    if card
        .unsure
        .iter()
        .any(|unsure| matches!(unsure, UnknownOutcome::Tool { .. }))
    {
        add(
            "answer",
            &format!(
                "phasedeck resume {id} --redo CALL, --done CALL or --skip CALL; unanswered, the agent is told 'may have run'"
            ),
        );
    }
    text
}

fn phases(shown: &RunDocument, now: Timestamp, style: OutputStyle) -> String {
    let mut table = TextTable::new(&[
        "PHASE", "STATE", "TRIES", "TIME", "COST", "ARTIFACT", "COMMIT",
    ]);
    for phase in &shown.phases {
        let mark = StatusGlyph::from_phase_status(phase.state);
        let end = phase.ended_at.or(shown.run.ended_at).unwrap_or(now);
        let time = phase
            .started_at
            .map(|start| human_duration(end.since_ms(start)))
            .unwrap_or_default();
        let hash = phase
            .artifact_sha256
            .as_ref()
            .map(|hash| hash.short().to_owned())
            .unwrap_or_default();
        let begun = phase.attempt > 0;
        table.row(vec![
            TableCell::new(phase.phase_key.as_str()),
            TableCell::new(format!("{} {}", style.glyph(mark), phase.state)).tone(mark.tone()),
            TableCell::new(if begun {
                phase.attempt.to_string()
            } else {
                String::new()
            })
            .right(),
            TableCell::new(time).right(),
            TableCell::new(if begun {
                phase.cost.to_string()
            } else {
                String::new()
            })
            .right(),
            TableCell::new(hash),
            TableCell::new(
                phase
                    .commit
                    .as_deref()
                    .and_then(|commit| commit.get(..10))
                    .unwrap_or_default(),
            ),
        ]);
    }
    table.render(0, style)
}

fn artifacts(artifacts: &[ArtifactRecord], style: OutputStyle) -> String {
    if artifacts.is_empty() {
        return String::new();
    }
    let mut table = TextTable::new(&[
        "ARTIFACT", "VERSION", "VERDICT", "HASH", "BYTES", "SCHEMA", "PATH",
    ]);
    for artifact in artifacts {
        let (mark, word) = if artifact.valid {
            (StatusGlyph::Done, "valid")
        } else {
            (StatusGlyph::Failed, "invalid")
        };
        table.row(vec![
            TableCell::new(artifact.phase_key.as_str()),
            TableCell::new(format!("v{}", artifact.version)),
            TableCell::new(format!("{} {word}", style.glyph(mark))).tone(mark.tone()),
            TableCell::new(artifact.sha256.short()),
            TableCell::new(artifact.bytes.to_string()).right(),
            TableCell::new(artifact.schema.as_str()),
            TableCell::new(&artifact.path).at_most(40, style.ascii),
        ]);
    }
    table.render(0, style)
}

fn decisions(approvals: &[ApprovalRecord], style: OutputStyle) -> String {
    let mut table = TextTable::new(&["DECIDED", "GATE", "ABOUT", "BY", "WORDS"]);
    let decided: Vec<_> = approvals
        .iter()
        .filter(|approval| approval.state != ApprovalStatus::Pending)
        .collect();
    if decided.is_empty() {
        return String::new();
    }
    for approval in decided {
        let mark = match approval.state {
            ApprovalStatus::Approved => StatusGlyph::Done,
            ApprovalStatus::ChangesRequested => StatusGlyph::Repair,
            ApprovalStatus::Rejected => StatusGlyph::Failed,
            ApprovalStatus::Aborted => StatusGlyph::Aborted,
            ApprovalStatus::Superseded | ApprovalStatus::Pending => StatusGlyph::Skipped,
        };
        let via = approval
            .via
            .map(|via| format!(" by {via}"))
            .unwrap_or_default();
        table.row(vec![
            TableCell::new(format!("{} {}", style.glyph(mark), approval.state)).tone(mark.tone()),
            TableCell::new(approval.gate.as_str()),
            TableCell::new(GatePrompt::from_record(approval).subject()),
            TableCell::new(format!(
                "{}{via}",
                approval.resolved_by.as_deref().unwrap_or_default()
            )),
            TableCell::new(approval.comment.as_deref().unwrap_or_default())
                .at_most(60, style.ascii),
        ]);
    }
    table.render(0, style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::samples::run_record;
    use crate::model::error::Code;
    use crate::model::hash::ContentHash;
    use crate::model::money::CallCost;
    use crate::model::state::{PhaseStatus, Via};

    fn approval(state: ApprovalStatus, version: u32) -> ApprovalRecord {
        ApprovalRecord {
            id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            run_id: run_record().id,
            phase_key: Some("spec".into()),
            gate: "spec_approved".into(),
            state,
            artifact_sha256: Some(ContentHash::from_bytes(&[u8::try_from(version).unwrap()])),
            artifact_version: Some(version),
            requested_at: Timestamp(60_000),
            resolved_at: None,
            comment: Some("Smaller steps".to_owned()),
            resolved_by: Some("ann".to_owned()),
            via: Some(Via::Cli),
            question: None,
            scope: None,
            raise: None,
        }
    }

    #[test]
    fn one_run_fits_one_screen() {
        let phase = |key: &str, position, state, attempt, hash: Option<ContentHash>| PhaseRecord {
            phase_key: key.into(),
            position,
            state,
            attempt,
            artifact_sha256: hash,
            artifact_path: None,
            commit: None,
            started_at: (attempt > 0).then_some(Timestamp(0)),
            ended_at: None,
            cost: CallCost::default(),
        };
        let mut run = run_record();
        run.state = "awaiting_approval".to_owned();
        let shown = RunDocument {
            run,
            warned: Some("what looks like a secret on line 7".to_owned()),
            phases: vec![
                phase(
                    "spec",
                    0,
                    PhaseStatus::AwaitingApproval,
                    2,
                    Some(ContentHash::from_bytes(&[2])),
                ),
                phase("plan", 1, PhaseStatus::Pending, 0, None),
            ],
            approvals: vec![
                approval(ApprovalStatus::ChangesRequested, 1),
                approval(ApprovalStatus::Pending, 2),
            ],
            artifacts: vec![ArtifactRecord {
                phase_key: "spec".into(),
                version: 2,
                attempt: 2,
                path: "spec.json".to_owned(),
                schema: "dev/spec@1".into(),
                sha256: ContentHash::from_bytes(&[2]),
                bytes: 412,
                valid: true,
                errors: Vec::new(),
                at: Timestamp(0),
            }],
            crash: None,
            waiting: None,
        };
        let text = screen(&shown, Timestamp(120_000), OutputStyle::default());
        assert!(text.lines().count() < 40, "{text}");
        insta::assert_snapshot!(text, @"
        run deadbeef development@1: ▲ awaiting_approval
          phases    1 of 5 done
          cost      $0.4100 in 3 calls
          branch    phasedeck/deadbeef
          id        01930000-0000-7000-8000-0000deadbeef
          thread    shop:main
          repo      /home/ann/shop from main
          worktree  /home/ann/data/runs/deadbeef/main
          wanted    Add a cart to the shop

        PHASE  STATE                TRIES  TIME  COST   ARTIFACT  COMMIT
        spec   ▲ awaiting_approval      2  2m00  $0.00  dbc1b4c9
        plan   ○ pending

        ▲ spec_approved waits: spec v2 (dbc1b4c9)
          look out  it holds what looks like a secret on line 7
          read      phasedeck artifact deadbeef spec
          approve   phasedeck approve deadbeef --hash dbc1b4c9
          changes   phasedeck changes deadbeef -m 'what should be different'
          reject    phasedeck reject deadbeef -m 'why'
          since     1m00 ago

        ARTIFACT  VERSION  VERDICT  HASH      BYTES  SCHEMA      PATH
        spec      v2       ✓ valid  dbc1b4c9    412  dev/spec@1  spec.json

        DECIDED              GATE           ABOUT               BY          WORDS
        ↻ changes_requested  spec_approved  spec v1 (4bf5122f)  ann by cli  Smaller steps
        ");
        let (until, wait_ms, code) = (Timestamp(3_720_000), 3_600_000, Code::LlmRateLimited);
        let waiting = RunWait {
            phase_key: "spec".into(),
            until,
            wait_ms,
            tries: 1,
            code,
        };
        let text = screen(
            &RunDocument {
                waiting: Some(waiting),
                ..shown
            },
            Timestamp(120_000),
            OutputStyle::default(),
        );
        let line = format!(
            "  waits     1h00 more, until {}: the server of spec asks for it (llm_rate_limited)\n",
            until.local_clock()
        );
        assert!(text.contains(&line), "{text}");
    }
}
