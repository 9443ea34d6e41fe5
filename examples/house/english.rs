//! Draws passages of prose by lot: comments, texts in the program, and paragraphs of the documentation.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::source_tree::rust_files;

/// Words a passage needs to be worth reading.
const MIN_WORDS: usize = 4;

struct Passage {
    place: String,
    text: String,
}

/// Prints `count` passages. The same seed draws the same passages from the same tree.
pub fn print(root: &Path, count: usize, seed: u64) {
    let mut passages = Vec::new();
    for file in rust_files(&root.join("src")) {
        let text = std::fs::read_to_string(root.join("src").join(&file)).unwrap();
        passages.extend(comments(&format!("src/{file}"), &text));
        passages.extend(literals(&format!("src/{file}"), &text));
    }
    let mut pages = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()));
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|ext| ext == "md"))
    {
        let name = page
            .strip_prefix(root)
            .unwrap_or(page)
            .to_string_lossy()
            .into_owned();
        passages.extend(paragraphs(
            &name,
            &std::fs::read_to_string(page).unwrap_or_default(),
        ));
    }
    passages.retain(|passage| passage.text.split_whitespace().count() >= MIN_WORDS);
    println!("{count} of {} passages, seed {seed}\n", passages.len());
    passages.shuffle(&mut StdRng::seed_from_u64(seed));
    for passage in passages.iter().take(count) {
        println!("{}\n    {}", passage.place, passage.text);
    }
}

/// Runs of comment lines; each run is one passage.
fn comments(file: &str, text: &str) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let mut last_line = 0;
    for (at, line) in text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            continue;
        };
        let words = comment.trim_start_matches(['/', '!']).trim();
        match passages.last_mut().filter(|_| at == last_line + 1) {
            Some(passage) if !words.is_empty() => {
                passage.text.push(' ');
                passage.text.push_str(words);
            }
            _ => passages.push(Passage {
                place: format!("{file}:{}", at + 1),
                text: words.to_owned(),
            }),
        }
        last_line = at;
    }
    passages
}

/// Texts between quotes that read like sentences: with spaces, and no SQL.
fn literals(file: &str, text: &str) -> Vec<Passage> {
    let own = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let mut passages = Vec::new();
    for (at, line) in own.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for literal in line.split('"').skip(1).step_by(2) {
            let sql = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "PRAGMA"];
            if !sql.iter().any(|verb| literal.contains(verb)) {
                passages.push(Passage {
                    place: format!("{file}:{}", at + 1),
                    text: literal.to_owned(),
                });
            }
        }
    }
    passages
}

/// Paragraphs, list items and table rows of a page, without code.
fn paragraphs(page: &str, text: &str) -> Vec<Passage> {
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    prose
        .iter()
        .flat_map(|piece| piece.split("\n\n"))
        .map(|paragraph| Passage {
            place: page.to_owned(),
            text: paragraph.replace('\n', " ").trim().to_owned(),
        })
        .collect()
}
