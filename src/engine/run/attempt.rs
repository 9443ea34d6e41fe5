//! One attempt at a phase: run the agent, then validate the artifact it wrote.
//!
//! Independent of the run loop: an attempt gets what it needs, returns its outcome, and decides
//! nothing about the run. The order is fixed: the workspace is opened; a stale artifact file is
//! moved aside (only while the attempt has no stored turn); the agent runs until it is done,
//! stopped or out of time, and has actually exited; the file is read once, hashed once, and
//! validated. Its content is stored together with the facts that refer to it.

use super::context::EngineContext;
use super::machine::AttemptOutcome;
use super::run_files::RunDefinitions;
use crate::engine::agent::budget::RunBudget;
use crate::engine::agent::{
    AgentEnd, AgentJob, AgentStop, AttemptKey, AttemptRecorder, Backend, ExpectedFile,
};
use crate::engine::api::TextKind;
use crate::engine::artifact::file;
use crate::engine::artifact::schema::CompiledSchema;
use crate::engine::artifact::validate::{ValidationResult, validate};
use crate::engine::blocking::blocking;
use crate::engine::redact::Redactor;
use crate::engine::run::attachments::CommitAttachments;
use crate::engine::run::machine::prompt::{EarlierArtifact, EnvelopeInput, PromptReason, render};
use crate::engine::run::wait_until::wait_out;
use crate::engine::workspace::worktree::{GitRepository, GitWorktree, RunWorkspace};
use crate::engine::workspace::write_quota::WriteQuota;
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{ArtifactError, ArtifactRef, AttemptCause, RunFact};
use crate::model::hash::ContentHash;
use crate::model::id::PhaseKey;
use crate::model::persona::{Persona, RoleBinding};
use crate::model::question::ToolQuestion;
use crate::model::record::{RunRecord, TurnRecord, TurnStatus};
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::PhaseStatus;
use crate::model::time::Timestamp;
use crate::model::workflow::{ExpectedArtifact, PhaseDefinition};
use crate::store::failpoint::planted::{self, Bug};
use crate::store::tables::contents::{SMALL, StoredContent};
use crate::store::tables::{run_definitions, turns};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An attempt to be made.
pub struct PhaseAttempt {
    /// Engine services shared by all runs.
    pub context: Arc<EngineContext>,
    /// The run's definitions, frozen at its start.
    pub files: Arc<RunDefinitions>,
    /// State of the run, which is in this attempt.
    pub state: RunState,
    pub phase_key: PhaseKey,
    /// Whether the attempt continues one that this driver started before. Turns may then be stored
    /// that `state` does not contain.
    pub taken_up: bool,
    /// Cancels the attempt.
    pub stop: AgentStop,
    /// A workspace opened after the last agent exited; used without being opened again.
    pub workspace: Option<Arc<RunWorkspace>>,
}

impl PhaseAttempt {
    /// Makes the attempt. Returns its outcome and the rows to commit together with it.
    pub async fn run(self) -> (AttemptOutcome, CommitAttachments) {
        self.try_run().await.unwrap_or_else(|failure| {
            (
                AttemptOutcome::Failed(failure),
                CommitAttachments::default(),
            )
        })
    }

