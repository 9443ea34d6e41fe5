//! One attempt at a phase: run the agent, then validate the artifact it wrote.
//!
//! Independent of the run loop: an attempt gets what it needs, returns its outcome, and decides
//! nothing about the run. The order is fixed: the workspace is opened; a stale artifact file is
//! moved aside (only while the attempt has no stored turn); the agent runs until it is done,
//! stopped or out of time, and has actually exited; the file is read once, hashed once, and
//! validated. Its content is stored together with the facts that refer to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::agent::{AttemptKey, Backend, Desk, Ended, ExpectedFile, Job, Stop};
use super::api::TextKind;
use super::artifact::file;
use super::artifact::schema::CompiledSchema;
use super::artifact::validate::{Verdict, validate};
use super::beside::Beside;
use super::blocking::blocking;
use super::budget::Budget;
use super::context::Context;
use super::growth::Growth;
use super::machine::Outcome;
use super::machine::envelope::{EarlierArtifact, EnvelopeInput, Why, render};
use super::redact::Redactor;
use super::run_files::RunFiles;
use super::waiting::wait_out;
use super::worktree::{Repo, Workspace, Worktree};
use crate::model::error::{Code, Failure, Result};
use crate::model::event::{ArtifactError, ArtifactRef, AttemptCause, Fact};
use crate::model::hash::ContentHash;
use crate::model::id::PhaseKey;
use crate::model::persona::{Binding, Persona};
use crate::model::question::ToolQuestion;
use crate::model::record::{RunRecord, TurnRecord, TurnStatus};
use crate::model::run_state::{PhaseState, RunState};
use crate::model::state::PhaseStatus;
use crate::model::time::Timestamp;
use crate::model::workflow::{ExpectedArtifact, Phase};
use crate::store::contents::{Content, SMALL};
use crate::store::failpoint::planted::{self, Bug};
use crate::store::{frozen, turns};

/// An attempt to be made.
pub struct Attempt {
    /// Engine services shared by all runs.
    pub context: Arc<Context>,
    /// The run's definitions, frozen at its start.
    pub files: Arc<RunFiles>,
    /// State of the run, which is in this attempt.
    pub state: RunState,
    pub phase_key: PhaseKey,
    /// Whether the attempt continues one that this driver started before. Turns may then be stored
    /// that `state` does not contain.
    pub taken_up: bool,
    /// Cancels the attempt.
    pub stop: Stop,
    /// A workspace opened after the last agent exited; used without being opened again.
    pub workspace: Option<Arc<Workspace>>,
}

impl Attempt {
    /// Makes the attempt. Returns its outcome and the rows to commit together with it.
    pub async fn make(self) -> (Outcome, Beside) {
        self.worked_out()
            .await
            .unwrap_or_else(|failure| (Outcome::Failed(failure), Beside::default()))
    }

    async fn worked_out(&self) -> Result<(Outcome, Beside)> {
        let (phase, progress) = self.phase()?;
        // Waits before it takes a slot, so that a waiting run does not occupy one.
        if !self.waited_out(progress).await {
            return Ok((Outcome::Stopped, Beside::default()));
        }
        let Some(_slot) = self.slot().await else {
            return Ok((Outcome::Stopped, Beside::default()));
        };
        let workspace = match self
            .workspace
            .clone()
            .filter(|workspace| workspace.root().is_dir())
        {
            Some(workspace) => workspace,
            None => Arc::new(
                open_workspace(&self.context, &self.files.record, untouched(&self.state)).await?,
            ),
        };
        let history = self.history(progress).await?;
        let (job, desk, backend) = self.job(phase, progress, &workspace, history).await?;
        // A backend without model calls records no turn that could carry the opening facts.
        if backend.model(&job.persona).is_none() {
            desk.open().await?;
        }
        let worked = self.work(phase, &*backend, &job, &desk).await;
        let outcome = self.outcome(worked, &desk, &workspace).await;
        // A valid artifact, the last answer and the facts about them go into one transaction. Any
        // other outcome flushes the answer first: it is paid for, and must be stored even if the
        // outcome is not.
        if let Ok((valid @ Outcome::Valid(_), content)) = outcome {
            return Ok((
                valid,
                Beside {
                    unsettled: desk.take_unsettled(),
                    content,
                    stored: desk.take_stored(),
                    ..Beside::default()
                },
            ));
        }
        desk.settle().await?;
        outcome.map(|(outcome, content)| {
            (
                outcome,
                Beside {
                    content,
                    stored: desk.take_stored(),
                    ..Beside::default()
                },
            )
        })
    }

