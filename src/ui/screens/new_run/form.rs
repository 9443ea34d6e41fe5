//! The new-run form, and beside it the start preview from the engine.
//!
//! Problems are shown below the field they refer to. The task takes the remaining rows.

use crate::app::keymap::Action;
use crate::app::screens::new_run::state::{FormField, NewRunForm};
use crate::app::text::text_input::TextInput;
use crate::engine::api::RequestPart;
use crate::model::error::Failure;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::modal::help::marked;
use crate::ui::screens::new_run::summary::SummaryLayout;
use crate::ui::text::{cell, cells, cut, styled};
use ratatui::layout::Rect;

/// Width of the labels in cells.
const LABEL: u16 = 13;
/// Minimum rows of workflow, repository and task.
const UPPER: u16 = 7;
/// Maximum number of matching workflows shown.
const FOUND: usize = 5;

/// Drawing position within the form, and the rows scrolled off at the top.
pub(in crate::ui) struct FormDrawing<'a> {
    pub area: Rect,
    pub row: u16,
    pub skip: u16,
    pub form: &'a NewRunForm,
}

/// Draws the form.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let Some(form) = pen.state.new_run.as_ref() else {
        return;
    };
    let area = layout::centred(area, 124, area.height);
    let foot = SummaryLayout::new(pen.state, form, area.height >= 30);
    let rows = foot.rows();
    let [upper, lower] = layout::bottom(area, rows.min(area.height.saturating_sub(UPPER)));
    let mut top = FormDrawing {
        area: upper,
        row: 0,
        skip: 0,
        form,
    };
    workflow(pen, &mut top);
    place(pen, &mut top);
    draw_task(pen, &mut top);
    // If the form does not fit, keep the focused field visible, and the button if possible.
    let skip = rows
        .saturating_sub(lower.height)
        .min(foot.row_of(form.focus));
    foot.draw(
        pen,
        &mut FormDrawing {
            area: lower,
            row: 0,
            skip,
            form,
        },
    );
}

impl FormDrawing<'_> {
    /// Draws the label of a field, marked while the field has the focus.
    pub fn label(&self, pen: &mut DrawContext<'_>, text: &str, focused: bool) {
        let Some(row) = self.row.checked_sub(self.skip).map(usize::from) else {
            return;
        };
        let sign = if focused {
            pen.theme.own("▸")
        } else {
            " ".to_owned()
        };
        let style = if focused {
            pen.theme.key()
        } else {
            pen.theme.dim()
        };
        pen.line(
            self.area,
            row,
            vec![styled(
                cell(&format!("{sign} {text}"), usize::from(LABEL), ""),
                style,
            )],
        );
    }

    /// Returns the area to the right of the label.
    pub fn field(&self, height: u16) -> Rect {
        let y = self
            .area
            .y
            .saturating_add(self.row.saturating_sub(self.skip));
        let rows = if self.row < self.skip {
            0
        } else {
            self.area.bottom().saturating_sub(y).min(height)
        };
        Rect {
            x: self.area.x + LABEL.min(self.area.width),
            y,
            width: self.area.width.saturating_sub(LABEL + 1),
            height: rows,
        }
    }

    fn problem(&mut self, pen: &mut DrawContext<'_>, part: &RequestPart) {
        let Some(failure) = self.form.problem(part) else {
            return;
        };
        self.wrong(pen, failure);
    }

    /// Draws the problem of the field above.
    pub fn wrong(&mut self, pen: &mut DrawContext<'_>, failure: &Failure) {
        let said = if failure.hint.is_empty() {
            failure.message.clone()
        } else {
            format!("{} - {}", failure.message, failure.hint)
        };
        let area = self.field(1);
        pen.text(area, 0, &said, pen.theme.bad());
        self.row += 1;
    }
}

fn workflow(pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
    let form = at.form;
    let focused = form.focus == FormField::Workflow;
    at.label(pen, "workflow", focused);
    let area = at.field(1);
    let about = form.preview().and_then(|ahead| {
        ahead
            .workflows
            .iter()
            .find(|(name, _)| is_named(name, &form.workflow))
    });
    let (name, text) = about.map_or((form.workflow.as_str(), ""), |(name, text)| {
        (name.as_str(), text.as_str())
    });
    let typed = if focused {
        format!("{}_  ", form.typed)
    } else {
        String::new()
    };
    let room = usize::from(area.width).saturating_sub(cells(&typed) + cells(name) + 2);
    let spans = vec![
        styled(typed, pen.theme.key()),
        styled(name, pen.theme.title()),
        styled(
            format!("  {}", cut(text, room, pen.theme.more())),
            pen.theme.dim(),
        ),
    ];
    pen.line(area, 0, spans);
    at.row += 1;
    if focused && at.area.height >= 12 {
        problem_rows(pen, at);
    }
    at.problem(pen, &RequestPart::Workflow);
}

