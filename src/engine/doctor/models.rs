//! Keys and backends, by the same questions that binding asks them. Nothing is sent.

use super::{Findings, Patient};
use crate::engine::agent::openai::key::key;
use crate::engine::catalog::{Catalog, CatalogDirs};
use crate::engine::host::{backends as of_host, prices};

pub(super) fn keys(patient: &Patient, found: &mut Findings) {
    let (variable, file) = (&patient.settings.openai.key_env, &patient.settings.openai.key_file);
    let elsewhere = match patient.settings.openai.key_command.first() {
        _ if !file.is_empty() => Some(format!("the key is in {file}")),
        program => program.map(|program| format!("the key is printed by '{program}'")),
    };
    if let Some(place) = elsewhere.filter(|_| std::env::var_os(variable).is_none_or(|value| value.is_empty())) {
        return match key(&patient.settings.openai) {
            Ok(_) => found.ok("openai", place),
            Err(failure) => found.warn("openai", failure.message, failure.hint),
        };
    }
    if variable.is_empty() {
        return found.ok("openai", "no key is sent (openai.key_env is empty)");
    }
    match std::env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(_) => found.ok("openai", format!("{variable} is set")),
        None => found.warn(
            "openai",
            format!("{variable} is not set"),
            format!("set {variable} to the provider's key, or openai.key_env to \"\"; a rehearsal needs none"),
        ),
    }
}

pub(super) fn backends(patient: &Patient, found: &mut Findings) {
    let backends = match prices(&patient.settings, &patient.paths).and_then(|prices| of_host(&patient.settings, prices)) {
        Ok(backends) => backends,
        Err(failure) => return found.failure("settings", &failure),
    };
    let catalog = Catalog::load(&CatalogDirs::beneath(&patient.paths.config));
    for backend in backends {
        let mut ready = 0;
        let mut refusal = None;
        let personas: Vec<_> = catalog.personas.iter().filter(|entry| entry.item.backend == backend.name()).collect();
        for entry in &personas {
            match backend.available(&entry.item) {
                Ok(()) => ready += 1,
                Err(failure) => refusal = Some(failure),
            }
        }
        match refusal {
            None if personas.is_empty() => found.ok(backend.name(), "ready; no persona names it"),
            None => found.ok(backend.name(), format!("ready for {ready} personas")),
            Some(why) if ready > 0 => {
                found.warn(backend.name(), format!("{ready} of {} personas: {}", personas.len(), why.message), why.hint)
            }
            Some(why) => found.warn(backend.name(), why.message, why.hint),
        }
    }
    found.ok("endpoint", format!("{} (nothing was sent)", patient.settings.openai.base_url));
}
