//! The places to work: at most `max_concurrent_runs` attempts at the same time, and a line before them
//! that everybody can see.
//!
//! First come, first served; since a thread has one run in flight, and a run that has made an attempt
//! stands at the end of the line again, threads take turns. A run that waits for a person holds no
//! place, because only attempts do. The places in the line are noted on the runs' rows, a little after
//! they change and not oftener than anybody reads them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::context::Context;
use crate::model::id::RunId;
use crate::store::threads;

/// How long places change before they are noted.
const NOTE_AFTER: Duration = Duration::from_millis(100);

/// The places to work.
#[derive(Debug)]
pub struct Slots {
    places: Arc<Semaphore>,
    line: Mutex<Vec<RunId>>,
    changed: Notify,
}

/// Who stands in the line, as long as this lives.
struct Waiting<'a> {
    slots: &'a Slots,
    run: RunId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.slots
            .change(|line| line.retain(|run| *run != self.run));
    }
}

impl Slots {
    /// So many places, at least one.
    #[must_use]
    pub fn new(places: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.max(1) as usize)),
            line: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// A place, if one is free and nobody waits for it.
    #[must_use]
    pub fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Waits for a place; who gives up leaves the line.
    pub async fn place(&self, run: RunId) -> Option<OwnedSemaphorePermit> {
        self.change(|line| line.push(run));
        let _waiting = Waiting { slots: self, run };
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<RunId>)) {
        change(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    fn places_in_line(&self) -> BTreeMap<RunId, u32> {
        self.line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .zip(1..)
            .collect()
    }
}

/// Notes the places in the line on the runs' rows, for as long as the host lives.
pub async fn keep_lines(context: Arc<Context>) {
    let mut noted: BTreeMap<RunId, u32> = BTreeMap::new();
    loop {
        context.slots.changed.notified().await;
        tokio::time::sleep(NOTE_AFTER).await;
        let now = context.slots.places_in_line();
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
                tracing::warn!(%failure, "could not note who waits for a place to work")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_given_in_the_order_of_the_line_and_who_gives_up_leaves_it() {
        let slots = Arc::new(Slots::new(1));
        let first = slots.free().unwrap();
        assert!(slots.free().is_none());
        let runs = [RunId::new(), RunId::new(), RunId::new()];
        let mut waiting = Vec::new();
        for (run, place) in runs.into_iter().zip(1..) {
            let slots = Arc::clone(&slots);
            waiting.push(tokio::spawn({
                let slots = Arc::clone(&slots);
                async move { slots.place(run).await }
            }));
            while slots.places_in_line().get(&run) != Some(&place) {
                tokio::task::yield_now().await;
            }
        }
        waiting[1].abort();
        assert!((&mut waiting[1]).await.unwrap_err().is_cancelled());
        assert_eq!(
            slots.places_in_line(),
            BTreeMap::from([(runs[0], 1), (runs[2], 2)])
        );
        drop(first);
        let second = (&mut waiting[0]).await.unwrap();
        assert_eq!(slots.places_in_line(), BTreeMap::from([(runs[2], 1)]));
        drop(second);
        assert!((&mut waiting[2]).await.unwrap().is_some());
        assert!(slots.places_in_line().is_empty());
    }
}
