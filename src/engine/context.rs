//! What all drivers of one host share: the journal writer, the contents, the backends, the settings.

use std::path::PathBuf;
use std::sync::Arc;

use super::agent::{Backend, Backends};
use super::artifact::contents::Contents;
use super::journal_writer::JournalWriter;
use super::paths::Paths;
use super::redact::Redactor;
use super::run_files::SharedSchemas;
use super::slots::Slots;
use crate::model::id::RunId;
use crate::model::settings::Settings;
use crate::store::Store;

/// What all drivers of one host share.
pub struct Context {
    /// Writes to the journal and publishes what was written.
    pub journal: JournalWriter,
    /// Artifact contents.
    pub contents: Contents,
    /// Folders.
    pub paths: Paths,
    /// Settings.
    pub settings: Settings,
    /// By the name that personas give.
    pub backends: Backends,
    /// Takes secrets out of what is written down and shown.
    pub redactor: Arc<Redactor>,
    /// The places to work.
    pub slots: Slots,
    /// Schemas that runs share.
    pub schemas: SharedSchemas,
}

impl Context {
    /// Puts together what drivers share.
    #[must_use]
    pub fn new(
        store: Store,
        paths: Paths,
        settings: Settings,
        backends: Vec<Arc<dyn Backend>>,
    ) -> Self {
        Self {
            journal: JournalWriter::new(store),
            contents: Contents::new(paths.contents()),
            backends: backends.into_iter().collect(),
            redactor: Arc::new(Redactor::of(&settings)),
            slots: Slots::new(settings.engine.max_concurrent_runs),
            schemas: SharedSchemas::default(),
            paths,
            settings,
        }
    }

    /// Where files of a run go that were in the way.
    #[must_use]
    pub fn aside(&self, run_id: RunId) -> PathBuf {
        self.paths.run(run_id).join("aside")
    }
}
