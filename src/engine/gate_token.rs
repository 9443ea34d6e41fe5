//! Tokens that answer one gate from anywhere: over plain SSH, without a port that listens.
//!
//! A token is bound to one question and to the content it was asked about, and expires. The database
//! keeps its digest alone. A question is answered at most once, so a token is good for one answer.

use std::time::Duration;

use super::api::Archive;
use super::host::write_beside;
use super::paths::Paths;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::record::ApprovalRecord;
use crate::model::state::ApprovalStatus;
use crate::model::time::{Timestamp, human_duration};
use crate::store::gate_tokens::{self, GateToken};

/// How long a token can be used.
pub const LIFETIME: Duration = Duration::from_secs(72 * 3600);

/// A new token for a question: its text, to be shown once, and the job that stores it.
pub fn mint(
    question: &ApprovalRecord,
    now: Timestamp,
) -> (
    String,
    impl FnOnce(&rusqlite::Transaction<'_>) -> Result<()> + Clone + Send + use<>,
) {
    let text = hex::encode(rand::random::<[u8; 16]>());
    let lifetime = i64::try_from(LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let token = GateToken {
        run_id: question.run_id,
        request_id: question.id,
        artifact_sha256: question.artifact_sha256.clone(),
        expires_at: Timestamp(now.0.saturating_add(lifetime)),
    };
    let digest = digest(&text);
    (text, move |tx: &rusqlite::Transaction<'_>| {
        gate_tokens::put(tx, &digest, &token, now)
    })
}

/// Makes and stores a token, beside a live host too.
///
/// # Errors
/// What opening or writing the database says.
pub fn issue(paths: &Paths, question: &ApprovalRecord) -> Result<String> {
    let (text, store) = mint(question, Timestamp::now());
    write_beside(paths, store)?;
    Ok(text)
}

/// The question that a token answers, still open and still about the same content.
///
/// # Errors
/// `token_refused` saying whether it is unknown or expired; `approval_already_resolved` naming who was
/// faster.
pub fn redeem(archive: &Archive, text: &str, now: Timestamp) -> Result<ApprovalRecord> {
    let token = archive.gate_token(&digest(text.trim()))?.ok_or_else(|| {
        Failure::new(Code::TokenRefused, "this token is not known here")
            .hint("take the one that was printed with the gate, on the same machine")
    })?;
    if token.expires_at < now {
        let ago = human_duration(now.since_ms(token.expires_at));
        return Err(
            Failure::new(Code::TokenRefused, format!("this token expired {ago} ago")).hint(
                format!("answer by run: phasedeck show {}", token.run_id.short()),
            ),
        );
    }
    let asked = archive
        .approvals(token.run_id)?
        .into_iter()
        .find(|asked| asked.id == token.request_id);
    let question = asked.ok_or_else(|| Failure::internal("a token without its question"))?;
    if question.state != ApprovalStatus::Pending {
        let by = question
            .resolved_by
            .as_deref()
            .map(|by| format!(" by {by}"))
            .unwrap_or_default();
        let state = question.state.as_str().replace('_', " ");
        return Err(Failure::new(
            Code::ApprovalAlreadyResolved,
            format!(
                "gate '{}' is {state}{by}; the token is used up",
                question.gate
            ),
        )
        .hint(format!(
            "look with `phasedeck show {}`",
            token.run_id.short()
        )));
    }
    Ok(ApprovalRecord {
        artifact_sha256: token.artifact_sha256,
        ..question
    })
}

fn digest(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}
