//! Details of the selected run: its task, its worktree, and the action it needs.

use crate::app::keymap::Action;
use crate::app::redraw_schedule::shown_since;
use crate::app::screens::runs::state::awaits_operator;
use crate::model::money::grouped;
use crate::model::record::RunRecord;
use crate::ui::draw_context::DrawContext;
use crate::ui::text::{cell, cells, cut, styled, wrapped, wrapped_within};
use crate::ui::theme::StatusGlyph;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Cells of the labels.
const LABEL: usize = 8;

/// A few lines beneath the list.
pub fn beneath(pen: &mut DrawContext<'_>, area: Rect) {
    let Some(record) = pen.state.runs.selected() else {
        return;
    };
    let inner = framed(pen, area, record);
    let dot = pen.state.separator();
    let kind = if record.rehearsal {
        format!("{dot}rehearsal")
    } else {
        String::new()
    };
    let branch = record
        .branch
        .as_deref()
        .map(|b| format!("{dot}{b}"))
        .unwrap_or_default();
    let lines = [
        ("task", record.requirements.clone(), pen.theme.plain()),
        (
            "where",
            format!(
                "{}{branch}{dot}thread {}{kind}",
                place(record),
                record.thread
            ),
            pen.theme.plain(),
        ),
        pending_action(pen, record),
        (
            "next",
            record.error_hint.clone().unwrap_or_default(),
            pen.theme.plain(),
        ),
    ];
    let lines: Vec<_> = lines
        .into_iter()
        .filter(|(_, text, _)| !text.is_empty())
        .collect();
    let width = usize::from(inner.width).saturating_sub(LABEL + 2);
    let rows = shared_rows(
        &lines
            .iter()
            .map(|(_, text, _)| wrapped(text, width).len())
            .collect::<Vec<_>>(),
        usize::from(inner.height),
    );
    let mut row = 0;
    for ((label, text, style), rows) in lines.into_iter().zip(rows) {
        for (below, line) in wrapped_within(&text, width, rows, pen.theme.more())
            .into_iter()
            .enumerate()
        {
            let label = if below == 0 { label } else { "" };
            pen.line(
                inner,
                row,
                vec![
                    styled(format!(" {}", cell(label, LABEL, "")), pen.theme.dim()),
                    styled(line, style),
                ],
            );
            row += 1;
        }
    }
}

/// How many rows each text gets of `room`: one each, then what is left for those that need more, the last
/// ones first, because they say what to do.
fn shared_rows(needed: &[usize], room: usize) -> Vec<usize> {
    let mut given: Vec<usize> = needed.iter().map(|need| (*need).min(1)).collect();
    let mut left = room.saturating_sub(given.iter().sum());
    for (given, need) in given.iter_mut().zip(needed).rev() {
        let more = need.saturating_sub(*given).min(left);
        *given += more;
        left -= more;
    }
    given
}

/// Everything that a list knows of it, in a column of its own.
pub fn beside(pen: &mut DrawContext<'_>, area: Rect) {
    let Some(record) = pen.state.runs.selected() else {
        return;
    };
    let inner = framed(pen, area, record);
    let (plain, dim) = (pen.theme.plain(), pen.theme.dim());
    let mark = StatusGlyph::from_run(record);
    let word = match record.queue_position() {
        Some(place) => format!("queued #{place}"),
        None if mark == StatusGlyph::Unknown => record.state.clone(),
        None => mark.parts().2.to_owned(),
    };
    let state = format!(
        "{} {word}, since {}",
        pen.theme.glyph(mark),
        pen.state.day_and_time(shown_since(record))
    );
    let phase = record
        .current_phase
        .as_ref()
        .map(|key| format!(", {key}"))
        .unwrap_or_default();
    let kind = if record.rehearsal { ", dry run" } else { "" };
    let moment = |at: Option<_>| at.map(|at| pen.state.day_and_time(at)).unwrap_or_default();
    let calls = if record.calls == 1 {
        "1 call".to_owned()
    } else {
        format!("{} calls", grouped(u64::from(record.calls)))
    };
    let tokens = format!(
        "{} in, {} out",
        grouped(record.tokens.input),
        grouped(record.tokens.output)
    );
    let (label, need, style) = pending_action(pen, record);
    let lines = [
        ("state", state, pen.theme.mark_style(mark)),
        (label, need, style),
        ("next", record.error_hint.clone().unwrap_or_default(), plain),
        ("", String::new(), plain),
        ("task", record.requirements.clone(), plain),
        ("", String::new(), plain),
        (
            "phases",
            format!(
                "{} of {} done{phase}",
                record.phases_done, record.phases_total
            ),
            plain,
        ),
        ("cost", format!("{} in {calls}{kind}", record.cost), plain),
        ("tokens", tokens, dim),
        ("", String::new(), plain),
        ("where", place(record).to_owned(), plain),
        ("branch", record.branch.clone().unwrap_or_default(), plain),
        (
            "base",
            record.base_branch.clone().unwrap_or_default(),
            plain,
        ),
        ("thread", record.thread.to_string(), plain),
        ("begun", moment(Some(record.created_at)), dim),
        ("ended", moment(record.ended_at), dim),
        (
            "report",
            record.report_path.clone().unwrap_or_default(),
            dim,
        ),
    ];
    let mut row = 0;
    for (label, text, style) in lines {
        row += entry(pen, inner, row, (label, &text, style));
    }
}

