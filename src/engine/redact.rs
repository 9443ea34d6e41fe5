//! Redacts secrets before text is stored or shown.
//!
//! Known secrets are matched by value in their encoded forms (`redact/forms.rs`), unknown ones by
//! the shape of provider keys. Files that an agent reads go to the model unredacted: redaction
//! covers the journal, the audit, the log, the screen and reports.

mod forms;
mod live;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::{Captures, Regex};
use secrecy::ExposeSecret;

use crate::engine::agent::chat_completions;
use crate::model::settings::AppSettings;
pub use live::LiveRedactor;

const HIDDEN: &str = "***";
/// Shorter values are too common to redact.
const SHORTEST: usize = 8;
/// Maximum number of bytes read from a `.env` file.
const MAX_ENV_BYTES: usize = 64 * 1024;

#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        (?P<keep>(?i:\bbearer\s+))[A-Za-z0-9._~+/=-]{12,}
        | \bsk-[A-Za-z0-9_-]{16,}
        | \bgh[pousr]_[A-Za-z0-9]{20,}
        | \bgithub_pat_[A-Za-z0-9_]{20,}
        | \bglpat-[A-Za-z0-9_-]{20,}
        | \bxox[abeprs]-[A-Za-z0-9-]{10,}
        | \bAKIA[0-9A-Z]{16}\b
        | \bAIza[0-9A-Za-z_-]{30,}
        | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----[A-Za-z0-9+/=\s]*
        ",
    )
    .expect("a valid expression")
});

/// Base64 as letters carry it: in lines, which a secret may go across.
#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static LINES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:[A-Za-z0-9_+/-]{60,}\r?\n)+[A-Za-z0-9_+/-]+=*").expect("a valid expression")
});

/// Knows secrets, and takes them out.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Each form of each secret.
    known: BTreeSet<String>,
    /// Of the longest of them, in bytes.
    longest: usize,
    /// Finds them, of those that begin at one place the longest.
    finder: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} known)", self.known.len())
    }
}

impl Redactor {
    /// Knows the keys that settings and environment hold.
    #[must_use]
    pub fn of(settings: &AppSettings) -> Self {
        let key = chat_completions::key::key(&settings.openai)
            .ok()
            .flatten()
            .map(|key| key.expose_secret().to_owned());
        Self::default().knowing(
            key.into_iter()
                .chain(settings.openai.headers.values().cloned()),
        )
    }

