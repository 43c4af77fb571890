//! `tillhold profile …`: the offline profile, looked at, compared and exchanged with the channel's own tables.

mod check;
mod show;

use super::{Done, Settings};
use crate::settings::checks::Catalogue;
use crate::settings::effective::{Effective, same_table};
use crate::settings::profile_file::{DEFAULT_PROFILE, ProfileChoice, ProfileFile, ProfileSource};
use crate::settings::reader::Mistakes;
use crate::settings::register_file::RegisterFile;
use crate::settings::schema::{self, SettingsFile};
use clap::{Args, Subcommand, ValueEnum};
use std::path::Path;
use std::sync::Arc;
use tillhold_channel::profile::read_profile;
use tillhold_channel::{ChannelError, Link};
use tillhold_core::profile::Profile;
use tillhold_core::table::TableName;
use tillhold_env::Env;

#[derive(Subcommand)]
pub enum ProfileCommand {
    /// Say everything that is wrong with a profile
    Check(check::CheckArgs),
    /// Print the profile that counts, and where each value came from
    Show(show::ShowArgs),
    /// Print the JSON Schema of a settings file, for editors
    Schema(SchemaArgs),
    /// Print the profile that this program carries
    Default,
}

/// Which profile.
#[derive(Args)]
pub struct Which {
    #[command(flatten)]
    settings: Settings,
    /// Another profile than the register's: a file, `channel` or `default`
    #[arg(long, short, value_name = "FILE")]
    profile: Option<String>,
}

#[derive(Args)]
pub struct SchemaArgs {
    #[arg(value_enum, default_value_t = Of::Profile)]
    of: Of,
}

#[derive(Clone, Copy, ValueEnum)]
enum Of {
    /// profile.toml
    Profile,
    /// register.toml
    Register,
}

pub async fn profile(env: &Env, command: ProfileCommand) -> anyhow::Result<Done> {
    match command {
        ProfileCommand::Check(args) => check::check(env, args).await,
        ProfileCommand::Show(args) => show::show(env, args).await,
        ProfileCommand::Schema(args) => print_schema(&args),
        ProfileCommand::Default => {
            print!("{DEFAULT_PROFILE}");
            Ok(Done::Yes)
        }
    }
}

fn print_schema(args: &SchemaArgs) -> anyhow::Result<Done> {
    let file = match args.of {
        Of::Profile => SettingsFile::Profile,
        Of::Register => SettingsFile::Register,
    };
    println!("{}", serde_json::to_string_pretty(&schema::schema(file))?);
    Ok(Done::Yes)
}

impl Which {
    /// The one that was asked for, else the register's.
    fn choice(&self, register: Option<&RegisterFile>) -> Option<ProfileChoice> {
        match &self.profile {
            Some(text) => Some(ProfileChoice::named(text, Path::new(""))),
            None => register.map(|register| register.profile.clone()),
        }
    }
}

/// The whole profile; asks the channel only if the profile does.
async fn effective(env: &Env, which: &Which) -> anyhow::Result<Effective> {
    // A profile that needs no channel can be looked at where no register is.
    let register = RegisterFile::read(&which.settings.config);
    let choice = match (&which.profile, &register) {
        (Some(text), _) => ProfileChoice::named(text, Path::new("")),
        (None, Ok(register)) => register.profile.clone(),
        (None, Err(mistakes)) => return Err(mistakes.clone().into()),
    };
    let file = ProfileFile::open(&choice)?;
    let published = match file.source {
        ProfileSource::File => None,
        ProfileSource::Channel => {
            let register = register?;
            let mut link = Link::new(env, Arc::new(register.channel_config()?));
            Some(read_profile(&mut link, &register.store).await?)
        }
    };
    let (profile, mistakes) = file.effective(published.as_ref());
    if mistakes.is_empty() { Ok(profile) } else { Err(Mistakes(mistakes).into()) }
}

/// The channel's real tables: all by name, the profile's with their columns.
async fn catalogue(link: &mut Link, profile: &Profile) -> Result<Catalogue, ChannelError> {
    let names = tillhold_channel::schema::all_table_names(link).await?;
    let wanted = profile.scopes.iter().flat_map(|scope| &scope.tables).map(|table| &table.name);
    let known: Vec<TableName> = wanted
        .filter(|wanted| names.iter().any(|name| same_table(name, wanted)))
        .cloned()
        .collect();
    let tables = tillhold_channel::schema::described(link, &known).await?;
    Ok(Catalogue { names, tables })
}
