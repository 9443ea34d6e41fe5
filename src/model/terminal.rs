//! What the name of a terminal says of it, where it says nothing itself.

/// Whether a terminal of this name (`TERM`) shows no colours: the old ones, and those whose name says so.
#[must_use]
pub fn is_colourless(term: &str) -> bool {
    let old = ["dumb", "vt52", "vt100", "vt102", "vt220", "vt320", "ansi-m"];
    old.contains(&term) || ["-mono", "-m"].iter().any(|end| term.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_have_them() {
        for (term, colourless) in [
            ("xterm-256color", false),
            ("screen", false),
            ("linux", false),
            ("", false),
            ("xterm-mono", true),
            ("linux-m", true),
            ("vt100", true),
            ("dumb", true),
        ] {
            assert_eq!(is_colourless(term), colourless, "{term:?}");
        }
    }
}
