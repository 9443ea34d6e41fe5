//! A model server on the loopback interface, for tests: it plays scripted replies byte for byte.
//!
//! It speaks HTTP/1.1 by hand, so that a reply can be cut, held or broken at any byte. Each request
//! is recorded as it came and gets the next reply of the queue, or what a closure says. It knows
//! nothing of the crate that is tested. Declare it as `#[cfg(test)] mod model_server;` in an
//! integration test too: only then does clippy take its `unwrap`s for those of a test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// Counts the requests, from 0.
    pub number: usize,
    /// Such as `POST`.
    pub method: String,
    /// Such as `/v1/chat/completions`.
    pub path: String,
    /// In order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl RecordedRequest {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The messages of the conversation.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As it should.
    Whole,
    /// The connection is closed in the middle of the body.
    Cut,
    /// Nothing more comes, and the connection stays open.
    Hang,
}

#[derive(Clone, Debug)]
enum Part {
    Bytes(Vec<u8>),
    Pause(Duration),
}

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    parts: Vec<Part>,
    calls: usize,
    end: End,
    silent: bool,
}

impl Reply {
    /// A plain reply with a status and a body.
    pub fn status(status: u16, body: &str) -> Self {
        Self::empty(status)
            .header("content-type", "application/json")
            .raw(body.as_bytes())
    }

    /// A stream without any event yet.
    pub fn stream() -> Self {
        Self::empty(200).header("content-type", "text/event-stream")
    }

    /// A whole stream that answers with a text and nothing else.
    pub fn answer(text: &str) -> Self {
        Self::stream()
            .text(text)
            .finish("stop")
            .usage(10, 5, None)
            .done()
    }

    /// A whole stream that calls one tool, its arguments in pieces of 7 bytes.
    pub fn calls(name: &str, arguments: &Value) -> Self {
        Self::stream()
            .tool_call(name, &arguments.to_string(), &[7])
            .finish("tool_calls")
            .usage(10, 5, None)
            .done()
    }

    /// No reply at all: the request is read and the connection stays open.
    pub fn hang() -> Self {
        Self {
            silent: true,
            end: End::Hang,
            ..Self::empty(200)
        }
    }

