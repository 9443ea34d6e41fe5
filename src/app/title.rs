//! The title of the terminal: how many questions wait, and what the console is about.
//!
//! Only names that are plain ASCII by their looks get into it; of anything else only the program's.

use super::state::{AppState, Screen};
use crate::model::record::RunRecord;

/// The longest name that a title shows.
const LONGEST: usize = 40;

/// Such as `▲2 shop-cart`.
#[must_use]
pub fn title(state: &AppState) -> String {
    let name = subject(state).unwrap_or_else(|| "phasedeck".to_owned());
    let glyph = if state.look.ascii { '!' } else { '▲' };
    match state.runs.awaiting_operator().count() {
        0 => name,
        count => format!("{glyph}{count} {name}"),
    }
}

/// The project of the run that is open, else none.
fn subject(state: &AppState) -> Option<String> {
    if !matches!(state.screen(), Screen::Run | Screen::Gate) {
        return None;
    }
    project(&state.run.as_ref()?.opened.as_ref()?.record)
}

/// The name of the repository's folder, else of the workflow, where it is harmless.
#[must_use]
pub fn project(record: &RunRecord) -> Option<String> {
    let folder = record
        .repo
        .as_deref()
        .and_then(|repo| repo.trim_end_matches('/').rsplit('/').next());
    let plain = |name: &&str| {
        (1..=LONGEST).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'))
    };
    [folder, Some(record.workflow.as_str())]
        .into_iter()
        .flatten()
        .find(plain)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::test_support;
    use crate::model::state::RunStatus;

    #[test]
    fn only_a_plain_name_becomes_a_title() {
        let of = |repo: &str| {
            project(&RunRecord {
                repo: Some(repo.to_owned()),
                ..test_support::record(1, RunStatus::Executing, 1)
            })
        };
        assert_eq!(of("/home/op/shop-cart/").as_deref(), Some("shop-cart"));
        for bad in [
            "/home/\u{1b}]0;evil\u{7}",
            "/home/日本",
            "/",
            &format!("/{}", "x".repeat(41)),
        ] {
            assert_eq!(of(bad).as_deref(), Some("development@1"), "{bad:?}");
        }
    }
}
