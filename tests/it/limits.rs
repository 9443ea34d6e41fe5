//! The page of limits says what is so: every code, event and test that it names is there.

use std::path::Path;

use phasedeck::model::error::Code;

/// All the Rust text beneath a folder.
fn source(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

fn named(cell: &str) -> Option<&str> {
    cell.trim().strip_prefix('`')?.strip_suffix('`')
}

#[test]
fn every_limit_has_a_code_an_event_and_a_test_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let events = std::fs::read_to_string(root.join("docs/events.md")).unwrap();
    let mut all = String::new();
    ["src", "tests"]
        .iter()
        .for_each(|folder| source(&root.join(folder), &mut all));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2)
        .map(|line| line.split(" | ").collect())
        .collect();
    assert!(rows.len() >= 25, "{}", rows.len());
    for row in rows {
        let [_, _, code, event, test] = row[..] else {
            panic!("{row:?}")
        };
        assert!(
            named(code).is_none_or(|code| Code::parse(code).is_some()),
            "{row:?}"
        );
        assert!(
            named(event).is_none_or(|event| events.contains(&format!("| `{event}` |"))),
            "{row:?}"
        );
        let test = named(test.trim_end_matches('|')).unwrap();
        assert!(all.contains(&format!("fn {test}(")), "{test} is no test");
    }
}
