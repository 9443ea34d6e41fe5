//! The console on a real terminal: this test binary runs itself inside a pty, where one test plays
//! the program, and reads the bytes as a terminal does.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{ConsoleExit, ConsoleOptions, ShutdownSignals, StartScreen, run_console};
use crate::console::connect;
use crate::engine::api::{CommandRequest, EnginePort, EngineSignal};
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure};
use crate::model::settings::AppSettings;
use portable_pty::{Child, CommandBuilder, PtyPair, PtySize, native_pty_system};
use tokio::sync::{broadcast, mpsc};

const HOME: &str = "PHASEDECK_TEST_CONSOLE_HOME";
/// How the engine is found: at once where it is not set, `late` once a file says so, or `never`.
const ENGINE: &str = "PHASEDECK_TEST_CONSOLE_ENGINE";

/// Plays the program when it is run inside the pty; does nothing otherwise.
#[test]
fn child_of_the_pty_tests() {
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (requests, mut served) = mpsc::channel::<CommandRequest>(8);
    let signals = broadcast::Sender::<EngineSignal>::new(8);
    let parting = ShutdownSignals::default();
    let host = parting.clone();
    runtime.spawn(async move { while served.recv().await.is_some() {} });
    runtime.spawn(async move {
        host.drain.cancelled().await;
        host.drained.cancel();
    });
    let options = ConsoleOptions {
        paths: InstallPaths::beneath(std::path::Path::new(&home)),
        settings: AppSettings::default(),
        settings_told: Vec::new(),
        start: StartScreen::Home,
        ascii: false,
        no_color: true,
    };
    let engine = connect::to_engine(EnginePort::new(requests, signals));
    let link: connect::ConnectFn = match std::env::var(ENGINE).as_deref() {
        Ok("late") => {
            let word = std::path::PathBuf::from(&home).join("go");
            std::sync::Arc::new(move || {
                while !word.exists() {
                    std::thread::yield_now();
                }
                engine()
            })
        }
        Ok(_) => {
            std::sync::Arc::new(|| Err(Failure::new(Code::DbNewerSchema, "the database is newer")))
        }
        Err(_) => engine,
    };
    match run_console(options, link, runtime.handle().clone(), parting) {
        Ok(ConsoleExit::Quit) => print!("left well"),
        Ok(_) => print!("left badly"),
        Err(failure) => print!("left well: {failure}"),
    }
    std::io::stdout().flush().unwrap();
    std::process::exit(0);
}

fn cells(count: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(count).unwrap()
}

/// A program in a pty, and the screen it draws.
struct SeenScreen {
    pty: Option<PtyPair>,
    child: Box<dyn Child + Send + Sync>,
    keys: Option<Box<dyn Write + Send>>,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    raw: Vec<u8>,
    before: String,
    home: tempfile::TempDir,
}

impl SeenScreen {
    fn open() -> Self {
        Self::open_on(None)
    }

