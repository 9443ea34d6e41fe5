//! The protocol with one agent program: opening a session, choosing its model, one prompt at a time.
//!
//! Everything awaited here ends: with an answer, with a limit of time, with the end of the program, or
//! because the work was told to stop. While a session is loaded the program tells again what was said
//! before; that is looked through for the task and otherwise dropped.

use std::path::Path;
use std::time::Duration;

use agent_client_protocol_schema::ProtocolVersion;
use agent_client_protocol_schema::v1::{
    ClientCapabilities, FileSystemCapabilities, Implementation, InitializeRequest, LoadSessionRequest, NewSessionRequest, PromptRequest,
    SessionNotification,
};
use serde_json::{Value, json};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::{Instant, sleep_until};

use super::heard::Heard;
use super::presets::Aloof;
use super::serve::{Table, serve};
use super::wire::{Cut, MAX_LINE_BYTES, Message, Refusal, Wire};
use super::work::Broken;
use super::{Agent, book};
use crate::engine::agent::tools::Toolbox;
use crate::engine::agent::{Desk, Stop};
use crate::engine::api::TextKind;
use crate::model::error::{Code, Failure};
use crate::model::id::TurnId;
use crate::model::question::ToolQuestion;
use crate::store::sessions::Said;

/// The protocol's code for a session that needs a login.
const AUTH_REQUIRED: i64 = -32000;
/// Lines that are no messages, before a program counts as broken.
const MAX_NOISE: u32 = 1000;
/// What a program may say in one prompt, in bytes.
const MAX_PROMPT_BYTES: usize = 256 * 1024 * 1024;
/// How much of what is said in one prompt is stored, in bytes.
const MAX_STORED_BYTES: usize = 16 * 1024 * 1024;
/// How often what was said is stored, while it is said.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// How much that was said may wait to be stored, in bytes.
const STORE_AT_BYTES: usize = 64 * 1024;
/// How long a program may take to stop a prompt that is called off.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// The way to one program.
pub struct Line<'a> {
    wire: Wire,
    agent: &'a Agent,
    stop: &'a Stop,
    noise: u32,
}

/// A session as a program has it.
pub struct There {
    /// What the program calls it.
    pub session: String,
    /// Whether it goes on with what was said before.
    pub loaded: bool,
    /// Whether what was said before held the task, where the program told.
    pub knows_task: Option<bool>,
    /// What the program answered when it was opened.
    opened: Value,
}

/// How a prompt ended.
pub enum Prompted {
    /// Why the program stopped, in the protocol's word, and what was heard.
    Answered(String, Heard),
    /// It was called off, and the program has said so.
    Cancelled(Heard),
    /// It was called off to ask the operator.
    Asks(Heard, Box<ToolQuestion>),
}

/// How the hearing of a prompt ended.
enum Ended {
    /// Why the program stopped, in the protocol's word.
    Told(String),
    /// It was told to stop, and has; perhaps because the operator must be asked.
    CalledOff(Option<Box<ToolQuestion>>),
}

impl<'a> Line<'a> {
    /// The way to a program by its pipes.
    pub fn over(from: ChildStdout, to: ChildStdin, agent: &'a Agent, stop: &'a Stop) -> Self {
        Self { wire: Wire::over(from, to), agent, stop, noise: 0 }
    }

