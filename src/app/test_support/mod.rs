//! A small world for tests: runs in every state, one journal played to several places, and a bench that
//! answers the console's questions from it. A room for what each screen shows.

mod archive;
mod gate;
mod harness;
mod info;
mod journal;
mod new_run;
mod questions;
mod recovery;
mod runs;
mod transcript;

pub use self::gate::{candidates, forecast, picked, resolved, revised};
pub use self::journal::{SampleRunState, bindings, facts, journal, opened, workflow};
pub use self::new_run::start_preview;
pub use self::questions::{
    a_budget, a_command, a_write, allowed, approval_requested, cannot_work, cheaper,
};
pub use self::recovery::crash_card;
pub use self::runs::{many, page, record, records};
pub use crate::app::test_support::harness::ConsoleHarness;
pub use crate::app::test_support::info::{checks, costs};

use crate::model::id::{RequestId, RunId, TurnId};
use crate::model::time::Timestamp;

/// The moment all of this is looked at: 2025-11-21 04:40 UTC.
pub const NOW: Timestamp = Timestamp(1_763_700_000_000);

/// What the agent wrote first, and after it was told to change it.
pub const SPEC_V1: &str = r#"{"title":"Shop cart","requirements":["add an item","remove an item"],"acceptance_criteria":[]}"#;
/// See [`SPEC_V1`].
pub const SPEC_V2: &str = r#"{"title":"Shop cart","requirements":["add an item","remove an item","prices in cents"],"acceptance_criteria":["a cart with two items shows both, with the sum in cents and without rounding"]}"#;

/// Ids that are the same in every test.
pub fn run_id(n: u8) -> RunId {
    format!("01930000-0000-7000-8000-0000dead00{n:02x}")
        .parse()
        .unwrap()
}

/// The question at the first gate, and at the second.
pub fn request_id(n: u8) -> RequestId {
    format!("01930000-0000-7000-8000-00000000aa{n:02x}")
        .parse()
        .unwrap()
}

/// Ids of the turns of run 1, from 1.
pub fn turn_id(n: u8) -> TurnId {
    format!("01930000-0000-7000-8000-00000000bb{n:02x}")
        .parse()
        .unwrap()
}
