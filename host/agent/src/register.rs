//! One register's parts, put together: settings, profile, offline database, plugins, and the way to its channel.
//!
//! * Opened with the channel in reach, the profile and the table shapes are read there and kept.
//! * A table that the register has already keeps the shape that it has there, whatever became of it at the channel:
//!   the register opens and sells, and pull says what was altered.
//! * A running register becomes another in place when its profile changes ([`crate::renewal`]).
//! * Opened without it, the kept ones are used, so that a register can start and sell in the middle of an outage, or while
//!   the channel refuses its login; one that was never synchronised says so.

use crate::fault::FlowError;
use crate::filters::Filters;
use crate::kept;
use crate::plugins::book::Book;
use crate::plugins::{self, Plugins};
use crate::report;
use crate::selecting;
use crate::settings::profile_file::{ProfileFile, ProfileSource};
use crate::settings::profile_text::{Told, text};
use crate::settings::register_file::RegisterFile;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tillhold_channel::profile::{ChannelProfile, read_profile};
use tillhold_channel::{ChannelConfig, ChannelError, Link, schema};
use tillhold_core::fault::Class;
use tillhold_core::migration::{self, Action, InstalledTable, Place, Plan};
use tillhold_core::profile::{Direction, Profile, Scope};
use tillhold_core::table::{Table, TableName};
use tillhold_env::Env;
use tillhold_local::{Counts, LocalDatabase};
use tillhold_plugin::{Plugin, PluginId};

pub struct Register {
    pub env: Env,
    pub file: RegisterFile,
    pub profile: Profile,
    /// In the profile's order.
    pub scopes: Vec<ScopeRun>,
    pub local: LocalDatabase,
    /// Tables of the profile that have no primary key: they cannot be tracked and are left out.
    pub left_out: Vec<TableName>,
    pub filters: Filters,
    /// Members of the offline choices, as they were read last.
    pub chosen: selecting::Cache,
    pub choices_seen: selecting::ChoicesSeen,
    pub plugins: Arc<Plugins>,
    pub source: ProfileSource,
    /// When this profile was taken, by the wall clock.
    pub taken_at_ms: i64,
    /// The profile as it is in force, as the text of a `profile.toml`.
    profile_text: String,
    channel: Arc<ChannelConfig>,
}

/// A scope with what it needs to run.
#[derive(Clone)]
pub struct ScopeRun {
    pub scope: Scope,
    /// In their travelling shape.
    pub tables: Vec<Arc<Table>>,
    /// In the order in which rows pass them.
    pub transformers: Vec<Arc<Plugin>>,
    pub resolver: Option<Arc<Plugin>>,
    pub book: Arc<Book>,
}

/// Columns by which a till looks rows up, beside primary keys: an index each in the offline database.
const LOOKUPS: [(&str, &[&str]); 5] = [
    ("ax.INVENTITEMBARCODE", &["ITEMBARCODE"]),
    ("ax.INVENTITEMBARCODE", &["ITEMID"]),
    ("ax.PRICEDISCTABLE", &["ITEMRELATION"]),
    ("ax.INVENTTABLE", &["PRODUCT"]),
    ("ax.RETAILLOYALTYCARD", &["CARDNUMBER"]),
];

impl Register {
    pub async fn open(env: &Env, file: RegisterFile) -> anyhow::Result<Register> {
        let profile_file = ProfileFile::open(&file.profile)?;
        let channel = Arc::new(file.channel_config()?);
        let identity = file.identity();
        let local = LocalDatabase::open(env, &file.folder, &identity).await?;

        let mut link = Link::new(env, channel.clone());
        let known = known_tables(&local).await?;
        let shape = Shape::of_channel(&mut link, &profile_file, &file.store, &known).await;
        let shape = match shape {
            Ok(shape) => shape,
            // A channel that lets nobody in this morning is no reason not to sell; the probes say what stands in the way.
            Err(FlowError::Channel(error))
                if error.class() == Class::Retry
                    || error.is_of_the_way_in() && !known.is_empty() =>
            {
                Shape::kept(&local, &profile_file, error).await?
            }
            Err(error) => return Err(error.into()),
        };
        let plugins = Arc::new(Plugins::new(env, &file)?);
        plugins.remember(&local).await?;
        let outlook = Outlook::of(&plugins, &local, &profile_file, shape).await?;
        let register = outlook.take(env, file, local, &channel).await?;
        register.plugins.keep(&register.scopes).await;
        register.local.overwrite_removed(&[Place::Journal, Place::Catalogue]).await?;
        Ok(register)
    }

