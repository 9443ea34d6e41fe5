//! Failpoints: named durable steps of the program at which tests inject a crash.
//!
//! Whatever leaves something behind that a later start reads (a file, a folder's entry, a commit, a
//! request that is paid for) passes a [`Step`], and whatever comes in many kinds passes a [`FailpointFamily`]
//! with the name of the kind: every fact of a journal, every writing statement of SQLite, every call
//! of git, every tool. A test reads the source and refuses a durable effect without a step. Without
//! the feature `failpoints` all of this is nothing.
//!
//! With it, `PHASEDECK_FAILPOINT="7 content.renamed:after"` kills the process, as `kill -9` does, at the
//! seventh time it passes there; `"7 any"` at the seventh point of all. `PHASEDECK_FAILPOINT_LOG` names
//! a file that gets a line for each point that was passed.

#[cfg(feature = "failpoints")]
mod armed;
pub mod planted;

macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A durable step of a single kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Step {
            $($(#[$doc])* $variant,)*
        }

        impl Step {
            /// All steps, in the order in which a run first passes them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, as the environment gives it and the log tells it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

steps! {
    /// The lock on the data folder, and who holds it.
    HostLock = "host.lock",
    /// The empty file of a new database.
    DatabaseMade = "database.made",
    /// The copy before a migration.
    DatabaseBackup = "database.backup",
    /// The file that says that a database must exist.
    DatabaseMarker = "database.marker",
    /// The folder's entries, after any of these.
    DatabaseFolder = "database.folder",
    /// The reserved disk space.
    Ballast = "database.ballast",
    /// The commit of a group of jobs. The crash window is after it and before the acknowledgements.
    Commit = "store.commit",
    /// The WAL checkpoint at shutdown.
    Checkpoint = "store.checkpoint",
    /// Start-up recovery as a whole.
    Recovery = "host.recovery",
    /// What vouches for the database from outside of it.
    Anchor = "host.anchor",
    /// An unfinished file of a host that was killed taken away.
    Sweep = "host.sweep",
    /// The worktree's files forced to disk.
    WorktreeSync = "worktree.sync",
    /// The mark of a half-made worktree taken away.
    WorktreeUnlock = "worktree.unlock",
    /// A worktree that cannot be used moved aside.
    WorktreeAside = "worktree.aside",
    /// The content of a worktree put in the place of another.
    WorktreeReplaced = "worktree.replaced",
    /// The worktree's index brought up to date.
    WorktreeIndex = "worktree.index",
    /// A file in a worktree written: by a tool, a rehearsal, or put back.
    FileWritten = "file.written",
    /// A stale file copied and taken out of the way.
    FileAside = "file.aside",
    /// A request on its way to a model.
    CallSent = "call.sent",
    /// The audit lines of a turn.
    Audit = "tool.audit",
    /// An artifact's bytes in a temporary file, forced to disk.
    ContentWritten = "content.written",
    /// The file under its hash.
    ContentRenamed = "content.renamed",
    /// The folder's entry forced to disk.
    ContentFolder = "content.folder",
    /// A final report in a temporary file.
    ReportWritten = "report.written",
    /// The report under its name.
    ReportRenamed = "report.renamed",
    /// The folder's entry forced to disk.
    ReportFolder = "report.folder",
}

/// Steps that come in many kinds, each kind a point of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailpointFamily {
    /// A fact written in a transaction, by its type; and once more when that is committed.
    Fact,
    /// A writing statement of SQLite, by verb and table.
    Sql,
    /// A call of git, by its verb.
    Git,
    /// A tool of an agent, by its name.
    Tool,
}

impl Step {
    /// Does `effect` between the two points of this step.
    pub fn around<T>(self, effect: impl FnOnce() -> T) -> T {
        self.before();
        let done = effect();
        self.after();
        done
    }

    /// Just before the effect.
    pub fn before(self) {
        #[cfg(feature = "failpoints")]
        armed::pass(self.as_str(), "before");
    }

    /// Just after the effect.
    pub fn after(self) {
        #[cfg(feature = "failpoints")]
        armed::pass(self.as_str(), "after");
    }
}

impl FailpointFamily {
    /// Just before the effect of this kind.
    #[cfg_attr(
        not(feature = "failpoints"),
        expect(unused_variables, reason = "nothing without the feature")
    )]
    pub fn before(self, kind: &str) {
        #[cfg(feature = "failpoints")]
        armed::pass(&self.named(kind), "before");
    }

    /// Just after the effect of this kind.
    #[cfg_attr(
        not(feature = "failpoints"),
        expect(unused_variables, reason = "nothing without the feature")
    )]
    pub fn after(self, kind: &str) {
        #[cfg(feature = "failpoints")]
        armed::pass(&self.named(kind), "after");
    }

    #[cfg(feature = "failpoints")]
    fn named(self, kind: &str) -> String {
        let family = match self {
            Self::Fact => "fact",
            Self::Sql => "sql",
            Self::Git => "git",
            Self::Tool => "tool",
        };
        format!("{family}.{kind}")
    }
}

