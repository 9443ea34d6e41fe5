//! A text that the operator writes: a library's text area behind the console's own keys.

use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::msg::CommentDraft;
use crate::model::safe_text::safe_line;
use ratatui_textarea::{CursorMove, Input, Key, TextArea, WrapMode};

/// What a paste may bring at most, in bytes; more is cut, and said.
pub const PASTE_BYTES: usize = 64 * 1024;

/// A text that the operator writes.
#[derive(Clone, Debug)]
pub struct TextInput {
    area: TextArea<'static>,
    /// The version of the artifact that the first words were written for.
    pub written_for: Option<u32>,
    /// Since when there are words that are not kept, in ticks.
    pub unsaved: Option<u64>,
}

impl Default for TextInput {
    fn default() -> Self {
        Self::from_text("")
    }
}

impl TextInput {
    /// A text with the cursor at its end.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let lines = text.split('\n').map(str::to_owned).collect();
        let mut area = TextArea::new(lines);
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.set_cursor_line_style(Default::default());
        area.move_cursor(CursorMove::Bottom);
        area.move_cursor(CursorMove::End);
        Self {
            area,
            written_for: None,
            unsaved: None,
        }
    }

    /// A kept draft.
    #[must_use]
    pub fn from_draft(draft: &CommentDraft) -> Self {
        Self {
            written_for: draft.version,
            ..Self::from_text(&draft.text)
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.area.lines().iter().all(|line| line.trim().is_empty())
    }

    /// The library's area, to be drawn.
    #[must_use]
    pub fn area(&self) -> &TextArea<'static> {
        &self.area
    }

    /// Types a key; whether the text changed.
    pub fn key(&mut self, chord: KeyChord) -> bool {
        let key = match chord.code {
            KeyCode::Char(c) => Key::Char(c),
            KeyCode::Enter => Key::Enter,
            KeyCode::Backspace => Key::Backspace,
            KeyCode::Delete => Key::Delete,
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            KeyCode::Left => Key::Left,
            KeyCode::Right => Key::Right,
            KeyCode::Home => Key::Home,
            KeyCode::End => Key::End,
            KeyCode::PageUp => Key::PageUp,
            KeyCode::PageDown => Key::PageDown,
            KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab | KeyCode::F(_) => return false,
        };
        self.area.input(Input {
            key,
            ctrl: chord.ctrl,
            alt: chord.alt,
            shift: false,
        })
    }

    /// Puts another text in place of this one; undo brings it back. Whether some of it was cut.
    pub fn replace(&mut self, text: &str) -> bool {
        self.area.select_all();
        self.area.cut();
        self.paste(text)
    }

    /// Takes a paste: text only, controls as marks. Whether some of it was cut.
    pub fn paste(&mut self, text: &str) -> bool {
        let mut end = text.len().min(PASTE_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let lines = text[..end].replace("\r\n", "\n").replace('\r', "\n");
        let safe: Vec<String> = lines.split('\n').map(safe_whole).collect();
        self.area.insert_str(safe.join("\n"));
        end < text.len()
    }
}

/// The filter cuts lines that are very long; the operator's own words are filtered in pieces instead.
fn safe_whole(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    chars
        .chunks(1000)
        .map(|piece| safe_line(&piece.iter().collect::<String>()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_is_text_and_nothing_else() {
        let mut input = TextInput::from_text("so: ");
        assert!(!input.paste("a\r\nb\u{1b}[201~\rc"));
        assert_eq!(input.text(), "so: a\nb␛[201~\nc");
        let mut input = TextInput::default();
        assert!(input.paste(&"é".repeat(PASTE_BYTES)));
        assert_eq!(input.text().len(), PASTE_BYTES);
    }

    #[test]
    fn another_text_takes_its_place_and_undo_brings_it_back() {
        let mut input = TextInput::from_text("one\ntwo");
        assert!(!input.replace("three"));
        assert_eq!(input.text(), "three");
        while input.key(KeyChord::ctrl('u')) && input.text() != "one\ntwo" {}
        assert_eq!(input.text(), "one\ntwo");
    }

    #[test]
    fn keys_write() {
        let mut input = TextInput::default();
        for chord in [
            KeyChord::char('a'),
            KeyChord::plain(KeyCode::Enter),
            KeyChord::char('é'),
            KeyChord::plain(KeyCode::Esc),
        ] {
            input.key(chord);
        }
        assert_eq!(input.text(), "a\né");
        assert!(!input.is_blank());
    }
}
