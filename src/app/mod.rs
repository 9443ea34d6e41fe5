//! What the operator sees and can do: state, messages, keys, and the one update.
//!
//! Pure but for [`shell`]: [`update::update`] changes the state and says what is to be done; nothing
//! here draws, reads a clock, a file or a terminal. [`shell`] owns the terminal and is the only
//! loop: it turns keys, signals and loaded data into messages, carries out the commands, and draws
//! by [`crate::ui`].

pub mod keymap;
pub mod modal;
pub mod mouse;
pub mod msg;
pub mod redraw_schedule;
pub mod screens;
pub mod search;
pub mod state;
pub mod text;
pub mod throttle;
pub mod time_format;
pub mod title;
pub mod update;

#[cfg(test)]
pub mod test_support;
