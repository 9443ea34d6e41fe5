//! Whatever a server sends: no bytes make the reading of a stream panic.

use proptest::prelude::*;

use super::assemble::AnswerAssembler;
use super::fault::{ModelFault, retry_after};
use super::sse::SseDecoder;

/// What streams are made of, whole and broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        &b"data: "[..],
        b"data:[DONE]\n\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"event: error\n",
        b": comment\n",
        b"\xef\xbb\xbf",
        b"{\"choices\":[{\"delta\":{\"content\":\"",
        b"\"}}]}",
        b"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":",
        b"18446744073709551616",
        b"-1",
        b",\"id\":null,\"function\":{\"name\":\"ls\",\"arguments\":\"{\"}}]},\"finish_reason\":\"stop\"}]}",
        b"{\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":1e999,\"cost\":\"x\"}}",
        b"{\"error\":{\"code\":\"429\",\"message\":[]}}",
        b"\\ud83e\"",
        b"\xf0\x9f\xa6",
        b"[[[[[[[[",
        b"null",
    ]);
    prop_oneof![4 => known.prop_map(<[u8]>::to_vec), 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn no_bytes_of_a_stream_make_anything_panic(parts in prop::collection::vec(pieces(), 0..40), size in 1usize..50) {
        let bytes = parts.concat();
        let (mut decoder, mut assembly) = (SseDecoder::default(), AnswerAssembler::of_turn(1));
        for piece in bytes.chunks(size) {
            let Ok(events) = decoder.push(piece) else { return Ok(()) };
            for event in events {
                if let Err(broken) = assembly.take(&event.data) {
                    let _ = ModelFault::of_broken(&broken, assembly.begun()).into_failure(1);
                    return Ok(());
                }
            }
        }
        let _ = decoder.finish();
        let _ = assembly.end();
    }

    #[test]
    fn no_chunk_of_json_makes_anything_panic(chunk in json(), said in ".{0,60}") {
        let mut assembly = AnswerAssembler::of_turn(3);
        let _ = assembly.take(&chunk.to_string());
        let _ = assembly.take(&serde_json::json!({"choices": [{"delta": {"tool_calls": [chunk]}, "finish_reason": "stop"}]}).to_string());
        let _ = assembly.end();
        let _ = retry_after(&said, jiff::Timestamp::UNIX_EPOCH);
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(Value::from),
    ];
    let keys = "choices|delta|content|tool_calls|index|id|function|name|arguments|usage|error|code|message|finish_reason|[a-z]{1,4}";
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