    async fn try_run(&self) -> Result<(AttemptOutcome, CommitAttachments)> {
        let (phase, progress) = self.phase()?;
        // Waits before it takes a slot, so that a waiting run does not occupy one.
        if !self.wait_for_server(progress).await {
            return Ok((AttemptOutcome::Stopped, CommitAttachments::default()));
        }
        let Some(_slot) = self.acquire_slot().await else {
            return Ok((AttemptOutcome::Stopped, CommitAttachments::default()));
        };
        let workspace = match self
            .workspace
            .clone()
            .filter(|workspace| workspace.root().is_dir())
        {
            Some(workspace) => workspace,
            None => Arc::new(
                open_workspace(&self.context, &self.files.record, is_untouched(&self.state))
                    .await?,
            ),
        };
        let history = self.history(progress).await?;
        let (job, desk, backend) = self.build_job(phase, progress, &workspace, history).await?;
        // A backend without model calls records no turn that could carry the opening facts.
        if backend.model(&job.persona).is_none() {
            desk.open().await?;
        }
        let worked = self.run_agent(phase, &*backend, &job, &desk).await;
        let outcome = self.outcome(worked, &desk, &workspace).await;
        // A valid artifact, the last answer and the facts about them go into one transaction. Any
        // other outcome flushes the answer first: it is paid for, and must be stored even if the
        // outcome is not.
        if let Ok((valid @ AttemptOutcome::Valid(_), content)) = outcome {
            return Ok((
                valid,
                CommitAttachments {
                    pending_answer: desk.take_pending_answer(),
                    content,
                    stored_events: desk.recorded_calls(),
                    ..CommitAttachments::default()
                },
            ));
        }
        desk.flush().await?;
        outcome.map(|(outcome, content)| {
            (
                outcome,
                CommitAttachments {
                    content,
                    stored_events: desk.recorded_calls(),
                    ..CommitAttachments::default()
                },
            )
        })
    }

    async fn outcome(
        &self,
        worked: AgentWork,
        desk: &AttemptRecorder,
        workspace: &Arc<RunWorkspace>,
    ) -> Result<(AttemptOutcome, Option<StoredContent>)> {
        let (phase, progress) = self.phase()?;
        let outcome = match worked {
            AgentWork::TimedOut => AttemptOutcome::TimedOut {
                seconds: phase.timeout_seconds,
            },
            AgentWork::Ended(Err(failure)) => match desk
                .over_budget()
                .filter(|_| failure.code == Code::BudgetExceeded)
            {
                Some(question) => AttemptOutcome::OverBudget(question),
                None => AttemptOutcome::Failed(Failure {
                    message: desk.hidden(&failure.message),
                    ..failure
                }),
            },
            AgentWork::Ended(Ok(AgentEnd::Stopped)) => AttemptOutcome::Stopped,
            AgentWork::Ended(Ok(AgentEnd::Waits(wait))) => AttemptOutcome::Waits(wait),
            AgentWork::Ended(Ok(AgentEnd::Asks(question))) => {
                let target = desk.hidden(&question.target);
                let detail = desk.hidden(&question.detail);
                AttemptOutcome::Asks(Box::new(ToolQuestion {
                    target,
                    detail,
                    ..*question
                }))
            }
            AgentWork::Ended(Ok(AgentEnd::Done)) => {
                return self
                    .check_artifact_outcome(phase, progress, workspace)
                    .await;
            }
        };
        Ok((outcome, None))
    }

    fn phase(&self) -> Result<(&PhaseDefinition, &PhaseState)> {
        let phase = self.files.plan.phase(&self.phase_key);
        phase
            .zip(self.state.phase(&self.phase_key))
            .ok_or_else(|| Failure::internal(format!("no phase '{}'", self.phase_key)))
    }

    /// Waits as long as the model server asked for. Returns false if stopped meanwhile.
    async fn wait_for_server(&self, progress: &PhaseState) -> bool {
        let Some(waiting) = self
            .state
            .waiting
            .as_ref()
            .filter(|waiting| waiting.phase_key == progress.key)
        else {
            return true;
        };
        self.note(&format!(
            "waiting until {}, as requested by the server [{}]",
            waiting.until.local_clock(),
            waiting.code
        ));
        tokio::select! {
            biased;
            () = self.stop.asked() => false,
            () = wait_out(waiting, Timestamp::now) => true,
        }
    }

    /// Waits for a run slot. Returns `None` if stopped meanwhile.
    async fn acquire_slot(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        if let Some(slot) = self.context.run_slots.try_acquire() {
            return Some(slot);
        }
        self.note("waiting for a free run slot (engine.max_concurrent_runs)");
        tokio::select! {
            biased;
            () = self.stop.asked() => None,
            slot = self.context.run_slots.acquire(self.state.run_id) => slot,
        }
    }

