//! A model server that plays a sensible agent: it reads the envelope it gets, writes the artifact by a
//! tool call, and then says that it is done. What it answers follows from the request alone, so a
//! killed and resumed run meets the same agent again.

use serde_json::{Value, json};

use crate::home::Home;
use crate::model_server::{ModelServer, RecordedRequest, Reply};

/// The server, on a runtime of its own, so that a test can be an ordinary function.
pub struct Script {
    server: ModelServer,
    _runtime: tokio::runtime::Runtime,
}

impl Script {
    /// Plays `script`.
    pub fn serve(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(ModelServer::script(move |request| {
            script(&Asked::of(request))
        }));
        Self {
            server,
            _runtime: runtime,
        }
    }

    /// Writes a valid artifact in each phase, and reads something first so that there are three turns.
    pub fn serve_two_phases() -> Self {
        Self::serve_two_phases_with("")
    }

    /// As [`serve_two_phases`](Self::serve_two_phases), each note with these words behind it.
    pub fn serve_two_phases_with(more: &str) -> Self {
        let more = more.to_owned();
        let artifact = move |asked: &Asked| {
            let mut artifact = asked.artifact();
            if let Some(Value::String(note)) = artifact.get_mut("note") {
                note.push_str(&more);
            }
            artifact
        };
        Self::serve(move |asked| match asked.turn {
            1 => Reply::stream()
                .text("Let me look.")
                .tool_call("ls", r#"{"path":"."}"#, &[3])
                .finish("tool_calls")
                .usage(100, 20, Some("0.0005"))
                .done(),
            2 => asked.writes(&artifact(asked)),
            // As an agent does that is told that nobody knows whether its file was written, or that it is not there.
            _ if asked.is_in_doubt() => asked.writes(&artifact(asked)),
            _ => Reply::stream()
                .text("It is written.")
                .finish("stop")
                .usage(300, 10, Some("0.0002"))
                .done(),
        })
    }

    /// Lets the server tell of its models.
    pub fn telling_models(mut self, list: &Value) -> Self {
        self.server = self.server.telling_models(list);
        self
    }

    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub fn requests(&self) -> Vec<Asked> {
        self.server.requests().iter().map(Asked::of).collect()
    }

    /// How often a turn was asked for.
    pub fn requests_of(&self, turn: &(String, u32, u32)) -> usize {
        self.requests()
            .iter()
            .filter(|asked| (asked.phase.clone(), asked.attempt, asked.turn) == *turn)
            .count()
    }
}

/// A request, with what its envelope says.
#[derive(Clone, Debug)]
pub struct Asked {
    pub phase: String,
    pub attempt: u32,
    /// From 1: one more than the answers already in the conversation.
    pub turn: u32,
    /// The first user message.
    pub envelope: String,
    pub body: Value,
    pub run_id: String,
    pub path: String,
    pub authorization: Option<String>,
}

impl Asked {
    fn of(request: &RecordedRequest) -> Self {
        let texts = |role: &str| {
            request
                .messages()
                .iter()
                .filter(|m| m["role"] == role)
                .cloned()
                .collect::<Vec<_>>()
        };
        let envelope = texts("user")
            .first()
            .map(|m| m["content"].as_str().unwrap_or_default().to_owned())
            .unwrap_or_default();
        let line = |name: &str| {
            let found = envelope.lines().find_map(|line| line.strip_prefix(name));
            found.map(|rest| rest.trim().to_owned()).unwrap_or_default()
        };
        Self {
            phase: line("Phase key:"),
            attempt: line("Attempt:").parse().unwrap_or(0),
            turn: u32::try_from(texts("assistant").len()).unwrap() + 1,
            run_id: line("Run id:"),
            path: line("Expected artifact path:"),
            envelope,
            body: request.body.clone(),
            authorization: request.header("authorization").map(str::to_owned),
        }
    }

    /// Whether the last word to the agent is that its tool call may have been cut off, or its file is missing.
    fn is_in_doubt(&self) -> bool {
        let last = self.body["messages"]
            .as_array()
            .and_then(|messages| messages.last())
            .and_then(|message| message["content"].as_str());
        last.is_some_and(|words| words.contains("interrupted") || words.contains("does not exist"))
    }

    /// An artifact that fits `test/note@1`.
    pub fn artifact(&self) -> Value {
        json!({ "runId": self.run_id, "phaseKey": self.phase, "note": format!("made in attempt {}", self.attempt) })
    }

    /// A tool call that writes `content` where the artifact belongs, its arguments in odd pieces.
    pub fn writes(&self, content: &Value) -> Reply {
        let arguments =
            json!({ "file_path": self.path, "content": format!("{content:#}\n") }).to_string();
        let stream = Reply::stream().text("Writing.").tool_call(
            "write_file",
            &arguments,
            &[1, 5, 17.max(arguments.len() / 64)],
        );
        stream
            .finish("tool_calls")
            .usage(200, 40, Some("0.00125"))
            .done()
    }
}

const WORKFLOW: &str = include_str!("../support/pair.yaml");
const PERSONA: &str = include_str!("../support/maker.yaml");
const SCHEMA: &str = include_str!("../support/note.schema.json");

/// Writes workflow `pair@1`, its persona and its schema into a home's config folder.
pub fn write_pair(home: &Home) {
    let config = home.paths().config;
    for (file, text) in [
        ("workflows/pair.yaml", WORKFLOW),
        ("personas/maker.yaml", PERSONA),
        ("artifacts/test/note@1.json", SCHEMA),
    ] {
        let path = config.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// A home with workflow `pair@1`, whose persona talks to `script`, and the arguments that start it.
pub fn two_phase_home(script: &Script) -> (Home, Vec<String>) {
    let home = Home::new();
    home.configure(&format!(
        "[openai]\nbase_url = \"{}\"\nkey_env = \"\"\n",
        script.base_url()
    ));
    write_pair(&home);
    home.expect(0, &["consent", "maker"]);
    let repo = home.repository("project");
    let start = [
        "run",
        "pair@1",
        "--repo",
        &repo.to_string_lossy(),
        "-m",
        "A note about notes",
        "--headless",
        "--on-gate",
        "approve",
    ];
    let start = start
        .into_iter()
        .chain(["--idempotency-key", "once"])
        .map(str::to_owned)
        .collect();
    (home, start)
}
