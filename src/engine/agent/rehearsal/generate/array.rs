//! Arrays: a few elements, each different where that is demanded.

use serde_json::{Map, Value};

use super::UnsupportedSchema;
use super::flat::both;
use super::object::limit;
use crate::engine::agent::rehearsal::generate::generator::{DocumentGenerator, SchemaPosition};

/// Elements where the schema leaves it open.
const USUAL: usize = 3;
/// Elements that one array may be asked for.
const MOST: usize = 1000;
/// Tries to make an element that is not there yet.
const TRIES: usize = 64;

/// Makes an array.
pub fn make(
    maker: &mut DocumentGenerator<'_>,
    keywords: &Map<String, Value>,
    spot: &SchemaPosition,
) -> Result<Value, UnsupportedSchema> {
    let prefix: &[Value] = keywords
        .get("prefixItems")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice);
    let (least, wanted) = counts(keywords, spot, prefix.len())?;
    let contained = contained(keywords);
    let unique = keywords
        .get("uniqueItems")
        .is_some_and(|unique| *unique == Value::Bool(true));
    let said = keywords
        .get("description")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let spot = &SchemaPosition {
        list: said,
        ..spot.clone()
    };
    let mut made = Vec::new();
    for position in 0..wanted {
        let mut schema = prefix
            .get(position)
            .or_else(|| keywords.get("items"))
            .cloned()
            .unwrap_or(Value::Bool(true));
        if let Some(contains) = keywords.get("contains").filter(|_| position < contained) {
            schema = both(&schema, contains);
        }
        match element(maker, &schema, spot, &made, unique) {
            Ok(value) => made.push(value),
            Err(_) if position >= least => break,
            Err(cannot) => return Err(cannot),
        }
    }
    Ok(Value::Array(made))
}

/// The least that must be there, and how many are made if they can be.
fn counts(
    keywords: &Map<String, Value>,
    spot: &SchemaPosition,
    prefix: usize,
) -> Result<(usize, usize), UnsupportedSchema> {
    let most = limit(keywords, "maxItems").unwrap_or(usize::MAX);
    let least = limit(keywords, "minItems")
        .unwrap_or(0)
        .max(contained(keywords));
    if least > MOST || least > most {
        let why = if least > most {
            format!("more are needed than `maxItems` {most}")
        } else {
            format!("at most {MOST} are made")
        };
        return Err(UnsupportedSchema::new(&spot.pointer, "minItems", why));
    }
    let closed = keywords
        .get("items")
        .is_some_and(|items| *items == Value::Bool(false));
    let usual = if spot.lean {
        least
    } else if prefix > 0 || closed {
        prefix
    } else {
        USUAL
    };
    Ok((least, usual.max(least).min(most)))
}

fn contained(keywords: &Map<String, Value>) -> usize {
    if keywords.contains_key("contains") {
        limit(keywords, "minContains").unwrap_or(1)
    } else {
        0
    }
}

fn element(
    maker: &mut DocumentGenerator<'_>,
    schema: &Value,
    spot: &SchemaPosition,
    made: &[Value],
    unique: bool,
) -> Result<Value, UnsupportedSchema> {
    let known = maker.free.len();
    for salt in 0..TRIES {
        let value = maker.value(schema, &spot.element(made.len(), salt))?;
        if !unique || !made.contains(&value) {
            return Ok(value);
        }
        maker.free.truncate(known);
    }
    Err(UnsupportedSchema::new(
        &spot.pointer,
        "uniqueItems",
        format!("only {} different elements were found", made.len()),
    ))
}
