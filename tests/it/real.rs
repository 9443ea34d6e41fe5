//! Programs that nobody here wrote: an agent program over ACP, a server of tools, a model proxy, a collector.
//!
//! They are installed by `tests/real/install.sh FOLDER`, and driven where `PHASEDECK_REAL_PROGRAMS` names
//! that folder. Without it each test says that it is skipped, and why.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use phasedeck::model::event::RunFact;
use serde_json::{Value, json};

use crate::home::{Home, check_invariants};
use crate::model_script::{Asked, Script, two_phase_home, write_pair};
use crate::model_server::Reply;

/// The proxy wants a key of some length; it is made up.
const KEY: &str = "sk-phasedeck-0123456789abcdef-0123456789abcdef";

/// A program of the folder, or nothing, and then it is said why.
pub fn program(path: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("PHASEDECK_REAL_PROGRAMS") else {
        println!("skipped: PHASEDECK_REAL_PROGRAMS names no folder made by tests/real/install.sh");
        return None;
    };
    let program = PathBuf::from(folder).join(path);
    if !program.exists() {
        println!(
            "skipped: {} is not there; run tests/real/install.sh",
            program.display()
        );
        return None;
    }
    Some(program)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Asks until the program answers; it tells nobody when it is ready.
fn until_it_listens(program: &mut Child, port: u16) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            Instant::now() < deadline && program.try_wait().unwrap().is_none(),
            "the program began to listen"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Writes the artifact with the tool that the program has for it.
fn writes_with(asked: &Asked, tool: &str, path_field: &str) -> Reply {
    let last = asked.body["messages"]
        .as_array()
        .and_then(|messages| messages.last())
        .cloned()
        .unwrap_or_default();
    let tools = asked.body["tools"].as_array().map_or(0, Vec::len);
    if tools == 0 || last["role"] == "tool" || asked.path.is_empty() {
        return Reply::answer("Done.");
    }
    // A session that was loaded has several tasks in it; the last one counts.
    let text = asked.body["messages"].to_string();
    let line = |name: &str| {
        text.rsplit_once(name)
            .and_then(|(_, rest)| rest.split("\\n").next())
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let note = json!({"runId": line("Run id:"), "phaseKey": line("Phase key:"), "note": "made by a real program"});
    let arguments =
        json!({ path_field: line("Expected artifact path:"), "content": note.to_string() })
            .to_string();
    Reply::stream()
        .text("Writing.")
        .tool_call(tool, &arguments, &[7])
        .finish("tool_calls")
        .usage(200, 40, None)
        .done()
}

#[test]
fn opencode_works_through_a_whole_run() {
    let Some(opencode) = program("node_modules/.bin/opencode") else {
        return;
    };
    let script = Script::serve(|asked| writes_with(asked, "write", "filePath"));
    let home = Home::new();
    let provider = json!({"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": script.base_url(), "apiKey": "none"},
        "models": {"test": {"name": "test", "tool_call": true, "limit": {"context": 100_000, "output": 4000}}}});
    let config = json!({"provider": {"local": provider}, "model": "local/test", "small_model": "local/test", "share": "disabled", "autoupdate": false});
    let own = home.path().join("opencode-home");
    std::fs::create_dir_all(&own).unwrap();
    home.configure(&format!(
        "[agents.opencode]\ncommand = [{opencode:?}, \"acp\"]\n[agents.opencode.env]\nHOME = {own:?}\nXDG_CONFIG_HOME = \"{0}/c\"\n\
         XDG_DATA_HOME = \"{0}/d\"\nXDG_STATE_HOME = \"{0}/s\"\nXDG_CACHE_HOME = \"{0}/k\"\nOPENCODE_DISABLE_MODELS_FETCH = \"1\"\n\
         OPENCODE_CONFIG_CONTENT = {1:?}\n",
        own.display(),
        config.to_string()
    ));
    write_pair(&home);
    let persona = "name: maker\nversion: 1\nbackend: acp\nagent: opencode\nmodel: local/test\ncapabilities: [make]\ntools: [read_file, write_file, edit_file]\n";
    std::fs::write(home.paths().config.join("personas/maker.yaml"), persona).unwrap();
    home.expect(0, &["consent", "maker"]);
    let repo = home.repository("project");
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
    check_invariants(&home, &run);
    assert_eq!(run.state, "completed");
    let tools: Vec<String> = home
        .events(&run)
        .into_iter()
        .filter_map(|event| match event.fact {
            RunFact::ToolCalled { tool, target, .. } => Some(format!("{tool} {target}")),
            _ => None,
        })
        .collect();
    println!(
        "opencode used: {tools:?}; tokens {:?}; cost {:?}",
        run.tokens, run.cost
    );
    assert!(
        tools.iter().any(|tool| tool.contains("out/first.json")),
        "{tools:?}"
    );
}

#[test]
fn a_server_of_files_gives_its_tools_to_a_persona() {
    let Some(server) = program("node_modules/.bin/mcp-server-filesystem") else {
        return;
    };
    for confined in [false, true] {
        let script = Script::serve(|asked| writes_with(asked, "mcp__files__write_file", "path"));
        let (home, start) = two_phase_home(&script);
        home.configure(&format!(
            "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n\
             [mcp.files]\ncommand = [{server:?}, \"{{worktree}}\"]\nconfined = {confined}\n",
            script.base_url()
        ));
        let persona = home.paths().config.join("personas/maker.yaml");
        let text = std::fs::read_to_string(&persona).unwrap().replace(
            "tools: [ls,",
            "tools: [\"mcp:files/write_file\", \"mcp:files/list_directory\", ls,",
        );
        std::fs::write(&persona, text).unwrap();
        std::fs::create_dir_all(home.path().join("project/out")).unwrap();
        std::fs::write(home.path().join("project/out/keep"), "").unwrap();
        crate::home::git(&home.path().join("project"), &["add", "."]);
        crate::home::git(
            &home.path().join("project"),
            &["commit", "-q", "-m", "Make a folder"],
        );
        home.expect(0, &["consent", "maker"]);
        home.expect(0, &start.iter().map(String::as_str).collect::<Vec<_>>());
        let run = home.newest();
        check_invariants(&home, &run);
        let audit = std::fs::read_to_string(home.paths().audit().join(format!("{}.jsonl", run.id)))
            .unwrap();
        println!("audit: {audit}");
        assert_eq!(
            audit
                .lines()
                .filter(|line| line.contains("mcp__files__write_file") && line.contains("\"ok\""))
                .count(),
            2
        );
        let offered: Vec<Value> = script.requests()[0].body["tools"]
            .as_array()
            .unwrap()
            .clone();
        let names: Vec<&str> = offered
            .iter()
            .filter_map(|tool| tool["function"]["name"].as_str())
            .filter(|name| name.starts_with("mcp__"))
            .collect();
        assert_eq!(names.len(), 2, "only what is given: {names:?}");
    }
}

#[test]
fn a_model_proxy_that_nobody_here_wrote_answers() {
    let Some(litellm) = program("python/bin/litellm") else {
        return;
    };
    let home = Home::new();
    let config = home.path().join("litellm.yaml");
    let model = "model_list:\n  - model_name: mocked\n    litellm_params: { model: openai/mocked, api_key: none, mock_response: \"I have nothing to write.\" }\n";
    std::fs::write(&config, model).unwrap();
    let port = free_port();
    let mut proxy = Command::new(litellm)
        .args([
            "--config",
            &config.to_string_lossy(),
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .env("LITELLM_MASTER_KEY", KEY)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_it_listens(&mut proxy, port);
    home.configure(&format!(
        "[openai]\nbase_url = \"http://127.0.0.1:{port}/v1\"\nkey_env = \"TEST_KEY\"\n"
    ));
    write_pair(&home);
    let persona = home.paths().config.join("personas/maker.yaml");
    let text = std::fs::read_to_string(&persona)
        .unwrap()
        .replace("test/model", "mocked");
    std::fs::write(&persona, text).unwrap();
    home.expect(0, &["consent", "maker"]);
    let repo = home.repository("project");
    let args = [
        "run",
        "pair@1",
        "--repo",
        &repo.to_string_lossy(),
        "-m",
        "A note",
        "--headless",
        "--on-gate",
        "approve",
    ];
    let output = home.command(&args).env("TEST_KEY", KEY).output().unwrap();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    let run = home.newest();
    check_invariants(&home, &run);
    println!(
        "exit {:?}, state {}, error {:?}, calls {}, tokens {:?}",
        output.status.code(),
        run.state,
        run.error_code,
        run.calls,
        run.tokens
    );
    // The proxy's words are no file, so each attempt is nudged once and ends without one.
    assert_eq!(
        (run.error_code.as_deref(), run.calls),
        (Some("artifact_timeout_exhausted"), 4)
    );
}

/// What the collector wrote down, once it has the words that come last.
fn written_until(log: &Path, last: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = std::fs::read_to_string(log).unwrap();
        if text.contains(last) {
            return text;
        }
        assert!(Instant::now() < deadline, "{last:?} did not come: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_collector_that_nobody_here_wrote_takes_the_traces_and_metrics_of_a_run() {
    let Some(python) = program("python/bin/python") else {
        return;
    };
    let found = Command::new(python)
        .args(["-c", "import rotel; print(rotel.__path__[0])"])
        .output()
        .unwrap();
    let agent = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim()).join("rotel-agent");
    let (home, port) = (Home::new(), free_port());
    let log = home.path().join("collector.log");
    let mut collector = Command::new(agent)
        .args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log",
            "traces",
            "--debug-log",
            "metrics",
            "--debug-log-verbosity",
            "detailed",
        ])
        .args([
            "--otlp-http-endpoint",
            &format!("127.0.0.1:{port}"),
            "--otlp-grpc-endpoint",
            &format!("127.0.0.1:{}", free_port()),
        ])
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    until_it_listens(&mut collector, port);
    home.configure(&format!(
        "[rehearsal]\npace_ms = 0\n[telemetry]\notlp_endpoint = \"http://127.0.0.1:{port}\"\n"
    ));
    home.expect(
        0,
        &[
            "run",
            "research",
            "-m",
            "Which carts are there?",
            "--no-git",
            "--rehearse",
            "--headless",
            "--yes",
        ],
    );
    let text = written_until(&log, "-> Name: phasedeck.runs");
    collector.kill().unwrap();
    collector.wait().unwrap();
    let trace = home.newest().id.to_string().replace('-', "");
    assert!(
        text.lines()
            .filter(|line| line.contains("Trace ID"))
            .all(|line| line.ends_with(&trace)),
        "{text}"
    );
    let named = |prefix: &str| {
        text.lines()
            .filter_map(|line| line.split_once(prefix))
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
    };
    for span in ["phase question", "phase report", "run"] {
        assert_eq!(
            named("Name           : ")
                .iter()
                .filter(|name| **name == span)
                .count(),
            1,
            "{span}: {text}"
        );
    }
    assert!(
        named("-> Name: ").contains(&"phasedeck.gate.wait"),
        "{text}"
    );
}
