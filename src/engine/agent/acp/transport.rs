//! JSON-RPC over two pipes, one message a line: bounded, and hostile to nobody.
//!
//! Two tasks stand between the pipes and the work. The reader turns lines into messages and stops at
//! a line that is too long; it waits when the work does not keep up, and then so does the program. The
//! writer takes whole lines. What is no message is told as noise, for the work to count.
//!
//! Nothing here knows what the messages mean.

use crate::engine::artifact::strict_json;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// The longest line that is read, in bytes: a file of the largest size, with room for escapes.
pub const MAX_LINE_BYTES: usize = 32 * 1024 * 1024;
/// Messages read and not yet taken.
const READ_AHEAD: usize = 64;
/// Messages given and not yet written.
const WRITE_BEHIND: usize = 16;
/// How much of a line that is no message is told.
const NOISE_CHARS: usize = 200;

/// A message from the other side.
#[derive(Clone, Debug, PartialEq)]
pub enum RpcMessage {
    /// The answer to a request of ours.
    Answer {
        /// Which request.
        id: u64,
        /// Its result, or an error.
        outcome: Result<Value, RpcRefusal>,
        /// Length of the line.
        bytes: usize,
    },
    /// A request of theirs, to be answered.
    Request {
        /// To be given back as it is.
        id: Value,
        /// What is asked.
        method: String,
        /// About what.
        params: Value,
        /// Length of the line.
        bytes: usize,
    },
    /// Something they tell.
    Notice {
        /// What kind of thing.
        method: String,
        /// The thing.
        params: Value,
        /// Length of the line.
        bytes: usize,
    },
    /// A line that is no message; its beginning.
    Noise(String),
}

/// An error of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcRefusal {
    /// The protocol's code.
    pub code: i64,
    /// In words.
    pub message: String,
    /// More, where it is told.
    pub data: Value,
}

/// Why nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// The pipe was closed.
    Closed,
    /// A line was longer than the limit.
    TooLong,
}

/// The way to the other side.
pub struct RpcTransport {
    incoming: mpsc::Receiver<Result<RpcMessage, TransportError>>,
    outgoing: mpsc::Sender<Vec<u8>>,
    asked: u64,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl RpcTransport {
    /// Begins to read from `from` and to write to `to`.
    pub fn over(
        from: impl AsyncRead + Send + Unpin + 'static,
        to: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self::limited(from, to, MAX_LINE_BYTES)
    }

    fn limited(
        from: impl AsyncRead + Send + Unpin + 'static,
        to: impl AsyncWrite + Send + Unpin + 'static,
        limit: usize,
    ) -> Self {
        let (read, incoming) = mpsc::channel(READ_AHEAD);
        let (outgoing, write) = mpsc::channel(WRITE_BEHIND);
        let tasks = [
            tokio::spawn(reads(BufReader::new(from), limit, read)),
            tokio::spawn(writes(to, write)),
        ];
        Self {
            incoming,
            outgoing,
            asked: 0,
            _tasks: tasks.map(AbortOnDropHandle::new),
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// Why nothing more comes.
    pub async fn next(&mut self) -> Result<RpcMessage, TransportError> {
        self.incoming
            .recv()
            .await
            .unwrap_or(Err(TransportError::Closed))
    }

    /// Sends a request and gives its number, by which its answer is known.
    ///
    /// # Errors
    /// When the other side takes nothing any more.
    pub async fn ask(&mut self, method: &str, params: &Value) -> Result<u64, TransportError> {
        self.asked += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}))
            .await?;
        Ok(self.asked)
    }

    /// Tells something.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn tell(&self, method: &str, params: &Value) -> Result<(), TransportError> {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
            .await
    }

    /// Answers a request of theirs.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn answer(
        &self,
        id: &Value,
        outcome: Result<Value, RpcRefusal>,
    ) -> Result<(), TransportError> {
        let line = match outcome {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(refusal) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": refusal.code, "message": refusal.message}})
            }
        };
        self.send(&line).await
    }

    async fn send(&self, message: &Value) -> Result<(), TransportError> {
        let mut line = message.to_string().into_bytes();
        line.push(b'\n');
        self.outgoing
            .send(line)
            .await
            .map_err(|_| TransportError::Closed)
    }
}

