//! Checks references within a schema document: they must be local, resolve, and terminate.
//!
//! The walk visits every location that the draft reads as a schema, and every target of a
//! reference. A cycle through `properties` or `items` is a valid recursive data type, because the
//! data is finite. A cycle that never descends into the data would not terminate, so it is
//! rejected.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::artifact::schema_lint::SchemaFinding;
use crate::engine::artifact::strict_json::pointer_part;
use serde_json::{Map, Value};

/// Keywords whose value is a schema; `true` if it applies to the same location in the data.
const SINGLE: &[(&str, bool)] = &[
    ("additionalProperties", false),
    ("contains", false),
    ("contentSchema", false),
    ("else", true),
    ("if", true),
    ("items", false),
    ("not", true),
    ("propertyNames", false),
    ("then", true),
    ("unevaluatedItems", false),
    ("unevaluatedProperties", false),
];
/// Keywords whose value is a list or an object of schemas.
const MANY: &[(&str, bool)] = &[
    ("$defs", false),
    ("allOf", true),
    ("anyOf", true),
    ("definitions", false),
    ("dependentSchemas", true),
    ("oneOf", true),
    ("patternProperties", false),
    ("prefixItems", false),
    ("properties", false),
];
const REFERENCES: &[&str] = &["$ref", "$dynamicRef"];

/// Returns all problems with the document's references.
pub(super) fn check(root: &Value) -> Vec<SchemaFinding> {
    let mut walk = ReferenceWalk {
        root,
        anchors: BTreeMap::new(),
        same_place: BTreeMap::new(),
        found: Vec::new(),
    };
    walk.collect_anchors();
    walk.run();
    if walk.found.is_empty() {
        walk.found.extend(circle(&walk.same_place));
    }
    walk.found
}

struct ReferenceWalk<'a> {
    root: &'a Value,
    /// Pointers of schemas by `$anchor` and `$dynamicAnchor`.
    anchors: BTreeMap<String, String>,
    /// For each schema, the schemas that apply to the same location in the data.
    same_place: BTreeMap<String, BTreeSet<String>>,
    found: Vec<SchemaFinding>,
}

impl ReferenceWalk<'_> {
    fn collect_anchors(&mut self) {
        let mut waiting = vec![String::new()];
        let mut seen = BTreeSet::new();
        while let Some(pointer) = waiting.pop() {
            let Some(Value::Object(schema)) = self.root.pointer(&pointer) else {
                continue;
            };
            for key in ["$anchor", "$dynamicAnchor"] {
                if let Some(Value::String(name)) = schema.get(key) {
                    self.anchors.insert(name.clone(), pointer.clone());
                }
            }
            waiting.extend(
                children(schema, &pointer)
                    .into_iter()
                    .map(|(child, _)| child)
                    .filter(|child| seen.insert(child.clone())),
            );
        }
    }

    fn run(&mut self) {
        let mut waiting = vec![String::new()];
        while let Some(pointer) = waiting.pop() {
            if self.same_place.contains_key(&pointer) {
                continue;
            }
            let mut here = BTreeSet::new();
            if let Some(Value::Object(schema)) = self.root.pointer(&pointer) {
                self.nested_id(schema, &pointer);
                for (child, same) in children(schema, &pointer) {
                    here.extend(same.then(|| child.clone()));
                    waiting.push(child);
                }
                for target in self.targets(schema, &pointer) {
                    here.insert(target.clone());
                    waiting.push(target);
                }
            }
            self.same_place.insert(pointer, here);
        }
        self.found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    }

    // A nested `$id` changes the base URI of the references beneath it.
    fn nested_id(&mut self, schema: &Map<String, Value>, pointer: &str) {
        if !pointer.is_empty() && schema.contains_key("$id") {
            self.found.push(SchemaFinding::new(
                format!("{pointer}/$id"),
                "a schema within a schema has its own $id",
                "remove it; use $defs and #/$defs/NAME",
            ));
        }
    }

    fn targets(&mut self, schema: &Map<String, Value>, pointer: &str) -> Vec<String> {
        let mut targets = Vec::new();
        for key in REFERENCES {
            let Some(Value::String(reference)) = schema.get(*key) else {
                continue;
            };
            match self.target(reference) {
                Ok(target) => targets.push(target),
                Err((message, hint)) => self.found.push(SchemaFinding::new(
                    format!("{pointer}/{key}"),
                    message,
                    hint,
                )),
            }
        }
        targets
    }

    fn target(&self, reference: &str) -> Result<String, (String, &'static str)> {
        let Some(fragment) = reference.strip_prefix('#') else {
            let message = format!("the reference '{reference}' leads out of the document");
            return Err((
                message,
                "copy what it names into $defs and write #/$defs/NAME; nothing is ever fetched",
            ));
        };
        let pointer = match fragment {
            "" => Some(String::new()),
            _ if fragment.starts_with('/') => unescaped(fragment),
            name => self.anchors.get(name).cloned(),
        };
        pointer
            .filter(|pointer| {
                matches!(
                    self.root.pointer(pointer),
                    Some(Value::Object(_) | Value::Bool(_))
                )
            })
            .ok_or_else(|| {
                (
                    format!("the reference '{reference}' leads to no schema in this document"),
                    "write #/$defs/NAME, with NAME in $defs",
                )
            })
    }
}

