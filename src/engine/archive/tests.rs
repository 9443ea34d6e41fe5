use super::*;
use crate::model::error::Code;
use crate::model::id::{RequestId, VersionedName};
use crate::model::state::Decision;
use crate::store::tables::definitions::DefinitionKind;
use crate::store::tables::{bindings, definitions};
use crate::store::tests::fixture;
use crate::store::tests::fixture::BEGIN;
use crate::store::{Store, journal};

struct ArchiveFixture {
    _home: tempfile::TempDir,
    paths: InstallPaths,
    store: Store,
}

fn installation() -> ArchiveFixture {
    let home = tempfile::tempdir().unwrap();
    let paths = InstallPaths::beneath(home.path());
    let store = Store::open(&paths.database()).unwrap();
    ArchiveFixture {
        _home: home,
        paths,
        store,
    }
}

fn begun(store: &Store) -> RunId {
    store
        .write_blocking(|tx| {
            let run = fixture::insert_run(tx, "lane");
            let facts = [
                fixture::created(&["spec", "plan"]),
                fixture::started(),
                fixture::phase_started("spec", 1),
            ];
            journal::append(tx, run, &facts, BEGIN)?;
            Ok(run)
        })
        .unwrap()
}

fn binding(hash: ContentHash) -> RoleBinding {
    let persona: VersionedName = "ada@1".parse().unwrap();
    RoleBinding {
        role: "architect".into(),
        persona,
        persona_hash: hash,
        backend: "openai".to_owned(),
        model: None,
    }
}

#[test]
fn opening_without_a_database_fails_and_creates_nothing() {
    let home = tempfile::tempdir().unwrap();
    let paths = InstallPaths::beneath(home.path());
    assert_eq!(RunArchive::open(&paths).unwrap_err().code, Code::IoFailed);
    assert!(!paths.data.exists());
}

#[test]
fn events_come_in_pages_from_both_ends_and_by_filter() {
    let here = installation();
    let run = begun(&here.store);
    let archive = RunArchive::open(&here.paths).unwrap();
    let seqs = |events: Result<Vec<JournalEvent>>| {
        events
            .unwrap()
            .iter()
            .map(|event| event.seq)
            .collect::<Vec<_>>()
    };
    assert_eq!(seqs(archive.events(run, 2, 10)), [2, 3]);
    assert_eq!(seqs(archive.events(run, 1, 2)), [1, 2]);
    assert_eq!(seqs(archive.events_before(run, 3, 1)), [2]);
    assert_eq!(seqs(archive.events_before(run, u64::MAX, 2)), [2, 3]);
    let filter = |kinds: &[&str], phase: Option<&str>| EventQuery {
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        phase_key: phase.map(PhaseKey::from),
    };
    assert_eq!(
        seqs(archive.events_filtered(run, &filter(&["run.created", "phase.started"], None), 1, 9)),
        [1, 3]
    );
    assert_eq!(
        seqs(archive.events_filtered(run, &filter(&[], Some("spec")), 1, 9)),
        [3]
    );
    assert_eq!(
        seqs(archive.events_filtered(run, &filter(&["run.created"], Some("spec")), 1, 9)),
        [0; 0]
    );
    assert_eq!(
        seqs(archive.events_filtered(run, &filter(&[], None), 2, 1)),
        [2]
    );
    assert_eq!(
        (
            archive.last_seq(run).unwrap(),
            archive.state(run).unwrap().last_seq
        ),
        (3, 3)
    );
}

#[test]
fn commits_are_visible_at_once_and_change_the_data_version() {
    let here = installation();
    let run = begun(&here.store);
    let archive = RunArchive::open(&here.paths).unwrap();
    let before = archive.data_version().unwrap();
    assert_eq!(archive.data_version().unwrap(), before);
    let id = RequestId::new();
    here.store
        .write_blocking(move |tx| {
            journal::append(tx, run, &[fixture::requested(id, Some("spec"))], BEGIN)
        })
        .unwrap();
    assert_ne!(archive.data_version().unwrap(), before);
    assert_eq!(archive.pending_approvals().unwrap()[0].id, id);
    assert_eq!(archive.run(run).unwrap().state, "awaiting_approval");
    let answer = fixture::resolved(id, Some("spec"), Decision::RequestChanges, "kim");
    here.store
        .write_blocking(move |tx| journal::append(tx, run, &[answer], BEGIN))
        .unwrap();
    let answered = &archive.approvals(run).unwrap()[0];
    assert_eq!(
        (
            answered.state.as_str(),
            answered.resolved_by.as_deref(),
            answered.comment.as_deref()
        ),
        ("changes_requested", Some("kim"), Some("my words"))
    );
    assert_eq!(archive.last_seqs_since(BEGIN).unwrap(), [(run, 5)]);
}

#[test]
fn a_reader_does_not_wait_for_a_writer_in_the_middle_of_a_transaction() {
    let here = installation();
    let run = begun(&here.store);
    let paths = here.paths.clone();
    let seen = here
        .store
        .write_blocking(move |tx| {
            journal::append(tx, run, &[fixture::phase_started("spec", 2)], BEGIN)?;
            let archive = RunArchive::open(&paths)?;
            archive.last_seq(run)
        })
        .unwrap();
    assert_eq!(seen, 3, "the fourth event was not committed yet");
    assert_eq!(
        RunArchive::open(&here.paths)
            .unwrap()
            .last_seq(run)
            .unwrap(),
        4
    );
}

