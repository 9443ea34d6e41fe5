//! The form of a new run: what is asked for, and beside it what the engine says it would be.
//!
//! Problems stand beneath the field that they are about. The wish takes what room is left.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::arrange;
use super::help::marked;
use super::pen::Pen;
use super::text::{cell, cells, cut, ink};
use crate::app::new_run::{Field, NewRun};
use crate::app::text_input::TextInput;
use crate::engine::api::{Estimate, Part, Seat};
use crate::model::money::NanoUsd;

/// Cells of the labels.
const LABEL: u16 = 13;
/// Who sits where nobody can.
const NOBODY: &str = "nobody";
/// Found workflows that are shown at most.
const FOUND: usize = 5;

/// Where the next row goes.
struct Form<'a> {
    area: Rect,
    row: u16,
    form: &'a NewRun,
}

/// Draws it.
pub fn draw(pen: &mut Pen<'_>, area: Rect) {
    let Some(form) = pen.state.new_run.as_ref() else { return };
    let area = arrange::centred(area, 124, area.height);
    let below = foot_rows(form, area.height);
    let [upper, lower] = arrange::bottom(area, below.min(area.height.saturating_sub(7)));
    let mut top = Form { area: upper, row: 0, form };
    workflow(pen, &mut top);
    place(pen, &mut top);
    wish(pen, &mut top);
    let mut foot = Form { area: lower, row: 0, form };
    seats(pen, &mut foot);
    rest(pen, &mut foot);
}

/// Seats with their problems, thread, rehearsal, estimate and button.
fn foot_rows(form: &NewRun, height: u16) -> u16 {
    let seats = form.seats().len();
    let wrong = (0..seats).filter(|index| remedy(form, *index).is_some()).count();
    let roomy = usize::from(height >= 30);
    u16::try_from(seats + wrong + 4 + roomy * 2).unwrap_or(u16::MAX)
}

impl Form<'_> {
    fn label(&self, pen: &mut Pen<'_>, text: &str, focused: bool) {
        let sign = if focused { pen.theme.own("▸") } else { " ".to_owned() };
        let style = if focused { pen.theme.key() } else { pen.theme.dim() };
        let row = usize::from(self.row);
        pen.line(self.area, row, vec![ink(cell(&format!("{sign} {text}"), usize::from(LABEL), ""), style)]);
    }

    /// What is right of the label, in this row.
    fn field(&self, height: u16) -> Rect {
        let y = self.area.y.saturating_add(self.row);
        let rows = self.area.bottom().saturating_sub(y).min(height);
        Rect { x: self.area.x + LABEL.min(self.area.width), y, width: self.area.width.saturating_sub(LABEL + 1), height: rows }
    }

    fn problem(&mut self, pen: &mut Pen<'_>, part: &Part) {
        let Some(failure) = self.form.problem(part) else { return };
        let said = if failure.hint.is_empty() { failure.message.clone() } else { format!("{} - {}", failure.message, failure.hint) };
        let area = self.field(1);
        pen.text(area, 0, &said, pen.theme.bad());
        self.row += 1;
    }
}

fn workflow(pen: &mut Pen<'_>, at: &mut Form<'_>) {
    let form = at.form;
    let focused = form.focus == Field::Workflow;
    at.label(pen, "workflow", focused);
    let area = at.field(1);
    let about = form.ahead().and_then(|ahead| ahead.workflows.iter().find(|(name, _)| is_named(name, &form.workflow)));
    let (name, text) = about.map_or((form.workflow.as_str(), ""), |(name, text)| (name.as_str(), text.as_str()));
    let typed = if focused { format!("{}_  ", form.typed) } else { String::new() };
    let room = usize::from(area.width).saturating_sub(cells(&typed) + cells(name) + 2);
    let spans = vec![
        ink(typed, pen.theme.key()),
        ink(name, pen.theme.title()),
        ink(format!("  {}", cut(text, room, pen.theme.more())), pen.theme.dim()),
    ];
    pen.line(area, 0, spans);
    at.row += 1;
    if focused && at.area.height >= 12 {
        found(pen, at);
    }
    at.problem(pen, &Part::Workflow);
}

fn is_named(full: &str, name: &str) -> bool {
    full == name || full.split('@').next() == Some(name)
}