    /// Opens a session: the known one where the program can load it, else a fresh one. `mark` is what
    /// marks the task in what was said before.
    pub async fn open(&mut self, worktree: &Path, known: Option<&str>, mark: &str) -> Result<There, Broken> {
        let files = FileSystemCapabilities::new().read_text_file(self.agent.reads).write_text_file(self.agent.writes);
        let hello = InitializeRequest::new(ProtocolVersion::V1)
            .client_capabilities(ClientCapabilities::new().fs(files).terminal(false))
            .client_info(Implementation::new("phasedeck", env!("CARGO_PKG_VERSION")));
        let can = self.answered("initialize", &value(&hello)?, None).await?.map_err(|refusal| self.refused("initialize", &refusal))?.0;
        if can["protocolVersion"].as_u64() != Some(1) {
            let words = format!("agent program '{}' speaks version {} of the protocol, not 1", self.agent.name, can["protocolVersion"]);
            return Err(Broken::Final(Failure::new(Code::BackendUnavailable, words).hint("take a version of it that speaks version 1")));
        }
        if let Some(known) = known
            && let Some(there) = self.load(worktree, known, mark, &can).await?
        {
            return Ok(there);
        }
        let request = NewSessionRequest::new(worktree).mcp_servers(self.agent.servers.clone());
        let opened = self.answered("session/new", &self.with_meta(value(&request)?), None).await?;
        let (opened, _) = opened.map_err(|refusal| self.not_opened(&refusal, &can))?;
        let session = opened["sessionId"].as_str().unwrap_or_default().to_owned();
        if session.is_empty() {
            return Err(Broken::Program(Code::SessionRecoveryRequired, "it opened a session without a name".to_owned()));
        }
        Ok(There { session, loaded: false, knows_task: None, opened })
    }

    /// Absent where the program cannot, or does not know the session any more.
    async fn load(&mut self, worktree: &Path, known: &str, mark: &str, can: &Value) -> Result<Option<There>, Broken> {
        let capable = &can["agentCapabilities"];
        let tells = capable["loadSession"].as_bool() == Some(true);
        let method = match (tells, capable["sessionCapabilities"]["resume"].is_object()) {
            (true, _) => "session/load",
            (false, true) => "session/resume",
            (false, false) => return Ok(None),
        };
        let request = LoadSessionRequest::new(known.to_owned(), worktree).mcp_servers(self.agent.servers.clone());
        let opened = self.answered(method, &self.with_meta(value(&request)?), Some(mark)).await?;
        Ok(opened.ok().map(|(opened, found)| There { session: known.to_owned(), loaded: true, knows_task: tells.then_some(found), opened }))
    }

    fn with_meta(&self, mut request: Value) -> Value {
        if let (Some(Aloof::Meta(meta)), false) = (&self.agent.aloof, self.agent.settings.trust_project)
            && let Ok(meta) = serde_json::from_str(meta)
        {
            request["_meta"] = meta;
        }
        request
    }

    /// Has the session use a model, if the program offers it.
    pub async fn choose_model(&mut self, there: &There, model: &str) -> Result<(), Broken> {
        let (session, offered) = (&there.session, offered(&there.opened));
        let Some((request, _)) = offered.iter().find(|(_, name)| name == model) else {
            let mut names: Vec<&str> = offered.iter().map(|(_, name)| name.as_str()).collect();
            names.truncate(20);
            let hint = if names.is_empty() {
                "it offers no choice; leave `model` out of the persona, and choose in the program's own settings".to_owned()
            } else {
                format!("it offers: {}", names.join(", "))
            };
            let words = format!("agent program '{}' does not offer the model '{model}'", self.agent.name);
            return Err(Broken::Final(Failure::new(Code::BackendUnavailable, words).hint(hint)));
        };
        let (method, params) = match request {
            Choice::Option(id) => ("session/set_config_option", json!({"sessionId": session, "configId": id, "value": model})),
            Choice::Model => ("session/set_model", json!({"sessionId": session, "modelId": model})),
        };
        let chosen = self.answered(method, &params, None).await?;
        chosen.map(drop).map_err(|refusal| self.refused(method, &refusal))
    }