    fn note(&self, text: &str) {
        let attempt = self
            .state
            .phase(&self.phase_key)
            .map_or(0, |phase| phase.attempt);
        self.context.journal.publish_text(
            self.state.run_id,
            &self.phase_key,
            attempt,
            TextKind::Note,
            text,
        );
    }

    async fn history(&self, progress: &PhaseState) -> Result<Vec<TurnRecord>> {
        // The prompt is stored together with the first call: without a prompt there are no turns.
        if progress.prompt.is_none() && !self.taken_up {
            return Ok(Vec::new());
        }
        let run_id = self.state.run_id;
        let phase_key = self.phase_key.clone();
        let attempt = progress.attempt;
        let turns = self
            .context
            .journal
            .read(move |conn| turns::of_attempt(conn, run_id, &phase_key, attempt))
            .await?;
        let mut turns: Vec<_> = turns
            .into_iter()
            .filter(|turn| turn.answer.is_some())
            .collect();
        if planted::is(Bug::LastTurnForgotten)
            && turns
                .last()
                .is_some_and(|turn| turn.status == TurnStatus::Answered)
        {
            turns.pop();
        }
        Ok(turns)
    }

    async fn build_job(
        &self,
        phase: &PhaseDefinition,
        progress: &PhaseState,
        workspace: &RunWorkspace,
        history: Vec<TurnRecord>,
    ) -> Result<(AgentJob, AttemptRecorder, Arc<dyn Backend>)> {
        let (binding, persona) = self.assigned_persona(phase).await?;
        let backend = Arc::clone(self.context.backends.named(&binding.backend)?);
        let artifact = match &phase.expected_artifact {
            Some(a) => Some(ExpectedFile {
                path: a.path.clone(),
                schema_id: a.schema.clone(),
                schema: self.files.schema(&a.schema)?,
            }),
            None => None,
        };
        let (materials, redactor) = self
            .materials(
                progress,
                workspace,
                artifact.as_ref(),
                history.is_empty(),
                backend.secrets(),
            )
            .await?;
        let prompt = self.prompt(phase, progress, artifact.as_ref(), &materials);
        let (sha256, kept) = self.store_prompt(&prompt, &redactor).await?;
        let sent = RunFact::PromptSent {
            phase_key: self.phase_key.clone(),
            attempt: progress.attempt,
            sha256,
            bytes: prompt.len() as u64,
        };
        let opening = if progress.prompt.is_none() {
            vec![sent]
        } else {
            Vec::new()
        };
        let name = binding.persona.to_string();
        let stretch = self
            .state
            .sessions
            .get(&phase.role)
            .map_or(0, |session| session.ordinal);
        let desk = AttemptRecorder::new(
            self.context.journal.clone(),
            self.context.paths.clone(),
            Arc::clone(&self.context.redactor),
            AttemptKey {
                run_id: self.state.run_id,
                phase_key: self.phase_key.clone(),
                attempt: progress.attempt,
            },
            name,
            opening,
        )
        .in_continuation(stretch)
        .within(RunBudget::for_run(
            &self.context.settings.budget,
            &self.files.record,
            &self.state.raises,
        ))
        .limited_to(self.context.settings.engine.max_tokens)
        .with_redactor(redactor)
        .with_content(kept);
        let job = AgentJob {
            run_id: self.state.run_id,
            phase_key: self.phase_key.clone(),
            attempt: progress.attempt,
            prompt,
            requirements: self.files.record.requirements.clone(),
            persona,
            artifact,
            worktree: workspace.root().to_path_buf(),
            repository: workspace.repository().map(Path::to_path_buf),
            history,
            stretch,
            scenario: self
                .files
                .record
                .options
                .scenarios
                .get(&self.phase_key)
                .copied()
                .unwrap_or_default(),
            tries: self
                .state
                .waiting
                .as_ref()
                .map_or(0, |waiting| waiting.tries),
            growth: Arc::new(WriteQuota::start(
                workspace.root(),
                self.context.settings.engine.max_worktree_bytes,
            )),
            max_turns: self.context.settings.engine.max_turns,
            permits: self.state.permits.clone(),
        };
        Ok((job, desk, backend))
    }