/// The schemas directly beneath one, and whether they are asked about the same place of the data.
fn children(schema: &Map<String, Value>, pointer: &str) -> Vec<(String, bool)> {
    let single = SINGLE
        .iter()
        .filter(|(key, _)| schema.contains_key(*key))
        .map(|(key, same)| (format!("{pointer}/{key}"), *same));
    let many = MANY.iter().flat_map(|(key, same)| {
        let names: Vec<String> = match schema.get(*key) {
            Some(Value::Object(members)) => members.keys().map(|name| pointer_part(name)).collect(),
            Some(Value::Array(items)) => (0..items.len()).map(|i| i.to_string()).collect(),
            _ => Vec::new(),
        };
        names
            .into_iter()
            .map(move |name| (format!("{pointer}/{key}/{name}"), *same))
    });
    single.chain(many).collect()
}

/// A URI fragment as a JSON Pointer; `None` when its percent signs are wrong.
fn unescaped(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.extend(hex::decode(digits).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Finds a cycle among `edges`: repeatedly removes schemas without outgoing edges, until none is
/// left or only cycles and their predecessors remain.
fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<SchemaFinding> {
    let mut left = edges.clone();
    let mut leads_from: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges {
        to.iter()
            .for_each(|to| leads_from.entry(to).or_default().push(from));
    }
    let mut ends: Vec<&str> = edges
        .iter()
        .filter(|(_, to)| to.is_empty())
        .map(|(from, _)| from.as_str())
        .collect();
    while let Some(end) = ends.pop() {
        left.remove(end);
        for from in leads_from.get(end).into_iter().flatten() {
            if let Some(to) = left.get_mut(*from)
                && to.remove(end)
                && to.is_empty()
            {
                ends.push(from);
            }
        }
    }
    let mut path: Vec<&str> = vec![left.keys().next()?];
    loop {
        let next = left.get(*path.last()?)?.iter().next()?.as_str();
        if let Some(start) = path.iter().position(|seen| *seen == next) {
            let names: Vec<String> = path
                .iter()
                .skip(start)
                .chain([&next])
                .map(|pointer| format!("#{pointer}"))
                .collect();
            let message = format!("references go in a circle: {}", names.join(" → "));
            return Some(SchemaFinding::new(
                next,
                message,
                "let one of them describe the data itself, with type or properties",
            ));
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(schema: &Value) -> Vec<(String, String)> {
        check(schema)
            .into_iter()
            .map(|finding| (finding.pointer, finding.message))
            .collect()
    }

    #[test]
    fn recursive_data_is_accepted() {
        for schema in [
            json!({"type": "object"}),
            json!({"properties": {"child": {"$ref": "#"}}}),
            json!({"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}),
            json!({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object"}}}),
            json!({"items": {"$ref": "#item"}, "$defs": {"x": {"$anchor": "item", "type": "string"}}}),
            json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"sub": {"items": {"$ref": "#/$defs/tree"}}}}}}),
            json!({"$defs": {"n": {"$anchor": "node", "additionalProperties": {"$ref": "#node"}}}, "$ref": "#node"}),
            json!({"$defs": {"a/b": true}, "$ref": "#/$defs/a~1b"}),
            json!({"$defs": {"a b": true}, "$ref": "#/$defs/a%20b"}),
            json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}, "enum": [{"$ref": "http://x"}]}),
        ] {
            assert_eq!(told(&schema), [], "{schema}");
        }
    }

    #[test]
    fn circles_are_refused_with_their_way() {
        for (schema, pointer, message) in [
            (json!({"$ref": "#"}), "", "references go in a circle: # → #"),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
                "/$defs/a",
                "references go in a circle: #/$defs/a → #/$defs/b → #/$defs/a",
            ),
            (
                json!({"$defs": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}}}),
                "/$defs/a",
                "references go in a circle: #/$defs/a → #/$defs/a/anyOf/1 → #/$defs/a",
            ),
            (
                json!({"$dynamicAnchor": "x", "$dynamicRef": "#x"}),
                "",
                "references go in a circle: # → #",
            ),
            (
                json!({"$dynamicAnchor": "n", "if": {"$dynamicRef": "#n"}}),
                "",
                "references go in a circle: # → #/if → #",
            ),
            (
                json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
                "/$defs/a",
                "references go in a circle: #/$defs/a → #/$defs/a/allOf/0 → #/$defs/a",
            ),
            (
                json!({"$defs": {"a": {"$anchor": "me", "not": {"$ref": "#me"}}}}),
                "/$defs/a",
                "references go in a circle: #/$defs/a → #/$defs/a/not → #/$defs/a",
            ),
            (
                json!({"properties": {"x": {"anyOf": [{"type": "string"}, {"$ref": "#/properties/x"}]}}}),
                "/properties/x",
                "references go in a circle: #/properties/x → #/properties/x/anyOf/1 → #/properties/x",
            ),
        ] {
            assert_eq!(
                told(&schema),
                [(pointer.to_owned(), message.to_owned())],
                "{schema}"
            );
        }
    }

    #[test]
    fn what_leads_out_or_nowhere_is_refused_also_behind_unknown_keywords() {
        for (schema, pointer, message) in [
            (
                json!({"$ref": "http://example.com/x"}),
                "/$ref",
                "the reference 'http://example.com/x' leads out of the document",
            ),
            (
                json!({"items": {"$ref": "file:///etc/passwd"}}),
                "/items/$ref",
                "the reference 'file:///etc/passwd' leads out of the document",
            ),
            (
                json!({"items": {"$ref": "other.json#/x"}}),
                "/items/$ref",
                "the reference 'other.json#/x' leads out of the document",
            ),
            (
                json!({"$ref": "#/$defs/x"}),
                "/$ref",
                "the reference '#/$defs/x' leads to no schema in this document",
            ),
            (
                json!({"items": {"$ref": "#none"}}),
                "/items/$ref",
                "the reference '#none' leads to no schema in this document",
            ),
            (
                json!({"items": {"$id": "x"}}),
                "/items/$id",
                "a schema within a schema has its own $id",
            ),
            (
                json!({"$ref": "#name"}),
                "/$ref",
                "the reference '#name' leads to no schema in this document",
            ),
            (
                json!({"$ref": "#/x", "x": {"$ref": "http://y"}}),
                "/x/$ref",
                "the reference 'http://y' leads out of the document",
            ),
            (
                json!({"not": {"$id": "http://z"}}),
                "/not/$id",
                "a schema within a schema has its own $id",
            ),
        ] {
            assert_eq!(
                told(&schema),
                [(pointer.to_owned(), message.to_owned())],
                "{schema}"
            );
        }
    }
}
