//! The lower part of the new-run form: agents, thread, budget, and the start button.

use crate::app::screens::new_run::state::{FormField, NewRunForm};
use crate::app::screens::runs::thread_status::ThreadStatus;
use crate::app::state::AppState;
use crate::engine::api::{AssignmentPreview, CostEstimate, RequestPart};
use crate::model::error::Failure;
use crate::model::money::NanoUsd;
use crate::model::state::Strategy;
use crate::ui::draw_context::DrawContext;
use crate::ui::screens::new_run::form::{FormDrawing, line_field};
use crate::ui::text::{cell, cells, cut, styled};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Shown for a role without a usable persona.
const NOBODY: &str = "no usable persona";
/// Width of a strategy name including its arrows.
const STRATEGY: usize = 13;

/// Contents of the lower part of the form.
pub(in crate::ui) struct SummaryLayout {
    lane: Option<ThreadText>,
    budget: Option<Failure>,
    roomy: bool,
    /// Rows of the agents, without their problems.
    seats: usize,
    wrong: Vec<Option<String>>,
}

/// The status of the run's thread, as text.
struct ThreadText {
    held: Option<String>,
    strategy: String,
    refused: bool,
    ends: bool,
}

impl SummaryLayout {
    /// Collects the contents below the task.
    pub fn new(state: &AppState, form: &NewRunForm, roomy: bool) -> Self {
        let lane = form.uses_thread().then(|| {
            let name = form.thread_name().unwrap_or_default();
            let lane = ThreadStatus::for_thread(&name, &state.runs);
            ThreadText {
                held: lane.describe_holder(),
                strategy: lane.describe(form.strategy),
                refused: lane.start_refusal(form.strategy).is_some(),
                ends: form.strategy == Strategy::Rollback && lane.holder.is_some(),
            }
        });
        let wrong = (0..form.seats().len())
            .map(|index| remedy(form, index))
            .collect();
        let seats = if form.is_current() {
            form.seats().len()
        } else {
            form.seats().len().max(1)
        };
        Self {
            lane,
            budget: form.budget_problem(),
            roomy,
            seats,
            wrong,
        }
    }

    /// Returns the rows needed.
    pub fn rows(&self) -> u16 {
        let wrong = self.wrong.iter().flatten().count();
        let rows = self.seats
            + wrong
            + self.lane_rows()
            + 4
            + usize::from(self.budget.is_some())
            + if self.roomy { 2 } else { 0 };
        u16::try_from(rows).unwrap_or(u16::MAX)
    }

    /// Rows of the thread and the thread policy.
    fn lane_rows(&self) -> usize {
        1 + self
            .lane
            .as_ref()
            .map_or(0, |lane| 1 + usize::from(lane.held.is_some()))
    }

    /// Returns the row of a field; `u16::MAX` for fields above this part.
    pub fn row_of(&self, focus: FormField) -> u16 {
        let seats = self.seats + self.wrong.iter().flatten().count() + usize::from(self.roomy);
        let row = match focus {
            FormField::Seat(seat) => seat + self.wrong.iter().take(seat).flatten().count(),
            FormField::Thread => seats,
            FormField::Strategy => seats + self.lane_rows() - 1,
            FormField::Budget | FormField::Rehearse | FormField::Start => seats + self.lane_rows(),
            FormField::Workflow | FormField::Repo | FormField::Base | FormField::Wish => {
                return u16::MAX;
            }
        };
        u16::try_from(row).unwrap_or(u16::MAX)
    }

    /// Draws the lower part of the form.
    pub fn draw(&self, pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
        self.seats(pen, at);
        self.lane(pen, at);
        self.budget(pen, at);
        self.rest(pen, at);
    }

