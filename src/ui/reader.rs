//! Draws a document: its visible rows with syntax styles and highlighted matches, and the search
//! line.

use std::ops::Range;

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::arrange;
use super::pen::Pen;
use super::text::{cells, cut, ink};
use super::theme::Theme;
use crate::app::document::{DocLine, Ink};
use crate::app::hits::Found;
use crate::app::needle::Needle;
use crate::app::reading::Reading;
use crate::app::rows::Row;
use crate::app::syntax::{self, Tint};
use crate::app::text_search::TextSearch;
use crate::model::money::grouped;

/// Draws the visible rows of a document.
pub fn draw(pen: &mut Pen<'_>, area: Rect, reading: &Reading) {
    for (index, row) in reading.visible(area.height).iter().enumerate() {
        let Some(line) = reading.doc().lines.get(row.line) else {
            continue;
        };
        let mut spans = Painted::new(pen.theme, line, reading, row.line).spans(row);
        if row.indent > 0 {
            spans.insert(0, ink(" ".repeat(row.indent), pen.theme.plain()));
        }
        pen.line(area, index, spans);
    }
}

/// Draws a text modal.
pub fn draw_modal(
    pen: &mut Pen<'_>,
    area: Rect,
    title: &str,
    (search, reading): (&TextSearch, &Reading),
) {
    pen.clear(area);
    let area = arrange::centred(area, area.width.min(120), area.height);
    let mut title = vec![ink(format!(" {title} "), pen.theme.title())];
    title.extend(sought(
        pen,
        search,
        Some(reading),
        usize::from(area.width / 2),
    ));
    let inner = arrange::inset(pen.panel(area, title, true));
    let inner = typed(pen, inner, search, Some(reading));
    pen.drawn.modal = Some((inner.width, inner.height));
    draw(pen, inner, reading);
    foot(pen, area, reading);
}

/// Shows the number of rows below, in the frame.
pub fn foot(pen: &mut Pen<'_>, area: Rect, reading: &Reading) {
    let below = reading.lines_below();
    if below > 0 {
        let style = pen.theme.dim();
        let below = grouped(u64::try_from(below).unwrap_or(u64::MAX));
        pen.foot(area, &format!("{below} more below"), style);
    }
}

/// Returns the pattern and match status for the title; empty while the pattern is typed.
#[must_use]
pub fn sought(
    pen: &Pen<'_>,
    search: &TextSearch,
    reading: Option<&Reading>,
    room: usize,
) -> Vec<Span<'static>> {
    let Some(needle) = search.needle.as_ref().filter(|_| search.typing.is_none()) else {
        return Vec::new();
    };
    let told = reading
        .map(|reading| told(reading.found()))
        .unwrap_or_default();
    let room = room.saturating_sub(cells(&told) + 2).max(8);
    let typed = cut(&format!("/{}", needle.typed()), room, pen.theme.more());
    vec![
        ink(format!(" {typed} "), pen.theme.waiting()),
        ink(pen.theme.own(&format!("{told} ")), pen.theme.dim()),
    ]
}

/// Draws the search line at the bottom of a text; returns the remaining area.
pub fn typed(
    pen: &mut Pen<'_>,
    area: Rect,
    search: &TextSearch,
    reading: Option<&Reading>,
) -> Rect {
    let Some(typing) = &search.typing else {
        return area;
    };
    let [text, foot] = arrange::bottom(area, 1.min(area.height));
    let found = reading.map_or(Found::Nothing, Reading::found);
    let aside = if typing.text.is_empty() {
        "searches as you type".to_owned()
    } else {
        told(found)
    };
    prompt(
        pen,
        foot,
        ('/', &typing.text),
        &aside,
        found == Found::Nowhere,
    );
    text
}

/// Draws a text input after its prompt character, with a status on the right.
pub fn prompt(pen: &mut Pen<'_>, area: Rect, (sign, text): (char, &str), aside: &str, bad: bool) {
    let room = usize::from(area.width).saturating_sub(4);
    let mut shown = text;
    // Keep the end of the input visible.
    while cells(shown) > room
        && let Some(first) = shown.chars().next()
    {
        shown = &shown[first.len_utf8()..];
    }
    let typed = format!("{sign}{shown}");
    let taken = cells(&typed) + 2;
    pen.line(
        area,
        0,
        vec![
            ink(typed, pen.theme.title()),
            ink(" ", pen.theme.selected()),
        ],
    );
    let style = if bad {
        pen.theme.bad()
    } else {
        pen.theme.dim()
    };
    let aside = pen.theme.own(&format!("{aside} "));
    pen.right(area, 0, taken, vec![ink(aside, style)]);
}

