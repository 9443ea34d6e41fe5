//! Checks of API keys and backends, by the same conditions as binding. Nothing is sent.

use super::{CheckEnvironment, CheckFindings};
use crate::engine::agent::chat_completions::key::{key, place};
use crate::engine::catalog::{Catalog, CatalogDirs};
use crate::engine::host::{backends as of_host, prices};

pub(super) fn keys(patient: &CheckEnvironment, found: &mut CheckFindings) {
    match key(&patient.settings.openai) {
        Ok(_) => found.ok("openai", place(&patient.settings.openai).to_string()),
        Err(failure) => found.warn(
            "openai",
            failure.message,
            format!("{}; a dry run needs none", failure.hint),
        ),
    }
}

pub(super) fn backends(patient: &CheckEnvironment, found: &mut CheckFindings) {
    let backends = match prices(&patient.settings, &patient.paths)
        .and_then(|prices| of_host(&patient.settings, prices))
    {
        Ok(backends) => backends,
        Err(failure) => return found.failure("settings", &failure),
    };
    let catalog = Catalog::load(&CatalogDirs::beneath(&patient.paths.config));
    for backend in backends {
        let mut ready = 0;
        let mut refusal = None;
        let personas: Vec<_> = catalog
            .personas
            .iter()
            .filter(|entry| entry.item.backend == backend.name())
            .collect();
        for entry in &personas {
            match backend.available(&entry.item) {
                Ok(()) => ready += 1,
                Err(failure) => refusal = Some(failure),
            }
        }
        match refusal {
            None if personas.is_empty() => {
                found.ok(backend.name(), "ready; not used by any persona")
            }
            None => found.ok(backend.name(), format!("ready for {ready} personas")),
            Some(why) if ready > 0 => found.warn(
                backend.name(),
                format!("{ready} of {} personas: {}", personas.len(), why.message),
                why.hint,
            ),
            Some(why) => found.warn(backend.name(), why.message, why.hint),
        }
    }
    found.ok(
        "endpoint",
        format!("{} (nothing was sent)", patient.settings.openai.base_url),
    );
}
