//! Cost of validating an artifact of one mebibyte, compared with the schema library alone: the same
//! bytes parsed as JSON and validated against the same schema. Our validation also rejects
//! duplicate keys and excessive nesting.

use std::hint::black_box;
use std::time::Instant;

use measure::{BenchResult, RatioGoal, figure, median};
use phasedeck::engine::artifact::schema::CompiledSchema;
use phasedeck::engine::artifact::validate::validate;
use serde_json::{Value, json};

#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;

const ROUNDS: usize = 41;
const BYTES: usize = 1024 * 1024;

fn main() -> BenchResult<()> {
    let schema = schema();
    let valid = document("ok");
    let torn = document("not one of those");
    let ours = CompiledSchema::compile(&"bench/rows@1".into(), &schema)?;
    let alone = jsonschema::options().offline().build(&schema)?;
    for (name, bytes, goal) in [
        (
            "validation of 1 MiB / the schema library",
            &valid,
            RatioGoal::AtMost(1.2),
        ),
        (
            "  the same with an error in every row",
            &torn,
            RatioGoal::None,
        ),
    ] {
        let mut us = Vec::new();
        let mut them = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            black_box(validate(&ours, "out/rows.json", bytes));
            us.push(begun.elapsed());
            let begun = Instant::now();
            let value: Value = serde_json::from_slice(bytes)?;
            black_box(alone.iter_errors(&value).count());
            them.push(begun.elapsed());
        }
        figure(name, median(us) / median(them), goal);
    }
    Ok(())
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["rows"],
        "properties": { "rows": { "type": "array", "items": {
            "type": "object",
            "required": ["id", "state", "text"],
            "additionalProperties": false,
            "properties": {
                "id": { "type": "integer", "minimum": 0 },
                "state": { "enum": ["ok", "late"] },
                "text": { "type": "string", "minLength": 1, "maxLength": 200 }
            }
        } } }
    })
}

fn document(state: &str) -> Vec<u8> {
    let row = |id: usize| json!({ "id": id, "state": state, "text": "a line of an artifact as agents write them" });
    let rows: Vec<Value> = (0..BYTES / row(10_000).to_string().len())
        .map(row)
        .collect();
    json!({ "rows": rows }).to_string().into_bytes()
}
