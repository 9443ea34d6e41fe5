//! Describes a pending approval and how to answer it.

use super::style::{OutputStyle, StatusGlyph, TextTone};
use crate::model::hash::ContentHash;
use crate::model::id::{GateKey, PhaseKey, RunId};
use crate::model::question::{GateQuestion as About, ToolQuestion};
use crate::model::record::ApprovalRecord;
use crate::model::run_state::{OpenApproval, RunState};
use crate::model::safe_text::{safe_block, safe_line};

/// A question that waits, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatePrompt {
    /// Of which run.
    pub run: RunId,
    /// Which gate.
    pub gate: GateKey,
    /// About which phase.
    pub phase: Option<PhaseKey>,
    /// The artifact it is about.
    pub sha256: Option<ContentHash>,
    /// Its version.
    pub version: Option<u32>,
    /// What the artifact holds that it should not, in words.
    pub warned: Option<String>,
    /// What it is about, where it is not about an artifact.
    pub about: Option<Box<About>>,
}

impl GatePrompt {
    /// The question of a run that is being watched.
    #[must_use]
    pub fn from_state(state: &RunState, open: &OpenApproval) -> Self {
        let phase = open.phase_key.as_ref().and_then(|key| state.phase(key));
        let artifact = phase.and_then(|phase| phase.artifact.as_ref());
        Self {
            run: state.run_id,
            gate: open.gate.clone(),
            phase: open.phase_key.clone(),
            sha256: open.artifact_sha256.clone(),
            version: artifact.map(|artifact| artifact.version),
            warned: phase.and_then(|phase| phase.warned.clone()),
            about: open.question.clone(),
        }
    }

    /// The question of a stored row.
    #[must_use]
    pub fn from_record(record: &ApprovalRecord) -> Self {
        Self {
            run: record.run_id,
            gate: record.gate.clone(),
            phase: record.phase_key.clone(),
            sha256: record.artifact_sha256.clone(),
            version: record.artifact_version,
            warned: None,
            about: record.question.clone(),
        }
    }

    /// What it is about: `spec v2 (3f9c12ab)`.
    #[must_use]
    pub fn subject(&self) -> String {
        let version = self.version.map(|version| format!("v{version}"));
        let hash = self
            .sha256
            .as_ref()
            .map(|hash| format!("({})", hash.short()));
        let parts = self
            .phase
            .iter()
            .map(ToString::to_string)
            .chain(version)
            .chain(hash);
        safe_line(&parts.collect::<Vec<_>>().join(" "))
    }

    /// How to answer it from a command line, each line ended by a line break.
    #[must_use]
    pub fn how_to_answer(&self, style: OutputStyle) -> String {
        let run = self.run.short();
        let subject = self.subject();
        let about = if subject.is_empty() {
            String::new()
        } else {
            format!(": {subject}")
        };
        let mut text = format!(
            "{}\n",
            style.paint(
                TextTone::Gate,
                &format!(
                    "{} {} waits{about}",
                    style.glyph(StatusGlyph::Gate),
                    safe_line(self.gate.as_str())
                )
            )
        );
        let mut add = |what: &str, line: String| text.push_str(&format!("  {:<10}{line}\n", what));
        match self.about.as_deref() {
            Some(About::Tool(tool)) => return text + &about_tool(tool, &run),
            Some(About::Budget(budget)) => {
                add(
                    "spent",
                    format!(
                        "{} of {} ({}); the next call needs about {}",
                        budget.spent,
                        budget.limit,
                        safe_line(&budget.scope),
                        budget.needed
                    ),
                );
                add("raise", format!("phasedeck approve {run} --raise 2.50"));
                add("cheaper", format!("phasedeck approve {run} --persona NAME"));
                add("stop", format!("phasedeck reject {run} -m 'why'"));
                return text;
            }
            None => {}
        }
        if let Some(warned) = &self.warned {
            add("look out", format!("it holds {}", safe_line(warned)));
        }
        if let Some(phase) = self.phase.as_ref().filter(|_| self.sha256.is_some()) {
            add("read", format!("phasedeck artifact {run} {phase}"));
        }
        match &self.sha256 {
            Some(hash) => add(
                "approve",
                format!("phasedeck approve {run} --hash {}", hash.short()),
            ),
            None => add("approve", format!("phasedeck approve {run}")),
        }
        if self.phase.is_some() {
            add(
                "changes",
                format!("phasedeck changes {run} -m 'what should be different'"),
            );
        }
        add("reject", format!("phasedeck reject {run} -m 'why'"));
        text
    }
}

/// A tool's call, whole, behind a margin of ours so that it cannot pass for our own words.
fn about_tool(tool: &ToolQuestion, run: &str) -> String {
    let mut text = format!(
        "  {:<10}{} {}\n",
        "tool",
        safe_line(&tool.tool),
        safe_line(&tool.target)
    );
    for line in safe_block(&tool.detail).lines() {
        text.push_str(&format!("    | {line}\n"));
    }
    let mut add = |what: &str, line: String| text.push_str(&format!("  {what:<10}{line}\n"));
    add("once", format!("phasedeck approve {run}"));
    add("phase", format!("phasedeck approve {run} --scope phase"));
    add("run", format!("phasedeck approve {run} --scope run"));
    add(
        "never",
        format!("phasedeck reject {run} --scope run -m 'why'"),
    );
    add("no", format!("phasedeck reject {run} -m 'why'"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_says_how_to_answer_it() {
        let mut question = GatePrompt {
            run: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            gate: "spec_approved".into(),
            phase: Some("spec".into()),
            sha256: Some(ContentHash::from_bytes(b"x")),
            version: Some(2),
            warned: None,
            about: None,
        };
        insta::assert_snapshot!(question.how_to_answer(OutputStyle::default()), @"
        ▲ spec_approved waits: spec v2 (2d711642)
          read      phasedeck artifact deadbeef spec
          approve   phasedeck approve deadbeef --hash 2d711642
          changes   phasedeck changes deadbeef -m 'what should be different'
          reject    phasedeck reject deadbeef -m 'why'
        ");
        let tool = ToolQuestion {
            call: "t:1".to_owned(),
            tool: "execute".to_owned(),
            target: "make".to_owned(),
            detail: "make\ncheck".to_owned(),
        };
        let asked = GatePrompt {
            gate: "tool_permission".into(),
            sha256: None,
            version: None,
            about: Some(Box::new(About::Tool(tool))),
            ..question.clone()
        };
        insta::assert_snapshot!(asked.how_to_answer(OutputStyle::default()), @"
        ▲ tool_permission waits: spec
          tool      execute make
            | make
            | check
          once      phasedeck approve deadbeef
          phase     phasedeck approve deadbeef --scope phase
          run       phasedeck approve deadbeef --scope run
          never     phasedeck reject deadbeef --scope run -m 'why'
          no        phasedeck reject deadbeef -m 'why'
        ");
        (question.phase, question.sha256, question.version) = (None, None, None);
        question.gate = "session_recovery_required".into();
        insta::assert_snapshot!(question.how_to_answer(OutputStyle::default()), @"
        ▲ session_recovery_required waits
          approve   phasedeck approve deadbeef
          reject    phasedeck reject deadbeef -m 'why'
        ");
    }
}
