//! Questions about tools, and sub-agents: what is asked, what is stored, and what a crash leaves.

use crate::model::id::RequestId;
use crate::model::persona::ToolPermission;
use crate::model::question::{PermissionScope, ToolPermit};

use super::*;

fn asking(scene: &mut Scene, tool: &str) {
    scene
        .job
        .persona
        .permissions
        .insert(tool.to_owned(), ToolPermission::Ask);
}

fn answer(
    scene: &mut Scene,
    question: &crate::model::question::ToolQuestion,
    allowed: bool,
    scope: PermissionScope,
) {
    scene.job.permits.push(ToolPermit {
        request_id: RequestId(uuid::Uuid::from_u128(1)),
        tool: question.tool.clone(),
        phase_key: Some(scene.job.phase_key.clone()),
        call: question.call.clone(),
        scope,
        allowed,
        comment: "not here".to_owned(),
        by: "me".to_owned(),
    });
    scene.job.history = scene.book.turns();
    scene.book = RecordedTurns::resuming(&scene.book);
}

async fn asked(scene: &Scene) -> crate::model::question::ToolQuestion {
    match scene.run().await.unwrap() {
        AgentEnd::Asks(question) => *question,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_that_needs_a_word_waits_before_it_and_is_made_once_with_it() {
    let both = Reply::stream().tool_call("ls", "{}", &[]).tool_call(
        "write_file",
        r#"{"file_path":"out.json","content":"{}\n"}"#,
        &[],
    );
    let mut scene = Scene::new([both.finish("tool_calls").done(), Reply::answer("done")]).await;
    asking(&mut scene, "write_file");
    let question = asked(&scene).await;
    assert_eq!(
        scene.book.lines(),
        ["reserve 1", "answered ls,write_file", "hold 1 call_1_2"]
    );
    assert_eq!(
        (question.tool.as_str(), question.target.as_str()),
        ("write_file", "out.json")
    );
    assert_eq!(
        question.detail,
        "--- /dev/null\n+++ out.json\n@@ -0,0 +1 @@\n+{}\n"
    );
    assert!(
        !scene.tree.path().join("out.json").exists(),
        "nothing was written before the word"
    );

    // As after a restart without an answer: it asks the same again, and pays for nothing.
    scene.job.history = scene.book.turns();
    scene.book = RecordedTurns::resuming(&scene.book);
    assert_eq!(asked(&scene).await, question);
    assert_eq!(scene.server.requests().len(), 1);

    answer(&mut scene, &question, true, PermissionScope::Once);
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(
        scene.book.lines(),
        [
            "hold 0 no more",
            "tools_done 1 next 2",
            "put down",
            "tools_done 0 end"
        ]
    );
    assert!(scene.tree.path().join("out.json").exists());
}

#[tokio::test]
async fn a_no_is_told_to_the_model_and_a_wider_answer_is_not_asked_again() {
    let write =
        |name: &str| Reply::calls("write_file", &json!({"file_path": name, "content": "{}"}));
    let mut scene = Scene::new([
        write("a"),
        write("b"),
        write("out.json"),
        Reply::answer("done"),
    ])
    .await;
    asking(&mut scene, "write_file");
    let first = asked(&scene).await;
    answer(&mut scene, &first, false, PermissionScope::Once);
    let second = asked(&scene).await;
    assert_ne!(first.call, second.call);
    let told = scene.server.requests()[1].messages().last().unwrap()["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        told,
        "refused: the operator refused 'write_file': not here [tool_not_permitted]. work without it"
    );
    assert_eq!(
        scene.book.tools()[0].denied.as_ref().unwrap().code,
        Code::ToolNotPermitted
    );
    answer(&mut scene, &second, true, PermissionScope::Phase);
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    let there: Vec<bool> = ["a", "b", "out.json"]
        .iter()
        .map(|name| scene.tree.path().join(name).exists())
        .collect();
    assert_eq!(there, [false, true, true]);
}

#[tokio::test]
async fn a_crash_after_the_word_and_before_the_result_is_told_as_such() {
    let mut scene = Scene::new([write_artifact(), write_artifact(), Reply::answer("done")]).await;
    asking(&mut scene, "write_file");
    let question = asked(&scene).await;
    answer(&mut scene, &question, true, PermissionScope::Run);
    // The word counts, the tool begins, and what it said is never stored.
    scene.book.fails_from = Some(1);
    assert!(scene.run().await.is_err());
    scene.job.history = scene.book.turns();
    scene.book = RecordedTurns::resuming(&scene.book);
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    assert_eq!(scene.book.tools()[0].outcome, ToolOutcome::Unknown);
}

/// A parent that has a sub-agent look and then writes; each conversation is told by its first message.
async fn delegating() -> ModelServer {
    ModelServer::script(|request| {
        let answers = request
            .messages()
            .iter()
            .filter(|message| message["role"] == "assistant")
            .count();
        match (
            request.messages()[1]["content"]
                .as_str()
                .unwrap_or_default(),
            answers,
        ) {
            ("count the files", 0) => Reply::calls("ls", &json!({})),
            ("count the files", _) => Reply::answer("there is one file"),
            (_, 0) => Reply::calls(
                "task",
                &json!({"description": "count the files", "subagent": "explorer"}),
            ),
            (_, 1) => write_artifact(),
            _ => Reply::answer("done"),
        }
    })
    .await
}

fn with_task(mut scene: Scene) -> Scene {
    scene.job.persona.tools.push("task".to_owned());
    std::fs::write(scene.tree.path().join("one.txt"), "1").unwrap();
    scene
}

#[tokio::test]
async fn a_sub_agent_works_in_a_context_of_its_own_and_its_last_words_are_the_result() {
    let scene = with_task(Scene::with(delegating().await));
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    let requests = scene.server.requests();
    let sub = &requests[1];
    assert_eq!(
        sub.messages().len(),
        2,
        "it sees nothing of its parent's conversation"
    );
    let offered: Vec<_> = sub.body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        offered,
        ["ls", "read_file", "write_todos"],
        "an explorer changes nothing"
    );
    assert_eq!(
        requests[3].messages().last().unwrap()["content"],
        "there is one file"
    );
    assert_eq!(requests.len(), 5);
    let conversations: Vec<_> = scene
        .book
        .turns()
        .iter()
        .map(|turn| (turn.conversation.clone(), turn.number))
        .collect();
    let named = |name: &str, number| (name.to_owned(), number);
    assert_eq!(
        conversations,
        [
            named("", 1),
            named("call_1_1", 1),
            named("call_1_1", 2),
            named("", 2),
            named("", 3)
        ]
    );
}

#[tokio::test]
async fn a_kill_within_a_sub_agent_pays_for_no_stored_turn_twice() {
    let straight = with_task(Scene::with(delegating().await));
    assert_eq!(straight.run().await, Ok(AgentEnd::Done));
    for killed_at in 0..straight.book.lines().len() {
        let mut scene = with_task(Scene::with(delegating().await));
        scene.book.fails_from = Some(killed_at);
        assert!(scene.run().await.is_err(), "at {killed_at}");
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
            5 - stored,
            "at {killed_at}"
        );
    }
}

#[tokio::test]
async fn sub_agents_have_a_depth_limit_and_no_tool_that_their_parent_lacks() {
    let server = ModelServer::script(|request| {
        let asked = request
            .messages()
            .iter()
            .any(|message| message["role"] == "assistant");
        if asked {
            Reply::answer("enough")
        } else {
            Reply::calls("task", &json!({"description": "deeper"}))
        }
    });
    let mut scene = with_task(Scene::with(server.await));
    scene.job.artifact = None;
    assert_eq!(scene.run().await, Ok(AgentEnd::Done));
    let requests = scene.server.requests();
    let has_task = |n: usize| {
        requests[n].body["tools"]
            .as_array()
            .unwrap()
            .iter()
            .any(|tool| tool["function"]["name"] == "task")
    };
    assert_eq!([has_task(0), has_task(1), has_task(2)], [true, true, false]);
    let told = requests[3].messages().last().unwrap()["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(told.starts_with("error: there is no tool 'task'"), "{told}");
}
