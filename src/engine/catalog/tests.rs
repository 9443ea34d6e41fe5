//! The catalog from outside: shadowing, broken files, look-ups, what `validate` reports.

use std::fs;
use std::path::Path;

use super::*;

mod mistakes;
mod own_formats;

const PERSONA: &str = "name: tester\nversion: 1\nbackend: acp\nagent: opencode\n";

fn rendered(failures: &[Failure]) -> Vec<String> {
    failures
        .iter()
        .map(|failure| format!("{failure}\n  {}", failure.hint))
        .collect()
}

/// A workflow named `name` whose only phase uses `schema`.
fn workflow_text(name: &str, version: u32, schema: &str) -> String {
    format!(
        "name: {name}\nversion: {version}\nroles: [{{id: dev}}]\n\
         phases: [{{key: a, role: dev, expected_artifact: {{path: x.json, schema: {schema}}}}}]\n"
    )
}

fn config(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn loaded(dir: &Path) -> Catalog {
    Catalog::load(&CatalogDirs::beneath(dir))
}

/// Rendered, with the config folder cut away.
fn beneath(dir: &Path, failures: &[Failure]) -> Vec<String> {
    rendered(failures)
        .into_iter()
        .map(|text| text.replace(&format!("{}/", dir.display()), ""))
        .collect()
}

#[test]
fn no_folder_at_all_is_the_shipped_set() {
    let catalog = loaded(Path::new("/nonexistent/phasedeck"));
    assert_eq!(catalog.problems, []);
    assert_eq!(catalog.workflows, Catalog::shipped().workflows);
    assert!(
        catalog
            .personas
            .iter()
            .all(|entry| entry.origin == CatalogOrigin::Shipped)
    );
}

#[test]
fn the_operators_files_add_and_shadow_and_keep_their_origin() {
    let dir = config(&[
        (
            "workflows/mine.yaml",
            &workflow_text("mine", 1, "team/note@1"),
        ),
        (
            "workflows/dev2.yml",
            &workflow_text("development", 2, "dev/spec@1"),
        ),
        ("workflows/readme.txt", "not read"),
        ("personas/tester.yaml", PERSONA),
        ("artifacts/team/note@1.json", r#"{"title": "A note"}"#),
    ]);
    let catalog = loaded(dir.path());
    assert_eq!(catalog.problems, []);
    assert_eq!(
        (
            catalog.workflows.len(),
            catalog.personas.len(),
            catalog.schemas.len()
        ),
        (5, 12, 13)
    );
    assert_eq!(catalog.workflow("development").unwrap().item.version, 2);
    assert_eq!(
        catalog.workflow("development@1").unwrap().origin,
        CatalogOrigin::Shipped
    );
    let tester = catalog.persona("tester").unwrap();
    assert_eq!(
        (tester.item.backend.as_str(), tester.origin.clone()),
        (
            "acp",
            CatalogOrigin::Path(dir.path().join("personas/tester.yaml"))
        )
    );
    assert_eq!(tester.hash, tester.item.hash().unwrap());
    assert_eq!(
        catalog.schema(&"team/note@1".into()).unwrap().item.title(),
        "A note"
    );
}

#[test]
fn a_broken_file_is_a_problem_and_hides_nothing() {
    let dir = config(&[
        ("workflows/a.yaml", "name: a\n"),
        ("workflows/b.yaml", &workflow_text("b", 1, "dev/spec@1")),
        ("workflows/c.yaml", &workflow_text("b", 1, "dev/plan@1")),
        ("personas/broken.yaml", "name: [\n"),
        (
            "personas/tester.yaml",
            "name: tester\nversion: 1\nbackend: nobody\n",
        ),
        ("artifacts/loose.json", "{}"),
    ]);
    fs::write(dir.path().join("personas/latin.yaml"), b"name: caf\xe9\n").unwrap();
    let catalog = loaded(dir.path());
    assert_eq!(
        beneath(dir.path(), &catalog.problems),
        [
            "artifacts/loose.json: the file's place gives the id 'loose', which is no schema id [schema_invalid]\n  \
             name it artifacts/NAMESPACE/NAME@VERSION.json",
            "workflows/a.yaml:1:1: field 'version' is missing [workflow_invalid]\n  add `version:`",
            "workflows/a.yaml:1:1: field 'roles' is missing [workflow_invalid]\n  add `roles:`",
            "workflows/a.yaml:1:1: field 'phases' is missing [workflow_invalid]\n  add `phases:`",
            "workflows/c.yaml: workflow b@1 is defined in workflows/b.yaml already [workflow_invalid]\n  \
             give it another name or version, or remove one of the files",
            "personas/broken.yaml:1:7: the file is not YAML: unclosed bracket '[' [persona_invalid]\n  \
             check indentation, quotes and colons here",
            "personas/latin.yaml: the file is not UTF-8 text (byte 9) [persona_invalid]\n  save it as UTF-8",
            "personas/tester.yaml:3:10 (backend): 'nobody' is not a backend [persona_invalid]\n  known: openai, acp, rehearsal",
        ]
    );
    assert_eq!(
        catalog.persona("tester").unwrap().origin,
        CatalogOrigin::Shipped
    );
    assert_eq!(
        catalog.workflow("b").unwrap().origin,
        CatalogOrigin::Path(dir.path().join("workflows/b.yaml"))
    );
    let hint = catalog.persona("testr").unwrap_err().hint;
    assert!(
        hint.ends_with("files with mistakes are left out, `phasedeck personas` shows them"),
        "{hint}"
    );
}

#[test]
fn what_is_not_there_is_told_with_the_nearest_name() {
    let catalog = Catalog::shipped();
    let told = |failure: Failure| format!("{failure}\n  {}", failure.hint);
    for name in ["developmnt", "developmnt@1"] {
        assert_eq!(
            told(catalog.workflow(name).unwrap_err()),
            format!(
                "no workflow is named '{name}' [workflow_not_found]\n  did you mean 'development@1'? known: bugfix@1, development@1, research@1"
            )
        );
    }
    assert_eq!(
        told(catalog.workflow("development@7").unwrap_err()),
        "no workflow is named 'development@7' [workflow_not_found]\n  did you mean 'development@1'? known: bugfix@1, development@1, research@1"
    );
    let persona = catalog.persona("testr").unwrap_err();
    assert_eq!(
        persona.to_string(),
        "no persona is named 'testr' [persona_not_found]"
    );
    assert!(
        persona
            .hint
            .starts_with("did you mean 'tester@1'? known: analyst@1, architect@1, "),
        "{}",
        persona.hint
    );
    let schema = catalog.schema(&"dev/spek@1".into()).unwrap_err();
    assert_eq!(
        schema.to_string(),
        "no schema is named 'dev/spek@1' [schema_not_found]"
    );
    assert!(
        schema
            .hint
            .starts_with("did you mean 'dev/spec@1'? known: bug/diagnosis@1, "),
        "{}",
        schema.hint
    );
}

#[test]
fn a_workflow_can_be_named_by_its_file() {
    let dir = config(&[
        ("good.yaml", &workflow_text("good", 3, "dev/spec@1")),
        ("bad.yaml", "name: bad\n"),
    ]);
    let catalog = Catalog::shipped();
    let good = dir.path().join("good.yaml");
    let entry = catalog.workflow(good.to_str().unwrap()).unwrap();
    assert_eq!(
        (entry.item.version, entry.origin),
        (3, CatalogOrigin::Path(good))
    );
    let bad = catalog
        .workflow(dir.path().join("bad.yaml").to_str().unwrap())
        .unwrap_err();
    assert_eq!(
        beneath(dir.path(), &[bad]),
        [
            "bad.yaml:1:1: field 'version' is missing [workflow_invalid]\n  add `version:`; 2 more: `phasedeck validate bad.yaml` shows all"
        ]
    );
    let gone = catalog
        .workflow(dir.path().join("gone.yaml").to_str().unwrap())
        .unwrap_err();
    assert_eq!(
        beneath(dir.path(), &[gone]),
        ["there is no workflow file gone.yaml [workflow_not_found]\n  check the path"]
    );
}

#[test]
fn validate_tells_kinds_apart_and_reports_all_problems_of_all_files() {
    let dir = config(&[
        ("w.yaml", &workflow_text("w", 1, "team/note@1")),
        ("x.yaml", &workflow_text("w", 1, "team/other@1")),
        (
            "p.yaml",
            "name: 'a b'\nversion: 1\nbackend: openai\ntools: [sh]\n",
        ),
        ("team/note@1.json", r#"{"type": 5}"#),
        ("neither.yaml", "name: n\nversion: 1\n"),
        ("personas/early.yaml", "name: n\nversion: 1\n"),
        ("notes.txt", ""),
    ]);
    let names = [
        "w.yaml",
        "x.yaml",
        "p.yaml",
        "team/note@1.json",
        "neither.yaml",
        "personas/early.yaml",
        "notes.txt",
        "gone.yaml",
    ];
    let paths: Vec<PathBuf> = names.iter().map(|name| dir.path().join(name)).collect();
    let told = beneath(dir.path(), &validate_files(&Catalog::shipped(), &paths));
    let first_lines: Vec<&str> = told
        .iter()
        .map(|text| text.lines().next().unwrap())
        .collect();
    assert_eq!(
        first_lines,
        [
            "x.yaml:4:72 (phases[0].expected_artifact.schema): 'team/other@1' is not a known schema [workflow_invalid]",
            "p.yaml:1:7 (name): 'a b' is not a name [persona_invalid]",
            "p.yaml:4:9 (tools[0]): 'sh' is not a tool [persona_invalid]",
            "team/note@1.json:1:10 (/type): 'type' fits none of the 2 allowed kinds; closest: 'type' must be one of \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\", \"string\", but is 5 [schema_invalid]",
            "neither.yaml: neither a workflow nor a persona [usage_invalid]",
            "personas/early.yaml:1:1: field 'backend' is missing [persona_invalid]",
            "notes.txt: the file ends in none of .yaml, .yml and .json [usage_invalid]",
            "cannot read gone.yaml: No such file or directory (os error 2) [io_failed]",
        ]
    );
}

#[test]
fn every_shipped_file_passes_validate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let mut paths = source::files_beneath(&root.join("workflows"), &["yaml"]).unwrap();
    paths.extend(source::files_beneath(&root.join("personas"), &["yaml"]).unwrap());
    paths.extend(source::files_beneath(&root.join("artifacts"), &["json"]).unwrap());
    assert_eq!(paths.len(), 27);
    assert_eq!(validate_files(&Catalog::shipped(), &paths), []);
}

#[test]
fn the_examples_of_the_guide_are_sound() {
    let guide = include_str!("../../../docs/workflows.md");
    let block = |language: &str| {
        guide
            .split("```")
            .filter_map(|part| part.strip_prefix(language))
            .collect::<Vec<_>>()
    };
    let (&[workflow, persona], &[schema]) = (&block("yaml\n")[..], &block("json\n")[..]) else {
        panic!("examples are missing")
    };
    let dir = config(&[
        ("workflows/w.yaml", workflow),
        ("personas/p.yaml", persona),
        ("artifacts/team/note@1.json", schema),
    ]);
    let catalog = loaded(dir.path());
    assert_eq!(catalog.problems, []);
    assert!(
        catalog.workflow("changelog@1").is_ok()
            && catalog.persona("historian@1").is_ok()
            && catalog.schema(&"team/note@1".into()).is_ok()
    );
}

proptest::proptest! {
    #[test]
    fn no_text_at_all_makes_a_reader_panic(text in "[\\[\\]{}:,&*!|>'\"#?@%\t\n a-c0-9.-]{0,80}", any in ".{0,40}") {
        for text in [&text, &any] {
            let _ = workflow::read(text, "w", &BTreeSet::new());
            let _ = persona::read(text, "p");
            let _ = schema::read(text, "s");
        }
    }

    #[test]
    fn no_schema_makes_the_checks_panic(keys in proptest::collection::vec(("[a-c]", "\\$ref|\\$dynamicRef|allOf|items|properties|pattern|\\$id|\\$anchor", "#|#/\\$defs/[a-c]|#[a-c]|%|#/%4"), 0..5)) {
        let defs: serde_json::Map<String, Value> = keys.into_iter().map(|(name, key, value)| (name, serde_json::json!({ key: value }))).collect();
        let _ = check_schema(&serde_json::json!({ "$defs": defs, "$ref": "#/$defs/a" }), "s");
    }
}

#[test]
fn a_chain_of_references_as_long_as_a_file_can_hold_is_checked_and_used() {
    let link = |i: usize| {
        (
            format!("a{i}"),
            serde_json::json!({ "$ref": format!("#/$defs/a{}", i + 1) }),
        )
    };
    let mut defs: serde_json::Map<String, Value> = (0..7000).map(link).collect();
    defs.insert("a7000".to_owned(), serde_json::json!({ "type": "string" }));
    let schema = serde_json::json!({ "$ref": "#/$defs/a0", "$defs": defs });
    assert_eq!(check_schema(&schema, "s"), []);
    let validator = jsonschema::options().offline().build(&schema).unwrap();
    assert!(validator.is_valid(&"x".into()) && !validator.is_valid(&5.into()));
}
