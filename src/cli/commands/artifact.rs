//! `phasedeck artifact`: prints a stored artifact version byte for byte, or its differences from
//! the previous version.

use std::io::IsTerminal;

use super::transcript::no_such_phase;
use crate::cli::args;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::{CommandError, CommandOutcome};
use crate::cli::output::style::{OutputStyle, TextTone};
use crate::model::error::{Code, Failure, Result};
use crate::model::record::ArtifactRecord;
use crate::model::safe_text::{safe_block, safe_line};
use schemars::JsonSchema;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// A version with its content, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Whole")]
pub struct ArtifactDocument<'a> {
    #[serde(flatten)]
    record: &'a ArtifactRecord,
    /// The whole content as text; bytes that are no UTF-8 are replaced.
    content: String,
}

/// Prints an artifact. A pipe gets its exact bytes, a terminal what is safe to show.
///
/// # Errors
/// `run_not_found`; `usage_invalid` for a phase or a version that is not there.
pub fn artifact(setup: &CommandContext, args: &args::ArtifactArgs) -> CommandOutcome {
    let (archive, run) = setup.find(&args.run)?;
    let phases = archive.phases(run)?;
    if phases
        .iter()
        .all(|phase| phase.phase_key.as_str() != args.phase)
    {
        return Err(no_such_phase(
            run,
            &args.phase,
            phases.iter().map(|phase| phase.phase_key.as_str()),
        )
        .into());
    }
    let versions: Vec<ArtifactRecord> = archive
        .artifacts(run)?
        .into_iter()
        .filter(|artifact| artifact.phase_key.as_str() == args.phase)
        .collect();
    let chosen = choose(&versions, args.version, &args.phase)?;
    let bytes = archive.content(&chosen.sha256)?;
    if args.diff {
        let before = versions
            .iter()
            .rfind(|version| version.version < chosen.version);
        let old = before
            .map(|before| archive.content(&before.sha256))
            .transpose()?
            .unwrap_or_default();
        let name =
            |version: Option<&ArtifactRecord>| version.map_or_else(|| "nothing".to_owned(), label);
        setup.out.print(&unified(
            &old,
            &bytes,
            &name(before),
            &label(chosen),
            setup.out.style,
        ))?;
    } else if args.json {
        setup.out.document(&ArtifactDocument {
            record: chosen,
            content: String::from_utf8_lossy(&bytes).into_owned(),
        })?;
    } else {
        print(setup, &bytes)?;
    }
    Ok(ExitStatus::Done)
}

/// Prints a content: its exact bytes to a pipe, what is safe to show to a terminal.
///
/// # Errors
/// As those of [`CommandOutput`](super::out::Out).
pub fn print(setup: &CommandContext, bytes: &[u8]) -> Result<(), CommandError> {
    if std::io::stdout().is_terminal() {
        let text = safe_block(&String::from_utf8_lossy(bytes));
        setup.out.print(text.trim_end_matches('\n'))?;
        setup.out.print("\n")
    } else {
        setup.out.bytes(bytes)
    }
}

fn choose<'a>(
    versions: &'a [ArtifactRecord],
    number: Option<u32>,
    phase: &str,
) -> Result<&'a ArtifactRecord> {
    let Some(last) = versions.last() else {
        return Err(usage(
            format!("phase '{phase}' has made no artifact yet"),
            "look with `phasedeck show`",
        ));
    };
    let Some(number) = number else {
        return Ok(last);
    };
    versions
        .iter()
        .find(|version| version.version == number)
        .ok_or_else(|| {
            usage(
                format!("phase '{phase}' has no artifact version {number}"),
                &format!("there are versions 1 to {}", last.version),
            )
        })
}

fn usage(message: String, hint: &str) -> Failure {
    Failure::new(Code::UsageInvalid, message).hint(hint)
}

fn label(artifact: &ArtifactRecord) -> String {
    format!(
        "{} v{} {}",
        safe_line(&artifact.path),
        artifact.version,
        artifact.sha256.short()
    )
}

pub(in crate::cli) fn unified(
    old: &[u8],
    new: &[u8],
    old_name: &str,
    new_name: &str,
    style: OutputStyle,
) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let diff = TextDiff::from_lines(old.as_ref(), new.as_ref());
    let mut text = style.paint(TextTone::Strong, &format!("--- {old_name}"))
        + "\n"
        + &style.paint(TextTone::Strong, &format!("+++ {new_name}"))
        + "\n";
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        text.push_str(&style.paint(TextTone::Running, &hunk.header().to_string()));
        text.push('\n');
        for change in hunk.iter_changes() {
            let (sign, tone) = match change.tag() {
                ChangeTag::Delete => ('-', TextTone::Failed),
                ChangeTag::Insert => ('+', TextTone::Done),
                ChangeTag::Equal => (' ', TextTone::Plain),
            };
            let line = safe_line(change.value().trim_end_matches(['\n', '\r']));
            text.push_str(&style.paint(tone, &format!("{sign}{line}")));
            text.push('\n');
            if change.missing_newline() {
                text.push_str("\\ No newline at end of file\n");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_unified_and_safe() {
        let text = unified(
            b"{\n  \"a\": 1,\n  \"b\": 2\n}\n",
            b"{\n  \"a\": 1,\n  \"b\": \"\x1b[2J\"\n}",
            "s v1",
            "s v2",
            OutputStyle::default(),
        );
        insta::assert_snapshot!(text, @r#"
        --- s v1
        +++ s v2
        @@ -1,4 +1,4 @@
         {
           "a": 1,
        -  "b": 2
        -}
        +  "b": "␛[2J"
        +}
        \ No newline at end of file
        "#);
    }
}
