//! Text tables with aligned columns, including wide characters and colored cells.

use unicode_width::UnicodeWidthStr;

use super::style::{OutputStyle, TextTone};
use crate::model::safe_text::safe_line;

/// One field: foreign text made safe, and its colour.
#[derive(Clone, Debug)]
pub struct TableCell {
    text: String,
    tone: TextTone,
    right: bool,
}

impl TableCell {
    /// Text, made safe.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: safe_line(text.as_ref()),
            tone: TextTone::Plain,
            right: false,
        }
    }

    /// In this colour.
    #[must_use]
    pub fn tone(mut self, tone: TextTone) -> Self {
        self.tone = tone;
        self
    }

    /// Against the right edge of its column.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// At most `width` columns wide, with `…` where something was cut.
    #[must_use]
    pub fn at_most(mut self, width: usize, ascii: bool) -> Self {
        self.text = shortened(&self.text, width, if ascii { "~" } else { "…" });
        self
    }

    fn render(&self, width: usize, last: bool, style: OutputStyle) -> String {
        let gap = " ".repeat(width.saturating_sub(self.text.width()));
        let text = style.paint(self.tone, &self.text);
        match (self.right, last) {
            (true, _) => gap + &text,
            (false, true) => text,
            (false, false) => text + &gap,
        }
    }
}

/// Rows beneath headings.
#[derive(Clone, Debug)]
pub struct TextTable {
    rows: Vec<Vec<TableCell>>,
}

impl TextTable {
    /// A table with these headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![
                headings
                    .iter()
                    .map(|heading| TableCell::new(heading).tone(TextTone::Quiet))
                    .collect(),
            ],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<TableCell>) {
        self.rows.push(cells);
    }

    /// The lines, each ended by a line break, `indent` columns from the left.
    #[must_use]
    pub fn render(&self, indent: usize, style: OutputStyle) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.text.width())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(at, (cell, width))| cell.render(*width, at + 1 == row.len(), style))
                .collect();
            text.push_str(&" ".repeat(indent));
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// `text` in at most `width` columns; `mark` stands where something was cut.
#[must_use]
pub fn shortened(text: &str, width: usize, mark: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(mark.width());
    let mut kept = String::new();
    for grapheme in unicode_segmentation::UnicodeSegmentation::graphemes(text, true) {
        if kept.width() + grapheme.width() > room {
            break;
        }
        kept.push_str(grapheme);
    }
    kept + mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_straight_with_wide_characters_and_colours() {
        let mut table = TextTable::new(&["RUN", "WHAT", "COST"]);
        table.row(vec![
            TableCell::new("7f3a"),
            TableCell::new("買い物かご"),
            TableCell::new("$0.41").right(),
        ]);
        table.row(vec![
            TableCell::new("7f3a99"),
            TableCell::new("cart\u{1b}[2J"),
            TableCell::new("$12.00").right(),
        ]);
        insta::assert_snapshot!(table.render(1, OutputStyle::default()), @r"
         RUN     WHAT        COST
         7f3a    買い物かご   $0.41
         7f3a99  cart␛[2J    $12.00
        ");
        let plain = table.render(0, OutputStyle::default());
        let colored = table.render(
            0,
            OutputStyle {
                color: true,
                ascii: false,
            },
        );
        assert_eq!(
            colored.replace("\u{1b}[2m", "").replace("\u{1b}[0m", ""),
            plain
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("買い物かご", 6, "…"), "買い…");
        assert_eq!(shortened("cart", 4, "…"), "cart");
        assert_eq!(shortened("carts", 4, "…"), "car…");
    }
}
