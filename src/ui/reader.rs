//! A document on the screen: its visible rows, coloured by what they are.

use std::ops::Range;

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::arrange;
use super::pen::Pen;
use super::text::ink;
use super::theme::Theme;
use crate::app::document::{DocLine, Ink};
use crate::app::reading::Reading;
use crate::app::syntax::{self, Tint};

/// Draws the rows of a document that are on the screen.
pub fn draw(pen: &mut Pen<'_>, area: Rect, reading: &Reading) {
    for (index, row) in reading.visible(area.height).iter().enumerate() {
        let Some(line) = reading.doc().lines.get(row.line) else { continue };
        let mut spans = spans(pen.theme, line, &row.bytes);
        if row.indent > 0 {
            spans.insert(0, ink(" ".repeat(row.indent), pen.theme.plain()));
        }
        pen.line(area, index, spans);
    }
}

/// A text in front of the screen.
pub fn draw_modal(pen: &mut Pen<'_>, area: Rect, title: &str, reading: &Reading) {
    pen.clear(area);
    let area = arrange::centred(area, area.width.min(120), area.height);
    let inner = arrange::inset(pen.panel(area, vec![ink(format!(" {title} "), pen.theme.title())], true));
    pen.drawn.modal = Some((inner.width, inner.height));
    draw(pen, inner, reading);
    foot(pen, area, reading);
}

/// How much lies below, in the frame.
pub fn foot(pen: &mut Pen<'_>, area: Rect, reading: &Reading) {
    let below = reading.lines_below();
    if below > 0 {
        let style = pen.theme.dim();
        pen.foot(area, &format!("{below} more below"), style);
    }
}

/// The stretches of the whole line, each cut to the row, so that a wrapped string keeps its colour.
fn spans(theme: Theme, line: &DocLine, bytes: &Range<usize>) -> Vec<Span<'static>> {
    let plain = style_of(theme, line.ink);
    let own = syntax::tints(line.ink, &line.text);
    let tints = if line.tints.is_empty() { &own } else { &line.tints };
    let (mut spans, mut at) = (Vec::new(), bytes.start);
    let mut piece = |from: usize, to: usize, style: Style| {
        if let Some(text) = line.text.get(from..to).filter(|text| !text.is_empty()) {
            spans.push(ink(text, style));
        }
    };
    for (range, tint) in tints.iter().filter(|(range, _)| range.end > bytes.start && range.start < bytes.end) {
        let (start, end) = (range.start.max(bytes.start), range.end.min(bytes.end));
        piece(at, start, plain);
        piece(start, end, tinted(theme, *tint));
        at = end;
    }
    piece(at, bytes.end, plain);
    spans
}

fn style_of(theme: Theme, ink: Ink) -> Style {
    match ink {
        Ink::Plain | Ink::Json | Ink::Yaml | Ink::Code | Ink::Script => theme.plain(),
        Ink::Heading => theme.title(),
        Ink::Note => theme.dim(),
        Ink::Error | Ink::Removed => theme.bad(),
        Ink::Added => theme.good(),
    }
}

fn tinted(theme: Theme, tint: Tint) -> Style {
    match tint {
        Tint::Key => theme.data_key(),
        Tint::Text | Tint::Code => theme.good(),
        Tint::Value => theme.data_value(),
        Tint::Mark | Tint::Comment => theme.dim(),
        Tint::Heading | Tint::Strong => theme.title(),
        Tint::Emphasis => theme.plain().add_modifier(Modifier::ITALIC),
        Tint::Link => theme.data_key().add_modifier(Modifier::UNDERLINED),
    }
}
