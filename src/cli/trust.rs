//! `phasedeck trust`: shows the files in a repository's `.phasedeck/` directory and allows their
//! use.
//!
//! The files are always shown before the prompt, and the prompt needs a terminal. `run` shows the
//! same prompt. Settings in a repository are never read.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::args::Trust;
use super::event_line::counted;
use super::exit::Exit;
use super::out::{Outcome, Stop};
use super::run::absolute;
use super::setup::Setup;
use super::style::Style;
use super::table::{Cell, Table};
use crate::engine::api::Sender;
use crate::engine::catalog::brought::FOLDER;
use crate::engine::catalog::{Brought, Catalog, CatalogDirs, Entry, Origin};
use crate::engine::trust::{Standing, give, look, repo_around, take_back};
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::persona::{Permission, Persona};
use crate::model::safe_text::safe_line;
use crate::model::state::Via;

/// Shows what a repository brings, and asks, agrees or takes the word back.
///
/// # Errors
/// `usage_invalid` outside a repository, for a folder that cannot be read, and where nobody can be asked.
pub fn trust(setup: &Setup, args: &Trust) -> Outcome {
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
    let view = View::of(setup, &brought);
    let agrees = args.yes && standing != Standing::Agreed;
    if agrees {
        agree(setup, &brought)?;
    }
    if args.json {
        let word = if agrees { Standing::Agreed } else { standing };
        setup.out.document(&view.document(&brought, word))?;
        return Ok(Exit::Done);
    }
    setup
        .out
        .print(&view.words(&brought, standing, setup.out.style))?;
    if args.look || args.yes || standing == Standing::Agreed {
        if agrees {
            setup.out.note("you have agreed to exactly this");
        }
        return Ok(Exit::Done);
    }
    if !askable() {
        return Err(Failure::new(
            Code::UsageInvalid,
            "nobody can be asked here: this is no terminal",
        )
        .hint("agree with `phasedeck trust --yes`, or only look with --look")
        .into());
    }
    ask(setup, &brought)?;
    Ok(Exit::Done)
}

/// Before a run: tells of what is not used because nobody agreed to it, and asks where somebody is there.
///
/// # Errors
/// Of storing the answer; what cannot be read is told and not used.
pub fn offer(setup: &Setup, top: &Path, may_ask: bool) -> Result<(), Stop> {
    let (brought, standing) = match look(&setup.paths, top) {
        Ok(Some((brought, standing))) if standing != Standing::Agreed => (brought, standing),
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
            View::of(setup, &brought)
                .words(&brought, standing, setup.out.aside)
                .trim_end(),
        );
        return ask(setup, &brought);
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

fn ask(setup: &Setup, brought: &Brought) -> Result<(), Stop> {
    let mut stderr = std::io::stderr().lock();
    drop(write!(stderr, "Allow this, as it is now? [y/N] ").and_then(|()| stderr.flush()));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        agree(setup, brought)?;
        setup.out.note("you have agreed to exactly this");
    } else {
        setup.out.note("nothing of it is used");
    }
    Ok(())
}

fn agree(setup: &Setup, brought: &Brought) -> Result<()> {
    give(&setup.paths, brought, &Sender::of_process(Via::Cli).by)
}

fn revoke(setup: &Setup, args: &Trust, top: &Path) -> Outcome {
    let had = setup.paths.database().exists() && take_back(&setup.paths, top)?;
    if args.json {
        setup.out.document(&Revoked {
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
    Ok(Exit::Done)
}

fn nothing(setup: &Setup, args: &Trust, top: &Path) -> Outcome {
    if args.json {
        setup.out.document(&Document {
            repository: top,
            ..Document::default()
        })?;
    } else {
        setup.out.note(&format!(
            "{} brings nothing in {FOLDER}/",
            safe_line(&top.display().to_string())
        ));
    }
    Ok(Exit::Done)
}

fn headline(brought: &Brought, standing: Standing) -> String {
    let files = counted(brought.paths().count(), "file");
    let said = match standing {
        Standing::Agreed => "to which you have agreed",
        Standing::Changed => "changed since you agreed",
        Standing::New => "to which you have not agreed",
    };
    safe_line(&format!(
        "{} brings {files} in {FOLDER}/ ({}), {said}",
        brought.top.display(),
        brought.hash.short()
    ))
}

/// What a repository brings, for scripts.
#[derive(Serialize, JsonSchema)]
pub struct Document<'a> {
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
pub struct Revoked<'a> {
    /// The top folder of the repository.
    repository: &'a Path,
    /// Whether there was a word to take back.
    revoked: bool,
}

impl Default for Document<'_> {
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
struct View {
    catalog: Catalog,
    brings_settings: bool,
}

impl View {
    fn of(setup: &Setup, brought: &Brought) -> Self {
        let brings_settings = brought.top.join(FOLDER).join("config.toml").exists();
        Self {
            catalog: Catalog::load_with(&CatalogDirs::beneath(&setup.paths.config), brought),
            brings_settings,
        }
    }

    fn document<'a>(&'a self, brought: &'a Brought, standing: Standing) -> Document<'a> {
        Document {
            repository: &brought.top,
            hash: Some(&brought.hash),
            standing: match standing {
                Standing::Agreed => "agreed",
                Standing::Changed => "changed",
                Standing::New => "new",
            },
            files: brought.paths().collect(),
            workflows: theirs(&self.catalog.workflows)
                .map(|entry| entry.item.versioned_name().to_string())
                .collect(),
            personas: theirs(&self.catalog.personas)
                .map(|entry| &*entry.item)
                .collect(),
            schemas: theirs(&self.catalog.schemas)
                .map(|entry| entry.item.id.as_str())
                .collect(),
            problems: &self.catalog.problems,
        }
    }

    fn words(&self, brought: &Brought, standing: Standing, style: Style) -> String {
        let mut text = headline(brought, standing) + "\n\n" + &self.table().drawn(0, style);
        for problem in &self.catalog.problems {
            text.push_str(&format!("\nleft out: {}", safe_line(&problem.to_string())));
        }
        if self.brings_settings {
            text.push_str(&format!(
                "\n{FOLDER}/config.toml is not read: settings are yours alone"
            ));
        }
        if theirs(&self.catalog.personas).next().is_some() {
            text.push_str("\nIts personas need `phasedeck consent` too, each by its own hash.");
        }
        text + "\n"
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["", "NAME", "WHAT IT IS"]);
        let mut row = |kind: &str, name: String, what: String| {
            table.row(vec![Cell::new(kind), Cell::new(name), Cell::new(what)])
        };
        for entry in theirs(&self.catalog.workflows) {
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
        for entry in theirs(&self.catalog.personas) {
            row(
                "persona",
                entry.item.versioned_name().to_string(),
                reach(&entry.item),
            );
        }
        for entry in theirs(&self.catalog.schemas) {
            row(
                "schema",
                entry.item.id.to_string(),
                entry.item.title().to_owned(),
            );
        }
        table
    }
}

fn theirs<T>(entries: &[Entry<T>]) -> impl Iterator<Item = &Entry<T>> {
    entries
        .iter()
        .filter(|entry| matches!(entry.origin, Origin::Repository(_)))
}

/// What a persona runs on, and what it may do.
fn reach(persona: &Persona) -> String {
    let tool = |tool: &String| match persona.permission(tool) {
        Permission::Auto => tool.clone(),
        Permission::Ask => format!("{tool} (asks)"),
        Permission::Deny => format!("{tool} (denied)"),
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
