//! The persona file format, and the assignment of personas to roles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash::ContentHash;
use super::id::{PhaseKey, RoleId, VersionedName};
use super::workflow::NAME_PATTERN;

/// The backends that personas can name.
pub const BACKENDS: &[&str] = &["openai", "acp", "rehearsal"];
/// The tools that personas can be given.
pub const TOOLS: &[&str] = &[
    "ls",
    "read_file",
    "write_file",
    "edit_file",
    "glob",
    "grep",
    "write_todos",
    "execute",
    "task",
];
/// Tools of configured MCP servers: a whole server `mcp:NAME`, or one tool `mcp:NAME/TOOL`.
pub const MCP_TOOL_PATTERN: &str = "^mcp:[a-z0-9][a-z0-9_-]*(/[A-Za-z0-9_.-]+)?$";
/// Reasoning effort levels.
pub const REASONING_EFFORTS: &[&str] = &["low", "medium", "high"];
/// How a model produces its artifact: with tools, as one structured document that the engine
/// writes, or whichever the provider's model list supports.
pub const MODES: &[&str] = &["tools", "structured", "auto"];
/// Upper bound for the token limit of one response.
pub const MAX_ANSWER_TOKENS: u32 = 1_000_000;

/// An agent configuration for a role: backend, model, tools and their permissions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// The name used in `--persona ROLE=NAME`.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Increases when the meaning changes.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// What it is good at, in one sentence.
    #[serde(default)]
    pub description: String,
    /// The backend that runs it: `openai`, `acp` or `rehearsal`.
    #[schemars(extend("enum" = BACKENDS))]
    pub backend: String,
    /// The ACP agent for backend `acp`: a name from the settings, or a well-known agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = NAME_PATTERN))]
    pub agent: Option<String>,
    /// The model's name at the backend; absent: the backend's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub model: Option<String>,
    /// What it can do, matched against a role's `required_capabilities`.
    #[serde(default)]
    #[schemars(inner(regex(pattern = NAME_PATTERN)))]
    pub capabilities: Vec<String>,
    /// The system prompt of every conversation.
    #[serde(default)]
    pub system_prompt: String,
    /// The tools it may use.
    #[serde(default)]
    #[schemars(extend("items" = { "anyOf": [{ "type": "string", "enum": TOOLS }, { "type": "string", "pattern": MCP_TOOL_PATTERN }] }))]
    pub tools: Vec<String>,
    /// Permission per tool: run without asking (`auto`, the default), ask the operator (`ask`), or
    /// refuse (`deny`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub permissions: BTreeMap<String, ToolPermission>,
    /// Sampling parameters, passed to the backend.
    #[serde(default)]
    pub params: SamplingParams,
}

impl Persona {
    /// `name@version`.
    #[must_use]
    pub fn versioned_name(&self) -> VersionedName {
        VersionedName {
            name: self.name.clone(),
            version: self.version,
        }
    }

    /// The identity that consent is given to: SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// Never for a persona that was read from a file; the JSON library's error otherwise.
    pub fn hash(&self) -> Result<ContentHash, serde_json::Error> {
        ContentHash::from_canonical_json(self)
    }

    /// Returns the MCP entries of `tools` as server name and, if the entry names one, tool name.
    pub fn mcp_tools(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.tools.iter().filter_map(|tool| mcp_tool(tool))
    }

    /// Returns the permission of a tool.
    #[must_use]
    pub fn permission(&self, tool: &str) -> ToolPermission {
        self.permissions
            .get(tool)
            .copied()
            .unwrap_or(ToolPermission::Auto)
    }
}

/// Parses `mcp:NAME` or `mcp:NAME/TOOL`. Returns `None` for anything else.
#[must_use]
pub fn mcp_tool(tool: &str) -> Option<(&str, Option<&str>)> {
    let rest = tool.strip_prefix("mcp:")?;
    let (server, name) = rest
        .split_once('/')
        .map_or((rest, None), |(server, name)| (server, Some(name)));
    let plain = |text: &str, more: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.contains(char::from(b)))
    };
    let fits = plain(server, "_-")
        && !server.bytes().any(|b| b.is_ascii_uppercase())
        && !server.starts_with(['_', '-']);
    (fits && name.is_none_or(|name| plain(name, "_.-"))).then_some((server, name))
}

/// Permission of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Permission")]
pub enum ToolPermission {
    /// Run without asking.
    Auto,
    /// Ask the operator before each call.
    Ask,
    /// Refuse the call and report that to the agent.
    Deny,
}

/// Sampling parameters. An absent parameter uses the model's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Params")]
pub struct SamplingParams {
    /// Sampling temperature, 0 to 2.
    #[schemars(with = "f64", range(min = 0.0, max = 2.0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    #[schemars(with = "f64", range(min = 0.0, max = 1.0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens one answer may have.
    #[schemars(with = "u32", range(min = 1, max = MAX_ANSWER_TOKENS))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// `low`, `medium` or `high`, for models that reason.
    #[schemars(with = "String", extend("enum" = REASONING_EFFORTS))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// `tools`, `structured` (one document, which the engine writes) or `auto`, the default: as the
    /// provider says of the model.
    #[schemars(with = "String", extend("enum" = MODES))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// One role's persona, frozen for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Binding")]
pub struct RoleBinding {
    /// The seat.
    pub role: RoleId,
    /// Who sits there.
    pub persona: VersionedName,
    /// The persona's identity; its frozen text is stored under this hash.
    pub persona_hash: ContentHash,
    /// The backend that runs it in this run: the persona's own, or `rehearsal`.
    pub backend: String,
    /// The model, where the backend has one.
    pub model: Option<String>,
}

/// Who works on a phase from here on, in place of who sat in its seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NewSeat")]
pub struct SeatChange {
    /// Which phase.
    pub phase_key: PhaseKey,
    /// Who worked on it, or would have.
    pub was: VersionedName,
    /// Who does now, frozen like the bindings of the start.
    #[serde(flatten)]
    pub binding: RoleBinding,
}

impl SeatChange {
    /// The phase, who worked on it and who does now, with their model.
    #[must_use]
    pub fn in_words(&self) -> String {
        let model = self
            .binding
            .model
            .as_ref()
            .map_or_else(String::new, |model| format!(" ({model})"));
        format!(
            "{}: {}{model} instead of {}",
            self.phase_key, self.binding.persona, self.was
        )
    }
}

/// The identity of a whole binding: SHA-256 of the canonical JSON of all bindings, ordered by role.
///
/// # Errors
/// Never for bindings made by the binder; the JSON library's error otherwise.
pub fn binding_hash(bindings: &[RoleBinding]) -> Result<ContentHash, serde_json::Error> {
    let by_role: BTreeMap<&str, &RoleBinding> =
        bindings.iter().map(|b| (b.role.as_str(), b)).collect();
    ContentHash::from_canonical_json(&by_role)
}
