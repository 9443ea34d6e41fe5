//! State shared by all drivers of a host: journal writer, contents, backends, settings.

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

/// State shared by all drivers of a host.
pub struct Context {
    pub journal: JournalWriter,
    /// Artifact contents by hash.
    pub contents: Contents,
    pub paths: Paths,
    pub settings: Settings,
    /// Backends by the name that personas use.
    pub backends: Backends,
    /// Removes secrets from everything that is stored or displayed.
    pub redactor: Arc<Redactor>,
    /// Run concurrency limit.
    pub slots: Slots,
    /// Compiled schemas shared by runs.
    pub schemas: SharedSchemas,
}

impl Context {
    /// Creates the shared state of a host.
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

    /// Returns the directory for files of a run that were moved aside.
    #[must_use]
    pub fn aside(&self, run_id: RunId) -> PathBuf {
        self.paths.run(run_id).join("aside")
    }
}
