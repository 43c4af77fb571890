//! `tillhold images …`: the pictures on this register.

use super::answering::Answering;
use super::{Done, Settings};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_env::{Env, outln};

/// Tens of thousands of pictures over a slow line.
const WORK_LIMIT: Duration = Duration::from_secs(6 * 3_600);

#[derive(Subcommand)]
pub enum ImagesCommand {
    /// How many pictures there are, and how much room they take
    Status(ImagesArgs),
    /// Bring every picture that the offline database names
    Prefetch(ImagesArgs),
    /// Look for damage, keep the size, and forget names without a picture
    Prune(ImagesArgs),
}

#[derive(Args)]
pub struct ImagesArgs {
    #[command(flatten)]
    settings: Settings,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

pub async fn images(env: &Env, command: ImagesCommand) -> anyhow::Result<Done> {
    let (args, path) = match &command {
        ImagesCommand::Status(args) => (args, None),
        ImagesCommand::Prefetch(args) => (args, Some("/v1/images-prefetch")),
        ImagesCommand::Prune(args) => (args, Some("/v1/images-prune")),
    };
    let answering = Answering::any(env, &args.settings).await?;
    let answer = match path {
        Some(path) => answering.post(path, &json!({}), WORK_LIMIT).await,
        None => answering.get("/v1/images", WORK_LIMIT).await,
    };
    answering.done().await?;
    let answer = answer?;
    if args.json {
        outln!("{answer:#}");
    } else {
        for (name, value) in answer.as_object().into_iter().flatten() {
            outln!("{name}\t{}", value.as_str().map_or_else(|| value.to_string(), str::to_string));
        }
    }
    let all_there =
        answer["missing"].as_u64().unwrap_or(0) + answer["refused"].as_u64().unwrap_or(0) == 0;
    let is_whole = answer["damaged"] == Json::Null || answer["damaged"] == 0;
    Ok(if all_there && is_whole { Done::Yes } else { Done::No })
}
