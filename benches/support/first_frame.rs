//! A console as an operator starts it: a process on a pseudo-terminal, timed until the screen shows something.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::measure::Outcome;

const SIZE: PtySize = PtySize {
    rows: 40,
    cols: 120,
    pixel_width: 0,
    pixel_height: 0,
};

/// The console of the binary over this home.
pub fn console(home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_phasedeck"));
    // Whoever builds may have settings, and the build leaves words of its own.
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.as_encoded_bytes().starts_with(b"PHASEDECK_"))
        .for_each(|name| {
            command.env_remove(name);
        });
    command.env("PHASEDECK_HOME", home);
    command
}

/// From before the process is made until its terminal has the bytes of `wanted`. Then it `quits` as its
/// operator would, or is killed where what it does next is of no interest.
pub fn first_frame(command: &CommandBuilder, wanted: &str, quits: bool) -> Outcome<Duration> {
    let pty = native_pty_system().openpty(SIZE)?;
    let (mut reader, mut keys) = (pty.master.try_clone_reader()?, pty.master.take_writer()?);
    let mut command = command.clone();
    command.env("TERM", "xterm-256color");
    let begun = Instant::now();
    let mut child = pty.slave.spawn_command(command)?;
    drop(pty.slave);
    let (mut seen, mut chunk, mut took) = (Vec::new(), vec![0; 1 << 16], None);
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
