//! The loop against a scripted server, with a notebook in place of the desk.

use std::collections::BTreeMap;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::model_server::{ModelServer, Reply};
use super::super::scene::{self, Notebook};
use super::super::wire::Limits;
use super::*;
use crate::engine::confine::Launcher;
use crate::model::settings::{OpenAiSettings, Price};

struct Scene {
    tree: tempfile::TempDir,
    server: ModelServer,
    job: Job,
    book: Notebook,
    stop: Stop,
    prices: Prices,
    idle_seconds: u64,
    window: u64,
}

impl Scene {
    async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(ModelServer::queue(replies).await)
    }

    fn with(server: ModelServer) -> Self {
        let tree = tempfile::tempdir().unwrap();
        let job = scene::job(tree.path());
        let prices = Prices::new(&BTreeMap::new()).unwrap();
        Self { tree, server, job, book: Notebook::default(), stop: Stop::default(), prices, idle_seconds: 20, window: 128_000 }
    }

    async fn run(&self) -> Result<Ended> {
        let settings =
            OpenAiSettings { base_url: self.server.base_url(), idle_timeout_seconds: self.idle_seconds, ..OpenAiSettings::default() };
        let wire = Wire::new(&settings, None, Limits::of(&settings)).unwrap();
        let pace = Pace { max_tries: 5, base: Duration::from_millis(1) };
        let tools = Toolbox::new(self.tree.path(), &self.job.persona, Launcher::own()).unwrap();
        let model = "test/model".to_owned();
        let (structured, schema_refused) = (structured::wanted(&self.job, None), AtomicBool::new(false));
        let (prices, job, book, stop, window) = (&self.prices, &self.job, &self.book, &self.stop, self.window);
        Worker { wire: &wire, prices, pace, model, window, structured, schema_refused, job, book, stop, tools, conversation: String::new() }
            .run()
            .await
    }

    fn roles(&self, request: usize) -> Vec<String> {
        self.server.requests()[request].messages().iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect()
    }
}

fn write_artifact() -> Reply {
    Reply::calls("write_file", &json!({"file_path": "out.json", "content": "{\"a\":1}"}))
}

#[tokio::test]
async fn a_job_is_done_in_the_order_that_survives_a_crash() {
    let look = Reply::stream().text("I look").tool_call("ls", "{}", &[]).tool_call("read_file", r#"{"file_path":"gone"}"#, &[3]);
    let scene = Scene::new([look.finish("tool_calls").usage(9, 4, Some("0.001")).done(), write_artifact(), Reply::answer("done")]).await;
    assert_eq!(scene.run().await, Ok(Ended::Done));
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
    assert_eq!(std::fs::read_to_string(scene.tree.path().join("out.json")).unwrap(), "{\"a\":1}");
    assert_eq!(scene.book.shown(TextKind::Answer), ["I look", "done"]);
    assert_eq!(scene.book.shown(TextKind::Tool), ["ls", "read_file gone: error", "write_file out.json"]);
    assert_eq!(scene.roles(2), ["system", "user", "assistant", "tool", "tool", "assistant", "tool"]);
    let request = &scene.server.requests()[1];
    assert_eq!(request.messages()[2]["tool_calls"][1]["id"], "call_1_2");
    assert_eq!(request.messages()[4]["tool_call_id"], "call_1_2");
    assert_eq!(request.messages()[4]["content"], "error: 'gone' does not exist");
    assert_eq!(request.body["tools"].as_array().unwrap().len(), 4);
    assert_eq!(scene.book.costs()[0], (Some(NanoUsd(1_000_000)), false), "the provider's word");
    assert_eq!(scene.book.costs()[1], (None, false), "no price is known, which is not nothing");
}

#[tokio::test]
async fn a_kill_at_any_write_is_taken_up_without_paying_twice() {
    // The script answers by what the conversation holds, so it works the same before and after a crash.
    let script = || {
        ModelServer::script(|request| match request.messages().iter().filter(|message| message["role"] == "assistant").count() {
            0 => Reply::calls("ls", &json!({})),
            1 => Reply::answer("I think I am done"),
            2 => write_artifact(),
            _ => Reply::answer("done"),
        })
    };
    let straight = Scene::with(script().await);
    assert_eq!(straight.run().await, Ok(Ended::Done));
    let writes = straight.book.lines().len();
    assert_eq!((writes, straight.server.requests().len()), (9, 4));
    for killed_at in 0..writes {
        let mut scene = Scene::with(script().await);
        scene.book.fails_from = Some(killed_at);
        assert_eq!(scene.run().await.unwrap_err().code, Code::DiskFull);
        let stored = scene.book.turns().iter().filter(|turn| turn.answer.is_some()).count();
        let sent = scene.server.requests().len();
        assert!(sent <= stored + 1, "at {killed_at}: {sent} sent, {stored} stored");
        scene.job.history = scene.book.turns();
        scene.book = Notebook::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(Ended::Done), "at {killed_at}");
        let after = scene.server.requests().len() - sent;
        assert_eq!(after, 4 - stored, "at {killed_at}: a stored turn is never paid for twice");
        let last = |scene: &Scene| scene.server.requests().last().unwrap().messages().len();
        if after > 0 {
            assert_eq!(last(&scene), last(&straight), "at {killed_at}: the same conversation");
        }
    }
}

