//! Finding and filtering in the events: the line being typed, what was typed last, and how far a
//! search has come. The archive looks a bounded piece at a time, so a search says where it is.

use super::msg::Query;
use super::tail::Need;
use crate::model::id::RunId;
use crate::model::wanted::Wanted;

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To go to the next event that fits.
    Search,
    /// To show only events that fit.
    Filter,
}

/// A line being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub asked: Asked,
    /// So far.
    pub text: String,
    /// The event under the cursor when it began.
    pub began: u64,
    /// Whether the end was followed then.
    pub followed: bool,
}

/// What a search has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hit {
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
pub struct Hunt {
    /// What is looked for.
    pub wanted: Wanted,
    /// Where next.
    pub need: Need,
    /// Where to look the other way when there is none here.
    pub turn: Option<u64>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// The line being typed.
    pub prompt: Option<Prompt>,
    /// What the filter was typed as; empty: everything is shown.
    pub filter: String,
    /// What was searched last; empty: nothing.
    pub search: String,
    /// What the search has come to.
    pub hit: Hit,
    /// Whether long events go on in further lines.
    pub wrap: bool,
    /// The question on its way.
    pub hunt: Option<Hunt>,
    /// Whether something else is looked for by now.
    pub again: bool,
}

impl Finding {
    /// What is searched: the line being typed, else what was typed last.
    #[must_use]
    pub fn needle(&self) -> Wanted {
        Wanted::parse(match &self.prompt {
            Some(prompt) if prompt.asked == Asked::Search => &prompt.text,
            _ => &self.search,
        })
    }

    /// Begins to look, or will when the question on its way is answered.
    pub fn begin(&mut self, run_id: RunId, hunt: Hunt) -> Option<Query> {
        if self.hunt.is_some() {
            self.again = true;
            return None;
        }
        let query = Query::Find(run_id, hunt.need, hunt.wanted.clone());
        self.hunt = Some(hunt);
        Some(query)
    }
}
