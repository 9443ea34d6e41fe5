//! What the operator sees and can do: state, messages, keys, and the one update.
//!
//! Pure but for [`shell`]: [`update::update`] changes the state and says what is to be done; nothing
//! here draws, reads a clock, a file or a terminal. [`shell`] owns the terminal and is the only
//! loop: it turns keys, signals and loaded data into messages, carries out the commands, and draws
//! by [`crate::ui`].

pub mod document;
pub mod finding;
pub mod forks;
pub mod fuzzy;
pub mod gate;
pub mod gate_texts;
pub mod hits;
pub mod json_diff;
pub mod json_text;
pub mod json_tree;
pub mod key;
pub mod keymap;
pub mod lane;
pub mod looks;
pub mod markdown;
pub mod mouse;
pub mod msg;
pub mod needle;
pub mod new_run;
pub mod new_run_draft;
pub mod pace;
pub mod picker;
pub mod pulse;
pub mod question;
pub mod reading;
pub mod recorder;
pub mod retry;
pub mod rows;
pub mod run_filter;
pub mod run_view;
pub mod runs;
pub mod shell;
pub mod side_by_side;
pub mod state;
pub mod stored_transcript;
pub mod syntax;
pub mod tail;
pub mod telling;
pub mod text_input;
pub mod text_search;
pub mod times;
pub mod title;
pub mod transcript;
pub mod transcript_pane;
pub mod update;
pub mod wake;
pub mod window;

#[cfg(test)]
pub mod sample;
