//! Waits that the server asks for: short ones are slept in the call, long ones end the work.

use crate::model::event::LongWait;
use crate::model::time::Timestamp;

use super::*;

async fn asked_to_wait(seconds: &'static str) -> Scene {
    Scene::with(
        ModelServer::script(move |_| Reply::status(429, "").header("Retry-After", seconds)).await,
    )
}

#[tokio::test]
async fn a_wait_of_more_than_a_minute_ends_the_work_with_the_moment_to_go_on() {
    let before = Timestamp::now();
    for (asked, wait_ms) in [
        ("61", 61_000),
        ("3600", 3_600_000),
        ("86401", 86_400_000),
        ("999999999999999999999999", 86_400_000),
    ] {
        let scene = asked_to_wait(asked).await;
        let Ok(AgentEnd::Waits(wait)) = scene.run().await else {
            panic!("{asked}")
        };
        assert_eq!(
            (wait.tries, wait.status, wait.code, wait.wait_ms),
            (1, Some(429), Code::LlmRateLimited, wait_ms)
        );
        let over = wait.until.since_ms(before);
        assert!(
            (wait_ms..wait_ms + 60_000).contains(&over),
            "{asked}: {over}"
        );
        assert_eq!(
            scene.book.lines(),
            [
                "reserve 1",
                "failed Failed llm_rate_limited, retried 1 429 llm_rate_limited"
            ],
            "in one write"
        );
        assert!(scene.book.shown(TextKind::Note)[0].contains("; the server asks to wait for "));
    }
}

#[tokio::test]
async fn tries_are_counted_across_waits_and_after_the_last_one_the_fault_ends_it() {
    let mut scene = asked_to_wait("3600").await;
    for tries in 1..5 {
        let Ok(AgentEnd::Waits(wait)) = scene.run().await else {
            panic!("try {tries}")
        };
        assert_eq!(wait.tries, tries);
        scene.job.tries = wait.tries;
    }
    let failure = scene.run().await.unwrap_err();
    assert_eq!(
        (failure.code, scene.server.requests().len()),
        (Code::LlmRateLimited, 5)
    );
    assert!(
        failure.message.ends_with("(after 5 tries)"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn an_answer_begins_the_count_of_tries_anew() {
    let long = || Reply::status(503, "").header("Retry-After", "120");
    let mut scene = Scene::new([Reply::calls("ls", &json!({})), long()]).await;
    scene.job.tries = 4;
    let Ok(AgentEnd::Waits(wait)) = scene.run().await else {
        panic!()
    };
    assert_eq!((wait.tries, wait.code), (1, Code::LlmOverloaded));
}

#[tokio::test]
async fn a_sub_agent_that_has_to_wait_goes_on_where_it_was() {
    let task = Reply::calls("task", &json!({"description": "look around"}));
    let wait = Reply::status(429, "").header("Retry-After", "90");
    let mut scene = Scene::new([
        task,
        wait,
        Reply::answer("seen"),
        write_artifact(),
        Reply::answer("done"),
    ])
    .await;
    scene.job.persona.tools.push("task".to_owned());
    assert!(matches!(
        scene.run().await,
        Ok(AgentEnd::Waits(LongWait { tries: 1, .. }))
    ));
    (scene.job.history, scene.job.tries) = (scene.book.turns(), 1);
    scene.book = RecordedTurns::resuming(&scene.book);
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(scene.server.requests().len(), 5);
}
