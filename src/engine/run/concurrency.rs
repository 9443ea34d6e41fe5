//! Run concurrency limit: at most `max_concurrent_runs` attempts at a time, and a visible queue.
//!
//! The queue is first in, first out. A thread has at most one active run, and a run queues again
//! for each attempt, so threads take turns. Only attempts occupy a slot; a run that waits for an
//! operator does not. Queue positions are written to the runs' rows in batches, shortly after they
//! change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::context::EngineContext;
use crate::model::id::RunId;
use crate::store::tables::threads;

/// Delay before changed queue positions are written.
const NOTE_AFTER: Duration = Duration::from_millis(100);

/// The slots and the queue for them.
#[derive(Debug)]
pub struct RunSlots {
    semaphore: Arc<Semaphore>,
    queue: Mutex<Vec<RunId>>,
    changed: Notify,
}

/// Entry in the queue; dropping it removes the run from the queue.
struct QueueEntry<'a> {
    slots: &'a RunSlots,
    run: RunId,
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        self.slots
            .update_queue(|line| line.retain(|run| *run != self.run));
    }
}

impl RunSlots {
    /// Creates `places` slots, at least one.
    #[must_use]
    pub fn new(places: u32) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(places.max(1) as usize)),
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Returns a slot if one is free. The semaphore is fair, so this never overtakes the queue.
    #[must_use]
    pub fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).try_acquire_owned().ok()
    }

    /// Waits for a slot. Cancelling the future leaves the queue.
    pub async fn acquire(&self, run: RunId) -> Option<OwnedSemaphorePermit> {
        self.update_queue(|line| line.push(run));
        let _waiting = QueueEntry { slots: self, run };
        Arc::clone(&self.semaphore).acquire_owned().await.ok()
    }

    fn update_queue(&self, change: impl FnOnce(&mut Vec<RunId>)) {
        change(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    fn queue_positions(&self) -> BTreeMap<RunId, u32> {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .zip(1..)
            .collect()
    }
}

/// Writes queue positions to the runs' rows for as long as the host runs.
pub async fn store_queue_positions(context: Arc<EngineContext>) {
    let mut noted: BTreeMap<RunId, u32> = BTreeMap::new();
    loop {
        context.run_slots.changed.notified().await;
        tokio::time::sleep(NOTE_AFTER).await;
        let now = context.run_slots.queue_positions();
        let gone = noted
            .keys()
            .filter(|run| !now.contains_key(run))
            .map(|run| (*run, None));
        let moved = now
            .iter()
            .filter(|(run, place)| noted.get(*run) != Some(*place))
            .map(|(run, place)| (*run, Some(*place)));
        let changes: Vec<(RunId, Option<u32>)> = gone.chain(moved).collect();
        if changes.is_empty() {
            continue;
        }
        match context
            .journal
            .store
            .write(move |tx| threads::set_lines(tx, &changes))
            .await
        {
            Ok(()) => noted = now,
            Err(failure) => {
                tracing::warn!(%failure, "could not store queue positions")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slots_are_granted_in_queue_order_and_cancelled_runs_leave_the_queue() {
        let slots = Arc::new(RunSlots::new(1));
        let first = slots.try_acquire().unwrap();
        assert!(slots.try_acquire().is_none());
        let runs = [RunId::new(), RunId::new(), RunId::new()];
        let mut waiting = Vec::new();
        for (run, place) in runs.into_iter().zip(1..) {
            let slots = Arc::clone(&slots);
            waiting.push(tokio::spawn({
                let slots = Arc::clone(&slots);
                async move { slots.acquire(run).await }
            }));
            while slots.queue_positions().get(&run) != Some(&place) {
                tokio::task::yield_now().await;
            }
        }
        waiting[1].abort();
        assert!((&mut waiting[1]).await.unwrap_err().is_cancelled());
        assert_eq!(
            slots.queue_positions(),
            BTreeMap::from([(runs[0], 1), (runs[2], 2)])
        );
        drop(first);
        let second = (&mut waiting[0]).await.unwrap();
        assert_eq!(slots.queue_positions(), BTreeMap::from([(runs[2], 1)]));
        drop(second);
        assert!((&mut waiting[2]).await.unwrap().is_some());
        assert!(slots.queue_positions().is_empty());
    }
}
