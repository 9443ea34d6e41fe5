//! The program's log, written to a private file and never to the terminal.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::engine::paths::{InstallPaths, create_private_dir};
use crate::engine::redact::Redactor;
use crate::model::error::{Failure, Result};

/// The size at which a log is put aside as `phasedeck.log.1`.
const FULL_BYTES: u64 = 8 * 1024 * 1024;

/// Sends everything that is traced to the log of `paths` from now on.
///
/// # Errors
/// `io_failed` naming the file.
pub fn start_logging(paths: &InstallPaths, redactor: Redactor) -> Result<()> {
    create_private_dir(&paths.state)?;
    let file = open(&paths.log())
        .map_err(|e| Failure::io(format!("cannot open the log {}", paths.log().display()), &e))?;
    let filter = EnvFilter::new("warn,phasedeck=info");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Mutex::new(RedactingLog { file, redactor }))
        .finish();
    // A second call within one process keeps the first log.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(())
}

/// A log without secrets. What is traced comes line by line, so no secret is parted in two.
struct RedactingLog {
    file: File,
    redactor: Redactor,
}

impl Write for RedactingLog {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.file.write_all(
            self.redactor
                .apply(&String::from_utf8_lossy(line))
                .as_bytes(),
        )?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    if path.metadata().is_ok_and(|file| file.len() > FULL_BYTES) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Makes a panic one safe line, with the whole of it in the log. The screen lays its own hook over
/// this one and restores the terminal first. Other threads write to the log alone: whoever waits for
/// them tells the operator, and the terminal may belong to the screen.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("no words");
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(what, place, "panic");
        if std::thread::current().name() != Some("main") {
            return;
        }
        let line = crate::model::safe_text::safe_line(&format!("defect: {what} at {place}"));
        let hint = "nothing acknowledged was lost; please report this with the log";
        drop(writeln!(
            std::io::stderr(),
            "error: {line} [internal]\n  hint: {hint}"
        ));
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn no_secret_reaches_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let redactor = Redactor::default().knowing(["canary-secret".to_owned()]);
        RedactingLog {
            file: open(&path).unwrap(),
            redactor,
        }
        .write_all(b"the key canary-secret was refused\n")
        .unwrap();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "the key *** was refused\n"
        );
    }

    #[test]
    fn the_log_is_private_and_put_aside_when_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phasedeck.log");
        File::create(&path)
            .unwrap()
            .set_len(FULL_BYTES + 1)
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().len(), 0);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            dir.path().join("phasedeck.log.1").metadata().unwrap().len(),
            FULL_BYTES + 1
        );
    }
}
