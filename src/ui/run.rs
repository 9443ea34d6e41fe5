//! A run's screen: its panes, arranged by the size of the terminal.

use ratatui::layout::Rect;

use super::arrange::{self, Arrangement};
use super::panes;
use super::pen::Pen;
use super::text::{cell, cells, cut, ink};
use super::theme::Mark;
use crate::app::run_view::{Pane, RunView};
use crate::app::runs::waits;
use crate::model::money::grouped;
use crate::model::state::{ApprovalStatus, RunStatus};

/// Draws it.
pub fn draw(pen: &mut Pen<'_>, area: Rect) {
    let Some(run) = &pen.state.run else { return };
    if run.opened.is_none() {
        return unopened(pen, area, run);
    }
    let (columns, rows) = pen.state.look.size;
    let arrangement = Arrangement::of(Rect::new(0, 0, columns, rows));
    let [strip, body] = arrange::top(area, 1);
    panes::strip(pen, strip, run);
    let body = banner(pen, body, run);
    if run.zoom {
        return panes::draw(pen, body, run, run.focus);
    }
    match arrangement {
        Arrangement::TooSmall | Arrangement::OnePane => panes::draw(pen, body, run, run.focus),
        Arrangement::Tabbed => tabbed(pen, body, run),
        Arrangement::Rail => rail(pen, body, run),
        Arrangement::Columns => columns_of(pen, body, run),
    }
}

fn unopened(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    match &run.failure {
        None => pen.text(area, 1, &pen.theme.own(" loading the run …"), pen.theme.dim()),
        Some(failure) => {
            pen.text(area, 1, &format!(" the run could not be loaded: {failure}"), pen.theme.bad());
            pen.text(area, 2, &format!(" {}", failure.hint), pen.theme.plain());
        }
    }
}

/// One line that matters more than any pane: a question, an error, a pause, an end.
fn banner(pen: &mut Pen<'_>, area: Rect, run: &RunView) -> Rect {
    if let (Some(seq), Some(known)) = (run.moment(), run.now()) {
        return past_banner(pen, area, run, (seq, known.state.last_seq));
    }
    let Some((mark, text, hint)) = banner_text(pen, run) else { return area };
    let rows = if hint.is_empty() || area.height < 12 { 1 } else { 2 };
    let [top, rest] = arrange::top(area, rows);
    let room = usize::from(area.width).saturating_sub(4);
    let glyph = pen.glyph(mark);
    let style = pen.theme.of_mark(mark);
    let more = pen.theme.more();
    pen.line(top, 0, vec![ink(" ", style), glyph, ink(format!(" {}", cut(&text, room, more)), style)]);
    pen.text(top, 1, &format!("   {hint}"), pen.theme.dim());
    rest
}

/// Says that this is the past, where in it, and the way back; over the whole line, so that nobody takes it for now.
fn past_banner(pen: &mut Pen<'_>, area: Rect, run: &RunView, (seq, last): (u64, u64)) -> Rect {
    use crate::app::keymap::Action::{Now, StepBack, StepOn, TurnBack, TurnOn};
    let [top, rest] = arrange::top(area, 1);
    let (state, keys) = (pen.state, &pen.state.keys);
    let at = run.state().map(|state| state.last_at).unwrap_or_default();
    let age = crate::app::wake::age_text(state.now.wall.since_ms(at));
    let place = format!(" PAST  event {} of {}  {}, {age} ago", grouped(seq), grouped(last), state.clock(at));
    let [back, on, turn_back, turn_on, now] = [StepBack, StepOn, TurnBack, TurnOn, Now].map(|action| keys.shown(action));
    let ways = [
        format!("  {back} {on} event  {turn_back} {turn_on} phase or question  {now} now "),
        format!("  {back} {on}  {turn_back} {turn_on}  {now} now "),
        format!("  {now} now "),
    ];
    let width = usize::from(area.width);
    let way = ways.iter().find(|way| cells(&place) + cells(way) <= width).cloned().unwrap_or_default();
    let text = cell(&place, width.saturating_sub(cells(&way)), pen.theme.more());
    pen.line(top, 0, vec![ink(text + &way, pen.theme.past())]);
    rest
}

fn banner_text(pen: &Pen<'_>, run: &RunView) -> Option<(Mark, String, String)> {
    use crate::app::keymap::Action;
    let keys = &pen.state.keys;
    let state = run.state()?;
    if let Some(failure) = &run.failure {
        return Some((Mark::Failed, failure.to_string(), failure.hint.clone()));
    }
    if let Some(open) = state.approval.as_ref().filter(|_| !state.status.is_terminal()) {
        let age = crate::app::wake::age_text(pen.state.now.wall.since_ms(open.requested_at));
        let (gate, opens) = (&open.gate, keys.shown(Action::NextGate));
        let text = if state.status == RunStatus::Paused {
            format!("paused, {gate} waits since {age}: {opens} opens the question, {} goes on", keys.shown(Action::Resume))
        } else {
            format!("{gate} waits for you since {age}: {opens} opens the question")
        };
        return Some((Mark::Gate, text, String::new()));
    }
    match state.status {
        RunStatus::Paused => {
            let why = state.pause_reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            let mark = if state.pause_reason == Some(crate::model::state::PauseReason::Crashed) { Mark::Unsure } else { Mark::Paused };
            Some((mark, format!("paused{why}: {} goes on", keys.shown(Action::Resume)), String::new()))
        }
        RunStatus::Failed => {
            let (code, message, hint) = state.error.clone()?;
            Some((Mark::Failed, format!("failed: {message} [{code}]"), hint))
        }
        RunStatus::Aborted => Some((Mark::Stopped, "aborted; worktree, artifacts and history stay".to_owned(), String::new())),
        RunStatus::Completed => {
            let record = run.opened.as_ref().map(|known| &known.record)?;
            let branch = record.branch.as_deref().map(|b| format!(" on branch {b}")).unwrap_or_default();
            Some((Mark::Done, format!("done{branch}: {} for {}", phases(state.phases.len()), state.cost), String::new()))
        }
        RunStatus::Created | RunStatus::Executing | RunStatus::AwaitingApproval => None,
    }
}

