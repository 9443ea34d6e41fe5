//! The grammar of paths beneath a worktree: relative, plain, the same on every file system.
//!
//! One rule for workflows that name a file, for artifacts that are read and for agents that ask for
//! one. It is about the text alone; that nothing on disk leads out of the worktree is checked when
//! a file is opened.

use icu_normalizer::ComposingNormalizerBorrowed;

const MAX_PARTS: usize = 64;
const MAX_PART_BYTES: usize = 200;

/// Checks a path that is meant relative to a worktree: parts divided by `/`, none of them empty, `.`,
/// `..` or `.git` in any spelling, no characters that cannot be seen or that some file systems cannot
/// keep, all of them composed (NFC), so that one name is one file everywhere; at most 64 parts of at most 200 bytes.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence about the path.
pub fn check(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(c) = path.chars().find(|c| is_unseen(*c)) {
        return Err(format!("has the unseen character U+{:04X}", u32::from(c)));
    }
    if !ComposingNormalizerBorrowed::new_nfc().is_normalized(path) {
        return Err("has letters in parts; write them composed (Unicode NFC)".to_owned());
    }
    if path.contains('\\') {
        return Err("has a backslash; parts are divided by /".to_owned());
    }
    if path.starts_with(['/', '~']) {
        return Err("is not relative to the worktree".to_owned());
    }
    let parts: Vec<&str> = path.split('/').collect();
    if parts.len() > MAX_PARTS {
        return Err(format!("has more than {MAX_PARTS} parts"));
    }
    parts.into_iter().try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), String> {
    if part.is_empty() {
        return Err("has an empty part".to_owned());
    }
    if part == ".." {
        return Err("leaves the worktree by '..'".to_owned());
    }
    if part == "." {
        return Err("has the part '.', which says nothing".to_owned());
    }
    if is_git(part) {
        return Err(format!("leads into git's own folder by '{part}'"));
    }
    if part.contains(':') {
        return Err("has a colon, which some file systems cannot keep".to_owned());
    }
    if part.len() > MAX_PART_BYTES {
        return Err(format!("has a part longer than {MAX_PART_BYTES} bytes"));
    }
    if part.starts_with(['-', '~', ' ']) || part.ends_with(['.', ' ']) {
        return Err(format!(
            "has the part '{part}', which begins with -, ~ or a space, or ends with a dot or a space"
        ));
    }
    Ok(())
}

