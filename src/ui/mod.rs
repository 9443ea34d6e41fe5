//! Drawing: from borrowed state to a buffer, without side effects.
//!
//! [`draw`] picks the screen; each pane and each modal has its own file. Styles are named by
//! meaning in [`theme`]. All text passes through [`text`], which sanitizes foreign text and
//! truncates it to its cells. The frame report [`FrameReport`] tells the state what can scroll, what was
//! viewed and what can be decided.

pub mod draw_context;
pub mod header;
pub mod hints;
pub mod layout;
pub mod modal;
pub mod screens;
pub mod svg;
pub mod text;
pub mod theme;
pub mod truncate;

#[cfg(test)]
mod tests;

use crate::app::keymap::Action;
use crate::app::msg::FrameReport;
use crate::app::state::{AppState, Modal, Screen};
use crate::ui::draw_context::DrawContext;
use crate::ui::layout::PaneLayout;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws a frame; returns the report of what was drawn.
pub fn draw(buf: &mut Buffer, area: Rect, state: &AppState) -> FrameReport {
    let area = area.intersection(buf.area);
    let mut pen = DrawContext::new(buf, state);
    if PaneLayout::for_size(area) == PaneLayout::TooSmall {
        too_small(&mut pen, area);
        return pen.drawn;
    }
    let [top, body, bottom] = layout::rows(area);
    header::draw(&mut pen, top);
    let body = warning(&mut pen, body);
    match state.screen() {
        Screen::Runs => crate::ui::screens::runs::list::draw(&mut pen, body),
        Screen::Picker => crate::ui::screens::resume::screen::draw(&mut pen, body),
        Screen::Run => crate::ui::screens::run::screen::draw(&mut pen, body),
        Screen::Gate => crate::ui::screens::gate::screen::draw(&mut pen, body),
        Screen::NewRun => crate::ui::screens::new_run::form::draw(&mut pen, body),
        Screen::Cost => crate::ui::screens::info::cost::draw(&mut pen, body),
        Screen::Doctor => crate::ui::screens::info::doctor::draw(&mut pen, body),
        Screen::Settings => crate::ui::screens::info::settings::draw(&mut pen, body),
    }
    hints::draw(&mut pen, bottom);
    if let Some(modal) = &state.modal {
        // A gate behind a modal cannot be decided.
        (pen.drawn.gate, pen.drawn.confirm) = (None, false);
        draw_modal(&mut pen, body, modal);
    }
    pen.drawn
}

/// Draws the startup warnings until the operator has read them.
fn warning(pen: &mut DrawContext<'_>, area: Rect) -> Rect {
    let Some(first) = pen.state.warnings.first() else {
        return area;
    };
    let [line, rest] = layout::top(area, 1);
    let more = match pen.state.warnings.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let hint = format!(
        "{more}  {} reads it ",
        pen.state.keys.display_keys(Action::Warnings)
    );
    let (mark, room) = (
        pen.theme.glyph(theme::StatusGlyph::NeedsCheck),
        usize::from(line.width).saturating_sub(text::cells(&hint)),
    );
    let told = text::cut(&format!(" {mark} {first}"), room, pen.theme.more());
    let style = pen.theme.bad();
    pen.line(
        line,
        0,
        vec![
            text::styled(told, style),
            text::styled(hint, pen.theme.key()),
        ],
    );
    rest
}

fn draw_modal(pen: &mut DrawContext<'_>, area: Rect, modal: &Modal) {
    match modal {
        Modal::Help(help) => crate::ui::modal::help::draw(pen, area, help),
        Modal::Text(title, reading) => crate::ui::modal::reader::draw_modal(
            pen,
            area,
            title,
            (&pen.state.modal_search, reading),
        ),
        Modal::Palette(palette) => crate::ui::modal::help::draw_palette(pen, area, palette),
        Modal::Confirm(confirm) => crate::ui::modal::confirm::draw(pen, area, confirm),
    }
}

fn too_small(pen: &mut DrawContext<'_>, area: Rect) {
    let said = "enlarge to 40x10; runs continue; q quits";
    let width = usize::from(area.width.max(1));
    for (row, piece) in text::wrapped(said, width).iter().enumerate() {
        pen.text(area, row, piece, pen.theme.plain());
    }
}
