//! Whatever an agent program writes: no bytes make the reading of its messages panic, and none are lost track of.

use crate::engine::agent::acp::transport::{RpcMessage, RpcTransport, TransportError};
use crate::engine::agent::acp::updates::{MAX_CALLS, UpdateParser};
use agent_client_protocol_schema::v1::SessionNotification;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Everything that these bytes are read as.
fn read(bytes: Vec<u8>) -> (Vec<RpcMessage>, TransportError) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut wire = RpcTransport::over(std::io::Cursor::new(bytes), tokio::io::sink());
        let mut messages = Vec::new();
        loop {
            match wire.next().await {
                Ok(message) => messages.push(message),
                Err(cut) => return (messages, cut),
            }
        }
    })
}

/// What updates are made of, with all that can be wrong about them.
fn update() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::sample::select(vec![
            "agent_message_chunk",
            "agent_thought_chunk",
            "tool_call",
            "tool_call_update",
            "plan",
            "usage_update",
            "text",
            "diff",
            "content",
            "completed",
            "failed",
            "in_progress",
            "edit",
            "USD",
        ])
        .prop_map(Value::from),
    ];
    let keys = "sessionUpdate|content|type|text|toolCallId|title|status|kind|rawInput|rawOutput|locations|path|entries|cost|amount|currency|oldText|newText";
    leaf.prop_recursive(5, 30, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..7)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_wire_panic_and_every_line_is_a_message_or_noise(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                prop::sample::select(vec![
                    &b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"[..],
                    b"{\"jsonrpc\":\"2.0\",\"id\":-1,\"error\":{\"code\":1e99}}\n",
                    b"{\"method\":\"session/update\",\"params\":[]}\n",
                    b"{\"id\":{\"a\":1},\"method\":\"fs/read_text_file\"}\n",
                    b"[[[[[[[[[[\n",
                    b"\r\n",
                    b"\n",
                ])
                .prop_map(<[u8]>::to_vec),
            ],
            0..20,
        ),
    ) {
        let bytes = parts.concat();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        let (messages, cut) = read(bytes);
        prop_assert_eq!(cut, TransportError::Closed);
        prop_assert!(messages.len() <= lines, "{} of {} lines", messages.len(), lines);
    }

    #[test]
    fn no_update_makes_the_listener_panic_and_calls_are_bounded(updates in prop::collection::vec(update(), 0..20)) {
        let mut heard = UpdateParser::default();
        for update in updates {
            if let Ok(notification) = serde_json::from_value::<SessionNotification>(json!({"sessionId": "s", "update": update})) {
                let _ = heard.take(notification);
            }
        }
        prop_assert!(heard.into_calls().len() <= MAX_CALLS);
    }
}
