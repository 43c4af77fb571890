//! `tillhold profile import` and `publish`: between `profile.toml` and the channel's own ax.RETAILOFFLINE* tables.
//!
//! ```text
//! import    ax.RETAILOFFLINE* of the register's store -> stdout or a new file
//! publish   profile.toml -> checked against the channel -> ax.RETAILOFFLINE*, in one transaction
//! ```
//!
//! * Nothing is overwritten by import; nothing wrong is published.
//! * What AX's tables cannot hold stays in the file, and is said.

use super::{Channel, Which};
use crate::cli::{Administrator, Done, Settings};
use crate::report;
use crate::settings::checks::{self, Catalogue, Findings};
use crate::settings::effective::Effective;
use crate::settings::profile_file::ProfileChoice;
use crate::settings::profile_text::{Told, text};
use crate::settings::published::{Published, published};
use crate::settings::reader::{Mistake, Mistakes};
use anyhow::Context as _;
use clap::Args;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use tillhold_channel::publish::{Effect, Outcome, Publication, publish as send};
use tillhold_core::condition::Parameters;
use tillhold_env::{Env, out, outln};

#[derive(Args)]
pub struct ImportArgs {
    #[command(flatten)]
    settings: Settings,
    /// A file to make, instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
pub struct PublishArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    administrator: Administrator,
    /// Do everything, say what it did, and roll it back
    #[arg(long)]
    dry_run: bool,
    /// Let the register's store use the profile from now on
    #[arg(long)]
    assign: bool,
    /// Change scopes that other profiles use too
    #[arg(long)]
    shared: bool,
    /// Publish under another name; AX holds ten characters
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("{} is there already", .0.display())]
    FileExists(PathBuf),
}

impl ExchangeError {
    pub fn code(&self) -> &'static str {
        match self {
            ExchangeError::FileExists(_) => "profile-file-exists",
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some("name a new file, and compare the two with `tillhold profile diff`".to_string())
    }
}

pub async fn import(env: &Env, args: ImportArgs) -> anyhow::Result<Done> {
    let mut channel = Channel::of(env, &args.settings.config);
    let profile = channel.complete(&ProfileChoice::Channel).await?;
    let text = format!(
        "# The offline profile of the channel's own tables, as `tillhold profile import` read it.\n\n{}",
        text(&profile, Told::Needed)
    );
    match &args.output {
        Some(file) => write_new(file, &text)?,
        None => out!("{text}"),
    }
    Ok(Done::Yes)
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(ExchangeError::FileExists(path.to_path_buf()).into());
        }
        opened => opened.with_context(|| format!("{} cannot be made", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}

pub async fn publish(env: &Env, args: PublishArgs) -> anyhow::Result<Done> {
    let mut channel = Channel::of(env, &args.which.settings.config);
    channel.log_in_as(&args.administrator)?;
    let choice = args.which.choice(channel.register.as_ref().ok());
    let profile = channel.complete(&choice.unwrap_or(ProfileChoice::Channel)).await?;
    let (link, register) = channel.open()?;
    let (store, till) = (register.store.clone(), register.register.clone());
    let catalogue = Catalogue::read(link, &profile.profile()).await?;
    let mut found = Findings::default();
    let given = Parameters { store: &store, register: &till };
    checks::against(&profile, &catalogue, given, &mut found);
    if !found.mistakes.is_empty() {
        return Err(Mistakes(found.sorted().mistakes).into());
    }
    let published = published(&profile, args.name.as_deref(), &catalogue)?;
    let publication = Publication {
        profile: &published.profile,
        store: args.assign.then_some(store.as_str()),
        changes_shared: args.shared,
        is_rehearsal: args.dry_run,
    };
    refuse_misfits(&profile, &publication)?;
    match send(link, &publication).await? {
        Outcome::Done(effect) => {
            tell(&published, &publication, effect);
            let rolled_back = if args.dry_run { ", and rolled back (--dry-run)" } else { "" };
            let name = &published.profile.name;
            report::line(env, &format!("profile {name} is published{rolled_back}"));
            Ok(Done::Yes)
        }
        Outcome::Shared(scopes) => {
            for (scope, other) in scopes {
                outln!("scope {scope} belongs to profile {other} too");
            }
            report::line(env, "nothing was written; --shared changes the scopes there too");
            Ok(Done::No)
        }
    }
}

fn refuse_misfits(profile: &Effective, publication: &Publication<'_>) -> Result<(), Mistakes> {
    let misfits = publication.misfits().into_iter();
    let mistake = |misfit: tillhold_channel::publish::Misfit| Mistake {
        file: profile.file.clone(),
        line: None,
        message: misfit.to_string(),
    };
    let mistakes: Vec<Mistake> = misfits.map(mistake).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
}

fn tell(published: &Published, publication: &Publication<'_>, effect: Effect) {
    let news = if effect.is_new_profile { "new" } else { "known already" };
    outln!("profile {}: {news}", published.profile.name);
    outln!(
        "scopes: {} added, {} kept, {} removed",
        effect.scopes_added,
        effect.scopes_kept,
        effect.scopes_removed
    );
    outln!("tables: {} before, {} now", effect.tables_before, effect.tables_after);
    outln!("listed columns: {} before, {} now", effect.columns_before, effect.columns_after);
    if let Some(store) = publication.store {
        outln!("store {store}: uses it");
    }
    for setting in &published.stays {
        outln!("stays in the file: {setting}");
    }
}
