//! What the operator sees and can do: state, messages, keys, and the one update.
//!
//! Pure but for [`shell`]: `update(&mut AppState, Msg, Now) -> Vec<Cmd>` changes the state and says
//! what is to be done; nothing here draws, reads a clock, a file or a terminal. [`shell`] owns the
//! terminal and is the only loop: it turns keys, signals and loaded data into messages, carries out
//! the commands, and draws by [`crate::ui`].

pub mod shell;
