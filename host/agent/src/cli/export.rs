//! `tillhold export …` and `tillhold new-database`: prebuilt catalogues.

use super::answering::Answering;
use super::carry;
use super::{Done, Settings};
use crate::settings::register_file::RegisterFile;
use crate::snapshot::keep::minute;
use crate::snapshot::signing::Signer;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_client::query;
use tillhold_core::moment::Timestamp;
use tillhold_core::schedule;
use tillhold_env::{Env, errln, outln};

/// A catalogue of some gigabytes on a slow disk, or over a slow line.
const WORK_LIMIT: Duration = Duration::from_secs(6 * 3_600);

#[derive(Subcommand)]
pub enum ExportCommand {
    /// Write a snapshot of the catalogue into the export folder now
    Snapshot(SnapshotArgs),
    /// Show when the next scheduled snapshots begin
    Next(NextArgs),
    /// Write all unsent sales into a signed file, to be carried away by hand
    Unsent(carry::UnsentArgs),
    /// Check such a file: whole, unchanged, and signed by whom
    Check(carry::CheckArgs),
    /// Show the public key that signs this register's exports; made when there is none
    Key(Settings),
}

#[derive(Args)]
pub struct SnapshotArgs {
    #[command(flatten)]
    settings: Settings,
    /// Also when no row has changed since the last one
    #[arg(long)]
    force: bool,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct NextArgs {
    #[command(flatten)]
    settings: Settings,
    /// How many
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    count: u32,
    /// A list of objects instead of lines
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct NewDatabaseArgs {
    #[command(flatten)]
    settings: Settings,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

pub async fn export(env: &Env, command: ExportCommand) -> anyhow::Result<Done> {
    match command {
        ExportCommand::Snapshot(args) => snapshot(env, args).await,
        ExportCommand::Next(args) => next(env, &args),
        ExportCommand::Unsent(args) => carry::unsent(env, args).await,
        ExportCommand::Check(args) => carry::check(&args),
        ExportCommand::Key(settings) => {
            let file = RegisterFile::read(&settings.config)?;
            outln!("{}", Signer::open(env, &file.export.key_file)?.key());
            Ok(Done::Yes)
        }
    }
}

async fn snapshot(env: &Env, args: SnapshotArgs) -> anyhow::Result<Done> {
    let forced: &[(&str, &str)] = if args.force { &[("force", "true")] } else { &[] };
    let answer = ask(env, &args.settings, &query("/v1/snapshots", forced)).await?;
    match (args.json, answer["outcome"].as_str()) {
        (true, _) => outln!("{answer:#}"),
        (false, Some("unchanged")) => {
            outln!("no row has changed since {}", text(&answer["snapshot"]["file"]));
        }
        _ => outln!(
            "{}\t{} rows\t{} bytes",
            text(&answer["path"]),
            answer["snapshot"]["rows"],
            answer["snapshot"]["bytes"]
        ),
    }
    Ok(Done::Yes)
}

pub async fn new_database(env: &Env, args: NewDatabaseArgs) -> anyhow::Result<Done> {
    let answer = ask(env, &args.settings, "/v1/new-database").await?;
    let outcome = text(&answer["outcome"]);
    match args.json {
        true => outln!("{answer:#}"),
        false => outln!("{outcome}\t{}", text(&answer["snapshot"]["file"])),
    }
    if let Some(why) = answer["fault"]["message"].as_str().filter(|_| !args.json) {
        errln!("{why}\nnext: {}", text(&answer["fault"]["hint"]));
    }
    Ok(if outcome == "taken" { Done::Yes } else { Done::No })
}

async fn ask(env: &Env, settings: &Settings, path: &str) -> anyhow::Result<Json> {
    let answering = Answering::any(env, settings).await?;
    let answer = answering.post(path, &json!({}), WORK_LIMIT).await;
    answering.done().await?;
    Ok(answer?)
}

fn next(env: &Env, args: &NextArgs) -> anyhow::Result<Done> {
    let file = RegisterFile::read(&args.settings.config)?;
    let settings = &file.export;
    let mut starts = Vec::new();
    let mut at = minute(env.clock.wall_ms(), settings.utc_offset_min);
    if let Some(planned) = &settings.schedule {
        for _ in 0..args.count {
            let Some(start) = schedule::next_start(planned, &settings.blackouts, at) else { break };
            starts.push(start);
            at = start;
        }
    }
    let shown = |minute: i64| {
        let utc_ms = (minute - settings.utc_offset_min) * 60_000;
        json!({ "at_ms": utc_ms, "utc": moment(utc_ms), "local": moment(minute * 60_000) })
    };
    let shown: Vec<Json> = starts.into_iter().map(shown).collect();
    if args.json {
        outln!("{:#}", Json::from(shown.clone()));
    } else {
        for one in &shown {
            outln!("{}\t{} UTC", text(&one["local"]), text(&one["utc"]));
        }
    }
    if shown.is_empty() {
        errln!("[export] has no schedule: snapshots are made by hand only");
    }
    Ok(if shown.is_empty() { Done::No } else { Done::Yes })
}

fn moment(ms: i64) -> String {
    let (year, month, day) = Timestamp::from_unix_ms(ms).date().civil();
    let of_day = ms.rem_euclid(86_400_000) / 60_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", of_day / 60, of_day % 60)
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or("-").to_string()
}