    /// No reply at all: the request is read and the connection is closed.
    pub fn hang_up() -> Self {
        Self {
            silent: true,
            end: End::Cut,
            ..Self::empty(200)
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.parts.push(Part::Bytes(bytes.to_vec()));
        self
    }

    /// Adds an event with this JSON.
    pub fn event(self, data: &Value) -> Self {
        self.raw(format!("data: {data}\n\n").as_bytes())
    }

    /// Adds a chunk with this delta.
    pub fn delta(self, delta: &Value) -> Self {
        self.event(&json!({"id": "gen-1", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
    }

    /// Adds a piece of the answer's text.
    pub fn text(self, text: &str) -> Self {
        self.delta(&json!({"content": text}))
    }

    /// Adds a tool call, its arguments in pieces of the given sizes in bytes, the last one repeated.
    pub fn tool_call(mut self, name: &str, arguments: &str, sizes: &[usize]) -> Self {
        let index = self.calls;
        self.calls += 1;
        self = self.delta(&json!({"tool_calls": [
            {"index": index, "id": format!("tool_{index}"), "type": "function", "function": {"name": name, "arguments": ""}}
        ]}));
        let (mut rest, mut at) = (arguments, 0);
        while !rest.is_empty() {
            let size = sizes
                .get(at)
                .or(sizes.last())
                .copied()
                .unwrap_or(usize::MAX);
            let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.clamp(1, rest.len())));
            self = self.delta(
                &json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
            );
            (rest, at) = (after, at + 1);
        }
        self
    }

    /// Adds the chunk that says why the answer ended.
    pub fn finish(self, reason: &str) -> Self {
        self.event(&json!({"id": "gen-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
    }

    /// Adds the chunk with what it used, and what it cost in dollars, as text.
    pub fn usage(self, input: u64, output: u64, cost: Option<&str>) -> Self {
        let cost = cost.map_or(String::new(), |cost| format!(",\"cost\":{cost}"));
        let usage = format!("{{\"prompt_tokens\":{input},\"completion_tokens\":{output}{cost}}}");
        self.raw(
            format!("data: {{\"id\":\"gen-1\",\"choices\":[],\"usage\":{usage}}}\n\n").as_bytes(),
        )
    }

    /// Adds the mark that ends a stream.
    pub fn done(self) -> Self {
        self.raw(b"data: [DONE]\n\n")
    }

    /// Adds a pause.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.parts.push(Part::Pause(pause));
        self
    }

    /// The bytes of the whole body.
    pub fn body(&self) -> Vec<u8> {
        let bytes = self.parts.iter().map(|part| {
            if let Part::Bytes(bytes) = part {
                bytes.as_slice()
            } else {
                &[]
            }
        });
        bytes.collect::<Vec<_>>().concat()
    }

    /// Closes the connection after `at` bytes of the body, as a broken network does.
    pub fn cut_at(self, at: usize) -> Self {
        Self {
            end: End::Cut,
            ..self.first(at)
        }
    }

    /// Ends the body well after `at` bytes, as a proxy does that gave up.
    pub fn ended_at(self, at: usize) -> Self {
        self.first(at)
    }

    /// Holds the connection open after the body, without its end.
    pub fn then_hang(self) -> Self {
        Self {
            end: End::Hang,
            ..self
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            parts: Vec::new(),
            calls: 0,
            end: End::Whole,
            silent: false,
        }
    }

    fn first(mut self, at: usize) -> Self {
        let mut left = at;
        for part in &mut self.parts {
            if let Part::Bytes(bytes) = part {
                bytes.truncate(left);
                left -= bytes.len();
            }
        }
        self
    }

    async fn play(&self, socket: &mut TcpStream) -> std::io::Result<()> {
        if !self.silent {
            let mut head = format!(
                "HTTP/1.1 {} Scripted\r\nconnection: close\r\ntransfer-encoding: chunked\r\n",
                self.status
            );
            self.headers
                .iter()
                .for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            socket.write_all(format!("{head}\r\n").as_bytes()).await?;
        }
        for part in &self.parts {
            match part {
                Part::Pause(pause) => tokio::time::sleep(*pause).await,
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => {
                    socket
                        .write_all(format!("{:x}\r\n", bytes.len()).as_bytes())
                        .await?;
                    socket.write_all(bytes).await?;
                    socket.write_all(b"\r\n").await?;
                }
            }
        }
        match self.end {
            End::Whole => socket.write_all(b"0\r\n\r\n").await,
            End::Cut => socket.shutdown().await,
            End::Hang => wait_for_close(socket).await,
        }
    }
}

type Script = dyn Fn(&RecordedRequest) -> Reply + Send + Sync;

/// A running server; it ends when it is dropped.
pub struct ModelServer {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
    models: Arc<Mutex<Option<Value>>>,
    accepting: JoinHandle<()>,
}

impl ModelServer {
    /// Plays the replies in order; a request too many gets status 418.
    pub async fn queue(replies: impl IntoIterator<Item = Reply>) -> Self {
        let left = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::script(move |_| {
            left.lock()
                .unwrap()
                .pop_front()
                .unwrap_or_else(|| Reply::status(418, "the script is over"))
        })
        .await
    }

    /// Plays what `script` says to each request.
    pub async fn script(
        script: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let models = Arc::default();
        let accepting = tokio::spawn(accept(
            listener,
            Arc::new(script),
            Arc::clone(&requests),
            Arc::clone(&models),
        ));
        Self {
            address,
            requests,
            models,
            accepting,
        }
    }

    /// What to set as the base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Lets it tell of its models; without a list it says that there is none.
    pub fn telling_models(self, list: &Value) -> Self {
        *self.models.lock().unwrap() = Some(list.clone());
        self
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    script: Arc<Script>,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
    list: Arc<Mutex<Option<Value>>>,
) {
    // The set ends its connections when the server is dropped.
    let mut open = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        open.spawn(serve(
            socket,
            Arc::clone(&script),
            Arc::clone(&requests),
            Arc::clone(&list),
        ));
        while open.try_join_next().is_some() {}
    }
}

async fn serve(
    mut socket: TcpStream,
    script: Arc<Script>,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
    list: Arc<Mutex<Option<Value>>>,
) {
    let Ok(mut request) = read_request(&mut socket).await else {
        return;
    };
    if request.method == "GET" && request.path.ends_with("/models") {
        // No part of any conversation: it is asked for in the background, whenever that may be.
        let body = list.lock().unwrap().clone();
        let _ = body
            .map_or_else(
                || Reply::status(404, ""),
                |body| Reply::status(200, &body.to_string()),
            )
            .play(&mut socket)
            .await;
        return;
    }
    let reply = {
        let mut requests = requests.lock().unwrap();
        request.number = requests.len();
        requests.push(request.clone());
        script(&request)
    };
    // A client that went away in the middle is part of many tests.
    let _ = reply.play(&mut socket).await;
}

async fn read_request(socket: &mut TcpStream) -> std::io::Result<RecordedRequest> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        read_some(socket, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| {
            line.split_once(':')
                .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    while bytes.len() < head_end + length {
        read_some(socket, &mut bytes).await?;
    }
    let body = serde_json::from_slice(&bytes[head_end..]).unwrap_or(Value::Null);
    Ok(RecordedRequest {
        number: 0,
        method: first.next().unwrap_or_default(),
        path: first.next().unwrap_or_default(),
        headers,
        body,
    })
}

async fn read_some(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    match socket.read_buf(bytes).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

async fn wait_for_close(socket: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = Vec::new();
    while read_some(socket, &mut rest).await.is_ok() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn post(server: &ModelServer, body: &str) -> String {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nX-Test: Yes\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        socket
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
        let mut reply = String::new();
        socket.read_to_string(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test]
    async fn replies_are_played_and_requests_recorded() {
        let call = Reply::calls("ls", &json!({"path": "some/where"}));
        let pieces = call.parts.len();
        let server = ModelServer::queue([
            call,
            Reply::answer("hi").pause(Duration::ZERO),
            Reply::hang_up(),
        ])
        .await;
        let reply = post(&server, r#"{"messages":[1,2]}"#).await;
        assert!(
            reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"),
            "{reply}"
        );
        assert_eq!(
            pieces,
            1 + 3 + 3,
            "the name, the arguments in pieces, and three more"
        );
        assert!(post(&server, "").await.contains("\"content\":\"hi\""));
        assert_eq!(post(&server, "").await, "");
        assert!(post(&server, "").await.starts_with("HTTP/1.1 418 "));
        assert!(server.base_url().ends_with("/v1"));
        let requests = server.requests();
        assert_eq!(
            (
                requests.len(),
                requests[0].messages().len(),
                requests[3].number
            ),
            (4, 2, 3)
        );
        assert_eq!(
            (requests[0].method.as_str(), requests[0].path.as_str()),
            ("POST", "/v1/chat/completions")
        );
        assert_eq!(requests[0].header("x-test"), Some("Yes"));
    }

    #[tokio::test]
    async fn a_body_can_be_cut_or_ended_at_any_byte() {
        let whole = Reply::answer("hi");
        let length = whole.body().len();
        let server = ModelServer::queue([
            whole.clone().cut_at(3),
            whole.clone().ended_at(3),
            whole.ended_at(length),
        ])
        .await;
        assert!(post(&server, "").await.ends_with("\r\n\r\n3\r\ndat\r\n"));
        assert!(
            post(&server, "")
                .await
                .ends_with("\r\n\r\n3\r\ndat\r\n0\r\n\r\n")
        );
        assert!(post(&server, "").await.ends_with("[DONE]\n\n\r\n0\r\n\r\n"));
        assert_eq!(Reply::hang().then_hang().body(), b"");
    }
}
