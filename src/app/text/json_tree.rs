//! JSON as a tree that keeps what a parser into values would lose: the order of members, members
//! that are there twice, and how a number was written.

use std::collections::BTreeMap;

use super::json_text::{self, JsonToken};

/// A value; leaves are the text as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RawJsonNode<'a> {
    /// A string, number or word.
    Leaf(&'a str),
    /// Items.
    List(Vec<RawJsonNode<'a>>),
    /// Names as they were written, with their values.
    Map(Vec<(&'a str, RawJsonNode<'a>)>),
}

impl<'a> RawJsonNode<'a> {
    /// Reads a text; `None` when it is no JSON object or array, or nested beyond what JSON readers take.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if !json_text::is_json(text) {
            return None;
        }
        let tokens = json_text::tokens(text);
        let mut pieces = tokens
            .into_iter()
            .filter(|(kind, _)| *kind != JsonToken::Other)
            .map(|(_, piece)| piece)
            .peekable();
        value(&mut pieces)
    }

    /// The same value on one line.
    #[must_use]
    pub fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (index, (name, member)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(name);
                    out.push(':');
                    member.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Whether a name stands twice in one object, anywhere.
    #[must_use]
    pub fn has_doubles(&self) -> bool {
        match self {
            Self::Leaf(_) => false,
            Self::List(items) => items.iter().any(Self::has_doubles),
            Self::Map(members) => {
                let names: BTreeMap<String, ()> = members
                    .iter()
                    .map(|(name, _)| (unquoted(name), ()))
                    .collect();
                names.len() < members.len()
                    || members.iter().any(|(_, member)| member.has_doubles())
            }
        }
    }
}

/// A name as it reads, without its quotes and escapes.
#[must_use]
pub fn unquoted(name: &str) -> String {
    serde_json::from_str(name).unwrap_or_else(|_| name.to_owned())
}

/// One step of a JSON Pointer.
#[must_use]
pub fn child_pointer(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn value<'a>(
    pieces: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
) -> Option<RawJsonNode<'a>> {
    match pieces.next()? {
        "[" => {
            let mut items = Vec::new();
            while *pieces.peek()? != "]" {
                items.push(value(pieces)?);
                pieces.next_if_eq(&",");
            }
            pieces.next();
            Some(RawJsonNode::List(items))
        }
        "{" => {
            let mut members = Vec::new();
            while *pieces.peek()? != "}" {
                let name = pieces.next()?;
                pieces.next_if_eq(&":");
                members.push((name, value(pieces)?));
                pieces.next_if_eq(&",");
            }
            pieces.next();
            Some(RawJsonNode::Map(members))
        }
        leaf => Some(RawJsonNode::Leaf(leaf)),
    }
}

/// The line of each value in a text that [`json_text::laid_out`] made, for those pointers that are
/// asked for and there.
#[must_use]
pub fn pointer_lines<'p>(
    laid_out: &str,
    wanted: impl IntoIterator<Item = &'p str>,
) -> BTreeMap<&'p str, usize> {
    let wanted: BTreeMap<&str, ()> = wanted.into_iter().map(|pointer| (pointer, ())).collect();
    let mut found = BTreeMap::new();
    // Of each open value: its pointer, and the place of its next item where it is a list.
    let mut open: Vec<(String, Option<usize>)> = Vec::new();
    for (number, line) in laid_out.lines().enumerate() {
        let text = line.trim();
        if text.starts_with(['}', ']']) {
            open.pop();
            continue;
        }
        let pointer = match open.last_mut() {
            None => String::new(),
            Some((parent, Some(index))) => {
                *index += 1;
                format!("{parent}/{}", *index - 1)
            }
            Some((parent, None)) => {
                let name = json_text::tokens(text)
                    .first()
                    .map_or("", |(_, piece)| piece);
                child_pointer(parent, &unquoted(name))
            }
        };
        if let Some((known, ())) = wanted.get_key_value(pointer.as_str()) {
            found.entry(*known).or_insert(number);
        }
        if text.ends_with(['{', '[']) {
            open.push((pointer, text.ends_with('[').then_some(0)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_keeps_order_doubles_and_spelling() {
        let text = r#" {"b": 1.0, "a": [true, {}, []], "b": "x,:\"y"} "#;
        let node = RawJsonNode::parse(text).unwrap();
        assert_eq!(node.compact(), r#"{"b":1.0,"a":[true,{},[]],"b":"x,:\"y"}"#);
        assert!(node.has_doubles());
        assert!(
            !RawJsonNode::parse(r#"{"a":{"a":1}}"#)
                .unwrap()
                .has_doubles()
        );
        assert!(
            RawJsonNode::parse(r#"{"a":1,"\u0061":2}"#)
                .unwrap()
                .has_doubles(),
            "the same name in another spelling"
        );
        for bad in ["", "# x", "{\"a\":}", "[1,]", &"[".repeat(10_000)] {
            assert_eq!(RawJsonNode::parse(bad), None, "{:.20}", bad);
        }
    }

    #[test]
    fn a_pointer_is_found_on_the_line_where_its_value_begins() {
        let text = json_text::pretty_print(r#"{"a/b":{"x":[1,{"y":"{"}]},"z":"["}"#).unwrap();
        let wanted = [
            "",
            "/a~1b",
            "/a~1b/x",
            "/a~1b/x/0",
            "/a~1b/x/1",
            "/a~1b/x/1/y",
            "/z",
            "/nowhere",
        ];
        let found = pointer_lines(&text, wanted);
        let lines: Vec<Option<usize>> = wanted
            .iter()
            .map(|pointer| found.get(pointer).copied())
            .collect();
        assert_eq!(
            lines,
            [
                Some(0),
                Some(1),
                Some(2),
                Some(3),
                Some(4),
                Some(5),
                Some(9),
                None
            ],
            "{text}"
        );
    }
}
