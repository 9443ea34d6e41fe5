//! The one filter that all foreign text passes before it reaches a screen, a log or stdout.
//!
//! Model output, file contents, names and error messages are written by others, and a terminal
//! obeys and hides: escapes move the cursor, bidi controls reorder what a reviewer reads, invisible
//! characters carry what nobody sees. Here each becomes a visible mark, and nothing is dropped
//! without one. What the filter lets through is stable: filtering twice changes nothing.
//! Escaping for a format (markdown, a shell) is not its job.

use std::fmt;
use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Cells after which a line is cut.
pub const LINE_CELLS: usize = 4096;
/// Combining marks that one base character may carry.
pub const MARKS_PER_BASE: usize = 8;
const TAB_CELLS: usize = 4;
/// Room for the mark that says how much was cut.
const CUT_CELLS: usize = 32;

/// Makes foreign text safe to show on one line: line breaks become visible marks too.
#[must_use]
pub fn safe_line(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut filter = SafeTextFilter::default();
    text.chars().for_each(|c| filter.push(c));
    cut(filter.finish())
}

/// Makes foreign text of several lines safe to show: each line by [`safe_line`], line breaks stay.
#[must_use]
pub fn safe_block(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| safe_line(line.strip_suffix('\r').unwrap_or(line)))
        .collect();
    lines.join("\n")
}

