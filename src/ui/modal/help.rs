//! The help screen, generated from the active key map, and the command palette.

use crate::app::keymap::KeyContext;
use crate::app::modal::palette::matches;
use crate::app::state::{CommandPalette, HelpView};
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cell, cell_right, cells, cut, styled, wrapped};
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Cells of the keys.
const KEYS: usize = 22;

/// What Ctrl-C does, whatever the settings say.
const LEAVES: &str = "pause local runs and quit";

/// Draws the keys: those of the place where help was asked for first, then everywhere, then the rest.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, help: &HelpView) {
    pen.clear(area);
    let area = layout::centred(area, 76, area.height);
    let inner = pen.panel(area, vec![styled(" Keys ", pen.theme.title())], true);
    let searching = help.typing || !help.typed.is_empty();
    let body = if searching {
        search_line(pen, inner, help)
    } else {
        inner
    };
    let lines = rows(
        lines(pen, help),
        usize::from(body.width).saturating_sub(KEYS + 4),
    );
    let height = usize::from(body.height);
    let last = lines.len().saturating_sub(height);
    let top = help.top.min(last);
    pen.drawn.help = Some(last);
    if lines.is_empty() {
        pen.text(body, 0, " no matching key", pen.theme.dim());
    }
    for (row, (chords, label, heading)) in lines.iter().skip(top).take(height).enumerate() {
        let spans = match heading {
            true => vec![styled(format!(" {chords}"), pen.theme.title())],
            false => vec![
                styled(format!("   {}", cell(chords, KEYS, "")), pen.theme.key()),
                styled(label, pen.theme.plain()),
            ],
        };
        pen.line(body, row, spans);
    }
    let below = lines.len().saturating_sub(top + height);
    let said = if below > 0 {
        format!("/ finds, {below} more below")
    } else {
        "/ finds".to_owned()
    };
    pen.foot(area, &said, pen.theme.dim());
}

fn search_line(pen: &mut DrawContext<'_>, area: Rect, help: &HelpView) -> Rect {
    let [line, rest] = layout::top(area, 1);
    let cursor = if help.typing { "_" } else { "" };
    pen.line(
        line,
        0,
        vec![
            styled(" / ", pen.theme.key()),
            styled(format!("{}{cursor}", help.typed), pen.theme.plain()),
        ],
    );
    rest
}

/// The lines with what a key does broken to `room` cells; what goes on stands beneath its beginning.
fn rows(lines: Vec<(String, &'static str, bool)>, room: usize) -> Vec<(String, String, bool)> {
    let broken = |(chords, label, heading): (String, &str, bool)| {
        let label = wrapped(label, room.max(16));
        let more = label
            .iter()
            .skip(1)
            .map(|rest| (String::new(), rest.clone(), false))
            .collect::<Vec<_>>();
        std::iter::once((chords, label.first().cloned().unwrap_or_default(), heading)).chain(more)
    };
    lines.into_iter().flat_map(broken).collect()
}

/// Keys, what they do, and whether it is a heading.
fn lines(pen: &DrawContext<'_>, help: &HelpView) -> Vec<(String, &'static str, bool)> {
    let mut contexts = vec![help.context, KeyContext::Global];
    contexts.extend(
        KeyContext::ALL
            .iter()
            .copied()
            .filter(|context| *context != help.context && *context != KeyContext::Global),
    );
    contexts.dedup();
    let wanted = help.typed.to_lowercase();
    let fits = |chords: &str, label: &str| {
        label.contains(&wanted) || chords.to_lowercase().contains(&wanted)
    };
    let mut lines: Vec<(String, &'static str, bool)> = Vec::new();
    for context in contexts {
        let whole = context.title().to_lowercase().contains(&wanted);
        let mut keys: Vec<_> = pen
            .state
            .keys
            .help(context)
            .filter(|(chords, label)| whole || fits(chords, label))
            .collect();
        if context == KeyContext::Global && fits("ctrl-c", LEAVES) {
            keys.push(("Ctrl-C Ctrl-C".to_owned(), LEAVES));
        }
        if keys.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push((String::new(), "", false));
        }
        lines.push((context.title().to_owned(), "", true));
        lines.extend(
            keys.into_iter()
                .map(|(chords, label)| (chords, label, false)),
        );
    }
    lines
}

/// Draws the palette.
pub fn draw_palette(pen: &mut DrawContext<'_>, area: Rect, palette: &CommandPalette) {
    let found = matches(pen.state, palette);
    let rows = u16::try_from(found.len())
        .unwrap_or(u16::MAX)
        .saturating_add(3)
        .clamp(4, area.height.max(4));
    let area = Rect {
        y: area.y,
        ..layout::centred(area, 70, rows)
    };
    pen.clear(area);
    let inner = pen.panel(area, vec![styled(" Commands ", pen.theme.title())], true);
    pen.line(
        inner,
        0,
        vec![
            styled(" : ", pen.theme.key()),
            styled(format!("{}_", palette.typed), pen.theme.plain()),
        ],
    );
    let [_, list] = layout::top(inner, 1);
    let (height, width) = (usize::from(list.height), usize::from(list.width));
    let top = (palette.cursor + 1).saturating_sub(height.max(1));
    if found.is_empty() {
        pen.text(list, 0, " no matches", pen.theme.dim());
    }
    for (row, (index, one)) in found.iter().enumerate().skip(top).take(height).enumerate() {
        // Where no key stands, the text has its room.
        let keys = if one.key.is_empty() { 0 } else { 12 };
        let room = width.saturating_sub(2 + keys);
        let mut spans = vec![styled(" ", pen.theme.plain())];
        spans.extend(marked(pen, &one.text, &one.letters, room));
        let taken = cells(&one.text).min(room);
        spans.push(styled(" ".repeat(room - taken), pen.theme.plain()));
        spans.push(styled(cell_right(&one.key, keys, ""), pen.theme.key()));
        pen.line(list, row, spans);
        if index == palette.cursor {
            pen.mark_row(list, row, pen.theme.selected());
        }
    }
    let below = found.len().saturating_sub(top + height);
    if below > 0 {
        pen.foot(area, &format!("{below} more below"), pen.theme.dim());
    }
}

/// A text with the letters that fit in bold, cut to `room` cells.
pub fn marked(
    pen: &DrawContext<'_>,
    text: &str,
    letters: &[usize],
    room: usize,
) -> Vec<Span<'static>> {
    let shown = cut(text, room, pen.theme.more());
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut piece = (String::new(), false);
    for (at, c) in shown.chars().enumerate() {
        let fits = letters.binary_search(&at).is_ok();
        if fits != piece.1 && !piece.0.is_empty() {
            spans.push(styled_piece(pen, &piece));
            piece.0.clear();
        }
        piece.1 = fits;
        piece.0.push(c);
    }
    spans.push(styled_piece(pen, &piece));
    spans
}

fn styled_piece(pen: &DrawContext<'_>, piece: &(String, bool)) -> Span<'static> {
    styled(
        &piece.0,
        if piece.1 {
            pen.theme.key()
        } else {
            pen.theme.plain()
        },
    )
}