    fn open_on(engine: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let pty = native_pty_system()
            .openpty(PtySize {
                rows: 24,
                cols: 80,
                pixel_width: 0,
                pixel_height: 0,
            })
            .unwrap();
        let before = modes(&pty);
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "console::tests::child_of_the_pty_tests",
            "--nocapture",
            "--quiet",
        ]);
        command.env(HOME, home.path());
        engine.iter().for_each(|engine| command.env(ENGINE, engine));
        command.env("TERM", "xterm-256color");
        for multiplexer in ["TMUX", "STY"] {
            command.env_remove(multiplexer);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        let (sender, bytes) = channel();
        let mut reader = pty.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = Some(pty.master.take_writer().unwrap());
        Self {
            pty: Some(pty),
            child,
            keys,
            bytes,
            screen: vt100::Parser::new(cells(24), cells(80), 0),
            raw: Vec::new(),
            before,
            home,
        }
    }

    fn wait_until(&mut self, what: &str, is: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is(self.screen.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(chunk) = self.bytes.recv_timeout(left) else {
                panic!("never: {what}\n{}", self.screen.screen().contents())
            };
            self.screen.process(&chunk);
            self.raw.extend(chunk);
        }
    }

    fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contents().contains(text));
    }

    fn press(&mut self, keys: &str) {
        let writer = self.keys.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(
            i32::try_from(self.child.process_id().unwrap()).unwrap(),
        )
        .unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The terminal is as it was found, and the program ended by itself.
    fn gave_back(&mut self) {
        self.wait_for("left well");
        self.is_as_it_was();
        assert!(self.child.wait().unwrap().success());
    }

    fn is_as_it_was(&self) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        for mode in ["1049", "2004", "1004", "1000", "1006"] {
            let last = |end: &str| self.last(format!("\x1b[?{mode}{end}").as_bytes());
            assert!(
                last("h").is_some() && last("h") < last("l"),
                "mode {mode} is off again"
            );
        }
        assert!(
            self.last(b"\x1b[?25l") < self.last(b"\x1b[?25h"),
            "the cursor is there again"
        );
        assert!(
            self.last(b"\x1b[?2026h") <= self.last(b"\x1b[?2026l"),
            "no frame is held back"
        );
        assert!(
            !self.wrote(b"\x1b[>"),
            "no keyboard of its own was asked for"
        );
        assert_eq!(
            (self.times(b"\x1b[22;0t"), self.times(b"\x1b[23;0t")),
            (1, 1),
            "the title is put back"
        );
        assert_eq!(
            self.modes(),
            self.before,
            "the line settings are as they were"
        );
    }

    fn wrote(&self, bytes: &[u8]) -> bool {
        self.times(bytes) > 0
    }

    fn last(&self, bytes: &[u8]) -> Option<usize> {
        self.raw
            .windows(bytes.len())
            .rposition(|window| window == bytes)
    }

    fn times(&self, bytes: &[u8]) -> usize {
        self.raw
            .windows(bytes.len())
            .filter(|window| *window == bytes)
            .count()
    }

    fn modes(&self) -> String {
        modes(self.pty.as_ref().unwrap())
    }
}

fn modes(pty: &PtyPair) -> String {
    format!("{:?}", pty.master.get_termios().unwrap())
}

impl Drop for SeenScreen {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn a_key_is_answered_and_leaving_gives_the_terminal_back() {
    let mut seen = SeenScreen::open();
    seen.wait_for("phasedeck");
    seen.wait_until("the alternate screen", vt100::Screen::alternate_screen);
    seen.press("?");
    seen.wait_for("Everywhere");
    seen.press("\x1b");
    seen.wait_until("help is gone", |screen| {
        !screen.contents().contains("Everywhere")
    });
    seen.press("q");
    seen.gave_back();
}

#[test]
fn the_screen_is_there_and_answers_before_the_engine_is() {
    let mut seen = SeenScreen::open_on(Some("late"));
    seen.wait_for("No runs yet.");
    seen.wait_for("starting …");
    seen.press("?");
    seen.wait_for("Everywhere");
    seen.press("\x1b");
    // Another key right behind it would make it that key with Alt.
    seen.wait_for("No runs yet.");
    std::fs::write(seen.home.path().join("go"), "").unwrap();
    seen.wait_until("the engine is there", |screen| {
        screen.contents().contains(" host") && !screen.contents().contains("starting")
    });
    seen.press("q");
    seen.gave_back();
}

#[test]
fn why_there_is_no_engine_is_said_after_the_terminal_is_given_back() {
    let mut seen = SeenScreen::open_on(Some("never"));
    seen.wait_for("left well: the database is newer");
    seen.gave_back();
}

#[test]
fn a_signal_drains_and_gives_the_terminal_back() {
    for signal in [
        rustix::process::Signal::TERM,
        rustix::process::Signal::HUP,
        rustix::process::Signal::INT,
    ] {
        let mut seen = SeenScreen::open();
        seen.wait_for("commands");
        seen.signal(signal);
        seen.gave_back();
    }
}

#[test]
fn a_pasted_q_does_not_leave_and_a_new_size_is_drawn() {
    let mut seen = SeenScreen::open();
    seen.wait_for("commands");
    seen.press("\x1b[200~q\x1b[201~?");
    seen.wait_for("Everywhere");
    let size = PtySize {
        rows: 8,
        cols: 30,
        pixel_width: 0,
        pixel_height: 0,
    };
    seen.pty.as_ref().unwrap().master.resize(size).unwrap();
    seen.screen.screen_mut().set_size(cells(8), cells(30));
    seen.wait_for("enlarge");
    seen.press("\x03\x03");
    seen.gave_back();
}

#[test]
fn an_idle_console_writes_nothing() {
    let mut seen = SeenScreen::open();
    seen.wait_for("commands");
    // Everything that was on its way; afterwards there is silence.
    while let Ok(chunk) = seen.bytes.recv_timeout(Duration::from_millis(300)) {
        seen.screen.process(&chunk);
    }
    assert!(
        seen.bytes
            .recv_timeout(Duration::from_millis(1200))
            .is_err()
    );
    seen.press("q");
    seen.gave_back();
}

#[test]
fn a_terminal_that_dies_ends_the_console() {
    let mut seen = SeenScreen::open();
    seen.wait_for("commands");
    // The reader of the pty holds it open until it sees that nobody listens.
    (seen.keys, seen.bytes) = (None, channel().1);
    let pty = seen.pty.take().unwrap();
    pty.master
        .resize(PtySize {
            rows: 30,
            cols: 90,
            pixel_width: 0,
            pixel_height: 0,
        })
        .unwrap();
    drop(pty);
    let deadline = Instant::now() + Duration::from_secs(20);
    while seen.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it goes on without a terminal");
        std::thread::yield_now();
    }
}

