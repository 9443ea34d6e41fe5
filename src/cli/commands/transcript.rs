//! `phasedeck transcript`: prints the stored turns of an agent.
//!
//! Each backend stores a response in its own format. The text output shows its `text` and
//! `reasoning`, and truncates tool results; JSON output contains them in full.

use crate::cli::args;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::event_line::counted;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::{OutputStyle, TextTone};
use crate::cli::output::table::shortened;
use crate::engine::agent::tools::KEPT;
use crate::engine::api::RunArchive;
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{PhaseKey, RunId, TurnId};
use crate::model::record::{PhaseRecord, ToolRecord, TurnRecord, TurnStatus};
use crate::model::safe_text::{safe_block, safe_line};
use crate::model::suggest::did_you_mean;
use crate::model::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Lines of a tool's result that are shown to people.
const RESULT_LINES: usize = 8;
/// Characters of a tool's arguments that are shown to people.
const ARGUMENTS: usize = 120;

/// Prints the turns of a run, of a phase, or of one attempt.
///
/// # Errors
/// `run_not_found`; `usage_invalid` for a phase that the run does not have.
pub fn transcript(setup: &CommandContext, args: &args::TranscriptArgs) -> CommandOutcome {
    let (archive, run) = setup.find(&args.run)?;
    if let Some(name) = &args.output {
        return output(setup, run, name);
    }
    let phases = chosen(archive.phases(run)?, args.phase.as_deref(), run)?;
    let mut told = 0;
    for phase in &phases {
        for attempt in attempts(phase, args.attempt) {
            let turns = archive.turns(run, &phase.phase_key, attempt)?;
            told += turns.len();
            for turn in &turns {
                if args.json {
                    setup.out.object(&TurnDocument::from_record(run, turn))?;
                } else {
                    setup.out.print(&format_turn(turn, setup.out.style))?;
                }
            }
        }
    }
    if told == 0 && !args.json {
        setup.out.note(&nothing(&archive, run)?);
    }
    Ok(ExitStatus::Done)
}

/// Prints all of what a tool said.
fn output(setup: &CommandContext, run: RunId, name: &str) -> CommandOutcome {
    let named = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let kept = Some(setup.paths.tool_outputs(run).join(name)).filter(|_| named && !name.is_empty());
    let Some(bytes) = kept.and_then(|path| std::fs::read(path).ok()) else {
        let failure = Failure::new(
            Code::UsageInvalid,
            format!("run {} has no output '{}'", run.short(), safe_line(name)),
        );
        return Err(failure
            .hint("a result that was cut ends with the name; `phasedeck clean` takes outputs away with the run's folder")
            .into());
    };
    super::artifact::print(setup, &bytes)?;
    Ok(ExitStatus::Done)
}

fn nothing(archive: &RunArchive, run: RunId) -> Result<String> {
    let why = if archive.run(run)?.rehearsal {
        "it is a rehearsal, which asks no model"
    } else {
        "no agent has answered yet"
    };
    Ok(format!("run {} has no turns: {why}", run.short()))
}

fn chosen(phases: Vec<PhaseRecord>, wanted: Option<&str>, run: RunId) -> Result<Vec<PhaseRecord>> {
    let Some(wanted) = wanted else {
        return Ok(phases);
    };
    match phases
        .iter()
        .find(|phase| phase.phase_key.as_str() == wanted)
    {
        Some(found) => Ok(vec![found.clone()]),
        None => Err(no_such_phase(
            run,
            wanted,
            phases.iter().map(|phase| phase.phase_key.as_str()),
        )),
    }
}

/// That a run has no such phase, with the one that was probably meant.
#[must_use]
pub fn no_such_phase<'a>(
    run: RunId,
    wanted: &str,
    keys: impl IntoIterator<Item = &'a str>,
) -> Failure {
    Failure::new(
        Code::UsageInvalid,
        format!("run {} has no phase '{wanted}'", run.short()),
    )
    .hint(did_you_mean(wanted, keys))
}

fn attempts(phase: &PhaseRecord, only: Option<u32>) -> std::ops::RangeInclusive<u32> {
    only.map_or(1..=phase.attempt, |attempt| attempt..=attempt)
}

/// A turn, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Turn")]
pub struct TurnDocument<'a> {
    /// Of which run.
    run_id: RunId,
    /// Of which phase.
    phase_key: &'a PhaseKey,
    /// In which attempt.
    attempt: u32,
    /// Whose turn: empty for the agent of the phase, else the call that began a sub-agent.
    conversation: &'a str,
    /// From 1 within the attempt; a retried turn is there several times, at most once not void.
    turn: u32,
    /// Which; also its ledger row.
    turn_id: TurnId,
    /// When it was reserved.
    at: Timestamp,
    /// How far it got.
    status: TurnStatus,
    /// The model's answer as the backend stored it; null while there is none.
    answer: Value,
    /// The tools it called, in order.
    tools: &'a [ToolRecord],
}