#[tokio::test]
async fn a_tool_that_may_have_run_is_not_run_again_unless_it_only_reads() {
    let both = Reply::stream().tool_call("write_file", r#"{"file_path":"x.txt","content":"1"}"#, &[]).tool_call("ls", "{}", &[]);
    let mut scene = Scene::new([both.finish("stop").done(), write_artifact(), Reply::answer("done")]).await;
    scene.book.fails_from = Some(2);
    assert!(scene.run().await.is_err());
    std::fs::remove_file(scene.tree.path().join("x.txt")).unwrap();
    scene.job.history = scene.book.turns();
    scene.book = Notebook::resuming(&scene.book);
    assert_eq!(scene.run().await, Ok(Ended::Done));
    assert!(!scene.tree.path().join("x.txt").exists(), "the write is not repeated");
    let tools = scene.book.tools();
    assert_eq!((tools[0].outcome, tools[0].result.as_str(), tools[0].target.as_str()), (ToolOutcome::Unknown, INTERRUPTED, "x.txt"));
    assert_eq!((tools[1].outcome, tools[1].result.as_str()), (ToolOutcome::Ok, "'.' is empty"));
    assert_eq!(scene.server.requests()[1].messages()[3]["content"], INTERRUPTED);
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
    assert_eq!(scene.run().await, Ok(Ended::Done));
    assert_eq!(
        scene.book.lines()[..14],
        [
            "reserve 1",
            "failed Failed llm_rate_limited",
            "retried 1 429 llm_rate_limited",
            "reserve 1",
            "failed Failed llm_overloaded",
            "retried 2 500 llm_overloaded",
            "reserve 1",
            "failed Unknown llm_unreachable",
            "retried 3 - llm_unreachable",
            "reserve 1",
            "failed Failed llm_overloaded",
            "retried 4 502 llm_overloaded",
            "reserve 1",
            "answered write_file",
        ]
    );
    let notes = scene.book.shown(TextKind::Note);
    assert_eq!(notes[0], "the provider answered 429 Too Many Requests: {}; next try in 0.0s (2/5)");
    assert_eq!(scene.server.requests()[0].body, scene.server.requests()[4].body);
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
        (Reply::stream().finish("content_filter").done(), 1, Code::LlmBadResponse),
    ] {
        let scene = Scene::with(ModelServer::script(move |_| reply.clone()).await);
        let failure = scene.run().await.unwrap_err();
        assert_eq!((failure.code, scene.server.requests().len()), (code, calls), "{}", failure.message);
        assert!(!failure.hint.is_empty());
        assert_eq!(scene.book.lines().iter().filter(|line| line.starts_with("retried")).count(), calls - 1);
    }
}

#[tokio::test]
async fn what_is_not_told_is_charged_at_the_reserve() {
    let price = Price { input: "3".to_owned(), output: "10".to_owned(), cached: None };
    let without = Reply::stream().text("x").finish("stop").done();
    let mut scene = Scene::new([without.clone(), write_artifact(), without]).await;
    scene.prices = Prices::new(&BTreeMap::from([("test/model".to_owned(), price)])).unwrap();
    scene.job.persona.params.max_tokens = Some(100);
    assert_eq!(scene.run().await, Ok(Ended::Done));
    let costs = scene.book.costs();
    let bytes = scene.server.requests()[0].body.to_string().len() as i64;
    assert_eq!(costs[0], (Some(NanoUsd((bytes + 2) / 3 * 3_000 + 100 * 10_000)), true));
    assert_eq!(costs[1], (Some(NanoUsd(10 * 3_000 + 5 * 10_000)), false), "by the table");
    assert_eq!(scene.server.requests()[0].body["max_tokens"], 100);
}

