//! The events pane: one line an event, following the end or standing still.

use ratatui::layout::Rect;

use super::pen::Pen;
use super::text::{cell, cell_right, cut, ink};
use super::theme::Mark;
use crate::app::run_view::{Pane, RunView};
use crate::app::telling::told;
use crate::model::event::Event;

/// Draws the framed pane.
pub fn draw(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let focused = run.focus == Pane::Events;
    let title = super::panes::title(pen, run, Pane::Events);
    let inner = pen.panel(area, title, focused);
    follow_mark(pen, area, run);
    body(pen, inner, run, focused);
}

/// Draws the lines alone.
pub fn body(pen: &mut Pen<'_>, area: Rect, run: &RunView, focused: bool) {
    pen.drawn.log = Some(area.height);
    let cursor = run.tail.cursor();
    for (row, event) in run.tail.visible(area.height).into_iter().enumerate() {
        line(pen, area, row, event);
        if focused && event.seq == cursor {
            pen.mark_row(area, row, pen.theme.selected());
        }
    }
    if run.tail.events().next().is_none() && run.tail.span().1 > 0 {
        pen.text(area, 0, &pen.theme.own(" loading …"), pen.theme.dim());
    }
}

/// Whether it follows, in the lower frame.
pub fn follow_mark(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let below = run.tail.below();
    if run.tail.follows() {
        let style = pen.theme.dim();
        pen.foot(area, "FOLLOW", style);
    } else {
        let style = pen.theme.waiting();
        pen.foot(area, &format!("PAUSED +{below}"), style);
    }
}

fn line(pen: &mut Pen<'_>, area: Rect, row: usize, event: &Event) {
    let (theme, more) = (pen.theme, pen.theme.more());
    let kind = event.fact.kind();
    let wide = area.width >= 70;
    let clock = pen.state.clock(event.at);
    let mut spans = vec![ink(format!(" {clock}  "), theme.dim())];
    let mut used = 11;
    if wide {
        spans.push(ink(format!("{}  ", cell_right(&event.seq.to_string(), 5, more)), theme.dim()));
        used += 7;
    }
    let mark = Mark::of_event(&event.fact);
    spans.push(ink(format!("{} ", theme.glyph(mark)), theme.of_mark(mark)));
    spans.push(ink(cell(kind, 19, more), if mark == Mark::InLine { theme.plain() } else { theme.of_mark(mark) }));
    used += 21;
    spans.push(ink(cut(&told(&event.fact, pen.state.dot()), usize::from(area.width).saturating_sub(used), more), theme.plain()));
    pen.line(area, row, spans);
}
