//! What the tests of this room share: a persona, a job, and a notebook in place of the desk.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::engine::agent::chat_completions::turn_recorder::TurnRecorder;
use crate::engine::agent::{
    AgentJob, AnsweredCall, CallReserve, ExpectedFile, FailedCall, FinishedCall, PlannedRetry,
};
use crate::engine::api::TextKind;
use crate::engine::workspace::write_quota::WriteQuota;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{RunId, TurnId};
use crate::model::money::NanoUsd;
use crate::model::persona::{Persona, SamplingParams};
use crate::model::record::{RehearsalScenario, ToolRecord, TurnRecord, TurnStatus};
use crate::model::time::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(super) fn persona() -> Persona {
    Persona {
        name: "dev".to_owned(),
        version: 1,
        description: String::new(),
        backend: "openai".to_owned(),
        agent: None,
        model: Some("test/model".to_owned()),
        capabilities: Vec::new(),
        system_prompt: "You are careful.".to_owned(),
        tools: ["ls", "read_file", "write_file", "write_todos"]
            .map(str::to_owned)
            .to_vec(),
        permissions: std::collections::BTreeMap::new(),
        params: SamplingParams::default(),
    }
}

/// A job that expects `out.json`.
pub(super) fn job(worktree: &Path) -> AgentJob {
    AgentJob {
        run_id: RunId::new(),
        phase_key: "spec".into(),
        attempt: 1,
        prompt: "the envelope".to_owned(),
        requirements: String::new(),
        persona: persona(),
        artifact: Some(ExpectedFile {
            path: "out.json".to_owned(),
            schema_id: "dev/spec@1".into(),
            schema: Arc::new(Value::Null),
        }),
        worktree: worktree.to_path_buf(),
        repository: None,
        history: Vec::new(),
        stretch: 1,
        scenario: RehearsalScenario::Ok,
        tries: 0,
        growth: Arc::new(WriteQuota::start(worktree, 0)),
        max_turns: 20,
        permits: Vec::new(),
    }
}

/// Keeps what the loop writes: one line a write, the turns as a desk would store them, the shown text.
#[derive(Default)]
pub(super) struct RecordedTurns {
    pages: Mutex<RecordedPages>,
    /// Cancelled at the write that begins with these words.
    pub cancel_at: Option<(&'static str, CancellationToken)>,
    /// The write, counted from 0, from which on nothing is written any more.
    pub fails_from: Option<usize>,
}

#[derive(Default)]
struct RecordedPages {
    lines: Vec<String>,
    turns: Vec<TurnRecord>,
    costs: Vec<(Option<NanoUsd>, bool)>,
    shown: Vec<(TextKind, String)>,
    tools: Vec<FinishedCall>,
    stretch: Option<u32>,
}

impl RecordedTurns {
    /// A fresh notebook that knows the turns of the one before, as after a restart: a call that was
    /// open is void.
    pub(super) fn resuming(before: &Self) -> Self {
        let mut turns = before.turns();
        let open = turns
            .iter_mut()
            .filter(|turn| turn.status == TurnStatus::Reserved);
        open.for_each(|turn| turn.status = TurnStatus::Void);
        Self {
            pages: Mutex::new(RecordedPages {
                turns,
                ..RecordedPages::default()
            }),
            ..Self::default()
        }
    }

    /// The same, for an agent that the operator's word set going again.
    pub(super) fn going_on(before: &Self, stretch: u32) -> Self {
        let book = Self::resuming(before);
        book.pages.lock().unwrap().stretch = Some(stretch);
        book
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.pages.lock().unwrap().lines.clone()
    }

    /// The turns as a later job finds them.
    pub(super) fn turns(&self) -> Vec<TurnRecord> {
        self.pages.lock().unwrap().turns.clone()
    }

    pub(super) fn costs(&self) -> Vec<(Option<NanoUsd>, bool)> {
        self.pages.lock().unwrap().costs.clone()
    }

    pub(super) fn tools(&self) -> Vec<FinishedCall> {
        self.pages.lock().unwrap().tools.clone()
    }

    /// What was shown of one kind, without its seams.
    pub(super) fn shown(&self, wanted: TextKind) -> Vec<String> {
        let pages = self.pages.lock().unwrap();
        pages
            .shown
            .iter()
            .filter(|(kind, _)| *kind == wanted)
            .map(|(_, text)| text.clone())
            .collect()
    }

    fn take_answer(&self, line: String, turn: TurnId, answered: AnsweredCall) -> Result<()> {
        self.write(line, |pages| {
            pages.costs.push((answered.cost, answered.estimated));
            let turn = pages.turn(turn);
            assert_eq!(turn.status, TurnStatus::Reserved);
            turn.status = TurnStatus::Answered;
            turn.answer = Some(answered.answer);
            let record = |(call_id, tool, arguments)| ToolRecord {
                call_id,
                tool,
                arguments,
                result: None,
                redo: false,
            };
            turn.tools = answered.tools.into_iter().map(record).collect();
        })
    }

