//! Brings together everything that a schema demands of one place: references followed, `allOf`
//! merged, and one way chosen of `oneOf`, `anyOf`, `if`.

use serde_json::{Map, Value, json};

use super::UnsupportedSchema;
use crate::engine::agent::rehearsal::generate::generator::SchemaPosition;

/// Schemas that may apply to one value; references can double them at each step.
const MAX_PARTS: usize = 2000;

/// The keywords that hold at one place, none of which leads elsewhere for the same place.
pub struct FlatSchema {
    /// The keywords.
    pub keywords: Map<String, Value>,
    /// References followed on the way here, this place included.
    pub refs: Vec<String>,
    /// Whether one of them had been followed before: the schema refers to itself.
    pub repeated: bool,
}

/// Flattens `schema` for the value at `spot`, taking way `choice` where there is one.
pub fn flatten(
    root: &Value,
    schema: &Value,
    spot: &SchemaPosition,
    choice: usize,
) -> Result<FlatSchema, UnsupportedSchema> {
    let mut flat = FlatSchema {
        keywords: Map::new(),
        refs: spot.refs.clone(),
        repeated: false,
    };
    let mut gather = SchemaGatherer {
        root,
        spot,
        choice,
        here: Vec::new(),
        flat: &mut flat,
        parts: 0,
    };
    gather.take(schema)?;
    Ok(flat)
}

struct SchemaGatherer<'a> {
    root: &'a Value,
    spot: &'a SchemaPosition,
    choice: usize,
    /// References being followed at this place; one that comes again leads nowhere.
    here: Vec<String>,
    flat: &'a mut FlatSchema,
    /// Parts taken so far.
    parts: usize,
}

impl SchemaGatherer<'_> {
    fn take(&mut self, schema: &Value) -> Result<(), UnsupportedSchema> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(self.cannot(
                "allOf",
                format!("more than {MAX_PARTS} schemas apply to one value"),
            ));
        }
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(schema) => schema,
            _ => return Err(self.cannot("false", "no value is allowed here")),
        };
        for (keyword, value) in schema {
            match keyword.as_str() {
                "$ref" | "$dynamicRef" => self.follow(value)?,
                "allOf" => value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .try_for_each(|part| self.take(part))?,
                "oneOf" | "anyOf" => self.choose(keyword, value)?,
                "dependentSchemas" if !self.spot.lean => {
                    value
                        .as_object()
                        .into_iter()
                        .flat_map(Map::values)
                        .try_for_each(|part| self.take(part))?;
                }
                "if" | "then" | "else" | "$defs" | "definitions" | "dependentSchemas" => {}
                _ => merge(&mut self.flat.keywords, keyword, value),
            }
        }
        self.condition(schema)
    }

    fn follow(&mut self, target: &Value) -> Result<(), UnsupportedSchema> {
        let target = target.as_str().unwrap_or_default();
        if self.here.iter().any(|seen| seen == target) {
            return Err(self.cannot("$ref", format!("'{target}' refers to itself")));
        }
        self.flat.repeated |= self.flat.refs.iter().any(|seen| seen == target);
        let schema = resolve(self.root, target)
            .ok_or_else(|| self.cannot("$ref", format!("'{target}' is not within the schema")))?;
        self.flat.refs.push(target.to_owned());
        self.here.push(target.to_owned());
        let taken = self.take(schema);
        self.here.pop();
        taken
    }

    /// Ways that end soon come first where the schema refers to itself; null is the last resort.
    fn choose(&mut self, keyword: &str, ways: &Value) -> Result<(), UnsupportedSchema> {
        let mut ways: Vec<&Value> = ways.as_array().into_iter().flatten().collect();
        let lean = self.spot.lean || self.flat.repeated;
        ways.sort_by_key(|way| {
            (
                lean && way.to_string().contains("\"$ref\""),
                !lean && way["type"] == "null",
            )
        });
        match ways.len() {
            0 => Err(self.cannot(keyword, "there is nothing to choose from")),
            n => self.take(ways[self.choice % n]),
        }
    }

    fn condition(&mut self, schema: &Map<String, Value>) -> Result<(), UnsupportedSchema> {
        let Some(condition) = schema.get("if") else {
            return Ok(());
        };
        if self.choice.is_multiple_of(2) {
            self.take(condition)?;
            schema.get("then").map_or(Ok(()), |then| self.take(then))
        } else {
            schema.get("else").map_or(Ok(()), |other| self.take(other))
        }
    }

    fn cannot(&self, keyword: &str, why: impl Into<String>) -> UnsupportedSchema {
        UnsupportedSchema::new(&self.spot.pointer, keyword, why)
    }
}