    /// Knows these too.
    #[must_use]
    pub fn knowing(mut self, secrets: impl IntoIterator<Item = String>) -> Self {
        for secret in secrets {
            let secret = secret.trim();
            if secret.len() >= SHORTEST {
                self.known.extend(forms::forms(secret));
            }
        }
        self.longest = self.known.iter().map(String::len).max().unwrap_or(0);
        // The kind that takes least room: a file of the worktree says how many there are.
        let mut finder = AhoCorasick::builder();
        finder
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA));
        self.finder = finder
            .build(&self.known)
            .inspect_err(|error| tracing::error!(%error, "all words are hidden"))
            .ok();
        self
    }

    /// The same, and these too, where there are any.
    #[must_use]
    pub fn and_also(self: &Arc<Self>, secrets: Vec<String>) -> Arc<Self> {
        if secrets.is_empty() {
            Arc::clone(self)
        } else {
            Arc::new((**self).clone().knowing(secrets))
        }
    }

    /// Knows the values of a `.env` file too. It is read for this alone, never as configuration.
    #[must_use]
    pub fn knowing_env_file(self, content: &[u8]) -> Self {
        let text =
            String::from_utf8_lossy(&content[..content.len().min(MAX_ENV_BYTES)]).into_owned();
        let value = |line: &str| {
            let line = line.trim();
            let (_, value) = line
                .strip_prefix("export ")
                .unwrap_or(line)
                .split_once('=')
                .filter(|_| !line.starts_with('#'))?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        };
        let values: Vec<String> = text.lines().filter_map(value).collect();
        self.knowing(values)
    }

    /// From where on a text may be, or go on to be, within a secret; nothing before it is.
    fn open_from(&self, text: &str) -> usize {
        let mut open = OPEN_END.find(text).map_or(text.len(), |end| end.start());
        let within = text.len().saturating_sub(self.longest)..text.len();
        let begun = within
            .filter(|start| text.is_char_boundary(*start))
            .find(|start| self.begins_with(&text[*start..]).next().is_some());
        open = open.min(begun.unwrap_or(text.len()));
        // What is cut through is kept whole, and what that cuts through too.
        loop {
            match self
                .straddled(text, open)
                .into_iter()
                .chain(shape_at(text, open))
                .chain(within_word(text, open))
                .min()
            {
                Some(start) => open = start,
                None => return open,
            }
        }
    }

    /// The secrets that begin with `part` and go on.
    fn begins_with(&self, part: &str) -> impl Iterator<Item = &String> {
        let beyond = (Bound::Excluded(part), Bound::Unbounded);
        self.known
            .range::<str, _>(beyond)
            .take_while(move |secret| secret.starts_with(part))
    }

    /// Where the first secret begins that goes from before `at` to after it.
    fn straddled(&self, text: &str, at: usize) -> Option<usize> {
        let before = at.saturating_sub(self.longest)..at;
        let crosses = |start: &usize| {
            self.begins_with(&text[*start..at])
                .any(|secret| text[*start..].starts_with(secret.as_str()))
        };
        before
            .filter(|start| text.is_char_boundary(*start))
            .find(crosses)
    }

    /// The lines, from 1, on which secrets begin; where they cannot be looked for, none is known.
    #[must_use]
    pub fn lines_with_secrets(&self, text: &str) -> BTreeSet<usize> {
        let known = self
            .finder
            .iter()
            .flat_map(|finder| finder.find_iter(text))
            .map(|found| found.start());
        let shaped = SHAPES.find_iter(text).map(|found| found.start());
        let mut starts: Vec<usize> = known.chain(shaped).collect();
        starts.sort_unstable();
        let (mut line, mut counted) = (1, 0);
        let line_of = |start: usize| {
            line += text.as_bytes()[counted..start]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            counted = start;
            line
        };
        starts.into_iter().map(line_of).collect()
    }

    /// The words without secrets. Where they cannot be looked for, nothing is shown at all.
    #[must_use]
    pub fn apply<'a>(&self, words: &'a str) -> Cow<'a, str> {
        let mut clean = match &self.finder {
            Some(finder) if finder.is_match(words) => {
                Cow::Owned(finder.replace_all(words, &vec![HIDDEN; self.known.len()]))
            }
            None if !self.known.is_empty() => return Cow::Borrowed(HIDDEN),
            _ => Cow::Borrowed(words),
        };
        if let Some(finder) = self.finder.as_ref().filter(|_| LINES.is_match(&clean)) {
            let hides = |found: &Captures<'_>| {
                let joined: String = found[0].split(['\r', '\n']).collect();
                if finder.is_match(&joined) {
                    HIDDEN.to_owned()
                } else {
                    found[0].to_owned()
                }
            };
            clean = Cow::Owned(LINES.replace_all(&clean, hides).into_owned());
        }
        if SHAPES.is_match(&clean) {
            clean = Cow::Owned(
                SHAPES
                    .replace_all(&clean, format!("${{keep}}{HIDDEN}"))
                    .into_owned(),
            );
        }
        clean
    }
}

/// The end of a text that may go on to be of one of the shapes.
#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static OPEN_END: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        (?: (?:[\w.~+/=-]*(?i:bearer)\s+)* [\w.~+/=-]*
          | (?:[A-Za-z0-9_+/-]{60,}\r?\n)+ [A-Za-z0-9_+/-]*=*
          | [A-Za-z0-9_+/-]{60,}\r
          | -----BEGIN [A-Z\ -]*
          | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----[A-Za-z0-9+/=\s]*
        )$",
    )
    .expect("a valid expression")
});

