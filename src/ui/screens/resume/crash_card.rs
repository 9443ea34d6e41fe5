//! The crash card: what a crash left of a run, as confirmed, unverified and lost steps.

use crate::app::keymap::Action;
use crate::engine::api::{CrashCard, UnknownOutcome};
use crate::ui::draw_context::DrawContext;
use crate::ui::text::{cell, cut, styled};
use crate::ui::theme::StatusGlyph;
use ratatui::text::Span;

/// The card in lines of a width; `cursor` is the unsure call that an answer is about.
#[must_use]
pub fn lines(
    pen: &DrawContext<'_>,
    card: &CrashCard,
    cursor: usize,
    width: usize,
) -> Vec<Vec<Span<'static>>> {
    let (theme, more) = (pen.theme, pen.theme.more());
    let line = |label: &str, text: &str, style| {
        vec![
            styled(format!(" {}", cell(label, 8, "")), theme.dim()),
            styled(cut(text, width.saturating_sub(9), more), style),
        ]
    };
    let mut lines = vec![line(
        "certain",
        &certain(card, pen.state.separator()),
        theme.good(),
    )];
    let mut tools = 0;
    for (index, unsure) in card.unsure.iter().enumerate() {
        let label = if index == 0 { "unsure" } else { "" };
        let style = theme.mark_style(StatusGlyph::NeedsCheck);
        match unsure {
            UnknownOutcome::Tool {
                tool,
                arguments,
                redo,
                ..
            } => {
                let sign = if tools == cursor {
                    theme.own("▸ ")
                } else {
                    "  ".to_owned()
                };
                let said = if *redo { " (runs again)" } else { "" };
                lines.push(line(
                    label,
                    &format!("{sign}{tool}{said} {arguments}"),
                    if tools == cursor {
                        theme.selected()
                    } else {
                        style
                    },
                ));
                tools += 1;
            }
            UnknownOutcome::Bill { model, charged, .. } => {
                let charged = charged.map_or_else(|| "?".to_owned(), |charged| charged.to_string());
                lines.push(line(
                    label,
                    &format!(
                        "  a call to {model} may be billed ({charged} charged); it is repeated"
                    ),
                    style,
                ));
            }
        }
    }
    for (index, lost) in card.lost.iter().enumerate() {
        lines.push(line(
            if index == 0 { "lost" } else { "" },
            lost,
            theme.bad(),
        ));
    }
    if card.unsure.is_empty() && card.lost.is_empty() {
        lines.push(line("lost", "nothing", theme.plain()));
    }
    lines
}

fn certain(card: &CrashCard, dot: &str) -> String {
    let done = match card.phases_done.as_slice() {
        [] => "no phase done yet".to_owned(),
        done => format!(
            "{} done",
            done.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let turns = card
        .phase
        .as_ref()
        .filter(|_| card.turns_stored > 0)
        .map(|(key, attempt)| {
            let word = if card.turns_stored == 1 {
                "turn"
            } else {
                "turns"
            };
            format!(
                "{dot}{} {word} of {key}, attempt {attempt}, stored",
                card.turns_stored
            )
        });
    let gate = card
        .gate
        .as_ref()
        .map(|gate| format!("{dot}{gate} still pending"))
        .unwrap_or_default();
    format!(
        "{done}{}{gate}{dot}{} settled",
        turns.unwrap_or_default(),
        card.spent
    )
}

/// What can be said of the selected call, for the frame, so that it never scrolls away. Unanswered, the
/// agent is told that the call may have run.
#[must_use]
pub fn keys(pen: &DrawContext<'_>, card: &CrashCard) -> Option<String> {
    card.unsure
        .iter()
        .any(|unsure| matches!(unsure, UnknownOutcome::Tool { .. }))
        .then(|| {
            let words = [
                (Action::PickPrevUnsure, ""),
                (Action::PickNextUnsure, "choose"),
                (Action::PickRedo, "redo"),
                (Action::PickDone, "was done"),
            ];
            let told: Vec<String> = words
                .iter()
                .map(|(action, word)| format!("{} {word}", pen.state.keys.display_keys(*action)))
                .collect();
            format!(
                "{}  {} skip",
                told.join("  ").replace("   ", " "),
                pen.state.keys.display_keys(Action::PickSkip)
            )
        })
}
