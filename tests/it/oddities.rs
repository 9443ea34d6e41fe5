//! Every oddity of real servers, one row each: what the events, the ledger and the run say of it.
//!
//! The first call of the first phase meets the oddity; whatever is asked after it is answered well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phasedeck::engine::agent::Backend;
use phasedeck::engine::agent::chat_completions::{OpenAi, PriceTable};
use phasedeck::engine::api::{
    CommandAnswer, CommandRequest, CommandSender, EngineCommand, StartRun,
};
use phasedeck::engine::run::context::EngineContext;
use phasedeck::engine::run::supervisor::{Supervisor, SupervisorMsg};
use phasedeck::model::event::{CallStatus, RunFact};
use phasedeck::model::id::{ClientToken, RunId};
use phasedeck::model::settings::{AppSettings, ModelPrice, OpenAiSettings};
use phasedeck::model::state::{RunStatus, Via};
use phasedeck::store::Store;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::home::{Home, check_invariants};
use crate::model_script::{Asked, Script, write_pair};
use crate::model_server::Reply;

/// What becomes of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The oddity was mended by another try, or was none.
    Gate,
    /// A person is asked.
    Paused,
}

/// What a row says: the oddity; the codes of the tries that followed it; how its ledger row is
/// closed, and whether money was charged for it; where the run ends.
struct Row {
    name: &'static str,
    oddity: fn(&Asked) -> Reply,
    retried: &'static [&'static str],
    call: (CallStatus, bool),
    end: End,
}

const OK: (CallStatus, bool) = (CallStatus::Ok, true);
const FREE: (CallStatus, bool) = (CallStatus::Failed, false);
const UNKNOWN: (CallStatus, bool) = (CallStatus::Unknown, true);

fn row(
    name: &'static str,
    oddity: fn(&Asked) -> Reply,
    retried: &'static [&'static str],
    call: (CallStatus, bool),
    end: End,
) -> Row {
    Row {
        name,
        oddity,
        retried,
        call,
        end,
    }
}

fn error(status: u16) -> Reply {
    Reply::status(
        status,
        &json!({"error": {"message": "an odd day"}}).to_string(),
    )
}

/// The right answer, put together by hand: the write of the artifact in one stream.
fn arguments(asked: &Asked) -> String {
    json!({ "file_path": asked.path, "content": asked.artifact().to_string() }).to_string()
}

fn call(asked: &Asked, id: &serde_json::Value, name: &str) -> Reply {
    let arguments = arguments(asked);
    Reply::stream().delta(&json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]}))
}

const LIMITED: &[&str] = &["llm_rate_limited"];
const LOADED: &[&str] = &["llm_overloaded"];
const LOST: &[&str] = &["llm_unreachable"];
const BAD: &[&str] = &["llm_bad_response"];

