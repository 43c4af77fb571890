//! `tillhold channel …`: the channel database's side of the work.

use super::schema::{SchemaArgs, print_schema};
use super::serve::{ServeArgs, serve};
use super::{Administrator, Done, Settings};
use crate::register::profile_of_channel;
use crate::report;
use crate::settings::profile_file::ProfileFile;
use crate::settings::register_file::RegisterFile;
use clap::{Args, Subcommand};
use std::sync::Arc;
use tillhold_channel::prepare::{
    Missing, PrepareOptions, Prepared, check, check_published, prepare, script, script_of_published,
};
use tillhold_channel::profile::ChannelProfile;
use tillhold_channel::{ChannelError, Link, schema};
use tillhold_core::profile::{Capture, Direction, ScopeTable};
use tillhold_core::table::{Table, TableName};
use tillhold_env::{Env, out, outln};

#[derive(Subcommand)]
pub enum ChannelCommand {
    /// Set the channel database up: change tracking or triggers, the ledger, and a role with the least rights
    Prepare(PrepareArgs),
    /// Print tables with their types as a schema file: what tests of plugins read their rows by
    Schema(SchemaArgs),
    /// Serve a channel of its own over SQLite: for trying, testing and teaching, not for a shop
    Serve(ServeArgs),
}

#[derive(Args)]
pub struct PrepareArgs {
    #[command(flatten)]
    settings: Settings,
    /// Only write the T-SQL script to stdout, for a database administrator to read and run
    #[arg(long, conflicts_with = "check")]
    print: bool,
    /// Only say what is missing
    #[arg(long)]
    check: bool,
    /// The database was restored from a backup: every register loads its tables anew, whatever the versions say
    #[arg(long, conflicts_with = "check")]
    restored: bool,
    #[command(flatten)]
    administrator: Administrator,
    /// A database user to put into the role; may be given more than once
    #[arg(long, value_name = "USER")]
    member: Vec<String>,
}

pub async fn channel(env: &Env, command: ChannelCommand) -> anyhow::Result<Done> {
    match command {
        ChannelCommand::Prepare(args) => prepare_channel(env, args).await,
        ChannelCommand::Schema(args) => print_schema(env, args).await,
        ChannelCommand::Serve(args) => serve(env, args).await,
    }
}

async fn prepare_channel(env: &Env, args: PrepareArgs) -> anyhow::Result<Done> {
    let file = RegisterFile::read(&args.settings.config)?;
    let mut config = file.channel_config()?;
    let register_user = config.user.clone();
    args.administrator.log_in(&mut config)?;
    let mut link = Link::new(env, Arc::new(config));
    if args.check {
        return show_missing(&mut link, &file).await;
    }
    let profile_file = ProfileFile::open(&file.profile)?;
    // Only a SQL login tells its name; any other account is put into the role with --member.
    let own = Some(register_user).filter(|user| !user.is_empty());
    let members = if args.member.is_empty() { own.into_iter().collect() } else { args.member };
    let is_restored = args.restored;
    let options = PrepareOptions { members, is_restored, ..PrepareOptions::default() };
    let published = match profile_of_channel(&mut link, &profile_file, &file.store).await {
        Err(error @ ChannelError::NoRight { .. }) if args.print => {
            return Ok(print_first_part(env, &error, &options));
        }
        published => published?,
    };
    let (capture, shapes) = shapes_of(&mut link, &profile_file, published.as_ref()).await?;
    let options = PrepareOptions { capture, ..options };
    let tables: Vec<Prepared<'_>> = shapes.iter().map(TableShapes::prepared).collect();
    if args.print {
        out!("{}", script(&tables, &options));
        return Ok(Done::Yes);
    }
    prepare(&mut link, &tables, &options).await.map_err(unprepared)?;
    report::line(env, &format!("the channel is prepared: {} tables", tables.len()));
    if is_restored {
        report::line(env, "it begins another life: every register loads its tables anew");
    }
    Ok(Done::Yes)
}

/// Which tables the rest of the script is about stands in a profile that this account may not read: what lets it comes first.
fn print_first_part(env: &Env, error: &ChannelError, options: &PrepareOptions) -> Done {
    outln!("-- The first part: it lets a register's account read the store's offline profile.");
    outln!("-- The rest depends on that profile. Run `tillhold channel prepare --print` once more");
    outln!("-- after this part has run, and then its whole script.");
    out!("{}", script_of_published(options));
    report::line(
        env,
        &format!(
            "this is the first part only, because the profile cannot be read yet: {error}; let an administrator run it, then print once more"
        ),
    );
    Done::No
}

