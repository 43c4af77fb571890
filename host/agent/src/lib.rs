//! The register agent: what the program `tillhold` is made of, and the few places of it where bytes come in from outside.

mod again;
mod agent;
mod carry;
mod claiming;
mod cli;
mod fault;
mod filters;
mod freshness;
mod front_door;
mod held;
mod history;
mod images;
mod kept;
mod leaving;
mod numbers;
pub mod outside;
mod plugins;
mod pull;
mod push;
mod quiet;
mod register;
mod releasing;
mod renewal;
mod report;
mod reporting;
mod resolve;
mod rules;
mod selecting;
mod settings;
mod snapshot;
mod supervisor;
mod sync;
mod trouble;
mod upkeep;
mod verify;

use std::process::ExitCode;

/// The program, from its arguments to its exit status.
pub fn main() -> ExitCode {
    cli::main()
}
