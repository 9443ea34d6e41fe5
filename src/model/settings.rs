//! Settings as the engine and the console use them; reading them from files and variables is the
//! command line's work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::OnDisconnect;

/// Everything that can be set, with its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How runs are executed.
    pub engine: EngineSettings,
    /// The process that executes runs.
    pub host: HostSettings,
    /// Any endpoint that speaks Chat Completions.
    pub openai: OpenAiSettings,
    /// The backend without a model.
    pub rehearsal: RehearsalSettings,
    /// The screen.
    pub console: ConsoleSettings,
    /// Agent programs, by the name that personas give in `agent`.
    pub agents: BTreeMap<String, AgentSettings>,
    /// Servers whose tools personas can be given, by the name that stands in `mcp:NAME/TOOL`.
    pub mcp: BTreeMap<String, McpSettings>,
    /// What may be spent before the operator is asked.
    pub budget: BudgetSettings,
    /// Who is told when no console is open.
    pub notify: NotifySettings,
    /// Traces and metrics for an OpenTelemetry collector.
    pub telemetry: TelemetrySettings,
    /// Prices that win over the shipped list, by model name.
    pub prices: BTreeMap<String, Price>,
}

/// How runs are executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// How many runs work at once; one that waits for a person does not count.
    pub max_concurrent_runs: u32,
    /// How long in-flight work may take to reach its next checkpoint at shutdown, in seconds.
    pub shutdown_grace_seconds: u64,
    /// What happens at start to runs whose host died.
    pub on_crash: OnCrash,
    /// The largest artifact that is read, in bytes.
    pub max_artifact_bytes: u64,
    /// Bytes that the work of an attempt may write to its worktree; 0: as many as there is room for.
    pub max_worktree_bytes: u64,
    /// Turns one attempt may take.
    pub max_turns: u32,
    /// Tokens one attempt may use, sent and received together; 0: as many as it needs.
    pub max_tokens: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_concurrent_runs: 4,
            shutdown_grace_seconds: 30,
            on_crash: OnCrash::Ask,
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
    /// What becomes of runs when the terminal of their host is lost, unless they say otherwise.
    pub on_disconnect: OnDisconnect,
    /// Whether a host that took runs over stays when all of them have ended.
    pub linger: bool,
    /// Whether the data folder may lie on the disk of another machine (NFS, SMB, FUSE and their like).
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

/// What may be spent before the operator is asked, in dollars as decimal text; empty: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetSettings {
    /// By one run.
    pub run: String,
    /// By all runs of one day, in UTC.
    pub day: String,
    /// By all runs of a workflow together, by its name.
    pub workflows: BTreeMap<String, String>,
}

/// What happens at start to runs whose host died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnCrash {
    /// They are paused, and the resume picker offers them.
    Ask,
    /// They go on at once.
    Resume,
    /// They fail.
    Fail,
}

/// Any endpoint that speaks Chat Completions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAiSettings {
    /// Where `/chat/completions` lies beneath.
    pub base_url: String,
    /// The environment variable that holds the key. Empty: no key is sent.
    pub key_env: String,
    /// A file that holds the key where the variable is not set; only its owner may read it.
    pub key_file: String,
    /// A command that prints the key, where there is neither variable nor file: program and arguments, no shell.
    pub key_command: Vec<String>,
    /// The model of personas that name none.
    pub model: String,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// How long connecting may take.
    pub connect_timeout_seconds: u64,
    /// How long a stream may be silent before it counts as cut.
    pub idle_timeout_seconds: u64,
    /// Tries per turn, the first included.
    pub max_tries: u32,
    /// Whether the provider's list of models (prices, windows) is asked for in the background, once a day.
    pub model_list: bool,
    /// The model's window in tokens; 0: as the provider's list says, else 128000.
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

/// The backend without a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RehearsalSettings {
    /// Pause between two pieces of text, so that the eye can follow, in milliseconds.
    pub pace_ms: u64,
}

impl Default for RehearsalSettings {
    fn default() -> Self {
        Self { pace_ms: 30 }
    }
}

