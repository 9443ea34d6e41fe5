//! Which personas are offered and accepted, and the exact message for those that are not.

use std::sync::Arc;

use super::*;
use crate::engine::agent::{AgentEnd, AgentFuture, AgentJob, AgentStop, Backend};
use crate::model::event::{JournalEvent, RunFact};
use crate::model::id::RequestId;
use crate::model::settings::ModelPrice;
use crate::model::time::Timestamp;

/// A backend whose personas use the model they name.
struct PricedBackend(&'static str);

impl Backend for PricedBackend {
    fn name(&self) -> &'static str {
        self.0
    }

    fn available(&self, persona: &Persona) -> Result<(), Failure> {
        if persona.name == "keyless" {
            Err(Failure::new(Code::BackendUnavailable, "no key").hint("set KEY"))
        } else {
            Ok(())
        }
    }

    fn model(&self, persona: &Persona) -> Option<String> {
        persona.model.clone()
    }

    fn work<'a>(
        &'a self,
        _: &'a AgentJob,
        _: &'a crate::engine::agent::AttemptRecorder,
        _: &'a AgentStop,
    ) -> AgentFuture<'a> {
        Box::pin(async { Ok(AgentEnd::Done) })
    }
}

fn persona(
    name: &str,
    backend: &str,
    model: &str,
    capabilities: &[&str],
) -> (ContentHash, Persona) {
    let text = serde_json::json!({ "name": name, "version": 1, "backend": backend, "model": model, "capabilities": capabilities });
    let persona: Persona = serde_json::from_value(text).unwrap();
    (persona.hash().unwrap(), persona)
}

fn plan() -> PhasePlan {
    let phase = |key: &str, role: &str| serde_json::json!({ "key": key, "role": role, "instructions": "do" });
    let workflow = serde_json::json!({
        "name": "w", "version": 1,
        "roles": [{ "id": "maker", "required_capabilities": ["make"] }, { "id": "judge", "required_capabilities": ["judge"] }],
        "phases": [phase("spec", "maker"), phase("build", "maker"), phase("check", "judge"), phase("ship", "maker")]
    });
    let seat = |role: &str| {
        let (persona_hash, persona) = persona("big", "openai", "large", &["make", "judge"]);
        let persona = persona.versioned_name();
        crate::model::persona::RoleBinding {
            role: role.into(),
            persona,
            persona_hash,
            backend: "openai".to_owned(),
            model: Some("large".to_owned()),
        }
    };
    PhasePlan {
        workflow: serde_json::from_value(workflow).unwrap(),
        bindings: vec![seat("judge"), seat("maker")],
        thread: "t".into(),
        rehearsal: false,
    }
}

/// A run whose first phase is completed and whose second is in progress.
fn state() -> RunState {
    let mut state = RunState::new(RunId::new());
    let json = |kind: &str, payload: serde_json::Value| serde_json::json!({ "type": kind, "payload": payload });
    let started = |key: &str| {
        json(
            "phase.started",
            serde_json::json!({ "phase_key": key, "attempt": 1, "role": "maker", "persona": "big@1", "cause": "first" }),
        )
    };
    let facts = [
        json(
            "run.created",
            serde_json::json!({ "workflow": "w@1", "workflow_hash": "f".repeat(64), "thread": "t", "phases": ["spec", "build", "check", "ship"], "rehearsal": false }),
        ),
        json(
            "run.started",
            serde_json::json!({ "workflow": "w@1", "thread": "t" }),
        ),
        started("spec"),
        json(
            "phase.completed",
            serde_json::json!({ "phase_key": "spec", "attempts": 1, "duration_ms": 1, "commit": null }),
        ),
        started("build"),
    ];
    for (fact, seq) in facts.into_iter().zip(1..) {
        let event = JournalEvent {
            run_id: state.run_id,
            seq,
            at: Timestamp(0),
            fact: serde_json::from_value(fact).unwrap(),
        };
        state.apply(&event).unwrap();
    }
    state
}

struct ReassignFixture {
    plan: PhasePlan,
    state: RunState,
    people: Vec<(ContentHash, Persona)>,
    backends: BackendRegistry,
    unconsented: Vec<&'static str>,
}

impl ReassignFixture {
    fn open() -> Self {
        let both = ["make", "judge"];
        let people = vec![
            persona("big", "openai", "large", &both),
            persona("mini", "openai", "small", &both),
            persona("tiny", "openai", "smallest", &["make"]),
            persona("mixed", "openai", "slanted", &both),
            persona("mystery", "openai", "unpriced", &both),
            persona("elsewhere", "acp", "small", &both),
            persona("keyless", "openai", "small", &both),
        ];
        let backends = ["openai", "acp"]
            .map(|name| Arc::new(PricedBackend(name)) as Arc<dyn Backend>)
            .into_iter()
            .collect();
        Self {
            plan: plan(),
            state: state(),
            people,
            backends,
            unconsented: Vec::new(),
        }
    }

    fn market(&self, asks_consent: bool) -> CostReassignment<'_> {
        let price = |input: &str, output: &str| ModelPrice {
            input: input.to_owned(),
            output: output.to_owned(),
            cached: None,
        };
        let own = [
            ("large", price("3", "15")),
            ("small", price("1", "5")),
            ("smallest", price("1", "2")),
            ("slanted", price("1", "16")),
        ];
        let agreed = self
            .people
            .iter()
            .filter(|(_, persona)| !self.unconsented.contains(&persona.name.as_str()));
        CostReassignment {
            plan: &self.plan,
            state: &self.state,
            personas: self.people.clone(),
            backends: &self.backends,
            prices: PriceTable::new(&own.map(|(model, price)| (model.to_owned(), price)).into())
                .unwrap(),
            consents: asks_consent.then(|| agreed.map(|(hash, _)| hash.clone()).collect()),
        }
    }

    /// Returns the assignments after these choices, or the error.
    fn choose(&self, choices: &[&str]) -> Result<Vec<String>, String> {
        let choices: Vec<PersonaChoice> = choices
            .iter()
            .map(|choice| choice.parse().unwrap())
            .collect();
        let seats = self
            .market(true)
            .reassignments(&choices)
            .map_err(|failure| failure.message)?;
        Ok(seats.into_iter().map(|(seat, _)| seat.in_words()).collect())
    }
}

