//! Retries SQLite calls while another process holds a lock, with exponential backoff.

use crate::store::error::is_transient;
use std::time::Duration;

const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs `action` until it succeeds, fails with a permanent error, or was locked out five times.
///
/// # Errors
/// The last error of `action`.
pub fn transient<T>(action: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    with_pause(action, std::thread::sleep)
}

fn with_pause<T>(
    mut action: impl FnMut() -> rusqlite::Result<T>,
    mut pause: impl FnMut(Duration),
) -> rusqlite::Result<T> {
    let mut wait = FIRST_PAUSE;
    for _ in 1..TRIES {
        match action() {
            Err(e) if is_transient(&e) => pause(wait),
            other => return other,
        }
        wait = (wait * 2).min(LONGEST_PAUSE);
    }
    action()
}

#[cfg(test)]
mod tests {
    use rusqlite::{Error, ffi};

    use super::*;

    fn failing(code: i32, times: u32) -> (u32, Vec<u128>, bool) {
        let (mut tries, mut pauses) = (0, Vec::new());
        let outcome = with_pause(
            || {
                tries += 1;
                if tries > times {
                    Ok(())
                } else {
                    Err(Error::SqliteFailure(ffi::Error::new(code), None))
                }
            },
            |pause| pauses.push(pause.as_millis()),
        );
        (tries, pauses, outcome.is_ok())
    }

    #[test]
    fn locks_are_waited_for_and_other_errors_are_not() {
        assert_eq!(failing(ffi::SQLITE_BUSY, 0), (1, vec![], true));
        assert_eq!(failing(ffi::SQLITE_BUSY, 2), (3, vec![50, 100], true));
        assert_eq!(
            failing(ffi::SQLITE_LOCKED, 9),
            (5, vec![50, 100, 200, 400], false)
        );
        assert_eq!(failing(ffi::SQLITE_FULL, 9), (1, vec![], false));
    }
}
