//! Files of strangers: no workflow, no exported run and no database makes the program panic, whatever stands in them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use phasedeck::engine::api::RunArchive;
use phasedeck::engine::catalog::{Catalog, CatalogDirs};
use phasedeck::engine::host::transfer;
use phasedeck::model::event::JournalEvent;
use phasedeck::model::run_state::RunState;
use proptest::prelude::*;

use crate::home::Home;

/// A run that was rehearsed to its end.
fn rehearsed() -> Home {
    let home = Home::new();
    home.expect(
        0,
        &[
            "run",
            "development",
            "--no-git",
            "--rehearse",
            "-m",
            "a cart",
            "--headless",
            "--yes",
        ],
    );
    home
}

/// A text with some of its bytes replaced, cut out or doubled.
fn spoilt(text: &[u8], changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for (at, how, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match how % 4 {
            0 => bytes[at] = *byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *byte),
            _ => {
                let end = (at + usize::from(*byte)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec(
        (any::<prop::sample::Index>(), any::<u8>(), any::<u8>()),
        1..8,
    )
}

fn runner(cases: u32) -> proptest::test_runner::TestRunner {
    proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

#[test]
fn no_spoilt_workflow_or_persona_makes_the_catalog_panic() {
    let home = Home::new();
    let config = home.paths().config;
    let files: Vec<_> = [
        (
            "workflows/mine.yaml",
            include_str!("../../schemas/workflows/development.yaml").to_owned(),
        ),
        (
            "personas/mine.yaml",
            include_str!("../support/maker.yaml").to_owned(),
        ),
        (
            "workflows/pair.yaml",
            include_str!("../support/pair.yaml").to_owned(),
        ),
    ]
    .into();
    let tried = runner(128).run(&(changes(), 0..files.len()), |(changes, which)| {
        let (name, text) = &files[which];
        let path = config.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, spoilt(text.as_bytes(), &changes)).unwrap();
        let catalog = Catalog::load(&CatalogDirs::beneath(&config));
        prop_assert!(
            catalog
                .problems
                .iter()
                .all(|problem| !problem.message.is_empty())
        );
        std::fs::remove_file(&path).unwrap();
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn no_spoilt_export_makes_the_import_panic_and_none_that_was_changed_comes_in() {
    let home = rehearsed();
    let file = home.path().join("run.jsonl");
    home.expect(0, &["export", "@last", "-o", &file.to_string_lossy()]);
    let whole = std::fs::read(&file).unwrap();
    let elsewhere = Home::new();
    let tried = runner(64).run(&changes(), |changes| {
        let bytes = spoilt(&whole, &changes);
        if bytes != whole {
            let imported = catch_unwind(AssertUnwindSafe(|| {
                transfer::import(&elsewhere.paths(), &mut bytes.as_slice(), "me")
            }));
            prop_assert!(imported.is_ok(), "it panicked");
            prop_assert!(imported.unwrap().is_err(), "a changed file is noticed");
        }
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn no_spoilt_event_makes_the_fold_panic() {
    let home = rehearsed();
    let record = home.newest();
    let lines: Vec<String> = home
        .events(&record)
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    let tried = runner(512).run(
        &(changes(), any::<prop::sample::Index>(), any::<bool>()),
        |(changes, which, shuffled)| {
            let mut events: Vec<JournalEvent> = lines
                .iter()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let at = which.index(lines.len());
            match serde_json::from_slice(&spoilt(lines[at].as_bytes(), &changes)) {
                Ok(event) => events[at] = event,
                Err(_) => drop(events.remove(at)),
            }
            if shuffled {
                let other = at * 7 % events.len().max(1);
                let at = at.min(events.len() - 1);
                let (a, b) = (events[at].seq, events[other].seq);
                (events[at].seq, events[other].seq) = (b, a);
                events.sort_by_key(|event| event.seq);
            }
            let _ = RunState::fold(record.id, &events);
            for event in &events {
                let _ = (event.fact.key(), event.fact.phase_key());
            }
            Ok(())
        },
    );
    tried.unwrap();
}

#[test]
fn no_row_of_a_foreign_database_makes_a_reader_panic() {
    let home = rehearsed();
    let record = home.newest();
    let id = record.id.to_string();
    // Whatever a stranger may have written where our own triggers were not there to refuse it.
    let loose = |home: &Home| {
        let conn = rusqlite::Connection::open(home.paths().database()).unwrap();
        conn.pragma_update(None, "foreign_keys", false).unwrap();
        conn.pragma_update(None, "ignore_check_constraints", true)
            .unwrap();
        conn
    };
    let kinds = prop::sample::select(vec![
        "run.created",
        "phase.started",
        "approval.requested",
        "llm.called",
        "personas.changed",
        "no.such",
    ]);
    let payload = prop_oneof![
        ".{0,60}",
        "\\{\"phase_key\":(\"[a-z]{0,8}\"|null|[0-9]{1,20})\\}",
        Just("{\"seats\":[1]}".to_owned())
    ];
    let tried = runner(48).run(&(kinds, payload, any::<i64>(), ".{0,20}"), |(kind, payload, number, text)| {
        let other = Home::new();
        std::fs::create_dir_all(other.paths().database().parent().unwrap()).unwrap();
        {
            let conn = loose(&home);
            let path = other.paths().database().to_string_lossy().into_owned();
            conn.execute("VACUUM INTO ?1", [path]).unwrap();
        }
        let conn = loose(&other);
        let next: i64 = conn.query_row("SELECT max(seq) + 1 FROM events WHERE run_id = ?1", [&id], |row| row.get(0)).unwrap();
        let insert =
            "INSERT INTO events (run_id, seq, at_ms, type, phase_key, idempotency_key, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let _ = conn.execute(insert, rusqlite::params![id, next, number, kind, text, text, payload]);
        for change in [
            "UPDATE runs SET state = ?2, pause_reason = ?2, options = ?2 WHERE id = ?1",
            "UPDATE phases SET state = ?2 WHERE run_id = ?1",
            "UPDATE ledger SET model = ?2, error_code = ?2 WHERE run_id = ?1",
            "UPDATE approval_requests SET question = ?2, scope = ?2 WHERE run_id = ?1",
        ] {
            let _ = conn.execute(change, rusqlite::params![id, text]);
        }
        let _ =
            conn.execute("UPDATE runs SET cost_nano = ?2, created_at_ms = ?2, last_seq = ?2 WHERE id = ?1", rusqlite::params![id, number]);
        drop(conn);
        let read = catch_unwind(AssertUnwindSafe(|| {
            let Ok(archive) = RunArchive::open(&other.paths()) else { return };
            let _ = archive.runs(&Default::default());
            let _ = (archive.run(record.id), archive.state(record.id), archive.events(record.id, 1, 1000), archive.phases(record.id));
            let _ = (archive.approvals(record.id), archive.ledger(record.id), archive.bindings(record.id), archive.paused_runs());
            let _ = transfer::export(&other.paths(), record.id, true, &mut std::io::sink());
        }));
        prop_assert!(read.is_ok(), "a reader panicked");
        Ok(())
    });
    tried.unwrap();
}
