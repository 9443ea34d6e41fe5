//! What the operator is asked beside an artifact: whether a tool may be used, whether more money may
//! be spent; and what their answers leave standing.
//!
//! A standing answer is nothing but a fact of the journal, folded: it is of one run, it is listed by
//! [`RunState::permits`](super::run_state::RunState), and it ends with the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{PhaseKey, RequestId};
use super::money::NanoUsd;

/// The gate that asks whether a tool may be used.
pub const TOOL_PERMISSION_GATE: &str = "tool_permission";
/// The gate that asks whether more may be spent.
pub const BUDGET_GATE: &str = "budget_exceeded";

/// How far an answer about a tool reaches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Scope")]
pub enum PermissionScope {
    /// This call alone.
    #[default]
    Once,
    /// Every call of the tool in this phase.
    Phase,
    /// Every call of the tool in this run.
    Run,
}

impl PermissionScope {
    /// The wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Phase => "phase",
            Self::Run => "run",
        }
    }

    /// The scope with this wire name.
    #[must_use]
    pub fn parse(wire: &str) -> Option<Self> {
        [Self::Once, Self::Phase, Self::Run]
            .into_iter()
            .find(|scope| scope.as_str() == wire)
    }
}

/// What a question is about, where it is not about an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "about", rename_all = "snake_case")]
#[schemars(rename = "Question")]
pub enum GateQuestion {
    /// Whether a tool may be used.
    Tool(ToolQuestion),
    /// Whether more may be spent.
    Budget(BudgetQuestion),
}

impl GateQuestion {
    /// The tool that is asked about.
    #[must_use]
    pub fn tool(&self) -> Option<&ToolQuestion> {
        if let Self::Tool(tool) = self {
            Some(tool)
        } else {
            None
        }
    }

    /// The budget that is asked about.
    #[must_use]
    pub fn budget(&self) -> Option<&BudgetQuestion> {
        if let Self::Budget(budget) = self {
            Some(budget)
        } else {
            None
        }
    }
}

/// Whether one call of a tool may be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolQuestion {
    /// Names the call within its run, the same before and after a crash: an answer for once is for it alone.
    pub call: String,
    /// Which tool.
    pub tool: String,
    /// The path or command it is about, in a line.
    pub target: String,
    /// Exactly what would be done: the whole command, or a write as a diff. Foreign text.
    pub detail: String,
}

/// Whether more may be spent than a limit allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetQuestion {
    /// Which budget: `run`, `day:2026-01-31`, `workflow:NAME`.
    pub scope: String,
    /// What it allows.
    pub limit: NanoUsd,
    /// What was spent and is set aside.
    pub spent: NanoUsd,
    /// What the next call is set aside.
    pub needed: NanoUsd,
}

/// Who shall go on for less, as an answer about a budget names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonaChoice {
    /// In which phase; absent: in each that is still to be done, where it can take the seat and is cheaper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_key: Option<PhaseKey>,
    /// `name` or `name@version`.
    pub persona: String,
}

impl std::str::FromStr for PersonaChoice {
    type Err = String;

    /// Reads `NAME` or `PHASE=NAME`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (phase, persona) = text
            .split_once('=')
            .map_or((None, text), |(phase, persona)| (Some(phase), persona));
        if persona.is_empty() || phase.is_some_and(str::is_empty) {
            return Err("write it like NAME or PHASE=NAME".to_owned());
        }
        Ok(Self {
            phase_key: phase.map(PhaseKey::from),
            persona: persona.to_owned(),
        })
    }
}

/// An answer about a tool that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolPermit {
    /// The question that was answered.
    pub request_id: RequestId,
    /// Which tool.
    pub tool: String,
    /// In which phase it was asked.
    pub phase_key: Option<PhaseKey>,
    /// The call that was asked about.
    pub call: String,
    /// How far the answer reaches.
    pub scope: PermissionScope,
    /// Whether the tool may be used.
    pub allowed: bool,
    /// The operator's words.
    pub comment: String,
    /// Who answered.
    pub by: String,
}

