//! `phasedeck formats`: lists the JSON output and input file formats with their JSON Schemas.
//!
//! The schemas are derived from the types that are printed; [`CommandOutput`](super::out::Out) accepts only
//! types that have one. Tests compare [`FORMATS`] with the command definitions, and all printed
//! output with the schemas in `schemas/`.

use super::table::{TableCell, TextTable};
use crate::cli::args::FormatsArgs;
use crate::cli::commands::{
    artifact, clean, consent, cost, decide, doctor, fork, init, registry, show, stop, transcript,
    trust,
};
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams;
use crate::cli::output::streams::{CommandOutcome, CommandOutput};
use crate::engine::api::ForkCandidate;
use crate::engine::doctor as examined;
use crate::engine::host::{transfer, verify};
use crate::engine::report::RunsReport;
use crate::model::event::JournalEvent;
use crate::model::persona::Persona;
use crate::model::record::RunRecord;
use crate::model::settings::AppSettings;
use crate::model::workflow::Workflow;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// One shape of JSON, or of a file.
pub struct JsonFormat {
    /// Names it, and its file beneath `schemas/`.
    pub name: &'static str,
    /// The commands that print it with `--json`, with the flag that makes them; `*` for all of them, empty for
    /// files that are read.
    pub printed_by: &'static [&'static str],
    /// What it is.
    pub what: &'static str,
    made: fn() -> Schema,
}

const fn printed<T: JsonSchema>(
    name: &'static str,
    printed_by: &'static [&'static str],
    what: &'static str,
) -> JsonFormat {
    JsonFormat {
        name,
        printed_by,
        what,
        made: output_schema::<T>,
    }
}

const fn read<T: JsonSchema>(name: &'static str, what: &'static str) -> JsonFormat {
    JsonFormat {
        name,
        printed_by: &[],
        what,
        made: input_schema::<T>,
    }
}

/// Every shape, by the subjects of the help.
pub const FORMATS: &[JsonFormat] = &[
    printed::<JournalEvent>(
        "event",
        &["demo", "run", "resume", "retry", "fork", "events"],
        "One event, an object a line; see docs/events.md.",
    ),
    printed::<stop::StopReceipt>(
        "stop",
        &["pause", "abort"],
        "What became of a request to stop a run.",
    ),
    printed::<decide::ApprovalReceipt>(
        "answer",
        &["approve", "changes", "reject"],
        "What was answered at a gate.",
    ),
    printed::<fork::ForkResult>(
        "fork",
        &["fork", "pick"],
        "A fork that was begun with a live host, or picked.",
    ),
    printed::<Vec<ForkCandidate>>(
        "candidates",
        &["pick"],
        "What can be picked at a gate: first what waits, then the forks.",
    ),
    printed::<Vec<RunRecord>>("runs", &["runs"], "A list of runs."),
    printed::<show::RunDocument>(
        "show",
        &["show"],
        "One run with its phases, questions and artifacts.",
    ),
    printed::<artifact::ArtifactDocument<'_>>(
        "artifact",
        &["artifact"],
        "A stored version of an artifact, with its content.",
    ),
    printed::<cost::CostSummary>(
        "cost",
        &["cost"],
        "What calls to models cost; amounts in nano-dollars (10⁻⁹ $).",
    ),
    printed::<RunsReport>("report", &["report"], "The report of a run."),
    printed::<transcript::TurnDocument<'_>>(
        "turn",
        &["transcript"],
        "One turn of an agent, an object a line.",
    ),
    printed::<verify::VerifyReport>(
        "verify",
        &["verify"],
        "How far what is stored can be trusted.",
    ),
    printed::<Vec<registry::ListedWorkflow<'_>>>(
        "workflows",
        &["workflows"],
        "The workflows, each as its file says it.",
    ),
    printed::<Vec<registry::ListedPersona<'_>>>(
        "personas",
        &["personas", "consent --list"],
        "The personas, each as its file says it.",
    ),
    printed::<Vec<registry::ListedSchema<'_>>>("schemas", &["schemas"], "The artifact schemas."),
    printed::<registry::FileValidation<'_>>("validate", &["validate"], "What is wrong with files."),
    printed::<consent::PersonaConsent<'_>>(
        "consent",
        &["consent"],
        "A persona that may be used now, an object a line.",
    ),
    printed::<trust::TrustDocument<'_>>(
        "trust",
        &["trust"],
        "What a repository brings, and whether it may be used.",
    ),
    printed::<trust::RevokedTrust<'_>>(
        "revoked",
        &["trust --revoke"],
        "That your word about a repository was taken back.",
    ),
    printed::<init::InitFile<'_>>(
        "init",
        &["init"],
        "A file that is there now, an object a line.",
    ),
    printed::<Vec<examined::EnvironmentCheck>>(
        "doctor",
        &["doctor"],
        "What was looked at, and what to do.",
    ),
    printed::<Vec<doctor::EffectiveSetting<'_>>>(
        "settings",
        &["doctor --config"],
        "Every setting in force, and where it comes from.",
    ),
    printed::<Vec<clean::CleanResult>>(
        "clean",
        &["clean"],
        "What became of the leftovers of runs.",
    ),
    printed::<transfer::TransferLine>(
        "export",
        &["export"],
        "One line of the file of a run, an object a line, also without --json.",
    ),
    printed::<transfer::ImportSummary>("import", &["import"], "What an import brought."),
    printed::<Vec<FormatEntry>>("formats", &["formats"], "Every format with its schema."),
    printed::<streams::JsonError<'_>>("error", &["*"], "An error, on stderr, an object a line."),
    read::<AppSettings>("config", "Settings: config.toml."),
    read::<Workflow>("workflow", "A workflow file."),
    read::<Persona>("persona", "A persona file."),
];

