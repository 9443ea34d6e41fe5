//! A program on a terminal of its own; its output is recorded with timestamps.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::measure::BenchResult;

/// Killed on drop.
pub struct TerminalProgram {
    keys: Box<dyn Write + Send>,
    /// Output with the time of its arrival.
    pub written: Receiver<(Instant, Vec<u8>)>,
    /// The process.
    pub child: Box<dyn Child + Send + Sync>,
    _terminal: Box<dyn MasterPty + Send>,
}

impl TerminalProgram {
    /// Starts the program on a terminal of this size.
    pub fn start(mut command: CommandBuilder, size: PtySize) -> BenchResult<Self> {
        let pty = native_pty_system().openpty(size)?;
        command.env("TERM", "xterm-256color");
        let child = pty.slave.spawn_command(command)?;
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader()?;
        let keys = pty.master.take_writer()?;
        let (sender, written) = channel();
        std::thread::spawn(move || {
            let mut chunk = vec![0; 1 << 16];
            while let Ok(read @ 1..) = reader.read(&mut chunk) {
                if sender
                    .send((Instant::now(), chunk[..read].to_vec()))
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(Self {
            keys,
            written,
            child,
            _terminal: pty.master,
        })
    }

    /// Sends keys.
    pub fn give(&mut self, keys: &str) -> BenchResult<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }
}

impl Drop for TerminalProgram {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
