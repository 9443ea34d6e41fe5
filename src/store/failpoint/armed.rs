//! What happens at a failpoint: it is told to the log, and where it is the one that was asked for, the
//! process kills itself. Not a panic and not an exit: both would tidy up.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::trace::TraceEvent;

use super::{FailpointFamily, Step};

struct ArmedFailpoint {
    /// Counts down to the crash.
    left: AtomicU64,
    /// The point, or `any`.
    at: String,
    log: Option<File>,
}

thread_local! {
    static UNCOMMITTED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn armed() -> Option<&'static ArmedFailpoint> {
    static ARMED: OnceLock<Option<ArmedFailpoint>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let wanted = std::env::var("PHASEDECK_FAILPOINT").ok();
            let log = std::env::var_os("PHASEDECK_FAILPOINT_LOG")
                .map(|path| File::options().create(true).append(true).open(path));
            let (left, at) = match wanted.as_deref().and_then(|text| text.split_once(' ')) {
                Some((left, at)) => (left.parse().unwrap_or(0), at.to_owned()),
                None => (0, String::new()),
            };
            (left > 0 || log.is_some()).then(|| ArmedFailpoint {
                left: left.into(),
                at,
                log: log.and_then(Result::ok),
            })
        })
        .as_ref()
}

pub(super) fn pass(name: &str, side: &str) {
    let Some(armed) = armed() else { return };
    if let Some(mut log) = armed.log.as_ref() {
        // A lost line costs a count, nothing else.
        let _ = log.write_all(format!("{name}:{side}\n").as_bytes());
    }
    let here = armed.at == "any"
        || armed
            .at
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':'))
            == Some(side);
    if here && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

pub(super) fn fact(kind: &'static str) {
    FailpointFamily::Fact.before(kind);
    UNCOMMITTED.with_borrow_mut(|facts| facts.push(kind));
}

pub(super) fn committed() {
    Step::Commit.after();
    for kind in UNCOMMITTED.take() {
        FailpointFamily::Fact.after(kind);
    }
}

/// Told by SQLite before it begins a statement.
pub(super) fn statement(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(_, sql) = event
        && let Some(kind) = kind(sql)
    {
        FailpointFamily::Sql.before(&kind);
    }
}

/// Settings that are kept in the file; the others are the connection's own.
const LASTING_PRAGMAS: [&str; 4] = [
    "journal_mode",
    "user_version",
    "application_id",
    "wal_checkpoint",
];

/// Verb and table of a statement that writes.
fn kind(sql: &str) -> Option<String> {
    let mut words = sql
        .split(|c: char| c.is_whitespace() || c == '(')
        .filter(|word| !word.is_empty());
    let verb = words.next()?;
    let table = match verb {
        "INSERT" => words
            .find(|word| *word == "INTO")
            .and_then(|_| words.next()),
        "UPDATE" => words.next(),
        "DELETE" => words
            .find(|word| *word == "FROM")
            .and_then(|_| words.next()),
        "CREATE" | "ALTER" | "DROP" => Some("schema"),
        "VACUUM" => Some("copy"),
        "PRAGMA" => words.next().filter(|name| {
            LASTING_PRAGMAS
                .iter()
                .any(|lasting| name.starts_with(lasting))
        }),
        _ => None,
    };
    Some(format!("{}.{}", verb.to_ascii_lowercase(), table?))
}
