//! Sleeping until another process does something to the data: writes the database, or lets go of the lock.
//!
//! The kernel tells of changes in the data folder, so an idle process is not woken at all between two of
//! them; a slow look now and then covers what it could not tell. Where it tells nothing, the look is as
//! quick as it must be.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::engine::paths::Paths;

/// The least time between two looks, however often it rings.
const QUICK: Duration = Duration::from_millis(25);
/// The longest time between two looks where the kernel tells of changes.
const SLOW: Duration = Duration::from_secs(5);
/// The time between two looks where it does not.
const BLIND: Duration = Duration::from_millis(50);

/// Looks after a ring, by the time since: the kernel tells of a write before it is on the disk, and only
/// then can it be read.
const ECHOES: [Duration; 6] = [ms(5), ms(15), ms(40), ms(100), ms(250), ms(700)];

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// See the module.
pub(super) struct Doorbell {
    rings: Option<watch::Watch>,
    looked: Instant,
    rang: Instant,
    echo: usize,
}

impl Doorbell {
    /// A bell at the data folder; on the runtime that will wait for it.
    pub(super) fn new(paths: &Paths) -> Self {
        let now = Instant::now();
        Self {
            rings: watch::Watch::new(paths),
            looked: now,
            rang: now,
            echo: 0,
        }
    }

    /// Waits until something may have changed since the last call.
    pub(super) async fn rung(&mut self) {
        match &mut self.rings {
            None => sleep_until(self.looked + BLIND).await,
            Some(rings) => {
                let echo = ECHOES.get(self.echo).map(|after| self.rang + *after);
                tokio::select! {
                    () = rings.next() => {
                        (self.rang, self.echo) = (Instant::now(), 0);
                        sleep_until(self.looked + QUICK).await;
                    }
                    () = sleep_until(echo.unwrap_or_else(|| Instant::now() + SLOW)) => self.echo += 1,
                }
            }
        }
        self.looked = Instant::now();
    }
}

#[cfg(target_os = "linux")]
mod watch {
    use std::ffi::CStr;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use tokio::io::unix::AsyncFd;

    use crate::engine::paths::Paths;

    /// The kernel's word on the data folder.
    pub(super) struct Watch {
        kernel: AsyncFd<OwnedFd>,
        lock: Vec<u8>,
        log: Vec<u8>,
    }

    impl Watch {
        /// None where the kernel does not tell.
        pub(super) fn new(paths: &Paths) -> Option<Self> {
            let (lock, database) = (paths.lock(), paths.database());
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

        /// The next change that means something: a commit, or the end of whoever holds the lock.
        pub(super) async fn next(&mut self) {
            loop {
                let Ok(mut ready) = self.kernel.readable().await else {
                    return std::future::pending().await;
                };
                let rang =
                    ready.try_io(|kernel| Ok(rings(kernel.get_ref(), &self.lock, &self.log)));
                // Read to the end: more is told anew.
                ready.clear_ready();
                if matches!(rang, Ok(Ok(true))) {
                    return;
                }
            }
        }
    }

    /// Takes everything that was told; whether any of it matters.
    fn rings(kernel: &OwnedFd, lock: &[u8], log: &[u8]) -> bool {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut told = Reader::new(kernel, &mut space);
        let mut rang = false;
        while let Ok(event) = told.next() {
            let name = event.file_name().map(CStr::to_bytes).unwrap_or_default();
            // What was lost may have mattered.
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
    use crate::engine::paths::Paths;

    /// Nothing tells here.
    pub(super) struct Watch(std::convert::Infallible);

    impl Watch {
        pub(super) fn new(_: &Paths) -> Option<Self> {
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

    /// Nothing wakes it, once what was written before has faded away.
    async fn asleep(bell: &mut Doorbell) {
        while bell.echo < ECHOES.len() {
            bell.rung().await;
        }
        let woken = tokio::time::timeout(ms(300), bell.rung()).await;
        assert!(
            woken.is_err() || cfg!(not(target_os = "linux")),
            "it is woken by nothing"
        );
    }

    async fn rings(bell: &mut Doorbell) {
        tokio::time::timeout(Duration::from_secs(2), bell.rung())
            .await
            .expect("it rings");
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn it_rings_for_a_commit_and_for_the_end_of_a_lock_and_sleeps_in_between() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::beneath(home.path());
        paths.create().unwrap();
        let store = Store::open(&paths.database()).unwrap();
        let lock = super::super::HostLock::take(&paths).unwrap();
        runtime().block_on(async {
            let mut bell = Doorbell {
                echo: ECHOES.len(),
                ..Doorbell::new(&paths)
            };
            asleep(&mut bell).await;
            let hash = crate::model::hash::ContentHash::of(b"persona");
            store
                .write(move |tx| {
                    crate::store::consents::give(
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
            // Looking at the lock rings nobody.
            asleep(&mut bell).await;
        });
    }
}
