//! Reads keys from the terminal on a separate thread, which also detects a hang-up.
//!
//! The thread waits for input or a hang-up and does nothing else. It never blocks on a terminal
//! that is gone, whether or not SIGHUP arrived. Size changes arrive as a signal through
//! [`super::wires`], so they cannot consume a key. Replies to terminal queries arrive as bytes like
//! keys and are never reported as keys. The holder of the [`KeyboardLock`] has exclusive access to the
//! terminal's input.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::app::mouse::MouseInput;
use crate::app::msg::Msg;
use crate::console::event_loop::LoopEvent;
use crate::model::error::{Failure, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use termina::escape::csi::{Csi, DecModeSetting, DecPrivateMode, DecPrivateModeCode, Mode};
use termina::event::{
    KeyCode as RawCode, KeyEvent, KeyEventKind, Modifiers, MouseButton, MouseEvent, MouseEventKind,
};
use termina::{Event as Raw, Parser};

/// Bytes read at once; a paste of any size comes in pieces of this.
const PIECE: usize = 65_536;

/// Who holds it reads keys: the console's thread, or the loop while another program has the terminal.
pub type KeyboardLock = Arc<Mutex<()>>;

const NOT_AT_ALL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Starts reading keys and watching the terminal.
///
/// # Errors
/// `io_failed` when no thread can be started.
pub fn start(events: &Sender<LoopEvent>) -> Result<KeyboardLock> {
    let keyboard = KeyboardLock::default();
    let failed = |e: std::io::Error| Failure::io("cannot start the input thread", &e);
    let (events, ours) = (events.clone(), Arc::clone(&keyboard));
    std::thread::Builder::new()
        .name("console-input".to_owned())
        .spawn(move || read_keys(&events, &ours))
        .map_err(failed)?;
    Ok(keyboard)
}

/// Waits without the keyboard, and reads with it: what another program may read is not taken from it.
fn read_keys(events: &Sender<LoopEvent>, keyboard: &KeyboardLock) {
    let (mut parser, mut bytes) = (Parser::default(), vec![0; PIECE]);
    while waiting(None) != InputWait::Gone {
        let held = keyboard.lock().unwrap_or_else(PoisonError::into_inner);
        // Until the keyboard was ours, another program may have read what waited.
        let read = match waiting(Some(&NOT_AT_ALL)) {
            InputWait::Bytes => match rustix::io::read(std::io::stdin(), &mut bytes) {
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            },
            InputWait::Nothing => continue,
            InputWait::Gone => break,
        };
        drop(held);
        parser.parse(&bytes[..read], read == PIECE);
        while let Some(raw) = parser.pop() {
            if parse_event(raw).is_some_and(|event| events.send(event).is_err()) {
                return;
            }
        }
    }
    let _ = events.send(LoopEvent::TerminalGone);
}

/// What the terminal has for whoever reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InputWait {
    Nothing,
    Bytes,
    Gone,
}

/// A hang-up is told always; asking for input as well keeps this to one thread.
fn waiting(patience: Option<&Timespec>) -> InputWait {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut fds, patience) {
        Ok(0) | Err(Errno::INTR) => InputWait::Nothing,
        Ok(_) if fds[0].revents().contains(PollFlags::IN) => InputWait::Bytes,
        Ok(_) | Err(_) => InputWait::Gone,
    }
}

/// Whether nobody is at the terminal any more: for who holds the keyboard, as nothing is read then.
#[must_use]
pub fn is_gone() -> bool {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
    poll(&mut fds, Some(&NOT_AT_ALL)).is_ok_and(|told| told > 0)
}

/// What an input means; releases and repeats of the terminal's own report mean nothing.
#[must_use]
pub fn parse_event(raw: Raw) -> Option<LoopEvent> {
    let msg = match raw {
        Raw::Key(key) if key.kind == KeyEventKind::Press => Msg::Key(chord(key)?),
        Raw::Paste(text) => Msg::Paste(text),
        Raw::FocusIn => Msg::Focus(true),
        Raw::FocusOut => Msg::Focus(false),
        Raw::Mouse(mouse) => Msg::Mouse(mouse_event(mouse)?),
        Raw::Csi(Csi::Mode(Mode::ReportDecPrivateMode { mode, setting })) => {
            return answered(mode, setting);
        }
        _ => return None,
    };
    Some(LoopEvent::Msg(msg))
}

/// Whether the terminal can hold a frame back until it is whole.
fn answered(mode: DecPrivateMode, setting: DecModeSetting) -> Option<LoopEvent> {
    let asked = mode == DecPrivateMode::Code(DecPrivateModeCode::SynchronizedOutput);
    let has = matches!(setting, DecModeSetting::Set | DecModeSetting::Reset);
    (asked && has).then_some(LoopEvent::Synchronizes)
}

