//! The functions that ship: their size, and the comments inside them.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source_tree::{SourceTree, is_cfg_test};

/// Lines that a function may have.
pub const MAX_LINES: usize = 60;
/// Tokens that a function may have.
pub const MAX_TOKENS: usize = 400;

/// A function or method with a body.
pub struct FunctionSize {
    file: String,
    name: String,
    start: usize,
    pub lines: usize,
    /// Every leaf of its syntax tree, signature included; a pair of delimiters counts two.
    pub tokens: usize,
}

impl FunctionSize {
    /// Whether it is over one of the limits.
    pub fn is_long(&self) -> bool {
        self.lines > MAX_LINES || self.tokens > MAX_TOKENS
    }
}

/// Every function that ships.
pub fn all(tree: &SourceTree) -> Vec<FunctionSize> {
    let mut functions = Vec::new();
    for module in tree.modules.iter().filter(|module| !module.is_test) {
        let mut collector = FunctionCollector {
            file: &module.file,
            functions: Vec::new(),
        };
        collector.visit_file(&module.syntax);
        functions.append(&mut collector.functions);
    }
    functions
}

/// How many lines inside the bodies of functions are comments.
pub fn comment_lines(tree: &SourceTree) -> usize {
    let mut count = 0;
    for module in tree.modules.iter().filter(|module| !module.is_test) {
        let mut collector = FunctionCollector {
            file: &module.file,
            functions: Vec::new(),
        };
        collector.visit_file(&module.syntax);
        let lines: Vec<&str> = module.text.lines().collect();
        let mut counted = vec![false; lines.len()];
        for function in &collector.functions {
            let body = function.start..function.start + function.lines;
            for at in body.filter(|at| *at < lines.len()) {
                let line = lines[at].trim_start();
                if !counted[at] && line.starts_with("//") && !line.starts_with("///") {
                    counted[at] = true;
                    count += 1;
                }
            }
        }
    }
    count
}

/// Prints every function over the limits, the longest first.
pub fn print_long(root: &Path) {
    let mut functions = all(&SourceTree::read(&root.join("src")));
    functions.retain(FunctionSize::is_long);
    functions.sort_by_key(|function| std::cmp::Reverse(function.tokens));
    for function in functions {
        println!(
            "{:>4} lines {:>5} tokens  src/{}:{} {}",
            function.lines, function.tokens, function.file, function.start, function.name
        );
    }
}

struct FunctionCollector<'a> {
    file: &'a str,
    functions: Vec<FunctionSize>,
}

impl FunctionCollector<'_> {
    fn add(
        &mut self,
        name: &syn::Ident,
        item: &impl ToTokens,
        signature: &syn::Signature,
        body: &syn::Block,
    ) {
        let start = signature.span().start().line;
        self.functions.push(FunctionSize {
            file: self.file.to_owned(),
            name: name.to_string(),
            start,
            lines: body.span().end().line + 1 - start,
            tokens: leaves(item.to_token_stream()),
        });
    }
}

fn leaves(tokens: TokenStream) -> usize {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => 2 + leaves(group.stream()),
            _ => 1,
        })
        .sum()
}

impl<'ast> Visit<'ast> for FunctionCollector<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_cfg_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_cfg_test(&function.attrs) {
            let without_docs = (&function.sig, &function.block);
            self.add(
                &function.sig.ident,
                &Both(without_docs),
                &function.sig,
                &function.block,
            );
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_cfg_test(&function.attrs) {
            let without_docs = (&function.sig, &function.block);
            self.add(
                &function.sig.ident,
                &Both(without_docs),
                &function.sig,
                &function.block,
            );
            visit::visit_impl_item_fn(self, function);
        }
    }
}

/// A signature and a body, without the attributes and docs before them.
struct Both<A, B>((A, B));

impl<A: ToTokens, B: ToTokens> ToTokens for Both<A, B> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.0.to_tokens(tokens);
        self.0.1.to_tokens(tokens);
    }
}
