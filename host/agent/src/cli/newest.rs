//! Listings of the newest first, a page at a time: how they are asked for, and how eyes are told that there is more.

use super::answering::Answering;
use super::conflicts::ListArgs;
use super::told::shown;
use clap::Args;
use serde_json::Value as Json;
use std::time::Duration;
use tillhold_client::query;
use tillhold_env::{Env, errln};

/// Nothing of this asks the channel.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct NewestArgs {
    #[command(flatten)]
    listed: ListArgs,
    /// So many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    /// Those before this number, which the page before named
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
}

impl NewestArgs {
    /// The page for eyes; `None` when it was printed as JSON.
    pub async fn page(&self, env: &Env, path: &str) -> anyhow::Result<Option<Json>> {
        let (limit, before) = (self.limit.to_string(), self.before.map(|b| b.to_string()));
        let mut asked = vec![("limit", limit.as_str())];
        asked.extend(before.as_deref().map(|before| ("before", before)));
        let answering = Answering::any(env, &self.listed.settings).await?;
        let answer = answering.get(&query(path, &asked), LIMIT).await;
        answering.done().await?;
        let answer = answer?;
        Ok(if shown(&answer, self.listed.json)? { None } else { Some(answer) })
    }
}

/// Beside the page, on stderr.
pub fn tell_more(page: &Json) {
    if let Some(next) = page["next"].as_u64() {
        errln!("more: --before {next}");
    }
}
