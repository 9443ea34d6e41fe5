//! Who takes which seat: pure and deterministic, asked once at the start of a run.
//!
//! For each role the personas that have all required capabilities and an available backend, ordered
//! by the role's preferred backends (others after them), then name, then highest version; the first
//! one takes the seat. An override names one outright; it must still be able, available and consented.
//! Personas stand in for each other before consent is asked, never because of it: the seat goes to
//! the same persona whether or not the operator has agreed to it, and who has not agreed is asked.
//!
//! Not its work: reading personas (the catalog), asking backends (the caller's `availability`), storing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::error::{Code, Failure};
use crate::model::hash::ContentHash;
use crate::model::id::RoleId;
use crate::model::persona::{Persona, RoleBinding};
use crate::model::suggest::did_you_mean_or_list;
use crate::model::workflow::{RoleDefinition, Workflow};

/// The backend of every binding of a rehearsal.
const REHEARSAL: &str = "rehearsal";

/// A persona with its identity.
#[derive(Clone, Copy, Debug)]
pub struct PersonaCandidate<'a> {
    /// Who.
    pub persona: &'a Persona,
    /// [`Persona::hash`], which consent is given to.
    pub hash: &'a ContentHash,
}

/// Everything a binding is made from.
pub struct BindRequest<'a> {
    /// Whose roles are filled.
    pub workflow: &'a Workflow,
    /// Who could fill them, in any order.
    pub personas: &'a [PersonaCandidate<'a>],
    /// Whether a persona's backend can be used here; its failure says what is missing.
    pub availability: &'a dyn Fn(&Persona) -> Result<(), Failure>,
    /// The personas that the operator has agreed to.
    pub consents: &'a BTreeSet<ContentHash>,
    /// Personas named outright, `name` or `name@version`, by role.
    pub overrides: &'a BTreeMap<RoleId, String>,
    /// Whether no model is used; then neither availability nor consent is asked.
    pub rehearse: bool,
}

/// Fills every role of the workflow, in the order of its file.
///
/// # Errors
/// Everything that is wrong with any role at once: `unknown_role`, `persona_not_found`,
/// `no_persona_for_role`, `backend_unavailable`, `persona_consent_required`.
pub fn bind(request: &BindRequest<'_>) -> Result<Vec<RoleBinding>, Vec<Failure>> {
    let mut failures = unknown_roles(request);
    let mut bindings = Vec::with_capacity(request.workflow.roles.len());
    for role in &request.workflow.roles {
        match bind_one(request, role) {
            Ok(binding) => bindings.push(binding),
            Err(failure) => failures.push(*failure),
        }
    }
    if failures.is_empty() {
        Ok(bindings)
    } else {
        Err(failures)
    }
}

/// Fills one role, whatever becomes of the others.
///
/// # Errors
/// As [`bind`], of this role.
pub fn bind_one(
    request: &BindRequest<'_>,
    role: &RoleDefinition,
) -> Result<RoleBinding, Box<Failure>> {
    assign_role(request, role).map(|candidate| binding(request, role, candidate))
}

fn assign_role<'a>(
    request: &BindRequest<'a>,
    role: &RoleDefinition,
) -> Result<PersonaCandidate<'a>, Box<Failure>> {
    let candidate = match request.overrides.get(&role.id) {
        Some(name) => named(request, role, name)?,
        None => first(request, role)?,
    };
    if request.rehearse || request.consents.contains(candidate.hash) {
        Ok(candidate)
    } else {
        Err(Box::new(consent_required(role, candidate.persona)))
    }
}

fn binding(
    request: &BindRequest<'_>,
    role: &RoleDefinition,
    candidate: PersonaCandidate<'_>,
) -> RoleBinding {
    let persona = candidate.persona;
    RoleBinding {
        role: role.id.clone(),
        persona: persona.versioned_name(),
        persona_hash: candidate.hash.clone(),
        backend: if request.rehearse {
            REHEARSAL.to_owned()
        } else {
            persona.backend.clone()
        },
        model: if request.rehearse {
            None
        } else {
            persona.model.clone()
        },
    }
}

/// The first of those who can, by the role's preference.
fn first<'a>(
    request: &BindRequest<'a>,
    role: &RoleDefinition,
) -> Result<PersonaCandidate<'a>, Box<Failure>> {
    let mut ordered: Vec<PersonaCandidate<'a>> = request.personas.to_vec();
    ordered.sort_by_key(|c| {
        (
            preference(role, c.persona),
            c.persona.name.clone(),
            Reverse(c.persona.version),
        )
    });
    let mut fell_out = RejectedCandidates::default();
    for candidate in ordered {
        match obstacle(request, role, candidate.persona) {
            None => return Ok(candidate),
            Some(obstacle) => fell_out.note(candidate.persona, obstacle),
        }
    }
    Err(Box::new(no_persona_for_role(role, fell_out)))
}

/// Who was considered for a seat and why each fell out, in the order they were considered, those
/// with one reason together.
#[derive(Default)]
struct RejectedCandidates {
    out_of_reach: Vec<(String, Vec<String>)>,
    unable: Vec<(String, Vec<String>)>,
    hint: Option<String>,
}

impl RejectedCandidates {
    fn note(&mut self, persona: &Persona, obstacle: BindingObstacle) {
        let (reasons, why) = match obstacle {
            BindingObstacle::Lacks(missing) => (&mut self.unable, format!("lacks {missing}")),
            BindingObstacle::Unavailable(why) => {
                self.hint.get_or_insert(why.hint);
                (&mut self.out_of_reach, why.message)
            }
        };
        let who = persona.versioned_name().to_string();
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(who),
            None => reasons.push((why, vec![who])),
        }
    }

    /// Those who nearly could come first.
    fn describe(&self) -> String {
        let all: Vec<String> = self
            .out_of_reach
            .iter()
            .chain(&self.unable)
            .map(|(why, who)| format!("{}: {why}", who.join(", ")))
            .collect();
        if all.is_empty() {
            "there are no personas".to_owned()
        } else {
            all.join("; ")
        }
    }
}

