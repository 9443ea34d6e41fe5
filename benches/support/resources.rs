//! Resource use of a measurement: CPU time, memory, and the number of commits in the database's
//! log.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::measure::BenchResult;

/// CPU time of this process so far.
pub fn cpu_of_process() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

/// CPU time of this thread so far.
pub fn cpu_of_thread() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

/// Makes CPU time read as zero from now on: tools that count instructions do not support these
/// clocks.
pub fn without_clocks() {
    CLOCKLESS.store(true, Ordering::Relaxed);
}

static CLOCKLESS: AtomicBool = AtomicBool::new(false);

fn cpu(clock: ClockId) -> Duration {
    if CLOCKLESS.load(Ordering::Relaxed) {
        return Duration::ZERO;
    }
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Resets the peak resident size; where unsupported, it stays that of the whole process.
pub fn forget_peak() {
    let _unsupported = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident size since then, in MiB; `None` where unsupported.
pub fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Empties the write-ahead log of a database that others have open.
pub fn empty_log(database: &Path) -> BenchResult<()> {
    let conn = rusqlite::Connection::open(database)?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Counts the transactions in the log: frames marked as the last of a transaction.
pub fn commits_in_log(database: &Path) -> BenchResult<u32> {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let log = std::fs::read(database.with_extension("db-wal"))?;
    let number = |at: usize| {
        log.get(at..at + 4)
            .and_then(|four| four.try_into().ok())
            .map_or(0, u32::from_be_bytes)
    };
    let salts = (number(16), number(20));
    let frame = FRAME_HEADER + usize::try_from(number(8))?;
    let frames = (HEADER..log.len()).step_by(frame);
    // Frames left from before a reset of the log have other salts.
    let commits = frames
        .filter(|at| (number(at + 8), number(at + 12)) == salts && number(at + 4) != 0)
        .count();
    Ok(u32::try_from(commits)?)
}
