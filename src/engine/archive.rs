//! Reads what is on disk, for screens and commands. (filled by its room)

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only runs in these states, by wire name; empty: all.
    pub states: Vec<String>,
    /// Only runs of this thread.
    pub thread: Option<String>,
    /// At most so many; absent: all.
    pub limit: Option<u32>,
}

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only these types; empty: all.
    pub kinds: Vec<String>,
    /// Only of this phase.
    pub phase_key: Option<crate::model::id::PhaseKey>,
}

/// Reads what is on disk.
pub struct Archive {}
