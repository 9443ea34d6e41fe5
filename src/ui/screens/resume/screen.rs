//! The resume picker: interrupted runs, what each was doing, and whether it can be resumed.

use super::crash_card;
use crate::app::keymap::Action;
use crate::app::mouse::MouseTarget;
use crate::app::msg::ResumePreview;
use crate::app::screens::run::event_text::describe;
use crate::app::screens::runs::state::is_over_budget;
use crate::engine::api::UnknownOutcome;
use crate::model::record::RunRecord;
use crate::model::state::{PauseReason, RunStatus};
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cell, cut, cut_front, styled};
use crate::ui::theme::StatusGlyph;
use ratatui::layout::Rect;

/// Rows of one run.
const ROWS: usize = 3;

/// Draws the picker.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let [head, body] = layout::top(area, 3);
    let count = pen
        .state
        .runs
        .counts
        .paused
        .max(u32::try_from(pen.state.picker.paused.len()).unwrap_or(u32::MAX));
    let count = if count == 1 {
        "1 run".to_owned()
    } else {
        format!("{count} runs")
    };
    pen.text(
        head,
        1,
        &format!(" {count} interrupted. All progress is saved."),
        pen.theme.title(),
    );
    let [body, foot] = layout::bottom(body, 2);
    let body = if pen.state.picker.preview {
        with_preview(pen, body)
    } else {
        body
    };
    let fit = (usize::from(body.height) / ROWS).max(1);
    pen.drawn.list = u16::try_from(fit).ok();
    let picker = &pen.state.picker;
    for (place, record) in picker.paused.iter().skip(picker.top).take(fit).enumerate() {
        entry(
            pen,
            body,
            place * ROWS,
            record,
            picker.top + place == picker.cursor,
        );
        pen.place(run_rows(body, place), MouseTarget::Row(picker.top + place));
    }
    let below = picker.paused.len().saturating_sub(picker.top + fit);
    if below > 0 {
        pen.right(
            foot,
            1,
            0,
            vec![styled(format!("{below} more below "), pen.theme.dim())],
        );
    }
    answers(pen, foot);
}

/// Returns the row of an entry.
fn run_rows(body: Rect, place: usize) -> Rect {
    let rows = |count: usize| u16::try_from(count * ROWS).unwrap_or(u16::MAX);
    Rect {
        y: body.y.saturating_add(rows(place)),
        height: rows(1),
        ..body
    }
}

/// Draws details of the selected run: beside the list if there is room, otherwise below it.
fn with_preview(pen: &mut DrawContext<'_>, area: Rect) -> Rect {
    let (list, preview) = if area.width >= 120 {
        let [list, preview] = layout::halves(area);
        (list, preview)
    } else {
        let rows = (area.height * 3 / 5).clamp(5, 14);
        let [list, preview] = layout::bottom(area, rows);
        (list, preview)
    };
    let Some(record) = pen.state.picker.selected() else {
        return list;
    };
    let title = format!(" {} #{} ", record.workflow, record.id.short());
    let inner = pen.panel(preview, vec![styled(title, pen.theme.title())], true);
    let width = usize::from(inner.width).saturating_sub(9);
    let branch = record.branch.as_deref().unwrap_or("no branch");
    let place = format!(
        "{}{}{branch}",
        record.repo.as_deref().unwrap_or("its own directory"),
        pen.state.separator()
    );
    let card = pen
        .state
        .picker
        .previews
        .get(&record.id)
        .and_then(|known| known.card.as_ref());
    let told = card
        .map(|card| {
            crash_card::lines(
                pen,
                card,
                pen.state.picker.unsure_at(),
                usize::from(inner.width),
            )
        })
        .unwrap_or_default();
    let keys = card.and_then(|card| crash_card::keys(pen, card));
    let first = told.len();
    for (row, spans) in told.into_iter().enumerate() {
        pen.line(inner, row, spans);
    }
    let mut lines = vec![
        ("task", record.requirements.clone()),
        ("where", place),
        ("thread", record.thread.to_string()),
    ];
    match pen.state.picker.previews.get(&record.id) {
        None => lines.push(("phases", pen.theme.own("loading …"))),
        Some(known) => {
            for phase in &known.state.phases {
                let tries = if phase.attempt > 0 {
                    format!(", attempt {}", phase.attempt)
                } else {
                    String::new()
                };
                let label = if lines.iter().any(|(label, _)| *label == "phases") {
                    ""
                } else {
                    "phases"
                };
                lines.push((
                    label,
                    format!(
                        "{} {}{tries}  {}",
                        phase.key,
                        phase.status.as_str(),
                        phase.cost
                    ),
                ));
            }
        }
    }
    for (row, (label, text)) in lines.iter().enumerate() {
        let spans = vec![
            styled(format!(" {}", cell(label, 8, "")), pen.theme.dim()),
            styled(cut(text, width, pen.theme.more()), pen.theme.plain()),
        ];
        pen.line(inner, first + row, spans);
    }
    if let Some(keys) = keys {
        pen.foot(preview, &keys, pen.theme.key());
    }
    list
}

