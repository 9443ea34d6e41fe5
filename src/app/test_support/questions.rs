//! Questions that are about no artifact: tools, budgets, an agent that cannot work.

use super::request_id;
use crate::engine::api::{CheaperPersona, ConsentRequest};
use crate::model::error::Code;
use crate::model::event::RunFact;
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, SessionId};
use crate::model::money::NanoUsd;
use crate::model::persona::ToolPermission;
use crate::model::question::{
    BUDGET_GATE, BudgetQuestion, GateQuestion, PermissionScope, TOOL_PERMISSION_GATE, ToolQuestion,
};
use crate::model::state::{Decision, PauseReason, RunStatus, Via};

/// A question that is about no artifact.
pub fn approval_requested(n: u8, question: GateQuestion) -> RunFact {
    let tool = question.tool().is_some();
    let gate = if tool {
        TOOL_PERMISSION_GATE
    } else {
        BUDGET_GATE
    };
    RunFact::ApprovalRequested {
        request_id: request_id(n),
        phase_key: tool.then(|| "spec".into()),
        gate: gate.into(),
        artifact_sha256: None,
        artifact_version: None,
        question: Some(Box::new(question)),
    }
}

/// A command that needs a word.
pub fn a_command() -> GateQuestion {
    GateQuestion::Tool(ToolQuestion {
        call: "t1:call_1_1".to_owned(),
        tool: "execute".to_owned(),
        target: "npm test -- --watch=false && rm -rf build".to_owned(),
        detail: "npm test -- --watch=false &&\n  rm -rf build\n\n(at most 60 s)".to_owned(),
    })
}

/// A file that is to be written.
pub fn a_write() -> GateQuestion {
    GateQuestion::Tool(ToolQuestion {
        call: "t1:call_1_2".to_owned(),
        tool: "write_file".to_owned(),
        target: "src/cart.js".to_owned(),
        detail: "--- src/cart.js\n+++ src/cart.js\n-const total = 0.1 + 0.2;\n+const total = 30; // cents".to_owned(),
    })
}

/// A budget that is spent.
pub fn a_budget() -> GateQuestion {
    GateQuestion::Budget(BudgetQuestion {
        scope: "run".to_owned(),
        limit: NanoUsd(500_000_000),
        spent: NanoUsd(470_000_000),
        needed: NanoUsd(80_000_000),
    })
}

/// Who could go on for less: one whom the operator has agreed to, and one not yet.
pub fn cheaper() -> Vec<CheaperPersona> {
    let one = |persona: &str, model: &str, phases: &[&str], consent| CheaperPersona {
        persona: persona.to_owned(),
        model: model.to_owned(),
        price: (NanoUsd(250_000_000), NanoUsd(2_000_000_000)),
        phases: phases.iter().map(|key| PhaseKey::from(*key)).collect(),
        consent,
    };
    let consent = ConsentRequest {
        persona: "tiny@2".to_owned(),
        hash: ContentHash::from_bytes(b"tiny@2"),
        runs_on: "openai, openai/gpt-5-nano".to_owned(),
        tools: vec![("write_file".to_owned(), ToolPermission::Auto)],
    };
    vec![
        one("tiny@2", "openai/gpt-5-nano", &["spec"], Some(consent)),
        one(
            "mini@1",
            "openai/gpt-5-mini",
            &["spec", "plan", "implement"],
            None,
        ),
    ]
}

/// A yes to a tool, so far.
pub fn allowed(n: u8, scope: PermissionScope) -> RunFact {
    RunFact::ApprovalResolved {
        request_id: request_id(n),
        phase_key: Some("spec".into()),
        gate: TOOL_PERMISSION_GATE.into(),
        action: Decision::Approve,
        comment: String::new(),
        by: "mo".to_owned(),
        via: Via::Console,
        artifact_sha256: None,
        scope: Some(scope),
        raise: None,
    }
}

/// An agent that cannot work, and the question what to do about it.
pub fn cannot_work() -> Vec<RunFact> {
    let session_id: SessionId = "01930000-0000-7000-8000-00000000cc01".parse().unwrap();
    let message = "the provider refused the key (set OPENROUTER_API_KEY, then approve)".to_owned();
    vec![
        RunFact::SessionFailed {
            session_id,
            role: "analyst".into(),
            ordinal: 2,
            code: Code::LlmAuth,
            message,
        },
        RunFact::RunPaused {
            ordinal: 1,
            reason: PauseReason::SessionRecovery,
            from_state: RunStatus::Executing,
        },
        RunFact::ApprovalRequested {
            request_id: request_id(1),
            phase_key: None,
            gate: "session_recovery_required".into(),
            artifact_sha256: None,
            artifact_version: None,
            question: None,
        },
    ]
}
