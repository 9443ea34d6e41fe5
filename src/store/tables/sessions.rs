//! Conversations with agents. The rows of `sessions` come from the journal's `session.…` events and
//! are only read here.
//!
//! A conversation with an agent program has a second row, `agent_sessions`: what the journal cannot
//! know, because it changes with every prompt. Like turns, these rows are written before what they
//! tell of is done: the session before its program is begun, the prompt before it is sent.

use crate::model::error::{Code, Failure, Result};
use crate::model::event::TokenUsage;
use crate::model::id::{PhaseKey, RoleId, RunId, SessionId, TurnId};
use crate::model::money::NanoUsd;
use crate::model::record::SessionRecord;
use crate::model::state::SessionStatus;
use crate::model::time::Timestamp;
use crate::store::tables::columns;
use rusqlite::{Connection, OptionalExtension as _};

/// A conversation with an agent program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSession {
    /// Which conversation.
    pub id: SessionId,
    /// On behalf of which role.
    pub role: RoleId,
    /// Which program has it.
    pub program: String,
    /// What the program calls it; absent before the program was begun for the first time.
    pub program_session: Option<String>,
    /// Where it stands.
    pub state: SessionStatus,
    /// Everything paid in it, as the program told last; absent while it tells nothing.
    pub cost: Option<NanoUsd>,
    /// Everything used in it, as the program told last.
    pub tokens: TokenUsage,
}

/// What kind of thing a piece of a transcript is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscriptKind {
    /// Part of the answer.
    Answer,
    /// Part of the reasoning.
    Reasoning,
    /// A tool call, in one line.
    Tool,
}

