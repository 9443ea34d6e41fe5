//! Models without tools: one document in place of them.

use super::*;

async fn structured_scene(
    script: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static,
) -> Scene {
    let mut scene = Scene::with(ModelServer::script(script).await);
    scene.job.persona.params.mode = Some("structured".to_owned());
    scene
}

#[tokio::test]
async fn in_structured_mode_the_answer_is_the_file_and_a_kill_pays_for_it_once() {
    let scene = structured_scene(|_| Reply::answer("```json\n{\"a\": 1}\n```")).await;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    let body = &scene.server.requests()[0].body;
    assert_eq!(
        body["response_format"],
        json!({"type": "json_schema", "json_schema": {"name": "artifact", "schema": null}})
    );
    assert!(
        body["tools"].is_null()
            && body["messages"][0]["content"]
                .as_str()
                .unwrap()
                .contains("You have no tools")
    );
    assert_eq!(
        std::fs::read_to_string(scene.tree.path().join("out.json")).unwrap(),
        "{\"a\": 1}\n"
    );
    let writes = scene.book.lines().len();
    for killed_at in 0..writes {
        let mut scene = structured_scene(|_| Reply::answer("{\"a\": 1}")).await;
        scene.book.fails_from = Some(killed_at);
        assert!(scene.run().await.is_err());
        let paid = usize::from(scene.book.turns().iter().any(|turn| turn.answer.is_some()));
        let sent = scene.server.requests().len();
        let _ = std::fs::remove_file(scene.tree.path().join("out.json"));
        scene.job.history = scene.book.turns();
        scene.book = RecordedTurns::resuming(&scene.book);
        assert_eq!(scene.run().await, Ok(AgentEnd::Done), "at {killed_at}");
        assert_eq!(
            scene.server.requests().len() - sent,
            1 - paid,
            "at {killed_at}"
        );
        assert!(
            scene.tree.path().join("out.json").exists(),
            "at {killed_at}"
        );
    }
}

#[tokio::test]
async fn words_in_place_of_the_document_are_reminded_of_once() {
    let scene = structured_scene(|request| {
        if request.number == 0 {
            Reply::answer("Here it is.")
        } else {
            Reply::answer("[]")
        }
    })
    .await;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(
        scene.server.requests()[1].messages()[3]["content"],
        structured::NUDGE
    );
    assert_eq!(
        std::fs::read_to_string(scene.tree.path().join("out.json")).unwrap(),
        "[]\n"
    );
    let never = structured_scene(|_| Reply::answer("I would rather not.")).await;
    assert_eq!(
        (never.run().await, never.server.requests().len()),
        (Ok(AgentEnd::Done), 2)
    );
    assert!(!never.tree.path().join("out.json").exists());
}

#[tokio::test]
async fn a_server_that_takes_no_schema_is_asked_without_it() {
    let script = |request: &RecordedRequest| match request.body["response_format"].is_object() {
        true => Reply::status(
            400,
            r#"{"error":{"message":"response_format is not supported"}}"#,
        ),
        false => Reply::answer("{}"),
    };
    let scene = structured_scene(script).await;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(
        scene.book.lines(),
        [
            "reserve 1",
            "failed Failed llm_bad_response",
            "reserve 1",
            "put down",
            "tools_done 0 end"
        ]
    );
    let notes = scene.book.shown(TextKind::Note);
    assert!(
        notes[0]
            .starts_with("the server takes no schema; asked without it (the provider answered 400"),
        "{notes:?}"
    );
    let refused = structured_scene(|_| Reply::status(400, "no such model")).await;
    assert_eq!(
        (
            refused.run().await.unwrap_err().code,
            refused.server.requests().len()
        ),
        (Code::LlmBadResponse, 2)
    );
}
