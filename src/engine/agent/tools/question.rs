//! What the operator is shown before a tool that needs their word: exactly what it would do.

use similar::TextDiff;

use super::arguments::ToolArguments;
use super::{Toolbox, edit_file, execute, target_of, task, write_file};
use crate::model::persona::ToolPermission;
use crate::model::question::ToolQuestion;

/// The longest thing that is shown, in bytes; more could not be reviewed.
const MAX_DETAIL_BYTES: usize = 256 * 1024;

impl Toolbox {
    /// What to ask before `tool` is run; absent when nothing has to be asked: it needs no word, or it
    /// would only be told what is wrong with its arguments.
    #[must_use]
    pub fn question(&self, call: &str, name: &str, arguments: &str) -> Option<ToolQuestion> {
        if self.on_shelf(name) == Some(ToolPermission::Ask) {
            let value = serde_json::from_str::<serde_json::Value>(arguments).ok()?;
            let (target, detail) = (
                self.target(name, arguments),
                cut(serde_json::to_string_pretty(&value).ok()?),
            );
            return Some(ToolQuestion {
                call: call.to_owned(),
                tool: name.to_owned(),
                target,
                detail,
            });
        }
        let (tool, _) = self
            .offered
            .iter()
            .find(|(tool, permission)| tool.name == name && *permission == ToolPermission::Ask)?;
        let parsed = ToolArguments::parse(arguments).ok()?;
        let target = target_of(tool, &parsed);
        let detail = match name {
            _ if name == execute::TOOL.name => execute::read(parsed)
                .ok()
                .map(|(command, time)| format!("{command}\n\n(at most {} s)", time.as_secs()))?,
            _ if name == task::TOOL.name => task::read(arguments).ok()?.0,
            _ if name == write_file::TOOL.name => {
                let content = parsed.peek("content")?.to_owned();
                self.diff(&target, |_| Some(content))?
            }
            _ if name == edit_file::TOOL.name => {
                let (old, new) = (
                    parsed.peek("old_string")?.to_owned(),
                    parsed.peek("new_string")?.to_owned(),
                );
                self.diff(&target, |before| Some(before.replace(&old, &new)))?
            }
            _ => serde_json::from_str::<serde_json::Value>(arguments)
                .ok()
                .and_then(|value| serde_json::to_string_pretty(&value).ok())?,
        };
        Some(ToolQuestion {
            call: call.to_owned(),
            tool: name.to_owned(),
            target,
            detail: cut(detail),
        })
    }

    /// A change of a file as a diff; absent when the tool would refuse the path anyway.
    fn diff(&self, target: &str, change: impl FnOnce(&str) -> Option<String>) -> Option<String> {
        let path = self.bench.workspace.path(target).ok()?;
        let before = self
            .bench
            .workspace
            .read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let after = change(&before)?;
        let (shown, diff) = (path.shown(), TextDiff::from_lines(&before, &after));
        let old = if before.is_empty() {
            "/dev/null"
        } else {
            shown.as_str()
        };
        Some(
            diff.unified_diff()
                .context_radius(3)
                .header(old, &shown)
                .to_string(),
        )
    }
}

fn cut(detail: String) -> String {
    if detail.len() <= MAX_DETAIL_BYTES {
        return detail;
    }
    let end = detail.floor_char_boundary(MAX_DETAIL_BYTES);
    format!(
        "{}\n[... {} more bytes that are not shown ...]",
        &detail[..end],
        detail.len() - end
    )
}
