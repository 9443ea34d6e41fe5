//! What a start costs after a crash: from nothing to a host that serves, over 10, 100 and 1,000 runs whose
//! host died, against the same start when all of them rest.

use std::time::{Duration, Instant};

use measure::{Goal, Outcome, figure, folder, median};
use phasedeck::engine::api::{Archive, RunFilter};
use phasedeck::engine::host::Host;
use phasedeck::engine::paths::Paths;
use phasedeck::model::event::{AttemptCause, Fact};
use phasedeck::model::hash::ContentHash;
use phasedeck::model::id::{RunId, ThreadId, VersionedName};
use phasedeck::model::record::RunOptions;
use phasedeck::model::settings::Settings;
use phasedeck::model::time::Timestamp;
use phasedeck::store::runs::{self, NewRun, RunPlace};
use phasedeck::store::{Store, journal};

#[expect(dead_code, reason = "shared with the benches that need more of it")]
#[path = "support/measure.rs"]
mod measure;

const RUNS: [usize; 3] = [10, 100, 1_000];
const ROUNDS: usize = 5;

fn main() -> Outcome<()> {
    for count in RUNS {
        let (mut crashed, mut resting) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let dir = folder()?;
            let paths = Paths::beneath(dir.path());
            die(&paths, count)?;
            crashed.push(start(&paths, count)?);
            // The first start has paused them all: the second finds nothing to do.
            resting.push(start(&paths, count)?);
        }
        let (crashed, resting) = (median(crashed), median(resting));
        figure(&format!("start after a crash of {count} runs / the same runs resting"), crashed / resting, Goal::None);
        figure(&format!("  start after a crash of {count} runs / one second"), crashed, Goal::AtMost(1.0));
    }
    Ok(())
}

/// A database as a host leaves it that died with `count` runs at work.
fn die(paths: &Paths, count: usize) -> Outcome<()> {
    paths.create()?;
    let store = Store::open(&paths.database())?;
    let (workflow, persona): (VersionedName, VersionedName) = ("bench@1".parse()?, "maker@1".parse()?);
    store.write_blocking(move |tx| {
        for number in 0..count {
            let (id, thread) = (RunId::new(), ThreadId::from(format!("lane-{number}").as_str()));
            let new = NewRun {
                id,
                workflow: workflow.clone(),
                workflow_hash: ContentHash::of(b"workflow"),
                thread: thread.clone(),
                requirements: String::new(),
                place: RunPlace::default(),
                rehearsal: true,
                options: RunOptions::default(),
                start: None,
                origin: Default::default(),
                created_at: Timestamp::now(),
            };
            runs::insert(tx, &new)?;
            let phases = vec!["first".into(), "second".into()];
            let workflow_hash = ContentHash::of(b"workflow");
            let facts = [
                Fact::RunCreated { workflow: workflow.clone(), workflow_hash, thread: thread.clone(), phases, rehearsal: true },
                Fact::RunStarted { workflow: workflow.clone(), thread },
                Fact::PhaseStarted {
                    phase_key: "first".into(),
                    attempt: 1,
                    role: "maker".into(),
                    persona: persona.clone(),
                    cause: AttemptCause::First,
                },
            ];
            journal::append(tx, id, &facts, Timestamp::now())?;
        }
        Ok(())
    })?;
    store.close_blocking()?;
    Ok(())
}

/// From nothing to a host that serves and a list that could be drawn.
fn start(paths: &Paths, count: usize) -> Outcome<Duration> {
    let begun = Instant::now();
    let host = Host::start(paths, &Settings::default())?;
    let runs = Archive::open(paths)?.runs(&RunFilter::default())?;
    let took = begun.elapsed();
    assert_eq!(runs.len(), count);
    assert!(runs.iter().all(|run| run.state == "paused"));
    host.shutdown(Duration::ZERO)?;
    Ok(took)
}
