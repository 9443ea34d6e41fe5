//! The loop against a scripted server, with a notebook in place of the desk.

use std::collections::BTreeMap;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::model_server::{ModelServer, RecordedRequest, Reply};
use super::super::wire::StreamLimits;
use super::*;
use crate::engine::agent::chat_completions::test_support;
use crate::engine::agent::chat_completions::test_support::RecordedTurns;
use crate::engine::sandbox::SandboxLauncher;
use crate::model::settings::{ModelPrice, OpenAiSettings};

mod asking;
mod stops;
mod structured_mode;
mod waits;
mod window;

struct Scene {
    tree: tempfile::TempDir,
    server: ModelServer,
    job: AgentJob,
    book: RecordedTurns,
    stop: AgentStop,
    prices: PriceTable,
    idle_seconds: u64,
    window: u64,
}

impl Scene {
    async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(ModelServer::queue(replies).await)
    }

    fn with(server: ModelServer) -> Self {
        let tree = tempfile::tempdir().unwrap();
        let job = test_support::job(tree.path());
        let prices = PriceTable::new(&BTreeMap::new()).unwrap();
        Self {
            tree,
            server,
            job,
            book: RecordedTurns::default(),
            stop: AgentStop::default(),
            prices,
            idle_seconds: 20,
            window: 128_000,
        }
    }

    async fn run(&self) -> Result<AgentEnd> {
        let settings = OpenAiSettings {
            base_url: self.server.base_url(),
            idle_timeout_seconds: self.idle_seconds,
            ..OpenAiSettings::default()
        };
        let wire = ChatTransport::new(&settings, None, StreamLimits::of(&settings)).unwrap();
        let pace = RetryPolicy {
            max_tries: 5,
            base: Duration::from_millis(1),
            longest: Duration::from_secs(60),
        };
        let tools = Toolbox::new(
            self.tree.path(),
            &self.job.persona,
            SandboxLauncher::current_program(),
        )
        .unwrap();
        let model = "test/model".to_owned();
        let (structured, schema_refused) =
            (structured::wanted(&self.job, None), AtomicBool::new(false));
        let tries = &AtomicU32::new(self.job.tries);
        let (prices, job, book, stop, window) =
            (&self.prices, &self.job, &self.book, &self.stop, self.window);
        ChatWorker {
            wire: &wire,
            prices,
            pace,
            model,
            window,
            structured,
            schema_refused,
            job,
            book,
            stop,
            tools,
            tries,
            conversation: String::new(),
        }
        .run()
        .await
    }

    fn roles(&self, request: usize) -> Vec<String> {
        self.server.requests()[request]
            .messages()
            .iter()
            .map(|message| message["role"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn write_artifact() -> Reply {
    Reply::calls(
        "write_file",
        &json!({"file_path": "out.json", "content": "{\"a\":1}"}),
    )
}

#[tokio::test]
async fn a_job_is_done_in_the_order_that_survives_a_crash() {
    let look = Reply::stream()
        .text("I look")
        .tool_call("ls", "{}", &[])
        .tool_call("read_file", r#"{"file_path":"gone"}"#, &[3]);
    let scene = Scene::new([
        look.finish("tool_calls").usage(9, 4, Some("0.001")).done(),
        write_artifact(),
        Reply::answer("done"),
    ])
    .await;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(
        scene.book.lines(),
        [
            "reserve 1",
            "answered ls,read_file",
            "tools_done 2 next 2",
            "answered write_file",
            "tools_done 1 next 3",
            "put down",
            "tools_done 0 end"
        ]
    );
    assert_eq!(
        std::fs::read_to_string(scene.tree.path().join("out.json")).unwrap(),
        "{\"a\":1}"
    );
    assert_eq!(scene.book.shown(TextKind::Answer), ["I look", "done"]);
    assert_eq!(
        scene.book.shown(TextKind::Tool),
        ["ls", "read_file gone: error", "write_file out.json"]
    );
    assert_eq!(
        scene.roles(2),
        [
            "system",
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
            "tool"
        ]
    );
    let request = &scene.server.requests()[1];
    assert_eq!(request.messages()[2]["tool_calls"][1]["id"], "call_1_2");
    assert_eq!(request.messages()[4]["tool_call_id"], "call_1_2");
    assert_eq!(
        request.messages()[4]["content"],
        "error: 'gone' does not exist"
    );
    assert_eq!(request.body["tools"].as_array().unwrap().len(), 4);
    assert_eq!(
        scene.book.costs()[0],
        (Some(NanoUsd(1_000_000)), false),
        "the provider's word"
    );
    assert_eq!(
        scene.book.costs()[1],
        (None, false),
        "no price is known, which is not nothing"
    );
}

#[tokio::test]
async fn a_kill_at_any_write_is_taken_up_without_paying_twice() {
    // The script answers by what the conversation holds, so it works the same before and after a crash.
    let script = || {
        ModelServer::script(|request| {
            match request
                .messages()
                .iter()
                .filter(|message| message["role"] == "assistant")
                .count()
            {
                0 => Reply::calls("ls", &json!({})),
                1 => Reply::answer("I think I am done"),
                2 => write_artifact(),
                _ => Reply::answer("done"),
            }
        })
    };
    let straight = Scene::with(script().await);
    assert_eq!(straight.run().await, Ok(AgentEnd::Done));
    let writes = straight.book.lines().len();
    assert_eq!((writes, straight.server.requests().len()), (9, 4));
    for killed_at in 0..writes {
        let mut scene = Scene::with(script().await);
        scene.book.fails_from = Some(killed_at);
        assert_eq!(scene.run().await.unwrap_err().code, Code::DiskFull);
        let stored = scene
            .book
            .turns()
            .iter()
            .filter(|turn| turn.answer.is_some())
            .count();
        let sent = scene.server.requests().len();
        assert!(
            sent <= stored + 1,
            "at {killed_at}: {sent} sent, {stored} stored"
        );
        scene.job.history = scene.book.turns();
        scene.book = RecordedTurns::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(AgentEnd::Done), "at {killed_at}");
        let after = scene.server.requests().len() - sent;
        assert_eq!(
            after,
            4 - stored,
            "at {killed_at}: a stored turn is never paid for twice"
        );
        let last = |scene: &Scene| scene.server.requests().last().unwrap().messages().len();
        if after > 0 {
            assert_eq!(
                last(&scene),
                last(&straight),
                "at {killed_at}: the same conversation"
            );
        }
    }
}

#[tokio::test]
async fn a_tool_that_may_have_run_is_not_run_again_unless_it_only_reads() {
    let both = Reply::stream()
        .tool_call("write_file", r#"{"file_path":"x.txt","content":"1"}"#, &[])
        .tool_call("ls", "{}", &[]);
    let mut scene = Scene::new([
        both.finish("stop").done(),
        write_artifact(),
        Reply::answer("done"),
    ])
    .await;
    scene.book.fails_from = Some(2);
    assert!(scene.run().await.is_err());
    std::fs::remove_file(scene.tree.path().join("x.txt")).unwrap();
    scene.job.history = scene.book.turns();
    scene.book = RecordedTurns::resuming(&scene.book);
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert!(
        !scene.tree.path().join("x.txt").exists(),
        "the write is not repeated"
    );
    let tools = scene.book.tools();
    assert_eq!(
        (
            tools[0].outcome,
            tools[0].result.as_str(),
            tools[0].target.as_str()
        ),
        (ToolOutcome::Unknown, INTERRUPTED, "x.txt")
    );
    assert_eq!(
        (tools[1].outcome, tools[1].result.as_str()),
        (ToolOutcome::Ok, "'.' is empty")
    );
    assert_eq!(
        scene.server.requests()[1].messages()[3]["content"],
        INTERRUPTED
    );
}

#[tokio::test]
async fn each_try_is_a_call_of_its_own() {
    let scene = Scene::new([
        Reply::status(429, "{}").header("Retry-After", "0"),
        Reply::status(500, ""),
        Reply::answer("half of it").cut_at(90),
        Reply::stream().event(&json!({"error": {"code": 502, "message": "upstream"}})),
        write_artifact(),
        Reply::answer("done"),
    ])
    .await;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(
        scene.book.lines()[..10],
        [
            "reserve 1",
            "failed Failed llm_rate_limited, retried 1 429 llm_rate_limited",
            "reserve 1",
            "failed Failed llm_overloaded, retried 2 500 llm_overloaded",
            "reserve 1",
            "failed Unknown llm_unreachable, retried 3 - llm_unreachable",
            "reserve 1",
            "failed Failed llm_overloaded, retried 4 502 llm_overloaded",
            "reserve 1",
            "answered write_file",
        ]
    );
    let notes = scene.book.shown(TextKind::Note);
    assert_eq!(
        notes[0],
        "the provider answered 429 Too Many Requests: {}; next try in 0.0s (2/5)"
    );
    assert_eq!(
        scene.server.requests()[0].body,
        scene.server.requests()[4].body
    );
}

#[tokio::test]
async fn tries_end_with_the_fault_and_some_faults_are_not_tried_again() {
    for (reply, calls, code) in [
        (Reply::status(500, ""), 5, Code::LlmOverloaded),
        (Reply::hang_up(), 5, Code::LlmUnreachable),
        (Reply::stream().done(), 2, Code::LlmBadResponse),
        (Reply::status(400, ""), 1, Code::LlmBadResponse),
        (Reply::status(401, ""), 1, Code::LlmAuth),
        (Reply::status(402, ""), 1, Code::LlmAuth),
        (
            Reply::stream().finish("content_filter").done(),
            1,
            Code::LlmBadResponse,
        ),
    ] {
        let scene = Scene::with(ModelServer::script(move |_| reply.clone()).await);
        let failure = scene.run().await.unwrap_err();
        assert_eq!(
            (failure.code, scene.server.requests().len()),
            (code, calls),
            "{}",
            failure.message
        );
        assert!(!failure.hint.is_empty());
        assert_eq!(
            scene
                .book
                .lines()
                .iter()
                .filter(|line| line.contains(", retried "))
                .count(),
            calls - 1
        );
    }
}

#[tokio::test]
async fn what_is_not_told_is_charged_at_the_reserve() {
    let price = ModelPrice {
        input: "3".to_owned(),
        output: "10".to_owned(),
        cached: None,
    };
    let without = Reply::stream().text("x").finish("stop").done();
    let mut scene = Scene::new([without.clone(), write_artifact(), without]).await;
    scene.prices = PriceTable::new(&BTreeMap::from([("test/model".to_owned(), price)])).unwrap();
    scene.job.persona.params.max_tokens = Some(100);
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    let costs = scene.book.costs();
    let bytes = scene.server.requests()[0].body.to_string().len() as i64;
    assert_eq!(
        costs[0],
        (Some(NanoUsd((bytes + 2) / 3 * 3_000 + 100 * 10_000)), true)
    );
    assert_eq!(
        costs[1],
        (Some(NanoUsd(10 * 3_000 + 5 * 10_000)), false),
        "by the table"
    );
    assert_eq!(scene.server.requests()[0].body["max_tokens"], 100);
}

#[tokio::test]
async fn limits_end_the_work_with_their_code() {
    for (reply, max_turns, calls, code) in [
        (
            Reply::calls("ls", &json!({})),
            20,
            5,
            Code::AgentLoopDetected,
        ),
        (
            Reply::calls("ls", &json!({})),
            3,
            3,
            Code::AgentLimitReached,
        ),
        (
            Reply::stream()
                .text("on and on")
                .tool_call("ls", "{}", &[])
                .finish("length")
                .done(),
            20,
            2,
            Code::AgentLimitReached,
        ),
    ] {
        let mut scene = Scene::with(ModelServer::script(move |_| reply.clone()).await);
        scene.job.max_turns = max_turns;
        let failure = scene.run().await.unwrap_err();
        assert_eq!(
            (failure.code, scene.server.requests().len()),
            (code, calls),
            "{}",
            failure.message
        );
        assert!(
            scene.book.lines().last().unwrap().starts_with("tools_done")
                && scene.book.lines().last().unwrap().ends_with("end")
        );
        if code == Code::AgentLimitReached && max_turns == 20 {
            assert!(
                scene.book.tools().is_empty(),
                "no tool of a cut-off answer is run"
            );
            assert_eq!(scene.roles(1), ["system", "user", "assistant", "user"]);
        }
    }
}

#[tokio::test]
async fn a_job_that_needs_all_of_its_turns_is_done_and_one_that_needs_one_more_is_not() {
    for (max_turns, code) in [(3, None), (2, Some(Code::AgentLimitReached))] {
        let mut scene = Scene::new([
            Reply::calls("ls", &json!({})),
            write_artifact(),
            Reply::answer("done"),
        ])
        .await;
        scene.job.max_turns = max_turns;
        assert_eq!(
            scene.run().await.err().map(|failure| failure.code),
            code,
            "{max_turns}"
        );
        assert_eq!(scene.server.requests().len(), max_turns as usize);
    }
}

#[tokio::test]
async fn going_on_after_a_circle_or_a_limit_helps() {
    for (max_turns, told) in [
        (20, "repeated the same calls"),
        (3, "used all of your turns"),
    ] {
        let script = |request: &RecordedRequest| {
            let said = request
                .messages()
                .iter()
                .filter_map(|message| message["content"].as_str());
            let looked = said
                .filter(|text| text.contains("The operator has looked at it"))
                .count();
            match (looked, request.messages().last().unwrap()["role"].as_str()) {
                (0, _) => Reply::calls("ls", &json!({})),
                (_, Some("user")) => write_artifact(),
                _ => Reply::answer("done"),
            }
        };
        let mut scene = Scene::with(ModelServer::script(script).await);
        scene.job.max_turns = max_turns;
        assert!(scene.run().await.is_err());
        let sent = scene.server.requests().len();
        scene.job.history = scene.book.turns();
        scene.job.stretch = 3;
        scene.book = RecordedTurns::going_on(&scene.book, 3);
        assert_eq!(scene.run().await, Ok(AgentEnd::Done));
        let requests = scene.server.requests();
        assert_eq!(requests.len(), sent + 2);
        assert!(
            requests[sent].messages().last().unwrap()["content"]
                .as_str()
                .unwrap()
                .contains(told)
        );
    }
}

#[tokio::test]
async fn it_is_reminded_once_and_then_the_engine_judges() {
    let scene = Scene::new([Reply::answer("done"), Reply::answer("really done")]).await;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(scene.roles(1), ["system", "user", "assistant", "user"]);
    assert!(
        scene.server.requests()[1].messages()[3]["content"]
            .as_str()
            .unwrap()
            .ends_with("at exactly this path: out.json")
    );
    assert_eq!(scene.book.lines().last().unwrap(), "tools_done 0 end");
}

#[tokio::test]
async fn work_that_had_ended_ends_without_a_request() {
    let mut scene = Scene::new([write_artifact(), Reply::answer("done")]).await;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    scene.job.history = scene.book.turns();
    scene.book = RecordedTurns::default();
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(
        (scene.server.requests().len(), scene.book.lines().len()),
        (2, 0)
    );
}
