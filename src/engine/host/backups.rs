//! A copy of the database each day in which something was stored, while a host lives.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::blocking::blocking;
use crate::engine::context::Context;
use crate::model::time::Timestamp;
use crate::store::backup;

/// A host that is there for a moment makes none, and none is made while the console comes up.
const FIRST: Duration = Duration::from_secs(60);
/// How often it is looked whether a new day has begun.
const LOOK: Duration = Duration::from_secs(3600);

/// Makes copies for as long as the host can store anything.
pub(super) async fn keep(context: Arc<Context>) {
    tokio::time::sleep(FIRST).await;
    while context.journal.store.stop().is_none() {
        let database = context.paths.database();
        match blocking(move || backup::daily(&database, Timestamp::now())).await {
            Ok(Some(copy)) => tracing::info!(copy = %copy.display(), "the database was backed up"),
            Ok(None) => {}
            Err(failure) => tracing::warn!(%failure, "the database could not be backed up"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
