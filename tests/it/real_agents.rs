//! Agent programs that nobody here wrote, through whole runs: confined, and without the settings that the
//! repository brings along for them. Installed and skipped as `real.rs` tells.
//!
//! Each talks to its model in a protocol of its own: Chat Completions, Responses, or Gemini's.

use phasedeck::model::event::RunFact;
use phasedeck::model::record::RunRecord;
use serde_json::{Value, json};

use crate::home::{Home, check_invariants, git};
use crate::model_script::{Asked, Script, write_pair};
use crate::model_server::Reply;
use crate::real::program;

/// What a conversation says of its last task, and the artifact for it. The first line of an answer that
/// was given already is looked for, so that a program is told to write once.
struct Task {
    run: String,
    phase: String,
    path: String,
    text: String,
}

impl Task {
    fn of(asked: &Asked) -> Self {
        let text = asked.body.to_string();
        let line = |name: &str| {
            text.rsplit_once(name)
                .and_then(|(_, rest)| rest.split("\\n").next())
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Self {
            run: line("Run id:"),
            phase: line("Phase key:"),
            path: line("Expected artifact path:"),
            text: text.clone(),
        }
    }

    fn note(&self) -> String {
        json!({"runId": self.run, "phaseKey": self.phase, "note": "made by a real program"})
            .to_string()
    }

    /// Where the artifact belongs, for programs that take no relative path.
    fn place(&self, runs: &std::path::Path) -> String {
        runs.join(&self.run)
            .join("main")
            .join(&self.path)
            .display()
            .to_string()
    }

    /// Whether what comes after the task says that a tool has answered.
    fn is_done(&self, answer: &str) -> bool {
        self.text
            .rsplit_once("PHASEDECK_PROMPT_END")
            .is_none_or(|(_, after)| after.contains(answer))
    }
}

fn chat(asked: &Asked, runs: &std::path::Path) -> Reply {
    let task = Task::of(asked);
    if asked.body["tools"].as_array().is_none_or(Vec::is_empty) || task.is_done(r#""role":"tool""#)
    {
        return Reply::answer("Done.");
    }
    let arguments = json!({"file_path": task.place(runs), "content": task.note()}).to_string();
    Reply::stream()
        .tool_call("write_file", &arguments, &[9])
        .finish("tool_calls")
        .usage(20, 5, None)
        .done()
}

/// Runs a command as a model does that knows that the program's own confinement cannot work within ours.
fn responses(asked: &Asked) -> Reply {
    let task = Task::of(asked);
    let item = if asked.body["tools"].as_array().is_none_or(Vec::is_empty)
        || task.is_done("function_call_output")
    {
        json!({"type": "message", "id": "m1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Done.", "annotations": []}]})
    } else {
        let command = format!(
            "mkdir -p out && cat > {} <<'END'\n{}\nEND\n",
            task.path,
            task.note()
        );
        let arguments = json!({"cmd": command, "sandbox_permissions": "require_escalated", "justification": "writes the artifact"});
        json!({"type": "function_call", "id": "c1", "call_id": "call_1", "name": "exec_command", "status": "completed",
            "arguments": arguments.to_string()})
    };
    let usage = json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15});
    let response = |status: &str, usage: &Value| json!({"id": "r1", "object": "response", "status": status, "output": [], "usage": usage});
    let events = [
        json!({"type": "response.created", "response": response("in_progress", &Value::Null)}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": response("completed", &usage)}),
    ];
    events.iter().fold(Reply::stream(), |reply, event| {
        reply.raw(
            format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap()
            )
            .as_bytes(),
        )
    })
}

fn gemini(asked: &Asked, runs: &std::path::Path) -> Reply {
    let task = Task::of(asked);
    let part = if asked.body["tools"].as_array().is_none_or(Vec::is_empty)
        || task.is_done("functionResponse")
    {
        json!({"text": "Done."})
    } else {
        json!({"functionCall": {"name": "write_file", "args": {"file_path": task.place(runs), "content": task.note()}}})
    };
    let answer = json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, "modelVersion": "test"});
    Reply::stream().event(&answer)
}

