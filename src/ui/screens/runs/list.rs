//! The run list: pending approvals, active runs, today's completed runs folded, the rest; and the
//! filter.

use crate::app::mouse::MouseTarget;
use crate::app::redraw_schedule::{shown_since, takes_long};
use crate::app::screens::runs::filter::SearchProgress;
use crate::app::screens::runs::state::{RunListRow, awaits_operator};
use crate::model::record::RunRecord;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::screens::runs::card;
use crate::ui::text::{cell, cell_right, cells, styled};
use crate::ui::theme::StatusGlyph;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Rows that say more about the selected run: on a tall screen more of them. They never depend on the run,
/// so that the list stays where it is.
fn detail(height: u16) -> u16 {
    (height / 4).clamp(6, 10)
}

/// Minimum width for the card beside the list, and the card's width.
const BESIDE: u16 = 160;
const SIDE: u16 = 64;

/// Draws the run list.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let runs = &pen.state.runs;
    let area = if runs.filter.typing || runs.filter.is_active() {
        filter_line(pen, area)
    } else {
        area
    };
    if let Some(failure) = &runs.failure {
        let [top, rest] = layout::top(area, 2);
        pen.text(
            top,
            0,
            &format!(" cannot load the run list: {failure}"),
            pen.theme.bad(),
        );
        pen.text(top, 1, &format!(" {}", failure.hint), pen.theme.dim());
        return list(pen, rest);
    }
    if !runs.loaded {
        if takes_long(runs.since, pen.state.now.ticks) {
            pen.text(area, 1, &pen.theme.own(" loading runs …"), pen.theme.dim());
        }
        return;
    }
    if runs.is_new() {
        return super::welcome::draw(pen, area);
    }
    if runs.is_empty() && runs.filter.is_active() {
        let sure = runs.filter.search != SearchProgress::Going;
        let said = if sure {
            " no matches"
        } else {
            " no matches so far"
        };
        pen.text(area, 1, said, pen.theme.plain());
        return pen.text(area, 2, " Esc shows all runs", pen.theme.dim());
    }
    if area.height < 16 {
        return list(pen, area);
    }
    if area.width >= BESIDE {
        let [left, right] = layout::left(area, area.width - SIDE);
        list(pen, left);
        return card::beside(pen, right);
    }
    let [upper, lower] = layout::bottom(area, detail(area.height));
    list(pen, upper);
    card::beneath(pen, lower);
}

/// Draws the filter line with its progress; returns the remaining area.
fn filter_line(pen: &mut DrawContext<'_>, area: Rect) -> Rect {
    let filter = &pen.state.runs.filter;
    let [line, rest] = layout::top(area, 1);
    let width = usize::from(line.width);
    let room = (width / 2).max(12);
    let shown: String = if cells(&filter.text) > room {
        filter
            .text
            .chars()
            .rev()
            .take(room)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect()
    } else {
        filter.text.clone()
    };
    let cursor = if filter.typing { "_" } else { "" };
    pen.line(
        line,
        0,
        vec![
            styled(" / ", pen.theme.key()),
            styled(format!("{shown}{cursor}"), pen.theme.plain()),
        ],
    );
    let dot = pen.state.separator();
    let all = pen.state.runs.len();
    let fit = if filter.is_active() {
        format!("{all} fit{dot}")
    } else {
        String::new()
    };
    let artifacts = match filter.search {
        SearchProgress::Not => "artifacts".to_owned(),
        SearchProgress::Going => format!("artifacts {} of {}", filter.looked_at, filter.total),
        SearchProgress::Done => format!("{} artifacts", filter.total),
    };
    for place in [
        format!("{fit}ids, workflows, threads, wishes, comments, {artifacts} "),
        format!("{fit}{artifacts} "),
        fit.clone(),
    ] {
        let spans = vec![styled(&place, pen.theme.dim())];
        if cells(&place) + cells(&shown) + 6 <= width {
            pen.right(line, 0, cells(&shown) + 5, spans);
            break;
        }
    }
    rest
}

fn list(pen: &mut DrawContext<'_>, area: Rect) {
    let [head, body] = layout::top(area, 1);
    let widths = ColumnWidths::new(area.width);
    pen.line(head, 0, vec![styled(widths.heading(), pen.theme.dim())]);
    pen.drawn.list = Some(body.height);
    let runs = &pen.state.runs;
    for row in 0..usize::from(body.height) {
        let at = runs.top + row;
        let line = Rect {
            y: body.y + u16::try_from(row).unwrap_or(u16::MAX),
            height: 1,
            ..body
        };
        let spans = match runs.line(at) {
            Some(RunListRow::Run(record)) => widths.spans(pen, record, runs.is_within_fold(at)),
            Some(RunListRow::Fold) => fold(pen),
            Some(RunListRow::Unread) => vec![pen.aside(" …")],
            None => break,
        };
        pen.line(body, row, spans);
        pen.place(line, MouseTarget::Row(at));
        if at == runs.cursor {
            pen.mark_row(body, row, pen.theme.selected());
        }
    }
}

