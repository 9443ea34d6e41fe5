//! The first line: the current screen, and counts of pending approvals, active runs and spend.

use super::text::{cells, styled};
use super::theme::StatusGlyph;
use crate::app::redraw_schedule::takes_long;
use crate::app::state::{AppState, Screen};
use crate::ui::draw_context::DrawContext;
use ratatui::layout::Rect;

/// Draws the header line.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let title = match pen.state.screen() {
        Screen::Runs
            if pen.state.runs.height > 0
                && pen.state.runs.len() > usize::from(pen.state.runs.height) =>
        {
            format!(
                " phasedeck · {} of {}",
                pen.state.runs.cursor + 1,
                pen.state.runs.len()
            )
        }
        Screen::Runs => " phasedeck".to_owned(),
        Screen::Picker => " phasedeck · resume".to_owned(),
        Screen::NewRun => " phasedeck · new run".to_owned(),
        Screen::Cost => " phasedeck · cost".to_owned(),
        Screen::Doctor => " phasedeck · doctor".to_owned(),
        Screen::Settings => " phasedeck · settings".to_owned(),
        Screen::Run | Screen::Gate => run_title(pen.state),
    };
    let (title, more) = (pen.theme.own(&title), pen.theme.more());
    let room = usize::from(area.width).saturating_sub(12).max(10);
    let title = super::text::cut(&title, room, more);
    let taken = cells(&title) + 2;
    pen.line(area, 0, vec![styled(title, pen.theme.title())]);
    // On a narrow terminal details are dropped; pending approvals are dropped last.
    for detail in (0..4).rev() {
        let news = news(pen, detail);
        let width: usize = news.iter().map(|span| cells(&span.content)).sum();
        if width + taken <= usize::from(area.width) {
            pen.right(area, 0, taken, news);
            return;
        }
    }
}

fn run_title(state: &AppState) -> String {
    let Some(run) = &state.run else {
        return " phasedeck".to_owned();
    };
    let workflow = run
        .opened
        .as_ref()
        .map_or("run", |known| known.record.workflow.as_str());
    format!(" {workflow} #{}", run.run_id.short())
}

/// Returns the cost of the open run, otherwise of all runs active today.
fn spent(state: &AppState) -> String {
    let run = state
        .run
        .as_ref()
        .filter(|_| matches!(state.screen(), Screen::Run | Screen::Gate))
        .and_then(|run| run.state());
    run.map_or_else(
        || format!("{} today", state.runs.counts.spent),
        |run| run.cost.to_string(),
    )
}

fn news(pen: &DrawContext<'_>, detail: usize) -> Vec<ratatui::text::Span<'static>> {
    let (state, theme) = (pen.state, pen.theme);
    let (gates, running) = (
        state.runs.awaiting_operator().count(),
        state.runs.working().count(),
    );
    let mut spans = Vec::new();
    if gates > 0 {
        let word = if gates == 1 { "gate" } else { "gates" };
        spans.push(styled(
            format!("{} {gates} {word}  ", theme.glyph(StatusGlyph::Gate)),
            theme.waiting(),
        ));
    }
    if running > 0 && detail >= 1 {
        spans.push(styled(
            format!("{} {running} running  ", theme.glyph(StatusGlyph::Running)),
            theme.mark_style(StatusGlyph::Running),
        ));
    }
    let resting = state.runs.backing_off().count();
    if resting > 0 && detail >= 2 {
        let word = if resting == 1 { "waits" } else { "wait" };
        spans.push(styled(
            format!("{} {resting} {word}  ", theme.glyph(StatusGlyph::Waiting)),
            theme.mark_style(StatusGlyph::Waiting),
        ));
    }
    if detail >= 2 {
        let cost = spent(state);
        spans.push(styled(format!("{cost} "), theme.plain()));
    }
    if detail >= 3 {
        let (role, style) = match (state.hosting, state.host_gone) {
            _ if takes_long(state.opening, state.now.ticks) => {
                (theme.own(" starting … "), theme.dim())
            }
            _ if state.opening.is_some() => (String::new(), theme.dim()),
            (true, _) => (" host ".to_owned(), theme.dim()),
            (false, false) => (" attached ".to_owned(), theme.dim()),
            (false, true) => (" no host ".to_owned(), theme.bad()),
        };
        spans.push(styled(role, style));
    }
    spans
}