fn phases(count: usize) -> String {
    format!("{count} phase{}", if count == 1 { "" } else { "s" })
}

/// Panes as tabs; the numbers are the keys.
fn tabbed(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let [tabs, body] = arrange::top(area, 1);
    let mut spans = vec![ink(" ", pen.theme.plain())];
    for pane in Pane::ALL {
        let style = if *pane == run.focus { pen.theme.selected() } else { pen.theme.dim() };
        spans.push(ink(format!(" {} {} ", pane.number(), pane.title()), style));
    }
    pen.line(tabs, 0, spans);
    if run.focus == Pane::Phases && body.height >= 14 {
        let rows = u16::try_from(run.state().map_or(0, |s| s.phases.len())).unwrap_or(u16::MAX).clamp(1, body.height / 2) + 2;
        let [upper, lower] = arrange::top(body, rows);
        panes::draw(pen, upper, run, Pane::Phases);
        return panes::draw(pen, lower, run, below_phases(run));
    }
    panes::draw(pen, body, run, run.focus);
}

/// Beneath the phases: the agent while it talks, else the events.
fn below_phases(run: &RunView) -> Pane {
    match run.main_pane() {
        Pane::Transcript => Pane::Transcript,
        _ => Pane::Events,
    }
}

fn rail(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let [left, right] = arrange::left(area, 36);
    left_rail(pen, left, run);
    let [upper, lower] = arrange::stacked(right, 60);
    panes::draw(pen, upper, run, run.main_pane());
    panes::draw(pen, lower, run, Pane::Events);
}

/// Phases over cost.
pub fn left_rail(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let rows = u16::try_from(run.state().map_or(0, |s| s.phases.len())).unwrap_or(u16::MAX).clamp(1, area.height / 2) + 2;
    let [upper, lower] = arrange::top(area, rows);
    panes::draw(pen, upper, run, Pane::Phases);
    panes::draw(pen, lower, run, Pane::Cost);
}

fn columns_of(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let [upper, lower] = arrange::bottom(area, 12);
    let [left, rest] = arrange::left(upper, 40);
    let rows = u16::try_from(run.state().map_or(0, |s| s.phases.len())).unwrap_or(u16::MAX).clamp(1, left.height / 2) + 2;
    let [runs, phases] = arrange::bottom(left, rows);
    run_list(pen, runs, run);
    panes::draw(pen, phases, run, Pane::Phases);
    let [centre, right] = arrange::halves(rest);
    let [events, said] = arrange::stacked(centre, 50);
    panes::draw(pen, events, run, Pane::Events);
    panes::draw(pen, said, run, Pane::Transcript);
    panes::draw(pen, right, run, Pane::Artifact);
    let [cost, decisions] = arrange::halves(lower);
    panes::draw(pen, cost, run, Pane::Cost);
    last_decisions(pen, decisions, run);
}

fn run_list(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let inner = pen.panel(area, vec![ink(" Runs ", pen.theme.title())], false);
    let width = usize::from(inner.width);
    for (row, record) in pen.state.runs.records.iter().take(usize::from(inner.height)).enumerate() {
        let mark = Mark::of_run(record);
        let style = if waits(record) { pen.theme.waiting() } else { pen.theme.plain() };
        let glyph = pen.glyph(mark);
        let name = cell(&record.workflow, width.saturating_sub(13), pen.theme.more());
        pen.line(inner, row, vec![ink(" ", style), glyph, ink(format!(" {name} "), style), ink(record.id.short(), pen.theme.dim())]);
        if record.id == run.run_id {
            pen.mark_row(inner, row, pen.theme.title());
        }
    }
}

fn last_decisions(pen: &mut Pen<'_>, area: Rect, run: &RunView) {
    let inner = pen.panel(area, vec![ink(" Decisions ", pen.theme.title())], false);
    let Some(known) = &run.opened else { return };
    let mut answered: Vec<_> = known.details.approvals.iter().filter(|a| a.state != ApprovalStatus::Pending).collect();
    answered.sort_by_key(|a| std::cmp::Reverse(a.resolved_at));
    if answered.is_empty() {
        return pen.text(inner, 0, " none yet", pen.theme.dim());
    }
    for (row, record) in answered.iter().take(usize::from(inner.height)).enumerate() {
        let clock = record.resolved_at.map_or_else(String::new, |at| pen.state.clock(at));
        let style = match record.state {
            ApprovalStatus::Approved => pen.theme.good(),
            ApprovalStatus::Rejected => pen.theme.bad(),
            _ => pen.theme.of_mark(Mark::Repair),
        };
        let version = record.artifact_version.map(|v| format!(" v{v}")).unwrap_or_default();
        let by = record.resolved_by.as_deref().unwrap_or("");
        let comment = record.comment.as_deref().unwrap_or("");
        let text = format!("{}{version} by {by}  {comment}", record.gate);
        let room = usize::from(inner.width).saturating_sub(31);
        pen.line(
            inner,
            row,
            vec![
                ink(format!(" {clock}  "), pen.theme.dim()),
                ink(cell(record.state.as_str(), 18, ""), style),
                ink(cut(&text, room, pen.theme.more()), pen.theme.plain()),
            ],
        );
    }
}
