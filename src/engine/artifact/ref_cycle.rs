//! Finds references of a schema that lead nowhere, outside, or back to themselves.
//!
//! A `$ref` that comes back to itself without stepping into the value (`a` → `b` → `a`, also by way of
//! `allOf` and its like) says nothing, and validators accept everything by it. A schema that describes
//! a tree refers to itself too, but through `properties` or `items`; that is fine. So: the schemas are
//! nodes, references and the keywords that look at the *same* value are edges, and no cycle may be.
//!
//! Schemas stand alone: every reference begins with `#`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

// Keywords whose schemas look at the same value as the schema they stand in.
const SAME_VALUE: &[&str] = &["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];
// Keywords whose schemas look at a part of it, or at nothing by themselves.
const OTHER_VALUE: &[&str] = &[
    "$defs",
    "definitions",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "items",
    "prefixItems",
    "contains",
    "unevaluatedItems",
    "contentSchema",
];

/// Everything about the schema's references that must not be, in words; empty when all is well.
#[must_use]
pub fn problems(schema: &Value) -> Vec<String> {
    let mut graph = Graph { root: schema, edges: BTreeMap::new(), anchors: BTreeMap::new(), problems: Vec::new() };
    graph.collect_anchors(schema, "");
    graph.visit(String::new(), schema);
    let mut problems = graph.problems;
    problems
        .extend(cycle(&graph.edges).map(|at| format!("the reference at {} comes back to itself without looking at any value", shown(&at))));
    problems
}

struct Graph<'a> {
    root: &'a Value,
    // From the pointer of a schema to those of the schemas that look at the same value.
    edges: BTreeMap<String, BTreeSet<String>>,
    anchors: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl<'a> Graph<'a> {
    fn collect_anchors(&mut self, schema: &'a Value, at: &str) {
        for name in ["$anchor", "$dynamicAnchor"].iter().filter_map(|key| schema.get(key)?.as_str()) {
            self.anchors.insert(name.to_owned(), at.to_owned());
        }
        for keyword in SAME_VALUE.iter().chain(OTHER_VALUE) {
            for (pointer, inner) in schemas_in(schema, keyword, at) {
                self.collect_anchors(inner, &pointer);
            }
        }
    }

    fn visit(&mut self, at: String, schema: &'a Value) {
        if self.edges.contains_key(&at) || !schema.is_object() {
            return;
        }
        self.edges.insert(at.clone(), BTreeSet::new());
        if !at.is_empty() && schema.get("$id").is_some_and(Value::is_string) {
            self.problems.push(format!("$id at {} is not at the top", shown(&at)));
        }
        for keyword in ["$ref", "$dynamicRef"] {
            if let Some(target) = schema.get(keyword).and_then(Value::as_str) {
                self.follow(&at, keyword, target);
            }
        }
        for keyword in SAME_VALUE {
            for (pointer, inner) in schemas_in(schema, keyword, &at) {
                self.edges.entry(at.clone()).or_default().insert(pointer.clone());
                self.visit(pointer, inner);
            }
        }
        for keyword in OTHER_VALUE {
            for (pointer, inner) in schemas_in(schema, keyword, &at) {
                self.visit(pointer, inner);
            }
        }
    }

    fn follow(&mut self, at: &str, keyword: &str, target: &str) {
        let Some(fragment) = target.strip_prefix('#') else {
            self.problems.push(format!("{keyword} at {} leads outside; a schema stands alone, and references begin with '#'", shown(at)));
            return;
        };
        let pointer = if fragment.is_empty() || fragment.starts_with('/') {
            decode_percent(fragment)
        } else {
            self.anchors.get(fragment).cloned().unwrap_or_else(|| "\0".to_owned())
        };
        match self.root.pointer(&pointer) {
            Some(schema) => {
                self.edges.entry(at.to_owned()).or_default().insert(pointer.clone());
                self.visit(pointer, schema);
            }
            None => self.problems.push(format!("{keyword} at {} leads to nothing", shown(at))),
        }
    }
}

// The schemas directly beneath `keyword`, with their pointers: one, a list, or a map of them.
fn schemas_in<'a>(schema: &'a Value, keyword: &str, at: &str) -> Vec<(String, &'a Value)> {
    let here = format!("{at}/{}", escape(keyword));
    let is_map = matches!(keyword, "$defs" | "definitions" | "properties" | "patternProperties" | "dependentSchemas");
    match schema.get(keyword) {
        Some(Value::Object(map)) if is_map => map.iter().map(|(key, inner)| (format!("{here}/{}", escape(key)), inner)).collect(),
        Some(Value::Array(list)) => list.iter().enumerate().map(|(index, inner)| (format!("{here}/{index}"), inner)).collect(),
        Some(inner @ Value::Object(_)) => vec![(here, inner)],
        _ => Vec::new(),
    }
}

