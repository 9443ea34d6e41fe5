//! `phasedeck verify`: verifies the integrity of the stored data.
use crate::cli::args;
use crate::cli::context::CommandContext;
use crate::cli::engine_connection::runtime;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::{OutputStyle, StatusGlyph};
use crate::cli::output::table::{TableCell, TextTable};
use crate::engine::host::verify;
use crate::engine::host::verify::{IntegrityCheck, VerifyReport};
use crate::model::safe_text::safe_line;

/// Verifies one run, or everything.
///
/// # Errors
/// `run_not_found`; what opening the database says.
pub fn verify(setup: &CommandContext, args: &args::VerifyArgs) -> CommandOutcome {
    let run = match &args.run {
        Some(text) => Some(setup.find(text)?.1),
        None if setup.archive_if_any()?.is_none() => return nothing_yet(setup, args.json),
        None => None,
    };
    let runtime = runtime()?;
    let verdict = runtime.block_on(verify::verify(&setup.paths, run))?;
    if args.json {
        setup.out.document(&verdict)?;
    } else {
        setup.out.print(&screen(&verdict, setup.out.style))?;
    }
    Ok(if verdict.sound {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    })
}

fn nothing_yet(setup: &CommandContext, json: bool) -> CommandOutcome {
    if json {
        setup.out.document(&VerifyReport::empty())?;
    } else {
        setup.out.print("there is nothing to verify yet\n")?;
    }
    Ok(ExitStatus::Done)
}

fn screen(verdict: &VerifyReport, style: OutputStyle) -> String {
    let mut table = TextTable::new(&["OF", "CHECK", "VERDICT", "LOOKED AT"]);
    let mut problems = String::new();
    let mut row = |of: &str, check: &IntegrityCheck| {
        let (mark, word) = if check.problems.is_empty() {
            (StatusGlyph::Done, "sound")
        } else {
            (StatusGlyph::Failed, "WRONG")
        };
        table.row(vec![
            TableCell::new(of),
            TableCell::new(check.name),
            TableCell::new(format!("{} {word}", style.glyph(mark))).tone(mark.tone()),
            TableCell::new(&check.looked_at),
        ]);
        for problem in &check.problems {
            problems.push_str(&format!(
                "  {} {} {}: {}\n",
                style.glyph(StatusGlyph::Failed),
                of,
                check.name,
                safe_line(problem)
            ));
        }
    };
    verdict
        .database
        .iter()
        .for_each(|check| row("database", check));
    for run in &verdict.runs {
        run.checks
            .iter()
            .for_each(|check| row(&run.run_id.short(), check));
    }
    let mut text = table.render(0, style);
    if !problems.is_empty() {
        text.push_str(&format!("\nWrong:\n{problems}"));
    }
    let heads = verdict
        .runs
        .iter()
        .filter_map(|run| Some(format!("  {} {}\n", run.run_id.short(), run.head?)));
    let heads: String = heads.collect();
    if !heads.is_empty() {
        text.push_str(&format!(
            "\nHeads of the chains, to note elsewhere:\n{heads}"
        ));
    }
    let unchecked = verdict.runs.iter().flat_map(|run| {
        run.unchecked
            .iter()
            .map(|words| format!("{}: {words}", run.run_id.short()))
    });
    let unproven: Vec<String> = unchecked
        .chain(verdict.not_proven.iter().map(|words| (*words).to_owned()))
        .collect();
    text.push_str("\nNot proven by this:\n");
    unproven
        .iter()
        .for_each(|words| text.push_str(&format!("  - {}\n", safe_line(words))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::samples::run_record;
    use crate::engine::host::verify::RunVerification;
    use crate::store::journal::chain::ChainHash;

    #[test]
    fn what_is_wrong_is_said_once_more_beneath_the_table() {
        let check = |name, problems: &[&str]| IntegrityCheck {
            name,
            looked_at: "9 events".to_owned(),
            problems: problems.iter().map(|words| (*words).to_owned()).collect(),
        };
        let run = RunVerification {
            run_id: run_record().id,
            head: Some(ChainHash([7; 32])),
            checks: vec![
                check("chain", &["event 3 (phase.started) is not what was stored"]),
                check("rows", &[]),
            ],
            unchecked: vec!["events 1 to 2 are from before there was a chain".to_owned()],
        };
        let verdict = VerifyReport {
            sound: false,
            database: vec![check("anchor", &[])],
            runs: vec![run],
            not_proven: vec!["that it is right"],
        };
        insta::assert_snapshot!(screen(&verdict, OutputStyle::default()), @"
        OF        CHECK   VERDICT  LOOKED AT
        database  anchor  ✓ sound  9 events
        deadbeef  chain   ✗ WRONG  9 events
        deadbeef  rows    ✓ sound  9 events

        Wrong:
          ✗ deadbeef chain: event 3 (phase.started) is not what was stored

        Heads of the chains, to note elsewhere:
          deadbeef 0707070707070707070707070707070707070707070707070707070707070707

        Not proven by this:
          - deadbeef: events 1 to 2 are from before there was a chain
          - that it is right
        ");
    }
}
