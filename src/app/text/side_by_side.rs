//! Two texts side by side: what differs between them with a little of what does not, in two columns.
//!
//! Comparing is done once; laying it out for a width is done for each width. The sign between the
//! columns says what the colours say: `|` differs, `<` only left, `>` only right.

use similar::{DiffOp, TextDiff};

use super::document::{DocLine, LineKind, TextDocument, normalize_for_diff};
use crate::app::text::highlight::Highlight;
use crate::app::text::wrap::{cell_width, wrap};
use crate::model::safe_text::safe_line;

/// Unchanged lines around a change.
const AROUND: usize = 3;
/// Rows that are compared at most; a pager shows longer texts better.
const MOST: usize = 5000;
/// Cells between the columns.
const GUTTER: usize = 3;

/// A row of both texts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DiffRow {
    /// Both have it.
    Same(String, String),
    /// They differ here; where one is absent, only the other has it.
    Differ(Option<String>, Option<String>),
    /// Here lines are left out in which they do not differ, before this line of the left text.
    Gap(usize),
    /// So many more rows are not shown.
    More(usize),
}

/// Two texts, compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideBySide {
    rows: Vec<DiffRow>,
}

impl SideBySide {
    /// Compares two contents line by line, JSON laid out.
    #[must_use]
    pub fn new(left: &[u8], right: &[u8]) -> Self {
        let (left, right) = (normalize_for_diff(left), normalize_for_diff(right));
        let diff = TextDiff::configure()
            .timeout(super::document::PATIENCE)
            .diff_lines(&left, &right);
        let shown = |line: &str| safe_line(line.trim_end_matches(['\n', '\r']));
        let mut rows = Vec::new();
        for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
            let first = group.first().map_or(0, |op| op.old_range().start);
            if index > 0 || first > 0 {
                rows.push(DiffRow::Gap(first + 1));
            }
            for op in group {
                let (old, new) = (op.old_range(), op.new_range());
                let same = matches!(op, DiffOp::Equal { .. });
                for at in 0..old.len().max(new.len()) {
                    let left = diff
                        .old_slice(old.start + at)
                        .filter(|_| at < old.len())
                        .map(shown);
                    let right = diff
                        .new_slice(new.start + at)
                        .filter(|_| at < new.len())
                        .map(shown);
                    rows.push(match (same, left, right) {
                        (true, Some(left), Some(right)) => DiffRow::Same(left, right),
                        (_, left, right) => DiffRow::Differ(left, right),
                    });
                }
            }
        }
        let more = rows.len().saturating_sub(MOST);
        if more > 0 {
            rows.truncate(MOST);
            rows.push(DiffRow::More(more));
        }
        Self { rows }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds it to a document of so many columns.
    pub fn push_to(&self, doc: &mut TextDocument, columns: usize) {
        let width = columns.saturating_sub(GUTTER) / 2;
        for row in &self.rows {
            match row {
                DiffRow::Gap(line) => doc.push(LineKind::Note, &format!("@@ line {line}")),
                DiffRow::More(more) => doc.push(
                    LineKind::Note,
                    &format!("{more} more rows; the pager shows each text whole"),
                ),
                DiffRow::Same(left, right) => {
                    push_row(doc, width, (left, None), ' ', (right, None))
                }
                DiffRow::Differ(left, right) => {
                    let sign = match (left, right) {
                        (Some(_), Some(_)) => '|',
                        (Some(_), None) => '<',
                        _ => '>',
                    };
                    let text = |side: &Option<String>| side.clone().unwrap_or_default();
                    push_row(
                        doc,
                        width,
                        (&text(left), Some(Highlight::Removed)),
                        sign,
                        (&text(right), Some(Highlight::Added)),
                    );
                }
            }
        }
    }
}

/// One row of two cells, in as many lines as the longer one takes.
fn push_row(
    doc: &mut TextDocument,
    width: usize,
    left: (&str, Option<Highlight>),
    sign: char,
    right: (&str, Option<Highlight>),
) {
    let (cells_left, cells_right) = (split_columns(left.0, width), split_columns(right.0, width));
    for at in 0..cells_left.len().max(cells_right.len()) {
        let (mut text, mut tints) = (String::new(), Vec::new());
        push_cells(&mut text, &mut tints, cells_left.get(at), left.1);
        text.push_str(&" ".repeat(width.saturating_sub(cell_width(&text))));
        text.extend([' ', sign, ' ']);
        push_cells(&mut text, &mut tints, cells_right.get(at), right.1);
        text.truncate(text.trim_end().len());
        doc.lines.push(DocLine {
            ink: LineKind::Plain,
            text,
            tints,
            detail: false,
        });
    }
}

fn split_columns(text: &str, width: usize) -> Vec<String> {
    wrap(0, text, width)
        .into_iter()
        .map(|row| {
            format!(
                "{:indent$}{}",
                "",
                text[row.bytes].trim_end(),
                indent = row.indent
            )
        })
        .collect()
}

fn push_cells(
    text: &mut String,
    tints: &mut Vec<(std::ops::Range<usize>, Highlight)>,
    piece: Option<&String>,
    tint: Option<Highlight>,
) {
    let Some(piece) = piece else { return };
    let from = text.len();
    text.push_str(piece);
    if let Some(tint) = tint.filter(|_| !piece.trim().is_empty()) {
        tints.push((from..text.len(), tint));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(left: &str, right: &str, columns: usize) -> Vec<String> {
        let mut doc = TextDocument::default();
        SideBySide::new(left.as_bytes(), right.as_bytes()).push_to(&mut doc, columns);
        doc.lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn what_differs_stands_beside_and_the_sign_says_how() {
        assert_eq!(
            lines("one\ntwo\nthree\nfour\n", "one\n2\nthree\nfour\nfive\n", 21),
            [
                "one         one",
                "two       | 2",
                "three       three",
                "four        four",
                "          > five"
            ]
        );
        assert_eq!(lines("a\nb\n", "a\n", 11), ["a      a", "b    <"]);
        assert!(
            SideBySide::new(br#"{"a":1}"#, br#"{ "a": 1 }"#).is_empty(),
            "only its layout differs"
        );
    }

    #[test]
    fn a_long_line_goes_on_in_its_own_column_and_what_is_the_same_is_left_out() {
        assert_eq!(
            lines("alpha beta gamma", "alpha", 19),
            ["alpha    | alpha", "beta     |", "gamma    |"]
        );
        let same = "same\n".repeat(20);
        let told = lines(&format!("{same}old\n"), &format!("{same}new\n"), 23);
        assert_eq!(
            (told[0].as_str(), told.len(), told[4].as_str()),
            ("@@ line 18", 5, "old        | new")
        );
    }

    proptest! {
        #[test]
        fn every_line_fits_and_the_columns_are_straight(left in "(\\PC{0,12}\n){0,4}", right in "(\\PC{0,12}\n){0,4}", columns in 13usize..50) {
            let mut doc = TextDocument::default();
            SideBySide::new(left.as_bytes(), right.as_bytes()).push_to(&mut doc, columns);
            let width = (columns - GUTTER) / 2;
            for line in doc.lines.iter().filter(|line| line.ink == LineKind::Plain) {
                prop_assert!(cell_width(&line.text) <= columns, "{:?}", line.text);
                for (range, tint) in &line.tints {
                    let piece = line.text.get(range.clone());
                    prop_assert!(piece.is_some());
                    let begins = cell_width(&line.text[..range.start]);
                    prop_assert_eq!(begins, if *tint == Highlight::Removed { 0 } else { width + GUTTER });
                }
            }
        }
    }
}
