//! What is looked for in a text: the typed words as they stand, in any case unless one letter is a
//! capital.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// Words to be found.
#[derive(Clone, Debug)]
pub struct SearchPattern {
    typed: String,
    pattern: Regex,
}

impl PartialEq for SearchPattern {
    fn eq(&self, other: &Self) -> bool {
        self.typed == other.typed
    }
}

impl Eq for SearchPattern {}

impl SearchPattern {
    /// What to find for what was typed; none for nothing.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        if typed.is_empty() {
            return None;
        }
        let any_case = !typed.chars().any(char::is_uppercase);
        let pattern = RegexBuilder::new(&regex::escape(typed))
            .case_insensitive(any_case)
            .build()
            .ok()?;
        Some(Self {
            typed: typed.to_owned(),
            pattern,
        })
    }

    /// As it was typed.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// Where it stands in a line, in order and apart; each place is between characters.
    pub fn find_iter<'a>(&'a self, line: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        self.pattern.find_iter(line).map(|found| found.range())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(typed: &str, line: &str) -> Vec<String> {
        SearchPattern::new(typed)
            .into_iter()
            .flat_map(|needle| {
                needle
                    .find_iter(line)
                    .map(|at| line[at].to_owned())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn small_letters_find_any_case_and_a_capital_only_itself() {
        let cases: [(&str, &str, &[&str]); 7] = [
            ("cart", "Cart, CART and cart", &["Cart", "CART", "cart"]),
            ("Cart", "Cart, CART and cart", &["Cart"]),
            ("größe", "die GRÖSSE und Größe", &["Größe"]),
            ("日本", "a日本語", &["日本"]),
            ("a.b", "axb a.b", &["a.b"]),
            ("aa", "aaaa", &["aa", "aa"]),
            ("", "anything", &[]),
        ];
        for (typed, line, expected) in cases {
            assert_eq!(found(typed, line), expected, "{typed:?} in {line:?}");
        }
    }

    proptest! {
        #[test]
        fn places_are_in_order_apart_between_characters_and_say_what_was_typed(typed in "\\PC{1,6}", line in "\\PC{0,40}") {
            let line = format!("{line}{typed}{line}");
            let needle = SearchPattern::new(&typed).unwrap();
            let places: Vec<Range<usize>> = needle.find_iter(&line).collect();
            prop_assert!(!places.is_empty(), "{typed:?} in {line:?}");
            let mut end = 0;
            for place in places {
                prop_assert!(place.start >= end && place.start < place.end);
                let piece = line.get(place.clone());
                prop_assert!(piece.is_some());
                let capital = typed.chars().any(char::is_uppercase);
                prop_assert!(!capital || piece == Some(typed.as_str()));
                end = place.end;
            }
        }
    }
}
