//! Drawing: from borrowed state to a buffer, without side effects.
//!
//! [`draw`] picks the screen; each pane and each modal has its own file. Styles are named by
//! meaning in [`theme`]. All text passes through [`text`], which sanitizes foreign text and
//! truncates it to its cells. The frame report [`FrameReport`] tells the state what can scroll, what was
//! viewed and what can be decided.

pub mod arrange;
pub mod confirm;
pub mod cost;
pub mod crash_card;
pub mod doctor;
pub mod events;
pub mod fitting;
pub mod gate;
pub mod gate_answers;
pub mod header;
pub mod help;
pub mod hints;
pub mod home;
pub mod new_run;
mod new_run_foot;
pub mod panes;
pub mod pen;
pub mod phases;
pub mod picker;
pub mod picture;
pub mod reader;
pub mod run;
pub mod run_card;
pub mod run_cost;
pub mod settings;
pub mod text;
pub mod theme;
pub mod transcript;
pub mod verdict;
pub mod welcome;

#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::arrange::PaneLayout;
use self::pen::DrawContext;
use crate::app::keymap::Action;
use crate::app::msg::FrameReport;
use crate::app::state::{AppState, Modal, Screen};

/// Draws a frame; returns the report of what was drawn.
pub fn draw(buf: &mut Buffer, area: Rect, state: &AppState) -> FrameReport {
    let area = area.intersection(buf.area);
    let mut pen = DrawContext::new(buf, state);
    if PaneLayout::for_size(area) == PaneLayout::TooSmall {
        too_small(&mut pen, area);
        return pen.drawn;
    }
    let [top, body, bottom] = arrange::rows(area);
    header::draw(&mut pen, top);
    let body = warning(&mut pen, body);
    match state.screen() {
        Screen::Runs => home::draw(&mut pen, body),
        Screen::Picker => picker::draw(&mut pen, body),
        Screen::Run => run::draw(&mut pen, body),
        Screen::Gate => gate::draw(&mut pen, body),
        Screen::NewRun => new_run::draw(&mut pen, body),
        Screen::Cost => cost::draw(&mut pen, body),
        Screen::Doctor => doctor::draw(&mut pen, body),
        Screen::Settings => settings::draw(&mut pen, body),
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
    let [line, rest] = arrange::top(area, 1);
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
        Modal::Help(help) => help::draw(pen, area, help),
        Modal::Text(title, reading) => {
            reader::draw_modal(pen, area, title, (&pen.state.modal_search, reading))
        }
        Modal::Palette(palette) => help::draw_palette(pen, area, palette),
        Modal::Confirm(confirm) => confirm::draw(pen, area, confirm),
    }
}

fn too_small(pen: &mut DrawContext<'_>, area: Rect) {
    let said = "enlarge to 40x10; runs continue; q quits";
    let width = usize::from(area.width.max(1));
    for (row, piece) in text::wrapped(said, width).iter().enumerate() {
        pen.text(area, row, piece, pen.theme.plain());
    }
}
