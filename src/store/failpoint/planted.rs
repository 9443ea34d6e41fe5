//! Bugs that are there on purpose, to see whether the crash harness finds them. One at a time, chosen
//! by `PHASEDECK_PLANTED_BUG`; only where the feature `planted-bugs` was built in.

macro_rules! bugs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $variant,)*
        }

        impl Bug {
            /// Every bug.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, as the environment gives it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

bugs! {
    /// Jobs are answered before their commit.
    AnswerBeforeCommit = "answer-before-commit",
    /// The event of a settled call is stored in a transaction of its own.
    SettleApart = "settle-apart",
    /// A call that a crash left open is given back for nothing.
    LostCallFree = "lost-call-free",
    /// The last stored turn is not part of the conversation after a crash.
    LastTurnForgotten = "last-turn-forgotten",
    /// What a tool did before a crash is not told; it runs again.
    ToolRunsAgain = "tool-runs-again",
    /// The chain begins again in every process.
    ChainBeginsAgain = "chain-begins-again",
    /// A number is left out when a new process appends first.
    NumberSkipped = "number-skipped",
    /// An artifact is kept a moment after the event that speaks of it.
    ContentAfterEvent = "content-after-event",
    /// An artifact is written in place, and what is there is taken for whole.
    ContentInPlace = "content-in-place",
    /// The marker says that a database exists before it does.
    MarkerFirst = "marker-first",
    /// The key of a start is not remembered.
    StartKeyForgotten = "start-key-forgotten",
    /// A missing report is not written at the next start.
    ReportForgotten = "report-forgotten",
    /// A phase that was committed and not recorded is committed again.
    CommitTwice = "commit-twice",
    /// SQLite does not wait for the disk: found by the loss of power, not by kills.
    SynchronousNormal = "synchronous-normal",
}

/// Whether this bug is planted and this is the first time in this process that it is asked for.
#[must_use]
pub fn first(bug: Bug) -> bool {
    static DONE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    is(bug) && !DONE.swap(true, std::sync::atomic::Ordering::SeqCst)
}

/// Whether this bug is planted.
#[must_use]
pub fn is(bug: Bug) -> bool {
    #[cfg(feature = "planted-bugs")]
    {
        static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        PLANTED
            .get_or_init(|| std::env::var("PHASEDECK_PLANTED_BUG").ok())
            .as_deref()
            == Some(bug.as_str())
    }
    #[cfg(not(feature = "planted-bugs"))]
    {
        let _ = bug;
        false
    }
}
