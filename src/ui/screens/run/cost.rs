//! A run's cost against its budget, by phase and by model.

use crate::app::screens::run::state::{LoadedRun, PhaseForecast, RunScreen};
use crate::model::event::RunFact;
use crate::model::forecast::LEAST_RUNS;
use crate::model::money::{CallCost, NanoUsd, grouped, in_short};
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::screens::gate::screen::forecast_parts;
use crate::ui::text::{cell, cell_right, cells, styled};
use crate::ui::truncate::{LinePart, fitted};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// From this width on, phases and models stand side by side.
const SIDE_BY_SIDE: u16 = 84;
/// Cells of the figures, and of the longest bar.
const COST: usize = 10;
const TOKENS: usize = 14;
const BAR: usize = 24;

/// Draws what is inside the frame.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let Some(known) = &run.opened else { return };
    let spent = spent(pen, area, run, known);
    let mut taken = spent + next(pen, area, spent, run) + 1;
    if run.history_seq().is_some() {
        pen.text(area, taken, " up to this event", pen.theme.dim());
        taken += 1;
    }
    let [_, body] = layout::top(area, u16::try_from(taken).unwrap_or(area.height));
    let (phases, models) = (by_phase(known), by_model(known));
    let most = known.state.cost.known.0.max(1);
    let (plain, dim) = (pen.theme.plain(), pen.theme.dim());
    if body.width >= SIDE_BY_SIDE {
        let [left, right] = layout::halves(body);
        table(pen, left, &phases, longest(&phases), most, plain);
        table(pen, right, &models, longest(&models), most, dim);
    } else {
        // Beneath each other the figures are aligned, where the name of a model leaves room for more than one.
        let together = longest(&phases).max(longest(&models));
        let aligned = usize::from(body.width) >= together + 2 * COST;
        let (of_phases, of_models) = if aligned {
            (together, together)
        } else {
            (longest(&phases), longest(&models))
        };
        table(pen, body, &phases, of_phases, most, plain);
        let gap = usize::from(usize::from(body.height) > phases.len() + models.len());
        let [_, below] = layout::top(
            body,
            u16::try_from(phases.len() + gap).unwrap_or(body.height),
        );
        table(pen, below, &models, of_models, most, dim);
    }
}

/// Rows that the pane needs where phases and models stand side by side.
#[must_use]
pub fn rows(run: &RunScreen) -> u16 {
    let Some(known) = &run.opened else { return 0 };
    // All phases, begun or not: the pane keeps its height while the run goes on.
    let lines = known.state.phases.len().max(known.state.models.len());
    // So does the line of the next phase.
    let next = usize::from(!known.state.status.is_terminal());
    u16::try_from(2 + next + usize::from(known.state.cost.unknown_calls > 0) + lines)
        .unwrap_or(u16::MAX)
}

/// What the next phase will cost and take; the rows that took.
fn next(pen: &mut DrawContext<'_>, area: Rect, row: usize, run: &RunScreen) -> usize {
    let key = run
        .live_run()
        .filter(|_| run.history_seq().is_none())
        .and_then(|known| known.next_phase())
        .map(|phase| &phase.key);
    let (Some(key), Some(told)) = (key, run.foretold()) else {
        return 0;
    };
    let (plain, dim) = (pen.theme.plain(), pen.theme.dim());
    let mut parts = vec![
        LinePart::new(0, dim, " next "),
        LinePart::new(0, plain, format!("{key}  ")),
    ];
    match told {
        PhaseForecast::NoHistory => parts.push(
            LinePart::new(
                1,
                dim,
                format!("no history yet: {LEAST_RUNS} runs are needed"),
            )
            .or("no history"),
        ),
        PhaseForecast::Known(forecast) => {
            let [cost, time, of] = forecast_parts(&forecast);
            let time = format!("{}{time}", pen.state.separator());
            parts.extend([
                LinePart::new(1, plain, cost),
                LinePart::new(2, plain, time),
                LinePart::new(3, dim, format!(" ({of})")),
            ]);
        }
    }
    let spans = fitted(parts, usize::from(area.width));
    pen.line(area, row, spans);
    1
}

