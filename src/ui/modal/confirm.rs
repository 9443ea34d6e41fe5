//! A confirmation dialog whose first choice is harmless.

use crate::app::state::ConfirmDialog;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cells, styled, wrapped};
use ratatui::layout::Rect;

/// Draws the dialog.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, confirm: &ConfirmDialog) {
    let width = area.width.saturating_sub(4).min(64);
    let choices = dialog_rows(confirm, usize::from(width).saturating_sub(2)).len();
    let room = usize::from(area.height).saturating_sub(choices + 4);
    let detail = shortened(
        wrapped(&confirm.detail, usize::from(width).saturating_sub(4)),
        room,
    );
    let rows = u16::try_from(detail.len() + choices)
        .unwrap_or(4)
        .saturating_add(4);
    let area = layout::centred(area, width, rows);
    pen.clear(area);
    let inner = pen.framed(
        area,
        vec![styled(
            format!(" {} ", confirm.question),
            pen.theme.waiting(),
        )],
        pen.theme.waiting(),
    );
    for (row, line) in detail.iter().enumerate() {
        pen.text(inner, row + 1, &format!(" {line}"), pen.theme.plain());
    }
    let wide = usize::from(inner.width);
    for (row, choices) in dialog_rows(confirm, wide).into_iter().enumerate() {
        let mut spans = vec![styled(" ", pen.theme.plain())];
        for index in choices {
            let style = if index == confirm.cursor {
                pen.theme.selected()
            } else {
                pen.theme.plain()
            };
            spans.push(styled(shown(confirm, index), style));
            spans.push(styled("  ", pen.theme.plain()));
        }
        pen.line(inner, detail.len() + 2 + row, spans);
    }
}

/// As many lines as have room above the answers; how many more there are is said in the last.
fn shortened(mut lines: Vec<String>, room: usize) -> Vec<String> {
    if lines.len() > room {
        let more = lines.len() + 1 - room.max(1);
        lines.truncate(room.saturating_sub(1));
        lines.push(format!("and {more} more lines"));
    }
    lines
}

fn shown(confirm: &ConfirmDialog, index: usize) -> String {
    confirm
        .choices
        .get(index)
        .map_or_else(String::new, |(label, _)| format!("[ {label} ]"))
}

/// The answers in rows; none is cut where one fits alone.
fn dialog_rows(confirm: &ConfirmDialog, width: usize) -> Vec<Vec<usize>> {
    let (mut rows, mut used) = (vec![Vec::new()], 1);
    for index in 0..confirm.choices.len() {
        let needs = cells(&shown(confirm, index)) + 2;
        if used + needs > width && used > 1 {
            rows.push(Vec::new());
            used = 1;
        }
        used += needs;
        if let Some(row) = rows.last_mut() {
            row.push(index);
        }
    }
    rows
}
