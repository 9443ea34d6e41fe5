//! The cost screen: a sparkline of recent days, and bars by day, phase, model and run.

use crate::app::redraw_schedule::takes_long;
use crate::app::screens::info::state::{CostBreakdown, CostView};
use crate::model::id::RunId;
use crate::model::record::CostLine;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cell, cell_right, cells, cut, styled};
use ratatui::layout::Rect;
use ratatui::symbols::bar;
use ratatui::widgets::Sparkline;

/// Rows of the sparkline, its frame included.
const OVER_TIME: u16 = 6;

/// The steps of a bar where only ASCII may show.
const ASCII_BARS: bar::Set<'static> = bar::Set {
    full: "#",
    seven_eighths: "#",
    three_quarters: "=",
    five_eighths: "=",
    half: "=",
    three_eighths: "-",
    one_quarter: "-",
    one_eighth: ".",
    empty: " ",
};

/// Draws the cost screen.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let cost = &pen.state.cost;
    if let Some(failure) = &cost.failure {
        pen.text(
            area,
            1,
            &format!(" cannot load costs: {failure}"),
            pen.theme.bad(),
        );
        return pen.text(area, 2, &format!(" {}", failure.hint), pen.theme.dim());
    }
    let Some(costs) = &cost.costs else {
        if takes_long(cost.since, pen.state.now.ticks) {
            pen.text(area, 1, &pen.theme.own(" loading costs …"), pen.theme.dim());
        }
        return;
    };
    if costs.days.is_empty() {
        pen.text(area, 1, " No model calls recorded yet.", pen.theme.title());
        return pen.text(
            area,
            2,
            " Dry runs cost nothing and are not counted.",
            pen.theme.dim(),
        );
    }
    let [head, rest] = layout::top(area, 1);
    total(pen, head, costs);
    let rest = if rest.height >= 14 {
        over_time(pen, rest, costs)
    } else {
        rest
    };
    match area.width {
        160.. => {
            let columns: [Rect; 4] =
                ratatui::layout::Layout::horizontal([ratatui::layout::Constraint::Ratio(1, 4); 4])
                    .areas(rest);
            for (by, column) in CostView::ALL.iter().zip(columns) {
                bars(pen, column, costs, *by);
            }
        }
        120.. => {
            let [left, right] = layout::halves(rest);
            let beside = if cost.by == CostView::Day {
                CostView::Model
            } else {
                cost.by
            };
            bars(pen, left, costs, CostView::Day);
            bars(pen, right, costs, beside);
        }
        _ => bars(pen, rest, costs, cost.by),
    }
}

fn total(pen: &mut DrawContext<'_>, area: Rect, costs: &CostBreakdown) {
    let calls: u32 = costs.days.iter().map(|line| line.calls).sum();
    let (sent, received) = costs.days.iter().fold((0, 0), |(sent, got), line| {
        (sent + line.tokens.input, got + line.tokens.output)
    });
    let spans = vec![
        styled(format!(" {} ", costs.total()), pen.theme.title()),
        styled(
            format!(
                "in {calls} calls, {} tokens in, {} out",
                count(sent),
                count(received)
            ),
            pen.theme.dim(),
        ),
    ];
    pen.line(area, 0, spans);
    if costs.total().unknown_calls > 0 {
        let said = format!(
            "? = {} calls without a known price ",
            costs.total().unknown_calls
        );
        pen.right(area, 0, 50, vec![styled(said, pen.theme.waiting())]);
    }
}

/// The last days, a column a day, days without a call too.
fn over_time(pen: &mut DrawContext<'_>, area: Rect, costs: &CostBreakdown) -> Rect {
    let [upper, rest] = layout::top(area, OVER_TIME);
    let days = usize::from(upper.width).saturating_sub(2);
    let amounts = daily(costs, days);
    let title = format!(" The last {} days ", amounts.len());
    let inner = pen.panel(upper, vec![styled(title, pen.theme.plain())], false);
    let set = if pen.state.look.ascii {
        ASCII_BARS
    } else {
        bar::NINE_LEVELS
    };
    let most = amounts.iter().max().copied().unwrap_or(0);
    let style = pen.theme.focus();
    pen.widget(
        Sparkline::default()
            .data(&amounts)
            .bar_set(set)
            .style(style)
            .max(most.max(1)),
        inner,
    );
    rest
}

