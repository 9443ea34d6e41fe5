//! Artifacts: the files that phases must produce.
//!
//! [`file`] reads a phase's file once, only beneath the worktree. [`contents`] stores its bytes by
//! hash. [`validate`] reports all errors against the schema compiled by [`schema`]. Approval and
//! commit are handled elsewhere.

pub(crate) mod strict_json;

pub mod contents;
pub mod file;
mod json;
mod messages;
mod references;
pub mod schema;
pub(crate) mod schema_lint;
pub mod secrets;
pub mod validate;
