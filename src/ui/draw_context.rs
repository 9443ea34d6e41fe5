//! The draw context that every drawing function receives: buffer, state, styles, and the frame
//! report.
//!
//! It cannot write outside the buffer, so no terminal size can cause a panic.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget};

use super::text::{cells, cut, styled};
use super::theme::{StatusGlyph, Theme};
use crate::app::mouse::{HitRegion, MouseTarget};
use crate::app::msg::FrameReport;
use crate::app::state::AppState;

/// Draw context of one frame.
pub struct DrawContext<'a> {
    buf: &'a mut Buffer,
    pub state: &'a AppState,
    pub theme: Theme,
    /// Report of what was drawn so far.
    pub drawn: FrameReport,
}

impl<'a> DrawContext<'a> {
    /// Creates a draw context over a buffer.
    pub fn new(buf: &'a mut Buffer, state: &'a AppState) -> Self {
        let theme = Theme::of(&state.look);
        Self {
            buf,
            state,
            theme,
            drawn: FrameReport::default(),
        }
    }

    /// Writes spans into a row of an area, truncated to its width.
    pub fn line(&mut self, area: Rect, row: usize, spans: Vec<Span<'static>>) {
        let Some(place) = self.row(area, row) else {
            return;
        };
        self.buf
            .set_line(place.x, place.y, &Line::from(spans), place.width);
    }

    /// Writes a text into a row, with an ellipsis if truncated.
    pub fn text(&mut self, area: Rect, row: usize, text: &str, style: Style) {
        let text = cut(text, usize::from(area.width), self.theme.more());
        self.line(area, row, vec![styled(text, style)]);
    }

    /// Writes spans right-aligned into a row, unless they would overlap the first `taken` cells.
    pub fn right(&mut self, area: Rect, row: usize, taken: usize, spans: Vec<Span<'static>>) {
        let width: usize = spans.iter().map(|span| cells(&span.content)).sum();
        let room = usize::from(area.width).saturating_sub(taken);
        if width > room || width == 0 {
            return;
        }
        let offset = u16::try_from(usize::from(area.width) - width).unwrap_or(0);
        let place = Rect {
            x: area.x.saturating_add(offset),
            width: area.width - offset,
            ..area
        };
        self.line(place, row, spans);
    }

    /// Applies a style to a row.
    pub fn mark_row(&mut self, area: Rect, row: usize, style: Style) {
        if let Some(place) = self.row(area, row) {
            self.buf.set_style(place, style);
        }
    }

    /// Draws a frame with a title; returns the inner area.
    pub fn panel(&mut self, area: Rect, title: Vec<Span<'static>>, focused: bool) -> Rect {
        let style = if focused {
            self.theme.focus()
        } else {
            self.theme.dim()
        };
        self.framed(area, title, style)
    }

    /// Draws a frame in the given style; returns the inner area.
    pub fn framed(&mut self, area: Rect, title: Vec<Span<'static>>, style: Style) -> Rect {
        let area = area.intersection(self.buf.area);
        let block = Block::bordered()
            .border_set(self.theme.border())
            .border_style(style)
            .title_top(Line::from(title));
        let inner = block.inner(area);
        block.render(area, self.buf);
        inner
    }

    /// Writes a text into the bottom frame of a panel, right-aligned.
    pub fn foot(&mut self, area: Rect, text: &str, style: Style) {
        if area.height < 2 || area.width < 6 {
            return;
        }
        let row = usize::from(area.height - 1);
        let place = Rect {
            x: area.x + 2,
            width: area.width - 4,
            ..area
        };
        self.right(place, row, 0, vec![styled(format!(" {text} "), style)]);
    }

    /// Registers an area as a mouse target.
    pub fn place(&mut self, area: Rect, spot: MouseTarget) {
        self.drawn.places.push(HitRegion {
            x: area.x,
            y: area.y,
            width: area.width,
            height: area.height,
            spot,
        });
    }

    /// Clears an area before a modal is drawn over it.
    pub fn clear(&mut self, area: Rect) {
        Clear.render(area.intersection(self.buf.area), self.buf);
    }

    /// Renders a ratatui widget.
    pub fn widget(&mut self, widget: impl Widget, area: Rect) {
        let area = area.intersection(self.buf.area);
        if !area.is_empty() {
            widget.render(area, self.buf);
        }
    }

    /// Returns the glyph and word of a state.
    #[must_use]
    pub fn mark(&self, mark: StatusGlyph) -> Span<'static> {
        styled(
            format!("{} {}", self.theme.glyph(mark), mark.parts().2),
            self.theme.mark_style(mark),
        )
    }

    /// Returns the glyph of a state.
    #[must_use]
    pub fn glyph(&self, mark: StatusGlyph) -> Span<'static> {
        styled(self.theme.glyph(mark), self.theme.mark_style(mark))
    }

    /// Writes a fixed text, dimmed.
    #[must_use]
    pub fn aside(&self, text: &str) -> Span<'static> {
        styled(self.theme.own(text), self.theme.dim())
    }

    fn row(&self, area: Rect, row: usize) -> Option<Rect> {
        let row = u16::try_from(row).ok().filter(|row| *row < area.height)?;
        let place = Rect {
            y: area.y.checked_add(row)?,
            height: 1,
            ..area
        }
        .intersection(self.buf.area);
        (!place.is_empty()).then_some(place)
    }
}