fn entry(pen: &mut DrawContext<'_>, area: Rect, row: usize, record: &RunRecord, selected: bool) {
    let (theme, more, width) = (pen.theme, pen.theme.more(), usize::from(area.width));
    let refusal = pen.state.picker.refusal(record, &pen.state.runs.records);
    let marked = pen.state.picker.marked.contains(&record.id);
    let preview = pen.state.picker.previews.get(&record.id);
    let sign = if marked { "[x]" } else { "[ ]" };
    let stopped = pen.state.picker.stopped_at(record);
    let stopped = pen.state.day_and_time(stopped);
    let place = record.repo.as_deref().unwrap_or("own directory");
    let name = if refusal.is_some() {
        theme.dim()
    } else {
        theme.title()
    };
    let room = width.saturating_sub(5 + 11 + 9 + 13 + 9);
    let wide = (room / 2).clamp(12, 28);
    let there = room.saturating_sub(wide);
    pen.line(
        area,
        row,
        vec![
            styled(format!(" {sign} "), theme.plain()),
            styled(
                cell(
                    &format!(
                        "{} {}",
                        theme.glyph(StatusGlyph::from_run(record)),
                        StatusGlyph::from_run(record).parts().2
                    ),
                    11,
                    more,
                ),
                theme.mark_style(StatusGlyph::from_run(record)),
            ),
            styled(cell(&record.id.short(), 9, more), theme.dim()),
            styled(cell(&record.workflow, wide, more), name),
            styled(
                cell(
                    &format!("{} ", cut_front(place, there.saturating_sub(1), more)),
                    there,
                    "",
                ),
                theme.dim(),
            ),
            styled(crate::ui::text::cell_right(&stopped, 13, more), theme.dim()),
            styled(
                crate::ui::text::cell_right(&record.cost.to_string(), 9, more),
                theme.plain(),
            ),
        ],
    );
    let asks = is_over_budget(record).then(|| {
        format!(
            "needs more budget: {} to review",
            pen.state.keys.display_keys(Action::Open)
        )
    });
    let doing = asks
        .or_else(|| refusal.map(|why| format!("cannot resume: {why}")))
        .unwrap_or_else(|| {
            doing(
                record,
                preview,
                (
                    pen.state.separator(),
                    &pen.state.keys.display_keys(Action::PickPreview),
                ),
            )
        });
    pen.line(
        area,
        row + 1,
        vec![
            styled("     ", theme.plain()),
            styled(cut(&doing, width.saturating_sub(5), more), theme.plain()),
        ],
    );
    if selected {
        pen.mark_row(area, row, theme.selected());
    }
}

/// Describes what the run was doing when it was interrupted, and its last event.
fn doing(record: &RunRecord, preview: Option<&ResumePreview>, (dot, tab): (&str, &str)) -> String {
    let card = preview.and_then(|p| p.card.as_ref());
    let unsure = card.map_or(0, |card| {
        card.unsure
            .iter()
            .filter(|u| matches!(u, UnknownOutcome::Tool { .. }))
            .count()
    });
    let from = record
        .paused_from_state
        .as_deref()
        .and_then(RunStatus::parse);
    let crashed = record.pause_reason.as_deref() == Some(PauseReason::Crashed.as_str());
    let phase = preview.and_then(|p| p.state.current());
    let attempt = phase
        .filter(|p| p.attempt > 0)
        .map(|p| format!(", attempt {}", p.attempt))
        .unwrap_or_default();
    let at = record
        .current_phase
        .as_ref()
        .map(|key| format!(" {key}"))
        .unwrap_or_default();
    let what = match from {
        Some(RunStatus::AwaitingApproval) => format!("waiting for approval at{at}"),
        Some(RunStatus::Executing) if unsure > 0 => {
            let calls = if unsure == 1 {
                "1 tool call is".to_owned()
            } else {
                format!("{unsure} tool calls are")
            };
            format!("was executing{at}{attempt}; {calls} unverified: {tab} shows")
        }
        Some(RunStatus::Executing) if crashed => {
            format!("was executing{at}{attempt}; last step: outcome unknown")
        }
        Some(RunStatus::Executing) if phase.is_some_and(|p| p.attempt > 0) => {
            format!("executing{at}{attempt}")
        }
        Some(RunStatus::Executing) => format!("before{at}"),
        _ => "had not started".to_owned(),
    };
    let why = record
        .pause_reason
        .as_deref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    let last = preview
        .and_then(|p| p.last.as_ref())
        .map(|e| format!("{dot}last: {} {}", e.fact.kind(), describe(&e.fact, dot)))
        .unwrap_or_default();
    format!("{what}{why}{last}")
}

fn answers(pen: &mut DrawContext<'_>, area: Rect) {
    let keys = &pen.state.keys;
    let go = match pen.state.picker.marked.len() {
        0 if pen.state.picker.selected().is_some_and(is_over_budget) => {
            "review the budget request".to_owned()
        }
        0 => "resume the selected run".to_owned(),
        1 => "resume the marked run".to_owned(),
        count => format!("resume {count} marked runs"),
    };
    let refused = pen
        .state
        .picker
        .selected()
        .filter(|_| pen.state.picker.marked.is_empty());
    if refused.is_some_and(|record| {
        pen.state
            .picker
            .refusal(record, &pen.state.runs.records)
            .is_some()
    }) {
        let spans = vec![
            styled(" Cannot resume.      ", pen.theme.dim()),
            styled(
                format!("{} ", keys.display_keys(Action::PickLook)),
                pen.theme.key(),
            ),
            styled("inspect run    ", pen.theme.plain()),
            styled(
                format!("{} ", keys.display_keys(Action::Back)),
                pen.theme.key(),
            ),
            styled("later", pen.theme.plain()),
        ];
        return pen.line(area, 0, spans);
    }
    let (enter, esc) = (
        keys.display_keys(Action::Open),
        keys.display_keys(Action::Back),
    );
    let spans = vec![
        styled(format!(" {enter} "), pen.theme.key()),
        styled(format!("{go}    "), pen.theme.plain()),
        styled(format!("{esc} "), pen.theme.key()),
        styled("later", pen.theme.plain()),
    ];
    pen.line(area, 0, spans);
}
