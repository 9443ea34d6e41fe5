//! Picking: uses a fork's artifact for the phase that is waiting at a gate.
//!
//! The fork's files replace the files in this run's worktree, which are moved aside; then the gate
//! asks for approval of the new content, as after any other change. Picking approves nothing.

use super::RunDriver;
use crate::engine::api::CommandAnswer;
use crate::engine::blocking::blocking;
use crate::engine::run::attempt;
use crate::engine::run::attempt::ArtifactCheck;
use crate::engine::run::machine::MachineInput;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{ArtifactRef, PersonaPick};
use crate::model::id::{PhaseKey, RunId, VersionedName};
use crate::model::record::RunRecord;
use crate::model::run_state::RunState;
use crate::model::state::RunStatus;
use crate::store::Reader;
use crate::store::journal::events;
use crate::store::tables::runs;

impl RunDriver {
    /// Replaces the content under the pending gate with the content of `fork`.
    pub(super) async fn pick_artifact(&mut self, fork: RunId, by: String) -> Result<CommandAnswer> {
        let waiting = self
            .state
            .approval
            .as_ref()
            .and_then(|open| open.phase_key.clone());
        let phase_key = waiting.ok_or_else(|| {
            Failure::new(
                Code::NoPendingApproval,
                format!(
                    "run {} is not waiting at a gate for which a fork could be picked",
                    self.run_id().short()
                ),
            )
            .hint("`phasedeck show` shows its state")
        })?;
        let path = self.context.paths.database();
        let (record, made) = blocking(move || {
            let reader = Reader::open(&path)?;
            Ok((
                runs::get(reader.connection(), fork)?,
                events::state(reader.connection(), fork)?,
            ))
        })
        .await?;
        let (wanted, commit, persona) = fork_artifact(self.run_id(), &phase_key, &record, &made)?;
        let definition = self
            .plan()
            .phase(&phase_key)
            .and_then(|phase| phase.expected_artifact.clone());
        let definition =
            definition.ok_or_else(|| Failure::internal("a fork of a phase without an artifact"))?;
        let workspace = attempt::open_workspace(&self.context, &self.files.record, false).await?;
        let folder = self.context.paths.worktree(fork);
        workspace
            .content_of(commit.as_deref(), &folder)
            .await?
            .put_in_place()
            .await?;
        attempt::restore_validated(&self.context, &workspace, &wanted).await?;
        let versions = self
            .state
            .phase(&phase_key)
            .map_or(0, |phase| phase.versions);
        // Read back from disk: the approval will be checked against the hash of this file.
        let (content, artifact) =
            match attempt::check_artifact_file(&self.context, &self.files, &workspace, &definition)
                .await?
            {
                ArtifactCheck::Read {
                    content,
                    bytes,
                    verdict,
                } if *content.sha256() == wanted.sha256 && verdict.errors.is_empty() => (
                    content,
                    attempt::artifact_ref(&definition, wanted.sha256, bytes, versions + 1),
                ),
                _ => {
                    return Err(Failure::internal(
                        "the artifact of a fork changed after it was validated",
                    ));
                }
            };
        self.input_with(
            MachineInput::Picked {
                artifact,
                picked: PersonaPick { fork, persona },
                by,
            },
            content.into(),
        )
        .await?;
        Ok(CommandAnswer::Accepted {
            run_id: self.run_id(),
        })
    }
}

/// Returns the fork's valid artifact, the commit that contains it, and the persona that made it.
fn fork_artifact(
    run: RunId,
    phase: &PhaseKey,
    fork: &RunRecord,
    made: &RunState,
) -> Result<(ArtifactRef, Option<String>, VersionedName)> {
    let refuse = |why: String| {
        Failure::new(Code::UsageInvalid, why).hint(format!(
            "`phasedeck pick {}` lists the forks that can be picked",
            run.short()
        ))
    };
    if fork.origin.forked_from != Some(run) || fork.origin.forked_phase.as_ref() != Some(phase) {
        return Err(refuse(format!(
            "run {} is not a fork of {phase} in run {}",
            fork.id.short(),
            run.short()
        )));
    }
    let done = made
        .phase(phase)
        .filter(|_| made.status == RunStatus::Completed);
    match done.and_then(|phase| {
        Some((
            phase.artifact.clone()?,
            phase.commit.clone(),
            phase.made_by()?.clone(),
        ))
    }) {
        Some(made) => Ok(made),
        None => Err(refuse(format!(
            "fork {} has no valid artifact; its state is {}",
            fork.id.short(),
            made.status
        ))),
    }
}
