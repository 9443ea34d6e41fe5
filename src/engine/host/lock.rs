//! The lock that makes a process the host of a data directory.
//!
//! An OS lock on a file that is never deleted: the kernel releases it when its holder exits, for
//! whatever reason. The content of the file names the holder, for people only. If someone deletes
//! the file anyway, the next host locks a new one; therefore the database records the lock file of
//! the last host, and while the kernel still reports that file as locked, its holder is the host.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;
use crate::store::writer::host_epoch;
use crate::store::writer::host_epoch::HostIdentity;

/// A process that probes the lock holds it for microseconds, and so does a child between fork and
/// exec; neither is a host, so a busy lock is retried.
const MAX_TRIES: u32 = 20;
const RETRY_DELAY: Duration = Duration::from_millis(2);

/// Length of the lock file in bytes.
const TEXT_BYTES: usize = 128;

/// Holder of the lock of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Process id; 0 if unknown.
    pub pid: u32,
    /// When the lock was taken.
    pub since: Timestamp,
}

/// The lock, held until dropped.
pub struct HostLock {
    file: File,
}

impl HostLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `session_manager_already_running`, naming the holder; `io_failed`. Nothing else is changed.
    pub fn acquire(paths: &InstallPaths) -> Result<Self> {
        paths.create()?;
        let path = paths.lock();
        let mut file = open(&path)?;
        let mut locked = file.try_lock();
        for _ in 1..MAX_TRIES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(RETRY_DELAY);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(already_running(read_with_retry(&mut file).as_ref()));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Failure::io(
                    format!("cannot lock {}", path.display()),
                    &error,
                ));
            }
        }
        let info = LockHolder {
            pid: std::process::id(),
            since: Timestamp::now(),
        };
        Step::HostLock
            .around(|| write(&mut file, &info))
            .map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))?;
        Ok(Self { file })
    }

    /// Returns the identity of this process as the holder of this lock file.
    ///
    /// # Errors
    /// `io_failed` if the file's metadata cannot be read.
    pub fn identity(&self) -> Result<HostIdentity> {
        let meta = self
            .file
            .metadata()
            .map_err(|error| Failure::io("cannot read the metadata of the lock file", &error))?;
        Ok(HostIdentity {
            pid: std::process::id(),
            lock_device: meta.dev(),
            lock_inode: meta.ino(),
        })
    }

    /// Checks that no running host holds a lock file that was deleted.
    ///
    /// # Errors
    /// `session_manager_already_running`, naming that host; `io_failed`. Nothing is changed.
    pub fn reject_orphaned_host(&self, paths: &InstallPaths) -> Result<()> {
        // Errors of the database are reported where it is opened for work.
        let last = host_epoch::last_host(&paths.database()).unwrap_or_default();
        let other = last.filter(|last| !same_file(&self.file, last.who) && is_locked(last.who));
        other.map_or(Ok(()), |last| {
            let who = LockHolder {
                pid: last.who.pid,
                since: last.since,
            };
            Err(already_running(Some(&who)).hint(format!(
                "its lock file {} was deleted while it was running; end that process first",
                paths.lock().display()
            )))
        })
    }
}

fn same_file(file: &File, who: HostIdentity) -> bool {
    file.metadata()
        .is_ok_and(|meta| (meta.dev(), meta.ino()) == (who.lock_device, who.lock_inode))
}

/// Returns whether the kernel reports a lock on that file, which may have no name any more. Where
/// `/proc/locks` is unavailable, the host epoch in the database keeps hosts apart.
fn is_locked(who: HostIdentity) -> bool {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let major = rustix::fs::major(who.lock_device);
    let minor = rustix::fs::minor(who.lock_device);
    let file = format!("{major:02x}:{minor:02x}:{}", who.lock_inode);
    locks.lines().any(|line| {
        line.contains(" FLOCK ")
            && line.contains(" WRITE ")
            && line.split_whitespace().any(|word| word == file)
    })
}

