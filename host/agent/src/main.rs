//! `tillhold`: the register agent and its commands.
//!
//! stdout is data, stderr is talk. Exit status: 0 done, 1 not done (the answer is no), 2 failed, 64 wrong usage.

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

fn main() -> ExitCode {
    cli::main()
}