    /// Waits for the answer to one request; what else is asked meanwhile is refused, what else is told is
    /// dropped. Says whether what was told held `mark`.
    async fn answered(&mut self, method: &str, params: &Value, mark: Option<&str>) -> Result<Result<(Value, bool), Refusal>, Broken> {
        let deadline = Instant::now() + Duration::from_secs(self.agent.settings.start_timeout_seconds);
        let id = self.wire.ask(method, params).await.map_err(cut)?;
        let (mut told, mut found) = (String::new(), false);
        loop {
            let message = tokio::select! {
                biased;
                () = self.stop.now.cancelled() => return Err(Broken::Stopped),
                message = self.wire.next() => message.map_err(cut)?,
                () = sleep_until(deadline) => {
                    let words = format!("no answer to {method} within {} s", self.agent.settings.start_timeout_seconds);
                    return Err(Broken::Program(Code::PaneBrieflyUnresponsive, words));
                }
            };
            match message {
                Message::Answer { id: of, outcome, .. } if of == id => return Ok(outcome.map(|result| (result, found))),
                Message::Notice { params, .. } => {
                    if let (Some(mark), Some(text), false) = (mark, params["update"]["content"]["text"].as_str(), found) {
                        told.push_str(text);
                        found = told.contains(mark);
                        // The mark may be told in pieces; no more than that is kept.
                        let keep = told.ceil_char_boundary(told.len().saturating_sub(mark.len()));
                        told.drain(..keep);
                    }
                }
                Message::Request { id, .. } => {
                    let message = "not before the session is open".to_owned();
                    self.wire.answer(&id, Err(Refusal { code: -32600, message, data: Value::Null })).await.map_err(cut)?;
                }
                Message::Noise(line) => self.noise(&line)?,
                Message::Answer { .. } => {}
            }
        }
    }

    /// Sends a prompt and serves the program until it has answered.
    pub async fn prompt(
        &mut self,
        there: &str,
        text: &str,
        turn: TurnId,
        desk: &Desk,
        tools: &Toolbox,
        table: &Table<'_>,
    ) -> Result<Prompted, Broken> {
        let request = PromptRequest::new(there.to_owned(), vec![text.into()]);
        let id = self.wire.ask("session/prompt", &value(&request)?).await.map_err(cut)?;
        let mut hearing = Hearing { desk, turn, heard: Heard::default(), waiting: Vec::new(), waits: 0, stored: 0, said: 0 };
        let worked = self.hear(there, id, &mut hearing, tools, table).await;
        // Whatever ended it: what was said until then is kept.
        hearing.store().await?;
        Ok(match worked? {
            Ended::Told(stop) => Prompted::Answered(stop, hearing.heard),
            Ended::CalledOff(None) => Prompted::Cancelled(hearing.heard),
            Ended::CalledOff(Some(question)) => Prompted::Asks(hearing.heard, question),
        })
    }

    /// Until the program has answered a prompt.
    async fn hear(
        &mut self,
        there: &str,
        prompt: u64,
        hearing: &mut Hearing<'_>,
        tools: &Toolbox,
        table: &Table<'_>,
    ) -> Result<Ended, Broken> {
        let patience = Duration::from_secs(self.agent.settings.idle_timeout_seconds);
        let (mut silent_at, mut warned, mut called_off) = (Instant::now() + patience, false, None::<Instant>);
        let (mut store_at, mut asking) = (Instant::now() + STORE_EVERY, None);
        loop {
            let message = tokio::select! {
                biased;
                () = self.stop.now.cancelled(), if called_off.is_none() => {
                    self.wire.tell("session/cancel", &json!({ "sessionId": there })).await.map_err(cut)?;
                    called_off = Some(Instant::now() + CANCEL_GRACE);
                    continue;
                }
                () = sleep_until(called_off.unwrap_or(silent_at)), if called_off.is_some() => {
                    return Err(asking.map_or(Broken::Stopped, Broken::Asks));
                }
                message = self.wire.next() => message.map_err(cut)?,
                () = sleep_until(store_at), if hearing.waits > 0 => {
                    hearing.store().await?;
                    store_at = Instant::now() + STORE_EVERY;
                    continue;
                }
                () = sleep_until(silent_at) => {
                    if warned {
                        let words = format!("silent for {} s", patience.as_secs() * 2);
                        return Err(Broken::Program(Code::PaneBrieflyUnresponsive, words));
                    }
                    warned = true;
                    silent_at = Instant::now() + patience;
                    hearing.unresponsive(patience).await?;
                    continue;
                }
            };
            (silent_at, warned) = (Instant::now() + patience, false);
            match message {
                Message::Answer { id, outcome, .. } if id == prompt => {
                    let answer = outcome.map_err(|refusal| self.refused("session/prompt", &refusal))?;
                    hearing.heard.told.usage(&answer["usage"]);
                    if called_off.is_some() {
                        return Ok(Ended::CalledOff(asking));
                    }
                    return Ok(Ended::Told(answer["stopReason"].as_str().unwrap_or_default().to_owned()));
                }
                Message::Answer { .. } => {}
                Message::Notice { method, params, bytes } => {
                    hearing.count(bytes)?;
                    if method == "session/update" {
                        hearing.update(params).await?;
                    }
                }
                Message::Request { id, method, params, bytes } => {
                    hearing.count(bytes)?;
                    let served = serve(tools, table, &method, params).await;
                    if let Some((arguments, done)) = served.record {
                        hearing.served(arguments, done).await?;
                    }
                    if let (Some(question), None) = (served.asks, &asking) {
                        asking = Some(Box::new(question));
                        self.wire.tell("session/cancel", &json!({ "sessionId": there })).await.map_err(cut)?;
                        called_off = Some(called_off.unwrap_or_else(|| Instant::now() + CANCEL_GRACE));
                    }
                    self.wire.answer(&id, served.answer).await.map_err(cut)?;
                }
                Message::Noise(line) => self.noise(&line)?,
            }
            if hearing.waits >= STORE_AT_BYTES {
                hearing.store().await?;
            }
        }
    }

