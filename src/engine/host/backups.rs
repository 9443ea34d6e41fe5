//! Daily database backups while a host runs, on days with new data.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::blocking::blocking;
use crate::engine::run::context::EngineContext;
use crate::model::time::Timestamp;
use crate::store::writer::backup;

/// Delay before the first backup: a short-lived host makes none, and startup is not slowed down.
const FIRST_DELAY: Duration = Duration::from_secs(60);
/// Interval of the check for a new day.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// Makes backups until the store is closed.
pub(super) async fn run_daily(context: Arc<EngineContext>) {
    tokio::time::sleep(FIRST_DELAY).await;
    while context.journal.store.stop_reason().is_none() {
        let database = context.paths.database();
        match blocking(move || backup::daily(&database, Timestamp::now())).await {
            Ok(Some(copy)) => tracing::info!(copy = %copy.display(), "the database was backed up"),
            Ok(None) => {}
            Err(failure) => tracing::warn!(%failure, "the database could not be backed up"),
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}