    /// Returns the persona assigned to the phase. One assigned after the start of the run is read
    /// from the database.
    async fn assigned_persona(&self, phase: &PhaseDefinition) -> Result<(RoleBinding, Persona)> {
        let Some(binding) = self.state.new_seat(&phase.key).cloned() else {
            return self
                .files
                .persona_for(phase)
                .map(|(binding, persona)| (binding.clone(), persona.clone()));
        };
        let run_id = self.state.run_id;
        self.context
            .journal
            .read(move |conn| {
                run_definitions::persona(conn, run_id, &binding).map(|persona| (binding, persona))
            })
            .await
    }

    /// Stores the prompt by its hash, which the journal refers to, so that it can be read at the
    /// gate. A prompt that contains a secret is not stored.
    async fn store_prompt(
        &self,
        prompt: &str,
        redactor: &Redactor,
    ) -> Result<(ContentHash, Option<StoredContent>)> {
        if redactor.apply(prompt) != prompt {
            return Ok((ContentHash::from_bytes(prompt.as_bytes()), None));
        }
        let content = if prompt.len() <= SMALL {
            self.context.contents.take(prompt.as_bytes())?
        } else {
            let contents = self.context.contents.clone();
            let bytes = prompt.as_bytes().to_vec();
            blocking(move || contents.take(&bytes)).await?
        };
        Ok((content.sha256().clone(), Some(content)))
    }

    /// Reads all inputs of the prompt in one database snapshot, and the secrets in the worktree's
    /// `.env` (anything but a regular file counts as empty). In a `fresh` attempt, a file that an
    /// earlier attempt or the base commit left at the artifact's path is moved aside, so that only
    /// a file of this attempt counts.
    async fn materials(
        &self,
        progress: &PhaseState,
        workspace: &RunWorkspace,
        artifact: Option<&ExpectedFile>,
        fresh: bool,
        secrets: Vec<String>,
    ) -> Result<(PromptInputs, Arc<Redactor>)> {
        let known = self.context.redactor.and_also(secrets);
        let root = workspace.root().to_path_buf();
        let contents = self.context.contents.clone();
        let in_the_way = artifact.filter(|_| fresh).map(|file| file.path.clone());
        let aside = self.context.aside(self.state.run_id);
        let label = format!("{}-before-attempt-{}", self.phase_key, progress.attempt);
        let earlier = self.earlier_artifacts();
        let progress = progress.clone();
        let artifact = artifact.cloned();
        let read = move |conn: &rusqlite::Connection| {
            if let Some(path) = in_the_way {
                file::move_aside(&root, &path, &aside, &label)?;
            }
            // Before the prompt is rendered: a prompt with one of these secrets must not be stored.
            let env = file::env(&root);
            let redactor = env.map_or_else(
                || Arc::clone(&known),
                |content| Arc::new((*known).clone().knowing_env_file(&content)),
            );
            let previous = progress
                .previous
                .as_ref()
                .map(|hash| contents.get(conn, hash))
                .transpose()?;
            let errors = repair_errors(&progress, artifact.as_ref(), previous.as_deref())?;
            let previous = previous.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let one = |artifact: ArtifactRef| {
                let content = contents.text(conn, &artifact.sha256)?;
                Ok(EarlierArtifact {
                    path: artifact.path,
                    schema: artifact.schema,
                    content,
                })
            };
            let earlier = earlier.into_iter().map(one).collect::<Result<_>>()?;
            Ok((
                PromptInputs {
                    earlier,
                    previous,
                    errors,
                },
                redactor,
            ))
        };
        self.context.journal.read(read).await
    }

