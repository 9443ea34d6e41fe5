//! An agent program for tests: this test binary, called again, speaks ACP on its pipes.
//!
//! What it does is the word in `ACP_SCRIPT`; what it keeps between its lives lies in the folder
//! `ACP_STATE`: a line for every message it got, its sessions, how often it was begun. Beside the
//! protocol the test harness says a line or two of its own, which a careful client bears.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The test that is the program when it is called by a console, and nothing otherwise.
#[test]
fn the_scripted_agent() {
    let (Ok(script), Ok(state)) = (std::env::var("ACP_SCRIPT"), std::env::var("ACP_STATE")) else {
        return;
    };
    Agent {
        script,
        state: PathBuf::from(state),
        asked: 0,
    }
    .serve();
    std::process::exit(0);
}

struct Agent {
    script: String,
    state: PathBuf,
    asked: u64,
}

impl Agent {
    fn serve(mut self) {
        append(
            &self.state.join("starts"),
            &format!("{}\n", std::process::id()),
        );
        while let Some(message) = self.read() {
            let (id, method) = (
                message["id"].clone(),
                message["method"].as_str().unwrap_or_default().to_owned(),
            );
            match method.as_str() {
                "initialize" => self.hello(&id),
                "session/new" if self.script == "login" => {
                    fail(&id, -32000, "Authentication required")
                }
                "session/new" => {
                    let session = format!("s{}", self.lines("starts"));
                    reply(
                        &id,
                        &json!({"sessionId": session, "configOptions": [
                        {"id": "model", "name": "Model", "category": "model", "type": "select", "currentValue": "small",
                         "options": [{"value": "small", "name": "Small"}, {"value": "large", "name": "Large"}]}]}),
                    );
                }
                "session/load" => self.load(&message),
                "session/set_config_option" => reply(&id, &json!({"configOptions": []})),
                "session/prompt" => self.prompt(&message),
                _ => {}
            }
        }
    }

    fn hello(&self, id: &Value) {
        let version = if self.script == "other_version" { 2 } else { 1 };
        let load = self.script.contains("load");
        let ways = json!([{"id": "login", "name": "Login", "description": "Run `agent login`"}]);
        reply(
            id,
            &json!({"protocolVersion": version, "agentCapabilities": {"loadSession": load}, "authMethods": ways}),
        );
    }

    /// Tells again what it was told, then says that it is there.
    fn load(&self, message: &Value) {
        for prompt in self.prompts() {
            if prompt["sessionId"] == message["params"]["sessionId"] {
                update(
                    &prompt["sessionId"],
                    &json!({"sessionUpdate": "user_message_chunk", "content": prompt["prompt"][0]}),
                );
            }
        }
        reply(&message["id"], &json!({}));
    }

