//! `tillhold hold`, `release`, `reconnect` and `audit list`: a person's hand on the failover, and who laid it there.

use super::answering::Answering;
use super::conflicts::Person;
use super::newest::{self, NewestArgs};
use super::told::{Grid, cell, moment, text};
use super::{Done, Settings};
use clap::{Args, Subcommand};
use serde_json::json;
use std::time::Duration;
use tillhold_env::{Env, outln};

/// Nothing of this asks the channel.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct HandArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    person: Person,
    /// Why, in a few words: kept in the audit log
    #[arg(long, value_name = "TEXT")]
    why: String,
}

#[derive(Args)]
pub struct ReconnectArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    person: Person,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

#[derive(Subcommand)]
pub enum AuditCommand {
    /// What people did by hand, the newest first
    List(NewestArgs),
}

pub async fn hold(env: &Env, args: HandArgs) -> anyhow::Result<Done> {
    ask(env, &args.settings, "hold", args.person, Some(args.why)).await
}

pub async fn release(env: &Env, args: HandArgs) -> anyhow::Result<Done> {
    ask(env, &args.settings, "release", args.person, Some(args.why)).await
}

pub async fn reconnect(env: &Env, args: ReconnectArgs) -> anyhow::Result<Done> {
    ask(env, &args.settings, "reconnect", args.person, args.why).await
}

async fn ask(
    env: &Env,
    settings: &Settings,
    what: &str,
    person: Person,
    why: Option<String>,
) -> anyhow::Result<Done> {
    let agent = Answering::running(env, settings)?;
    let body = json!({ "who": person.name(), "why": why });
    let answer = agent.post(&format!("/v1/{what}"), &body, LIMIT).await?;
    outln!("asked: {}, number {} of the audit log", text(&answer["asked"]), answer["audit"]);
    Ok(Done::Yes)
}

pub async fn audit(env: &Env, command: AuditCommand) -> anyhow::Result<Done> {
    let AuditCommand::List(args) = command;
    if let Some(page) = args.page(env, "/v1/audit").await? {
        let mut grid = Grid::of(&["NUMBER", "AT", "ACTION", "ON", "WHO", "ROLE", "WHY"]);
        for one in page["acts"].as_array().into_iter().flatten() {
            grid.row([
                text(&one["number"]),
                moment(&one["at_ms"]),
                text(&one["action"]),
                cell(&one["subject"]),
                cell(&one["who"]),
                text(&one["role"]),
                cell(&one["why"]),
            ]);
        }
        grid.print();
        newest::tell_more(&page);
    }
    Ok(Done::Yes)
}
