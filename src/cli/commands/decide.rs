//! `phasedeck approve`, `changes` and `reject`: decide a pending approval.
//!
//! A decision carries the hash of the artifact under approval, so it can never apply to other
//! content. It is sent to the live host. Without a host, this process stores it and does not resume
//! the run.

use crate::cli::args;
use crate::cli::context::CommandContext;
use crate::cli::exit::ExitStatus;
use crate::cli::output::gate::GatePrompt;
use crate::cli::output::streams::{CommandError, CommandOutcome};
use crate::engine::api::{CommandAnswer, EngineCommand, RunArchive};
use crate::engine::outbound::gate_token;
use crate::model::error::{Code, Failure, Result};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId};
use crate::model::money::NanoUsd;
use crate::model::question::{PermissionScope, PersonaChoice};
use crate::model::record::ApprovalRecord;
use crate::model::state::{ApprovalStatus, Decision, Via};
use crate::model::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// An answer as the operator gives it.
struct DecisionRequest<'a> {
    whom: DecisionTarget<'a>,
    action: Decision,
    words: &'a str,
    insist: Option<&'a str>,
    scope: Option<PermissionScope>,
    raise: Option<NanoUsd>,
    personas: &'a [PersonaChoice],
    json: bool,
}

impl<'a> DecisionRequest<'a> {
    /// An answer about the question alone.
    fn new(
        whom: DecisionTarget<'a>,
        action: Decision,
        words: &'a str,
        insist: Option<&'a str>,
        json: bool,
    ) -> Self {
        Self {
            whom,
            action,
            words,
            insist,
            scope: None,
            raise: None,
            personas: &[],
            json,
        }
    }
}

/// Which question is answered.
#[derive(Clone, Copy)]
enum DecisionTarget<'a> {
    /// The one that waits in this run.
    Run(&'a str),
    /// The one that this token was told with.
    Token(&'a str),
}

impl<'a> DecisionTarget<'a> {
    /// One of both is there, as the definitions demand.
    fn from_args(run: Option<&'a str>, token: Option<&'a str>) -> Self {
        token.map_or_else(|| Self::Run(run.unwrap_or_default()), Self::Token)
    }

    /// The run and the question as they are now.
    fn find(self, setup: &CommandContext) -> Result<(RunId, Option<ApprovalRecord>)> {
        match self {
            Self::Run(text) => {
                let (archive, run) = setup.find(text)?;
                Ok((run, pending(&archive, run)?))
            }
            Self::Token(text) => {
                let archive = setup.archive_if_any()?.ok_or_else(|| {
                    Failure::new(Code::TokenRefused, "there are no runs here")
                        .hint("answer on the machine that told the token")
                })?;
                let question = gate_token::redeem(&archive, text, Timestamp::now())?;
                Ok((question.run_id, Some(question)))
            }
        }
    }

    fn via(self) -> Via {
        if matches!(self, Self::Token(_)) {
            Via::Token
        } else {
            Via::Cli
        }
    }
}

/// `phasedeck approve`.
///
/// # Errors
/// `artifact_changed` when another content waits than was insisted on; what the engine answers.
pub fn approve(setup: &CommandContext, args: &args::ApproveArgs) -> CommandOutcome {
    let whom = DecisionTarget::from_args(args.run.as_deref(), args.token.as_deref());
    let plain = DecisionRequest::new(
        whom,
        Decision::Approve,
        &args.text,
        args.hash.as_deref(),
        args.json,
    );
    send_decision(
        setup,
        &DecisionRequest {
            scope: args.scope.map(PermissionScope::from),
            raise: args.raise,
            personas: &args.personas,
            ..plain
        },
    )
}

/// `phasedeck changes`.
///
/// # Errors
/// As [`approve`]; `usage_invalid` without words.
pub fn changes(setup: &CommandContext, args: &args::DecisionArgs) -> CommandOutcome {
    decide_with_message(setup, args, Decision::RequestChanges, None)
}

/// `phasedeck reject`.
///
/// # Errors
/// As [`changes`].
pub fn reject(setup: &CommandContext, args: &args::RejectArgs) -> CommandOutcome {
    decide_with_message(
        setup,
        &args.answer,
        Decision::Reject,
        args.scope.map(PermissionScope::from),
    )
}

fn decide_with_message(
    setup: &CommandContext,
    args: &args::DecisionArgs,
    action: Decision,
    scope: Option<PermissionScope>,
) -> CommandOutcome {
    if args.text.trim().is_empty() {
        let hint = "say with -m what should be different, or why not";
        return Err(Failure::new(Code::UsageInvalid, "the answer needs words")
            .hint(hint)
            .into());
    }
    let whom = DecisionTarget::from_args(args.run.as_deref(), args.token.as_deref());
    send_decision(
        setup,
        &DecisionRequest {
            scope,
            ..DecisionRequest::new(whom, action, &args.text, args.hash.as_deref(), args.json)
        },
    )
}

/// What was decided, for scripts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub struct ApprovalReceipt {
    /// Of which run.
    run_id: RunId,
    /// At which gate; null where none was open.
    gate: Option<String>,
    /// About which phase; null for questions about the run.
    phase_key: Option<PhaseKey>,
    /// What was answered.
    action: Decision,
    /// The version of the artifact that was asked about.
    artifact_version: Option<u32>,
    /// SHA-256 of the artifact that was asked about.
    artifact_sha256: Option<ContentHash>,
    /// Whether a live host has it; false: it is stored, and counts from `phasedeck resume` on.
    in_effect: bool,
}

