//! Access to stored contents by hash, search in artifacts, and files of a run's base commit.

use super::RunArchive;
use crate::engine::workspace::worktree::base_file;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::RunId;
use crate::store::tables::run_page;
use crate::store::tables::run_page::RunSearchText;

/// Number of bytes of an artifact that are searched.
const SEARCHED_BYTES: u64 = 1024 * 1024;

/// Result of one step of an artifact search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactHits {
    /// Runs with a matching artifact.
    pub runs: Vec<RunId>,
    /// Number of contents searched in this step; 0 at the end.
    pub looked_at: u32,
    /// Total number of contents.
    pub total: u32,
    /// Position for the next step.
    pub last: Option<RunSearchText>,
}

impl RunArchive {
    /// Searches stored artifacts for `words` (all of them, in lower case), newest runs first, in at
    /// most `limit` contents after `after`. Only the first mebibyte of a content is searched.
    ///
    /// # Errors
    /// Errors of the database. A content that cannot be read does not match.
    pub fn search_artifacts(
        &self,
        words: &[String],
        after: Option<&RunSearchText>,
        limit: u32,
    ) -> Result<ArtifactHits> {
        let step = run_page::searchable(self.reader.connection(), after, limit)?;
        let mut hits = ArtifactHits {
            looked_at: u32::try_from(step.len()).unwrap_or(limit),
            ..ArtifactHits::default()
        };
        for one in &step {
            if hits.runs.last() != Some(&one.run) && self.contains_words(&one.sha256, words) {
                hits.runs.push(one.run);
            }
        }
        hits.total = run_page::searchable_count(self.reader.connection())?;
        hits.last = step.into_iter().next_back();
        Ok(hits)
    }

    fn contains_words(&self, hash: &ContentHash, words: &[String]) -> bool {
        let Some(mut bytes) =
            self.contents
                .beginning(self.reader.connection(), hash, SEARCHED_BYTES)
        else {
            return false;
        };
        bytes.make_ascii_lowercase();
        let text = String::from_utf8_lossy(&bytes);
        words.iter().all(|word| text.contains(word.as_str()))
    }

    /// Returns a file of the commit that a run started from; `None` if there is no such file or
    /// commit.
    ///
    /// # Errors
    /// `run_not_found`; `worktree_missing` if the repository is gone; `git_failed`.
    pub fn base_content(&self, run: RunId, path: &str) -> Result<Option<Vec<u8>>> {
        let record = self.run(run)?;
        let (Some(repo), Some(commit)) = (record.repo, record.base_commit) else {
            return Ok(None);
        };
        base_file::read(&repo, &commit, path)
    }

    /// Returns a stored content after checking its hash.
    ///
    /// # Errors
    /// `usage_invalid` for an invalid hash; `io_failed` if there is no such content; `db_corrupt`
    /// if it does not match its hash.
    pub fn content(&self, hash: &ContentHash) -> Result<Vec<u8>> {
        let name = hash.as_str();
        if name.len() != 64 || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Failure::new(
                Code::UsageInvalid,
                format!("'{name}' is not a SHA-256 in lower-case hex"),
            ));
        }
        self.contents
            .find(self.reader.connection(), hash)?
            .ok_or_else(|| {
                Failure::new(Code::IoFailed, format!("there is no stored content {name}"))
                    .hint("it was never stored here, or its file was deleted")
            })
    }

    /// Returns the first `most` bytes of a stored content that is longer, without checking its
    /// hash. Returns `None` for a shorter one, which can be read completely at the same cost.
    #[must_use]
    pub fn content_prefix(&self, hash: &ContentHash, most: usize) -> Option<Vec<u8>> {
        let mut start = self
            .contents
            .beginning(self.reader.connection(), hash, most as u64 + 1)?;
        (start.len() > most).then(|| {
            start.truncate(most);
            start
        })
    }
}
