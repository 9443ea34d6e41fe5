//! Measures the source tree against the goals in `CONTRIBUTING.md`, and draws passages to read aloud.
//!
//! ```text
//! cargo run --example house -- measure [DIR]          # names, functions, files, import circles
//! cargo run --example house -- functions [DIR]        # every function over the limits
//! cargo run --example house -- names [DIR]            # one-word and repeated type names
//! cargo run --example house -- english N [SEED [DIR]] # N passages of prose, drawn by lot
//! ```
//!
//! `DIR` is the root of a checkout, this one by default, so that two revisions can be compared.

#![expect(
    clippy::unwrap_used,
    reason = "a development tool stops where it cannot read the source"
)]

mod english;
mod functions;
mod names;
#[path = "../../tests/support/source_tree.rs"]
mod source_tree;

use std::path::{Path, PathBuf};

use functions::{MAX_LINES, MAX_TOKENS};
use source_tree::{SourceTree, rust_files};

/// Lines that a file may have before it is split by subject.
const MAX_FILE_LINES: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["measure"] => measure(&here()),
        ["measure", dir] => measure(Path::new(dir)),
        ["functions"] => functions::print_long(&here()),
        ["functions", dir] => functions::print_long(Path::new(dir)),
        ["names"] => names::print(&here()),
        ["names", dir] => names::print(Path::new(dir)),
        ["english", count] => english::print(&here(), number(count), 1),
        ["english", count, seed] => english::print(&here(), number(count), number(seed)),
        ["english", count, seed, dir] => {
            english::print(Path::new(dir), number(count), number(seed));
        }
        _ => {
            eprintln!("usage: house measure|functions|names [DIR] | english N [SEED [DIR]]");
            std::process::exit(2);
        }
    }
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| {
        eprintln!("not a number: {word}");
        std::process::exit(2);
    })
}

fn measure(root: &Path) {
    let src = root.join("src");
    let tree = SourceTree::read(&src);
    let shipping: usize = tree
        .modules
        .iter()
        .filter(|module| !module.is_test)
        .map(|module| module.text.lines().count())
        .sum();
    println!("lines in modules that ship       {shipping}");

    let types = tree.type_names();
    let count = types.len();
    let one_word = types.keys().filter(|name| names::is_one_word(name)).count();
    let definitions: usize = types.values().map(Vec::len).sum();
    let repeated: usize = types.values().map(Vec::len).filter(|uses| *uses > 1).sum();
    println!("type names                       {count}");
    println!(
        "  of one word                    {:>3} %  (goal 30)",
        percent(one_word, count)
    );
    println!(
        "  not the only one of its name   {:>3} %  (goal 5)",
        percent(repeated, definitions)
    );

    let functions = functions::all(&tree);
    let mut tokens: Vec<usize> = functions.iter().map(|function| function.tokens).collect();
    let mut lines: Vec<usize> = functions.iter().map(|function| function.lines).collect();
    tokens.sort_unstable();
    lines.sort_unstable();
    println!("functions                        {}", functions.len());
    println!(
        "  tokens, median                 {:>3}    (goal towards 60)",
        quantile(&tokens, 50)
    );
    println!(
        "  lines, 99th percentile         {:>3}    (goal 60)",
        quantile(&lines, 99)
    );
    let long = functions
        .iter()
        .filter(|function| function.is_long())
        .count();
    println!("  over {MAX_LINES} lines or {MAX_TOKENS} tokens    {long:>3}");
    println!(
        "comment lines inside functions   {}",
        functions::comment_lines(&tree)
    );

    let long_files: Vec<(String, usize)> = rust_files(&src)
        .into_iter()
        .map(|file| {
            let lines = std::fs::read_to_string(src.join(&file))
                .unwrap()
                .lines()
                .count();
            (file, lines)
        })
        .filter(|(_, lines)| *lines > MAX_FILE_LINES)
        .collect();
    println!(
        "files over {MAX_FILE_LINES} lines             {}",
        long_files.len()
    );
    for (file, lines) in long_files {
        println!("  {lines:>5}  src/{file}");
    }

    for room in ["app", "cli", "engine", "model", "store", "ui"] {
        let prefix = format!("{room}/");
        let loose = rust_files(&src)
            .iter()
            .filter(|file| {
                file.strip_prefix(&prefix)
                    .is_some_and(|rest| !rest.contains('/'))
            })
            .count();
        println!("files directly in src/{room:<8}   {loose}");
    }

    let circles = tree.circles();
    println!("import circles                   {}", circles.len());
    for circle in circles.iter().take(5) {
        println!(
            "  {:>3} modules, {} … {}",
            circle.len(),
            circle[0],
            circle[circle.len() - 1]
        );
    }
}

fn percent(part: usize, whole: usize) -> usize {
    (part * 100 + whole / 2) / whole.max(1)
}

fn quantile(sorted: &[usize], percent: usize) -> usize {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}
