//! Reads the crate's own source: its modules, their syntax trees, and which module names which.
//!
//! Starts at `src/lib.rs` and follows every `mod` declaration. Paths are taken from whole `use`
//! trees, from expressions, types and patterns, and from the tokens of macro calls; `self::`,
//! `super::` and names of child modules are resolved to paths from the crate's root. Modules behind
//! `#[cfg(test)]` are marked, because tests may reach for whatever makes them real.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// One module, as a rule one file.
pub struct Module {
    /// Path from the crate's root without `crate`, for example `engine::api`; empty for the root.
    pub path: String,
    /// The file, relative to `src`, with `/` between its parts.
    pub file: String,
    /// Behind `#[cfg(test)]`, itself or a module around it.
    pub is_test: bool,
    /// What this module names, as paths from the crate's root, `engine::api::Command` for example.
    pub named_paths: BTreeSet<String>,
    /// The syntax tree of the file.
    pub syntax: syn::File,
    /// The text of the file.
    pub text: String,
}

/// Every module of a crate.
pub struct SourceTree {
    pub modules: Vec<Module>,
    known: BTreeSet<String>,
}

impl SourceTree {
    /// Reads the tree under `src`, beginning at its `lib.rs`.
    ///
    /// # Panics
    ///
    /// Where a file is missing or does not parse: then there is nothing to judge.
    pub fn read(src: &Path) -> Self {
        let mut modules = Vec::new();
        read_module(
            src,
            &src.join("lib.rs"),
            src,
            String::new(),
            false,
            &mut modules,
        );
        let known: BTreeSet<String> = modules.iter().map(|module| module.path.clone()).collect();
        for module in &mut modules {
            module.named_paths = named_paths(&module.syntax, &module.path, &known);
        }
        Self { modules, known }
    }

    /// Every type that ships (struct, enum, union, trait, alias), with the files that define it.
    pub fn type_names(&self) -> BTreeMap<String, Vec<&str>> {
        let mut names: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for module in self.modules.iter().filter(|module| !module.is_test) {
            let mut collector = TypeCollector::default();
            collector.visit_file(&module.syntax);
            for name in collector.names {
                names.entry(name).or_default().push(&module.file);
            }
        }
        names
    }

    /// The module that a path leads into: its longest beginning that is a module.
    pub fn module_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut end = path.len();
        loop {
            let candidate = &path[..end];
            if self.known.contains(candidate) {
                return Some(candidate);
            }
            end = path[..end].rfind("::")?;
        }
    }

    /// Which shipping module imports which other shipping modules. A parent is not counted: a child
    /// that reads `super::` names what the parent defines or hands on.
    pub fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let shipping: BTreeSet<&str> = self
            .modules
            .iter()
            .filter(|module| !module.is_test)
            .map(|module| module.path.as_str())
            .collect();
        let mut imports = BTreeMap::new();
        for module in self.modules.iter().filter(|module| !module.is_test) {
            let targets = module
                .named_paths
                .iter()
                .filter_map(|path| self.module_of(path))
                .filter_map(|target| shipping.get(target).copied())
                .filter(|target| *target != module.path && !target.is_empty())
                .collect();
            imports.insert(module.path.as_str(), targets);
        }
        imports
    }

    /// Groups of modules that import each other in a circle, the largest first.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let imports = self.imports();
        let reach: BTreeMap<&str, BTreeSet<&str>> = imports
            .keys()
            .map(|from| (*from, reachable(&imports, from)))
            .collect();
        let mut placed = BTreeSet::new();
        let mut circles = Vec::new();
        for from in imports.keys() {
            if placed.contains(from) {
                continue;
            }
            let circle: Vec<&str> = reach[from]
                .iter()
                .copied()
                .filter(|to| reach[to].contains(from))
                .collect();
            placed.extend(circle.iter().copied());
            if circle.len() > 1 {
                circles.push(circle);
            }
        }
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }
}

fn reachable<'a>(
    imports: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    from: &'a str,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(module) = waiting.pop() {
        for target in imports.get(module).into_iter().flatten() {
            if seen.insert(*target) {
                waiting.push(target);
            }
        }
    }
    seen
}

