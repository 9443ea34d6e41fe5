//! Artifacts: the files that phases must produce, from the first read to the copy that is kept for ever.
//!
//! A phase's file is read once by [`file`], beneath the worktree and nowhere else; its bytes are kept
//! by [`contents`] under their hash; [`validate`] says everything that is wrong with them by the
//! schema that [`schema`] compiled. Who asks the operator and who commits is not decided here.

pub mod contents;
pub mod file;
mod json;
mod references;
pub mod schema;
pub mod secrets;
pub(crate) mod soundness;
pub mod validate;
mod wording;