// A schema on a cycle, if there is one. What has no way out to the rest of a cycle is taken away
// until nothing changes; cycles are what is left.
fn cycle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        edges.iter().map(|(from, to)| (from.as_str(), to.iter().map(String::as_str).collect())).collect();
    loop {
        let ends: Vec<&str> = left.iter().filter(|(_, to)| !to.iter().any(|to| left.contains_key(to))).map(|(from, _)| *from).collect();
        if ends.is_empty() {
            return left.keys().find(|from| reaches_itself(&left, from)).map(|&from| from.to_owned());
        }
        for end in ends {
            left.remove(end);
        }
    }
}

fn reaches_itself(edges: &BTreeMap<&str, BTreeSet<&str>>, start: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = edges.get(start).into_iter().flatten().copied().collect();
    while let Some(at) = open.pop() {
        if at == start {
            return true;
        }
        if seen.insert(at) {
            open.extend(edges.get(at).into_iter().flatten().copied());
        }
    }
    false
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn decode_percent(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = if *first == b'%' { tail.get(..2).and_then(|digits| hex::decode(digits).ok()) } else { None };
        match decoded {
            Some(byte) => {
                bytes.extend(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(at: &str) -> &str {
    if at.is_empty() { "the top" } else { at }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_that_step_into_the_value_are_fine() {
        let fine = [
            json!({"type": "object"}),
            json!({"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"next": {"$ref": "#/$defs/a"}}}}}),
            json!({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object"}}}),
            json!({"items": {"$ref": "#item"}, "$defs": {"x": {"$anchor": "item", "type": "string"}}}),
            json!({"items": {"$ref": "#/$defs/a%20b"}, "$defs": {"a b": {"type": "string"}}}),
            json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}, "enum": [{"$ref": "http://x"}]}),
        ];
        for schema in fine {
            assert_eq!(problems(&schema), Vec::<String>::new(), "{schema}");
        }
    }

    #[test]
    fn references_that_come_back_are_named() {
        let table = [
            (json!({"$ref": "#"}), "the top"),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}), "/$defs/a"),
            (json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}), "/$defs/a"),
            (json!({"properties": {"x": {"anyOf": [{"type": "string"}, {"$ref": "#/properties/x"}]}}}), "/properties/x"),
            (json!({"$defs": {"a": {"$anchor": "me", "not": {"$ref": "#me"}}}}), "/$defs/a"),
            (json!({"$dynamicAnchor": "n", "if": {"$dynamicRef": "#n"}}), "the top"),
        ];
        for (schema, at) in table {
            assert_eq!(problems(&schema), [format!("the reference at {at} comes back to itself without looking at any value")], "{schema}");
        }
    }

    #[test]
    fn references_to_nothing_and_to_the_outside_are_named() {
        let table = [
            (json!({"$ref": "#/$defs/none"}), "$ref at the top leads to nothing"),
            (json!({"items": {"$ref": "#none"}}), "$ref at /items leads to nothing"),
            (json!({"items": {"$id": "x"}}), "$id at /items is not at the top"),
            (
                json!({"properties": {"x": {"$ref": "file:///etc/passwd"}}}),
                "$ref at /properties/x leads outside; a schema stands alone, and references begin with '#'",
            ),
        ];
        for (schema, expected) in table {
            assert_eq!(problems(&schema), [expected], "{schema}");
        }
    }
}
