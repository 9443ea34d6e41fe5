//! The operator's edited version of an artifact that is waiting for approval.
//!
//! It is handled like an agent's version: validated against the schema, stored by hash, written to
//! the artifact's path, and submitted for approval as the next version. Invalid content changes
//! nothing. The file is written before the facts are stored: after a crash in between, the file
//! differs from the content under approval, which the gate detects before an approval takes effect.

use super::RunDriver;
use crate::engine::api::CommandAnswer;
use crate::engine::artifact::file;
use crate::engine::artifact::validate::validate;
use crate::engine::blocking::blocking;
use crate::engine::run::attempt;
use crate::engine::run::machine::{MachineInput, decide};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{ArtifactError, ArtifactRef};
use crate::model::hash::ContentHash;
use crate::model::id::RequestId;
use crate::model::state::{Decision, Via};
use crate::model::time::Timestamp;
use crate::model::workflow::ExpectedArtifact;
use crate::store::tables::contents::StoredContent;

/// Content that the operator edited.
#[derive(Clone, Debug)]
pub struct ArtifactRevision {
    /// The approval it was edited for.
    pub request_id: RequestId,
    pub content: String,
    pub by: String,
}

impl RunDriver {
    /// Stores the content as the next version, if the approval is still pending and it is
    /// valid.
    pub(super) async fn apply_revision(
        &mut self,
        revision: ArtifactRevision,
    ) -> Result<CommandAnswer> {
        let ArtifactRevision {
            request_id,
            content,
            by,
        } = revision;
        let (expected, current) = match self.artifact_under_approval(request_id) {
            Ok(found) => found,
            // Redelivery of a command that has already taken effect.
            Err(_) if self.is_applied(&content) => {
                return Ok(CommandAnswer::Accepted {
                    run_id: self.run_id(),
                });
            }
            Err(failure) => return Err(failure),
        };
        let (artifact, content) = self.store_revision(&expected, current, content).await?;
        self.input_with(
            MachineInput::Revised {
                request_id,
                artifact,
                by,
            },
            content.into(),
        )
        .await?;
        Ok(CommandAnswer::Accepted {
            run_id: self.run_id(),
        })
    }

    fn is_applied(&self, content: &str) -> bool {
        let revised = self
            .state
            .phases
            .iter()
            .filter(|phase| phase.revised_by.is_some());
        let hash = ContentHash::from_bytes(content.as_bytes());
        revised
            .filter_map(|phase| phase.artifact.as_ref())
            .any(|artifact| artifact.sha256 == hash)
    }

    /// Returns the artifact under approval.
    fn artifact_under_approval(
        &self,
        request_id: RequestId,
    ) -> Result<(ExpectedArtifact, ArtifactRef)> {
        let asks = MachineInput::Decide {
            request_id: Some(request_id),
            action: Decision::Abort,
            comment: String::new(),
            by: String::new(),
            via: Via::Engine,
            reviewed: None,
            scope: None,
            raise: None,
            seats: Vec::new(),
        };
        // An approval that accepts no decision accepts no new content either.
        decide(self.plan(), &self.state, asks, Timestamp::now())?;
        let open = self
            .state
            .approval
            .as_ref()
            .filter(|open| open.artifact_sha256.is_some());
        let key = open.and_then(|open| open.phase_key.clone());
        let expected = key
            .as_ref()
            .and_then(|key| self.plan().phase(key))
            .and_then(|phase| phase.expected_artifact.clone());
        let current = key
            .as_ref()
            .and_then(|key| self.state.phase(key))
            .and_then(|phase| phase.artifact.clone());
        expected.zip(current).ok_or_else(|| {
            Failure::new(
                Code::UsageInvalid,
                "this approval has no artifact, so there is nothing to edit",
            )
            .hint("answer it without editing")
        })
    }

    /// Validates the content, stores it by hash and writes it to the worktree.
    async fn store_revision(
        &self,
        expected: &ExpectedArtifact,
        current: ArtifactRef,
        content: String,
    ) -> Result<(ArtifactRef, StoredContent)> {
        let workspace = attempt::open_workspace(&self.context, &self.files.record, false).await?;
        let root = workspace.root().to_path_buf();
        let contents = self.context.contents.clone();
        let files = self.files.clone();
        let limit = self.context.settings.engine.max_artifact_bytes;
        let expected = expected.clone();
        blocking(move || {
            let bytes = content.into_bytes();
            if bytes.len() as u64 > limit {
                let message = format!(
                    "{} has {} bytes; the limit is {limit}",
                    expected.path,
                    bytes.len()
                );
                return Err(Failure::new(Code::ArtifactTooLarge, message)
                    .hint("make it shorter, or raise engine.max_artifact_bytes"));
            }
            let verdict = validate(&files.compiled(&expected.schema)?, &expected.path, &bytes);
            if !verdict.errors.is_empty() {
                return Err(validation_failure(
                    &expected,
                    &verdict.errors,
                    verdict.total,
                ));
            }
            let content = contents.take(&bytes)?;
            contents.remember(content.sha256(), &bytes);
            if *content.sha256() == current.sha256 {
                return Err(Failure::new(
                    Code::UsageInvalid,
                    format!("{} is unchanged", expected.path),
                )
                .hint("nothing was stored"));
            }
            file::restore(&root, &expected.path, &bytes)?;
            let artifact = attempt::artifact_ref(
                &expected,
                content.sha256().clone(),
                bytes.len() as u64,
                current.version + 1,
            );
            Ok((artifact, content))
        })
        .await
    }
}

/// Error that lists the validation errors, one per line.
fn validation_failure(
    expected: &ExpectedArtifact,
    errors: &[ArtifactError],
    total: u32,
) -> Failure {
    let place = |pointer: &str| {
        if pointer.is_empty() {
            "(whole document)".to_owned()
        } else {
            pointer.to_owned()
        }
    };
    let mut lines: Vec<String> = errors
        .iter()
        .map(|error| format!("{}: {}", place(&error.pointer), error.message))
        .collect();
    let more = (total as usize).saturating_sub(errors.len());
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Failure::new(
        Code::UsageInvalid,
        format!(
            "{} does not match {}:\n{}",
            expected.path,
            expected.schema,
            lines.join("\n")
        ),
    )
    .hint("nothing was stored; correct the content and send it again")
}
