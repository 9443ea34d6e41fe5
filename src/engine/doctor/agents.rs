//! Agent programs that speak ACP, where they lie on PATH.

use super::{Findings, Patient, on_path};

/// Programs that are known to speak ACP, by themselves or through an adapter.
const KNOWN: &[(&str, &str)] = &[
    ("claude-code-acp", "Claude Code"),
    ("codex-acp", "Codex"),
    ("copilot", "Copilot CLI"),
    ("gemini", "Gemini CLI"),
    ("goose", "Goose"),
    ("opencode", "OpenCode"),
    ("qwen", "Qwen Code"),
];

pub(super) fn programs(_: &Patient, found: &mut Findings) {
    let there: Vec<_> = KNOWN.iter().filter_map(|(program, name)| on_path(program).map(|path| (*name, path))).collect();
    if there.is_empty() {
        let names: Vec<&str> = KNOWN.iter().map(|(program, _)| *program).collect();
        return found.ok("on PATH", format!("none of {}; none is needed", names.join(", ")));
    }
    for (name, path) in there {
        found.ok(name, path.display().to_string());
    }
}
