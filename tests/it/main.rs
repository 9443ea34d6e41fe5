//! Phasedeck as its users and its machines meet it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/model_server.rs"]
mod model_server;
#[path = "../support/source_tree.rs"]
mod source_tree;

mod accidents;
mod acp;
mod acp_agent;
mod acp_hostile;
mod attached;
mod brought;
mod budgets;
mod cli;
mod console;
mod crash;
mod demo;
mod documents;
mod engine;
mod faults;
mod foreign;
mod formats;
mod growth;
mod guide;
mod home;
mod hostile;
mod housekeeping;
mod http_run;
mod layers;
mod limits;
mod live;
mod manners;
mod mcp;
mod model_script;
mod notices;
mod oddities;
mod outputs;
mod questions;
mod real;
mod real_agents;
mod recovery;
mod refused_key;
mod source_rules;
mod terminal;
mod threads;
mod waits;
