//! Renders a screen as SVG, cell by cell.
//!
//! The colours approximate xterm's 16. Text is laid out on a fixed grid, so that columns align in
//! any font.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::text::cells;
use crate::model::settings::ThemeName;

/// Width and height of a cell, and where in it letters stand, in pixels.
const CELL: (f32, f32) = (8.4, 18.0);
const BASELINE: f32 = 13.5;
const MARGIN: f32 = 10.0;

/// The colours of a terminal.
#[derive(Clone, Copy, Debug)]
pub struct SvgPalette {
    /// Of letters without a colour.
    pub foreground: [u8; 3],
    /// Behind them.
    pub background: [u8; 3],
}

/// Near xterm's 16; its light blue is a shade lighter, as other terminals have it.
const XTERM: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [104, 104, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

impl SvgPalette {
    /// What a terminal with such a theme looks like.
    #[must_use]
    pub fn render_svg(theme: ThemeName) -> Self {
        match theme {
            ThemeName::Light => Self {
                foreground: [0, 0, 0],
                background: [255, 255, 255],
            },
            ThemeName::Dark | ThemeName::Contrast => Self {
                foreground: [229, 229, 229],
                background: [0, 0, 0],
            },
        }
    }

    /// What a colour of letters looks like.
    #[must_use]
    pub fn rgb(&self, color: Color) -> [u8; 3] {
        use Color::{
            Black, Blue, Cyan, DarkGray, Gray, Green, LightBlue, LightCyan, LightGreen,
            LightMagenta, LightRed,
        };
        use Color::{LightYellow, Magenta, Red, White, Yellow};
        const ORDER: [Color; 16] = [
            Black,
            Red,
            Green,
            Yellow,
            Blue,
            Magenta,
            Cyan,
            Gray,
            DarkGray,
            LightRed,
            LightGreen,
            LightYellow,
            LightBlue,
            LightMagenta,
            LightCyan,
            White,
        ];
        ORDER
            .iter()
            .position(|known| *known == color)
            .map_or(self.foreground, |at| XTERM[at])
    }

    fn of_cell(&self, cell: &Cell) -> CellStyle {
        let background = if cell.bg == Color::Reset {
            self.background
        } else {
            self.rgb(cell.bg)
        };
        let mut looks = CellStyle {
            ink: self.rgb(cell.fg),
            behind: background,
            bold: cell.modifier.contains(Modifier::BOLD),
            underlined: false,
        };
        if cell.modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut looks.ink, &mut looks.behind);
        }
        if cell.modifier.contains(Modifier::DIM) {
            looks.ink = std::array::from_fn(|i| blend(looks.ink[i], looks.behind[i]));
        }
        looks.underlined = cell.modifier.contains(Modifier::UNDERLINED);
        looks
    }
}

