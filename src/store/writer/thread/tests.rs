//! Jobs that succeed, fail, panic, fill the disk and outlive their handles.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::model::error::Code;
use crate::model::hash::ContentHash;
use crate::model::time::Timestamp;
use crate::store::tables::consents;
use crate::store::writer::database_file;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data/phasedeck.db")).unwrap();
    (dir, store)
}

fn agree(tx: &Transaction<'_>, name: &str) -> Result<()> {
    consents::insert(
        tx,
        name,
        &ContentHash::from_bytes(name.as_bytes()),
        "kim",
        Timestamp(1),
    )
}

fn agreed(reader: &Reader) -> usize {
    consents::all(reader.connection()).unwrap().len()
}

/// Queues a job without waiting for it.
fn queue<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
) -> oneshot::Receiver<Result<T>> {
    let (work, answer) = wrap(job);
    assert!(
        store
            .sender()
            .unwrap()
            .blocking_send(WriterMsg::Job(work))
            .is_ok()
    );
    answer
}

/// Holds the thread in a job until told to go on, so that what is queued meanwhile shares a commit.
fn block_writer(store: &Store) -> (Receiver<()>, Sender<()>) {
    let ((entered, inside), (release, go)) = (channel(), channel::<()>());
    let _answer = queue(store, move |_| {
        entered.send(()).unwrap();
        go.recv().unwrap();
        Ok(())
    });
    inside.recv().unwrap();
    (inside, release)
}

#[test]
fn nobody_is_answered_before_the_commit_that_holds_their_job() {
    let (_dir, store) = store();
    let reader = store.reader().unwrap();
    let (_inside, release) = block_writer(&store);
    let mut first = queue(&store, |tx| agree(tx, "first"));
    let ((entered, inside), (end, go)) = (channel(), channel::<()>());
    let second = queue(&store, move |tx| {
        agree(tx, "second")?;
        entered.send(()).unwrap();
        go.recv().unwrap();
        Ok(())
    });
    release.send(()).unwrap();
    inside.recv().unwrap();
    assert!(
        first.try_recv().is_err(),
        "the first job has run, but its commit has not"
    );
    assert_eq!(agreed(&reader), 0);
    end.send(()).unwrap();
    first.blocking_recv().unwrap().unwrap();
    assert_eq!(agreed(&reader), 2);
    second.blocking_recv().unwrap().unwrap();
}

#[test]
fn every_acknowledged_write_is_seen_by_a_second_connection_at_once() {
    let (_dir, store) = store();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            std::thread::spawn(move || {
                let reader = store.reader().unwrap();
                for n in 0..25 {
                    let name = format!("{writer}-{n}");
                    let hash = ContentHash::from_bytes(name.as_bytes());
                    store.write_blocking(move |tx| agree(tx, &name)).unwrap();
                    assert!(consents::all(reader.connection()).unwrap().contains(&hash));
                }
            })
        })
        .collect();
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    assert_eq!(agreed(&store.reader().unwrap()), 100);
}

#[test]
fn a_job_that_fails_or_panics_undoes_itself_alone() {
    let (_dir, store) = store();
    let (_inside, release) = block_writer(&store);
    let before = queue(&store, |tx| agree(tx, "before"));
    let failing = queue(&store, |tx| {
        agree(tx, "failing").and(Err::<(), _>(Failure::new(Code::GitFailed, "no")))
    });
    let panicking = queue(&store, |tx| -> Result<()> {
        agree(tx, "panicking")?;
        panic!("on purpose")
    });
    let after = queue(&store, |tx| agree(tx, "after"));
    release.send(()).unwrap();
    before.blocking_recv().unwrap().unwrap();
    assert_eq!(
        failing.blocking_recv().unwrap().unwrap_err().code,
        Code::GitFailed
    );
    let panicked = panicking.blocking_recv().unwrap().unwrap_err();
    assert_eq!(panicked.code, Code::Internal);
    assert!(panicked.message.contains("on purpose"), "{panicked}");
    after.blocking_recv().unwrap().unwrap();
    let want: std::collections::BTreeSet<_> = ["before", "after"]
        .map(|name| ContentHash::from_bytes(name.as_bytes()))
        .into();
    assert_eq!(
        consents::all(store.reader().unwrap().connection()).unwrap(),
        want
    );
}

