//! What is shown in front of a screen: help, command palette, confirmations, retry.

pub mod palette;
pub mod retry;
pub(crate) mod retry_update;
pub(crate) mod update;
