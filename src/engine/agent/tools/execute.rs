//! `execute`: a command in the worktree, confined as the kernel allows.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::arguments::ToolArguments;
use super::{ToolContext, ToolError, ToolResponse, ToolSpec, Toolbox, target_of};
use crate::engine::sandbox::{CommandExit, CommandLimits, CommandResult};

const DEFAULT_SECONDS: usize = 120;
const MOST_SECONDS: usize = 600;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "execute",
    description: "Runs a command by /bin/sh in the worktree and gives its exit code and what it printed. It has no terminal, no input and no \
                  network, and may write only the worktree and $TMPDIR. Everything it began has ended when it returns.",
    parameters,
    target: "command",
    read_only: false,
    run,
};

fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": {
            "command": {"type": "string", "description": "The command, at most 16 KiB."},
            "timeout": {"type": "integer", "minimum": 1, "maximum": MOST_SECONDS,
                        "description": "How many seconds it may take; 120 unless said."}
        },
        "required": ["command"],
        "additionalProperties": false
    })
}

fn run(_: &ToolContext, _: ToolArguments) -> Result<String, ToolError> {
    Err(ToolError::Fault(
        "a command is run apart from the file tools".to_owned(),
    ))
}

/// The command and how long it may take.
pub(super) fn read(mut arguments: ToolArguments) -> Result<(String, Duration), ToolError> {
    let (command, seconds) = (
        arguments.text("command"),
        arguments
            .optional_count("timeout")
            .unwrap_or(DEFAULT_SECONDS),
    );
    if command.trim().is_empty() {
        arguments.mistake("'command' is empty".to_owned());
    }
    if !(1..=MOST_SECONDS).contains(&seconds) {
        arguments.mistake(format!(
            "'timeout' must be from 1 to {MOST_SECONDS} seconds"
        ));
    }
    arguments.finish()?;
    Ok((command, Duration::from_secs(seconds as u64)))
}

impl Toolbox {
    pub(super) async fn execute(&self, arguments: &str, stop: &CancellationToken) -> ToolResponse {
        let arguments = match ToolArguments::parse(arguments) {
            Ok(arguments) => arguments,
            Err(trouble) => return ToolResponse::of(String::new(), Err(trouble)),
        };
        let target = target_of(&TOOL, &arguments);
        let (command, time) = match read(arguments) {
            Ok(read) => read,
            Err(trouble) => return ToolResponse::of(target, Err(trouble)),
        };
        match self.ran(&command, time, stop).await {
            Ok(mut ran) => ToolResponse {
                target,
                whole: ran.whole.take(),
                said: said(&ran, time),
            },
            Err(trouble) => ToolResponse::of(target, Err(trouble)),
        }
    }

    async fn ran(
        &self,
        command: &str,
        time: Duration,
        stop: &CancellationToken,
    ) -> Result<CommandResult, ToolError> {
        let temp = match self.bench.temp.get() {
            Some(temp) => temp,
            None => {
                let made = tempfile::Builder::new().prefix("phasedeck-").tempdir();
                let made = made.map_err(|error| {
                    ToolError::Fault(format!("no folder for temporary files: {error}"))
                })?;
                self.bench.workspace.count_also(made.path());
                self.bench.temp.get_or_init(|| made)
            }
        };
        let bounds = CommandLimits {
            worktree: self.bench.workspace.folder(),
            temp: temp.path(),
            time,
        };
        let ran = self.launcher.run(command, bounds, stop).await;
        ran.map_err(|failure| ToolError::Fault(format!("{}; {}", failure.message, failure.hint)))
    }
}

fn said(ran: &CommandResult, time: Duration) -> Result<String, ToolError> {
    let verdict = match ran.finish {
        CommandExit::Exit(0) => return Ok(format!("exit code 0\n{}", ran.printed)),
        CommandExit::Exit(code) => format!("exit code {code}"),
        CommandExit::TimedOut => format!(
            "ended after its {} seconds; everything it began was ended too",
            time.as_secs()
        ),
        CommandExit::Flooded => "ended because it printed more than 16 MiB".to_owned(),
        CommandExit::Stopped => "ended because the work was stopped".to_owned(),
    };
    Err(ToolError::Fault(format!("{verdict}\n{}", ran.printed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_and_its_time_are_read_and_every_mistake_is_said() {
        let of = |text: &str| match read(ToolArguments::parse(text).unwrap()) {
            Ok((command, time)) => format!("{command} {}", time.as_secs()),
            Err(ToolError::Fault(words)) => words,
            Err(ToolError::Refused(failure)) => failure.message,
        };
        assert_eq!(of(r#"{"command":"make"}"#), "make 120");
        assert_eq!(of(r#"{"command":"make","timeout":600}"#), "make 600");
        assert_eq!(
            of(r#"{"command":" ","timeout":601}"#),
            "bad arguments: 'command' is empty; 'timeout' must be from 1 to 600 seconds"
        );
        assert_eq!(
            of(r#"{"timeout":0}"#),
            "bad arguments: 'command' is missing; 'command' is empty; 'timeout' must be from 1 to 600 seconds"
        );
    }
}
