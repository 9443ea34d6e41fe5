//! Conversations longer than the model takes: summaries, and what cannot be summarised.

use super::*;

/// Looks eight times at a file that is long, then writes its own; what it has forgotten it takes from the summary.
fn long_winded(request: &RecordedRequest) -> Reply {
    let messages = request.messages();
    if messages[0]["content"]
        .as_str()
        .unwrap()
        .starts_with("You summarise")
    {
        let told = messages[1]["content"].as_str().unwrap();
        let last = told.matches("LOOK ").count()
            + told
                .split("did ")
                .nth(1)
                .map_or(0, |n| n.split(' ').next().unwrap().parse().unwrap());
        return Reply::answer(&format!("did {last} looks"));
    }
    let prompt = messages[1]["content"].as_str().unwrap();
    let before: usize = prompt
        .split("did ")
        .nth(1)
        .map_or(0, |n| n.split(' ').next().unwrap().parse().unwrap());
    let looks = before
        + messages
            .iter()
            .filter(|message| message["role"] == "assistant")
            .count();
    match looks {
        0..=7 => Reply::stream()
            .text(&format!("LOOK {looks}"))
            .tool_call(
                "read_file",
                &json!({"file_path": "long.txt", "offset": looks + 1}).to_string(),
                &[],
            )
            .finish("stop")
            .usage(9, 9, None)
            .done(),
        8 => write_artifact(),
        _ => Reply::answer("done"),
    }
}

async fn long_scene() -> Scene {
    let mut scene = Scene::with(ModelServer::script(long_winded).await);
    let lines: String = (0..30)
        .map(|n| format!("line {n} {}\n", "x".repeat(60)))
        .collect();
    std::fs::write(scene.tree.path().join("long.txt"), lines).unwrap();
    scene.job.persona.params.max_tokens = Some(100);
    scene.window = 3_500;
    scene
}

#[tokio::test]
async fn a_conversation_that_nears_the_window_goes_on_from_a_summary_and_a_kill_pays_no_turn_twice()
{
    let straight = long_scene().await;
    assert_eq!(straight.run().await, Ok(AgentEnd::Done));
    let requests = straight.server.requests();
    let longest = requests
        .iter()
        .map(|request| request.body.to_string().len() / 3)
        .max()
        .unwrap();
    assert!(longest < 3_500, "every request fits: {longest}");
    let turns = straight.book.turns();
    let (summaries, own): (Vec<_>, Vec<_>) = turns
        .iter()
        .partition(|turn| turn.conversation == "~summary");
    assert_eq!(own.len(), 10, "what was summarised stays readable");
    assert!(
        own.iter().all(
            |turn| turn.answer.is_some() && turn.tools.iter().all(|tool| tool.result.is_some())
        )
    );
    assert!(summaries.len() >= 2, "{summaries:?}");
    assert_eq!(requests.len(), 10 + summaries.len());
    assert_eq!(
        straight.book.costs().len(),
        requests.len(),
        "each summary is paid like any call"
    );
    assert!(
        !straight
            .book
            .shown(TextKind::Answer)
            .iter()
            .any(|text| text.contains("did")),
        "a summary is no word of the agent"
    );
    assert!(
        straight
            .book
            .shown(TextKind::Note)
            .iter()
            .any(|note| note.contains("were summarised"))
    );
    let writes = straight.book.lines().len();
    for killed_at in 0..writes {
        let mut scene = long_scene().await;
        scene.book.fails_from = Some(killed_at);
        assert_eq!(scene.run().await.unwrap_err().code, Code::DiskFull);
        let stored = scene
            .book
            .turns()
            .iter()
            .filter(|turn| turn.answer.is_some())
            .count();
        let sent = scene.server.requests().len();
        scene.job.history = scene.book.turns();
        scene.book = RecordedTurns::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(AgentEnd::Done), "at {killed_at}");
        assert_eq!(
            scene.server.requests().len() - sent,
            requests.len() - stored,
            "at {killed_at}: a stored turn is never paid for twice"
        );
        if let Some(last) = scene.server.requests().get(sent..).and_then(<[_]>::last) {
            let length = |request: &RecordedRequest| request.messages().len();
            assert_eq!(
                length(last),
                length(requests.last().unwrap()),
                "at {killed_at}: the same conversation"
            );
        }
    }
}

/// Refuses what is longer than the model takes, whatever the settings say of its window.
fn with_a_window(most: usize) -> impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static {
    move |request| match request.body.to_string().len() {
        0.. if request.body.to_string().len() / 3 <= most => long_winded(request),
        _ => Reply::status(
            400,
            r#"{"error":{"code":"context_length_exceeded","message":"This model's maximum context length is short"}}"#,
        ),
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
    assert_eq!(ended, Ok(AgentEnd::Done));
    let lines = straight.book.lines();
    let refused = lines
        .iter()
        .filter(|line| *line == "failed Failed llm_context_exceeded")
        .count();
    assert_eq!(refused, 1, "what it takes is learned once: {lines:?}");
    assert!(lines.iter().all(|line| !line.starts_with("retried")));
    let notes = straight.book.shown(TextKind::Note);
    assert!(
        notes
            .iter()
            .any(|note| note.contains("more than the model takes")
                && note.contains("maximum context length is short"))
    );
    assert_eq!(
        straight
            .book
            .turns()
            .iter()
            .filter(|turn| turn.conversation.is_empty() && turn.answer.is_some())
            .count(),
        10
    );
    for killed_at in 0..lines.len() {
        let (mut scene, _) = run(Some(killed_at)).await;
        scene.job.history = scene.book.turns();
        scene.book = RecordedTurns::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(AgentEnd::Done), "at {killed_at}");
        let turns = scene.book.turns();
        let mut answered: Vec<_> = turns
            .iter()
            .filter(|turn| turn.answer.is_some())
            .map(|turn| (turn.conversation.as_str(), turn.number))
            .collect();
        assert_eq!(
            answered
                .iter()
                .filter(|(conversation, _)| conversation.is_empty())
                .count(),
            10,
            "at {killed_at}"
        );
        let all = answered.len();
        answered.sort_unstable();
        answered.dedup();
        assert_eq!(
            answered.len(),
            all,
            "at {killed_at}: no turn is answered, and paid for, twice"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_made_shorter_ends_with_its_code_after_one_summary() {
    for (looks, calls) in [(0, 1), (3, 6)] {
        let script = move |request: &RecordedRequest| {
            let summary = request.messages()[0]["content"]
                .as_str()
                .unwrap()
                .starts_with("You summarise");
            let said = request
                .messages()
                .iter()
                .filter(|message| message["role"] == "assistant")
                .count();
            let summarised = request.messages()[1]["content"]
                .as_str()
                .unwrap()
                .contains("[SUMMARY");
            match (summary, said) {
                (true, _) => Reply::answer("did it"),
                (false, said) if said < looks && !summarised => Reply::calls(
                    "read_file",
                    &json!({"file_path": "long.txt", "offset": said + 1}),
                ),
                _ => Reply::status(413, ""),
            }
        };
        let mut scene = long_scene().await;
        scene.server = ModelServer::script(script).await;
        scene.window = 128_000;
        let failure = scene.run().await.unwrap_err();
        assert_eq!(
            (failure.code, scene.server.requests().len()),
            (Code::LlmContextExceeded, calls),
            "{}",
            failure.message
        );
        assert!(failure.hint.contains("larger window"), "{}", failure.hint);
    }
}
