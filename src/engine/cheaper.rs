//! Who could go on with a run for less, when a budget is used up.
//!
//! A persona takes a phase that is still to be done if the binder would seat it there, it is on the same
//! backend (the conversation goes on where it was), and neither the price of what it is sent nor of what
//! it answers is higher, and one is lower. Unknown prices compare with nothing. Asked by screens before
//! the answer ([`cheaper`]) and by the driver with it ([`seats`]): the same rule, so that what is offered is
//! taken. Storing who was chosen is the driver's.

use std::collections::{BTreeMap, BTreeSet};

use super::agent::Backends;
use super::agent::openai::Prices;
use super::bind::{BindRequest, Candidate, bind_one};
use super::catalog::Catalog;
use super::context::Context;
use super::host::{backends, prices};
use super::machine::Plan;
use super::outlook::{ConsentAsk, consent_ask};
use super::paths::Paths;
use super::run_files::{RunFiles, load_files};
use super::trust;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RoleId, RunId};
use crate::model::money::NanoUsd;
use crate::model::persona::{NewSeat, Persona};
use crate::model::question::PersonaChoice;
use crate::model::run_state::RunState;
use crate::model::settings::Settings;
use crate::model::state::PhaseStatus;
use crate::model::workflow::Phase;
use crate::store::{Reader, consents, events, runs};

/// A persona that could go on with a run for less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cheaper {
    /// `name@version`.
    pub persona: String,
    /// The model it talks to.
    pub model: String,
    /// What a million tokens cost, sent and received.
    pub price: (NanoUsd, NanoUsd),
    /// The phases it could take, in order; the first of a list of one is the phase in progress.
    pub phases: Vec<PhaseKey>,
    /// What the operator has not agreed to yet; the answer is refused until they have.
    pub consent: Option<ConsentAsk>,
}

/// Who could go on with the phase in progress for less, the cheapest answer first. Blocks for the length
/// of a few reads.
///
/// # Errors
/// `run_not_found`; what loading the run's frozen files says; `config_invalid`.
pub fn cheaper(paths: &Paths, settings: &Settings, run: RunId) -> Result<Vec<Cheaper>> {
    let reader = Reader::open(&paths.database())?;
    let state = events::state(reader.connection(), run)?;
    let files = load_files(reader.connection(), runs::get(reader.connection(), run)?)?;
    let prices = prices(settings, paths)?;
    let backends = backends(settings, prices.clone())?.into_iter().collect();
    let given = consents::all(reader.connection())?;
    let market = Market::new(
        &trust::catalog_of_run(paths, &files.record),
        &files,
        &state,
        &backends,
        prices,
        None,
    );
    let mut found: Vec<Cheaper> = market
        .people
        .iter()
        .filter_map(|(hash, persona)| market.offer(hash, persona, &given))
        .collect();
    found.sort_by(|a, b| {
        (a.price.1, a.price.0, &a.persona).cmp(&(b.price.1, b.price.0, &b.persona))
    });
    Ok(found)
}

/// The seats that an answer's choices make, each with the persona that is to be frozen with them. A choice
/// without a phase is for all that are to be done and that no other choice names; of those only the phase in
/// progress must be able to be taken.
///
/// # Errors
/// All problems at once: `usage_invalid` for a phase that is not to be done, one named twice, a persona that
/// is not cheaper or has no known price; what binding says, `persona_consent_required` among it.
pub fn seats(
    context: &Context,
    files: &RunFiles,
    state: &RunState,
    choices: &[PersonaChoice],
) -> Result<Vec<(NewSeat, Persona)>> {
    let catalog = trust::catalog_of_run(&context.paths, &files.record);
    let given = context.journal.store.read(consents::all)?;
    let prices = prices(&context.settings, &context.paths)?;
    Market::new(
        &catalog,
        files,
        state,
        &context.backends,
        prices,
        Some(given),
    )
    .seats(choices)
}

/// Everything that is asked about a choice.
struct Market<'a> {
    plan: &'a Plan,
    state: &'a RunState,
    /// Who there is: of the library with what the run's repository brings and the operator agreed to, and of
    /// the run where that has them no longer.
    people: Vec<(ContentHash, Persona)>,
    backends: &'a Backends,
    prices: Prices,
    /// Whom the operator has agreed to; absent: that is not asked.
    consents: Option<BTreeSet<ContentHash>>,
}

