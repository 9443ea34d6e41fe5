//! The doctor screen: checks by subject, each with its result and fix.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::arrange;
use super::pen::Pen;
use super::text::{cell, ink, wrapped};
use super::theme::Mark;
use crate::engine::api::{Check, Subject, Verdict};

/// Cells of the column of names.
const NAME: usize = 18;

/// One line: subject, sign, name, text.
type Line = (String, Option<Verdict>, String, String, Style);

/// Draws the doctor screen.
pub fn draw(pen: &mut Pen<'_>, area: Rect) {
    let [head, body] = arrange::top(area, 2);
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
            || ink("  ", pen.theme.plain()),
            |verdict| sign(pen, verdict),
        );
        let spans = vec![
            ink(format!(" {}", cell(subject, 16, "")), pen.theme.title()),
            sign,
            ink(cell(name, NAME, pen.theme.more()), pen.theme.plain()),
            ink(text, *style),
        ];
        pen.line(body, row, spans);
    }
    let below = lines.len().saturating_sub(top + usize::from(body.height));
    if below > 0 {
        pen.right(
            head,
            0,
            40,
            vec![ink(format!("{below} more below "), pen.theme.dim())],
        );
    }
}

fn summary(pen: &mut Pen<'_>, area: Rect) {
    let doctor = &pen.state.doctor;
    let said = format!(
        " {} ok, {} warnings, {} failed",
        doctor.count(Verdict::Ok),
        doctor.count(Verdict::Warning),
        doctor.count(Verdict::Failure)
    );
    let style = match () {
        () if doctor.count(Verdict::Failure) > 0 => pen.theme.bad(),
        () if doctor.count(Verdict::Warning) > 0 => pen.theme.waiting(),
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
    pen.line(area, 0, vec![ink(said, style), ink(rest, pen.theme.dim())]);
}

fn sign(pen: &Pen<'_>, verdict: Verdict) -> ratatui::text::Span<'static> {
    let mark = match verdict {
        Verdict::Ok => Mark::Done,
        Verdict::Warning => Mark::Gate,
        Verdict::Failure => Mark::Failed,
    };
    ink(
        format!("{} ", pen.theme.glyph(mark)),
        pen.theme.of_mark(mark),
    )
}

fn lines(pen: &Pen<'_>, width: usize) -> Vec<Line> {
    let room = width.saturating_sub(17 + 2 + NAME + 1).max(10);
    let mut lines: Vec<Line> = Vec::new();
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

fn of_check(pen: &Pen<'_>, subject: String, check: &Check, room: usize) -> Vec<Line> {
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
