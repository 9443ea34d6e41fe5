//! Detects a data directory on a network file system, where locks and flushes may not be reliable.

use std::path::Path;

use crate::model::error::{Code, Failure, Result};

/// Network file systems by the type number that `statfs` returns.
const NETWORK_TYPES: &[(u64, &str)] = &[
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x5346_414f, "afs"),
    (0x00c3_6400, "ceph"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
];

/// Checks the file system that contains `folder`, or will contain it. Returns a warning if it is a
/// network file system and the operator `allowed` that.
///
/// # Errors
/// `network_file_system` for a network file system that is not allowed. Nothing is created.
pub fn check(folder: &Path, allowed: bool) -> Result<Option<String>> {
    let there = folder.ancestors().find(|folder| folder.exists());
    classify(there.and_then(kind), allowed, folder)
}

fn classify(kind: Option<u64>, allowed: bool, folder: &Path) -> Result<Option<String>> {
    let Some(name) = kind.and_then(type_name) else {
        return Ok(None);
    };
    let message = format!(
        "{} is on a {name} file system: the database can be corrupted if two machines use it, and \
         committed data may be lost",
        folder.display()
    );
    if allowed {
        return Ok(Some(format!(
            "{message}; use a data directory on a local disk"
        )));
    }
    Err(Failure::new(Code::NetworkFileSystem, message)
        .hint("use a data directory on a local disk, or set host.allow_network_fs = true if only this machine uses it"))
}

fn type_name(kind: u64) -> Option<&'static str> {
    NETWORK_TYPES
        .iter()
        .find(|(number, _)| *number == kind)
        .map(|(_, name)| *name)
}

#[cfg(target_os = "linux")]
fn kind(folder: &Path) -> Option<u64> {
    // The type is a signed long on some platforms, so a 32-bit magic number may be sign-extended.
    rustix::fs::statfs(folder)
        .ok()
        .and_then(|stat| u64::try_from(stat.f_type).ok())
        .map(|kind| kind & 0xffff_ffff)
}

#[cfg(not(target_os = "linux"))]
fn kind(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_by_name_unless_allowed() {
        let folder = Path::new("/home/kim/data");
        for (kind, name) in NETWORK_TYPES {
            let refused = classify(Some(*kind), false, folder).unwrap_err();
            assert_eq!(refused.code, Code::NetworkFileSystem);
            assert!(
                refused
                    .message
                    .starts_with(&format!("/home/kim/data is on a {name} file system: ")),
                "{refused}"
            );
            assert!(
                refused.hint.contains("host.allow_network_fs = true"),
                "{refused}"
            );
            let warning = classify(Some(*kind), true, folder).unwrap().unwrap();
            assert!(
                warning.starts_with(&refused.message)
                    && warning.ends_with("use a data directory on a local disk"),
                "{warning}"
            );
        }
        for local in [Some(0xef53), Some(0x0102_1994), None] {
            assert_eq!(classify(local, false, folder), Ok(None));
        }
    }

    #[test]
    fn a_local_disk_is_accepted_even_before_the_directory_exists() {
        let local = tempfile::tempdir().unwrap();
        assert_eq!(check(local.path(), false), Ok(None));
        assert_eq!(check(&local.path().join("not/yet"), false), Ok(None));
    }
}
