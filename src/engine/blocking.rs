//! Runs blocking work (SQLite, git, large files) apart from the threads of the async runtime.

use crate::model::error::{Failure, Result};

/// Runs blocking work on a blocking thread. If the runtime shuts down before the work has started,
/// the future never completes: the shutdown of the host is not a failure of a run and must not be
/// stored as one.
///
/// # Errors
/// Errors of the work; `internal` if it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => Err(Failure::internal(format!("a worker panicked: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_the_end_of_the_host_cut_off_did_not_fail() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let (begun, begin) = std::sync::mpsc::channel();
        let (failed, failure) = std::sync::mpsc::channel();
        // Has the only place, so that the other is still waiting for it when the runtime ends.
        runtime.spawn(blocking(move || {
            begun.send(()).map_err(Failure::internal)?;
            end.recv().map_err(Failure::internal)
        }));
        begin.recv().unwrap();
        runtime.spawn(async move { failed.send(blocking(|| Ok(())).await) });
        runtime.shutdown_background();
        drop(ended);
        assert!(failure.recv().is_err(), "nobody was told of a failure");
    }
}
