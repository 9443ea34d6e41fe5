//! What the loop writes down, as a seam: the desk of the attempt in earnest, a notebook in the tests
//! of the loop, which must see the order of writing and sending without a database.

use std::future::Future;

use crate::engine::agent::{Answered, CallFailed, Desk, NextTry, Reserve, ToolDone};
use crate::engine::api::TextKind;
use crate::model::error::Result;
use crate::model::id::TurnId;

/// The methods of [`Desk`]; see there.
pub(super) trait Book: Sync {
    fn text(&self, kind: TextKind, text: &str);
    fn adapted(&self, words: &str);
    fn reserve(&self, reserve: Reserve) -> impl Future<Output = Result<TurnId>> + Send;
    fn answered(&self, turn: TurnId, answered: Answered)
    -> impl Future<Output = Result<()>> + Send;
    fn put_down(&self, turn: TurnId, answered: Answered) -> Result<()>;
    fn failed(
        &self,
        turn: TurnId,
        failed: CallFailed,
        next: Option<NextTry>,
    ) -> impl Future<Output = Result<()>> + Send;
    fn tools_done(
        &self,
        turn: TurnId,
        done: Vec<ToolDone>,
        next: Option<Reserve>,
    ) -> impl Future<Output = Result<Option<TurnId>>> + Send;
    fn hold(
        &self,
        turn: TurnId,
        done: Vec<ToolDone>,
        at: Option<String>,
    ) -> impl Future<Output = Result<()>> + Send;
    fn keep(&self, whole: String) -> impl Future<Output = Option<String>> + Send;
}

impl Book for Desk {
    fn text(&self, kind: TextKind, text: &str) {
        Desk::text(self, kind, text);
    }

    fn adapted(&self, words: &str) {
        Desk::adapted(self, words);
    }

    fn reserve(&self, reserve: Reserve) -> impl Future<Output = Result<TurnId>> + Send {
        Desk::reserve(self, reserve)
    }

    fn answered(
        &self,
        turn: TurnId,
        answered: Answered,
    ) -> impl Future<Output = Result<()>> + Send {
        Desk::answered(self, turn, answered)
    }

    fn put_down(&self, turn: TurnId, answered: Answered) -> Result<()> {
        Desk::put_down(self, turn, answered);
        Ok(())
    }

    fn failed(
        &self,
        turn: TurnId,
        failed: CallFailed,
        next: Option<NextTry>,
    ) -> impl Future<Output = Result<()>> + Send {
        Desk::failed(self, turn, failed, next)
    }

    fn tools_done(
        &self,
        turn: TurnId,
        done: Vec<ToolDone>,
        next: Option<Reserve>,
    ) -> impl Future<Output = Result<Option<TurnId>>> + Send {
        Desk::tools_done(self, turn, done, next)
    }

    fn hold(
        &self,
        turn: TurnId,
        done: Vec<ToolDone>,
        at: Option<String>,
    ) -> impl Future<Output = Result<()>> + Send {
        Desk::hold(self, turn, done, at)
    }

    fn keep(&self, whole: String) -> impl Future<Output = Option<String>> + Send {
        Desk::keep(self, whole)
    }
}
