//! `tillhold export unsent | check` and `tillhold import unsent`: sales that leave a register by hand.

use super::answering::{Answering, AnsweringError};
use super::{Done, Settings};
use crate::carry::fault::CarryError;
use crate::carry::{read, write};
use crate::settings::register_file::RegisterFile;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillhold_env::{Env, outln};
use tillhold_local::LocalDatabase;

/// A day offline is 2,000 sales; weeks of them are written, or sent, in this time.
const WORK_LIMIT: Duration = Duration::from_secs(3_600);

#[derive(Args)]
pub struct UnsentArgs {
    #[command(flatten)]
    settings: Settings,
    /// The file to write; otherwise a new one in the export folder
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct CheckArgs {
    /// An export of unsent sales
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key that must have signed it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
pub enum ImportCommand {
    /// Bring exported unsent sales into the channel, each once
    Unsent(ImportArgs),
}

#[derive(Args)]
pub struct ImportArgs {
    #[command(flatten)]
    settings: Settings,
    /// An export of unsent sales
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key that must have signed it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Needs neither the channel nor a sound profile: the journal knows its tables.
pub async fn unsent(env: &Env, args: UnsentArgs) -> anyhow::Result<Done> {
    let to = args.to.as_deref().map(std::path::absolute).transpose()?;
    let answer = match by_agent(env, &args.settings, to.as_deref()).await? {
        Some(answer) => answer,
        None => {
            let file = RegisterFile::read(&args.settings.config)?;
            if !file.folder.join("journal.db").exists() {
                return Err(CarryError::NoJournal { folder: file.folder }.into());
            }
            let identity = file.identity();
            let local = LocalDatabase::open(env, &file.folder, &identity).await?;
            let carried = write::write(env, &local, &file, to).await;
            local.close().await?;
            carried?.json()
        }
    };
    match args.json {
        true => outln!("{answer:#}"),
        false => outln!(
            "{}\t{} sales\t{} rows",
            answer["path"].as_str().unwrap_or_default(),
            answer["transactions"],
            answer["rows"]
        ),
    }
    Ok(Done::Yes)
}

/// `None` when no agent runs.
async fn by_agent(
    env: &Env,
    settings: &Settings,
    to: Option<&Path>,
) -> anyhow::Result<Option<Json>> {
    let is_away = |error: &AnsweringError| matches!(error, AnsweringError::NotRunning(_));
    let agent = match Answering::running(env, settings) {
        Ok(agent) => agent,
        Err(error) if error.downcast_ref().is_some_and(is_away) => return Ok(None),
        Err(error) => return Err(error),
    };
    let body = json!({ "to": to.map(|to| to.display().to_string()) });
    match agent.post("/v1/unsent-export", &body, WORK_LIMIT).await {
        Err(error) if is_away(&error) => Ok(None),
        answer => Ok(Some(answer?)),
    }
}

pub fn check(args: &CheckArgs) -> anyhow::Result<Done> {
    let checked = read::check(&args.file, args.key.as_deref());
    if let Err(error @ CarryError::File { .. }) = checked {
        return Err(error.into());
    }
    let (shown, line) = match &checked {
        Ok(origin) => (
            json!({
                "holds": true, "store": origin.store, "register": origin.register,
                "incarnation": origin.incarnation.to_string(), "exported_at_ms": origin.exported_at_ms,
                "transactions": origin.transactions, "key": origin.key,
            }),
            format!(
                "{} sales of register {} of store {}, signed by {}",
                origin.transactions, origin.register, origin.store, origin.key
            ),
        ),
        Err(error) => {
            let (code, message) = (error.code(), error.to_string());
            let line = format!("it does not hold: [{code}] {message}");
            (
                json!({ "holds": false, "code": code, "message": message, "hint": error.hint() }),
                line,
            )
        }
    };
    if args.json {
        outln!("{shown:#}")
    } else {
        outln!("{line}")
    }
    Ok(if checked.is_ok() { Done::Yes } else { Done::No })
}

pub async fn import(env: &Env, command: ImportCommand) -> anyhow::Result<Done> {
    let ImportCommand::Unsent(args) = command;
    let file = std::path::absolute(&args.file)?.display().to_string();
    let answering = Answering::any(env, &args.settings).await?;
    let body = json!({ "file": file, "key": args.key });
    let answer = answering.post("/v1/unsent-import", &body, WORK_LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    let left = answer["left"].as_array().map_or(&[][..], Vec::as_slice);
    if args.json {
        outln!("{answer:#}");
    } else {
        outln!("{} sales brought in, {} were there", answer["applied"], answer["already_there"]);
        for one in left {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_string();
            outln!("left: {}\t{}", text("id"), text("reason"));
        }
    }
    Ok(if left.is_empty() { Done::Yes } else { Done::No })
}