fn is_named(full: &str, name: &str) -> bool {
    full == name || full.split('@').next() == Some(name)
}

/// Draws the workflows that match the input.
fn problem_rows(pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
    let form = at.form;
    let Some(ahead) = form.preview() else { return };
    let candidates = form.candidates();
    let top = (form.found + 1).saturating_sub(FOUND);
    for (index, (place, letters)) in candidates.iter().enumerate().skip(top).take(FOUND) {
        let Some((name, about)) = ahead.workflows.get(*place) else {
            continue;
        };
        let area = at.field(1);
        let spans = marked(
            pen,
            &format!("{name} {about}"),
            letters,
            usize::from(area.width),
        );
        pen.line(area, 0, spans);
        if index == form.found {
            pen.mark_row(area, 0, pen.theme.selected());
        }
        at.row += 1;
    }
    if candidates.is_empty() {
        let area = at.field(1);
        pen.text(area, 0, "no matching workflow", pen.theme.dim());
        at.row += 1;
    }
}

fn place(pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
    let form = at.form;
    line_field(
        pen,
        at,
        "repository",
        &form.repo,
        form.focus == FormField::Repo,
        "none: a plain directory, without commits",
    );
    at.problem(pen, &RequestPart::Repo);
    brought(pen, at);
    let current = form.preview().and_then(|ahead| ahead.place.as_ref());
    let commit = current.map(|place| {
        let commit: String = place.commit.chars().take(8).collect();
        place.branch.as_ref().map_or_else(
            || format!("commit {commit}"),
            |branch| format!("{branch} @ {commit}"),
        )
    });
    let empty = match (&commit, form.repo.is_blank()) {
        (Some(commit), _) => format!("{commit} (current branch)"),
        (None, true) => "no repository".to_owned(),
        (None, false) => "current branch".to_owned(),
    };
    line_field(
        pen,
        at,
        "base",
        &form.base,
        form.focus == FormField::Base,
        &empty,
    );
    if let (Some(commit), false, true) = (commit, form.base.is_blank(), form.is_current()) {
        let area = Rect {
            y: at.field(1).y.saturating_sub(1),
            ..at.field(1)
        };
        let taken = cells(&form.base.text()) + 3;
        pen.right(area, 0, taken, vec![styled(commit, pen.theme.dim())]);
    }
    at.problem(pen, &RequestPart::Base);
}

/// Draws the notice about `.phasedeck/` files that are not allowed yet, with the key to show them.
fn brought(pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
    let Some(asked) = at
        .form
        .preview()
        .and_then(|ahead| ahead.withheld.as_deref())
    else {
        return;
    };
    let files = if asked.files == 1 {
        "1 file".to_owned()
    } else {
        format!("{} files", asked.files)
    };
    let why = if asked.changed {
        "changed: not used"
    } else {
        "not allowed yet"
    };
    let key = pen.state.keys.display_keys(Action::FormTrust);
    let area = at.field(1);
    pen.text(
        area,
        0,
        &format!("{key}: {files} from it {why}"),
        pen.theme.waiting(),
    );
    at.row += 1;
}

/// Draws a one-line field, with a placeholder while it is empty.
pub(in crate::ui) fn line_field(
    pen: &mut DrawContext<'_>,
    at: &mut FormDrawing<'_>,
    label: &str,
    input: &TextInput,
    focused: bool,
    empty: &str,
) {
    at.label(pen, label, focused);
    let area = at.field(1);
    if focused {
        pen.widget(input.area(), area);
    } else {
        pen.text(area, 0, &input.text(), pen.theme.plain());
    }
    if input.is_blank() {
        let aside = if focused {
            Rect {
                x: area.x + 2.min(area.width),
                width: area.width.saturating_sub(2),
                ..area
            }
        } else {
            area
        };
        pen.text(aside, 0, empty, pen.theme.dim());
    }
    at.row += 1;
}

fn draw_task(pen: &mut DrawContext<'_>, at: &mut FormDrawing<'_>) {
    let form = at.form;
    let focused = form.focus == FormField::Wish;
    at.label(pen, "task", focused);
    let area = at.field(at.area.height.saturating_sub(at.row));
    if area.height < 3 {
        return pen.widget(form.wish.area(), area);
    }
    let problem = form.problem(&RequestPart::Requirements).is_some();
    let style = if focused {
        pen.theme.focus()
    } else {
        pen.theme.dim()
    };
    let inner = pen.framed(
        area,
        vec![styled(
            " Task ",
            if problem {
                pen.theme.waiting()
            } else {
                pen.theme.plain()
            },
        )],
        style,
    );
    pen.widget(form.wish.area(), inner);
    let lines = form.wish.area().lines().len();
    if lines > 1 {
        pen.foot(area, &format!("{lines} lines"), pen.theme.dim());
    }
}
