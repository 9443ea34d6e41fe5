//! What is looked for among the runs: the words, and how far the search through artifacts has come.

use crate::engine::api::{ArtifactHits, RunSearchText};
use crate::model::id::RunId;

/// Shorter words are not looked for in artifacts: every one holds them.
const SHORTEST: usize = 2;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct RunListSearch {
    /// Words that must all occur.
    pub text: String,
    /// Whether it is being written.
    pub typing: bool,
    /// Runs whose artifacts hold the words.
    pub hits: Vec<RunId>,
    /// Artifact versions that were searched.
    pub looked_at: u32,
    /// Artifact versions there are.
    pub total: u32,
    /// How far the search through artifacts is.
    pub search: SearchProgress,
}

/// How far the search through artifacts is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SearchProgress {
    /// Not begun.
    #[default]
    Not,
    /// Under way.
    Going,
    /// Every one was searched.
    Done,
}

impl RunListSearch {
    /// Whether anything is looked for.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Whether artifacts are to be searched now.
    pub fn start_search(&mut self) -> bool {
        let begins =
            self.search == SearchProgress::Not && self.text.trim().chars().count() >= SHORTEST;
        if begins {
            self.search = SearchProgress::Going;
        }
        begins
    }

    /// Other words: what was found belongs to the ones before.
    pub fn set_text(&mut self, text: String) {
        *self = Self {
            text,
            typing: self.typing,
            ..Self::default()
        };
    }

    /// One step of the search has ended; whether it found new runs, and where it goes on.
    pub fn apply_hits(&mut self, hits: ArtifactHits) -> (bool, Option<RunSearchText>) {
        let before = self.hits.len();
        for run in hits.runs {
            if !self.hits.contains(&run) {
                self.hits.push(run);
            }
        }
        self.looked_at += hits.looked_at;
        self.total = hits.total.max(self.looked_at);
        if hits.last.is_none() {
            self.search = SearchProgress::Done;
        }
        (self.hits.len() > before, hits.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_begin_anew() {
        let mut filter = RunListSearch {
            text: "c".to_owned(),
            typing: true,
            ..RunListSearch::default()
        };
        assert!(!filter.start_search(), "too short");
        filter.set_text("cart".to_owned());
        assert!(filter.start_search() && !filter.start_search());
        let run = RunId::new();
        let hits = ArtifactHits {
            runs: vec![run, run],
            looked_at: 9,
            total: 9,
            last: None,
        };
        assert_eq!(filter.apply_hits(hits), (true, None));
        assert_eq!(
            (filter.hits.len(), filter.looked_at, &filter.search),
            (1, 9, &SearchProgress::Done)
        );
        filter.set_text("car".to_owned());
        assert!(filter.hits.is_empty() && filter.typing && filter.search == SearchProgress::Not);
    }
}