    /// What this register would become by the profile as it is now. `None`: it would stay as it is. The profile's text
    /// decides, unless `by_tables` has the shapes of the channel's tables read as well. Nothing is changed.
    pub async fn outlook(
        &self,
        link: &mut Link,
        by_tables: bool,
    ) -> Result<Option<Outlook>, FlowError> {
        let profile_file = ProfileFile::open(&self.file.profile)?;
        let store = &self.file.store;
        let channel_profile = Shape::profile_of_channel(link, &profile_file, store).await?;
        let is_same = told(&profile_file, channel_profile.as_ref()) == self.profile_text;
        if is_same && !by_tables {
            return Ok(None);
        }
        let known = known_tables(&self.local).await?;
        let shape = Shape::of_tables(link, &profile_file, channel_profile, &known).await?;
        let outlook = Outlook::of(&self.plugins, &self.local, &profile_file, shape).await?;
        Ok(Some(outlook).filter(|outlook| !is_same || outlook.plan.changes()))
    }

    /// The register that `outlook` speaks of, on the same offline database.
    pub async fn renewed(&self, outlook: Outlook) -> Result<Register, FlowError> {
        outlook.take(&self.env, self.file.clone(), self.local.clone(), &self.channel).await
    }

    /// The same register with the components that lie in the plugins' folder now, and what took whose place; `None`
    /// when they are at work already. A refused one is noted, and stays away.
    pub async fn with_plugins_exchanged(
        &self,
    ) -> Result<Option<(Register, Vec<String>)>, FlowError> {
        let Some(scopes) = self.plugins.exchanged(&self.scopes).await? else { return Ok(None) };
        let said = plugins::exchange_text(&self.scopes, &scopes);
        let register = Register {
            env: self.env.clone(),
            file: self.file.clone(),
            profile: self.profile.clone(),
            scopes,
            local: self.local.clone(),
            left_out: self.left_out.clone(),
            filters: Filters::default(),
            chosen: selecting::Cache::default(),
            choices_seen: selecting::ChoicesSeen::default(),
            plugins: self.plugins.clone(),
            source: self.source,
            taken_at_ms: self.taken_at_ms,
            profile_text: self.profile_text.clone(),
            channel: self.channel.clone(),
        };
        Ok(Some((register, said)))
    }

    /// What the next opening would do to the offline database; nothing is written.
    pub async fn plan(env: &Env, file: &RegisterFile) -> anyhow::Result<Planned> {
        let profile_file = ProfileFile::open(&file.profile)?;
        let mut link = Link::new(env, Arc::new(file.channel_config()?));
        let identity = file.identity();
        // Opening would create the files.
        let local = match LocalDatabase::is_there(&file.folder) {
            true => Some(LocalDatabase::open(env, &file.folder, &identity).await?),
            false => None,
        };
        let known = match &local {
            Some(local) => known_tables(local).await?,
            None => Vec::new(),
        };
        let shape = Shape::of_channel(&mut link, &profile_file, &file.store, &known).await?;
        let wanted = shape.wanted();
        let Some(local) = local else {
            return Ok(Planned { plan: migration::plan(&[], &wanted), ..Planned::default() });
        };
        let plan = local.plan(&wanted).await?;
        let sizes = local.table_sizes().await?;
        let rows = sizes.into_iter().map(|size| (size.table, size.rows)).collect();
        let planned = Planned { plan, rows, counts: local.counts().await? };
        local.close().await?;
        Ok(planned)
    }