    fn prompt(
        &self,
        phase: &PhaseDefinition,
        progress: &PhaseState,
        artifact: Option<&ExpectedFile>,
        materials: &PromptInputs,
    ) -> String {
        let errors = materials.errors.as_slice();
        let previous = materials.previous.as_deref();
        let why = match progress.cause {
            AttemptCause::First => PromptReason::First,
            AttemptCause::Repair => {
                let missing = progress.missing;
                let previous = previous.filter(|_| !missing);
                // Requested changes also apply to the repairs that follow them.
                match progress.comment.as_str() {
                    "" => PromptReason::Repair {
                        errors,
                        previous,
                        missing,
                    },
                    comment => PromptReason::RepairOfChanges {
                        comment,
                        errors,
                        previous,
                        missing,
                    },
                }
            }
            AttemptCause::ChangesRequested => PromptReason::ChangesRequested {
                comment: &progress.comment,
                previous,
            },
        };
        render(&EnvelopeInput {
            run_id: self.state.run_id,
            phase,
            attempt: progress.attempt,
            schema: artifact.map(|file| (&file.schema_id, &*file.schema)),
            requirements: &self.files.record.requirements,
            earlier: &materials.earlier,
            why,
        })
    }

    /// Returns the artifacts of the phases before this one.
    fn earlier_artifacts(&self) -> Vec<ArtifactRef> {
        let before = self
            .state
            .phases
            .iter()
            .take_while(|phase| phase.key != self.phase_key);
        let completed = before
            .filter(|phase| matches!(phase.status, PhaseStatus::Completed | PhaseStatus::Skipped));
        completed
            .filter_map(|phase| phase.artifact.clone())
            .collect()
    }

    /// Runs the agent, at most for the phase's timeout. At the limit the agent is cancelled and
    /// awaited, so that nothing of this attempt still writes when the next one starts.
    async fn run_agent(
        &self,
        phase: &PhaseDefinition,
        backend: &dyn Backend,
        job: &AgentJob,
        desk: &AttemptRecorder,
    ) -> AgentWork {
        let mut working = backend.work(job, desk, &self.stop);
        let looks = backend.others_write(&job.persona);
        tokio::select! {
            ended = &mut working => return AgentWork::Ended(check_quota_at_end(ended, job, looks).await),
            too_much = job.growth.exceeded(looks) => {
                self.stop.now.cancel();
                let _ = working.await;
                return AgentWork::Ended(Err(too_much));
            }
            () = tokio::time::sleep(Duration::from_secs(phase.timeout_seconds)) => self.stop.now.cancel(),
        }
        match working.await {
            // It finished before it noticed the cancellation.
            Ok(AgentEnd::Done) => {
                AgentWork::Ended(check_quota_at_end(Ok(AgentEnd::Done), job, looks).await)
            }
            _ => AgentWork::TimedOut,
        }
    }

    async fn check_artifact_outcome(
        &self,
        phase: &PhaseDefinition,
        progress: &PhaseState,
        workspace: &Arc<RunWorkspace>,
    ) -> Result<(AttemptOutcome, Option<StoredContent>)> {
        let Some(expected) = &phase.expected_artifact else {
            // Behind a gate, the commit is made after the approval.
            let gated = !self.files.plan.gates(&phase.key).is_empty();
            let commit = if gated {
                None
            } else {
                commit(&self.files, workspace, phase, progress).await?
            };
            return Ok((AttemptOutcome::Done { commit }, None));
        };
        Ok(
            match check_artifact_file(&self.context, &self.files, workspace, expected).await? {
                ArtifactCheck::Missing => (AttemptOutcome::Missing, None),
                ArtifactCheck::TooLarge(message) => {
                    let errors = vec![ArtifactError {
                        pointer: String::new(),
                        message,
                    }];
                    (
                        AttemptOutcome::Invalid {
                            sha256: None,
                            bytes: 0,
                            errors,
                            errors_total: 1,
                        },
                        None,
                    )
                }
                ArtifactCheck::Read {
                    content,
                    bytes,
                    verdict,
                } if verdict.errors.is_empty() => {
                    let artifact = artifact_ref(
                        expected,
                        content.sha256().clone(),
                        bytes,
                        progress.versions + 1,
                    );
                    (AttemptOutcome::Valid(artifact), Some(content))
                }
                ArtifactCheck::Read {
                    content,
                    bytes,
                    verdict,
                } => {
                    let sha256 = Some(content.sha256().clone());
                    (
                        AttemptOutcome::Invalid {
                            sha256,
                            bytes,
                            errors_total: verdict.total,
                            errors: verdict.errors,
                        },
                        Some(content),
                    )
                }
            },
        )
    }
}

