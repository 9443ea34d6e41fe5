//! Finding and filtering in the events: the line being typed, what was typed last, and how far a
//! search has come. The archive looks a bounded piece at a time, so a search says where it is.
use crate::app::msg::ArchiveQuery;
use crate::app::screens::run::event_list::EventFetch;
use crate::model::event_filter::EventFilter;
use crate::model::id::RunId;

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKind {
    /// To go to the next event that fits.
    Search,
    /// To show only events that fit.
    Filter,
}

/// A line being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPrompt {
    /// What for.
    pub asked: PromptKind,
    /// So far.
    pub text: String,
    /// The event under the cursor when it began.
    pub began: u64,
    /// Whether the end was followed then.
    pub followed: bool,
}

/// What a search has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchStatus {
    /// Nothing is searched.
    #[default]
    None,
    /// It has come to this event.
    Looking(u64),
    /// Here.
    At(u64),
    /// There is none.
    Nowhere,
    /// There is no other in this direction; whether that is towards the end.
    NoMore(bool),
}

/// A search that waits for the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSearch {
    /// What is looked for.
    pub wanted: EventFilter,
    /// Where next.
    pub need: EventFetch,
    /// Where to look the other way when there is none here.
    pub turn: Option<u64>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct EventSearch {
    /// The line being typed.
    pub prompt: Option<SearchPrompt>,
    /// What the filter was typed as; empty: everything is shown.
    pub filter: String,
    /// What was searched last; empty: nothing.
    pub search: String,
    /// What the search has come to.
    pub hit: MatchStatus,
    /// Whether long events go on in further lines.
    pub wrap: bool,
    /// The question on its way.
    pub hunt: Option<PendingSearch>,
    /// Whether something else is looked for by now.
    pub again: bool,
}

impl EventSearch {
    /// What is searched: the line being typed, else what was typed last.
    #[must_use]
    pub fn event_filter(&self) -> EventFilter {
        EventFilter::parse(match &self.prompt {
            Some(prompt) if prompt.asked == PromptKind::Search => &prompt.text,
            _ => &self.search,
        })
    }

    /// Begins to look, or will when the question on its way is answered.
    pub fn start(&mut self, run_id: RunId, hunt: PendingSearch) -> Option<ArchiveQuery> {
        if self.hunt.is_some() {
            self.again = true;
            return None;
        }
        let query = ArchiveQuery::Find(run_id, hunt.need, hunt.wanted.clone());
        self.hunt = Some(hunt);
        Some(query)
    }
}