/// Every `.rs` file under `dir`, relative to it.
pub fn rust_files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![dir.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.insert(relative(dir, &path));
            }
        }
    }
    found
}

fn relative(src: &Path, file: &Path) -> String {
    file.strip_prefix(src)
        .unwrap_or(file)
        .to_string_lossy()
        .replace('\\', "/")
}

fn read_module(
    src: &Path,
    file: &Path,
    children: &Path,
    path: String,
    is_test: bool,
    modules: &mut Vec<Module>,
) {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let syntax =
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let declared: Vec<(String, bool, Option<String>)> = syntax
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(module) if module.content.is_none() => Some((
                module.ident.to_string(),
                is_test || is_cfg_test(&module.attrs),
                path_attribute(&module.attrs),
            )),
            _ => None,
        })
        .collect();
    modules.push(Module {
        path: path.clone(),
        file: relative(src, file),
        is_test,
        named_paths: BTreeSet::new(),
        syntax,
        text,
    });
    for (name, child_is_test, explicit) in declared {
        let child = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}::{name}")
        };
        let folder = children.join(&name);
        let found = match explicit {
            Some(explicit) => file.parent().unwrap_or(src).join(explicit),
            None => [children.join(format!("{name}.rs")), folder.join("mod.rs")]
                .into_iter()
                .find(|candidate| candidate.exists())
                .unwrap_or_else(|| panic!("{}: `mod {name}` has no file", file.display())),
        };
        read_module(src, &found, &folder, child, child_is_test, modules);
    }
}

/// Whether an attribute says `#[cfg(test)]`, also among other conditions that all must hold.
pub fn is_cfg_test(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .any(|attribute| {
            let syn::Meta::List(list) = &attribute.meta else {
                return false;
            };
            let condition = list.tokens.to_string();
            condition == "test" || (condition.starts_with("all") && condition.contains("test"))
        })
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    let attribute = attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let syn::Expr::Lit(literal) = &pair.value else {
        return None;
    };
    let syn::Lit::Str(text) = &literal.lit else {
        return None;
    };
    Some(text.value())
}

fn named_paths(syntax: &syn::File, module: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let mut collector = PathCollector {
        module: module.to_owned(),
        known,
        paths: BTreeSet::new(),
    };
    collector.visit_file(syntax);
    collector.paths
}

/// Walks a syntax tree and keeps the paths that lead into the crate.
struct PathCollector<'a> {
    module: String,
    known: &'a BTreeSet<String>,
    paths: BTreeSet<String>,
}

impl PathCollector<'_> {
    fn add(&mut self, segments: &[String]) {
        if let Some(path) = self.resolve(segments) {
            self.paths.insert(path);
        }
    }

    fn resolve(&self, segments: &[String]) -> Option<String> {
        let mut rest = segments;
        let mut base: Vec<&str> = self
            .module
            .split("::")
            .filter(|part| !part.is_empty())
            .collect();
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                base.push(first);
                if !self.known.contains(&base.join("::")) {
                    return None;
                }
                rest = &rest[1..];
            }
        }
        base.extend(rest.iter().map(String::as_str));
        Some(base.join("::"))
    }

    fn add_use_tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_use_tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for inner in &group.items {
                    self.add_use_tree(inner, before);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => self.add(before),
            syn::UseTree::Rename(rename) if rename.ident == "self" => self.add(before),
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                before.push(ident.to_string());
                self.add(before);
                before.pop();
            }
            _ => self.add(before),
        }
    }

    /// Paths in the tokens of a macro call, which no parser but the macro's own understands.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.finish(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.finish(&mut path);
                    colons = 0;
                    self.add_tokens(group.stream());
                }
                _ => {
                    self.finish(&mut path);
                    colons = 0;
                }
            }
        }
        self.finish(&mut path);
    }

    fn finish(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.add(path);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for PathCollector<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_cfg_test(&module.attrs) || module.content.is_none() {
            return;
        }
        let outer = self.module.clone();
        self.module = format!("{outer}::{}", module.ident);
        visit::visit_item_mod(self, module);
        self.module = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_cfg_test(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_cfg_test(&item.attrs) {
            self.add_use_tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.add(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// Collects the names of types, without those behind `#[cfg(test)]`.
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
