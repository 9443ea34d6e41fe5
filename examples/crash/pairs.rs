//! Pairs of kills: one in the run, and one in the recovery that follows, at every combination of
//! points, or at combinations spread evenly if there are too many.

use std::collections::BTreeSet;

use phasedeck::store::failpoint::Step;

use crate::invariants::{self, Observations};
use crate::model::CrashModel;
use crate::story::{CrashHome, CrashStory};
use crate::{CrashResult, killed_at};

/// Tests at most `pairs` combinations per story. Returns whether all invariants held.
pub fn play(pairs: usize, only: Option<CrashStory>) -> CrashResult<bool> {
    let model = CrashModel::start()?;
    for story in CrashStory::ALL
        .into_iter()
        .filter(|story| only.is_none_or(|only| only == *story))
    {
        let whole = CrashHome::new(story, &model.base_url())?;
        model.forget();
        let (_, in_run) = killed_at(&whole, None)?;
        let Some(in_recovery) = in_recovery(&model, story, in_run.len())? else {
            return Err("no recovery was recorded".into());
        };
        let all = in_run.len() * in_recovery;
        let mut played = 0;
        let mut in_both = 0;
        let mut points = BTreeSet::new();
        for at in (0..pairs.min(all)).map(|number| number * all / pairs.min(all)) {
            let first = at / in_recovery + 1;
            let second = at % in_recovery + 1;
            let home = CrashHome::new(story, &model.base_url())?;
            model.forget();
            let mut memory = Observations::default();
            let mut broken = Vec::new();
            for nth in [first, second] {
                let (killed, passed) = killed_at(&home, Some(nth))?;
                broken.extend(invariants::after_kill(&home, &model, &mut memory)?);
                if nth == second && killed {
                    in_both +=
                        u64::from(!passed.contains(&format!("{}:after", Step::Recovery.as_str())));
                    points.extend(passed.last().cloned());
                }
            }
            let (killed, _) = killed_at(&home, None)?;
            broken.extend(invariants::after_kill(&home, &model, &mut memory)?);
            broken.extend(invariants::at_end(&home, &model)?);
            if killed || !broken.is_empty() {
                println!(
                    "VIOLATION in {}: killed at point {first}, then at {second}; kept in {}",
                    story.name(),
                    home.dir.keep().display()
                );
                for violation in &broken {
                    println!("  {violation}");
                }
                return Ok(false);
            }
            played += 1;
        }
        println!(
            "{:<9} {played} of {all} pairs ({} points x {in_recovery} of recovery), {in_both} second kills during recovery, \
             at {} different points: 0 violations",
            story.name(),
            in_run.len(),
            points.len()
        );
    }
    Ok(true)
}

/// Number of points that a recovery from the middle of a story passes until it is complete.
fn in_recovery(model: &CrashModel, story: CrashStory, points: usize) -> CrashResult<Option<usize>> {
    let home = CrashHome::new(story, &model.base_url())?;
    model.forget();
    killed_at(&home, Some(points / 2))?;
    let (_, passed) = killed_at(&home, None)?;
    Ok(passed
        .iter()
        .position(|point| point == &format!("{}:after", Step::Recovery.as_str()))
        .map(|at| at + 1))
}
