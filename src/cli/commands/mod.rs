//! One file per command: it takes parsed arguments and ends with an exit code.

pub(crate) mod artifact;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod consent;
pub(crate) mod console;
pub(crate) mod cost;
pub(crate) mod decide;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod fork;
pub(crate) mod host;
pub(crate) mod init;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod show;
pub(crate) mod stop;
pub(crate) mod transcript;
pub(crate) mod transfer;
pub(crate) mod trust;
pub(crate) mod verify;
