//! Tools of servers, given to a persona: named apart, permitted, recorded, and survived.

use std::io::{BufRead as _, Write as _};

use phasedeck::model::event::RunFact;
use serde_json::{Value, json};

use crate::home::{Home, check_invariants};
use crate::model_script::{Script, two_phase_home};
use crate::model_server::Reply;

/// The server of tools: this test binary, called again. It dies at its first call ever, if it is told to.
#[test]
fn the_scripted_server() {
    let Ok(state) = std::env::var("MCP_STATE") else {
        return;
    };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).unwrap();
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => {
                json!({"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted", "version": "1"}})
            }
            "tools/list" => json!({"tools": [
                {"name": "shout", "description": "Says it loud.", "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}}},
                {"name": "write", "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}}},
                {"name": "hidden", "description": "Not given.", "inputSchema": {"type": "object"}}]}),
            "tools/call" => {
                if !std::path::Path::new(&state).exists() {
                    std::fs::write(&state, "died").unwrap();
                    std::process::exit(1);
                }
                if let Some(path) = message["params"]["arguments"]["path"].as_str() {
                    let path = path.replace("TMPDIR", &std::env::var("TMPDIR").unwrap_or_default());
                    let did = std::fs::write(&path, "x").map_or("refused", |()| "written");
                    let read = std::fs::read(&path).map_or("closed", |_| "read");
                    answer(
                        &message["id"],
                        &json!({"content": [{"type": "text", "text": format!("{did}, {read}")}]}),
                    );
                    continue;
                }
                let word = message["params"]["arguments"]["word"]
                    .as_str()
                    .unwrap_or_default()
                    .to_uppercase();
                match word.as_str() {
                    "HANG" => std::thread::sleep(std::time::Duration::from_secs(600)),
                    "RUBBISH" => println!("this is no message\n{{\"jsonrpc\": 2}}\n[]"),
                    "ENDLESS" => (0..40).for_each(|_| print!("{}", "x".repeat(1 << 20))),
                    _ => {}
                }
                let word = if word == "FLOOD" {
                    "loud ".repeat(100_000)
                } else {
                    word
                };
                json!({"content": [{"type": "text", "text": word}], "isError": word == "BAD"})
            }
            _ => continue,
        };
        answer(&message["id"], &result);
    }
    std::process::exit(0);
}

fn answer(id: &Value, result: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}",
        json!({"jsonrpc": "2.0", "id": id, "result": result})
    )
    .unwrap();
    out.flush().unwrap();
}

fn place(script: &Script, tools: &str) -> (Home, Vec<String>) {
    let (home, start) = two_phase_home(script);
    let me = std::env::current_exe().unwrap();
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n[mcp.loud]\n\
         command = [{me:?}, \"mcp::the_scripted_server\", \"--exact\", \"--nocapture\", \"-q\"]\nenv = {{ MCP_STATE = {:?} }}\n",
        script.base_url(),
        home.path().join("mcp-state")
    ));
    let persona = home.paths().config.join("personas/maker.yaml");
    let text = std::fs::read_to_string(&persona).unwrap();
    std::fs::write(
        &persona,
        text.replace("tools: [ls,", &format!("tools: [{tools}, ls,")),
    )
    .unwrap();
    home.expect(0, &["consent", "maker"]);
    (home, start)
}