/// A label and its text, wrapped; the rows it took. An empty text has no label; without either it is a gap.
fn entry(
    pen: &mut DrawContext<'_>,
    area: Rect,
    row: usize,
    (label, text, style): (&str, &str, Style),
) -> usize {
    if text.is_empty() {
        return usize::from(label.is_empty());
    }
    let room = usize::from(area.width).saturating_sub(LABEL + 2);
    let lines = wrapped(text, room);
    for (below, line) in lines.iter().enumerate() {
        let label = if below == 0 { label } else { "" };
        pen.line(
            area,
            row + below,
            vec![
                styled(format!(" {}", cell(label, LABEL, "")), pen.theme.dim()),
                styled(line, style),
            ],
        );
    }
    lines.len()
}

fn framed(pen: &mut DrawContext<'_>, area: Rect, record: &RunRecord) -> Rect {
    let id = format!(" #{} ", record.id.short());
    let room = usize::from(area.width).saturating_sub(cells(&id) + 3);
    let title = vec![
        styled(
            format!(" {}", cut(&record.workflow, room, pen.theme.more())),
            pen.theme.title(),
        ),
        styled(id, pen.theme.dim()),
    ];
    pen.panel(area, title, false)
}

fn place(record: &RunRecord) -> &str {
    record.repo.as_deref().unwrap_or("its own directory")
}

/// What the run needs from the operator, or how it ended.
fn pending_action(
    pen: &DrawContext<'_>,
    record: &RunRecord,
) -> (&'static str, String, ratatui::style::Style) {
    let keys = &pen.state.keys;
    if let (Some(gate), true) = (&record.pending_gate, awaits_operator(record)) {
        return (
            "gate",
            format!(
                "waiting for approval: {gate} ({} to review, {} for the run)",
                keys.display_keys(Action::NextGate),
                keys.display_keys(Action::Open)
            ),
            pen.theme.waiting(),
        );
    }
    if let Some(message) = &record.error_message {
        let code = record.error_code.as_deref().unwrap_or("?");
        return ("error", format!("{message} [{code}]"), pen.theme.bad());
    }
    if let Some(until) = record.waits_until {
        let text = format!(
            "until {}: requested by the model server; resumes automatically",
            pen.state.clock(until)
        );
        return ("waits", text, pen.theme.mark_style(StatusGlyph::Waiting));
    }
    if record.state == "paused" {
        let why = record.pause_reason.as_deref().unwrap_or("?");
        return (
            "paused",
            format!("{why}: {} resumes", keys.display_keys(Action::ListResume)),
            pen.theme.mark_style(StatusGlyph::Paused),
        );
    }
    ("since", pen.state.clock(record.updated_at), pen.theme.dim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_share_the_rows_and_what_to_do_comes_first() {
        for (needed, room, given) in [
            (vec![1, 1, 1], 4, vec![1, 1, 1]),
            (vec![5, 1, 1], 4, vec![2, 1, 1]),
            (vec![5, 1, 3], 4, vec![1, 1, 2]),
            (vec![5, 2, 3], 9, vec![4, 2, 3]),
            (vec![1, 1, 1, 1], 2, vec![1, 1, 1, 1]),
        ] {
            assert_eq!(shared_rows(&needed, room), given, "{needed:?} {room}");
        }
    }
}