/// What the run has cost, and of how much; the rows that took.
fn spent(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen, known: &LoadedRun) -> usize {
    let (theme, state) = (pen.theme, &known.state);
    let used = |number: fn(u64) -> String| {
        format!(
            "  {} in, {} out",
            number(state.tokens.input),
            number(state.tokens.output)
        )
    };
    let mut spans = vec![styled(format!(" {}", state.cost), theme.title())];
    // A limit that was raised is told by the facts.
    let by_then =
        |event: &&std::sync::Arc<crate::model::event::JournalEvent>| event.seq <= state.last_seq;
    let told = run
        .tail
        .events()
        .rev()
        .filter(by_then)
        .find_map(|event| budget_limit(&event.fact));
    if let Some(limit) = told.or(known.record.options.budget) {
        spans.push(styled(format!(" of {limit}"), theme.plain()));
        if area.width >= 60 {
            let full = bar(&theme.own("█"), state.cost.known, limit.0.max(1), BAR);
            let style = if state.cost.known.0 >= limit.0 / 5 * 4 {
                theme.waiting()
            } else {
                theme.focus()
            };
            spans.push(styled(format!("  {full}"), style));
            spans.push(styled(
                theme.own("░").repeat(BAR.saturating_sub(cells(&full))),
                theme.dim(),
            ));
        }
    }
    let room =
        usize::from(area.width).saturating_sub(spans.iter().map(|span| cells(&span.content)).sum());
    let tokens = [used(grouped), used(in_short)]
        .into_iter()
        .find(|told| cells(told) <= room);
    spans.push(styled(tokens.unwrap_or_default(), theme.dim()));
    pen.line(area, 0, spans);
    if state.cost.unknown_calls == 0 {
        return 1;
    }
    pen.text(
        area,
        1,
        &format!(" {} calls have no known price", state.cost.unknown_calls),
        theme.waiting(),
    );
    2
}

fn budget_limit(fact: &RunFact) -> Option<NanoUsd> {
    match fact {
        RunFact::BudgetWarned { scope, limit, .. }
        | RunFact::BudgetExceeded { scope, limit, .. }
            if scope == "run" =>
        {
            Some(*limit)
        }
        _ => None,
    }
}

/// One line of the table.
struct RunCostLine {
    label: String,
    /// Absent while it has not begun.
    figures: Option<(CallCost, u64)>,
}

fn by_phase(known: &LoadedRun) -> Vec<RunCostLine> {
    let figures = |p: &crate::model::run_state::PhaseState| {
        (p.cost, p.tokens.input.saturating_add(p.tokens.output))
    };
    known
        .state
        .phases
        .iter()
        .map(|p| RunCostLine {
            label: p.key.to_string(),
            figures: p.started_at.is_some().then(|| figures(p)),
        })
        .collect()
}

fn by_model(known: &LoadedRun) -> Vec<RunCostLine> {
    let models = known.state.models.iter();
    models
        .map(|(model, spent)| RunCostLine {
            label: model.clone(),
            figures: Some((
                spent.cost,
                spent.tokens.input.saturating_add(spent.tokens.output),
            )),
        })
        .collect()
}

fn longest(lines: &[RunCostLine]) -> usize {
    lines
        .iter()
        .map(|line| cells(&line.label))
        .max()
        .unwrap_or(0)
}

/// Name, cost, tokens, bar; what there is no room for goes from the right.
fn table(
    pen: &mut DrawContext<'_>,
    area: Rect,
    lines: &[RunCostLine],
    names: usize,
    most: i64,
    style: Style,
) {
    let (theme, more, width) = (
        pen.theme,
        pen.theme.more(),
        usize::from(area.width).saturating_sub(2),
    );
    let name = names.min(width.saturating_sub(COST));
    let left = width.saturating_sub(name + COST);
    let tokens_room = if left >= TOKENS { TOKENS } else { 0 };
    let bar_room = left.saturating_sub(tokens_room + 2).min(BAR);
    for (row, line) in lines.iter().enumerate() {
        let label = cell(&format!(" {}", line.label), name + 1, more);
        let Some((cost, tokens)) = line.figures else {
            pen.line(area, row, vec![styled(label, theme.dim())]);
            continue;
        };
        let tokens = if tokens_room > 0 {
            of_tokens(tokens)
        } else {
            String::new()
        };
        let spans = vec![
            styled(label, style),
            styled(cell_right(&cost.to_string(), COST, more), theme.plain()),
            styled(cell_right(&tokens, tokens_room, more), theme.dim()),
            styled(
                format!("  {}", bar(&theme.own("█"), cost.known, most, bar_room)),
                theme.focus(),
            ),
        ];
        pen.line(area, row, spans);
    }
}

/// A number of tokens with a cell before it.
fn of_tokens(tokens: u64) -> String {
    let told = format!("{} tok", grouped(tokens));
    if cells(&told) < TOKENS {
        told
    } else {
        format!("{} tok", in_short(tokens))
    }
}

fn bar(block: &str, part: NanoUsd, most: i64, room: usize) -> String {
    let share = i128::from(part.0.max(0)) * i128::try_from(room).unwrap_or(0) / i128::from(most);
    block.repeat(usize::try_from(share).unwrap_or(0).min(room))
}