impl ToolPermit {
    /// Whether it answers for this call.
    #[must_use]
    pub fn covers(&self, phase_key: &PhaseKey, tool: &str, call: &str) -> bool {
        match self.scope {
            PermissionScope::Once => self.call == call,
            PermissionScope::Phase => {
                self.tool == tool && self.phase_key.as_ref() == Some(phase_key)
            }
            PermissionScope::Run => self.tool == tool,
        }
    }
}

/// The answer that counts for a call: the latest that covers it.
#[must_use]
pub fn answer_for<'a>(
    permits: &'a [ToolPermit],
    phase_key: &PhaseKey,
    tool: &str,
    call: &str,
) -> Option<&'a ToolPermit> {
    permits
        .iter()
        .rev()
        .find(|permit| permit.covers(phase_key, tool, call))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(scope: PermissionScope, allowed: bool) -> ToolPermit {
        ToolPermit {
            request_id: RequestId(uuid::Uuid::from_u128(1)),
            tool: "execute".to_owned(),
            phase_key: Some("plan".into()),
            call: "t1:call_1_1".to_owned(),
            scope,
            allowed,
            comment: String::new(),
            by: "me".to_owned(),
        }
    }

    #[test]
    fn an_answer_reaches_as_far_as_its_scope() {
        for (scope, phase, tool, call, covered) in [
            (
                PermissionScope::Once,
                "plan",
                "execute",
                "t1:call_1_1",
                true,
            ),
            (
                PermissionScope::Once,
                "plan",
                "execute",
                "t2:call_2_1",
                false,
            ),
            (
                PermissionScope::Phase,
                "plan",
                "execute",
                "t2:call_2_1",
                true,
            ),
            (
                PermissionScope::Phase,
                "build",
                "execute",
                "t2:call_2_1",
                false,
            ),
            (
                PermissionScope::Phase,
                "plan",
                "write_file",
                "t2:call_2_1",
                false,
            ),
            (
                PermissionScope::Run,
                "build",
                "execute",
                "t2:call_2_1",
                true,
            ),
            (
                PermissionScope::Run,
                "build",
                "write_file",
                "t2:call_2_1",
                false,
            ),
        ] {
            assert_eq!(
                permit(scope, true).covers(&phase.into(), tool, call),
                covered,
                "{scope:?} {phase} {tool} {call}"
            );
        }
    }

    #[test]
    fn the_latest_answer_counts() {
        let permits = [
            permit(PermissionScope::Run, true),
            permit(PermissionScope::Phase, false),
        ];
        assert!(
            !answer_for(&permits, &"plan".into(), "execute", "x")
                .unwrap()
                .allowed
        );
        assert!(
            answer_for(&permits, &"build".into(), "execute", "x")
                .unwrap()
                .allowed
        );
        assert_eq!(answer_for(&permits, &"build".into(), "task", "x"), None);
    }

    #[test]
    fn a_choice_is_for_one_phase_or_for_all() {
        let choice = |phase: Option<&str>, persona: &str| PersonaChoice {
            phase_key: phase.map(PhaseKey::from),
            persona: persona.to_owned(),
        };
        assert_eq!("mini@2".parse(), Ok(choice(None, "mini@2")));
        assert_eq!("build=mini".parse(), Ok(choice(Some("build"), "mini")));
        for wrong in ["", "=mini", "build="] {
            assert_eq!(
                wrong.parse::<PersonaChoice>(),
                Err("write it like NAME or PHASE=NAME".to_owned()),
                "{wrong}"
            );
        }
    }

    #[test]
    fn scopes_have_their_wire_names() {
        for scope in [
            PermissionScope::Once,
            PermissionScope::Phase,
            PermissionScope::Run,
        ] {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(PermissionScope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(PermissionScope::parse("ever"), None);
    }
}