/// Describes the status of a search.
fn told(found: Found) -> String {
    let number = |count: usize| grouped(u64::try_from(count).unwrap_or(u64::MAX));
    let many = |count: usize, more: bool| {
        if more {
            format!("{} or more", number(count))
        } else {
            number(count)
        }
    };
    match found {
        Found::Nothing => String::new(),
        Found::Looking(at, of) => format!("searching … line {} of {}", number(at), number(of)),
        Found::Nowhere => "no matches".to_owned(),
        Found::Many(1, false) => "1 hit".to_owned(),
        Found::Many(count, more) => format!("{} hits", many(count, more)),
        Found::At(at, count, more) => format!("{} of {}", number(at), many(count, more)),
        Found::NoMore(at, count, true) => {
            format!("{} of {}, last match", number(at), number(count))
        }
        Found::NoMore(at, count, false) => {
            format!("{} of {}, first match", number(at), number(count))
        }
    }
}

/// A line with its styles.
struct Painted<'a> {
    theme: Theme,
    line: &'a DocLine,
    tints: Vec<(Range<usize>, Tint)>,
    hits: Vec<Range<usize>>,
    hit: Option<Range<usize>>,
}

impl<'a> Painted<'a> {
    fn new(theme: Theme, line: &'a DocLine, reading: &Reading, number: usize) -> Self {
        let tints = if line.tints.is_empty() {
            syntax::tints(line.ink, &line.text)
        } else {
            line.tints.clone()
        };
        let (needle, hit) = reading.sought();
        let hits = needle
            .into_iter()
            .flat_map(|needle: &Needle| needle.places(&line.text))
            .collect();
        let hit = hit
            .filter(|(at, _)| *at == number)
            .map(|(_, range)| range.clone());
        Self {
            theme,
            line,
            tints,
            hits,
            hit,
        }
    }

    /// Clips the spans of the whole line to a row, so that a wrapped string keeps its colour.
    fn spans(&self, row: &Row) -> Vec<Span<'static>> {
        let plain = style_of(self.theme, self.line.ink);
        let (mut spans, mut at) = (Vec::new(), row.bytes.start);
        for (range, tint) in self
            .tints
            .iter()
            .filter(|(range, _)| range.end > row.bytes.start && range.start < row.bytes.end)
        {
            let (start, end) = (
                range.start.max(row.bytes.start),
                range.end.min(row.bytes.end),
            );
            self.piece(&mut spans, at..start, plain);
            self.piece(&mut spans, start..end, tinted(self.theme, *tint));
            at = end;
        }
        self.piece(&mut spans, at..row.bytes.end, plain);
        spans
    }

    /// Splits a span into matches and other text.
    fn piece(&self, spans: &mut Vec<Span<'static>>, range: Range<usize>, style: Style) {
        let mut at = range.start;
        let mut push = |from: usize, to: usize, style: Style| {
            if let Some(text) = self.line.text.get(from..to).filter(|text| !text.is_empty()) {
                spans.push(ink(text, style));
            }
        };
        for hit in self
            .hits
            .iter()
            .filter(|hit| hit.end > range.start && hit.start < range.end)
        {
            let (start, end) = (hit.start.max(range.start), hit.end.min(range.end));
            push(at, start, style);
            push(
                start,
                end,
                if self.hit.as_ref() == Some(hit) {
                    self.theme.hit()
                } else {
                    self.theme.found()
                },
            );
            at = end;
        }
        push(at, range.end, style);
    }
}

fn style_of(theme: Theme, ink: Ink) -> Style {
    match ink {
        Ink::Plain | Ink::Json | Ink::Yaml | Ink::Code | Ink::Script => theme.plain(),
        Ink::Heading => theme.title(),
        Ink::Note => theme.dim(),
        Ink::Call => theme.focus(),
        Ink::Aside => theme.of_mark(super::theme::Mark::Repair),
        Ink::Error | Ink::Removed => theme.bad(),
        Ink::Added => theme.good(),
    }
}

fn tinted(theme: Theme, tint: Tint) -> Style {
    match tint {
        Tint::Key => theme.data_key(),
        Tint::Text | Tint::Code | Tint::Added => theme.good(),
        Tint::Removed => theme.bad(),
        Tint::Value => theme.data_value(),
        Tint::Mark | Tint::Comment => theme.dim(),
        Tint::Heading | Tint::Strong => theme.title(),
        Tint::Emphasis => theme.plain().add_modifier(Modifier::ITALIC),
        Tint::Link => theme.data_key().add_modifier(Modifier::UNDERLINED),
    }
}
