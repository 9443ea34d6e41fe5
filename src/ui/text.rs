//! Text for the screen: sanitized, measured in cells, truncated at grapheme boundaries.

use ratatui::style::Style;
use ratatui::text::Span;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::model::safe_text::safe_line;

/// Creates a span; the only way in which text becomes a span.
#[must_use]
pub fn styled(text: impl AsRef<str>, style: Style) -> Span<'static> {
    Span::styled(safe_line(text.as_ref()), style)
}

/// Returns the width of a text in cells.
#[must_use]
pub fn cells(text: &str) -> usize {
    // Fast path: most texts are ASCII, and a frame measures thousands.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.len();
    }
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// Sanitizes a text and truncates it to `width` cells, ending in `more` if truncated.
#[must_use]
pub fn cut(text: &str, width: usize, more: &str) -> String {
    let text = safe_line(text);
    if cells(&text) <= width {
        return text;
    }
    let room = width.saturating_sub(cells(more));
    let (mut out, mut used) = (String::new(), 0);
    for cluster in text.graphemes(true) {
        used += cluster.width();
        if used > room {
            break;
        }
        out.push_str(cluster);
    }
    if width >= cells(more) {
        out.push_str(more);
    }
    out
}

/// Like [`cut`], but truncates at the front, for paths.
#[must_use]
pub fn cut_front(text: &str, width: usize, more: &str) -> String {
    let text = safe_line(text);
    if cells(&text) <= width {
        return text;
    }
    if width < cells(more) {
        return String::new();
    }
    let (mut from, mut used) = (text.len(), cells(more));
    for (at, cluster) in text.grapheme_indices(true).rev() {
        used += cells(cluster);
        if used > width {
            break;
        }
        from = at;
    }
    format!("{more}{}", &text[from..])
}

/// Truncates or pads a text on the right to exactly `width` cells.
#[must_use]
pub fn cell(text: &str, width: usize, more: &str) -> String {
    let mut out = cut(text, width, more);
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(cells(&out))));
    out
}

/// Like [`cell`], but pads on the left.
#[must_use]
pub fn cell_right(text: &str, width: usize, more: &str) -> String {
    let out = cut(text, width, more);
    format!("{}{out}", " ".repeat(width.saturating_sub(cells(&out))))
}

/// Like [`wrapped`], but with a maximum number of lines; the last one ends in `more` if truncated.
#[must_use]
pub fn wrapped_within(text: &str, width: usize, rows: usize, more: &str) -> Vec<String> {
    let mut lines = wrapped(text, width);
    if lines.len() > rows {
        let rest = lines.split_off(rows.saturating_sub(1)).join(" ");
        if rows > 0 {
            lines.push(cut(&rest, width, more));
        }
    }
    lines
}

/// Wraps a text at words to `width` cells; longer words are broken.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let (mut line, mut used) = (String::new(), 0);
        for word in safe_line(paragraph).split_inclusive(' ') {
            if used + cells(word.trim_end()) > width && used > 0 {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
                if word.trim().is_empty() {
                    continue;
                }
            }
            for cluster in word.graphemes(true) {
                // A space at the end of a line is not carried to the next.
                if cluster == " " && used >= width {
                    continue;
                }
                if used + cluster.width() > width && used > 0 {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push_str(cluster);
                used += cluster.width();
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_that_have_no_room_are_cut_and_it_is_said_where() {
        let told = |rows, width| wrapped_within("one two three four", width, rows, "…");
        assert_eq!(told(9, 9), ["one two", "three", "four"]);
        assert_eq!(told(2, 9), ["one two", "three fo…"]);
        assert_eq!(told(1, 7), ["one tw…"]);
        assert_eq!(told(0, 7), Vec::<String>::new());
    }

    #[test]
    fn a_cut_falls_between_graphemes_and_says_so() {
        assert_eq!(cut("日本語", 5, "…"), "日本…");
        assert_eq!(cut("日本語", 4, "…"), "日…");
        assert_eq!(cell("日本語", 4, "…"), "日… ");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2, "…"), "e\u{301}…");
        assert_eq!(cut("abc", 0, "…"), "");
        assert_eq!(cut_front("/home/op/shop", 6, "…"), "…/shop");
        assert_eq!(cut_front("日本語", 4, "…"), "…語");
        assert_eq!(
            (cut_front("abc", 3, "…"), cut_front("abc", 0, "…")),
            ("abc".to_owned(), String::new())
        );
        assert_eq!(cell_right("7", 3, "…"), "  7");
    }

    #[test]
    fn words_wrap_whole_where_they_can() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(
            wrapped("is lost, and", 7),
            ["is", "lost,", "and"],
            "a comma stays with its word"
        );
        assert_eq!(wrapped("is lost, and", 8), ["is lost,", "and"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
    }

    proptest! {
        #[test]
        fn a_plain_text_takes_what_its_graphemes_take(text in "[ -~é日👩]{0,12}") {
            prop_assert_eq!(cells(&text), text.graphemes(true).map(UnicodeWidthStr::width).sum::<usize>());
        }

        #[test]
        fn a_cell_has_its_width_whatever_is_in_it(text in any::<String>(), width in 0usize..40) {
            prop_assert_eq!(cells(&cell(&text, width, "…")), width);
        }
    }
}
