//! `tillhold incarnation renew`: the deliberate way out when a register's offline database was restored or copied.

use super::answering::Answering;
use super::conflicts::Person;
use super::{Done, Settings};
use clap::{Args, Subcommand};
use serde_json::json;
use std::time::Duration;
use tillhold_env::{Env, outln};

/// The tables of both directions are loaded anew meanwhile.
const RENEW_LIMIT: Duration = Duration::from_secs(3_600);

#[derive(Subcommand)]
pub enum IncarnationCommand {
    /// Begin a new life of the offline database, so that it sends again
    Renew(RenewArgs),
}

#[derive(Args)]
pub struct RenewArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    person: Person,
    /// Why, in a few words: kept at the channel
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// The whole answer as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub async fn incarnation(env: &Env, command: IncarnationCommand) -> anyhow::Result<Done> {
    let IncarnationCommand::Renew(args) = command;
    let answering = Answering::any(env, &args.settings).await?;
    let body = json!({ "who": args.person.name(), "why": args.why });
    let answer = answering.post("/v1/incarnation/renew", &body, RENEW_LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_string();
        outln!("incarnation {} begins, {} has ended", word("incarnation"), word("ended"));
        outln!(
            "{} sales had arrived already and are settled; {} rows were loaded anew",
            answer["arrived"],
            answer["rows_loaded"]
        );
    }
    Ok(Done::Yes)
}
