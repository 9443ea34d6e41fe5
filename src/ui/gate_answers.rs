//! The lower end of a gate: the answers, the question behind an answer, the words being written,
//! and what became of it.

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::arrange;
use super::pen::Pen;
use super::text::{cells, cut, ink, wrapped};
use super::theme::Mark;
use crate::app::gate::{GateView, Receipt, Stage};
use crate::app::keymap::Action;
use crate::model::state::Decision;

/// Rows it needs, of `room` in all.
#[must_use]
pub fn height(gate: &GateView, room: u16) -> u16 {
    let failed = if gate.failure.is_some() { 2 } else { 0 };
    match &gate.stage {
        Stage::Reading | Stage::Sending { .. } | Stage::Recorded { .. } => 1 + failed,
        Stage::Confirm { .. } => 4,
        Stage::Writing { .. } => (room / 2).clamp(5, 12),
        Stage::Receipt(_) => 4,
    }
}

/// Draws it.
pub fn draw(pen: &mut Pen<'_>, area: Rect, gate: &GateView) {
    match &gate.stage {
        Stage::Reading => reading(pen, area, gate),
        Stage::Confirm { typed, .. } => confirm(pen, area, gate, typed),
        Stage::Writing { action, on_button } => writing(pen, area, gate, *action, *on_button),
        Stage::Sending { action, .. } => progress(pen, area, *action, "sending …", "recorded", "in effect"),
        Stage::Recorded { action } => progress(pen, area, *action, "", "recorded …", "in effect"),
        Stage::Receipt(receipt) => receipt_of(pen, area, receipt),
    }
}

fn reading(pen: &mut Pen<'_>, area: Rect, gate: &GateView) {
    let [said, answers] = arrange::bottom(area, 1);
    if let Some(failure) = &gate.failure {
        pen.text(said, 0, &format!(" {failure}"), pen.theme.bad());
        pen.text(said, 1, &format!(" {}", failure.hint), pen.theme.plain());
    }
    let keys = &pen.state.keys;
    let draft = if gate.input.is_blank() { "" } else { " (draft kept)" };
    let answer =
        |action, word: &str| [ink(format!(" {} ", keys.shown(action)), pen.theme.key()), ink(format!("{word} "), pen.theme.plain())];
    let mut spans: Vec<Span<'static>> = Vec::new();
    spans.extend(answer(Action::Approve, "approve"));
    spans.extend(answer(Action::RequestChanges, &format!("request changes{draft}")));
    spans.extend(answer(Action::Reject, "reject"));
    spans.extend(answer(Action::GateAbort, "abort"));
    spans.extend(answer(Action::Back, "leave open"));
    let taken: usize = spans.iter().map(|span| cells(&span.content)).sum();
    pen.line(answers, 0, spans);
    let ignored = gate.ignored_for(pen.state.last_input, pen.state.now.ticks);
    if ignored > 0 {
        let said = format!(" keys ignored {} s ", tenths(ignored));
        let taken = taken.min(usize::from(answers.width).saturating_sub(cells(&said)));
        pen.right(answers, 0, taken, vec![ink(said, pen.theme.dim())]);
    }
}