/// A format, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Told")]
pub struct FormatEntry {
    /// Names it.
    name: &'static str,
    /// The commands that print it with `--json`; `*` for all of them, empty for files that are read.
    printed_by: &'static [&'static str],
    /// What it is.
    what: &'static str,
    /// Its JSON Schema.
    schema: Schema,
}

impl JsonFormat {
    /// The JSON Schema (draft 2020-12).
    #[must_use]
    pub fn schema(&self) -> Schema {
        let mut schema = (self.made)();
        if !self.printed_by.is_empty() {
            schema.insert("title".to_owned(), self.name.into());
            schema.insert("description".to_owned(), self.what.into());
        }
        schema
    }

    fn entry(&self) -> FormatEntry {
        FormatEntry {
            name: self.name,
            printed_by: self.printed_by,
            what: self.what,
            schema: self.schema(),
        }
    }
}

/// Of what is printed: all that is always there is required, and more may be there one day.
fn output_schema<T: JsonSchema>() -> Schema {
    let mut schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>();
    let mut open = RecursiveTransform(|schema: &mut Schema| {
        if schema
            .get("additionalProperties")
            .is_some_and(|more| more == false)
        {
            schema.remove("additionalProperties");
        }
    });
    open.transform(&mut schema);
    schema
}

fn input_schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
}

/// Lists the formats, or prints the schema of one.
///
/// # Errors
/// Only of writing.
pub fn formats(out: CommandOutput, args: &FormatsArgs) -> CommandOutcome {
    match FORMATS
        .iter()
        .find(|format| Some(format.name) == args.name.as_deref())
    {
        Some(format) => out.document(&format.schema())?,
        None if args.json => {
            out.document(&FORMATS.iter().map(JsonFormat::entry).collect::<Vec<_>>())?
        }
        None => out.print(&table().render(0, out.style))?,
    }
    Ok(ExitStatus::Done)
}

fn table() -> TextTable {
    let mut table = TextTable::new(&["FORMAT", "PRINTED BY", "WHAT IT IS"]);
    for format in FORMATS {
        let by = if format.printed_by.is_empty() {
            "(read)".to_owned()
        } else {
            format.printed_by.join(", ")
        };
        table.row(vec![
            TableCell::new(format.name),
            TableCell::new(by),
            TableCell::new(format.what),
        ]);
    }
    table
}

#[cfg(test)]
mod tests;
