//! `tillhold plugin list`: which components are at work in the running agent, and what became of newer ones.

use crate::cli::answering::Answering;
use crate::cli::told::shown;
use crate::cli::{Done, Settings, door};
use clap::Args;
use std::time::Duration;
use tillhold_env::{Env, errln, outln};

/// Nothing of this asks the channel.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    settings: Settings,
    /// The whole answer as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub async fn list(env: &Env, args: &ListArgs) -> anyhow::Result<Done> {
    let agent = Answering::running(env, &args.settings)?;
    let answer = agent.get("/v1/plugins", LIMIT).await?;
    if !shown(&answer, args.json)? {
        let plugins = answer["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
        if plugins.is_empty() {
            errln!("none");
        }
        for line in door::plugins(plugins, None) {
            outln!("{line}");
        }
    }
    let is_refused = |one: &serde_json::Value| one["refused"].is_object();
    let refused = answer["plugins"].as_array().into_iter().flatten().any(is_refused);
    Ok(if refused { Done::No } else { Done::Yes })
}
