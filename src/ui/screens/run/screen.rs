//! The run screen: its panes, arranged by terminal size.

use super::panes;
use crate::app::mouse::MouseTarget;
use crate::app::redraw_schedule::{age_text, is_late, shown_since};
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::app::screens::runs::state::awaits_operator;
use crate::model::money::grouped;
use crate::model::record::ApprovalRecord;
use crate::model::run_state::RunState;
use crate::model::state::{ApprovalStatus, RunStatus};
use crate::model::time::human_duration;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::layout::PaneLayout;
use crate::ui::screens::run::{cost, validation};
use crate::ui::text::{cell, cell_right, cells, cut, styled, wrapped};
use crate::ui::theme::StatusGlyph;
use ratatui::layout::Rect;

/// Draws the run screen.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let Some(run) = &pen.state.run else { return };
    if run.opened.is_none() {
        return unopened(pen, area, run);
    }
    let (columns, rows) = pen.state.look.size;
    let arrangement = PaneLayout::for_size(Rect::new(0, 0, columns, rows));
    let [strip, body] = layout::top(area, 1);
    panes::strip(pen, strip, run);
    let body = banner(pen, body, run);
    let body = run.opened.as_ref().map_or(body, |known| {
        crate::ui::screens::gate::screen::pause_notice(pen, body, known)
    });
    if run.zoom {
        return panes::draw(pen, body, run, run.focus);
    }
    match arrangement {
        PaneLayout::TooSmall | PaneLayout::OnePane => panes::draw(pen, body, run, run.focus),
        PaneLayout::Tabbed => tabbed(pen, body, run),
        PaneLayout::Rail => rail(pen, body, run),
        PaneLayout::Columns => pane_columns(pen, body, run),
    }
}

fn unopened(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    match &run.failure {
        // Shown only once loading takes long enough for the text to be readable.
        None if !is_late(run.since, pen.state.now.ticks) => {}
        None => pen.text(
            area,
            1,
            &pen.theme.own(" loading the run …"),
            pen.theme.dim(),
        ),
        Some(failure) => {
            pen.text(
                area,
                1,
                &format!(" cannot load the run: {failure}"),
                pen.theme.bad(),
            );
            pen.text(area, 2, &format!(" {}", failure.hint), pen.theme.plain());
        }
    }
}

/// Draws the banner: a pending approval, an error, a pause, or the final state.
fn banner(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) -> Rect {
    if let (Some(seq), Some(known)) = (run.history_seq(), run.live_run()) {
        return past_banner(pen, area, run, (seq, known.state.last_seq));
    }
    let Some((mark, text, hint)) = banner_text(pen, run) else {
        return area;
    };
    let rows = if hint.is_empty() || area.height < 12 {
        1
    } else {
        2
    };
    let [top, rest] = layout::top(area, rows);
    let room = usize::from(area.width).saturating_sub(4);
    let glyph = pen.glyph(mark);
    let style = pen.theme.mark_style(mark);
    let more = pen.theme.more();
    pen.line(
        top,
        0,
        vec![
            styled(" ", style),
            glyph,
            styled(format!(" {}", cut(&text, room, more)), style),
        ],
    );
    pen.text(top, 1, &format!("   {hint}"), pen.theme.dim());
    rest
}

/// Draws the history banner over the whole line, so that it is not mistaken for the current state.
fn past_banner(
    pen: &mut DrawContext<'_>,
    area: Rect,
    run: &RunScreen,
    (seq, last): (u64, u64),
) -> Rect {
    use crate::app::keymap::Action::{Now, StepBack, StepOn, TurnBack, TurnOn};
    let [top, rest] = layout::top(area, 1);
    let (state, keys) = (pen.state, &pen.state.keys);
    let at = run.state().map(|state| state.last_at).unwrap_or_default();
    let day = if state.time(at).contains(':') {
        String::new()
    } else {
        format!("{} ", state.time(at))
    };
    let place = format!(
        " PAST  event {} of {}  {day}{}",
        grouped(seq),
        grouped(last),
        state.clock(at)
    );
    let [back, on, turn_back, turn_on, now] =
        [StepBack, StepOn, TurnBack, TurnOn, Now].map(|action| keys.display_keys(action));
    let ways = [
        format!("  {back} {on} event  {turn_back} {turn_on} phase or approval  {now} now "),
        format!("  {back} {on}  {turn_back} {turn_on}  {now} now "),
        format!("  {now} now "),
    ];
    let width = usize::from(area.width);
    let way = ways
        .iter()
        .find(|way| cells(&place) + cells(way) <= width)
        .cloned()
        .unwrap_or_default();
    let text = cell(&place, width.saturating_sub(cells(&way)), pen.theme.more());
    pen.line(top, 0, vec![styled(text + &way, pen.theme.past())]);
    let Some(asked) = past_question(pen, run).filter(|_| rest.height >= 10) else {
        return rest;
    };
    let [line, rest] = layout::top(rest, 1);
    let glyph = pen.glyph(StatusGlyph::Gate);
    let asked = cut(
        &asked,
        usize::from(line.width).saturating_sub(4),
        pen.theme.more(),
    );
    pen.line(
        line,
        0,
        vec![
            styled(" ", pen.theme.plain()),
            glyph,
            styled(format!(" {asked}"), pen.theme.waiting()),
        ],
    );
    rest
}

