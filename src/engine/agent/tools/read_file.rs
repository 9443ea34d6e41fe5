//! `read_file`: a part of a text file, with line numbers.

use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::{ToolContext, ToolError, ToolSpec, cut};

const DEFAULT_LINES: usize = 2_000;
const MAX_LINE_CHARS: usize = 2_000;
/// Below the limit of any result, so that what is cut is the end of the part, and said with its line.
const MAX_BYTES: usize = 30 * 1024;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "read_file",
    description: "Reads a text file of the worktree. Each line comes with its number and a tab before it, which are no part of the file. \
                  Long files come in parts: go on with the offset that the note at the end names.",
    parameters,
    target: "file_path",
    read_only: true,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "file_path": {"type": "string", "description": "The file, relative to the worktree."},
            "offset": {"type": "integer", "minimum": 0, "description": "How many lines to pass by first; 0 when left out."},
            "limit": {"type": "integer", "minimum": 1, "description": "How many lines to read; 2000 when left out."}
        },
        "required": ["file_path"],
        "additionalProperties": false
    })
}

fn run(bench: &ToolContext, mut arguments: ToolArguments) -> Result<String, ToolError> {
    let path = arguments.text("file_path");
    let offset = arguments.optional_count("offset").unwrap_or(0);
    let limit = arguments.optional_count("limit").unwrap_or(DEFAULT_LINES);
    if limit == 0 {
        arguments.mistake("'limit' must be at least 1".to_owned());
    }
    arguments.finish()?;
    let path = bench.workspace.path(&path)?;
    let text = text_of(bench.workspace.read(&path)?, &path.shown())?;
    numbered(&text, offset, limit)
}

/// File content as text.
pub(super) fn text_of(bytes: Vec<u8>, shown: &str) -> Result<String, ToolError> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ToolError::Fault(format!(
            "'{shown}' is no UTF-8 text (byte {at}); the tools handle text files only"
        ))
    })
}

fn numbered(text: &str, offset: usize, limit: usize) -> Result<String, ToolError> {
    let total = text.lines().count();
    if total == 0 {
        return Ok("(the file is empty)".to_owned());
    }
    if offset >= total {
        return Err(ToolError::Fault(format!(
            "'offset' is {offset}, but the file has {total} lines"
        )));
    }
    let (mut shown, mut last) = (String::new(), offset);
    for (index, line) in text.lines().enumerate().skip(offset).take(limit) {
        let line = format!("{:>6}\t{}\n", index + 1, cut::line(line, MAX_LINE_CHARS));
        if shown.len() + line.len() > MAX_BYTES && last > offset {
            break;
        }
        shown.push_str(&line);
        last = index + 1;
    }
    if offset > 0 || last < total {
        shown.push_str(&format!("[lines {} to {last} of {total}", offset + 1));
        shown.push_str(&if last < total {
            format!("; go on with offset {last}]\n")
        } else {
            "]\n".to_owned()
        });
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_the_note_names_the_next_offset() {
        let text = "one\ntwo\r\nthree";
        assert_eq!(
            numbered(text, 0, 10).unwrap(),
            "     1\tone\n     2\ttwo\n     3\tthree\n"
        );
        assert_eq!(
            numbered(text, 1, 1).unwrap(),
            "     2\ttwo\n[lines 2 to 2 of 3; go on with offset 2]\n"
        );
        assert_eq!(
            numbered(text, 2, 5).unwrap(),
            "     3\tthree\n[lines 3 to 3 of 3]\n"
        );
        assert_eq!(numbered("", 0, 5).unwrap(), "(the file is empty)");
        assert!(
            matches!(numbered(text, 3, 5), Err(ToolError::Fault(words)) if words == "'offset' is 3, but the file has 3 lines")
        );
    }

    #[test]
    fn a_large_part_ends_at_a_line_and_long_lines_are_cut() {
        let text = format!("{}\n", "x".repeat(1_000)).repeat(100);
        let shown = numbered(&text, 0, 2_000).unwrap();
        assert!(
            shown.ends_with("[lines 1 to 30 of 100; go on with offset 30]\n"),
            "{}",
            &shown[shown.len() - 60..]
        );
        let shown = numbered(&"y".repeat(2_010), 0, 1).unwrap();
        assert!(shown.ends_with("y [... 10 characters cut]\n"));
    }
}