/// What each of the last days cost, in nano-dollars, the last one last; at most `most` days.
fn daily(costs: &CostBreakdown, most: usize) -> Vec<u64> {
    let date = |line: &CostLine| line.label.parse::<jiff::civil::Date>().ok();
    let (Some(first), Some(last)) = (
        costs.days.first().and_then(date),
        costs.days.last().and_then(date),
    ) else {
        return Vec::new();
    };
    let mut amounts: Vec<u64> = Vec::new();
    let mut lines = costs.days.iter().peekable();
    for day in first
        .series(jiff::Span::new().days(1))
        .take_while(|day| *day <= last)
    {
        let line = lines.next_if(|line| date(line) == Some(day));
        amounts.push(line.map_or(0, |line| u64::try_from(line.cost.known.0).unwrap_or(0)));
    }
    let cut = amounts.len().saturating_sub(most.max(1));
    amounts.split_off(cut)
}

/// A grouping as bars, longest for what cost most.
fn bars(pen: &mut DrawContext<'_>, area: Rect, costs: &CostBreakdown, by: CostView) {
    let focused = pen.state.cost.by == by;
    let title = if focused {
        pen.theme.title()
    } else {
        pen.theme.plain()
    };
    let inner = pen.panel(
        area,
        vec![styled(format!(" {} ", by.title()), title)],
        focused,
    );
    let lines = costs.lines(by);
    let top = if focused {
        pen.state
            .cost
            .top
            .min(lines.len().saturating_sub(usize::from(inner.height)))
    } else {
        0
    };
    if focused {
        pen.drawn.list = Some(inner.height);
    }
    let most = lines
        .iter()
        .map(|line| line.cost.known.0)
        .max()
        .unwrap_or(0)
        .max(1);
    let width = usize::from(inner.width).saturating_sub(1);
    let label = lines
        .iter()
        .map(|line| cells(&name(line, by)))
        .max()
        .unwrap_or(0)
        .clamp(8, (width / 2).max(8));
    let room = width.saturating_sub(label + 2 + 12 + 2);
    for (row, line) in lines
        .iter()
        .skip(top)
        .take(usize::from(inner.height))
        .enumerate()
    {
        let spans = vec![
            styled(
                format!(
                    " {} ",
                    cell(&cut(&name(line, by), label, pen.theme.more()), label, "")
                ),
                pen.theme.plain(),
            ),
            styled(
                cell(
                    &drawn(line.cost.known.0, most, room, pen.state.look.ascii),
                    room,
                    "",
                ),
                pen.theme.focus(),
            ),
            styled(
                cell_right(&line.cost.to_string(), 12, pen.theme.more()),
                pen.theme.plain(),
            ),
        ];
        pen.line(inner, row, spans);
    }
    let below = lines.len().saturating_sub(top + usize::from(inner.height));
    if below > 0 {
        pen.foot(area, &format!("{below} more below"), pen.theme.dim());
    }
}

fn name(line: &CostLine, by: CostView) -> String {
    match by {
        CostView::Run => line
            .label
            .parse::<RunId>()
            .map_or_else(|_| line.label.clone(), |id| id.short()),
        _ => line.label.clone(),
    }
}

/// A bar of eighths of cells; what cost anything is seen.
fn drawn(amount: i64, most: i64, room: usize, ascii: bool) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths =
        i128::from(amount.max(0)) * i128::try_from(room * 8).unwrap_or(0) / i128::from(most);
    let eighths = usize::try_from(eighths)
        .unwrap_or(0)
        .max(usize::from(amount > 0));
    if ascii {
        return "#".repeat(eighths.div_ceil(8));
    }
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Thousands and millions.
fn count(tokens: u64) -> String {
    match tokens {
        0..10_000 => tokens.to_string(),
        10_000..10_000_000 => format!("{}k", tokens / 1000),
        _ => format!("{}M", tokens / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::TokenUsage;
    use crate::model::money::{CallCost, NanoUsd};

    fn day(label: &str, nano: i64) -> CostLine {
        let cost = CallCost {
            known: NanoUsd(nano),
            unknown_calls: 0,
        };
        CostLine {
            label: label.to_owned(),
            calls: 1,
            tokens: TokenUsage::default(),
            cost,
        }
    }

    #[test]
    fn days_without_a_call_are_columns_too() {
        let costs = CostBreakdown {
            days: vec![day("2026-02-27", 5), day("2026-03-02", 7)],
            ..CostBreakdown::default()
        };
        assert_eq!(daily(&costs, 10), [5, 0, 0, 7]);
        assert_eq!(daily(&costs, 2), [0, 7]);
        assert_eq!(daily(&CostBreakdown::default(), 2), [0; 0]);
    }

    #[test]
    fn the_largest_fills_its_room_and_the_smallest_is_seen() {
        let told = [(100, 100, 4), (50, 100, 3), (1, 1_000_000, 4), (0, 9, 4)]
            .map(|(amount, most, room)| drawn(amount, most, room, false));
        assert_eq!(told, ["████", "█▌", "▏", ""]);
        assert_eq!(drawn(50, 100, 3, true), "##");
    }
}