async fn writes(mut to: impl AsyncWrite + Unpin, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if to.write_all(&line).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

async fn reads(
    mut from: BufReader<impl AsyncRead + Unpin>,
    limit: usize,
    read: mpsc::Sender<Result<RpcMessage, TransportError>>,
) {
    let mut line = Vec::new();
    loop {
        let message = match next_line(&mut from, limit, &mut line).await {
            Ok(()) if line.iter().all(u8::is_ascii_whitespace) => continue,
            Ok(()) => Ok(message_in(&line)),
            Err(cut) => Err(cut),
        };
        let ended = message.is_err();
        if read.send(message).await.is_err() || ended {
            return;
        }
    }
}

/// Reads up to the next line feed, or to the end where text stands before it.
async fn next_line(
    from: &mut BufReader<impl AsyncRead + Unpin>,
    limit: usize,
    line: &mut Vec<u8>,
) -> Result<(), TransportError> {
    line.clear();
    // What a huge line took is given back.
    line.shrink_to(64 * 1024);
    loop {
        let piece = from.fill_buf().await.map_err(|_| TransportError::Closed)?;
        if piece.is_empty() {
            return if line.is_empty() {
                Err(TransportError::Closed)
            } else {
                Ok(())
            };
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(piece.len(), |end| end + 1);
        if line.len() + taken > limit {
            return Err(TransportError::TooLong);
        }
        line.extend_from_slice(&piece[..taken]);
        from.consume(taken);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn message_in(line: &[u8]) -> RpcMessage {
    let read = std::str::from_utf8(line)
        .ok()
        .and_then(|text| strict_json::parse(text).ok())
        .and_then(|value| message_of(value, line.len()));
    read.unwrap_or_else(|| {
        RpcMessage::Noise(
            String::from_utf8_lossy(line)
                .trim()
                .chars()
                .take(NOISE_CHARS)
                .collect(),
        )
    })
}

fn message_of(mut value: Value, bytes: usize) -> Option<RpcMessage> {
    let object = value.as_object_mut()?;
    let mut take = |name: &str| object.remove(name);
    let (id, method, params) = (
        take("id").filter(|id| !id.is_null()),
        take("method"),
        take("params").unwrap_or(Value::Null),
    );
    match (id, method) {
        (Some(id), Some(Value::String(method))) => Some(RpcMessage::Request {
            id,
            method,
            params,
            bytes,
        }),
        (None, Some(Value::String(method))) => Some(RpcMessage::Notice {
            method,
            params,
            bytes,
        }),
        (Some(id), None) => {
            let outcome = match (take("result"), take("error")) {
                (_, Some(error)) if !error.is_null() => Err(refusal_in(&error)),
                (Some(result), _) => Ok(result),
                (None, _) => return None,
            };
            // Some programs give numbers back as text.
            let id = id.as_u64().or_else(|| id.as_str()?.parse().ok())?;
            Some(RpcMessage::Answer { id, outcome, bytes })
        }
        _ => None,
    }
}

fn refusal_in(error: &Value) -> RpcRefusal {
    let message = error
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("an error without words")
        .to_owned();
    RpcRefusal {
        code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
        message,
        data: error.get("data").cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(pieces: Vec<Vec<u8>>, limit: usize) -> (Vec<RpcMessage>, TransportError) {
        let (mut theirs, ours) = tokio::io::duplex(64);
        let (from, to) = tokio::io::split(ours);
        let mut wire = RpcTransport::limited(from, to, limit);
        tokio::spawn(async move {
            for piece in pieces {
                if theirs.write_all(&piece).await.is_err() {
                    return;
                }
            }
        });
        let mut messages = Vec::new();
        loop {
            match wire.next().await {
                Ok(message) => messages.push(message),
                Err(cut) => return (messages, cut),
            }
        }
    }

    #[tokio::test]
    async fn lines_become_messages_and_what_is_none_is_noise() {
        let answer = |id, outcome, bytes| RpcMessage::Answer { id, outcome, bytes };
        let refusal = RpcRefusal {
            code: -32000,
            message: "no".to_owned(),
            data: Value::Null,
        };
        for (line, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":3,"result":null}"#,
                answer(3, Ok(Value::Null), 39),
            ),
            (
                r#"{"id":"3","result":{"a":1}}"#,
                answer(3, Ok(json!({"a": 1})), 28),
            ),
            (
                r#"{"id":4,"error":{"code":-32000,"message":"no"}}"#,
                answer(4, Err(refusal), 48),
            ),
            (
                r#"{"id":"x","method":"m","params":{}}"#,
                RpcMessage::Request {
                    id: json!("x"),
                    method: "m".into(),
                    params: json!({}),
                    bytes: 36,
                },
            ),
            (
                r#"{"method":"m"}"#,
                RpcMessage::Notice {
                    method: "m".into(),
                    params: Value::Null,
                    bytes: 15,
                },
            ),
            (
                "[INFO] starting",
                RpcMessage::Noise("[INFO] starting".into()),
            ),
            (
                r#"{"id":1,"id":2,"result":1}"#,
                RpcMessage::Noise(r#"{"id":1,"id":2,"result":1}"#.into()),
            ),
            (r#"{"id":1}"#, RpcMessage::Noise(r#"{"id":1}"#.into())),
            (
                r#"[{"method":"m"}]"#,
                RpcMessage::Noise(r#"[{"method":"m"}]"#.into()),
            ),
        ] {
            let (messages, cut) =
                read_all(vec![format!("\n  \r\n{line}\n").into_bytes()], 1024).await;
            assert_eq!(
                (messages, cut),
                (vec![expected], TransportError::Closed),
                "{line}"
            );
        }
        let (messages, _) = read_all(vec![vec![0xff, 0xfe, b'\n']], 1024).await;
        assert_eq!(messages, [RpcMessage::Noise("\u{fffd}\u{fffd}".into())]);
    }

    #[tokio::test]
    async fn a_message_cut_anywhere_is_the_same_message() {
        let line = "{\"method\":\"größe\",\"params\":{\"a\":\"ä\\n\"}}\r\n".as_bytes();
        for at in 0..=line.len() {
            let (messages, cut) =
                read_all(vec![line[..at].to_vec(), line[at..].to_vec()], 1024).await;
            let expected = RpcMessage::Notice {
                method: "größe".into(),
                params: json!({"a": "ä\n"}),
                bytes: line.len(),
            };
            assert_eq!(
                (messages, cut),
                (vec![expected], TransportError::Closed),
                "cut at {at}"
            );
        }
    }

    #[tokio::test]
    async fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let line =
            |bytes: usize| format!("{{\"method\":\"{}\"}}\n", "m".repeat(bytes - 14)).into_bytes();
        assert_eq!(line(100).len(), 100);
        let (messages, cut) = read_all(vec![line(100)], 100).await;
        assert_eq!((messages.len(), cut), (1, TransportError::Closed));
        let (messages, cut) = read_all(vec![line(101)], 100).await;
        assert_eq!((messages.len(), cut), (0, TransportError::TooLong));
        let (_, cut) = read_all(vec![b"x".repeat(1000)], 100).await;
        assert_eq!(
            cut,
            TransportError::TooLong,
            "a flood without a line feed ends at the limit"
        );
    }
}
