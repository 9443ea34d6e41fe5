//! The gate screen: header lines, the text under review, and the available decisions.
//!
//! The first three lines and the decisions never scroll. The gate is reported as drawn only when
//! all of it is on the screen, and only then can it be decided.

use crate::app::keymap::Action;
use crate::app::screens::gate;
use crate::app::screens::gate::state::{DecisionStep, GateTab, GateView};
use crate::app::screens::run::state::{LoadedRun, PhaseForecast};
use crate::model::forecast::CostForecast;
use crate::model::id::PhaseKey;
use crate::model::persona::{Persona, ToolPermission};
use crate::model::question::GateQuestion;
use crate::model::state::Risk;
use crate::model::time::human_duration;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::layout::PaneLayout;
use crate::ui::modal;
use crate::ui::screens::gate::answers;
use crate::ui::screens::run;
use crate::ui::text::{cells, styled};
use crate::ui::theme::StatusGlyph;
use crate::ui::truncate::{LinePart, fitted};
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Draws the gate screen.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let state = pen.state;
    let (Some(gate), Some(view)) = (&state.gate, &state.run) else {
        return;
    };
    let Some(known) = &view.opened else { return };
    let area = match PaneLayout::for_size(Rect::new(0, 0, state.look.size.0, state.look.size.1)) {
        PaneLayout::Rail | PaneLayout::Columns => {
            let [left, rest] = layout::left(area, 36);
            run::screen::left_rail(pen, left, view);
            rest
        }
        _ => area,
    };
    let area = pause_notice(pen, area, known);
    let area = resting(pen, area, known);
    let area = warned(pen, area, gate, known);
    let [facts, rest] = layout::top(area, 3);
    let [text, answers] = layout::bottom(rest, answers::height(gate, area.height, area.width));
    let width = usize::from(facts.width);
    let lines = [
        first_line(pen, gate, known),
        second_line(pen, gate, known),
        third_line(pen, gate, known),
    ];
    for (row, parts) in lines.into_iter().enumerate() {
        let spans = fitted(parts, width);
        pen.line(facts, row, spans);
    }
    body(pen, text, gate);
    answers::draw(pen, answers, gate);
    if text.height >= 4 && answers.height >= 1 {
        pen.drawn.gate = Some(gate.request_id);
    }
}

/// Draws the standing tool permissions; returns the remaining area.
pub fn pause_notice(pen: &mut DrawContext<'_>, area: Rect, known: &LoadedRun) -> Rect {
    let Some(told) = gate::question::permits_banner(&known.state) else {
        return area;
    };
    let [line, rest] = layout::top(area, 1);
    let glyph = pen.theme.glyph(StatusGlyph::NeedsCheck);
    let keys = pen.state.keys.display_keys(Action::Permits);
    let style = pen.theme.waiting();
    let hint = if pen.state.screen() == crate::app::state::Screen::Run {
        format!("  {keys} lists")
    } else {
        String::new()
    };
    let room = usize::from(area.width).saturating_sub(cells(&hint) + 1);
    let text = crate::ui::text::cut(&format!(" {glyph} {told}"), room, pen.theme.more());
    pen.line(
        line,
        0,
        vec![styled(text, style), styled(hint, pen.theme.dim())],
    );
    rest
}

/// While the run is paused, draws that a decision takes effect after resume; returns the remaining
/// area.
fn resting(pen: &mut DrawContext<'_>, area: Rect, known: &LoadedRun) -> Rect {
    if !answers::rests(&known.state) {
        return area;
    }
    let [line, rest] = layout::top(area, 1);
    let reason = known
        .state
        .pause_reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    let told = format!(
        " {} Run is paused{reason}. Your answer takes effect after resume ({}).",
        pen.theme.glyph(StatusGlyph::Paused),
        pen.state.keys.display_keys(Action::GateResume)
    );
    pen.text(line, 0, &told, pen.theme.waiting());
    rest
}

