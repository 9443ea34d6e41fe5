//! The wire against a server that cuts, hangs, refuses and lies.

use std::sync::Mutex;

use serde_json::json;

use super::super::assemble::FinishReason;
use super::super::model_server::{ModelServer, Reply};
use super::*;
use crate::model::event::CallStatus;

const KEY: &str = "sk-or-canary-4711";

fn limits(idle: Duration) -> StreamLimits {
    let long = Duration::from_secs(20);
    StreamLimits {
        connect: long,
        first_byte: long,
        idle,
        silence: long,
        total: long,
    }
}

fn wire_with(base_url: &str, limits: StreamLimits) -> ChatTransport {
    let headers = [("X-Title".to_owned(), "deck".to_owned())].into();
    let settings = OpenAiSettings {
        base_url: base_url.to_owned(),
        headers,
        ..OpenAiSettings::default()
    };
    ChatTransport::new(&settings, Some(SecretString::from(KEY)), limits).unwrap()
}

async fn ask_with(
    server: &ModelServer,
    limits: StreamLimits,
) -> (Result<AssembledAnswer, ModelFault>, String) {
    let shown = Mutex::new(String::new());
    let show = |_: TextKind, text: &str| shown.lock().unwrap().push_str(text);
    let asked = wire_with(&server.base_url(), limits)
        .ask(1, r#"{"model":"m"}"#, &show)
        .await;
    (asked, shown.into_inner().unwrap())
}

async fn ask(reply: Reply) -> (Result<AssembledAnswer, ModelFault>, String) {
    let server = ModelServer::queue([reply]).await;
    ask_with(&server, limits(Duration::from_secs(20))).await
}

#[tokio::test]
async fn an_answer_is_streamed_and_the_request_is_as_agreed() {
    let server = ModelServer::queue([Reply::stream()
        .text("größ")
        .text("e 数")
        .finish("stop")
        .usage(9, 3, Some("0.25"))
        .done()])
    .await;
    let (asked, shown) = ask_with(&server, limits(Duration::from_secs(20))).await;
    let assembled = asked.unwrap();
    assert_eq!(
        (assembled.answer.text.as_str(), shown.as_str()),
        ("größe 数", "größe 数")
    );
    assert_eq!(assembled.usage.unwrap().cost().unwrap().0, 250_000_000);
    assert_eq!(assembled.request_id.as_deref(), Some("gen-1"));
    let request = &server.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
    assert_eq!(
        (request.header("x-title"), request.header("accept")),
        (Some("deck"), Some("text/event-stream"))
    );
    assert_eq!(request.body, json!({"model": "m"}));
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_is_lost_or_whole_and_never_half() {
    let whole = || {
        Reply::stream()
            .text("a 数")
            .tool_call("ls", "{\"path\":\"é\"}", &[4])
            .finish("tool_calls")
            .done()
    };
    let body = whole().body();
    let finish = String::from_utf8_lossy(&body)
        .find("\"finish_reason\":\"tool_calls\"")
        .unwrap();
    let complete_from = finish
        + body[finish..]
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap();
    let server = ModelServer::script(move |request| {
        let at = request.number / 2;
        if request.number % 2 == 0 {
            whole().cut_at(at)
        } else {
            whole().ended_at(at)
        }
    })
    .await;
    let wire = wire_with(&server.base_url(), limits(Duration::from_secs(20)));
    for at in 0..=body.len() {
        for how in ["cut", "ended"] {
            let asked = wire.ask(1, "{}", &|_, _| ()).await;
            // A clean end lets a last event count without its blank line; a broken connection does not.
            let needed = if how == "cut" {
                complete_from + 2
            } else {
                complete_from
            };
            if at >= needed {
                let answer = asked.unwrap().answer;
                assert_eq!(
                    (answer.text.as_str(), answer.calls[0].arguments.as_str()),
                    ("a 数", "{\"path\":\"é\"}"),
                    "{how} at {at}"
                );
            } else {
                let fault = asked.unwrap_err();
                assert_eq!(
                    (fault.code, fault.retry),
                    (Code::LlmUnreachable, RetryAdvice::Always),
                    "{how} at {at}: {}",
                    fault.words
                );
                assert_eq!(fault.call_status(), CallStatus::Unknown, "{how} at {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_is_mapped_and_never_carries_the_key() {
    let echo =
        format!(r#"{{"error":{{"message":"bad key {KEY}\u001b[31m, Bearer {KEY}","code":401}}}}"#);
    let (asked, _) = ask(Reply::status(401, &echo)).await;
    let fault = asked.unwrap_err();
    assert_eq!(
        (fault.code, fault.status, fault.retry),
        (Code::LlmAuth, Some(401), RetryAdvice::Never)
    );
    assert_eq!(
        fault.words,
        "the provider answered 401 Unauthorized: bad key *** [31m, Bearer ***"
    );
    assert_eq!(fault.call_status(), CallStatus::Failed);

    let (asked, _) = ask(Reply::status(
        429,
        r#"{"error":{"message":"no credit","type":"insufficient_quota"}}"#,
    ))
    .await;
    let fault = asked.unwrap_err();
    assert_eq!(
        (fault.code, fault.retry),
        (Code::LlmAuth, RetryAdvice::Never)
    );
    assert!(fault.hint.contains("no credit left"));

    let behind = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"too many tokens"}}}"#;
    let (asked, _) = ask(Reply::status(400, behind)).await;
    assert_eq!(
        asked.unwrap_err().words,
        "the provider answered 400 Bad Request: Provider returned error: too many tokens"
    );

    let (asked, _) = ask(Reply::status(503, &"x".repeat(200_000)).header("Retry-After", "7")).await;
    let fault = asked.unwrap_err();
    assert_eq!(
        (fault.code, fault.retry_after),
        (Code::LlmOverloaded, Some(Duration::from_secs(7)))
    );
    assert_eq!(fault.words.chars().count(), ERROR_CHARS);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = ModelServer::queue([Reply::answer("stolen")]).await;
    let (asked, _) = ask(Reply::status(307, "").header(
        "Location",
        &format!("{}/chat/completions", other.base_url()),
    ))
    .await;
    assert_eq!(asked.unwrap_err().code, Code::LlmBadResponse);
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn an_error_within_a_good_stream_is_of_its_inner_kind() {
    let error = json!({"error": {"code": 429, "message": format!("slow down, {KEY}")}});
    let (asked, shown) = ask(Reply::stream().text("par").event(&error).done()).await;
    let fault = asked.unwrap_err();
    assert_eq!(
        (fault.code, fault.retry, shown.as_str()),
        (Code::LlmRateLimited, RetryAdvice::Always, "par")
    );
    assert_eq!(
        fault.words,
        "the provider broke off with an error: slow down, ***"
    );
    assert_eq!(fault.call_status(), CallStatus::Unknown);
    let (asked, _) = ask(Reply::stream().event(&error)).await;
    assert_eq!(asked.unwrap_err().call_status(), CallStatus::Failed);
    let (asked, _) =
        ask(Reply::stream().raw(b"event: error\ndata: {\"type\":\"overloaded_error\"}\n\n")).await;
    assert_eq!(asked.unwrap_err().code, Code::LlmOverloaded);
}

#[tokio::test]
async fn silence_ends_a_call_wherever_it_falls() {
    let short = limits(Duration::from_millis(400));
    let hanging = ModelServer::queue([Reply::stream().text("a").then_hang()]).await;
    let (asked, shown) = ask_with(&hanging, short).await;
    assert_eq!(
        (asked.unwrap_err().words.as_str(), shown.as_str()),
        ("the stream was silent for 400ms", "a")
    );

    let mute = ModelServer::queue([Reply::hang()]).await;
    let (asked, _) = ask_with(
        &mute,
        StreamLimits {
            first_byte: Duration::from_millis(50),
            ..short
        },
    )
    .await;
    let fault = asked.unwrap_err();
    assert_eq!(
        (fault.words.as_str(), fault.call_status()),
        ("127.0.0.1 did not answer within 50ms", CallStatus::Unknown)
    );

    let mut comments = Reply::stream();
    for _ in 0..40 {
        comments = comments
            .raw(b": still here\n\n")
            .pause(Duration::from_millis(10));
    }
    let server = ModelServer::queue([comments.clone(), comments]).await;
    let (asked, _) = ask_with(
        &server,
        StreamLimits {
            silence: Duration::from_millis(60),
            ..limits(Duration::from_secs(20))
        },
    )
    .await;
    assert_eq!(
        asked.unwrap_err().words,
        "nothing but comments came for 60ms"
    );
    let (asked, _) = ask_with(
        &server,
        StreamLimits {
            total: Duration::from_millis(60),
            ..limits(Duration::from_secs(20))
        },
    )
    .await;
    assert_eq!(asked.unwrap_err().code, Code::LlmUnreachable);
}

#[tokio::test]
async fn a_finished_answer_counts_though_the_connection_breaks_after_it() {
    let (asked, _) = ask(Reply::stream().text("done").finish("stop").cut_at(9_999)).await;
    let assembled = asked.unwrap();
    assert_eq!(
        (assembled.answer.text.as_str(), assembled.usage.is_none()),
        ("done", true)
    );
    let server =
        ModelServer::queue([Reply::stream().text("done").finish("length").then_hang()]).await;
    let (asked, _) = ask_with(&server, limits(Duration::from_millis(400))).await;
    assert_eq!(asked.unwrap().answer.finish, FinishReason::Length);
}

#[tokio::test]
async fn what_is_no_stream_is_read_or_named() {
    let whole = json!({"id": "gen-9", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    let (asked, shown) = ask(Reply::status(200, &whole.to_string())).await;
    assert_eq!(
        (asked.unwrap().answer.text.as_str(), shown.as_str()),
        ("hi", "hi")
    );
    let (asked, _) = ask(Reply::status(
        200,
        r#"{"error":{"code":402,"message":"pay"}}"#,
    ))
    .await;
    assert_eq!(asked.unwrap_err().code, Code::LlmAuth);
    for (reply, words) in [
        (
            Reply::stream().raw(b"data: <html>\n\n"),
            "the provider's stream is not what it should be",
        ),
        (
            Reply::stream().raw(b"data: \xff\n\n"),
            "an event of the stream is no UTF-8 text",
        ),
        (
            Reply::stream().raw(&vec![b'x'; (1 << 20) + 1]),
            "a line of the stream is longer than the limit",
        ),
        (
            Reply::stream().event(&json!({"choices": []})).done(),
            "the provider's answer is empty",
        ),
    ] {
        let (asked, _) = ask(reply).await;
        let fault = asked.unwrap_err();
        assert_eq!(
            (fault.code, fault.retry),
            (Code::LlmBadResponse, RetryAdvice::Once)
        );
        assert!(fault.words.contains(words), "{}", fault.words);
    }
}

#[tokio::test]
async fn a_closed_port_costs_nothing_and_is_tried_again() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let base_url = format!("http://127.0.0.1:{port}/v1");
    let fault = wire_with(&base_url, limits(Duration::from_secs(20)))
        .ask(1, "{}", &|_, _| ())
        .await
        .unwrap_err();
    assert_eq!(
        (fault.code, fault.retry, fault.call_status()),
        (
            Code::LlmUnreachable,
            RetryAdvice::Always,
            CallStatus::Failed
        )
    );
    assert!(
        fault.words.starts_with("cannot reach 127.0.0.1: "),
        "{}",
        fault.words
    );
    let (asked, _) = ask(Reply::hang_up()).await;
    assert_eq!(
        asked.unwrap_err().call_status(),
        CallStatus::Unknown,
        "the request went out"
    );
}

#[tokio::test]
async fn a_host_that_no_name_server_can_know_costs_nothing_and_is_named() {
    // Too long for a name: it is refused before anybody is asked.
    let host = "a".repeat(64);
    let fault = wire_with(
        &format!("http://{host}/v1"),
        limits(Duration::from_secs(20)),
    )
    .ask(1, "{}", &|_, _| ())
    .await
    .unwrap_err();
    assert_eq!(
        (fault.code, fault.retry, fault.call_status()),
        (
            Code::LlmUnreachable,
            RetryAdvice::Always,
            CallStatus::Failed
        )
    );
    assert!(
        fault.words.starts_with(&format!("cannot reach {host}: ")) && !fault.words.contains(KEY),
        "{}",
        fault.words
    );
}

/// A server that shows this certificate to whoever calls; one without hangs up in the handshake.
fn tls_server(certificate: Option<&std::path::Path>) -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = certificate.map(|folder| {
        let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let versions = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        std::sync::Arc::new(
            versions
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap(),
        )
    });
    std::thread::spawn(move || {
        for caller in listener.incoming() {
            let (Ok(mut caller), Some(config)) = (caller, config.clone()) else {
                continue;
            };
            let mut server = rustls::ServerConnection::new(config).unwrap();
            while server.is_handshaking() && server.complete_io(&mut caller).is_ok() {}
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_never_accepted_nor_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let made = |subject: &str, days: &str| {
        let (key, cert) = (
            folder.path().join("key.pem"),
            folder.path().join("cert.pem"),
        );
        let args = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            subject,
            "-days",
            days,
        ];
        std::process::Command::new("openssl")
            .args(args)
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(cert)
            .output()
            .is_ok_and(|out| out.status.success())
    };
    let asked = async |port: u16| {
        wire_with(
            &format!("https://127.0.0.1:{port}/v1"),
            limits(Duration::from_secs(20)),
        )
        .ask(1, "{}", &|_, _| ())
        .await
    };
    for (what, subject, days) in [
        ("its own", "/CN=127.0.0.1", "30"),
        ("of another host", "/CN=elsewhere.example", "30"),
        ("of yesterday", "/CN=127.0.0.1", "0"),
    ] {
        if !made(subject, days) {
            println!("skipped: there is no openssl here to make a certificate with");
            return;
        }
        let fault = asked(tls_server(Some(folder.path()))).await.unwrap_err();
        assert_eq!(
            (fault.code, fault.retry, fault.call_status()),
            (Code::LlmUnreachable, RetryAdvice::Never, CallStatus::Failed),
            "{what}"
        );
        assert!(
            fault.words.contains("certificate") && fault.hint.contains("no switch"),
            "{what}: {} ({})",
            fault.words,
            fault.hint
        );
    }
    let fault = asked(tls_server(None)).await.unwrap_err();
    assert_eq!(
        (fault.code, fault.retry, fault.call_status()),
        (
            Code::LlmUnreachable,
            RetryAdvice::Always,
            CallStatus::Failed
        ),
        "hung up"
    );
}

#[test]
fn every_header_that_cannot_be_sent_is_named() {
    let headers = [
        ("bad name".to_owned(), "x".to_owned()),
        ("X-Good".to_owned(), "a\nb".to_owned()),
    ]
    .into();
    let settings = OpenAiSettings {
        headers,
        ..OpenAiSettings::default()
    };
    let failure = ChatTransport::new(
        &settings,
        Some(SecretString::from("a\nb")),
        StreamLimits::of(&settings),
    )
    .err()
    .unwrap();
    assert_eq!(failure.code, Code::ConfigInvalid);
    for part in [
        "'openai.headers.X-Good'",
        "'openai.headers.bad name'",
        "the key in OPENROUTER_API_KEY",
    ] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
}
