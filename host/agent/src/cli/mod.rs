//! The command line: what it takes, and how an end is told.

mod answering;
mod carry;
mod channel;
mod complaint;
mod conflicts;
mod demo;
mod door;
mod export;
mod fleet;
mod hand;
mod images;
mod incarnation;
mod newest;
mod plan;
mod plugin;
mod profile;
mod provision;
mod quarantine;
mod reprovision;
pub mod run;
mod schema;
mod selection;
mod serve;
#[cfg(windows)]
mod service;
mod setup;
mod size;
mod told;
mod verify;

use crate::settings::password::{PasswordError, PasswordPlace};
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tillhold_channel::{Authentication, ChannelConfig};
use tillhold_core::limits;
use tillhold_env::{Env, speech};

/// Keeps a point of sale selling when the store's channel database is out of reach, and loses nothing on the way.
#[derive(Parser)]
#[command(name = "tillhold", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the main job on a store of its own: sell, cut the channel, sell on, come back, verify
    Demo(demo::DemoArgs),
    /// Ask what this register is and where its channel is, test the connection, write register.toml
    Setup(Box<setup::SetupArgs>),
    /// Run the agent of one register until it is told to stop
    Run(Settings),
    /// Run the agent as a Windows service; for the service control manager alone
    #[cfg(windows)]
    Service(Settings),
    /// Fill the register's offline database from the channel, scope by scope
    Provision(provision::ProvisionArgs),
    /// Make the register's offline database anew from the channel; refused while anything of it is unsent
    Reprovision(reprovision::ReprovisionArgs),
    /// Say how the running agent stands
    Status(door::StatusArgs),
    /// Push and pull now
    Sync(door::SyncArgs),
    /// Hold the register offline until it is released, whatever its channel does
    Hold(hand::HandArgs),
    /// Release a register that is held offline
    Release(hand::HandArgs),
    /// Try the channel now
    Reconnect(hand::ReconnectArgs),
    /// Who did what by hand, and why
    #[command(subcommand)]
    Audit(hand::AuditCommand),
    /// Compare the offline database with the channel, table by table, and name every difference
    Verify(verify::VerifyArgs),
    /// Every register of the store: who still holds unsent sales
    Fleet(fleet::FleetArgs),
    /// An offline database that was restored from a backup, or copied
    #[command(subcommand)]
    Incarnation(incarnation::IncarnationCommand),
    /// Which products and customers are offline
    #[command(subcommand)]
    Selection(selection::SelectionCommand),
    /// Prebuilt catalogues for the store's other registers, and unsent sales in a signed file
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Bring in what another register's export holds
    #[command(subcommand)]
    Import(carry::ImportCommand),
    /// The shop's pictures on this register
    #[command(subcommand)]
    Images(images::ImagesCommand),
    /// Look for a newer prebuilt catalogue now, and take it
    NewDatabase(export::NewDatabaseArgs),
    /// How large the offline database is, table by table, and when it will be full
    Size(size::SizeArgs),
    /// Rows that both sides changed and that wait for a person
    #[command(subcommand)]
    Conflicts(conflicts::ConflictsCommand),
    /// Sales and rows that were refused and set aside
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// What was decided about contested rows
    #[command(subcommand)]
    Decisions(conflicts::DecisionsCommand),
    /// The channel database's side
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    /// The offline profile: which data are synchronised, and how
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Plugins: rules of a retailer's own
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
}

/// Which register.
#[derive(Args)]
pub struct Settings {
    /// The register's settings
    #[arg(long, short, value_name = "FILE", default_value = "register.toml")]
    config: PathBuf,
}

impl Settings {
    pub fn of(config: &Path) -> Settings {
        Settings { config: config.to_path_buf() }
    }
}

