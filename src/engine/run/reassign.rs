//! Reassignment to cheaper personas when a budget is exhausted.
//!
//! A persona can take over an open phase if the binder accepts it there, it uses the same backend
//! (the session continues where it was), and neither its input nor its output price is higher and
//! one is lower. Unknown prices are not comparable. Screens list the options before the decision
//! ([`cheaper`]) and the driver checks the choices with it ([`seats`]) by the same rule, so that an
//! offered persona is accepted. The driver stores the choices.

use super::context::EngineContext;
use super::machine::PhasePlan;
use super::run_files::{RunDefinitions, load_definitions};
use crate::engine::agent::BackendRegistry;
use crate::engine::agent::chat_completions::PriceTable;
use crate::engine::catalog::Catalog;
use crate::engine::catalog::bind::{BindRequest, PersonaCandidate, bind_one};
use crate::engine::catalog::start_preview::{ConsentRequest, consent_request};
use crate::engine::catalog::trust;
use crate::engine::host::{backends, prices};
use crate::engine::paths::InstallPaths;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RoleId, RunId};
use crate::model::money::NanoUsd;
use crate::model::persona::{Persona, SeatChange};
use crate::model::question::PersonaChoice;
use crate::model::run_state::RunState;
use crate::model::settings::AppSettings;
use crate::model::state::PhaseStatus;
use crate::model::workflow::PhaseDefinition;
use crate::store::Reader;
use crate::store::journal::events;
use crate::store::tables::{consents, runs};
use std::collections::{BTreeMap, BTreeSet};

/// A persona that could continue a run at a lower price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheaperPersona {
    pub persona: String,
    /// Model of the persona.
    pub model: String,
    /// Price per million input and output tokens.
    pub price: (NanoUsd, NanoUsd),
    /// Phases it could take, in order; the first one is in progress.
    pub phases: Vec<PhaseKey>,
    /// Permission the operator has not given yet; the decision is refused without it.
    pub consent: Option<ConsentRequest>,
}

/// Returns the personas that could continue the phase in progress at a lower price, by ascending
/// output price. Blocks for a few database reads.
///
/// # Errors
/// `run_not_found`; errors of loading the run's definitions; `config_invalid`.
pub fn cheaper_personas(
    paths: &InstallPaths,
    settings: &AppSettings,
    run: RunId,
) -> Result<Vec<CheaperPersona>> {
    let reader = Reader::open(&paths.database())?;
    let state = events::state(reader.connection(), run)?;
    let files = load_definitions(reader.connection(), runs::get(reader.connection(), run)?)?;
    let prices = prices(settings, paths)?;
    let backends = backends(settings, prices.clone())?.into_iter().collect();
    let given = consents::all(reader.connection())?;
    let market = CostReassignment::new(
        &trust::catalog_of_run(paths, &files.record),
        &files,
        &state,
        &backends,
        prices,
        None,
    );
    let mut found: Vec<CheaperPersona> = market
        .personas
        .iter()
        .filter_map(|(hash, persona)| market.offer(hash, persona, &given))
        .collect();
    found.sort_by(|a, b| {
        (a.price.1, a.price.0, &a.persona).cmp(&(b.price.1, b.price.0, &b.persona))
    });
    Ok(found)
}

/// Returns the assignments that follow from the choices of a decision, each with the persona to
/// freeze for the run. A choice without a phase applies to all open phases that no other choice
/// names; of those, the persona only has to be able to take the phase in progress.
///
/// # Errors
/// All problems at once: `usage_invalid` for a phase that is not open, a phase named twice, a
/// persona that is not cheaper or has no known price; errors of binding, including
/// `persona_consent_required`.
pub fn seats(
    context: &EngineContext,
    files: &RunDefinitions,
    state: &RunState,
    choices: &[PersonaChoice],
) -> Result<Vec<(SeatChange, Persona)>> {
    let catalog = trust::catalog_of_run(&context.paths, &files.record);
    let given = context.journal.store.read(consents::all)?;
    let prices = prices(&context.settings, &context.paths)?;
    CostReassignment::new(
        &catalog,
        files,
        state,
        &context.backends,
        prices,
        Some(given),
    )
    .reassignments(choices)
}