/// Describes the approval that was pending at the shown event, and its outcome.
fn past_question(pen: &DrawContext<'_>, run: &RunScreen) -> Option<String> {
    let open = run.state()?.approval.as_ref()?;
    let record = run
        .live_run()?
        .details
        .approvals
        .iter()
        .find(|record| record.id == open.request_id)?;
    let version = record
        .artifact_version
        .map(|version| format!(" about v{version}"))
        .unwrap_or_default();
    let asked = format!("{}{version} was pending here", open.gate);
    let Some(at) = record.resolved_at else {
        return Some(format!("{asked}, still pending"));
    };
    let (after, by) = (
        human_duration(at.since_ms(open.requested_at)),
        record.resolved_by.as_deref().unwrap_or("the engine"),
    );
    Some(format!(
        "{asked}: {} by {by} after {after}, at {}",
        record.state,
        pen.state.clock(at)
    ))
}

fn banner_text(pen: &DrawContext<'_>, run: &RunScreen) -> Option<(StatusGlyph, String, String)> {
    use crate::app::keymap::Action;
    let keys = &pen.state.keys;
    let state = run.state()?;
    if let Some(failure) = &run.failure {
        return Some((
            StatusGlyph::Failed,
            failure.to_string(),
            failure.hint.clone(),
        ));
    }
    if let Some(open) = state
        .approval
        .as_ref()
        .filter(|_| !state.status.is_terminal())
    {
        let since = pen.state.day_and_time(open.requested_at);
        let (gate, opens) = (&open.gate, keys.display_keys(Action::NextGate));
        let text = if state.status == RunStatus::Paused {
            // A budget gate can only be resolved by an amount, so resume is not offered.
            let money = open
                .question
                .as_deref()
                .is_some_and(|asked| asked.budget().is_some());
            let goes_on = if money {
                String::new()
            } else {
                format!(", {} resume", keys.display_keys(Action::Resume))
            };
            format!("paused, approval pending: {gate}, {opens} review{goes_on} (since {since})")
        } else {
            format!("Waiting for your approval: {gate}, {opens} review (since {since})")
        };
        let asked = open
            .question
            .as_deref()
            .map(crate::app::screens::gate::question::summary)
            .unwrap_or_default();
        return Some((StatusGlyph::Gate, text, asked));
    }
    match state.status {
        RunStatus::Paused => {
            let why = state
                .pause_reason
                .map_or_else(String::new, |reason| format!(" ({reason})"));
            let mark = if state.pause_reason == Some(crate::model::state::PauseReason::Crashed) {
                StatusGlyph::NeedsCheck
            } else {
                StatusGlyph::Paused
            };
            Some((
                mark,
                format!("paused{why}: {} resumes", keys.display_keys(Action::Resume)),
                String::new(),
            ))
        }
        RunStatus::Failed => {
            let (code, message, hint) = state.error.clone()?;
            let again = format!("{} retries", keys.display_keys(Action::Resume));
            let hint = if hint.is_empty() {
                again
            } else {
                format!("{again}; {hint}")
            };
            Some((
                StatusGlyph::Failed,
                format!("failed: {message} [{code}]"),
                hint,
            ))
        }
        RunStatus::Aborted => {
            let text = format!(
                "aborted; worktree, artifacts and history are kept; {} retries",
                keys.display_keys(Action::Resume)
            );
            Some((StatusGlyph::Aborted, text, String::new()))
        }
        RunStatus::Completed => {
            let record = run.opened.as_ref().map(|known| &known.record)?;
            let branch = record
                .branch
                .as_deref()
                .map(|b| format!(" on branch {b}"))
                .unwrap_or_default();
            Some((
                StatusGlyph::Done,
                format!(
                    "done{branch}: {} for {}",
                    phases(state.phases.len()),
                    state.cost
                ),
                String::new(),
            ))
        }
        RunStatus::Executing => at_work(pen, run, state),
        RunStatus::Created | RunStatus::AwaitingApproval => None,
    }
}

