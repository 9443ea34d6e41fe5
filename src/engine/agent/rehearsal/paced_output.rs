//! Says text at a visible pace, and listens whether it is to stop.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::engine::agent::{AgentStop, AttemptRecorder};
use crate::engine::api::TextKind;

/// Pieces that one text is said in at most, so that a long one does not take longer for ever.
const MOST_PIECES: usize = 200;
/// Bytes in a piece of a short text.
const PIECE_BYTES: usize = 24;

/// Where a rehearsal is played.
pub struct PacedOutput<'a> {
    desk: &'a AttemptRecorder,
    stop: &'a AgentStop,
    pace: Duration,
}

impl<'a> PacedOutput<'a> {
    /// A stage with `pace_ms` milliseconds between two pieces; 0 never waits.
    pub fn new(desk: &'a AttemptRecorder, stop: &'a AgentStop, pace_ms: u64) -> Self {
        Self {
            desk,
            stop,
            pace: Duration::from_millis(pace_ms),
        }
    }

    /// Says all of `text`, or as much as it can before it is told to end now.
    pub async fn say(&self, text: &str) -> ControlFlow<()> {
        for piece in pieces(text) {
            if self.stop.now.is_cancelled() {
                return ControlFlow::Break(());
            }
            self.desk.text(TextKind::Answer, piece);
            self.pause().await?;
        }
        ControlFlow::Continue(())
    }

    /// Whether it was asked to stop, at once or soon.
    pub fn is_stopped(&self) -> bool {
        self.stop.soon.is_cancelled() || self.stop.now.is_cancelled()
    }

    /// Waits until it is asked to stop.
    pub async fn until_stopped(&self) {
        self.stop.asked().await;
    }

    async fn pause(&self) -> ControlFlow<()> {
        if self.pace.is_zero() {
            return ControlFlow::Continue(());
        }
        tokio::select! {
            () = self.stop.now.cancelled() => ControlFlow::Break(()),
            () = tokio::time::sleep(self.pace) => ControlFlow::Continue(()),
        }
    }
}

/// Cuts a text after spaces and line ends into pieces that are about equally long.
fn pieces(text: &str) -> Vec<&str> {
    let least = PIECE_BYTES.max(text.len() / MOST_PIECES);
    let (mut pieces, mut start) = (Vec::new(), 0);
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if c.is_whitespace() && end - start >= least {
            pieces.push(&text[start..end]);
            start = end;
        }
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_text_in_a_bounded_number() {
        for text in [
            "",
            "word",
            "a few words that are longer than one piece\nand a line",
            &"é \n".repeat(40_000),
        ] {
            let pieces = pieces(text);
            assert_eq!(pieces.concat(), text);
            assert!(
                pieces.len() <= MOST_PIECES + 1 && pieces.iter().all(|piece| !piece.is_empty())
            );
        }
        assert_eq!(
            pieces("a few words that are longer than one piece"),
            ["a few words that are longer ", "than one piece"]
        );
    }
}
