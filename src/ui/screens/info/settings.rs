//! The effective settings, each with its value and its source.

use crate::ui::draw_context::DrawContext;
use crate::ui::layout;
use crate::ui::text::{cell, cut, styled};
use ratatui::layout::Rect;

/// Draws the settings screen.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect) {
    let settings = &pen.state.settings;
    let [head, body] = layout::top(area, 3);
    pen.text(
        head,
        0,
        &format!(
            " File: {}; variables override it, flags override both.",
            settings.file
        ),
        pen.theme.dim(),
    );
    let width = usize::from(area.width).saturating_sub(2);
    let (path, value) = (32.min(width * 2 / 5), 24.max(width / 3));
    let rest = width.saturating_sub(path + value);
    let more = pen.theme.more();
    let heading = format!(
        " {}{}{}",
        cell("SETTING", path, ""),
        cell("VALUE", value, ""),
        cell("FROM", rest, "")
    );
    pen.line(head, 2, vec![styled(heading, pen.theme.dim())]);
    pen.drawn.list = Some(body.height);
    for (row, line) in settings
        .lines
        .iter()
        .skip(settings.top)
        .take(usize::from(body.height))
        .enumerate()
    {
        let ours = !line.origin.is_empty();
        let (name, from) = if ours {
            (pen.theme.title(), short(&line.origin, &settings.file))
        } else {
            (pen.theme.plain(), "built in")
        };
        let spans = vec![
            styled(
                format!(
                    " {}",
                    cell(&cut(&line.path, path.saturating_sub(1), more), path, more)
                ),
                name,
            ),
            styled(
                cell(
                    &cut(&line.value, value.saturating_sub(1), more),
                    value,
                    more,
                ),
                pen.theme.data_value(),
            ),
            styled(
                cut(from, rest, more),
                if ours {
                    pen.theme.plain()
                } else {
                    pen.theme.dim()
                },
            ),
        ];
        pen.line(body, row, spans);
    }
    let below = settings
        .lines
        .len()
        .saturating_sub(settings.top + usize::from(body.height));
    if below > 0 {
        pen.right(
            head,
            2,
            0,
            vec![styled(format!("{below} more below "), pen.theme.dim())],
        );
    }
}

/// The settings file is named above: its name and the line are enough.
fn short<'a>(origin: &'a str, file: &str) -> &'a str {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    origin
        .strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(origin)
}
