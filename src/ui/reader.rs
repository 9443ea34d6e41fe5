//! A document on the screen: its visible rows, coloured by what they are.

use std::ops::Range;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::arrange;
use super::pen::Pen;
use super::text::ink;
use super::theme::Theme;
use crate::app::document::{DocLine, Ink};
use crate::app::json_text::{Token, tokens};
use crate::app::reading::Reading;

/// Draws the rows of a document that are on the screen.
pub fn draw(pen: &mut Pen<'_>, area: Rect, reading: &Reading) {
    for (index, row) in reading.visible(area.height).iter().enumerate() {
        let Some(line) = reading.doc().lines.get(row.line) else { continue };
        let spans = spans(pen.theme, line, &row.bytes);
        pen.line(area, index, spans);
    }
}

/// A text in front of the screen.
pub fn draw_modal(pen: &mut Pen<'_>, area: Rect, title: &str, reading: &Reading) {
    pen.clear(area);
    let area = arrange::centred(area, area.width.min(120), area.height);
    let inner = pen.panel(area, vec![ink(format!(" {title} "), pen.theme.title())], true);
    pen.drawn.modal = Some((inner.width, inner.height));
    draw(pen, inner, reading);
    foot(pen, area, reading);
}

/// How much lies below, in the frame.
pub fn foot(pen: &mut Pen<'_>, area: Rect, reading: &Reading) {
    let below = reading.rows_below();
    if below > 0 {
        let style = pen.theme.dim();
        pen.foot(area, &format!("{below} more below"), style);
    }
}

fn spans(theme: Theme, line: &DocLine, bytes: &Range<usize>) -> Vec<Span<'static>> {
    let piece = |range: Range<usize>, style: Style| line.text.get(range).map(|text| ink(text, style));
    let style = match line.ink {
        Ink::Json => return json(theme, &line.text, bytes),
        Ink::Plain => theme.plain(),
        Ink::Heading => theme.title(),
        Ink::Note => theme.dim(),
        Ink::Error | Ink::Removed => theme.bad(),
        Ink::Added => theme.good(),
    };
    piece(bytes.clone(), style).into_iter().collect()
}

/// The tokens of the whole line, each cut to the row, so that a wrapped string keeps its colour.
fn json(theme: Theme, text: &str, bytes: &Range<usize>) -> Vec<Span<'static>> {
    let (mut spans, mut at) = (Vec::new(), 0);
    for (token, piece) in tokens(text) {
        let (start, end) = (at.max(bytes.start), (at + piece.len()).min(bytes.end));
        at += piece.len();
        if start < end
            && let Some(shown) = text.get(start..end)
        {
            spans.push(ink(shown, token_style(theme, token)));
        }
    }
    spans
}

fn token_style(theme: Theme, token: Token) -> Style {
    match token {
        Token::Key => theme.data_key(),
        Token::Text => theme.good(),
        Token::Number | Token::Word => theme.data_value(),
        Token::Mark => theme.dim(),
        Token::Other => theme.plain(),
    }
}
