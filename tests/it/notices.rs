//! How an operator hears of a gate when no console is open, and answers it from anywhere.

use serde_json::Value;

use crate::home::Home;
use crate::model_server::{ModelServer, Reply};

const ENDED: i32 = 0;

pub fn waiting_at_the_first_gate(home: &Home) -> String {
    let mut host = home.command(&["demo", "--headless"]);
    host.stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null());
    let mut host = host.spawn().unwrap();
    let told = std::io::BufRead::lines(std::io::BufReader::new(host.stderr.take().unwrap()))
        .map(Result::unwrap)
        .find(|line| line.contains("--token "))
        .unwrap();
    host.kill().unwrap();
    host.wait().unwrap();
    told.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_token_answers_its_gate_once() {
    let home = Home::new();
    let token = waiting_at_the_first_gate(&home);
    let run = home.newest();
    assert_eq!(token.len(), 32);
    let wrong = home.run(&["approve", "--token", "0123456789abcdef0123456789abcdef"]);
    assert!(
        wrong.status.code() == Some(2)
            && String::from_utf8(wrong.stderr)
                .unwrap()
                .contains("[token_refused]")
    );
    home.expect(2, &["approve", "@last", "--token", &token]);
    let receipt: Value = serde_json::from_str(&home.expect(
        ENDED,
        &["approve", "--token", &token, "-m", "Good.", "--json"],
    ))
    .unwrap();
    assert_eq!(
        (&receipt["action"], &receipt["gate"]),
        (&"approve".into(), &"spec_approved".into())
    );
    let answered = &home.archive().approvals(run.id).unwrap()[0];
    assert_eq!(
        (answered.via.unwrap().as_str(), answered.comment.as_deref()),
        ("token", Some("Good."))
    );
    let again = home.run(&["reject", "--token", &token, "-m", "No!"]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(
        again.status.code() == Some(2)
            && said.contains(
                "gate 'spec_approved' is approved by tester; the token can no longer be used"
            ),
        "{said}"
    );
    let database = std::fs::read(home.paths().database()).unwrap();
    assert!(
        !database
            .windows(token.len())
            .any(|part| part == token.as_bytes()),
        "only its digest is stored"
    );
}

#[test]
fn the_command_hears_of_each_gate_and_of_the_end() {
    let home = Home::new();
    let heard = home.path().join("heard");
    home.configure(&format!(
        "[rehearsal]\npace_ms = 0\n[notify]\ncommand = [\"sh\", \"-c\", \"cat >> {}; echo >> {}\"]\n",
        heard.display(),
        heard.display()
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
    let lines: Vec<Value> = std::fs::read_to_string(&heard)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = &lines.iter().find(|line| line["notice"] == "end").unwrap();
    assert_eq!(
        (&first["state"], &first["event"]),
        (&"completed".into(), &"run.completed".into())
    );
    assert!(
        first["summary"].as_str().unwrap().ends_with("is done"),
        "{first}"
    );
}

#[tokio::test]
async fn the_webhook_is_signed_tried_again_and_told_the_same_name_each_time() {
    let server = ModelServer::queue([Reply::status(503, ""), Reply::status(200, "")]).await;
    let home = Home::new();
    home.configure(&format!(
        "[rehearsal]\npace_ms = 0\n[notify]\nwebhook = \"{}/hook\"\nwebhook_secret_env = \"HOOK_SECRET\"\non = [\"gate\"]\n",
        server.base_url()
    ));
    let mut host = home.command(&["demo", "--headless"]);
    host.env("HOOK_SECRET", "s3cret")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut host = host.spawn().unwrap();
    while server.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    let requests = server.requests();
    host.kill().unwrap();
    host.wait().unwrap();
    assert_eq!(
        requests[0].header("phasedeck-delivery"),
        requests[1].header("phasedeck-delivery")
    );
    let body = &requests[1].body;
    assert_eq!(
        (&body["notice"], &body["question"]["gate"]),
        (&"gate".into(), &"spec_approved".into())
    );
    let signature = requests[1].header("phasedeck-signature").unwrap();
    assert!(
        signature.starts_with("t=") && signature.contains(",v1="),
        "{signature}"
    );
    let token = body["question"]["token"].as_str().unwrap();
    home.expect(0, &["approve", "--token", token]);
}

#[tokio::test]
async fn a_collector_gets_the_spans_of_a_run_and_what_was_counted() {
    let server = ModelServer::script(|_| Reply::status(200, "{}")).await;
    let home = Home::new();
    home.configure(&format!(
        "[rehearsal]\npace_ms = 0\n[telemetry]\notlp_endpoint = \"{}\"\n",
        server.base_url()
    ));
    let args = [
        "run",
        "research",
        "-m",
        "Which carts are there?",
        "--no-git",
        "--rehearse",
        "--headless",
        "--yes",
    ];
    let mut command = home.command(&args);
    assert!(
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
            .status
            .success()
    );
    let run = home.newest();
    let (mut spans, mut metrics) = (Vec::new(), Vec::new());
    for request in server.requests() {
        spans.extend(
            request.body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        metrics.extend(
            request.body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
    }
    let names: Vec<&str> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    for name in ["phase question", "phase report", "attempt 1", "run"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(
        names.iter().any(|name| name.starts_with("gate ")),
        "{names:?}"
    );
    let trace = run.id.to_string().replace('-', "");
    assert!(
        spans.iter().all(|span| span["traceId"] == trace.as_str()
            && span["spanId"].as_str().unwrap().len() == 16)
    );
    let runs = metrics
        .iter()
        .rfind(|metric| metric["name"] == "phasedeck.runs")
        .unwrap();
    assert_eq!(runs["sum"]["dataPoints"][0]["asInt"], "1");
    assert!(
        metrics
            .iter()
            .any(|metric| metric["name"] == "phasedeck.gate.wait"),
        "{metrics:?}"
    );
}
