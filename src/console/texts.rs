//! Builds texts for screens that need more than one archive query.
use crate::app::screens::gate;
use crate::app::screens::gate::texts::PhaseInputs;
use crate::app::screens::run;
use crate::app::text::document::{LineKind, TextDocument};
use crate::engine::api::{EventQuery, RunArchive};
use crate::model::error::Result;
use crate::model::event::{JournalEvent, RunFact};
use crate::model::hash::ContentHash;
use crate::model::id::{PhaseKey, RunId};
use crate::model::record::PhaseRecord;
use crate::model::state::PhaseStatus;

/// Events of a phase that its log shows at most, the newest ones.
const LOG_EVENTS: usize = 5000;
/// Events that are read at once.
const PAGE: u32 = 2000;

/// Versions that did not fit, with what was wrong in place.
///
/// # Errors
/// Errors of the archive.
pub fn errors(archive: &RunArchive, run: RunId, key: &PhaseKey) -> Result<TextDocument> {
    let versions = archive.artifacts(run)?;
    let mut read = Vec::new();
    for version in versions
        .iter()
        .filter(|version| version.phase_key == *key && !version.valid)
    {
        read.push((version, archive.content(&version.sha256)?));
    }
    Ok(gate::texts::errors(&read))
}

/// Returns the review comments of a phase, and the changes since.
///
/// # Errors
/// Errors of the archive.
pub fn comments(
    archive: &RunArchive,
    run: RunId,
    key: &PhaseKey,
    current: &ContentHash,
) -> Result<TextDocument> {
    let approvals = archive.approvals(run)?;
    let said = approvals
        .iter()
        .filter(|a| a.phase_key.as_ref() == Some(key));
    let said = said.filter(|a| {
        a.comment
            .as_deref()
            .is_some_and(|comment| !comment.trim().is_empty())
    });
    // A content that is gone takes nothing from what was said.
    let said: Vec<_> = said
        .map(|a| {
            (
                a,
                a.artifact_sha256
                    .as_ref()
                    .and_then(|hash| archive.content(hash).ok()),
            )
        })
        .collect();
    Ok(gate::texts::comments(&said, &archive.content(current)?))
}

/// Returns the changes of a file since the base commit.
///
/// # Errors
/// Errors of the archive and of git.
pub fn base_difference(
    archive: &RunArchive,
    run: RunId,
    path: &str,
    hash: &ContentHash,
) -> Result<TextDocument> {
    let current = archive.content(hash)?;
    if let Some(base) = archive.base_content(run, path)? {
        return Ok(TextDocument::from_diff(&base, &current));
    }
    let mut doc = TextDocument::default();
    doc.push(
        LineKind::Note,
        &format!("{path} is not in the base commit: all of it is new"),
    );
    doc.lines
        .extend(TextDocument::from_content(path, &current).lines);
    Ok(doc)
}

/// Returns the prompt of a phase.
///
/// # Errors
/// Errors of the archive.
pub fn inputs(archive: &RunArchive, run: RunId, key: &PhaseKey) -> Result<TextDocument> {
    let record = archive.run(run)?;
    let workflow = archive.workflow(run)?;
    let role = workflow.phase(key).map(|phase| phase.role.clone());
    let bound = archive
        .bindings(run)
        .unwrap_or_default()
        .into_iter()
        .find(|(binding, _)| Some(&binding.role) == role.as_ref());
    let before: Vec<PhaseKey> = workflow
        .phases
        .iter()
        .map(|phase| phase.key.clone())
        .take_while(|other| other != key)
        .collect();
    let artifacts = archive.artifacts(run)?;
    let newest = |phase: &PhaseKey| artifacts.iter().rfind(|a| a.phase_key == *phase && a.valid);
    let earlier = before
        .iter()
        .filter_map(newest)
        .map(|a| (a.path.clone(), a.version, a.sha256.clone()))
        .collect();
    let prompt =
        prompt(archive, run, key)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let persona = bound.map(|(binding, persona)| (persona, binding.model));
    Ok(gate::texts::inputs(&PhaseInputs {
        persona,
        requirements: record.requirements,
        earlier,
        prompt,
    }))
}

/// The last prompt of a phase, where it is stored.
fn prompt(archive: &RunArchive, run: RunId, key: &PhaseKey) -> Result<Option<Vec<u8>>> {
    let filter = EventQuery {
        kinds: vec!["prompt.sent".to_owned()],
        phase_key: Some(key.clone()),
    };
    let sent = archive.events_filtered(run, &filter, 1, PAGE)?;
    let Some(RunFact::PromptSent { sha256, .. }) = sent.last().map(|event| &event.fact) else {
        return Ok(None);
    };
    Ok(archive.content(sha256).ok())
}

/// The newest events of a phase, in order.
///
/// # Errors
/// Errors of the archive.
pub fn log(archive: &RunArchive, run: RunId, key: &PhaseKey) -> Result<Vec<JournalEvent>> {
    let filter = EventQuery {
        kinds: Vec::new(),
        phase_key: Some(key.clone()),
    };
    let (mut found, mut from) = (Vec::new(), 1);
    loop {
        let page = archive.events_filtered(run, &filter, from, PAGE)?;
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        found.extend(page);
        let more = found.len().saturating_sub(LOG_EVENTS);
        found.drain(..more);
    }
    Ok(found)
}

/// What the agent of an attempt said and did, or had by an event.
///
/// # Errors
/// Errors of the archive.
pub fn transcript(
    archive: &RunArchive,
    run: RunId,
    key: &PhaseKey,
    attempt: u32,
    at: Option<u64>,
) -> Result<TextDocument> {
    let turns = archive.conversation(run, key, attempt, at)?;
    let works = |phase: &PhaseRecord| {
        phase.phase_key == *key && phase.attempt == attempt && phase.state == PhaseStatus::Running
    };
    let at_work = at.is_some() || archive.phases(run)?.iter().any(works);
    Ok(run::stored_transcript::document(&turns, at_work))
}