    fn prompt(&mut self, message: &Value) {
        let (id, session) = (&message["id"], &message["params"]["sessionId"]);
        let task = Task::of(&self.prompts());
        let lives = self.lines("starts");
        let say = |text: &str| {
            update(
                session,
                &json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}),
            )
        };
        match self.script.as_str() {
            "dies_once" | "dies_once_load" if lives == 1 => {
                say("I begin");
                eprintln!("panic: out of cheese");
                std::process::exit(3);
            }
            "dies" => {
                eprintln!("panic: out of cheese");
                std::process::exit(3);
            }
            "silent" => {
                while self.read().is_some() {}
                std::process::exit(0);
            }
            "garbage" => {
                (0..2000).for_each(|line| println!("garbage {line}"));
                while self.read().is_some() {}
            }
            "huge" => {
                println!("{{\"method\":\"{}\"}}", "x".repeat(33 * 1024 * 1024));
                while self.read().is_some() {}
            }
            "flood" => (0..20_000).for_each(|number| say(&format!("word {number} "))),
            "outside" => {
                for path in ["/etc/passwd", "../outside.txt", ".git/config"] {
                    self.ask(
                        "fs/write_text_file",
                        json!({"sessionId": session, "path": path, "content": "hostile"}),
                    );
                    self.ask(
                        "fs/read_text_file",
                        json!({"sessionId": session, "path": path}),
                    );
                }
                self.ask(
                    "terminal/create",
                    json!({"sessionId": session, "command": "sh"}),
                );
            }
            "asks" | "asks_load" => {
                let options = json!([{"optionId": "yes", "name": "Yes", "kind": "allow_once"}, {"optionId": "no", "name": "No", "kind": "reject_once"}]);
                for (kind, title) in [("edit", "write the note"), ("execute", "rm -rf /")] {
                    let call = json!({"toolCallId": kind, "kind": kind, "title": title});
                    let params =
                        json!({"sessionId": session, "toolCall": call, "options": options});
                    let answer = self.ask("session/request_permission", params);
                    append(
                        &self.state.join("answers"),
                        &format!("{}\n", answer["result"]["outcome"]),
                    );
                    if answer["result"]["outcome"]["outcome"] == "cancelled" {
                        return reply(id, &json!({"stopReason": "cancelled"}));
                    }
                }
            }
            "limit" if lives == 1 => return reply(id, &json!({"stopReason": "max_tokens"})),
            "refuses" => return reply(id, &json!({"stopReason": "refusal"})),
            "forgets" if self.prompts().len() == 1 => {
                say("I am done, I think.");
                return reply(id, &json!({"stopReason": "end_turn"}));
            }
            "escapes" => self.escape(),
            "dear" | "dear_load" | "dear_stubborn" if lives == 1 => return self.spend(id, session),
            "settings" => {
                let seen = ["settings.json", ".mine/hooks.json", ".env", "kept.json"].map(|name| {
                    let text = std::fs::read_to_string(name).map_or_else(
                        |error| format!("{:?}", error.kind()),
                        |text| text.trim().to_owned(),
                    );
                    format!("{name}: {text}\n")
                });
                append(&self.state.join("seen"), &seen.concat());
                let tried = std::fs::write(".mine/mine", "x").is_ok();
                append(&self.state.join("seen"), &format!("written: {tried}\n"));
            }
            "huge_file" => {
                let _ = std::fs::create_dir_all("out");
                let grown = std::process::Command::new("truncate")
                    .args(["-s", "2G", &task.path])
                    .status()
                    .unwrap();
                append(&self.state.join("grown"), &format!("{}\n", grown.success()));
                let file = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&task.path)
                    .unwrap();
                file.set_len(900 * 1024 * 1024).unwrap();
                return reply(id, &json!({"stopReason": "end_turn"}));
            }
            "grows" => {
                let mut file = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open("endless")
                    .unwrap();
                for _ in 0..2_000 {
                    std::io::Write::write_all(&mut file, &[b'x'; 20_000]).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(30));
                }
            }
            "pipe" => {
                let _ = std::fs::create_dir_all("out");
                let _ = std::process::Command::new("mkfifo")
                    .arg(&task.path)
                    .status();
                return reply(id, &json!({"stopReason": "end_turn"}));
            }
            "swaps" => {
                self.swap(session, &task.path);
                return reply(id, &json!({"stopReason": "end_turn"}));
            }
            "loops" => {
                for number in 0..600 {
                    let call = format!("c{number}");
                    update(
                        session,
                        &json!({"sessionUpdate": "tool_call", "toolCallId": call, "title": "look", "kind": "read", "status": "completed"}),
                    );
                }
                return reply(id, &json!({"stopReason": "end_turn"}));
            }
            "children" => {
                let program = |args: &[&str]| {
                    std::process::Command::new(args[0])
                        .args(&args[1..])
                        .spawn()
                        .unwrap()
                };
                let mut kept = [
                    program(&["sleep", "86399"]),
                    program(&["setsid", "sleep", "86398"]),
                ];
                append(&self.state.join("ready"), "1");
                kept[0].wait().unwrap();
            }
            _ => {}
        }
        update(
            session,
            &json!({"sessionUpdate": "tool_call", "toolCallId": "w", "title": "Write the note", "kind": "edit", "status": "pending"}),
        );
        let content = format!(
            "{:#}\n",
            json!({"runId": task.run, "phaseKey": task.phase, "note": format!("made in attempt {}", task.attempt)})
        );
        if self.script == "protocol" {
            let answer = self.ask(
                "fs/write_text_file",
                json!({"sessionId": session, "path": task.path, "content": content}),
            );
            assert!(answer["error"].is_null(), "{answer}");
            self.ask(
                "fs/read_text_file",
                json!({"sessionId": session, "path": task.path, "line": 1, "limit": 1}),
            );
        } else {
            std::fs::create_dir_all(Path::new(&task.path).parent().unwrap()).unwrap();
            std::fs::write(&task.path, content).unwrap();
        }
        update(
            session,
            &json!({"sessionUpdate": "tool_call_update", "toolCallId": "w", "status": "completed", "locations": [{"path": task.path}]}),
        );
        let cost = 0.25 * self.prompts().len() as f64;
        update(
            session,
            &json!({"sessionUpdate": "usage_update", "used": 10, "size": 1000, "cost": {"amount": cost, "currency": "USD"}}),
        );
        update(
            session,
            &json!({"sessionUpdate": "a_kind_that_nobody_knows", "what": {}}),
        );
        say("Written.");
        reply(
            id,
            &json!({"stopReason": "end_turn", "usage": {"totalTokens": 30, "inputTokens": 20, "outputTokens": 10}}),
        );
    }

    /// Spends money until it is told to stop; a stubborn one does not stop then.
    fn spend(&self, id: &Value, session: &Value) {
        let told = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (log, heard) = (self.state.join("log"), std::sync::Arc::clone(&told));
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                append(&log, &format!("{line}\n"));
                heard.fetch_or(
                    line.contains("session/cancel"),
                    std::sync::atomic::Ordering::Relaxed,
                );
            }
            std::process::exit(0);
        });
        for quarter in 1..=4000_u32 {
            let cost = json!({"amount": f64::from(quarter) * 0.25, "currency": "USD"});
            update(
                session,
                &json!({"sessionUpdate": "usage_update", "used": 10, "size": 1000, "cost": cost}),
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
            if told.load(std::sync::atomic::Ordering::Relaxed) && self.script != "dear_stubborn" {
                reply(
                    id,
                    &json!({"stopReason": "cancelled", "usage": {"inputTokens": 7, "outputTokens": 3}}),
                );
                break;
            }
        }
        // Its pipes are read by the other thread now, which ends it with them.
        loop {
            std::thread::park();
        }
    }

    /// Swaps the folder of the artifact for a link out of the worktree and back, while it has files written there.
    fn swap(&mut self, session: &Value, path: &str) {
        let outside = self.state.parent().unwrap().join("outside");
        std::fs::create_dir_all("out").unwrap();
        let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (told, link) = (
            std::sync::Arc::clone(&over),
            std::env::current_dir().unwrap().join("link"),
        );
        let _ = std::os::unix::fs::symlink(outside, &link);
        let swapping = std::thread::spawn(move || {
            let mut swaps = 0_u32;
            while !told.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                swaps += u32::from(
                    rustix::fs::renameat_with(
                        rustix::fs::CWD,
                        "out",
                        rustix::fs::CWD,
                        &link,
                        flags,
                    )
                    .is_ok(),
                );
            }
            swaps
        });
        for number in 0..400 {
            self.ask("fs/write_text_file", json!({"sessionId": session, "path": format!("out/race-{number}"), "content": "hostile"}));
            self.ask(
                "fs/write_text_file",
                json!({"sessionId": session, "path": path, "content": "hostile"}),
            );
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        append(
            &self.state.join("swaps"),
            &format!("{}\n", swapping.join().unwrap()),
        );
    }

    /// Tries everything to reach what lies outside, straight at the disk, and puts down what worked.
    fn escape(&self) {
        let outside = self.state.parent().unwrap().join("outside");
        let at = |name: &str| outside.join(name).display().to_string();
        let up = format!("{}/outside/up", "../".repeat(3));
        let home = std::env::var("HOME").unwrap();
        let socket = at("socket");
        let commands = [
            ("write", format!("echo x > {}", at("new"))),
            ("append", format!("echo x >> {}", at("canary"))),
            ("up", format!("echo x > {up}")),
            ("remove", format!("rm -f {}", at("canary"))),
            ("take", format!("mv {} taken", at("canary"))),
            (
                "hard link",
                format!("ln {} linked && echo x >> linked", at("canary")),
            ),
            (
                "soft link",
                format!("ln -sf {} soft; echo x >> soft", at("canary")),
            ),
            (
                "soft folder",
                format!("ln -sfn {} folder; echo x > folder/new", outside.display()),
            ),
            ("cut", format!("truncate -s 0 {}", at("canary"))),
            ("pipe", format!("mkfifo {}", at("pipe"))),
            ("by proc", format!("echo x > /proc/self/root{}", at("new"))),
            (
                "by host",
                format!(
                    "echo x > /proc/{}/root{}",
                    std::os::unix::process::parent_id(),
                    at("new")
                ),
            ),
            ("home", format!("echo x > {home}/.profile")),
            ("shared", "echo x > /tmp/phasedeck-acp-hostile".to_owned()),
            ("read key", format!("cat {home}/.ssh/id")),
            ("read outside", format!("cat {}", at("canary"))),
            (
                "environment",
                format!(
                    "tr '\\0' '\\n' < /proc/{}/environ | grep .",
                    std::os::unix::process::parent_id()
                ),
            ),
            (
                "signal",
                format!("kill -0 {}", std::os::unix::process::parent_id()),
            ),
            (
                "own temp",
                "echo x > $TMPDIR/mine && cat $TMPDIR/mine".to_owned(),
            ),
            ("worktree", "echo x > inside && cat inside".to_owned()),
        ];
        for (name, command) in commands {
            let done = std::process::Command::new("sh")
                .arg("-c")
                .arg(&command)
                .stderr(std::process::Stdio::null())
                .output()
                .unwrap();
            append(
                &self.state.join("escapes"),
                &format!("{name}: {}\n", done.status.success()),
            );
        }
        let spoken = std::os::unix::net::UnixStream::connect(&socket).is_ok();
        append(&self.state.join("escapes"), &format!("socket: {spoken}\n"));
        for made in ["soft", "folder", "inside", "linked", "taken"] {
            let _ = std::fs::remove_file(made);
        }
    }

    fn prompts(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.state.join("log")).unwrap_or_default();
        let messages = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        messages
            .filter(|message| message["method"] == "session/prompt")
            .map(|message| message["params"].clone())
            .collect()
    }

    fn lines(&self, file: &str) -> usize {
        std::fs::read_to_string(self.state.join(file))
            .unwrap_or_default()
            .lines()
            .count()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        send(
            &json!({"jsonrpc": "2.0", "id": format!("ours-{}", self.asked), "method": method, "params": params}),
        );
        loop {
            let Some(message) = self.read() else {
                std::process::exit(0)
            };
            if message["id"] == format!("ours-{}", self.asked) {
                return message;
            }
        }
    }

    fn read(&self) -> Option<Value> {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| {
            append(&self.state.join("log"), &line);
            serde_json::from_str(&line).unwrap()
        })
    }
}

/// What the last envelope says.
struct Task {
    run: String,
    phase: String,
    attempt: String,
    path: String,
}

impl Task {
    fn of(prompts: &[Value]) -> Self {
        let texts = prompts
            .iter()
            .rev()
            .filter_map(|prompt| prompt["prompt"][0]["text"].as_str());
        let text = texts
            .into_iter()
            .find(|text| text.contains("PHASEDECK_PROMPT_BEGIN"))
            .unwrap_or_default();
        let line = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Self {
            run: line("Run id:"),
            phase: line("Phase key:"),
            attempt: line("Attempt:"),
            path: line("Expected artifact path:"),
        }
    }
}

fn update(session: &Value, update: &Value) {
    send(
        &json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": session, "update": update}}),
    );
}

fn reply(id: &Value, result: &Value) {
    send(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
}

fn fail(id: &Value, code: i64, message: &str) {
    send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}));
}

fn send(message: &Value) {
    let mut out = std::io::stdout().lock();
    // A console that has gone is met at the next read.
    let _ = out
        .write_all(format!("{message}\n").as_bytes())
        .and_then(|()| out.flush());
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
