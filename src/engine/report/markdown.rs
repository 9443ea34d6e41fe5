//! The report for people: the outcome first, then what needs attention, then the record.
//!
//! Every foreign word passes the safe-text filter and is escaped, so that no artifact path, comment
//! or model name can draw a heading, a link or a table row of its own.

use std::fmt::Write as _;

use serde_json::Value;

use super::shape::{
    ArtifactReport, CostReport, DecisionReport, EventReport, PhaseReport, RunReport, RunsReport,
};
use crate::model::money::{CallCost, NanoUsd};
use crate::model::safe_text::{safe_block, safe_line};
use crate::model::state::{ApprovalStatus, PhaseStatus};
use crate::model::time::human_duration;

/// Renders the report as markdown.
#[must_use]
pub fn render_markdown(report: &RunsReport) -> String {
    let mut out = String::new();
    title(&mut out, report);
    outcome(&mut out, report);
    attention(&mut out, report);
    requirements(&mut out, &report.run);
    phases(&mut out, &report.phases);
    decisions(&mut out, &report.decisions);
    artifacts(&mut out, &report.artifacts);
    costs(&mut out, report);
    seats(&mut out, report);
    events(&mut out, &report.last_events);
    out
}

fn title(out: &mut String, report: &RunsReport) {
    let state = report.run.state.replace('_', " ");
    let _ = writeln!(
        out,
        "# {} — {}\n",
        plain(&report.run.workflow),
        plain(&state)
    );
    if report.rehearsal {
        out.push_str("> **REHEARSAL.** No model was asked and nothing was paid. Every artifact below is made up.\n\n");
    }
}

fn outcome(out: &mut String, report: &RunsReport) {
    let run = &report.run;
    let done = report
        .phases
        .iter()
        .filter(|phase| matches!(phase.state, PhaseStatus::Completed | PhaseStatus::Skipped))
        .count();
    let _ = writeln!(
        out,
        "{} of {} phases done in {}: {} of work, {} of waiting for you. Cost: **{}**.\n",
        done,
        report.phases.len(),
        human_duration(run.elapsed_ms),
        human_duration(run.working_ms),
        human_duration(run.waiting_ms),
        money(&report.costs.total)
    );
    let from = [&run.base_branch, &run.base_commit]
        .into_iter()
        .flatten()
        .map(|name| code(name))
        .collect::<Vec<_>>()
        .join(" at ");
    for (name, value) in [
        ("Run", code(&run.id)),
        ("Thread", code(&run.thread)),
        ("Repository", optional(run.repo.as_deref())),
        (
            "From",
            if from.is_empty() {
                "–".to_owned()
            } else {
                from
            },
        ),
        ("Branch", optional(run.branch.as_deref())),
        ("Began", run.created_at.to_string()),
        (
            "Ended",
            run.ended_at
                .map_or_else(|| "not yet".to_owned(), |at| at.to_string()),
        ),
    ] {
        let _ = writeln!(out, "- {name}: {value}");
    }
    if let Some(abort) = &report.aborted {
        let reason = if abort.reason.is_empty() {
            "no reason was given".to_owned()
        } else {
            plain(&abort.reason)
        };
        let _ = writeln!(
            out,
            "- Aborted: by {} ({}): {reason}",
            plain(&abort.by),
            abort.via
        );
    }
}

fn attention(out: &mut String, report: &RunsReport) {
    if let Some(error) = &report.error {
        let _ = write!(
            out,
            "\n## What went wrong\n\n**{}** ({})\n",
            plain(&error.message),
            code(&error.code)
        );
        if !error.hint.is_empty() {
            let _ = write!(out, "\nWhat to do: {}\n", plain(&error.hint));
        }
    }
    if !report.unresolved.is_empty() {
        out.push_str("\n## Unresolved\n\n");
        for open in &report.unresolved {
            let phase = open
                .phase_key
                .as_deref()
                .map_or_else(String::new, |key| format!("{}: ", code(key)));
            let _ = writeln!(out, "- {phase}{}", plain(&open.what));
        }
    }
}

fn requirements(out: &mut String, run: &RunReport) {
    out.push_str("\n## Requirements\n\n");
    out.push_str(&quote(if run.requirements.trim().is_empty() {
        "(none were given)"
    } else {
        &run.requirements
    }));
}

