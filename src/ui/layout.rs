//! Layout: the arrangement of panes by terminal size.

use ratatui::layout::{Constraint, Layout, Rect};

/// Arrangement of the panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaneLayout {
    /// Too small: only a message.
    TooSmall,
    /// One pane, a short strip.
    OnePane,
    /// Panes as tabs.
    Tabbed,
    /// A rail on the left, the main pane over the events.
    Rail,
    /// Three columns and a bottom.
    Columns,
}

impl PaneLayout {
    /// Chooses the arrangement for the size of the terminal.
    #[must_use]
    pub fn for_size(area: Rect) -> Self {
        match (area.width, area.height) {
            (..40, _) | (_, ..10) => Self::TooSmall,
            (..80, _) | (_, ..20) => Self::OnePane,
            (..120, _) => Self::Tabbed,
            (..160, _) | (_, ..30) => Self::Rail,
            _ => Self::Columns,
        }
    }
}

/// Splits the screen into header, body and hints.
#[must_use]
pub fn rows(area: Rect) -> [Rect; 3] {
    Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area)
}

/// Returns the text area within a frame, with a cell of padding where there is room.
#[must_use]
pub fn inset(area: Rect) -> Rect {
    if area.width < 60 {
        area
    } else {
        Rect {
            x: area.x + 1,
            width: area.width - 2,
            ..area
        }
    }
}

/// Splits off rows at the top.
#[must_use]
pub fn top(area: Rect, height: u16) -> [Rect; 2] {
    Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area)
}

/// Splits off rows at the bottom.
#[must_use]
pub fn bottom(area: Rect, height: u16) -> [Rect; 2] {
    Layout::vertical([Constraint::Min(0), Constraint::Length(height)]).areas(area)
}

/// Splits off columns on the left.
#[must_use]
pub fn left(area: Rect, width: u16) -> [Rect; 2] {
    Layout::horizontal([Constraint::Length(width), Constraint::Min(0)]).areas(area)
}

/// Splits into two columns of equal width.
#[must_use]
pub fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Percentage(50), Constraint::Min(0)]).areas(area)
}

/// Returns a centred area of at most this size.
#[must_use]
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}