impl<'a> TurnDocument<'a> {
    fn from_record(run_id: RunId, turn: &'a TurnRecord) -> Self {
        let answer = turn.answer.as_deref().map_or(Value::Null, |text| {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        });
        Self {
            run_id,
            phase_key: &turn.phase_key,
            attempt: turn.attempt,
            conversation: &turn.conversation,
            turn: turn.number,
            turn_id: turn.id,
            at: turn.at,
            status: turn.status,
            answer,
            tools: &turn.tools,
        }
    }
}

fn format_turn(turn: &TurnRecord, style: OutputStyle) -> String {
    let title = format!(
        "{} attempt {} {}",
        turn.phase_key,
        turn.attempt,
        turn.title()
    );
    let mut text = format!(
        "{}{}\n",
        style.paint(TextTone::Strong, &title),
        style.paint(TextTone::Quiet, open_status_text(turn.status))
    );
    let answer: Value = turn
        .answer
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    for (name, tone) in [("reasoning", TextTone::Quiet), ("text", TextTone::Plain)] {
        if let Some(said) = answer[name].as_str().filter(|said| !said.trim().is_empty()) {
            text.push_str(&indented(said.trim(), tone, style, usize::MAX));
        }
    }
    text.extend(turn.tools.iter().map(|call| tool(call, style)));
    text + "\n"
}

fn open_status_text(status: TurnStatus) -> &'static str {
    match status {
        TurnStatus::Reserved => "  (sent, not answered)",
        TurnStatus::Answered => "  (answered; its tools may have run)",
        TurnStatus::Settled | TurnStatus::Void => "",
    }
}

fn tool(call: &ToolRecord, style: OutputStyle) -> String {
    let ellipsis = if style.ascii { "..." } else { "…" };
    let arguments = shortened(&safe_line(&call.arguments), ARGUMENTS, ellipsis);
    let mut text = format!(
        "  {} {arguments}\n",
        style.paint(TextTone::Running, &safe_line(&call.tool))
    );
    match &call.result {
        Some(result) => {
            text.push_str(&indented(
                result.trim_end(),
                TextTone::Quiet,
                style,
                RESULT_LINES,
            ));
            if let Some((_, name)) = result.trim_end().trim_end_matches(']').rsplit_once(KEPT) {
                text.push_str(&indented(
                    &format!("all of it: phasedeck transcript RUN --output {name}"),
                    TextTone::Quiet,
                    style,
                    1,
                ));
            }
        }
        None => text.push_str(&format!(
            "  {}\n",
            style.paint(TextTone::Gate, "nobody knows whether it ran")
        )),
    }
    text
}

fn indented(said: &str, tone: TextTone, style: OutputStyle, most: usize) -> String {
    let said = safe_block(said);
    let lines: Vec<&str> = said.lines().collect();
    let mut text: String = lines
        .iter()
        .take(most)
        .map(|line| format!("    {}\n", style.paint(tone, line)))
        .collect();
    if lines.len() > most {
        text.push_str(&format!(
            "    ({} more; --json shows all)\n",
            counted(lines.len() - most, "line")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::TurnId;
    use crate::model::time::Timestamp;

    fn turn(answer: Option<&str>, tools: Vec<ToolRecord>, status: TurnStatus) -> TurnRecord {
        let answer = answer.map(str::to_owned);
        TurnRecord {
            id: TurnId::new(),
            phase_key: "spec".into(),
            attempt: 1,
            number: 2,
            stretch: 0,
            status,
            answer,
            tools,
            conversation: String::new(),
            held_at: None,
            at: Timestamp(0),
        }
    }

    fn call(result: Option<&str>) -> ToolRecord {
        let (call_id, tool) = ("c1".to_owned(), "read_file".to_owned());
        ToolRecord {
            call_id,
            tool,
            arguments: "{\"file_path\":\"a.txt\"}".to_owned(),
            result: result.map(str::to_owned),
            redo: false,
        }
    }

    #[test]
    fn a_turn_is_told_with_thoughts_words_and_tools() {
        let said = turn(
            Some("{\"text\":\"I read.\\u001b[2J\",\"reasoning\":\"hm\"}"),
            vec![call(Some("one\ntwo"))],
            TurnStatus::Settled,
        );
        assert_eq!(
            format_turn(&said, OutputStyle::default()),
            "spec attempt 1 turn 2\n    hm\n    I read.␛[2J\n  read_file {\"file_path\":\"a.txt\"}\n    one\n    two\n\n"
        );
    }

    #[test]
    fn long_results_are_cut_and_unknown_outcomes_named() {
        let long = (0..20)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join("\n");
        let text = format_turn(
            &turn(
                None,
                vec![call(Some(&long)), call(None)],
                TurnStatus::Answered,
            ),
            OutputStyle::default(),
        );
        assert!(
            text.starts_with("spec attempt 1 turn 2  (answered; its tools may have run)\n"),
            "{text}"
        );
        assert!(
            text.contains("    7\n    (12 lines more; --json shows all)\n")
                && !text.contains("    8\n"),
            "{text}"
        );
        assert!(
            text.ends_with("  nobody knows whether it ran\n\n"),
            "{text}"
        );
    }
}
