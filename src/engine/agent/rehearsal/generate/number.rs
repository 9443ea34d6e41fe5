//! Numbers: small, within their bounds, and multiples where they must be.

use super::{DocumentContext, UnsupportedSchema};
use crate::engine::agent::rehearsal::generate::generator::SchemaPosition;
use serde_json::{Map, Number, Value};

/// Makes a whole number.
pub fn integer(
    keywords: &Map<String, Value>,
    spot: &SchemaPosition,
    about: &DocumentContext<'_>,
) -> Result<Value, UnsupportedSchema> {
    let (low, high) = bounds(keywords);
    let step = keywords
        .get("multipleOf")
        .and_then(Value::as_f64)
        .unwrap_or(1.0);
    // A step such as 2.5 or 0.1 meets whole numbers at some multiple of it.
    let step = (1..=1000)
        .map(|n| step * f64::from(n))
        .find(|n| n.fract() == 0.0)
        .unwrap_or(step);
    let value = pick(low.map(f64::ceil), high.map(f64::floor), step, spot, about)?;
    if value.fract() != 0.0 || value.abs() > 9e15 {
        return Err(UnsupportedSchema::new(
            &spot.pointer,
            "type",
            "no whole number was found within the bounds",
        ));
    }
    Ok(Value::from(value as i64))
}

/// Makes a number, whole where that is possible.
pub fn number(
    keywords: &Map<String, Value>,
    spot: &SchemaPosition,
    about: &DocumentContext<'_>,
) -> Result<Value, UnsupportedSchema> {
    if let Ok(whole) = integer(keywords, spot, about) {
        return Ok(whole);
    }
    let (low, high) = bounds(keywords);
    let value = match (
        keywords.get("multipleOf").and_then(Value::as_f64),
        low,
        high,
    ) {
        (Some(step), ..) => pick(low, high, step, spot, about)?,
        (None, Some(low), Some(high)) => f64::midpoint(low, high),
        (None, low, high) => low.or(high).unwrap_or(0.5),
    };
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| UnsupportedSchema::new(&spot.pointer, "type", "the bounds are no numbers"))
}

/// The inclusive bounds; an exclusive one is moved by the smallest step that believable numbers have.
fn bounds(keywords: &Map<String, Value>) -> (Option<f64>, Option<f64>) {
    let of = |name: &str| keywords.get(name).and_then(Value::as_f64);
    let (above, below) = (of("exclusiveMinimum"), of("exclusiveMaximum"));
    let gap = match (above.or(of("minimum")), below.or(of("maximum"))) {
        (Some(low), Some(high)) if high > low => ((high - low) / 4.0).min(0.5),
        _ => 0.5,
    };
    let low = of("minimum")
        .into_iter()
        .chain(above.map(|n| n + gap))
        .reduce(f64::max);
    let high = of("maximum")
        .into_iter()
        .chain(below.map(|n| n - gap))
        .reduce(f64::min);
    (low, high)
}

/// A multiple of `step` within the bounds that differs by place and attempt where there is room.
fn pick(
    low: Option<f64>,
    high: Option<f64>,
    step: f64,
    spot: &SchemaPosition,
    about: &DocumentContext<'_>,
) -> Result<f64, UnsupportedSchema> {
    let seed = spot.index as f64 + f64::from(about.attempt);
    let (first, last) = (
        low.map(|low| (low / step).ceil()),
        high.map(|high| (high / step).floor()),
    );
    let count = match (first, last) {
        (Some(first), Some(last)) if first > last => {
            return Err(UnsupportedSchema::new(
                &spot.pointer,
                "multipleOf",
                format!("no multiple of {step} lies within the bounds"),
            ));
        }
        (Some(first), Some(last)) => first + (seed - 1.0) % (last - first + 1.0),
        (Some(first), None) => first + seed - 1.0,
        (None, Some(last)) => seed.min(last),
        (None, None) => seed,
    };
    Ok(count * step)
}