/// Another account than the register's own, for work that a register has no right to.
#[derive(Args)]
pub struct Administrator {
    /// Log in as this administrator instead of the register's account
    #[arg(long, value_name = "NAME", requires = "administrator_password")]
    user: Option<String>,
    /// The administrator's password: the first line of a file that only its owner may read
    #[arg(long, value_name = "FILE", requires = "user", group = "administrator_password")]
    password_file: Option<PathBuf>,
    /// The administrator's password: this environment variable
    #[arg(long, value_name = "VARIABLE", requires = "user", group = "administrator_password")]
    password_env: Option<String>,
}

impl Administrator {
    fn log_in(&self, config: &mut ChannelConfig) -> Result<(), PasswordError> {
        let place = self.password_file.clone().map(PasswordPlace::File);
        let place = place.or(self.password_env.clone().map(PasswordPlace::Variable));
        if let (Some(user), Some(place)) = (&self.user, place) {
            config.user = user.clone();
            config.authentication = Authentication::Login;
            config.password = place.read()?.into();
        }
        Ok(())
    }
}

/// How a command ended when it did not fail.
pub enum Done {
    Yes,
    /// The answer is no: something does not hold or is not there.
    No,
}

/// sysexits.h, EX_USAGE
const USAGE: u8 = 64;

pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complaint::tell(&error.into()),
    };
    let result = runtime.block_on(carry_out(&Env::real(), cli.command));
    let result = result.and_then(|done| speech::all_answered().map(|()| done).map_err(unwritten));
    // A plugin that loops must not hold the end up: what it works on is not written, and comes again.
    runtime.shutdown_timeout(limits::LEFT_BEHIND_END_MAX);
    match result {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::No) => ExitCode::from(1),
        Err(error) => match error.downcast_ref::<clap::Error>() {
            Some(wrong) => usage(wrong),
            None => complaint::tell(&error),
        },
    }
}

fn unwritten(error: std::io::Error) -> anyhow::Error {
    complaint::Unwritten(error).into()
}

/// Help and version are answers; anything else that clap stops at is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed terminal is no reason to fail differently.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// What stands behind the program's name.
pub async fn command(env: &Env, words: &[&str]) -> anyhow::Result<Done> {
    let cli = Cli::try_parse_from(std::iter::once(&"tillhold").chain(words))?;
    carry_out(env, cli.command).await
}

async fn carry_out(env: &Env, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Demo(args) => demo::demo(env, args).await,
        Command::Setup(args) => setup::setup(env, *args).await,
        Command::Run(settings) => run::run(env, &settings).await,
        // The service has threads and a runtime of its own.
        #[cfg(windows)]
        Command::Service(settings) => tokio::task::block_in_place(|| service::service(settings)),
        Command::Provision(args) => provision::provision(env, args).await,
        Command::Reprovision(args) => reprovision::reprovision(env, args).await,
        Command::Status(args) => door::status(env, args).await,
        Command::Sync(args) => door::sync(env, args).await,
        Command::Hold(args) => hand::hold(env, args).await,
        Command::Release(args) => hand::release(env, args).await,
        Command::Reconnect(args) => hand::reconnect(env, args).await,
        Command::Audit(command) => hand::audit(env, command).await,
        Command::Verify(args) => verify::verify(env, args).await,
        Command::Fleet(args) => fleet::fleet(env, args).await,
        Command::Incarnation(command) => incarnation::incarnation(env, command).await,
        Command::Selection(command) => selection::selection(env, command).await,
        Command::Export(command) => export::export(env, command).await,
        Command::Import(command) => carry::import(env, command).await,
        Command::Images(command) => images::images(env, command).await,
        Command::NewDatabase(args) => export::new_database(env, args).await,
        Command::Size(args) => size::size(env, args).await,
        Command::Conflicts(command) => conflicts::conflicts(env, command).await,
        Command::Quarantine(command) => quarantine::quarantine(env, command).await,
        Command::Decisions(command) => conflicts::decisions(env, command).await,
        Command::Channel(command) => channel::channel(env, command).await,
        Command::Profile(command) => profile::profile(env, command).await,
        Command::Plugin(command) => plugin::plugin(env, command).await,
    }
}