/// Milliseconds as seconds, rounded up: while keys are ignored it never says 0.0.
fn tenths(ms: u64) -> String {
    let tenths = ms.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// "Approve?", with what was not seen, and the key to type where the risk is high.
fn confirm(pen: &mut Pen<'_>, area: Rect, gate: &GateView, typed: &str) {
    let inner = pen.framed(area, vec![ink(format!(" {} ", question(gate)), pen.theme.waiting())], pen.theme.waiting());
    let unseen = match gate.unseen() {
        None => ink(" the text is still loading: you have seen nothing of it", pen.theme.bad()),
        Some(0) => ink(" every line was on the screen", pen.theme.good()),
        Some(1) => ink(" 1 line was never on the screen", pen.theme.waiting()),
        Some(lines) => ink(format!(" {lines} lines were never on the screen"), pen.theme.waiting()),
    };
    pen.line(inner, 0, vec![unseen]);
    let must_type = gate.must_type();
    let mut spans = Vec::new();
    if must_type.is_empty() {
        spans.extend([ink(" Enter ", pen.theme.key()), ink("approves   ", pen.theme.plain())]);
    } else {
        let said = format!(" risk is high: type '{must_type}', then Enter: ");
        spans.extend([ink(said, pen.theme.plain()), ink(format!("{typed}_  "), pen.theme.title())]);
    }
    spans.extend([ink("Esc ", pen.theme.key()), ink("keeps reading", pen.theme.plain())]);
    let ignored = gate.confirm_ignored_for(pen.state.last_input, pen.state.now.ticks);
    if ignored > 0 {
        spans.push(ink(format!("   keys ignored {} s", tenths(ignored)), pen.theme.dim()));
    }
    pen.line(inner, 1, spans);
    pen.drawn.confirm = inner.height >= 2 && inner.width >= 30;
}

fn question(gate: &GateView) -> String {
    let what = gate.phase_key.as_ref().map_or_else(|| gate.gate.to_string(), ToString::to_string);
    let version = gate.version.map(|v| format!(" v{v}")).unwrap_or_default();
    let hash = gate.sha256.as_ref().map(|h| format!(" ({})", h.short())).unwrap_or_default();
    format!("Approve {what}{version}{hash}?")
}

fn writing(pen: &mut Pen<'_>, area: Rect, gate: &GateView, action: Decision, on_button: bool) {
    let (title, button) = match action {
        Decision::Reject => ("Reject: why not? The phase and the run fail.", "Reject"),
        _ => ("What should change? The agent gets these words.", "Request changes"),
    };
    let inner = pen.framed(area, vec![ink(format!(" {title} "), pen.theme.title())], pen.theme.focus());
    let [text, foot] = arrange::bottom(inner, 1);
    pen.widget(gate.input.area(), text);
    let style = if on_button { pen.theme.selected() } else { pen.theme.key() };
    let mut spans = vec![ink(" ", pen.theme.plain()), ink(format!("[ {button} ]"), style)];
    let older = gate.input.written_for.filter(|v| Some(*v) != gate.version);
    let said = gate.notice.clone().or_else(|| older.map(|v| format!("your draft was for v{v}")));
    if let Some(said) = said {
        let room = usize::from(foot.width).saturating_sub(cells(button) + 8);
        spans.push(ink(format!("  {}", cut(&said, room, pen.theme.more())), pen.theme.waiting()));
    }
    pen.line(foot, 0, spans);
}

/// The three honest states of an answer.
fn progress(pen: &mut Pen<'_>, area: Rect, action: Decision, sending: &str, recorded: &str, effect: &str) {
    let theme = pen.theme;
    let arrow = theme.own(" → ");
    let now = |on: bool| if on { theme.waiting() } else { theme.dim() };
    let first = if sending.is_empty() { "sent" } else { sending };
    let spans = vec![
        ink(format!(" {action}: "), theme.title()),
        ink(theme.own(first), now(!sending.is_empty())),
        ink(arrow.clone(), theme.dim()),
        ink(theme.own(recorded), now(sending.is_empty())),
        ink(arrow, theme.dim()),
        ink(effect, theme.dim()),
    ];
    pen.line(area, 0, spans);
}

/// Who said what, when.
fn receipt_of(pen: &mut Pen<'_>, area: Rect, receipt: &Receipt) {
    let theme = pen.theme;
    let mark = match receipt.action.as_str() {
        "approved" => Mark::Done,
        "rejected" => Mark::Failed,
        "changes_requested" => Mark::Repair,
        _ => Mark::Stopped,
    };
    let title = if receipt.ours { " In effect " } else { " Answered already " };
    let inner = pen.framed(area, vec![ink(title, theme.of_mark(mark))], theme.of_mark(mark));
    let glyph = pen.glyph(mark);
    let line = format!(" {} by {} at {}", receipt.action, receipt.by, pen.state.clock(receipt.at));
    pen.line(inner, 0, vec![ink(" ", theme.plain()), glyph, ink(line, theme.plain())]);
    let width = usize::from(inner.width).saturating_sub(3);
    let second = match wrapped(&receipt.comment, width).into_iter().next().filter(|line| !line.is_empty()) {
        Some(words) => format!("   {words}"),
        None => "   Enter or Esc goes back, ! to the next question".to_owned(),
    };
    pen.text(inner, 1, &second, theme.dim());
}
