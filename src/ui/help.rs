//! The keys, from the live key map; and finding a command by typing.

use ratatui::layout::Rect;

use super::arrange;
use super::pen::Pen;
use super::text::{cell, cell_right, ink};
use crate::app::keymap::Context;
use crate::app::state::Palette;
use crate::app::update::palette::found;

/// Draws the keys.
pub fn draw(pen: &mut Pen<'_>, area: Rect, top: usize) {
    pen.clear(area);
    let area = arrange::centred(area, 76, area.height);
    let inner = pen.panel(area, vec![ink(" Keys ", pen.theme.title())], true);
    let mut lines: Vec<(String, &'static str, bool)> = Vec::new();
    for context in Context::ALL {
        if !lines.is_empty() {
            lines.push((String::new(), "", false));
        }
        lines.push((context.title().to_owned(), "", true));
        lines.extend(pen.state.keys.help(*context).map(|(chords, label)| (chords, label, false)));
    }
    lines.push(("Ctrl-C Ctrl-C".to_owned(), "pause what runs here and quit", false));
    let height = usize::from(inner.height);
    let top = top.min(lines.len().saturating_sub(height));
    for (row, (chords, label, heading)) in lines.iter().skip(top).take(height).enumerate() {
        let spans = match heading {
            true => vec![ink(format!(" {chords}"), pen.theme.title())],
            false => vec![ink(format!("   {}", cell(chords, 22, "")), pen.theme.key()), ink(*label, pen.theme.plain())],
        };
        pen.line(inner, row, spans);
    }
    let below = lines.len().saturating_sub(top + height);
    if below > 0 {
        pen.foot(area, &format!("{below} more below"), pen.theme.dim());
    }
}

/// Draws the palette.
pub fn draw_palette(pen: &mut Pen<'_>, area: Rect, palette: &Palette) {
    let found = found(pen.state, palette);
    let rows = u16::try_from(found.len()).unwrap_or(u16::MAX).saturating_add(3).clamp(4, area.height.max(4));
    let area = Rect { y: area.y, ..arrange::centred(area, 60, rows) };
    pen.clear(area);
    let inner = pen.panel(area, vec![ink(" Commands ", pen.theme.title())], true);
    pen.line(inner, 0, vec![ink(" : ", pen.theme.key()), ink(format!("{}_", palette.typed), pen.theme.plain())]);
    let [_, list] = arrange::top(inner, 1);
    let (height, width) = (usize::from(list.height), usize::from(list.width));
    let top = (palette.cursor + 1).saturating_sub(height.max(1));
    if found.is_empty() {
        pen.text(list, 0, " nothing fits", pen.theme.dim());
    }
    for (row, (index, (_, label, chord))) in found.iter().enumerate().skip(top).take(height).enumerate() {
        let spans = vec![
            ink(format!(" {}", cell(label, width.saturating_sub(14), pen.theme.more())), pen.theme.plain()),
            ink(cell_right(chord, 12, ""), pen.theme.key()),
        ];
        pen.line(list, row, spans);
        if index == palette.cursor {
            pen.mark_row(list, row, pen.theme.selected());
        }
    }
}
