//! Full disk: pauses all runs and resumes them when space is available.
//!
//! The first write that fails for lack of space releases the reserved disk space, so that it and
//! the pauses can be stored. Runs are paused with reason `disk_full`. When the reserve can be
//! allocated again, the runs paused for lack of space are resumed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::blocking::blocking;
use crate::engine::run::context::EngineContext;
use crate::engine::run::supervisor::SupervisorMsg;
use crate::model::error::{Code, Result};
use crate::store::Store;
use crate::store::writer::disk_reserve;
use crate::store::writer::host_epoch::HostIdentity;

/// Interval of the check for free space.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Opens the database, on a full disk with the help of the reserved space; returns a notice then.
///
/// # Errors
/// As [`Store::open_as_host`].
pub(super) fn open_store(database: &Path, who: HostIdentity) -> Result<(Store, Option<String>)> {
    match Store::open_as_host(database, who) {
        Err(full) if full.code == Code::DiskFull && disk_reserve::release(database) => {
            let free = disk_reserve::free_bytes(database).map_or_else(String::new, |free| {
                format!(", {} KiB are left", free / 1024)
            });
            let notice = format!(
                "the disk of {} is full: the reserved space is in use{free}",
                database.display()
            );
            Store::open_as_host(database, who).map(|store| (store, Some(notice)))
        }
        opened => opened.map(|store| (store, None)),
    }
}

/// Maintains the reserved space, and pauses and resumes runs as the disk fills and empties.
pub(super) async fn watch_space(context: Arc<EngineContext>, calls: mpsc::Sender<SupervisorMsg>) {
    let database = context.paths.database();
    let kept = {
        let database = database.clone();
        move || {
            let database = database.clone();
            blocking(move || Ok(disk_reserve::allocate_reserve(&database)))
        }
    };
    let _ = kept().await;
    loop {
        context.journal.disk_is_full().await;
        tracing::warn!(free = ?disk_reserve::free_bytes(&database), "disk full; pausing all runs");
        if calls.send(SupervisorMsg::DiskFull).await.is_err() {
            return;
        }
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            if matches!(kept().await, Ok(true)) {
                break;
            }
        }
        tracing::warn!("disk space is available again; resuming the runs");
        if calls.send(SupervisorMsg::DiskSpaceAvailable).await.is_err() {
            return;
        }
    }
}