/// For an active phase, reports only a pending retry or a lack of output.
fn at_work(
    pen: &DrawContext<'_>,
    run: &RunScreen,
    state: &RunState,
) -> Option<(StatusGlyph, String, String)> {
    use crate::app::keymap::Action;
    let now = pen.state.now.wall;
    let phase = run.phase_key()?;
    if let Some(retry) = run.pulse.retry(state, now) {
        let left = human_duration(retry.until.since_ms(now).next_multiple_of(1000));
        let text = format!(
            "{phase}: retry in {left}, try {} failed [{}]",
            retry.failed, retry.code
        );
        return Some((StatusGlyph::Waiting, text, String::new()));
    }
    let silent = age_text(run.pulse.quiet_ms(state, now)?);
    let text = format!(
        "{phase}: no output for {silent}; {} pauses it",
        pen.state.keys.display_keys(Action::Pause)
    );
    Some((StatusGlyph::Quiet, text, String::new()))
}

fn phases(count: usize) -> String {
    format!("{count} phase{}", if count == 1 { "" } else { "s" })
}

/// Draws the panes as tabs, numbered by their keys.
fn tabbed(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let [tabs, body] = layout::top(area, 1);
    let mut spans = vec![styled(" ", pen.theme.plain())];
    let mut column = tabs.x + 1;
    for pane in RunPane::ALL {
        let style = if *pane == run.focus {
            pen.theme.selected()
        } else {
            pen.theme.dim()
        };
        let tab = format!(" {} {} ", pane.number(), pane.title());
        let width = u16::try_from(tab.len()).unwrap_or(0);
        pen.place(
            Rect {
                x: column,
                width,
                ..tabs
            },
            MouseTarget::Tab(*pane),
        );
        column = column.saturating_add(width);
        spans.push(styled(tab, style));
    }
    pen.line(tabs, 0, spans);
    if run.focus == RunPane::Phases && body.height >= 14 {
        let [upper, lower] = layout::top(body, phase_rows(run, body.height / 2));
        panes::draw(pen, upper, run, RunPane::Phases);
        return panes::draw(pen, lower, run, below_phases(run));
    }
    panes::draw(pen, body, run, run.focus);
}

/// Below the phases: the live agent output, otherwise the events.
fn below_phases(run: &RunScreen) -> RunPane {
    match run.main_pane() {
        RunPane::Transcript => RunPane::Transcript,
        _ => RunPane::Events,
    }
}

/// Rows of a framed pane that shows every phase, and what its columns or its bars mean.
fn phase_rows(run: &RunScreen, most: u16) -> u16 {
    let phases = run.state().map_or(0, |s| s.phases.len()) + 1;
    u16::try_from(phases)
        .unwrap_or(u16::MAX)
        .clamp(1, most.max(1))
        + 2
}

/// Returns a resized length, limited so that the neighbouring pane keeps its minimum.
fn changed(usual: u16, by: i16, whole: u16) -> u16 {
    let least = 6.min(whole);
    usual
        .saturating_add_signed(by)
        .clamp(least, whole.saturating_sub(6).max(least))
}

fn rail(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let [left, right] = layout::left(area, changed(36, run.arranged.rail, area.width));
    left_rail(pen, left, run);
    let [upper, lower] = layout::top(
        right,
        changed(share(right.height, 60), run.arranged.upper, right.height),
    );
    panes::draw(pen, upper, run, run.main_pane());
    panes::draw(pen, lower, run, RunPane::Events);
}

/// Draws the phases above the cost.
pub fn left_rail(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let [phases, cost] = layout::top(area, phase_rows(run, area.height / 2));
    panes::draw(pen, phases, run, RunPane::Phases);
    panes::draw(pen, cost, run, RunPane::Cost);
}

fn share(whole: u16, percent: u32) -> u16 {
    u16::try_from(u32::from(whole) * percent / 100).unwrap_or(whole)
}

