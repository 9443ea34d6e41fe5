//! The last line: the current notice, otherwise the keys available here.

use super::text::{cells, styled};
use crate::app::keymap::{Action, KeyContext};
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::app::search::text::is_typed;
use crate::app::state::{AppState, Modal, QuitProgress, Screen};
use crate::model::state::RunStatus;
use crate::ui::draw_context::DrawContext;
use ratatui::layout::Rect;

/// Draws the hint line.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    if pen.state.leaving == QuitProgress::Draining {
        let said = format!(
            " pausing {} … Ctrl-C again quits at once",
            runs(pen.state.active_here())
        );
        return pen.text(area, 0, &pen.theme.own(&said), pen.theme.waiting());
    }
    if let Some(notice) = &pen.state.notice {
        let style = if notice.bad {
            pen.theme.bad()
        } else {
            pen.theme.plain()
        };
        return pen.text(area, 0, &format!(" {}", notice.text), style);
    }
    if matches!(pen.state.modal, Some(Modal::Confirm(_))) {
        return answers(pen, area);
    }
    keys(pen, area, &wanted(pen));
}

/// The keys of a confirmation; they are fixed and cannot be remapped.
fn answers(pen: &mut DrawContext<'_>, area: Rect) {
    let keys = [
        ("Tab ", "next choice"),
        ("Enter ", "select"),
        ("Esc ", "back"),
    ];
    let mut spans = vec![styled(" ", pen.theme.plain())];
    for (key, word) in keys {
        spans.extend([
            styled(key, pen.theme.key()),
            styled(format!("{word}  "), pen.theme.dim()),
        ]);
    }
    pen.line(area, 0, spans);
}

fn runs(count: usize) -> String {
    if count == 1 {
        "1 run".to_owned()
    } else {
        format!("{count} runs")
    }
}

/// Draws as many keys with labels as fit.
pub fn keys(pen: &mut DrawContext<'_>, area: Rect, actions: &[Action]) {
    let mut spans = vec![styled(" ", pen.theme.plain())];
    let mut used = 1;
    for action in actions {
        let (chord, word) = (
            pen.state.keys.hint_keys(*action),
            short_label(pen.state, *action),
        );
        if chord.is_empty() || word.is_empty() {
            continue;
        }
        let width = cells(&chord) + cells(&word) + 3;
        if used + width > usize::from(area.width) {
            continue;
        }
        used += width;
        spans.push(styled(format!("{chord} "), pen.theme.key()));
        spans.push(styled(format!("{word}  "), pen.theme.dim()));
    }
    pen.line(area, 0, spans);
}

/// Returns the label of a key where it depends on the screen.
fn short_label(state: &AppState, action: Action) -> String {
    let run = state.run.as_ref();
    match action {
        Action::Resume if run.is_some_and(has_ended) => "retry".to_owned(),
        // The name of what it shows says more than that it turns.
        Action::NextSide => run
            .and_then(RunScreen::next_view)
            .map(|(_, name)| name.to_lowercase())
            .unwrap_or_default(),
        other => state.keys.hint(other).1.to_owned(),
    }
}

fn wanted(pen: &DrawContext<'_>) -> Vec<Action> {
    use Action::*;
    let state = pen.state;
    if let Some(modal) = &state.modal {
        return match modal {
            Modal::Palette(_) | Modal::Confirm(_) => vec![Open, Back],
            Modal::Help(help) if help.typing => vec![Open, Back],
            Modal::Text(..) if is_typed(state) => vec![Open, Back],
            Modal::Text(..) => vec![Find, Back],
            Modal::Help(_) => vec![Back],
        };
    }
    let open = state
        .gate
        .as_ref()
        .filter(|_| state.screen() == Screen::Gate)
        .map(|gate| gate.run_id);
    let gates = state
        .runs
        .awaiting_operator()
        .any(|record| Some(record.id) != open);
    let mut actions = match state.screen() {
        Screen::Runs if state.runs.filter.typing => return vec![Open, Back],
        Screen::Runs if state.runs.is_new() => vec![Demo, NewRun],
        Screen::Runs if state.runs.filter.is_active() => vec![Open, Back, Filter, NewRun],
        Screen::Runs => vec![Open, Filter, NewRun],
        Screen::Picker => vec![PickMark, PickPreview, PickLook, PickAbort, Back],
        Screen::NewRun => return vec![FormStart, FormNext, FormEdit, FormLeave],
        Screen::Cost => vec![NextLook, Back],
        Screen::Doctor | Screen::Settings => vec![Back],
        Screen::Run
            if state
                .run
                .as_ref()
                .is_some_and(|run| run.finding.prompt.is_some()) =>
        {
            return vec![Open, Back];
        }
        Screen::Run | Screen::Gate if is_typed(state) => return vec![Open, Back],
        Screen::Run => in_run(pen),
        Screen::Gate if crate::app::update::confirms(state) => return vec![Back],
        Screen::Gate if state.context() == KeyContext::Text => {
            return vec![Submit, TextFocus, Leave];
        }
        Screen::Gate => vec![NextTab, Find, Back],
    };
    if state.host_gone && state.opening.is_none() {
        actions.insert(0, TakeOver);
    }
    if gates {
        actions.push(NextGate);
    }
    actions.extend([Help, Palette, Quit]);
    actions
}

/// Whether resuming means retrying in a new run.
fn has_ended(run: &RunScreen) -> bool {
    run.state().is_some_and(|state| state.status.is_terminal())
}

fn in_run(pen: &DrawContext<'_>) -> Vec<Action> {
    use Action::*;
    let Some(run) = &pen.state.run else {
        return vec![Back];
    };
    if run.history_seq().is_some() {
        return vec![Now, NextPane, Back];
    }
    let mut actions = match run.focus {
        RunPane::Phases | RunPane::Events => vec![Open],
        RunPane::Artifact if run.versions().len() > 1 => vec![NextSide, NextVersion],
        RunPane::Artifact => vec![NextSide],
        RunPane::Transcript if run.said.grows() && !run.said.reading.is_following() => {
            vec![FollowSaid, FoldCalls]
        }
        RunPane::Transcript => vec![FoldCalls],
        RunPane::Cost => Vec::new(),
    };
    if run.focus == RunPane::Events {
        actions.push(Find);
        actions.push(if run.tail.is_following() {
            FilterEvents
        } else {
            Follow
        });
    }
    if matches!(run.focus, RunPane::Artifact | RunPane::Transcript) {
        actions.push(Find);
    }
    if run.focus == RunPane::Transcript
        && run
            .transcript_source()
            .is_some_and(|(_, attempt)| attempt > 1 || run.said.attempt.is_some())
    {
        actions.push(NextAttempt);
    }
    actions.push(NextPane);
    match run.state().map(|s| s.status) {
        Some(RunStatus::Paused) => actions.push(Resume),
        Some(status) if status.is_terminal() => actions.push(Resume),
        Some(_) => actions.push(Pause),
        _ => {}
    }
    actions.push(Back);
    actions
}
