//! `phasedeck workflows`, `personas`, `schemas` and `validate`: list the catalog and validate its
//! files.

use std::collections::BTreeSet;

use crate::cli::args::{ListArgs, ValidateArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::event_line::counted;
use crate::cli::output::streams::CommandOutcome;
use crate::cli::output::style::StatusGlyph;
use crate::cli::output::table::{TableCell, TextTable};
use crate::engine::catalog::{ArtifactSchema, Catalog, CatalogEntry, validate_files};
use crate::model::error::{Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::SchemaId;
use crate::model::persona::Persona;
use crate::model::workflow::Workflow;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Lists the workflows.
///
/// # Errors
/// Only of writing; files with mistakes are told on stderr.
pub fn workflows(setup: &CommandContext, args: ListArgs) -> CommandOutcome {
    let catalog = setup.catalog();
    if args.json {
        return document(
            setup,
            &catalog,
            &catalog
                .workflows
                .iter()
                .map(ListedWorkflow::from_entry)
                .collect::<Vec<_>>(),
        );
    }
    let mut table = TextTable::new(&["WORKFLOW", "PHASES", "FROM", "WHAT FOR"]);
    for entry in &catalog.workflows {
        let phases: Vec<&str> = entry
            .item
            .phases
            .iter()
            .map(|phase| phase.key.as_str())
            .collect();
        let origin = TableCell::new(entry.origin.to_string()).at_most(40, setup.out.style.ascii);
        let what = TableCell::new(entry.item.description.trim());
        table.row(vec![
            TableCell::new(entry.item.versioned_name().to_string()),
            TableCell::new(phases.join(" > ")),
            origin,
            what,
        ]);
    }
    listed(setup, &catalog, &table)
}

/// Lists the personas, and which need the operator's consent.
///
/// # Errors
/// What the archive says about consents.
pub fn personas(setup: &CommandContext, args: ListArgs) -> CommandOutcome {
    let catalog = setup.catalog();
    let given = consents(setup)?;
    if args.json {
        return document(setup, &catalog, &listed_personas(&catalog.personas, &given));
    }
    listed(
        setup,
        &catalog,
        &persona_table(setup, &catalog.personas, &given),
    )
}

/// The personas as a table, with the operator's consent.
#[must_use]
pub fn persona_table(
    setup: &CommandContext,
    personas: &[CatalogEntry<Persona>],
    given: &BTreeSet<ContentHash>,
) -> TextTable {
    let mut table = TextTable::new(&[
        "PERSONA",
        "CONSENT",
        "BACKEND",
        "MODEL",
        "TOOLS",
        "CAPABILITIES",
        "FROM",
    ]);
    for entry in personas {
        let (mark, word) = if given.contains(&entry.hash) {
            (StatusGlyph::Done, "given")
        } else {
            (StatusGlyph::Queued, "needed")
        };
        table.row(vec![
            TableCell::new(entry.item.versioned_name().to_string()),
            TableCell::new(format!("{} {word}", setup.out.style.glyph(mark))).tone(mark.tone()),
            TableCell::new(&entry.item.backend),
            TableCell::new(entry.item.model.as_deref().unwrap_or("(default)")),
            TableCell::new(entry.item.tools.join(" ")),
            TableCell::new(entry.item.capabilities.join(" ")).at_most(40, setup.out.style.ascii),
            TableCell::new(entry.origin.to_string()).at_most(40, setup.out.style.ascii),
        ]);
    }
    table
}

/// Lists the artifact schemas.
///
/// # Errors
/// Only of writing; files with mistakes are told on stderr.
pub fn schemas(setup: &CommandContext, args: ListArgs) -> CommandOutcome {
    let catalog = setup.catalog();
    if args.json {
        return document(
            setup,
            &catalog,
            &catalog
                .schemas
                .iter()
                .map(ListedSchema::from_entry)
                .collect::<Vec<_>>(),
        );
    }
    let mut table = TextTable::new(&["SCHEMA", "FROM", "TITLE"]);
    for entry in &catalog.schemas {
        let origin = TableCell::new(entry.origin.to_string()).at_most(40, setup.out.style.ascii);
        table.row(vec![
            TableCell::new(entry.item.id.as_str()),
            origin,
            TableCell::new(entry.item.title()),
        ]);
    }
    listed(setup, &catalog, &table)
}

/// A workflow as its file says it, for scripts.
#[derive(Serialize, JsonSchema)]
pub struct ListedWorkflow<'a> {
    #[serde(flatten)]
    workflow: &'a Workflow,
    /// SHA-256 of its canonical JSON.
    hash: &'a ContentHash,
    /// `shipped`, or the file it comes from.
    origin: String,
}

impl<'a> ListedWorkflow<'a> {
    fn from_entry(entry: &'a CatalogEntry<Workflow>) -> Self {
        Self {
            workflow: &entry.item,
            hash: &entry.hash,
            origin: entry.origin.to_string(),
        }
    }
}

/// A persona as its file says it, for scripts.
#[derive(Serialize, JsonSchema)]
pub struct ListedPersona<'a> {
    #[serde(flatten)]
    persona: &'a Persona,
    /// SHA-256 of its canonical JSON: what consent is given to.
    hash: &'a ContentHash,
    /// `shipped`, or the file it comes from.
    origin: String,
    /// Whether you have agreed to it as it is now.
    consent: bool,
}

