//! Objects: every property that may be there, and as few as must be where it has to be lean.

use regex::Regex;
use serde_json::{Map, Value};

use super::UnsupportedSchema;
use super::flat::both;
use super::text;
use crate::engine::agent::rehearsal::generate::generator::{DocumentGenerator, SchemaPosition};

/// Entries given to a map that names no properties of its own.
const MAP_ENTRIES: usize = 2;

type SchemaKeywords = Map<String, Value>;

/// Makes an object.
pub fn make(
    maker: &mut DocumentGenerator<'_>,
    keywords: &SchemaKeywords,
    spot: &SchemaPosition,
) -> Result<Value, UnsupportedSchema> {
    let mut made = Map::new();
    let required = demanded(keywords);
    for name in &required {
        let value = maker.value(&schema_of(keywords, name), &spot.property(name))?;
        made.insert(name.clone(), value);
    }
    let most = limit(keywords, "maxProperties").unwrap_or(usize::MAX);
    if !spot.lean {
        add_optional(maker, keywords, spot, &mut made, most);
    }
    add_entries(maker, keywords, spot, &mut made, most)?;
    Ok(Value::Object(in_order(made, keywords)))
}

/// What must be there, what depends on it included.
fn demanded(keywords: &SchemaKeywords) -> Vec<String> {
    let names = |value: Option<&Value>| -> Vec<String> {
        value
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let mut all = names(keywords.get("required"));
    let mut next = 0;
    while next < all.len() {
        let needs = names(
            keywords
                .get("dependentRequired")
                .and_then(|needs| needs.get(&all[next])),
        );
        all.extend(
            needs
                .into_iter()
                .filter(|name| !all.contains(name))
                .collect::<Vec<_>>(),
        );
        next += 1;
    }
    all
}

/// An optional property that cannot be made is left out: the document is valid without it.
fn add_optional(
    maker: &mut DocumentGenerator<'_>,
    keywords: &SchemaKeywords,
    spot: &SchemaPosition,
    made: &mut SchemaKeywords,
    most: usize,
) {
    for name in keywords
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
    {
        if made.contains_key(name) || made.len() >= most {
            continue;
        }
        if let Ok(value) = maker.value(&schema_of(keywords, name), &spot.property(name)) {
            made.insert(name.clone(), value);
        }
    }
}

/// Everything the object's keywords say about one property.
fn schema_of(keywords: &SchemaKeywords, name: &str) -> Value {
    let own = keywords
        .get("properties")
        .and_then(|properties| properties.get(name));
    let by_pattern = keywords
        .get("patternProperties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let matching = by_pattern
        .filter(|(pattern, _)| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name)))
        .map(|(_, schema)| schema);
    let mut parts = own.into_iter().chain(matching);
    match parts.next() {
        Some(first) => parts.fold(first.clone(), |all, part| both(&all, part)),
        None => keywords
            .get("additionalProperties")
            .cloned()
            .unwrap_or(Value::Bool(true)),
    }
}

/// Entries with names of our own: for maps, and where `minProperties` asks for more.
fn add_entries(
    maker: &mut DocumentGenerator<'_>,
    keywords: &SchemaKeywords,
    spot: &SchemaPosition,
    made: &mut SchemaKeywords,
    most: usize,
) -> Result<(), UnsupportedSchema> {
    let least = limit(keywords, "minProperties").unwrap_or(0);
    let is_map = made.is_empty()
        && (keywords
            .get("additionalProperties")
            .is_some_and(Value::is_object)
            || keywords.contains_key("patternProperties"));
    let wanted = if is_map && !spot.lean {
        MAP_ENTRIES.max(least)
    } else {
        least
    }
    .min(most);
    let mut salt = 0;
    while made.len() < wanted && salt < wanted + 16 {
        salt += 1;
        let Some(name) = entry_name(maker, keywords, spot, salt) else {
            break;
        };
        if !made.contains_key(&name) {
            let value = maker.value(
                &schema_of(keywords, &name),
                &SchemaPosition {
                    index: salt - 1,
                    ..spot.property(&name)
                },
            )?;
            made.insert(name, value);
        }
    }
    if made.len() < least {
        return Err(UnsupportedSchema::new(
            &spot.pointer,
            "minProperties",
            format!("{} names were found of {least}", made.len()),
        ));
    }
    Ok(())
}

fn entry_name(
    maker: &mut DocumentGenerator<'_>,
    keywords: &SchemaKeywords,
    spot: &SchemaPosition,
    salt: usize,
) -> Option<String> {
    let spot = SchemaPosition {
        name: "key".to_owned(),
        index: salt,
        ..spot.clone()
    };
    if let Some(names) = keywords.get("propertyNames") {
        return maker.value(names, &spot).ok()?.as_str().map(str::to_owned);
    }
    let patterns = keywords.get("patternProperties").and_then(Value::as_object);
    match patterns.and_then(|patterns| patterns.keys().next()) {
        Some(pattern) => text::of_pattern(pattern, salt, 0),
        None => Some(format!("rehearsal_{salt}")),
    }
}

/// The order of the schema's properties reads better than the order they were made in.
fn in_order(mut made: SchemaKeywords, keywords: &SchemaKeywords) -> SchemaKeywords {
    let mut ordered = Map::new();
    for name in keywords
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
    {
        if let Some(value) = made.remove(name) {
            ordered.insert(name.clone(), value);
        }
    }
    ordered.extend(made);
    ordered
}

/// A limit that counts something.
pub fn limit(keywords: &SchemaKeywords, name: &str) -> Option<usize> {
    let number = keywords.get(name)?;
    let whole = number.as_u64().or_else(|| {
        number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && *n >= 0.0)
            .map(|n| n as u64)
    });
    usize::try_from(whole?).ok()
}
