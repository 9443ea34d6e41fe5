//! The artifact pane: which version, and asking for its text.

use crate::app::keymap::Action;
use crate::app::msg::{Cmd, Query};
use crate::app::run_view::RunView;

/// Does an action on the pane.
pub fn act(run: &mut RunView, action: Action) -> Vec<Cmd> {
    match action {
        Action::PrevVersion => turn(run, false),
        Action::NextVersion => turn(run, true),
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
    let Some(at) = run.version().and_then(|shown| versions.iter().position(|v| *v == shown.version)) else { return Vec::new() };
    let to = if forward { at + 1 } else { at.saturating_sub(1) };
    // At the newest the pane follows again: the next version shows by itself.
    run.artifact.version = versions.get(to).copied().filter(|_| to + 1 < versions.len());
    want(run)
}

/// Asks for the text of the version that is shown, unless it is there or asked for.
pub fn want(run: &mut RunView) -> Vec<Cmd> {
    let shown = run.version().map(|a| (a.sha256.clone(), a.path.clone()));
    let hash = shown.as_ref().map(|(hash, _)| hash.clone());
    if run.artifact.hash == hash {
        return Vec::new();
    }
    (run.artifact.hash, run.artifact.reading) = (hash, None);
    shown.map(|(hash, path)| vec![Cmd::Query(Query::Content(hash, path))]).unwrap_or_default()
}
