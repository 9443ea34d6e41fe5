//! `phasedeck runs`: lists runs, pending approvals first, then active runs, then the newest.
use crate::cli::args::RunsArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::{OutputStyle, StatusGlyph};
use crate::cli::output::table::{TableCell, TextTable};
use crate::engine::api::RunQuery;
use crate::model::error::Result;
use crate::model::record::RunRecord;
use crate::model::state::RunStatus;
use crate::model::time::{Timestamp, human_duration};

/// Lists runs.
///
/// # Errors
/// What the archive says.
pub fn runs(setup: &CommandContext, args: &RunsArgs) -> CommandOutcome {
    let runs = ordered(read(setup, args)?);
    if args.json {
        setup.out.document(&runs)?;
    } else if runs.is_empty() {
        setup.out.note(nothing(args));
    } else {
        setup
            .out
            .print(&table(&runs, Timestamp::now(), setup.out.style))?;
    }
    Ok(ExitStatus::Done)
}

/// Why the list is empty: a filter that fits nothing says nothing about other runs.
fn nothing(args: &RunsArgs) -> &'static str {
    if args.state.is_empty() && args.thread.is_none() && args.limit > 0 {
        "no runs; start one with `phasedeck demo` or `phasedeck run`"
    } else {
        "no run fits; `phasedeck runs` without flags lists all states and threads"
    }
}

/// The newest that fit, and everything that is in flight however old it is.
fn read(setup: &CommandContext, args: &RunsArgs) -> Result<Vec<RunRecord>> {
    let Some(archive) = setup.archive_if_any()? else {
        return Ok(Vec::new());
    };
    let filter = RunQuery {
        states: args.state.clone(),
        thread: args.thread.clone(),
        limit: Some(args.limit),
    };
    let mut runs = archive.runs(&filter)?;
    let in_flight =
        [RunStatus::AwaitingApproval, RunStatus::Executing].map(|state| state.to_string());
    let states: Vec<String> = in_flight
        .into_iter()
        .filter(|state| args.state.is_empty() || args.state.contains(state))
        .collect();
    if !states.is_empty() {
        let older = archive.runs(&RunQuery {
            states,
            thread: args.thread.clone(),
            limit: Some(args.limit),
        })?;
        let new: Vec<RunRecord> = older
            .into_iter()
            .filter(|run| runs.iter().all(|known| known.id != run.id))
            .collect();
        runs.extend(new);
    }
    Ok(runs)
}

fn ordered(mut runs: Vec<RunRecord>) -> Vec<RunRecord> {
    let rank = |run: &RunRecord| match RunStatus::parse(&run.state) {
        _ if run.pending_gate.is_some() => (0, run.pending_since.unwrap_or(run.updated_at).0),
        Some(RunStatus::Executing) => (1 + i64::from(run.waits_until.is_some()), -run.created_at.0),
        _ => (3, -run.created_at.0),
    };
    runs.sort_by_key(rank);
    runs
}

fn table(runs: &[RunRecord], now: Timestamp, style: OutputStyle) -> String {
    let mut table = TextTable::new(&[
        "STATE", "RUN", "WORKFLOW", "PHASE", "", "COST", "AGE", "THREAD", "WANTED",
    ]);
    for run in runs {
        let mark = StatusGlyph::from_run(run);
        let phase = run
            .pending_gate
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| run.current_phase.as_ref().map(ToString::to_string));
        let wanted = run.requirements.lines().next().unwrap_or_default();
        table.row(vec![
            TableCell::new(format!("{} {}", style.glyph(mark), run.state_text())).tone(mark.tone()),
            TableCell::new(run.id.short()),
            TableCell::new(if run.rehearsal {
                format!("{} (rehearsal)", run.workflow)
            } else {
                run.workflow.clone()
            }),
            TableCell::new(phase.unwrap_or_default()).at_most(24, style.ascii),
            TableCell::new(format!("{}/{}", run.phases_done, run.phases_total)).right(),
            TableCell::new(run.cost.to_string()).right(),
            TableCell::new(human_duration(now.since_ms(run.created_at))).right(),
            TableCell::new(run.thread.as_str()).at_most(24, style.ascii),
            TableCell::new(wanted).at_most(40, style.ascii),
        ]);
    }
    table.render(0, style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::samples::run_record;

    #[test]
    fn what_waits_comes_first_oldest_on_top_then_what_works_then_the_newest() {
        let run = |at: i64, state: &str, gate: Option<i64>| {
            let mut run = run_record();
            (run.created_at, run.state) = (Timestamp(at), state.to_owned());
            run.pending_gate = gate.map(|_| "spec_approved".into());
            run.pending_since = gate.map(Timestamp);
            run
        };
        let runs = ordered(vec![
            run(9, "completed", None),
            run(8, "awaiting_approval", Some(30)),
            run(7, "executing", None),
            run(6, "paused", Some(20)),
            run(5, "failed", None),
        ]);
        assert_eq!(
            runs.iter().map(|run| run.created_at.0).collect::<Vec<_>>(),
            [6, 8, 7, 9, 5]
        );
    }

    #[test]
    fn a_list_reads_in_straight_columns() {
        let mut waiting = run_record();
        (waiting.state, waiting.pending_gate) =
            ("awaiting_approval".to_owned(), Some("spec_approved".into()));
        let mut odd = run_record();
        (odd.state, odd.current_phase) = ("hibernating".to_owned(), None);
        odd.requirements = "買い物かご\u{1b}[2J\nsecond line".to_owned();
        let mut in_line = run_record();
        in_line.line = Some(2);
        let text = table(
            &[waiting, in_line, odd],
            Timestamp(3_600_000 * 3),
            OutputStyle::default(),
        );
        insta::assert_snapshot!(text, @"
        STATE                RUN       WORKFLOW       PHASE               COST     AGE   THREAD     WANTED
        ▲ awaiting_approval  deadbeef  development@1  spec_approved  1/5  $0.4100  3h00  shop:main  Add a cart to the shop
        ○ waiting in line 2  deadbeef  development@1  plan           1/5  $0.4100  3h00  shop:main  Add a cart to the shop
        ? hibernating        deadbeef  development@1                 1/5  $0.4100  3h00  shop:main  買い物かご␛[2J
        ");
    }
}
