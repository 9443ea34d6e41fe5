//! Escape sequences besides drawing: clipboard, notifications, and passing through multiplexers.
//!
//! tmux and screen drop unknown sequences unless they are wrapped. Notifications and copied text
//! are sent to both the multiplexer and the outer terminal. The only foreign text here is what the
//! operator copies, and that is base64-encoded.

use crossterm::clipboard::CopyToClipboard;
use crossterm::queue;

use crate::model::settings::TerminalNotifications;

/// The terminal multiplexer between the console and the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplexer {
    /// None known.
    Nothing,
    Tmux,
    Screen,
}

/// Maximum length of a sequence that GNU screen passes through, in bytes.
const SCREEN_PIECE: usize = 240;

impl Multiplexer {
    /// Detects the multiplexer from the environment.
    #[must_use]
    pub fn here() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match () {
            () if set("TMUX") => Self::Tmux,
            () if set("STY") => Self::Screen,
            () => Self::Nothing,
        }
    }

    /// Describes the route to the terminal.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Nothing => "to the terminal (OSC 52)",
            Self::Tmux => "through tmux (OSC 52)",
            Self::Screen => "through screen (OSC 52)",
        }
    }

    /// Wraps a sequence so that it reaches the outer terminal.
    #[must_use]
    pub fn through(self, sequence: &str) -> String {
        match self {
            Self::Nothing => sequence.to_owned(),
            Self::Tmux => format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")),
            Self::Screen => in_pieces(sequence),
        }
    }
}

/// Pieces, each in an envelope of its own; what is ASCII can be cut anywhere.
fn in_pieces(sequence: &str) -> String {
    let pieces = sequence.as_bytes().chunks(SCREEN_PIECE);
    pieces
        .map(|piece| format!("\x1bP{}\x1b\\", String::from_utf8_lossy(piece)))
        .collect()
}

/// Returns the bell and, if enabled, the notification text.
#[must_use]
pub fn notification(between: Multiplexer, how: TerminalNotifications, words: &str) -> String {
    match how {
        TerminalNotifications::Off => String::new(),
        TerminalNotifications::Bell => "\x07".to_owned(),
        TerminalNotifications::Desktop => {
            format!("\x07{}", between.through(&format!("\x1b]9;{words}\x07")))
        }
    }
}

/// A text on its way to the clipboard. tmux takes it itself where it is set up to, else lets it through.
#[must_use]
pub fn copied(between: Multiplexer, text: &str) -> String {
    let mut bytes = Vec::new();
    // Writing to a String cannot fail.
    let _ = queue!(bytes, CopyToClipboard::to_clipboard_from(text));
    let plain = String::from_utf8_lossy(&bytes).into_owned();
    match between {
        Multiplexer::Nothing => plain,
        Multiplexer::Tmux => between.through(&plain) + &plain,
        Multiplexer::Screen => between.through(&plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_goes_through_a_multiplexer_in_its_envelope() {
        assert_eq!(copied(Multiplexer::Nothing, "hi"), "\x1b]52;c;aGk=\x1b\\");
        assert_eq!(
            copied(Multiplexer::Tmux, "hi"),
            "\x1bPtmux;\x1b\x1b]52;c;aGk=\x1b\x1b\\\x1b\\\x1b]52;c;aGk=\x1b\\"
        );
        let long = copied(Multiplexer::Screen, &"x".repeat(1000));
        assert!(
            long.split("\x1bP")
                .skip(1)
                .all(|piece| piece.len() <= SCREEN_PIECE + 2),
            "{long:?}"
        );
        assert_eq!(
            copied(Multiplexer::Nothing, "\x1b]0;evil\x07")
                .matches('\x1b')
                .count(),
            2,
            "its own bytes are hidden in base64"
        );
    }

    #[test]
    fn a_notification_rings_and_says_as_much_as_is_wanted() {
        assert_eq!(
            notification(Multiplexer::Nothing, TerminalNotifications::Off, "x"),
            ""
        );
        assert_eq!(
            notification(Multiplexer::Nothing, TerminalNotifications::Bell, "x"),
            "\x07"
        );
        assert_eq!(
            notification(Multiplexer::Nothing, TerminalNotifications::Desktop, "x"),
            "\x07\x1b]9;x\x07"
        );
        assert_eq!(
            notification(Multiplexer::Tmux, TerminalNotifications::Desktop, "x"),
            "\x07\x1bPtmux;\x1b\x1b]9;x\x07\x1b\\"
        );
    }
}
