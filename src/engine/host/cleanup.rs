//! Removal of unfinished files that a killed process left behind.
//!
//! Contents, reports, backups and the integrity checkpoint are written to a temporary name and then
//! renamed. A kill in between leaves the temporary file, which nothing reads. Files with such a
//! name that are older than this host are removed shortly after startup.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::engine::paths::InstallPaths;
use crate::store::failpoint::Step;
use crate::store::writer::backup;

/// A process beside the host needs less time than this to write a file.
const WRITE_TIME_LIMIT: Duration = Duration::from_secs(60);

/// Prefixes of temporary file names.
const UNFINISHED: [&str; 2] = ["new-", ".tmp"];

/// Removes temporary files older than `begun` and returns their number. A file that cannot be
/// removed is left to the next host.
pub fn remove_unfinished_files(paths: &InstallPaths, begun: SystemTime) -> usize {
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
        .map(|folder| remove_in_directory(&folder, begun))
        .sum()
}

fn remove_in_directory(folder: &Path, begun: SystemTime) -> usize {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let old = files.filter(|file| {
        let name = file.file_name();
        let unfinished = UNFINISHED
            .iter()
            .any(|begin| name.to_string_lossy().starts_with(begin));
        unfinished
            && file.metadata().is_ok_and(|meta| {
                meta.is_file()
                    && meta
                        .modified()
                        .is_ok_and(|at| at + WRITE_TIME_LIMIT < begun)
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
    fn only_old_unfinished_files_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let paths = InstallPaths::beneath(home.path());
        let folder = paths.contents().join("ab");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all(paths.reports()).unwrap();
        let left = folder.join("new-x1");
        let report = paths.reports().join(".tmpx2");
        let kept = [folder.join("ab12"), paths.reports().join("r.report.json")];
        [&left, &report]
            .into_iter()
            .chain(&kept)
            .for_each(|path| std::fs::write(path, "x").unwrap());
        assert_eq!(
            remove_unfinished_files(&paths, SystemTime::now()),
            0,
            "another process may still be writing the file"
        );
        assert_eq!(
            remove_unfinished_files(&paths, SystemTime::now() + 2 * WRITE_TIME_LIMIT),
            2
        );
        assert!(!left.exists() && !report.exists() && kept.iter().all(|path| path.exists()));
        assert_eq!(
            remove_unfinished_files(
                &InstallPaths::beneath(&home.path().join("none")),
                SystemTime::now()
            ),
            0
        );
    }
}
