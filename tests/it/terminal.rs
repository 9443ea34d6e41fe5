//! The real binary in a pseudo-terminal, read as a terminal reads it.

use std::io::{Read as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::home::Home;

/// A terminal with the program in it.
pub struct Terminal {
    screen: vt100::Parser,
    /// Everything that was written.
    raw: Vec<u8>,
    bytes: Receiver<Vec<u8>>,
    keys: Box<dyn std::io::Write + Send>,
    master: Box<dyn MasterPty + Send>,
    pub child: Box<dyn Child + Send + Sync>,
}

/// Whether the banner of a run says that a gate waits: for an answer now, or once the run is resumed.
pub fn shows_pending_approval(screen: &str) -> bool {
    screen.contains("your approval") || screen.contains("approval pending")
}

impl Terminal {
    pub fn open(home: &Home, args: &[&str], columns: u16, rows: u16) -> Self {
        Self::open_with(home, args, (columns, rows), &[])
    }

    /// With variables more.
    pub fn open_with(
        home: &Home,
        args: &[&str],
        size: (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_phasedeck"));
        command.args(args);
        Self::spawn(home, command, size, variables)
    }

    /// A shell with job control.
    pub fn open_in_shell(home: &Home, columns: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "--noprofile", "-i"]);
        command.env("PS1", "ready>");
        Self::spawn(home, command, (columns, rows), &[])
    }

    fn spawn(
        home: &Home,
        mut command: CommandBuilder,
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        command.cwd(home.path());
        for (name, _) in std::env::vars().filter(|(name, _)| {
            name.starts_with("PHASEDECK_") || name == "NO_COLOR" || name == "TMUX" || name == "STY"
        }) {
            command.env_remove(name);
        }
        for (name, value) in [
            ("TERM", "xterm-256color"),
            ("USER", "tester"),
            ("TZ", "UTC"),
        ] {
            command.env(name, value);
        }
        for name in ["VISUAL", "EDITOR", "PAGER"] {
            command.env_remove(name);
        }
        variables
            .iter()
            .for_each(|(name, value)| command.env(name, value));
        command.env("PHASEDECK_HOME", home.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let (mut reader, writer) = (
            pair.master.try_clone_reader().unwrap(),
            pair.master.take_writer().unwrap(),
        );
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            screen: vt100::Parser::new(cells(rows), cells(columns), 0),
            raw: Vec::new(),
            bytes,
            keys: writer,
            master: pair.master,
            child,
        }
    }

    /// Types text as a person would, key by key as far as the program can tell.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.master
            .resize(PtySize {
                rows,
                cols: columns,
                pixel_width: 0,
                pixel_height: 0,
            })
            .unwrap();
        self.screen
            .screen_mut()
            .set_size(cells(rows), cells(columns));
    }

    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Whether a program has a screen of its own.
    pub fn is_alternate(&self) -> bool {
        self.screen.screen().alternate_screen()
    }

    /// Whether the program has left the terminal as it found it.
    pub fn is_clean(&self) -> bool {
        let screen = self.screen.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
            && modes_left(&self.raw).is_empty()
            && times(&self.raw, b"\x1b[22;0t") == times(&self.raw, b"\x1b[23;0t")
    }

    /// Whether the program's own screen is gone; a shell has manners of its own.
    pub fn is_left(&self) -> bool {
        let screen = self.screen.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    }

    /// Reads until the screen shows what is waited for.
    pub fn wait_until(&mut self, what: &str, seen: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !seen(&self.text()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.feed(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited in vain for {what}; the screen:\n{}", self.text())
                }
                Err(RecvTimeoutError::Disconnected) => panic!(
                    "ended while waiting for {what}; the screen:\n{}",
                    self.text()
                ),
            }
        }
    }

    /// Reads whatever comes for so long; how many bytes that were.
    pub fn stays(&mut self, time: Duration) -> usize {
        let (until, mut count) = (Instant::now() + time, 0);
        while let Ok(bytes) = self
            .bytes
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            count += bytes.len();
            self.feed(&bytes);
        }
        count
    }

    /// Reads until nothing comes for a moment.
    pub fn rest(&mut self) {
        while self.stays(Duration::from_millis(1500)) > 0 {}
    }

    /// Presses a key again and again, each time with a moment to act on it, until the screen shows what
    /// is waited for.
    pub fn press_until(&mut self, key: &str, what: &str, seen: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !seen(&self.text()) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}; the screen:\n{}",
                self.text()
            );
            self.press(key);
            let moment = Instant::now() + Duration::from_millis(1200);
            while let Ok(bytes) = self
                .bytes
                .recv_timeout(moment.saturating_duration_since(Instant::now()))
            {
                self.feed(&bytes);
                if seen(&self.text()) {
                    return;
                }
            }
        }
    }

    /// Reads until the program has ended; gives its exit code.
    pub fn wait_for_end(&mut self) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.bytes.recv_timeout(Duration::from_millis(20)) {
                Ok(bytes) => self.feed(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Ok(Some(_)) = self.child.try_wait() {
                while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(100)) {
                    self.feed(&bytes);
                }
                break;
            }
            assert!(
                Instant::now() < deadline,
                "did not end; the screen:\n{}",
                self.text()
            );
        }
        self.child.wait().unwrap().exit_code()
    }

    fn feed(&mut self, bytes: &[u8]) {
        // A program may ask where the cursor is; a terminal that never answers would hold it up.
        if bytes.windows(4).any(|window| window == b"\x1b[6n") {
            let (row, column) = self.screen.screen().cursor_position();
            self.press(&format!("\x1b[{};{}R", row + 1, column + 1));
        }
        self.screen.process(bytes);
        self.raw.extend_from_slice(bytes);
    }
}

/// The private modes that a program has left otherwise than a terminal begins with: only the cursor is on then.
pub fn modes_left(raw: &[u8]) -> Vec<u32> {
    let mut last = std::collections::BTreeMap::new();
    for sequence in raw
        .split(|byte| *byte == 0x1b)
        .filter_map(|rest| rest.strip_prefix(b"[?"))
    {
        let digits = sequence
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if let (Ok(mode), Some(end @ (b'h' | b'l'))) = (
            std::str::from_utf8(&sequence[..digits]).unwrap().parse(),
            sequence.get(digits),
        ) {
            last.insert(mode, *end == b'h');
        }
    }
    last.into_iter()
        .filter(|(mode, on)| *on != (*mode == 25_u32))
        .map(|(mode, _)| mode)
        .collect()
}

fn times(raw: &[u8], bytes: &[u8]) -> usize {
    raw.windows(bytes.len())
        .filter(|window| *window == bytes)
        .count()
}

fn cells(count: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(count).expect("a terminal has cells")
}
