//! Describes gates that have no artifact (tools and budgets): what is asked, what each answer means,
//! and which permissions are standing.
//!
//! A standing answer covers a tool, not a command: every text here says so, because "yes to this
//! `ls`, in this run" is a yes to whatever the agent runs next.
use crate::app::text::document::{LineKind, TextDocument};
use crate::engine::api::CheaperPersona;
use crate::model::money::NanoUsd;
use crate::model::question::{
    BudgetQuestion, GateQuestion, PermissionScope, ToolPermit, ToolQuestion,
};
use crate::model::run_state::RunState;

/// The question as a text to read.
#[must_use]
pub fn document(question: &GateQuestion, state: &RunState) -> TextDocument {
    let mut doc = TextDocument::default();
    match question {
        GateQuestion::Tool(tool) => tool_text(&mut doc, tool, state),
        GateQuestion::Budget(budget) => budget_text(&mut doc, budget),
    }
    doc
}

fn tool_text(doc: &mut TextDocument, asked: &ToolQuestion, state: &RunState) {
    let tool = &asked.tool;
    doc.push(
        LineKind::Heading,
        &format!("The agent wants to use {tool}. Exactly this:"),
    );
    doc.push(LineKind::Plain, "");
    for line in asked.detail.lines() {
        doc.push(line_kind(tool, line), line);
    }
    doc.push(LineKind::Plain, "");
    doc.push(LineKind::Heading, "What each answer means");
    doc.push(
        LineKind::Plain,
        "once        this call alone; the next one asks again",
    );
    doc.push(
        LineKind::Plain,
        &format!("this phase  each call of {tool} in this phase, whatever it does, unasked"),
    );
    doc.push(
        LineKind::Plain,
        &format!("this run    each call of {tool} in this run, whatever it does, unasked"),
    );
    doc.push(
        LineKind::Plain,
        "deny        it is not done; the agent is told your reason and goes on",
    );
    doc.push(LineKind::Plain, "");
    doc.lines.extend(permits(state).lines);
}

/// A command is a script; a write is told as a difference.
fn line_kind(tool: &str, line: &str) -> LineKind {
    match line.chars().next() {
        _ if tool == "execute" => LineKind::Script,
        Some('+') => LineKind::Added,
        Some('-') => LineKind::Removed,
        _ => LineKind::Plain,
    }
}

fn budget_text(doc: &mut TextDocument, asked: &BudgetQuestion) {
    doc.push(
        LineKind::Heading,
        &format!(
            "The next call would cross the budget of {}.",
            budget_owner(&asked.scope)
        ),
    );
    doc.push(LineKind::Plain, "");
    doc.push(LineKind::Plain, &format!("limit      {}", asked.limit));
    doc.push(
        LineKind::Plain,
        &format!(
            "spent      {}  (with what is set aside for calls that are under way)",
            asked.spent
        ),
    );
    doc.push(
        LineKind::Plain,
        &format!("next call  {}  at most", asked.needed),
    );
    doc.push(
        LineKind::Plain,
        &format!("short of   {}", budget_shortfall(asked)),
    );
    doc.push(LineKind::Plain, "");
    doc.push(LineKind::Heading, "What each answer means");
    doc.push(
        LineKind::Plain,
        "raise       by an amount that you type, for this run only",
    );
    doc.push(
        LineKind::Plain,
        "cheaper     somebody with a lower price does what is still to be done",
    );
    doc.push(
        LineKind::Plain,
        "stop        the run fails; what is stored stays, for a retry",
    );
    doc.push(
        LineKind::Plain,
        "leave open  nothing is spent while it waits",
    );
}

