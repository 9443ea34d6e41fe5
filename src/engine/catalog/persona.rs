//! A persona file: its fields, and what they mean together.

use std::collections::BTreeMap;

use super::reader::{ProblemList, YamlField, YamlMapping};
use super::workflow::capabilities;
use super::yaml;
use crate::model::error::{Code, Failure};
use crate::model::persona::{
    BACKENDS, MAX_ANSWER_TOKENS, MODES, Persona, REASONING_EFFORTS, SamplingParams, TOOLS,
    ToolPermission, mcp_tool,
};

const FIELDS: &[&str] = &[
    "name",
    "version",
    "description",
    "backend",
    "agent",
    "model",
    "capabilities",
    "system_prompt",
    "tools",
    "permissions",
    "params",
];
const PARAMS: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "mode",
    "reasoning_effort",
];
const PERMISSIONS: &[(&str, ToolPermission)] = &[
    ("auto", ToolPermission::Auto),
    ("ask", ToolPermission::Ask),
    ("deny", ToolPermission::Deny),
];

/// Reads a persona.
pub(super) fn read(text: &str, file: &str) -> Result<Persona, Vec<Failure>> {
    let problems = ProblemList::new(file, Code::PersonaInvalid);
    match yaml::parse(text) {
        Ok(root) => read_tree(&root, problems),
        Err(broken) => Err(problems.broken(broken)),
    }
}

/// Reads a tree that is a persona.
pub(super) fn read_tree(
    root: &yaml::YamlNode,
    mut problems: ProblemList,
) -> Result<Persona, Vec<Failure>> {
    let persona = YamlField::root(root)
        .group(FIELDS, &mut problems)
        .map(|group| whole(&group, &mut problems));
    match persona {
        Some(persona) if problems.is_empty() => Ok(persona),
        _ => Err(problems.into_failures()),
    }
}

fn whole(group: &YamlMapping<'_>, problems: &mut ProblemList) -> Persona {
    let name = group
        .required("name", problems)
        .map(|f| f.name(problems))
        .unwrap_or_default();
    let version = group
        .required("version", problems)
        .map_or(1, |f| f.count(1, u32::MAX, problems));
    let tools = group
        .optional("tools")
        .map(|f| f.distinct("tool", problems, |item, problems| tool(item, problems)))
        .unwrap_or_default();
    let backend = group
        .required("backend", problems)
        .map(|f| f.one_word("backend", BACKENDS, problems))
        .unwrap_or_default();
    let agent = agent(group, &backend, problems);
    Persona {
        name,
        version,
        description: group
            .optional("description")
            .map(|f| f.text(problems))
            .unwrap_or_default(),
        backend,
        agent,
        model: group.optional("model").map(|f| model(&f, problems)),
        capabilities: group
            .optional("capabilities")
            .map(|f| capabilities(&f, problems))
            .unwrap_or_default(),
        system_prompt: group
            .optional("system_prompt")
            .map(|f| f.text(problems))
            .unwrap_or_default(),
        permissions: group
            .optional("permissions")
            .map(|f| permissions(&f, &tools, problems))
            .unwrap_or_default(),
        params: group
            .optional("params")
            .map(|f| params(&f, problems))
            .unwrap_or_default(),
        tools,
    }
}

/// One of the engine's tools, or one of a server in the settings.
fn tool(item: &YamlField<'_>, problems: &mut ProblemList) -> String {
    let text = if item.is_text() {
        item.text(&mut ProblemList::new("", Code::PersonaInvalid))
    } else {
        String::new()
    };
    if mcp_tool(&text).is_some() {
        text
    } else {
        item.one_word("tool", TOOLS, problems)
    }
}

/// An agent program is named by personas of backend `acp`, and by no others.
fn agent(group: &YamlMapping<'_>, backend: &str, problems: &mut ProblemList) -> Option<String> {
    let given = group.optional("agent");
    if backend != "acp" {
        if let Some(field) = given {
            field.problem(
                problems,
                "is only for backend 'acp'",
                "remove it, or write `backend: acp`",
            );
        }
        return None;
    }
    if let Some(field) = group.optional("params") {
        field.problem(
            problems,
            "is not for backend 'acp': agent programs choose their own",
            "remove it",
        );
    }
    match given {
        Some(field) => Some(field.name(problems)),
        None => {
            if let Some(field) = group.optional("backend") {
                field.problem(
                    problems,
                    "'acp' needs to know which program",
                    "add `agent: NAME`, such as `agent: opencode`",
                );
            }
            None
        }
    }
}

fn model(field: &YamlField<'_>, problems: &mut ProblemList) -> String {
    let model = field.text(problems);
    if field.is_text()
        && (model.is_empty() || model.chars().any(|c| c.is_whitespace() || c.is_control()))
    {
        field.problem(
            problems,
            "must be a model's name, without spaces",
            "leave the field out for the backend's default model",
        );
    }
    model
}

fn permissions(
    field: &YamlField<'_>,
    tools: &[String],
    problems: &mut ProblemList,
) -> BTreeMap<String, ToolPermission> {
    let words: Vec<&str> = PERMISSIONS.iter().map(|(word, _)| *word).collect();
    let mut permissions = BTreeMap::new();
    for (tool, at, value) in field.members(problems) {
        if !TOOLS.contains(&tool) && mcp_tool(tool).is_none() {
            value.unknown_at(at, "tool", tool, TOOLS, problems);
        } else if !tools.iter().any(|given| given == tool) {
            value.problem_at(
                at,
                problems,
                format!("'{tool}' is not among its tools"),
                format!("add '{tool}' to `tools`, or remove this line"),
            );
        }
        let chosen = value
            .one_of("permission", &words, problems)
            .and_then(|i| PERMISSIONS.get(i));
        permissions.extend(chosen.map(|(_, permission)| (tool.to_owned(), *permission)));
    }
    permissions
}

fn params(field: &YamlField<'_>, problems: &mut ProblemList) -> SamplingParams {
    let Some(group) = field.group(PARAMS, problems) else {
        return SamplingParams::default();
    };
    SamplingParams {
        temperature: group
            .optional("temperature")
            .map(|f| f.number(0.0, 2.0, problems)),
        top_p: group
            .optional("top_p")
            .map(|f| f.number(0.0, 1.0, problems)),
        max_tokens: group
            .optional("max_tokens")
            .map(|f| f.count(1, MAX_ANSWER_TOKENS, problems)),
        mode: group
            .optional("mode")
            .map(|f| f.one_word("mode", MODES, problems)),
        reasoning_effort: group
            .optional("reasoning_effort")
            .map(|f| f.one_word("reasoning effort", REASONING_EFFORTS, problems)),
    }
}
