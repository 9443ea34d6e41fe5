//! The writing side: the writer thread and its jobs, the host epoch, opening, migrations, backups,
//! reserved disk space.

pub mod backup;
pub(crate) mod busy_retry;
pub(crate) mod database_file;
pub mod disk_reserve;
pub mod host_epoch;
pub(crate) mod migrate;
pub(crate) mod open;
pub(crate) mod thread;
pub(crate) mod write_job;