/// A home for one program, with a home folder of the program's own, and a repository that brings settings
/// along which begin a program of theirs.
fn through_a_run(home: &Home, name: &str, settings: &str, brought: (&str, &str)) -> RunRecord {
    write_pair(home);
    home.configure(settings);
    let persona = format!(
        "name: maker\nversion: 1\nbackend: acp\nagent: {name}\ncapabilities: [make]\ntools: [read_file, write_file, edit_file, execute]\n"
    );
    std::fs::write(home.paths().config.join("personas/maker.yaml"), persona).unwrap();
    home.expect(0, &["consent", "maker"]);
    let repo = home.repository("project");
    std::fs::create_dir_all(repo.join(brought.0).parent().unwrap()).unwrap();
    std::fs::write(repo.join(brought.0), brought.1).unwrap();
    git(&repo, &["add", "-f", "."]);
    git(&repo, &["commit", "-q", "-m", "Bring settings along"]);
    home.expect(
        0,
        &[
            "run",
            "pair@1",
            "--repo",
            &repo.to_string_lossy(),
            "-m",
            "A note",
            "--headless",
            "--on-gate",
            "approve",
        ],
    );
    let run = home.newest();
    check_invariants(home, &run);
    assert_eq!(run.state, "completed", "{name}");
    let events = home.events(&run);
    let told = events.iter().filter_map(|event| match &event.fact {
        RunFact::CommandsConfined { words, .. } => Some(words.clone()),
        _ => None,
    });
    let tools = events
        .iter()
        .filter(|event| matches!(event.fact, RunFact::ToolCalled { .. }))
        .count();
    println!(
        "{name}: {tools} tools, tokens {:?}, {:?}",
        run.tokens,
        told.collect::<Vec<_>>()
    );
    assert!(tools >= 2, "{name}");
    run
}

/// Whether the program that the repository's settings name was begun.
fn begun(home: &Home, run: &RunRecord) -> bool {
    home.paths()
        .run(run.id)
        .join("main/begun-by-the-repository")
        .exists()
}

fn own(home: &Home) -> std::path::PathBuf {
    let own = home.path().join("own");
    std::fs::create_dir_all(&own).unwrap();
    own
}

#[test]
fn codex_works_through_a_whole_run_without_the_repositorys_settings() {
    let Some(adapter) = program("node_modules/.bin/codex-acp") else {
        return;
    };
    for trust in [false, true] {
        let script = Script::serve(responses);
        let home = Home::new();
        let own = own(&home);
        std::fs::create_dir_all(own.join(".codex")).unwrap();
        let config = format!(
            "model = \"test\"\nmodel_provider = \"local\"\n[model_providers.local]\nname = \"local\"\nbase_url = {:?}\nwire_api = \"responses\"\nenv_key = \"KEY\"\n",
            script.base_url()
        );
        std::fs::write(own.join(".codex/config.toml"), config).unwrap();
        let settings = format!(
            "[agents.codex]\ncommand = [{adapter:?}]\ntrust_project = {trust}\nenv = {{ HOME = {own:?}, KEY = \"none\" }}\n"
        );
        let server = "[mcp_servers.theirs]\ncommand = \"sh\"\nargs = [\"-c\", \"touch begun-by-the-repository\"]\n";
        let run = through_a_run(&home, "codex", &settings, (".codex/config.toml", server));
        assert_eq!(
            begun(&home, &run),
            trust,
            "the settings count where they are trusted, and nowhere else"
        );
    }
}

#[test]
fn qwen_works_through_a_whole_run_without_the_repositorys_settings() {
    let Some(qwen) = program("node_modules/.bin/qwen") else {
        return;
    };
    for trust in [false, true] {
        let home = Home::new();
        let (own, runs) = (own(&home), home.paths().data.join("runs"));
        let script = Script::serve(move |asked| chat(asked, &runs));
        let settings = format!(
            "[agents.qwen]\ncommand = [{qwen:?}, \"--acp\"]\ntrust_project = {trust}\n\
             env = {{ HOME = {own:?}, OPENAI_API_KEY = \"none\", OPENAI_BASE_URL = {:?}, OPENAI_MODEL = \"test\" }}\n",
            script.base_url()
        );
        let server = r#"{"mcpServers": {"theirs": {"command": "sh", "args": ["-c", "touch begun-by-the-repository"], "trust": true}}}"#;
        let run = through_a_run(&home, "qwen", &settings, (".qwen/settings.json", server));
        assert_eq!(
            begun(&home, &run),
            trust,
            "the settings count where they are trusted, and nowhere else"
        );
    }
}

#[test]
fn gemini_works_through_a_whole_run_without_the_repositorys_settings() {
    let Some(cli) = program("node_modules/.bin/gemini") else {
        return;
    };
    let home = Home::new();
    let (own, runs) = (own(&home), home.paths().data.join("runs"));
    let script = Script::serve(move |asked| gemini(asked, &runs));
    let settings = format!(
        "[agents.gemini]\ncommand = [{cli:?}, \"--acp\", \"--model\", \"gemini-2.5-flash\"]\n\
         env = {{ HOME = {own:?}, GEMINI_API_KEY = \"none\", GOOGLE_GEMINI_BASE_URL = {:?} }}\n",
        script.base_url().trim_end_matches("/v1")
    );
    let server = r#"{"mcpServers": {"theirs": {"command": "sh", "args": ["-c", "touch begun-by-the-repository"], "trust": true}}}"#;
    let run = through_a_run(
        &home,
        "gemini",
        &settings,
        (".gemini/settings.json", server),
    );
    assert!(!begun(&home, &run));
}
