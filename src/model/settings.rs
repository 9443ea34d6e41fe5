//! Settings of the engine and the console, with their defaults.
//!
//! [`Settings`] is plain data. The command line reads it from files and environment variables.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::OnDisconnect;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Settings")]
pub struct AppSettings {
    /// How runs are executed.
    pub engine: EngineSettings,
    /// The process that executes runs.
    pub host: HostSettings,
    /// A Chat Completions endpoint.
    pub openai: OpenAiSettings,
    /// The rehearsal backend, which makes no model calls.
    pub rehearsal: RehearsalSettings,
    /// The console's display and input.
    pub console: ConsoleSettings,
    /// ACP agents, by the name that personas use in `agent`.
    pub agents: BTreeMap<String, AgentSettings>,
    /// MCP servers, by the name used in `mcp:NAME/TOOL`.
    pub mcp: BTreeMap<String, McpSettings>,
    /// Budgets. A run that reaches one pauses for approval.
    pub budget: BudgetSettings,
    /// Notifications sent when no console is open.
    pub notify: NotifySettings,
    /// Traces and metrics for an OpenTelemetry collector.
    pub telemetry: TelemetrySettings,
    /// Prices by model name; they override the built-in list.
    pub prices: BTreeMap<String, ModelPrice>,
}

/// How runs are executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Run concurrency limit. Runs that wait for an operator do not count.
    pub max_concurrent_runs: u32,
    /// Seconds that in-flight work has to reach its next checkpoint at shutdown.
    pub shutdown_grace_seconds: u64,
    /// What the next host does with runs whose host died.
    pub on_crash: CrashPolicy,
    /// Maximum size of an artifact, in bytes.
    pub max_artifact_bytes: u64,
    /// Write quota of the worktree per attempt, in bytes. 0: unlimited.
    pub max_worktree_bytes: u64,
    /// Maximum number of turns per attempt.
    pub max_turns: u32,
    /// Maximum number of tokens per attempt, input and output together. 0: unlimited.
    pub max_tokens: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_concurrent_runs: 4,
            shutdown_grace_seconds: 30,
            on_crash: CrashPolicy::Ask,
            max_artifact_bytes: 10 * 1024 * 1024,
            max_worktree_bytes: 1024 * 1024 * 1024,
            max_turns: 50,
            max_tokens: 0,
        }
    }
}

/// The process that executes runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostSettings {
    /// What happens to runs when their host loses its terminal. A run can override it.
    pub on_disconnect: OnDisconnect,
    /// Whether a host that took over runs keeps running after all of them have finished.
    pub linger: bool,
    /// Whether the data folder may be on a network file system (NFS, SMB, FUSE and similar).
    pub allow_network_fs: bool,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            on_disconnect: OnDisconnect::Cancel,
            linger: false,
            allow_network_fs: false,
        }
    }
}

/// Budgets in dollars, as decimal text. Empty: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetSettings {
    /// Budget of one run.
    pub run: String,
    /// Budget of all runs of one UTC day.
    pub day: String,
    /// Budget of all runs of a workflow together, by workflow name.
    pub workflows: BTreeMap<String, String>,
}

/// What the next host does with runs whose host died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OnCrash")]
pub enum CrashPolicy {
    /// Pause them and offer them in the resume picker.
    Ask,
    /// Resume them immediately.
    Resume,
    /// Fail them.
    Fail,
}

/// A Chat Completions endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAiSettings {
    /// Base URL; requests go to `/chat/completions` below it.
    pub base_url: String,
    /// Environment variable that contains the API key. Empty: no key is sent.
    pub key_env: String,
    /// File that contains the API key, used if the variable is not set. Only its owner may have
    /// read permission.
    pub key_file: String,
    /// Command that prints the API key, used if neither variable nor file is set: program and
    /// arguments, run without a shell.
    pub key_command: Vec<String>,
    /// Default model for personas that name none.
    pub model: String,
    /// HTTP headers sent with every request.
    pub headers: BTreeMap<String, String>,
    /// Connection timeout, in seconds.
    pub connect_timeout_seconds: u64,
    /// Seconds without data after which a stream counts as disconnected.
    pub idle_timeout_seconds: u64,
    /// Maximum number of tries per turn, including the first.
    pub max_tries: u32,
    /// Whether to fetch the provider's model list (prices, context windows) in the background,
    /// once a day.
    pub model_list: bool,
    /// Context window of the model, in tokens. 0: from the provider's model list, else 128000.
    pub context_window: u64,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        Self {
            base_url: "https://openrouter.ai/api/v1".to_owned(),
            key_env: "OPENROUTER_API_KEY".to_owned(),
            key_file: String::new(),
            key_command: Vec::new(),
            model: "anthropic/claude-sonnet-4.5".to_owned(),
            headers: BTreeMap::new(),
            connect_timeout_seconds: 10,
            idle_timeout_seconds: 60,
            max_tries: 5,
            model_list: true,
            context_window: 0,
        }
    }
}

/// The rehearsal backend, which makes no model calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RehearsalSettings {
    /// Delay between two chunks of text, in milliseconds.
    pub pace_ms: u64,
}

impl Default for RehearsalSettings {
    fn default() -> Self {
        Self { pace_ms: 30 }
    }
}

