//! Background jobs: doctor checks, start previews, consent, the demo repository.
//!
//! One thread executes jobs in order, so that consent is stored before the start that needs it is
//! checked again. Doctor checks run on their own threads and report as they finish. Of several
//! queued previews only the last is computed, because the others describe a form that is no longer
//! on the screen.

use crate::app::msg::{BackgroundJob, JobResult, Msg};
use crate::console::event_loop::LoopEvent;
use crate::engine::api::{
    CheckEnvironment, CommandSender as From, StartRun, Subject, TrustRequest, agree_to_brought,
    cheaper_personas, give_consent, prepare_demo, preview_start,
};
use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::state::Via;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Starts the job thread, which exits when the job sender is dropped.
///
/// # Errors
/// `io_failed` if the thread or runtime cannot be started.
pub fn start(
    patient: CheckEnvironment,
    answers: Sender<LoopEvent>,
) -> Result<Sender<BackgroundJob>> {
    let (work, inbox) = channel();
    let failed = |e: std::io::Error| Failure::io("cannot start the job thread", &e);
    // Git runs here, because neither the engine's runtime nor the screen may block on it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let workshop = JobRunner {
        patient,
        answers,
        runtime,
    };
    std::thread::Builder::new()
        .name("console-workshop".to_owned())
        .spawn(move || workshop.serve(&inbox))
        .map_err(failed)?;
    Ok(work)
}

struct JobRunner {
    patient: CheckEnvironment,
    answers: Sender<LoopEvent>,
    runtime: tokio::runtime::Runtime,
}

impl JobRunner {
    fn serve(&self, inbox: &Receiver<BackgroundJob>) {
        while let Ok(work) = inbox.recv() {
            let told = match work {
                BackgroundJob::Doctor => self.examine(),
                BackgroundJob::LookAhead(revision, request) => {
                    self.preview_start(revision, *request)
                }
                BackgroundJob::Seats(request) => {
                    let ahead = self.runtime.block_on(preview_start(
                        &self.patient.paths,
                        &self.patient.settings,
                        &request,
                    ));
                    self.publish(JobResult::Seats(Box::new(ahead)))
                }
                BackgroundJob::Agree(personas) => {
                    self.publish(JobResult::Agreed(self.agree(&personas)))
                }
                BackgroundJob::Trust(asked) => self.publish(JobResult::Trusted(self.trust(&asked))),
                BackgroundJob::Cheaper(run) => self.publish(JobResult::Cheaper(
                    run,
                    cheaper_personas(&self.patient.paths, &self.patient.settings, run),
                )),
                BackgroundJob::Demo => {
                    let prepared = self.runtime.block_on(prepare_demo(&self.patient.paths));
                    self.publish(JobResult::Demo(prepared.map(Box::new)))
                }
            };
            if !told {
                return;
            }
        }
    }

    fn publish(&self, done: JobResult) -> bool {
        self.answers.send(LoopEvent::Msg(Msg::Done(done))).is_ok()
    }

    fn examine(&self) -> bool {
        for subject in Subject::ALL {
            let (patient, answers) = (self.patient.clone(), self.answers.clone());
            let check = move || {
                drop(answers.send(LoopEvent::Msg(Msg::Done(JobResult::Checked(
                    *subject,
                    subject.examine(&patient),
                )))))
            };
            if std::thread::Builder::new()
                .name("console-doctor".to_owned())
                .spawn(check)
                .is_err()
                && !self.publish(JobResult::Checked(*subject, Vec::new()))
            {
                return false;
            }
        }
        true
    }

    fn preview_start(&self, revision: u64, mut request: StartRun) -> bool {
        request.repo = request.repo.map(|dir| resolved(&dir));
        let ahead = self.runtime.block_on(preview_start(
            &self.patient.paths,
            &self.patient.settings,
            &request,
        ));
        self.publish(JobResult::Ahead(
            revision,
            Box::new(request),
            Box::new(ahead),
        ))
    }

    fn trust(&self, asked: &TrustRequest) -> Result<()> {
        agree_to_brought(
            &self.patient.paths,
            asked,
            &From::from_process(Via::Console).by,
        )
    }

    fn agree(&self, personas: &[(String, ContentHash)]) -> Result<()> {
        let by = From::from_process(Via::Console).by;
        personas
            .iter()
            .try_for_each(|(name, hash)| give_consent(&self.patient.paths, name, hash, &by))
    }
}

/// Resolves a directory: `~` is the home directory, other paths are relative to the working
/// directory.
fn resolved(dir: &Path) -> PathBuf {
    let from_home = dir
        .strip_prefix("~")
        .ok()
        .and_then(|rest| std::env::var_os("HOME").map(|home| Path::new(&home).join(rest)));
    let dir = from_home.unwrap_or_else(|| dir.to_path_buf());
    std::path::absolute(&dir).map_or(dir, |dir| dir.canonicalize().unwrap_or(dir))
}

/// Returns the root of the git repository of the working directory.
#[must_use]
pub fn here() -> Option<String> {
    let dir = std::env::current_dir().ok()?;
    let top = dir
        .ancestors()
        .find(|folder| folder.join(".git").exists())?;
    top.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::paths::InstallPaths;
    use crate::model::settings::AppSettings;

    fn next(told: &Receiver<LoopEvent>) -> JobResult {
        match told
            .recv_timeout(std::time::Duration::from_secs(60))
            .unwrap()
        {
            LoopEvent::Msg(Msg::Done(done)) => done,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_subject_is_examined_and_a_demo_is_ready_to_start() {
        let home = tempfile::tempdir().unwrap();
        let patient = CheckEnvironment {
            paths: InstallPaths::beneath(home.path()),
            settings: AppSettings::default(),
        };
        let (answers, told) = channel();
        let work = start(patient, answers).unwrap();
        work.send(BackgroundJob::Doctor).unwrap();
        let mut seen: Vec<Subject> = Vec::new();
        while seen.len() < Subject::ALL.len() {
            let JobResult::Checked(subject, checks) = next(&told) else {
                panic!("no check")
            };
            assert!(!checks.is_empty());
            seen.push(subject);
        }
        seen.sort_unstable();
        assert_eq!(seen, Subject::ALL);
        work.send(BackgroundJob::Demo).unwrap();
        let JobResult::Demo(Ok(request)) = next(&told) else {
            panic!("no demo")
        };
        work.send(BackgroundJob::LookAhead(7, request)).unwrap();
        let JobResult::Ahead(7, request, ahead) = next(&told) else {
            panic!("no outlook")
        };
        assert_eq!(ahead.problems, []);
        assert_eq!(ahead.place.unwrap().repo, request.repo.unwrap());
    }
}
