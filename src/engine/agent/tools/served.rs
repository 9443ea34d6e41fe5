//! The worktree's files as agent programs ask for them: raw text, with the same confinement, limits
//! and permissions as the tools. What a person is told of such a call is a [`ToolReply`] like any other.

use std::sync::Arc;
use std::time::Instant;

use super::workspace::ToolWorkspace;
use super::{ToolError, ToolReply, Toolbox, cut, refusal};
use crate::model::error::{Code, Failure};
use crate::model::event::ToolOutcome;
use crate::model::time::whole_ms;

impl Toolbox {
    /// Whether a path lies in the worktree.
    ///
    /// # Errors
    /// `path_outside_worktree`.
    pub fn within(&self, path: &str) -> Result<(), Failure> {
        match self.bench.workspace.path(path) {
            Err(ToolError::Refused(failure)) => Err(failure),
            Ok(_) | Err(ToolError::Fault(_)) => Ok(()),
        }
    }

    /// Reads a text file from line `from` (from 1), at most `limit` lines, without any note in it.
    pub async fn serve_read(
        &self,
        path: &str,
        from: Option<u32>,
        limit: Option<u32>,
    ) -> (ToolReply, Option<String>) {
        let begun = Instant::now();
        let read = match self.permitted("read_file", false) {
            Ok(_) => {
                self.with_workspace(path, move |workspace, path| {
                    text_of(workspace, &path, from, limit)
                })
                .await
            }
            Err(trouble) => Err(trouble),
        };
        let (text, trouble) =
            read.map_or_else(|trouble| (None, Some(trouble)), |text| (Some(text), None));
        let result = text
            .as_ref()
            .map_or_else(String::new, |text| format!("read {} bytes", text.len()));
        (reply(path, begun, result, trouble), text)
    }

    /// Writes a whole text file.
    pub async fn serve_write(&self, path: &str, content: String) -> ToolReply {
        let begun = Instant::now();
        let bytes = content.len();
        let write = move |workspace: &ToolWorkspace, path: String| {
            let path = workspace.path(&path)?;
            workspace.write(&path, content.as_bytes())
        };
        let written = match self.permitted("write_file", false) {
            Ok(_) => self.with_workspace(path, write).await,
            Err(trouble) => Err(trouble),
        };
        let (result, trouble) = match written {
            Ok(replaced) => (
                format!(
                    "{}: {bytes} bytes",
                    if replaced { "replaced" } else { "made" }
                ),
                None,
            ),
            Err(trouble) => (String::new(), Some(trouble)),
        };
        reply(path, begun, result, trouble)
    }

    async fn with_workspace<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&ToolWorkspace, String) -> Result<T, ToolError> + Send + 'static,
    ) -> Result<T, ToolError> {
        let (bench, path) = (Arc::clone(&self.bench), path.to_owned());
        let done = tokio::task::spawn_blocking(move || work(&bench.workspace, path)).await;
        done.unwrap_or_else(|error| Err(ToolError::Fault(format!("the tool broke: {error}"))))
    }
}

fn text_of(
    workspace: &ToolWorkspace,
    path: &str,
    from: Option<u32>,
    limit: Option<u32>,
) -> Result<String, ToolError> {
    let path = workspace.path(path)?;
    let bytes = workspace.read(&path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| ToolError::Fault(format!("'{}' is no UTF-8 text", path.shown())))?;
    if from.is_none() && limit.is_none() {
        return Ok(text);
    }
    let skipped = from.unwrap_or(1).saturating_sub(1) as usize;
    let lines = text.split_inclusive('\n').skip(skipped);
    Ok(lines
        .take(limit.map_or(usize::MAX, |limit| limit as usize))
        .collect())
}

fn reply(path: &str, begun: Instant, result: String, trouble: Option<ToolError>) -> ToolReply {
    let target = path.chars().take(cut::MAX_TARGET_CHARS).collect();
    let duration_ms = whole_ms(begun.elapsed());
    let (outcome, denied, result) = match trouble {
        None => (ToolOutcome::Ok, None, result),
        Some(ToolError::Refused(failure)) => {
            (ToolOutcome::Error, Some(failure.clone()), refusal(&failure))
        }
        Some(ToolError::Fault(words)) => (ToolOutcome::Error, None, words),
    };
    ToolReply {
        target,
        outcome,
        denied,
        result,
        whole: None,
        duration_ms,
    }
}

/// Why a persona that may not use a tool is refused it, whoever asks in its name.
#[must_use]
pub fn not_permitted(persona: &str, tool: &str, what: &str) -> Failure {
    Failure::new(
        Code::ToolNotPermitted,
        format!(
            "persona '{persona}' may not use '{tool}': {}",
            what.escape_debug()
        ),
    )
    .hint(format!(
        "give it '{tool}' in `tools` with the permission `auto` if it should"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::persona::Persona;

    fn toolbox(tools: &[&str]) -> (tempfile::TempDir, Toolbox) {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "{{\"name\":\"ada\",\"version\":1,\"backend\":\"acp\",\"agent\":\"x\",\"tools\":{}}}",
            serde_json::json!(tools)
        );
        let persona: Persona = serde_json::from_str(&text).unwrap();
        let tools = Toolbox::new(
            dir.path(),
            &persona,
            crate::engine::sandbox::SandboxLauncher::current_program(),
        )
        .unwrap();
        (dir, tools)
    }

    #[tokio::test]
    async fn a_file_is_written_and_read_back_as_it_is_whole_or_in_part() {
        let (dir, tools) = toolbox(&["read_file", "write_file"]);
        let absolute = dir.path().join("out/a.txt");
        let reply = tools
            .serve_write(&absolute.to_string_lossy(), "one\r\ntwo\nthree".to_owned())
            .await;
        assert_eq!(
            (reply.outcome, reply.result.as_str()),
            (ToolOutcome::Ok, "made: 14 bytes")
        );
        assert_eq!(
            std::fs::read_to_string(absolute).unwrap(),
            "one\r\ntwo\nthree"
        );
        for (from, limit, expected) in [
            (None, None, "one\r\ntwo\nthree"),
            (Some(2), None, "two\nthree"),
            (Some(2), Some(1), "two\n"),
            (None, Some(0), ""),
            (Some(9), None, ""),
            (Some(0), Some(1), "one\r\n"),
        ] {
            assert_eq!(
                tools
                    .serve_read("out/a.txt", from, limit)
                    .await
                    .1
                    .as_deref(),
                Some(expected),
                "{from:?} {limit:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_lies_outside_or_is_not_given_is_refused() {
        let (dir, tools) = toolbox(&["read_file", "write_file"]);
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        for path in ["../x", "/etc/passwd", "link", ".git/config"] {
            let (reply, text) = tools.serve_read(path, None, None).await;
            assert_eq!(
                (reply.denied.map(|why| why.code), text),
                (Some(Code::PathOutsideWorktree), None),
                "{path}"
            );
            let reply = tools.serve_write(path, "x".to_owned()).await;
            assert_eq!(
                reply.denied.map(|why| why.code),
                Some(Code::PathOutsideWorktree),
                "{path}"
            );
        }
        let (missing, _) = tools.serve_read("nowhere", None, None).await;
        assert_eq!(
            (missing.outcome, missing.denied),
            (ToolOutcome::Error, None)
        );
        let (_dir, none) = toolbox(&[]);
        assert!(none.serve_read("a", None, None).await.1.is_none());
        assert_eq!(
            none.serve_write("a", String::new()).await.outcome,
            ToolOutcome::Error
        );
    }
}
