//! What the conversation loop records: the attempt's recorder when it runs, a list in memory in the
//! tests of the loop, which check the order of recording and sending without a database.

use std::future::Future;

use crate::engine::agent::{
    AnsweredCall, AttemptRecorder, CallReserve, FailedCall, FinishedCall, PlannedRetry,
};
use crate::engine::api::TextKind;
use crate::model::error::Result;
use crate::model::id::TurnId;

/// The methods of [`AttemptRecorder`]; see there.
pub(super) trait TurnRecorder: Sync {
    fn text(&self, kind: TextKind, text: &str);
    fn adapted(&self, words: &str);
    fn reserve(&self, reserve: CallReserve) -> impl Future<Output = Result<TurnId>> + Send;
    fn answered(
        &self,
        turn: TurnId,
        answered: AnsweredCall,
    ) -> impl Future<Output = Result<()>> + Send;
    fn defer_answer(&self, turn: TurnId, answered: AnsweredCall) -> Result<()>;
    fn failed(
        &self,
        turn: TurnId,
        failed: FailedCall,
        next: Option<PlannedRetry>,
    ) -> impl Future<Output = Result<()>> + Send;
    fn tools_done(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        next: Option<CallReserve>,
    ) -> impl Future<Output = Result<Option<TurnId>>> + Send;
    fn suspend_turn(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        at: Option<String>,
    ) -> impl Future<Output = Result<()>> + Send;
    fn keep(&self, whole: String) -> impl Future<Output = Option<String>> + Send;
}

impl TurnRecorder for AttemptRecorder {
    fn text(&self, kind: TextKind, text: &str) {
        AttemptRecorder::text(self, kind, text);
    }

    fn adapted(&self, words: &str) {
        AttemptRecorder::adapted(self, words);
    }

    fn reserve(&self, reserve: CallReserve) -> impl Future<Output = Result<TurnId>> + Send {
        AttemptRecorder::reserve(self, reserve)
    }

    fn answered(
        &self,
        turn: TurnId,
        answered: AnsweredCall,
    ) -> impl Future<Output = Result<()>> + Send {
        AttemptRecorder::answered(self, turn, answered)
    }

    fn defer_answer(&self, turn: TurnId, answered: AnsweredCall) -> Result<()> {
        AttemptRecorder::defer_answer(self, turn, answered);
        Ok(())
    }

    fn failed(
        &self,
        turn: TurnId,
        failed: FailedCall,
        next: Option<PlannedRetry>,
    ) -> impl Future<Output = Result<()>> + Send {
        AttemptRecorder::failed(self, turn, failed, next)
    }

    fn tools_done(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        next: Option<CallReserve>,
    ) -> impl Future<Output = Result<Option<TurnId>>> + Send {
        AttemptRecorder::tools_done(self, turn, done, next)
    }

    fn suspend_turn(
        &self,
        turn: TurnId,
        done: Vec<FinishedCall>,
        at: Option<String>,
    ) -> impl Future<Output = Result<()>> + Send {
        AttemptRecorder::suspend_turn(self, turn, done, at)
    }

    fn keep(&self, whole: String) -> impl Future<Output = Option<String>> + Send {
        AttemptRecorder::keep(self, whole)
    }
}
