//! The file tools that an agent works with, confined to the run's worktree.
//!
//! A call comes in as a tool's name and the text of its arguments, and goes out as a [`ToolReply`]:
//! whatever is wrong with it (unknown tool, bad arguments, a refused path) is said to the model and
//! costs no attempt. Names and arguments are those that deep agents know. Each tool is a file of its
//! own with one [`ToolSpec`]; all of them reach files only through the [`workspace`].
//!
//! Not here: deciding what to do about a refusal, storing anything, asking the operator, running a
//! sub-agent (`task` is only declared here; the loop of the conversation does it).

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use self::served::not_permitted;

use self::arguments::ToolArguments;
use self::workspace::ToolWorkspace;
use self::write_todos::TodoEntry;
use crate::engine::agent::mcp::McpServers;
use crate::engine::sandbox::SandboxLauncher;
use crate::engine::workspace::write_quota::WriteQuota;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::ToolOutcome;
use crate::model::persona::{Persona, ToolPermission};
use crate::model::time::whole_ms;

mod arguments;
mod cut;
mod edit_file;
mod execute;
mod glob;
mod grep;
mod ls;
mod path;
mod question;
mod read_file;
mod served;
mod task;
mod workspace;
mod write_file;
mod write_todos;

/// What stands before the words of a call that failed.
const ERROR: &str = "error: ";

/// What stands at the end of a result of which the model got a part, before the name of the whole and a bracket.
pub const KEPT: &str = "\n[all of it is kept for the operator: ";

const TOOLS: [&ToolSpec; 9] = [
    &ls::TOOL,
    &read_file::TOOL,
    &write_file::TOOL,
    &edit_file::TOOL,
    &glob::TOOL,
    &grep::TOOL,
    &write_todos::TOOL,
    &execute::TOOL,
    &task::TOOL,
];

/// What a tool call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolReply {
    /// The path or pattern it was about, for people.
    pub target: String,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// Set when confinement or a permission refused it.
    pub denied: Option<Failure>,
    /// The text the model gets, limited in length.
    pub result: String,
    /// All of what it said, where the model gets less: to be kept for the operator.
    pub whole: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

/// The tools of one attempt: what the persona may use, beneath one worktree.
pub struct Toolbox {
    bench: Arc<ToolContext>,
    offered: Vec<(&'static ToolSpec, ToolPermission)>,
    persona: String,
    launcher: SandboxLauncher,
    shelf: Option<Arc<McpServers>>,
}

/// One tool: what the model is told of it, and what it does.
struct ToolSpec {
    name: &'static str,
    description: &'static str,
    /// The JSON Schema of its arguments.
    parameters: fn() -> Value,
    /// The argument that tells people what a call is about.
    target: &'static str,
    /// Whether running it again changes nothing.
    read_only: bool,
    run: fn(&ToolContext, ToolArguments) -> Result<String, ToolError>,
}

/// What tools work on.
struct ToolContext {
    workspace: ToolWorkspace,
    todos: Mutex<Vec<TodoEntry>>,
    /// Made with the first command, private, gone with the toolbox.
    temp: OnceLock<tempfile::TempDir>,
}

/// Why a tool did not do what was asked.
#[derive(Debug)]
enum ToolError {
    /// Confinement or a permission says no.
    Refused(Failure),
    /// Anything else, in words for the model.
    Fault(String),
}

/// What a call came to, before it is cut.
struct ToolResponse {
    target: String,
    said: Result<String, ToolError>,
    /// All of it, where what was said is less.
    whole: Option<String>,
}

impl ToolResponse {
    fn of(target: String, said: Result<String, ToolError>) -> Self {
        Self {
            target,
            said,
            whole: None,
        }
    }

    /// The same, with what a server said kept where the model gets less: it may not say it again.
    fn kept_if_cut(mut self) -> Self {
        let (Ok(words) | Err(ToolError::Fault(words))) = &self.said else {
            return self;
        };
        self.whole = (words.len() > cut::MAX_RESULT_BYTES).then(|| words.clone());
        self
    }
}

impl ToolError {
    fn io(path: &path::WorktreePath, error: &std::io::Error) -> Self {
        Self::Fault(format!("'{}': {error}", path.shown()))
    }
}

impl Toolbox {
    /// Opens the worktree and lays out the tools that `persona` is given. Tools that it names and
    /// this engine does not have are left out; a persona that names none gets none.
    ///
    /// # Errors
    /// `worktree_missing` when the folder is not there, `io_failed` when it cannot be opened.
    pub fn new(worktree: &Path, persona: &Persona, launcher: SandboxLauncher) -> Result<Self> {
        let bench = Arc::new(ToolContext {
            workspace: ToolWorkspace::open(worktree)?,
            todos: Mutex::default(),
            temp: OnceLock::new(),
        });
        let given = TOOLS
            .into_iter()
            .filter(|tool| persona.tools.iter().any(|name| name == tool.name));
        let offered = given
            .map(|tool| (tool, persona.permission(tool.name)))
            .collect();
        Ok(Self {
            bench,
            offered,
            persona: persona.name.clone(),
            launcher,
            shelf: None,
        })
    }

