//! Sets up the terminal, draws frames, and restores the terminal.
//!
//! The terminal is restored on every exit path: when the guard drops, and in the panic hook. The
//! hook acts only for the thread that owns the screen; a panic elsewhere is logged and leaves the
//! screen alone. A frame is the difference to the previous one, written in a single write; an empty
//! difference writes nothing.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::app::msg::FrameReport;
use crate::app::state::AppState;
use crate::app::title::title;
use crate::console::osc;
use crate::console::osc::Multiplexer;
use crate::model::error::{Failure, Result};
use crate::model::settings::TerminalNotifications;
use crate::ui;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
};
use crossterm::queue;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Keeps and brings back the title that the terminal had.
const PUSH_TITLE: &[u8] = b"\x1b[22;0t";
const POP_TITLE: &[u8] = b"\x1b[23;0t";

/// Clicks and the wheel, and nothing of mere movement.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";
/// Asks whether the terminal can hold a frame back until it is whole; the answer comes among the keys.
const ASK_SYNCHRONIZES: &[u8] = b"\x1b[?2026$p";
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";

type PanicHook = Arc<dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync>;

/// The terminal while the console controls it.
pub struct TerminalScreen {
    taken: Arc<AtomicBool>,
    hook: Option<PanicHook>,
    shown: Buffer,
    title: String,
    manners: TerminalModes,
    synchronizes: bool,
}

/// Terminal options.
#[derive(Clone, Copy, Debug)]
pub struct TerminalModes {
    /// Whether clicks and the wheel are asked for.
    pub mouse: bool,
    /// How it is told that a run needs somebody.
    pub notifications: TerminalNotifications,
    /// What lies between.
    pub between: Multiplexer,
}

impl TerminalScreen {
    /// Sets up the terminal.
    ///
    /// # Errors
    /// `io_failed` when it refuses; it is as it was then.
    pub fn take_over(size: (u16, u16), manners: TerminalModes) -> Result<Self> {
        let (taken, shown) = (
            Arc::new(AtomicBool::new(false)),
            Buffer::empty(Rect::new(0, 0, size.0, size.1)),
        );
        let mut terminal = Self {
            taken,
            hook: None,
            shown,
            title: String::new(),
            manners,
            synchronizes: false,
        };
        terminal.enter()?;
        // Asked once; nothing waits for the answer.
        write(ASK_SYNCHRONIZES)
            .map_err(|error| Failure::io("cannot set up the terminal", &error))?;
        terminal.hook = Some(guard_panics(terminal.taken.clone()));
        Ok(terminal)
    }

    /// Takes it over again, after [`leave`](Self::leave).
    ///
    /// # Errors
    /// `io_failed` when it refuses.
    pub fn enter(&mut self) -> Result<()> {
        let refused = |error: std::io::Error| Failure::io("cannot set up the terminal", &error);
        let fresh = !self.taken.swap(true, Ordering::SeqCst);
        if !fresh {
            // A shell may have set the terminal up for itself in between: not what is to be given back.
            disable_raw_mode().map_err(refused)?;
        }
        enable_raw_mode().map_err(refused)?;
        let mut bytes = if fresh {
            PUSH_TITLE.to_vec()
        } else {
            Vec::new()
        };
        queue!(
            bytes,
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            Hide,
            Clear(ClearType::All)
        )
        .map_err(refused)?;
        if self.manners.mouse {
            bytes.extend(MOUSE_ON);
        }
        write(&bytes).map_err(refused)?;
        self.repaint((self.shown.area.width, self.shown.area.height));
        self.title.clear();
        Ok(())
    }

    /// Restores the terminal.
    pub fn leave(&self) {
        give_back(&self.taken);
    }

    /// The next frame is drawn whole, at this size.
    pub fn repaint(&mut self, size: (u16, u16)) {
        self.shown = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    }

    /// What the terminal shows is not known any more: the next frame clears it and is drawn whole.
    pub fn forget(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// Draws a frame.
    ///
    /// # Errors
    /// I/O errors of the terminal.
    pub fn draw(&mut self, state: &AppState) -> std::io::Result<FrameReport> {
        let area = Rect::new(0, 0, state.look.size.0, state.look.size.1);
        let mut bytes = Vec::new();
        if self.shown.area != area {
            self.repaint(state.look.size);
            queue!(bytes, Clear(ClearType::All))?;
        }
        let mut next = Buffer::empty(area);
        let drawn = ui::draw(&mut next, area, state);
        let changes = self.shown.diff(&next);
        if !changes.is_empty() {
            let mut backend = CrosstermBackend::new(&mut bytes);
            backend.draw(changes.into_iter())?;
        }
        self.shown = next;
        self.set_title(state, &mut bytes);
        if !bytes.is_empty() {
            write(&self.whole(bytes))?;
        }
        Ok(drawn)
    }

    /// The terminal said that it can hold a frame back until it is whole.
    pub fn synchronizes(&mut self) {
        self.synchronizes = true;
    }

    fn whole(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.synchronizes {
            [FRAME_BEGINS, bytes.as_slice(), FRAME_ENDS].concat()
        } else {
            bytes
        }
    }

    /// Puts a text into the clipboard, as far as the terminal lets it; by which way.
    ///
    /// # Errors
    /// I/O errors of the terminal.
    pub fn copy(&self, text: &str) -> std::io::Result<&'static str> {
        write(osc::copied(self.manners.between, text).as_bytes())?;
        Ok(self.manners.between.describe())
    }

    /// Rings, and says why, as far as that is wanted.
    ///
    /// # Errors
    /// I/O errors of the terminal.
    pub fn notify(&self, words: &str) -> std::io::Result<()> {
        write(osc::notification(self.manners.between, self.manners.notifications, words).as_bytes())
    }

    fn set_title(&mut self, state: &AppState, bytes: &mut Vec<u8>) {
        let title = title(state);
        if title != self.title {
            bytes.extend(format!("\x1b]2;{title}\x07").into_bytes());
            self.title = title;
        }
    }
}

impl Drop for TerminalScreen {
    fn drop(&mut self) {
        self.leave();
        // While a panic unwinds the hooks cannot be changed; the process ends with ours then.
        if let Some(before) = self.hook.take().filter(|_| !std::thread::panicking()) {
            drop(std::panic::take_hook());
            std::panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn give_back(taken: &AtomicBool) {
    if !taken.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut bytes = MOUSE_OFF.to_vec();
    // A terminal that is gone cannot be given back; there is nobody to tell.
    let _ = queue!(
        bytes,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    bytes.extend(POP_TITLE);
    let _ = write(&bytes);
    let _ = disable_raw_mode();
}

/// Installs a panic hook that restores the terminal first; returns the previous hook.
fn guard_panics(taken: Arc<AtomicBool>) -> PanicHook {
    let before: PanicHook = Arc::from(std::panic::take_hook());
    let (owner, ours) = (std::thread::current().id(), before.clone());
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == owner {
            give_back(&taken);
            ours(info);
        } else {
            tracing::error!(panic = %info, "a thread panicked");
        }
    }));
    before
}
