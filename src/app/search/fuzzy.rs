//! Finding by typing: which texts fit, in which order, and which of their letters did it.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// The texts that fit, the best first (as they came where nothing was typed): place, and the letters
/// that fit, counted in characters.
#[must_use]
pub fn rank(
    typed: &str,
    texts: impl IntoIterator<Item = impl AsRef<str>>,
) -> Vec<(usize, Vec<usize>)> {
    let mut config = Config::DEFAULT;
    config.prefer_prefix = true;
    let mut matcher = Matcher::new(config);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut found = Vec::new();
    let mut buffer = Vec::new();
    for (place, text) in texts.into_iter().enumerate() {
        let mut letters = Vec::new();
        let fits = pattern.indices(
            Utf32Str::new(text.as_ref(), &mut buffer),
            &mut matcher,
            &mut letters,
        );
        if let Some(score) = fits {
            letters.sort_unstable();
            letters.dedup();
            found.push((
                score,
                place,
                letters
                    .into_iter()
                    .filter_map(|at| usize::try_from(at).ok())
                    .collect(),
            ));
        }
    }
    found.sort_by_key(|(score, place, _): &(u32, usize, Vec<usize>)| {
        (std::cmp::Reverse(*score), *place)
    });
    found
        .into_iter()
        .map(|(_, place, letters)| (place, letters))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_fit_comes_first_and_its_letters_are_told() {
        let texts = ["go on with a paused run", "pause the run", "keys"];
        assert_eq!(
            rank("", texts)
                .iter()
                .map(|(at, _)| *at)
                .collect::<Vec<_>>(),
            [0, 1, 2]
        );
        let found = rank("pause", texts);
        assert_eq!(found[0], (1, vec![0, 1, 2, 3, 4]));
        assert_eq!(found.len(), 2);
        assert_eq!(rank("xyz", texts), []);
        assert_eq!(rank("RUN pause", texts).len(), 2, "words in any order");
    }
}
