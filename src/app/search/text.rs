//! Finding in a text that is read: the line being typed, and what was typed last.
//!
//! The words and keys are those of the events ([`super::finding`]); there the archive looks, here the
//! text itself ([`super::hits`]). Each place where texts are read has a search of its own, which stays
//! when another text comes in the place of this one.
use crate::app::screens::run::state::RunPane;
use crate::app::search::incremental::TextPosition;
use crate::app::search::pattern::SearchPattern;
use crate::app::state::{AppState, Modal, Screen};
use crate::app::text::scroll_view::ScrollView;

/// A line being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchInput {
    /// So far.
    pub text: String,
    /// What was on top when it began.
    pub began: TextPosition,
    /// Whether the end was followed then.
    pub followed: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextSearch {
    /// The line being typed.
    pub typing: Option<SearchInput>,
    /// What was typed last.
    pub needle: Option<SearchPattern>,
}

impl TextSearch {
    /// What is searched: the line being typed, else what was typed last.
    #[must_use]
    pub fn active_pattern(&self) -> Option<SearchPattern> {
        match &self.typing {
            Some(typing) => SearchPattern::new(&typing.text),
            None => self.needle.clone(),
        }
    }
}

/// The search of the text that has the focus, with the text where it is there.
#[must_use]
pub fn focused(state: &AppState) -> Option<(&TextSearch, Option<&ScrollView>)> {
    match &state.modal {
        Some(Modal::Text(_, reading)) => return Some((&state.modal_search, Some(reading))),
        Some(_) => return None,
        None => {}
    }
    match (state.screen(), &state.run, &state.gate) {
        (Screen::Run, Some(run), _) => match run.focus {
            RunPane::Artifact => Some((&run.artifact.search, run.artifact.reading.as_ref())),
            RunPane::Transcript => Some((&run.said.search, Some(&run.said.reading))),
            _ => None,
        },
        (Screen::Gate, _, Some(gate)) => Some((&gate.search, gate.scroll_view())),
        _ => None,
    }
}

/// See [`focused`].
pub fn focused_mut(state: &mut AppState) -> Option<(&mut TextSearch, Option<&mut ScrollView>)> {
    let screen = state.screen();
    match &mut state.modal {
        Some(Modal::Text(_, reading)) => return Some((&mut state.modal_search, Some(reading))),
        Some(_) => return None,
        None => {}
    }
    match (screen, &mut state.run, &mut state.gate) {
        (Screen::Run, Some(run), _) => match run.focus {
            RunPane::Artifact => Some((&mut run.artifact.search, run.artifact.reading.as_mut())),
            RunPane::Transcript => Some((&mut run.said.search, Some(&mut run.said.reading))),
            _ => None,
        },
        (Screen::Gate, _, Some(gate)) => Some((&mut gate.search, gate.texts.get_mut(&gate.tab))),
        _ => None,
    }
}

/// Whether a line is being typed in the text that has the focus.
#[must_use]
pub fn is_typed(state: &AppState) -> bool {
    focused(state).is_some_and(|(search, _)| search.typing.is_some())
}

/// Texts on the screen that are looked through and not to their end.
pub fn searching_views(state: &mut AppState) -> impl Iterator<Item = &mut ScrollView> {
    let (of_run, of_gate) = (
        state.screen() == Screen::Run,
        state.screen() == Screen::Gate,
    );
    let run = state.run.as_mut().filter(|_| of_run).into_iter();
    let gate = state
        .gate
        .as_mut()
        .filter(|_| of_gate)
        .and_then(|gate| gate.texts.get_mut(&gate.tab));
    run.flat_map(|run| {
        run.artifact
            .reading
            .as_mut()
            .into_iter()
            .chain([&mut run.said.reading])
    })
    .chain(gate)
    .filter(|reading| reading.is_searching())
}

/// Whether [`looking`] has any.
#[must_use]
pub fn is_searching(state: &AppState) -> bool {
    let looks = |reading: Option<&ScrollView>| reading.is_some_and(ScrollView::is_searching);
    match state.screen() {
        Screen::Run => state.run.as_ref().is_some_and(|run| {
            looks(run.artifact.reading.as_ref()) || run.said.reading.is_searching()
        }),
        Screen::Gate => looks(state.gate.as_ref().and_then(|gate| gate.scroll_view())),
        _ => false,
    }
}