/// Draws warnings about the artifact's content; returns the remaining area.
fn warned(pen: &mut DrawContext<'_>, area: Rect, gate: &GateView, known: &LoadedRun) -> Rect {
    let phase = gate
        .phase_key
        .as_ref()
        .and_then(|key| known.state.phase(key));
    let asked = phase.filter(|phase| {
        phase.artifact.as_ref().map(|artifact| &artifact.sha256) == gate.sha256.as_ref()
    });
    let Some(words) = asked.and_then(|phase| phase.warned.as_ref()) else {
        return area;
    };
    let [line, rest] = layout::top(area, 1);
    let told = format!(
        " {} contains {words}; approval accepts it",
        pen.theme.glyph(StatusGlyph::NeedsCheck)
    );
    pen.text(
        line,
        0,
        &crate::ui::text::cut(&told, usize::from(area.width), pen.theme.more()),
        pen.theme.waiting(),
    );
    rest
}

/// Gate, which of how many, phase → next, artifact, version, hash, waiting time.
fn first_line(pen: &DrawContext<'_>, gate: &GateView, known: &LoadedRun) -> Vec<LinePart> {
    let theme = pen.theme;
    let waiting: Vec<_> = pen.state.runs.awaiting_operator().map(|r| r.id).collect();
    // Once this gate is decided, the pending approval is a different one.
    let answered = matches!(gate.stage, DecisionStep::Receipt(_));
    let (glyph, style) = if answered {
        (theme.glyph(StatusGlyph::Done), theme.dim())
    } else {
        (theme.glyph(StatusGlyph::Gate), theme.waiting())
    };
    let age = if answered {
        "answered".to_owned()
    } else {
        format!("since {}", pen.state.time(gate.requested_at))
    };
    let mut parts = vec![LinePart::new(0, style, format!(" {glyph} {}  ", gate.gate))];
    if let Some(at) = waiting
        .iter()
        .position(|id| *id == gate.run_id)
        .filter(|_| !answered)
    {
        parts.push(LinePart::new(
            5,
            theme.dim(),
            format!("{} of {}  ", at + 1, waiting.len()),
        ));
    }
    if let Some(key) = about(gate, known) {
        let next = known
            .phase_after(key)
            .map_or("end".to_owned(), |p| p.key.to_string());
        // A tool or budget decision does not start another phase.
        let asks = gate.question.is_some();
        let long = if asks {
            format!("{key}  ")
        } else {
            format!("{key} {} {next}  ", theme.own("→"))
        };
        parts.push(LinePart::new(3, theme.title(), long).or(format!("{key}  ")));
    }
    if let Some(path) = path(gate, known) {
        parts.push(LinePart::new(6, theme.plain(), format!("{path} ")));
    }
    if let Some(hash) = &gate.sha256 {
        parts.push(LinePart::new(
            0,
            theme.plain(),
            format!("{}{}  ", version(gate), hash.short()),
        ));
    }
    parts.push(LinePart::new(4, theme.dim(), age));
    parts
}

/// Returns the phase of the gate, or the current phase for a run-level gate.
fn about<'a>(gate: &'a GateView, known: &'a LoadedRun) -> Option<&'a PhaseKey> {
    let current = || {
        known
            .state
            .current()
            .filter(|_| gate.question.is_some())
            .map(|phase| &phase.key)
    };
    gate.phase_key.as_ref().or_else(current)
}

fn path<'a>(gate: &GateView, known: &'a LoadedRun) -> Option<&'a str> {
    known
        .details
        .artifacts
        .iter()
        .find(|a| Some(&a.sha256) == gate.sha256.as_ref())
        .map(|a| a.path.as_str())
}

fn version(gate: &GateView) -> String {
    gate.version.map(|v| format!("v{v} ")).unwrap_or_default()
}