#[test]
fn a_defect_gives_the_terminal_back_before_it_is_told() {
    let mut seen = SeenScreen::open();
    seen.wait_for("commands");
    seen.press("\x1b[24;3~");
    seen.wait_for("a defect, made on purpose");
    seen.is_as_it_was();
    assert!(!seen.child.wait().unwrap().success());
}

#[test]
fn frames_are_held_together_where_the_terminal_says_that_it_can() {
    let mut seen = SeenScreen::open();
    seen.wait_for("commands");
    assert!(
        seen.wrote(b"\x1b[?2026$p") && !seen.wrote(b"\x1b[?2026h"),
        "asked, and not taken for granted"
    );
    seen.press("\x1b[?2026;2$y");
    seen.press("?");
    seen.wait_for("Everywhere");
    assert!(seen.wrote(b"\x1b[?2026h"));
    seen.press("q");
    seen.wait_until("help is gone", |screen| {
        !screen.contents().contains("Everywhere")
    });
    seen.press("q");
    seen.gave_back();
    // Only now: before the end a frame may be read in two pieces.
    assert_eq!(seen.times(b"\x1b[?2026h"), seen.times(b"\x1b[?2026l"));
}

#[test]
fn a_storm_of_sizes_loses_no_key_and_ends_in_a_whole_screen() {
    let mut seen = SeenScreen::open();
    seen.wait_for("commands");
    for round in 0..60u16 {
        let (rows, cols) = (1 + round * 7 % 50, 1 + round * 31 % 200);
        seen.pty
            .as_ref()
            .unwrap()
            .master
            .resize(PtySize {
                rows,
                cols,
                pixel_width: 0,
                pixel_height: 0,
            })
            .unwrap();
        seen.press("?\x1b[B\x1b[A?");
    }
    seen.pty
        .as_ref()
        .unwrap()
        .master
        .resize(PtySize {
            rows: 24,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        })
        .unwrap();
    seen.press("?");
    seen.wait_for("Everywhere");
    seen.press("q");
    seen.wait_until("help is gone", |screen| {
        !screen.contents().contains("Everywhere") && screen.contents().contains("commands")
    });
    seen.press("q");
    seen.gave_back();
}

#[test]
fn the_mouse_moves_what_lies_under_it_and_leaves_nothing() {
    let mut seen = SeenScreen::open();
    seen.wait_for("commands");
    seen.press("?");
    seen.wait_for("Everywhere");
    let before = seen.screen.screen().contents();
    seen.press("\x1b[<65;10;10M\x1b[<65;10;10M\x1b[<65;10;10M");
    seen.wait_until("the help to scroll", |screen| screen.contents() != before);
    seen.press("\x1b[<0;1;1M\x1b[<0;1;1mq");
    seen.wait_until("help is gone", |screen| {
        screen.contents().contains("commands")
    });
    seen.press("q");
    seen.gave_back();
}
