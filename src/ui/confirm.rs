//! A question with a harmless first answer.

use ratatui::layout::Rect;

use super::arrange;
use super::pen::Pen;
use super::text::{ink, wrapped};
use crate::app::state::Confirm;

/// Draws it.
pub fn draw(pen: &mut Pen<'_>, area: Rect, confirm: &Confirm) {
    let width = area.width.saturating_sub(4).min(64);
    let detail = wrapped(&confirm.detail, usize::from(width).saturating_sub(4));
    let rows = u16::try_from(detail.len()).unwrap_or(3).saturating_add(5);
    let area = arrange::centred(area, width, rows);
    pen.clear(area);
    let inner = pen.framed(area, vec![ink(format!(" {} ", confirm.question), pen.theme.waiting())], pen.theme.waiting());
    for (row, line) in detail.iter().enumerate() {
        pen.text(inner, row + 1, &format!(" {line}"), pen.theme.plain());
    }
    let mut spans = vec![ink(" ", pen.theme.plain())];
    for (index, (label, _)) in confirm.choices.iter().enumerate() {
        let style = if index == confirm.cursor { pen.theme.selected() } else { pen.theme.plain() };
        spans.push(ink(format!("[ {label} ]"), style));
        spans.push(ink("  ", pen.theme.plain()));
    }
    pen.line(inner, detail.len() + 2, spans);
}