/// Inputs for checking choices.
struct CostReassignment<'a> {
    plan: &'a PhasePlan,
    state: &'a RunState,
    /// Available personas: those of the catalog, including the repository's that the operator
    /// allowed, and those frozen for the run that are no longer in the catalog.
    personas: Vec<(ContentHash, Persona)>,
    backends: &'a BackendRegistry,
    prices: PriceTable,
    /// Personas the operator has allowed; `None` skips this check.
    consents: Option<BTreeSet<ContentHash>>,
}

impl<'a> CostReassignment<'a> {
    fn new(
        catalog: &Catalog,
        files: &'a RunDefinitions,
        state: &'a RunState,
        backends: &'a BackendRegistry,
        prices: PriceTable,
        consents: Option<BTreeSet<ContentHash>>,
    ) -> Self {
        let mut people: Vec<_> = catalog
            .personas
            .iter()
            .map(|entry| (entry.hash.clone(), Persona::clone(&entry.item)))
            .collect();
        for (hash, persona) in &files.personas {
            if people
                .iter()
                .all(|(_, known)| known.versioned_name() != persona.versioned_name())
            {
                people.push((hash.clone(), persona.clone()));
            }
        }
        Self {
            plan: &files.plan,
            state,
            personas: people,
            backends,
            prices,
            consents,
        }
    }