    fn lane(&self, pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
        let form = at.form;
        let own = form
            .preview()
            .and_then(|ahead| ahead.thread.clone())
            .unwrap_or_else(|| "its own thread".to_owned());
        line_field(
            pen,
            at,
            "thread",
            &form.thread,
            form.focus == FormField::Thread,
            &own,
        );
        let Some(lane) = &self.lane else { return };
        if let Some(held) = &lane.held {
            let area = at.field(1);
            let style = if lane.refused {
                pen.theme.bad()
            } else {
                pen.theme.waiting()
            };
            pen.text(area, 0, held, style);
            at.row += 1;
        }
        let focused = form.focus == FormField::Strategy;
        at.label(pen, "if busy", focused);
        let area = at.field(1);
        let shown = if focused {
            format!("< {} >", form.strategy)
        } else {
            form.strategy.to_string()
        };
        let room = usize::from(area.width).saturating_sub(STRATEGY + 1);
        let style = match () {
            () if lane.refused => pen.theme.bad(),
            () if lane.ends => pen.theme.waiting(),
            () => pen.theme.dim(),
        };
        let said = cut(&lane.strategy, room, pen.theme.more());
        pen.line(
            area,
            0,
            vec![
                styled(cell(&shown, STRATEGY + 1, ""), pen.theme.title()),
                styled(said, style),
            ],
        );
        at.row += 1;
    }

    fn budget(&self, pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
        let form = at.form;
        let usual = form.preview().and_then(|ahead| ahead.budget);
        let empty = usual.map_or_else(
            || "no limit for this run".to_owned(),
            |usual| format!("{} (from settings)", short(usual)),
        );
        line_field(
            pen,
            at,
            "budget",
            &form.budget,
            form.focus == FormField::Budget,
            &empty,
        );
        if let Some((said, asks)) = form.describe_budget_coverage() {
            let area = Rect {
                y: at.field(1).y.saturating_sub(1),
                height: u16::from(at.row > at.skip),
                ..at.field(1)
            };
            let taken = if form.budget.is_blank() {
                cells(&empty) + 4
            } else {
                cells(&form.budget.text()) + 3
            };
            let style = if asks {
                pen.theme.waiting()
            } else {
                pen.theme.dim()
            };
            pen.right(area, 0, taken, vec![styled(said, style)]);
        }
        if let Some(failure) = &self.budget {
            at.wrong(pen, failure);
        }
    }

    fn seats(&self, pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
        let form = at.form;
        let role = form
            .seats()
            .iter()
            .map(|seat| cells(seat.role.as_str()))
            .max()
            .unwrap_or(0);
        let who = form
            .seats()
            .iter()
            .map(|seat| cells(seat.persona.as_deref().unwrap_or(NOBODY)))
            .max()
            .unwrap_or(0)
            + 4;
        for (index, seat) in form.seats().iter().enumerate() {
            let focused = form.focus == FormField::Seat(index);
            at.label(pen, if index == 0 { "agents" } else { "" }, focused);
            let area = at.field(1);
            let spans = seat_spans(pen, seat, focused, (role, who), usize::from(area.width));
            pen.line(area, 0, spans);
            at.row += 1;
            if let Some(said) = self.wrong.get(index).and_then(Option::as_ref) {
                let area = at.field(1);
                pen.text(area, 0, said, pen.theme.bad());
                at.row += 1;
            }
        }
        if form.seats().is_empty() && !form.is_current() {
            at.label(pen, "agents", false);
            let area = at.field(1);
            pen.text(area, 0, &pen.theme.own("looking …"), pen.theme.dim());
            at.row += 1;
        }
        at.row += u16::from(self.roomy);
    }

    fn rest(&self, pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
        let form = at.form;
        at.label(pen, "dry run", form.focus == FormField::Rehearse);
        let (sign, about) = if form.rehearse {
            ("[x]", "no model calls, no cost")
        } else {
            ("[ ]", "Space: no model calls, no cost")
        };
        let area = at.field(1);
        pen.line(
            area,
            0,
            vec![
                styled(format!("{sign} "), pen.theme.plain()),
                styled(about, pen.theme.dim()),
            ],
        );
        at.row += 1;
        at.label(pen, "price", false);
        let area = at.field(1);
        pen.text(area, 0, &estimate(form), pen.theme.plain());
        at.row += 1 + u16::from(self.roomy);
        button(pen, at);
    }
}

