//! Reads and writes of single tables, one file per table or group of tables.

pub mod approvals;
pub mod artifacts;
pub mod bindings;
pub(crate) mod columns;
pub mod consents;
pub mod contents;
pub mod conversation;
pub mod definitions;
pub mod forecast;
pub mod gate_tokens;
pub mod inbox;
pub mod ledger;
pub mod notices;
pub mod phases;
pub mod run_costs;
pub mod run_definitions;
pub mod run_list;
pub mod run_page;
pub mod runs;
pub mod sessions;
pub mod threads;
pub mod transfer;
pub mod turns;