/// Whether a name is the repository's own folder in any spelling that some file system takes for it:
/// case folded, letters for compatibility replaced, unseen characters dropped, trailing dots and spaces dropped, what follows a colon
/// dropped, and the short names that stand for it.
#[must_use]
pub fn is_git(name: &str) -> bool {
    let name = ComposingNormalizerBorrowed::new_nfkc().normalize(name);
    let seen: String = name
        .chars()
        .filter(|c| !is_unseen(*c))
        .flat_map(char::to_lowercase)
        .collect();
    let stem = seen
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches(['.', ' ']);
    stem == ".git"
        || stem
            .strip_prefix("git~")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether two names are one file where capitals are not told from small letters, and two elsewhere.
#[must_use]
pub fn differ_in_case_only(one: &str, other: &str) -> bool {
    let small = |name: &str| {
        name.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    one != other && small(one) == small(other)
}

/// Control characters, and what is drawn as nothing or turns the direction of writing.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E
            | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_differ_in_case_only_are_known_in_every_script() {
        for (one, other, differ) in [
            ("README.md", "Readme.md", true),
            ("größe/a.txt", "GRÖßE/A.txt", true),
            ("a.txt", "a.txt", false),
            ("a.txt", "b.txt", false),
            ("a.txt", "a_txt", false),
        ] {
            assert_eq!(differ_in_case_only(one, other), differ, "{one} {other}");
        }
    }

    #[test]
    fn plain_relative_paths_are_accepted() {
        for good in [
            "phasedeck/spec.json",
            "a",
            "a/b/c.json",
            ".hidden/x",
            ".gitignore",
            ".github/x.json",
            "Übersicht.json",
            "größe/数.txt",
            "a b.md",
            "a..b",
            "..a/b",
            "x/...y",
            "x/git",
            "backup~",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn whatever_leaves_the_worktree_or_hides_is_refused_in_words() {
        let edge = |part: &str| {
            format!(
                "has the part '{part}', which begins with -, ~ or a space, or ends with a dot or a space"
            )
        };
        let git = |part: &str| format!("leads into git's own folder by '{part}'");
        for (bad, why) in [
            ("", "is empty".to_owned()),
            ("/etc/passwd", "is not relative to the worktree".to_owned()),
            ("~/x", "is not relative to the worktree".to_owned()),
            ("~root", "is not relative to the worktree".to_owned()),
            ("..", "leaves the worktree by '..'".to_owned()),
            ("../x", "leaves the worktree by '..'".to_owned()),
            ("a/../../x", "leaves the worktree by '..'".to_owned()),
            ("./x", "has the part '.', which says nothing".to_owned()),
            ("a//b", "has an empty part".to_owned()),
            ("a/", "has an empty part".to_owned()),
            (
                r"a\..\b",
                "has a backslash; parts are divided by /".to_owned(),
            ),
            (
                "C:/x",
                "has a colon, which some file systems cannot keep".to_owned(),
            ),
            (".git/config", git(".git")),
            ("a/.GIT/config", git(".GIT")),
            (".Git", git(".Git")),
            (".git./x", git(".git.")),
            (".git /x", git(".git ")),
            (".git::$INDEX_ALLOCATION/x", git(".git::$INDEX_ALLOCATION")),
            ("GIT~1/x", git("GIT~1")),
            ("git~20", git("git~20")),
            (
                ".g\u{200c}it/x",
                "has the unseen character U+200C".to_owned(),
            ),
            (".ｇｉｔ/config", git(".ｇｉｔ")),
            (
                "gro\u{308}ße.txt",
                "has letters in parts; write them composed (Unicode NFC)".to_owned(),
            ),
            (
                "\u{212B}.txt",
                "has letters in parts; write them composed (Unicode NFC)".to_owned(),
            ),
            ("a\0b", "has the unseen character U+0000".to_owned()),
            ("a\nb", "has the unseen character U+000A".to_owned()),
            ("a\u{85}b", "has the unseen character U+0085".to_owned()),
            ("a\u{202e}b", "has the unseen character U+202E".to_owned()),
            ("-rf", edge("-rf")),
            ("a/~x", edge("~x")),
            ("a/ b", edge(" b")),
            ("a /b", edge("a ")),
            ("a./b", edge("a.")),
        ] {
            assert_eq!(check(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn lengths_are_refused_just_above_their_limit() {
        assert_eq!(check(&"x".repeat(200)), Ok(()));
        assert_eq!(
            check(&"x".repeat(201)),
            Err("has a part longer than 200 bytes".to_owned())
        );
        assert_eq!(
            check(&"ä".repeat(101)),
            Err("has a part longer than 200 bytes".to_owned())
        );
        assert_eq!(check(&vec!["x"; 64].join("/")), Ok(()));
        assert_eq!(
            check(&vec!["x"; 65].join("/")),
            Err("has more than 64 parts".to_owned())
        );
    }

    #[test]
    fn every_spelling_of_the_repositorys_folder_is_known_and_nothing_else() {
        for name in [
            ".git",
            ".GiT",
            ".git. .",
            "．git",
            "ｇｉｔ~1",
            ".g\u{200c}it",
            "git~1",
            "GIT~2",
            ".git:x",
        ] {
            assert!(is_git(name), "{name:?}");
        }
        for name in [".gitignore", "git", "git~", "git~x", ".github", "x.git"] {
            assert!(!is_git(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_never_leaves_the_folder_it_is_joined_to(path in "[a.~:/ \\\\git-]{0,12}") {
            if check(&path).is_ok() {
                let parts = std::path::Path::new(&path).components();
                prop_assert!(parts.into_iter().all(|part| matches!(part, std::path::Component::Normal(name) if name != ".git")));
            }
        }
    }
}
