//! How one line is broken into rows of a width: after a space where one is near, between graphemes,
//! and so that a row which goes on a line stands beneath the text of it.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// One row on the screen: a stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedRow {
    /// Index of the line.
    pub line: usize,
    /// Bytes of its text.
    pub bytes: Range<usize>,
    /// Empty cells before it: a row that goes on a line stands beneath the text of it.
    pub indent: usize,
}

/// Breaks a line into rows of at most `width` cells, after a space where one is near.
#[must_use]
pub fn wrap(line: usize, text: &str, width: usize) -> Vec<WrappedRow> {
    let width = width.max(1);
    if text.len() <= width && text.is_ascii() {
        return vec![WrappedRow {
            line,
            bytes: 0..text.len(),
            indent: 0,
        }];
    }
    let (hanging, mut indent) = (hanging_indent(text, width), 0);
    let (mut rows, mut start, mut cells, mut space) = (Vec::new(), 0, 0, None);
    for (at, cluster) in text.grapheme_indices(true) {
        let wide = cluster.width();
        if indent + cells + wide > width && at > start {
            let end = space
                .filter(|end| *end > start && at - *end < width / 2)
                .unwrap_or(at);
            rows.push(WrappedRow {
                line,
                bytes: start..end,
                indent,
            });
            indent = hanging;
            (start, space) = (end, None);
            cells = cell_width(&text[start..at]);
        }
        cells += wide;
        if cluster == " " {
            space = Some(at + 1);
        }
    }
    rows.push(WrappedRow {
        line,
        bytes: start..text.len(),
        indent,
    });
    rows
}

/// How far the rows stand in that go on a line: two cells further than it, where there is room for that.
fn hanging_indent(text: &str, width: usize) -> usize {
    if let Some(told) = detail_column(text).filter(|told| *told <= width * 2 / 3) {
        return told;
    }
    let own = text.len() - text.trim_start_matches(' ').len();
    let list = ["- ", "+ ", "* "]
        .iter()
        .any(|bullet| text[own..].starts_with(bullet));
    let further = if own > 0 || list { own + 2 } else { 0 };
    if further <= width / 3 { further } else { 0 }
}

/// Where a line of a log, which begins with a time of day, says what happened: in its last column.
fn detail_column(text: &str) -> Option<usize> {
    let clock = text.get(..8).filter(|clock| {
        clock.bytes().enumerate().all(|(at, b)| {
            if at % 3 == 2 {
                b == b':'
            } else {
                b.is_ascii_digit()
            }
        })
    })?;
    let columns = text.get(clock.len()..)?.rfind("  ")? + 2;
    text.is_char_boundary(clock.len() + columns)
        .then(|| cell_width(&text[..clock.len() + columns]))
}

/// Cells as a terminal that draws cluster by cluster counts them.
#[must_use]
pub fn cell_width(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_wrap_after_a_space_and_wide_characters_stay_whole() {
        let rows = |text: &str, width| {
            wrap(0, text, width)
                .into_iter()
                .map(|row| text[row.bytes].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(rows("one two three", 8), ["one two ", "three"]);
        assert_eq!(rows("日本語", 5), ["日本", "語"]);
        assert_eq!(rows("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(rows("", 3), [""]);
    }

    #[test]
    fn a_row_that_goes_on_a_line_stands_beneath_its_text() {
        let indents = |text: &str, width| {
            wrap(0, text, width)
                .into_iter()
                .map(|row| row.indent)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            indents("  \"approach\": \"one two three four\"", 20),
            [0, 4]
        );
        assert_eq!(indents("- one two three four", 12), [0, 2]);
        assert_eq!(
            indents("+ one two three four", 12),
            [0, 2],
            "of a difference, both sides alike"
        );
        assert_eq!(
            indents(
                "12:00:00   7  phase.started  spec and more of what was told",
                45
            ),
            [0, 29],
            "what a log says stays in its column"
        );
        assert_eq!(
            indents("12:00:00 o'clock, two  gaps", 20),
            [0, 0],
            "a column beyond the middle is none"
        );
        assert_eq!(
            indents("one two three four", 12),
            [0, 0],
            "prose keeps its edge"
        );
        assert_eq!(
            indents("        deep in here", 12),
            [0, 0],
            "where it is narrow, every cell is for the text"
        );
    }

    proptest! {
        #[test]
        fn rows_are_the_line_and_fit(text in "\\PC{0,60}", width in 2usize..12) {
            let rows = wrap(0, &text, width);
            let joined: String = rows.iter().map(|row| &text[row.bytes.clone()]).collect();
            prop_assert_eq!(&joined, &text);
            for row in &rows {
                let piece = &text[row.bytes.clone()];
                prop_assert!(row.indent + cell_width(piece) <= width || piece.graphemes(true).count() <= 1, "{piece:?}");
            }
        }
    }
}
