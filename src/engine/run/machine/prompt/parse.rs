//! Reads an envelope back, for a backend that has no model to read it.

use super::{COMMENT, PREVIOUS, REPAIR};

/// What an envelope says of the attempt before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParsedPrompt<'a> {
    /// Whether it asks for a repair.
    pub repair: bool,
    /// The operator's comment, where changes were requested.
    pub comment: Option<&'a str>,
    /// The previous content, as far as it was shown.
    pub previous: Option<&'a str>,
}

/// Reads back what [`render`](super::render) said of the attempt before, for a backend that has no model to read it.
///
/// Only lines outside fences count, so that content which quotes an envelope changes nothing.
#[must_use]
pub fn told(prompt: &str) -> ParsedPrompt<'_> {
    let (mut told, mut at, mut heading) = (ParsedPrompt::default(), 0, "");
    let mut open: Option<(usize, usize)> = None;
    for line in prompt.split_inclusive('\n') {
        let (start, text) = (at, line.trim_end_matches('\n'));
        at += line.len();
        let ticks = text.len() - text.trim_start_matches('`').len();
        match open {
            None if ticks >= 3 => open = Some((ticks, at)),
            None if !text.is_empty() => {
                told.repair |= text == REPAIR;
                heading = text;
            }
            Some((length, from)) if ticks >= length && ticks == text.len() => {
                let content = &prompt[from..start];
                match heading {
                    COMMENT => told.comment = Some(content.trim_end_matches('\n')),
                    PREVIOUS => told.previous = Some(content),
                    _ => {}
                }
                open = None;
            }
            _ => {}
        }
    }
    told
}
