//! `tillhold profile diff A B`: what would change if B took A's place.
//!
//! Exit status: 0 when nothing would, 1 when something would.

use super::Channel;
use crate::cli::{Done, Settings};
use crate::settings::checks::Catalogue;
use crate::settings::difference::{Difference, differences};
use crate::settings::effective::Effective;
use crate::settings::profile_file::{ProfileChoice, ProfileFile};
use crate::settings::reader::{Mistakes, Source};
use crate::settings::register_file::RegisterFile;
use crate::stored_profile;
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::Path;
use tillhold_core::profile::Profile;
use tillhold_core::table::Table;
use tillhold_env::{Env, outln};
use tillhold_local::LocalDatabase;

#[derive(Args)]
pub struct DiffArgs {
    #[command(flatten)]
    settings: Settings,
    /// A file, `channel`, `default`, or `register` for the one that its offline database was last opened with
    #[arg(value_name = "A")]
    from: String,
    /// The same, for what would take its place
    #[arg(value_name = "B")]
    to: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error("{0} holds no offline database of this register")]
    NotProvisioned(String),
}

impl DiffError {
    pub fn code(&self) -> &'static str {
        match self {
            DiffError::NotProvisioned(_) => "profile-not-provisioned",
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some("run `tillhold provision` first, or compare with a file".to_string())
    }
}

pub async fn diff(env: &Env, args: DiffArgs) -> anyhow::Result<Done> {
    let mut channel = Channel::of(env, &args.settings.config);
    let from = side(env, &args, &args.from, &mut channel).await?;
    let to = side(env, &args, &args.to, &mut channel).await?;
    let shapes = shapes(&mut channel, &[&from, &to]).await?;
    let found = differences(&from, &to, &shapes);
    match args.json {
        true => {
            let list: Vec<Json> = found.iter().map(as_json).collect();
            outln!("{}", serde_json::to_string_pretty(&list)?);
        }
        false => found.iter().for_each(|one| outln!("{one}")),
    }
    Ok(if found.is_empty() { Done::Yes } else { Done::No })
}

async fn side(
    env: &Env,
    args: &DiffArgs,
    text: &str,
    channel: &mut Channel,
) -> anyhow::Result<Profile> {
    if text == "register" {
        return Ok(provisioned(env, &RegisterFile::read(&args.settings.config)?).await?.profile());
    }
    Ok(channel.complete(&ProfileChoice::named(text, Path::new(""))).await?.profile())
}

/// The tables of both as the channel has them, if it was asked anyway.
async fn shapes(channel: &mut Channel, profiles: &[&Profile]) -> anyhow::Result<Vec<Table>> {
    let Some((link, _)) = channel.opened() else { return Ok(Vec::new()) };
    let mut shapes = Vec::new();
    for profile in profiles {
        let catalogue = Catalogue::read(link, profile).await?;
        shapes.extend(catalogue.tables.into_iter().map(|described| described.table));
    }
    Ok(shapes)
}

async fn provisioned(env: &Env, register: &RegisterFile) -> anyhow::Result<Effective> {
    let missing = || DiffError::NotProvisioned(register.folder.display().to_string());
    // Opening would make the files.
    if !register.folder.join("journal.db").exists() {
        return Err(missing().into());
    }
    let identity = register.identity();
    let local = LocalDatabase::open(env, &register.folder, &identity).await?;
    let text = local.fact(stored_profile::PROFILE_TEXT).await?;
    local.close().await?;
    let source = Source::new(Path::new("register"), text.ok_or_else(missing)?);
    let parsed = ProfileFile::of(&source);
    let (profile, mistakes) = parsed.built.effective(None);
    let mistakes: Vec<_> = parsed.mistakes.into_iter().chain(mistakes).collect();
    if mistakes.is_empty() { Ok(profile) } else { Err(Mistakes(mistakes).into()) }
}

fn as_json(one: &Difference) -> Json {
    json!({
        "scope": one.scope,
        "table": one.table,
        "setting": one.setting,
        "from": one.from,
        "to": one.to,
    })
}
