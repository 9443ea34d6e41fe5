//! The lower part of a gate: available decisions, the confirmation, the comment being written, and
//! the receipt.

use crate::app::keymap::Action;
use crate::app::screens::gate;
use crate::app::screens::gate::question::{budget_owner, budget_shortfall, describe_terms};
use crate::app::screens::gate::state::{DecisionStep, GateReceipt, GateView};
use crate::app::screens::run::state::RunScreen;
use crate::engine::api::CheaperPersona;
use crate::model::question::{GateQuestion, PermissionScope};
use crate::model::run_state::RunState;
use crate::model::state::{Decision, PauseReason, RunStatus};
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cells, cut, styled, wrapped};
use crate::ui::theme::StatusGlyph;
use crate::ui::truncate::{LinePart, fitted};
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Minimum width at which the state of the keys is always shown.
const STEADY: usize = 58;

/// Returns the rows needed, out of `room`.
#[must_use]
pub fn height(gate: &GateView, room: u16, width: u16) -> u16 {
    let failed = if gate.failure.is_some() { 2 } else { 0 };
    match &gate.stage {
        DecisionStep::Reading
        | DecisionStep::Sending { .. }
        | DecisionStep::Recorded { .. }
        | DecisionStep::Revising { .. } => 1 + failed,
        DecisionStep::Confirm { .. } => {
            if gate.question.is_some() {
                5
            } else {
                4
            }
        }
        DecisionStep::Writing { .. } => (room / 2).clamp(5, 12),
        DecisionStep::Receipt(receipt) => {
            let words = decision_prompt(receipt, width).len();
            u16::try_from(words)
                .unwrap_or(u16::MAX)
                .saturating_add(4)
                .min((room / 2).max(4))
        }
    }
}

/// Whether the run is paused, so that a decision takes effect only after resume.
#[must_use]
pub fn rests(state: &RunState) -> bool {
    let asks = matches!(
        state.pause_reason,
        Some(PauseReason::Budget | PauseReason::SessionRecovery)
    );
    state.status == RunStatus::Paused && !asks
}

/// Draws the lower part of the gate.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, gate: &GateView) {
    match &gate.stage {
        DecisionStep::Reading => reading(pen, area, gate),
        DecisionStep::Confirm { typed, .. } => confirm(pen, area, gate, typed),
        DecisionStep::Writing { action, on_button } => {
            writing(pen, area, gate, *action, *on_button)
        }
        DecisionStep::Sending { action, .. } => {
            progress(pen, area, *action, "sending …", "recorded", "in effect")
        }
        DecisionStep::Recorded { action } => {
            progress(pen, area, *action, "", "recorded …", "in effect")
        }
        DecisionStep::Revising { .. } => {
            let line = vec![
                styled(
                    pen.theme.own(" new version: sending …"),
                    pen.theme.waiting(),
                ),
                styled(", then it needs approval", pen.theme.dim()),
            ];
            pen.line(area, 0, line);
        }
        DecisionStep::Receipt(receipt) => draw_receipt(pen, area, receipt),
    }
}

fn reading(pen: &mut DrawContext<'_>, area: Rect, gate: &GateView) {
    let [said, answers] = layout::bottom(area, 1);
    if let Some(failure) = &gate.failure {
        pen.text(said, 0, &format!(" {failure}"), pen.theme.bad());
        pen.text(said, 1, &format!(" {}", failure.hint), pen.theme.plain());
    }
    // A gate behind a modal cannot be decided, so no keys are offered.
    if pen.state.modal.is_some() {
        return;
    }
    let spans = offers(pen, gate, usize::from(answers.width));
    pen.line(answers, 0, spans);
}

