//! `phasedeck consent`: allows the current definitions of personas to be used.

use super::registry::{consents, listed_personas, persona_table};
use crate::cli::args::ConsentArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::streams::CommandOutcome;
use crate::engine::api::CommandSender;
use crate::engine::catalog::{Catalog, CatalogEntry};
use crate::engine::host::give_consent;
use crate::model::error::Failure;
use crate::model::hash::ContentHash;
use crate::model::persona::Persona;
use crate::model::state::Via;
use schemars::JsonSchema;
use serde::Serialize;

/// A persona that may be used now, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Consented")]
pub struct PersonaConsent<'a> {
    /// `name@version`.
    persona: &'a str,
    /// What was agreed to: SHA-256 of its canonical JSON.
    hash: &'a ContentHash,
}

/// Records consents, or lists them.
///
/// # Errors
/// `persona_not_found` for each name that is not known, before anything is recorded.
pub fn consent(setup: &CommandContext, args: &ConsentArgs) -> CommandOutcome {
    let catalog = setup.catalog();
    let chosen = if args.list || args.all {
        catalog.personas.clone()
    } else {
        named(&catalog, &args.personas)?
    };
    if args.list {
        return list(setup, args, &chosen);
    }
    let by = CommandSender::from_process(Via::Cli).by;
    setup.paths.create()?;
    for entry in &chosen {
        let name = entry.item.versioned_name().to_string();
        give_consent(&setup.paths, &name, &entry.hash, &by)?;
        if args.json {
            setup.out.object(&PersonaConsent {
                persona: &name,
                hash: &entry.hash,
            })?;
        } else {
            let persona = &entry.item;
            let tools = if persona.tools.is_empty() {
                "no tools".to_owned()
            } else {
                persona.tools.join(", ")
            };
            let model = persona.model.as_deref().unwrap_or("the default model");
            let line = format!(
                "{name} ({}) may be used: {}, {model}, {tools}",
                entry.hash.short(),
                persona.backend
            );
            setup
                .out
                .print(&(crate::model::safe_text::safe_line(&line) + "\n"))?;
        }
    }
    Ok(ExitStatus::Done)
}

fn named(catalog: &Catalog, names: &[String]) -> Result<Vec<CatalogEntry<Persona>>, Vec<Failure>> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for name in names {
        match catalog.persona(name) {
            Ok(entry) => found.push(entry),
            Err(failure) => problems.push(failure),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

fn list(
    setup: &CommandContext,
    args: &ConsentArgs,
    personas: &[CatalogEntry<Persona>],
) -> CommandOutcome {
    let given = consents(setup)?;
    let agreed: Vec<CatalogEntry<Persona>> = personas
        .iter()
        .filter(|entry| given.contains(&entry.hash))
        .cloned()
        .collect();
    if args.json {
        setup.out.document(&listed_personas(&agreed, &given))?;
    } else if agreed.is_empty() {
        setup
            .out
            .note("you have agreed to no persona yet; `phasedeck personas` lists them");
    } else {
        setup
            .out
            .print(&persona_table(setup, &agreed, &given).render(0, setup.out.style))?;
    }
    Ok(ExitStatus::Done)
}