#[tokio::test]
async fn limits_end_the_work_with_their_code() {
    for (reply, max_turns, calls, code) in [
        (Reply::calls("ls", &json!({})), 20, 5, Code::AgentLoopDetected),
        (Reply::calls("ls", &json!({})), 3, 3, Code::AgentLimitReached),
        (Reply::stream().text("on and on").tool_call("ls", "{}", &[]).finish("length").done(), 20, 2, Code::AgentLimitReached),
    ] {
        let mut scene = Scene::with(ModelServer::script(move |_| reply.clone()).await);
        scene.job.max_turns = max_turns;
        let failure = scene.run().await.unwrap_err();
        assert_eq!((failure.code, scene.server.requests().len()), (code, calls), "{}", failure.message);
        assert!(scene.book.lines().last().unwrap().starts_with("tools_done") && scene.book.lines().last().unwrap().ends_with("end"));
        if code == Code::AgentLimitReached && max_turns == 20 {
            assert!(scene.book.tools().is_empty(), "no tool of a cut-off answer is run");
            assert_eq!(scene.roles(1), ["system", "user", "assistant", "user"]);
        }
    }
}

#[tokio::test]
async fn a_job_that_needs_all_of_its_turns_is_done_and_one_that_needs_one_more_is_not() {
    for (max_turns, code) in [(3, None), (2, Some(Code::AgentLimitReached))] {
        let mut scene = Scene::new([Reply::calls("ls", &json!({})), write_artifact(), Reply::answer("done")]).await;
        scene.job.max_turns = max_turns;
        assert_eq!(scene.run().await.err().map(|failure| failure.code), code, "{max_turns}");
        assert_eq!(scene.server.requests().len(), max_turns as usize);
    }
}

#[tokio::test]
async fn going_on_after_a_circle_or_a_limit_helps() {
    for (max_turns, told) in [(20, "repeated the same calls"), (3, "used all of your turns")] {
        let script = |request: &super::super::model_server::RecordedRequest| {
            let said = request.messages().iter().filter_map(|message| message["content"].as_str());
            let looked = said.filter(|text| text.contains("The operator has looked at it")).count();
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
        scene.book = Notebook::going_on(&scene.book, 3);
        assert_eq!(scene.run().await, Ok(Ended::Done));
        let requests = scene.server.requests();
        assert_eq!(requests.len(), sent + 2);
        assert!(requests[sent].messages().last().unwrap()["content"].as_str().unwrap().contains(told));
    }
}

/// Looks eight times at a file that is long, then writes its own; what it has forgotten it takes from the summary.
fn long_winded(request: &super::super::model_server::RecordedRequest) -> Reply {
    let messages = request.messages();
    if messages[0]["content"].as_str().unwrap().starts_with("You summarise") {
        let told = messages[1]["content"].as_str().unwrap();
        let last = told.matches("LOOK ").count() + told.split("did ").nth(1).map_or(0, |n| n.split(' ').next().unwrap().parse().unwrap());
        return Reply::answer(&format!("did {last} looks"));
    }
    let prompt = messages[1]["content"].as_str().unwrap();
    let before: usize = prompt.split("did ").nth(1).map_or(0, |n| n.split(' ').next().unwrap().parse().unwrap());
    let looks = before + messages.iter().filter(|message| message["role"] == "assistant").count();
    match looks {
        0..=7 => Reply::stream()
            .text(&format!("LOOK {looks}"))
            .tool_call("read_file", &json!({"file_path": "long.txt", "offset": looks + 1}).to_string(), &[])
            .finish("stop")
            .usage(9, 9, None)
            .done(),
        8 => write_artifact(),
        _ => Reply::answer("done"),
    }
}

async fn long_scene() -> Scene {
    let mut scene = Scene::with(ModelServer::script(long_winded).await);
    let lines: String = (0..30).map(|n| format!("line {n} {}\n", "x".repeat(60))).collect();
    std::fs::write(scene.tree.path().join("long.txt"), lines).unwrap();
    scene.job.persona.params.max_tokens = Some(100);
    scene.window = 3_500;
    scene
}

#[tokio::test]
async fn a_conversation_that_nears_the_window_goes_on_from_a_summary_and_a_kill_pays_no_turn_twice() {
    let straight = long_scene().await;
    assert_eq!(straight.run().await, Ok(Ended::Done));
    let requests = straight.server.requests();
    let longest = requests.iter().map(|request| request.body.to_string().len() / 3).max().unwrap();
    assert!(longest < 3_500, "every request fits: {longest}");
    let turns = straight.book.turns();
    let (summaries, own): (Vec<_>, Vec<_>) = turns.iter().partition(|turn| turn.conversation == "~summary");
    assert_eq!(own.len(), 10, "what was summarised stays readable");
    assert!(own.iter().all(|turn| turn.answer.is_some() && turn.tools.iter().all(|tool| tool.result.is_some())));
    assert!(summaries.len() >= 2, "{summaries:?}");
    assert_eq!(requests.len(), 10 + summaries.len());
    assert_eq!(straight.book.costs().len(), requests.len(), "each summary is paid like any call");
    assert!(!straight.book.shown(TextKind::Answer).iter().any(|text| text.contains("did")), "a summary is no word of the agent");
    assert!(straight.book.shown(TextKind::Note).iter().any(|note| note.contains("were summarised")));
    let writes = straight.book.lines().len();
    for killed_at in 0..writes {
        let mut scene = long_scene().await;
        scene.book.fails_from = Some(killed_at);
        assert_eq!(scene.run().await.unwrap_err().code, Code::DiskFull);
        let stored = scene.book.turns().iter().filter(|turn| turn.answer.is_some()).count();
        let sent = scene.server.requests().len();
        scene.job.history = scene.book.turns();
        scene.book = Notebook::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(Ended::Done), "at {killed_at}");
        assert_eq!(scene.server.requests().len() - sent, requests.len() - stored, "at {killed_at}: a stored turn is never paid for twice");
        if let Some(last) = scene.server.requests().get(sent..).and_then(<[_]>::last) {
            let length = |request: &super::super::model_server::RecordedRequest| request.messages().len();
            assert_eq!(length(last), length(requests.last().unwrap()), "at {killed_at}: the same conversation");
        }
    }
}

