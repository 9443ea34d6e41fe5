//! The phases pane: a table (attempts, working time, waiting time, cost), or bars over time.

use crate::app::redraw_schedule::age_text;
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::PhaseStatus;
use crate::model::time::{Timestamp, human_duration};
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cell, cell_right, cells, styled};
use crate::ui::theme::StatusGlyph;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Draws what is inside the frame.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let Some(state) = run.state() else { return };
    let columns = PhaseColumns::new(state, usize::from(area.width).saturating_sub(1));
    let headed = !run.arranged.bars && usize::from(area.height) > state.phases.len();
    let [head, area] = layout::top(area, u16::from(headed));
    if headed {
        heading(pen, head, &columns);
    }
    let (selected, height) = (run.phase_index(), usize::from(area.height));
    let top = (selected + 1).saturating_sub(height.max(1));
    let shown = state.phases.iter().enumerate().skip(top).take(height);
    for (row, (index, phase)) in shown.enumerate() {
        let spans = if run.arranged.bars {
            bars(pen, area, run, phase)
        } else {
            figures(pen, run, phase, &columns)
        };
        pen.line(area, row, spans);
        if index == selected {
            // A bar that is reversed with its row would be a hole.
            let marked = if run.arranged.bars {
                Rect {
                    width: area.width.min(13),
                    ..area
                }
            } else {
                area
            };
            pen.mark_row(
                marked,
                row,
                if run.focus == RunPane::Phases {
                    pen.theme.selected()
                } else {
                    pen.theme.title()
                },
            );
        }
    }
    let rows = state.phases.len().saturating_sub(top).min(height);
    if run.arranged.bars && rows < height {
        legend(pen, area, rows);
    }
}

/// How a phase stands; one at work that has not been heard of is quiet.
fn mark(pen: &DrawContext<'_>, run: &RunScreen, phase: &PhaseState) -> StatusGlyph {
    let Some(state) = run.state() else {
        return StatusGlyph::Queued;
    };
    let mark = StatusGlyph::from_phase(phase, state.status);
    // Signs of life are of now.
    let works =
        matches!(mark, StatusGlyph::Running | StatusGlyph::Repair) && run.history_seq().is_none();
    let now = run.clock(pen.state.now.wall);
    match () {
        () if works && run.pulse.retry(state, now).is_some() => StatusGlyph::Waiting,
        () if works && run.pulse.quiet_ms(state, now).is_some() => StatusGlyph::Quiet,
        () => mark,
    }
}

/// The columns of the figures, by the room there is. They begin where the longest name ends, not at the
/// far edge, so that a figure is read with its name.
struct PhaseColumns {
    name: usize,
    word: usize,
    waited: usize,
    who: usize,
}

impl PhaseColumns {
    /// Tries, working time and cost are always there.
    const TRIES: usize = 4;
    const WORKED: usize = 8;
    const COST: usize = 9;

    fn new(state: &RunState, width: usize) -> Self {
        let longest = state
            .phases
            .iter()
            .map(|phase| cells(phase.key.as_str()))
            .max()
            .unwrap_or(0)
            .max(5);
        let (word, waited) = (
            if width >= 56 { 9 } else { 0 },
            if width >= 46 { 13 } else { 0 },
        );
        let taken = 3 + Self::TRIES + Self::WORKED + Self::COST + word + waited;
        let name = (longest + 1).min(width.saturating_sub(taken).max(6));
        let left = width.saturating_sub(taken + name + 2);
        Self {
            name,
            word,
            waited,
            who: if left >= 12 { left.min(28) } else { 0 },
        }
    }
}

fn heading(pen: &mut DrawContext<'_>, area: Rect, columns: &PhaseColumns) {
    let right = |text: &str, width: usize| {
        if width == 0 {
            String::new()
        } else {
            cell_right(text, width, "")
        }
    };
    let text = format!(
        "   {}{}{}{}{}{}{}",
        cell("PHASE", columns.name, ""),
        cell("", columns.word, ""),
        right("TRY", PhaseColumns::TRIES),
        right("WORKED", PhaseColumns::WORKED),
        right("WAITED", columns.waited),
        right("COST", PhaseColumns::COST),
        if columns.who > 0 { "  WHO" } else { "" },
    );
    pen.line(area, 0, vec![styled(text, pen.theme.dim())]);
}

fn figures(
    pen: &DrawContext<'_>,
    run: &RunScreen,
    phase: &PhaseState,
    columns: &PhaseColumns,
) -> Vec<Span<'static>> {
    let (theme, more, now) = (pen.theme, pen.theme.more(), run.clock(pen.state.now.wall));
    let (mark, begun) = (mark(pen, run, phase), phase.started_at.is_some());
    let time = if begun {
        human_duration(phase.working_ms_at(now))
    } else {
        String::new()
    };
    let cost = if begun {
        phase.cost.to_string()
    } else {
        String::new()
    };
    let attempt = if begun {
        phase.attempt.to_string()
    } else {
        String::new()
    };
    let tried = if phase.attempt > 1 {
        theme.mark_style(StatusGlyph::Repair)
    } else {
        theme.dim()
    };
    let style = if begun { theme.plain() } else { theme.dim() };
    let who = phase
        .persona
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let right = |text: &str, width: usize| {
        if width == 0 {
            String::new()
        } else {
            cell_right(text, width, more)
        }
    };
    vec![
        styled(format!(" {} ", theme.glyph(mark)), theme.mark_style(mark)),
        styled(cell(phase.key.as_str(), columns.name, more), style),
        styled(
            cell(
                if columns.word > 0 { mark.parts().2 } else { "" },
                columns.word,
                more,
            ),
            theme.mark_style(mark),
        ),
        styled(right(&attempt, PhaseColumns::TRIES), tried),
        styled(right(&time, PhaseColumns::WORKED), theme.plain()),
        styled(right(&waited(pen, phase), columns.waited), theme.dim()),
        styled(right(&cost, PhaseColumns::COST), theme.plain()),
        styled(
            if columns.who > 0 {
                format!("  {}", cell(&who, columns.who, more))
            } else {
                String::new()
            },
            theme.dim(),
        ),
    ]
}

