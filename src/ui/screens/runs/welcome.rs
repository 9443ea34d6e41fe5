//! The empty run list: what phasedeck is, how to start, and problems that would prevent it.

use crate::app::keymap::Action;
use crate::engine::api::CheckStatus;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cell, styled};
use ratatui::layout::Rect;

/// Warnings that are shown at most.
const WARNINGS: usize = 3;

/// Draws the empty run list.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let all = layout::centred(area, 72, 17);
    let tight = area.height < 16;
    let mut row = 0;
    let mut say = |pen: &mut DrawContext<'_>, text: &str, strong: bool| {
        pen.text(
            all,
            row,
            text,
            if strong {
                pen.theme.title()
            } else {
                pen.theme.plain()
            },
        );
        row += 1;
    };
    say(pen, "No runs yet.", true);
    if !tight {
        say(pen, "", false);
        say(
            pen,
            "A run works through the phases of a workflow. In each, an agent",
            false,
        );
        say(
            pen,
            "writes an artifact into a git worktree of its own; it is checked",
            false,
        );
        say(
            pen,
            "against a schema, and you approve it at the gate.",
            false,
        );
    }
    say(pen, "", false);
    let keys = pen.state.keys.clone();
    let ways = [
        (
            keys.display_keys(Action::Demo),
            "the demo: a complete run in a minute; no key, no cost",
        ),
        (
            keys.display_keys(Action::NewRun),
            "a new run: workflow, repository and task",
        ),
        (
            "shell".to_owned(),
            "phasedeck run development -m \"your task\"",
        ),
    ];
    for (key, about) in ways {
        pen.line(
            all,
            row,
            vec![
                styled(cell(&format!("  {key}"), 9, ""), pen.theme.key()),
                styled(about, pen.theme.plain()),
            ],
        );
        row += 1;
    }
    warnings(pen, all, row + 1);
}

fn warnings(pen: &mut DrawContext<'_>, area: Rect, mut row: usize) {
    let doctor = &pen.state.doctor;
    let key = pen.state.keys.display_keys(Action::ShowDoctor);
    let mut wrong: Vec<_> = doctor
        .checks
        .iter()
        .filter(|check| check.verdict != CheckStatus::Ok)
        .collect();
    // Folders on one disk have the same to tell, and so have a missing key and the backend that wants it.
    wrong.dedup_by(|one, other| one.found == other.found);
    if wrong.is_empty() {
        let said = if doctor.running || doctor.checks.is_empty() {
            "checking terminal, data, keys and programs"
        } else {
            "doctor: no warnings"
        };
        return pen.text(area, row, &format!("{said} ({key})"), pen.theme.dim());
    }
    pen.text(
        area,
        row,
        &format!("doctor ({key}) warnings:"),
        pen.theme.waiting(),
    );
    row += 1;
    for check in wrong.iter().take(WARNINGS) {
        let style = if check.verdict == CheckStatus::Failure {
            pen.theme.bad()
        } else {
            pen.theme.plain()
        };
        pen.text(
            area,
            row,
            &format!("  {}: {}", check.subject.name(), check.found),
            style,
        );
        row += 1;
    }
    if wrong.len() > WARNINGS {
        pen.text(
            area,
            row,
            &format!("  and {} more", wrong.len() - WARNINGS),
            pen.theme.dim(),
        );
    }
}