/// The personas for scripts, with the operator's consent.
#[must_use]
pub fn listed_personas<'a>(
    personas: &'a [CatalogEntry<Persona>],
    given: &BTreeSet<ContentHash>,
) -> Vec<ListedPersona<'a>> {
    let row = |entry: &'a CatalogEntry<Persona>| ListedPersona {
        persona: &entry.item,
        hash: &entry.hash,
        origin: entry.origin.to_string(),
        consent: given.contains(&entry.hash),
    };
    personas.iter().map(row).collect()
}

/// An artifact schema, for scripts.
#[derive(Serialize, JsonSchema)]
pub struct ListedSchema<'a> {
    /// Names it, such as `dev/spec@1`.
    id: &'a SchemaId,
    /// SHA-256 of its canonical JSON.
    hash: &'a ContentHash,
    /// `shipped`, or the file it comes from.
    origin: String,
    /// The JSON Schema itself.
    schema: &'a Value,
}

impl<'a> ListedSchema<'a> {
    fn from_entry(entry: &'a CatalogEntry<ArtifactSchema>) -> Self {
        Self {
            id: &entry.item.id,
            hash: &entry.hash,
            origin: entry.origin.to_string(),
            schema: &entry.item.value,
        }
    }
}

/// The personas that the operator has agreed to, by hash.
///
/// # Errors
/// What the archive says.
pub fn consents(setup: &CommandContext) -> Result<BTreeSet<ContentHash>> {
    setup
        .archive_if_any()?
        .map_or_else(|| Ok(BTreeSet::new()), |archive| archive.consents())
}

fn listed(setup: &CommandContext, catalog: &Catalog, table: &TextTable) -> CommandOutcome {
    setup.out.print(&table.render(0, setup.out.style))?;
    Ok(with_problems(setup, &catalog.problems))
}

fn document(
    setup: &CommandContext,
    catalog: &Catalog,
    rows: &(impl Serialize + JsonSchema),
) -> CommandOutcome {
    setup.out.document(rows)?;
    Ok(with_problems(setup, &catalog.problems))
}

/// Tells what is wrong with files that are left out.
fn with_problems(setup: &CommandContext, problems: &[Failure]) -> ExitStatus {
    if problems.is_empty() {
        return ExitStatus::Done;
    }
    setup.out.failures(problems);
    ExitStatus::from_failures(problems)
}

/// What is wrong with the files, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verdict")]
pub struct FileValidation<'a> {
    /// How many files were checked.
    files: usize,
    /// Everything that is wrong with them; empty where nothing is.
    problems: &'a [Failure],
}

/// Checks files; all problems of all files at once.
///
/// # Errors
/// Only of writing; problems are results: they go to stderr, or into the JSON document.
pub fn validate(setup: &CommandContext, args: &ValidateArgs) -> CommandOutcome {
    let problems = validate_files(&setup.catalog(), &args.files);
    let exit = if problems.is_empty() {
        ExitStatus::Done
    } else {
        ExitStatus::Usage
    };
    if args.json {
        setup.out.document(&FileValidation {
            files: args.files.len(),
            problems: &problems,
        })?;
        return Ok(exit);
    }
    if problems.is_empty() {
        setup
            .out
            .print(&format!("{} valid\n", counted(args.files.len(), "file")))?;
    } else {
        setup.out.failures(&problems);
        setup.out.note(&format!(
            "{} in {}",
            counted(problems.len(), "problem"),
            counted(args.files.len(), "file")
        ));
    }
    Ok(exit)
}
