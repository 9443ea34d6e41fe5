//! Redacted export: omits the text of people, agents and files. Names, states, codes, numbers,
//! times and hashes remain, as do the workflow, the personas and the schemas.

use crate::store::tables::transfer::TransferRow;
use serde_json::{Value, json};

/// Event fields that contain text of people or agents.
const WORDS: &[&str] = &[
    "comment", "target", "message", "hint", "errors", "question", "words", "text", "summary",
];

/// Removes text from a row; returns whether the row is kept.
pub fn without_words(table: &str, row: &mut TransferRow) -> bool {
    match table {
        "session_transcript" => return false,
        "runs" => {
            blank(row, &["requirements"]);
            // The hash chain covers the removed text and could only look broken, so remove it too.
            let after = row
                .get("last_seq")
                .and_then(Value::as_i64)
                .unwrap_or_default()
                + 1;
            row.insert("chain".to_owned(), Value::Null);
            row.insert("chained_from".to_owned(), after.into());
            for name in ["repo", "error_message", "error_hint"] {
                row.insert(name.to_owned(), Value::Null);
            }
        }
        "turns" => blank(row, &["answer"]),
        "tool_calls" => blank(row, &["arguments", "result"]),
        "events" => {
            row.insert("chain".to_owned(), Value::Null);
            let kind = row
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if let Some(text) = row.get("payload").and_then(Value::as_str) {
                let mut payload: Value = serde_json::from_str(text).unwrap_or_default();
                blank_fields(&mut payload, kind == "run.aborted");
                row.insert("payload".to_owned(), payload.to_string().into());
            }
        }
        _ => {}
    }
    true
}

fn blank(row: &mut TransferRow, names: &[&str]) {
    for name in names {
        if let Some(Value::String(text)) = row.get(*name) {
            let blanked = told(text);
            row.insert((*name).to_owned(), blanked.into());
        }
    }
}

fn blank_fields(payload: &mut Value, reason_is_words: bool) {
    let Some(fields) = payload.as_object_mut() else {
        return;
    };
    for (name, value) in fields {
        let is_words = WORDS.contains(&name.as_str()) || (reason_is_words && name == "reason");
        match value {
            Value::String(text) if is_words => *value = told(text).into(),
            Value::Array(_) if is_words => *value = json!([]),
            _ => {}
        }
    }
}

fn told(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("[{} characters left out]", text.chars().count())
    }
}