    async fn outcome(
        &self,
        worked: Worked,
        desk: &Desk,
        workspace: &Arc<Workspace>,
    ) -> Result<(Outcome, Option<Content>)> {
        let (phase, progress) = self.phase()?;
        let outcome = match worked {
            Worked::TimedOut => Outcome::TimedOut {
                seconds: phase.timeout_seconds,
            },
            Worked::Ended(Err(failure)) => match desk
                .over_budget()
                .filter(|_| failure.code == Code::BudgetExceeded)
            {
                Some(question) => Outcome::OverBudget(question),
                None => Outcome::Failed(Failure {
                    message: desk.hidden(&failure.message),
                    ..failure
                }),
            },
            Worked::Ended(Ok(Ended::Stopped)) => Outcome::Stopped,
            Worked::Ended(Ok(Ended::Waits(wait))) => Outcome::Waits(wait),
            Worked::Ended(Ok(Ended::Asks(question))) => {
                let target = desk.hidden(&question.target);
                let detail = desk.hidden(&question.detail);
                Outcome::Asks(Box::new(ToolQuestion {
                    target,
                    detail,
                    ..*question
                }))
            }
            Worked::Ended(Ok(Ended::Done)) => return self.judge(phase, progress, workspace).await,
        };
        Ok((outcome, None))
    }

    fn phase(&self) -> Result<(&Phase, &PhaseState)> {
        let phase = self.files.plan.phase(&self.phase_key);
        phase
            .zip(self.state.phase(&self.phase_key))
            .ok_or_else(|| Failure::internal(format!("no phase '{}'", self.phase_key)))
    }

