//! Start preview: what a run would be if it were started now. Which persona would take which role
//! and why, from which commit, at what cost, and all problems that prevent the start.
//!
//! The preview uses the same binder, repository, ledger and price list as a start, and stores
//! nothing. It reports all problems at once, each with the part of the form it belongs to.

use super::bind::{BindRequest, PersonaCandidate, bind_one};
use super::trust;
use crate::engine::agent::BackendRegistry;
use crate::engine::agent::chat_completions::PriceTable;
use crate::engine::api::StartRun;
use crate::engine::catalog::Catalog;
use crate::engine::catalog::trust_request;
use crate::engine::catalog::trust_request::TrustRequest;
use crate::engine::host::{backends, prices};
use crate::engine::paths::InstallPaths;
use crate::engine::run::start::default_thread;
use crate::engine::workspace::worktree::{BaseCommit, GitRepository};
use crate::model::error::{Code, Failure};
use crate::model::hash::ContentHash;
use crate::model::id::{RoleId, RunId};
use crate::model::money::NanoUsd;
use crate::model::persona::{Persona, ToolPermission};
use crate::model::settings::AppSettings;
use crate::model::workflow::{RoleDefinition, Workflow};
use crate::store::Reader;
use crate::store::tables::{consents, run_costs};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Minimum number of earlier runs for an estimate by history.
const ENOUGH_RUNS: usize = 5;
/// Assumed input tokens of a turn if nothing is known.
const ASSUMED_INPUT: u64 = 8_000;
/// Assumed output tokens of a turn if the persona sets no limit.
const ASSUMED_OUTPUT: u64 = 4_096;

/// Part of a start request that a problem belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestPart {
    Workflow,
    /// The repository.
    Repo,
    /// The base branch or commit.
    Base,
    /// The task.
    Requirements,
    /// The persona for a role.
    Seat(RoleId),
    /// No single part.
    Whole,
}

/// What a run would be if it were started now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartPreview {
    /// All workflows: `name@version` and description.
    pub workflows: Vec<(String, String)>,
    /// The roles of the chosen workflow, in the order of its file.
    pub seats: Vec<AssignmentPreview>,
    /// Number of phases of the workflow.
    pub phases: usize,
    /// Starting point; `None` for a plain directory, or if it cannot be determined.
    pub place: Option<StartPoint>,
    /// Thread of the run; `None` if it cannot be determined yet.
    pub thread: Option<String>,
    /// Expected cost.
    pub estimate: CostEstimate,
    /// Budget of one run by the settings.
    pub budget: Option<NanoUsd>,
    /// The repository's catalog that the operator has not allowed yet; none of it is used.
    pub withheld: Option<Box<TrustRequest>>,
    /// Everything that prevents the start.
    pub problems: Vec<(RequestPart, Failure)>,
}

/// Commit that a run would start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartPoint {
    pub repo: PathBuf,
    /// The branch, if the base is one.
    pub branch: Option<String>,
    pub commit: String,
}

/// A role and the persona that would take it.
#[derive(Clone, Debug, PartialEq)]
pub struct AssignmentPreview {
    pub role: RoleId,
    /// `None` if no persona can take the role.
    pub persona: Option<String>,
    /// Backend that would run the persona.
    pub backend: String,
    /// Model that the persona would use.
    pub model: Option<String>,
    /// Price per million input and output tokens; `None` if unknown.
    pub price: Option<(NanoUsd, NanoUsd)>,
    /// Why this persona was chosen.
    pub why: String,
    /// Permission the operator has not given yet.
    pub consent: Option<ConsentRequest>,
    /// Personas that could be chosen instead, as `name@version`.
    pub choices: Vec<String>,
}

/// Request to allow a persona.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRequest {
    /// Persona as `name@version`.
    pub persona: String,
    /// Hash that identifies the persona.
    pub hash: ContentHash,
    /// Backend and model.
    pub runs_on: String,
    /// Tools and their permissions.
    pub tools: Vec<(String, ToolPermission)>,
}

/// Expected cost of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostEstimate {
    /// Cannot be estimated.
    #[default]
    Unknown,
    /// No cost: the run is a dry run.
    Free,
    /// Percentiles of earlier runs: half cost at most `p50`, nine of ten at most `p90`.
    History {
        p50: NanoUsd,
        p90: NanoUsd,
        /// Number of earlier runs.
        runs: u32,
    },
    /// Upper bound by prices and limits.
    AtMost(NanoUsd),
}

