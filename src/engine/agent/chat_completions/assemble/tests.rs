//! Chunks as servers really send them.

use serde_json::json;

use super::*;

fn assemble(chunks: &[&str]) -> Result<AssembledAnswer, StreamError> {
    let mut assembly = AnswerAssembler::of_turn(3);
    for chunk in chunks {
        assembly.take(chunk)?;
    }
    assembly.end()
}

fn calls(chunks: &[&str]) -> Vec<(String, String, String)> {
    let mut chunks = chunks
        .iter()
        .map(|calls| format!(r#"{{"choices":[{{"delta":{{"tool_calls":{calls}}}}}]}}"#))
        .collect::<Vec<_>>();
    chunks.push(r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned());
    let answer = assemble(&chunks.iter().map(String::as_str).collect::<Vec<_>>())
        .unwrap()
        .answer;
    answer
        .calls
        .into_iter()
        .map(|call| (call.id, call.name, call.arguments))
        .collect()
}

/// What is told of the form of the calls.
fn repaired(chunks: &[&str]) -> Option<String> {
    let mut assembly = AnswerAssembler::of_turn(3);
    for calls in chunks {
        assembly.take(&format!(r#"{{"choices":[{{"delta":{{"tool_calls":{calls}}},"finish_reason":"tool_calls"}}]}}"#)).unwrap();
    }
    assembly.end().unwrap().repaired
}

#[test]
fn what_is_put_right_in_calls_is_told_and_well_made_ones_are_not() {
    let one = |index: &str, id: &str| {
        format!(r#"{{{index}{id}"function":{{"name":"ls","arguments":"{{}}"}}}}"#)
    };
    for (calls, told) in [
        (
            [
                one("\"index\":0,", "\"id\":\"a\","),
                one("\"index\":1,", "\"id\":\"b\","),
            ],
            None,
        ),
        ([one("", "\"id\":\"a\","), one("", "\"id\":\"b\",")], None),
        (
            [one("\"index\":0,", ""), one("\"index\":1,", "\"id\":\"\",")],
            Some("calls came without an id; the answer was put right"),
        ),
        (
            [
                one("\"index\":0,", "\"id\":\"a\","),
                one("\"index\":1,", "\"id\":\"a\","),
            ],
            Some("calls shared an id; the answer was put right"),
        ),
        (
            [
                one("\"index\":1,", "\"id\":\"a\","),
                one("\"index\":1,", "\"id\":\"b\","),
            ],
            Some(
                "calls shared an index, the indices of the calls had gaps; the answer was put right",
            ),
        ),
    ] {
        let chunks = calls.map(|call| format!("[{call}]"));
        assert_eq!(
            repaired(&[&chunks[0], &chunks[1]]).as_deref(),
            told,
            "{chunks:?}"
        );
    }
}

fn call(n: u32, name: &str, arguments: &str) -> (String, String, String) {
    (format!("call_3_{n}"), name.to_owned(), arguments.to_owned())
}

#[test]
fn tool_calls_are_put_together_however_they_come() {
    let by_index = calls(&[
        r#"[{"index":0,"id":"a","function":{"name":"ls","arguments":""}}]"#,
        r#"[{"index":0,"function":{"arguments":"{\"pa"}}]"#,
        r#"[{"index":0,"id":"","function":{"name":null,"arguments":"th\":\"x\"}"}}]"#,
    ]);
    assert_eq!(by_index, [call(1, "ls", r#"{"path":"x"}"#)], "in pieces");
    let two = [call(1, "ls", "{}"), call(2, "grep", "[]")];
    for (what, chunks) in [
        (
            "a gap in the index",
            vec![
                r#"[{"index":1,"id":"a","function":{"name":"ls","arguments":"{}"}}]"#,
                r#"[{"index":5,"id":"b","function":{"name":"grep","arguments":"[]"}}]"#,
            ],
        ),
        (
            "one index for both",
            vec![
                r#"[{"index":0,"id":"a","function":{"name":"ls","arguments":"{}"}}]"#,
                r#"[{"index":0,"id":"b","function":{"name":"grep","arguments":"[]"}}]"#,
            ],
        ),
        (
            "no index",
            vec![
                r#"[{"id":"a","function":{"name":"ls","arguments":"{"}},{"id":"b","function":{"name":"grep","arguments":"["}}]"#,
                r#"[{"id":"a","function":{"arguments":"}"}},{"id":"b","function":{"arguments":"]"}}]"#,
            ],
        ),
        (
            "neither index nor id",
            vec![
                r#"[{"function":{"name":"ls","arguments":"{"}}]"#,
                r#"[{"function":{"arguments":"}"}}]"#,
                r#"[{"function":{"name":"grep","arguments":"[]"}}]"#,
            ],
        ),
        (
            "one id for both",
            vec![
                r#"[{"index":0,"id":"a","function":{"name":"ls","arguments":"{}"}},{"index":1,"id":"a","function":{"name":"grep","arguments":"[]"}}]"#,
            ],
        ),
        (
            "one index and no id",
            vec![
                r#"[{"index":0,"id":"","function":{"name":"ls","arguments":"{}"}}]"#,
                r#"[{"index":0,"id":"","function":{"name":"grep","arguments":"[]"}}]"#,
            ],
        ),
        (
            "one id and no index",
            vec![
                r#"[{"id":"a","function":{"name":"ls","arguments":"{}"}}]"#,
                r#"[{"id":"a","function":{"name":"grep","arguments":"[]"}}]"#,
            ],
        ),
        (
            "a split name",
            vec![
                r#"[{"index":0,"function":{"name":"l"}},{"index":1,"function":{"name":"gr"}}]"#,
                r#"[{"index":0,"function":{"name":"s","arguments":"{}"}},{"index":1,"function":{"name":"ep","arguments":"[]"}}]"#,
            ],
        ),
        (
            "a repeated name",
            vec![
                r#"[{"index":0,"function":{"name":"ls","arguments":"{"}}]"#,
                r#"[{"index":0,"function":{"name":"ls","arguments":"}"}},{"index":1,"function":{"name":"grep","arguments":[]}}]"#,
            ],
        ),
    ] {
        assert_eq!(calls(&chunks), two, "{what}");
        assert_eq!(repaired(&chunks).is_some(), what != "no index", "{what}");
    }
}

#[test]
fn the_end_of_a_stream_decides_what_it_was() {
    let text = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
    let stop = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let finish = |chunks: &[&str]| assemble(chunks).map(|done| done.answer.finish);
    assert_eq!(finish(&[text]), Err(StreamError::Cut));
    assert_eq!(finish(&[]), Err(StreamError::Cut));
    assert_eq!(finish(&[text, "[DONE]"]), Ok(FinishReason::Stop));
    assert_eq!(finish(&[text, stop]), Ok(FinishReason::Stop));
    assert_eq!(finish(&[text, stop, stop]), Ok(FinishReason::Stop));
    assert_eq!(
        finish(&[text, r#"{"choices":[{"finish_reason":""}]}"#]),
        Err(StreamError::Cut)
    );
    assert_eq!(
        finish(&[text, r#"{"choices":[{"finish_reason":"length"}]}"#]),
        Ok(FinishReason::Length)
    );
    assert_eq!(
        finish(&[r#"{"choices":[{"finish_reason":"content_filter"}]}"#]),
        Ok(FinishReason::ContentFilter)
    );
    assert_eq!(
        finish(&[r#"{"choices":[]}"#, "[DONE]"]),
        Err(StreamError::Empty)
    );
    assert_eq!(finish(&[stop]), Err(StreamError::Empty));
    assert_eq!(
        finish(&[text, r#"{"error":{"code":502}}"#]),
        Err(StreamError::Error(json!({"code": 502})))
    );
    assert!(matches!(
        finish(&["<html>"]),
        Err(StreamError::Malformed(_))
    ));
}

#[test]
fn oddities_beside_the_answer_do_no_harm() {
    let done = assemble(&[
        r#"{"id":"","choices":null,"object":"ping"}"#,
        r#"{"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":null}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"id":"gen-2","choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"other"}}]}"#,
        r#"{"choices":[{"message":{"content":"b"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"cost":0.5}}"#,
        "[DONE]",
    ])
    .unwrap();
    assert_eq!(
        (done.answer.text.as_str(), done.request_id.as_deref()),
        ("ab", Some("gen-1"))
    );
    let usage = done.usage.unwrap();
    assert_eq!(
        (usage.tokens().input, usage.cost().unwrap().0),
        (7, 500_000_000),
        "the last usage wins"
    );
}

#[test]
fn reasoning_is_kept_as_it_came() {
    let done = assemble(&[
        r#"{"choices":[{"delta":{"reasoning":"th","reasoning_details":[{"type":"reasoning.text","text":"th","index":0,"signature":null}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"ink","reasoning_details":[{"type":"reasoning.text","text":"ink","index":0}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.text","signature":"sig","index":0}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"zz","id":"tool_9","index":0}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"tool_9","function":{"name":"ls","arguments":"{}"}}]},"finish_reason":"stop"}]}"#,
    ])
    .unwrap()
    .answer;
    assert_eq!(done.reasoning, "think");
    assert_eq!(
        Value::from(done.reasoning_details.clone()),
        json!([
            {"type": "reasoning.text", "text": "think", "index": 0, "signature": "sig"},
            {"type": "reasoning.encrypted", "data": "zz", "id": "call_3_1", "index": 0}
        ])
    );
    let stored = serde_json::to_string(&done).unwrap();
    assert_eq!(serde_json::from_str::<ModelAnswer>(&stored).unwrap(), done);
}
