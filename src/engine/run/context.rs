//! State shared by all drivers of a host: journal writer, contents, backends, settings.

use super::run_files::SharedSchemas;
use crate::engine::agent::{Backend, BackendRegistry};
use crate::engine::artifact::contents::WorktreeContents;
use crate::engine::journal_writer::JournalWriter;
use crate::engine::paths::InstallPaths;
use crate::engine::redact::Redactor;
use crate::engine::run::concurrency::RunSlots;
use crate::model::id::RunId;
use crate::model::settings::AppSettings;
use crate::store::Store;
use std::path::PathBuf;
use std::sync::Arc;

/// State shared by all drivers of a host.
pub struct EngineContext {
    pub journal: JournalWriter,
    /// Artifact contents by hash.
    pub contents: WorktreeContents,
    pub paths: InstallPaths,
    pub settings: AppSettings,
    /// Backends by the name that personas use.
    pub backends: BackendRegistry,
    /// Removes secrets from everything that is stored or displayed.
    pub redactor: Arc<Redactor>,
    /// Run concurrency limit.
    pub run_slots: RunSlots,
    /// Compiled schemas shared by runs.
    pub schemas: SharedSchemas,
}

impl EngineContext {
    /// Creates the shared state of a host.
    #[must_use]
    pub fn new(
        store: Store,
        paths: InstallPaths,
        settings: AppSettings,
        backends: Vec<Arc<dyn Backend>>,
    ) -> Self {
        Self {
            journal: JournalWriter::new(store),
            contents: WorktreeContents::new(paths.contents()),
            backends: backends.into_iter().collect(),
            redactor: Arc::new(Redactor::of(&settings)),
            run_slots: RunSlots::new(settings.engine.max_concurrent_runs),
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
