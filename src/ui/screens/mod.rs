//! Draws the screens, one folder each; their state is in `app::screens`.

pub mod gate;
pub mod info;
pub mod new_run;
pub mod resume;
pub mod run;
pub mod runs;
