//! A command of the operator's that prints the provider's key: a password store's, a vault's.
//!
//! It is begun without a shell, in a process group of its own, with nothing on its standard input, and only its
//! standard output is read; what it prints is in no message of ours. A process asks it once, and again when its key
//! was refused and a person has a run go on; one that failed is asked again a minute later at the earliest, because everybody who looks whether there is a key would
//! wait for it.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;

/// How long it may take.
const TIME: Duration = Duration::from_secs(10);
/// How long a failure is told again without asking anew.
const FAILED_FOR: Duration = Duration::from_secs(60);
/// How much it may print, in bytes.
const MOST: u64 = 64 * 1024;

type CachedKey = (Instant, Result<SecretString, String>);
static ASKED: LazyLock<Mutex<BTreeMap<Vec<String>, CachedKey>>> = LazyLock::new(Mutex::default);

/// What the command prints, without the white space around it.
///
/// # Errors
/// In words, why there is no key; never with anything it printed.
pub(super) fn printed_by(command: &[String]) -> Result<SecretString, String> {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    match asked.get(command) {
        Some((_, Ok(key))) => Ok(key.clone()),
        Some((at, Err(words))) if at.elapsed() < FAILED_FOR => Err(words.clone()),
        _ => {
            let told = run(command, TIME);
            asked.insert(command.to_vec(), (Instant::now(), told.clone()));
            told
        }
    }
}

/// Has the command asked anew by whoever asks next.
pub(super) fn forget(command: &[String]) {
    ASKED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(command);
}

fn run(command: &[String], time: Duration) -> Result<SecretString, String> {
    let Some((program, args)) = command.split_first() else {
        return Err("names no program".to_owned());
    };
    let begun = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let child = begun.map_err(|error| format!("'{program}' cannot be started: {error}"))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(heard(child)));
    let heard = told.recv_timeout(time);
    if let (Err(_), Some(group)) = (&heard, group) {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = told.recv_timeout(TIME);
    }
    let printed = heard.map_err(|_| {
        format!(
            "'{program}' printed nothing within {} s, and was ended",
            time.as_secs()
        )
    })??;
    let text =
        String::from_utf8(printed).map_err(|_| format!("what '{program}' printed is no text"))?;
    match text.trim() {
        "" => Err(format!("'{program}' printed nothing")),
        key if key.contains(char::is_whitespace) => {
            Err(format!("'{program}' printed more than one word"))
        }
        key => Ok(SecretString::from(key.to_owned())),
    }
}

/// Reads to the end and waits for it; all it printed, where it ended well.
fn heard(mut child: Child) -> Result<Vec<u8>, String> {
    let mut printed = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(MOST)
            .read_to_end(&mut printed)
            .map_err(|error| format!("cannot be read: {error}"))?;
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(printed),
        Ok(status) => Err(format!("ended with {status}")),
        Err(error) => Err(format!("cannot be waited for: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_a_command_prints_is_the_key_and_whatever_goes_wrong_tells_nothing_of_it() {
        for (command, said) in [
            (shell("echo canary-0001"), Ok("canary-0001")),
            (shell("printf ' canary-0002 \\n\\n'"), Ok("canary-0002")),
            (
                shell("echo canary-0003; echo canary >&2; exit 3"),
                Err("ended with exit status: 3"),
            ),
            (shell("true"), Err("'sh' printed nothing")),
            (
                shell("echo canary two"),
                Err("'sh' printed more than one word"),
            ),
            (
                shell("printf '\\377canary'"),
                Err("what 'sh' printed is no text"),
            ),
            (
                shell("cat; echo canary-stdin-is-empty"),
                Ok("canary-stdin-is-empty"),
            ),
            (Vec::new(), Err("names no program")),
        ] {
            let told = run(&command, TIME);
            assert_eq!(
                told.as_ref()
                    .map(ExposeSecret::expose_secret)
                    .map_err(String::as_str),
                said,
                "{command:?}"
            );
            assert!(told.is_ok() || !told.unwrap_err().contains("canary"));
        }
        let words = run(&["/no/such/program".to_owned()], TIME).unwrap_err();
        assert!(
            words.starts_with("'/no/such/program' cannot be started"),
            "{words}"
        );
    }

    #[test]
    fn one_that_takes_too_long_is_ended_with_all_its_children() {
        // The child of the child holds the pipe; the end of all of them is waited for.
        let begun = Instant::now();
        let words = run(&shell("sleep 60 & sleep 60"), Duration::from_millis(200)).unwrap_err();
        assert_eq!(words, "'sh' printed nothing within 0 s, and was ended");
        assert!(begun.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn it_is_asked_once_and_after_a_failure_not_at_once_again() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        for (end, printed) in [("", Some("key")), ("exit 1", None)] {
            let _ = std::fs::remove_file(&count);
            let command = shell(&format!("echo x >> {}; echo key; {end}", count.display()));
            for _ in 0..3 {
                assert_eq!(
                    printed_by(&command)
                        .ok()
                        .as_ref()
                        .map(ExposeSecret::expose_secret),
                    printed
                );
            }
            assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
        }
    }
}
