//! The names of types: how many are one word, and which are used more than once.

use std::path::Path;

use crate::source_tree::SourceTree;

/// Whether a name in camel case is a single word, as `AttemptRecorder` and `Uuid` are.
pub fn is_one_word(name: &str) -> bool {
    name.chars().skip(1).all(|c| !c.is_ascii_uppercase())
}

/// Prints the names of one word and those used more than once.
pub fn print(root: &Path) {
    let tree = SourceTree::read(&root.join("src"));
    let types = tree.type_names();
    println!("used more than once:");
    for (name, files) in types.iter().filter(|(_, files)| files.len() > 1) {
        println!("  {name:<20} {}", files.join(", "));
    }
    println!("of one word:");
    for (name, files) in types.iter().filter(|(name, _)| is_one_word(name)) {
        println!("  {name:<20} {}", files.join(", "));
    }
}
