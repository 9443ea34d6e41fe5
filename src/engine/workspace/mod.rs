//! The files an agent works on: git worktrees, access confined to a directory, and the write
//! quota.

pub(crate) mod confined_fs;
pub mod worktree;
pub mod write_quota;
