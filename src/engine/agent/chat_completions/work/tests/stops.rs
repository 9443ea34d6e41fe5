//! Being stopped: at a checkpoint, in a request, before a tool, in a pause.

use super::*;

#[tokio::test]
async fn a_soft_stop_ends_at_the_next_checkpoint_and_can_go_on() {
    let mut scene = Scene::new([
        Reply::calls("ls", &json!({})),
        write_artifact(),
        Reply::answer("done"),
    ])
    .await;
    scene.book.cancel_at = Some(("answered ls", scene.stop.soon.clone()));
    assert_eq!(scene.run().await, Ok(AgentEnd::Stopped));
    assert_eq!(
        scene.book.lines(),
        ["reserve 1", "answered ls", "tools_done 1 end"]
    );
    scene.job.history = scene.book.turns();
    scene.book = RecordedTurns::resuming(&scene.book);
    scene.stop = AgentStop::default();
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(scene.server.requests().len(), 3);
    let before: CancellationToken = scene.stop.soon.clone();
    before.cancel();
    scene.job.history.clear();
    assert_eq!(scene.run().await, Ok(AgentEnd::Stopped));
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
    assert_eq!(scene.run().await, Ok(AgentEnd::Stopped));
    assert_eq!(
        scene.book.lines(),
        ["reserve 1", "failed Unknown llm_unreachable"]
    );
}

#[tokio::test]
async fn a_hard_stop_leaves_tools_alone_that_have_not_begun() {
    let two = Reply::stream()
        .tool_call("write_file", r#"{"file_path":"x","content":""}"#, &[])
        .finish("stop")
        .done();
    let mut scene = Scene::new([two]).await;
    scene.book.cancel_at = Some(("answered", scene.stop.now.clone()));
    assert_eq!(scene.run().await, Ok(AgentEnd::Stopped));
    assert_eq!(
        scene.book.lines(),
        ["reserve 1", "answered write_file", "tools_done 1 end"]
    );
    assert_eq!(scene.book.tools()[0].result, NOT_BEGUN);
    assert!(!scene.tree.path().join("x").exists());
}

#[tokio::test]
async fn a_stop_during_a_pause_ends_it_at_once() {
    let mut scene = Scene::new([Reply::status(429, "").header("Retry-After", "60")]).await;
    scene.book.cancel_at = Some(("failed", scene.stop.soon.clone()));
    assert_eq!(scene.run().await, Ok(AgentEnd::Stopped));
    assert_eq!(
        scene.book.lines().last().unwrap(),
        "failed Failed llm_rate_limited, retried 1 429 llm_rate_limited"
    );
}