/// An ACP agent: a program that speaks the Agent Client Protocol on standard input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// The program and its arguments. Empty: the default command of a well-known agent.
    pub command: Vec<String>,
    /// Environment variables, in addition to the few that every program gets.
    pub env: BTreeMap<String, String>,
    /// Names of environment variables passed through from the console, such as an API key.
    pub pass_env: Vec<String>,
    /// Whether the agent may load the repository's settings, hooks and MCP servers for it.
    pub trust_project: bool,
    /// Whether the kernel keeps it from writing anything but the worktree, a temp folder and its own
    /// folders, from reading your other private files, and from the sockets of other programs.
    pub confined: bool,
    /// Folders and files that it may write while it is confined, beside the usual ones of a well-known
    /// program; absolute, or from `~/`.
    pub own_folders: Vec<String>,
    /// Files and folders of the worktree that are not there for it, because it would take them for its own
    /// settings; beside the usual ones of a well-known program. All are there with `trust_project`.
    pub hide: Vec<String>,
    /// Seconds it may take to start and open a session.
    pub start_timeout_seconds: u64,
    /// Seconds without output while it works. After twice that time the agent counts as failed.
    pub idle_timeout_seconds: u64,
    /// Delay before the first restart, in milliseconds. It doubles with each further restart.
    pub retry_pause_ms: u64,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            trust_project: false,
            confined: true,
            own_folders: Vec::new(),
            hide: Vec::new(),
            start_timeout_seconds: 60,
            idle_timeout_seconds: 300,
            retry_pause_ms: 1000,
        }
    }
}

/// An MCP server: a program that speaks the Model Context Protocol on standard input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpSettings {
    /// The program and its arguments. Its working directory is the run's worktree; `{worktree}`
    /// expands to that path.
    pub command: Vec<String>,
    /// Environment variables, in addition to the few that every program gets.
    pub env: BTreeMap<String, String>,
    /// Names of environment variables passed through from the console, such as an API key.
    pub pass_env: Vec<String>,
    /// Whether the kernel keeps it to writing in the worktree, a temp folder, and what is named below. The
    /// network stays open.
    pub confined: bool,
    /// Folders and files that it may read and write while confined; `~/` is the home directory.
    pub own_folders: Vec<String>,
    /// Seconds it may take to start and list its tools.
    pub start_timeout_seconds: u64,
    /// Timeout of one tool call, in seconds.
    pub call_timeout_seconds: u64,
}

impl Default for McpSettings {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            confined: false,
            own_folders: Vec::new(),
            start_timeout_seconds: 30,
            call_timeout_seconds: 120,
        }
    }
}

/// Traces and metrics for an OpenTelemetry collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// OTLP/HTTP endpoint, such as http://localhost:4318. Empty: nothing is sent.
    pub otlp_endpoint: String,
    /// HTTP headers sent with every request.
    pub headers: BTreeMap<String, String>,
}

/// Notifications sent when no console is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotifySettings {
    /// A program and its arguments; it gets the notification as JSON on standard input. Empty: none.
    pub command: Vec<String>,
    /// URL to which the notification is posted as JSON. Empty: none.
    pub webhook: String,
    /// Environment variable that contains the secret for signing webhook requests. Empty: requests
    /// are not signed.
    pub webhook_secret_env: String,
    /// Events that send a notification.
    pub on: Vec<NoticeKind>,
}

impl Default for NotifySettings {
    fn default() -> Self {
        let on = vec![
            NoticeKind::Gate,
            NoticeKind::Failure,
            NoticeKind::Budget,
            NoticeKind::End,
        ];
        Self {
            command: Vec::new(),
            webhook: String::new(),
            webhook_secret_env: String::new(),
            on,
        }
    }
}

/// An event that sends a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Notice")]
pub enum NoticeKind {
    /// An approval is pending.
    Gate,
    /// A run failed or lost its agent.
    Failure,
    /// A budget is nearly or fully used.
    Budget,
    /// A run completed or was aborted.
    End,
}

/// The console's display and input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleSettings {
    /// Use ASCII glyphs only.
    pub ascii: bool,
    /// Keys by action, such as `quit = ["q"]`; they replace the built-in ones.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Whether the console handles mouse clicks and the wheel. With Shift they go to the terminal.
    pub mouse: bool,
    /// How the terminal notifies the operator while it is not focused.
    pub notifications: TerminalNotifications,
    /// The color theme.
    pub theme: ThemeName,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            ascii: false,
            keys: BTreeMap::new(),
            mouse: true,
            notifications: TerminalNotifications::Desktop,
            theme: ThemeName::Dark,
        }
    }
}

/// How the terminal notifies the operator that a run needs attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Notifications")]
pub enum TerminalNotifications {
    /// No notification.
    Off,
    /// The terminal bell only.
    Bell,
    /// The terminal bell and a desktop notification (OSC 9).
    #[default]
    Desktop,
}

/// A color theme. All themes use the terminal's own 16 colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThemeName {
    /// For light text on dark.
    #[default]
    Dark,
    /// For dark text on light.
    Light,
    /// No colors and no faint text: bold, underline and reverse only.
    Contrast,
}

/// Price of a model in dollars per million tokens, as decimal text to avoid rounding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Price")]
pub struct ModelPrice {
    /// Per million input tokens.
    pub input: String,
    /// Per million output tokens.
    pub output: String,
    /// Per million cached input tokens. Absent: same as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<String>,
}