    /// Has what the file tools write counted there.
    #[must_use]
    pub fn counting(mut self, growth: &Arc<WriteQuota>) -> Self {
        if let Some(bench) = Arc::get_mut(&mut self.bench) {
            bench.workspace.count(Arc::clone(growth));
        }
        self
    }

    /// Whether a persona has tools that let others write: commands, and those of servers.
    #[must_use]
    pub fn others_write(persona: &Persona) -> bool {
        let ours = |name: &String| {
            name != execute::TOOL.name && TOOLS.iter().any(|tool| tool.name == name)
        };
        !persona.tools.iter().all(ours)
    }

    /// Lays the tools of servers beside the engine's own.
    #[must_use]
    pub fn with_servers(mut self, shelf: Arc<McpServers>) -> Self {
        self.shelf = Some(shelf);
        self
    }

    /// Lays the tools of the servers of another toolbox there, with the same permissions.
    #[must_use]
    pub fn with_servers_of(mut self, other: &Self) -> Self {
        self.shelf.clone_from(&other.shelf);
        self
    }

    /// What the persona says of a tool of a server; absent for any other tool.
    fn on_shelf(&self, tool: &str) -> Option<ToolPermission> {
        self.shelf.as_ref()?.permission(tool)
    }

    /// The same tools but those that `keep` refuses: what a sub-agent is given.
    #[must_use]
    pub fn limited(&self, keep: impl Fn(&str) -> bool) -> Self {
        let offered = self
            .offered
            .iter()
            .filter(|(tool, _)| keep(tool.name))
            .copied()
            .collect();
        let bench = Arc::new(ToolContext {
            workspace: self.bench.workspace.again(),
            todos: Mutex::default(),
            temp: OnceLock::new(),
        });
        Self {
            bench,
            offered,
            persona: self.persona.clone(),
            launcher: self.launcher.clone(),
            shelf: None,
        }
    }

    /// The names of all tools there are.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        TOOLS.iter().map(|tool| tool.name).collect()
    }

    /// The tools on offer, as the text of the `tools` of a Chat Completions request; absent where there are
    /// none. What is refused anyway (`deny`) is not offered.
    ///
    /// # Errors
    /// `internal`, when a server's tool cannot be written.
    pub fn on_offer(&self) -> Result<Option<Box<RawValue>>> {
        let own = self
            .offered
            .iter()
            .filter(|(_, permission)| *permission != ToolPermission::Deny)
            .map(|(tool, _)| Cow::from(tool.text()));
        let foreign = self
            .shelf
            .iter()
            .flat_map(|shelf| shelf.definitions())
            .map(|tool| Cow::from(tool.to_string()));
        let tools: Vec<Cow<'static, str>> = own.chain(foreign).collect();
        if tools.is_empty() {
            return Ok(None);
        }
        RawValue::from_string(format!("[{}]", tools.join(",")))
            .map(Some)
            .map_err(Failure::internal)
    }

    /// Whether running `tool` again after a crash changes nothing.
    #[must_use]
    pub fn is_read_only(&self, tool: &str) -> bool {
        only_reads(tool)
    }

    /// Whether a tool is on offer.
    #[must_use]
    pub fn has(&self, tool: &str) -> bool {
        self.offered
            .iter()
            .any(|(known, permission)| known.name == tool && *permission != ToolPermission::Deny)
            || self
                .on_shelf(tool)
                .is_some_and(|permission| permission != ToolPermission::Deny)
    }

    /// Whether the operator's word is needed for a tool.
    #[must_use]
    pub fn asks(&self, tool: &str) -> bool {
        self.offered
            .iter()
            .any(|(known, permission)| known.name == tool && *permission == ToolPermission::Ask)
            || self.on_shelf(tool) == Some(ToolPermission::Ask)
    }

    /// What a sub-agent is to do, and whether it only reads.
    ///
    /// # Errors
    /// Words for the model.
    pub fn task(arguments: &str) -> std::result::Result<(String, bool), String> {
        task::read(arguments)
    }

    /// Whether a regular file lies at `path` in the worktree.
    #[must_use]
    pub fn has_file(&self, path: &str) -> bool {
        self.bench.workspace.has_file(path)
    }

    /// What a call is about, for people, without running it.
    #[must_use]
    pub fn target(&self, tool: &str, arguments: &str) -> String {
        if self.on_shelf(tool).is_some() {
            return cut::line(arguments, cut::MAX_TARGET_CHARS);
        }
        let known = TOOLS.iter().find(|known| known.name == tool);
        let arguments = known.and_then(|tool| Some((tool, ToolArguments::parse(arguments).ok()?)));
        arguments
            .map(|(tool, arguments)| target_of(tool, &arguments))
            .unwrap_or_default()
    }

