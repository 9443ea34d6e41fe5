//! Waits for another process to change the data: to write the database or to release the lock.
//!
//! inotify reports changes in the data directory, so an idle process is not woken between two of
//! them; a slow poll covers changes it cannot report. Where inotify is unavailable, a fast poll
//! replaces it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::engine::paths::InstallPaths;

/// Minimum time between two wake-ups, however many changes are reported.
const MIN_INTERVAL: Duration = Duration::from_millis(25);
/// Poll interval where changes are reported.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Poll interval where changes are not reported.
const POLL_INTERVAL_WITHOUT_INOTIFY: Duration = Duration::from_millis(50);

/// Additional wake-ups, by the time since the last reported change: the kernel reports a write
/// before the transaction is committed and can be read.
const ECHO_DELAYS: [Duration; 6] = [ms(5), ms(15), ms(40), ms(100), ms(250), ms(700)];

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Waits for changes of the data directory; see the module documentation.
pub(super) struct ChangeWatcher {
    inotify: Option<watch::InotifyWatch>,
    last_wake: Instant,
    last_change: Instant,
    echo_index: usize,
}

impl ChangeWatcher {
    /// Watches the data directory. Must be called on the runtime that will wait.
    pub(super) fn new(paths: &InstallPaths) -> Self {
        let now = Instant::now();
        Self {
            inotify: watch::InotifyWatch::new(paths),
            last_wake: now,
            last_change: now,
            echo_index: 0,
        }
    }

    /// Waits until the data may have changed since the last call.
    pub(super) async fn changed(&mut self) {
        match &mut self.inotify {
            None => sleep_until(self.last_wake + POLL_INTERVAL_WITHOUT_INOTIFY).await,
            Some(rings) => {
                let echo = ECHO_DELAYS
                    .get(self.echo_index)
                    .map(|after| self.last_change + *after);
                tokio::select! {
                    () = rings.next() => {
                        self.last_change = Instant::now();
                        self.echo_index = 0;
                        sleep_until(self.last_wake + MIN_INTERVAL).await;
                    }
                    () = sleep_until(echo.unwrap_or_else(|| Instant::now() + POLL_INTERVAL)) => self.echo_index += 1,
                }
            }
        }
        self.last_wake = Instant::now();
    }
}

#[cfg(target_os = "linux")]
mod watch {
    use std::ffi::CStr;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use tokio::io::unix::AsyncFd;

    use crate::engine::paths::InstallPaths;

    /// inotify watch on the directories of the database and of the lock.
    pub(super) struct InotifyWatch {
        kernel: AsyncFd<OwnedFd>,
        lock: Vec<u8>,
        log: Vec<u8>,
    }

    impl InotifyWatch {
        /// Returns `None` where inotify is unavailable.
        pub(super) fn new(paths: &InstallPaths) -> Option<Self> {
            let lock = paths.lock();
            let database = paths.database();
            let name = |path: &std::path::Path| {
                path.file_name()
                    .map(|name| name.as_encoded_bytes().to_vec())
            };
            let log = [name(&database)?, b"-wal".to_vec()].concat();
            let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
            for folder in [database.parent()?, lock.parent()?] {
                inotify::add_watch(
                    &kernel,
                    folder,
                    WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE,
                )
                .ok()?;
            }
            #[expect(
                deprecated,
                reason = "its successor is unsafe for types that could change their descriptor; this one cannot"
            )]
            let kernel = AsyncFd::new(kernel).ok()?;
            Some(Self {
                kernel,
                lock: name(&lock)?,
                log,
            })
        }

        /// Waits for a relevant change: a commit, or the release of the lock.
        pub(super) async fn next(&mut self) {
            loop {
                let Ok(mut ready) = self.kernel.readable().await else {
                    return std::future::pending().await;
                };
                let rang =
                    ready.try_io(|kernel| Ok(rings(kernel.get_ref(), &self.lock, &self.log)));
                // `rings` reads until the queue is empty; a later event makes it readable again.
                ready.clear_ready();
                if matches!(rang, Ok(Ok(true))) {
                    return;
                }
            }
        }
    }

    /// Drains the event queue; returns whether any event is relevant.
    fn rings(kernel: &OwnedFd, lock: &[u8], log: &[u8]) -> bool {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(kernel, &mut space);
        let mut rang = false;
        while let Ok(event) = events.next() {
            let name = event.file_name().map(CStr::to_bytes).unwrap_or_default();
            // Events dropped by the kernel may have been relevant.
            let lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let written = event.events().contains(ReadFlags::MODIFY) && name == log;
            rang |= lost
                || written
                || (event.events().contains(ReadFlags::CLOSE_WRITE) && name == lock);
        }
        rang
    }
}

#[cfg(not(target_os = "linux"))]
mod watch {
    use crate::engine::paths::InstallPaths;

    /// Never created on this platform.
    pub(super) struct InotifyWatch(std::convert::Infallible);

    impl InotifyWatch {
        pub(super) fn new(_: &InstallPaths) -> Option<Self> {
            None
        }

        pub(super) async fn next(&mut self) {
            match self.0 {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    /// Waits for the remaining echoes, then asserts that nothing wakes it.
    async fn asleep(bell: &mut ChangeWatcher) {
        while bell.echo_index < ECHO_DELAYS.len() {
            bell.changed().await;
        }
        let woken = tokio::time::timeout(ms(300), bell.changed()).await;
        assert!(
            woken.is_err() || cfg!(not(target_os = "linux")),
            "nothing changed"
        );
    }

    async fn rings(bell: &mut ChangeWatcher) {
        tokio::time::timeout(Duration::from_secs(2), bell.changed())
            .await
            .expect("the change is reported");
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn commits_and_lock_releases_wake_and_nothing_else_does() {
        let home = tempfile::tempdir().unwrap();
        let paths = InstallPaths::beneath(home.path());
        paths.create().unwrap();
        let store = Store::open(&paths.database()).unwrap();
        let lock = super::super::HostLock::acquire(&paths).unwrap();
        runtime().block_on(async {
            let mut bell = ChangeWatcher {
                echo_index: ECHO_DELAYS.len(),
                ..ChangeWatcher::new(&paths)
            };
            asleep(&mut bell).await;
            let hash = crate::model::hash::ContentHash::from_bytes(b"persona");
            store
                .write(move |tx| {
                    crate::store::tables::consents::insert(
                        tx,
                        "a@1",
                        &hash,
                        "op",
                        crate::model::time::Timestamp(0),
                    )
                })
                .await
                .unwrap();
            rings(&mut bell).await;
            drop(lock);
            rings(&mut bell).await;
            assert_eq!(super::super::live_host(&paths).unwrap(), None);
            // Probing the lock (read-only) must not wake anyone.
            asleep(&mut bell).await;
        });
    }
}