/// Previews a start. Blocks for a few database reads and git calls.
pub async fn preview_start(
    paths: &InstallPaths,
    settings: &AppSettings,
    request: &StartRun,
) -> StartPreview {
    let budget = NanoUsd::from_decimal(&settings.budget.run).filter(|amount| amount.0 > 0);
    let mut ahead = StartPreview {
        budget,
        ..StartPreview::default()
    };
    if request.requirements.trim().is_empty() {
        ahead.problem(
            RequestPart::Requirements,
            Failure::new(Code::UsageInvalid, "describe the task first"),
        );
    }
    check_base(&mut ahead, request).await;
    let catalog = trust::catalog(
        paths,
        ahead.place.as_ref().map(|place| place.repo.as_path()),
    );
    let named = |workflow: &Workflow| {
        (
            workflow.versioned_name().to_string(),
            workflow.description.clone(),
        )
    };
    ahead.withheld = catalog
        .withheld
        .as_ref()
        .and_then(|brought| trust_request::ask(paths, &brought.top).ok().flatten())
        .map(Box::new);
    ahead.workflows = catalog
        .workflows
        .iter()
        .map(|entry| named(&entry.item))
        .collect();
    match catalog.workflow(&request.workflow) {
        Ok(found) => check_assignments(&mut ahead, paths, settings, &catalog, &found.item, request),
        Err(failure) => ahead.problem(RequestPart::Workflow, failure),
    }
    ahead
}

impl StartPreview {
    fn problem(&mut self, part: RequestPart, failure: Failure) {
        self.problems.push((part, failure));
    }
}

async fn check_base(ahead: &mut StartPreview, request: &StartRun) {
    let Some(dir) = &request.repo else {
        if request.base.is_some() {
            ahead.problem(
                RequestPart::Base,
                Failure::new(Code::UsageInvalid, "a base needs a repository"),
            );
        }
        return;
    };
    let repo = match GitRepository::discover(dir).await {
        Ok(Some(repo)) => repo,
        Ok(None) => {
            let failure = Failure::new(
                Code::GitFailed,
                format!("{} is not in a git repository", dir.display()),
            );
            return ahead.problem(
                RequestPart::Repo,
                failure.hint("run `git init` there, or leave it empty for a plain directory"),
            );
        }
        Err(failure) => return ahead.problem(RequestPart::Repo, failure),
    };
    match repo.resolve(request.base.as_deref()).await {
        Ok(base) => set_start_point(ahead, repo, base),
        Err(failure) => ahead.problem(RequestPart::Base, failure),
    }
}

fn set_start_point(ahead: &mut StartPreview, repo: GitRepository, base: BaseCommit) {
    let found = (repo, base);
    // The run id matters only without a repository.
    ahead.thread = Some(default_thread(RunId::new(), Some(&found)).to_string());
    let (repo, base) = found;
    ahead.place = Some(StartPoint {
        repo: repo.dir().to_path_buf(),
        branch: base.branch,
        commit: base.commit,
    });
}

/// Inputs for choosing personas.
struct AssignmentInputs<'a> {
    catalog: &'a Catalog,
    workflow: &'a Workflow,
    request: &'a StartRun,
    backends: BackendRegistry,
    consents: BTreeSet<ContentHash>,
    prices: PriceTable,
}

fn check_assignments(
    ahead: &mut StartPreview,
    paths: &InstallPaths,
    settings: &AppSettings,
    catalog: &Catalog,
    workflow: &Workflow,
    request: &StartRun,
) {
    let found = prices(settings, paths).and_then(|prices| {
        Ok((
            backends(settings, prices.clone())?.into_iter().collect(),
            prices,
        ))
    });
    let (backends, prices) = match found {
        Ok(found) => found,
        Err(failure) => return ahead.problem(RequestPart::Whole, failure),
    };
    let reader = Reader::open(&paths.database()).ok();
    let consents = reader
        .as_ref()
        .and_then(|reader| consents::all(reader.connection()).ok())
        .unwrap_or_default();
    let seating = AssignmentInputs {
        catalog,
        workflow,
        request,
        backends,
        consents,
        prices,
    };
    ahead.phases = workflow.phases.len();
    for role in &workflow.roles {
        let (seat, problems) = seating.assign(role);
        ahead.seats.push(seat);
        for failure in problems {
            ahead.problem(RequestPart::Seat(role.id.clone()), failure);
        }
    }
    let earlier = reader.and_then(|reader| {
        run_costs::of_workflow(reader.connection(), &workflow.versioned_name().to_string()).ok()
    });
    ahead.estimate = estimate(
        &seating,
        &ahead.seats,
        settings.engine.max_turns,
        &earlier.unwrap_or_default(),
    );
}