/// The answers with their keys. What Enter does stands first: reading on, or the words that were
/// begun; it never decides.
fn offers(pen: &DrawContext<'_>, gate: &GateView, width: usize) -> Vec<Span<'static>> {
    let (theme, keys) = (pen.theme, &pen.state.keys);
    let words = !gate.input.is_blank();
    let ignored = gate.ignored_for(pen.state.last_input, pen.state.now.ticks);
    // The first part has a fixed width, so that the keys do not move when the delay ends.
    let rank = if width < STEADY { 4 } else { 0 };
    let first = match (ignored, words) {
        (0, true) if !gate.accepts(Decision::RequestChanges) => {
            LinePart::new(rank, theme.selected(), " Edit comment      ")
        }
        (0, true) => LinePart::new(rank, theme.selected(), " Request changes   "),
        (0, false) => LinePart::new(rank, theme.selected(), " Choose an action  "),
        _ => LinePart::new(
            0,
            theme.dim(),
            format!(" Ready in {} s    ", tenths(ignored)),
        ),
    };
    let mut parts = vec![first, LinePart::new(4, theme.plain(), " ")];
    let mut answer = |rank, action, word: &str, short: &str| {
        let key = || styled(format!(" {} ", keys.display_keys(action)), theme.key());
        let said = |word: &str| vec![key(), styled(format!("{word} "), theme.plain())];
        parts.push(LinePart::of(rank, said(word)).or_of(said(short)));
    };
    let no = match gate.question.as_deref() {
        Some(GateQuestion::Tool(_)) => {
            answer(0, Action::Approve, "once", "once");
            answer(0, Action::AllowPhase, "this phase", "phase");
            answer(0, Action::AllowRun, "this run", "run");
            "deny"
        }
        Some(GateQuestion::Budget(_)) => {
            answer(0, Action::Approve, "raise the budget", "raise");
            if gate.cheaper.as_ref().is_some_and(|found| !found.is_empty()) {
                answer(0, Action::GateCheaper, "cheaper persona", "cheaper");
            }
            "stop"
        }
        None => {
            answer(0, Action::Approve, "approve", "approve");
            "reject"
        }
    };
    if gate.accepts(Decision::RequestChanges) {
        answer(
            0,
            Action::RequestChanges,
            if words {
                "changes (draft kept)"
            } else {
                "request changes"
            },
            if words { "draft" } else { "changes" },
        );
    }
    answer(0, Action::Reject, no, no);
    if gate.sha256.is_some() {
        answer(2, Action::GateEdit, "edit", "edit");
    }
    if gate::forks::valid(&gate.forks.candidates).next().is_some() {
        answer(1, Action::Pick, "use a fork", "pick");
    } else if gate.sha256.is_some() {
        answer(6, Action::Fork, "fork", "fork");
    }
    answer(3, Action::GateAbort, "abort", "abort");
    answer(5, Action::Back, "leave open", "leave");
    fitted(parts, width)
}

/// Formats milliseconds as seconds, rounded up so that it never shows 0.0 while keys are ignored.
fn tenths(ms: u64) -> String {
    let tenths = ms.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Draws the confirmation: lines not viewed, and the text to type if the risk is high.
fn confirm(pen: &mut DrawContext<'_>, area: Rect, gate: &GateView, typed: &str) {
    let inner = pen.framed(
        area,
        vec![styled(format!(" {} ", question(gate)), pen.theme.waiting())],
        pen.theme.waiting(),
    );
    let unseen = match gate.unseen() {
        None => styled(
            " The text is still loading; you have not viewed it",
            pen.theme.bad(),
        ),
        Some(0) => styled(" You have viewed every line", pen.theme.good()),
        Some(1) => styled(" You have not scrolled through 1 line", pen.theme.waiting()),
        Some(lines) => styled(
            format!(" You have not scrolled through {lines} lines"),
            pen.theme.waiting(),
        ),
    };
    let taken = cells(&unseen.content) + 1;
    pen.line(inner, 0, vec![unseen]);
    let row = match gate.question.as_deref() {
        Some(asked) => {
            let meant = gate.cheaper_persona().map_or_else(
                || meant(asked, gate.scope),
                |one| replaced_notice(gate, one),
            );
            let style = if gate.scope == PermissionScope::Once {
                pen.theme.plain()
            } else {
                pen.theme.waiting()
            };
            pen.text(inner, 1, &format!(" {meant}"), style);
            2
        }
        None => 1,
    };
    let must_type = gate.required_text();
    let mut spans = Vec::new();
    if gate.accepts_amount() {
        spans.extend([
            styled(" raise by $", pen.theme.plain()),
            styled(format!("{typed}_  "), pen.theme.title()),
        ]);
        let enter = if gate.is_complete() {
            pen.theme.key()
        } else {
            pen.theme.dim()
        };
        if gate.amount_is_optional() && typed.is_empty() {
            spans.push(styled("(or leave empty)  ", pen.theme.dim()));
        }
        let word = if gate.cheaper_persona().is_some() {
            "resumes   "
        } else {
            "raises   "
        };
        spans.extend([styled("Enter ", enter), styled(word, pen.theme.plain())]);
    } else if must_type.is_empty() {
        let word = if gate.question.is_some() {
            "allows   "
        } else {
            "approves   "
        };
        spans.extend([
            styled(" Enter ", pen.theme.key()),
            styled(word, pen.theme.plain()),
        ]);
    } else {
        let said = format!(" high risk: type '{must_type}', then Enter: ");
        spans.extend([
            styled(said, pen.theme.plain()),
            styled(format!("{typed}_  "), pen.theme.title()),
        ]);
    }
    let esc = [
        styled("Esc ", pen.theme.key()),
        styled("cancels", pen.theme.plain()),
    ];
    // If there is no room, the hint line shows it.
    if spans
        .iter()
        .chain(&esc)
        .map(|span| cells(&span.content))
        .sum::<usize>()
        <= usize::from(inner.width)
    {
        spans.extend(esc);
    }
    let ignored = gate.confirm_ignored_for(pen.state.last_input, pen.state.now.ticks);
    if ignored > 0 {
        let told = format!("Ready in {} s ", tenths(ignored));
        pen.right(inner, 0, taken, vec![styled(told, pen.theme.dim())]);
    }
    pen.line(inner, row, spans);
    pen.drawn.confirm = usize::from(inner.height) > row && inner.width >= 30;
}

/// Returns an unambiguous description of what Enter does.
fn meant(asked: &GateQuestion, scope: PermissionScope) -> String {
    match (asked, scope) {
        (GateQuestion::Tool(_), PermissionScope::Once) => {
            "this call only; the next call asks again".to_owned()
        }
        (GateQuestion::Tool(tool), PermissionScope::Phase) => {
            format!("Allow {} for this phase without asking", tool.tool)
        }
        (GateQuestion::Tool(tool), PermissionScope::Run) => {
            format!("Allow {} for this run without asking", tool.tool)
        }
        (GateQuestion::Budget(budget), _) => format!(
            "Needs at least {} more; for this run only",
            budget_shortfall(budget)
        ),
    }
}

/// Describes the switch to a cheaper persona, and whether an amount is needed too.
fn replaced_notice(gate: &GateView, one: &CheaperPersona) -> String {
    let amount = if gate.amount_is_optional() {
        ""
    } else {
        "; the budget is spent: enter an amount too"
    };
    format!("{}{amount}", describe_terms(one))
}

fn question(gate: &GateView) -> String {
    if let Some(one) = gate.cheaper_persona() {
        return format!("Switch to {} ({})?", one.persona, one.model);
    }
    match (gate.question.as_deref(), gate.scope) {
        (Some(GateQuestion::Tool(tool)), PermissionScope::Once) => {
            return format!("Allow {} once?", tool.tool);
        }
        (Some(GateQuestion::Tool(tool)), PermissionScope::Phase) => {
            return format!("Allow every call of {} in this phase?", tool.tool);
        }
        (Some(GateQuestion::Tool(tool)), PermissionScope::Run) => {
            return format!("Allow every call of {} in this run?", tool.tool);
        }
        (Some(GateQuestion::Budget(budget)), _) => {
            return format!(
                "Raise the budget of {} (now {})?",
                budget_owner(&budget.scope),
                budget.limit
            );
        }
        (None, _) => {}
    }
    let what = gate
        .phase_key
        .as_ref()
        .map_or_else(|| gate.gate.to_string(), ToString::to_string);
    let version = gate.version.map(|v| format!(" v{v}")).unwrap_or_default();
    let hash = gate
        .sha256
        .as_ref()
        .map(|h| format!(" ({})", h.short()))
        .unwrap_or_default();
    format!("Approve {what}{version}{hash}?")
}

fn writing(
    pen: &mut DrawContext<'_>,
    area: Rect,
    gate: &GateView,
    action: Decision,
    on_button: bool,
) {
    let (title, button) = match (action, gate.question.as_deref()) {
        (_, Some(GateQuestion::Tool(_))) => {
            ("Deny: comment for the agent, which continues", "Deny")
        }
        (_, Some(GateQuestion::Budget(_))) => ("Stop here (fails the run). Reason:", "Stop"),
        (Decision::Reject, None) => ("Reject (fails the run). Reason:", "Reject"),
        _ => ("Request changes: comment for the agent", "Request changes"),
    };
    let inner = pen.framed(
        area,
        vec![styled(format!(" {title} "), pen.theme.title())],
        pen.theme.focus(),
    );
    let [text, foot] = layout::bottom(inner, 1);
    pen.widget(gate.input.area(), text);
    let style = if on_button {
        pen.theme.selected()
    } else {
        pen.theme.key()
    };
    let mut spans = vec![
        styled(" ", pen.theme.plain()),
        styled(format!("[ {button} ]"), style),
    ];
    let older = gate.input.written_for.filter(|v| Some(*v) != gate.version);
    let said = gate
        .notice
        .clone()
        .or_else(|| older.map(|v| format!("your draft was for v{v}")));
    if let Some(said) = said {
        let room = usize::from(foot.width).saturating_sub(cells(button) + 8);
        spans.push(styled(
            format!("  {}", cut(&said, room, pen.theme.more())),
            pen.theme.waiting(),
        ));
    }
    pen.line(foot, 0, spans);
}

/// Draws the progress of a decision: sent, recorded, in effect.
fn progress(
    pen: &mut DrawContext<'_>,
    area: Rect,
    action: Decision,
    sending: &str,
    recorded: &str,
    effect: &str,
) {
    let theme = pen.theme;
    let arrow = theme.own(" → ");
    let now = |on: bool| if on { theme.waiting() } else { theme.dim() };
    let first = if sending.is_empty() { "sent" } else { sending };
    let spans = vec![
        styled(format!(" {action}: "), theme.title()),
        styled(theme.own(first), now(!sending.is_empty())),
        styled(arrow.clone(), theme.dim()),
        styled(theme.own(recorded), now(sending.is_empty())),
        styled(arrow, theme.dim()),
        styled(effect, theme.dim()),
    ];
    pen.line(area, 0, spans);
}

/// Draws the receipt: the decision, who made it, and when.
fn draw_receipt(pen: &mut DrawContext<'_>, area: Rect, receipt: &GateReceipt) {
    let rests = pen
        .state
        .run
        .as_ref()
        .and_then(RunScreen::live_run)
        .is_some_and(|known| rests(&known.state));
    let theme = pen.theme;
    let mark = match receipt.action.as_str() {
        "approved" => StatusGlyph::Done,
        "rejected" => StatusGlyph::Failed,
        "changes_requested" => StatusGlyph::Repair,
        _ => StatusGlyph::Aborted,
    };
    let title = match (receipt.ours, rests) {
        (true, true) => " Recorded ",
        (true, false) => " In effect ",
        (false, _) => " Already answered ",
    };
    let inner = pen.framed(
        area,
        vec![styled(title, theme.mark_style(mark))],
        theme.mark_style(mark),
    );
    let glyph = pen.glyph(mark);
    let line = format!(
        " {}{} by {} at {}",
        receipt.action.replace('_', " "),
        receipt.came_to,
        receipt.by,
        pen.state.clock(receipt.at)
    );
    pen.line(
        inner,
        0,
        vec![
            styled(" ", theme.plain()),
            glyph,
            styled(line, theme.plain()),
        ],
    );
    let words = decision_prompt(receipt, area.width);
    let room = usize::from(inner.height).saturating_sub(2);
    let below = words.len().saturating_sub(room);
    let top = receipt.top.min(below);
    for (row, line) in words.iter().skip(top).take(room).enumerate() {
        pen.text(inner, row + 1, &format!("   {line}"), theme.plain());
    }
    pen.drawn.receipt = Some(below);
    if below > top {
        pen.foot(area, &format!("{} more below", below - top), theme.dim());
    }
    if inner.height > 1 {
        let row = usize::from(inner.height) - 1;
        let (said, style) = match receipt.action.as_str() {
            "approved" | "changes_requested" if rests => (
                format!(
                    "   the run is paused: {} resumes it, then this takes effect",
                    pen.state.keys.display_keys(Action::GateResume)
                ),
                theme.waiting(),
            ),
            _ => {
                let [open, back, next] = [Action::Open, Action::Back, Action::NextGate]
                    .map(|action| pen.state.keys.display_keys(action));
                (
                    format!("   {open} or {back}: back; {next}: next pending approval"),
                    theme.dim(),
                )
            }
        };
        pen.text(inner, row, &said, style);
    }
}

/// Wraps the comment of a decision to its frame.
fn decision_prompt(receipt: &GateReceipt, width: u16) -> Vec<String> {
    if receipt.comment.trim().is_empty() {
        return Vec::new();
    }
    wrapped(
        receipt.comment.trim_end(),
        usize::from(width).saturating_sub(6),
    )
}
