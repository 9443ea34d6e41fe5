//! The rules of the house that a compiler does not hold: type names are unique, what is public has
//! documentation, and circles of imports do not grow.

use std::path::Path;

use syn::visit::{self, Visit};

use crate::source_tree::{SourceTree, is_cfg_test};

/// Type names that may be defined more than once, each with the reason.
const SHARED_NAMES: &[(&str, &str)] = &[(
    "InotifyWatch",
    "one for Linux, one that is never made elsewhere",
)];

/// Modules that one circle of imports may have. The goal is a dozen; this number only goes down.
const LARGEST_CIRCLE: usize = 73;

#[test]
fn no_type_name_is_used_twice() {
    let tree = source();
    let mut definitions = tree.type_names();
    assert!(definitions.len() > 200, "the types were found");
    for (name, reason) in SHARED_NAMES {
        let uses = definitions.remove(*name).map_or(0, |files| files.len());
        assert!(
            uses > 1,
            "{name} ({reason}) is unique now: take it out of the list"
        );
    }
    let repeated: Vec<_> = definitions
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .collect();
    assert!(repeated.is_empty(), "two types of one name: {repeated:#?}");
}

#[test]
fn what_is_public_has_documentation() {
    let tree = source();
    let mut missing = Vec::new();
    for module in tree.modules.iter().filter(|module| !module.is_test) {
        if !has_docs(&module.syntax.attrs) {
            missing.push(format!("{}: the head of the module", module.file));
        }
        let mut collector = UndocumentedItems { names: Vec::new() };
        collector.visit_file(&module.syntax);
        missing.extend(
            collector
                .names
                .into_iter()
                .map(|name| format!("{}: {name}", module.file)),
        );
    }
    assert!(
        missing.is_empty(),
        "no documentation:\n{}",
        missing.join("\n")
    );
}

/// Lines that a file may have before it is split by subject. The goal is 500; this number only goes down.
const LONGEST_FILE: usize = 900;

#[test]
fn no_file_is_long() {
    let tree = source();
    let long: Vec<_> = tree
        .modules
        .iter()
        .map(|module| (&module.file, module.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .collect();
    assert!(
        long.is_empty(),
        "files of more than {LONGEST_FILE} lines: {long:?}"
    );
}

#[test]
fn no_circle_of_imports_is_large() {
    let tree = source();
    let large: Vec<_> = tree
        .circles()
        .into_iter()
        .filter(|circle| circle.len() > LARGEST_CIRCLE)
        .collect();
    assert!(
        large.is_empty(),
        "circles of more than {LARGEST_CIRCLE} modules: {large:#?}"
    );
}

fn source() -> SourceTree {
    SourceTree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// Collects public types, traits, functions and methods that have no documentation.
struct UndocumentedItems {
    names: Vec<String>,
}

impl UndocumentedItems {
    fn check(
        &mut self,
        visibility: &syn::Visibility,
        attributes: &[syn::Attribute],
        name: &syn::Ident,
    ) {
        if matches!(visibility, syn::Visibility::Public(_)) && !has_docs(attributes) {
            self.names.push(name.to_string());
        }
    }
}

fn has_docs(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("doc"))
}

impl<'ast> Visit<'ast> for UndocumentedItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Struct(item) => self.check(&item.vis, &item.attrs, &item.ident),
            syn::Item::Enum(item) => self.check(&item.vis, &item.attrs, &item.ident),
            syn::Item::Union(item) => self.check(&item.vis, &item.attrs, &item.ident),
            syn::Item::Trait(item) => self.check(&item.vis, &item.attrs, &item.ident),
            syn::Item::Type(item) => self.check(&item.vis, &item.attrs, &item.ident),
            syn::Item::Fn(item) => self.check(&item.vis, &item.attrs, &item.sig.ident),
            syn::Item::Mod(item) if is_cfg_test(&item.attrs) => return,
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.check(&function.vis, &function.attrs, &function.sig.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        for function in &item.items {
            if let syn::TraitItem::Fn(function) = function {
                self.check(&item.vis, &function.attrs, &function.sig.ident);
            }
        }
    }
}
