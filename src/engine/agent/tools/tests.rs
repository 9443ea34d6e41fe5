//! What each tool answers, seen from the toolbox's door.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::persona::SamplingParams;

fn persona(tools: &[&str], permissions: &[(&str, ToolPermission)]) -> Persona {
    Persona {
        name: "dev".to_owned(),
        version: 1,
        description: String::new(),
        backend: "openai".to_owned(),
        agent: None,
        model: None,
        capabilities: Vec::new(),
        system_prompt: String::new(),
        tools: tools.iter().map(|&tool| tool.to_owned()).collect(),
        permissions: permissions
            .iter()
            .map(|(tool, permission)| ((*tool).to_owned(), *permission))
            .collect::<BTreeMap<_, _>>(),
        params: SamplingParams::default(),
    }
}

fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(tree.path().join("src/deep")).unwrap();
    std::fs::write(tree.path().join("src/lib.rs"), "fn one() {}\nfn two() {}\n").unwrap();
    std::fs::write(tree.path().join("src/deep/b.rs"), "fn three() {}\n").unwrap();
    std::fs::write(tree.path().join("notes.txt"), "one\n").unwrap();
    std::fs::write(tree.path().join("blob.bin"), [0u8, 159, 146, 150]).unwrap();
    tree
}

#[tokio::test]
async fn each_tool_answers_as_its_description_says() {
    let tree = tree();
    let tools = Toolbox::new(
        tree.path(),
        &persona(&Toolbox::names(), &[]),
        SandboxLauncher::current_program(),
    )
    .unwrap();
    let absolute = serde_json::to_string(tree.path().join("notes.txt").to_str().unwrap()).unwrap();
    let absolute = format!(r#"{{"file_path":{absolute}}}"#);
    for (tool, arguments, target, result) in [
        ("ls", "", "", "src/\nblob.bin\nnotes.txt"),
        ("ls", r#"{"path":"src"}"#, "src", "deep/\nlib.rs"),
        (
            "read_file",
            r#"{"file_path":"notes.txt"}"#,
            "notes.txt",
            "     1\tone\n",
        ),
        (
            "read_file",
            absolute.as_str(),
            tree.path().join("notes.txt").to_str().unwrap(),
            "     1\tone\n",
        ),
        (
            "glob",
            r#"{"pattern":"**/*.rs"}"#,
            "**/*.rs",
            "src/deep/b.rs\nsrc/lib.rs",
        ),
        (
            "glob",
            r#"{"pattern":"*.rs","path":"src"}"#,
            "*.rs",
            "src/lib.rs",
        ),
        ("glob", r#"{"pattern":"*.py"}"#, "*.py", "no file matches"),
        (
            "grep",
            r#"{"pattern":"fn t"}"#,
            "fn t",
            "src/deep/b.rs\nsrc/lib.rs",
        ),
        (
            "grep",
            r#"{"pattern":"o","output_mode":"content","glob":"*.txt"}"#,
            "o",
            "notes.txt:1:one",
        ),
        (
            "grep",
            r#"{"pattern":"fn","output_mode":"count","path":"src/lib.rs"}"#,
            "fn",
            "src/lib.rs:2",
        ),
        (
            "grep",
            r#"{"pattern":"two","output_mode":"content","glob":"src/*.rs"}"#,
            "two",
            "src/lib.rs:2:fn two() {}",
        ),
        ("grep", r#"{"pattern":"nowhere"}"#, "nowhere", "no match"),
        (
            "write_file",
            r#"{"file_path":"new/a.txt","content":"a\nb"}"#,
            "new/a.txt",
            "made 'new/a.txt': 3 bytes, 2 lines",
        ),
        (
            "write_file",
            r#"{"file_path":"new/a.txt","content":""}"#,
            "new/a.txt",
            "replaced 'new/a.txt': 0 bytes, 0 lines",
        ),
        (
            "edit_file",
            r#"{"file_path":"src/lib.rs","old_string":"two","new_string":"2"}"#,
            "src/lib.rs",
            "replaced 1 place in 'src/lib.rs'",
        ),
        (
            "write_todos",
            r#"{"todos":[{"content":"a","status":"completed"},{"content":"b","status":"in_progress"}]}"#,
            "",
            "[x] a\n[>] b",
        ),
    ] {
        let reply = tools
            .call(tool, arguments, false, &CancellationToken::new())
            .await;
        assert_eq!(
            (reply.outcome, reply.result.as_str()),
            (ToolOutcome::Ok, result),
            "{tool} {arguments}"
        );
        assert_eq!(reply.target, target, "{tool} {arguments}");
        assert_eq!(reply.denied, None);
    }
    assert_eq!(
        std::fs::read_to_string(tree.path().join("src/lib.rs")).unwrap(),
        "fn one() {}\nfn 2() {}\n"
    );
}

#[tokio::test]
async fn lists_are_taken_and_given_up_to_their_limit_and_what_is_past_it_is_said() {
    let tree = tempfile::tempdir().unwrap();
    let tools = Toolbox::new(
        tree.path(),
        &persona(&Toolbox::names(), &[]),
        SandboxLauncher::current_program(),
    )
    .unwrap();
    let call = async |tool: &str, arguments: serde_json::Value| {
        tools
            .call(
                tool,
                &arguments.to_string(),
                false,
                &CancellationToken::new(),
            )
            .await
    };
    for (count, outcome) in [(100, ToolOutcome::Ok), (101, ToolOutcome::Error)] {
        let todos = vec![json!({"content": "a", "status": "pending"}); count];
        let reply = call("write_todos", json!({ "todos": todos })).await;
        assert_eq!(
            (reply.outcome, reply.result.contains("the limit is 100")),
            (outcome, outcome == ToolOutcome::Error),
            "{count} todos"
        );
    }
    std::fs::write(tree.path().join("lines.txt"), "match\n".repeat(500)).unwrap();
    let found = async || {
        call(
            "grep",
            json!({"pattern": "match", "output_mode": "content"}),
        )
        .await
        .result
    };
    assert_eq!(found().await.lines().count(), 500);
    std::fs::write(tree.path().join("lines.txt"), "match\n".repeat(501)).unwrap();
    let cut = found().await;
    assert!(
        cut.lines().count() == 501 && !cut.lines().last().unwrap().contains("match"),
        "{}",
        cut.lines().last().unwrap()
    );
    for (files, lines) in [(500, 500), (501, 501)] {
        (0..files)
            .for_each(|n| std::fs::write(tree.path().join(format!("f{n:03}.rs")), "").unwrap());
        let found = call("glob", json!({"pattern": "*.rs"})).await.result;
        assert_eq!(
            found.lines().count(),
            lines,
            "a list that was cut ends with a line that says so"
        );
        assert_eq!(found.lines().last().unwrap().ends_with(".rs"), files == 500);
    }
}

#[tokio::test]
async fn bad_arguments_are_answered_with_what_is_wrong() {
    let tree = tree();
    let tools = Toolbox::new(
        tree.path(),
        &persona(&Toolbox::names(), &[]),
        SandboxLauncher::current_program(),
    )
    .unwrap();
    for (tool, arguments, part) in [
        ("read_file", "{}", "'file_path' is missing"),
        (
            "read_file",
            r#"{"file_path":"notes.txt","limit":0}"#,
            "'limit' must be at least 1",
        ),
        (
            "read_file",
            r#"{"file_path":"gone.txt"}"#,
            "'gone.txt' does not exist",
        ),
        ("read_file", r#"{"file_path":"src"}"#, "'src' is a folder"),
        (
            "read_file",
            r#"{"file_path":"notes.txt/x"}"#,
            "is no folder",
        ),
        (
            "read_file",
            r#"{"file_path":"blob.bin"}"#,
            "is no UTF-8 text (byte 1)",
        ),
        (
            "write_file",
            r#"{"file_path":"a","content":7}"#,
            "'content' must be text",
        ),
        (
            "write_file",
            r#"{"file_path":".","content":""}"#,
            "'.' is a folder",
        ),
        (
            "edit_file",
            r#"{"file_path":"src/lib.rs","old_string":"fn","new_string":"x"}"#,
            "stands there 2 times",
        ),
        ("glob", r#"{"pattern":"[z"}"#, "'pattern' is no glob"),
        (
            "grep",
            r#"{"pattern":"("}"#,
            "'pattern' is no regular expression",
        ),
        (
            "grep",
            r#"{"pattern":"a","output_mode":"lines"}"#,
            "'output_mode' must be one of files_with_matches, content, count, not 'lines'",
        ),
        (
            "write_todos",
            r#"{"todos":[{"content":"a","status":"later"}]}"#,
            "'todos[0].status' must be one of",
        ),
        ("ls", r#"{"path":"gone"}"#, "'gone' does not exist"),
        ("ls", r#"{"path":"."#, "not usable JSON"),
        ("execute", "{}", "'command' is missing"),
        (
            "task",
            r#"{"description":"x","subagent":"x"}"#,
            "there are no sub-agents here",
        ),
        (
            "delete_file",
            "{}",
            "there is no tool 'delete_file'; the tools are: ls, read_file",
        ),
    ] {
        let reply = tools
            .call(tool, arguments, false, &CancellationToken::new())
            .await;
        assert!(
            reply.result.starts_with("error: ") && reply.result.contains(part),
            "{tool} {arguments}: {}",
            reply.result
        );
        assert_eq!((reply.outcome, reply.denied), (ToolOutcome::Error, None));
    }
}

#[tokio::test]
async fn paths_that_lead_out_are_denied_by_every_tool() {
    let tree = tree();
    std::fs::create_dir(tree.path().join(".git")).unwrap();
    std::fs::write(tree.path().join(".git/config"), "x").unwrap();
    let tools = Toolbox::new(
        tree.path(),
        &persona(&Toolbox::names(), &[]),
        SandboxLauncher::current_program(),
    )
    .unwrap();
    for path in [
        "../x",
        "/etc/passwd",
        ".git/config",
        ".GIT/hooks/post-checkout",
    ] {
        for (tool, arguments) in [
            ("ls", json!({"path": path})),
            ("read_file", json!({"file_path": path})),
            ("write_file", json!({"file_path": path, "content": "x"})),
            (
                "edit_file",
                json!({"file_path": path, "old_string": "a", "new_string": "b"}),
            ),
            ("glob", json!({"pattern": "*", "path": path})),
            ("grep", json!({"pattern": "x", "path": path})),
        ] {
            let reply = tools
                .call(
                    tool,
                    &arguments.to_string(),
                    false,
                    &CancellationToken::new(),
                )
                .await;
            assert_eq!(
                reply.denied.map(|failure| failure.code),
                Some(Code::PathOutsideWorktree),
                "{tool} {path}"
            );
            assert!(reply.result.starts_with("refused: "), "{}", reply.result);
        }
    }
    assert_eq!(
        std::fs::read_to_string(tree.path().join(".git/config")).unwrap(),
        "x"
    );
}

#[tokio::test]
async fn the_persona_decides_what_is_offered_and_used() {
    let tree = tree();
    let permissions = [
        ("write_file", ToolPermission::Ask),
        ("grep", ToolPermission::Deny),
    ];
    let tools = Toolbox::new(
        tree.path(),
        &persona(&["ls", "write_file", "grep", "execute"], &permissions),
        SandboxLauncher::current_program(),
    )
    .unwrap();
    let definitions: Vec<Value> =
        serde_json::from_str(tools.on_offer().unwrap().unwrap().get()).unwrap();
    let offered: Vec<_> = definitions
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(offered, ["ls", "write_file", "execute"]);

    let reply = tools
        .call(
            "write_file",
            r#"{"file_path":"x","content":""}"#,
            false,
            &CancellationToken::new(),
        )
        .await;
    assert_eq!(reply.denied.unwrap().code, Code::ToolNotPermitted);
    assert!(
        reply
            .result
            .contains("'write_file' needs the operator's word")
    );
    assert!(!tree.path().join("x").exists());
    let allowed = tools
        .call(
            "write_file",
            r#"{"file_path":"y","content":""}"#,
            true,
            &CancellationToken::new(),
        )
        .await;
    assert_eq!(
        (allowed.outcome, tree.path().join("y").exists()),
        (ToolOutcome::Ok, true)
    );
    assert_eq!(
        tools
            .call(
                "grep",
                r#"{"pattern":"x"}"#,
                false,
                &CancellationToken::new()
            )
            .await
            .denied
            .unwrap()
            .code,
        Code::ToolNotPermitted
    );
    let reply = tools
        .call("read_file", "{}", false, &CancellationToken::new())
        .await;
    assert_eq!(
        (reply.denied, reply.result.as_str()),
        (
            None,
            "error: there is no tool 'read_file'; the tools are: ls, write_file, grep, execute"
        )
    );
}

#[test]
fn every_declared_schema_is_a_valid_one() {
    for tool in TOOLS {
        let definition = tool.definition();
        let schema = &definition["function"]["parameters"];
        assert!(
            jsonschema::draft202012::meta::is_valid(schema),
            "{}",
            tool.name
        );
        assert_eq!(
            schema["additionalProperties"],
            json!(false),
            "{}",
            tool.name
        );
    }
}
