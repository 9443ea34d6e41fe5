//! Phasedeck as its users and its machines meet it.

#[path = "../support/model_server.rs"]
mod model_server;

mod cli;
mod console;
mod crash;
mod demo;
mod engine;
mod home;
mod http_run;
mod layers;
mod model_script;
mod terminal;