#[test]
fn a_tool_of_a_server_is_called_recorded_and_its_servers_death_survived() {
    let script = Script::serve(|asked| match asked.turn {
        1 => Reply::stream()
            .tool_call("mcp__loud__shout", r#"{"word":"hush"}"#, &[3])
            .finish("tool_calls")
            .done(),
        2 => Reply::stream()
            .tool_call("mcp__loud__shout", r#"{"word":"hush"}"#, &[3])
            .finish("tool_calls")
            .done(),
        3 => Reply::stream()
            .tool_call("mcp__loud__hidden", "{}", &[])
            .finish("tool_calls")
            .done(),
        4 => asked.writes(&asked.artifact()),
        _ => Reply::answer("Done."),
    });
    let (home, start) = place(&script, "\"mcp:loud/shout\"");
    home.expect(0, &start.iter().map(String::as_str).collect::<Vec<_>>());
    let run = home.newest();
    check_invariants(&home, &run);
    let requests = script.requests();
    let offered = requests[0].body["tools"].as_array().unwrap();
    let names: Vec<&str> = offered
        .iter()
        .filter_map(|tool| tool["function"]["name"].as_str())
        .filter(|name| name.starts_with("mcp"))
        .collect();
    assert_eq!(
        names,
        ["mcp__loud__shout"],
        "what is not given is not offered"
    );
    let result = |turn: usize| {
        requests[turn].body["messages"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(
        result(1).starts_with("error: its server ended"),
        "the server died in the middle: {}",
        result(1)
    );
    assert_eq!(result(2), "HUSH", "and was begun again");
    assert!(
        result(3).contains("there is no tool 'mcp__loud__hidden'"),
        "{}",
        result(3)
    );
    let audit =
        std::fs::read_to_string(home.paths().audit().join(format!("{}.jsonl", run.id))).unwrap();
    assert_eq!(
        audit
            .lines()
            .filter(|line| line.contains("mcp__loud__shout"))
            .count(),
        4
    );
}

#[test]
fn a_server_that_floods_hangs_or_talks_rubbish_costs_its_call_and_nothing_else() {
    let words = ["rubbish", "flood", "hang", "endless", "bad", "well"];
    let script = Script::serve(move |asked| match asked.turn as usize - 1 {
        n if n < words.len() => Reply::stream()
            .tool_call(
                "mcp__loud__shout",
                &json!({"word": words[n]}).to_string(),
                &[3],
            )
            .finish("tool_calls")
            .done(),
        n if n == words.len() => asked.writes(&asked.artifact()),
        _ => Reply::answer("Done."),
    });
    let (home, start) = place(&script, "\"mcp:loud/shout\"");
    std::fs::write(home.path().join("mcp-state"), "it has died before").unwrap();
    let config = home.paths().config.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}call_timeout_seconds = 2\n")).unwrap();
    home.expect(0, &start.iter().map(String::as_str).collect::<Vec<_>>());
    let run = home.newest();
    check_invariants(&home, &run);
    assert_eq!(run.state, "completed");
    let requests = script.requests();
    let result = |turn: usize| {
        requests[turn].body["messages"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(result(1), "RUBBISH");
    assert!(
        result(2).len() < 33 * 1024 && result(2).contains("bytes cut here"),
        "{}",
        result(2).len()
    );
    let name = result(2)
        .trim_end_matches(']')
        .rsplit_once("kept for the operator: ")
        .unwrap()
        .1
        .to_owned();
    assert_eq!(
        home.expect(0, &["transcript", "@last", "--output", &name])
            .trim_end(),
        "loud ".repeat(100_000).trim_end()
    );
    assert!(
        result(3).starts_with("error: no answer within 2 s"),
        "{}",
        result(3)
    );
    assert!(
        result(4).starts_with("error: ") && result(4).len() < 1000,
        "{}",
        result(4)
    );
    assert_eq!(
        (result(5).as_str(), result(6).as_str()),
        ("error: BAD", "WELL")
    );
}

#[test]
fn a_server_that_is_confined_writes_its_worktree_and_what_is_named_and_nothing_else() {
    let paths = ["inside.txt", "TMPDIR/x", "OWN/x", "HOME/x", "HOME/there"];
    for confined in [true, false] {
        let script = Script::serve(move |asked| {
            let home = asked.body["messages"][1]["content"]
                .as_str()
                .unwrap()
                .lines()
                .find_map(|line| line.strip_prefix("HOME IS "))
                .unwrap();
            let path = |n: usize| {
                paths[n]
                    .replace("OWN", &format!("{home}/own"))
                    .replace("HOME", home)
            };
            match asked.turn as usize - 1 {
                n if n < paths.len() => {
                    let arguments = json!({"path": path(n)}).to_string();
                    Reply::stream()
                        .tool_call("mcp__loud__write", &arguments, &[3])
                        .finish("tool_calls")
                        .done()
                }
                n if n == paths.len() => asked.writes(&asked.artifact()),
                _ => Reply::answer("Done."),
            }
        });
        let (home, mut start) = place(&script, "\"mcp:loud/write\"");
        let (own, state) = (home.path().join("own"), home.path().join("own/state"));
        std::fs::create_dir(&own).unwrap();
        std::fs::write(&state, "it has died before").unwrap();
        std::fs::write(home.path().join("there"), "private").unwrap();
        let config = home.paths().config.join("config.toml");
        let text = std::fs::read_to_string(&config).unwrap().replace(
            &*home.path().join("mcp-state").to_string_lossy(),
            &state.to_string_lossy(),
        );
        std::fs::write(
            &config,
            format!("{text}confined = {confined}\nown_folders = [{own:?}]\n"),
        )
        .unwrap();
        let words = start.iter().position(|arg| arg == "-m").unwrap() + 1;
        start[words] = format!("A note\nHOME IS {}\n", home.path().display());
        home.expect(0, &start.iter().map(String::as_str).collect::<Vec<_>>());
        let run = home.newest();
        check_invariants(&home, &run);
        let told: Vec<(bool, String)> = home
            .events(&run)
            .into_iter()
            .filter_map(|event| match event.fact {
                RunFact::CommandsConfined {
                    confined, words, ..
                } => Some((confined, words)),
                _ => None,
            })
            .collect();
        let (held, words) = &told[0];
        if confined && !held {
            eprintln!("skipped: {words}");
            continue;
        }
        assert_eq!(
            (*held, words.starts_with("mcp:loud: "), told.len()),
            (confined, true, 2),
            "{told:?}"
        );
        let requests = script.requests();
        let results: Vec<&str> = requests[5].body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|message| message["role"] == "tool")
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        let (yes, no) = ("written, read", "refused, closed");
        assert_eq!(
            results,
            if confined {
                [yes, yes, yes, no, no]
            } else {
                [yes; 5]
            }
        );
        assert_eq!(
            std::fs::read_to_string(home.path().join("there")).unwrap(),
            if confined { "private" } else { "x" }
        );
    }
}

#[test]
fn a_tool_that_needs_a_word_is_asked_for_and_a_server_that_is_missing_is_named() {
    let script = Script::serve(|asked| match asked.turn {
        1 => Reply::stream()
            .tool_call("mcp__loud__shout", r#"{"word":"hush"}"#, &[3])
            .finish("tool_calls")
            .done(),
        _ => asked.writes(&asked.artifact()),
    });
    let (home, start) = place(&script, "\"mcp:loud\"");
    let persona = home.paths().config.join("personas/maker.yaml");
    let text = std::fs::read_to_string(&persona).unwrap();
    std::fs::write(
        &persona,
        format!("{text}permissions: {{ \"mcp:loud\": ask }}\n"),
    )
    .unwrap();
    home.expect(0, &["consent", "maker"]);
    let args: Vec<&str> = start
        .iter()
        .map(String::as_str)
        .filter(|arg| !["--on-gate", "approve"].contains(arg))
        .collect();
    let mut host = home
        .command(&args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let question = home.wait_for_question("tool_permission", &mut host);
    host.kill().unwrap();
    host.wait().unwrap();
    let tool = question
        .question
        .as_deref()
        .and_then(|question| question.tool().cloned())
        .expect("about a tool");
    assert_eq!(
        (tool.tool.as_str(), tool.target.as_str()),
        ("mcp__loud__shout", r#"{"word":"hush"}"#)
    );

    let other = Script::serve_two_phases();
    let (home, start) = place(&other, "\"mcp:nowhere\"");
    let args: Vec<&str> = start.iter().map(String::as_str).collect();
    let output = home.run(&args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("no server of tools is named 'nowhere'"),
        "{said}"
    );
}

#[test]
fn a_sub_agent_has_its_parents_tools_of_servers_and_one_that_only_looks_has_none() {
    let task = |description: &str, kind: &str| {
        json!({"description": description, "subagent": kind}).to_string()
    };
    let calls = |tool: &str, arguments: &str| {
        Reply::stream()
            .tool_call(tool, arguments, &[3])
            .finish("tool_calls")
            .usage(10, 5, None)
            .done()
    };
    let script = Script::serve(move |asked| {
        match (
            asked.envelope.contains("PHASEDECK_PROMPT_BEGIN"),
            asked.turn,
        ) {
            (true, 1) => calls("task", &task("Shout the word hush.", "general")),
            (true, 2) => calls("task", &task("Look around.", "explorer")),
            (true, 3) => asked.writes(&asked.artifact()),
            (false, 1) if asked.envelope.starts_with("Shout") => {
                calls("mcp__loud__shout", r#"{"word":"hush"}"#)
            }
            _ => Reply::answer("Done."),
        }
    });
    let (home, start) = place(&script, "\"mcp:loud/shout\", task");
    std::fs::write(home.path().join("mcp-state"), "it has died before").unwrap();
    home.expect(0, &start.iter().map(String::as_str).collect::<Vec<_>>());
    let run = home.newest();
    check_invariants(&home, &run);
    let requests = script.requests();
    let offers = |words: &str| {
        let asked = requests
            .iter()
            .find(|asked| asked.envelope.contains(words))
            .expect("it was asked");
        asked.body["tools"].to_string().contains("mcp__loud__shout")
    };
    assert_eq!(
        (
            offers("Shout the word"),
            offers("Look around"),
            offers("PHASEDECK_PROMPT_BEGIN")
        ),
        (true, false, true)
    );
    let told = requests.iter().any(|asked| {
        asked.envelope.starts_with("Shout") && asked.body["messages"].to_string().contains("HUSH")
    });
    assert!(told, "the server's answer came back to the sub-agent");
    let audit =
        std::fs::read_to_string(home.paths().audit().join(format!("{}.jsonl", run.id))).unwrap();
    assert_eq!(
        audit
            .lines()
            .filter(|line| line.contains("mcp__loud__shout") && line.contains("\"ok\""))
            .count(),
        2,
        "once in each phase"
    );
}
