//! `phasedeck cost`: the cost of model calls by phase, model, day or run.

use schemars::JsonSchema;
use serde::Serialize;

use super::args::{Cost as Args, CostGroup};
use super::exit::Exit;
use super::out::Outcome;
use super::setup::Setup;
use super::style::Style;
use super::table::{Cell, Table};
use crate::engine::api::{Archive, CostBy};
use crate::model::error::Result;
use crate::model::event::Tokens;
use crate::model::id::RunId;
use crate::model::money::Cost;
use crate::model::record::CostLine;

/// What was spent, for scripts.
#[derive(Serialize, JsonSchema)]
pub struct Spent {
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
pub fn cost(setup: &Setup, args: &Args) -> Outcome {
    let lines = match &args.run {
        Some(text) => {
            let (archive, run) = setup.find(text)?;
            of(&archive, Some(run), args.by)?
        }
        None => setup
            .archive_if_any()?
            .map_or_else(|| Ok(Vec::new()), |archive| of(&archive, None, args.by))?,
    };
    let total = total(&lines);
    if args.json {
        setup.out.document(&Spent {
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
    Ok(Exit::Done)
}

fn of(archive: &Archive, run: Option<RunId>, by: CostGroup) -> Result<Vec<CostLine>> {
    let by = match by {
        CostGroup::Phase => CostBy::Phase,
        CostGroup::Model => CostBy::Model,
        CostGroup::Day => CostBy::Day,
        CostGroup::Run => {
            let mut lines = archive.costs_by_run()?;
            lines.retain(|line| run.is_none_or(|run| run.to_string() == line.label));
            return Ok(lines);
        }
    };
    archive.costs(run, by)
}

fn heading(by: CostGroup) -> &'static str {
    match by {
        CostGroup::Phase => "PHASE",
        CostGroup::Model => "MODEL",
        CostGroup::Day => "DAY",
        CostGroup::Run => "RUN",
    }
}

fn total(lines: &[CostLine]) -> CostLine {
    let mut total = CostLine {
        label: "total".to_owned(),
        calls: 0,
        tokens: Tokens::default(),
        cost: Cost::default(),
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

fn table(lines: &[CostLine], total: &CostLine, by: CostGroup, style: Style) -> String {
    let mut table = Table::new(&[heading(by), "CALLS", "SENT", "RECEIVED", "CACHED", "COST"]);
    for line in lines.iter().chain([total]) {
        let number = |count: u64| Cell::new(count.to_string()).right();
        let label = if by == CostGroup::Run {
            line.label
                .parse::<RunId>()
                .map_or(line.label.clone(), |id| id.short())
        } else {
            line.label.clone()
        };
        table.row(vec![
            Cell::new(label).at_most(48, style.ascii),
            number(u64::from(line.calls)),
            number(line.tokens.input),
            number(line.tokens.output),
            number(line.tokens.cached),
            Cell::new(line.cost.to_string()).right(),
        ]);
    }
    table.drawn(0, style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::money::NanoUsd;

    fn line(label: &str, nano: i64, unknown: u32) -> CostLine {
        let tokens = Tokens {
            input: 1200,
            output: 34,
            ..Tokens::default()
        };
        CostLine {
            label: label.to_owned(),
            calls: 2 + unknown,
            tokens,
            cost: Cost {
                known: NanoUsd(nano),
                unknown_calls: unknown,
            },
        }
    }

    #[test]
    fn a_table_ends_with_its_total_and_an_unknown_price_stays_unknown() {
        let lines = [line("spec", 410_000_000, 0), line("plan", 0, 2)];
        insta::assert_snapshot!(table(&lines, &total(&lines), CostGroup::Phase, Style::default()), @"
        PHASE  CALLS  SENT  RECEIVED  CACHED  COST
        spec       2  1200        34       0      $0.4100
        plan       4  1200        34       0            ?
        total      6  2400        68       0  $0.4100 + ?
        ");
    }
}
