//! A gate: what is asked, what the answer unlocks, the text in question, and the answers.
//!
//! The first three lines and the answers never scroll away; only when all of it is on the screen is
//! the question reported as drawn, and only then can it be answered.

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::arrange::{self, Arrangement};
use super::gate_answers;
use super::pen::Pen;
use super::text::ink;
use super::theme::Mark;
use super::{reader, run};
use crate::app::gate::{GateView, Stage, Tab};
use crate::app::run_view::Known;
use crate::app::wake::age_text;
use crate::model::persona::Permission;
use crate::model::workflow::Phase;

/// Draws it.
pub fn draw(pen: &mut Pen<'_>, area: Rect) {
    let state = pen.state;
    let (Some(gate), Some(view)) = (&state.gate, &state.run) else { return };
    let Some(known) = &view.opened else { return };
    let area = match Arrangement::of(Rect::new(0, 0, state.look.size.0, state.look.size.1)) {
        Arrangement::Rail | Arrangement::Columns => {
            let [left, rest] = arrange::left(area, 36);
            run::left_rail(pen, left, view);
            rest
        }
        _ => area,
    };
    let [facts, rest] = arrange::top(area, 3);
    let [text, answers] = arrange::bottom(rest, gate_answers::height(gate, area.height));
    let first = first_line(pen, gate, known, facts.width);
    let second = second_line(pen, gate, known);
    pen.line(facts, 0, first);
    pen.line(facts, 1, second);
    let unlocks = unlocks(gate, known, pen.state.dot());
    pen.text(facts, 2, &unlocks, pen.theme.plain());
    body(pen, text, gate);
    gate_answers::draw(pen, answers, gate);
    if text.height >= 4 && answers.height >= 1 {
        pen.drawn.gate = Some(gate.request_id);
    }
}

/// Gate, which of how many, phase → next, artifact, version, hash, waiting time.
fn first_line(pen: &Pen<'_>, gate: &GateView, known: &Known, width: u16) -> Vec<Span<'static>> {
    let theme = pen.theme;
    let waiting: Vec<_> = pen.state.runs.waiting().map(|r| r.id).collect();
    let at = waiting.iter().position(|id| *id == gate.run_id);
    let which = at.filter(|_| width >= 76).map(|at| format!("{} of {}  ", at + 1, waiting.len())).unwrap_or_default();
    let phase = gate.phase_key.as_ref().map(ToString::to_string).unwrap_or_default();
    let next = gate.phase_key.as_ref().and_then(|key| known.phase_after(key)).map_or("end".to_owned(), |p| p.key.to_string());
    let age = age_text(pen.state.now.wall.since_ms(gate.requested_at));
    let what = match (&gate.sha256, path(gate, known)) {
        (Some(hash), Some(path)) => format!("{path} {}{} ", version(gate), hash.short()),
        _ => String::new(),
    };
    vec![
        ink(format!(" {} {} ", theme.glyph(Mark::Gate), gate.gate), theme.waiting()),
        ink(format!(" {which}"), theme.dim()),
        ink(format!("{phase} {} {next}  ", theme.own("→")), theme.title()),
        ink(format!("waits {age}  "), theme.dim()),
        ink(what, theme.plain()),
    ]
}

fn path<'a>(gate: &GateView, known: &'a Known) -> Option<&'a str> {
    known.details.artifacts.iter().find(|a| Some(&a.sha256) == gate.sha256.as_ref()).map(|a| a.path.as_str())
}

fn version(gate: &GateView) -> String {
    gate.version.map(|v| format!("v{v} ")).unwrap_or_default()
}