/// Bearer and its token, whatever stands right before it: once a secret there is hidden, the word begins anew.
#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static BEARER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\w.~+/=-]*(?i:bearer)\s+[\w.~+/=-]+").expect("a valid expression")
});

/// Where something of one of the shapes begins that goes from before `at` to after it.
fn shape_at(text: &str, at: usize) -> Option<usize> {
    let mut found = SHAPES
        .find_iter(text)
        .chain(BEARER.find_iter(text))
        .chain(LINES.find_iter(text));
    found
        .find(|found| found.start() < at && at < found.end())
        .map(|found| found.start())
}

/// Where the word begins that goes from before `at` to after it: a shape is one at the beginning of a word only.
fn within_word(text: &str, at: usize) -> Option<usize> {
    if !FIRST_OF_WORD.is_match(&text[at..]) {
        return None;
    }
    LAST_WORD.find(&text[..at]).map(|word| word.start())
}

#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static FIRST_OF_WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\w").expect("a valid expression"));

#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static LAST_WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\w+$").expect("a valid expression"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_words_stay() {
        let redactor = Redactor::default().knowing([
            "canary/secret+1".to_owned(),
            "short".to_owned(),
            " quo\"ted-secret ".to_owned(),
        ]);
        let redactor =
            redactor.knowing_env_file(b"# A=commented-value\nexport TOKEN=\"env-value-1234\"\nPORT=3000\nURL='https://me@host/x'\n");
        for (words, clean) in [
            (
                "nothing here: short, 3000, commented-value",
                "nothing here: short, 3000, commented-value",
            ),
            ("curl -H 'X: canary/secret+1'", "curl -H 'X: ***'"),
            ("?k=canary%2Fsecret%2B1&a", "?k=***&a"),
            ("{\"k\":\"quo\\\"ted-secret\"}", "{\"k\":\"***\"}"),
            ("echo env-value-1234env-value-1234", "echo ******"),
            ("get https://me@host/x", "get ***"),
            (
                "Authorization: Bearer abcdefghijklmnop.qr",
                "Authorization: Bearer ***",
            ),
            ("bearer of good news", "bearer of good news"),
            ("key sk-or-v1-0123456789abcdef0123", "key ***"),
            (
                "ghp_0123456789abcdefghij0123 AKIA0123456789ABCDEF",
                "*** ***",
            ),
            ("xoxb-1234567890-abc", "***"),
            (
                "risk-based-assessment-of-everything",
                "risk-based-assessment-of-everything",
            ),
        ] {
            assert_eq!(redactor.apply(words), clean);
        }
        assert!(!format!("{redactor:?}").contains("canary"));
    }

    /// What others make of the canary, by hand: `printf | base64`, with a byte before it each time one more.
    #[test]
    fn base64_and_addresses_hide_a_secret_wherever_it_begins() {
        let redactor = Redactor::default().knowing(["canary?secret>1 ~/é".to_owned()]);
        for (words, clean) in [
            ("Y2FuYXJ5P3NlY3JldD4xIH4vw6k=", "***k="),
            ("eGNhbmFyeT9zZWNyZXQ+MSB+L8Op", "eG***"),
            ("eGNhbmFyeT9zZWNyZXQ-MSB-L8Op", "eG***"),
            ("eHhjYW5hcnk/c2VjcmV0PjEgfi/DqQ==", "eHh***Q=="),
            ("eHhjYW5hcnk_c2VjcmV0PjEgfi_DqQ", "eHh***Q"),
            (
                "?auth=eHhjYW5hcnk%2Fc2VjcmV0PjEgfi%2FDqQ%3D%3D",
                "?auth=eHh***Q%3D%3D",
            ),
            ("?k=canary%3Fsecret%3E1%20~%2F%C3%A9&a", "?k=***&a"),
            ("?k=canary%3fsecret%3e1%20~%2f%c3%a9&a", "?k=***&a"),
            ("?k=canary%3Fsecret%3E1+~%2F%C3%A9&a", "?k=***&a"),
            ("/canary%3Fsecret%3E1%20~/%C3%A9", "/***"),
            (
                "Y2FuYXJ5IG9mIHRoZSBpc2xhbmRz",
                "Y2FuYXJ5IG9mIHRoZSBpc2xhbmRz",
            ),
        ] {
            assert_eq!(redactor.apply(words), clean, "{words}");
        }
    }

    #[test]
    fn a_secret_in_base64_is_hidden_also_where_its_lines_are_broken() {
        use base64::prelude::{BASE64_STANDARD, Engine};
        let redactor = Redactor::default().knowing(["canary?secret>1 ~/é".to_owned()]);
        for before in 0..160 {
            let encoded = BASE64_STANDARD.encode(format!(
                "{}canary?secret>1 ~/é and so on",
                "x".repeat(before)
            ));
            for (width, end) in [(64, "\n"), (76, "\r\n")] {
                let lines: Vec<&str> = encoded
                    .as_bytes()
                    .chunks(width)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                let text = format!("key:\n{}\nend\n", lines.join(end));
                let shown = redactor.apply(&text);
                assert!(
                    shown.contains(HIDDEN)
                        && shown.starts_with("key:\n")
                        && shown.ends_with("\nend\n"),
                    "{before} {width}: {shown}"
                );
            }
        }
        let other = format!("{}\n{}\n", "QUJD".repeat(19), "QUJD".repeat(5));
        assert_eq!(redactor.apply(&other), other, "what holds no secret stays");
    }

    proptest::proptest! {
        /// What is left of a secret in its Base64 is less than two characters at each edge.
        #[test]
        fn no_base64_of_a_text_shows_a_secret_in_it(secret in "[ -~é]{8,40}", before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
            use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
            let secret = secret.trim();
            proptest::prop_assume!(secret.len() >= SHORTEST);
            let redactor = Redactor::default().knowing([secret.to_owned()]);
            let text = format!("{before}{secret}{after}");
            for encoded in [BASE64_STANDARD.encode(&text), BASE64_URL_SAFE_NO_PAD.encode(&text)] {
                let shown = redactor.apply(&encoded).into_owned();
                proptest::prop_assert!(shown.contains(HIDDEN));
                let around = (before.len() * 8).div_ceil(6) + (after.len() * 8).div_ceil(6) + 2 + "==".len();
                proptest::prop_assert!(shown.len() - HIDDEN.len() <= around, "{} of {}", shown, encoded);
            }
        }
    }

    #[test]
    fn a_file_full_of_secrets_is_known_in_reasonable_time_and_room() {
        let many: String = (0..4_000).map(|n| format!("K{n}=value-{n:08}\n")).collect();
        let redactor = Redactor::default().knowing_env_file(many.as_bytes());
        let begun = std::time::Instant::now();
        let mut live = LiveRedactor::default();
        let shown: String = "look at value-00000007, then go on "
            .repeat(100)
            .split_inclusive(' ')
            .map(|piece| live.push(&redactor, piece))
            .collect();
        assert_eq!(
            shown + &live.finish(&redactor),
            "look at ***, then go on ".repeat(100)
        );
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }

    #[test]
    fn the_lines_of_secrets_are_told_whichever_way_they_are_known() {
        let redactor = Redactor::default().knowing(["canary/secret+1".to_owned()]);
        let text = "nothing\ncanary/secret+1 and canary%2Fsecret%2B1\n\nghp_0123456789abcdefghij0123\nä canary/secret+1";
        assert_eq!(redactor.lines_with_secrets(text), [2, 4, 5].into());
        assert_eq!(redactor.lines_with_secrets("canary/secret"), [].into());
        assert_eq!(
            Redactor::default().lines_with_secrets("sk-or-v1-0123456789abcdef0123"),
            [1].into()
        );
    }

    #[test]
    fn applying_twice_changes_nothing_more() {
        let redactor =
            Redactor::default().knowing(["********".to_owned(), "abcdefgh-secret".to_owned()]);
        let once = redactor
            .apply("abcdefgh-secret Bearer 0123456789abcdef")
            .into_owned();
        assert_eq!(redactor.apply(&once), once);
    }
}
