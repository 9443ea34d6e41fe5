//! Draws a document: its visible rows with syntax styles and highlighted matches, and the search
//! line.

use std::ops::Range;

use crate::app::search::incremental::MatchProgress;
use crate::app::search::pattern::SearchPattern;
use crate::app::search::text::TextSearch;
use crate::app::text::document::{DocLine, LineKind};
use crate::app::text::highlight;
use crate::app::text::highlight::Highlight;
use crate::app::text::scroll_view::ScrollView;
use crate::app::text::wrap::WrappedRow;
use crate::model::money::grouped;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cells, cut, styled};
use crate::ui::theme::Theme;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

/// Draws the visible rows of a document.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, reading: &ScrollView) {
    for (index, row) in reading.visible(area.height).iter().enumerate() {
        let Some(line) = reading.doc().lines.get(row.line) else {
            continue;
        };
        let mut spans = PaintedRows::new(pen.theme, line, reading, row.line).spans(row);
        if row.indent > 0 {
            spans.insert(0, styled(" ".repeat(row.indent), pen.theme.plain()));
        }
        pen.line(area, index, spans);
    }
}

/// Draws a text modal.
pub fn draw_modal(
    pen: &mut DrawContext<'_>,
    area: Rect,
    title: &str,
    (search, reading): (&TextSearch, &ScrollView),
) {
    pen.clear(area);
    let area = layout::centred(area, area.width.min(120), area.height);
    let mut title = vec![styled(format!(" {title} "), pen.theme.title())];
    title.extend(sought(
        pen,
        search,
        Some(reading),
        usize::from(area.width / 2),
    ));
    let inner = layout::inset(pen.panel(area, title, true));
    let inner = typed(pen, inner, search, Some(reading));
    pen.drawn.modal = Some((inner.width, inner.height));
    draw(pen, inner, reading);
    foot(pen, area, reading);
}

/// Shows the number of rows below, in the frame.
pub fn foot(pen: &mut DrawContext<'_>, area: Rect, reading: &ScrollView) {
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
    pen: &DrawContext<'_>,
    search: &TextSearch,
    reading: Option<&ScrollView>,
    room: usize,
) -> Vec<Span<'static>> {
    let Some(needle) = search.needle.as_ref().filter(|_| search.typing.is_none()) else {
        return Vec::new();
    };
    let told = reading
        .map(|reading| match_count(reading.search_progress()))
        .unwrap_or_default();
    let room = room.saturating_sub(cells(&told) + 2).max(8);
    let typed = cut(&format!("/{}", needle.typed()), room, pen.theme.more());
    vec![
        styled(format!(" {typed} "), pen.theme.waiting()),
        styled(pen.theme.own(&format!("{told} ")), pen.theme.dim()),
    ]
}

/// Draws the search line at the bottom of a text; returns the remaining area.
pub fn typed(
    pen: &mut DrawContext<'_>,
    area: Rect,
    search: &TextSearch,
    reading: Option<&ScrollView>,
) -> Rect {
    let Some(typing) = &search.typing else {
        return area;
    };
    let [text, foot] = layout::bottom(area, 1.min(area.height));
    let found = reading.map_or(MatchProgress::Nothing, ScrollView::search_progress);
    let aside = if typing.text.is_empty() {
        "searches as you type".to_owned()
    } else {
        match_count(found)
    };
    prompt(
        pen,
        foot,
        ('/', &typing.text),
        &aside,
        found == MatchProgress::Nowhere,
    );
    text
}

/// Draws a text input after its prompt character, with a status on the right.
pub fn prompt(
    pen: &mut DrawContext<'_>,
    area: Rect,
    (sign, text): (char, &str),
    aside: &str,
    bad: bool,
) {
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
            styled(typed, pen.theme.title()),
            styled(" ", pen.theme.selected()),
        ],
    );
    let style = if bad {
        pen.theme.bad()
    } else {
        pen.theme.dim()
    };
    let aside = pen.theme.own(&format!("{aside} "));
    pen.right(area, 0, taken, vec![styled(aside, style)]);
}

/// Describes the status of a search.
fn match_count(found: MatchProgress) -> String {
    let number = |count: usize| grouped(u64::try_from(count).unwrap_or(u64::MAX));
    let many = |count: usize, more: bool| {
        if more {
            format!("{} or more", number(count))
        } else {
            number(count)
        }
    };
    match found {
        MatchProgress::Nothing => String::new(),
        MatchProgress::Looking(at, of) => {
            format!("searching … line {} of {}", number(at), number(of))
        }
        MatchProgress::Nowhere => "no matches".to_owned(),
        MatchProgress::Many(1, false) => "1 hit".to_owned(),
        MatchProgress::Many(count, more) => format!("{} hits", many(count, more)),
        MatchProgress::At(at, count, more) => format!("{} of {}", number(at), many(count, more)),
        MatchProgress::NoMore(at, count, true) => {
            format!("{} of {}, last match", number(at), number(count))
        }
        MatchProgress::NoMore(at, count, false) => {
            format!("{} of {}, first match", number(at), number(count))
        }
    }
}

/// A line with its styles.
struct PaintedRows<'a> {
    theme: Theme,
    line: &'a DocLine,
    tints: Vec<(Range<usize>, Highlight)>,
    hits: Vec<Range<usize>>,
    hit: Option<Range<usize>>,
}

impl<'a> PaintedRows<'a> {
    fn new(theme: Theme, line: &'a DocLine, reading: &ScrollView, number: usize) -> Self {
        let tints = if line.tints.is_empty() {
            highlight::highlights(line.ink, &line.text)
        } else {
            line.tints.clone()
        };
        let (needle, hit) = reading.pattern_and_match();
        let hits = needle
            .into_iter()
            .flat_map(|needle: &SearchPattern| needle.find_iter(&line.text))
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
    fn spans(&self, row: &WrappedRow) -> Vec<Span<'static>> {
        let plain = line_style(self.theme, self.line.ink);
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
                spans.push(styled(text, style));
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

fn line_style(theme: Theme, ink: LineKind) -> Style {
    match ink {
        LineKind::Plain | LineKind::Json | LineKind::Yaml | LineKind::Code | LineKind::Script => {
            theme.plain()
        }
        LineKind::Heading => theme.title(),
        LineKind::Note => theme.dim(),
        LineKind::Call => theme.focus(),
        LineKind::Aside => theme.mark_style(crate::ui::theme::StatusGlyph::Repair),
        LineKind::Error | LineKind::Removed => theme.bad(),
        LineKind::Added => theme.good(),
    }
}

fn tinted(theme: Theme, tint: Highlight) -> Style {
    match tint {
        Highlight::Key => theme.data_key(),
        Highlight::Text | Highlight::Code | Highlight::Added => theme.good(),
        Highlight::Removed => theme.bad(),
        Highlight::Value => theme.data_value(),
        Highlight::Mark | Highlight::Comment => theme.dim(),
        Highlight::Heading | Highlight::Strong => theme.title(),
        Highlight::Emphasis => theme.plain().add_modifier(Modifier::ITALIC),
        Highlight::Link => theme.data_key().add_modifier(Modifier::UNDERLINED),
    }
}
