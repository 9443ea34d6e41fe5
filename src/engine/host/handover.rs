//! Hand-over to the next host: runs that this host paused and that should be resumed.
//!
//! The requests are stored as commands in the inbox before the lock is released. The next host
//! executes them, whichever process that is, so none is lost in between.

use crate::engine::api::{CommandSender, EngineCommand};
use crate::engine::run::context::EngineContext;
use crate::model::error::{Failure, Result};
use crate::model::id::{ClientToken, RunId};
use crate::model::settings::AppSettings;
use crate::model::state::{OnDisconnect, PauseReason, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::store::tables::inbox;
use crate::store::tables::inbox::NewCommand;
use crate::store::tables::runs;

/// Which runs the next host resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverScope {
    /// None; they stay paused.
    NoRuns,
    /// All runs that were active.
    AllRuns,
    /// Runs whose own `on_disconnect`, or else the setting, is `continue`.
    ByDisconnectPolicy,
}

/// Stores a resume command for each of the `paused` runs selected by `over`; returns their number.
///
/// # Errors
/// Errors of the database.
pub(super) fn store_resume_requests(
    context: &EngineContext,
    paused: Vec<RunId>,
    over: HandoverScope,
) -> Result<usize> {
    if over == HandoverScope::NoRuns || paused.is_empty() {
        return Ok(0);
    }
    let settings = context.settings.clone();
    let sender = CommandSender::from_process(Via::Engine);
    context.journal.store.write_blocking(move |tx| {
        let mut handed = 0;
        for run_id in paused {
            let record = runs::get(tx, run_id)?;
            let rests = record.state == RunStatus::Paused.as_str()
                && record.pause_reason.as_deref() == Some(PauseReason::Shutdown.as_str());
            if rests && should_resume(over, record.options.on_disconnect, &settings) {
                let command = serde_json::to_string(&EngineCommand::Resume { run_id })
                    .map_err(Failure::internal)?;
                let new = NewCommand {
                    token: ClientToken::new(),
                    by: sender.by.clone(),
                    via: sender.via,
                    command,
                    run: Some(run_id),
                };
                inbox::insert(tx, &new, Timestamp::now())?;
                handed += 1;
            }
        }
        Ok(handed)
    })
}

fn should_resume(over: HandoverScope, own: Option<OnDisconnect>, settings: &AppSettings) -> bool {
    over == HandoverScope::AllRuns
        || own.unwrap_or(settings.host.on_disconnect) == OnDisconnect::Continue
}
