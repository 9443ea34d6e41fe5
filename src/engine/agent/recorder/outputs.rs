//! What tools said beyond what the model was given, kept for the operator: a file for each text, its owner's
//! alone, without secrets, and gone with the run's folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::AttemptRecorder;
use crate::engine::api::TextKind;
use crate::engine::blocking::blocking;
use crate::engine::paths::create_private_dir;
use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;

/// The most that is kept of one attempt.
const MOST_BYTES: u64 = 100 * 1024 * 1024;
/// The most of one text.
const MOST_OF_ONE: usize = 10 * 1024 * 1024;

impl AttemptRecorder {
    /// Keeps all of what a tool said, and gives the name to read it by, which is the same for the same text; none
    /// where it could not be kept, which hinders nobody.
    pub async fn keep(&self, mut whole: String) -> Option<String> {
        if whole.len() > MOST_OF_ONE + 1024 {
            let beyond = whole.len() - MOST_OF_ONE;
            whole.truncate(whole.floor_char_boundary(MOST_OF_ONE));
            whole.push_str(&format!("\n[... {beyond} bytes were not kept]\n"));
        }
        let bytes = whole.len() as u64;
        if self
            .outputs
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
            > MOST_BYTES
        {
            self.text(
                TextKind::Note,
                "what tools print beyond what the agent gets is not kept any more: 100 MiB are",
            );
            return None;
        }
        let (dir, phase, redactor) = (
            self.paths.tool_outputs(self.run_id),
            self.phase_key.clone(),
            Arc::clone(&self.redactor),
        );
        let kept = blocking(move || {
            let text = redactor.apply(&whole);
            let name = format!(
                "{phase}-{}",
                ContentHash::from_bytes(text.as_bytes()).short()
            );
            write_private(&dir, &name, &text).map(|()| name)
        });
        kept.await
            .inspect_err(|failure| tracing::warn!(%failure, "what a tool said is not kept"))
            .ok()
    }
}

fn write_private(dir: &Path, file: &str, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    create_private_dir(dir)?;
    let path = dir.join(file);
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&path);
    let written = opened.and_then(|mut out| out.write_all(text.as_bytes()));
    written.map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))
}