#[test]
fn a_full_disk_is_named_acknowledges_nothing_of_its_group_and_passes() {
    let (_dir, store) = store();
    store.write_blocking(|tx| agree(tx, "kept")).unwrap();
    store
        .write_blocking(|tx| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            Ok(tx.pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(()))?)
        })
        .unwrap();
    let (_inside, release) = block_writer(&store);
    let before = queue(&store, |tx| agree(tx, "before"));
    let large = queue(&store, |tx| {
        consents::insert(
            tx,
            &"x".repeat(1_000_000),
            &ContentHash::from_bytes(b"large"),
            "kim",
            Timestamp(1),
        )
    });
    let after = queue(&store, |tx| agree(tx, "after"));
    release.send(()).unwrap();
    assert_eq!(
        large.blocking_recv().unwrap().unwrap_err().code,
        Code::DiskFull
    );
    let acknowledged = [("before", before), ("after", after)]
        .map(|(name, answer)| (name, answer.blocking_recv().unwrap().is_ok()));
    let there = consents::all(store.reader().unwrap().connection()).unwrap();
    assert!(there.contains(&ContentHash::from_bytes(b"kept")));
    for (name, told) in acknowledged {
        assert_eq!(
            there.contains(&ContentHash::from_bytes(name.as_bytes())),
            told,
            "{name}"
        );
    }
    assert!(acknowledged[1].1, "a job after the full one begins afresh");
    store
        .write_blocking(|tx| {
            Ok(tx.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(()))?)
        })
        .unwrap();
    store.write_blocking(|tx| agree(tx, "later")).unwrap();
}

#[test]
fn a_job_that_ends_the_transaction_of_its_group_is_not_acknowledged() {
    let (_dir, store) = store();
    let ended = store
        .write_blocking(|tx| Ok(tx.execute_batch("ROLLBACK")?))
        .unwrap_err();
    assert_eq!(ended.code, Code::Internal);
    store.write_blocking(|tx| agree(tx, "later")).unwrap();
}

