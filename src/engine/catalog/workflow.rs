//! A workflow file: its fields, and what they mean together.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::reader::{ProblemList, YamlField, YamlMapping};
use super::{CatalogEntry, CatalogOrigin, names, source, yaml};
use crate::model::error::{Code, Failure, Result};
use crate::model::id::{GateKey, PhaseKey, RoleId, SchemaId};
use crate::model::persona::BACKENDS;
use crate::model::state::Risk;
use crate::model::workflow::{
    ExpectedArtifact, MAX_PHASES, MAX_REPAIRS, MAX_TIMEOUT_SECONDS, PhaseDefinition,
    RoleDefinition, Workflow,
};
use crate::model::worktree_path;

const FIELDS: &[&str] = &[
    "name",
    "version",
    "description",
    "roles",
    "default_gates",
    "phases",
];
const ROLE_FIELDS: &[&str] = &["id", "required_capabilities", "preferred_backends"];
const PHASE_FIELDS: &[&str] = &[
    "key",
    "title",
    "risk",
    "role",
    "instructions",
    "timeout_seconds",
    "expected_artifact",
    "gates",
    "max_repairs",
];
const ARTIFACT_FIELDS: &[&str] = &["path", "schema"];
const RISKS: &[(&str, Risk)] = &[
    ("low", Risk::Low),
    ("medium", Risk::Medium),
    ("high", Risk::High),
];

/// Reads a workflow and checks it against the schemas that are known.
pub(super) fn read(
    text: &str,
    file: &str,
    schemas: &BTreeSet<SchemaId>,
) -> Result<Workflow, Vec<Failure>> {
    let problems = ProblemList::new(file, Code::WorkflowInvalid);
    match yaml::parse(text) {
        Ok(root) => read_tree(&root, problems, schemas),
        Err(broken) => Err(problems.broken(broken)),
    }
}

/// Reads a tree that is a workflow.
pub(super) fn read_tree(
    root: &yaml::YamlNode,
    mut problems: ProblemList,
    schemas: &BTreeSet<SchemaId>,
) -> Result<Workflow, Vec<Failure>> {
    let workflow = YamlField::root(root)
        .group(FIELDS, &mut problems)
        .map(|group| whole(&group, schemas, &mut problems));
    match workflow {
        Some(workflow) if problems.is_empty() => Ok(workflow),
        _ => Err(problems.into_failures()),
    }
}

/// Reads one file that the operator named, as a catalog entry. With several mistakes the first is
/// told, and how to see the others.
pub(super) fn read_file(
    path: &Path,
    schemas: &BTreeSet<SchemaId>,
) -> Result<CatalogEntry<Workflow>> {
    let text =
        source::text(path, Code::WorkflowInvalid).map_err(|failure| match path.exists() {
            true => failure,
            false => Failure::new(
                Code::WorkflowNotFound,
                format!("there is no workflow file {}", path.display()),
            )
            .hint("check the path"),
        })?;
    let workflow = read(&text, &path.display().to_string(), schemas)
        .map_err(|failures| first_of(failures, path))?;
    let hash = workflow.hash().map_err(Failure::internal)?;
    Ok(CatalogEntry {
        item: Arc::new(workflow),
        hash,
        origin: CatalogOrigin::Path(path.to_owned()),
    })
}

fn first_of(failures: Vec<Failure>, path: &Path) -> Failure {
    let others = failures.len().saturating_sub(1);
    let mut failures = failures.into_iter();
    let first = failures
        .next()
        .unwrap_or_else(|| Failure::internal("a file was refused without a reason"));
    if others == 0 {
        return first;
    }
    let hint = format!(
        "{}; {others} more: `phasedeck validate {}` shows all",
        first.hint,
        path.display()
    );
    first.hint(hint)
}