#[expect(clippy::too_many_lines, reason = "a flat table")]
fn rows() -> Vec<Row> {
    use End::{Gate, Paused};
    vec![
        row("400", |_| error(400), &[], FREE, Paused),
        row("401", |_| error(401), &[], FREE, Paused),
        row("402", |_| error(402), &[], FREE, Paused),
        row("403", |_| error(403), &[], FREE, Paused),
        row("404", |_| error(404), &[], FREE, Paused),
        row("408", |_| error(408), LOADED, FREE, Gate),
        row("409", |_| error(409), LOADED, FREE, Gate),
        row("413", |_| error(413), &[], FREE, Paused),
        row(
            "a prompt longer than the model takes",
            |_| Reply::status(400, r#"{"error":{"code":"context_length_exceeded"}}"#),
            &[],
            FREE,
            Paused,
        ),
        row("422", |_| error(422), &[], FREE, Paused),
        row("425", |_| error(425), LOADED, FREE, Gate),
        row("429", |_| error(429), LIMITED, FREE, Gate),
        row(
            "429 with seconds",
            |_| error(429).header("retry-after", "0"),
            LIMITED,
            FREE,
            Gate,
        ),
        row(
            "429 with a date gone by",
            |_| error(429).header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            LIMITED,
            FREE,
            Gate,
        ),
        row(
            "429 with rubbish",
            |_| error(429).header("retry-after", "-soon"),
            LIMITED,
            FREE,
            Gate,
        ),
        row(
            "429 without money",
            |_| Reply::status(429, r#"{"error":{"code":"insufficient_quota"}}"#),
            &[],
            FREE,
            Paused,
        ),
        row("500", |_| error(500), LOADED, FREE, Gate),
        row(
            "502 as a page",
            |_| Reply::status(502, "<html>Bad Gateway</html>"),
            LOADED,
            FREE,
            Gate,
        ),
        row("503", |_| error(503), LOADED, FREE, Gate),
        row("529", |_| error(529), LOADED, FREE, Gate),
        row(
            "a redirect",
            |_| Reply::status(307, "").header("location", "http://127.0.0.1:9/"),
            &[],
            FREE,
            Paused,
        ),
        row(
            "hung up before a byte",
            |_| Reply::hang_up(),
            LOST,
            UNKNOWN,
            Gate,
        ),
        row(
            "a web page",
            |_| Reply::status(200, "<html>").header("content-type", "text/html"),
            BAD,
            UNKNOWN,
            Gate,
        ),
        row(
            "an error at once",
            |_| Reply::stream().event(&json!({"error": {"code": 529, "message": "x"}})),
            LOADED,
            FREE,
            Gate,
        ),
        row(
            "an error after text",
            |_| {
                Reply::stream()
                    .text("I th")
                    .event(&json!({"error": {"code": 502}}))
            },
            LOADED,
            UNKNOWN,
            Gate,
        ),
        row(
            "an error that names the key",
            |_| Reply::stream().event(&json!({"error": {"code": 401}})),
            &[],
            FREE,
            Paused,
        ),
        row(
            "cut after text",
            |_| Reply::stream().text("I think").cut_at(20),
            LOST,
            UNKNOWN,
            Gate,
        ),
        row(
            "ended within a call",
            |asked| call(asked, &json!("a"), "write_file"),
            LOST,
            UNKNOWN,
            Gate,
        ),
        row(
            "nothing at all",
            |_| Reply::stream().done(),
            BAD,
            UNKNOWN,
            Gate,
        ),
        row(
            "no choices ever",
            |_| Reply::stream().event(&json!({"choices": []})).done(),
            BAD,
            UNKNOWN,
            Gate,
        ),
        row(
            "broken JSON in an event",
            |_| Reply::stream().raw(b"data: {\"choices\":[\n\n"),
            BAD,
            UNKNOWN,
            Gate,
        ),
        row(
            "a compressed answer that nobody asked for",
            |_| {
                Reply::stream()
                    .raw(b"\x1f\x8b\x08\0\0\0\0\0\0\x03K\x04\0C\xbe\xb7\xe8\x01\0\0\0\n\n")
                    .header("content-encoding", "gzip")
            },
            LOST,
            UNKNOWN,
            Gate,
        ),
        row(
            "no UTF-8 in an event",
            |_| Reply::stream().raw(b"data: {\"choices\":\"\xff\"}\n\n"),
            BAD,
            UNKNOWN,
            Gate,
        ),
        row(
            "a content filter",
            |_| {
                Reply::stream()
                    .text("no")
                    .finish("content_filter")
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Paused,
        ),
        row(
            "a call finished by stop",
            |asked| {
                call(asked, &json!("a"), "write_file")
                    .finish("stop")
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "a call without an id",
            |asked| {
                call(asked, &json!(null), "write_file")
                    .finish("stop")
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "an empty finish reason first",
            |asked| {
                call(asked, &json!(""), "write_file")
                    .finish("")
                    .finish("tool_calls")
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "a tool that is none",
            |asked| {
                call(asked, &json!("a"), "approve_gate")
                    .finish("tool_calls")
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "arguments that are no JSON",
            |_| {
                Reply::stream()
                    .tool_call("write_file", "{\"file_path\":", &[])
                    .finish("tool_calls")
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "cut off by its length",
            |asked| {
                call(asked, &json!("a"), "write_file")
                    .finish("length")
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "usage told twice",
            |asked| {
                call(asked, &json!("a"), "write_file")
                    .finish("stop")
                    .usage(9, 9, Some("9"))
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "usage never told",
            |asked| call(asked, &json!("a"), "write_file").finish("stop").done(),
            &[],
            OK,
            Gate,
        ),
        row(
            "comments and CRLF",
            |asked| {
                let arguments = arguments(asked);
                let chunk = json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "write_file", "arguments": arguments}}]}, "finish_reason": "tool_calls"}]});
                Reply::stream()
                    .raw(format!(": hello\r\n\r\n:\r\ndata:{chunk}\r\n\r\n").as_bytes())
                    .usage(1, 1, Some("0.1"))
                    .done()
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "one byte at a time",
            |asked| {
                let whole = call(asked, &json!("ä"), "write_file")
                    .finish("tool_calls")
                    .usage(1, 1, Some("0.1"))
                    .done()
                    .body();
                whole
                    .iter()
                    .fold(Reply::stream(), |reply, byte| reply.raw(&[*byte]))
            },
            &[],
            OK,
            Gate,
        ),
        row(
            "another model's name",
            |asked| {
                Reply::stream().event(&json!({"model": "another/one", "choices": []})).delta(&json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "write_file", "arguments": arguments(asked)}}]})).finish("stop").usage(1, 1, Some("0.1")).done()
            },
            &[],
            OK,
            Gate,
        ),
    ]
}

