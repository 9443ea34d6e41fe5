//! The stream of one answer, as a provider sends it.

use serde_json::{Value, json};

/// A stream with these deltas, why it ended, and what it used.
pub fn stream(deltas: &[Value], finish: &str) -> String {
    let mut stream: String = deltas.iter().map(delta).collect();
    stream.push_str(&event(&json!({ "id": "gen-1", "choices": [{ "index": 0, "delta": {}, "finish_reason": finish }] })));
    let usage = json!({ "prompt_tokens": 200, "completion_tokens": 40, "cost": 0.00125 });
    stream.push_str(&event(
        &json!({ "id": "gen-1", "choices": [], "usage": usage }),
    ));
    stream.push_str("data: [DONE]\n\n");
    stream
}

/// One piece of it.
pub fn delta(delta: &Value) -> String {
    event(
        &json!({ "id": "gen-1", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }),
    )
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}