/// Persona and model, verdict, spent.
fn second_line(pen: &Pen<'_>, gate: &GateView, known: &Known) -> Vec<Span<'static>> {
    let theme = pen.theme;
    let phase = gate.phase_key.as_ref().and_then(|key| known.state.phase(key));
    let model = gate.phase_key.as_ref().and_then(|key| known.phase(key)).and_then(|p| known.binding(p));
    let model = model.map(|(b, _)| b.model.clone().unwrap_or_else(|| b.backend.clone())).unwrap_or_default();
    let persona = phase.and_then(|p| p.persona.as_ref()).map(ToString::to_string).unwrap_or_default();
    let mut spans = vec![ink(format!(" {persona} ({model})  "), theme.plain())];
    if gate.sha256.is_some() {
        let repairs = phase.map_or(0, |p| p.repairs);
        let after = if repairs > 0 { " after repair" } else { "" };
        spans.push(ink(format!("{} valid{after}  ", theme.glyph(Mark::Done)), theme.good()));
    }
    let spent = phase.map(|p| p.cost.to_string()).unwrap_or_default();
    spans.push(ink(format!("{spent} of {} spent  ", known.state.cost), theme.plain()));
    spans
}

/// What approving begins, with which permissions, where it writes, and how it is undone.
fn unlocks(gate: &GateView, known: &Known, dot: &str) -> String {
    let Some(key) = &gate.phase_key else { return " approving goes on with a fresh conversation".to_owned() };
    let more_gates = known.phase(key).map_or(0, |phase| known.workflow.as_ref().map_or(0, |w| w.gates(phase).len()));
    let passed = known.state.phase(key).map_or(0, |p| usize::try_from(p.gates_passed).unwrap_or(0));
    if passed + 1 < more_gates {
        return format!(" approving asks the next question of this phase ({} of {more_gates})", passed + 2);
    }
    match known.phase_after(key) {
        Some(next) => format!(" unlocks {}: {}{dot}undo: abort", next.key, powers(next, known, dot)),
        None => " unlocks nothing further: this is the last phase, and the run completes".to_owned(),
    }
}

fn powers(next: &Phase, known: &Known, dot: &str) -> String {
    let Some((binding, persona)) = known.binding(next) else { return next.label().to_owned() };
    let allowed: Vec<String> = persona
        .tools
        .iter()
        .filter(|tool| persona.permission(tool) != Permission::Deny)
        .map(|tool| if persona.permission(tool) == Permission::Ask { format!("{tool} (asks)") } else { tool.clone() })
        .collect();
    let tools = if allowed.is_empty() { "no tools".to_owned() } else { allowed.join(", ") };
    let writes = next.expected_artifact.as_ref().map(|e| format!("{dot}writes {}", e.path)).unwrap_or_default();
    format!("{}{dot}{tools}{writes}", binding.persona)
}

/// How much of the text was on the screen, in the lower frame, where nothing pushes it away.
fn seen(pen: &mut Pen<'_>, area: Rect, gate: &GateView) {
    let Some(measured) = gate.measured() else { return };
    let (unseen, theme) = (measured.unseen(), pen.theme);
    let rest = match unseen {
        0 => String::new(),
        1 => ", 1 line unseen".to_owned(),
        _ => format!(", {unseen} lines unseen"),
    };
    let told = format!("seen {} %{rest}", measured.seen_percent());
    let width = u16::try_from(told.len() + 6).unwrap_or(u16::MAX).min(area.width);
    pen.foot(Rect { width, ..area }, &told, if unseen == 0 { theme.good() } else { theme.waiting() });
}

fn body(pen: &mut Pen<'_>, area: Rect, gate: &GateView) {
    let mut title = vec![ink(" ", pen.theme.plain())];
    for tab in gate.tabs() {
        let style = if tab == gate.tab { pen.theme.selected() } else { pen.theme.dim() };
        title.push(ink(format!(" {} ", tab_title(gate, tab)), style));
    }
    let focused = matches!(gate.stage, Stage::Reading);
    let inner = pen.panel(area, title, focused);
    pen.drawn.reading = Some((inner.width, inner.height));
    match gate.reading() {
        Some(reading) => {
            reader::draw(pen, inner, reading);
            reader::foot(pen, area, reading);
            seen(pen, area, gate);
        }
        None => pen.text(inner, 0, &pen.theme.own(" loading …"), pen.theme.dim()),
    }
}

fn tab_title(gate: &GateView, tab: Tab) -> String {
    match (tab, &gate.reviewed) {
        (Tab::Diff, Some((version, _))) => format!("Diff to v{version}"),
        (Tab::Diff, None) => "Diff".to_owned(),
        (Tab::Whole, _) => "Whole".to_owned(),
        (Tab::Errors, _) => "Errors before".to_owned(),
        (Tab::Log, _) => "Log".to_owned(),
    }
}
