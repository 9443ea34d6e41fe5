//! `edit_file`: one text in a file replaced by another.

use serde_json::{Value, json};

use super::arguments::ToolArguments;
use super::read_file::text_of;
use super::{ToolContext, ToolError, ToolSpec};

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "edit_file",
    description: "Replaces a text in a file of the worktree. 'old_string' must stand there exactly (without the line numbers of read_file) \
                  and only once, unless 'replace_all' is true.",
    parameters,
    target: "file_path",
    read_only: false,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "file_path": {"type": "string", "description": "The file, relative to the worktree."},
            "old_string": {"type": "string", "minLength": 1, "description": "The text to replace, with its exact spaces and line ends."},
            "new_string": {"type": "string", "description": "What to put there."},
            "replace_all": {"type": "boolean", "description": "Replace every place where it stands; false when left out."}
        },
        "required": ["file_path", "old_string", "new_string"],
        "additionalProperties": false
    })
}

fn run(bench: &ToolContext, mut arguments: ToolArguments) -> Result<String, ToolError> {
    let path = arguments.text("file_path");
    let (old, new) = (arguments.text("old_string"), arguments.text("new_string"));
    let all = arguments.flag("replace_all");
    arguments.finish()?;
    let path = bench.workspace.path(&path)?;
    let text = text_of(bench.workspace.read(&path)?, &path.shown())?;
    let (edited, places) = edited(&text, &old, &new, all)
        .map_err(|words| ToolError::Fault(format!("'{}': {words}", path.shown())))?;
    bench.workspace.write(&path, edited.as_bytes())?;
    Ok(format!(
        "replaced {places} {} in '{}'",
        if places == 1 { "place" } else { "places" },
        path.shown()
    ))
}

fn edited(text: &str, old: &str, new: &str, all: bool) -> Result<(String, usize), String> {
    if old.is_empty() {
        return Err("'old_string' is empty; use write_file for a whole file".to_owned());
    }
    if old == new {
        return Err("'old_string' and 'new_string' are the same; nothing to do".to_owned());
    }
    match text.matches(old).count() {
        0 => Err(
            "'old_string' does not stand there; read the file again and copy the text exactly"
                .to_owned(),
        ),
        places if places > 1 && !all => Err(format!(
            "'old_string' stands there {places} times; take in more lines around it, or set 'replace_all'"
        )),
        places => Ok((text.replace(old, new), places)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_needs_one_place_or_leave_for_all() {
        let text = "a b a";
        assert_eq!(edited(text, "b", "c", false), Ok(("a c a".to_owned(), 1)));
        assert_eq!(edited(text, "a", "c", true), Ok(("c b c".to_owned(), 2)));
        for (old, new, part) in [
            ("a", "c", "stands there 2 times"),
            ("x", "c", "does not stand there"),
            ("", "c", "is empty"),
            ("a", "a", "are the same"),
        ] {
            assert!(
                edited(text, old, new, false).unwrap_err().contains(part),
                "{part}"
            );
        }
    }
}