#[test]
fn a_lock_of_another_process_is_waited_for() {
    let (_dir, store) = store();
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = queue(&store, |tx| agree(tx, "patient"));
    other.execute_batch("COMMIT").unwrap();
    answer.blocking_recv().unwrap().unwrap();
    assert_eq!(agreed(&store.reader().unwrap()), 1);
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_folds_the_log_in() {
    let (_dir, store) = store();
    let writes: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.write(move |tx| agree(tx, &n.to_string())).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(
        store.write(|tx| agree(tx, "late")).await.unwrap_err().code,
        Code::Internal
    );
    assert!(!store.path().with_extension("db-wal").exists());
    assert_eq!(agreed(&store.reader().unwrap()), 20);
}

#[test]
fn the_last_handle_ends_the_thread_and_closes_the_database() {
    let (_dir, store) = store();
    let path = store.path().to_path_buf();
    let clone = store.clone();
    drop(store);
    clone.write_blocking(|tx| agree(tx, "kept")).unwrap();
    drop(clone);
    assert!(
        !path.with_extension("db-wal").exists(),
        "the last connection takes the log with it"
    );
    assert_eq!(agreed(&Reader::open(&path).unwrap()), 1);
}

#[test]
fn a_handle_may_be_dropped_by_its_own_job() {
    let (_dir, store) = store();
    let (last, path) = (store.clone(), store.path().to_path_buf());
    let answer = queue(&store, move |tx| agree(tx, "last").map(|()| drop(last)));
    drop(store);
    answer.blocking_recv().unwrap().unwrap();
    assert_eq!(agreed(&Reader::open(&path).unwrap()), 1);
}

#[test]
fn a_store_in_doubt_writes_nothing_more() {
    let (_dir, store) = store();
    let conn = open::writer(store.path()).unwrap();
    let ((stops, _stopped), (holds, _held)) = (watch::channel(None), watch::channel(false));
    let mut owner = StoreWriter {
        conn,
        stopped: Some(error::corrupt("a flush failed")),
        backlog: None,
        claimed: None,
        stops,
        blocked: holds,
    };
    let (work, answer) = wrap(|tx| agree(tx, "never"));
    owner.commit_together(vec![work]);
    assert_eq!(
        answer.blocking_recv().unwrap().unwrap_err().code,
        Code::DbCorrupt
    );
    assert_eq!(agreed(&store.reader().unwrap()), 0);
    assert_eq!(owner.end().unwrap_err().code, Code::DbCorrupt);
}

#[tokio::test]
async fn a_host_that_was_overtaken_stores_nothing_more_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("phasedeck.db");
    let process = |pid| HostIdentity {
        pid,
        lock_device: 1,
        lock_inode: 1,
    };
    let first = Store::open_as_host(&path, process(7)).unwrap();
    first.write(|tx| agree(tx, "first")).await.unwrap();
    let reader = first.reader().unwrap();
    assert_eq!(
        (
            first.is_current_host(reader.connection()),
            first.stop_reason()
        ),
        (Ok(true), None)
    );
    let second = Store::open_as_host(&path, process(8)).unwrap();
    assert_eq!(first.is_current_host(reader.connection()), Ok(false));
    // Who writes beside a host claims nothing, before and after.
    Store::open(&path)
        .unwrap()
        .write(|tx| agree(tx, "beside"))
        .await
        .unwrap();
    for name in ["late", "later"] {
        assert_eq!(
            first
                .write(move |tx| agree(tx, name))
                .await
                .unwrap_err()
                .code,
            Code::SessionManagerAlreadyRunning
        );
    }
    let why = first.stopped().await;
    assert!(why.message.contains("process 8, since"), "{why}");
    assert_eq!(
        (first.stop_reason(), first.close().await),
        (Some(why.clone()), Err(why))
    );
    second.write(|tx| agree(tx, "second")).await.unwrap();
    assert_eq!(agreed(&reader), 3);
    second.close().await.unwrap();
}

#[tokio::test]
async fn a_panic_of_the_thread_itself_stops_everything_and_says_why() {
    let (_dir, store) = store();
    store.write(|tx| agree(tx, "before")).await.unwrap();
    let reader = store.reader().unwrap();
    let breaks: WriteJob = Box::new(|_| FinishedJob {
        failure: None,
        reply: Box::new(|_| panic!("a defect, made on purpose")),
    });
    store
        .sender()
        .unwrap()
        .send(WriterMsg::Job(breaks))
        .await
        .unwrap();
    let why = store.stopped().await;
    assert_eq!(why.code, Code::Internal);
    assert!(
        why.message
            .ends_with("the store's thread panicked: a defect, made on purpose"),
        "{why}"
    );
    assert_eq!(store.write(|tx| agree(tx, "after")).await, Err(why.clone()));
    assert_eq!(
        (store.stop_reason(), store.close().await),
        (Some(why.clone()), Err(why))
    );
    assert_eq!(agreed(&reader), 1);
    let again = Store::open(store.path()).unwrap();
    again.write(|tx| agree(tx, "the next start")).await.unwrap();
    assert_eq!(agreed(&reader), 2);
}

#[cfg(unix)]
#[test]
fn everything_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store) = store();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.path().parent().unwrap()), 0o700);
    for path in [
        store.path().to_path_buf(),
        store.path().with_extension("db-wal"),
        database_file::marker(store.path()),
    ] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