#[test]
fn a_name_applies_to_all_possible_open_phases_and_a_pair_to_its_own() {
    let shop = ReassignFixture::open();
    let taken = |choices: &[&str]| shop.choose(choices).unwrap();
    let words = |phase: &str, who: &str| format!("{phase}: {who} instead of big@1");
    assert_eq!(
        taken(&["mini"]),
        [
            words("build", "mini@1 (small)"),
            words("check", "mini@1 (small)"),
            words("ship", "mini@1 (small)")
        ]
    );
    assert_eq!(
        taken(&["tiny"]),
        [
            words("build", "tiny@1 (smallest)"),
            words("ship", "tiny@1 (smallest)")
        ],
        "it lacks the capability to judge"
    );
    assert_eq!(taken(&["check=mini@1"]), [words("check", "mini@1 (small)")]);
    assert_eq!(
        taken(&["mini", "ship=tiny"]),
        [
            words("build", "mini@1 (small)"),
            words("check", "mini@1 (small)"),
            words("ship", "tiny@1 (smallest)")
        ]
    );
}

#[test]
fn ineligible_personas_are_refused_with_all_problems_at_once() {
    let shop = ReassignFixture {
        unconsented: vec!["tiny"],
        ..ReassignFixture::open()
    };
    for (choices, words) in [
        (
            vec!["big"],
            "big@1 cannot continue phase build at a lower cost: it costs $3.00 and $15.00 per million input and output tokens, and big@1 costs $3.00 and $15.00",
        ),
        (
            vec!["mixed"],
            "mixed@1 cannot continue phase build at a lower cost: it costs $1.00 and $16.00 per million input and output tokens, and big@1 costs $3.00 and $15.00",
        ),
        (
            vec!["mystery"],
            "mystery@1 cannot continue phase build at a lower cost: the price of unpriced is unknown",
        ),
        (
            vec!["elsewhere"],
            "elsewhere@1 cannot continue phase build at a lower cost: it uses backend acp, and big@1 uses openai",
        ),
        (
            vec!["keyless"],
            "persona keyless@1 cannot take role 'maker': no key",
        ),
        (
            vec!["check=tiny"],
            "persona tiny@1 cannot take role 'judge': it lacks judge",
        ),
        (
            vec!["nobody"],
            "role 'maker' is given to 'nobody', and no persona is named so",
        ),
        (
            vec!["tiny"],
            "role 'maker' needs your consent to persona tiny@1: backend openai, model smallest, tools none",
        ),
        (vec!["spec=mini"], "phase spec is not open any more"),
        (
            vec!["mini", "tiny"],
            "two personas are named for all phases",
        ),
        (
            vec!["ship=big", "spec=mini"],
            "phase spec is not open any more\nbig@1 cannot continue phase ship at a lower cost: it costs $3.00 and $15.00 per million input and output tokens, and big@1 costs $3.00 and $15.00",
        ),
    ] {
        assert_eq!(shop.choose(&choices).unwrap_err(), words, "{choices:?}");
    }
}

#[test]
fn a_second_reassignment_compares_with_the_current_persona() {
    let mut shop = ReassignFixture::open();
    let seats = shop
        .market(true)
        .reassignments(&["mini".parse().unwrap()])
        .unwrap()
        .into_iter()
        .map(|(seat, _)| seat)
        .collect();
    let fact = RunFact::PersonasChanged {
        request_id: RequestId::new(),
        seats,
    };
    shop.state
        .apply(&JournalEvent {
            run_id: shop.state.run_id,
            seq: 6,
            at: Timestamp(0),
            fact,
        })
        .unwrap();
    assert_eq!(
        shop.state.phase(&"build".into()).unwrap().persona,
        Some("mini@1".parse().unwrap()),
        "it works on it now"
    );
    assert_eq!(
        shop.state.phase(&"ship".into()).unwrap().persona,
        None,
        "no persona works on it yet"
    );
    assert!(
        shop.choose(&["mini"])
            .unwrap_err()
            .ends_with("and mini@1 costs $1.00 and $5.00")
    );
    assert_eq!(
        shop.choose(&["build=tiny"]).unwrap(),
        ["build: tiny@1 (smallest) instead of mini@1"]
    );
}

#[test]
fn offers_list_price_and_phases_cheapest_first() {
    let shop = ReassignFixture {
        unconsented: vec!["tiny"],
        ..ReassignFixture::open()
    };
    let given = shop.market(true).consents.unwrap();
    let market = shop.market(false);
    let offers: Vec<CheaperPersona> = market
        .personas
        .iter()
        .filter_map(|(hash, persona)| market.offer(hash, persona, &given))
        .collect();
    let told: Vec<_> = offers
        .iter()
        .map(|o| {
            (
                o.persona.as_str(),
                o.price.1.to_string(),
                o.phases.len(),
                o.consent.is_some(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("mini@1", "$5.00".to_owned(), 3, false),
            ("tiny@1", "$2.00".to_owned(), 2, true)
        ]
    );
}