impl Drop for HostLock {
    fn drop(&mut self) {
        // Closing releases the lock too, but not while a freshly forked child has a copy of the
        // descriptor.
        let _ = self.file.unlock();
    }
}

/// Returns the current host of a data directory, if there is one.
///
/// # Errors
/// `io_failed` if the lock file cannot be read.
pub fn live_host(paths: &InstallPaths) -> Result<Option<LockHolder>> {
    let path = paths.lock();
    if !path.exists() {
        return Ok(None);
    }
    // Opened read-only: closing a file opened for writing would wake processes that watch for the
    // holder's exit.
    let mut file = File::open(&path)
        .map_err(|error| Failure::io(format!("cannot open {}", path.display()), &error))?;
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => Ok(Some(read(&mut file).unwrap_or(LockHolder {
            pid: 0,
            since: Timestamp::default(),
        }))),
        Err(TryLockError::Error(error)) => Err(Failure::io(
            format!("cannot check the lock {}", path.display()),
            &error,
        )),
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|error| Failure::io(format!("cannot open {}", path.display()), &error))
}

/// Writes the file in one write of constant length, so that no reader sees half of it.
fn write(file: &mut File, info: &LockHolder) -> std::io::Result<()> {
    file.rewind()?;
    file.write_all(format!("{:<TEXT_BYTES$}", serde_json::to_string(info)?).as_bytes())?;
    file.set_len(TEXT_BYTES as u64)
}

/// Reads the holder, retrying: a process that has just taken the lock may not have written it yet.
fn read_with_retry(file: &mut File) -> Option<LockHolder> {
    let mut info = read(file);
    for _ in 1..MAX_TRIES {
        if info.is_some() {
            break;
        }
        std::thread::sleep(RETRY_DELAY);
        info = read(file);
    }
    info
}

fn read(file: &mut File) -> Option<LockHolder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn already_running(info: Option<&LockHolder>) -> Failure {
    let who = info.map_or_else(String::new, |info| {
        format!(" (process {}, since {})", info.pid, info.since)
    });
    Failure::new(
        Code::SessionManagerAlreadyRunning,
        format!("another phasedeck process uses this data directory{who}"),
    )
    .hint("use that one; `phasedeck runs`, `show`, `approve` and similar commands work beside it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_gets_the_pid_of_the_first() {
        let home = tempfile::tempdir().unwrap();
        let paths = InstallPaths::beneath(home.path());
        assert_eq!(live_host(&paths).unwrap(), None);
        let first = HostLock::acquire(&paths).unwrap();
        let refused = HostLock::acquire(&paths).err().unwrap();
        assert_eq!(refused.code, Code::SessionManagerAlreadyRunning);
        assert!(
            refused
                .message
                .contains(&format!("process {}", std::process::id())),
            "{refused}"
        );
        assert_eq!(live_host(&paths).unwrap().unwrap().pid, std::process::id());
        drop(first);
        assert_eq!(live_host(&paths).unwrap(), None);
        HostLock::acquire(&paths).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_host_whose_lock_was_deleted_is_still_the_host() {
        let home = tempfile::tempdir().unwrap();
        let paths = InstallPaths::beneath(home.path());
        let first = HostLock::acquire(&paths).unwrap();
        first.reject_orphaned_host(&paths).unwrap();
        let store = crate::store::Store::open_as_host(&paths.database(), first.identity().unwrap())
            .unwrap();
        first.reject_orphaned_host(&paths).unwrap();
        std::fs::remove_file(paths.lock()).unwrap();
        let second = HostLock::acquire(&paths).unwrap();
        let refused = second.reject_orphaned_host(&paths).unwrap_err();
        assert_eq!(refused.code, Code::SessionManagerAlreadyRunning);
        assert!(
            refused
                .message
                .contains(&format!("process {}", std::process::id())),
            "{refused}"
        );
        drop(first);
        second.reject_orphaned_host(&paths).unwrap();
        store.close_blocking().unwrap();
    }
}