/// Refuses what is longer than the model takes, whatever the settings say of its window.
fn with_a_window(most: usize) -> impl Fn(&super::super::model_server::RecordedRequest) -> Reply + Send + Sync + 'static {
    move |request| match request.body.to_string().len() {
        0.. if request.body.to_string().len() / 3 <= most => long_winded(request),
        _ => Reply::status(400, r#"{"error":{"code":"context_length_exceeded","message":"This model's maximum context length is short"}}"#),
    }
}

#[tokio::test]
async fn a_provider_that_takes_less_than_is_known_brings_on_one_summary_and_the_work_goes_on() {
    let run = |fails_from| async move {
        let mut scene = long_scene().await;
        scene.server = ModelServer::script(with_a_window(3_500)).await;
        scene.window = 128_000;
        scene.book.fails_from = fails_from;
        let ended = scene.run().await;
        (scene, ended)
    };
    let (straight, ended) = run(None).await;
    assert_eq!(ended, Ok(Ended::Done));
    let lines = straight.book.lines();
    let refused = lines.iter().filter(|line| *line == "failed Failed llm_context_exceeded").count();
    assert_eq!(refused, 1, "what it takes is learned once: {lines:?}");
    assert!(lines.iter().all(|line| !line.starts_with("retried")));
    let notes = straight.book.shown(TextKind::Note);
    assert!(notes.iter().any(|note| note.contains("more than the model takes") && note.contains("maximum context length is short")));
    assert_eq!(straight.book.turns().iter().filter(|turn| turn.conversation.is_empty() && turn.answer.is_some()).count(), 10);
    for killed_at in 0..lines.len() {
        let (mut scene, _) = run(Some(killed_at)).await;
        scene.job.history = scene.book.turns();
        scene.book = Notebook::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(Ended::Done), "at {killed_at}");
        let turns = scene.book.turns();
        let mut answered: Vec<_> =
            turns.iter().filter(|turn| turn.answer.is_some()).map(|turn| (turn.conversation.as_str(), turn.number)).collect();
        assert_eq!(answered.iter().filter(|(conversation, _)| conversation.is_empty()).count(), 10, "at {killed_at}");
        let all = answered.len();
        answered.sort_unstable();
        answered.dedup();
        assert_eq!(answered.len(), all, "at {killed_at}: no turn is answered, and paid for, twice");
    }
}

