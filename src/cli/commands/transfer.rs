//! `phasedeck export` and `phasedeck import`: write a run to a file and read it back.

use crate::cli::args::{ExportArgs, ImportArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::event_line::counted;
use crate::cli::output::streams::{CommandError, CommandOutcome};
use crate::engine::api::CommandSender;
use crate::engine::host::transfer;
use crate::engine::host::transfer::ImportSummary;
use crate::model::error::{Code, Failure, Result};
use crate::model::safe_text::safe_line;
use crate::model::state::Via;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

/// Writes a run to a file, or to standard output.
///
/// # Errors
/// `run_not_found`; `io_failed` when the file is there already or cannot be written.
pub fn export(setup: &CommandContext, args: &ExportArgs) -> CommandOutcome {
    let (_, run) = setup.find(&args.run)?;
    match &args.output {
        None => transfer::export(
            &setup.paths,
            run,
            args.redact,
            &mut std::io::stdout().lock(),
        )?,
        Some(path) => {
            let mut file =
                BufWriter::new(File::create_new(path).map_err(|e| unwritable(path, &e))?);
            transfer::export(&setup.paths, run, args.redact, &mut file)?;
            file.flush()
                .and_then(|()| file.get_ref().sync_all())
                .map_err(|e| unwritable(path, &e))?;
            setup.out.note(&format!(
                "run {} is in {}",
                run.short(),
                safe_line(&path.display().to_string())
            ));
        }
    }
    Ok(ExitStatus::Done)
}

/// Reads a run from a file, or from standard input.
///
/// # Errors
/// As [`transfer::import`].
pub fn import(setup: &CommandContext, args: &ImportArgs) -> CommandOutcome {
    let by = CommandSender::from_process(Via::Cli).by;
    let imported = if args.file == Path::new("-") {
        transfer::import(&setup.paths, &mut std::io::stdin().lock(), &by)
    } else {
        let file = File::open(&args.file).map_err(|e| {
            Failure::new(
                Code::UsageInvalid,
                format!("cannot read {}: {e}", args.file.display()),
            )
            .hint("name a file that `phasedeck export` wrote")
        })?;
        transfer::import(&setup.paths, &mut BufReader::new(file), &by)
    };
    print_import(setup, &imported?, args.json)?;
    Ok(ExitStatus::Done)
}

fn print_import(
    setup: &CommandContext,
    imported: &ImportSummary,
    json: bool,
) -> Result<(), CommandError> {
    if json {
        return setup.out.object(imported);
    }
    let run = imported.run_id.short();
    let what = format!(
        "{}, {}",
        counted(
            usize::try_from(imported.events).unwrap_or(usize::MAX),
            "event"
        ),
        counted(
            usize::try_from(imported.contents).unwrap_or(usize::MAX),
            "content"
        )
    );
    setup.out.print(&format!("run {run} is here: {what}\n"))?;
    if let Some(state) = &imported.aborted_from {
        setup.out.note(&format!(
            "it had not ended ({}); here it is aborted, so that nothing executes it",
            safe_line(state)
        ));
    }
    Ok(())
}

fn unwritable(path: &Path, e: &std::io::Error) -> Failure {
    Failure::io(format!("cannot write {}", path.display()), e)
}
