//! The transcript of an attempt as it is read: what is stored, and behind it what the agent says now.
//!
//! The pane is of the phase under the cursor, of its last attempt or a chosen one. What is stored comes
//! from the archive as a text in which the details of tool calls are marked ([`super::stored_transcript`]);
//! what is said live is kept for each attempt until it is stored. At a moment of the past only what was
//! stored by then is shown.

use super::stored_transcript::ON_ITS_WAY;
use super::transcript::LiveText;
use crate::app::msg::ArchiveQuery;
use crate::app::search::text::TextSearch;
use crate::app::text::document::{DocLine, LineKind, TextDocument};
use crate::app::text::scroll_view::ScrollView;
use crate::engine::api::TextChunk;
use crate::model::id::{PhaseKey, RunId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Attempts whose live text is kept at most.
const ATTEMPTS: usize = 12;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct TranscriptPane {
    /// The chosen attempt; none: the last.
    pub attempt: Option<u32>,
    /// The text on the screen.
    pub reading: ScrollView,
    /// What is looked for in it.
    pub search: TextSearch,
    /// Whether tool calls show all they were told and answered.
    whole: bool,
    /// The question whose answer is shown or on its way.
    source: Option<ArchiveQuery>,
    /// The mark of the live text when it was asked; some while it is on its way.
    asked: Option<u64>,
    /// Whether more is stored than is shown.
    stale: bool,
    stored: Option<Arc<TextDocument>>,
    /// Whether the attempt is at work, so that more will come.
    grows: bool,
    /// Where the live text begins in the text on the screen.
    base: usize,
    live: BTreeMap<(PhaseKey, u32), LiveText>,
}

impl TranscriptPane {
    /// Whether the agent of an attempt said something that is not stored.
    #[must_use]
    pub fn has_live_text(&self, phase: &PhaseKey, attempt: u32) -> bool {
        self.live
            .get(&(phase.clone(), attempt))
            .is_some_and(|live| !live.lines().is_empty())
    }

    /// Takes a piece of what an agent says.
    pub fn push_chunk(&mut self, chunk: &TextChunk) {
        let whose = (chunk.phase_key.clone(), chunk.attempt);
        let shown = self.shown_live().as_ref() == Some(&whose);
        let live = self.live.entry(whose.clone()).or_default();
        let before = live.lines().len();
        let changed = live.push(chunk.kind, &chunk.text);
        if shown && before > 0 {
            self.reading
                .replace_from(self.base + changed, live.lines()[changed..].iter().cloned());
        } else if shown {
            self.compose();
        }
        // Those of other attempts are over and seldom read again.
        while self.live.len() > ATTEMPTS
            && let Some(other) = self.live.keys().find(|key| **key != whose).cloned()
        {
            self.live.remove(&other);
        }
    }

    /// More of a phase is stored: what was said of it so far will be in the next answer.
    pub fn mark_stale(&mut self, phase: &PhaseKey) {
        self.live
            .iter_mut()
            .filter(|((key, _), _)| key == phase)
            .for_each(|(_, live)| live.mark());
        self.stale |=
            matches!(&self.source, Some(ArchiveQuery::Transcript(_, key, _, None)) if key == phase);
    }

    /// Shows the attempt of a phase, now or at an event; what is to be asked for that. `grows`: it is at work.
    pub fn show(
        &mut self,
        run: RunId,
        whose: Option<(PhaseKey, u32)>,
        at: Option<u64>,
        grows: bool,
    ) -> Option<ArchiveQuery> {
        self.grows = grows && at.is_none();
        let source =
            whose.map(|(phase, attempt)| ArchiveQuery::Transcript(run, phase, attempt, at));
        if self.source == source && !(self.stale && self.asked.is_none()) {
            return None;
        }
        let other = about(self.source.as_ref()) != about(source.as_ref());
        self.source = source;
        (self.stale, self.asked) = (false, Some(self.live_text().map_or(0, LiveText::marked)));
        if other {
            self.stored = None;
            self.reading = ScrollView::new(Arc::default(), self.reading.size());
            self.reading.set_pattern(self.search.active_pattern());
            // Of what goes on, and of a moment in the past, the last words are what matters.
            if grows || at.is_some() {
                self.reading.follow();
            }
        }
        self.compose();
        self.source.clone()
    }

    /// Takes what was asked for.
    pub fn apply_document(&mut self, query: &ArchiveQuery, doc: &Arc<TextDocument>) {
        if self.source.as_ref() != Some(query) {
            return;
        }
        let mark = self.asked.take();
        // Of an agent whose turns are not stored, what was heard is all there is.
        if doc.lines.iter().any(|line| line.ink == LineKind::Heading)
            && let Some(live) = self
                .shown_live()
                .and_then(|whose| self.live.get_mut(&whose))
        {
            live.discard_to(mark.unwrap_or(0));
        }
        self.stored = Some(doc.clone());
        self.compose();
    }

    /// Shows tool calls with their details, or without.
    pub fn fold(&mut self, whole: bool) {
        if self.whole == whole {
            return;
        }
        self.whole = whole;
        let top = self.reading.position().0;
        let Some(stored) = self.stored.clone() else {
            return;
        };
        // The line on top, counted without details; a detail stands for the call that it belongs to.
        let kept = |upto: usize, lines: &[DocLine]| {
            lines.iter().take(upto).filter(|line| !line.detail).count()
        };
        let line = match whole {
            true => stored
                .lines
                .iter()
                .enumerate()
                .filter(|(_, line)| !line.detail)
                .nth(top)
                .map_or(top, |(at, _)| at),
            false => kept(top + 1, &stored.lines).saturating_sub(1),
        };
        let follows = self.reading.is_following();
        self.compose_at(Some(line));
        if follows {
            self.reading.follow();
        }
    }

    /// Whether tool calls show their details.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// How many tool calls can be folded.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.stored.as_ref().map_or(0, |doc| {
            doc.lines
                .iter()
                .filter(|line| line.ink == LineKind::Call && !line.detail)
                .count()
        })
    }

    /// Whether nothing is known of the attempt on the screen yet.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.asked.is_some() && self.reading.doc().lines.is_empty()
    }

    /// Whether more will come of what is shown.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.grows
    }

    /// Lines of the live text on the screen that were dropped because there were too many.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.live_text().map_or(0, LiveText::dropped)
    }

    /// Whose live text belongs to what is shown; in the past nobody's does.
    fn shown_live(&self) -> Option<(PhaseKey, u32)> {
        match &self.source {
            Some(ArchiveQuery::Transcript(_, phase, attempt, None)) => {
                Some((phase.clone(), *attempt))
            }
            _ => None,
        }
    }

    fn live_text(&self) -> Option<&LiveText> {
        self.live.get(&self.shown_live()?)
    }

    fn compose(&mut self) {
        self.compose_at(None);
    }

    fn compose_at(&mut self, line: Option<usize>) {
        let live = self.live_text().map_or(&[][..], LiveText::lines);
        let mut doc = TextDocument::default();
        if let Some(stored) = &self.stored {
            let nothing =
                !live.is_empty() && stored.lines.iter().all(|line| line.ink == LineKind::Note);
            doc.lines.extend(
                stored
                    .lines
                    .iter()
                    .filter(|line| !nothing && (self.whole || !line.detail))
                    .cloned(),
            );
        }
        match doc.lines.last() {
            // What is said now is the answer that is on its way.
            Some(last)
                if !live.is_empty() && last.ink == LineKind::Note && last.text == ON_ITS_WAY =>
            {
                drop(doc.lines.pop())
            }
            Some(_) if !live.is_empty() => doc.push(LineKind::Plain, ""),
            _ => {}
        }
        let base = doc.lines.len();
        doc.lines.extend_from_slice(live);
        self.base = base;
        match line {
            Some(line) => self.reading.replace_at(Arc::new(doc), line),
            None => self.reading.replace(Arc::new(doc)),
        }
    }
}

/// Whose words a question is about.
fn about(query: Option<&ArchiveQuery>) -> Option<(RunId, &PhaseKey, u32)> {
    match query {
        Some(ArchiveQuery::Transcript(run, phase, attempt, _)) => Some((*run, phase, *attempt)),
        _ => None,
    }
}
