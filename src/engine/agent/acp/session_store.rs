//! What a session with an agent program puts down, beside the turns of its attempt.
//!
//! Each function is one transaction, and is done when it returns.

use super::counters::UsageCounters;
use super::session::{SessionStep, after};
use crate::engine::agent::AttemptRecorder;
use crate::engine::blocking::blocking;
use crate::model::error::{Failure, Result};
use crate::model::event::RunFact;
use crate::model::id::TurnId;
use crate::model::state::SessionStatus;
use crate::model::time::Timestamp;
use crate::store::tables::sessions;
use crate::store::tables::sessions::{AgentSession, TranscriptKind};
use crate::store::{Reader, journal};

/// The conversation on behalf of the role at work, with this program; made where there is none yet.
pub async fn session(desk: &AttemptRecorder, program: &str) -> Result<AgentSession> {
    let (run_id, phase, _) = desk.attempt_key_parts();
    let (phase, program) = (phase.clone(), program.to_owned());
    desk.journal()
        .store
        .write(move |tx| sessions::with_program(tx, run_id, &phase, &program, Timestamp::now()))
        .await
}

/// Notes that a program has taken the conversation up, under the name `there`; a new name is a new
/// conversation for the program, whose counters begin anew. One that had broken off has recovered.
pub async fn opened(
    desk: &AttemptRecorder,
    session: &mut AgentSession,
    there: &str,
    recovered: bool,
) -> Result<()> {
    let mut next = stepped(session, SessionStep::Opened)?;
    if next.program_session.as_deref() != Some(there) {
        next.program_session = Some(there.to_owned());
        (next.cost, next.tokens) = (None, crate::model::event::TokenUsage::default());
    }
    let (run_id, (before, after)) = (desk.attempt_key_parts().0, (session.state, next.clone()));
    desk.store(move |tx| {
        let now = Timestamp::now();
        sessions::change(tx, &after, before, now)?;
        if !recovered {
            return Ok(Vec::new());
        }
        let ordinal = sessions::ordinal(tx, after.id)? + 1;
        journal::append(
            tx,
            run_id,
            &[RunFact::SessionRecovered {
                session_id: after.id,
                role: after.role,
                ordinal,
            }],
            now,
        )
    })
    .await?;
    *session = next;
    Ok(())
}

/// Notes that a prompt is about to be sent; says whether the program had it already in this session.
pub async fn prompted(
    desk: &AttemptRecorder,
    session: &mut AgentSession,
    key: &str,
    turn: TurnId,
) -> Result<bool> {
    let next = stepped(session, SessionStep::Prompted)?;
    let (before, after, key) = (session.state, next.clone(), key.to_owned());
    let journal = desk.journal();
    let fresh = journal.store.write(move |tx| {
        let now = Timestamp::now();
        sessions::change(tx, &after, before, now)?;
        sessions::note_prompt(tx, &after, &key, turn, now)
    });
    let fresh = fresh.await?;
    *session = next;
    Ok(!fresh)
}

/// Whether a prompt was sent already in the conversation as the program has it now.
pub async fn has_prompt(desk: &AttemptRecorder, session: &AgentSession, key: &str) -> Result<bool> {
    let (path, session, key) = (desk.paths().database(), session.clone(), key.to_owned());
    blocking(move || sessions::has_prompt(Reader::open(&path)?.connection(), &session, &key)).await
}

/// Notes that a prompt was answered, and the counters that came with it.
pub async fn answered(
    desk: &AttemptRecorder,
    session: &mut AgentSession,
    counters: UsageCounters,
) -> Result<()> {
    let mut next = stepped(session, SessionStep::Answered)?;
    (next.cost, next.tokens) = (counters.cost, counters.tokens);
    changed(desk, session, next).await
}

/// Notes that no program could be brought to take the conversation up.
pub async fn given_up(desk: &AttemptRecorder, session: &mut AgentSession) -> Result<()> {
    let next = stepped(session, SessionStep::GivenUp)?;
    changed(desk, session, next).await
}

async fn changed(
    desk: &AttemptRecorder,
    session: &mut AgentSession,
    next: AgentSession,
) -> Result<()> {
    let (before, after) = (session.state, next.clone());
    desk.store(move |tx| {
        sessions::change(tx, &after, before, Timestamp::now()).map(|()| Vec::new())
    })
    .await?;
    *session = next;
    Ok(())
}

/// Adds what was said since to the transcript.
pub async fn said(
    desk: &AttemptRecorder,
    turn: TurnId,
    pieces: Vec<(TranscriptKind, String)>,
) -> Result<()> {
    if pieces.is_empty() {
        return Ok(());
    }
    let pieces: Vec<_> = pieces
        .into_iter()
        .map(|(kind, text)| (kind, desk.hidden(&text)))
        .collect();
    desk.store(move |tx| sessions::add_to_transcript(tx, turn, &pieces).map(|()| Vec::new()))
        .await
}

/// Everything that was said in this attempt.
pub async fn transcript(desk: &AttemptRecorder) -> Result<Vec<(TranscriptKind, String)>> {
    let (run_id, phase, attempt) = desk.attempt_key_parts();
    let (path, phase) = (desk.paths().database(), phase.clone());
    blocking(move || {
        sessions::transcript(Reader::open(&path)?.connection(), run_id, &phase, attempt)
    })
    .await
}

fn stepped(session: &AgentSession, step: SessionStep) -> Result<AgentSession> {
    let state: SessionStatus = after(session.state, step).map_err(|failure| Failure {
        message: format!(
            "session {} of role '{}': {}",
            session.id, session.role, failure.message
        ),
        ..failure
    })?;
    Ok(AgentSession {
        state,
        ..session.clone()
    })
}
