//! Hides files and folders of a worktree from this process and all that it begins.
//!
//! Programs take what a repository brings along for them as their own settings, and some have no switch
//! against that. So the process gets a view of the files of its own, in which empty ones lie over those.
//! Nobody else sees that, and nothing on the disk changes.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{getgid, getuid};
use rustix::thread::UnshareFlags;

/// Hides what is there of `hidden`. `blank` stands for documents, which an empty file is none of.
///
/// # Errors
/// Which one cannot be hidden, and why, in words.
pub(super) fn hide(hidden: &[PathBuf], blank: &Path) -> Result<(), String> {
    let there: Vec<PathBuf> = hidden
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    own_view().map_err(|error| format!("no view of the files of its own: {error}"))?;
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

/// Parts the view of the files from everybody else's: this process has one thread.
#[expect(
    deprecated,
    reason = "marked so for the flag that parts the file table, which is not used"
)]
fn own_view() -> std::io::Result<()> {
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