fn whole(
    group: &YamlMapping<'_>,
    schemas: &BTreeSet<SchemaId>,
    problems: &mut ProblemList,
) -> Workflow {
    let name = group
        .required("name", problems)
        .map(|f| f.name(problems))
        .unwrap_or_default();
    let version = group
        .required("version", problems)
        .map_or(1, |f| f.count(1, u32::MAX, problems));
    let roles = roles(group, problems);
    let known: BTreeSet<&str> = roles
        .iter()
        .map(|role| role.id.as_str())
        .filter(|id| !id.is_empty())
        .collect();
    let known: Vec<&str> = known.into_iter().collect();
    Workflow {
        name,
        version,
        description: group
            .optional("description")
            .map(|f| f.text(problems))
            .unwrap_or_default(),
        default_gates: group
            .optional("default_gates")
            .map(|f| gates(&f, problems))
            .unwrap_or_default(),
        phases: phases(group, &known, schemas, problems),
        roles,
    }
}

fn roles(group: &YamlMapping<'_>, problems: &mut ProblemList) -> Vec<RoleDefinition> {
    let Some(field) = group.required("roles", problems) else {
        return Vec::new();
    };
    let mut roles = Vec::new();
    field.distinct("role", problems, |item, problems| {
        let role = item
            .group(ROLE_FIELDS, problems)
            .map(|group| role(&group, problems));
        let id = role
            .as_ref()
            .map(|role| role.id.to_string())
            .unwrap_or_default();
        roles.extend(role);
        id
    });
    if field.is_empty_list() {
        field.problem(
            problems,
            "has no role",
            "add at least one: `- id: developer`",
        );
    }
    roles
}

fn role(group: &YamlMapping<'_>, problems: &mut ProblemList) -> RoleDefinition {
    RoleDefinition {
        id: RoleId(
            group
                .required("id", problems)
                .map(|f| f.name(problems))
                .unwrap_or_default(),
        ),
        required_capabilities: group
            .optional("required_capabilities")
            .map(|f| capabilities(&f, problems))
            .unwrap_or_default(),
        preferred_backends: group
            .optional("preferred_backends")
            .map(|f| {
                f.distinct("backend", problems, |item, problems| {
                    item.one_word("backend", BACKENDS, problems)
                })
            })
            .unwrap_or_default(),
    }
}

/// A list of capabilities, of a role or a persona.
pub(super) fn capabilities(field: &YamlField<'_>, problems: &mut ProblemList) -> Vec<String> {
    field.distinct("capability", problems, |item, problems| item.name(problems))
}

fn gates(field: &YamlField<'_>, problems: &mut ProblemList) -> Vec<GateKey> {
    field
        .distinct("gate", problems, |item, problems| item.name(problems))
        .into_iter()
        .map(GateKey)
        .collect()
}

fn phases(
    group: &YamlMapping<'_>,
    roles: &[&str],
    schemas: &BTreeSet<SchemaId>,
    problems: &mut ProblemList,
) -> Vec<PhaseDefinition> {
    let Some(field) = group.required("phases", problems) else {
        return Vec::new();
    };
    let mut phases = Vec::new();
    field.distinct("phase", problems, |item, problems| {
        let phase = item
            .group(PHASE_FIELDS, problems)
            .map(|group| phase(&group, roles, schemas, problems));
        let key = phase
            .as_ref()
            .map(|phase| phase.key.to_string())
            .unwrap_or_default();
        phases.extend(phase);
        key
    });
    if field.is_empty_list() {
        field.problem(
            problems,
            "has no phase",
            "add at least one: `- key: implement`",
        );
    }
    let paths: Vec<&str> = phases
        .iter()
        .filter_map(|phase| Some(phase.expected_artifact.as_ref()?.path.as_str()))
        .collect();
    for (at, path) in paths.iter().enumerate() {
        if let Some(other) = paths[..at]
            .iter()
            .find(|other| worktree_path::differ_in_case_only(path, other))
        {
            field.problem(
                problems,
                format!("the paths {other} and {path} are one file on some systems"),
                "use one spelling for both",
            );
        }
    }
    if phases.len() > MAX_PHASES {
        field.problem(
            problems,
            format!("has {} phases, and {MAX_PHASES} is the most", phases.len()),
            "split the workflow",
        );
    }
    phases
}