#[tokio::test]
async fn what_cannot_be_made_shorter_ends_with_its_code_after_one_summary() {
    for (looks, calls) in [(0, 1), (3, 6)] {
        let script = move |request: &super::super::model_server::RecordedRequest| {
            let summary = request.messages()[0]["content"].as_str().unwrap().starts_with("You summarise");
            let said = request.messages().iter().filter(|message| message["role"] == "assistant").count();
            let summarised = request.messages()[1]["content"].as_str().unwrap().contains("[SUMMARY");
            match (summary, said) {
                (true, _) => Reply::answer("did it"),
                (false, said) if said < looks && !summarised => {
                    Reply::calls("read_file", &json!({"file_path": "long.txt", "offset": said + 1}))
                }
                _ => Reply::status(413, ""),
            }
        };
        let mut scene = long_scene().await;
        scene.server = ModelServer::script(script).await;
        scene.window = 128_000;
        let failure = scene.run().await.unwrap_err();
        assert_eq!((failure.code, scene.server.requests().len()), (Code::LlmContextExceeded, calls), "{}", failure.message);
        assert!(failure.hint.contains("larger window"), "{}", failure.hint);
    }
}

#[tokio::test]
async fn it_is_reminded_once_and_then_the_engine_judges() {
    let scene = Scene::new([Reply::answer("done"), Reply::answer("really done")]).await;
    assert_eq!(scene.run().await, Ok(Ended::Done));
    assert_eq!(scene.roles(1), ["system", "user", "assistant", "user"]);
    assert!(scene.server.requests()[1].messages()[3]["content"].as_str().unwrap().ends_with("at exactly this path: out.json"));
    assert_eq!(scene.book.lines().last().unwrap(), "tools_done 0 end");
}

#[tokio::test]
async fn work_that_had_ended_ends_without_a_request() {
    let mut scene = Scene::new([write_artifact(), Reply::answer("done")]).await;
    assert_eq!(scene.run().await, Ok(Ended::Done));
    scene.job.history = scene.book.turns();
    scene.book = Notebook::default();
    assert_eq!(scene.run().await, Ok(Ended::Done));
    assert_eq!((scene.server.requests().len(), scene.book.lines().len()), (2, 0));
}

#[tokio::test]
async fn a_soft_stop_ends_at_the_next_checkpoint_and_can_go_on() {
    let mut scene = Scene::new([Reply::calls("ls", &json!({})), write_artifact(), Reply::answer("done")]).await;
    scene.book.cancel_at = Some(("answered ls", scene.stop.soon.clone()));
    assert_eq!(scene.run().await, Ok(Ended::Stopped));
    assert_eq!(scene.book.lines(), ["reserve 1", "answered ls", "tools_done 1 end"]);
    scene.job.history = scene.book.turns();
    scene.book = Notebook::resuming(&scene.book);
    scene.stop = Stop::default();
    assert_eq!(scene.run().await, Ok(Ended::Done));
    assert_eq!(scene.server.requests().len(), 3);
    let before: CancellationToken = scene.stop.soon.clone();
    before.cancel();
    scene.job.history.clear();
    assert_eq!(scene.run().await, Ok(Ended::Stopped));
    assert_eq!(scene.server.requests().len(), 3);
}

#[tokio::test]
async fn a_hard_stop_drops_the_request_and_closes_its_row() {
    let now = CancellationToken::new();
    let cancel = now.clone();
    let server = ModelServer::script(move |_| {
        cancel.cancel();
        Reply::hang()
    })
    .await;
    let mut scene = Scene::with(server);
    scene.stop.now = now;
    assert_eq!(scene.run().await, Ok(Ended::Stopped));
    assert_eq!(scene.book.lines(), ["reserve 1", "failed Unknown llm_unreachable"]);
}

