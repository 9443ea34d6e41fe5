//! The artifact pane: the selected version, its view, and the query for its text.

use std::sync::Arc;

use super::gate;
use crate::app::document::Document;
use crate::app::keymap::Action;
use crate::app::msg::{Cmd, Outside, PageText, Query};
use crate::app::reading::Reading;
use crate::app::run_view::{RunView, Side};
use crate::app::state::AppState;

/// Executes an action on the pane.
pub fn act(state: &mut AppState, action: Action) -> Vec<Cmd> {
    let Some(run) = &mut state.run else {
        return Vec::new();
    };
    match action {
        Action::PrevVersion => turn(run, false),
        Action::NextVersion => turn(run, true),
        Action::PrevSide => turn_side(run, false),
        Action::NextSide => turn_side(run, true),
        Action::ArtifactPager => page(run).into_iter().collect(),
        Action::ArtifactEdit => edit(state),
        other => {
            if let Some(reading) = &mut run.artifact.reading {
                reading.go(other);
            }
            Vec::new()
        }
    }
}

fn turn(run: &mut RunView, forward: bool) -> Vec<Cmd> {
    let versions: Vec<u32> = run.versions().iter().map(|a| a.version).collect();
    let Some(at) = run
        .version()
        .and_then(|shown| versions.iter().position(|v| *v == shown.version))
    else {
        return Vec::new();
    };
    let to = if forward {
        at + 1
    } else {
        at.saturating_sub(1)
    };
    // At the newest version the pane follows new versions again.
    run.artifact.version = versions
        .get(to)
        .copied()
        .filter(|_| to + 1 < versions.len());
    want(run)
}

fn turn_side(run: &mut RunView, forward: bool) -> Vec<Cmd> {
    let sides = run.sides();
    let at = sides
        .iter()
        .position(|side| *side == run.artifact.side)
        .unwrap_or(0);
    let to = if forward {
        at + 1
    } else {
        at + sides.len() - 1
    };
    run.artifact.side = sides[to % sides.len()];
    want(run)
}

/// The whole text in the operator's pager: what is stored where the whole is shown, else what is shown.
fn page(run: &RunView) -> Option<Cmd> {
    let text = match (&run.artifact.source, &run.artifact.reading) {
        (Some(Query::Content(hash, _)), _) => PageText::Content(hash.clone()),
        (_, Some(reading)) => PageText::Text(reading.shared()),
        (_, None) => return None,
    };
    let name = run.version().map_or_else(
        || "transcript".to_owned(),
        |shown| format!("{} v{}", shown.path, shown.version),
    );
    Some(Cmd::Outside(Outside::Page { name, text }))
}

/// Only an artifact at a gate can be edited; other stored versions never change.
fn edit(state: &mut AppState) -> Vec<Cmd> {
    let shown = state
        .run
        .as_ref()
        .and_then(RunView::version)
        .map(|shown| shown.sha256.clone());
    let asked = state
        .run
        .as_ref()
        .and_then(|run| run.state())
        .and_then(|s| s.approval.as_ref())
        .and_then(|open| open.artifact_sha256.clone());
    if asked.is_none() || asked != shown {
        state.say("only an artifact at a gate can be edited; o opens this version in a pager");
        return Vec::new();
    }
    let mut cmds = gate::open(state);
    cmds.extend(gate::edit(state));
    cmds
}

/// Stores the loaded text.
pub fn take(run: &mut RunView, doc: &Arc<Document>, size: (u16, u16)) {
    let pane = &mut run.artifact;
    let reading = match &mut pane.reading {
        Some(reading) => {
            reading.replace(doc.clone());
            reading
        }
        none => none.insert(Reading::new(doc.clone(), size)),
    };
    reading.look_for(pane.search.sought());
}

/// Requests the shown text, unless it is loaded or already requested.
pub fn want(run: &mut RunView) -> Vec<Cmd> {
    if !run.sides().contains(&run.artifact.side) {
        run.artifact.side = Side::Whole;
    }
    let source = source(run);
    if run.artifact.source == source && run.artifact.side != Side::Errors {
        return Vec::new();
    }
    let errors = errors_shown(run);
    (run.artifact.source, run.artifact.reading) = (source.clone(), None);
    if let Some(errors) = errors {
        take(run, &Arc::new(errors), (80, 24));
    }
    source.map(Cmd::Query).into_iter().collect()
}

fn source(run: &RunView) -> Option<Query> {
    let key = run.phase_key()?.clone();
    let Some(shown) = run.version() else {
        let attempt = run.state()?.phases.get(run.phase_at())?.attempt;
        return (run.artifact.side == Side::Transcript && attempt > 0)
            .then_some(Query::Transcript(run.run_id, key, attempt, run.moment()));
    };
    let (hash, path) = (shown.sha256.clone(), shown.path.clone());
    Some(match run.artifact.side {
        Side::Whole if shown.errors.is_empty() => Query::Content(hash, path),
        Side::Whole => Query::Checked(hash, path, shown.errors.clone()),
        Side::Previous => {
            let before = run
                .versions()
                .into_iter()
                .rfind(|other| other.version < shown.version)?;
            Query::Diff(before.sha256.clone(), hash)
        }
        Side::Base => Query::BaseDiff(run.run_id, path, hash),
        Side::Errors => return None,
        Side::Transcript => Query::Transcript(run.run_id, key, shown.attempt, run.moment()),
    })
}

/// Returns the validation errors of the shown version.
fn errors_shown(run: &RunView) -> Option<Document> {
    let shown = run
        .version()
        .filter(|_| run.artifact.side == Side::Errors)?;
    let mut doc = Document::default();
    doc.push_errors(&shown.errors);
    Some(doc)
}
