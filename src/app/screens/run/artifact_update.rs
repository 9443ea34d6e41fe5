//! The artifact pane: the selected version, its view, and the query for its text.

use crate::app::keymap::Action;
use crate::app::msg::{ArchiveQuery, Cmd, ExternalProgram, PagerText};
use crate::app::screens::gate;
use crate::app::screens::run::state::{ArtifactView, RunScreen};
use crate::app::state::AppState;
use crate::app::text::document::TextDocument;
use crate::app::text::scroll_view::ScrollView;
use std::sync::Arc;

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
                reading.scroll(other);
            }
            Vec::new()
        }
    }
}

fn turn(run: &mut RunScreen, forward: bool) -> Vec<Cmd> {
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

fn turn_side(run: &mut RunScreen, forward: bool) -> Vec<Cmd> {
    let sides = run.artifact_views();
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
fn page(run: &RunScreen) -> Option<Cmd> {
    let text = match (&run.artifact.source, &run.artifact.reading) {
        (Some(ArchiveQuery::Content(hash, _)), _) => PagerText::Content(hash.clone()),
        (_, Some(reading)) => PagerText::Text(reading.shared_document()),
        (_, None) => return None,
    };
    let name = run.version().map_or_else(
        || "transcript".to_owned(),
        |shown| format!("{} v{}", shown.path, shown.version),
    );
    Some(Cmd::Outside(ExternalProgram::Page { name, text }))
}

/// Only an artifact at a gate can be edited; other stored versions never change.
fn edit(state: &mut AppState) -> Vec<Cmd> {
    let shown = state
        .run
        .as_ref()
        .and_then(RunScreen::version)
        .map(|shown| shown.sha256.clone());
    let asked = state
        .run
        .as_ref()
        .and_then(|run| run.state())
        .and_then(|s| s.approval.as_ref())
        .and_then(|open| open.artifact_sha256.clone());
    if asked.is_none() || asked != shown {
        state.notify("only an artifact at a gate can be edited; o opens this version in a pager");
        return Vec::new();
    }
    let mut cmds = gate::update::open(state);
    cmds.extend(gate::update::edit(state));
    cmds
}

/// Stores the loaded text.
pub fn apply(run: &mut RunScreen, doc: &Arc<TextDocument>, size: (u16, u16)) {
    let pane = &mut run.artifact;
    let reading = match &mut pane.reading {
        Some(reading) => {
            reading.replace(doc.clone());
            reading
        }
        none => none.insert(ScrollView::new(doc.clone(), size)),
    };
    reading.set_pattern(pane.search.active_pattern());
}

/// Requests the shown text, unless it is loaded or already requested.
pub fn want(run: &mut RunScreen) -> Vec<Cmd> {
    if !run.artifact_views().contains(&run.artifact.side) {
        run.artifact.side = ArtifactView::Whole;
    }
    let source = source(run);
    if run.artifact.source == source && run.artifact.side != ArtifactView::Errors {
        return Vec::new();
    }
    let errors = errors_shown(run);
    (run.artifact.source, run.artifact.reading) = (source.clone(), None);
    if let Some(errors) = errors {
        apply(run, &Arc::new(errors), (80, 24));
    }
    source.map(Cmd::Query).into_iter().collect()
}

fn source(run: &RunScreen) -> Option<ArchiveQuery> {
    let key = run.phase_key()?.clone();
    let Some(shown) = run.version() else {
        let attempt = run.state()?.phases.get(run.phase_index())?.attempt;
        return (run.artifact.side == ArtifactView::Transcript && attempt > 0).then_some(
            ArchiveQuery::Transcript(run.run_id, key, attempt, run.history_seq()),
        );
    };
    let (hash, path) = (shown.sha256.clone(), shown.path.clone());
    Some(match run.artifact.side {
        ArtifactView::Whole if shown.errors.is_empty() => ArchiveQuery::Content(hash, path),
        ArtifactView::Whole => ArchiveQuery::Checked(hash, path, shown.errors.clone()),
        ArtifactView::Previous => {
            let before = run
                .versions()
                .into_iter()
                .rfind(|other| other.version < shown.version)?;
            ArchiveQuery::Diff(before.sha256.clone(), hash)
        }
        ArtifactView::Base => ArchiveQuery::BaseDiff(run.run_id, path, hash),
        ArtifactView::Errors => return None,
        ArtifactView::Transcript => {
            ArchiveQuery::Transcript(run.run_id, key, shown.attempt, run.history_seq())
        }
    })
}

/// Returns the validation errors of the shown version.
fn errors_shown(run: &RunScreen) -> Option<TextDocument> {
    let shown = run
        .version()
        .filter(|_| run.artifact.side == ArtifactView::Errors)?;
    let mut doc = TextDocument::default();
    doc.push_errors(&shown.errors);
    Some(doc)
}
