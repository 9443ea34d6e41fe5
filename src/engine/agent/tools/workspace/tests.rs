//! Ways out of a worktree, and what comes of them.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::model::error::Code;

struct Scene {
    _home: tempfile::TempDir,
    outside: PathBuf,
    tree: PathBuf,
    workspace: ToolWorkspace,
}

fn scene() -> Scene {
    let home = tempfile::tempdir().unwrap();
    let (outside, tree) = (home.path().join("outside"), home.path().join("tree"));
    std::fs::create_dir_all(tree.join("src")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret.txt"), "canary").unwrap();
    std::fs::write(tree.join("src/lib.rs"), "mod a;\n").unwrap();
    let workspace = ToolWorkspace::open(&tree).unwrap();
    Scene {
        _home: home,
        outside,
        tree,
        workspace,
    }
}

fn denied(trouble: ToolError) -> bool {
    matches!(trouble, ToolError::Refused(failure) if failure.code == Code::PathOutsideWorktree)
}

#[test]
fn a_new_name_that_differs_from_one_there_in_capitals_only_is_refused_and_the_old_one_is_written() {
    let s = scene();
    let write = |name: &str| s.workspace.write(&s.workspace.path(name).unwrap(), b"new");
    for (name, words) in [
        (
            "src/Lib.rs",
            "'Lib.rs' in 'src/Lib.rs' differs from 'lib.rs', which is there, in capitals only; on some systems they are one",
        ),
        (
            "SRC/other.rs",
            "'SRC' in 'SRC/other.rs' differs from 'src', which is there, in capitals only; on some systems they are one",
        ),
    ] {
        assert!(
            matches!(write(name).unwrap_err(), ToolError::Fault(told) if told == words),
            "{name}"
        );
        assert!(!s.tree.join(name).exists() && !s.tree.join("SRC").exists());
    }
    assert!(matches!(write("src/lib.rs"), Ok(true)));
    assert!(matches!(write("src/deep/Other.rs"), Ok(false)));
    std::fs::write(s.tree.join("src/LIB.rs"), "made by git").unwrap();
    assert!(
        matches!(write("src/LIB.rs"), Ok(true)),
        "what is there already can be written"
    );
}

#[test]
fn links_pipes_and_second_names_are_refused_for_reading_and_writing() {
    let s = scene();
    symlink(s.outside.join("secret.txt"), s.tree.join("link.txt")).unwrap();
    symlink(&s.outside, s.tree.join("linkdir")).unwrap();
    symlink("src", s.tree.join("inner")).unwrap();
    symlink("nowhere", s.tree.join("dangling")).unwrap();
    std::fs::hard_link(s.outside.join("secret.txt"), s.tree.join("hard.txt")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        s.tree.join("pipe"),
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    for name in [
        "link.txt",
        "linkdir/secret.txt",
        "linkdir/new.txt",
        "inner/lib.rs",
        "dangling",
        "hard.txt",
        "pipe",
    ] {
        let path = s.workspace.path(name).unwrap();
        assert!(
            denied(s.workspace.write(&path, b"overwritten").unwrap_err()),
            "write {name}"
        );
        if name != "linkdir/new.txt" {
            assert!(denied(s.workspace.read(&path).unwrap_err()), "read {name}");
        }
    }
    assert!(denied(
        s.workspace
            .list(&s.workspace.path("linkdir").unwrap())
            .unwrap_err()
    ));
    assert_eq!(
        std::fs::read_to_string(s.outside.join("secret.txt")).unwrap(),
        "canary"
    );
    assert_eq!(std::fs::read_dir(&s.outside).unwrap().count(), 1);
    assert!(!s.tree.join("nowhere").exists());
    assert_eq!(
        std::fs::read_to_string(s.tree.join("src/lib.rs")).unwrap(),
        "mod a;\n"
    );
}

#[test]
fn writing_replaces_whole_keeps_the_mode_and_leaves_nothing_beside() {
    let s = scene();
    let script = s.tree.join("run.sh");
    std::fs::write(&script, "old").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        s.workspace
            .write(&s.workspace.path("run.sh").unwrap(), b"new")
            .unwrap()
    );
    assert!(
        !s.workspace
            .write(&s.workspace.path("a/b/c.txt").unwrap(), b"deep")
            .unwrap()
    );
    assert_eq!(std::fs::read_to_string(&script).unwrap(), "new");
    assert_eq!(
        std::fs::metadata(&script).unwrap().permissions().mode() & 0o777,
        0o755
    );
    assert_eq!(
        std::fs::read_to_string(s.tree.join("a/b/c.txt")).unwrap(),
        "deep"
    );
    let walked = s.workspace.walk(&WorktreePath::default()).unwrap();
    let files: Vec<_> = walked.files.iter().map(WorktreePath::shown).collect();
    assert_eq!(files, ["a/b/c.txt", "run.sh", "src/lib.rs"]);
}

#[test]
fn the_size_limit_holds_at_the_limit_and_one_above() {
    let s = scene();
    for (len, fits) in [(MAX_FILE_BYTES, true), (MAX_FILE_BYTES + 1, false)] {
        std::fs::File::create(s.tree.join("big"))
            .unwrap()
            .set_len(len)
            .unwrap();
        let path = s.workspace.path("big").unwrap();
        assert_eq!(s.workspace.read(&path).is_ok(), fits, "read {len}");
        let content = vec![b'x'; usize::try_from(len).unwrap()];
        assert_eq!(
            s.workspace.write(&path, &content).is_ok(),
            fits,
            "write {len}"
        );
    }
    // A sparse monster may still be replaced by something small.
    std::fs::File::create(s.tree.join("big"))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    assert!(
        s.workspace
            .write(&s.workspace.path("big").unwrap(), b"small")
            .unwrap()
    );
}

#[test]
fn a_search_passes_by_git_heavy_folders_and_links() {
    let s = scene();
    for file in [
        ".git/config",
        "target/debug/x",
        "src/node_modules/y",
        "docs/a.md",
    ] {
        std::fs::create_dir_all(s.tree.join(file).parent().unwrap()).unwrap();
        std::fs::write(s.tree.join(file), "x").unwrap();
    }
    symlink(&s.outside, s.tree.join("linkdir")).unwrap();
    let walk = |from: &str| -> Vec<String> {
        s.workspace
            .walk(&s.workspace.path(from).unwrap())
            .unwrap()
            .files
            .iter()
            .map(WorktreePath::shown)
            .collect()
    };
    assert_eq!(walk("."), ["docs/a.md", "src/lib.rs"]);
    assert_eq!(walk("target"), ["target/debug/x"]);
    let names = s.workspace.list(&WorktreePath::default()).unwrap();
    assert!(names.iter().all(|(_, name)| name != ".git"));
}

#[test]
fn a_missing_worktree_is_named_as_such() {
    let home = tempfile::tempdir().unwrap();
    let failure = ToolWorkspace::open(&home.path().join("gone"))
        .err()
        .unwrap();
    assert_eq!(failure.code, Code::WorktreeMissing);
}

#[test]
fn a_folder_swapped_with_a_link_never_leads_out() {
    let s = scene();
    let tree = s.tree.clone();
    std::fs::create_dir(tree.join("real")).unwrap();
    symlink(&s.outside, tree.join("fake")).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = stop.clone();
    let swapper = std::thread::spawn(move || {
        let dir = std::fs::File::open(&tree).unwrap();
        while !seen.load(std::sync::atomic::Ordering::Relaxed) {
            rustix::fs::renameat_with(
                &dir,
                "real",
                &dir,
                "fake",
                rustix::fs::RenameFlags::EXCHANGE,
            )
            .unwrap();
        }
    });
    let path = s.workspace.path("real/secret.txt").unwrap();
    for _ in 0..500 {
        let _ = s.workspace.write(&path, b"overwritten");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    swapper.join().unwrap();
    assert_eq!(
        std::fs::read_to_string(s.outside.join("secret.txt")).unwrap(),
        "canary"
    );
    assert_eq!(std::fs::read_dir(&s.outside).unwrap().count(), 1);
}
