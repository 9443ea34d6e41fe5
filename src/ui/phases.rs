//! The phases pane: as figures (attempts, working and waiting time apart, cost), or as bars over time.

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::pen::Pen;
use super::text::{cell, cell_right, ink};
use super::theme::Mark;
use crate::app::run_view::{Pane, RunView};
use crate::model::run_state::{PhaseState, RunState};
use crate::model::time::{Timestamp, human_duration};

/// Draws what is inside the frame.
pub fn draw(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let Some(state) = run.state() else { return };
    let (selected, height) = (run.phase_at(), usize::from(area.height));
    let top = (selected + 1).saturating_sub(height.max(1));
    let shown = state.phases.iter().enumerate().skip(top).take(height);
    for (row, (index, phase)) in shown.enumerate() {
        let spans = if run.arranged.bars { bars(pen, area, run, phase) } else { figures(pen, area, run, phase) };
        pen.line(area, row, spans);
        if index == selected {
            // A bar that is reversed with its row would be a hole.
            let marked = if run.arranged.bars { Rect { width: area.width.min(13), ..area } } else { area };
            pen.mark_row(marked, row, if run.focus == Pane::Phases { pen.theme.selected() } else { pen.theme.title() });
        }
    }
    let rows = state.phases.len().saturating_sub(top).min(height);
    if run.arranged.bars && rows < height {
        legend(pen, area, rows);
    }
}

/// How a phase stands; one at work that has not been heard of is quiet.
fn mark(pen: &Pen<'_>, run: &RunView, phase: &PhaseState) -> Mark {
    let Some(state) = run.state() else { return Mark::InLine };
    let mark = Mark::of_phase(phase, state.status);
    // Signs of life are of now.
    let works = matches!(mark, Mark::Running | Mark::Repair) && run.moment().is_none();
    let now = run.clock(pen.state.now.wall);
    match () {
        () if works && run.pulse.retry(now).is_some() => Mark::Waits,
        () if works && run.pulse.quiet_ms(state, now).is_some() => Mark::Quiet,
        () => mark,
    }
}

fn figures(pen: &Pen<'_>, area: Rect, run: &RunView, phase: &PhaseState) -> Vec<Span<'static>> {
    let (theme, more, now, width) = (pen.theme, pen.theme.more(), run.clock(pen.state.now.wall), usize::from(area.width).saturating_sub(1));
    let (mark, begun) = (mark(pen, run, phase), phase.started_at.is_some());
    let (waits, words) = (width >= 44, width >= 60);
    let time = if begun { human_duration(phase.working_ms_at(now)) } else { String::new() };
    let waiting = phase.waiting_ms_at(now);
    let waited = if waiting > 0 { format!("waited {}", coarse(waiting)) } else { String::new() };
    let cost = if begun { phase.cost.to_string() } else { String::new() };
    let attempt = if phase.attempt > 1 { phase.attempt.to_string() } else { String::new() };
    let fixed = 3 + 3 + 7 + 9 + if waits { 15 } else { 0 } + if words { 10 } else { 0 };
    let name = width.saturating_sub(fixed).max(6);
    let style = if begun { theme.plain() } else { theme.dim() };
    let mut spans = vec![ink(format!(" {} ", theme.glyph(mark)), theme.of_mark(mark)), ink(cell(phase.key.as_str(), name, more), style)];
    if words {
        spans.push(ink(cell(mark.told().2, 10, more), theme.of_mark(mark)));
    }
    spans.push(ink(cell_right(&attempt, 3, more), theme.of_mark(Mark::Repair)));
    spans.push(ink(cell_right(&time, 7, more), theme.plain()));
    if waits {
        spans.push(ink(cell_right(&waited, 15, more), theme.dim()));
    }
    spans.push(ink(cell_right(&cost, 9, more), theme.plain()));
    spans
}

/// A time that grows while nothing happens is told to the minute, so that nothing moves for its sake.
fn coarse(ms: u64) -> String {
    crate::app::wake::age_text(ms)
}

/// Where one phase lies in the time of the run.
struct Stretch {
    before: usize,
    working: usize,
    waiting: usize,
}

fn stretch(state: &RunState, phase: &PhaseState, now: Timestamp, room: usize) -> Option<Stretch> {
    let begun = phase.started_at?;
    let first = state.phases.iter().filter_map(|p| p.started_at).min()?;
    let over = state.status.is_terminal() || state.phases.iter().all(|p| p.ended_at.is_some());
    let last = if over { state.phases.iter().filter_map(|p| p.ended_at).max().unwrap_or(now) } else { now };
    let whole = last.since_ms(first).max(1);
    let cells_of = |ms: u64| usize::try_from(u128::from(ms.min(whole)) * room as u128 / u128::from(whole)).unwrap_or(room);
    let (working, waiting) = (phase.working_ms_at(now), phase.waiting_ms_at(now));
    let before = cells_of(begun.since_ms(first)).min(room.saturating_sub(1));
    let left = room - before;
    // Something that took time is never invisible.
    let working = cells_of(working).max(1).min(left);
    let waiting = if waiting > 0 { cells_of(waiting).max(1).min(left - working) } else { 0 };
    Some(Stretch { before, working, waiting })
}

fn bars(pen: &Pen<'_>, area: Rect, run: &RunView, phase: &PhaseState) -> Vec<Span<'static>> {
    let Some(state) = run.state() else { return Vec::new() };
    let now = run.clock(pen.state.now.wall);
    let (theme, more, width) = (pen.theme, pen.theme.more(), usize::from(area.width).saturating_sub(1));
    let mark = Mark::of_phase(phase, state.status);
    let name = if width >= 60 { 16 } else { 10 };
    let room = width.saturating_sub(name + 12);
    let mut spans =
        vec![ink(format!(" {} ", theme.glyph(mark)), theme.of_mark(mark)), ink(cell(phase.key.as_str(), name, more), theme.plain())];
    let Some(at) = stretch(state, phase, now, room) else { return spans };
    let working = human_duration(phase.working_ms_at(now));
    spans.push(ink(" ".repeat(at.before), theme.plain()));
    spans.push(ink(theme.own("█").repeat(at.working), theme.focus()));
    spans.push(ink(theme.own("▒").repeat(at.waiting), theme.waiting()));
    spans.push(ink(" ".repeat(room - at.before - at.working - at.waiting), theme.plain()));
    spans.push(ink(cell_right(&working, 8, more), theme.dim()));
    spans
}

fn legend(pen: &mut Pen<'_>, area: Rect, row: usize) {
    let theme = pen.theme;
    let spans = vec![
        ink(format!(" {} ", theme.own("█")), theme.focus()),
        ink("working  ", theme.dim()),
        ink(format!("{} ", theme.own("▒")), theme.waiting()),
        ink("waiting for you", theme.dim()),
    ];
    pen.line(area, row, spans);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::sample::{self, Place};

    #[test]
    fn bars_lie_within_their_room_and_what_took_time_is_seen() {
        let events = sample::journal(Place::Completed);
        let state = RunState::fold(sample::run_id(1), &events).unwrap();
        let now = Timestamp(events.last().unwrap().at.0 + 1_000_000);
        for room in 3..120 {
            for phase in &state.phases {
                let Some(at) = stretch(&state, phase, now, room) else { continue };
                assert!(at.before + at.working + at.waiting <= room, "{room}: {}", phase.key);
                assert!(at.working >= 1, "{room}: {}", phase.key);
            }
        }
    }
}
