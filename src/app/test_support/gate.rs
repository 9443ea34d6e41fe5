//! The gate of the spec: its answers, its versions, and what else could be taken.

use super::journal::{artifact, asked};
use super::{NOW, SPEC_V1, SPEC_V2, request_id, run_id};
use crate::engine::api::ForkCandidate;
use crate::model::event::{PersonaPick, RunFact};
use crate::model::forecast::{CostForecast, CostSample};
use crate::model::hash::ContentHash;
use crate::model::money::{CallCost, NanoUsd};
use crate::model::record::ArtifactRecord;
use crate::model::state::{Decision, Via};

/// An answer to the n-th question about the spec.
pub fn resolved(n: u8, action: Decision, by: &str) -> RunFact {
    RunFact::ApprovalResolved {
        request_id: request_id(n),
        phase_key: Some("spec".into()),
        gate: "spec_approved".into(),
        action,
        comment: if action == Decision::RequestChanges {
            "prices belong in cents".to_owned()
        } else {
            String::new()
        },
        by: by.to_owned(),
        via: Via::Console,
        artifact_sha256: None,
        scope: None,
        raise: None,
    }
}

/// What five earlier runs foretell.
pub fn forecast() -> Option<CostForecast> {
    let sample = |n: i64| CostSample {
        cost: CallCost {
            known: NanoUsd(n * 40_000_000),
            unknown_calls: 0,
        },
        working_ms: n.unsigned_abs() * 31_000,
    };
    crate::model::forecast::from_samples(&(1..=6).map(sample).collect::<Vec<_>>())
}

/// The operator's own version in place of the first that was asked about.
pub fn revised() -> Vec<RunFact> {
    let found = Some(ContentHash::from_bytes(SPEC_V2.as_bytes()));
    let expected = ContentHash::from_bytes(SPEC_V1.as_bytes());
    let by = Some("kim".to_owned());
    vec![
        RunFact::ArtifactChanged {
            phase_key: "spec".into(),
            request_id: request_id(1),
            expected,
            found,
            restored: false,
            by: by.clone(),
            picked: None,
        },
        RunFact::ArtifactValidated {
            phase_key: "spec".into(),
            attempt: 2,
            artifact: artifact(SPEC_V2, 3),
            by,
        },
        asked(2, SPEC_V2, 3),
    ]
}

/// The version of the fork in place of the second that was asked about.
pub fn picked() -> Vec<RunFact> {
    let picked = Some(PersonaPick {
        fork: run_id(5),
        persona: "terse-analyst@1".parse().unwrap(),
    });
    let (expected, found) = (
        ContentHash::from_bytes(SPEC_V2.as_bytes()),
        Some(ContentHash::from_bytes(SPEC_V1.as_bytes())),
    );
    let by = Some("mo".to_owned());
    vec![
        RunFact::ArtifactChanged {
            phase_key: "spec".into(),
            request_id: request_id(2),
            expected,
            found,
            restored: false,
            by,
            picked,
        },
        RunFact::ArtifactValidated {
            phase_key: "spec".into(),
            attempt: 3,
            artifact: artifact(SPEC_V1, 4),
            by: None,
        },
        asked(3, SPEC_V1, 4),
    ]
}

/// The spec at the gate, and what a fork made of it.
pub fn candidates() -> Vec<ForkCandidate> {
    let one = |run: u8, persona: &str, text: &str, version| ForkCandidate {
        run_id: run_id(run),
        state: if run == 1 {
            "awaiting_approval"
        } else {
            "completed"
        }
        .to_owned(),
        phase_key: "spec".into(),
        persona: Some(persona.to_owned()),
        artifact: Some(ArtifactRecord {
            phase_key: "spec".into(),
            version,
            attempt: 1,
            path: "spec.json".to_owned(),
            schema: "dev/spec@1".into(),
            sha256: ContentHash::from_bytes(text.as_bytes()),
            bytes: 1,
            valid: true,
            errors: vec![],
            at: NOW,
        }),
        cost: CallCost {
            known: NanoUsd(i64::from(run) * 14_700_000),
            unknown_calls: 0,
        },
        calls: 3,
        working_ms: u64::from(run) * 31_000,
    };
    vec![
        one(1, "analyst@1", SPEC_V2, 2),
        one(5, "terse-analyst@1", SPEC_V1, 1),
    ]
}
