//! Walks a schema and makes a value at each place of it.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::flat::{self, FlatSchema};
use super::{DocumentContext, UnsupportedSchema, array, number, object, text};
use crate::engine::artifact::strict_json::pointer_part;

/// Values in one document before it counts as endless.
const MAX_VALUES: usize = 20_000;
/// Places above a value before it counts as endless.
const MAX_DEPTH: usize = 48;
/// Depth from which only what is demanded is made.
const LEAN_DEPTH: usize = 7;

/// A string of the document that may say anything, within its length.
#[derive(Clone, Debug)]
pub struct FreeText {
    /// Where it stands.
    pub pointer: String,
    /// The property it belongs to.
    pub name: String,
    /// Characters it may have.
    pub max_length: usize,
}

/// Makes one document.
pub struct DocumentGenerator<'a> {
    pub root: &'a Value,
    pub about: &'a DocumentContext<'a>,
    /// Which of several ways is taken where there is a choice.
    pub choice: usize,
    /// Whether only what is demanded is made.
    pub lean: bool,
    /// The free texts made so far.
    pub free: Vec<FreeText>,
    values: usize,
}

/// A place in the document.
#[derive(Clone, Debug, Default)]
pub struct SchemaPosition {
    /// JSON Pointer to it.
    pub pointer: String,
    /// The property it is, or belongs to as an element.
    pub name: String,
    /// The property that holds it.
    pub parent: String,
    /// Its index in the nearest array; 0 outside of any.
    pub index: usize,
    /// How many places are above it.
    pub depth: usize,
    /// References followed on the way here.
    pub refs: Vec<String>,
    /// Whether only what is demanded is made here.
    pub lean: bool,
    /// What the list that holds it says of itself.
    pub list: Option<String>,
}

impl SchemaPosition {
    /// The place of a property.
    pub fn property(&self, name: &str) -> Self {
        let pointer = format!("{}/{}", self.pointer, pointer_part(name));
        Self {
            pointer,
            name: name.to_owned(),
            parent: self.name.clone(),
            depth: self.depth + 1,
            list: None,
            ..self.clone()
        }
    }

    /// The place of an element; `salt` tells apart several tries to make a different one.
    pub fn element(&self, position: usize, salt: usize) -> Self {
        Self {
            pointer: format!("{}/{position}", self.pointer),
            index: position + salt,
            depth: self.depth + 1,
            ..self.clone()
        }
    }
}

impl<'a> DocumentGenerator<'a> {
    /// A generator for one document of the schema `root`.
    pub fn new(root: &'a Value, about: &'a DocumentContext<'a>, choice: usize, lean: bool) -> Self {
        Self {
            root,
            about,
            choice,
            lean,
            free: Vec::new(),
            values: 0,
        }
    }

    /// Makes the whole document.
    pub fn document(&mut self) -> Result<Value, UnsupportedSchema> {
        self.value(
            self.root,
            &SchemaPosition {
                lean: self.lean,
                ..SchemaPosition::default()
            },
        )
    }

    /// Makes the value at `spot`.
    pub fn value(
        &mut self,
        schema: &Value,
        spot: &SchemaPosition,
    ) -> Result<Value, UnsupportedSchema> {
        self.values += 1;
        if self.values > MAX_VALUES || spot.depth > MAX_DEPTH {
            return Err(UnsupportedSchema::new(
                &spot.pointer,
                "$ref",
                "the document would never end",
            ));
        }
        let FlatSchema {
            keywords,
            refs,
            repeated,
        } = flat::flatten(self.root, schema, spot, self.choice)?;
        let spot = SchemaPosition {
            lean: spot.lean || repeated || spot.depth >= LEAN_DEPTH,
            refs,
            ..spot.clone()
        };
        if let Some(value) = keywords.get("const") {
            return Ok(value.clone());
        }
        if let Some(values) = keywords.get("enum").and_then(Value::as_array) {
            return self.one_of(values, &keywords, &spot);
        }
        match self.kind(&keywords) {
            "object" => object::make(self, &keywords, &spot),
            "array" => array::make(self, &keywords, &spot),
            "integer" => number::integer(&keywords, &spot, self.about),
            "number" => number::number(&keywords, &spot, self.about),
            "boolean" => Ok(Value::Bool((spot.index + self.choice).is_multiple_of(2))),
            "null" => Ok(Value::Null),
            "string" => text::make(self, &keywords, &spot).map(Value::String),
            other => Err(UnsupportedSchema::new(
                &spot.pointer,
                "type",
                format!("there is no type '{other}'"),
            )),
        }
    }

    /// Bytes that depend on run, phase, attempt and place alone.
    pub fn uuid_at(&self, spot: &SchemaPosition) -> Uuid {
        let name = format!(
            "{}/{}{}#{}",
            self.about.phase_key, self.about.attempt, spot.pointer, spot.index
        );
        Uuid::new_v5(&self.about.run_id.0, name.as_bytes())
    }

    fn one_of(
        &self,
        values: &[Value],
        keywords: &Map<String, Value>,
        spot: &SchemaPosition,
    ) -> Result<Value, UnsupportedSchema> {
        let kinds = types(keywords);
        let fits =
            |value: &&Value| kinds.is_empty() || kinds.iter().any(|kind| is_type(value, kind));
        let values: Vec<&Value> = values.iter().filter(fits).collect();
        match values.len() {
            0 => Err(UnsupportedSchema::new(
                &spot.pointer,
                "enum",
                "no value fits everything else that is demanded",
            )),
            n => Ok(values[(spot.index + self.choice) % n].clone()),
        }
    }

    fn kind(&self, keywords: &Map<String, Value>) -> &'static str {
        let mut kinds: Vec<&'static str> = types(keywords);
        kinds.sort_by_key(|kind| *kind == "null");
        match kinds.len() {
            0 => implied_type(keywords),
            n => kinds[self.choice % n],
        }
    }
}

const TYPES: [&str; 7] = [
    "object", "array", "string", "integer", "number", "boolean", "null",
];

fn types(keywords: &Map<String, Value>) -> Vec<&'static str> {
    let known = |name: &str| TYPES.into_iter().find(|known| *known == name);
    match keywords.get("type") {
        Some(Value::String(name)) => vec![known(name).unwrap_or("unknown")],
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .filter_map(known)
            .collect(),
        _ => Vec::new(),
    }
}

fn implied_type(keywords: &Map<String, Value>) -> &'static str {
    let has = |names: &[&str]| names.iter().any(|name| keywords.contains_key(*name));
    if has(&[
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "minProperties",
        "propertyNames",
    ]) {
        "object"
    } else if has(&[
        "items",
        "prefixItems",
        "contains",
        "minItems",
        "uniqueItems",
    ]) {
        "array"
    } else if has(&[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]) {
        "number"
    } else {
        "string"
    }
}

fn is_type(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}