/// Who could go on for less, beneath the question.
pub fn push_cheaper_personas(doc: &mut TextDocument, found: &[CheaperPersona]) {
    doc.push(LineKind::Plain, "");
    doc.push(LineKind::Heading, "Who could go on for less");
    let width = |of: fn(&CheaperPersona) -> &str| {
        found
            .iter()
            .map(|one| of(one).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, model) = (width(|one| &one.persona), width(|one| &one.model));
    for one in found {
        let consent = if one.consent.is_some() {
            "  asks consent"
        } else {
            ""
        };
        doc.push(
            LineKind::Plain,
            &format!(
                "{:<name$}  {:<model$}  {}{consent}",
                one.persona,
                one.model,
                describe_terms(one)
            ),
        );
    }
    if found.is_empty() {
        doc.push(
            LineKind::Note,
            "nobody: no persona that can take this phase has a lower price that is known",
        );
    }
}

/// What somebody costs, and what they would take.
#[must_use]
pub fn describe_terms(one: &CheaperPersona) -> String {
    let phases: Vec<&str> = one
        .phases
        .iter()
        .map(crate::model::id::PhaseKey::as_str)
        .collect();
    format!(
        "{} / {} per M, for {}",
        one.price.0,
        one.price.1,
        phases.join(", ")
    )
}

/// By how much a budget must be raised at least before the next call can be made.
#[must_use]
pub fn budget_shortfall(asked: &BudgetQuestion) -> NanoUsd {
    NanoUsd(
        asked
            .spent
            .0
            .saturating_add(asked.needed.0)
            .saturating_sub(asked.limit.0)
            .max(0),
    )
}

/// Whose budget it is.
#[must_use]
pub fn budget_owner(scope: &str) -> String {
    match scope.split_once(':') {
        Some(("day", day)) => format!("the day {day}"),
        Some((kind, name)) => format!("{kind} {name}"),
        None => format!("this {scope}"),
    }
}

/// What is asked, in a line; foreign text in it is not safe yet.
#[must_use]
pub fn summary(question: &GateQuestion) -> String {
    match question {
        GateQuestion::Tool(tool) => format!("{} {}", tool.tool, tool.target),
        GateQuestion::Budget(budget) => format!(
            "budget of {}: {} of {}",
            budget_owner(&budget.scope),
            budget.spent,
            budget.limit
        ),
    }
}

/// Answers that are in force now, the latest first: of each tool the one that counts.
#[must_use]
pub fn active_permits(state: &RunState) -> Vec<&ToolPermit> {
    if state.status.is_terminal() {
        return Vec::new();
    }
    let current = state.current().map(|phase| &phase.key);
    let reaches = |permit: &&ToolPermit| match permit.scope {
        PermissionScope::Once => false,
        PermissionScope::Phase => permit.phase_key.as_ref() == current,
        PermissionScope::Run => true,
    };
    let mut found: Vec<&ToolPermit> = Vec::new();
    for permit in state.permits.iter().rev().filter(reaches) {
        if found.iter().all(|later| later.tool != permit.tool) {
            found.push(permit);
        }
    }
    found
}

/// What stands, in a line for a banner: which tools are used or refused without asking; none while nothing stands.
#[must_use]
pub fn permits_banner(state: &RunState) -> Option<String> {
    let told = |allowed: bool| {
        let named = active_permits(state)
            .into_iter()
            .filter(|permit| permit.allowed == allowed);
        named
            .map(|permit| format!("{} ({})", permit.tool, describe_expiry(permit)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let parts: Vec<String> = [
        (told(true), "runs without asking"),
        (told(false), "is refused without asking"),
    ]
    .into_iter()
    .filter(|(named, _)| !named.is_empty())
    .map(|(named, what)| format!("{named} {what}"))
    .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn describe_expiry(permit: &ToolPermit) -> String {
    match (permit.scope, &permit.phase_key) {
        (PermissionScope::Phase, Some(key)) => format!("any call, phase {key}"),
        _ => "any call, this run".to_owned(),
    }
}

/// Every answer about a tool in this run, the latest first, and which are in force.
#[must_use]
pub fn permits(state: &RunState) -> TextDocument {
    let mut doc = TextDocument::default();
    doc.push(LineKind::Heading, "Answers about tools in this run");
    let standing = active_permits(state);
    for permit in state.permits.iter().rev() {
        let word = if permit.allowed { "allowed" } else { "denied" };
        let reach = describe_scope(
            permit.scope,
            permit
                .phase_key
                .as_ref()
                .map(ToString::to_string)
                .as_deref(),
        );
        let stands = standing
            .iter()
            .any(|other| other.request_id == permit.request_id);
        let force = if stands { "in force: " } else { "" };
        let ink = if stands {
            LineKind::Heading
        } else {
            LineKind::Plain
        };
        doc.push(
            ink,
            &format!(
                "{force}{} {word} for {reach}, by {}",
                permit.tool, permit.by
            ),
        );
        if !permit.comment.trim().is_empty() {
            doc.push_all(LineKind::Note, &permit.comment);
        }
    }
    if state.permits.is_empty() {
        doc.push(LineKind::Note, "none yet: each such call asks");
    } else {
        doc.push(LineKind::Note, "they are of this run alone and end with it");
    }
    doc
}

/// How far an answer reaches.
#[must_use]
pub fn describe_scope(scope: PermissionScope, phase: Option<&str>) -> String {
    match (scope, phase) {
        (PermissionScope::Once, _) => "one call".to_owned(),
        (PermissionScope::Phase, Some(phase)) => format!("every call in phase {phase}"),
        (PermissionScope::Phase, None) => "every call in its phase".to_owned(),
        (PermissionScope::Run, _) => "every call in this run".to_owned(),
    }
}

/// What an answer came to beside its word: how far it reaches, by how much it raises.
#[must_use]
pub fn describe_effect(
    scope: Option<PermissionScope>,
    raise: Option<NanoUsd>,
    phase: Option<&str>,
) -> String {
    match (scope, raise) {
        (Some(scope), _) => format!(" for {}", describe_scope(scope, phase)),
        (None, Some(raise)) => format!(": raised by {raise}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::app::test_support::SampleRunState;

    fn permit(tool: &str, scope: PermissionScope, phase: &str, allowed: bool) -> ToolPermit {
        ToolPermit {
            request_id: test_support::request_id(9),
            tool: tool.to_owned(),
            phase_key: Some(phase.into()),
            call: "t:c".to_owned(),
            scope,
            allowed,
            comment: String::new(),
            by: "mo".to_owned(),
        }
    }

    fn state(permits: Vec<ToolPermit>) -> RunState {
        RunState {
            permits,
            ..RunState::fold(
                test_support::run_id(1),
                &test_support::journal(SampleRunState::Executing),
            )
            .unwrap()
        }
    }

    #[test]
    fn the_banner_names_what_is_in_force_and_that_it_covers_any_call() {
        for (permits, told) in [
            (vec![], None),
            (
                vec![permit("execute", PermissionScope::Once, "spec", true)],
                None,
            ),
            (
                vec![permit("execute", PermissionScope::Phase, "plan", true)],
                None,
            ),
            (
                vec![permit("execute", PermissionScope::Phase, "spec", true)],
                Some("execute (any call, phase spec) runs without asking"),
            ),
            (
                vec![
                    permit("execute", PermissionScope::Run, "plan", true),
                    permit("task", PermissionScope::Run, "plan", false),
                ],
                Some(
                    "execute (any call, this run) runs without asking; task (any call, this run) is refused without asking",
                ),
            ),
            (
                vec![
                    permit("execute", PermissionScope::Run, "plan", true),
                    permit("execute", PermissionScope::Phase, "spec", false),
                ],
                Some("execute (any call, phase spec) is refused without asking"),
            ),
        ] {
            assert_eq!(permits_banner(&state(permits)).as_deref(), told);
        }
    }

    #[test]
    fn nothing_stands_when_the_run_has_ended() {
        let mut ended = RunState::fold(
            test_support::run_id(1),
            &test_support::journal(SampleRunState::Completed),
        )
        .unwrap();
        ended.permits = vec![permit("execute", PermissionScope::Run, "spec", true)];
        assert_eq!(permits_banner(&ended), None);
    }

    #[test]
    fn a_budget_says_what_it_is_short_of() {
        let asked = BudgetQuestion {
            scope: "run".to_owned(),
            limit: NanoUsd(100),
            spent: NanoUsd(95),
            needed: NanoUsd(20),
        };
        assert_eq!(budget_shortfall(&asked), NanoUsd(15));
        assert_eq!(budget_owner("day:2026-01-31"), "the day 2026-01-31");
    }
}