fn phase(
    group: &YamlMapping<'_>,
    roles: &[&str],
    schemas: &BTreeSet<SchemaId>,
    problems: &mut ProblemList,
) -> PhaseDefinition {
    PhaseDefinition {
        key: PhaseKey(
            group
                .required("key", problems)
                .map(|f| f.name(problems))
                .unwrap_or_default(),
        ),
        title: group
            .optional("title")
            .map(|f| f.text(problems))
            .unwrap_or_default(),
        risk: group
            .optional("risk")
            .map_or(Risk::Medium, |f| risk(&f, problems)),
        role: RoleId(
            group
                .required("role", problems)
                .map(|f| role_of_phase(&f, roles, problems))
                .unwrap_or_default(),
        ),
        instructions: group
            .optional("instructions")
            .map(|f| f.text(problems))
            .unwrap_or_default(),
        timeout_seconds: group
            .optional("timeout_seconds")
            .map_or(300, |f| f.integer(1, MAX_TIMEOUT_SECONDS, problems)),
        expected_artifact: group
            .optional("expected_artifact")
            .and_then(|f| artifact(&f, schemas, problems)),
        gates: group.optional("gates").map(|f| gates(&f, problems)),
        max_repairs: group
            .optional("max_repairs")
            .map_or(1, |f| f.count(0, MAX_REPAIRS, problems)),
    }
}

fn risk(field: &YamlField<'_>, problems: &mut ProblemList) -> Risk {
    let words: Vec<&str> = RISKS.iter().map(|(word, _)| *word).collect();
    field
        .one_of("risk", &words, problems)
        .and_then(|i| RISKS.get(i))
        .map_or(Risk::Medium, |(_, risk)| *risk)
}

// With no role read at all the missing list is the problem, not each phase that names one.
fn role_of_phase(field: &YamlField<'_>, roles: &[&str], problems: &mut ProblemList) -> String {
    if roles.is_empty() {
        field.text(problems)
    } else {
        field.one_word("role of this workflow", roles, problems)
    }
}

fn artifact(
    field: &YamlField<'_>,
    schemas: &BTreeSet<SchemaId>,
    problems: &mut ProblemList,
) -> Option<ExpectedArtifact> {
    let group = field.group(ARTIFACT_FIELDS, problems)?;
    let path = group
        .required("path", problems)
        .map(|f| artifact_file(&f, problems))
        .unwrap_or_default();
    let schema = group
        .required("schema", problems)
        .map(|f| schema_id(&f, schemas, problems))
        .unwrap_or_default();
    Some(ExpectedArtifact {
        path,
        schema: SchemaId(schema),
    })
}

fn artifact_file(field: &YamlField<'_>, problems: &mut ProblemList) -> String {
    let path = field.text(problems);
    if field.is_text()
        && let Err(why) = worktree_path::check(&path)
    {
        field.problem(
            problems,
            format!("the path {} {why}", path.escape_debug()),
            "name a file beneath the worktree, such as phasedeck/spec.json",
        );
    }
    path
}

fn schema_id(
    field: &YamlField<'_>,
    schemas: &BTreeSet<SchemaId>,
    problems: &mut ProblemList,
) -> String {
    let id = field.text(problems);
    if !field.is_text() {
        return id;
    }
    if !names::is_schema_id(&id) {
        field.problem(
            problems,
            format!("'{id}' is not a schema id"),
            "write namespace/name@version, such as dev/spec@1",
        );
    } else if !schemas.contains(&SchemaId(id.clone())) {
        let known: Vec<&str> = schemas.iter().map(SchemaId::as_str).collect();
        field.unknown("known schema", &id, &known, problems);
    }
    id
}
