//! Masks files and folders of a worktree for this process and its descendants.
//!
//! Programs load settings from the repository, and some have no switch to disable that. The process
//! gets its own mount namespace, in which empty files and folders are mounted over them. Other
//! processes and the disk are unaffected.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{getgid, getuid};
use rustix::thread::UnshareFlags;

/// Masks the paths of `hidden` that exist. `blank` is mounted over JSON documents, because an empty
/// file is not valid JSON.
///
/// # Errors
/// Names the path that cannot be masked and the reason.
pub(super) fn mask(hidden: &[PathBuf], blank: &Path) -> Result<(), String> {
    let there: Vec<PathBuf> = hidden
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    unshare_mounts().map_err(|error| format!("cannot create a mount namespace: {error}"))?;
    for path in there {
        cover(&path, blank).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn cover(path: &Path, blank: &Path) -> rustix::io::Result<()> {
    if path.is_dir() {
        let flags =
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        return mount("phasedeck", path, "tmpfs", flags, None);
    }
    let document = path
        .extension()
        .is_some_and(|kind| kind == "json" || kind == "jsonc");
    mount_bind(
        if document {
            blank
        } else {
            Path::new("/dev/null")
        },
        path,
    )
}

/// Moves this single-threaded process into its own mount namespace.
#[expect(
    deprecated,
    reason = "marked so for the flag that parts the file table, which is not used"
)]
fn unshare_mounts() -> std::io::Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    if rustix::thread::unshare(UnshareFlags::NEWNS).is_err() {
        rustix::thread::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    Ok(mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?)
}