    /// Returns the open phases, the one in progress first.
    fn open_phases(&self) -> impl Iterator<Item = &'a PhaseDefinition> {
        let plan = self.plan;
        let closed = [
            PhaseStatus::Completed,
            PhaseStatus::Skipped,
            PhaseStatus::Failed,
        ];
        self.state
            .phases
            .iter()
            .filter(move |phase| !closed.contains(&phase.status))
            .filter_map(|phase| plan.phase(&phase.key))
    }

    fn offer(
        &self,
        hash: &ContentHash,
        persona: &Persona,
        given: &BTreeSet<ContentHash>,
    ) -> Option<CheaperPersona> {
        let name = persona.versioned_name().to_string();
        let (first, _) = self.assign(self.open_phases().next()?, &name).ok()?;
        let model = first.binding.model?;
        Some(CheaperPersona {
            price: self.price(Some(&model))?,
            phases: self
                .open_phases()
                .filter(|phase| self.assign(phase, &name).is_ok())
                .map(|phase| phase.key.clone())
                .collect(),
            consent: (!given.contains(hash)).then(|| consent_request(persona, hash, Some(&model))),
            persona: name,
            model,
        })
    }

    fn reassignments(&self, choices: &[PersonaChoice]) -> Result<Vec<(SeatChange, Persona)>> {
        let mut failures = self.invalid_choices(choices);
        let everywhere = choices.iter().find(|choice| choice.phase_key.is_none());
        let mut seats = Vec::new();
        for (at, phase) in self.open_phases().enumerate() {
            let own = choices
                .iter()
                .find(|choice| choice.phase_key.as_ref() == Some(&phase.key));
            let Some(choice) = own.or(everywhere) else {
                continue;
            };
            match self.assign(phase, &choice.persona) {
                Ok(seat) => seats.push(seat),
                // A persona chosen for all phases takes those it can.
                Err(failure) if own.is_some() || at == 0 => failures.push(failure),
                Err(_) => {}
            }
        }
        if failures.is_empty() {
            Ok(seats)
        } else {
            Err(Failure::together(failures))
        }
    }

    /// Returns problems of the choices that do not depend on personas.
    fn invalid_choices(&self, choices: &[PersonaChoice]) -> Vec<Failure> {
        let keys: Vec<&str> = self.open_phases().map(|phase| phase.key.as_str()).collect();
        let mut failures = Vec::new();
        for (at, choice) in choices.iter().enumerate() {
            let place = choice
                .phase_key
                .as_ref()
                .map_or_else(|| "all phases".to_owned(), |key| format!("phase {key}"));
            if choice
                .phase_key
                .as_ref()
                .is_some_and(|key| !keys.contains(&key.as_str()))
            {
                let message = format!("{place} is not open any more");
                failures.push(
                    Failure::new(Code::UsageInvalid, message)
                        .hint(format!("open phases: {}", keys.join(", "))),
                );
            }
            if choices[..at]
                .iter()
                .any(|before| before.phase_key == choice.phase_key)
            {
                let message = format!("two personas are named for {place}");
                failures.push(
                    Failure::new(Code::UsageInvalid, message).hint("name one for each phase"),
                );
            }
        }
        failures
    }

    /// Assigns a persona to a phase, if the binder accepts it and it is cheaper than the current
    /// one.
    fn assign(&self, phase: &PhaseDefinition, name: &str) -> Result<(SeatChange, Persona)> {
        let Some(now) = self.plan.works_on(phase, self.state) else {
            return Err(Failure::internal(format!(
                "phase {} has no persona",
                phase.key
            )));
        };
        let mut binding = self.bind_persona(phase, name)?;
        let found = self
            .personas
            .iter()
            .find(|(hash, _)| *hash == binding.persona_hash);
        let Some((_, persona)) = found else {
            return Err(Failure::internal("a bound persona is not in the catalog"));
        };
        let refuse = |why: String| {
            Failure::new(
                Code::UsageInvalid,
                format!(
                    "{} cannot continue phase {} at a lower cost: {why}",
                    binding.persona, phase.key
                ),
            )
            .hint("name another persona, or raise the budget with --raise")
        };
        if binding.backend != now.backend {
            return Err(refuse(format!(
                "it uses backend {}, and {} uses {}",
                binding.backend, now.persona, now.backend
            )));
        }
        let model = self.backends.named(&binding.backend)?.model(persona);
        let prices = (
            self.price(model.as_deref()),
            self.price(now.model.as_deref()),
        );
        match prices {
            (None, _) => {
                return Err(refuse(format!(
                    "the price of {} is unknown",
                    model.as_deref().unwrap_or("its model")
                )));
            }
            (_, None) => {
                return Err(refuse(format!(
                    "the price of {}, the current persona, is unknown",
                    now.persona
                )));
            }
            (Some(new), Some(old)) if new.0 <= old.0 && new.1 <= old.1 && new != old => {}
            (Some(new), Some(old)) => {
                let dollars =
                    |(sent, answered): (NanoUsd, NanoUsd)| format!("{sent} and {answered}");
                let unit = "per million input and output tokens";
                return Err(refuse(format!(
                    "it costs {} {unit}, and {} costs {}",
                    dollars(new),
                    now.persona,
                    dollars(old)
                )));
            }
        }
        binding.model = model;
        Ok((
            SeatChange {
                phase_key: phase.key.clone(),
                was: now.persona.clone(),
                binding,
            },
            persona.clone(),
        ))
    }

    /// Binds one persona to the role of one phase.
    fn bind_persona(
        &self,
        phase: &PhaseDefinition,
        name: &str,
    ) -> Result<crate::model::persona::RoleBinding> {
        let personas: Vec<_> = self
            .personas
            .iter()
            .map(|(hash, persona)| PersonaCandidate { persona, hash })
            .collect();
        let role = self
            .plan
            .workflow
            .roles
            .iter()
            .find(|role| role.id == phase.role);
        let role =
            role.ok_or_else(|| Failure::internal(format!("phase {} has no role", phase.key)))?;
        let everybody = self.personas.iter().map(|(hash, _)| hash.clone()).collect();
        let overrides: BTreeMap<RoleId, String> =
            BTreeMap::from([(phase.role.clone(), name.to_owned())]);
        let availability =
            |persona: &Persona| self.backends.named(&persona.backend)?.available(persona);
        let asked = BindRequest {
            workflow: &self.plan.workflow,
            personas: &personas,
            availability: &availability,
            consents: self.consents.as_ref().unwrap_or(&everybody),
            overrides: &overrides,
            rehearse: self.plan.rehearsal,
        };
        bind_one(&asked, role).map_err(|failure| *failure)
    }

    fn price(&self, model: Option<&str>) -> Option<(NanoUsd, NanoUsd)> {
        self.prices.per_million(model?)
    }
}

#[cfg(test)]
mod tests;