    /// A new way to the channel: each lane (probe, front door, bulk) has its own.
    pub fn link(&self) -> Link {
        Link::new(&self.env, self.channel.clone())
    }

    pub fn scope_of(&self, table: &TableName) -> Option<&ScopeRun> {
        self.scopes.iter().find(|run| run.tables.iter().any(|t| t.name == *table))
    }

    /// A synchronised table by name, blind to case as SQL Server is.
    pub fn table(&self, name: &TableName) -> Option<(&ScopeRun, &Arc<Table>)> {
        let same = |table: &TableName| {
            table.schema.eq_ignore_ascii_case(&name.schema)
                && table.name.eq_ignore_ascii_case(&name.name)
        };
        let mut tables =
            self.scopes.iter().flat_map(|run| run.tables.iter().map(move |t| (run, t)));
        tables.find(|(_, table)| same(&table.name))
    }
}

/// What a profile and the channel make of a register, before anything is changed.
pub struct Outlook {
    shape: Shape,
    source: ProfileSource,
    profile_text: String,
    scopes: Vec<ScopeRun>,
    plan: Plan,
    plugins: Arc<Plugins>,
}

impl Outlook {
    async fn of(
        plugins: &Arc<Plugins>,
        local: &LocalDatabase,
        profile_file: &ProfileFile,
        shape: Shape,
    ) -> Result<Outlook, FlowError> {
        let plan = local.plan(&shape.wanted()).await?;
        // A table that has to wait for its unsent rows goes on in the shape that it has.
        let scopes = plugins.equip(shape.profile.scopes.clone(), &plan.tables()).await?;
        let profile_text = told(profile_file, shape.channel_profile.as_ref());
        let (source, plugins) = (profile_file.source, plugins.clone());
        Ok(Outlook { shape, source, profile_text, scopes, plan, plugins })
    }

    /// Changes the offline database. Whoever writes rows to it meanwhile must wait.
    async fn take(
        self,
        env: &Env,
        file: RegisterFile,
        local: LocalDatabase,
        channel: &ChannelConfig,
    ) -> Result<Register, FlowError> {
        let Outlook { shape, source, profile_text, scopes, plan, plugins } = self;
        shape.keep(&local).await?;
        tell(env, &plan);
        install(&local, shape.wanted()).await?;
        let Shape { profile, left_out, .. } = shape;
        // A load counts the journal too, and stops before the space that is kept for sales is needed.
        local.limit_size(profile.conduct.size.limit_bytes);
        local.file_sizes().await?;
        local.keep_reserve(profile.conduct.size.reserve_bytes).await?;
        // What `profile diff register …` compares with.
        local.set_fact(kept::PROFILE_TEXT, &profile_text).await?;
        let channel = ChannelConfig { capture: profile.capture, ..channel.clone() };
        plugins.book.put_to_work(ids_of(&scopes), env.clock.wall_ms());
        Ok(Register {
            env: env.clone(),
            file,
            profile,
            scopes,
            local,
            left_out,
            filters: Filters::default(),
            chosen: selecting::Cache::default(),
            choices_seen: selecting::ChoicesSeen::default(),
            plugins,
            source,
            taken_at_ms: env.clock.wall_ms(),
            profile_text,
            channel: Arc::new(channel),
        })
    }
}

/// The profile in force, as the text of a `profile.toml`.
fn told(file: &ProfileFile, channel_profile: Option<&ChannelProfile>) -> String {
    let (effective, _) = file.effective(channel_profile);
    text(&effective, Told::Needed)
}

async fn known_tables(local: &LocalDatabase) -> Result<Vec<Arc<Table>>, FlowError> {
    Ok(local.tables().await?.into_iter().map(|state| state.table).collect())
}

