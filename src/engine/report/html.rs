//! The report as one page for a browser: outcome, timeline, costs as bars, decisions, artifacts.
//!
//! One file without scripts, fonts or links to anything outside, so that it can be mailed and kept.
//! Every foreign word passes the safe-text filter, and the template escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::shape::{ArtifactReport, CostReport, DecisionReport, PhaseReport, RunsReport};
use crate::model::money::NanoUsd;
use crate::model::safe_text::{safe_block, safe_line};
use crate::model::state::{ApprovalStatus, PhaseStatus};
use crate::model::time::{Timestamp, human_duration};

/// Colours follow the reader's own choice of light or dark.
const STYLE: &str = include_str!("report.css");
/// Width of the timeline in its own units.
const WIDTH: u64 = 1000;

/// The text of an artifact version, to be shown with it: phase, version, text.
pub type HeadingList<'a> = &'a [(String, u32, String)];

/// Renders the report as one self-contained page.
#[must_use]
pub fn render_html(report: &RunsReport, contents: HeadingList<'_>) -> String {
    let title = format!(
        "{} - {}",
        report.run.workflow,
        report.run.state.replace('_', " ")
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (safe_line(&title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (outcome(report))
                (attention(report))
                (timeline(report))
                (costs(report))
                (decisions(&report.decisions))
                (artifacts(&report.artifacts, contents))
                (people(report))
                (events(report))
            }
        }
    };
    page.into_string()
}

fn outcome(report: &RunsReport) -> Markup {
    let run = &report.run;
    let done = report
        .phases
        .iter()
        .filter(|phase| matches!(phase.state, PhaseStatus::Completed | PhaseStatus::Skipped))
        .count();
    html! {
        header {
            p.kind { "phasedeck report" @if report.rehearsal { " · " strong { "rehearsal: no model was asked, every artifact is made up" } } }
            h1 { (safe_line(&run.workflow)) " " span.state data-state=(run.state) { (safe_line(&run.state.replace('_', " "))) } }
            p { (done) " of " (report.phases.len()) " phases in " (human_duration(run.elapsed_ms)) ": "
                (human_duration(run.working_ms)) " of work, " (human_duration(run.waiting_ms)) " of waiting for a person. "
                "Cost " strong { (cost(&report.costs.total)) } "." }
            pre.wanted { (safe_block(run.requirements.trim())) }
            dl {
                (fact("run", Some(&run.id)))
                (fact("thread", Some(&run.thread)))
                (fact("repository", run.repo.as_deref()))
                (fact("from", run.base_branch.as_deref().or(run.base_commit.as_deref())))
                (fact("branch", run.branch.as_deref()))
                (fact("began", Some(&run.created_at.to_string())))
                (fact("ended", run.ended_at.map(|at| at.to_string()).as_deref()))
            }
        }
    }
}

fn fact(name: &str, value: Option<&str>) -> Markup {
    html! { @if let Some(value) = value { dt { (name) } dd { (safe_line(value)) } } }
}

fn attention(report: &RunsReport) -> Markup {
    html! {
        @if let Some(error) = &report.error {
            section.bad { h2 { "What went wrong" } p { strong { (safe_line(&error.message)) } " " code { (safe_line(&error.code)) } }
                @if !error.hint.is_empty() { p { "What to do: " (safe_line(&error.hint)) } } }
        }
        @if let Some(abort) = &report.aborted {
            section.bad { h2 { "Aborted" } p { "by " (safe_line(&abort.by)) " (" (abort.via) ")" @if !abort.reason.is_empty() { ": " (safe_line(&abort.reason)) } } }
        }
        @if !report.unresolved.is_empty() {
            section { h2 { "Unresolved" } ul { @for open in &report.unresolved {
                li { @if let Some(phase) = &open.phase_key { code { (safe_line(phase)) } " " } (safe_line(&open.what)) } } } }
        }
    }
}

/// One row a phase: when it ran, how much of that was work and how much was waiting.
fn timeline(report: &RunsReport) -> Markup {
    let began = report.run.created_at;
    let whole = report.run.elapsed_ms.max(1);
    html! {
        section { h2 { "Timeline" }
            table.timeline { thead { tr { th { "Phase" } th { "State" } th.number { "Tries" } th.wide { "Worked and waited" } th.number { "Worked" } th.number { "Waited" } } }
                tbody { @for phase in &report.phases { tr {
                    td { (safe_line(phase.title.as_deref().unwrap_or(&phase.key))) }
                    td.state data-state=(phase.state) { (phase.state.as_str().replace('_', " ")) }
                    td.number { (phase.attempts) }
                    td { (bar(phase, began, whole)) }
                    td.number { (human_duration(phase.working_ms)) }
                    td.number { (human_duration(phase.waiting_ms)) }
                } } } } }
    }
}

fn bar(phase: &PhaseReport, began: Timestamp, whole: u64) -> Markup {
    let Some(start) = phase.started_at else {
        return html! { span.quiet { "not reached" } };
    };
    let at = |ms: u64| ms.saturating_mul(WIDTH) / whole;
    let left = at(start.since_ms(began)).min(WIDTH);
    let worked = at(phase.working_ms).clamp(2, WIDTH.saturating_sub(left).max(2));
    let waited = at(phase.waiting_ms).min(WIDTH.saturating_sub(left + worked));
    let label = format!(
        "{} after the start, {} of work, then {} of waiting",
        human_duration(start.since_ms(began)),
        human_duration(phase.working_ms),
        human_duration(phase.waiting_ms)
    );
    html! {
        svg viewBox={ "0 0 " (WIDTH) " 20" } preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            rect.work x=(left) y="2" width=(worked) height="16" {}
            rect.wait x=(left + worked) y="2" width=(waited) height="16" {}
        }
    }
}