/// Returns the fix for a role without a persona, unless the previous role shows the same one.
fn remedy(form: &NewRunForm, index: usize) -> Option<String> {
    let said = |index: usize| {
        let failure = form.problem(&RequestPart::Seat(form.seats().get(index)?.role.clone()))?;
        Some(if failure.hint.is_empty() {
            failure.message.clone()
        } else {
            failure.hint.clone()
        })
    };
    said(index).filter(|this| index.checked_sub(1).and_then(said).as_ref() != Some(this))
}

fn seat_spans(
    pen: &DrawContext<'_>,
    seat: &AssignmentPreview,
    focused: bool,
    (role, who): (usize, usize),
    width: usize,
) -> Vec<ratatui::text::Span<'static>> {
    let name = seat.persona.as_deref().unwrap_or(NOBODY);
    let shown = if focused {
        format!("< {name} >")
    } else {
        format!("  {name}")
    };
    let style = if seat.persona.is_some() {
        pen.theme.title()
    } else {
        pen.theme.bad()
    };
    let mut spans = vec![
        styled(
            format!("{} ", cell(seat.role.as_str(), role, "")),
            pen.theme.plain(),
        ),
        styled(cell(&shown, who + 1, ""), style),
    ];
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
        spans.push(styled(text, style));
    };
    if seat.consent.is_some() {
        add("needs consent  ", pen.theme.waiting());
    }
    add(&format!("{model}  "), pen.theme.plain());
    add(&format!("{price}  "), pen.theme.dim());
    add(&seat.why, pen.theme.dim());
    spans
}

/// Formats dollars without trailing zeros.
fn short(money: NanoUsd) -> String {
    let text = money.to_string();
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn estimate(form: &NewRunForm) -> String {
    let Some(ahead) = form.preview() else {
        return "?".to_owned();
    };
    match ahead.estimate {
        CostEstimate::Unknown => {
            "? (no earlier runs, and a model without a known price)".to_owned()
        }
        CostEstimate::Free => "$0.00 (rehearsed)".to_owned(),
        CostEstimate::History { p50, p90, runs } => {
            format!("half at most {p50}, 9 of 10 at most {p90} ({runs} earlier runs)")
        }
        CostEstimate::AtMost(most) => {
            format!("at most about {most}, by prices and limits (too few earlier runs)")
        }
    }
}

fn button(pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
    let form = at.form;
    let focused = form.focus == FormField::Start;
    at.label(pen, "", focused);
    let (_, problems) = form.blocking_problems(&pen.state.runs);
    let asks = form
        .seats()
        .iter()
        .filter(|seat| seat.consent.is_some())
        .count();
    let style = if focused {
        pen.theme.selected()
    } else {
        pen.theme.key()
    };
    let said = match () {
        () if form.starting => ("sending".to_owned(), pen.theme.waiting()),
        () if form.failure.is_some() => (
            form.failure
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            pen.theme.bad(),
        ),
        () if problems == 1 => (
            "1 problem: see the marked field".to_owned(),
            pen.theme.waiting(),
        ),
        () if problems > 1 => (
            format!("{problems} problems: see the marked fields"),
            pen.theme.waiting(),
        ),
        () if asks > 0 => (
            "asks you to allow these personas first".to_owned(),
            pen.theme.dim(),
        ),
        () => (String::new(), pen.theme.dim()),
    };
    let area = at.field(1);
    let room = usize::from(area.width).saturating_sub(13);
    pen.line(
        area,
        0,
        vec![
            styled("[ Start ]", style),
            styled(
                format!("  {}", cut(&said.0, room, pen.theme.more())),
                said.1,
            ),
        ],
    );
}
