//! Lists the differences between an index and the folder, as paths for `git update-index`.
//!
//! `git add` does not work here: it fails on a git repository that an agent created in the folder,
//! or stores it as a gitlink to a commit that exists nowhere else. This module treats the files of
//! such a repository as ordinary files. The operator's submodules keep the state of the last
//! commit: to inspect one, git would run inside its folder, with settings that an agent can write.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::program::GitCommand;
use crate::model::error::{Code, Failure, Result};

/// Returns the differing paths, each terminated by NUL. Tracked paths come first, so that a file
/// can become a folder.
///
/// `git` must use the index to compare. `forced` paths are included even if they are ignored.
///
/// # Errors
/// `git_failed`, also for a forced path inside a submodule.
pub(super) async fn changed_paths(
    git: &GitCommand,
    nested: &NestedRepositories<'_>,
    forced: &[&str],
) -> Result<Vec<u8>> {
    let listed = git
        .run_bytes(&[
            "ls-files",
            "-z",
            "-t",
            "--stage",
            "--modified",
            "--deleted",
            "--others",
            "--exclude-standard",
        ])
        .await?;
    let mut listing = ChangeListing::parse(&listed);
    for path in forced
        .iter()
        .filter(|path| nested.root.join(path).symlink_metadata().is_ok())
    {
        listing.require_outside_submodules(path)?;
        listing.new.push(path.as_bytes());
    }
    let (folders, files): (Vec<&[u8]>, Vec<&[u8]>) =
        listing.new.iter().partition(|path| path.ends_with(b"/"));
    let found = nested
        .files_of(folders.into_iter().map(<[u8]>::to_vec).collect())
        .await?;
    let all = listing
        .changed
        .into_iter()
        .chain(files)
        .chain(found.iter().map(Vec::as_slice));
    Ok(all
        .flat_map(|path| path.iter().copied().chain([0]))
        .collect())
}

/// Context for listing git repositories nested in the folder.
pub(super) struct NestedRepositories<'a> {
    pub root: &'a Path,
    /// The git folder used for queries; never that of the nested repository.
    pub git_dir: &'a Path,
    /// A path without a file, which git reads as an empty index.
    pub no_index: &'a Path,
    pub git: &'a GitCommand,
}

impl NestedRepositories<'_> {
    async fn files_of(&self, mut folders: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            let place = self.root.join(OsStr::from_bytes(&folder));
            let git = self.git.at(self.git_dir, &place).with_index(self.no_index);
            let listed = git.run_bytes(&self.question()).await?;
            let full = entries(&listed).map(|path| [&folder[..], path].concat());
            let (deeper, found): (Vec<_>, Vec<_>) = full.partition(|path| path.ends_with(b"/"));
            folders.extend(deeper);
            files.extend(found);
        }
        Ok(files)
    }

    // The ignore rules at the top of the worktree also apply to nested repositories.
    fn question(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = ["ls-files", "-z", "--others", "--exclude-standard"]
            .map(OsString::from)
            .into();
        let ignored = self.root.join(".gitignore");
        if ignored
            .symlink_metadata()
            .is_ok_and(|found| found.is_file())
        {
            args.push(OsString::from_vec(
                [b"--exclude-from=", ignored.as_os_str().as_bytes()].concat(),
            ));
        }
        args
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct ChangeListing<'a> {
    changed: Vec<&'a [u8]>,
    // A trailing slash marks a nested git repository.
    new: Vec<&'a [u8]>,
    submodules: Vec<&'a [u8]>,
}

impl<'a> ChangeListing<'a> {
    // `? path`, or `TAG MODE ID STAGE<tab>path`; a path may contain any byte except NUL.
    fn parse(listed: &'a [u8]) -> Self {
        let mut listing = Self::default();
        for entry in entries(listed) {
            if let Some(path) = entry.strip_prefix(b"? ") {
                listing.new.push(path);
                continue;
            }
            let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
                continue;
            };
            let (about, path) = (&entry[..tab], &entry[tab + 1..]);
            match about {
                [_, b' ', b'1', b'6', b'0', b'0', b'0', b'0', ..] => listing.submodules.push(path),
                [b'C' | b'R', ..] => listing.changed.push(path),
                _ => {}
            }
        }
        listing
    }

    fn require_outside_submodules(&self, path: &str) -> Result<()> {
        let holds = |submodule: &&&[u8]| {
            path.as_bytes()
                .strip_prefix(**submodule)
                .is_some_and(|rest| rest.starts_with(b"/"))
        };
        let Some(submodule) = self.submodules.iter().find(holds) else {
            return Ok(());
        };
        let message = format!(
            "{path} lies in the submodule '{}' and cannot be committed",
            String::from_utf8_lossy(submodule)
        );
        Err(Failure::new(Code::GitFailed, message)
            .hint("let the workflow write its artifacts outside of submodules"))
    }
}

fn entries(listed: &[u8]) -> impl Iterator<Item = &[u8]> {
    listed
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_whatever_the_names_contain() {
        let listed = b"? new\tname\n\0? nest/\0H 100644 ab 0\tsame\0C 100644 ab 0\t? odd\0R 100755 ab 0\tgone\xff\0H 160000 ab 0\tsub\0C 160000 ab 0\tsub\0";
        let listing = ChangeListing::parse(listed);
        assert_eq!(listing.new, [&b"new\tname\n"[..], b"nest/"]);
        assert_eq!(listing.changed, [&b"? odd"[..], b"gone\xff"]);
        assert_eq!(listing.submodules, [&b"sub"[..], b"sub"]);
        assert!(listing.require_outside_submodules("sub/a").is_err());
        assert!(listing.require_outside_submodules("submarine/a").is_ok());
    }
}
