//! What happens when the disk is full: every run stops where it is, and goes on when there is space.
//!
//! The first fact that finds no room gives the ballast back, so that it and the pauses can be stored.
//! Runs rest with reason `disk_full`. When the ballast fits again there is room: it is made, and the runs
//! that rested for want of space go on by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::context::{Context, blocking};
use crate::engine::supervisor::Call;
use crate::store::ballast;

/// How often it is looked whether there is space again.
const LOOK: Duration = Duration::from_secs(2);

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
        context.full.notified().await;
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