/// Persona and model (or who wrote it instead), verdict, spent, what the next phase will cost.
fn second_line(pen: &DrawContext<'_>, gate: &GateView, known: &LoadedRun) -> Vec<LinePart> {
    let theme = pen.theme;
    let phase = about(gate, known).and_then(|key| known.state.phase(key));
    let model = about(gate, known).and_then(|key| known.effective_binding(key));
    let model = model
        .map(|b| b.model.clone().unwrap_or_else(|| b.backend.clone()))
        .unwrap_or_default();
    let persona = phase
        .and_then(|p| p.made_by())
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut parts = vec![LinePart::new(0, theme.plain(), " ")];
    if let Some(by) = phase.and_then(|p| p.revised_by.as_ref()) {
        parts.push(LinePart::new(
            0,
            theme.waiting(),
            format!("edited by {by}  "),
        ));
    } else if let Some(picked) = phase.and_then(|p| p.picked.as_ref()) {
        parts.push(LinePart::new(
            0,
            theme.waiting(),
            format!("{} ", picked.persona),
        ));
        parts.push(LinePart::new(
            2,
            theme.waiting(),
            format!("in fork {} ", picked.fork.short()),
        ));
        parts.push(LinePart::new(2, theme.plain(), " "));
    } else if !persona.is_empty() {
        parts.push(LinePart::new(2, theme.plain(), format!("{persona} ")));
        parts.push(LinePart::new(4, theme.plain(), format!("({model}) ")));
        parts.push(LinePart::new(2, theme.plain(), " "));
    }
    if gate.sha256.is_some() {
        let repairs = phase.map_or(0, |p| p.repairs);
        let after = if repairs > 0 { " after repair" } else { "" };
        parts.push(LinePart::new(
            0,
            theme.good(),
            format!("{} valid{after}  ", theme.glyph(StatusGlyph::Done)),
        ));
    }
    if gate.risk == Risk::High && gate.phase_key.is_some() {
        parts.push(LinePart::new(1, theme.waiting(), "high risk  "));
    }
    let run = known.state.cost;
    match phase.map(|p| p.cost) {
        Some(cost) => parts.push(
            LinePart::new(3, theme.plain(), format!("phase {cost}, run {run}  "))
                .or(format!("run {run}  ")),
        ),
        None => parts.push(LinePart::new(3, theme.plain(), format!("run {run}  "))),
    }
    if gate.question.is_none() {
        parts.extend(forecast(pen));
    }
    parts
}

/// Formats the p50 and p90 of earlier runs.
fn forecast(pen: &DrawContext<'_>) -> Vec<LinePart> {
    let dim = pen.theme.dim();
    let told = match pen.state.run.as_ref().and_then(|run| run.foretold()) {
        None => return Vec::new(),
        Some(PhaseForecast::NoHistory) => {
            return vec![LinePart::new(1, dim, "next phase: no history").or("no history")];
        }
        Some(PhaseForecast::Known(forecast)) => forecast,
    };
    let [cost, time, of] = forecast_parts(&told);
    vec![
        LinePart::new(
            1,
            dim,
            format!("next {cost}{}{time}", pen.state.separator()),
        ),
        LinePart::new(5, dim, format!(" ({of})")),
    ]
}

/// Returns the forecast of cost and duration, and its sample size.
pub fn forecast_parts(forecast: &CostForecast) -> [String; 3] {
    let time = format!(
        "{} to {}",
        human_duration(forecast.working_ms.p50),
        human_duration(forecast.working_ms.p90)
    );
    let cost = forecast.cost.map_or_else(
        || "?".to_owned(),
        |cost| format!("{} to {}", cost.p50, cost.p90),
    );
    [cost, time, format!("p50 to p90 of {} runs", forecast.runs)]
}