/// Preparing takes rights that a register's own account never has.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NoAdministrator(ChannelError);

impl NoAdministrator {
    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    pub fn hint(&self) -> Option<String> {
        Some(
            "preparing takes an administrator: `--user ADMIN --password-file FILE`, or `--print` writes the script for one to run"
                .to_string(),
        )
    }
}

fn unprepared(error: ChannelError) -> anyhow::Error {
    match error {
        ChannelError::NoRight { .. } => NoAdministrator(error).into(),
        error => error.into(),
    }
}

async fn show_missing(link: &mut Link, file: &RegisterFile) -> anyhow::Result<Done> {
    let (_, missing) = missing(link, file).await?;
    for one in &missing {
        outln!("{}: {one}", if one.is_advice() { "advice" } else { "missing" });
    }
    Ok(if missing.iter().all(Missing::is_advice) { Done::Yes } else { Done::No })
}

/// How many tables the profile has, and what is not there of all that the register needs.
pub(super) async fn missing(
    link: &mut Link,
    file: &RegisterFile,
) -> anyhow::Result<(usize, Vec<Missing>)> {
    let profile_file = ProfileFile::open(&file.profile)?;
    let published = match profile_of_channel(link, &profile_file, &file.store).await {
        Err(error @ ChannelError::NoRight { .. }) => {
            let unread = unread(link, &profile_file).await?;
            // Without a right of its own that is missing, the server's word is all that is known.
            return if unread.is_empty() { Err(error.into()) } else { Ok((0, unread)) };
        }
        published => published?,
    };
    let (capture, shapes) = shapes_of(link, &profile_file, published.as_ref()).await?;
    let tables: Vec<Prepared<'_>> = shapes.iter().map(TableShapes::prepared).collect();
    Ok((tables.len(), check(link, capture, &tables).await?))
}

/// What is missing of a register whose profile may not be read: that, and what needs no table of it.
async fn unread(link: &mut Link, profile_file: &ProfileFile) -> Result<Vec<Missing>, ChannelError> {
    let mut missing = check_published(link).await?;
    if !missing.is_empty() {
        let (partial, _) = profile_file.effective(None);
        missing.extend(check(link, partial.capture.value, &[]).await?);
    }
    Ok(missing)
}

/// One table of the profile, whole and as a register reads it.
pub(super) struct TableShapes {
    full: Table,
    pub(super) travelling: Table,
    read: Table,
    direction: Direction,
}

impl TableShapes {
    fn prepared(&self) -> Prepared<'_> {
        Prepared { table: &self.full, travelling: &self.read, direction: self.direction }
    }
}

pub(super) async fn shapes(
    link: &mut Link,
    file: &RegisterFile,
) -> anyhow::Result<(Capture, Vec<TableShapes>)> {
    let profile_file = ProfileFile::open(&file.profile)?;
    let published = profile_of_channel(link, &profile_file, &file.store).await?;
    shapes_of(link, &profile_file, published.as_ref()).await
}

async fn shapes_of(
    link: &mut Link,
    profile_file: &ProfileFile,
    published: Option<&ChannelProfile>,
) -> anyhow::Result<(Capture, Vec<TableShapes>)> {
    let profile = profile_file.complete(published)?;
    let names: Vec<TableName> =
        profile.scopes.iter().flat_map(|s| s.tables.iter().map(|t| t.name.clone())).collect();
    let leaves_out = |table: &TableName, column: &str| profile.leaves_out(table, column);
    let full = schema::tables_without(link, &names, leaves_out).await?;
    let shaped = full.into_iter().filter_map(|full| {
        let scope = profile.scope_of(&full.name)?;
        let entry = scope.tables.iter().find(|entry| entry.name == full.name)?;
        let travelling = full.travelling(&entry.left_out(&full));
        // Without a key that travels it cannot be tracked, and the register leaves it out too.
        (!travelling.key.is_empty()).then_some(TableShapes {
            read: read(&full, &travelling, entry),
            travelling,
            full,
            direction: scope.direction,
        })
    });
    Ok((profile.capture, shaped.collect()))
}

/// What travels, and the columns that the filter goes by: the register's account asks by them.
fn read(full: &Table, travelling: &Table, entry: &ScopeTable) -> Table {
    let by_filter = entry.filter.as_ref().map(|filter| filter.columns()).unwrap_or_default();
    let mut read = travelling.clone();
    for name in by_filter.into_iter().filter(|name| travelling.position(name).is_none()) {
        read.columns.extend(full.position(name).map(|at| full.columns[at].clone()));
    }
    read
}
