//! The stream of one answer, as a provider sends it.

use serde_json::{Value, json};

/// A stream with these deltas, why it ended, and what it used.
pub fn stream(deltas: &[Value], finish: &str) -> String {
    let mut stream = String::new();
    let mut event = |data: &Value| stream.push_str(&format!("data: {data}\n\n"));
    for delta in deltas {
        event(&json!({ "id": "gen-1", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }));
    }
    event(&json!({ "id": "gen-1", "choices": [{ "index": 0, "delta": {}, "finish_reason": finish }] }));
    event(&json!({ "id": "gen-1", "choices": [], "usage": { "prompt_tokens": 200, "completion_tokens": 40, "cost": 0.00125 } }));
    stream.push_str("data: [DONE]\n\n");
    stream
}
