//! The panes of a run that are not event lists: phases, artifact, cost, transcript.

use super::{events, phases, transcript};
use crate::app::mouse::MouseTarget;
use crate::app::screens::run::state::{ArtifactView, RunPane, RunScreen};
use crate::model::record::ArtifactRecord;
use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::layout::PaneLayout;
use crate::ui::modal;
use crate::ui::screens::run::cost;
use crate::ui::text::{cells, cut, styled, wrapped};
use crate::ui::theme::StatusGlyph;
use crate::ui::truncate::{LinePart, fitted};
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Draws a pane with its frame.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen, pane: RunPane) {
    pen.place(area, MouseTarget::Pane(pane));
    match pane {
        RunPane::Events => return events::draw(pen, area, run),
        RunPane::Transcript => return transcript::draw(pen, area, run),
        _ => {}
    }
    let mut title = title(pen, run, pane);
    if pane == RunPane::Artifact {
        let found = modal::reader::sought(
            pen,
            &run.artifact.search,
            run.artifact.reading.as_ref(),
            usize::from(area.width / 2),
        );
        // Hash and schema give way first: what was typed and how often it is there is asked for now.
        let ranks = [0, 0, 2, 4, 1, 5].into_iter().chain(std::iter::repeat(3));
        let parts = title
            .into_iter()
            .zip(ranks)
            .map(|(span, rank)| LinePart::of(rank, vec![span]))
            .chain([LinePart::of(0, found)]);
        title = fitted(parts.collect(), usize::from(area.width).saturating_sub(2));
    }
    let inner = pen.panel(area, title, run.focus == pane);
    match pane {
        RunPane::Phases => phases::draw(pen, inner, run),
        RunPane::Artifact => artifact(pen, area, inner, run),
        RunPane::Cost => cost::draw(pen, inner, run),
        RunPane::Events | RunPane::Transcript => {}
    }
}

/// Number, name, and what the pane is about.
pub fn title(pen: &DrawContext<'_>, run: &RunScreen, pane: RunPane) -> Vec<Span<'static>> {
    let theme = pen.theme;
    let mut spans = vec![
        styled(format!(" {} ", pane.number()), theme.key()),
        styled(format!("{} ", pane.title()), theme.title()),
    ];
    if pane == RunPane::Artifact
        && let Some(shown) = run.version()
    {
        spans.extend(version(pen, shown));
    }
    spans
}

/// Path, version, schema, verdict, hash.
pub fn version(pen: &DrawContext<'_>, shown: &ArtifactRecord) -> Vec<Span<'static>> {
    let theme = pen.theme;
    let verdict = if shown.valid {
        styled(
            format!("{} valid ", theme.glyph(StatusGlyph::Done)),
            theme.good(),
        )
    } else {
        styled(
            format!(
                "{} {} ",
                theme.glyph(StatusGlyph::Failed),
                error_summary(shown)
            ),
            theme.bad(),
        )
    };
    vec![
        styled(
            format!(" {} v{}  ", shown.path, shown.version),
            theme.plain(),
        ),
        styled(format!("{}  ", shown.schema), theme.dim()),
        verdict,
        styled(format!(" {} ", shown.sha256.short()), theme.dim()),
    ]
}

fn artifact(pen: &mut DrawContext<'_>, frame: Rect, area: Rect, run: &RunScreen) {
    if run.version().is_none() && run.artifact.side != ArtifactView::Transcript {
        return no_artifact(pen, area, run);
    }
    let area = modal::reader::typed(
        pen,
        layout::inset(area),
        &run.artifact.search,
        run.artifact.reading.as_ref(),
    );
    pen.drawn.reading = Some((area.width, area.height));
    match &run.artifact.reading {
        Some(reading) => {
            modal::reader::draw(pen, area, reading);
            modal::reader::foot(pen, frame, reading);
        }
        None => pen.text(area, 0, &pen.theme.own(" loading …"), pen.theme.dim()),
    }
    sides(pen, frame, run);
}

/// Which version of how many, and what can be shown of it, in the lower frame on the left.
fn sides(pen: &mut DrawContext<'_>, frame: Rect, run: &RunScreen) {
    if frame.height < 3 || frame.width < 24 {
        return;
    }
    let (theme, shown) = (pen.theme, run.version());
    let versions = run.versions().len();
    let mut parts = Vec::new();
    if let Some(shown) = shown.filter(|_| versions > 1) {
        parts.push(LinePart::new(
            1,
            theme.dim(),
            format!(" v{} of {versions} ", shown.version),
        ));
    }
    for side in run.artifact_views() {
        let style = if side == run.artifact.side {
            theme.selected()
        } else {
            theme.dim()
        };
        parts.push(LinePart::new(
            if side == run.artifact.side { 0 } else { 2 },
            style,
            format!(" {} ", run.view_name(side)),
        ));
    }
    let room = frame.width.saturating_sub(22);
    let place = Rect {
        x: frame.x + 2,
        y: frame.y + frame.height - 1,
        width: room,
        height: 1,
    };
    let spans = fitted(parts, usize::from(room));
    pen.line(place, 0, spans);
}

fn error_summary(shown: &ArtifactRecord) -> String {
    match shown.errors.len() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    }
}

fn no_artifact(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let Some(known) = &run.opened else {
        return pen.text(area, 0, &pen.theme.own(" loading …"), pen.theme.dim());
    };
    if let Err(failure) = &known.workflow {
        pen.text(area, 0, &format!(" {failure}"), pen.theme.bad());
        return pen.text(area, 1, &format!(" {}", failure.hint), pen.theme.dim());
    }
    let phase = run.phase_key().and_then(|key| known.phase(key));
    let Some(phase) = phase else { return };
    let expected = phase.expected_artifact.as_ref();
    let line = expected.map_or_else(
        || "produces no artifact".to_owned(),
        |e| format!("will write {} ({})", e.path, e.schema),
    );
    pen.text(
        area,
        0,
        &format!(" {}: {line}", phase.label()),
        pen.theme.plain(),
    );
    for (row, text) in wrapped(
        &phase.instructions,
        usize::from(area.width).saturating_sub(2),
    )
    .iter()
    .enumerate()
    {
        pen.text(area, row + 2, &format!(" {text}"), pen.theme.dim());
    }
}

/// The phases in one line, as far as they fit; else only where it is.
pub fn strip(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let Some(state) = run.state() else { return };
    let theme = pen.theme;
    let mut spans = vec![styled(" ", theme.plain())];
    for (index, phase) in state.phases.iter().enumerate() {
        let mark = StatusGlyph::from_phase(phase, state.status);
        if index > 0 {
            spans.push(pen.aside(" ─ "));
        }
        spans.push(styled(
            format!("{} {}", theme.glyph(mark), phase.key),
            theme.mark_style(mark),
        ));
    }
    let width: usize = spans.iter().map(|span| cells(&span.content)).sum();
    let (columns, rows) = pen.state.look.size;
    let short = PaneLayout::for_size(Rect::new(0, 0, columns, rows)) == PaneLayout::OnePane;
    if width <= usize::from(area.width) && !short {
        return pen.line(area, 0, spans);
    }
    let at = run.phase_index();
    let Some(phase) = state.phases.get(at) else {
        return;
    };
    let mark = StatusGlyph::from_phase(phase, state.status);
    let text = format!(
        " {}/{} {} {}",
        at + 1,
        state.phases.len(),
        phase.key,
        theme.glyph(mark)
    );
    pen.text(
        area,
        0,
        &cut(&text, usize::from(area.width), theme.more()),
        theme.mark_style(mark),
    );
}
