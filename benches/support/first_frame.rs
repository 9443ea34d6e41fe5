//! A console process on a pseudo-terminal, timed until the screen shows an expected text.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::measure::BenchResult;

const SIZE: PtySize = PtySize {
    rows: 40,
    cols: 120,
    pixel_width: 0,
    pixel_height: 0,
};

/// Command that starts the built console with this home.
pub fn console(home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_phasedeck"));
    // The environment may contain settings, and the build sets variables of its own.
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.as_encoded_bytes().starts_with(b"PHASEDECK_"))
        .for_each(|name| {
            command.env_remove(name);
        });
    command.env("PHASEDECK_HOME", home);
    command
}

/// Returns the time from before the process is created until its terminal receives the bytes of
/// `wanted`. The process then `quits` by key press, or is killed if its exit does not matter.
pub fn first_frame(command: &CommandBuilder, wanted: &str, quits: bool) -> BenchResult<Duration> {
    let pty = native_pty_system().openpty(SIZE)?;
    let mut reader = pty.master.try_clone_reader()?;
    let mut keys = pty.master.take_writer()?;
    let mut command = command.clone();
    command.env("TERM", "xterm-256color");
    let begun = Instant::now();
    let mut child = pty.slave.spawn_command(command)?;
    drop(pty.slave);
    let mut seen = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    let mut took = None;
    while let Ok(read @ 1..) = reader.read(&mut chunk) {
        seen.extend_from_slice(&chunk[..read]);
        if took.is_none()
            && seen
                .windows(wanted.len())
                .any(|part| part == wanted.as_bytes())
        {
            took = Some(begun.elapsed());
            if quits {
                keys.write_all(b"q")?;
                keys.flush()?;
            } else {
                child.kill()?;
            }
        }
    }
    child.wait()?;
    took.ok_or_else(|| format!("ended without a frame: {}", String::from_utf8_lossy(&seen)).into())
}
