//! The register agent: what the program `tillhold` is made of, for whoever runs it inside a program of their own in another
//! [`Env`], as the simulation does; and the few places of it where bytes come in from outside.

// Whoever reads may go away: tillhold_env::speech.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod agent;
mod carry;
mod channel_epoch;
mod channel_report;
mod claiming;
mod cli;
mod detached;
mod discarding;
mod fault;
mod filter_exit;
mod filters;
mod freshness;
mod front_door;
mod history;
mod hold;
mod images;
mod lanes;
mod numbers;
pub mod outside;
mod plugins;
mod pull;
mod push;
mod register;
mod renewal;
mod report;
mod resend;
mod resolve;
mod retry;
mod rounds;
mod rules;
mod said_once;
mod selecting;
mod settings;
mod skip_unchanged;
mod snapshot;
mod stored_profile;
mod supervisor;
mod sync;
mod trouble;
mod upkeep;
mod verify;

use anyhow::bail;
use std::path::Path;
use tillhold_env::Env;

pub use cli::main;

/// Runs the agent of the register whose settings are in `config` until `told` ends, and what was begun by then is
/// finished.
pub async fn run(
    env: &Env,
    config: &Path,
    told: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    cli::run::run_until(env, &cli::Settings::of(config), told).await.map(drop)
}

/// Carries out one command line, without the program's name in front, in this process; an answer of "no" is an error
/// here.
pub async fn command(env: &Env, words: &[&str]) -> anyhow::Result<()> {
    match cli::command(env, words).await? {
        cli::Done::Yes => Ok(()),
        cli::Done::No => bail!("tillhold {} did not hold", words.join(" ")),
    }
}