fn send_decision(setup: &CommandContext, verdict: &DecisionRequest<'_>) -> CommandOutcome {
    verdict.whom.find(setup)?;
    let session = setup.brief_session()?;
    // Again: becoming the host may have changed what waits.
    let sent = verdict.whom.find(setup).and_then(|(run, open)| {
        if let Some(prefix) = verdict.insist {
            require_hash(open.as_ref(), prefix)?;
        }
        let command = EngineCommand::Decide {
            run_id: run,
            request_id: open.as_ref().map(|open| open.id),
            action: verdict.action,
            comment: verdict.words.to_owned(),
            artifact_sha256: open.as_ref().and_then(|open| open.artifact_sha256.clone()),
            scope: verdict.scope,
            raise_nano_usd: verdict.raise,
            personas: verdict.personas.to_vec(),
        };
        Ok((run, open, session.send_by(command, verdict.whom.via())?))
    });
    let hosted = session.hosts();
    let ended = session.end();
    let (run, open, answer) = sent?;
    ended?;
    // A no that ends the run needs nobody to execute it.
    let in_effect = !hosted
        || setup
            .archive_if_any()?
            .is_some_and(|archive| archive.run(run).is_ok_and(|run| run.has_ended()));
    report(setup, verdict, run, open.as_ref(), &answer, in_effect)?;
    Ok(ExitStatus::Done)
}

fn pending(archive: &RunArchive, run: RunId) -> Result<Option<ApprovalRecord>> {
    Ok(archive
        .approvals(run)?
        .into_iter()
        .rev()
        .find(|approval| approval.state == ApprovalStatus::Pending))
}

/// Holds what waits against the hash that was reviewed.
fn require_hash(open: Option<&ApprovalRecord>, prefix: &str) -> Result<()> {
    let Some(open) = open else { return Ok(()) };
    match &open.artifact_sha256 {
        Some(hash) if hash.as_str().starts_with(prefix) => Ok(()),
        found => {
            let found = found.as_ref().map_or("no artifact", ContentHash::as_str);
            Err(Failure::new(
                Code::ArtifactChanged,
                format!(
                    "gate '{}' asks about {found}, not about {prefix}",
                    open.gate
                ),
            )
            .hint("nothing was decided; read what waits with `phasedeck show`, then answer again"))
        }
    }
}

fn report(
    setup: &CommandContext,
    verdict: &DecisionRequest<'_>,
    run: RunId,
    open: Option<&ApprovalRecord>,
    answer: &CommandAnswer,
    in_effect: bool,
) -> Result<(), CommandError> {
    let action = if let CommandAnswer::Decided { action, .. } = answer {
        *action
    } else {
        verdict.action
    };
    if verdict.json {
        return setup.out.object(&ApprovalReceipt {
            run_id: run,
            gate: open.map(|open| open.gate.to_string()),
            phase_key: open.and_then(|open| open.phase_key.clone()),
            action,
            artifact_version: open.and_then(|open| open.artifact_version),
            artifact_sha256: open.and_then(|open| open.artifact_sha256.clone()),
            in_effect,
        });
    }
    let gate = open.map(|open| open.gate.to_string()).unwrap_or_default();
    let subject = open
        .map(|open| GatePrompt::from_record(open).subject())
        .unwrap_or_default();
    let done = match action {
        Decision::Approve => "approved",
        Decision::RequestChanges => "changes requested at",
        Decision::Reject => "rejected",
        Decision::Abort => "aborted at",
    };
    let line = format!("run {}: {done} {gate} {subject}", run.short());
    setup.out.print(&format!("{}\n", line.trim_end()))?;
    if !in_effect {
        setup.out.note(&format!(
            "recorded; nobody executes the run now. `phasedeck resume {}` goes on",
            run.short()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(hash: Option<ContentHash>) -> ApprovalRecord {
        ApprovalRecord {
            id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            run_id: "01930000-0000-7000-8000-0000deadbeef".parse().unwrap(),
            phase_key: Some("spec".into()),
            gate: "spec_approved".into(),
            state: ApprovalStatus::Pending,
            artifact_sha256: hash,
            artifact_version: Some(1),
            requested_at: Timestamp(0),
            resolved_at: None,
            comment: None,
            resolved_by: None,
            via: None,
            question: None,
            scope: None,
            raise: None,
        }
    }

    #[test]
    fn only_the_reviewed_content_passes() {
        let hash = ContentHash::from_bytes(b"x");
        assert_eq!(
            require_hash(Some(&open(Some(hash.clone()))), hash.short()),
            Ok(())
        );
        assert_eq!(
            require_hash(Some(&open(Some(hash.clone()))), hash.as_str()),
            Ok(())
        );
        let failure = require_hash(Some(&open(Some(hash.clone()))), "00000000").unwrap_err();
        assert_eq!(failure.code, Code::ArtifactChanged);
        assert_eq!(
            failure.message,
            format!("gate 'spec_approved' asks about {hash}, not about 00000000")
        );
        assert_eq!(
            require_hash(Some(&open(None)), hash.short())
                .unwrap_err()
                .code,
            Code::ArtifactChanged
        );
    }
}