/// An engine in this process, with pauses too short to notice.
struct Bench {
    home: Home,
    calls: mpsc::Sender<SupervisorMsg>,
    runtime: tokio::runtime::Runtime,
    backend: Arc<dyn Backend>,
}

impl Bench {
    fn new(script: &Script) -> Self {
        let home = Home::new();
        write_pair(&home);
        home.expect(0, &["consent", "maker"]);
        let openai = OpenAiSettings {
            base_url: script.base_url(),
            key_env: String::new(),
            ..OpenAiSettings::default()
        };
        let price = ModelPrice {
            input: "1".to_owned(),
            output: "1".to_owned(),
            cached: None,
        };
        let prices = PriceTable::new(&[("test/model".to_owned(), price)].into()).unwrap();
        let backend: Arc<dyn Backend> = Arc::new(
            OpenAi::new(&openai, prices)
                .unwrap()
                .with_first_pause(Duration::from_millis(1)),
        );
        let store = Store::open(&home.paths().database()).unwrap();
        let context = Arc::new(EngineContext::new(
            store,
            home.paths(),
            AppSettings {
                openai,
                ..AppSettings::default()
            },
            vec![Arc::clone(&backend)],
        ));
        let (calls, serving) = mpsc::channel(64);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let supervisor = Supervisor::new(context, serving, calls.clone(), true);
        runtime.spawn(supervisor.run());
        Self {
            home,
            calls,
            runtime,
            backend,
        }
    }

    fn start(&self) -> RunId {
        let start = StartRun {
            workflow: "pair".to_owned(),
            requirements: "A note".to_owned(),
            ..StartRun::default()
        };
        let (reply, answer) = oneshot::channel();
        let sender = CommandSender {
            by: "tester".to_owned(),
            via: Via::Cli,
        };
        let request = CommandRequest {
            command: EngineCommand::Start(Box::new(start)),
            sender,
            token: ClientToken::new(),
            reply,
        };
        self.calls
            .blocking_send(SupervisorMsg::Request(request))
            .ok()
            .unwrap();
        match self.runtime.block_on(answer).unwrap().unwrap() {
            CommandAnswer::Started { run_id, .. } => run_id,
            other => panic!("{other:?}"),
        }
    }

    fn rests(&self, run: RunId, what: &str) -> RunStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let state = self.home.archive().state(run).unwrap();
            if !matches!(state.status, RunStatus::Created | RunStatus::Executing) {
                return state.status;
            }
            assert!(Instant::now() < deadline, "{what}: still {}", state.status);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn every_oddity_is_told_booked_and_survived_as_its_row_says() {
    static ROW: AtomicUsize = AtomicUsize::new(0);
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let script = Script::serve(|asked| {
        if ASKED.fetch_add(1, Ordering::SeqCst) == 0 {
            return (rows()[ROW.load(Ordering::SeqCst)].oddity)(asked);
        }
        // Whether the file was written is told by a result that says so.
        let written = asked.body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .any(|message| {
                message["content"]
                    .as_str()
                    .is_some_and(|text| text.starts_with("made '"))
            });
        if written {
            Reply::answer("done")
        } else {
            asked.writes(&asked.artifact())
        }
    });
    let bench = Bench::new(&script);
    for (n, row) in rows().iter().enumerate() {
        ROW.store(n, Ordering::SeqCst);
        ASKED.store(0, Ordering::SeqCst);
        // A refused key is not asked with again, unless a person says so.
        bench.runtime.block_on(bench.backend.look_again());
        let run = bench.start();
        let status = bench.rests(run, row.name);
        let record = bench.home.archive().run(run).unwrap();
        check_invariants(&bench.home, &record);
        let expected = if row.end == End::Gate {
            RunStatus::AwaitingApproval
        } else {
            RunStatus::Paused
        };
        assert_eq!(status, expected, "{}", row.name);
        let events = bench.home.events(&record);
        let retried: Vec<_> = events
            .iter()
            .filter_map(|event| {
                if let RunFact::LlmRetried { code, .. } = &event.fact {
                    Some(code.as_str())
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(retried, row.retried, "{}", row.name);
        let first = &bench.home.archive().ledger(run).unwrap()[0];
        let charged = first.cost.is_some_and(|cost| cost.0 > 0);
        assert_eq!(
            (first.status.unwrap(), charged),
            row.call,
            "{}: {first:?}",
            row.name
        );
        let repaired = events
            .iter()
            .any(|event| matches!(event.fact, RunFact::LlmRepaired { .. }));
        assert_eq!(
            repaired,
            ["a call without an id", "an empty finish reason first"].contains(&row.name),
            "{}",
            row.name
        );
        let called = events
            .iter()
            .filter(|event| matches!(event.fact, RunFact::LlmCalled { .. }))
            .count();
        assert_eq!(
            called,
            bench.home.archive().ledger(run).unwrap().len(),
            "{}: each try has its row and its event",
            row.name
        );
    }
}
