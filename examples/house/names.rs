//! The names of types: how many are one word, and which are used more than once.

use std::collections::BTreeMap;
use std::path::Path;

use syn::visit::{self, Visit};

use crate::source_tree::{SourceTree, is_cfg_test};

/// Every type that ships (struct, enum, union, trait, alias), with the files that define it.
pub fn type_names(tree: &SourceTree) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for module in tree.modules.iter().filter(|module| !module.is_test) {
        let mut collector = TypeCollector::default();
        collector.visit_file(&module.syntax);
        for name in collector.names {
            names.entry(name).or_default().push(module.file.clone());
        }
    }
    names
}

/// Whether a name in camel case is a single word, as `AttemptRecorder` and `Uuid` are.
pub fn is_one_word(name: &str) -> bool {
    name.chars().skip(1).all(|c| !c.is_ascii_uppercase())
}

/// Prints the names of one word and those used more than once.
pub fn print(root: &Path) {
    let types = type_names(&SourceTree::read(&root.join("src")));
    println!("used more than once:");
    for (name, files) in types.iter().filter(|(_, files)| files.len() > 1) {
        println!("  {name:<20} {}", files.join(", "));
    }
    println!("of one word:");
    for (name, files) in types.iter().filter(|(name, _)| is_one_word(name)) {
        println!("  {name:<20} {}", files.join(", "));
    }
}

#[derive(Default)]
struct TypeCollector {
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for TypeCollector {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Union(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Mod(item) => (&item.attrs, None),
            syn::Item::Fn(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if is_cfg_test(attributes) {
            return;
        }
        self.names.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }
}