/// A fact is about to be written in the transaction that is open on this thread.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(unused_variables, reason = "nothing without the feature")
)]
pub fn fact(kind: &'static str) {
    #[cfg(feature = "failpoints")]
    armed::fact(kind);
}

/// The transaction that was open on this thread is on disk.
pub fn committed() {
    #[cfg(feature = "failpoints")]
    armed::committed();
}

/// Makes every writing statement of a connection a point.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(unused_variables, reason = "nothing without the feature")
)]
pub fn watch(conn: &mut rusqlite::Connection) {
    #[cfg(feature = "failpoints")]
    let _ = conn.trace_v2(
        rusqlite::trace::TraceEventCodes::SQLITE_TRACE_STMT,
        Some(armed::statement),
    );
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// What makes something last. The rows of the database have [`super::watch`].
    const DURABLE_CALLS: &[&str] = &[
        ".sync_all()",
        ".persist(",
        "fs::rename(",
        "remove_file(",
        "syncfs(",
        ".sync_data()",
    ];

    /// Files whose effects are no state of a run: what a crash leaves of them is read by nobody.
    const EXEMPT_PATHS: &[&str] = &[
        "console/",
        "cli/",
        "engine/agent/chat_completions/model_list.rs",
    ];

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs")
                && path.file_name().is_some_and(|name| name != "tests.rs")
            {
                found.push(path);
            }
        }
    }

    #[test]
    fn whatever_lasts_lies_in_a_function_that_passes_a_step() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut files, mut without) = (Vec::new(), Vec::new());
        sources(&src, &mut files);
        for file in files {
            let inner = file
                .strip_prefix(&src)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            if inner.contains("/tests/")
                || inner.starts_with("store/failpoint")
                || EXEMPT_PATHS.iter().any(|apart| inner.starts_with(apart))
            {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let own = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default();
            // A function reaches from the word that begins it to the next one.
            for function in own.split("fn ") {
                let lasting = DURABLE_CALLS.iter().find(|mark| function.contains(**mark));
                if let (Some(mark), false) = (lasting, function.contains("Step::")) {
                    without.push(format!(
                        "{inner}: {mark} in `{}`",
                        function.lines().next().unwrap_or_default()
                    ));
                }
            }
        }
        assert!(
            without.is_empty(),
            "durable effects without a step:\n{}",
            without.join("\n")
        );
    }

    #[test]
    fn every_step_is_passed_somewhere() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        let all: String = files
            .iter()
            .filter(|file| !file.to_string_lossy().contains("failpoint"))
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        let unused: Vec<_> = super::Step::ALL
            .iter()
            .filter(|step| !all.contains(&format!("Step::{step:?}")))
            .collect();
        assert!(unused.is_empty(), "{unused:?}");
    }
}
