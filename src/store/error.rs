//! Maps SQLite errors to [`Failure`]s for the operator. No other module does.

use rusqlite::{Error, ErrorCode};

use crate::model::error::{Code, Failure};

/// `SQLITE_IOERR_SHMSIZE`: the `-shm` file could not grow. A read on a full disk fails with it.
const IOERR_SHMSIZE: i32 = 4874;

/// Returns whether a retry may help: another connection holds a lock.
#[must_use]
pub fn is_transient(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Returns whether the content on disk may differ from what was written.
#[must_use]
pub fn is_damage(error: &Error) -> bool {
    let io = |code: i32| code != IOERR_SHMSIZE;
    match error.sqlite_error() {
        Some(inner) => match inner.code {
            ErrorCode::SystemIoFailure => io(inner.extended_code),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
            _ => false,
        },
        None => false,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Some(inner) = error.sqlite_error() else {
            return Self::internal(format!(
                "the database answered in a way that was not expected: {error}"
            ));
        };
        match inner.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => locked(),
            ErrorCode::DiskFull => full(),
            ErrorCode::SystemIoFailure if inner.extended_code == IOERR_SHMSIZE => full(),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => corrupt(format!("the database is damaged: {error}")),
            ErrorCode::ReadOnly => Self::new(Code::IoFailed, format!("the database cannot be written: {error}"))
                .hint("check that the data folder and the files in it are yours, and that the disk is not mounted read-only"),
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Self::new(Code::IoFailed, format!("the database cannot be opened: {error}"))
                    .hint("check that the data folder exists, is yours and can be written")
            }
            ErrorCode::SystemIoFailure => Self::new(Code::IoFailed, format!("the disk failed while the database was used: {error}"))
                .hint("look at the system's log for disk errors; start phasedeck again when the disk is well"),
            _ => Self::internal(format!("the database refused: {error}")),
        }
    }
}

/// Returns a `db_corrupt` failure with a hint.
#[must_use]
pub fn corrupt(message: impl Into<String>) -> Failure {
    Failure::new(Code::DbCorrupt, message)
        .hint("nothing was changed; copy the data folder away, then put back a backup from its folder `backups`")
}

fn locked() -> Failure {
    Failure::new(
        Code::DbLocked,
        "another process holds the database and did not let go in time",
    )
    .hint("close other programs that write to phasedeck.db, then try again")
}

fn full() -> Failure {
    Failure::new(
        Code::DiskFull,
        "no space left for the database; what was about to be stored was not stored",
    )
    .hint("make space on the disk of the data folder, then try again")
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn every_kind_of_sqlite_error_has_its_code() {
        for (raw, code) in [
            (ffi::SQLITE_BUSY, Code::DbLocked),
            (ffi::SQLITE_BUSY_SNAPSHOT, Code::DbLocked),
            (ffi::SQLITE_LOCKED, Code::DbLocked),
            (ffi::SQLITE_FULL, Code::DiskFull),
            (IOERR_SHMSIZE, Code::DiskFull),
            (ffi::SQLITE_CORRUPT, Code::DbCorrupt),
            (ffi::SQLITE_NOTADB, Code::DbCorrupt),
            (ffi::SQLITE_READONLY, Code::IoFailed),
            (ffi::SQLITE_CANTOPEN, Code::IoFailed),
            (ffi::SQLITE_IOERR, Code::IoFailed),
            (ffi::SQLITE_MISUSE, Code::Internal),
        ] {
            let failure = Failure::from(Error::SqliteFailure(ffi::Error::new(raw), None));
            assert_eq!(failure.code, code, "{raw}");
            assert!(!failure.hint.is_empty(), "{raw}");
        }
    }
}