/// Describes the phase that approval starts: its tools, its artifact, and how to undo it.
fn third_line(pen: &DrawContext<'_>, gate: &GateView, known: &LoadedRun) -> Vec<LinePart> {
    let (plain, dot) = (pen.theme.plain(), pen.state.separator());
    if let Some(asked) = &gate.question {
        return unlocked_by(pen, asked);
    }
    let Some(key) = &gate.phase_key else {
        return vec![LinePart::new(
            0,
            plain,
            " Next: same phase, new conversation",
        )];
    };
    let more_gates = known.phase(key).map_or(0, |phase| {
        known.workflow.as_ref().map_or(0, |w| w.gates(phase).len())
    });
    let passed = known
        .state
        .phase(key)
        .map_or(0, |p| usize::try_from(p.gates_passed).unwrap_or(0));
    if passed + 1 < more_gates {
        return vec![LinePart::new(
            0,
            plain,
            format!(" Next: gate {} of {more_gates} in this phase", passed + 2),
        )];
    }
    let Some(next) = known.phase_after(key) else {
        let long = " Next: none. This is the last phase; approval completes the run";
        return vec![LinePart::new(0, plain, long).or(" Next: none, run completes")];
    };
    let mut parts = vec![LinePart::new(0, plain, format!(" Next: {}", next.key))];
    if let Some((binding, persona)) = known.binding(next) {
        let (all, short) = tools(persona);
        let persona = known
            .effective_binding(&next.key)
            .map_or(&binding.persona, |seat| &seat.persona);
        parts.push(LinePart::new(4, plain, format!(": {persona}")));
        parts.push(LinePart::new(3, plain, format!("{dot}{all}")).or(format!("{dot}{short}")));
    }
    if let Some(expected) = &next.expected_artifact {
        parts.push(LinePart::new(
            1,
            plain,
            format!("{dot}writes {}", expected.path),
        ));
    }
    parts.push(LinePart::new(
        2,
        pen.theme.dim(),
        format!("{dot}undo: abort"),
    ));
    parts.push(LinePart::new(6, pen.theme.dim(), " (keeps all commits)"));
    parts
}

/// Describes what approving a tool call or budget allows, and that it cannot be undone.
fn unlocked_by(pen: &DrawContext<'_>, asked: &GateQuestion) -> Vec<LinePart> {
    let (plain, dim, dot) = (pen.theme.plain(), pen.theme.dim(), pen.state.separator());
    match asked {
        GateQuestion::Tool(tool) => vec![
            LinePart::new(0, plain, format!(" Allows {}", tool.tool)),
            LinePart::new(3, plain, format!("{dot}{}", tool.target)),
            LinePart::new(1, dim, format!("{dot}cannot be undone")).or(format!("{dot}no undo")),
        ],
        GateQuestion::Budget(budget) => vec![
            LinePart::new(
                0,
                plain,
                format!(" Allows a call of at most {}", budget.needed),
            ),
            LinePart::new(
                1,
                plain,
                format!("{dot}{} of {} spent", budget.spent, budget.limit),
            ),
            LinePart::new(3, dim, format!("{dot}spending cannot be undone"))
                .or(format!("{dot}no undo")),
        ],
    }
}

/// Returns the tools of a persona as a list and as a count.
fn tools(persona: &Persona) -> (String, String) {
    let allowed = persona
        .tools
        .iter()
        .filter(|tool| persona.permission(tool) != ToolPermission::Deny);
    let asks = |tool: &String| persona.permission(tool) == ToolPermission::Ask;
    let named: Vec<String> = allowed
        .clone()
        .map(|tool| {
            if asks(tool) {
                format!("{tool} (asks)")
            } else {
                tool.clone()
            }
        })
        .collect();
    let (count, asking) = (named.len(), allowed.filter(|tool| asks(tool)).count());
    if count == 0 {
        return ("no tools".to_owned(), "no tools".to_owned());
    }
    let short = if asking > 0 {
        format!("{count} tools, {asking} ask")
    } else {
        format!("{count} tools")
    };
    (named.join(", "), short)
}

/// Cells of the bottom frame reserved for the "more below" text.
const BELOW: usize = 24;

/// Shows in the bottom frame how much of the text was viewed.
fn seen(pen: &mut DrawContext<'_>, area: Rect, gate: &GateView) {
    let Some(measured) = gate.coverage_view() else {
        return;
    };
    let (unseen, theme) = (measured.unseen(), pen.theme);
    let rest = match unseen {
        0 => String::new(),
        1 => ", 1 line not viewed".to_owned(),
        _ => format!(", {unseen} lines not viewed"),
    };
    let told = format!("{}% viewed{rest}", measured.seen_percent());
    // The "more below" text shares this frame row, on the right.
    let told = if told.len() + BELOW > usize::from(area.width) {
        format!("{}% viewed", measured.seen_percent())
    } else {
        told
    };
    let width = u16::try_from(told.len() + 6)
        .unwrap_or(u16::MAX)
        .min(area.width);
    pen.foot(
        Rect { width, ..area },
        &told,
        if unseen == 0 {
            theme.good()
        } else {
            theme.waiting()
        },
    );
}

