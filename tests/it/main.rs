//! Phasedeck as its users and its machines meet it.

#[path = "../support/model_server.rs"]
#[expect(dead_code, reason = "shared with the backend's own tests, which use the rest")]
mod model_server;

mod cli;
mod crash;
mod demo;
mod engine;
mod home;
mod http_run;
mod layers;
mod model_script;
mod terminal;