fn phases(out: &mut String, phases: &[PhaseReport]) {
    let rows = phases.iter().map(|phase| {
        let title = phase.title.as_deref().unwrap_or(&phase.key);
        let attempts = if phase.attempts == 0 {
            "–".to_owned()
        } else {
            phase.attempts.to_string()
        };
        vec![
            format!("{} {}", glyph(phase.state), plain(title)),
            plain(&phase.state.as_str().replace('_', " ")),
            phase
                .persona
                .as_deref()
                .map_or_else(|| "–".to_owned(), plain),
            attempts,
            human_duration(phase.working_ms),
            human_duration(phase.waiting_ms),
            short(phase.commit.as_deref()),
        ]
    });
    table(
        out,
        "Phases",
        &[
            "Phase", "State", "Persona", "Attempts", "Worked", "Waited", "Commit",
        ],
        rows,
    );
}

fn decisions(out: &mut String, decisions: &[DecisionReport]) {
    if decisions.is_empty() {
        return;
    }
    out.push_str("\n## Decisions\n");
    for decision in decisions {
        let phase = decision
            .phase_key
            .as_deref()
            .map_or_else(String::new, |key| format!(" on {}", code(key)));
        let _ = write!(
            out,
            "\n- **{}**{phase}: {}",
            code(&decision.gate),
            verdict(decision)
        );
        if let Some(by) = &decision.by {
            let via = decision
                .via
                .map_or_else(String::new, |via| format!(" by {via}"));
            let _ = write!(
                out,
                " — {}{via}, {}",
                plain(by),
                decision
                    .resolved_at
                    .map_or_else(|| "?".to_owned(), |at| at.to_string())
            );
        }
        if let Some(waited) = decision.waited_ms {
            let _ = write!(out, ", after {}", human_duration(waited));
        }
        if let Some(hash) = &decision.artifact_sha256 {
            let version = decision
                .artifact_version
                .map_or_else(String::new, |version| format!(" (version {version})"));
            let _ = write!(out, "; content {}{version}", short(Some(hash)));
        }
        out.push('\n');
        if let Some(comment) = &decision.comment {
            let _ = write!(
                out,
                "\n{}",
                quote(comment)
                    .lines()
                    .map(|line| format!("  {line}\n"))
                    .collect::<String>()
            );
        }
    }
}

fn verdict(decision: &DecisionReport) -> &'static str {
    match decision.state {
        ApprovalStatus::Pending => "never answered",
        ApprovalStatus::Approved => "approved",
        ApprovalStatus::ChangesRequested => "changes requested",
        ApprovalStatus::Rejected => "rejected",
        ApprovalStatus::Aborted => "aborted",
        ApprovalStatus::Superseded => "superseded by another question",
    }
}

fn artifacts(out: &mut String, artifacts: &[ArtifactReport]) {
    if artifacts.is_empty() {
        return;
    }
    let rows = artifacts.iter().map(|artifact| {
        let valid = match artifact.errors.len() {
            _ if artifact.valid => "✓ valid".to_owned(),
            0 => "✗ invalid".to_owned(),
            n => format!("✗ {n} {}", if n == 1 { "error" } else { "errors" }),
        };
        vec![
            code(&artifact.path),
            format!("{} / {}", artifact.version, artifact.attempt),
            code(&artifact.schema),
            valid,
            artifact.bytes.to_string(),
            code(&artifact.sha256),
        ]
    });
    table(
        out,
        "Artifacts",
        &[
            "Path",
            "Version / attempt",
            "Schema",
            "Valid",
            "Bytes",
            "SHA-256",
        ],
        rows,
    );
    for artifact in artifacts
        .iter()
        .filter(|artifact| !artifact.errors.is_empty())
    {
        let _ = write!(
            out,
            "\nVersion {} of {} was not valid:\n\n",
            artifact.version,
            code(&artifact.path)
        );
        for error in &artifact.errors {
            let place = if error.pointer.is_empty() {
                "the document".to_owned()
            } else {
                code(&error.pointer)
            };
            let _ = writeln!(out, "- {place}: {}", plain(&error.message));
        }
    }
}

