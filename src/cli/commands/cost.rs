//! `phasedeck cost`: the cost of model calls by phase, model, day or run.

use crate::cli::args::{CostArgs as Args, CostGroupBy};
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::OutputStyle;
use crate::cli::output::table::{TableCell, TextTable};
use crate::engine::api::{CostGrouping, RunArchive};
use crate::model::error::Result;
use crate::model::event::TokenUsage;
use crate::model::id::RunId;
use crate::model::money::CallCost;
use crate::model::record::CostLine;
use schemars::JsonSchema;
use serde::Serialize;

/// What was spent, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Spent")]
pub struct CostSummary {
    /// What the lines are grouped by: `phase`, `model`, `day` or `run`.
    by: String,
    /// One for each group.
    lines: Vec<CostLine>,
    /// All of them together.
    total: CostLine,
}

/// Tells what was spent.
///
/// # Errors
/// `run_not_found`, `run_ambiguous`; what the archive says.
pub fn cost(setup: &CommandContext, args: &Args) -> CommandOutcome {
    let lines = match &args.run {
        Some(text) => {
            let (archive, run) = setup.find(text)?;
            cost_lines(&archive, Some(run), args.by)?
        }
        None => setup.archive_if_any()?.map_or_else(
            || Ok(Vec::new()),
            |archive| cost_lines(&archive, None, args.by),
        )?,
    };
    let total = total(&lines);
    if args.json {
        setup.out.document(&CostSummary {
            by: heading(args.by).to_lowercase(),
            lines,
            total,
        })?;
    } else if lines.is_empty() {
        setup.out.note("no call to a model was settled yet");
    } else {
        setup
            .out
            .print(&table(&lines, &total, args.by, setup.out.style))?;
    }
    Ok(ExitStatus::Done)
}

fn cost_lines(archive: &RunArchive, run: Option<RunId>, by: CostGroupBy) -> Result<Vec<CostLine>> {
    let by = match by {
        CostGroupBy::Phase => CostGrouping::Phase,
        CostGroupBy::Model => CostGrouping::Model,
        CostGroupBy::Day => CostGrouping::Day,
        CostGroupBy::Run => {
            let mut lines = archive.costs_by_run()?;
            lines.retain(|line| run.is_none_or(|run| run.to_string() == line.label));
            return Ok(lines);
        }
    };
    archive.costs(run, by)
}

fn heading(by: CostGroupBy) -> &'static str {
    match by {
        CostGroupBy::Phase => "PHASE",
        CostGroupBy::Model => "MODEL",
        CostGroupBy::Day => "DAY",
        CostGroupBy::Run => "RUN",
    }
}

fn total(lines: &[CostLine]) -> CostLine {
    let mut total = CostLine {
        label: "total".to_owned(),
        calls: 0,
        tokens: TokenUsage::default(),
        cost: CallCost::default(),
    };
    for line in lines {
        total.calls = total.calls.saturating_add(line.calls);
        total.cost += line.cost;
        total.tokens.input += line.tokens.input;
        total.tokens.output += line.tokens.output;
        total.tokens.cached += line.tokens.cached;
        total.tokens.reasoning += line.tokens.reasoning;
    }
    total
}

fn table(lines: &[CostLine], total: &CostLine, by: CostGroupBy, style: OutputStyle) -> String {
    let mut table = TextTable::new(&[heading(by), "CALLS", "SENT", "RECEIVED", "CACHED", "COST"]);
    for line in lines.iter().chain([total]) {
        let number = |count: u64| TableCell::new(count.to_string()).right();
        let label = if by == CostGroupBy::Run {
            line.label
                .parse::<RunId>()
                .map_or(line.label.clone(), |id| id.short())
        } else {
            line.label.clone()
        };
        table.row(vec![
            TableCell::new(label).at_most(48, style.ascii),
            number(u64::from(line.calls)),
            number(line.tokens.input),
            number(line.tokens.output),
            number(line.tokens.cached),
            TableCell::new(line.cost.to_string()).right(),
        ]);
    }
    table.render(0, style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::money::NanoUsd;

    fn line(label: &str, nano: i64, unknown: u32) -> CostLine {
        let tokens = TokenUsage {
            input: 1200,
            output: 34,
            ..TokenUsage::default()
        };
        CostLine {
            label: label.to_owned(),
            calls: 2 + unknown,
            tokens,
            cost: CallCost {
                known: NanoUsd(nano),
                unknown_calls: unknown,
            },
        }
    }

    #[test]
    fn a_table_ends_with_its_total_and_an_unknown_price_stays_unknown() {
        let lines = [line("spec", 410_000_000, 0), line("plan", 0, 2)];
        insta::assert_snapshot!(table(&lines, &total(&lines), CostGroupBy::Phase, OutputStyle::default()), @"
        PHASE  CALLS  SENT  RECEIVED  CACHED  COST
        spec       2  1200        34       0      $0.4100
        plan       4  1200        34       0            ?
        total      6  2400        68       0  $0.4100 + ?
        ");
    }
}