/// Rewrites JSON text so that nothing in it can mislead a reader or a terminal: what [`safe_line`]
/// would mark is written as `\uXXXX`. A JSON parser reads the same data.
#[must_use]
pub fn safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut marks = 0;
    for c in json.chars() {
        let class = CharClass::from_char(c);
        marks = if class == CharClass::Mark {
            marks + 1
        } else {
            0
        };
        if matches!(c, '\n' | '\t')
            || class == CharClass::Plain
            || (class == CharClass::Mark && marks <= MARKS_PER_BASE)
        {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Text that has passed the filter. Nothing else makes one, so that a widget which takes it cannot
/// be given anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeText(String);

impl SafeText {
    /// One line, by [`safe_line`].
    #[must_use]
    pub fn line(text: &str) -> Self {
        Self(safe_line(text))
    }

    /// Several lines, by [`safe_block`].
    #[must_use]
    pub fn block(text: &str) -> Self {
        Self(safe_block(text))
    }

    /// The safe text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The safe text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a character does to a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CharClass {
    /// Shows what it is.
    Plain,
    /// Sits on the character before it.
    Mark,
    /// Chooses between text and emoji form of the character before it; hidden anywhere else.
    Selector,
    /// Moves, rings, erases, breaks lines.
    Control,
    /// Reorders or breaks what stands around it; has a name of its own.
    Named(&'static str),
    /// Shows nothing.
    Hidden,
}

impl CharClass {
    fn from_char(c: char) -> Self {
        match c {
            ' '..='~' => Self::Plain,
            c if c.is_control() => Self::Control,
            '\u{fe0e}' | '\u{fe0f}' => Self::Selector,
            c => match name(c) {
                Some(name) => Self::Named(name),
                None if is_hidden(c) => Self::Hidden,
                None if c.width() == Some(0) => Self::Mark,
                None => Self::Plain,
            },
        }
    }
}

fn name(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{061c}' => "<ALM>",
        '\u{200e}' => "<LRM>",
        '\u{200f}' => "<RLM>",
        '\u{2028}' => "<LS>",
        '\u{2029}' => "<PS>",
        '\u{202a}' => "<LRE>",
        '\u{202b}' => "<RLE>",
        '\u{202c}' => "<PDF>",
        '\u{202d}' => "<LRO>",
        '\u{202e}' => "<RLO>",
        '\u{2066}' => "<LRI>",
        '\u{2067}' => "<RLI>",
        '\u{2068}' => "<FSI>",
        '\u{2069}' => "<PDI>",
        _ => return None,
    })
}

/// Unicode's default-ignorable characters and the format characters that show nothing.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_plain(text: &str) -> bool {
    text.len() <= LINE_CELLS && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Gathers the safe form of one line.
#[derive(Default)]
struct SafeTextFilter {
    out: String,
    column: usize,
    /// What marks and selectors would sit on; none at the start of the line.
    base: Option<char>,
    /// Marks and selectors on it so far.
    marks: usize,
    /// Marks beyond the limit, not told yet.
    surplus: usize,
    /// Hidden characters in a row, not told yet.
    hidden: usize,
}

impl SafeTextFilter {
    fn push(&mut self, c: char) {
        match CharClass::from_char(c) {
            CharClass::Hidden => self.hide(),
            CharClass::Selector if self.carries_selector() => self.sit(c),
            CharClass::Selector => self.hide(),
            CharClass::Mark => self.mark(c),
            CharClass::Plain => self.emit(c),
            CharClass::Control if c == '\t' => self.tab(),
            CharClass::Control => self.control(c),
            CharClass::Named(name) => self.emit_mark(name),
        }
    }

    fn carries_selector(&self) -> bool {
        self.hidden == 0 && self.marks == 0 && self.base.is_some_and(|base| !base.is_ascii())
    }

    fn hide(&mut self) {
        if self.surplus > 0 {
            self.flush();
        }
        self.hidden += 1;
    }

    fn mark(&mut self, c: char) {
        if self.hidden > 0 {
            self.flush();
        }
        if self.base.is_none() {
            self.emit('\u{25cc}');
        }
        if self.marks < MARKS_PER_BASE {
            self.sit(c)
        } else {
            self.surplus += 1
        }
    }

    fn sit(&mut self, c: char) {
        self.out.push(c);
        self.marks += 1;
    }

    fn emit(&mut self, c: char) {
        self.flush();
        self.out.push(c);
        self.column += c.width().unwrap_or(0);
        (self.base, self.marks) = (Some(c), 0);
    }

    fn tab(&mut self) {
        self.flush();
        for _ in 0..TAB_CELLS - self.column % TAB_CELLS {
            self.emit(' ');
        }
    }

    fn control(&mut self, c: char) {
        match u32::from(c) {
            code @ 0..0x20 => self.emit(char::from_u32(0x2400 + code).unwrap_or('\u{fffd}')),
            0x7f => self.emit('\u{2421}'),
            code => self.emit_mark(&format!("<U+{code:04X}>")),
        }
    }

    fn emit_mark(&mut self, mark: &str) {
        self.flush();
        mark.chars().for_each(|c| self.emit(c));
    }

    fn flush(&mut self) {
        let (surplus, hidden) = (
            std::mem::take(&mut self.surplus),
            std::mem::take(&mut self.hidden),
        );
        if surplus > 0 {
            self.emit_mark(&format!("<{surplus} marks>"));
        }
        if hidden > 0 {
            self.emit_mark(&format!("<{hidden} hidden>"));
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        self.out
    }
}

/// Cuts a filtered line that is wider than [`LINE_CELLS`], and says by how much.
fn cut(line: String) -> String {
    let cells: usize = line.graphemes(true).map(UnicodeWidthStr::width).sum();
    if cells <= LINE_CELLS {
        return line;
    }
    let (mut end, mut shown) = (0, 0);
    for cluster in line.graphemes(true) {
        let width = cluster.width();
        if shown + width > LINE_CELLS - CUT_CELLS {
            break;
        }
        (end, shown) = (end + cluster.len(), shown + width);
    }
    format!("{}…<{} cells cut>", &line[..end], cells - shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn each_kind_of_foreign_character_becomes_its_mark() {
        for (text, safe) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}]52;c;aGk=\u{7}", "␛[31mred␛]52;c;aGk=␇"),
            ("a\nb\rc\0\u{7f}", "a␊b␍c␀␡"),
            ("\u{9b}31m", "<U+009B>31m"),
            (
                "a\u{202e}b\u{2066}c\u{200f}\u{61c}",
                "a<RLO>b<LRI>c<RLM><ALM>",
            ),
            ("a\u{200b}\u{200d}\u{feff}b", "a<3 hidden>b"),
            ("ok\u{e0041}\u{e0042}", "ok<2 hidden>"),
            ("a\u{2028}b", "a<LS>b"),
            ("a\tb\t\tc", "a   b       c"),
            ("⚠\u{fe0f} ok", "⚠\u{fe0f} ok"),
            ("a\u{fe0f}", "a<1 hidden>"),
            ("⚠\u{fe0f}\u{fe0f}", "⚠\u{fe0f}<1 hidden>"),
            ("\u{301}e\u{301}", "\u{25cc}\u{301}e\u{301}"),
            ("日本語 é 👍", "日本語 é 👍"),
        ] {
            assert_eq!(safe_line(text), safe, "{text:?}");
        }
    }

    #[test]
    fn a_base_carries_eight_marks_and_the_rest_is_counted() {
        let text = format!("e{}x", "\u{301}".repeat(11));
        assert_eq!(
            safe_line(&text),
            format!("e{}<3 marks>x", "\u{301}".repeat(8))
        );
    }

    #[test]
    fn a_long_line_is_cut_and_says_by_how_much() {
        let exact = "x".repeat(LINE_CELLS);
        assert_eq!(safe_line(&exact), exact);
        let long = safe_line(&"x".repeat(LINE_CELLS + 1));
        assert_eq!(long, format!("{}…<33 cells cut>", "x".repeat(4064)));
        let wide = safe_line(&"語".repeat(3000));
        assert!(
            wide.ends_with("…<1936 cells cut>"),
            "{}",
            &wide[wide.len() - 40..]
        );
        assert!(wide.width() <= LINE_CELLS);
    }

    #[test]
    fn a_block_keeps_its_lines_and_nothing_else() {
        assert_eq!(safe_block("a\r\n\tb\r\n\u{1b}[2J\n"), "a\n    b\n␛[2J\n");
        assert_eq!(safe_block("a\rb"), "a␍b");
    }

    #[test]
    fn safe_json_is_the_same_data_without_a_misleading_character() {
        let value = serde_json::json!({ "a\u{202e}": "x\u{9b}\u{7f}\u{e0041}\u{1b}é\u{fe0f}" });
        let text = safe_json(&value.to_string());
        assert_eq!(
            text,
            r#"{"a\u202e":"x\u009b\u007f\udb40\udc41\u001bé\ufe0f"}"#
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    /// Unicode's own tables, apart from the list above.
    fn misleading() -> Regex {
        Regex::new(r"[\p{Cc}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}&&[^\n]]")
            .unwrap()
    }

    #[test]
    fn no_character_of_unicode_slips_through() {
        let misleading = misleading();
        for c in ('\0'..=char::MAX).filter(|c| misleading.is_match(c.encode_utf8(&mut [0; 4]))) {
            let safe = safe_line(&format!("a{c}b"));
            assert!(!misleading.is_match(&safe), "{:x}: {safe:?}", u32::from(c));
        }
    }

    fn foreign_text() -> impl Strategy<Value = String> {
        let nasty = prop::sample::select(vec![
            '\u{1b}',
            '\u{9b}',
            '\u{7}',
            '\t',
            '\n',
            '\r',
            '\u{202e}',
            '\u{2069}',
            '\u{200b}',
            '\u{200d}',
            '\u{e0041}',
            '\u{fe0f}',
            '\u{301}',
            '\u{20e3}',
            '⚠',
            '語',
            '👩',
            '<',
            'a',
            '\u{ad}',
            '\u{2028}',
            '\u{1160}',
        ]);
        prop::collection::vec(prop_oneof![4 => nasty, 1 => any::<char>()], 0..60)
            .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn filtering_twice_changes_nothing(text in foreign_text()) {
            let line = safe_line(&text);
            prop_assert_eq!(safe_line(&line), line.clone());
            let block = safe_block(&text);
            prop_assert_eq!(safe_block(&block), block.clone());
        }

        #[test]
        fn what_comes_out_misleads_nobody(text in foreign_text()) {
            // A selector on a character that is no ASCII only chooses its form.
            let safe = Regex::new(r"([^\x00-\x7f])[\x{fe0e}\x{fe0f}]").unwrap().replace_all(&safe_block(&text), "$1").into_owned();
            prop_assert!(!misleading().is_match(&safe), "{safe:?}");
        }

        #[test]
        fn safe_json_keeps_the_data(text in foreign_text()) {
            let json = safe_json(&serde_json::to_string(&text).unwrap());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!misleading().is_match(&json), "{json:?}");
        }
    }
}