/// The conversations of a run, oldest first.
///
/// # Errors
/// What the database says.
pub fn of_run(conn: &Connection, run: RunId) -> Result<Vec<SessionRecord>> {
    let mut query = conn.prepare_cached(
        // The journal knows that a conversation failed; what goes on in one is only in the row of its program.
        "SELECT s.id, s.run_id, s.role, s.backend, iif(s.state = 'READY', coalesce(a.state, s.state), s.state) AS state \
         FROM sessions s LEFT JOIN agent_sessions a ON a.session_id = s.id WHERE s.run_id = ?1 ORDER BY s.started_at_ms, s.id",
    )?;
    let rows = query.query_map([run.to_string()], |row| {
        Ok(SessionRecord {
            id: columns::parsed(row, "id")?,
            run_id: columns::parsed(row, "run_id")?,
            role: RoleId(row.get("role")?),
            backend: row.get("backend")?,
            state: columns::named(row, "state", SessionStatus::parse)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The conversation on behalf of the role that works on a phase, with `program`; its row is made where
/// there is none yet. A conversation that another program had begins anew with this one.
///
/// # Errors
/// `internal` when the phase was never begun; what the database says.
pub fn with_program(
    tx: &Connection,
    run: RunId,
    phase: &PhaseKey,
    program: &str,
    now: Timestamp,
) -> Result<AgentSession> {
    let (id, role) = of_phase(tx, run, phase)?
        .ok_or_else(|| Failure::internal(format!("phase '{phase}' has no session")))?;
    tx.prepare_cached(
        "INSERT INTO agent_sessions (session_id, run_id, program, state, updated_at_ms) VALUES (?1, ?2, ?3, 'CREATED', ?4) \
         ON CONFLICT (session_id) DO UPDATE SET program = ?3, program_session = NULL, state = 'CREATED', cost_nano = NULL, \
         tokens_input = 0, tokens_output = 0, tokens_cached = 0, tokens_reasoning = 0, updated_at_ms = ?4 WHERE program <> ?3",
    )?
    .execute((id.to_string(), run.to_string(), program, now.0))?;
    read(tx, id, role)
}

/// The conversation, and its role, of the latest attempt at a phase.
fn of_phase(
    conn: &Connection,
    run: RunId,
    phase: &PhaseKey,
) -> Result<Option<(SessionId, RoleId)>> {
    let mut query = conn.prepare_cached(
        "SELECT id, role FROM sessions WHERE run_id = ?1 AND role = (SELECT json_extract(payload, '$.role') FROM events \
         WHERE run_id = ?1 AND type = 'phase.started' AND phase_key = ?2 ORDER BY seq DESC LIMIT 1)",
    )?;
    let found = query.query_row((run.to_string(), phase.as_str()), |row| {
        Ok((columns::parsed(row, "id")?, RoleId(row.get("role")?)))
    });
    Ok(found.optional()?)
}

fn read(conn: &Connection, id: SessionId, role: RoleId) -> Result<AgentSession> {
    let mut query = conn.prepare_cached(
        "SELECT program, program_session, state, cost_nano, tokens_input, tokens_output, tokens_cached, tokens_reasoning \
         FROM agent_sessions WHERE session_id = ?1",
    )?;
    Ok(query.query_row([id.to_string()], |row| {
        Ok(AgentSession {
            id,
            role,
            program: row.get("program")?,
            program_session: row.get("program_session")?,
            state: columns::named(row, "state", SessionStatus::parse)?,
            cost: row.get::<_, Option<i64>>("cost_nano")?.map(NanoUsd),
            tokens: TokenUsage {
                input: columns::large(row, "tokens_input")?,
                output: columns::large(row, "tokens_output")?,
                cached: columns::large(row, "tokens_cached")?,
                reasoning: columns::large(row, "tokens_reasoning")?,
            },
        })
    })?)
}

/// Stores what a conversation has become, if it still stands where `from` says.
///
/// # Errors
/// `illegal_transition` when it does not; what the database says.
pub fn change(
    tx: &Connection,
    session: &AgentSession,
    from: SessionStatus,
    now: Timestamp,
) -> Result<()> {
    let tokens = [
        session.tokens.input,
        session.tokens.output,
        session.tokens.cached,
        session.tokens.reasoning,
    ]
    .map(columns::stored);
    let changed = tx
        .prepare_cached(
            "UPDATE agent_sessions SET program_session = ?3, state = ?4, cost_nano = ?5, tokens_input = ?6, tokens_output = ?7, \
             tokens_cached = ?8, tokens_reasoning = ?9, updated_at_ms = ?10 WHERE session_id = ?1 AND state = ?2",
        )?
        .execute((
            session.id.to_string(),
            from.as_str(),
            session.program_session.as_deref(),
            session.state.as_str(),
            session.cost.map(|cost| cost.0),
            tokens[0],
            tokens[1],
            tokens[2],
            tokens[3],
            now.0,
        ))?;
    if changed == 1 {
        return Ok(());
    }
    Err(Failure::new(
        Code::IllegalTransition,
        format!("session {} is not {from} any more", session.id),
    )
    .hint("resume the run"))
}

/// Stores that a prompt is about to be sent. Says no when the program has been sent it in this session
/// already, and then nothing is stored.
///
/// # Errors
/// What the database says.
pub fn note_prompt(
    tx: &Connection,
    session: &AgentSession,
    dedup_key: &str,
    turn: TurnId,
    now: Timestamp,
) -> Result<bool> {
    let inserted = tx
        .prepare_cached(
            "INSERT INTO session_prompts (session_id, program_session, dedup_key, turn_id, sent_at_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO NOTHING",
        )?
        .execute((session.id.to_string(), session.program_session.as_deref().unwrap_or_default(), dedup_key, turn.to_string(), now.0))?;
    Ok(inserted == 1)
}

/// Whether a program has been sent a prompt in the session it has now.
///
/// # Errors
/// What the database says.
pub fn has_prompt(conn: &Connection, session: &AgentSession, dedup_key: &str) -> Result<bool> {
    let mut query =
        conn.prepare_cached("SELECT 1 FROM session_prompts WHERE session_id = ?1 AND program_session = ?2 AND dedup_key = ?3")?;
    Ok(query.exists((
        session.id.to_string(),
        session.program_session.as_deref().unwrap_or_default(),
        dedup_key,
    ))?)
}

/// How often a conversation has begun, recovered and failed.
///
/// # Errors
/// What the database says.
pub fn ordinal(conn: &Connection, id: SessionId) -> Result<u32> {
    let mut query = conn.prepare_cached("SELECT ordinal FROM sessions WHERE id = ?1")?;
    Ok(query.query_row([id.to_string()], |row| columns::count(row, "ordinal"))?)
}

/// Adds pieces to the transcript of a turn.
///
/// # Errors
/// What the database says.
pub fn add_to_transcript(
    tx: &Connection,
    turn: TurnId,
    pieces: &[(TranscriptKind, String)],
) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO session_transcript (turn_id, position, kind, text) \
         VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM session_transcript WHERE turn_id = ?1), ?2, ?3)",
    )?;
    for (kind, text) in pieces {
        insert.execute((turn.to_string(), kind.as_str(), text))?;
    }
    Ok(())
}

/// Everything that was said in one attempt, prompts that broke off included, in order.
///
/// # Errors
/// What the database says.
pub fn transcript(
    conn: &Connection,
    run: RunId,
    phase: &PhaseKey,
    attempt: u32,
) -> Result<Vec<(TranscriptKind, String)>> {
    let mut turns =
        conn.prepare_cached("SELECT turn_id FROM ledger WHERE run_id = ?1 AND phase_key = ?2 AND attempt = ?3 ORDER BY at_ms, turn_id")?;
    let turns: Vec<String> = turns
        .query_map((run.to_string(), phase.as_str(), attempt), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut pieces = conn.prepare_cached(
        "SELECT kind, text FROM session_transcript WHERE turn_id = ?1 ORDER BY position",
    )?;
    let mut said = Vec::new();
    for turn in turns {
        let of_turn = pieces.query_map([turn], |row| {
            Ok((
                columns::named(row, "kind", TranscriptKind::parse)?,
                row.get("text")?,
            ))
        })?;
        said.extend(of_turn.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(said)
}

/// What was said in one turn, in order.
///
/// # Errors
/// What the database says.
pub fn pieces(conn: &Connection, turn: TurnId) -> Result<Vec<(TranscriptKind, String)>> {
    let mut query = conn.prepare_cached(
        "SELECT kind, text FROM session_transcript WHERE turn_id = ?1 ORDER BY position",
    )?;
    let rows = query.query_map([turn.to_string()], |row| {
        Ok((
            columns::named(row, "kind", TranscriptKind::parse)?,
            row.get("text")?,
        ))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl TranscriptKind {
    /// The wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Reasoning => "reasoning",
            Self::Tool => "tool",
        }
    }

    fn parse(wire: &str) -> Option<Self> {
        [Self::Answer, Self::Reasoning, Self::Tool]
            .into_iter()
            .find(|said| said.as_str() == wire)
    }
}

#[cfg(test)]
mod tests {
    use super::super::turns::{self, NewTurn};
    use super::*;
    use crate::model::event::RunFact;
    use crate::store::journal;
    use crate::store::tests::fixture;

    fn begun(conn: &Connection) -> RunId {
        let run = fixture::insert_run(conn, "lane");
        let session = SessionId("01930000-0000-7000-8000-00000000000a".parse().unwrap());
        let RunFact::PhaseStarted { role, .. } = fixture::phase_started("spec", 1) else {
            panic!("no phase")
        };
        let opened = RunFact::SessionStarted {
            session_id: session,
            role,
            backend: "acp".to_owned(),
            ordinal: 1,
        };
        journal::append(
            conn,
            run,
            &[
                fixture::created(&["spec"]),
                fixture::started(),
                opened,
                fixture::phase_started("spec", 1),
            ],
            fixture::BEGIN,
        )
        .unwrap();
        run
    }

    fn turn(conn: &Connection, run: RunId) -> TurnId {
        let turn = NewTurn {
            model: "program".to_owned(),
            ..fixture::new_turn(run, 1)
        };
        turns::reserve(conn, &turn, Timestamp(1)).unwrap();
        turn.id
    }

    #[test]
    fn a_conversation_is_made_once_and_changes_only_from_where_it_stands() {
        let conn = fixture::memory();
        let run = begun(&conn);
        assert_eq!(
            with_program(&conn, run, &"plan".into(), "p", Timestamp(1))
                .unwrap_err()
                .code,
            Code::Internal
        );
        let mut session = with_program(&conn, run, &"spec".into(), "p", Timestamp(1)).unwrap();
        assert_eq!(
            (session.state, &session.program_session),
            (SessionStatus::Created, &None)
        );
        session.state = SessionStatus::Ready;
        session.program_session = Some("there".to_owned());
        session.cost = Some(NanoUsd(5));
        session.tokens.cached = 7;
        change(&conn, &session, SessionStatus::Created, Timestamp(2)).unwrap();
        assert_eq!(
            change(&conn, &session, SessionStatus::Created, Timestamp(3))
                .unwrap_err()
                .code,
            Code::IllegalTransition
        );
        assert_eq!(
            with_program(&conn, run, &"spec".into(), "p", Timestamp(4)).unwrap(),
            session
        );
        assert_eq!(of_run(&conn, run).unwrap()[0].state, SessionStatus::Ready);
        let other = with_program(&conn, run, &"spec".into(), "q", Timestamp(5)).unwrap();
        assert_eq!(
            (other.state, other.program_session, other.cost),
            (SessionStatus::Created, None, None)
        );
    }

    #[test]
    fn a_prompt_is_sent_once_to_one_session_of_a_program() {
        let conn = fixture::memory();
        let run = begun(&conn);
        let turn = turn(&conn, run);
        let mut session = with_program(&conn, run, &"spec".into(), "p", Timestamp(1)).unwrap();
        for (there, key, fresh) in [
            ("a", "spec:1:1", true),
            ("a", "spec:1:1", false),
            ("a", "spec:1:2", true),
            ("b", "spec:1:1", true),
        ] {
            session.program_session = Some(there.to_owned());
            assert_eq!(
                note_prompt(&conn, &session, key, turn, Timestamp(2)).unwrap(),
                fresh,
                "{there} {key}"
            );
        }
    }

    #[test]
    fn a_transcript_is_read_in_the_order_it_was_said() {
        let conn = fixture::memory();
        let run = begun(&conn);
        let turn = turn(&conn, run);
        let pieces = [
            (TranscriptKind::Answer, "one"),
            (TranscriptKind::Tool, "read_file a"),
            (TranscriptKind::Answer, "two"),
        ]
        .map(|(said, text)| (said, text.to_owned()));
        add_to_transcript(&conn, turn, &pieces[..2]).unwrap();
        add_to_transcript(&conn, turn, &pieces[2..]).unwrap();
        assert_eq!(transcript(&conn, run, &"spec".into(), 1).unwrap(), pieces);
        assert_eq!(transcript(&conn, run, &"spec".into(), 2).unwrap(), []);
    }

    #[test]
    fn a_session_ends_with_its_run() {
        let conn = fixture::memory();
        let run = begun(&conn);
        with_program(&conn, run, &"spec".into(), "p", Timestamp(1)).unwrap();
        let failed = RunFact::RunFailed {
            code: Code::Internal,
            message: String::new(),
            hint: String::new(),
        };
        journal::append(&conn, run, &[failed], Timestamp(2)).unwrap();
        assert_eq!(
            with_program(&conn, run, &"spec".into(), "p", Timestamp(3))
                .unwrap()
                .state,
            SessionStatus::Closed
        );
    }
}
