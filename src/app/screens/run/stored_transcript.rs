//! What the agent of an attempt said and did, from its stored turns.
//!
//! A tool call is one line that says what it was told and what came of it; everything else about it is
//! marked as a detail of that line, so that a pane can fold it.

use crate::app::text::document::{LineKind, TextDocument};
use crate::engine::api::TranscriptKind;
use crate::model::record::{ToolRecord, TurnRecord, TurnStatus};
use serde_json::Value;

/// Characters of one argument in the line of a call.
const ARGUMENT: usize = 60;

/// What is said of a turn in place of its answer, until that begins.
pub const ON_ITS_WAY: &str = "sent, the answer is on its way";

/// What stands before the details of a call.
const INDENT: &str = "   ";

/// A turn, and what an agent program said in it piece by piece.
pub type StoredTurn = (TurnRecord, Vec<(TranscriptKind, String)>);

/// The turns as a text: words, reasoning, tool calls with what they came to. `at_work`: what is not
/// answered may still be.
#[must_use]
pub fn document(turns: &[StoredTurn], at_work: bool) -> TextDocument {
    let mut doc = TextDocument::default();
    for (turn, pieces) in turns {
        if !doc.lines.is_empty() {
            doc.push(LineKind::Plain, "");
        }
        doc.push(LineKind::Heading, &turn.title());
        push_turn(&mut doc, turn, pieces, at_work);
    }
    if doc.lines.is_empty() {
        doc.push(
            LineKind::Note,
            "no turn of this attempt is stored: nobody was asked, or a rehearsal played it",
        );
    }
    doc
}

fn push_turn(
    doc: &mut TextDocument,
    turn: &TurnRecord,
    pieces: &[(TranscriptKind, String)],
    at_work: bool,
) {
    match &turn.answer {
        _ if !pieces.is_empty() => push_pieces(doc, pieces),
        Some(answer) => push_answer(doc, answer),
        None if turn.status == TurnStatus::Reserved && at_work => {
            doc.push(LineKind::Note, ON_ITS_WAY)
        }
        None if turn.status == TurnStatus::Reserved => {
            doc.push(LineKind::Note, "sent, not answered")
        }
        None => doc.push(LineKind::Note, "no answer is stored"),
    }
    turn.tools
        .iter()
        .for_each(|tool| push_call(doc, tool, at_work));
}

/// What an agent program said, in its order.
fn push_pieces(doc: &mut TextDocument, pieces: &[(TranscriptKind, String)]) {
    for (kind, text) in pieces {
        match kind {
            TranscriptKind::Answer => doc.push_all(LineKind::Plain, text),
            TranscriptKind::Reasoning => doc.push_all(LineKind::Note, text),
            TranscriptKind::Tool => {
                doc.push(LineKind::Call, &format!("> {}", text.replace('\n', " ")))
            }
        }
    }
}

fn push_call(doc: &mut TextDocument, tool: &ToolRecord, at_work: bool) {
    let told = describe_arguments(&tool.arguments);
    let came = match &tool.result {
        Some(result) => describe_result(result),
        None if at_work => "no result yet".to_owned(),
        None => "nobody knows whether it ran".to_owned(),
    };
    doc.push(LineKind::Call, &format!("> {}{told} -> {came}", tool.tool));
    let from = doc.lines.len();
    doc.lines
        .extend(TextDocument::from_content("arguments.json", tool.arguments.as_bytes()).lines);
    if let Some(result) = &tool.result {
        doc.push(LineKind::Note, "-> answered");
        doc.push_all(LineKind::Plain, result);
    }
    for line in &mut doc.lines[from..] {
        line.text.insert_str(0, INDENT);
        line.detail = true;
    }
}

/// What a call was told, in one line: short arguments as they are, of long ones how long.
fn describe_arguments(arguments: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(arguments) else {
        return if arguments.trim().is_empty() {
            String::new()
        } else {
            format!("  {}", short(arguments))
        };
    };
    let told = fields.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {}", short(text)),
        other => format!("{name}: {}", short(&other.to_string())),
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        String::new()
    } else {
        format!("  {}", told.join(", "))
    }
}

fn short(text: &str) -> String {
    let count = text.chars().count();
    if count > ARGUMENT || text.contains('\n') {
        return format!(
            "{} characters",
            crate::model::money::grouped(u64::try_from(count).unwrap_or(u64::MAX))
        );
    }
    text.to_owned()
}

/// What came of a call, in a few words.
fn describe_result(result: &str) -> String {
    let mut lines = result.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), lines.count()) {
        (None, _) => "nothing said".to_owned(),
        (Some(line), 0) if line.chars().count() <= ARGUMENT => line.trim().to_owned(),
        (Some(_), 0) => "1 line".to_owned(),
        (Some(_), more) => format!("{} lines", more + 1),
    }
}

