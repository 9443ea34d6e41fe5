//! The rehearsal backend: no model, no money, a believable artifact.
//!
//! An operator rehearses a workflow (gates, schemas, flow) before paying for tokens, and tries the
//! unhappy ways by scenario. The backend talks at a visible pace, writes one file made from the
//! phase's own schema and the requirements, and ends. It calls no model and no tool, so it puts
//! nothing on the desk but text; a rehearsed attempt that was stopped begins anew.

use std::path::Path;

use self::generate::DocumentContext;
use crate::engine::agent::rehearsal::paced_output::PacedOutput;
use crate::engine::agent::{
    AgentEnd, AgentFuture, AgentJob, AgentStop, AttemptRecorder, Backend, ExpectedFile,
};
use crate::engine::artifact::file;
use crate::engine::run::machine::prompt::{ParsedPrompt, told};
use crate::model::error::{Code, Failure, Result};
use crate::model::persona::Persona;
use crate::model::record::RehearsalScenario;

mod generate;
mod paced_output;

/// How much slower the scenario `slow` is.
const SLOWER: u64 = 10;

/// Plays any persona without a model.
#[derive(Clone, Copy, Debug)]
pub struct RehearsalBackend {
    pace_ms: u64,
}

impl RehearsalBackend {
    /// A rehearsal that waits `pace_ms` milliseconds between two pieces of text; 0 never waits.
    #[must_use]
    pub fn new(pace_ms: u64) -> Self {
        Self { pace_ms }
    }

    async fn play(
        &self,
        job: &AgentJob,
        desk: &AttemptRecorder,
        stop: &AgentStop,
    ) -> Result<AgentEnd> {
        let slower = if job.scenario == RehearsalScenario::Slow {
            SLOWER
        } else {
            1
        };
        let stage = PacedOutput::new(desk, stop, self.pace_ms.saturating_mul(slower));
        if stage.say(&opening(job)).await.is_break() {
            return Ok(AgentEnd::Stopped);
        }
        match job.scenario {
            RehearsalScenario::Crash => Err(died(job)),
            RehearsalScenario::Timeout => {
                let _ = stage
                    .say("Rehearsal: now I stay silent until I am stopped.\n")
                    .await;
                stage.until_stopped().await;
                Ok(AgentEnd::Stopped)
            }
            _ => deliver(job, &stage).await,
        }
    }
}

impl Backend for RehearsalBackend {
    fn name(&self) -> &'static str {
        "rehearsal"
    }

    fn available(&self, _persona: &Persona) -> Result<(), Failure> {
        Ok(())
    }

    fn model(&self, _persona: &Persona) -> Option<String> {
        None
    }

    fn work<'a>(
        &'a self,
        job: &'a AgentJob,
        desk: &'a AttemptRecorder,
        stop: &'a AgentStop,
    ) -> AgentFuture<'a> {
        Box::pin(self.play(job, desk, stop))
    }
}

/// Shows the artifact piece by piece and writes it.
async fn deliver(job: &AgentJob, stage: &PacedOutput<'_>) -> Result<AgentEnd> {
    let Some(artifact) = &job.artifact else {
        let _ = stage
            .say("Rehearsal: this phase asks for no file. Done.\n")
            .await;
        return Ok(if stage.is_stopped() {
            AgentEnd::Stopped
        } else {
            AgentEnd::Done
        });
    };
    let content = content(job, artifact)?;
    if stage
        .say(&format!("Here is `{}`:\n\n{content}\n", artifact.path))
        .await
        .is_break()
        || stage.is_stopped()
    {
        return Ok(AgentEnd::Stopped);
    }
    let (worktree, path, bytes) = (
        job.worktree.clone(),
        artifact.path.clone(),
        content.into_bytes(),
    );
    tokio::task::spawn_blocking(move || file::write(&worktree, &path, &bytes))
        .await
        .map_err(Failure::internal)??;
    let _ = stage
        .say(&format!("Wrote `{}`. Done.\n", artifact.path))
        .await;
    Ok(AgentEnd::Done)
}

/// What is written: valid or not as the scenario says.
fn content(job: &AgentJob, artifact: &ExpectedFile) -> Result<String> {
    let ParsedPrompt {
        repair, comment, ..
    } = told(&job.prompt);
    let about = DocumentContext {
        run_id: job.run_id,
        phase_key: &job.phase_key,
        attempt: job.attempt,
        requirements: &job.requirements,
        comment,
    };
    let valid = match job.scenario {
        RehearsalScenario::Invalid => false,
        RehearsalScenario::InvalidThenOk => repair,
        _ => true,
    };
    match (is_json(&artifact.path), valid) {
        (true, true) => {
            generate::document(&artifact.schema, &about).map(|document| generate::pretty(&document))
        }
        (true, false) => generate::invalid(&artifact.schema, &about),
        (false, true) => generate::prose(&artifact.schema, &about),
        (false, false) => Ok(String::new()),
    }
}

fn is_json(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn opening(job: &AgentJob) -> String {
    let ParsedPrompt {
        repair, comment, ..
    } = told(&job.prompt);
    let start = format!(
        "Rehearsal of phase `{}`, attempt {}, as {}. No model is asked and nothing is paid.\n",
        job.phase_key,
        job.attempt,
        job.persona.versioned_name()
    );
    let next = match (repair, comment) {
        (true, _) => {
            "I read what was wrong with the attempt before, and write the file again.\n".to_owned()
        }
        (_, Some(comment)) => format!("I take up your comment: “{}”\n", comment.trim()),
        _ => "I read the requirements and the schema, and write a document that fits both.\n"
            .to_owned(),
    };
    start + &next
}

fn died(job: &AgentJob) -> Failure {
    Failure::new(Code::SessionRecoveryRequired, format!("phase '{}': the rehearsed agent died", job.phase_key))
        .hint("this is what the scenario `crash` is for; approve to begin a fresh session, or reject to end the run")
}

#[cfg(test)]
mod tests;
