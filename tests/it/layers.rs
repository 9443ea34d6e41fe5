//! Who may know whom: reads the `crate::` paths of every file and holds the table of the house; and
//! that the map of the house names only rooms that are there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rooms from the most particular to the most general; the first that a path begins with counts.
/// What a room may name: prefixes of module paths.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("store", &["store", "model"]),
    ("engine/machine", &["engine::machine", "model"]),
    ("engine", &["engine", "store", "model"]),
    ("app/shell", &["app", "ui", "engine::api", "engine::paths", "model"]),
    ("app", &["app", "engine::api", "model"]),
    ("ui", &["ui", "app", "engine::api", "model"]),
    ("cli", &["cli", "app", "engine", "model"]),
];

#[test]
fn every_room_knows_only_the_rooms_beneath_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = BTreeSet::new();
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(files.len() > 40, "the source was found");
    for file in files {
        let inner = file.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        let Some((room, allowed)) = TABLE.iter().find(|(room, _)| inner.starts_with(&format!("{room}/")) || inner == format!("{room}.rs"))
        else {
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        // Tests may reach for whatever makes them real.
        let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for path in crate_paths(own) {
            if !allowed.iter().any(|prefix| path == *prefix || path.starts_with(&format!("{prefix}::"))) {
                wrong.insert(format!("{inner} names crate::{path}; {room} may know {allowed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn only_the_store_knows_the_database_library() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    let outside: Vec<_> = files
        .iter()
        .filter(|file| {
            let inner = file.strip_prefix(&src).unwrap();
            !inner.starts_with("store") && !inner.starts_with("engine")
        })
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("rusqlite"))
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
        .filter(|word| ["src/", "tests/", "docs/", "benches"].iter().any(|top| word.starts_with(top)))
        .collect();
    assert!(named.iter().filter(|path| path.starts_with("src/")).count() > 20, "the code map was found: {named:?}");
    let gone: Vec<_> = named.iter().filter(|path| !root.join(path).exists()).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names {gone:?}");
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
}

/// The module paths behind `crate::`, groups (`crate::a::{b, c}`) taken apart at their first level.
fn crate_paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            let group = rest[word.len()..].strip_prefix('{').and_then(|inner| inner.split('}').next());
            match group {
                Some(inner) if word.matches("::").count() <= 1 => {
                    paths.extend(inner.split(',').map(|part| format!("{word}{}", part.trim())));
                }
                _ => paths.push(word.trim_end_matches(':').to_owned()),
            }
        }
    }
    paths
}