impl AssignmentInputs<'_> {
    fn availability(&self, persona: &Persona) -> Result<(), Failure> {
        self.backends.named(&persona.backend)?.available(persona)
    }

    /// Binds one role. Consents count as given here and are reported separately, since the operator
    /// can give them in the preview.
    fn assign(&self, role: &RoleDefinition) -> (AssignmentPreview, Vec<Failure>) {
        let personas: Vec<_> = self
            .catalog
            .personas
            .iter()
            .map(|entry| PersonaCandidate {
                persona: &entry.item,
                hash: &entry.hash,
            })
            .collect();
        let everybody = personas
            .iter()
            .map(|candidate| candidate.hash.clone())
            .collect();
        let availability = |persona: &Persona| self.availability(persona);
        let asked = BindRequest {
            workflow: self.workflow,
            personas: &personas,
            availability: &availability,
            consents: &everybody,
            overrides: &self.request.personas,
            rehearse: self.request.options.rehearse,
        };
        let choices: Vec<String> = personas
            .iter()
            .filter(|c| has_capabilities(role, c.persona))
            .map(|c| c.persona.versioned_name().to_string())
            .collect();
        let empty = AssignmentPreview {
            role: role.id.clone(),
            persona: None,
            backend: String::new(),
            model: None,
            price: None,
            why: String::new(),
            consent: None,
            choices,
        };
        let binding = match bind_one(&asked, role) {
            Ok(binding) => binding,
            Err(failure) => return (empty, vec![*failure]),
        };
        let Ok(entry) = self.catalog.persona(&binding.persona.to_string()) else {
            return (empty, Vec::new());
        };
        let rehearse = self.request.options.rehearse;
        let model = if rehearse {
            None
        } else {
            self.backends
                .named(&binding.backend)
                .ok()
                .and_then(|backend| backend.model(&entry.item))
        };
        let consent = (!rehearse && !self.consents.contains(&entry.hash))
            .then(|| consent_request(&entry.item, &entry.hash, model.as_deref()));
        let seat = AssignmentPreview {
            persona: Some(binding.persona.to_string()),
            price: model
                .as_deref()
                .and_then(|model| self.prices.per_million(model)),
            why: choice_reason(
                role,
                &entry.item,
                !self.request.personas.contains_key(&role.id),
                rehearse,
                empty.choices.len(),
            ),
            backend: binding.backend,
            model,
            consent,
            ..empty
        };
        (seat, Vec::new())
    }
}

fn has_capabilities(role: &RoleDefinition, persona: &Persona) -> bool {
    role.required_capabilities
        .iter()
        .all(|wanted| persona.capabilities.contains(wanted))
}

fn choice_reason(
    role: &RoleDefinition,
    persona: &Persona,
    by_rule: bool,
    rehearse: bool,
    able: usize,
) -> String {
    if !by_rule {
        return "chosen by you".to_owned();
    }
    let of = if able == 1 {
        "only persona".to_owned()
    } else {
        format!("first of {able}")
    };
    let can = match role.required_capabilities.as_slice() {
        [] if able == 1 => of,
        [] => format!("{of} by name"),
        wanted => format!("{of} with {}", wanted.join(", ")),
    };
    match role
        .preferred_backends
        .iter()
        .position(|backend| *backend == persona.backend)
    {
        Some(_) if !rehearse => format!("{can}; preferred backend {}", persona.backend),
        _ => can,
    }
}

pub(in crate::engine) fn consent_request(
    persona: &Persona,
    hash: &ContentHash,
    model: Option<&str>,
) -> ConsentRequest {
    ConsentRequest {
        persona: persona.versioned_name().to_string(),
        hash: hash.clone(),
        runs_on: format!(
            "{}, {}",
            persona.backend,
            model.unwrap_or("its default model")
        ),
        tools: persona
            .tools
            .iter()
            .map(|tool| (tool.clone(), persona.permission(tool)))
            .collect(),
    }
}