/// Faint letters: two thirds of the way from what lies behind.
fn blend(ink: u8, behind: u8) -> u8 {
    u8::try_from((u16::from(ink) * 2 + u16::from(behind)) / 3).unwrap_or(ink)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CellStyle {
    ink: [u8; 3],
    behind: [u8; 3],
    bold: bool,
    underlined: bool,
}

/// A stretch of a row that looks the same.
struct StyledRun {
    column: usize,
    width: usize,
    text: String,
    looks: CellStyle,
}

/// The picture of a screen.
#[must_use]
pub fn svg(buf: &Buffer, palette: &SvgPalette, title: &str) -> String {
    let size = (
        span(buf.area.width.into(), CELL.0) + 2.0 * MARGIN,
        span(buf.area.height.into(), CELL.1) + 2.0 * MARGIN,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.1}\" height=\"{1:.1}\" viewBox=\"0 0 {0:.1} {1:.1}\" role=\"img\">\n\
         <title>{2}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{3}\"/>\n\
         <g font-family=\"'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n",
        size.0,
        size.1,
        escaped(title),
        hex(palette.background)
    );
    for (row, cells) in buf
        .content
        .chunks(usize::from(buf.area.width.max(1)))
        .enumerate()
    {
        for stretch in stretches(cells, palette) {
            draw(&mut out, row, &stretch, palette);
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a terminal has far fewer cells than a float has whole numbers"
)]
fn span(count: usize, of: f32) -> f32 {
    count as f32 * of
}

fn stretches(row: &[Cell], palette: &SvgPalette) -> Vec<StyledRun> {
    let mut found: Vec<StyledRun> = Vec::new();
    let mut covered = 0;
    for (column, cell) in row.iter().enumerate() {
        if covered > 0 {
            covered -= 1;
            continue;
        }
        let (looks, width) = (palette.of_cell(cell), cells(cell.symbol()).max(1));
        covered = width - 1;
        // A wide letter, or one that fonts may draw wider or narrower, stands alone, so that what follows stands right.
        let alone = |text: &str| !text.is_ascii();
        match found.last_mut() {
            Some(last)
                if last.looks == looks
                    && (same_shape(&last.text, cell.symbol())
                        || !alone(cell.symbol()) && !alone(&last.text)) =>
            {
                last.text.push_str(cell.symbol());
                last.width += width;
            }
            _ => found.push(StyledRun {
                column,
                width,
                text: cell.symbol().to_owned(),
                looks,
            }),
        }
    }
    found
}

/// Lines and blocks that join: many of them are one long one.
fn same_shape(text: &str, next: &str) -> bool {
    matches!(next, "─" | "█" | "▒" | "░") && text.starts_with(next)
}

fn draw(out: &mut String, row: usize, stretch: &StyledRun, palette: &SvgPalette) {
    let (x, y) = (
        MARGIN + span(stretch.column, CELL.0),
        MARGIN + span(row, CELL.1),
    );
    let (width, looks) = (span(stretch.width, CELL.0), stretch.looks);
    // Writing to a string does not fail.
    if looks.behind != palette.background {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
            CELL.1,
            hex(looks.behind)
        );
    }
    if frame(out, &stretch.text, (x, y), width, looks) || stretch.text.trim().is_empty() {
        return;
    }
    let weight = if looks.bold {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let line = if looks.underlined {
        " text-decoration=\"underline\""
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{weight}{line}>{}</text>",
        y + BASELINE,
        hex(looks.ink),
        escaped(&stretch.text)
    );
}

/// Lines and blocks are drawn, not written: no font joins them from row to row. Whether it was one.
fn frame(out: &mut String, text: &str, (x, y): (f32, f32), width: f32, looks: CellStyle) -> bool {
    let (mid, low) = (x + CELL.0 / 2.0, y + CELL.1 / 2.0);
    let (right, bottom) = (x + width, y + CELL.1);
    let path = match text {
        _ if text.starts_with('─') => format!("M{x:.1} {low:.1}H{right:.1}"),
        "│" => format!("M{mid:.1} {y:.1}V{bottom:.1}"),
        "╭" => format!("M{mid:.1} {bottom:.1}Q{mid:.1} {low:.1} {right:.1} {low:.1}"),
        "╮" => format!("M{mid:.1} {bottom:.1}Q{mid:.1} {low:.1} {x:.1} {low:.1}"),
        "╰" => format!("M{mid:.1} {y:.1}Q{mid:.1} {low:.1} {right:.1} {low:.1}"),
        "╯" => format!("M{mid:.1} {y:.1}Q{mid:.1} {low:.1} {x:.1} {low:.1}"),
        _ => return block(out, text, (x, y), width, looks),
    };
    let _ = writeln!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{}\"/>",
        hex(looks.ink)
    );
    true
}

fn block(out: &mut String, text: &str, (x, y): (f32, f32), width: f32, looks: CellStyle) -> bool {
    const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(letter) = text
        .chars()
        .next()
        .filter(|first| text.chars().all(|c| c == *first))
    else {
        return false;
    };
    let (height, opacity) = match letter {
        '░' => (CELL.1, 0.25),
        '▒' => (CELL.1, 0.5),
        _ => match EIGHTHS.iter().position(|block| *block == letter) {
            Some(eighth) => (span(eighth + 1, CELL.1 / 8.0), 1.0),
            None => return false,
        },
    };
    let top = y + CELL.1 - height;
    let fill = hex(looks.ink);
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>"
    );
    true
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn every_letter_stands_in_its_column_with_its_colour() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 8, 1));
        buf.set_string(0, 0, "a<日b", Style::new().fg(Color::Cyan));
        let palette = SvgPalette::render_svg(ThemeName::Dark);
        let svg = svg(&buf, &palette, "t");
        let texts: Vec<&str> = svg
            .lines()
            .filter(|line| line.starts_with("<text"))
            .collect();
        let at = |column: usize| format!("x=\"{:.1}\"", MARGIN + span(column, CELL.0));
        assert_eq!(texts.len(), 3, "{texts:#?}");
        assert!(
            texts[0].contains(&at(0))
                && texts[0].contains(">a&lt;<")
                && texts[0].contains("#00cdcd"),
            "{}",
            texts[0]
        );
        assert!(
            texts[1].contains(&at(2))
                && texts[1].contains(&format!("textLength=\"{:.1}\"", 2.0 * CELL.0)),
            "{}",
            texts[1]
        );
        assert!(texts[2].contains(&at(4)), "{}", texts[2]);
    }
}
