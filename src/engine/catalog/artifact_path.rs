//! Which paths a phase may name for its artifact: relative, plain, the same on every file system.
//!
//! This is about the text alone. That nothing on disk leads out of the worktree is checked when the
//! file is opened.

const MAX_COMPONENTS: usize = 64;
const MAX_COMPONENT_BYTES: usize = 200;

/// Checks a path that is meant relative to a worktree.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence about the path.
pub fn check_artifact_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(c) = path.chars().find(|c| is_unseen(*c)) {
        return Err(format!("has the unseen character U+{:04X}", u32::from(c)));
    }
    if path.contains('\\') {
        return Err("has a backslash; parts are divided by /".to_owned());
    }
    if path.contains(':') {
        return Err("has a colon, which some file systems cannot keep".to_owned());
    }
    if path.starts_with('/') || path.starts_with('~') {
        return Err("is not relative to the worktree".to_owned());
    }
    let components: Vec<&str> = path.split('/').collect();
    if components.len() > MAX_COMPONENTS {
        return Err(format!("has more than {MAX_COMPONENTS} parts"));
    }
    components.into_iter().try_for_each(check_component)
}

fn check_component(component: &str) -> Result<(), String> {
    if component.is_empty() {
        return Err("has an empty part".to_owned());
    }
    if component == ".." {
        return Err("leaves the worktree by '..'".to_owned());
    }
    if component == "." {
        return Err("has the part '.', which says nothing".to_owned());
    }
    if is_git(component) {
        return Err(format!("leads into git's own folder by '{component}'"));
    }
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(format!("has a part longer than {MAX_COMPONENT_BYTES} bytes"));
    }
    if component.starts_with(['-', ' ']) || component.ends_with(['.', ' ']) {
        return Err(format!("has the part '{component}', which begins with - or a space, or ends with a dot or a space"));
    }
    Ok(())
}

/// `.git` in any case, with the trailing dots and spaces that Windows drops, and its short name there.
fn is_git(component: &str) -> bool {
    let bare = component.trim_end_matches(['.', ' ']).to_lowercase();
    bare == ".git" || bare == "git~1"
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
    use super::*;

    #[test]
    fn plain_relative_paths_are_accepted() {
        for good in
            ["phasedeck/spec.json", "a", "a/b/c.json", ".hidden/x", ".gitignore", ".github/x.json", "Übersicht.json", "a..b", "x/...y"]
        {
            assert_eq!(check_artifact_path(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn whatever_leaves_the_worktree_or_hides_is_refused_in_words() {
        for (bad, why) in [
            ("", "is empty"),
            ("/etc/passwd", "is not relative to the worktree"),
            ("~/x", "is not relative to the worktree"),
            ("../x", "leaves the worktree by '..'"),
            ("a/../../x", "leaves the worktree by '..'"),
            ("./x", "has the part '.', which says nothing"),
            ("a//b", "has an empty part"),
            ("a/", "has an empty part"),
            (r"a\b", "has a backslash; parts are divided by /"),
            ("C:/x", "has a colon, which some file systems cannot keep"),
            (".git/config", "leads into git's own folder by '.git'"),
            ("a/.GIT/config", "leads into git's own folder by '.GIT'"),
            (".git./x", "leads into git's own folder by '.git.'"),
            ("GIT~1/x", "leads into git's own folder by 'GIT~1'"),
            (".g\u{200c}it/x", "has the unseen character U+200C"),
            ("a\0b", "has the unseen character U+0000"),
            ("a\nb", "has the unseen character U+000A"),
            ("a\u{202e}b", "has the unseen character U+202E"),
            ("-rf", "has the part '-rf', which begins with - or a space, or ends with a dot or a space"),
            ("a /b", "has the part 'a ', which begins with - or a space, or ends with a dot or a space"),
        ] {
            assert_eq!(check_artifact_path(bad), Err(why.to_owned()), "{bad}");
        }
    }

    #[test]
    fn lengths_are_refused_just_above_their_limit() {
        assert_eq!(check_artifact_path(&"x".repeat(200)), Ok(()));
        assert_eq!(check_artifact_path(&"x".repeat(201)), Err("has a part longer than 200 bytes".to_owned()));
        assert_eq!(check_artifact_path(&vec!["x"; 64].join("/")), Ok(()));
        assert_eq!(check_artifact_path(&vec!["x"; 65].join("/")), Err("has more than 64 parts".to_owned()));
    }
}