/// Returns the line that stands for today's completed runs.
fn fold(pen: &DrawContext<'_>) -> Vec<Span<'static>> {
    let counts = pen.state.runs.counts;
    let sign = match (pen.state.runs.unfolded, pen.state.look.ascii) {
        (true, false) => "▾",
        (true, true) => "v",
        (false, false) => "▸",
        (false, true) => ">",
    };
    vec![
        styled(format!(" {sign} "), pen.theme.key()),
        styled(format!("{} done today", counts.today), pen.theme.good()),
        styled(format!("  {}", counts.today_cost), pen.theme.dim()),
    ]
}

/// Column widths by screen width; the least important columns are dropped first.
struct ColumnWidths {
    workflow: usize,
    thread: usize,
    phase: usize,
    wish: usize,
}

impl ColumnWidths {
    /// State 10, id 9, time 7, cost 10, and a cell on either side.
    const FIXED: usize = 10 + 9 + 7 + 10 + 2;

    fn new(width: u16) -> Self {
        let room = usize::from(width).saturating_sub(Self::FIXED);
        match room {
            0..30 => Self {
                workflow: 14.min(room),
                thread: 0,
                phase: room.saturating_sub(14),
                wish: 0,
            },
            30..60 => Self {
                workflow: 16,
                thread: room - 16 - 13,
                phase: 13,
                wish: 0,
            },
            // A task column narrower than this is useless; wider, it takes precedence over the
            // thread.
            60..88 => Self {
                workflow: 16,
                thread: 0,
                phase: 16,
                wish: room - 32,
            },
            _ => Self {
                workflow: 20,
                thread: 20,
                phase: 18,
                wish: room - 58,
            },
        }
    }

    fn heading(&self) -> String {
        let wide = |text: &str, width: usize| cell(text, width, "");
        format!(
            " {}{}{}{}{}{}{}{}",
            wide("STATE", 10),
            wide("RUN", 9),
            wide("WORKFLOW", self.workflow),
            wide("THREAD", self.thread),
            wide("PHASE", self.phase),
            wide("TASK", self.wish),
            cell_right("SINCE", 7, ""),
            cell_right("COST", 10, "")
        )
    }

    fn spans(
        &self,
        pen: &DrawContext<'_>,
        record: &RunRecord,
        within_fold: bool,
    ) -> Vec<Span<'static>> {
        let (theme, more) = (pen.theme, pen.theme.more());
        let mark = StatusGlyph::from_run(record);
        let word = match record.queue_position() {
            Some(place) => format!("queued #{place}"),
            None if mark == StatusGlyph::Unknown => record.state.clone(),
            None => mark.parts().2.to_owned(),
        };
        let indent = if within_fold { "  " } else { "" };
        let state = format!("{indent}{} {word}", theme.glyph(mark));
        let column = |text: &str, width: usize| {
            if width == 0 {
                String::new()
            } else {
                cell(text, width - 1, more) + " "
            }
        };
        let since = pen.state.time(shown_since(record));
        vec![
            styled(" ", theme.plain()),
            styled(column(&state, 10), theme.mark_style(mark)),
            styled(column(&record.id.short(), 9), theme.dim()),
            styled(column(&record.workflow, self.workflow), theme.plain()),
            styled(column(record.thread.as_str(), self.thread), theme.dim()),
            styled(column(&status_text(pen, record), self.phase), theme.plain()),
            styled(column(&record.requirements, self.wish), theme.dim()),
            styled(
                cell_right(&since, 7, more),
                if awaits_operator(record) {
                    theme.waiting()
                } else {
                    theme.dim()
                },
            ),
            styled(
                cell_right(&record.cost.to_string(), 10, more),
                theme.plain(),
            ),
        ]
    }
}

/// Returns the current phase; for a run waiting for the model server, until when.
fn status_text(pen: &DrawContext<'_>, record: &RunRecord) -> String {
    record.waits_until.map_or_else(
        || phase_text(record),
        |until| format!("until {}", pen.state.time(until)),
    )
}

fn phase_text(record: &RunRecord) -> String {
    let key = record
        .current_phase
        .as_ref()
        .map(|key| format!(" {key}"))
        .unwrap_or_default();
    let at = if key.is_empty() {
        record.phases_done
    } else {
        (record.phases_done + 1).min(record.phases_total)
    };
    format!("{at}/{}{key}", record.phases_total)
}
