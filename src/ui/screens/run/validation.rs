//! The validation result of each stored artifact version, newest first.

use crate::app::screens::run::state::RunScreen;
use crate::model::record::ArtifactRecord;
use crate::ui::draw_context::DrawContext;
use crate::ui::text::{cell, styled};
use crate::ui::theme::StatusGlyph;
use ratatui::layout::Rect;

/// Draws the framed panel.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let theme = pen.theme;
    let versions = run.versions();
    let schema = versions
        .last()
        .map(|newest| newest.schema.to_string())
        .unwrap_or_default();
    let title = vec![
        styled(" Schema ", theme.title()),
        styled(
            if schema.is_empty() {
                schema
            } else {
                format!("{schema} ")
            },
            theme.dim(),
        ),
    ];
    let inner = pen.panel(area, title, false);
    if versions.is_empty() {
        return pen.text(inner, 0, " nothing to check yet", theme.dim());
    }
    let mut row = 0;
    for (index, version) in versions.iter().enumerate().rev() {
        let repaired = version.valid && index > 0 && !versions[index - 1].valid;
        verdict(pen, inner, row, version, repaired);
        row += 1;
        for error in &version.errors {
            let place = if error.pointer.is_empty() {
                "(whole document)"
            } else {
                &error.pointer
            };
            pen.text(
                inner,
                row,
                &format!("      {place}: {}", error.message),
                theme.dim(),
            );
            row += 1;
        }
    }
}

fn verdict(
    pen: &mut DrawContext<'_>,
    area: Rect,
    row: usize,
    version: &ArtifactRecord,
    repaired: bool,
) {
    let theme = pen.theme;
    let (mark, word) = match (version.valid, repaired, version.errors.len()) {
        (true, true, _) => (StatusGlyph::Done, "valid after repair".to_owned()),
        (true, false, _) => (StatusGlyph::Done, "valid".to_owned()),
        (false, _, 1) => (StatusGlyph::Failed, "1 error".to_owned()),
        (false, _, count) => (StatusGlyph::Failed, format!("{count} errors")),
    };
    let spans = vec![
        styled(format!(" {} ", theme.glyph(mark)), theme.mark_style(mark)),
        styled(
            cell(&format!("v{}", version.version), 5, theme.more()),
            theme.plain(),
        ),
        styled(cell(&word, 20, theme.more()), theme.mark_style(mark)),
        styled(
            format!("{}  {}", version.sha256.short(), version.path),
            theme.dim(),
        ),
    ];
    pen.line(area, row, spans);
}