/// Backends store answers as JSON of their own; its words are told as words.
fn push_answer(doc: &mut TextDocument, answer: &str) {
    let Ok(Value::Object(fields)) = serde_json::from_str(answer) else {
        return doc.push_all(LineKind::Plain, answer);
    };
    for (ink, names) in [
        (LineKind::Note, ["reasoning", "reasoning_content"]),
        (LineKind::Plain, ["text", "content"]),
    ] {
        let words = names
            .iter()
            .find_map(|name| fields.get(*name))
            .and_then(Value::as_str)
            .filter(|words| !words.is_empty());
        if let Some(words) = words {
            doc.push_all(ink, words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn tool(arguments: &str, result: Option<&str>) -> ToolRecord {
        ToolRecord {
            call_id: "c".to_owned(),
            tool: "read_file".to_owned(),
            arguments: arguments.to_owned(),
            result: result.map(str::to_owned),
            redo: false,
        }
    }

    fn turn(answer: Option<&str>, tools: Vec<ToolRecord>) -> TurnRecord {
        TurnRecord {
            id: crate::model::id::TurnId(uuid::Uuid::from_u128(1)),
            phase_key: "spec".into(),
            attempt: 1,
            number: 1,
            stretch: 0,
            status: if answer.is_some() {
                TurnStatus::Settled
            } else {
                TurnStatus::Reserved
            },
            answer: answer.map(str::to_owned),
            tools,
            conversation: String::new(),
            held_at: None,
            at: Timestamp(0),
        }
    }

    #[test]
    fn words_come_before_the_tools_and_details_belong_to_the_line_of_their_call() {
        let tools = vec![
            tool("{\"path\":\"a\u{202e}\"}", Some("it\nis")),
            tool("{}", None),
        ];
        let doc = document(
            &[(
                turn(Some(r#"{"text":"first\nlook","reasoning":"hm"}"#), tools),
                Vec::new(),
            )],
            false,
        );
        let lines: Vec<(&str, bool)> = doc
            .lines
            .iter()
            .map(|line| (line.text.as_str(), line.detail))
            .collect();
        assert_eq!(
            lines,
            [
                ("turn 1", false),
                ("hm", false),
                ("first", false),
                ("look", false),
                ("> read_file  path: a<RLO> -> 2 lines", false),
                ("   {", true),
                ("     \"path\": \"a<RLO>\"", true),
                ("   }", true),
                ("   -> answered", true),
                ("   it", true),
                ("   is", true),
                ("> read_file -> nobody knows whether it ran", false),
                ("   {}", true),
            ]
        );
        assert!(document(&[], false).lines[0].text.starts_with("no turn"));
    }

    #[test]
    fn a_call_is_told_in_one_line_whatever_it_was_told_and_came_to() {
        let cases = [
            (
                r#"{"file_path":"a.rs","limit":3}"#,
                Some("ok"),
                "> read_file  file_path: a.rs, limit: 3 -> ok",
            ),
            (
                r#"{"content":"a\nb"}"#,
                Some(""),
                "> read_file  content: 3 characters -> nothing said",
            ),
            (
                "no json",
                Some("a\n\nb\n"),
                "> read_file  no json -> 2 lines",
            ),
            ("", None, "> read_file -> no result yet"),
        ];
        for (arguments, result, expected) in cases {
            let doc = document(
                &[(turn(Some("{}"), vec![tool(arguments, result)]), Vec::new())],
                true,
            );
            assert_eq!(doc.lines[1].text, expected);
        }
    }

    #[test]
    fn what_an_agent_program_said_is_told_piece_by_piece() {
        let pieces = vec![
            (TranscriptKind::Reasoning, "hm".to_owned()),
            (TranscriptKind::Tool, "edit\na".to_owned()),
            (TranscriptKind::Answer, "done".to_owned()),
        ];
        let doc = document(&[(turn(None, Vec::new()), pieces)], true);
        let lines: Vec<(&str, LineKind)> = doc
            .lines
            .iter()
            .map(|line| (line.text.as_str(), line.ink))
            .collect();
        assert_eq!(
            lines,
            [
                ("turn 1", LineKind::Heading),
                ("hm", LineKind::Note),
                ("> edit a", LineKind::Call),
                ("done", LineKind::Plain)
            ]
        );
        let waits = document(&[(turn(None, Vec::new()), Vec::new())], true);
        assert_eq!(waits.lines[1].text, "sent, the answer is on its way");
    }
}
