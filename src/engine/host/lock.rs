//! The lock that makes a process the host of a data directory.
//!
//! An OS lock on a file that is never deleted: it is free the moment its owner is gone, however it
//! went. The file's content says who holds it, for people only.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::paths::Paths;
use crate::model::error::{Code, Failure, Result};
use crate::model::time::Timestamp;
use crate::store::failpoint::Step;

/// Somebody who only looks holds the lock for microseconds, and so does a child between fork and exec;
/// neither is a host.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(2);

/// Who holds a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// The held lock; dropping it frees it.
pub struct HostLock {
    file: File,
}

impl HostLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `session_manager_already_running` naming the holder; `io_failed`. Nothing else was touched.
    pub fn take(paths: &Paths) -> Result<Self> {
        paths.create()?;
        let path = paths.lock();
        let mut file = open(&path)?;
        let mut locked = file.try_lock();
        for _ in 1..TRIES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(PAUSE);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(read(&mut file).as_ref())),
            Err(TryLockError::Error(error)) => return Err(Failure::io(format!("cannot lock {}", path.display()), &error)),
        }
        let info = HostInfo { pid: std::process::id(), since: Timestamp::now() };
        Step::HostLock
            .around(|| write(&mut file, &info))
            .map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))?;
        Ok(Self { file })
    }
}

impl Drop for HostLock {
    fn drop(&mut self) {
        // Closing would free it too, but not while a child that was just forked holds a copy.
        let _ = self.file.unlock();
    }
}

/// Who hosts a data directory at the moment, if anybody does.
///
/// # Errors
/// `io_failed` when the lock file cannot be read.
pub fn live_host(paths: &Paths) -> Result<Option<HostInfo>> {
    let path = paths.lock();
    if !path.exists() {
        return Ok(None);
    }
    // For reading only: whoever waits for the holder's end is not woken by somebody who looks.
    let mut file = File::open(&path).map_err(|error| Failure::io(format!("cannot open {}", path.display()), &error))?;
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => Ok(Some(read(&mut file).unwrap_or(HostInfo { pid: 0, since: Timestamp::default() }))),
        Err(TryLockError::Error(error)) => Err(Failure::io(format!("cannot look at {}", path.display()), &error)),
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| Failure::io(format!("cannot open {}", path.display()), &error))
}

fn write(file: &mut File, info: &HostInfo) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(info)?.as_bytes())
}

fn read(file: &mut File) -> Option<HostInfo> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn taken(info: Option<&HostInfo>) -> Failure {
    let who = info.map_or_else(String::new, |info| format!(" (process {}, since {})", info.pid, info.since));
    Failure::new(Code::SessionManagerAlreadyRunning, format!("another phasedeck works on this data folder{who}"))
        .hint("use that one; `phasedeck runs`, `show`, `approve` and their siblings work beside it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_host_is_told_who_the_first_is() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::beneath(home.path());
        assert_eq!(live_host(&paths).unwrap(), None);
        let first = HostLock::take(&paths).unwrap();
        let refused = HostLock::take(&paths).err().unwrap();
        assert_eq!(refused.code, Code::SessionManagerAlreadyRunning);
        assert!(refused.message.contains(&format!("process {}", std::process::id())), "{refused}");
        assert_eq!(live_host(&paths).unwrap().unwrap().pid, std::process::id());
        drop(first);
        assert_eq!(live_host(&paths).unwrap(), None);
        HostLock::take(&paths).unwrap();
    }
}
