//! Which module may import which: compares the paths in every module with a table, and the code map
//! of the architecture with the files.

use std::collections::BTreeSet;
use std::path::Path;

use crate::source_tree::{SourceTree, rust_files};

/// Prefixes of files, the most specific first, and the module paths that each may name. The first row
/// that a file begins with counts.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("store", &["store", "model"]),
    ("engine/run/machine", &["engine::run::machine", "model"]),
    ("engine/paths.rs", &["model"]),
    ("engine/blocking.rs", &["model"]),
    (
        "engine/journal_writer.rs",
        &["engine::api", "engine::blocking", "store", "model"],
    ),
    ("engine/sandbox", &["engine::sandbox", "model"]),
    (
        "engine/workspace",
        &[
            "engine::workspace",
            "engine::blocking",
            "engine::paths",
            "store",
            "model",
        ],
    ),
    (
        "engine/artifact",
        &[
            "engine::artifact",
            "engine::paths",
            "engine::redact",
            "engine::workspace::confined_fs",
            "store",
            "model",
        ],
    ),
    // An agent gets a journal writer and its folders, not what drivers share.
    (
        "engine/agent",
        &[
            "engine::agent",
            "engine::api",
            "engine::artifact",
            "engine::blocking",
            "engine::journal_writer",
            "engine::outbound::http",
            "engine::paths",
            "engine::redact",
            "engine::run::machine::prompt",
            "engine::sandbox",
            "engine::workspace",
            "store",
            "model",
        ],
    ),
    ("engine", &["engine", "store", "model"]),
    (
        "console",
        &[
            "console",
            "app",
            "ui",
            "engine::api",
            "engine::paths",
            "model",
        ],
    ),
    ("app", &["app", "engine::api", "model"]),
    ("ui", &["ui", "app", "engine::api", "model"]),
    ("cli", &["cli", "app", "console", "engine", "model"]),
    // The root declares the layers, and the program calls the command line.
    (
        "lib.rs",
        &["app", "cli", "console", "engine", "model", "store", "ui"],
    ),
    ("main.rs", &["cli"]),
];

#[test]
fn every_module_imports_only_what_its_row_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let tree = SourceTree::read(&src);
    let mut wrong = BTreeSet::new();
    for module in &tree.modules {
        let Some((room, allowed)) = row(&module.file) else {
            wrong.insert(format!("no row of the table covers {}", module.file));
            continue;
        };
        if module.is_test {
            continue;
        }
        for path in &module.named_paths {
            let within =
                |prefix: &&str| path == *prefix || path.starts_with(&format!("{prefix}::"));
            if !allowed.iter().any(within) {
                wrong.insert(format!(
                    "{} names crate::{path}; {room} may know {allowed:?}",
                    module.file
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.into_iter().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn every_file_is_a_module_that_a_row_covers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let tree = SourceTree::read(&src);
    let read: BTreeSet<&str> = tree
        .modules
        .iter()
        .map(|module| module.file.as_str())
        .collect();
    let files = rust_files(&src);
    assert!(files.len() > 40, "the source was found");
    let lost: Vec<_> = files
        .iter()
        .filter(|file| !read.contains(file.as_str()) && *file != "main.rs" || row(file).is_none())
        .collect();
    assert!(
        lost.is_empty(),
        "no module declares, or no row covers: {lost:?}"
    );
}

fn row(file: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    TABLE.iter().find(|(room, _)| {
        file.starts_with(&format!("{room}/")) || file == format!("{room}.rs") || file == *room
    })
}

#[test]
fn only_the_store_knows_the_database_library() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let outside: Vec<_> = rust_files(&src)
        .into_iter()
        .filter(|file| !file.starts_with("store/") && !file.starts_with("engine/"))
        .filter(|file| {
            std::fs::read_to_string(src.join(file))
                .unwrap()
                .contains("rusqlite")
        })
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn every_path_that_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    // Fenced blocks hold drawings; between them every second piece is in backticks.
    let prose: String = text.split("```").step_by(2).collect();
    let named: BTreeSet<&str> = prose
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            ["src/", "tests/", "docs/", "benches"]
                .iter()
                .any(|top| word.starts_with(top))
        })
        .collect();
    assert!(
        named.iter().filter(|path| path.starts_with("src/")).count() > 20,
        "the code map was found: {named:?}"
    );
    let gone: Vec<_> = named
        .iter()
        .filter(|path| !root.join(path).exists())
        .collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names {gone:?}");
}
