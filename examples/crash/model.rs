//! A model server on loopback that acts as a reasonable agent and records the requests it gets.
//!
//! Its answers follow from the conversation alone, so a killed and resumed run meets the same agent
//! again: it lists files, writes the artifact, writes it again if told that a write may not have
//! happened, and then says that it is done. It rejects conversations that no provider would accept.

use phasedeck::store::tables::contents::SMALL;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::CrashResult;

#[path = "../../tests/support/sse.rs"]
mod sse;

/// Run, phase, attempt, turn.
pub type TurnKey = (String, String, u32, u32);

/// A running model server; it stops with the process.
pub struct CrashModel {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<SeenTurns>>,
}

#[derive(Default)]
struct SeenTurns {
    asked: BTreeMap<TurnKey, usize>,
    malformed: Vec<String>,
}

impl CrashModel {
    pub fn start() -> CrashResult<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(SeenTurns::default()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let seen = Arc::clone(&shared);
                // A killed client ends only its own connection.
                std::thread::spawn(move || serve(socket, &seen));
            }
        });
        Ok(Self { address, seen })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Number of requests for each turn since the last [`forget`](Self::forget).
    pub fn asked(&self) -> BTreeMap<TurnKey, usize> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .asked
            .clone()
    }

    /// Requests that a provider would have rejected.
    pub fn malformed(&self) -> Vec<String> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .malformed
            .clone()
    }

    pub fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = SeenTurns::default();
    }
}

fn serve(socket: TcpStream, seen: &Mutex<SeenTurns>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut reader = BufReader::new(socket);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = line
                .strip_prefix("content-length:")
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(length);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer = answer(&body, seen);
        reader.get_mut().write_all(&answer)?;
    }
}

fn answer(body: &Value, seen: &Mutex<SeenTurns>) -> Vec<u8> {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let role = |message: &Value, role: &str| message["role"] == role;
    let envelope = messages
        .iter()
        .find(|message| role(message, "user"))
        .map(text)
        .unwrap_or_default();
    let line = |name: &str| {
        envelope
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let turn = u32::try_from(
        messages
            .iter()
            .filter(|message| role(message, "assistant"))
            .count(),
    )
    .unwrap_or(0)
        + 1;
    let run = line("Run id:");
    let phase = line("Phase key:");
    {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen
            .asked
            .entry((
                run.clone(),
                phase.clone(),
                line("Attempt:").parse().unwrap_or(0),
                turn,
            ))
            .or_default() += 1;
        seen.malformed.extend(malformed(&messages));
    }
    let results: Vec<String> = messages
        .iter()
        .filter(|message| role(message, "tool"))
        .map(text)
        .collect();
    let looked = !results.is_empty();
    let written = messages
        .iter()
        .zip(messages.iter().skip(1))
        .any(|(call, result)| {
            let writes = call["tool_calls"][0]["function"]["name"] == "write_file";
            writes
                && role(result, "tool")
                && !text(result).starts_with("interrupted")
                && !text(result).starts_with("not run")
        });
    if !looked {
        return calls("ls", &json!({ "path": "." }));
    }
    if !written {
        let mut words = "made while processes were dying".to_owned();
        if phase == "second" {
            // Too large for the database, so it is stored in a file of its own.
            words = [words.as_str(), ". "]
                .concat()
                .repeat(SMALL / words.len() + 1);
        }
        let note = json!({ "runId": run, "phaseKey": phase, "note": words });
        return calls(
            "write_file",
            &json!({ "file_path": line("Expected artifact path:"), "content": format!("{note:#}\n") }),
        );
    }
    reply(&[json!({ "content": "It is written." })], "stop")
}

/// Checks that every tool call has exactly one result, right after it.
fn malformed(messages: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            match open.iter().position(|known| known == id) {
                Some(at) => {
                    open.remove(at);
                }
                None => wrong.push(format!("a result for '{id}', which was not called")),
            }
        } else {
            wrong.extend(
                open.drain(..)
                    .map(|id| format!("call '{id}' has no result")),
            );
            let calls = message["tool_calls"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            open.extend(
                calls
                    .iter()
                    .filter_map(|call| call["id"].as_str().map(str::to_owned)),
            );
        }
    }
    wrong
}

fn calls(tool: &str, arguments: &Value) -> Vec<u8> {
    let call = json!({ "index": 0, "id": "tool_0", "type": "function", "function": { "name": tool, "arguments": arguments.to_string() } });
    reply(&[json!({ "tool_calls": [call] })], "tool_calls")
}

fn reply(deltas: &[Value], finish: &str) -> Vec<u8> {
    let stream = sse::stream(deltas, finish);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    format!("{head}content-length: {}\r\n\r\n{stream}", stream.len()).into_bytes()
}
