//! What happens when the disk is full: every run stops where it is, and goes on when there is space.
//!
//! The first fact that finds no room gives the ballast back, so that it and the pauses can be stored.
//! Runs rest with reason `disk_full`. When the ballast fits again there is room: it is made, and the runs
//! that rested for want of space go on by themselves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::blocking::blocking;
use crate::engine::context::Context;
use crate::engine::supervisor::Call;
use crate::model::error::{Code, Result};
use crate::store::fence::Claimant;
use crate::store::{Store, ballast};

/// How often it is looked whether there is space again.
const LOOK: Duration = Duration::from_secs(2);

/// Opens the database, where there is no room even for that with the space that was kept; says so then.
///
/// # Errors
/// As [`Store::open_as_host`].
pub(super) fn open(database: &Path, who: Claimant) -> Result<(Store, Option<String>)> {
    match Store::open_as_host(database, who) {
        Err(full) if full.code == Code::DiskFull && ballast::release(database) => {
            let free = ballast::free_bytes(database).map_or_else(String::new, |free| {
                format!(", {} KiB are left", free / 1024)
            });
            let words = format!(
                "the disk of {} is full: the space that was kept for this is in use{free}",
                database.display()
            );
            Store::open_as_host(database, who).map(|store| (store, Some(words)))
        }
        opened => opened.map(|store| (store, None)),
    }
}

/// Keeps the ballast, and stops and starts runs as space goes and comes.
pub(super) async fn watch(context: Arc<Context>, calls: mpsc::Sender<Call>) {
    let database = context.paths.database();
    let kept = {
        let database = database.clone();
        move || {
            let database = database.clone();
            blocking(move || Ok(ballast::keep(&database)))
        }
    };
    let _ = kept().await;
    loop {
        context.journal.disk_is_full().await;
        tracing::warn!(free = ?ballast::free_bytes(&database), "no space left on the disk; all runs rest");
        if calls.send(Call::NoSpace).await.is_err() {
            return;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            if matches!(kept().await, Ok(true)) {
                break;
            }
        }
        tracing::warn!("there is space again; the runs go on");
        if calls.send(Call::SpaceAgain).await.is_err() {
            return;
        }
    }
}