/// The persona that the operator named, if it can take the seat.
fn named<'a>(
    request: &BindRequest<'a>,
    role: &RoleDefinition,
    name: &str,
) -> Result<PersonaCandidate<'a>, Box<Failure>> {
    let candidate =
        find(request.personas, name).ok_or_else(|| persona_not_found(request, role, name))?;
    let who = candidate.persona.versioned_name();
    match obstacle(request, role, candidate.persona) {
        None => Ok(candidate),
        Some(BindingObstacle::Lacks(missing)) => Err(Box::new(
            Failure::new(Code::NoPersonaForRole, format!("persona {who} cannot take role '{}': it lacks {missing}", role.id))
                .hint("name a persona that has them, or leave the role to the binder; `phasedeck personas` lists capabilities"),
        )),
        Some(BindingObstacle::Unavailable(why)) => {
            let message = format!("persona {who} cannot take role '{}': {}", role.id, why.message);
            Err(Box::new(Failure::new(Code::BackendUnavailable, message).hint(why.hint)))
        }
    }
}

/// Why a persona cannot take a seat.
enum BindingObstacle {
    Lacks(String),
    Unavailable(Failure),
}

fn obstacle(
    request: &BindRequest<'_>,
    role: &RoleDefinition,
    persona: &Persona,
) -> Option<BindingObstacle> {
    let missing: Vec<&str> = role
        .required_capabilities
        .iter()
        .filter(|wanted| !persona.capabilities.contains(wanted))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Some(BindingObstacle::Lacks(missing.join(", ")));
    }
    if request.rehearse {
        return None;
    }
    (request.availability)(persona)
        .err()
        .map(BindingObstacle::Unavailable)
}

fn preference(role: &RoleDefinition, persona: &Persona) -> usize {
    role.preferred_backends
        .iter()
        .position(|backend| *backend == persona.backend)
        .unwrap_or(usize::MAX)
}

fn find<'a>(personas: &[PersonaCandidate<'a>], name: &str) -> Option<PersonaCandidate<'a>> {
    let fits = |c: &&PersonaCandidate<'a>| {
        c.persona.name == name || c.persona.versioned_name().to_string() == name
    };
    personas
        .iter()
        .filter(fits)
        .max_by_key(|c| c.persona.version)
        .copied()
}

fn unknown_roles(request: &BindRequest<'_>) -> Vec<Failure> {
    let roles: Vec<&str> = request
        .workflow
        .roles
        .iter()
        .map(|role| role.id.as_str())
        .collect();
    let unknown = request
        .overrides
        .keys()
        .filter(|role| !roles.contains(&role.as_str()));
    unknown
        .map(|role| {
            Failure::new(
                Code::UnknownRole,
                format!(
                    "workflow {} has no role '{role}'",
                    request.workflow.versioned_name()
                ),
            )
            .hint(did_you_mean_or_list(
                role.as_str(),
                "roles",
                roles.iter().copied(),
            ))
        })
        .collect()
}

fn persona_not_found(request: &BindRequest<'_>, role: &RoleDefinition, name: &str) -> Box<Failure> {
    let mut known: Vec<String> = request
        .personas
        .iter()
        .map(|c| c.persona.versioned_name().to_string())
        .collect();
    known.sort();
    let failure = Failure::new(
        Code::PersonaNotFound,
        format!(
            "role '{}' is given to '{name}', and no persona is named so",
            role.id
        ),
    );
    Box::new(failure.hint(did_you_mean_or_list(
        name,
        "known",
        known.iter().map(String::as_str),
    )))
}

fn no_persona_for_role(role: &RoleDefinition, fell_out: RejectedCandidates) -> Failure {
    let considered = fell_out.describe();
    match fell_out.hint {
        Some(hint) => {
            let message = format!(
                "role '{}': nobody who could take it can work here ({considered})",
                role.id
            );
            Failure::new(Code::BackendUnavailable, message).hint(hint)
        }
        None => Failure::new(
            Code::NoPersonaForRole,
            format!("no persona can take role '{}' ({considered})", role.id),
        )
        .hint(match role.required_capabilities.as_slice() {
            [] => "write a persona".to_owned(),
            wanted => format!(
                "write a persona with the capabilities {}",
                wanted.join(", ")
            ),
        }),
    }
}

fn consent_required(role: &RoleDefinition, persona: &Persona) -> Failure {
    let model = persona.model.as_deref().unwrap_or("the backend's default");
    let tools: Vec<String> = persona
        .tools
        .iter()
        .map(|tool| tool_with_permission(persona, tool))
        .collect();
    let tools = if tools.is_empty() {
        "none".to_owned()
    } else {
        tools.join(", ")
    };
    let message = format!(
        "role '{}' needs your consent to persona {}: backend {}, model {model}, tools {tools}",
        role.id,
        persona.versioned_name(),
        persona.backend
    );
    let hint = format!(
        "agree with `phasedeck consent {}`, or name another with `--persona {}=NAME`",
        persona.name, role.id
    );
    Failure::new(Code::PersonaConsentRequired, message).hint(hint)
}

fn tool_with_permission(persona: &Persona, tool: &str) -> String {
    use crate::model::persona::ToolPermission;
    match persona.permission(tool) {
        ToolPermission::Auto => tool.to_owned(),
        ToolPermission::Ask => format!("{tool} (asks)"),
        ToolPermission::Deny => format!("{tool} (denied)"),
    }
}

#[cfg(test)]
mod tests;
