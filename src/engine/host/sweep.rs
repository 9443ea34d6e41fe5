//! What a killed process left half-written: files that were never given their name.
//!
//! Contents, reports, backups and the anchor are written beside their place and then renamed; a kill in between leaves the
//! first of the two, which nobody reads. Every file that is older than this host and has such a name is
//! taken away, a little after the start.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::engine::paths::Paths;
use crate::store::backup;
use crate::store::failpoint::Step;

/// Who writes a file beside a host needs less than this for it.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// How the names of unfinished files begin.
const UNFINISHED: [&str; 2] = ["new-", ".tmp"];

/// Removes what is older than `begun`; says how many files that were. One that cannot be removed is left
/// to the next host.
pub fn unfinished_files(paths: &Paths, begun: SystemTime) -> usize {
    let folders = std::fs::read_dir(paths.contents())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    folders
        .chain([
            paths.reports(),
            paths.state.clone(),
            backup::folder(&paths.database()),
        ])
        .map(|folder| in_folder(&folder, begun))
        .sum()
}

fn in_folder(folder: &Path, begun: SystemTime) -> usize {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let old = files.filter(|file| {
        let name = file.file_name();
        let unfinished = UNFINISHED
            .iter()
            .any(|begin| name.to_string_lossy().starts_with(begin));
        unfinished
            && file.metadata().is_ok_and(|meta| {
                meta.is_file() && meta.modified().is_ok_and(|at| at + UNDER_WAY < begun)
            })
    });
    old.filter(|file| {
        Step::Sweep
            .around(|| std::fs::remove_file(file.path()))
            .is_ok()
    })
    .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unfinished_and_old_is_taken_away() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::beneath(home.path());
        let folder = paths.contents().join("ab");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all(paths.reports()).unwrap();
        let (left, report) = (folder.join("new-x1"), paths.reports().join(".tmpx2"));
        let kept = [folder.join("ab12"), paths.reports().join("r.report.json")];
        [&left, &report]
            .into_iter()
            .chain(&kept)
            .for_each(|path| std::fs::write(path, "x").unwrap());
        assert_eq!(
            unfinished_files(&paths, SystemTime::now()),
            0,
            "somebody writes it at this moment"
        );
        assert_eq!(
            unfinished_files(&paths, SystemTime::now() + 2 * UNDER_WAY),
            2
        );
        assert!(!left.exists() && !report.exists() && kept.iter().all(|path| path.exists()));
        assert_eq!(
            unfinished_files(
                &Paths::beneath(&home.path().join("none")),
                SystemTime::now()
            ),
            0
        );
    }
}
