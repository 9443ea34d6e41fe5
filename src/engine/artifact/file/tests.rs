use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

const MAX: u64 = 100;

fn worktree() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(temp.path().join("wt/docs")).unwrap();
    temp
}

fn message(result: Result<Option<Vec<u8>>>) -> (Code, String) {
    let failure = result.unwrap_err();
    (failure.code, failure.message)
}

#[test]
fn a_plain_file_is_read_whole_and_a_missing_one_is_none() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    std::fs::write(wt.join("docs/spec.json"), b"{}").unwrap();
    assert_eq!(
        read(&wt, "docs/spec.json", MAX).unwrap(),
        Some(b"{}".to_vec())
    );
    assert_eq!(read(&wt, "docs/none.json", MAX).unwrap(), None);
    assert_eq!(read(&wt, "nowhere/at/all.json", MAX).unwrap(), None);
    assert_eq!(
        read(&wt, "../wt/docs/spec.json", MAX).unwrap_err().code,
        Code::PathOutsideWorktree
    );
}

#[test]
fn a_path_against_the_grammar_is_refused_with_the_rule_it_breaks() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    for (path, told) in [
        ("", "'' is not a path for an artifact: it is empty"),
        (
            "/etc/passwd",
            "'/etc/passwd' is not a path for an artifact: it is not relative to the worktree",
        ),
        (
            ".git/config",
            "'.git/config' is not a path for an artifact: it leads into git's own folder by '.git'",
        ),
        (
            "a\nb",
            "'a\\nb' is not a path for an artifact: it has the unseen character U+000A",
        ),
    ] {
        assert_eq!(
            message(read(&wt, path, MAX)),
            (Code::PathOutsideWorktree, told.to_owned())
        );
        assert_eq!(restore(&wt, path, b"x").unwrap_err().message, told);
    }
}

#[test]
fn the_limit_is_the_last_size_that_is_read() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    std::fs::write(wt.join("a"), [b'x'; 100]).unwrap();
    assert_eq!(
        read(&wt, "a", MAX).unwrap().map(|bytes| bytes.len()),
        Some(100)
    );
    std::fs::write(wt.join("a"), [b'x'; 101]).unwrap();
    assert_eq!(
        message(read(&wt, "a", MAX)),
        (
            Code::ArtifactTooLarge,
            "'a' has 101 bytes or more; the limit is 100".to_owned()
        )
    );
    // A sparse file of 2 GB costs nothing to refuse.
    std::fs::File::create(wt.join("huge"))
        .unwrap()
        .set_len(2_000_000_000)
        .unwrap();
    assert_eq!(
        read(&wt, "huge", MAX).unwrap_err().code,
        Code::ArtifactTooLarge
    );
}

#[test]
fn nothing_but_a_plain_file_of_one_name_is_read() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    let secret = temp.path().join("secret");
    std::fs::write(&secret, b"secret").unwrap();
    symlink(&secret, wt.join("link")).unwrap();
    symlink(wt.join("nowhere"), wt.join("dangling")).unwrap();
    std::fs::hard_link(&secret, wt.join("hard")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        wt.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let _socket = UnixListener::bind(wt.join("socket")).unwrap();
    symlink(temp.path(), wt.join("linked")).unwrap();
    std::fs::write(wt.join("plain"), b"x").unwrap();

    let table = [
        ("link", "'link' is a symbolic link"),
        ("dangling", "'dangling' is a symbolic link"),
        ("hard", "'hard' has a second name (a hard link)"),
        ("pipe", "'pipe' is a pipe or a device"),
        ("socket", "'socket' is a socket, a pipe or a device"),
        ("docs", "'docs' is a folder"),
        (
            "linked/secret",
            "'linked/secret' lies beneath 'linked', which is a link or a file and not a folder",
        ),
        (
            "plain/x",
            "'plain/x' lies beneath 'plain', which is a link or a file and not a folder",
        ),
    ];
    for (path, expected) in table {
        assert_eq!(
            message(read(&wt, path, MAX)),
            (Code::PathOutsideWorktree, expected.to_owned())
        );
    }
}

#[test]
fn a_stale_file_is_moved_aside_and_kept() {
    let temp = worktree();
    let (wt, aside) = (temp.path().join("wt"), temp.path().join("aside"));
    std::fs::write(wt.join("docs/spec.json"), b"old").unwrap();
    let kept = move_aside(&wt, "docs/spec.json", &aside, "spec 1")
        .unwrap()
        .unwrap();
    assert_eq!(std::fs::read(&kept).unwrap(), b"old");
    assert!(
        kept.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("spec-1-")
    );
    assert_eq!(kept.parent(), Some(aside.as_path()));
    assert_eq!(read(&wt, "docs/spec.json", MAX).unwrap(), None);
    assert_eq!(
        move_aside(&wt, "docs/spec.json", &aside, "spec").unwrap(),
        None
    );
    std::fs::write(wt.join("docs/spec.json"), b"newer").unwrap();
    let second = move_aside(&wt, "docs/spec.json", &aside, "spec 1")
        .unwrap()
        .unwrap();
    assert_ne!(kept, second);
    assert_eq!(
        (
            std::fs::read(&kept).unwrap(),
            std::fs::read(&second).unwrap()
        ),
        (b"old".to_vec(), b"newer".to_vec())
    );
}

