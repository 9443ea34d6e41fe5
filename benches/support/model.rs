//! A fast model server on the loopback interface: one thread, persistent connections, each answer
//! in one write. It answers the first request of a phase with a tool call that writes the artifact,
//! and the second with a few words. It reports its own CPU time, so that this can be subtracted,
//! and the requests of a phase, so that a baseline loop can send the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::measure::BenchResult;
use crate::resources::cpu_of_thread;

#[path = "../../tests/support/sse.rs"]
mod sse;

/// A running model server; it stops with the process.
pub struct ModelServer {
    base_url: String,
    seen: Arc<SeenRequests>,
}

/// Words streamed one by one before the tool call of a first turn.
#[derive(Clone, Copy, Default)]
pub struct StreamPace {
    pub words: u32,
    pub every: Duration,
}

#[derive(Default)]
struct SeenRequests {
    pace: StreamPace,
    cpu_ns: AtomicU64,
    connections: AtomicU64,
    requests: AtomicU64,
    /// The latest request of each turn.
    bodies: Mutex<[Vec<u8>; 2]>,
}

impl ModelServer {
    pub fn start() -> BenchResult<Self> {
        Self::paced(StreamPace::default())
    }

    /// Starts a model server that streams at this pace.
    pub fn paced(pace: StreamPace) -> BenchResult<Self> {
        let seen = Arc::new(SeenRequests {
            pace,
            ..SeenRequests::default()
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let shared = Arc::clone(&seen);
        std::thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || runtime.block_on(accept(listener, shared)))?;
        Ok(Self {
            base_url: format!("http://{address}/v1"),
            seen,
        })
    }

    /// Uses a model server in another process; its CPU time is not counted here.
    pub fn at(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            seen: Arc::default(),
        }
    }

    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// CPU time of its thread so far.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.seen.cpu_ns.load(Ordering::Relaxed))
    }

    /// Number of requests and of connections.
    pub fn requests_and_connections(&self) -> (u64, u64) {
        (
            self.seen.requests.load(Ordering::Relaxed),
            self.seen.connections.load(Ordering::Relaxed),
        )
    }

    /// Returns the latest request of each turn.
    pub fn bodies(&self) -> [Vec<u8>; 2] {
        self.seen
            .bodies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl SeenRequests {
    fn account(&self) {
        self.cpu_ns.store(
            u64::try_from(cpu_of_thread().as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

async fn accept(listener: TcpListener, seen: Arc<SeenRequests>) {
    let connections = tokio::task::LocalSet::new();
    connections
        .run_until(async {
            while let Ok((socket, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::Relaxed);
                // A client that disconnects ends only its own connection.
                tokio::task::spawn_local(serve(socket, Arc::clone(&seen)));
            }
        })
        .await;
}

async fn serve(mut socket: TcpStream, seen: Arc<SeenRequests>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut bytes = Vec::new();
    loop {
        let body = read_request(&mut socket, &mut bytes).await?;
        let second = contains(&body, b"\"role\":\"assistant\"");
        let answer = if second { words() } else { writes(&body) };
        let pace = if second {
            StreamPace::default()
        } else {
            seen.pace
        };
        seen.bodies.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(second)] = body;
        seen.requests.fetch_add(1, Ordering::Relaxed);
        seen.account();
        if pace.words == 0 {
            socket.write_all(&[HEAD, &answer].concat()).await?;
            continue;
        }
        socket.write_all(HEAD).await?;
        for number in 0..pace.words {
            tokio::time::sleep(pace.every).await;
            socket
                .write_all(&chunk(&sse::delta(
                    &json!({ "content": format!("word{number} ") }),
                )))
                .await?;
            seen.account();
        }
        socket.write_all(&answer).await?;
    }
}

/// Reads one request; leaves any further bytes in `bytes`.
async fn read_request(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Vec<u8>> {
    loop {
        if let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let begin = head + 4;
            let end = begin + length(&bytes[..begin]);
            if bytes.len() >= end {
                let rest = bytes.split_off(end);
                let body = bytes.split_off(begin);
                *bytes = rest;
                return Ok(body);
            }
        }
        if socket.read_buf(bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The first turn: writes a valid artifact to the path given in the prompt.
fn writes(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    // In JSON, a line of the prompt ends with an escaped newline.
    let line = |name: &str| {
        let rest = text.split_once(name).map_or("", |(_, rest)| rest);
        rest.split(['\\', '"'])
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let artifact = json!({ "runId": line("Run id:"), "phaseKey": line("Phase key:"), "note": "made over the loopback interface" });
    let arguments = json!({ "file_path": line("Expected artifact path:"), "content": format!("{artifact:#}\n") }).to_string();
    let middle = arguments.ceil_char_boundary(arguments.len() / 2);
    let call = |function: Value| json!({ "tool_calls": [{ "index": 0, "id": "tool_0", "type": "function", "function": function }] });
    reply(
        &[
            json!({ "content": "Writing." }),
            call(json!({ "name": "write_file", "arguments": arguments[..middle] })),
            json!({ "tool_calls": [{ "index": 0, "function": { "arguments": arguments[middle..] } }] }),
        ],
        "tool_calls",
    )
}

/// The second turn: done.
fn words() -> Vec<u8> {
    reply(
        &[
            json!({ "content": "It is " }),
            json!({ "content": "written." }),
        ],
        "stop",
    )
}

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The rest of an answer, after its head.
fn reply(deltas: &[Value], finish: &str) -> Vec<u8> {
    [chunk(&sse::stream(deltas, finish)).as_slice(), b"0\r\n\r\n"].concat()
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
