//! `execute`: a command in the worktree, confined as the kernel allows.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::arguments::Arguments;
use super::{Bench, Told, Tool, Toolbox, Trouble, target_of};
use crate::engine::confine::{Bounds, Finish, Ran};

const DEFAULT_SECONDS: usize = 120;
const MOST_SECONDS: usize = 600;

pub(super) const TOOL: Tool = Tool {
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

fn run(_: &Bench, _: Arguments) -> Result<String, Trouble> {
    Err(Trouble::Fault(
        "a command is run apart from the file tools".to_owned(),
    ))
}

/// The command and how long it may take.
pub(super) fn read(mut arguments: Arguments) -> Result<(String, Duration), Trouble> {
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
    pub(super) async fn execute(&self, arguments: &str, stop: &CancellationToken) -> Told {
        let arguments = match Arguments::parse(arguments) {
            Ok(arguments) => arguments,
            Err(trouble) => return Told::of(String::new(), Err(trouble)),
        };
        let target = target_of(&TOOL, &arguments);
        let (command, time) = match read(arguments) {
            Ok(read) => read,
            Err(trouble) => return Told::of(target, Err(trouble)),
        };
        match self.ran(&command, time, stop).await {
            Ok(mut ran) => Told {
                target,
                whole: ran.whole.take(),
                said: said(&ran, time),
            },
            Err(trouble) => Told::of(target, Err(trouble)),
        }
    }

    async fn ran(
        &self,
        command: &str,
        time: Duration,
        stop: &CancellationToken,
    ) -> Result<Ran, Trouble> {
        let temp = match self.bench.temp.get() {
            Some(temp) => temp,
            None => {
                let made = tempfile::Builder::new().prefix("phasedeck-").tempdir();
                let made = made.map_err(|error| {
                    Trouble::Fault(format!("no folder for temporary files: {error}"))
                })?;
                self.bench.workspace.count_also(made.path());
                self.bench.temp.get_or_init(|| made)
            }
        };
        let bounds = Bounds {
            worktree: self.bench.workspace.folder(),
            temp: temp.path(),
            time,
        };
        let ran = self.launcher.run(command, bounds, stop).await;
        ran.map_err(|failure| Trouble::Fault(format!("{}; {}", failure.message, failure.hint)))
    }
}

fn said(ran: &Ran, time: Duration) -> Result<String, Trouble> {
    let verdict = match ran.finish {
        Finish::Exit(0) => return Ok(format!("exit code 0\n{}", ran.printed)),
        Finish::Exit(code) => format!("exit code {code}"),
        Finish::TimedOut => format!(
            "ended after its {} seconds; everything it began was ended too",
            time.as_secs()
        ),
        Finish::Flooded => "ended because it printed more than 16 MiB".to_owned(),
        Finish::Stopped => "ended because the work was stopped".to_owned(),
    };
    Err(Trouble::Fault(format!("{verdict}\n{}", ran.printed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_and_its_time_are_read_and_every_mistake_is_said() {
        let of = |text: &str| match read(Arguments::parse(text).unwrap()) {
            Ok((command, time)) => format!("{command} {}", time.as_secs()),
            Err(Trouble::Fault(words)) => words,
            Err(Trouble::Refused(failure)) => failure.message,
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
