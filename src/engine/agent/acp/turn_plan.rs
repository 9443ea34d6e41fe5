//! Where the work of an attempt stands, from its stored prompts alone, and what comes next.

use serde::{Deserialize, Serialize};

use crate::engine::agent::AgentJob;
use crate::model::error::{Code, Failure, Result};
use crate::model::record::TurnRecord;

/// A prompt's answer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTurns {
    /// What the program said.
    pub text: String,
    /// Why it stopped, in the protocol's word.
    pub stop: String,
}

/// The prompts of an attempt so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnPlan {
    /// The number of the last one that was answered.
    pub number: u32,
    /// Why the last one stopped.
    pub stop: Option<String>,
    /// How often the program said that it is done.
    pub done: u32,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannedTurn {
    /// A prompt.
    Ask,
    /// The program was told that its file is missing, and once is enough; or the file is there.
    Done,
    /// A limit, or a refusal.
    Fail(Failure),
}

impl TurnPlan {
    /// From the stored turns.
    ///
    /// # Errors
    /// `internal` when one cannot be read.
    pub fn of(history: &[TurnRecord]) -> Result<Self> {
        let mut talk = Self::default();
        for turn in history {
            let stored: StoredTurns = serde_json::from_str(
                turn.answer.as_deref().unwrap_or_default(),
            )
            .map_err(|error| {
                Failure::internal(format!(
                    "the stored answer of turn {} cannot be read: {error}",
                    turn.number
                ))
            })?;
            talk.take(turn.number, &stored.stop);
        }
        Ok(talk)
    }

    /// Takes an answered prompt in.
    pub fn take(&mut self, number: u32, stop: &str) {
        self.number = self.number.max(number);
        self.stop = Some(stop.to_owned());
        self.done += u32::from(stop == "end_turn");
    }

    /// Whether the program has said that it is done, last of all.
    #[must_use]
    pub fn says_done(&self) -> bool {
        self.stop.as_deref() == Some("end_turn")
    }

    /// What follows when work is taken up: what stopped it before is no reason not to go on.
    #[must_use]
    pub fn resumed(&self, artifact_there: bool) -> PlannedTurn {
        if self.says_done() && (artifact_there || self.done > 1) {
            PlannedTurn::Done
        } else {
            PlannedTurn::Ask
        }
    }

    /// What follows after an answer.
    #[must_use]
    pub fn next(&self, job: &AgentJob, artifact_there: bool) -> PlannedTurn {
        let limit = |words: String, hint: &str| {
            PlannedTurn::Fail(Failure::new(Code::AgentLimitReached, words).hint(hint))
        };
        match self.stop.as_deref() {
            Some("end_turn") if artifact_there || self.done > 1 => PlannedTurn::Done,
            Some("max_tokens") => limit("the agent program used up the tokens of a turn".to_owned(), "approve to have it go on"),
            Some("max_turn_requests") => {
                limit("the agent program used up the requests that it allows itself in a turn".to_owned(), "approve to have it go on")
            }
            Some("refusal") => PlannedTurn::Fail(
                Failure::new(Code::LlmBadResponse, "the agent program refused to go on")
                    .hint("change the requirements or the instructions, or take another persona; approve asks again"),
            ),
            _ if self.number >= job.max_turns => limit(
                format!("the agent program was prompted {} times", self.number),
                "raise engine.max_turns, or approve to have it go on",
            ),
            _ => PlannedTurn::Ask,
        }
    }
}
