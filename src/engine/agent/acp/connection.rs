//! The protocol with one agent program: opening a session, and what every request has in common.
//!
//! Choosing a model is in `choice.rs`, prompts are in `prompting.rs`. Everything awaited here ends: with an answer, with a limit of time, with the end of the program, or
//! because the work was told to stop. While a session is loaded the program tells again what was said
//! before; that is looked through for the task and otherwise dropped.

use std::path::Path;
use std::time::Duration;

use agent_client_protocol_schema::ProtocolVersion;
use agent_client_protocol_schema::v1::{
    ClientCapabilities, FileSystemCapabilities, Implementation, InitializeRequest,
    LoadSessionRequest, NewSessionRequest,
};
use serde_json::Value;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::{Instant, sleep_until};

use super::ConfiguredAgent;
use super::presets::ProjectSettingsSwitch;
use super::work::SessionError;
use crate::engine::agent::AgentStop;
use crate::engine::agent::acp::transport::{
    MAX_LINE_BYTES, RpcMessage, RpcRefusal, RpcTransport, TransportError,
};
use crate::model::error::{Code, Failure};

/// The protocol's code for a session that needs a login.
const AUTH_REQUIRED: i64 = -32000;
/// Lines that are no messages, before a program counts as broken.
const MAX_NOISE: u32 = 1000;

/// The way to one program.
pub struct AcpConnection<'a> {
    pub(super) wire: RpcTransport,
    pub(super) agent: &'a ConfiguredAgent,
    pub(super) stop: &'a AgentStop,
    noise: u32,
}

/// A session as a program has it.
pub struct OpenSession {
    /// What the program calls it.
    pub session: String,
    /// Whether it goes on with what was said before.
    pub loaded: bool,
    /// Whether what was said before held the task, where the program told.
    pub knows_task: Option<bool>,
    /// What the program answered when it was opened.
    pub(super) opened: Value,
}

impl<'a> AcpConnection<'a> {
    /// The way to a program by its pipes.
    pub fn over(
        from: ChildStdout,
        to: ChildStdin,
        agent: &'a ConfiguredAgent,
        stop: &'a AgentStop,
    ) -> Self {
        Self {
            wire: RpcTransport::over(from, to),
            agent,
            stop,
            noise: 0,
        }
    }

    /// Opens a session: the known one where the program can load it, else a fresh one. `mark` is what
    /// marks the task in what was said before.
    pub async fn open(
        &mut self,
        worktree: &Path,
        known: Option<&str>,
        mark: &str,
    ) -> Result<OpenSession, SessionError> {
        let files = FileSystemCapabilities::new()
            .read_text_file(self.agent.reads)
            .write_text_file(self.agent.writes);
        let hello = InitializeRequest::new(ProtocolVersion::V1)
            .client_capabilities(ClientCapabilities::new().fs(files).terminal(false))
            .client_info(Implementation::new("phasedeck", env!("CARGO_PKG_VERSION")));
        let can = self
            .answered("initialize", &value(&hello)?, None)
            .await?
            .map_err(|refusal| self.refused("initialize", &refusal))?
            .0;
        if can["protocolVersion"].as_u64() != Some(1) {
            let words = format!(
                "agent program '{}' speaks version {} of the protocol, not 1",
                self.agent.name, can["protocolVersion"]
            );
            return Err(SessionError::Final(
                Failure::new(Code::BackendUnavailable, words)
                    .hint("take a version of it that speaks version 1"),
            ));
        }
        if let Some(known) = known
            && let Some(there) = self.load(worktree, known, mark, &can).await?
        {
            return Ok(there);
        }
        let request = NewSessionRequest::new(worktree).mcp_servers(self.agent.servers.clone());
        let opened = self
            .answered("session/new", &self.with_meta(value(&request)?), None)
            .await?;
        let (opened, _) = opened.map_err(|refusal| self.not_opened(&refusal, &can))?;
        let session = opened["sessionId"].as_str().unwrap_or_default().to_owned();
        if session.is_empty() {
            return Err(SessionError::Program(
                Code::SessionRecoveryRequired,
                "it opened a session without a name".to_owned(),
            ));
        }
        Ok(OpenSession {
            session,
            loaded: false,
            knows_task: None,
            opened,
        })
    }

    /// Absent where the program cannot, or does not know the session any more.
    async fn load(
        &mut self,
        worktree: &Path,
        known: &str,
        mark: &str,
        can: &Value,
    ) -> Result<Option<OpenSession>, SessionError> {
        let capable = &can["agentCapabilities"];
        let tells = capable["loadSession"].as_bool() == Some(true);
        let method = match (tells, capable["sessionCapabilities"]["resume"].is_object()) {
            (true, _) => "session/load",
            (false, true) => "session/resume",
            (false, false) => return Ok(None),
        };
        let request = LoadSessionRequest::new(known.to_owned(), worktree)
            .mcp_servers(self.agent.servers.clone());
        let opened = self
            .answered(method, &self.with_meta(value(&request)?), Some(mark))
            .await?;
        Ok(opened.ok().map(|(opened, found)| OpenSession {
            session: known.to_owned(),
            loaded: true,
            knows_task: tells.then_some(found),
            opened,
        }))
    }

