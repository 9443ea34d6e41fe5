//! Reads what runs made: stored contents by their hash, searched or whole, and the files they began from.

use super::Archive;
use crate::engine::worktree::base_file;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::RunId;
use crate::store::run_page::{self, Searchable};

/// So much of an artifact is searched.
const SEARCHED_BYTES: u64 = 1024 * 1024;

/// What one step of a search through artifacts found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactHits {
    /// Runs with such an artifact.
    pub runs: Vec<RunId>,
    /// Contents this step looked at; 0 when there are no more.
    pub looked_at: u32,
    /// Contents there are.
    pub total: u32,
    /// Where the next step goes on.
    pub last: Option<Searchable>,
}

impl Archive {
    /// Searches the texts of stored artifacts for `words` (all of them, in small letters), the newest
    /// runs first and at most `limit` contents behind `after`. Of each, the first mebibyte is looked at.
    ///
    /// # Errors
    /// What the database says. A content that cannot be read holds nothing.
    pub fn search_artifacts(
        &self,
        words: &[String],
        after: Option<&Searchable>,
        limit: u32,
    ) -> Result<ArtifactHits> {
        let step = run_page::searchable(self.reader.connection(), after, limit)?;
        let mut hits = ArtifactHits {
            looked_at: u32::try_from(step.len()).unwrap_or(limit),
            ..ArtifactHits::default()
        };
        for one in &step {
            if hits.runs.last() != Some(&one.run) && self.holds(&one.sha256, words) {
                hits.runs.push(one.run);
            }
        }
        hits.total = run_page::searchable_count(self.reader.connection())?;
        hits.last = step.into_iter().next_back();
        Ok(hits)
    }

    fn holds(&self, hash: &ContentHash, words: &[String]) -> bool {
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

    /// A file as it was in the commit that a run began from; `None` when there was none, or no commit.
    ///
    /// # Errors
    /// `run_not_found`; `worktree_missing` when the repository is gone; `git_failed`.
    pub fn base_content(&self, run: RunId, path: &str) -> Result<Option<Vec<u8>>> {
        let record = self.run(run)?;
        let (Some(repo), Some(commit)) = (record.repo, record.base_commit) else {
            return Ok(None);
        };
        base_file::read(&repo, &commit, path)
    }

    /// A stored content, whole, held against its hash.
    ///
    /// # Errors
    /// `usage_invalid` for what is no hash; `io_failed` when there is no such content; `db_corrupt`
    /// when it is not what was stored.
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
                    .hint("it was never kept here, or its file is gone")
            })
    }

    /// The first `most` bytes of a stored content that is longer than this, not held against its hash;
    /// none of a shorter one, which is read whole as quickly.
    #[must_use]
    pub fn content_start(&self, hash: &ContentHash, most: usize) -> Option<Vec<u8>> {
        let mut start = self
            .contents
            .beginning(self.reader.connection(), hash, most as u64 + 1)?;
        (start.len() > most).then(|| {
            start.truncate(most);
            start
        })
    }
}
