//! The transcript pane: an attempt's stored and live agent output.

use super::panes;
use crate::app::keymap::Action;
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::model::money::grouped;
use crate::model::state::PhaseStatus;
use crate::ui::draw_context::DrawContext;
use crate::ui::text::{styled, wrapped};
use crate::ui::truncate::{LinePart, fitted};
use crate::ui::{layout, modal};
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Draws the framed pane.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let mut title = panes::title(pen, run, RunPane::Transcript);
    title.extend(source_label(pen, run));
    title.extend(modal::reader::sought(
        pen,
        &run.said.search,
        Some(&run.said.reading),
        usize::from(area.width / 2),
    ));
    let inner = layout::inset(pen.panel(area, title, run.focus == RunPane::Transcript));
    let text = modal::reader::typed(pen, inner, &run.said.search, Some(&run.said.reading));
    pen.drawn.transcript = Some((text.width, text.height));
    if run.said.reading.doc().lines.is_empty() {
        return nothing(pen, text, run);
    }
    modal::reader::draw(pen, text, &run.said.reading);
    place(pen, area, run);
    calls(pen, area, run);
}

/// Which phase, and which attempt of how many.
fn source_label(pen: &DrawContext<'_>, run: &RunScreen) -> Option<Span<'static>> {
    let (phase, attempt) = run.transcript_source()?;
    let last = run.state()?.phase(&phase)?.attempt;
    let attempt = if last > 1 {
        format!("{}attempt {attempt} of {last}", pen.state.separator())
    } else {
        String::new()
    };
    Some(styled(format!(" {phase}{attempt} "), pen.theme.plain()))
}

/// Whether it follows, as with the events; how much lies below where nothing more will come.
fn place(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let reading = &run.said.reading;
    if !run.said.grows() {
        return modal::reader::foot(pen, area, reading);
    }
    if reading.is_following() {
        let style = pen.theme.dim();
        return pen.foot(area, "LIVE", style);
    }
    let style = pen.theme.waiting();
    let below = u64::try_from(reading.lines_below()).unwrap_or(u64::MAX);
    pen.foot(area, &format!("scrolled, {} new", grouped(below)), style);
}

/// How tool calls are shown, in the lower frame on the left, and what is not kept.
fn calls(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    if area.height < 3 || area.width < 30 {
        return;
    }
    let mut parts = Vec::new();
    let (count, key) = (
        run.said.calls(),
        pen.state.keys.display_keys(Action::FoldCalls),
    );
    if count > 0 {
        let calls = if count == 1 {
            "1 call".to_owned()
        } else {
            format!("{count} calls")
        };
        let told = if run.said.is_whole() {
            format!(" {calls} open: {key} folds ")
        } else {
            format!(" {calls} folded: {key} opens ")
        };
        parts.push(LinePart::new(0, pen.theme.dim(), told));
    }
    if run.said.dropped() > 0 {
        parts.push(LinePart::new(
            1,
            pen.theme.waiting(),
            format!(" {} earlier lines dropped ", grouped(run.said.dropped())),
        ));
    }
    let room = area.width.saturating_sub(20);
    let line = Rect {
        x: area.x + 2,
        y: area.y + area.height - 1,
        width: room,
        height: 1,
    };
    let spans = fitted(parts, usize::from(room));
    pen.line(line, 0, spans);
}

/// Explains why the transcript is empty.
fn nothing(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let phase = run
        .state()
        .and_then(|state| state.phases.get(run.phase_index()));
    let text = match phase {
        _ if run.said.is_loading() => pen.theme.own("loading …"),
        Some(phase) if phase.attempt == 0 && run.history_seq().is_some() => {
            format!("{} had not started by this event", phase.key)
        }
        Some(phase) if phase.attempt == 0 && phase.status == PhaseStatus::Skipped => {
            format!("{} was skipped", phase.key)
        }
        Some(phase) if phase.attempt == 0 => format!("{} has not started", phase.key),
        _ => "no output yet".to_owned(),
    };
    for (row, line) in wrapped(&text, usize::from(area.width)).iter().enumerate() {
        pen.text(area, row, line, pen.theme.dim());
    }
}