fn mouse_event(mouse: MouseEvent) -> Option<MouseInput> {
    let at = (mouse.column, mouse.row);
    match mouse.kind {
        // What is held down with Shift is the terminal's own, also where it tells of it.
        _ if mouse.modifiers.contains(Modifiers::SHIFT) => None,
        MouseEventKind::ScrollUp => Some(MouseInput::WheelUp(at)),
        MouseEventKind::ScrollDown => Some(MouseInput::WheelDown(at)),
        MouseEventKind::Down(MouseButton::Left) => Some(MouseInput::Click(at)),
        _ => None,
    }
}

fn chord(key: KeyEvent) -> Option<KeyChord> {
    let code = match key.code {
        RawCode::Char(c) => KeyCode::Char(c),
        RawCode::Enter => KeyCode::Enter,
        RawCode::Escape => KeyCode::Esc,
        RawCode::Tab => KeyCode::Tab,
        RawCode::BackTab => KeyCode::BackTab,
        RawCode::Backspace => KeyCode::Backspace,
        RawCode::Delete => KeyCode::Delete,
        RawCode::Up => KeyCode::Up,
        RawCode::Down => KeyCode::Down,
        RawCode::Left => KeyCode::Left,
        RawCode::Right => KeyCode::Right,
        RawCode::Home => KeyCode::Home,
        RawCode::End => KeyCode::End,
        RawCode::PageUp => KeyCode::PageUp,
        RawCode::PageDown => KeyCode::PageDown,
        RawCode::Function(n) => KeyCode::F(n),
        _ => return None,
    };
    let ctrl = key.modifiers.contains(Modifiers::CONTROL);
    let code = match code {
        KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
        other => other,
    };
    Some(KeyChord {
        code,
        ctrl,
        alt: key.modifiers.contains(Modifiers::ALT),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<LoopEvent> {
        let mut parser = Parser::default();
        parser.parse(bytes, false);
        std::iter::from_fn(|| parser.pop())
            .filter_map(parse_event)
            .collect()
    }

    fn chords(bytes: &[u8]) -> Vec<String> {
        let chord = |event: &LoopEvent| match event {
            LoopEvent::Msg(Msg::Key(chord)) => chord.to_string(),
            other => format!("{other:?}"),
        };
        read(bytes).iter().map(chord).collect()
    }

    #[test]
    fn only_presses_count() {
        let key = |kind| {
            Raw::Key(KeyEvent {
                kind,
                ..KeyEvent::from(RawCode::Char('A'))
            })
        };
        assert!(
            matches!(parse_event(key(KeyEventKind::Press)), Some(LoopEvent::Msg(Msg::Key(chord))) if chord == KeyChord::char('A'))
        );
        assert!(parse_event(key(KeyEventKind::Repeat)).is_none());
        assert!(parse_event(key(KeyEventKind::Release)).is_none());
    }

    #[test]
    fn the_bytes_of_keys_are_read_as_they_are_named() {
        assert_eq!(
            chords(b"aG\x04\x1b[A\x1b[6~\x1bOP\x1b[Z\r\t\x7f "),
            [
                "a",
                "G",
                "Ctrl-D",
                "Up",
                "PgDn",
                "F1",
                "Shift-Tab",
                "Enter",
                "Tab",
                "Backspace",
                "Space"
            ]
        );
        assert_eq!(chords(b"\x1b"), ["Esc"]);
        assert_eq!(
            chords(b"\x1b\r\x10\x13\x03"),
            ["Alt-Enter", "Ctrl-P", "Ctrl-S", "Ctrl-C"]
        );
        assert_eq!(chords("日é".as_bytes()), ["日", "é"]);
    }

    #[test]
    fn a_paste_is_one_text_and_an_answer_of_the_terminal_is_no_key() {
        assert!(
            matches!(&read(b"\x1b[200~A\rq\x1b[201~")[..], [LoopEvent::Msg(Msg::Paste(text))] if text == "A\rq")
        );
        assert!(matches!(
            read(b"\x1b[?2026;2$y")[..],
            [LoopEvent::Synchronizes]
        ));
        assert!(read(b"\x1b[?2026;0$y").is_empty());
        assert!(read(b"\x1b[?62;22c\x1b[12;40R").is_empty());
    }

    #[test]
    fn wheel_and_click_are_taken_and_with_shift_they_are_the_terminals() {
        assert!(matches!(
            read(b"\x1b[<64;5;7M")[..],
            [LoopEvent::Msg(Msg::Mouse(MouseInput::WheelUp((4, 6))))]
        ));
        assert!(matches!(
            read(b"\x1b[<0;1;1M")[..],
            [LoopEvent::Msg(Msg::Mouse(MouseInput::Click((0, 0))))]
        ));
        assert!(read(b"\x1b[<0;1;1m\x1b[<4;1;1M\x1b[<2;1;1M").is_empty());
    }
}
