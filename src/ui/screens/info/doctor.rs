//! The doctor screen: checks by subject, each with its result and fix.

use crate::engine::api::{CheckStatus, EnvironmentCheck, Subject};
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cell, styled, wrapped};
use crate::ui::theme::StatusGlyph;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Cells of the column of names.
const NAME: usize = 18;

/// One line: subject, sign, name, text.
type CheckLine = (String, Option<CheckStatus>, String, String, Style);

/// Draws the doctor screen.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let [head, body] = layout::top(area, 2);
    summary(pen, head);
    let lines = lines(pen, usize::from(area.width));
    (pen.drawn.list, pen.drawn.lines) = (Some(body.height), Some(lines.len()));
    let top = pen
        .state
        .doctor
        .top
        .min(lines.len().saturating_sub(usize::from(body.height)));
    for (row, (subject, verdict, name, text, style)) in lines
        .iter()
        .skip(top)
        .take(usize::from(body.height))
        .enumerate()
    {
        let sign = verdict.map_or_else(
            || styled("  ", pen.theme.plain()),
            |verdict| sign(pen, verdict),
        );
        let spans = vec![
            styled(format!(" {}", cell(subject, 16, "")), pen.theme.title()),
            sign,
            styled(cell(name, NAME, pen.theme.more()), pen.theme.plain()),
            styled(text, *style),
        ];
        pen.line(body, row, spans);
    }
    let below = lines.len().saturating_sub(top + usize::from(body.height));
    if below > 0 {
        pen.right(
            head,
            0,
            40,
            vec![styled(format!("{below} more below "), pen.theme.dim())],
        );
    }
}

fn summary(pen: &mut DrawContext<'_>, area: Rect) {
    let doctor = &pen.state.doctor;
    let said = format!(
        " {} ok, {} warnings, {} failed",
        doctor.count(CheckStatus::Ok),
        doctor.count(CheckStatus::Warning),
        doctor.count(CheckStatus::Failure)
    );
    let style = match () {
        () if doctor.count(CheckStatus::Failure) > 0 => pen.theme.bad(),
        () if doctor.count(CheckStatus::Warning) > 0 => pen.theme.waiting(),
        () => pen.theme.title(),
    };
    let waits: Vec<&str> = Subject::ALL
        .iter()
        .filter(|subject| !doctor.examined.contains(subject))
        .map(|subject| subject.name())
        .collect();
    let rest = if doctor.running {
        format!("; checking {}", waits.join(", "))
    } else {
        "; Enter checks again".to_owned()
    };
    pen.line(
        area,
        0,
        vec![styled(said, style), styled(rest, pen.theme.dim())],
    );
}

fn sign(pen: &DrawContext<'_>, verdict: CheckStatus) -> ratatui::text::Span<'static> {
    let mark = match verdict {
        CheckStatus::Ok => StatusGlyph::Done,
        CheckStatus::Warning => StatusGlyph::Gate,
        CheckStatus::Failure => StatusGlyph::Failed,
    };
    styled(
        format!("{} ", pen.theme.glyph(mark)),
        pen.theme.mark_style(mark),
    )
}

fn lines(pen: &DrawContext<'_>, width: usize) -> Vec<CheckLine> {
    let room = width.saturating_sub(17 + 2 + NAME + 1).max(10);
    let mut lines: Vec<CheckLine> = Vec::new();
    let mut last = None;
    for check in &pen.state.doctor.checks {
        let subject = if last == Some(check.subject) {
            String::new()
        } else {
            check.subject.name().to_owned()
        };
        last = Some(check.subject);
        lines.extend(of_check(pen, subject, check, room));
    }
    lines
}

fn of_check(
    pen: &DrawContext<'_>,
    subject: String,
    check: &EnvironmentCheck,
    room: usize,
) -> Vec<CheckLine> {
    let advice = if check.advice.is_empty() {
        Vec::new()
    } else {
        wrapped(&check.advice, room)
    };
    let found = wrapped(&check.found, room)
        .into_iter()
        .map(|text| (text, pen.theme.plain()));
    let text = found.chain(advice.into_iter().map(|text| (text, pen.theme.dim())));
    let lines = text.enumerate().map(|(row, (text, style))| {
        let first = row == 0;
        let (subject, name) = if first {
            (subject.clone(), check.name.clone())
        } else {
            (String::new(), String::new())
        };
        (subject, first.then_some(check.verdict), name, text, style)
    });
    lines.collect()
}