fn body(pen: &mut DrawContext<'_>, area: Rect, gate: &GateView) {
    let found = modal::reader::sought(
        pen,
        &gate.search,
        gate.scroll_view(),
        usize::from(area.width / 3),
    );
    let taken: usize = found.iter().map(|span| cells(&span.content)).sum();
    let mut title = tab_titles(pen, gate, usize::from(area.width).saturating_sub(2 + taken));
    title.extend(found);
    let focused = matches!(gate.stage, DecisionStep::Reading);
    let inner = pen.panel(area, title, focused);
    let inner = modal::reader::typed(pen, layout::inset(inner), &gate.search, gate.scroll_view());
    let inner = beside(pen, inner, gate);
    pen.drawn.reading = Some((inner.width, inner.height));
    match gate.scroll_view() {
        Some(reading) => {
            modal::reader::draw(pen, inner, reading);
            modal::reader::foot(pen, area, reading);
            seen(pen, area, gate);
        }
        None => pen.text(inner, 0, &pen.theme.own(" loading …"), pen.theme.dim()),
    }
}

/// Draws the tabs; if they do not fit, only the current one and the number of tabs.
fn tab_titles(pen: &DrawContext<'_>, gate: &GateView, width: usize) -> Vec<Span<'static>> {
    let tabs = gate.tabs();
    let mut title = vec![styled(" ", pen.theme.plain())];
    for tab in &tabs {
        let style = if *tab == gate.tab {
            pen.theme.selected()
        } else {
            pen.theme.dim()
        };
        title.push(styled(format!(" {} ", tab_title(gate, *tab)), style));
    }
    if title.iter().map(|span| cells(&span.content)).sum::<usize>() <= width {
        return title;
    }
    let at = tabs
        .iter()
        .position(|tab| *tab == gate.tab)
        .map_or(1, |at| at + 1);
    vec![
        styled(" ", pen.theme.plain()),
        styled(
            format!(" {} ", tab_title(gate, gate.tab)),
            pen.theme.selected(),
        ),
        styled(format!(" {at} of {} tabs ", tabs.len()), pen.theme.dim()),
    ]
}

/// Draws the repaired text beside the invalid version, if there is room for both.
fn beside(pen: &mut DrawContext<'_>, area: Rect, gate: &GateView) -> Rect {
    let (GateTab::Errors, Some(repaired), 88..) = (gate.tab, &gate.repaired, area.width) else {
        return area;
    };
    let [left, right] = layout::halves(area);
    let [head, text] = layout::top(
        Rect {
            x: right.x + 1,
            width: right.width.saturating_sub(1),
            ..right
        },
        1,
    );
    let told = format!(
        "{}: valid",
        gate.version
            .map_or_else(|| "now".to_owned(), |v| format!("v{v}"))
    );
    pen.text(head, 0, &told, pen.theme.title());
    pen.drawn.beside = Some((text.width, text.height));
    modal::reader::draw(pen, text, repaired);
    let rule = pen.theme.own("│");
    for row in 0..usize::from(right.height) {
        pen.text(Rect { width: 1, ..right }, row, &rule, pen.theme.dim());
    }
    Rect {
        width: left.width.saturating_sub(1),
        ..left
    }
}

fn tab_title(gate: &GateView, tab: GateTab) -> String {
    match (tab, &gate.reviewed) {
        (GateTab::Diff, Some((version, _))) => format!("Diff to v{version}"),
        (GateTab::Diff, None) => "Diff".to_owned(),
        (GateTab::Whole, _) if gate.sha256.is_none() => "Question".to_owned(),
        (GateTab::Whole, _) => "Artifact".to_owned(),
        (GateTab::Forks, _) => format!("Forks ({})", gate.forks.candidates.len().saturating_sub(1)),
        (GateTab::Errors, _) => "Previous errors".to_owned(),
        (GateTab::Comments, _) => "Comments".to_owned(),
        (GateTab::Inputs, _) => "Prompt".to_owned(),
        (GateTab::Log, _) => "Log".to_owned(),
    }
}
