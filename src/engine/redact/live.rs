//! Redacts streamed text.
//!
//! Text is released only when it cannot be part of a secret that continues in the next chunk. At
//! most a word or the start of a secret is withheld, so the chunks together equal the redacted
//! whole.

use super::Redactor;

/// Maximum number of withheld bytes; no key is longer.
const MOST_HELD: usize = 64 * 1024;

/// Text that is not released yet.
#[derive(Clone, Debug, Default)]
pub struct LiveRedactor {
    held: String,
}

impl LiveRedactor {
    /// Appends a chunk and returns the text that can be released.
    #[must_use]
    pub fn push(&mut self, redactor: &Redactor, piece: &str) -> String {
        self.held.push_str(piece);
        let open = if self.held.len() > MOST_HELD {
            self.held.len()
        } else {
            redactor.open_from(&self.held)
        };
        let rest = self.held.split_off(open);
        let shown = std::mem::replace(&mut self.held, rest);
        redactor.apply(&shown).into_owned()
    }

    /// Returns the remaining text at the end of the stream.
    #[must_use]
    pub fn finish(&mut self, redactor: &Redactor) -> String {
        redactor.apply(&std::mem::take(&mut self.held)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor() -> Redactor {
        Redactor::default().knowing(
            [
                "canary/secret+1",
                "abababab",
                "babababb",
                "élan-vital-é",
                "line one\nline two",
            ]
            .map(str::to_owned),
        )
    }

    fn shown(redactor: &Redactor, pieces: &[&str]) -> String {
        let mut live = LiveRedactor::default();
        let mut all: String = pieces
            .iter()
            .map(|piece| live.push(redactor, piece))
            .collect();
        all.push_str(&live.finish(redactor));
        all
    }

    const TEXTS: [&str; 11] = [
        "the key is canary/secret+1, and again canary/secret+1canary/secret+1.",
        "abababababab babababbabababab ab élan-vital-é line one\nline two line one\n",
        "Authorization: Bearer  abcdefghijklmnop.qr and bearer of good news",
        "sk-or-v1-0123456789abcdef0123 risk-based-assessment, AKIA0123456789ABCDEF;",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\nBBBB==\n-----END RSA PRIVATE KEY----- -----BEGIN CERTIFICATE-----\nCCCC",
        "%2F canary%2Fsecret%2B1 \"canary",
        "ghp_0123456789abcdefghij0123 xoxb-1234567890-abc",
        "ababababBearer aa0a0aBearer ",
        "ababababBearer aaaaaaaaaaaaaline one more",
        "ésk-QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD\n",
        "eGNhbmFyeS9zZWNyZXQrMQ== Y2FuYXJ5L3NlY3JldCsx, canary%2fsecret%2b1 Y2FuYX",
    ];

    #[test]
    fn every_split_of_a_text_shows_the_same_as_the_whole_of_it() {
        let redactor = redactor();
        for text in TEXTS {
            let whole = redactor.apply(text).into_owned();
            let cuts: Vec<usize> = text
                .char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .collect();
            for (n, first) in cuts.iter().enumerate() {
                for second in &cuts[n..] {
                    let pieces = [&text[..*first], &text[*first..*second], &text[*second..]];
                    assert_eq!(shown(&redactor, &pieces), whole, "{pieces:?}");
                }
            }
            let each: Vec<String> = text.chars().map(String::from).collect();
            assert_eq!(
                shown(
                    &redactor,
                    &each.iter().map(String::as_str).collect::<Vec<_>>()
                ),
                whole
            );
        }
    }

    proptest! {
        #[test]
        fn no_way_to_cut_any_text_shows_a_secret(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec!["canary/secret+1", "canary/se", "cret+1", "abababab", "ab", "b", " ", "\n", "sk-", "Bearer ", "é", "Y2FuYXJ5L3NlY3JldCsx", "NhbmFyeS9z", "ZWNyZXQrM"])
                        .prop_map(str::to_owned),
                    proptest::sample::select(vec!["QUJD", "QUJDY2FuYXJ5"]).prop_map(|end| format!("{}{end}\n", "QUJD".repeat(17))),
                    proptest::sample::select(vec!["L3NlY3JldCsx==", "L3NlY3JldCsxQUJD\r\n"]).prop_map(str::to_owned),
                    "[ab ]{0,6}",
                    "[a-z0-9]{0,30}",
                ],
                0..12,
            ),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let redactor = redactor();
            let text: String = parts.concat();
            let mut at: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(shown(&redactor, &pieces), redactor.apply(&text).into_owned());
        }
    }

    #[test]
    fn what_can_be_no_secret_is_shown_at_once_and_a_flood_is_not_kept() {
        let redactor = redactor();
        let mut live = LiveRedactor::default();
        assert_eq!(live.push(&redactor, "I look at the "), "I look at the ");
        assert_eq!(live.push(&redactor, "file, and c"), "file, and ");
        assert_eq!(live.push(&redactor, "ontinue. "), "continue. ");
        let kept: usize = (0..100)
            .map(|_| live.push(&redactor, &"x".repeat(4096)).len())
            .sum();
        assert!(live.held.len() <= MOST_HELD && kept + live.held.len() == 409_600);
    }
}
