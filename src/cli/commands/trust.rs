//! `phasedeck trust`: shows the files in a repository's `.phasedeck/` directory and allows their
//! use.
//!
//! The files are always shown before the prompt, and the prompt needs a terminal. `run` shows the
//! same prompt. Settings in a repository are never read.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use super::run::absolute;
use crate::cli::args::TrustArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::event_line::counted;
use crate::cli::output::streams::{CommandError, CommandOutcome};
use crate::cli::output::style::OutputStyle;
use crate::cli::output::table::{TableCell, TextTable};
use crate::engine::api::CommandSender;
use crate::engine::catalog::repository_catalog::FOLDER;
use crate::engine::catalog::trust::{ConsentState, give, look, repo_around, take_back};
use crate::engine::catalog::{
    Catalog, CatalogDirs, CatalogEntry, CatalogOrigin, RepositoryCatalog,
};
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::persona::{Persona, ToolPermission};
use crate::model::safe_text::safe_line;
use crate::model::state::Via;
use schemars::JsonSchema;
use serde::Serialize;

/// Shows what a repository brings, and asks, agrees or takes the word back.
///
/// # Errors
/// `usage_invalid` outside a repository, for a folder that cannot be read, and where nobody can be asked.
pub fn trust(setup: &CommandContext, args: &TrustArgs) -> CommandOutcome {
    let dir = absolute(args.dir.as_deref().unwrap_or(Path::new(".")))?;
    let top = repo_around(&dir).ok_or_else(|| {
        Failure::new(
            Code::UsageInvalid,
            format!("{} does not lie in a git repository", dir.display()),
        )
        .hint("name a folder of a repository")
    })?;
    if args.revoke {
        return revoke(setup, args, &top);
    }
    let Some((brought, standing)) = look(&setup.paths, &top)? else {
        return nothing(setup, args, &top);
    };
    let view = TrustView::from_repository(setup, &brought);
    let agrees = args.yes && standing != ConsentState::Agreed;
    if agrees {
        grant_trust(setup, &brought)?;
    }
    if args.json {
        let word = if agrees {
            ConsentState::Agreed
        } else {
            standing
        };
        setup.out.document(&view.document(&brought, word))?;
        return Ok(ExitStatus::Done);
    }
    setup
        .out
        .print(&view.to_text(&brought, standing, setup.out.style))?;
    if args.look || args.yes || standing == ConsentState::Agreed {
        if agrees {
            setup
                .out
                .note("allowed; any change to these files asks again");
        }
        return Ok(ExitStatus::Done);
    }
    if !askable() {
        return Err(Failure::new(
            Code::UsageInvalid,
            "nobody can be asked here: this is no terminal",
        )
        .hint("agree with `phasedeck trust --yes`, or only look with --look")
        .into());
    }
    prompt_for_trust(setup, &brought)?;
    Ok(ExitStatus::Done)
}

/// Before a run: tells of what is not used because nobody agreed to it, and asks where somebody is there.
///
/// # Errors
/// Of storing the answer; what cannot be read is told and not used.
pub fn offer(setup: &CommandContext, top: &Path, may_ask: bool) -> Result<(), CommandError> {
    let (brought, standing) = match look(&setup.paths, top) {
        Ok(Some((brought, standing))) if standing != ConsentState::Agreed => (brought, standing),
        Ok(_) => return Ok(()),
        Err(failure) => {
            setup.out.note(&format!(
                "{}: {}; nothing of it is used",
                safe_line(&top.join(FOLDER).display().to_string()),
                failure.message
            ));
            return Ok(());
        }
    };
    if may_ask && askable() {
        setup.out.note(
            TrustView::from_repository(setup, &brought)
                .to_text(&brought, standing, setup.out.aside)
                .trim_end(),
        );
        return prompt_for_trust(setup, &brought);
    }
    setup.out.note(&format!(
        "{}; nothing of it is used. `phasedeck trust` shows it",
        headline(&brought, standing)
    ));
    Ok(())
}

fn askable() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn prompt_for_trust(
    setup: &CommandContext,
    brought: &RepositoryCatalog,
) -> Result<(), CommandError> {
    let mut stderr = std::io::stderr().lock();
    drop(write!(stderr, "Allow this, as it is now? [y/N] ").and_then(|()| stderr.flush()));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        grant_trust(setup, brought)?;
        setup
            .out
            .note("allowed; any change to these files asks again");
    } else {
        setup.out.note("nothing of it is used");
    }
    Ok(())
}

fn grant_trust(setup: &CommandContext, brought: &RepositoryCatalog) -> Result<()> {
    give(
        &setup.paths,
        brought,
        &CommandSender::from_process(Via::Cli).by,
    )
}

fn revoke(setup: &CommandContext, args: &TrustArgs, top: &Path) -> CommandOutcome {
    let had = setup.paths.database().exists() && take_back(&setup.paths, top)?;
    if args.json {
        setup.out.document(&RevokedTrust {
            repository: top,
            revoked: had,
        })?;
    } else {
        let words = if had {
            "nothing that it brings is used any more"
        } else {
            "you had agreed to nothing of it"
        };
        setup.out.print(&format!(
            "{}: {words}\n",
            safe_line(&top.display().to_string())
        ))?;
    }
    Ok(ExitStatus::Done)
}

fn nothing(setup: &CommandContext, args: &TrustArgs, top: &Path) -> CommandOutcome {
    if args.json {
        setup.out.document(&TrustDocument {
            repository: top,
            ..TrustDocument::default()
        })?;
    } else {
        setup.out.note(&format!(
            "{} brings nothing in {FOLDER}/",
            safe_line(&top.display().to_string())
        ));
    }
    Ok(ExitStatus::Done)
}

