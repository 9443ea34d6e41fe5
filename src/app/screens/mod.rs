//! One folder per screen: its state, how messages change it, and its parts. Drawing is in
//! `ui::screens`.

pub mod gate;
pub mod info;
pub mod new_run;
pub mod resume;
pub mod run;
pub mod runs;