#[test]
fn unreadable_frozen_definitions_are_named() {
    let here = installation();
    let run = begun(&here.store);
    let archive = RunArchive::open(&here.paths).unwrap();
    assert_eq!(
        archive.workflow(run).unwrap_err().code,
        Code::TemplateLoadFailed
    );
    assert_eq!(
        archive.bindings(run).unwrap_err().code,
        Code::RunMetadataMissing
    );
    assert_eq!(
        archive.bindings(RunId::new()).unwrap_err().code,
        Code::RunNotFound
    );
    assert_eq!(
        archive.schema(run, &"dev/spec@1".into()).unwrap_err().code,
        Code::SchemaNotFound
    );
    let workflow = ContentHash::from_bytes(b"workflow");
    let persona = ContentHash::from_bytes(b"persona");
    let schema = ContentHash::from_bytes(b"schema");
    let bound = binding(persona.clone());
    here.store
        .write_blocking({
            let schema = schema.clone();
            move |tx| {
                bindings::insert(tx, run, &[bound], &ContentHash::from_bytes(b"all"))?;
                bindings::insert_schema(tx, run, &"dev/spec@1".into(), &schema)
            }
        })
        .unwrap();
    let missing = archive.bindings(run).unwrap_err();
    assert_eq!(missing.code, Code::PersonaLoadFailed);
    assert!(
        missing.message.contains("ada@1 of role 'architect'")
            && missing.message.ends_with("is missing"),
        "{missing}"
    );

    let put = |kind, hash: &ContentHash, text: &str| {
        let hash = hash.clone();
        let text = text.to_owned();
        here.store
            .write_blocking(move |tx| definitions::insert(tx, kind, &hash, "n", &text))
            .unwrap();
    };
    put(
        DefinitionKind::Workflow,
        &workflow,
        "{\"name\":\"development\",\"version\":1,\"roles\":[],\"phases\":[]}",
    );
    put(
        DefinitionKind::Persona,
        &persona,
        "{\"name\":\"ada\",\"version\":1,\"backend\":\"openai\"}",
    );
    put(DefinitionKind::Schema, &schema, "{\"type\":\"object\"}");
    assert_eq!(archive.workflow(run).unwrap().name, "development");
    assert_eq!(archive.bindings(run).unwrap()[0].1.name, "ada");
    assert_eq!(
        archive.schema(run, &"dev/spec@1".into()).unwrap(),
        serde_json::json!({"type": "object"})
    );
    here.store
        .write_blocking(|tx| Ok(tx.execute("UPDATE definitions SET content = '{\"name\":'", [])?))
        .unwrap();
    for (code, refused) in [
        (Code::TemplateLoadFailed, archive.workflow(run).map(drop)),
        (Code::PersonaLoadFailed, archive.bindings(run).map(drop)),
        (
            Code::SchemaNotFound,
            archive.schema(run, &"dev/spec@1".into()).map(drop),
        ),
    ] {
        let refused = refused.unwrap_err();
        assert!(
            refused.code == code && refused.message.contains("cannot be read"),
            "{refused}"
        );
    }
}

#[test]
fn contents_are_read_by_hash_and_verified() {
    let here = installation();
    let archive = RunArchive::open(&here.paths).unwrap();
    let hash = ContentHash::from_bytes(b"whole");
    let folder = here.paths.contents().join(&hash.as_str()[..2]);
    std::fs::create_dir_all(&folder).unwrap();
    assert_eq!(archive.content(&hash).unwrap_err().code, Code::IoFailed);
    std::fs::write(folder.join(hash.as_str()), b"whole").unwrap();
    assert_eq!(archive.content(&hash).unwrap(), b"whole");
    std::fs::write(folder.join(hash.as_str()), b"torn").unwrap();
    assert_eq!(archive.content(&hash).unwrap_err().code, Code::DbCorrupt);
    for bad in ["", "../../etc/passwd", &"A".repeat(64), &"é".repeat(32)] {
        assert_eq!(
            archive
                .content(&ContentHash(bad.to_owned()))
                .unwrap_err()
                .code,
            Code::UsageInvalid,
            "{bad}"
        );
    }
}

#[test]
fn an_unreadable_event_is_named() {
    let here = installation();
    let run = begun(&here.store);
    here.store
        .write_blocking(move |tx| {
            let sql = "INSERT INTO events (run_id, seq, at_ms, type, idempotency_key, payload) VALUES (?1, 4, 1, 'run.dreamt', 'k', '{}')";
            Ok(tx.execute(sql, [run.to_string()])?)
        })
        .unwrap();
    let archive = RunArchive::open(&here.paths).unwrap();
    let refused = archive.events(run, 1, 9).unwrap_err();
    assert_eq!(refused.code, Code::DbCorrupt);
    assert!(
        refused.message.contains("event 4") && refused.message.contains("run.dreamt"),
        "{refused}"
    );
}
