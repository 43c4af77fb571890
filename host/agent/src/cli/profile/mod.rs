//! `tillhold profile …`: the offline profile, looked at, compared and exchanged with the channel's own tables.

mod check;
mod diff;
mod exchange;
mod plugins;
mod show;

pub use diff::DiffError;
pub use exchange::ExchangeError;

use super::{Administrator, Done, Settings};
use crate::settings::effective::Effective;
use crate::settings::profile_file::{DEFAULT_PROFILE, ProfileChoice, ProfileFile, ProfileSource};
use crate::settings::reader::Mistakes;
use crate::settings::register_file::RegisterFile;
use crate::settings::schema::{self, SettingsFile};
use clap::{Args, Subcommand, ValueEnum};
use std::path::Path;
use std::sync::Arc;
use tillhold_channel::profile::read_profile;
use tillhold_channel::{ChannelConfig, Link};
use tillhold_env::{Env, out, outln};

#[derive(Subcommand)]
pub enum ProfileCommand {
    /// Say everything that is wrong with a profile
    Check(check::CheckArgs),
    /// Print the profile that counts, and where each value came from
    Show(show::ShowArgs),
    /// Say what would change if one profile took another's place
    Diff(diff::DiffArgs),
    /// Write the channel's own profile as a profile.toml
    Import(exchange::ImportArgs),
    /// Write a profile into the channel's own tables
    Publish(exchange::PublishArgs),
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
        ProfileCommand::Diff(args) => diff::diff(env, args).await,
        ProfileCommand::Import(args) => exchange::import(env, args).await,
        ProfileCommand::Publish(args) => exchange::publish(env, args).await,
        ProfileCommand::Schema(args) => print_schema(&args),
        ProfileCommand::Default => {
            out!("{DEFAULT_PROFILE}");
            Ok(Done::Yes)
        }
    }
}

fn print_schema(args: &SchemaArgs) -> anyhow::Result<Done> {
    let file = match args.of {
        Of::Profile => SettingsFile::Profile,
        Of::Register => SettingsFile::Register,
    };
    outln!("{}", serde_json::to_string_pretty(&schema::schema(file))?);
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

/// The way to the channel, opened when something asks for it: a profile that needs no channel can be looked at where
/// no register is.
struct Channel {
    env: Env,
    register: Result<RegisterFile, Mistakes>,
    config: Option<ChannelConfig>,
    link: Option<Link>,
}

impl Channel {
    fn of(env: &Env, config: &Path) -> Channel {
        let register = RegisterFile::read(config);
        Channel { env: env.clone(), register, config: None, link: None }
    }

    fn log_in_as(&mut self, administrator: &Administrator) -> anyhow::Result<()> {
        let mut config = self.register.as_ref().map_err(Clone::clone)?.channel_config()?;
        administrator.log_in(&mut config)?;
        self.config = Some(config);
        Ok(())
    }

    fn open(&mut self) -> anyhow::Result<(&mut Link, &RegisterFile)> {
        let register = self.register.as_ref().map_err(Clone::clone)?;
        if self.link.is_none() {
            let config = match self.config.take() {
                Some(config) => config,
                None => register.channel_config()?,
            };
            self.link = Some(Link::new(&self.env, Arc::new(config)));
        }
        Ok((self.link.as_mut().expect("opened just now"), register))
    }

    fn opened(&mut self) -> Option<(&mut Link, &RegisterFile)> {
        Some((self.link.as_mut()?, self.register.as_ref().ok()?))
    }

    /// The whole profile; asks the channel only if the profile does.
    async fn complete(&mut self, choice: &ProfileChoice) -> anyhow::Result<Effective> {
        let file = ProfileFile::open(choice)?;
        let published = match file.source {
            ProfileSource::File => None,
            ProfileSource::Channel => {
                let (link, register) = self.open()?;
                Some(read_profile(link, &register.store).await?)
            }
        };
        let (profile, mistakes) = file.effective(published.as_ref());
        if mistakes.is_empty() { Ok(profile) } else { Err(Mistakes(mistakes).into()) }
    }
}

async fn effective(env: &Env, which: &Which) -> anyhow::Result<Effective> {
    let mut channel = Channel::of(env, &which.settings.config);
    match which.choice(channel.register.as_ref().ok()) {
        Some(choice) => channel.complete(&choice).await,
        None => Err(channel.register.err().unwrap_or(Mistakes(Vec::new())).into()),
    }
}
