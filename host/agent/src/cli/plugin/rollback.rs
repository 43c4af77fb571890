//! `tillhold plugin rollback`: an earlier component of a plugin back to work in the running agent.

use crate::cli::answering::Answering;
use crate::cli::conflicts::Person;
use crate::cli::told::text;
use crate::cli::{Done, Settings};
use clap::Args;
use serde_json::json;
use std::time::Duration;
use tillhold_env::{Env, outln};

/// A pull that is under way ends first, and the component may have to be compiled.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(Args)]
pub struct RollbackArgs {
    /// The plugin
    name: String,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    person: Person,
    /// Why, in a few words: kept in the audit log
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// To this one, of those that are kept; otherwise to the one that was at work before
    #[arg(long, value_name = "sha256:DIGITS")]
    to: Option<String>,
}

pub async fn rollback(env: &Env, args: RollbackArgs) -> anyhow::Result<Done> {
    let agent = Answering::running(env, &args.settings)?;
    let body = json!({ "who": args.person.name(), "why": args.why, "to": args.to });
    let answer = agent.post(&format!("/v1/plugins/{}/rollback", args.name), &body, LIMIT).await?;
    let (plugin, digest) = (text(&answer["plugin"]), text(&answer["digest"]));
    outln!("plugin {plugin}: {digest} is at work, number {} of the audit log", answer["audit"]);
    Ok(Done::Yes)
}