impl<'a> Market<'a> {
    fn new(
        catalog: &Catalog,
        files: &'a RunFiles,
        state: &'a RunState,
        backends: &'a Backends,
        prices: Prices,
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
            people,
            backends,
            prices,
            consents,
        }
    }

    /// The phases that are still to be done, that in progress first.
    fn ahead(&self) -> impl Iterator<Item = &'a Phase> {
        let (plan, over) = (
            self.plan,
            [
                PhaseStatus::Completed,
                PhaseStatus::Skipped,
                PhaseStatus::Failed,
            ],
        );
        self.state
            .phases
            .iter()
            .filter(move |phase| !over.contains(&phase.status))
            .filter_map(|phase| plan.phase(&phase.key))
    }

    fn offer(
        &self,
        hash: &ContentHash,
        persona: &Persona,
        given: &BTreeSet<ContentHash>,
    ) -> Option<Cheaper> {
        let name = persona.versioned_name().to_string();
        let (first, _) = self.seat(self.ahead().next()?, &name).ok()?;
        let model = first.binding.model?;
        Some(Cheaper {
            price: self.price(Some(&model))?,
            phases: self
                .ahead()
                .filter(|phase| self.seat(phase, &name).is_ok())
                .map(|phase| phase.key.clone())
                .collect(),
            consent: (!given.contains(hash)).then(|| consent_ask(persona, hash, Some(&model))),
            persona: name,
            model,
        })
    }

    fn seats(&self, choices: &[PersonaChoice]) -> Result<Vec<(NewSeat, Persona)>> {
        let mut failures = self.misplaced(choices);
        let everywhere = choices.iter().find(|choice| choice.phase_key.is_none());
        let mut seats = Vec::new();
        for (at, phase) in self.ahead().enumerate() {
            let own = choices
                .iter()
                .find(|choice| choice.phase_key.as_ref() == Some(&phase.key));
            let Some(choice) = own.or(everywhere) else {
                continue;
            };
            match self.seat(phase, &choice.persona) {
                Ok(seat) => seats.push(seat),
                // Who is named for all sits where they can.
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

    /// What is wrong with the choices before anybody is looked at.
    fn misplaced(&self, choices: &[PersonaChoice]) -> Vec<Failure> {
        let keys: Vec<&str> = self.ahead().map(|phase| phase.key.as_str()).collect();
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
                let message = format!("{place} is not to be done any more");
                failures.push(
                    Failure::new(Code::UsageInvalid, message)
                        .hint(format!("still to be done: {}", keys.join(", "))),
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

    /// A persona in a phase, if it can sit there and is cheaper than who does.
    fn seat(&self, phase: &Phase, name: &str) -> Result<(NewSeat, Persona)> {
        let Some(now) = self.plan.works_on(phase, self.state) else {
            return Err(Failure::internal(format!(
                "nobody works on phase {}",
                phase.key
            )));
        };
        let mut binding = self.bound(phase, name)?;
        let found = self
            .people
            .iter()
            .find(|(hash, _)| *hash == binding.persona_hash);
        let Some((_, persona)) = found else {
            return Err(Failure::internal("a persona without a text"));
        };
        let refuse = |why: String| {
            Failure::new(
                Code::UsageInvalid,
                format!(
                    "{} cannot go on with phase {} for less: {why}",
                    binding.persona, phase.key
                ),
            )
            .hint("name another persona, or raise the budget with --raise")
        };
        if binding.backend != now.backend {
            return Err(refuse(format!(
                "it is on backend {}, and {} on {}",
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
                    "the price of {}, which works on it, is unknown",
                    now.persona
                )));
            }
            (Some(new), Some(old)) if new.0 <= old.0 && new.1 <= old.1 && new != old => {}
            (Some(new), Some(old)) => {
                let dollars =
                    |(sent, answered): (NanoUsd, NanoUsd)| format!("{sent} and {answered}");
                let words = "for a million tokens sent and answered";
                return Err(refuse(format!(
                    "{} {words}, and {} costs {}",
                    dollars(new),
                    now.persona,
                    dollars(old)
                )));
            }
        }
        binding.model = model;
        Ok((
            NewSeat {
                phase_key: phase.key.clone(),
                was: now.persona.clone(),
                binding,
            },
            persona.clone(),
        ))
    }

    /// The binder's own word on one persona in one phase.
    fn bound(&self, phase: &Phase, name: &str) -> Result<crate::model::persona::Binding> {
        let personas: Vec<_> = self
            .people
            .iter()
            .map(|(hash, persona)| Candidate { persona, hash })
            .collect();
        let role = self
            .plan
            .workflow
            .roles
            .iter()
            .find(|role| role.id == phase.role);
        let role =
            role.ok_or_else(|| Failure::internal(format!("phase {} has no role", phase.key)))?;
        let everybody = self.people.iter().map(|(hash, _)| hash.clone()).collect();
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
