//! Well-known agent programs: how they are begun, found, installed, and kept from loading what a
//! repository brings along for them.

use crate::engine::agent::acp::sandbox_paths::OwnedPath;
use std::path::{Path, PathBuf};

/// A well-known agent program.
#[derive(Debug, PartialEq, Eq)]
pub struct AgentPreset {
    /// The name that personas give in `agent`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// The program and the arguments that make it speak ACP.
    pub command: &'static [&'static str],
    /// How to get it.
    pub install: &'static str,
    /// Variables of the console's own that it is given: where its keys and settings lie.
    pub keys: &'static [&'static str],
    /// Whether its file tools work through the protocol; others read and write the disk themselves.
    pub asks_for_files: bool,
    /// Where it keeps what is its own; it may write there while it is confined.
    pub own: &'static [OwnedPath],
    /// Variables that it is begun with.
    pub env: &'static [(&'static str, &'static str)],
    /// What it would take for its settings of what a repository brings along; that is hidden from it.
    pub brought: &'static [&'static str],
    /// Its own switch against loading such settings.
    pub aloof: ProjectSettingsSwitch,
}

/// How a program is kept from loading settings, hooks and servers that lie in the worktree.
#[derive(Debug, PartialEq, Eq)]
pub enum ProjectSettingsSwitch {
    /// By this variable.
    Variable(&'static str, &'static str),
    /// By this member of `_meta` when a session is opened; a JSON document.
    Meta(&'static str),
    /// There is no switch that is known.
    Not,
}

/// All of them, by name.
pub const PRESETS: &[AgentPreset] = &[
    AgentPreset {
        name: "claude",
        title: "Claude Code, by its ACP adapter",
        command: &["claude-agent-acp"],
        install: "npm install -g @agentclientprotocol/claude-agent-acp",
        keys: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_BASE_URL",
            "CLAUDE_CONFIG_DIR",
        ],
        asks_for_files: true,
        own: &[
            OwnedPath::Named("CLAUDE_CONFIG_DIR", ".claude"),
            OwnedPath::HomeFile(".claude.json"),
            OwnedPath::Everywhere("claude"),
            OwnedPath::Everywhere("claude-cli-nodejs"),
        ],
        env: &[],
        brought: &[".claude", ".mcp.json"],
        aloof: ProjectSettingsSwitch::Meta(
            r#"{"claudeCode":{"options":{"settingSources":["user"]}}}"#,
        ),
    },
    AgentPreset {
        name: "codex",
        title: "Codex, by its ACP adapter",
        command: &["codex-acp"],
        install: "npm install -g @agentclientprotocol/codex-acp",
        keys: &[
            "OPENAI_API_KEY",
            "CODEX_API_KEY",
            "CODEX_HOME",
            "CODEX_PATH",
        ],
        asks_for_files: true,
        own: &[OwnedPath::Named("CODEX_HOME", ".codex")],
        env: &[("INITIAL_AGENT_MODE", "workspace-write")],
        brought: &[".codex"],
        aloof: ProjectSettingsSwitch::Not,
    },
    AgentPreset {
        name: "copilot",
        title: "GitHub Copilot CLI",
        command: &["copilot", "--acp"],
        install: "npm install -g @github/copilot",
        keys: &["GH_TOKEN", "GITHUB_TOKEN", "COPILOT_GITHUB_TOKEN"],
        asks_for_files: true,
        own: &[
            OwnedPath::Named("COPILOT_HOME", ".copilot"),
            OwnedPath::Everywhere("copilot"),
        ],
        env: &[],
        brought: &[
            ".copilot",
            ".github/copilot",
            ".github/hooks",
            ".github/mcp.json",
            ".mcp.json",
            ".vscode/mcp.json",
        ],
        aloof: ProjectSettingsSwitch::Not,
    },
    AgentPreset {
        name: "gemini",
        title: "Gemini CLI",
        command: &["gemini", "--acp"],
        install: "npm install -g @google/gemini-cli",
        keys: &[
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_GENAI_USE_VERTEXAI",
        ],
        asks_for_files: false,
        own: &[OwnedPath::Home(".gemini")],
        env: &[],
        brought: &[".gemini", ".env"],
        aloof: ProjectSettingsSwitch::Variable("GEMINI_CLI_TRUST_WORKSPACE", "false"),
    },
    AgentPreset {
        name: "goose",
        title: "Goose",
        command: &["goose", "acp"],
        install: "see the releases of block/goose",
        keys: &[
            "GOOSE_PROVIDER",
            "GOOSE_MODEL",
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "OPENROUTER_API_KEY",
        ],
        asks_for_files: true,
        own: &[OwnedPath::Everywhere("goose")],
        env: &[],
        brought: &[".goose"],
        aloof: ProjectSettingsSwitch::Not,
    },
    AgentPreset {
        name: "kimi",
        title: "Kimi CLI",
        command: &["kimi", "acp"],
        install: "uv tool install kimi-cli",
        keys: &["KIMI_API_KEY", "KIMI_BASE_URL"],
        asks_for_files: true,
        own: &[OwnedPath::Home(".kimi")],
        env: &[],
        brought: &[".kimi"],
        aloof: ProjectSettingsSwitch::Not,
    },
    AgentPreset {
        name: "opencode",
        title: "OpenCode",
        command: &["opencode", "acp"],
        install: "npm install -g opencode-ai",
        keys: &[
            "OPENCODE_CONFIG",
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "OPENROUTER_API_KEY",
            "GEMINI_API_KEY",
        ],
        asks_for_files: true,
        own: &[OwnedPath::Everywhere("opencode")],
        env: &[],
        brought: &[".opencode", "opencode.json", "opencode.jsonc"],
        aloof: ProjectSettingsSwitch::Variable("OPENCODE_DISABLE_PROJECT_CONFIG", "1"),
    },
    AgentPreset {
        name: "qwen",
        title: "Qwen Code",
        command: &["qwen", "--acp"],
        install: "npm install -g @qwen-code/qwen-code",
        keys: &[
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "OPENAI_MODEL",
            "DASHSCOPE_API_KEY",
        ],
        asks_for_files: true,
        own: &[OwnedPath::Home(".qwen")],
        env: &[],
        brought: &[".qwen", ".env"],
        aloof: ProjectSettingsSwitch::Not,
    },
];

/// The well-known programs, each with where it lies on the search path, if it does.
#[must_use]
pub fn presets() -> Vec<(&'static AgentPreset, Option<PathBuf>)> {
    PRESETS
        .iter()
        .map(|preset| {
            (
                preset,
                preset.command.first().and_then(|program| on_path(program)),
            )
        })
        .collect()
}

/// The well-known program of this name.
#[must_use]
pub fn preset(name: &str) -> Option<&'static AgentPreset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Where a program lies that is named without a folder; one that is named with its folder is there or not.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_program(path));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_once_and_each_can_be_begun_and_got() {
        assert!(PRESETS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for preset in PRESETS {
            assert!(
                !preset.command.is_empty() && !preset.install.is_empty(),
                "{}",
                preset.name
            );
            if let ProjectSettingsSwitch::Meta(meta) = preset.aloof {
                assert!(
                    serde_json::from_str::<serde_json::Value>(meta)
                        .unwrap()
                        .is_object(),
                    "{}",
                    preset.name
                );
            }
        }
    }

    #[test]
    fn a_program_is_found_where_it_can_be_run() {
        assert!(on_path("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(on_path("/etc/passwd"), None, "a file that is no program");
        assert_eq!(on_path("no-such-program-anywhere"), None);
    }
}