#[test]
fn links_and_folders_are_moved_themselves_and_their_targets_stay() {
    let temp = worktree();
    let (wt, aside) = (temp.path().join("wt"), temp.path().join("aside"));
    std::fs::write(temp.path().join("secret"), b"secret").unwrap();
    symlink(temp.path().join("secret"), wt.join("link")).unwrap();
    let kept = move_aside(&wt, "link", &aside, "a").unwrap().unwrap();
    assert!(std::fs::symlink_metadata(&kept).unwrap().is_symlink());
    assert_eq!(
        std::fs::read(temp.path().join("secret")).unwrap(),
        b"secret"
    );
    std::fs::write(wt.join("docs/inside"), b"x").unwrap();
    let kept = move_aside(&wt, "docs", &aside, "a").unwrap().unwrap();
    assert_eq!(std::fs::read(kept.join("inside")).unwrap(), b"x");
}

#[test]
fn what_crosses_file_systems_is_copied_and_then_taken_away() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    std::fs::create_dir(temp.path().join("aside")).unwrap();
    let folder = Dir::open_ambient_dir(&wt, ambient_authority()).unwrap();
    let aside = Dir::open_ambient_dir(temp.path().join("aside"), ambient_authority()).unwrap();
    std::fs::write(wt.join("file"), b"content").unwrap();
    symlink("/etc/passwd", wt.join("link")).unwrap();
    for name in ["file", "link"] {
        carry_over(&folder, name, name, &aside, name).unwrap();
        assert!(
            !folder.symlink_metadata(name).is_ok_and(|_| true),
            "{name} is gone from the worktree"
        );
    }
    assert_eq!(
        std::fs::read(temp.path().join("aside/file")).unwrap(),
        b"content"
    );
    assert_eq!(
        std::fs::read_link(temp.path().join("aside/link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert_eq!(
        carry_over(&folder, "docs", "docs", &aside, "docs")
            .unwrap_err()
            .code,
        Code::PathOutsideWorktree
    );
}

#[test]
fn restoring_makes_folders_and_replaces_what_is_there() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    restore(&wt, "new/deep/spec.json", b"one").unwrap();
    restore(&wt, "new/deep/spec.json", b"two").unwrap();
    assert_eq!(
        read(&wt, "new/deep/spec.json", MAX).unwrap(),
        Some(b"two".to_vec())
    );
    assert_eq!(
        std::fs::read_dir(wt.join("new/deep")).unwrap().count(),
        1,
        "no temporary file is left"
    );
}

#[test]
fn restoring_replaces_a_link_and_never_writes_through_one() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    let outside = temp.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("canary"), b"canary").unwrap();
    symlink(outside.join("canary"), wt.join("spec.json")).unwrap();
    symlink(outside.join("canary"), wt.join(".spec.json.phasedeck-new")).unwrap();
    restore(&wt, "spec.json", b"mine").unwrap();
    assert_eq!(read(&wt, "spec.json", MAX).unwrap(), Some(b"mine".to_vec()));
    symlink(&outside, wt.join("linked")).unwrap();
    assert_eq!(
        restore(&wt, "linked/canary", b"mine").unwrap_err().code,
        Code::PathOutsideWorktree
    );
    assert_eq!(std::fs::read(outside.join("canary")).unwrap(), b"canary");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn an_agents_file_is_written_with_its_folders_and_replaced_whole() {
    let temp = worktree();
    let wt = temp.path().join("wt");
    write(&wt, "a/b/spec.json", b"first").unwrap();
    write(&wt, "a/b/spec.json", b"second").unwrap();
    assert_eq!(std::fs::read(wt.join("a/b/spec.json")).unwrap(), b"second");
    assert_eq!(
        std::fs::read_dir(wt.join("a/b")).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn an_agents_file_is_never_written_outside_the_worktree_or_in_place_of_a_link() {
    let temp = worktree();
    let (wt, outside) = (temp.path().join("wt"), temp.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, wt.join("out")).unwrap();
    symlink(outside.join("target"), wt.join("link.json")).unwrap();
    for path in [
        "../x",
        "/etc/x",
        "out/x",
        "link.json",
        "docs",
        "",
        ".",
        "./x",
        ".git/config",
        "a/.GIT/x",
        "a/../../x",
    ] {
        let failure = write(&wt, path, b"x").unwrap_err();
        assert_eq!(failure.code, Code::PathOutsideWorktree, "{path}: {failure}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_worktree_that_is_gone_is_named() {
    let gone = Path::new("/nonexistent-worktree");
    assert_eq!(
        write(gone, "x", b"").unwrap_err().code,
        Code::WorktreeMissing
    );
    assert_eq!(
        read(gone, "x", MAX).unwrap_err().code,
        Code::WorktreeMissing
    );
}
