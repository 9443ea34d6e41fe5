//! `phasedeck events`: prints the journal of a run, one event per line.

use crate::cli::args::EventsArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::headless::print_event;
use crate::cli::output::streams::CommandOutcome;
use std::time::Duration;

/// Events read at once.
const PAGE: u32 = 512;
/// How often the archive is looked at while following.
const LOOK: Duration = Duration::from_millis(100);

/// Prints the events of a run; with `--follow` until it has ended.
///
/// # Errors
/// `run_not_found`; what the archive says.
pub fn events(setup: &CommandContext, args: &EventsArgs) -> CommandOutcome {
    let (archive, run) = setup.find(&args.run)?;
    let mut next = args.from;
    loop {
        // Asked before the events are read, so that an end seen here has its last event below.
        let ended = archive.run(run)?.has_ended();
        loop {
            let events = archive.events(run, next, PAGE)?;
            for event in &events {
                print_event(setup.out, event, args.json)?;
                next = event.seq + 1;
            }
            if events.len() < PAGE as usize {
                break;
            }
        }
        if ended || !args.follow {
            return Ok(ExitStatus::Done);
        }
        std::thread::sleep(LOOK);
    }
}