fn headline(brought: &RepositoryCatalog, standing: ConsentState) -> String {
    let files = counted(brought.paths().count(), "file");
    let said = match standing {
        ConsentState::Agreed => "to which you have agreed",
        ConsentState::Changed => "changed since you agreed",
        ConsentState::New => "to which you have not agreed",
    };
    safe_line(&format!(
        "{} brings {files} in {FOLDER}/ ({}), {said}",
        brought.top.display(),
        brought.hash.short()
    ))
}

/// What a repository brings, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Document")]
pub struct TrustDocument<'a> {
    /// The top folder of the repository.
    repository: &'a Path,
    /// SHA-256 of everything that it brings; null where it brings nothing.
    hash: Option<&'a ContentHash>,
    /// `agreed`, `changed` (since you agreed), `new`, or `nothing`.
    standing: &'static str,
    /// The files, relative to `.phasedeck/`.
    files: Vec<&'a str>,
    /// The workflows among them, `name@version`.
    workflows: Vec<String>,
    /// The personas among them, whole.
    personas: Vec<&'a Persona>,
    /// The artifact schemas among them, by id.
    schemas: Vec<&'a str>,
    /// What is wrong with files that are left out.
    problems: &'a [Failure],
}

/// That the operator's word was taken back, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Revoked")]
pub struct RevokedTrust<'a> {
    /// The top folder of the repository.
    repository: &'a Path,
    /// Whether there was a word to take back.
    revoked: bool,
}

impl Default for TrustDocument<'_> {
    fn default() -> Self {
        Self {
            repository: Path::new(""),
            hash: None,
            standing: "nothing",
            files: Vec::new(),
            workflows: Vec::new(),
            personas: Vec::new(),
            schemas: Vec::new(),
            problems: &[],
        }
    }
}

/// Everything that could be run if the operator agreed.
struct TrustView {
    catalog: Catalog,
    brings_settings: bool,
}

impl TrustView {
    fn from_repository(setup: &CommandContext, brought: &RepositoryCatalog) -> Self {
        let brings_settings = brought.top.join(FOLDER).join("config.toml").exists();
        Self {
            catalog: Catalog::load_with(&CatalogDirs::beneath(&setup.paths.config), brought),
            brings_settings,
        }
    }

    fn document<'a>(
        &'a self,
        brought: &'a RepositoryCatalog,
        standing: ConsentState,
    ) -> TrustDocument<'a> {
        TrustDocument {
            repository: &brought.top,
            hash: Some(&brought.hash),
            standing: match standing {
                ConsentState::Agreed => "agreed",
                ConsentState::Changed => "changed",
                ConsentState::New => "new",
            },
            files: brought.paths().collect(),
            workflows: repository_entries(&self.catalog.workflows)
                .map(|entry| entry.item.versioned_name().to_string())
                .collect(),
            personas: repository_entries(&self.catalog.personas)
                .map(|entry| &*entry.item)
                .collect(),
            schemas: repository_entries(&self.catalog.schemas)
                .map(|entry| entry.item.id.as_str())
                .collect(),
            problems: &self.catalog.problems,
        }
    }

    fn to_text(
        &self,
        brought: &RepositoryCatalog,
        standing: ConsentState,
        style: OutputStyle,
    ) -> String {
        let mut text = headline(brought, standing) + "\n\n" + &self.table().render(0, style);
        for problem in &self.catalog.problems {
            text.push_str(&format!("\nleft out: {}", safe_line(&problem.to_string())));
        }
        if self.brings_settings {
            text.push_str(&format!(
                "\n{FOLDER}/config.toml is not read: settings are yours alone"
            ));
        }
        if repository_entries(&self.catalog.personas).next().is_some() {
            text.push_str("\nIts personas need `phasedeck consent` too, each by its own hash.");
        }
        text + "\n"
    }

    fn table(&self) -> TextTable {
        let mut table = TextTable::new(&["", "NAME", "WHAT IT IS"]);
        let mut row = |kind: &str, name: String, what: String| {
            table.row(vec![
                TableCell::new(kind),
                TableCell::new(name),
                TableCell::new(what),
            ])
        };
        for entry in repository_entries(&self.catalog.workflows) {
            let phases: Vec<&str> = entry
                .item
                .phases
                .iter()
                .map(|phase| phase.key.as_str())
                .collect();
            row(
                "workflow",
                entry.item.versioned_name().to_string(),
                phases.join(" > "),
            );
        }
        for entry in repository_entries(&self.catalog.personas) {
            row(
                "persona",
                entry.item.versioned_name().to_string(),
                reach(&entry.item),
            );
        }
        for entry in repository_entries(&self.catalog.schemas) {
            row(
                "schema",
                entry.item.id.to_string(),
                entry.item.title().to_owned(),
            );
        }
        table
    }
}

fn repository_entries<T>(entries: &[CatalogEntry<T>]) -> impl Iterator<Item = &CatalogEntry<T>> {
    entries
        .iter()
        .filter(|entry| matches!(entry.origin, CatalogOrigin::Repository(_)))
}

/// What a persona runs on, and what it may do.
fn reach(persona: &Persona) -> String {
    let tool = |tool: &String| match persona.permission(tool) {
        ToolPermission::Auto => tool.clone(),
        ToolPermission::Ask => format!("{tool} (asks)"),
        ToolPermission::Deny => format!("{tool} (denied)"),
    };
    let tools: Vec<String> = persona.tools.iter().map(tool).collect();
    let tools = if tools.is_empty() {
        "no tools".to_owned()
    } else {
        tools.join(", ")
    };
    let on = persona
        .agent
        .as_deref()
        .or(persona.model.as_deref())
        .unwrap_or("the default model");
    format!("{}, {on}: {tools}", persona.backend)
}