/// The workflows that fit what was typed.
fn found(pen: &mut Pen<'_>, at: &mut Form<'_>) {
    let form = at.form;
    let Some(ahead) = form.ahead() else { return };
    let candidates = form.candidates();
    let top = (form.found + 1).saturating_sub(FOUND);
    for (index, (place, letters)) in candidates.iter().enumerate().skip(top).take(FOUND) {
        let Some((name, about)) = ahead.workflows.get(*place) else { continue };
        let area = at.field(1);
        let spans = marked(pen, &format!("{name} {about}"), letters, usize::from(area.width));
        pen.line(area, 0, spans);
        if index == form.found {
            pen.mark_row(area, 0, pen.theme.selected());
        }
        at.row += 1;
    }
    if candidates.is_empty() {
        let area = at.field(1);
        pen.text(area, 0, "no workflow fits", pen.theme.dim());
        at.row += 1;
    }
}

fn place(pen: &mut Pen<'_>, at: &mut Form<'_>) {
    let form = at.form;
    line_field(pen, at, "repository", &form.repo, form.focus == Field::Repo, "none: a plain folder of its own, without commits");
    at.problem(pen, &Part::Repo);
    let current = form.ahead().and_then(|ahead| ahead.place.as_ref());
    let commit = current.map(|place| {
        let commit: String = place.commit.chars().take(8).collect();
        place.branch.as_ref().map_or_else(|| format!("commit {commit}"), |branch| format!("{branch} at {commit}"))
    });
    let empty = match (&commit, form.repo.is_blank()) {
        (Some(commit), _) => format!("the current one: {commit}"),
        (None, true) => "no repository".to_owned(),
        (None, false) => "the current one".to_owned(),
    };
    line_field(pen, at, "base", &form.base, form.focus == Field::Base, &empty);
    if let (Some(commit), false, true) = (commit, form.base.is_blank(), form.is_current()) {
        let area = Rect { y: at.field(1).y.saturating_sub(1), ..at.field(1) };
        let taken = cells(&form.base.text()) + 3;
        pen.right(area, 0, taken, vec![ink(commit, pen.theme.dim())]);
    }
    at.problem(pen, &Part::Base);
}

/// A text of one line; what empty means while nothing is written.
fn line_field(pen: &mut Pen<'_>, at: &mut Form<'_>, label: &str, input: &TextInput, focused: bool, empty: &str) {
    at.label(pen, label, focused);
    let area = at.field(1);
    if focused {
        pen.widget(input.area(), area);
    } else {
        pen.text(area, 0, &input.text(), pen.theme.plain());
    }
    if input.is_blank() {
        let aside = if focused { Rect { x: area.x + 2.min(area.width), width: area.width.saturating_sub(2), ..area } } else { area };
        pen.text(aside, 0, empty, pen.theme.dim());
    }
    at.row += 1;
}

fn wish(pen: &mut Pen<'_>, at: &mut Form<'_>) {
    let form = at.form;
    let focused = form.focus == Field::Wish;
    at.label(pen, "wish", focused);
    let area = at.field(at.area.height.saturating_sub(at.row));
    if area.height < 3 {
        return pen.widget(form.wish.area(), area);
    }
    let problem = form.problem(&Part::Requirements).is_some();
    let style = if focused { pen.theme.focus() } else { pen.theme.dim() };
    let inner =
        pen.framed(area, vec![ink(" What do you want made? ", if problem { pen.theme.waiting() } else { pen.theme.plain() })], style);
    pen.widget(form.wish.area(), inner);
    let lines = form.wish.area().lines().len();
    if lines > 1 {
        pen.foot(area, &format!("{lines} lines"), pen.theme.dim());
    }
}

fn seats(pen: &mut Pen<'_>, at: &mut Form<'_>) {
    let form = at.form;
    let role = form.seats().iter().map(|seat| cells(seat.role.as_str())).max().unwrap_or(0);
    let who = form.seats().iter().map(|seat| cells(seat.persona.as_deref().unwrap_or(NOBODY))).max().unwrap_or(0) + 4;
    for (index, seat) in form.seats().iter().enumerate() {
        let focused = form.focus == Field::Seat(index);
        at.label(pen, if index == 0 { "who" } else { "" }, focused);
        let area = at.field(1);
        let spans = seat_spans(pen, seat, focused, (role, who), usize::from(area.width));
        pen.line(area, 0, spans);
        at.row += 1;
        seat_problem(pen, at, index);
    }
    if form.seats().is_empty() && !form.is_current() {
        at.label(pen, "who", false);
        let area = at.field(1);
        pen.text(area, 0, &pen.theme.own("looking …"), pen.theme.dim());
        at.row += 1;
    }
}

/// What would give somebody to a seat; nothing where the seat before says the same.
fn remedy(form: &NewRun, index: usize) -> Option<String> {
    let said = |index: usize| {
        let failure = form.problem(&Part::Seat(form.seats().get(index)?.role.clone()))?;
        Some(if failure.hint.is_empty() { failure.message.clone() } else { failure.hint.clone() })
    };
    said(index).filter(|this| index.checked_sub(1).and_then(said).as_ref() != Some(this))
}