    /// Runs one call to its end; whatever goes wrong is said to the model in the reply. `allowed` is the
    /// operator's word for tools that need it. `stop` ends a command; any other tool that has begun goes on.
    pub async fn call(
        &self,
        tool: &str,
        arguments: &str,
        allowed: bool,
        stop: &CancellationToken,
    ) -> ToolReply {
        let begun = Instant::now();
        let ToolResponse {
            target,
            said,
            whole,
        } = match self.permitted(tool, allowed) {
            _ if self.on_shelf(tool).is_some() => ToolResponse::of(
                self.target(tool, arguments),
                self.served(tool, arguments, allowed, stop).await,
            )
            .kept_if_cut(),
            Ok(tool) if tool.name == execute::TOOL.name => self.execute(arguments, stop).await,
            Ok(tool) => self.run(tool, arguments.to_owned()).await,
            Err(trouble) => ToolResponse::of(
                tool.chars().take(cut::MAX_TARGET_CHARS).collect(),
                Err(trouble),
            ),
        };
        let (outcome, denied, result) = match said {
            Ok(result) => (ToolOutcome::Ok, None, result),
            Err(ToolError::Refused(failure)) => {
                (ToolOutcome::Error, Some(failure.clone()), refusal(&failure))
            }
            Err(ToolError::Fault(words)) => (ToolOutcome::Error, None, format!("{ERROR}{words}")),
        };
        let duration_ms = whole_ms(begun.elapsed());
        ToolReply {
            target,
            outcome,
            denied,
            result: cut::result(result),
            whole,
            duration_ms,
        }
    }

    /// Calls a tool of a server.
    async fn served(
        &self,
        name: &str,
        arguments: &str,
        allowed: bool,
        stop: &CancellationToken,
    ) -> Result<String, ToolError> {
        let Some(shelf) = &self.shelf else {
            return Err(ToolError::Fault("there are no servers".to_owned()));
        };
        match shelf.permission(name) {
            Some(ToolPermission::Auto) => {}
            Some(ToolPermission::Ask) if allowed => {}
            _ => {
                return Err(ToolError::Refused(not_permitted(
                    &self.persona,
                    name,
                    arguments,
                )));
            }
        }
        shelf
            .call(name, arguments, stop)
            .await
            .map_err(ToolError::Fault)
    }

    fn permitted(&self, name: &str, allowed: bool) -> Result<&'static ToolSpec, ToolError> {
        let Some((tool, permission)) = self.offered.iter().find(|(tool, _)| tool.name == name)
        else {
            let names: Vec<_> = self.offered.iter().map(|(tool, _)| tool.name).collect();
            let known = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            return Err(ToolError::Fault(format!(
                "there is no tool '{}'; the tools are: {known}",
                name.escape_debug()
            )));
        };
        let no = |words: String, hint: String| {
            Err(ToolError::Refused(
                Failure::new(Code::ToolNotPermitted, words).hint(hint),
            ))
        };
        match permission {
            ToolPermission::Auto => Ok(tool),
            ToolPermission::Deny => no(
                format!("persona '{}' may not use '{name}'", self.persona),
                "work without this tool".to_owned(),
            ),
            ToolPermission::Ask if allowed => Ok(tool),
            ToolPermission::Ask => no(
                format!("'{name}' needs the operator's word"),
                "work without this tool".to_owned(),
            ),
        }
    }

    async fn run(&self, tool: &'static ToolSpec, arguments: String) -> ToolResponse {
        let bench = Arc::clone(&self.bench);
        let work = move || match ToolArguments::parse(&arguments) {
            Ok(arguments) => (target_of(tool, &arguments), (tool.run)(&bench, arguments)),
            Err(trouble) => (String::new(), Err(trouble)),
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((target, said)) => ToolResponse::of(target, said),
            Err(error) => ToolResponse::of(
                String::new(),
                Err(ToolError::Fault(format!("the tool broke: {error}"))),
            ),
        }
    }
}

impl ToolSpec {
    /// Its definition as text; it never changes, and every request of every run has it.
    fn text(&self) -> &'static str {
        static TEXTS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
            TOOLS
                .iter()
                .map(|tool| (tool.name, tool.definition().to_string()))
                .collect()
        });
        TEXTS.get(self.name).map_or("{}", String::as_str)
    }

    fn definition(&self) -> Value {
        json!({"type": "function", "function": {"name": self.name, "description": self.description, "parameters": (self.parameters)()}})
    }
}

fn target_of(tool: &ToolSpec, arguments: &ToolArguments) -> String {
    arguments
        .peek(tool.target)
        .unwrap_or_default()
        .chars()
        .take(cut::MAX_TARGET_CHARS)
        .collect()
}

fn refusal(failure: &Failure) -> String {
    format!(
        "refused: {} [{}]. {}",
        failure.message, failure.code, failure.hint
    )
}

/// Whether a result says that the arguments of its call could not be read.
#[must_use]
pub fn is_unreadable(result: &str) -> bool {
    result
        .strip_prefix(ERROR)
        .is_some_and(arguments::are_unreadable)
}

/// Whether running `tool` again changes nothing.
#[must_use]
pub fn only_reads(tool: &str) -> bool {
    TOOLS
        .iter()
        .any(|known| known.name == tool && known.read_only)
}

#[cfg(test)]
mod tests;