/// When the question was asked that a phase waits at: its own clock starts anew each time the run goes on.
fn gate_opened_at(pen: &DrawContext<'_>, phase: &PhaseState) -> Option<Timestamp> {
    let open = pen.state.run.as_ref()?.state()?.approval.as_ref()?;
    (open.phase_key.as_ref() == Some(&phase.key)).then_some(open.requested_at)
}

/// How long it waited; while it waits, since when, which does not change while nothing happens.
fn waited(pen: &DrawContext<'_>, phase: &PhaseState) -> String {
    match phase
        .clock
        .filter(|_| phase.status == PhaseStatus::AwaitingApproval)
    {
        Some(since) => format!(
            "since {}",
            pen.state.time(gate_opened_at(pen, phase).unwrap_or(since))
        ),
        None if phase.waiting_ms > 0 => age_text(phase.waiting_ms),
        None => String::new(),
    }
}

/// Where one phase lies in the time of the run.
struct BarSpan {
    before: usize,
    working: usize,
    waiting: usize,
}

fn stretch(state: &RunState, phase: &PhaseState, now: Timestamp, room: usize) -> Option<BarSpan> {
    let begun = phase.started_at?;
    let first = state.phases.iter().filter_map(|p| p.started_at).min()?;
    let over = state.status.is_terminal() || state.phases.iter().all(|p| p.ended_at.is_some());
    let last = if over {
        state
            .phases
            .iter()
            .filter_map(|p| p.ended_at)
            .max()
            .unwrap_or(now)
    } else {
        now
    };
    let whole = last.since_ms(first).max(1);
    let cells_of = |ms: u64| {
        usize::try_from(u128::from(ms.min(whole)) * room as u128 / u128::from(whole))
            .unwrap_or(room)
    };
    let (working, waiting) = (phase.working_ms_at(now), phase.waiting_ms_at(now));
    let before = cells_of(begun.since_ms(first)).min(room.saturating_sub(1));
    let left = room - before;
    // Something that took time is never invisible.
    let working = cells_of(working).max(1).min(left);
    let waiting = if waiting > 0 {
        cells_of(waiting).max(1).min(left - working)
    } else {
        0
    };
    Some(BarSpan {
        before,
        working,
        waiting,
    })
}

fn bars(
    pen: &DrawContext<'_>,
    area: Rect,
    run: &RunScreen,
    phase: &PhaseState,
) -> Vec<Span<'static>> {
    let Some(state) = run.state() else {
        return Vec::new();
    };
    let now = run.clock(pen.state.now.wall);
    let (theme, more, width) = (
        pen.theme,
        pen.theme.more(),
        usize::from(area.width).saturating_sub(1),
    );
    let mark = StatusGlyph::from_phase(phase, state.status);
    let name = if width >= 60 { 16 } else { 10 };
    let room = width.saturating_sub(name + 12);
    let mut spans = vec![
        styled(format!(" {} ", theme.glyph(mark)), theme.mark_style(mark)),
        styled(cell(phase.key.as_str(), name, more), theme.plain()),
    ];
    let Some(at) = stretch(state, phase, now, room) else {
        return spans;
    };
    let working = human_duration(phase.working_ms_at(now));
    spans.push(styled(" ".repeat(at.before), theme.plain()));
    spans.push(styled(theme.own("█").repeat(at.working), theme.focus()));
    spans.push(styled(theme.own("▒").repeat(at.waiting), theme.waiting()));
    spans.push(styled(
        " ".repeat(room - at.before - at.working - at.waiting),
        theme.plain(),
    ));
    spans.push(styled(cell_right(&working, 8, more), theme.dim()));
    spans
}

fn legend(pen: &mut DrawContext<'_>, area: Rect, row: usize) {
    let theme = pen.theme;
    let spans = vec![
        styled(format!(" {} ", theme.own("█")), theme.focus()),
        styled("working  ", theme.dim()),
        styled(format!("{} ", theme.own("▒")), theme.waiting()),
        styled("waiting for you", theme.dim()),
    ];
    pen.line(area, row, spans);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::app::test_support::SampleRunState;

    #[test]
    fn bars_lie_within_their_room_and_what_took_time_is_seen() {
        let events = test_support::journal(SampleRunState::Completed);
        let state = RunState::fold(test_support::run_id(1), &events).unwrap();
        let now = Timestamp(events.last().unwrap().at.0 + 1_000_000);
        for room in 3..120 {
            for phase in &state.phases {
                let Some(at) = stretch(&state, phase, now, room) else {
                    continue;
                };
                assert!(
                    at.before + at.working + at.waiting <= room,
                    "{room}: {}",
                    phase.key
                );
                assert!(at.working >= 1, "{room}: {}", phase.key);
            }
        }
    }
}
