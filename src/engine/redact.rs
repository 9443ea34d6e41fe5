//! Takes secrets out of words before they are written down or shown.
//!
//! Known ones by their value, in the forms they travel in; unknown ones by the shape that providers
//! give their keys. What an agent reads of files goes to the model as it is: redaction is for the
//! journal, the audit, the log, the screen and the reports made of them.

mod live;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use secrecy::ExposeSecret;

pub use live::Live;

use super::agent::openai;
use crate::model::settings::Settings;

const HIDDEN: &str = "***";
/// Shorter values are words and numbers that stand everywhere.
const SHORTEST: usize = 8;
/// How much of a `.env` file is read, in bytes.
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

/// Knows secrets, and takes them out.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret within another does not spoil it.
    known: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} known)", self.known.len())
    }
}

impl Redactor {
    /// Knows the keys that settings and environment hold.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let key = openai::key::key(&settings.openai).ok().flatten().map(|key| key.expose_secret().to_owned());
        Self::default().knowing(key.into_iter().chain(settings.openai.headers.values().cloned()))
    }

    /// Knows these too.
    #[must_use]
    pub fn knowing(mut self, secrets: impl IntoIterator<Item = String>) -> Self {
        for secret in secrets {
            let secret = secret.trim();
            if secret.len() >= SHORTEST {
                self.known.extend([secret.to_owned(), percent_encoded(secret), json_escaped(secret)]);
            }
        }
        self.known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.known.dedup();
        self
    }

    /// Knows the values of a `.env` file too. It is read for this alone, never as configuration.
    #[must_use]
    pub fn knowing_env_file(self, content: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&content[..content.len().min(MAX_ENV_BYTES)]).into_owned();
        let value = |line: &str| {
            let line = line.trim();
            let (_, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=').filter(|_| !line.starts_with('#'))?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        };
        let values: Vec<String> = text.lines().filter_map(value).collect();
        self.knowing(values)
    }

    /// From where on a text may be, or go on to be, within a secret; nothing before it is.
    fn open_from(&self, text: &str) -> usize {
        let mut open = OPEN_END.find(text).map_or(text.len(), |end| end.start());
        for secret in &self.known {
            let longest = secret.len().min(text.len() + 1) - 1;
            let begun = (1..=longest).rev().find(|len| text.as_bytes().ends_with(&secret.as_bytes()[..*len]));
            open = open.min(text.len() - begun.unwrap_or(0));
        }
        // What is cut through is kept whole, and what that cuts through too.
        loop {
            let cut = self.known.iter().filter_map(|secret| straddled(text, secret, open)).chain(shape_at(text, open)).min();
            match cut {
                Some(start) => open = start,
                None => return open,
            }
        }
    }

    /// The words without secrets.
    #[must_use]
    pub fn apply<'a>(&self, words: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(words);
        for secret in self.known.iter().filter(|secret| words.contains(secret.as_str())) {
            clean = Cow::Owned(clean.replace(secret, HIDDEN));
        }
        if SHAPES.is_match(&clean) {
            clean = Cow::Owned(SHAPES.replace_all(&clean, format!("${{keep}}{HIDDEN}")).into_owned());
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
          | -----BEGIN [A-Z\ -]*
          | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----[A-Za-z0-9+/=\s]*
        )$",
    )
    .expect("a valid expression")
});

/// Where an occurrence of `secret` begins that goes from before `at` to after it; the first of them.
fn straddled(text: &str, secret: &str, at: usize) -> Option<usize> {
    let (text, secret) = (text.as_bytes(), secret.as_bytes());
    let first = (at + 1).saturating_sub(secret.len());
    (first..at).find(|start| text[*start..].starts_with(secret))
}

/// Bearer and its token, whatever stands right before it: once a secret there is hidden, the word begins anew.
#[expect(clippy::expect_used, reason = "a constant that a test compiles")]
static BEARER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\w.~+/=-]*(?i:bearer)\s+[\w.~+/=-]+").expect("a valid expression"));

/// Where something of one of the shapes begins that goes from before `at` to after it.
fn shape_at(text: &str, at: usize) -> Option<usize> {
    let mut found = SHAPES.find_iter(text).chain(BEARER.find_iter(text));
    found.find(|found| found.start() < at && at < found.end()).map(|found| found.start())
}

fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_words_stay() {
        let redactor = Redactor::default().knowing(["canary/secret+1".to_owned(), "short".to_owned(), " quo\"ted-secret ".to_owned()]);
        let redactor =
            redactor.knowing_env_file(b"# A=commented-value\nexport TOKEN=\"env-value-1234\"\nPORT=3000\nURL='https://me@host/x'\n");
        for (words, clean) in [
            ("nothing here: short, 3000, commented-value", "nothing here: short, 3000, commented-value"),
            ("curl -H 'X: canary/secret+1'", "curl -H 'X: ***'"),
            ("?k=canary%2Fsecret%2B1&a", "?k=***&a"),
            ("{\"k\":\"quo\\\"ted-secret\"}", "{\"k\":\"***\"}"),
            ("echo env-value-1234env-value-1234", "echo ******"),
            ("get https://me@host/x", "get ***"),
            ("Authorization: Bearer abcdefghijklmnop.qr", "Authorization: Bearer ***"),
            ("bearer of good news", "bearer of good news"),
            ("key sk-or-v1-0123456789abcdef0123", "key ***"),
            ("ghp_0123456789abcdefghij0123 AKIA0123456789ABCDEF", "*** ***"),
            ("xoxb-1234567890-abc", "***"),
            ("risk-based-assessment-of-everything", "risk-based-assessment-of-everything"),
        ] {
            assert_eq!(redactor.apply(words), clean);
        }
        assert_eq!(format!("{redactor:?}"), "Redactor(8 known)");
    }

    #[test]
    fn applying_twice_changes_nothing_more() {
        let redactor = Redactor::default().knowing(["********".to_owned(), "abcdefgh-secret".to_owned()]);
        let once = redactor.apply("abcdefgh-secret Bearer 0123456789abcdef").into_owned();
        assert_eq!(redactor.apply(&once), once);
    }
}