    fn write<T>(&self, line: String, change: impl FnOnce(&mut RecordedPages) -> T) -> Result<T> {
        let mut pages = self.pages.lock().unwrap();
        if self
            .fails_from
            .is_some_and(|from| pages.lines.len() >= from)
        {
            return Err(Failure::new(Code::DiskFull, "the notebook is full"));
        }
        if let Some((words, token)) = &self.cancel_at
            && line.starts_with(words)
        {
            token.cancel();
        }
        pages.lines.push(line);
        Ok(change(&mut pages))
    }
}

impl RecordedPages {
    fn open(&mut self, reserve: &CallReserve) -> TurnId {
        let id = TurnId::new();
        let (phase_key, at, conversation) =
            ("spec".into(), Timestamp(0), reserve.conversation.clone());
        let (number, stretch, status) = (
            reserve.number,
            self.stretch.unwrap_or(1),
            TurnStatus::Reserved,
        );
        self.turns.push(TurnRecord {
            id,
            phase_key,
            attempt: 1,
            number,
            stretch,
            status,
            answer: None,
            tools: Vec::new(),
            conversation,
            held_at: None,
            at,
        });
        id
    }

    fn turn(&mut self, id: TurnId) -> &mut TurnRecord {
        self.turns.iter_mut().find(|turn| turn.id == id).unwrap()
    }
}

impl TurnRecorder for RecordedTurns {
    fn text(&self, kind: TextKind, text: &str) {
        self.pages
            .lock()
            .unwrap()
            .shown
            .push((kind, text.to_owned()));
    }

    fn adapted(&self, words: &str) {
        self.text(TextKind::Note, words);
    }

    async fn reserve(&self, reserve: CallReserve) -> Result<TurnId> {
        self.write(format!("reserve {}", reserve.number), |pages| {
            pages.open(&reserve)
        })
    }

    async fn answered(&self, turn: TurnId, answered: AnsweredCall) -> Result<()> {
        let called: Vec<&str> = answered
            .tools
            .iter()
            .map(|(_, tool, _)| tool.as_str())
            .collect();
        self.take_answer(
            format!("answered {}", called.join(","))
                .trim_end()
                .to_owned(),
            turn,
            answered,
        )
    }

    fn defer_answer(&self, turn: TurnId, answered: AnsweredCall) -> Result<()> {
        assert_eq!(
            answered.tools,
            [],
            "tools are not run before their turn is stored"
        );
        self.take_answer("put down".to_owned(), turn, answered)
    }

    async fn failed(
        &self,
        turn: TurnId,
        failed: FailedCall,
        next: Option<PlannedRetry>,
    ) -> Result<()> {
        let again = next.map(
            |PlannedRetry {
                 tries,
                 status,
                 code,
                 ..
             }| {
                let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
                format!(", retried {tries} {status} {code}")
            },
        );
        self.write(
            format!(
                "failed {:?} {}{}",
                failed.status,
                failed.code,
                again.unwrap_or_default()
            ),
            |pages| {
                assert_eq!(pages.turn(turn).status, TurnStatus::Reserved);
                pages.turn(turn).status = TurnStatus::Void;
            },
        )
    }

    async fn suspend_turn(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        at: Option<String>,
    ) -> Result<()> {
        self.write(
            format!("hold {} {}", done.len(), at.as_deref().unwrap_or("no more")),
            |pages| {
                let stored = pages.turn(turn);
                assert_eq!(stored.status, TurnStatus::Answered);
                stored.held_at = at;
                for done in &done {
                    stored
                        .tools
                        .iter_mut()
                        .find(|tool| tool.call_id == done.call_id)
                        .unwrap()
                        .result = Some(done.result.clone());
                }
                pages.tools.extend(done);
            },
        )
    }

    async fn keep(&self, whole: String) -> Option<String> {
        Some(format!("{} bytes", whole.len()))
    }

    async fn tools_done(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        next: Option<CallReserve>,
    ) -> Result<Option<TurnId>> {
        let next_line = next
            .as_ref()
            .map_or_else(|| "end".to_owned(), |next| format!("next {}", next.number));
        self.write(format!("tools_done {} {next_line}", done.len()), |pages| {
            let stored = pages.turn(turn);
            assert_eq!(stored.status, TurnStatus::Answered);
            stored.status = TurnStatus::Settled;
            for done in &done {
                stored
                    .tools
                    .iter_mut()
                    .find(|tool| tool.call_id == done.call_id)
                    .unwrap()
                    .result = Some(done.result.clone());
            }
            assert!(
                stored.tools.iter().all(|tool| tool.result.is_some()),
                "a checkpoint has every result"
            );
            pages.tools.extend(done);
            next.map(|next| pages.open(&next))
        })
    }
}