/// The schema that a local reference means: `#`, `#/a/pointer` or `#anchor`.
fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    let fragment = target.strip_prefix('#')?;
    if fragment.is_empty() || fragment.starts_with('/') {
        root.pointer(fragment)
    } else {
        anchored(root, fragment)
    }
}

fn anchored<'a>(value: &'a Value, anchor: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map)
            if ["$anchor", "$dynamicAnchor"]
                .iter()
                .any(|key| map.get(*key).is_some_and(|v| v == anchor)) =>
        {
            Some(value)
        }
        Value::Object(map) => map.values().find_map(|part| anchored(part, anchor)),
        Value::Array(list) => list.iter().find_map(|part| anchored(part, anchor)),
        _ => None,
    }
}

/// Adds a keyword so that both what was demanded and what comes holds, as far as one value can say it.
fn merge(keywords: &mut Map<String, Value>, keyword: &str, value: &Value) {
    let Some(old) = keywords.get_mut(keyword) else {
        keywords.insert(keyword.to_owned(), value.clone());
        return;
    };
    match keyword {
        "title" | "description" | "$schema" | "$id" => {}
        "properties" | "patternProperties" => merge_properties(old, value),
        "required" => append_new(old, value),
        "enum" | "type" => keep_common(old, value),
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties"
        | "minContains" => keep_if(old, value, |a, b| b > a),
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties"
        | "maxContains" => keep_if(old, value, |a, b| b < a),
        "items" | "additionalProperties" | "propertyNames" | "contains" => *old = both(old, value),
        _ => *old = value.clone(),
    }
}

/// A schema that demands what both demand.
pub fn both(a: &Value, b: &Value) -> Value {
    json!({ "allOf": [a, b] })
}

fn merge_properties(old: &mut Value, value: &Value) {
    let (Some(old), Some(new)) = (old.as_object_mut(), value.as_object()) else {
        return;
    };
    for (name, schema) in new {
        let merged = old
            .get(name)
            .map_or_else(|| schema.clone(), |before| both(before, schema));
        old.insert(name.clone(), merged);
    }
}

fn append_new(old: &mut Value, value: &Value) {
    let (Some(old), Some(new)) = (old.as_array_mut(), value.as_array()) else {
        return;
    };
    for name in new {
        if !old.contains(name) {
            old.push(name.clone());
        }
    }
}

fn keep_common(old: &mut Value, value: &Value) {
    let list = |value: &Value| {
        value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()])
    };
    let (a, b) = (list(old), list(value));
    let has = |list: &[Value], v: &Value| {
        list.contains(v) || (v == "integer" && list.iter().any(|other| other == "number"))
    };
    let mut common: Vec<Value> = a.iter().filter(|v| has(&b, v)).cloned().collect();
    common.extend(b.iter().filter(|v| has(&a, v) && !a.contains(v)).cloned());
    *old = Value::Array(common);
}

fn keep_if(old: &mut Value, value: &Value, better: fn(f64, f64) -> bool) {
    if let (Some(a), Some(b)) = (old.as_f64(), value.as_f64())
        && better(a, b)
    {
        *old = value.clone();
    }
}