    fn with_meta(&self, mut request: Value) -> Value {
        if let (Some(ProjectSettingsSwitch::Meta(meta)), false) =
            (&self.agent.aloof, self.agent.settings.trust_project)
            && let Ok(meta) = serde_json::from_str(meta)
        {
            request["_meta"] = meta;
        }
        request
    }

    /// Waits for the answer to one request; what else is asked meanwhile is refused, what else is told is
    /// dropped. Says whether what was told held `mark`.
    pub(super) async fn answered(
        &mut self,
        method: &str,
        params: &Value,
        mark: Option<&str>,
    ) -> Result<Result<(Value, bool), RpcRefusal>, SessionError> {
        let deadline =
            Instant::now() + Duration::from_secs(self.agent.settings.start_timeout_seconds);
        let id = self.wire.ask(method, params).await.map_err(cut)?;
        let (mut told, mut found) = (String::new(), false);
        loop {
            let message = tokio::select! {
                biased;
                () = self.stop.now.cancelled() => return Err(SessionError::Stopped),
                message = self.wire.next() => message.map_err(cut)?,
                () = sleep_until(deadline) => {
                    let words = format!("no answer to {method} within {} s", self.agent.settings.start_timeout_seconds);
                    return Err(SessionError::Program(Code::PaneBrieflyUnresponsive, words));
                }
            };
            match message {
                RpcMessage::Answer {
                    id: of, outcome, ..
                } if of == id => return Ok(outcome.map(|result| (result, found))),
                RpcMessage::Notice { params, .. } => {
                    if let (Some(mark), Some(text), false) =
                        (mark, params["update"]["content"]["text"].as_str(), found)
                    {
                        told.push_str(text);
                        found = told.contains(mark);
                        // The mark may be told in pieces; no more than that is kept.
                        let keep = told.ceil_char_boundary(told.len().saturating_sub(mark.len()));
                        told.drain(..keep);
                    }
                }
                RpcMessage::Request { id, .. } => {
                    let message = "not before the session is open".to_owned();
                    self.wire
                        .answer(
                            &id,
                            Err(RpcRefusal {
                                code: -32600,
                                message,
                                data: Value::Null,
                            }),
                        )
                        .await
                        .map_err(cut)?;
                }
                RpcMessage::Noise(line) => self.noise(&line)?,
                RpcMessage::Answer { .. } => {}
            }
        }
    }

    /// Programs log to the wrong pipe now and then; one that does nothing else is broken.
    pub(super) fn noise(&mut self, line: &str) -> Result<(), SessionError> {
        tracing::debug!(program = %self.agent.name, %line, "a line that is no message");
        self.noise += 1;
        if self.noise <= MAX_NOISE {
            return Ok(());
        }
        let words = format!(
            "it speaks no protocol; among {MAX_NOISE} lines that are no messages is: {}",
            line.escape_debug()
        );
        Err(SessionError::Program(Code::SessionRecoveryRequired, words))
    }

    pub(super) fn refused(&self, method: &str, refusal: &RpcRefusal) -> SessionError {
        if refusal.code == AUTH_REQUIRED {
            return self.needs_login("");
        }
        let data = if refusal.data.is_null() {
            String::new()
        } else {
            format!(
                " {}",
                crate::engine::agent::acp::updates::one_line(&refusal.data.to_string())
            )
        };
        let words = format!(
            "it refused {method}: {} ({}){data}",
            crate::engine::agent::acp::updates::one_line(&refusal.message),
            refusal.code
        );
        SessionError::Program(Code::SessionRecoveryRequired, words)
    }

    fn not_opened(&self, refusal: &RpcRefusal, can: &Value) -> SessionError {
        if refusal.code != AUTH_REQUIRED {
            return self.refused("session/new", refusal);
        }
        let ways = can["authMethods"].as_array().into_iter().flatten();
        let ways: Vec<String> = ways
            .filter_map(|way| {
                Some(
                    way["description"]
                        .as_str()
                        .or_else(|| way["name"].as_str())?
                        .to_owned(),
                )
            })
            .collect();
        self.needs_login(&ways.join("; "))
    }

    fn needs_login(&self, ways: &str) -> SessionError {
        let name = &self.agent.name;
        let hint = if ways.is_empty() {
            "log in with the program itself".to_owned()
        } else {
            format!("log in with the program itself: {ways}")
        };
        let hint = format!("{hint}; or hand its key on with agents.{name}.pass_env; then approve");
        SessionError::Final(
            Failure::new(
                Code::LlmAuth,
                format!("agent program '{name}' is not logged in"),
            )
            .hint(hint),
        )
    }
}

pub(super) fn value(request: &impl serde::Serialize) -> Result<Value, SessionError> {
    serde_json::to_value(request).map_err(|error| SessionError::Final(Failure::internal(error)))
}

pub(super) fn cut(cut: TransportError) -> SessionError {
    let words = match cut {
        TransportError::Closed => "it ended".to_owned(),
        TransportError::TooLong => format!(
            "it said a line longer than {} MiB",
            MAX_LINE_BYTES / 1024 / 1024
        ),
    };
    SessionError::Program(Code::SessionRecoveryRequired, words)
}