/// Estimates by earlier runs if there are enough, else by limits and prices.
fn estimate(
    seating: &AssignmentInputs<'_>,
    seats: &[AssignmentPreview],
    max_turns: u32,
    earlier: &[NanoUsd],
) -> CostEstimate {
    if seating.request.options.rehearse {
        return CostEstimate::Free;
    }
    if earlier.len() >= ENOUGH_RUNS {
        let mut sorted = earlier.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            sorted
                .get((sorted.len() * percent).div_ceil(100).saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        return CostEstimate::History {
            p50: at(50),
            p90: at(90),
            runs: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
        };
    }
    let mut most = NanoUsd(0);
    for phase in &seating.workflow.phases {
        let Some(seat) = seats.iter().find(|seat| seat.role == phase.role) else {
            return CostEstimate::Unknown;
        };
        let Some((input, output)) = seat.price else {
            return CostEstimate::Unknown;
        };
        let answer = seat
            .persona
            .as_deref()
            .and_then(|name| seating.catalog.persona(name).ok())
            .and_then(|entry| entry.item.params.max_tokens);
        let turn = per_million(input, ASSUMED_INPUT)
            + per_million(output, answer.map_or(ASSUMED_OUTPUT, u64::from));
        let turns = i64::from(max_turns).saturating_mul(i64::from(phase.max_repairs) + 1);
        most += NanoUsd(turn.0.saturating_mul(turns));
    }
    CostEstimate::AtMost(most)
}

fn per_million(price: NanoUsd, tokens: u64) -> NanoUsd {
    let nano = i128::from(price.0) * i128::from(tokens) / 1_000_000;
    NanoUsd(i64::try_from(nano).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::RunOptions;

    fn request(wish: &str, rehearse: bool) -> StartRun {
        StartRun {
            workflow: "development".to_owned(),
            requirements: wish.to_owned(),
            options: RunOptions {
                rehearse,
                ..RunOptions::default()
            },
            ..StartRun::default()
        }
    }

    fn settings() -> AppSettings {
        let mut settings = AppSettings::default();
        settings.openai.key_env = String::new();
        settings
    }

    fn ahead(request: &StartRun) -> StartPreview {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(preview_start(
            &InstallPaths::beneath(home.path()),
            &settings(),
            request,
        ))
    }

    #[test]
    fn every_role_has_a_persona_with_reason_price_and_consent() {
        let ahead = ahead(&request("a cart", false));
        assert_eq!(ahead.problems, []);
        assert!(ahead.workflows.len() >= 3 && !ahead.seats.is_empty() && ahead.phases >= 4);
        for seat in &ahead.seats {
            let name = seat.persona.clone().unwrap();
            assert!(seat.choices.contains(&name), "{seat:?}");
            assert!(!seat.why.is_empty() && seat.model.is_some(), "{seat:?}");
            let consent = seat.consent.as_ref().unwrap();
            assert!(consent.persona == name && !consent.tools.is_empty());
        }
        assert!(
            matches!(
                ahead.estimate,
                CostEstimate::AtMost(NanoUsd(1..)) | CostEstimate::Unknown
            ),
            "{:?}",
            ahead.estimate
        );
    }

    #[test]
    fn a_dry_run_is_free_and_needs_no_consent() {
        let ahead = ahead(&request("a cart", true));
        assert_eq!(
            (ahead.estimate, ahead.problems.len()),
            (CostEstimate::Free, 0)
        );
        assert!(
            ahead
                .seats
                .iter()
                .all(|seat| seat.consent.is_none() && seat.backend == "rehearsal")
        );
    }

    #[test]
    fn all_problems_are_reported_at_once_with_their_part() {
        let folder = tempfile::tempdir().unwrap();
        let mut wrong = request("  ", false);
        wrong.repo = Some(folder.path().to_path_buf());
        wrong.workflow = "developmnt".to_owned();
        let parts: Vec<RequestPart> = ahead(&wrong)
            .problems
            .into_iter()
            .map(|(part, _)| part)
            .collect();
        assert_eq!(
            parts,
            [
                RequestPart::Requirements,
                RequestPart::Repo,
                RequestPart::Workflow
            ]
        );
        let mut wrong = request("a cart", false);
        let seat = ahead(&wrong).seats[0].role.clone();
        wrong.personas.insert(seat.clone(), "nobody".to_owned());
        let problems = ahead(&wrong).problems;
        assert_eq!(
            (problems.len(), &problems[0].0, problems[0].1.code),
            (1, &RequestPart::Seat(seat), Code::PersonaNotFound)
        );
    }
}