fn costs(report: &RunsReport) -> Markup {
    let costs = &report.costs;
    html! {
        @if costs.total.calls > 0 {
            section { h2 { "Costs" }
                p { (costs.total.calls) " calls, " (costs.total.tokens.input) " tokens in (" (costs.total.tokens.cached) " cached), "
                    (costs.total.tokens.output) " out (" (costs.total.tokens.reasoning) " reasoning)."
                    @if costs.total.unknown_calls > 0 { " The price of " (costs.total.unknown_calls) " calls is unknown." }
                    @if costs.total.estimated_calls > 0 { " " (costs.total.estimated_calls) " calls are charged at their estimate." } }
                (cost_bars("By phase", &costs.by_phase))
                (cost_bars("By model", &costs.by_model)) }
        }
    }
}

fn cost_bars(title: &str, lines: &[CostReport]) -> Markup {
    let most = lines
        .iter()
        .filter_map(|line| line.known_nano_usd)
        .max()
        .unwrap_or(0)
        .max(1);
    html! {
        h3 { (title) }
        table { tbody { @for line in lines { tr {
            td { (safe_line(&line.label)) }
            td.wide { svg viewBox={ "0 0 " (WIDTH) " 20" } preserveAspectRatio="none" role="img" aria-label=(cost(line)) {
                rect.work x="0" y="2" width=(share(line, most)) height="16" {} } }
            td.number { (cost(line)) }
            td.number { (line.calls) " calls" }
        } } } }
    }
}

fn share(line: &CostReport, most: i64) -> i64 {
    let width = i64::try_from(WIDTH).unwrap_or(i64::MAX);
    line.known_nano_usd.unwrap_or(0).saturating_mul(width) / most
}

fn cost(line: &CostReport) -> String {
    match (line.cost_nano_usd, line.known_nano_usd) {
        (Some(all), _) => NanoUsd(all).to_string(),
        (None, Some(known)) => format!("{} + ?", NanoUsd(known)),
        (None, None) => "?".to_owned(),
    }
}

fn decisions(decisions: &[DecisionReport]) -> Markup {
    html! {
        @if !decisions.is_empty() {
            section { h2 { "Decisions" } ol { @for decision in decisions { li {
                strong.state data-state=(decision.state.as_str()) { (decision.state.as_str().replace('_', " ")) }
                " " code { (safe_line(&decision.gate)) }
                @if let Some(phase) = &decision.phase_key { " on " code { (safe_line(phase)) } @if let Some(version) = decision.artifact_version { " v" (version) } }
                @if let Some(hash) = &decision.artifact_sha256 { " " code.quiet title=(hash) { (hash.get(..8).unwrap_or(hash)) } }
                @if let Some(by) = &decision.by { " by " (safe_line(by)) @if let Some(via) = decision.via { " (" (via) ")" } }
                @if let Some(waited) = decision.waited_ms.filter(|_| decision.state != ApprovalStatus::Pending) { " after " (human_duration(waited)) }
                @if let Some(comment) = decision.comment.as_deref().filter(|comment| !comment.is_empty()) { pre { (safe_block(comment)) } }
            } } } }
        }
    }
}

fn artifacts(artifacts: &[ArtifactReport], contents: HeadingList<'_>) -> Markup {
    html! {
        @if !artifacts.is_empty() {
            section { h2 { "Artifacts" } @for artifact in artifacts {
                details { summary {
                    code { (safe_line(&artifact.path)) } " v" (artifact.version) " of " code { (safe_line(&artifact.phase_key)) } ", "
                    @if artifact.valid { span.state data-state="completed" { "valid" } } @else { span.state data-state="failed" { "not valid" } }
                    " " span.quiet { (safe_line(&artifact.schema)) ", " (artifact.bytes) " bytes, " (artifact.sha256.get(..8).unwrap_or(&artifact.sha256)) } }
                    @if !artifact.errors.is_empty() { ul { @for error in &artifact.errors {
                        li { code { (safe_line(if error.pointer.is_empty() { "(whole)" } else { &error.pointer })) } " " (safe_line(&error.message)) } } } }
                    @match content_of(artifact, contents) {
                        Some(text) => { pre { (safe_block(text)) } },
                        None => { p.quiet { "The content is not part of this page; " code { "phasedeck artifact" } " prints it." } },
                    }
                }
            } }
        }
    }
}

fn content_of<'a>(artifact: &ArtifactReport, contents: HeadingList<'a>) -> Option<&'a str> {
    let found = contents
        .iter()
        .find(|(phase, version, _)| *phase == artifact.phase_key && *version == artifact.version);
    found.map(|(_, _, text)| text.as_str())
}

fn people(report: &RunsReport) -> Markup {
    html! {
        section { h2 { "Who worked" } table { thead { tr { th { "Role" } th { "Persona" } th { "Backend" } th { "Model" } } }
            tbody { @for seat in &report.bindings { tr {
                td { (safe_line(&seat.seat())) } td { (safe_line(&seat.persona)) } td { (safe_line(&seat.backend)) }
                td { (safe_line(seat.model.as_deref().unwrap_or("-"))) } } } } } }
    }
}

fn events(report: &RunsReport) -> Markup {
    html! {
        section { h2 { "Last events" } table { tbody { @for event in &report.last_events { tr {
            td.number { (event.seq) } td { (event.at.to_string()) } td { code { (safe_line(&event.kind)) } }
            td { @if let Some(phase) = event.payload["phase_key"].as_str() { (safe_line(phase)) } } } } } } }
    }
}
