//! Who gets the seat, and the exact words for who does not.

use proptest::prelude::*;

use super::*;
use crate::engine::catalog::Catalog;
use crate::model::persona::ToolPermission;

fn persona(name: &str, version: u32, backend: &str, capabilities: &[&str]) -> Persona {
    let text = format!("{{\"name\":\"{name}\",\"version\":{version},\"backend\":\"{backend}\"}}");
    let mut persona: Persona = serde_json::from_str(&text).unwrap();
    persona.capabilities = capabilities.iter().map(|&c| c.to_owned()).collect();
    persona
}

fn workflow(roles: &[(&str, &[&str], &[&str])]) -> Workflow {
    let text = |items: &[&str]| {
        items
            .iter()
            .map(|&item| item.to_owned())
            .collect::<Vec<_>>()
    };
    let role = |(id, capabilities, backends): &(&str, &[&str], &[&str])| RoleDefinition {
        id: RoleId::from(*id),
        required_capabilities: text(capabilities),
        preferred_backends: text(backends),
    };
    let roles = roles.iter().map(role).collect();
    Workflow {
        name: "w".to_owned(),
        version: 1,
        description: String::new(),
        roles,
        default_gates: Vec::new(),
        phases: Vec::new(),
    }
}

/// A setting in which everything is agreed to and available unless said otherwise.
struct BindingCase {
    workflow: Workflow,
    personas: Vec<(Persona, ContentHash)>,
    unavailable: Vec<&'static str>,
    unconsented: Vec<&'static str>,
    overrides: BTreeMap<RoleId, String>,
    rehearse: bool,
}

impl BindingCase {
    fn new(workflow: Workflow, personas: Vec<Persona>) -> Self {
        let personas = personas
            .into_iter()
            .map(|persona| (persona.clone(), persona.hash().unwrap()))
            .collect();
        Self {
            workflow,
            personas,
            unavailable: Vec::new(),
            unconsented: Vec::new(),
            overrides: BTreeMap::new(),
            rehearse: false,
        }
    }

    fn named(mut self, role: &str, name: &str) -> Self {
        self.overrides.insert(RoleId::from(role), name.to_owned());
        self
    }

    fn bind(&self) -> Result<Vec<RoleBinding>, Vec<Failure>> {
        let candidates: Vec<PersonaCandidate<'_>> = self
            .personas
            .iter()
            .map(|(persona, hash)| PersonaCandidate { persona, hash })
            .collect();
        let agreed = self
            .personas
            .iter()
            .filter(|(persona, _)| !self.unconsented.contains(&persona.name.as_str()));
        let availability =
            |persona: &Persona| match self.unavailable.contains(&persona.backend.as_str()) {
                false => Ok(()),
                true => Err(Failure::new(
                    Code::BackendUnavailable,
                    format!("backend {} has no key", persona.backend),
                )
                .hint("set KEY")),
            };
        bind(&BindRequest {
            workflow: &self.workflow,
            personas: &candidates,
            availability: &availability,
            consents: &agreed.map(|(_, hash)| hash.clone()).collect(),
            overrides: &self.overrides,
            rehearse: self.rehearse,
        })
    }

    fn seats(&self) -> String {
        let seats: Vec<String> = self
            .bind()
            .unwrap()
            .iter()
            .map(|b| format!("{}={}/{}", b.role, b.persona, b.backend))
            .collect();
        seats.join(" ")
    }

    fn failures(&self) -> Vec<String> {
        self.bind()
            .unwrap_err()
            .iter()
            .map(|failure| format!("{failure}\n  {}", failure.hint))
            .collect()
    }
}

fn coders() -> Vec<Persona> {
    vec![
        persona("zoe", 1, "openai", &["code"]),
        persona("adam", 1, "acp", &["code"]),
        persona("zoe", 2, "openai", &["code"]),
        persona("bert", 1, "openai", &["code", "plan"]),
        persona("carl", 9, "rehearsal", &["plan"]),
    ]
}

#[test]
fn preferred_backends_come_first_then_names_then_the_highest_version() {
    let seats = |roles| BindingCase::new(workflow(roles), coders()).seats();
    assert_eq!(
        seats(&[("dev", &["code"], &["openai", "acp"])]),
        "dev=bert@1/openai"
    );
    assert_eq!(seats(&[("dev", &["code"], &["acp"])]), "dev=adam@1/acp");
    assert_eq!(seats(&[("dev", &["code"], &[])]), "dev=adam@1/acp");
    assert_eq!(
        seats(&[("dev", &["code"], &["rehearsal"])]),
        "dev=adam@1/acp"
    );
    assert_eq!(seats(&[("any", &[], &[])]), "any=adam@1/acp");
    assert_eq!(
        seats(&[("b", &["plan"], &[]), ("a", &["code", "plan"], &[])]),
        "b=bert@1/openai a=bert@1/openai"
    );
    let mut zoe_only = BindingCase::new(
        workflow(&[("dev", &["code"], &[])]),
        vec![coders().remove(0), coders().remove(2)],
    );
    assert_eq!(zoe_only.seats(), "dev=zoe@2/openai");
    zoe_only = zoe_only.named("dev", "zoe@1");
    assert_eq!(zoe_only.seats(), "dev=zoe@1/openai");
    zoe_only = zoe_only.named("dev", "zoe");
    assert_eq!(zoe_only.seats(), "dev=zoe@2/openai");
}