fn seat_problem(pen: &mut Pen<'_>, at: &mut Form<'_>, index: usize) {
    let Some(said) = remedy(at.form, index) else { return };
    let area = at.field(1);
    pen.text(area, 0, &said, pen.theme.bad());
    at.row += 1;
}

fn seat_spans(pen: &Pen<'_>, seat: &Seat, focused: bool, (role, who): (usize, usize), width: usize) -> Vec<ratatui::text::Span<'static>> {
    let name = seat.persona.as_deref().unwrap_or(NOBODY);
    let shown = if focused { format!("< {name} >") } else { format!("  {name}") };
    let style = if seat.persona.is_some() { pen.theme.title() } else { pen.theme.bad() };
    let mut spans = vec![ink(format!("{} ", cell(seat.role.as_str(), role, "")), pen.theme.plain()), ink(cell(&shown, who + 1, ""), style)];
    let mut room = width.saturating_sub(role + 1 + who + 1);
    let price = match (&seat.model, seat.price) {
        (Some(_), Some((input, output))) => format!("{} / {} per M", short(input), short(output)),
        (Some(_), None) => "price ?".to_owned(),
        (None, _) => String::new(),
    };
    let model = seat.model.as_deref().unwrap_or(&seat.backend).to_owned();
    let mut add = |text: &str, style: Style| {
        let text = cut(text, room, pen.theme.more());
        room = room.saturating_sub(cells(&text));
        spans.push(ink(text, style));
    };
    if seat.consent.is_some() {
        add("asks consent  ", pen.theme.waiting());
    }
    add(&format!("{model}  "), pen.theme.plain());
    add(&format!("{price}  "), pen.theme.dim());
    add(&seat.why, pen.theme.dim());
    spans
}

/// Dollars without needless digits.
fn short(money: NanoUsd) -> String {
    let text = money.to_string();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn rest(pen: &mut Pen<'_>, at: &mut Form<'_>) {
    let form = at.form;
    let own = form.ahead().and_then(|ahead| ahead.thread.clone()).unwrap_or_else(|| "one of its own".to_owned());
    line_field(pen, at, "thread", &form.thread, form.focus == Field::Thread, &own);
    at.label(pen, "rehearse", form.focus == Field::Rehearse);
    let (sign, about) =
        if form.rehearse { ("[x]", "no model is asked; nothing costs anything") } else { ("[ ]", "Space: play it without a model") };
    let area = at.field(1);
    pen.line(area, 0, vec![ink(format!("{sign} "), pen.theme.plain()), ink(about, pen.theme.dim())]);
    at.row += 1;
    at.label(pen, "price", false);
    let area = at.field(1);
    pen.text(area, 0, &estimate(form), pen.theme.plain());
    at.row += if at.area.height >= 30 { 2 } else { 1 };
    button(pen, at);
}

fn estimate(form: &NewRun) -> String {
    let Some(ahead) = form.ahead() else { return "?".to_owned() };
    match ahead.estimate {
        Estimate::Unknown => "? (no earlier runs, and a model without a known price)".to_owned(),
        Estimate::Free => "$0.00 (rehearsed)".to_owned(),
        Estimate::History { p50, p90, runs } => format!("half at most {p50}, 9 of 10 at most {p90} ({runs} earlier runs)"),
        Estimate::AtMost(most) => format!("at most about {most}, by prices and limits (too few earlier runs)"),
    }
}

fn button(pen: &mut Pen<'_>, at: &mut Form<'_>) {
    let form = at.form;
    let focused = form.focus == Field::Start;
    at.label(pen, "", focused);
    let problems = form.ahead().map_or(0, |ahead| ahead.problems.len());
    let asks = form.seats().iter().filter(|seat| seat.consent.is_some()).count();
    let style = if focused { pen.theme.selected() } else { pen.theme.key() };
    let said = match () {
        () if form.starting => ("sending".to_owned(), pen.theme.waiting()),
        () if form.failure.is_some() => (form.failure.as_ref().map(ToString::to_string).unwrap_or_default(), pen.theme.bad()),
        () if problems == 1 => ("one thing stands in the way".to_owned(), pen.theme.waiting()),
        () if problems > 1 => (format!("{problems} things stand in the way"), pen.theme.waiting()),
        () if asks > 0 => ("asks for your consent first".to_owned(), pen.theme.dim()),
        () => (String::new(), pen.theme.dim()),
    };
    let area = at.field(1);
    let room = usize::from(area.width).saturating_sub(13);
    pen.line(area, 0, vec![ink("[ Start ]", style), ink(format!("  {}", cut(&said.0, room, pen.theme.more())), said.1)]);
}