    /// Waits as long as the model server asked for. Returns false if stopped meanwhile.
    async fn waited_out(&self, progress: &PhaseState) -> bool {
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
    async fn slot(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        if let Some(slot) = self.context.slots.free() {
            return Some(slot);
        }
        self.note("waiting for a free run slot (engine.max_concurrent_runs)");
        tokio::select! {
            biased;
            () = self.stop.asked() => None,
            slot = self.context.slots.place(self.state.run_id) => slot,
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

    async fn job(
        &self,
        phase: &Phase,
        progress: &PhaseState,
        workspace: &Workspace,
        history: Vec<TurnRecord>,
    ) -> Result<(Job, Desk, Arc<dyn Backend>)> {
        let (binding, persona) = self.bound(phase).await?;
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
        let (sha256, kept) = self.keep(&prompt, &redactor).await?;
        let sent = Fact::PromptSent {
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
        let desk = Desk::new(
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
        .in_stretch(stretch)
        .within(Budget::of(
            &self.context.settings.budget,
            &self.files.record,
            &self.state.raises,
        ))
        .limited_to(self.context.settings.engine.max_tokens)
        .hiding(redactor)
        .keeping(kept);
        let job = Job {
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
            growth: Arc::new(Growth::begin(
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
    async fn bound(&self, phase: &Phase) -> Result<(Binding, Persona)> {
        let Some(binding) = self.state.new_seat(&phase.key).cloned() else {
            return self
                .files
                .bound(phase)
                .map(|(binding, persona)| (binding.clone(), persona.clone()));
        };
        let run_id = self.state.run_id;
        self.context
            .journal
            .read(move |conn| {
                frozen::persona(conn, run_id, &binding).map(|persona| (binding, persona))
            })
            .await
    }

    /// Stores the prompt by its hash, which the journal refers to, so that it can be read at the
    /// gate. A prompt that contains a secret is not stored.
    async fn keep(
        &self,
        prompt: &str,
        redactor: &Redactor,
    ) -> Result<(ContentHash, Option<Content>)> {
        if redactor.apply(prompt) != prompt {
            return Ok((ContentHash::of(prompt.as_bytes()), None));
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
        workspace: &Workspace,
        artifact: Option<&ExpectedFile>,
        fresh: bool,
        secrets: Vec<String>,
    ) -> Result<(Materials, Arc<Redactor>)> {
        let known = self.context.redactor.and_also(secrets);
        let root = workspace.root().to_path_buf();
        let contents = self.context.contents.clone();
        let in_the_way = artifact.filter(|_| fresh).map(|file| file.path.clone());
        let aside = self.context.aside(self.state.run_id);
        let label = format!("{}-before-attempt-{}", self.phase_key, progress.attempt);
        let earlier = self.made_before();
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
            let errors = errors(&progress, artifact.as_ref(), previous.as_deref())?;
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
                Materials {
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
        phase: &Phase,
        progress: &PhaseState,
        artifact: Option<&ExpectedFile>,
        materials: &Materials,
    ) -> String {
        let errors = materials.errors.as_slice();
        let previous = materials.previous.as_deref();
        let why = match progress.cause {
            AttemptCause::First => Why::First,
            AttemptCause::Repair => {
                let missing = progress.missing;
                let previous = previous.filter(|_| !missing);
                // Requested changes also apply to the repairs that follow them.
                match progress.comment.as_str() {
                    "" => Why::Repair {
                        errors,
                        previous,
                        missing,
                    },
                    comment => Why::RepairOfChanges {
                        comment,
                        errors,
                        previous,
                        missing,
                    },
                }
            }
            AttemptCause::ChangesRequested => Why::ChangesRequested {
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
    fn made_before(&self) -> Vec<ArtifactRef> {
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
    async fn work(&self, phase: &Phase, backend: &dyn Backend, job: &Job, desk: &Desk) -> Worked {
        let mut working = backend.work(job, desk, &self.stop);
        let looks = backend.others_write(&job.persona);
        tokio::select! {
            ended = &mut working => return Worked::Ended(within(ended, job, looks).await),
            too_much = job.growth.exceeded(looks) => {
                self.stop.now.cancel();
                let _ = working.await;
                return Worked::Ended(Err(too_much));
            }
            () = tokio::time::sleep(Duration::from_secs(phase.timeout_seconds)) => self.stop.now.cancel(),
        }
        match working.await {
            // It finished before it noticed the cancellation.
            Ok(Ended::Done) => Worked::Ended(within(Ok(Ended::Done), job, looks).await),
            _ => Worked::TimedOut,
        }
    }

    async fn judge(
        &self,
        phase: &Phase,
        progress: &PhaseState,
        workspace: &Arc<Workspace>,
    ) -> Result<(Outcome, Option<Content>)> {
        let Some(expected) = &phase.expected_artifact else {
            // Behind a gate, the commit is made after the approval.
            let gated = !self.files.plan.gates(&phase.key).is_empty();
            let commit = if gated {
                None
            } else {
                commit(&self.files, workspace, phase, progress).await?
            };
            return Ok((Outcome::Done { commit }, None));
        };
        Ok(
            match judge_file(&self.context, &self.files, workspace, expected).await? {
                Judged::Missing => (Outcome::Missing, None),
                Judged::TooLarge(message) => {
                    let errors = vec![ArtifactError {
                        pointer: String::new(),
                        message,
                    }];
                    (
                        Outcome::Invalid {
                            sha256: None,
                            bytes: 0,
                            errors,
                            errors_total: 1,
                        },
                        None,
                    )
                }
                Judged::Read {
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
                    (Outcome::Valid(artifact), Some(content))
                }
                Judged::Read {
                    content,
                    bytes,
                    verdict,
                } => {
                    let sha256 = Some(content.sha256().clone());
                    (
                        Outcome::Invalid {
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
async fn within(ended: Result<Ended>, job: &Job, looks: bool) -> Result<Ended> {
    if looks && ended.as_ref().is_ok_and(|ended| *ended != Ended::Stopped) {
        job.growth.look().await?;
    }
    ended
}

/// Inputs of a prompt, as read.
struct Materials {
    earlier: Vec<EarlierArtifact>,
    previous: Option<String>,
    errors: Vec<ArtifactError>,
}

/// Returns all errors of the previous content. The journal keeps only the first few, and each error
/// an agent does not see costs another attempt.
fn errors(
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

enum Worked {
    TimedOut,
    Ended(Result<Ended>),
}

/// Result of reading and validating an artifact file.
pub enum Judged {
    Missing,
    /// The file exceeds the size limit; the error message.
    TooLarge(String),
    /// The file was read and validated.
    Read {
        /// The content, to be stored with the facts that refer to it.
        content: Content,
        /// Length of the content.
        bytes: u64,
        verdict: Verdict,
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
pub async fn judge_file(
    context: &Context,
    files: &Arc<RunFiles>,
    workspace: &Workspace,
    expected: &ExpectedArtifact,
) -> Result<Judged> {
    let root = workspace.root().to_path_buf();
    let contents = context.contents.clone();
    let files = Arc::clone(files);
    let expected = expected.clone();
    let limit = context.settings.engine.max_artifact_bytes;
    blocking(move || {
        let bytes = match file::read(&root, &expected.path, limit) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Judged::Missing),
            Err(failure) if failure.code == Code::ArtifactTooLarge => {
                return Ok(Judged::TooLarge(failure.message));
            }
            Err(failure) => return Err(failure),
        };
        let compiled = files.compiled(&expected.schema)?;
        let verdict = validate(&compiled, &expected.path, &bytes);
        let content = contents.take(&bytes)?;
        if verdict.errors.is_empty() {
            contents.remember(content.sha256(), &bytes);
        }
        Ok(Judged::Read {
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
    context: &Context,
    record: &RunRecord,
    untouched: bool,
) -> Result<Workspace> {
    let path = context.paths.worktree(record.id);
    let (Some(dir), Some(base)) = (&record.repo, &record.base_commit) else {
        return Workspace::plain(&path);
    };
    let Some(repo) = Repo::discover(Path::new(dir)).await? else {
        return Err(Failure::new(
            Code::WorktreeMissing,
            format!("the repository {dir} of run {} is gone", record.id.short()),
        )
        .hint("restore it at this path, then resume"));
    };
    let worktree = if untouched {
        Worktree::create(&repo, record.id, base, &path).await?
    } else {
        Worktree::open(&repo, record.id, &path).await?
    };
    Ok(Workspace::Git(worktree))
}

fn untouched(state: &RunState) -> bool {
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
    files: &RunFiles,
    workspace: &Arc<Workspace>,
    phase: &Phase,
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
    context: &Context,
    workspace: &Workspace,
    artifact: &ArtifactRef,
) -> Result<()> {
    let root = workspace.root().to_path_buf();
    let contents = context.contents.clone();
    let artifact = artifact.clone();
    let limit = context.settings.engine.max_artifact_bytes;
    let restore = move |conn: &rusqlite::Connection| {
        let there = file::read(&root, &artifact.path, limit).ok().flatten();
        if there.is_some_and(|bytes| ContentHash::of(&bytes) == artifact.sha256) {
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