#[test]
fn a_persona_that_cannot_work_here_leaves_its_seat_to_the_next() {
    let mut case = BindingCase::new(workflow(&[("dev", &["code"], &["openai"])]), coders());
    case.unavailable = vec!["openai"];
    assert_eq!(case.seats(), "dev=adam@1/acp");
}

#[test]
fn a_rehearsal_asks_neither_backends_nor_consent_and_seats_the_same_personas() {
    let mut case = BindingCase::new(workflow(&[("dev", &["code"], &["openai"])]), coders());
    case.unavailable = vec!["openai", "acp"];
    case.unconsented = vec!["adam", "bert", "zoe"];
    case.rehearse = true;
    let bindings = case.bind().unwrap();
    assert_eq!(
        (
            bindings[0].persona.to_string().as_str(),
            bindings[0].backend.as_str(),
            &bindings[0].model
        ),
        ("bert@1", "rehearsal", &None)
    );
    assert_eq!(bindings[0].persona_hash, case.personas[3].1);
}

#[test]
fn a_seat_that_nobody_can_take_says_why_each_fell_out() {
    let case = BindingCase::new(
        workflow(&[("dev", &["code", "fly"], &["openai"])]),
        coders(),
    );
    assert_eq!(
        case.failures(),
        [
            "no persona can take role 'dev' (bert@1, zoe@2, zoe@1, adam@1: lacks fly; carl@9: lacks code, fly) [no_persona_for_role]\n  write a persona with the capabilities code, fly"
        ]
    );
    let empty = BindingCase::new(workflow(&[("dev", &["code"], &[])]), Vec::new());
    assert_eq!(
        empty.failures(),
        [
            "no persona can take role 'dev' (there are no personas) [no_persona_for_role]\n  write a persona with the capabilities code"
        ]
    );
    let mut away = BindingCase::new(workflow(&[("dev", &["plan"], &[])]), coders());
    away.unavailable = vec!["openai", "rehearsal"];
    assert_eq!(
        away.failures(),
        [
            "role 'dev': nobody who could take it can work here (bert@1: backend openai has no key; carl@9: backend rehearsal has no key; \
          adam@1, zoe@2, zoe@1: lacks plan) [backend_unavailable]\n  set KEY"
        ]
    );
}

#[test]
fn consent_is_asked_for_the_first_and_never_slips_to_the_next() {
    let mut personas = coders();
    personas[3].model = Some("maker/model-1".to_owned());
    personas[3].tools = ["read_file", "write_file", "execute"]
        .map(str::to_owned)
        .to_vec();
    personas[3].permissions = [
        ("execute".to_owned(), ToolPermission::Ask),
        ("write_file".to_owned(), ToolPermission::Deny),
    ]
    .into();
    let mut case = BindingCase::new(
        workflow(&[
            ("dev", &["code"], &["openai"]),
            ("lead", &["code"], &["acp"]),
        ]),
        personas,
    );
    case.unconsented = vec!["bert", "adam"];
    assert_eq!(
        case.failures(),
        [
            "role 'dev' needs your consent to persona bert@1: backend openai, model maker/model-1, tools read_file, write_file (denied), \
             execute (asks) [persona_consent_required]\n  agree with `phasedeck consent bert`, or name another with `--persona dev=NAME`",
            "role 'lead' needs your consent to persona adam@1: backend acp, model the backend's default, tools none \
             [persona_consent_required]\n  agree with `phasedeck consent adam`, or name another with `--persona lead=NAME`",
        ]
    );
}

#[test]
fn an_override_fails_in_its_own_words() {
    let case = |name: &str| {
        BindingCase::new(workflow(&[("dev", &["code"], &[])]), coders()).named("dev", name)
    };
    assert_eq!(
        case("brt").failures(),
        [
            "role 'dev' is given to 'brt', and no persona is named so [persona_not_found]\n  \
          did you mean 'bert@1'? known: adam@1, bert@1, carl@9, zoe@1, zoe@2"
        ]
    );
    assert_eq!(
        case("carl").failures(),
        [
            "persona carl@9 cannot take role 'dev': it lacks code [no_persona_for_role]\n  \
          name a persona that has them, or leave the role to the binder; `phasedeck personas` lists capabilities"
        ]
    );
    let mut away = case("zoe");
    away.unavailable = vec!["openai"];
    assert_eq!(
        away.failures(),
        [
            "persona zoe@2 cannot take role 'dev': backend openai has no key [backend_unavailable]\n  set KEY"
        ]
    );
    let mut unasked = case("zoe");
    unasked.unconsented = vec!["zoe"];
    assert_eq!(
        unasked.bind().unwrap_err()[0].code,
        Code::PersonaConsentRequired
    );
}