#[tokio::test]
async fn a_hard_stop_leaves_tools_alone_that_have_not_begun() {
    let two = Reply::stream().tool_call("write_file", r#"{"file_path":"x","content":""}"#, &[]).finish("stop").done();
    let mut scene = Scene::new([two]).await;
    scene.book.cancel_at = Some(("answered", scene.stop.now.clone()));
    assert_eq!(scene.run().await, Ok(Ended::Stopped));
    assert_eq!(scene.book.lines(), ["reserve 1", "answered write_file", "tools_done 1 end"]);
    assert_eq!(scene.book.tools()[0].result, NOT_BEGUN);
    assert!(!scene.tree.path().join("x").exists());
}

#[tokio::test]
async fn a_stop_during_a_pause_ends_it_at_once() {
    let mut scene = Scene::new([Reply::status(429, "").header("Retry-After", "60")]).await;
    scene.book.cancel_at = Some(("retried", scene.stop.soon.clone()));
    assert_eq!(scene.run().await, Ok(Ended::Stopped));
    assert_eq!(scene.book.lines().last().unwrap(), "retried 1 429 llm_rate_limited");
}

async fn structured_scene(script: impl Fn(&super::super::model_server::RecordedRequest) -> Reply + Send + Sync + 'static) -> Scene {
    let mut scene = Scene::with(ModelServer::script(script).await);
    scene.job.persona.params.mode = Some("structured".to_owned());
    scene
}

#[tokio::test]
async fn in_structured_mode_the_answer_is_the_file_and_a_kill_pays_for_it_once() {
    let scene = structured_scene(|_| Reply::answer("```json\n{\"a\": 1}\n```")).await;
    assert_eq!(scene.run().await, Ok(Ended::Done));
    let body = &scene.server.requests()[0].body;
    assert_eq!(body["response_format"], json!({"type": "json_schema", "json_schema": {"name": "artifact", "schema": null}}));
    assert!(body["tools"].is_null() && body["messages"][0]["content"].as_str().unwrap().contains("You have no tools"));
    assert_eq!(std::fs::read_to_string(scene.tree.path().join("out.json")).unwrap(), "{\"a\": 1}\n");
    let writes = scene.book.lines().len();
    for killed_at in 0..writes {
        let mut scene = structured_scene(|_| Reply::answer("{\"a\": 1}")).await;
        scene.book.fails_from = Some(killed_at);
        assert!(scene.run().await.is_err());
        let paid = usize::from(scene.book.turns().iter().any(|turn| turn.answer.is_some()));
        let sent = scene.server.requests().len();
        let _ = std::fs::remove_file(scene.tree.path().join("out.json"));
        scene.job.history = scene.book.turns();
        scene.book = Notebook::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(Ended::Done), "at {killed_at}");
        assert_eq!(scene.server.requests().len() - sent, 1 - paid, "at {killed_at}");
        assert!(scene.tree.path().join("out.json").exists(), "at {killed_at}");
    }
}

#[tokio::test]
async fn words_in_place_of_the_document_are_reminded_of_once() {
    let scene = structured_scene(|request| if request.number == 0 { Reply::answer("Here it is.") } else { Reply::answer("[]") }).await;
    assert_eq!(scene.run().await, Ok(Ended::Done));
    assert_eq!(scene.server.requests()[1].messages()[3]["content"], structured::NUDGE);
    assert_eq!(std::fs::read_to_string(scene.tree.path().join("out.json")).unwrap(), "[]\n");
    let never = structured_scene(|_| Reply::answer("I would rather not.")).await;
    assert_eq!((never.run().await, never.server.requests().len()), (Ok(Ended::Done), 2));
    assert!(!never.tree.path().join("out.json").exists());
}

#[tokio::test]
async fn a_server_that_takes_no_schema_is_asked_without_it() {
    let script = |request: &super::super::model_server::RecordedRequest| match request.body["response_format"].is_object() {
        true => Reply::status(400, r#"{"error":{"message":"response_format is not supported"}}"#),
        false => Reply::answer("{}"),
    };
    let scene = structured_scene(script).await;
    assert_eq!(scene.run().await, Ok(Ended::Done));
    assert_eq!(scene.book.lines(), ["reserve 1", "failed Failed llm_bad_response", "reserve 1", "put down", "tools_done 0 end"]);
    let notes = scene.book.shown(TextKind::Note);
    assert!(notes[0].starts_with("the server takes no schema; asked without it (the provider answered 400"), "{notes:?}");
    let refused = structured_scene(|_| Reply::status(400, "no such model")).await;
    assert_eq!((refused.run().await.unwrap_err().code, refused.server.requests().len()), (Code::LlmBadResponse, 2));
}

#[path = "asking.rs"]
mod asking;
