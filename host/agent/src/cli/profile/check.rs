//! `tillhold profile check`: everything that is wrong with a profile, at once, with its lines.
//!
//! ```text
//! register.toml -> profile -> what the channel's tables hold -> the profile's own text
//!                                                            -> the channel's real tables and columns
//!                                                            -> the plugins, loaded as a register loads them
//! ```
//!
//! * stdout: one line a mistake, `FILE:LINE: …`, notes as `FILE:LINE: note: …`; or one JSON object.
//! * Exit status: 1 with a mistake; otherwise 2 when the channel was to be looked at and could not be; otherwise 0.

use super::{Which, plugins};
use crate::cli::Done;
use crate::plugins::earlier::Folders;
use crate::report;
use crate::settings::checks::{self, Catalogue, Findings};
use crate::settings::effective::{Effective, did_you_mean};
use crate::settings::profile_file::{ProfileChoice, ProfileFile, ProfileSource};
use crate::settings::reader::{Mistake, Mistakes};
use crate::settings::register_file::RegisterFile;
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_channel::profile::{ChannelProfile, read_profile};
use tillhold_channel::{ChannelError, Link};
use tillhold_env::{Env, outln};

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    which: Which,
    /// Do not look at the channel; with --profile, register.toml may be missing then
    #[arg(long)]
    offline: bool,
    /// Everything as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Whether the profile was compared with the channel.
enum Looked {
    Yes {
        tables: usize,
    },
    NotAsked,
    /// The settings do not say where the channel is, or which profile it is to be compared with.
    NotKnown,
    Failed(ChannelError),
}

pub async fn check(env: &Env, args: CheckArgs) -> anyhow::Result<Done> {
    let mut found = Findings::default();
    let register = register(&args, &mut found);
    let looked = match args.which.choice(register.as_ref()) {
        Some(choice) => check_profile(env, &args, register.as_ref(), &choice, &mut found).await,
        None => Looked::NotKnown,
    };
    let found = found.sorted();
    match args.json {
        true => outln!("{}", serde_json::to_string_pretty(&as_json(&found, &looked))?),
        false => tell(env, &found, &looked),
    }
    match looked {
        _ if !found.mistakes.is_empty() => Ok(Done::No),
        Looked::Failed(error) => Err(error.into()),
        _ => Ok(Done::Yes),
    }
}

/// A register's settings are not needed for a profile that is looked at alone.
fn register(args: &CheckArgs, found: &mut Findings) -> Option<RegisterFile> {
    let config = &args.which.settings.config;
    if args.offline && args.which.profile.is_some() && !config.exists() {
        return None;
    }
    match RegisterFile::read(config) {
        Ok(register) => Some(register),
        Err(Mistakes(mistakes)) => {
            found.mistakes.extend(mistakes);
            None
        }
    }
}

async fn check_profile(
    env: &Env,
    args: &CheckArgs,
    register: Option<&RegisterFile>,
    choice: &ProfileChoice,
    found: &mut Findings,
) -> Looked {
    let parsed = match ProfileFile::open_anyway(choice) {
        Ok(parsed) => parsed,
        Err(Mistakes(mistakes)) => {
            found.mistakes.extend(mistakes);
            return Looked::NotKnown;
        }
    };
    found.mistakes.extend(parsed.mistakes);
    if !parsed.is_toml {
        return Looked::NotKnown;
    }
    let file = parsed.built;
    let mut channel = match register {
        Some(register) if !args.offline => match register.channel_config() {
            Ok(config) => Some((Link::new(env, Arc::new(config)), register)),
            Err(error) => {
                let file = args.which.settings.config.clone();
                found.mistakes.push(Mistake { file, line: None, message: error.to_string() });
                None
            }
        },
        _ => None,
    };
    let published = match &mut channel {
        Some((link, register)) => published(link, register, &file, found).await,
        None => Ok(None),
    };
    let (profile, mistakes) = file.effective(published.as_ref().ok().and_then(Option::as_ref));
    found.mistakes.extend(mistakes);
    checks::alone(&profile, found);
    let looked = match (&mut channel, published) {
        (Some((link, register)), Ok(_)) => match Catalogue::read(link, &profile.profile()).await {
            Ok(catalogue) => Ok((catalogue, *register)),
            Err(error) => Err(Looked::Failed(error)),
        },
        (Some(_), Err(error)) => Err(Looked::Failed(error)),
        (None, _) if args.offline => Err(Looked::NotAsked),
        (None, _) => Err(Looked::NotKnown),
    };
    if let Some(register) = register {
        let folders = Folders::of(register);
        checks::plugins(&profile, &folders, found);
        let catalogue = looked.as_ref().ok().map(|(catalogue, _)| catalogue);
        plugins::load(env, &profile, &folders, catalogue, found);
    }
    match looked {
        Ok((catalogue, register)) => {
            let config = &args.which.settings.config;
            prefetched(&profile, &catalogue, (config, register), found);
            against(&profile, &catalogue, register, found)
        }
        Err(looked) => looked,
    }
}