#[test]
fn everything_wrong_with_all_roles_is_told_at_once() {
    let mut case = BindingCase::new(
        workflow(&[
            ("dev", &["code"], &[]),
            ("ops", &["fly"], &[]),
            ("lead", &["plan"], &[]),
        ]),
        coders(),
    );
    case = case.named("lead", "nobody").named("devv", "zoe");
    case.unconsented = vec!["adam"];
    let codes: Vec<Code> = case
        .bind()
        .unwrap_err()
        .iter()
        .map(|failure| failure.code)
        .collect();
    assert_eq!(
        codes,
        [
            Code::UnknownRole,
            Code::PersonaConsentRequired,
            Code::NoPersonaForRole,
            Code::PersonaNotFound
        ]
    );
    assert_eq!(
        case.failures()[0],
        "workflow w@1 has no role 'devv' [unknown_role]\n  did you mean 'dev'? roles: dev, ops, lead"
    );
}

#[test]
fn shipped_workflows_bind_with_shipped_personas_in_earnest_and_in_rehearsal() {
    let catalog = Catalog::shipped();
    let personas: Vec<Persona> = catalog
        .personas
        .iter()
        .map(|entry| (*entry.item).clone())
        .collect();
    for (name, seats) in [
        (
            "development",
            "analyst=analyst@1 architect=architect@1 developer=developer@1 reviewer=reviewer@1 tester=tester@1",
        ),
        (
            "bugfix",
            "tester=tester@1 diagnostician=debugger@1 developer=developer@1",
        ),
        (
            "research",
            "lead=analyst@1 researcher=researcher@1 synthesist=synthesist@1 editor=editor@1",
        ),
    ] {
        let mut case = BindingCase::new(
            (*catalog.workflow(name).unwrap().item).clone(),
            personas.clone(),
        );
        for rehearse in [false, true] {
            case.rehearse = rehearse;
            let bindings = case.bind().unwrap();
            let bound: Vec<String> = bindings
                .iter()
                .map(|b| format!("{}={}", b.role, b.persona))
                .collect();
            assert_eq!(bound.join(" "), seats);
            assert!(
                bindings.iter().all(
                    |b| (b.backend == "rehearsal") == rehearse && b.model.is_none() == rehearse
                )
            );
        }
    }
}

fn any_persona() -> impl Strategy<Value = Persona> {
    let capability = prop::sample::subsequence(vec!["code", "plan", "test"], 0..=3);
    let backend = prop::sample::select(vec!["openai", "acp", "rehearsal"]);
    ("[a-d]", 1..3u32, backend, capability)
        .prop_map(|(name, version, backend, can)| persona(&name, version, backend, &can))
}

proptest! {
    #[test]
    fn the_order_of_personas_does_not_matter(
        (personas, shuffled) in prop::collection::btree_map(("[a-d]", 1..3u32), any_persona(), 0..8).prop_flat_map(|map| {
            let personas: Vec<Persona> = map.into_iter().map(|((name, version), p)| Persona { name, version, ..p }).collect();
            (Just(personas.clone()), Just(personas).prop_shuffle())
        }),
        away in prop::sample::subsequence(vec!["openai", "acp", "rehearsal"], 0..=3),
        unasked in prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4),
        rehearse: bool,
    ) {
        let roles = workflow(&[("dev", &["code"], &["acp", "openai"]), ("lead", &["plan", "test"], &[])]);
        let with = |personas: Vec<Persona>| {
            let mut case = BindingCase::new(roles.clone(), personas);
            (case.unavailable, case.unconsented, case.rehearse) = (away.clone(), unasked.clone(), rehearse);
            case.bind()
        };
        prop_assert_eq!(with(personas), with(shuffled));
    }

    #[test]
    fn whoever_is_seated_can_do_it_and_was_agreed_to(
        personas in prop::collection::vec(any_persona(), 0..8),
        away in prop::sample::subsequence(vec!["openai", "acp", "rehearsal"], 0..=3),
        unasked in prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4),
    ) {
        let mut case = BindingCase::new(workflow(&[("dev", &["code"], &["acp", "openai"])]), personas);
        (case.unavailable, case.unconsented) = (away, unasked);
        let able = |p: &Persona| p.capabilities.contains(&"code".to_owned()) && !case.unavailable.contains(&p.backend.as_str());
        match case.bind() {
            Ok(bindings) => {
                let (seated, _) = case.personas.iter().find(|(_, hash)| *hash == bindings[0].persona_hash).unwrap();
                prop_assert!(able(seated) && !case.unconsented.contains(&seated.name.as_str()));
            }
            Err(failures) => {
                let consent = failures[0].code == Code::PersonaConsentRequired;
                prop_assert_eq!(consent, case.personas.iter().any(|(p, _)| able(p)));
            }
        }
    }
}
