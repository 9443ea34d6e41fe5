//! Command output: results go to stdout, everything else to stderr.
//!
//! If the reader closes the pipe, the command exits without an error message
//! ([`Stop::PipeClosed`]). Callers sanitize untrusted text before they pass it in.

use std::io::{self, ErrorKind, IsTerminal, Write};

use super::style::{OutputStyle, TextTone};
use crate::cli::exit::ExitStatus;
use crate::model::error::{Code, ErrorClass, Failure, SourcePlace};
use crate::model::safe_text::{safe_json, safe_line};
use crate::model::terminal::is_colourless;
use schemars::JsonSchema;
use serde::Serialize;

/// Tells the operator on stderr of something that did not stop the command.
pub fn warn(words: &str) {
    write_stderr(&format!("warning: {}\n", safe_line(words)));
}

/// Why a command ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// Something is wrong; all of it.
    Failed(Vec<Failure>),
    /// Nobody reads our output any more.
    PipeClosed,
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        Self::Failed(vec![failure])
    }
}

impl From<Vec<Failure>> for CommandError {
    fn from(failures: Vec<Failure>) -> Self {
        Self::Failed(failures)
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Failure::io("cannot write the output", &error).into(),
        }
    }
}

/// What a command ends with.
pub type CommandOutcome = Result<ExitStatus, CommandError>;

/// The two outputs and how they are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandOutput {
    /// How results are drawn.
    pub style: OutputStyle,
    /// How everything else is drawn.
    pub aside: OutputStyle,
    /// Whether errors are JSON too.
    pub json: bool,
}

impl CommandOutput {
    /// The outputs of this process.
    #[must_use]
    pub fn from_process(ascii: bool, no_color: bool, json: bool) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let colorless = no_color
            || variable("NO_COLOR").is_some()
            || variable("TERM").is_some_and(|term| term.to_str().is_some_and(is_colourless));
        let style = |terminal: bool| OutputStyle {
            color: terminal && !colorless,
            ascii,
        };
        Self {
            style: style(io::stdout().is_terminal()),
            aside: style(io::stderr().is_terminal()),
            json,
        }
    }

    /// Writes text to stdout as it is.
    ///
    /// # Errors
    /// `PipeClosed`, or `io_failed`.
    pub fn print(&self, text: &str) -> Result<(), CommandError> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes to stdout as they are.
    ///
    /// # Errors
    /// `PipeClosed`, or `io_failed`.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Writes one JSON document of several lines to stdout.
    ///
    /// # Errors
    /// `PipeClosed`, or `io_failed`.
    pub fn document(&self, value: &(impl Serialize + JsonSchema)) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(value).map_err(Failure::internal)?;
        self.print(&(safe_json(&text) + "\n"))
    }

    /// Writes one JSON object on one line to stdout.
    ///
    /// # Errors
    /// `PipeClosed`, or `io_failed`.
    pub fn object(&self, value: &(impl Serialize + JsonSchema)) -> Result<(), CommandError> {
        let text = serde_json::to_string(value).map_err(Failure::internal)?;
        self.print(&(safe_json(&text) + "\n"))
    }

    /// Writes a line to stderr. Where nobody reads it, it is lost.
    pub fn note(&self, line: &str) {
        write_stderr(&format!("{line}\n"));
    }

    /// Writes errors to stderr, for people or as JSON objects.
    pub fn failures(&self, failures: &[Failure]) {
        let words = |failure: &Failure| {
            if self.json {
                failure_to_json(failure) + "\n"
            } else {
                format_failure(failure, self.aside)
            }
        };
        write_stderr(&failures.iter().map(words).collect::<String>());
    }
}

fn write_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(
        stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush()),
    );
}

/// An error for people: what is wrong, where, what to do next.
#[must_use]
pub fn format_failure(failure: &Failure, style: OutputStyle) -> String {
    let mut text = format!(
        "{} {} [{}]\n",
        style.paint(TextTone::Failed, "error:"),
        indented(&failure.message, 7),
        failure.code
    );
    if let Some(place) = &failure.place {
        text.push_str(&format!("  at {}\n", safe_line(&place.to_string())));
    }
    if !failure.hint.is_empty() {
        text.push_str(&format!(
            "  {} {}\n",
            style.paint(TextTone::Strong, "hint:"),
            indented(&failure.hint, 8)
        ));
    }
    text
}

/// Several problems told as one stand on lines of their own. The margin keeps a line of foreign text
/// from looking like one of ours.
fn indented(words: &str, margin: usize) -> String {
    let lines: Vec<String> = words.lines().map(safe_line).collect();
    lines.join(&format!("\n{:margin$}", ""))
}

/// An error, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErrorObject")]
pub struct JsonError<'a> {
    /// The error.
    error: JsonErrorBody<'a>,
}

/// What an error says.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErrorBody")]
struct JsonErrorBody<'a> {
    /// The stable code.
    code: Code,
    /// What kind of help it needs.
    class: ErrorClass,
    /// What is true now, naming the thing.
    message: &'a str,
    /// What to do next; empty only where nothing can be done.
    hint: &'a str,
    /// Where, when it lies in a file; else null.
    place: Option<&'a SourcePlace>,
}

/// An error as one JSON object on one line.
#[must_use]
pub fn failure_to_json(failure: &Failure) -> String {
    let error = JsonErrorBody {
        code: failure.code,
        class: failure.class(),
        message: &failure.message,
        hint: &failure.hint,
        place: failure.place.as_ref(),
    };
    serde_json::to_string(&JsonError { error })
        .map_or_else(|_| failure.to_string(), |text| safe_json(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Code;

    fn failure() -> Failure {
        let place = SourcePlace {
            file: "flow.yaml".to_owned(),
            line: Some(3),
            column: Some(7),
            field: Some("phases[0].role".to_owned()),
        };
        Failure::new(Code::WorkflowInvalid, "no role '\u{1b}[31mdev'")
            .hint("did you mean 'developer'?")
            .at(place)
    }

    #[test]
    fn an_error_says_what_where_and_what_next() {
        assert_eq!(
            format_failure(&failure(), OutputStyle::default()),
            "error: no role '␛[31mdev' [workflow_invalid]\n  at flow.yaml:3:7 (phases[0].role)\n  hint: did you mean 'developer'?\n"
        );
    }

    #[test]
    fn an_error_is_one_json_object_on_one_line() {
        assert_eq!(
            failure_to_json(&failure()),
            "{\"error\":{\"code\":\"workflow_invalid\",\"class\":\"human_required\",\"message\":\"no role '\\u001b[31mdev'\",\
             \"hint\":\"did you mean 'developer'?\",\
             \"place\":{\"file\":\"flow.yaml\",\"line\":3,\"column\":7,\"field\":\"phases[0].role\"}}}"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_error_to_talk_about() {
        assert_eq!(
            CommandError::from(io::Error::from(ErrorKind::BrokenPipe)),
            CommandError::PipeClosed
        );
        assert!(matches!(
            CommandError::from(io::Error::from(ErrorKind::PermissionDenied)),
            CommandError::Failed(_)
        ));
    }
}
