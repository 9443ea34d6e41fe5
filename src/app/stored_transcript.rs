//! What the agent of an attempt said and did, from its stored turns.

use serde_json::Value;

use super::document::{Document, Ink};
use crate::model::record::{TurnRecord, TurnStatus};

/// The turns as a text: words, reasoning, tool calls with what they came to.
#[must_use]
pub fn document(turns: &[TurnRecord]) -> Document {
    let mut doc = Document::default();
    for turn in turns {
        if !doc.lines.is_empty() {
            doc.push(Ink::Plain, "");
        }
        doc.push(Ink::Heading, &turn.title());
        push_turn(&mut doc, turn);
    }
    if doc.lines.is_empty() {
        doc.push(Ink::Note, "no turn of this attempt is stored: nobody was asked, or a rehearsal played it");
    }
    doc
}

fn push_turn(doc: &mut Document, turn: &TurnRecord) {
    match &turn.answer {
        Some(answer) => push_answer(doc, answer),
        None if turn.status == TurnStatus::Reserved => doc.push(Ink::Note, "sent, not answered"),
        None => doc.push(Ink::Note, "no answer is stored"),
    }
    for tool in &turn.tools {
        doc.push(Ink::Note, &format!("> {}", tool.tool));
        doc.lines.extend(Document::of_content("arguments.json", tool.arguments.as_bytes()).lines);
        match &tool.result {
            Some(result) => {
                doc.push(Ink::Note, "< answered");
                result.lines().for_each(|line| doc.push(Ink::Plain, &format!("  {line}")));
            }
            None => doc.push(Ink::Error, "< nobody knows whether it ran"),
        }
    }
}

/// Backends store answers as JSON of their own; its words are told as words.
fn push_answer(doc: &mut Document, answer: &str) {
    let Ok(Value::Object(fields)) = serde_json::from_str(answer) else { return doc.push_all(Ink::Plain, answer) };
    for (ink, names) in [(Ink::Note, ["reasoning", "reasoning_content"]), (Ink::Plain, ["text", "content"])] {
        let words = names.iter().find_map(|name| fields.get(*name)).and_then(Value::as_str).filter(|words| !words.is_empty());
        if let Some(words) = words {
            doc.push_all(ink, words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::ToolRecord;
    use crate::model::time::Timestamp;

    #[test]
    fn words_come_before_the_tools_and_an_unknown_end_is_said() {
        let tool = |result: Option<&str>| ToolRecord {
            call_id: "c".to_owned(),
            tool: "read_file".to_owned(),
            arguments: "{\"path\":\"a\u{1b}\"}".to_owned(),
            result: result.map(str::to_owned),
            redo: false,
        };
        let turn = TurnRecord {
            id: crate::model::id::TurnId(uuid::Uuid::from_u128(1)),
            phase_key: "spec".into(),
            attempt: 1,
            number: 1,
            stretch: 0,
            status: TurnStatus::Settled,
            answer: Some(r#"{"text":"first\nlook","reasoning":"hm"}"#.to_owned()),
            tools: vec![tool(Some("it\nis")), tool(None)],
            conversation: String::new(),
            held_at: None,
            at: Timestamp(0),
        };
        let doc = document(&[turn]);
        let lines: Vec<&str> = doc.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            lines,
            [
                "turn 1",
                "hm",
                "first",
                "look",
                "> read_file",
                "{\"path\":\"a␛\"}",
                "< answered",
                "  it",
                "  is",
                "> read_file",
                "{\"path\":\"a␛\"}",
                "< nobody knows whether it ran"
            ]
        );
        assert!(document(&[]).lines[0].text.starts_with("no turn"));
    }
}
