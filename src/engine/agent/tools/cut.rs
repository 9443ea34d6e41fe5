//! Limits on what a model and a person are shown of a result, with a note that says what was cut.

/// The longest result a model gets, in bytes, its note not counted.
pub(super) const MAX_RESULT_BYTES: usize = 32 * 1024;
/// The longest target that people get, in characters.
pub(super) const MAX_TARGET_CHARS: usize = 200;

const HEAD_BYTES: usize = 24 * 1024;

/// A result within its limit: the head and the tail of a longer one, and between them how much was cut.
pub(super) fn result(text: String) -> String {
    if text.len() <= MAX_RESULT_BYTES {
        return text;
    }
    let head = text.floor_char_boundary(HEAD_BYTES);
    let tail = text.ceil_char_boundary(text.len() - (MAX_RESULT_BYTES - HEAD_BYTES));
    format!(
        "{}\n[... {} bytes cut here ...]\n{}",
        &text[..head],
        tail - head,
        &text[tail..]
    )
}

/// A line within `max` characters.
pub(super) fn line(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => format!(
            "{} [... {} characters cut]",
            &text[..at],
            text[at..].chars().count()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_keeps_head_and_tail_and_counts_what_is_gone() {
        let exact = "x".repeat(MAX_RESULT_BYTES);
        assert_eq!(result(exact.clone()), exact);
        let long = format!("{}{}END", "ä".repeat(20_000), "y");
        let cut = result(long.clone());
        assert!(cut.starts_with("ää") && cut.ends_with("yEND"));
        let note = format!(
            "\n[... {} bytes cut here ...]\n",
            long.len() - MAX_RESULT_BYTES
        );
        assert!(cut.contains(&note), "{note}");
        assert_eq!(cut.len(), MAX_RESULT_BYTES + note.len());
    }

    #[test]
    fn a_line_says_how_much_is_missing() {
        assert_eq!(line("größe", 5), "größe");
        assert_eq!(line("größer", 4), "größ [... 2 characters cut]");
    }
}
