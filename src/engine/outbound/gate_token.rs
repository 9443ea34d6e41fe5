//! Tokens that decide one approval from anywhere, for example over plain SSH, without a listening
//! port.
//!
//! A token is bound to one approval and to the content under approval, and expires. The database
//! stores only its digest. An approval is decided at most once, so a token works once.

use crate::engine::api::RunArchive;
use crate::engine::host::write_alongside_host;
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::record::ApprovalRecord;
use crate::model::state::ApprovalStatus;
use crate::model::time::{Timestamp, human_duration};
use crate::store::tables::gate_tokens;
use crate::store::tables::gate_tokens::GateToken;
use std::time::Duration;

/// Validity of a token.
pub const LIFETIME: Duration = Duration::from_secs(72 * 3600);

/// Creates a token for an approval. Returns its text, to be shown once, and the job that stores it.
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
        gate_tokens::insert(tx, &digest, &token, now)
    })
}

/// Creates and stores a token; works beside a running host.
///
/// # Errors
/// Errors of opening or writing the database.
pub fn issue(paths: &InstallPaths, question: &ApprovalRecord) -> Result<String> {
    let (text, store) = mint(question, Timestamp::now());
    write_alongside_host(paths, store)?;
    Ok(text)
}

/// Returns the approval that a token decides, if it is still pending.
///
/// # Errors
/// `token_refused` if the token is unknown or expired; `approval_already_resolved` with the name of
/// who decided it.
pub fn redeem(archive: &RunArchive, text: &str, now: Timestamp) -> Result<ApprovalRecord> {
    let token = archive.gate_token(&digest(text.trim()))?.ok_or_else(|| {
        Failure::new(Code::TokenRefused, "unknown token")
            .hint("use the token that was printed with the gate, on the same machine")
    })?;
    if token.expires_at < now {
        let ago = human_duration(now.since_ms(token.expires_at));
        return Err(
            Failure::new(Code::TokenRefused, format!("this token expired {ago} ago")).hint(
                format!("decide by run: phasedeck show {}", token.run_id.short()),
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
                "gate '{}' is {state}{by}; the token can no longer be used",
                question.gate
            ),
        )
        .hint(format!(
            "check with `phasedeck show {}`",
            token.run_id.short()
        )));
    }
    Ok(ApprovalRecord {
        artifact_sha256: token.artifact_sha256,
        ..question
    })
}

fn digest(text: &str) -> ContentHash {
    ContentHash::from_bytes(text.as_bytes())
}