/// What a migration would do, and what it would do it to.
#[derive(Default)]
pub struct Planned {
    pub plan: Plan,
    /// How many rows the offline tables have, by name.
    pub rows: BTreeMap<String, u64>,
    pub counts: Counts,
}

/// Which tables become others, for the operator; a first opening has nothing to tell.
fn tell(env: &Env, plan: &Plan) {
    if plan.steps.iter().all(|step| step.action == Action::Add) {
        return;
    }
    for step in plan.steps.iter().filter(|s| s.action != Action::Keep || s.waits.is_some()) {
        report::line(env, &format!("the offline database changes: {step}"));
    }
}

async fn install(local: &LocalDatabase, tables: Vec<InstalledTable>) -> Result<(), FlowError> {
    let known = |name: &TableName| tables.iter().any(|t| t.table.name == *name);
    let lookups = LOOKUPS.iter().filter_map(|(table, columns)| {
        let name = TableName::parse(table).filter(known)?;
        Some((name, columns.iter().map(|column| column.to_string()).collect()))
    });
    let lookups = lookups.collect();
    local.install(tables, lookups).await?;
    Ok(())
}

/// The profile and the shapes of its tables.
struct Shape {
    profile: Profile,
    channel_profile: Option<ChannelProfile>,
    tables: Vec<Arc<Table>>,
    left_out: Vec<TableName>,
}

impl Shape {
    /// The profile's tables as they are to be installed.
    fn wanted(&self) -> Vec<InstalledTable> {
        let installed = |scope: &Scope, table: &Arc<Table>| InstalledTable {
            scope: scope.name.clone(),
            direction: scope.direction,
            table: table.clone(),
        };
        let of =
            |scope: &Scope, table: &Arc<Table>| scope.tables.iter().any(|t| t.name == table.name);
        let scopes = self.profile.scopes.iter();
        scopes
            .flat_map(|scope| {
                let tables = self.tables.iter().filter(move |table| of(scope, table));
                tables.map(move |table| installed(scope, table))
            })
            .collect()
    }

    async fn of_channel(
        link: &mut Link,
        file: &ProfileFile,
        store: &str,
        known: &[Arc<Table>],
    ) -> Result<Shape, FlowError> {
        let channel_profile = Shape::profile_of_channel(link, file, store).await?;
        Shape::of_tables(link, file, channel_profile, known).await
    }

    async fn profile_of_channel(
        link: &mut Link,
        file: &ProfileFile,
        store: &str,
    ) -> Result<Option<ChannelProfile>, ChannelError> {
        match file.source {
            ProfileSource::Channel => read_profile(link, store).await.map(Some),
            ProfileSource::File => Ok(None),
        }
    }

    async fn of_tables(
        link: &mut Link,
        file: &ProfileFile,
        channel_profile: Option<ChannelProfile>,
        known: &[Arc<Table>],
    ) -> Result<Shape, FlowError> {
        let profile = file.complete(channel_profile.as_ref())?;
        let names: Vec<TableName> =
            profile.scopes.iter().flat_map(|s| s.tables.iter().map(|t| t.name.clone())).collect();
        let full = tables_there(link, &profile, names, known).await?;
        let (tables, left_out) = travelling(&profile, full, known);
        Ok(Shape { profile, channel_profile, tables, left_out })
    }