/// An agent program that speaks the Agent Client Protocol on standard input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// The program and its arguments; empty for a well-known program: as it is usually begun.
    pub command: Vec<String>,
    /// Variables that it gets, beside the few that every program needs.
    pub env: BTreeMap<String, String>,
    /// Names of variables that are handed on to it from the console's own, such as its key.
    pub pass_env: Vec<String>,
    /// Whether it may load what the repository brings along for it: settings, hooks, servers.
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
    /// How long it may take to begin and to open a session.
    pub start_timeout_seconds: u64,
    /// How long it may be silent while it works; after twice that it counts as broken.
    pub idle_timeout_seconds: u64,
    /// The pause before the first try to bring it back, in milliseconds; later ones double.
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

/// A server of tools that speaks the Model Context Protocol on standard input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpSettings {
    /// The program and its arguments. It works in the run's worktree; `{worktree}` stands for its path.
    pub command: Vec<String>,
    /// Variables that it gets, beside the few that every program needs.
    pub env: BTreeMap<String, String>,
    /// Names of variables that are handed on to it from the console's own, such as its key.
    pub pass_env: Vec<String>,
    /// Whether the kernel keeps it to writing in the worktree, a temp folder, and what is named below. The
    /// network stays open.
    pub confined: bool,
    /// Folders and files that it may read and write while it is confined; `~/` stands for the home.
    pub own_folders: Vec<String>,
    /// How long it may take to begin and to name its tools.
    pub start_timeout_seconds: u64,
    /// How long one call may take.
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
    /// Where OTLP over HTTP is taken, such as http://localhost:4318. Empty: nothing is sent.
    pub otlp_endpoint: String,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
}

/// Who is told when no console is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotifySettings {
    /// A program and its arguments; it gets the notice as JSON on standard input. Empty: none.
    pub command: Vec<String>,
    /// Where the notice is posted as JSON. Empty: nowhere.
    pub webhook: String,
    /// The environment variable that holds the secret which signs what is posted. Empty: it is not signed.
    pub webhook_secret_env: String,
    /// Of what is told.
    pub on: Vec<Notice>,
}

impl Default for NotifySettings {
    fn default() -> Self {
        let on = vec![Notice::Gate, Notice::Failure, Notice::Budget, Notice::End];
        Self {
            command: Vec::new(),
            webhook: String::new(),
            webhook_secret_env: String::new(),
            on,
        }
    }
}

/// What an operator can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// A question waits.
    Gate,
    /// A run failed, or lost its agent.
    Failure,
    /// A budget is nearly or wholly used.
    Budget,
    /// A run is done or was aborted.
    End,
}

/// The screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleSettings {
    /// Only ASCII glyphs.
    pub ascii: bool,
    /// Keys by action, such as `quit = ["q"]`; they replace the built-in ones.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Whether the console takes mouse clicks and the wheel; with Shift they stay the terminal's.
    pub mouse: bool,
    /// How the terminal is told, while it is not looked at, that a run needs somebody.
    pub notifications: Notifications,
    /// The colours, by what lies behind them.
    pub theme: ThemeName,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            ascii: false,
            keys: BTreeMap::new(),
            mouse: true,
            notifications: Notifications::Desktop,
            theme: ThemeName::Dark,
        }
    }
}

/// How the terminal is told that a run needs somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notifications {
    /// Not at all.
    Off,
    /// By the bell alone.
    Bell,
    /// By the bell and a desktop notification (OSC 9).
    #[default]
    Desktop,
}

/// Colours, by what lies behind them; always the terminal's own 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThemeName {
    /// For light text on dark.
    #[default]
    Dark,
    /// For dark text on light.
    Light,
    /// Without colours or faint text: weight, underline and reversed alone.
    Contrast,
}

/// What a model costs, in dollars per million tokens, as decimal text so that nothing is rounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Per million tokens sent.
    pub input: String,
    /// Per million tokens received.
    pub output: String,
    /// Per million tokens read from the cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<String>,
}