/// Checks the write quota once more at the end of the work.
async fn check_quota_at_end(
    ended: Result<AgentEnd>,
    job: &AgentJob,
    looks: bool,
) -> Result<AgentEnd> {
    if looks
        && ended
            .as_ref()
            .is_ok_and(|ended| *ended != AgentEnd::Stopped)
    {
        job.growth.scan().await?;
    }
    ended
}

/// Inputs of a prompt, as read.
struct PromptInputs {
    earlier: Vec<EarlierArtifact>,
    previous: Option<String>,
    errors: Vec<ArtifactError>,
}

/// Returns all errors of the previous content. The journal keeps only the first few, and each error
/// an agent does not see costs another attempt.
fn repair_errors(
    progress: &PhaseState,
    artifact: Option<&ExpectedFile>,
    previous: Option<&[u8]>,
) -> Result<Vec<ArtifactError>> {
    let (Some(bytes), Some(file), AttemptCause::Repair, false) =
        (previous, artifact, progress.cause, progress.missing)
    else {
        return Ok(progress.errors.clone());
    };
    Ok(validate(
        &CompiledSchema::compile(&file.schema_id, &file.schema)?,
        &file.path,
        bytes,
    )
    .errors)
}

enum AgentWork {
    TimedOut,
    Ended(Result<AgentEnd>),
}

/// Result of reading and validating an artifact file.
pub enum ArtifactCheck {
    Missing,
    /// The file exceeds the size limit; the error message.
    TooLarge(String),
    /// The file was read and validated.
    Read {
        /// The content, to be stored with the facts that refer to it.
        content: StoredContent,
        /// Length of the content.
        bytes: u64,
        verdict: ValidationResult,
    },
}

/// Creates the reference to a version of an artifact.
#[must_use]
pub fn artifact_ref(
    expected: &ExpectedArtifact,
    sha256: ContentHash,
    bytes: u64,
    version: u32,
) -> ArtifactRef {
    ArtifactRef {
        path: expected.path.clone(),
        schema: expected.schema.clone(),
        sha256,
        bytes,
        version,
    }
}

/// Reads an artifact once, hashes it, and validates exactly the bytes that are stored.
///
/// # Errors
/// Errors of the file system; `path_outside_worktree` for anything but a regular file.
pub async fn check_artifact_file(
    context: &EngineContext,
    files: &Arc<RunDefinitions>,
    workspace: &RunWorkspace,
    expected: &ExpectedArtifact,
) -> Result<ArtifactCheck> {
    let root = workspace.root().to_path_buf();
    let contents = context.contents.clone();
    let files = Arc::clone(files);
    let expected = expected.clone();
    let limit = context.settings.engine.max_artifact_bytes;
    blocking(move || {
        let bytes = match file::read(&root, &expected.path, limit) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(ArtifactCheck::Missing),
            Err(failure) if failure.code == Code::ArtifactTooLarge => {
                return Ok(ArtifactCheck::TooLarge(failure.message));
            }
            Err(failure) => return Err(failure),
        };
        let compiled = files.compiled(&expected.schema)?;
        let verdict = validate(&compiled, &expected.path, &bytes);
        let content = contents.take(&bytes)?;
        if verdict.errors.is_empty() {
            contents.remember(content.sha256(), &bytes);
        }
        Ok(ArtifactCheck::Read {
            content,
            bytes: bytes.len() as u64,
            verdict,
        })
    })
    .await
}

