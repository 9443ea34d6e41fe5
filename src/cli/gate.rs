//! What waits at a gate, and how to answer it, in words.

use super::style::{Mark, Style, Tone};
use crate::model::hash::ContentHash;
use crate::model::id::{GateKey, PhaseKey, RunId};
use crate::model::record::ApprovalRecord;
use crate::model::run_state::{OpenApproval, RunState};
use crate::model::safe_text::safe_line;

/// A question that waits, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
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
}

impl Question {
    /// The question of a run that is being watched.
    #[must_use]
    pub fn of_state(state: &RunState, open: &OpenApproval) -> Self {
        let artifact = open.phase_key.as_ref().and_then(|key| state.phase(key)).and_then(|phase| phase.artifact.as_ref());
        Self {
            run: state.run_id,
            gate: open.gate.clone(),
            phase: open.phase_key.clone(),
            sha256: open.artifact_sha256.clone(),
            version: artifact.map(|artifact| artifact.version),
        }
    }

    /// The question of a stored row.
    #[must_use]
    pub fn of_record(record: &ApprovalRecord) -> Self {
        Self {
            run: record.run_id,
            gate: record.gate.clone(),
            phase: record.phase_key.clone(),
            sha256: record.artifact_sha256.clone(),
            version: record.artifact_version,
        }
    }

    /// What it is about: `spec v2 (3f9c12ab)`.
    #[must_use]
    pub fn subject(&self) -> String {
        let version = self.version.map(|version| format!("v{version}"));
        let hash = self.sha256.as_ref().map(|hash| format!("({})", hash.short()));
        let parts = self.phase.iter().map(ToString::to_string).chain(version).chain(hash);
        safe_line(&parts.collect::<Vec<_>>().join(" "))
    }

    /// How to answer it from a command line, each line ended by a line break.
    #[must_use]
    pub fn how_to_answer(&self, style: Style) -> String {
        let run = self.run.short();
        let subject = self.subject();
        let about = if subject.is_empty() { String::new() } else { format!(": {subject}") };
        let mut text = format!(
            "{}\n",
            style.paint(Tone::Gate, &format!("{} {} waits{about}", style.glyph(Mark::Gate), safe_line(self.gate.as_str())))
        );
        let mut add = |what: &str, line: String| text.push_str(&format!("  {:<10}{line}\n", what));
        if let Some(phase) = self.phase.as_ref().filter(|_| self.sha256.is_some()) {
            add("read", format!("phasedeck artifact {run} {phase}"));
        }
        match &self.sha256 {
            Some(hash) => add("approve", format!("phasedeck approve {run} --hash {}", hash.short())),
            None => add("approve", format!("phasedeck approve {run}")),
        }
        if self.phase.is_some() {
            add("changes", format!("phasedeck changes {run} -m 'what should be different'"));
        }
        add("reject", format!("phasedeck reject {run} -m 'why'"));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_says_how_to_answer_it() {
        let mut question = Question {
            run: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            gate: "spec_approved".into(),
            phase: Some("spec".into()),
            sha256: Some(ContentHash::of(b"x")),
            version: Some(2),
        };
        insta::assert_snapshot!(question.how_to_answer(Style::default()), @"
        ▲ spec_approved waits: spec v2 (2d711642)
          read      phasedeck artifact deadbeef spec
          approve   phasedeck approve deadbeef --hash 2d711642
          changes   phasedeck changes deadbeef -m 'what should be different'
          reject    phasedeck reject deadbeef -m 'why'
        ");
        (question.phase, question.sha256, question.version) = (None, None, None);
        question.gate = "session_recovery_required".into();
        insta::assert_snapshot!(question.how_to_answer(Style::default()), @"
        ▲ session_recovery_required waits
          approve   phasedeck approve deadbeef
          reject    phasedeck reject deadbeef -m 'why'
        ");
    }
}