    /// Programs log to the wrong pipe now and then; one that does nothing else is broken.
    fn noise(&mut self, line: &str) -> Result<(), Broken> {
        tracing::debug!(program = %self.agent.name, %line, "a line that is no message");
        self.noise += 1;
        if self.noise <= MAX_NOISE {
            return Ok(());
        }
        let words = format!("it speaks no protocol; among {MAX_NOISE} lines that are no messages is: {}", line.escape_debug());
        Err(Broken::Program(Code::SessionRecoveryRequired, words))
    }

    fn refused(&self, method: &str, refusal: &Refusal) -> Broken {
        if refusal.code == AUTH_REQUIRED {
            return self.needs_login("");
        }
        let data = if refusal.data.is_null() { String::new() } else { format!(" {}", super::heard::one_line(&refusal.data.to_string())) };
        let words = format!("it refused {method}: {} ({}){data}", super::heard::one_line(&refusal.message), refusal.code);
        Broken::Program(Code::SessionRecoveryRequired, words)
    }

    fn not_opened(&self, refusal: &Refusal, can: &Value) -> Broken {
        if refusal.code != AUTH_REQUIRED {
            return self.refused("session/new", refusal);
        }
        let ways = can["authMethods"].as_array().into_iter().flatten();
        let ways: Vec<String> =
            ways.filter_map(|way| Some(way["description"].as_str().or_else(|| way["name"].as_str())?.to_owned())).collect();
        self.needs_login(&ways.join("; "))
    }

    fn needs_login(&self, ways: &str) -> Broken {
        let name = &self.agent.name;
        let hint =
            if ways.is_empty() { "log in with the program itself".to_owned() } else { format!("log in with the program itself: {ways}") };
        let hint = format!("{hint}; or hand its key on with agents.{name}.pass_env; then approve");
        Broken::Final(Failure::new(Code::LlmAuth, format!("agent program '{name}' is not logged in")).hint(hint))
    }
}

/// What is heard during a prompt, and where it goes.
struct Hearing<'a> {
    desk: &'a Desk,
    turn: TurnId,
    heard: Heard,
    waiting: Vec<(Said, String)>,
    waits: usize,
    stored: usize,
    said: usize,
}

