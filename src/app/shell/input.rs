//! Keys from the terminal, on a thread of their own, and the watch over a terminal that dies.
//!
//! The input library never returns when its terminal is gone and SIGHUP is ignored, so a second
//! thread waits for nothing but the hang-up, and the way out of the console leads over that one.
//! The first thread may spin until the process ends; nothing waits for it.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossterm::event::{Event as Raw, KeyCode as RawCode, KeyEvent, KeyEventKind, KeyModifiers};
use rustix::event::{PollFd, PollFlags, poll};

use super::pump::Event;
use crate::app::key::{Chord, KeyCode};
use crate::app::msg::Msg;
use crate::model::error::{Failure, Result};

/// How long the keyboard is kept after a key: the library reads nothing at all without patience.
const LAST_KEY: Duration = Duration::from_millis(5);

/// Who holds it reads keys: the console's thread, or the loop while another program has the terminal.
pub type Keyboard = Arc<Mutex<()>>;

/// Starts reading keys and watching the terminal.
///
/// # Errors
/// `io_failed` when no thread can be started.
pub fn start(events: &Sender<Event>) -> Result<Keyboard> {
    let keyboard = Keyboard::default();
    let failed = |e: std::io::Error| Failure::io("cannot start the input thread", &e);
    let (keys, watch) = (events.clone(), events.clone());
    let ours = Arc::clone(&keyboard);
    std::thread::Builder::new().name("console-input".to_owned()).spawn(move || read_keys(&keys, &ours)).map_err(failed)?;
    std::thread::Builder::new().name("console-watch".to_owned()).spawn(move || watch_terminal(&watch)).map_err(failed)?;
    Ok(keyboard)
}

fn watch_terminal(events: &Sender<Event>) {
    let stdin = std::io::stdin();
    // No flags are asked for: a hang-up is told always.
    let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
    while matches!(poll(&mut fds, None), Ok(0) | Err(rustix::io::Errno::INTR)) {}
    let _ = events.send(Event::TerminalGone);
}

/// Waits without the keyboard, and reads with it: what another program may read is not taken from it.
/// The input library is asked only when something waits, so that it never waits itself.
fn read_keys(events: &Sender<Event>, keyboard: &Keyboard) {
    let stdin = std::io::stdin();
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return;
        }
        let held = keyboard.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(true) = crossterm::event::poll(LAST_KEY) {
            let Ok(raw) = crossterm::event::read() else { return };
            // Sizes come by their signal at once; here they would come with the next key.
            if let Some(msg) = msg_of(raw).filter(|msg| !matches!(msg, Msg::Resize(..)))
                && events.send(Event::Msg(msg)).is_err()
            {
                return;
            }
        }
        drop(held);
    }
}

/// What an input means; releases and repeats of the terminal's own report mean nothing.
#[must_use]
pub fn msg_of(raw: Raw) -> Option<Msg> {
    match raw {
        Raw::Key(key) if key.kind == KeyEventKind::Press => chord(key).map(Msg::Key),
        Raw::Paste(text) => Some(Msg::Paste(text)),
        Raw::Resize(columns, rows) => Some(Msg::Resize(columns, rows)),
        Raw::FocusGained => Some(Msg::Focus(true)),
        Raw::FocusLost => Some(Msg::Focus(false)),
        Raw::Key(_) | Raw::Mouse(_) => None,
    }
}

fn chord(key: KeyEvent) -> Option<Chord> {
    let code = match key.code {
        RawCode::Char(c) => KeyCode::Char(c),
        RawCode::Enter => KeyCode::Enter,
        RawCode::Esc => KeyCode::Esc,
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
        RawCode::F(n) => KeyCode::F(n),
        _ => return None,
    };
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let code = match code {
        KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
        other => other,
    };
    Some(Chord { code, ctrl, alt: key.modifiers.contains(KeyModifiers::ALT) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_presses_count() {
        let key = |kind| Raw::Key(KeyEvent::new_with_kind(RawCode::Char('A'), KeyModifiers::SHIFT, kind));
        assert!(matches!(msg_of(key(KeyEventKind::Press)), Some(Msg::Key(chord)) if chord == Chord::char('A')));
        assert!(msg_of(key(KeyEventKind::Repeat)).is_none());
        assert!(msg_of(key(KeyEventKind::Release)).is_none());
    }
}
