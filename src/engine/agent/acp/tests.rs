use serde_json::json;

use super::*;

fn persona(more: serde_json::Value) -> Persona {
    let mut whole = json!({"name": "ada", "version": 1, "backend": "acp"});
    whole
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

fn backend(settings: serde_json::Value) -> AcpBackend {
    AcpBackend::new(&serde_json::from_value(settings).unwrap())
}

#[test]
fn what_is_missing_is_said_with_how_to_get_it() {
    let acp = backend(json!({"agents": {
        "mine": {"command": ["sh", "-c", "true"]},
        "gone": {"command": ["no-such-program-anywhere"]},
        "empty": {},
        "codex": {"command": ["no-such-codex"]},
    }, "mcp": {"files": {"command": ["srv", "{worktree}"]}}}));
    for (more, message, hint) in [
        (json!({"agent": "mine"}), "", ""),
        (json!({"agent": "mine", "tools": ["mcp:files"]}), "", ""),
        (
            json!({"agent": "nobody"}),
            "no agent program is named 'nobody'",
            "[agents.nobody]",
        ),
        (
            json!({"agent": "gone"}),
            "the agent program 'no-such-program-anywhere' is not found",
            "mend the command",
        ),
        (
            json!({"agent": "codex"}),
            "the agent program 'no-such-codex' is not found",
            "npm install -g @agentclientprotocol/codex-acp",
        ),
        (
            json!({"agent": "empty"}),
            "agents.empty has no command",
            "agents.empty.command",
        ),
        (
            json!({"agent": "mine", "tools": ["mcp:files/read"]}),
            "an agent program cannot be given 'mcp:files/read' alone",
            "whole server",
        ),
        (
            json!({"agent": "mine", "tools": ["mcp:none"]}),
            "no server of tools is named 'none'",
            "[mcp.NAME]",
        ),
        (
            json!({"agent": "mine", "tools": ["mcp:files"], "permissions": {"mcp:files": "ask"}}),
            "the tools of 'mcp:files' are not asked for one by one by an agent program",
            "auto",
        ),
    ] {
        let said = acp.available(&persona(more.clone())).err();
        assert_eq!(
            said.as_ref().map_or("", |failure| failure.message.as_str()),
            message,
            "{more}"
        );
        assert!(
            said.as_ref()
                .is_none_or(|failure| failure.hint.contains(hint)),
            "{more}: {said:?}"
        );
        assert!(said.is_none_or(|failure| failure.code == Code::BackendUnavailable));
    }
}

#[test]
fn project_settings_are_kept_out_unless_the_operator_trusts_them() {
    let one = |trust: bool| {
        let settings = json!({"agents": {"opencode": {"command": ["sh"], "trust_project": trust}, "mine": {"command": ["sh"], "trust_project": trust}}});
        let acp = backend(settings);
        let known = acp.agent(&persona(json!({"agent": "opencode"}))).unwrap();
        let unknown = acp.agent(&persona(json!({"agent": "mine"}))).unwrap();
        (
            known
                .launch
                .env
                .get("OPENCODE_DISABLE_PROJECT_CONFIG")
                .cloned(),
            known.warning().is_some(),
            unknown.warning().is_some(),
        )
    };
    assert_eq!(one(false), (Some("1".to_owned()), false, true));
    assert_eq!(one(true), (None, false, false));
}

#[test]
fn only_what_the_persona_may_do_unasked_is_offered_to_the_program() {
    let acp = backend(json!({"agents": {"mine": {"command": ["sh"]}}}));
    for (tools, permissions, offered) in [
        (json!(["read_file", "write_file"]), json!({}), (true, true)),
        (json!(["read_file"]), json!({}), (true, false)),
        (
            json!(["read_file", "write_file"]),
            json!({"write_file": "ask", "read_file": "deny"}),
            (false, false),
        ),
    ] {
        let agent = acp
            .agent(&persona(
                json!({"agent": "mine", "tools": tools, "permissions": permissions}),
            ))
            .unwrap();
        assert_eq!((agent.reads, agent.writes), offered);
    }
}