fn pane_columns(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let rows = cost::rows(run).clamp(6, (area.height / 4).max(6)) + 2;
    let [upper, lower] = layout::bottom(area, changed(rows, run.arranged.bottom, area.height));
    let [left, rest] = layout::left(upper, changed(44, run.arranged.rail, upper.width));
    let [runs, phases] = layout::bottom(left, phase_rows(run, left.height / 2));
    run_list(pen, runs, run);
    panes::draw(pen, phases, run, RunPane::Phases);
    let [centre, right] = layout::halves(rest);
    let [events, said] = layout::top(
        centre,
        changed(centre.height / 2, -run.arranged.upper, centre.height),
    );
    panes::draw(pen, events, run, RunPane::Events);
    panes::draw(pen, said, run, RunPane::Transcript);
    let errors = run
        .versions()
        .iter()
        .map(|version| 1 + version.errors.len())
        .sum::<usize>()
        .max(1);
    let verdict = u16::try_from(errors)
        .unwrap_or(u16::MAX)
        .min(right.height / 3)
        + 2;
    let [artifact, schema] = layout::bottom(right, verdict);
    panes::draw(pen, artifact, run, RunPane::Artifact);
    validation::draw(pen, schema, run);
    let [cost, decisions] = layout::halves(lower);
    panes::draw(pen, cost, run, RunPane::Cost);
    last_decisions(pen, decisions, run);
}

fn run_list(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let inner = pen.panel(area, vec![styled(" Runs ", pen.theme.title())], false);
    let width = usize::from(inner.width);
    for (row, record) in pen
        .state
        .runs
        .records
        .iter()
        .take(usize::from(inner.height))
        .enumerate()
    {
        let mark = StatusGlyph::from_run(record);
        let style = if awaits_operator(record) {
            pen.theme.waiting()
        } else {
            pen.theme.plain()
        };
        let glyph = pen.glyph(mark);
        let (more, dim) = (pen.theme.more(), pen.theme.dim());
        let phase = record
            .current_phase
            .as_ref()
            .filter(|_| width >= 54)
            .map(|phase| format!("  {}", cell(phase.as_str(), 10, more)));
        let taken = 21 + phase.as_deref().map_or(0, cells);
        let since = pen
            .state
            .time(record.waits_until.unwrap_or_else(|| shown_since(record)));
        let spans = vec![
            styled(" ", style),
            glyph,
            styled(
                format!(
                    " {}",
                    cell(&record.workflow, width.saturating_sub(taken), more)
                ),
                style,
            ),
            styled(phase.unwrap_or_default(), dim),
            styled(cell_right(&since, 7, more), dim),
            styled(format!("  {} ", record.id.short()), dim),
        ];
        pen.line(inner, row, spans);
        if record.id == run.run_id {
            pen.mark_row(inner, row, pen.theme.title());
        }
    }
}

fn last_decisions(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let inner = pen.panel(area, vec![styled(" Decisions ", pen.theme.title())], false);
    let Some(known) = &run.opened else { return };
    let mut answered: Vec<_> = known
        .details
        .approvals
        .iter()
        .filter(|a| a.state != ApprovalStatus::Pending)
        .collect();
    answered.sort_by_key(|a| std::cmp::Reverse(a.resolved_at));
    if answered.is_empty() {
        return pen.text(inner, 0, " none yet", pen.theme.dim());
    }
    let mut row = 0;
    for record in answered {
        row += decision(pen, inner, row, record);
    }
}

/// Draws one decision with its wrapped comment; returns the rows used.
fn decision(pen: &mut DrawContext<'_>, area: Rect, row: usize, record: &ApprovalRecord) -> usize {
    let clock = record
        .resolved_at
        .map_or_else(String::new, |at| pen.state.clock(at));
    let style = match record.state {
        ApprovalStatus::Approved => pen.theme.good(),
        ApprovalStatus::Rejected => pen.theme.bad(),
        _ => pen.theme.mark_style(StatusGlyph::Repair),
    };
    let version = record
        .artifact_version
        .map(|v| format!(" v{v}"))
        .unwrap_or_default();
    let by = record.resolved_by.as_deref().unwrap_or("");
    let comment = record.comment.as_deref().unwrap_or("");
    let room = usize::from(area.width).saturating_sub(31);
    let lines = wrapped(
        &format!("{}{version} by {by}  {comment}", record.gate),
        room,
    );
    for (below, line) in lines.iter().enumerate() {
        let (clock, state) = if below == 0 {
            (format!(" {clock}  "), record.state.as_str())
        } else {
            (" ".repeat(11), "")
        };
        let spans = vec![
            styled(clock, pen.theme.dim()),
            styled(cell(state, 18, ""), style),
            styled(
                line,
                if below == 0 {
                    pen.theme.plain()
                } else {
                    pen.theme.dim()
                },
            ),
        ];
        pen.line(area, row + below, spans);
    }
    lines.len()
}