fn costs(out: &mut String, report: &RunsReport) {
    let costs = &report.costs;
    if costs.total.calls == 0 {
        out.push_str("\n## Costs\n\nNo model was called.\n");
        return;
    }
    let row = |line: &CostReport| {
        vec![
            plain(&line.label),
            line.calls.to_string(),
            line.tokens.input.to_string(),
            line.tokens.cached.to_string(),
            line.tokens.output.to_string(),
            line.tokens.reasoning.to_string(),
            money(line),
        ]
    };
    let head = |what: &'static str| {
        [
            what,
            "Calls",
            "Input",
            "of it cached",
            "Output",
            "of it reasoning",
            "Cost",
        ]
    };
    table(
        out,
        "Costs by phase",
        &head("Phase"),
        costs.by_phase.iter().chain([&costs.total]).map(row),
    );
    table(
        out,
        "Costs by model",
        &head("Model"),
        costs.by_model.iter().map(row),
    );
    if costs.total.unknown_calls > 0 {
        let _ = write!(
            out,
            "\n`?` stands for calls whose price nobody knows: {}. They are not free.\n",
            costs.total.unknown_calls
        );
    }
    if costs.total.estimated_calls > 0 {
        let _ = write!(
            out,
            "\nCharged at the reserve, because the true cost was not told: {} calls.\n",
            costs.total.estimated_calls
        );
    }
}

fn seats(out: &mut String, report: &RunsReport) {
    let rows = report.bindings.iter().map(|seat| {
        vec![
            plain(&seat.seat()),
            plain(&seat.persona),
            plain(&seat.backend),
            optional(seat.model.as_deref()),
            short(Some(&seat.persona_hash)),
        ]
    });
    table(
        out,
        "Who did it",
        &["Role", "Persona", "Backend", "Model", "Persona hash"],
        rows,
    );
}

fn events(out: &mut String, events: &[EventReport]) {
    let rows = events.iter().map(|event| {
        let phase = event.payload.get("phase_key").and_then(Value::as_str);
        vec![
            event.seq.to_string(),
            event.at.to_string(),
            code(&event.kind),
            phase.map_or_else(|| "–".to_owned(), plain),
            gist(&event.payload),
        ]
    });
    table(
        out,
        "Last events",
        &["Seq", "At", "Event", "Phase", "What"],
        rows,
    );
}

/// The telling fields of a payload, short enough for a table.
fn gist(payload: &Value) -> String {
    const TELLING: [&str; 11] = [
        "attempt", "persona", "gate", "action", "reason", "code", "path", "model", "tool",
        "target", "outcome",
    ];
    let tell = |name: &&str| match payload.get(*name)? {
        Value::String(text) => Some(plain(text)),
        Value::Number(number) => Some(format!("{name} {number}")),
        _ => None,
    };
    let told: Vec<String> = TELLING.iter().filter_map(tell).collect();
    if told.is_empty() {
        "–".to_owned()
    } else {
        told.join(", ")
    }
}

fn table(out: &mut String, title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = write!(
        out,
        "\n## {title}\n\n| {} |\n|{}\n",
        head.join(" | "),
        " --- |".repeat(head.len())
    );
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

/// Money as people read it; unknown stays a question mark.
fn money(line: &CostReport) -> String {
    CallCost {
        known: NanoUsd(line.known_nano_usd.unwrap_or(0)),
        unknown_calls: line.unknown_calls,
    }
    .to_string()
}

fn glyph(state: PhaseStatus) -> char {
    match state {
        PhaseStatus::Completed => '✓',
        PhaseStatus::Failed => '✗',
        PhaseStatus::Skipped => '↷',
        PhaseStatus::Pending => '·',
        PhaseStatus::Running | PhaseStatus::Validating => '▸',
        PhaseStatus::AwaitingApproval => '?',
    }
}

fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "–".to_owned(), code)
}

fn short(hash: Option<&str>) -> String {
    optional(hash.map(|hash| hash.get(..12).unwrap_or(hash)))
}

/// Foreign words within a line of markdown: what could mean something there is escaped.
fn plain(text: &str) -> String {
    let text: Vec<char> = safe_line(text).chars().collect();
    let in_word = |at: usize| text.get(at).is_some_and(|c| c.is_alphanumeric());
    let mut out = String::new();
    for (at, &c) in text.iter().enumerate() {
        let means = match c {
            '_' => at == 0 || !in_word(at - 1) || !in_word(at + 1),
            '#' => at == 0,
            _ => matches!(
                c,
                '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&'
            ),
        };
        if means {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A foreign name as code: nothing in it means anything to markdown.
fn code(text: &str) -> String {
    let text = safe_line(text).replace('|', "\\|");
    let ticks = "`".repeat(text.split(|c| c != '`').map(str::len).max().unwrap_or(0) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// Foreign text of several lines, line by line in a block quote.
fn quote(text: &str) -> String {
    let text = safe_block(text.trim_end());
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("> {}", plain(line)).trim_end().to_owned())
        .collect();
    // Two spaces keep the line break where markdown would join lines.
    lines.join("  \n") + "\n"
}