/// Opens the directory a run works in. Only an `untouched` run, which no agent has worked on yet,
/// may create its worktree; later a missing worktree is recreated from the run's branch, or it is
/// an error.
///
/// # Errors
/// `worktree_missing`, `git_failed`, `io_failed`.
pub async fn open_workspace(
    context: &EngineContext,
    record: &RunRecord,
    untouched: bool,
) -> Result<RunWorkspace> {
    let path = context.paths.worktree(record.id);
    let (Some(dir), Some(base)) = (&record.repo, &record.base_commit) else {
        return RunWorkspace::plain(&path);
    };
    let Some(repo) = GitRepository::discover(Path::new(dir)).await? else {
        return Err(Failure::new(
            Code::WorktreeMissing,
            format!("the repository {dir} of run {} is gone", record.id.short()),
        )
        .hint("restore it at this path, then resume"));
    };
    let worktree = if untouched {
        GitWorktree::create(&repo, record.id, base, &path).await?
    } else {
        GitWorktree::open(&repo, record.id, &path).await?
    };
    Ok(RunWorkspace::Git(worktree))
}

fn is_untouched(state: &RunState) -> bool {
    // Skipped phases were completed in the run this one was derived from.
    let own = |phase: &&PhaseState| phase.status != PhaseStatus::Skipped;
    state
        .phases
        .iter()
        .filter(own)
        .all(|phase| phase.attempt <= 1 && phase.prompt.is_none() && phase.ended_at.is_none())
}

/// Commits a phase to the run's branch: restores the validated bytes if the file was changed, then
/// makes one commit whose trailers name run, phase, persona and content.
///
/// # Errors
/// `git_failed`, and errors of reading and writing the file.
pub async fn commit(
    files: &RunDefinitions,
    workspace: &Arc<RunWorkspace>,
    phase: &PhaseDefinition,
    progress: &PhaseState,
) -> Result<Option<String>> {
    let persona = progress
        .made_by()
        .map_or_else(String::new, ToString::to_string);
    let run_id = files.record.id.to_string();
    let hash = progress
        .artifact
        .as_ref()
        .map(|artifact| artifact.sha256.to_string());
    let mut trailers = vec![
        ("Phasedeck-Run", run_id.as_str()),
        ("Phasedeck-Phase", phase.key.as_str()),
        ("Phasedeck-Persona", &persona),
    ];
    if let Some(hash) = &hash {
        trailers.push(("Phasedeck-Artifact", hash));
    }
    let subject = format!("{}: {}", phase.key, phase.label());
    let forced: Vec<&str> = progress
        .artifact
        .iter()
        .map(|artifact| artifact.path.as_str())
        .collect();
    workspace.commit(&subject, &trailers, &forced).await
}

/// Restores the validated bytes of a phase's artifact if the file was changed or removed.
///
/// # Errors
/// Errors of reading and writing the file.
pub async fn restore_validated(
    context: &EngineContext,
    workspace: &RunWorkspace,
    artifact: &ArtifactRef,
) -> Result<()> {
    let root = workspace.root().to_path_buf();
    let contents = context.contents.clone();
    let artifact = artifact.clone();
    let limit = context.settings.engine.max_artifact_bytes;
    let restore = move |conn: &rusqlite::Connection| {
        let there = file::read(&root, &artifact.path, limit).ok().flatten();
        if there.is_some_and(|bytes| ContentHash::from_bytes(&bytes) == artifact.sha256) {
            return Ok(());
        }
        file::restore(
            &root,
            &artifact.path,
            &contents.get(conn, &artifact.sha256)?,
        )
    };
    context.journal.read(restore).await
}