    /// What an earlier run kept, for a start without the channel.
    async fn kept(
        local: &LocalDatabase,
        file: &ProfileFile,
        unreachable: ChannelError,
    ) -> anyhow::Result<Shape> {
        let channel_profile = match file.source {
            ProfileSource::File => None,
            ProfileSource::Channel => match local.fact(kept::PROFILE).await? {
                Some(text) => Some(kept::read(&text)?),
                None => return Err(FlowError::NeverSynchronised(unreachable).into()),
            },
        };
        let profile = file.complete(channel_profile.as_ref())?;
        let known = known_tables(local).await?;
        if known.is_empty() {
            return Err(FlowError::NeverSynchronised(unreachable).into());
        }
        let wanted: BTreeSet<&TableName> =
            profile.scopes.iter().flat_map(|s| s.tables.iter().map(|t| &t.name)).collect();
        let known = known.into_iter().filter(|t| wanted.contains(&t.name));
        // A column that the profile leaves out by now leaves, whether the channel is in reach or not.
        let tables: Vec<Arc<Table>> =
            known.map(|table| Arc::new(travelling_by(&profile, &table))).collect();
        let left_out = wanted.into_iter().filter(|name| !tables.iter().any(|t| t.name == **name));
        let left_out = left_out.cloned().collect();
        Ok(Shape { profile, channel_profile, tables, left_out })
    }

    async fn keep(&self, local: &LocalDatabase) -> Result<(), FlowError> {
        if let Some(profile) = &self.channel_profile {
            local.set_fact(kept::PROFILE, &kept::write(profile)).await?;
        }
        Ok(())
    }
}

/// The channel's tables of these names. One that cannot be had there but is known here stays as it is known.
async fn tables_there(
    link: &mut Link,
    profile: &Profile,
    mut names: Vec<TableName>,
    known: &[Arc<Table>],
) -> Result<Vec<Table>, ChannelError> {
    let mut kept: Vec<Table> = Vec::new();
    let leaves_out = |table: &TableName, column: &str| profile.leaves_out(table, column);
    loop {
        let there = schema::tables_without(link, &names, leaves_out).await;
        // Gone, or with a column of a type that does not travel: pull says so.
        let table = match &there {
            Err(
                ChannelError::UnknownTable { table, .. } | ChannelError::Uncarried { table, .. },
            ) => table.clone(),
            _ => return there.map(|tables| [tables, kept].concat()),
        };
        match known.iter().find(|one| one.name == table) {
            Some(one) => kept.push(one.as_ref().clone()),
            None => return there,
        }
        names.retain(|name| *name != table);
    }
}

fn travelling(
    profile: &Profile,
    full: Vec<Table>,
    known: &[Arc<Table>],
) -> (Vec<Arc<Table>>, Vec<TableName>) {
    let mut tables = Vec::new();
    let mut without_key = Vec::new();
    for table in full {
        let shape = travelling_by(profile, &table);
        let kept = known.iter().find(|kept| kept.name == table.name);
        let kept = kept.map(|kept| travelling_by(profile, kept));
        // What became of the table at the channel is followed where no row can be lost by it; otherwise it goes on as it is
        // known, and pull says what was altered.
        match kept.filter(|kept| !migration::is_safe(kept, &shape)) {
            Some(kept) => tables.push(Arc::new(kept)),
            None if shape.key.is_empty() => without_key.push(shape.name),
            None => tables.push(Arc::new(shape)),
        }
    }
    (tables, without_key)
}

fn travelling_by(profile: &Profile, table: &Table) -> Table {
    let entry = profile.scopes.iter().flat_map(|s| &s.tables).find(|t| t.name == table.name);
    match entry {
        Some(entry) => entry.travelling(table),
        None => table.travelling(&[]),
    }
}

/// Each as often as a scope names it.
pub fn plugins_of(scopes: &[ScopeRun]) -> impl Iterator<Item = &Arc<Plugin>> {
    scopes.iter().flat_map(|run| run.transformers.iter().chain(&run.resolver))
}

pub fn ids_of(scopes: &[ScopeRun]) -> impl Iterator<Item = &PluginId> {
    plugins_of(scopes).map(|plugin| plugin.id())
}

impl ScopeRun {
    pub fn is_pushed(&self) -> bool {
        self.scope.direction.is_pushed()
    }

    pub fn is_pulled(&self) -> bool {
        self.scope.direction != Direction::Upload
    }
}