impl Hearing<'_> {
    fn count(&mut self, bytes: usize) -> Result<(), Broken> {
        self.said += bytes;
        if self.said <= MAX_PROMPT_BYTES {
            return Ok(());
        }
        let words = format!("the agent program said more than {} MiB in one prompt", MAX_PROMPT_BYTES / 1024 / 1024);
        Err(Broken::Final(Failure::new(Code::AgentLimitReached, words).hint("approve to have it go on, or take another program")))
    }

    async fn update(&mut self, params: Value) -> Result<(), Broken> {
        // Kinds of updates that this program does not know are none of its business.
        let Ok(notification) = serde_json::from_value::<SessionNotification>(params) else { return Ok(()) };
        let pieces = self.heard.take(notification);
        for (kind, text) in pieces.said {
            self.say(kind, text);
        }
        if let Some(done) = pieces.done {
            self.desk.tool_told(self.turn, &done).await?;
        }
        Ok(())
    }

    async fn served(&mut self, arguments: String, done: crate::engine::agent::ToolDone) -> Result<(), Broken> {
        let Some(done) = self.heard.served(arguments, done) else { return Ok(()) };
        let end = if done.denied.is_some() { ": refused" } else { "" };
        self.say(Said::Tool, format!("{} {}{end}", done.tool, done.target));
        Ok(self.desk.tool_told(self.turn, &done).await?)
    }

    fn say(&mut self, kind: Said, text: String) {
        let shown = match kind {
            Said::Answer => TextKind::Answer,
            Said::Reasoning => TextKind::Reasoning,
            Said::Tool => TextKind::Tool,
        };
        self.desk.text(shown, &if kind == Said::Tool { text.replace('\n', " ") } else { text.clone() });
        if self.stored > MAX_STORED_BYTES {
            return;
        }
        (self.stored, self.waits) = (self.stored + text.len(), self.waits + text.len());
        if kind == Said::Answer {
            self.heard.answer.push_str(&text);
        }
        match self.waiting.last_mut() {
            Some((last, waiting)) if *last == kind && kind != Said::Tool => waiting.push_str(&text),
            _ => self.waiting.push((kind, text)),
        }
    }

    async fn store(&mut self) -> Result<(), Failure> {
        self.waits = 0;
        book::said(self.desk, self.turn, std::mem::take(&mut self.waiting)).await
    }

    /// Tells once that the program is silent, before it counts as broken.
    async fn unresponsive(&self, patience: Duration) -> Result<(), Failure> {
        let wait_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.desk.text(TextKind::Note, &format!("no word for {} s; waiting as long again", patience.as_secs()));
        self.desk.retried(self.turn, 0, None, Code::PaneBrieflyUnresponsive, wait_ms).await
    }
}

/// How a model is chosen.
enum Choice {
    /// By this option of the session.
    Option(String),
    /// By the older request that some programs know.
    Model,
}

/// The models that a program offers, by the names that choose them.
fn offered(opened: &Value) -> Vec<(Choice, String)> {
    let mut offered = Vec::new();
    let is_model = |option: &&Value| option["category"] == "model" || option["id"] == "model";
    if let Some(option) = opened["configOptions"].as_array().into_iter().flatten().find(is_model) {
        let id = option["id"].as_str().unwrap_or_default();
        for entry in option["options"].as_array().into_iter().flatten() {
            // Entries may stand in groups.
            let within = entry["options"].as_array().map_or_else(|| vec![entry], |group| group.iter().collect());
            let names = within.into_iter().filter_map(|entry| entry["value"].as_str());
            offered.extend(names.map(|name| (Choice::Option(id.to_owned()), name.to_owned())));
        }
    }
    let older = opened["models"]["availableModels"].as_array().into_iter().flatten();
    offered.extend(older.filter_map(|model| model["modelId"].as_str()).map(|name| (Choice::Model, name.to_owned())));
    offered
}

fn value(request: &impl serde::Serialize) -> Result<Value, Broken> {
    serde_json::to_value(request).map_err(|error| Broken::Final(Failure::internal(error)))
}

fn cut(cut: Cut) -> Broken {
    let words = match cut {
        Cut::Closed => "it ended".to_owned(),
        Cut::TooLong => format!("it said a line longer than {} MiB", MAX_LINE_BYTES / 1024 / 1024),
    };
    Broken::Program(Code::SessionRecoveryRequired, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_in_each_of_the_forms_programs_have() {
        let grouped = json!({"configOptions": [
            {"id": "mode", "category": "mode", "options": [{"value": "build"}]},
            {"id": "m", "category": "model", "options": [{"value": "a"}, {"name": "group", "options": [{"value": "b"}]}]}]});
        let older = json!({"models": {"availableModels": [{"modelId": "c", "name": "C"}], "currentModelId": "c"}});
        let names = |opened: &Value| offered(opened).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(&grouped), ["a", "b"]);
        assert_eq!(names(&older), ["c"]);
        assert!(names(&json!({"sessionId": "s"})).is_empty());
    }
}
