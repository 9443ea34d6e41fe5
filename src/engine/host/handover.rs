//! What one host leaves for the next: runs that it paused and that shall go on.
//!
//! The word is left as commands in the inbox, before the lock is given up. Whoever becomes the host
//! next serves them, whether or not it is the one that was meant to; nothing is lost in between.

use crate::engine::api::{Command, Sender};
use crate::engine::context::Context;
use crate::model::error::{Failure, Result};
use crate::model::id::{ClientToken, RunId};
use crate::model::settings::Settings;
use crate::model::state::{OnDisconnect, PauseReason, RunStatus, Via};
use crate::model::time::Timestamp;
use crate::store::inbox::{self, NewCommand};
use crate::store::runs;

/// Which runs the next host goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// None; they are paused.
    Nothing,
    /// All that were at work.
    Everything,
    /// Those whose `on_disconnect` says `continue`, by their own choice or by the settings.
    AsRunsSay,
}

/// Leaves a command to go on for each of the `paused` runs that are handed over; says how many.
///
/// # Errors
/// What the store says.
pub(super) fn leave_word(context: &Context, paused: Vec<RunId>, over: HandOver) -> Result<usize> {
    if over == HandOver::Nothing || paused.is_empty() {
        return Ok(0);
    }
    let (settings, sender) = (context.settings.clone(), Sender::of_process(Via::Engine));
    context.journal.store.write_blocking(move |tx| {
        let mut handed = 0;
        for run_id in paused {
            let record = runs::get(tx, run_id)?;
            let rests = record.state == RunStatus::Paused.as_str()
                && record.pause_reason.as_deref() == Some(PauseReason::Shutdown.as_str());
            if rests && goes_on(over, record.options.on_disconnect, &settings) {
                let command = serde_json::to_string(&Command::Resume { run_id })
                    .map_err(Failure::internal)?;
                let new = NewCommand {
                    token: ClientToken::new(),
                    by: sender.by.clone(),
                    via: sender.via,
                    command,
                    run: Some(run_id),
                };
                inbox::put(tx, &new, Timestamp::now())?;
                handed += 1;
            }
        }
        Ok(handed)
    })
}

fn goes_on(over: HandOver, own: Option<OnDisconnect>, settings: &Settings) -> bool {
    over == HandOver::Everything
        || own.unwrap_or(settings.host.on_disconnect) == OnDisconnect::Continue
}
