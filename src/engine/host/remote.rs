//! Whether the data folder lies on the disk of another machine, where locks and flushes may mean less
//! than they say.

use std::path::Path;

/// The file systems of other machines, by the number that the kernel gives them.
const REMOTE: &[(u64, &str)] = &[
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x5346_414f, "afs"),
    (0x00c3_6400, "ceph"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
];

/// What the operator should know of the disk that `folder` lies on, if anything.
pub fn warning(folder: &Path) -> Option<String> {
    let name = named(kind(folder)?)?;
    Some(format!(
        "{} lies on a {name} file system: the database can be damaged there when two machines use it, and what was said to be \
         stored may not survive; put the data folder on a local disk",
        folder.display()
    ))
}

fn named(kind: u64) -> Option<&'static str> {
    REMOTE.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(target_os = "linux")]
fn kind(folder: &Path) -> Option<u64> {
    // Some kernels give the upper half of a 32-bit number the sign of the lower.
    rustix::fs::statfs(folder).ok().and_then(|stat| u64::try_from(stat.f_type).ok()).map(|kind| kind & 0xffff_ffff)
}

#[cfg(not(target_os = "linux"))]
fn kind(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_disk_is_no_reason_to_warn_and_each_remote_kind_has_a_name() {
        let local = tempfile::tempdir().unwrap();
        assert_eq!(warning(local.path()), None);
        assert_eq!(warning(&local.path().join("gone")), None);
        assert_eq!([0x6969, 0xff53_4d42, 0xef53].map(named), [Some("nfs"), Some("cifs"), None]);
    }
}