fn against(
    profile: &Effective,
    catalogue: &Catalogue,
    register: &RegisterFile,
    found: &mut Findings,
) -> Looked {
    checks::against(profile, catalogue, register.filter_parameters(), found);
    Looked::Yes { tables: catalogue.tables.len() }
}

/// Pictures that the register is to bring by columns which it does not have: none would come, and nothing would say so.
fn prefetched(
    profile: &Effective,
    catalogue: &Catalogue,
    (config, register): (&Path, &RegisterFile),
    found: &mut Findings,
) {
    let whole = profile.profile();
    for (table, column) in register.images.iter().flat_map(|images| &images.prefetch) {
        let named = format!("images.prefetch names {table}.{column}");
        let told = |message| Mistake { file: config.to_path_buf(), line: None, message };
        let mut named_tables = whole.scopes.iter().flat_map(|scope| &scope.tables);
        if !named_tables.any(|entry| entry.name.is_same(table)) {
            found.notes.push(told(format!("{named}, and no scope has that table")));
            continue;
        }
        // One that the channel does not have is told where the profile names it.
        let Some(described) = catalogue.table(table) else { continue };
        let columns = &described.table.columns;
        if described.table.position(column).is_none() {
            let hint = did_you_mean(column, columns.iter().map(|column| column.name.as_str()));
            found.mistakes.push(told(format!("{named}, which is not there{hint}")));
        } else if whole.leaves_out(table, column) {
            found.mistakes.push(told(format!("{named}, which the profile leaves out")));
        }
    }
}

/// What the channel's own tables say, if the profile asks for it. A store that is not there or uses no profile is a
/// mistake of the settings.
async fn published(
    link: &mut Link,
    register: &RegisterFile,
    file: &ProfileFile,
    found: &mut Findings,
) -> Result<Option<ChannelProfile>, ChannelError> {
    if file.source == ProfileSource::File {
        return Ok(None);
    }
    match read_profile(link, &register.store).await {
        Ok(profile) => Ok(Some(profile)),
        Err(error @ (ChannelError::UnknownStore { .. } | ChannelError::NoProfile { .. })) => {
            let file = PathBuf::from("ax.RETAILSTORETABLE");
            found.mistakes.push(Mistake { file, line: None, message: error.to_string() });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn tell(env: &Env, found: &Findings, looked: &Looked) {
    for mistake in &found.mistakes {
        outln!("{mistake}");
    }
    for note in &found.notes {
        outln!("{}", Mistake { message: format!("note: {}", note.message), ..note.clone() });
    }
    let compared = match looked {
        Looked::Yes { tables } => format!("{tables} tables compared with the channel"),
        Looked::NotAsked => "not compared with the channel (--offline)".to_string(),
        Looked::NotKnown => "not compared with the channel".to_string(),
        Looked::Failed(error) => format!("not compared with the channel: {error}"),
    };
    let (mistakes, notes) = (found.mistakes.len(), found.notes.len());
    report::line(env, &format!("mistakes: {mistakes}, notes: {notes}; {compared}"));
}

fn as_json(found: &Findings, looked: &Looked) -> Json {
    let one = |mistake: &Mistake| {
        json!({
            "file": mistake.file.display().to_string(),
            "line": mistake.line,
            "message": mistake.message,
        })
    };
    let list = |list: &[Mistake]| list.iter().map(one).collect::<Vec<_>>();
    let channel = match looked {
        Looked::Yes { tables } => json!({ "looked": true, "tables": tables }),
        Looked::NotAsked => json!({ "looked": false, "reason": "offline" }),
        Looked::NotKnown => json!({ "looked": false, "reason": "settings" }),
        Looked::Failed(error) => {
            json!({ "looked": false, "reason": error.code(), "message": error.to_string() })
        }
    };
    json!({ "mistakes": list(&found.mistakes), "notes": list(&found.notes), "channel": channel })
}
