//! One register's parts, put together: settings, profile, offline database, plugins, and the way to its channel.
//!
//! * Opened with the channel in reach, the profile and the table shapes are read there and kept.
//! * A table that the register has already keeps the shape that it has there, whatever became of it at the channel:
//!   the register opens and sells, and pull says what was altered.
//! * A running register becomes another in place when its profile changes ([`crate::renewal`]).
//! * Opened without it, the kept ones are used, so that a register can start and sell in the middle of an outage, or while
//!   the channel refuses its login; one that was never synchronised says so.
//! * To sell, it starts by the profile that was in force last where the one that is there now cannot be taken
//!   ([`opening`]).

mod opening;
mod shape;

pub use shape::profile_of_channel;

use crate::fault::FlowError;
use crate::filters::Filters;
use crate::plugins::stats::Book;
use crate::plugins::{self, Plugins};
use crate::renewal::Fault;
use crate::report;
use crate::selecting;
use crate::settings::effective::Effective;
use crate::settings::profile_file::{ProfileFile, ProfileSource};
use crate::settings::profile_text::{Told, text};
use crate::settings::register_file::RegisterFile;
use crate::stored_profile;
use opening::Opening;
use shape::{Ground, Shape};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_channel::profile::ChannelProfile;
use tillhold_channel::{ChannelConfig, Link};
use tillhold_core::migration::{self, Action, InstalledTable, Plan};
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
    /// Why the register was opened by another profile than the one that is there.
    pub profile_fault: Option<Fault>,
    /// A table becomes what the profile says only when its unsent rows are sent.
    pub has_waiting_tables: bool,
    /// The profile that was last held against the channel's tables and taken, as the text of a `profile.toml`: the one
    /// in force, but for a start without the channel, which cannot hold it against anything.
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
    /// By the profile as it is now, or not at all: for who sets a register up.
    pub async fn open(env: &Env, file: RegisterFile) -> anyhow::Result<Register> {
        let channel = file.channel_config()?;
        Ok(Opening::of(env, file, channel).await?.by_profile().await?)
    }

    /// By the profile that was in force last where the one that is there now cannot be taken: for who sells, or looks
    /// after what was sold. Only a register that has none refuses.
    pub async fn start(env: &Env, file: RegisterFile) -> anyhow::Result<Register> {
        let channel = file.channel_config_of_register()?;
        Ok(Opening::of(env, file, channel).await?.by_profile_or_last().await?)
    }

    /// What this register would become by the profile as it is now. `None`: it would stay as it is. The profile's text
    /// decides, unless `by_tables` has the shapes of the channel's tables read as well. Nothing is changed.
    pub async fn outlook(
        &self,
        link: &mut Link,
        by_tables: bool,
    ) -> Result<Option<Outlook>, FlowError> {
        let profile_file = ProfileFile::open(&self.file.profile)?;
        let channel_profile = profile_of_channel(link, &profile_file, &self.file.store).await?;
        let is_same = told(&profile_file, channel_profile.as_ref()) == self.profile_text;
        if is_same && !by_tables {
            return Ok(None);
        }
        let known = known_tables(&self.local).await?;
        let ground = Ground {
            file: &self.file,
            profile_file: &profile_file,
            known: &known,
            last: Some(&self.profile_text),
        };
        let shape = Shape::of_tables(link, &ground, channel_profile).await?;
        let outlook = Outlook::of(&self.plugins, &self.local, profile_file.source, shape).await?;
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
            profile_fault: None,
            has_waiting_tables: self.has_waiting_tables,
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
        let last = match &local {
            Some(local) => local.fact(stored_profile::PROFILE_TEXT).await?,
            None => None,
        };
        let profile_file = &profile_file;
        let ground = Ground { file, profile_file, known: &known, last: last.as_deref() };
        let shape = Shape::of_channel(&mut link, &ground).await?;
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
    scopes: Vec<ScopeRun>,
    plan: Plan,
    plugins: Arc<Plugins>,
}

impl Outlook {
    async fn of(
        plugins: &Arc<Plugins>,
        local: &LocalDatabase,
        source: ProfileSource,
        shape: Shape,
    ) -> Result<Outlook, FlowError> {
        let plan = local.plan(&shape.wanted()).await?;
        // A table that has to wait for its unsent rows goes on in the shape that it has.
        let scopes = plugins.equip(shape.profile.scopes.clone(), &plan.tables()).await?;
        Ok(Outlook { shape, source, scopes, plan, plugins: plugins.clone() })
    }

    /// Changes the offline database. Whoever writes rows to it meanwhile must wait.
    async fn take(
        self,
        env: &Env,
        file: RegisterFile,
        local: LocalDatabase,
        channel: &ChannelConfig,
    ) -> Result<Register, FlowError> {
        let Outlook { shape, source, scopes, plan, plugins } = self;
        shape.keep(&local).await?;
        tell(env, &plan);
        install(&local, shape.wanted()).await?;
        let Shape { profile, profile_text, left_out, .. } = shape;
        // A load counts the journal too, and stops before the space that is kept for sales is needed.
        local.limit_size(profile.conduct.size.limit_bytes);
        local.file_sizes().await?;
        local.keep_reserve(profile.conduct.size.reserve_bytes).await?;
        // What `profile diff register …` compares with, and a start goes back to.
        if !profile_text.is_empty() {
            local.set_fact(stored_profile::PROFILE_TEXT, &profile_text).await?;
        }
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
            profile_fault: None,
            has_waiting_tables: plan.waiting().next().is_some(),
            profile_text,
            channel: Arc::new(channel),
        })
    }
}

/// The profile as the text of a `profile.toml`.
fn told(file: &ProfileFile, channel_profile: Option<&ChannelProfile>) -> String {
    told_of(&file.effective(channel_profile).0)
}

fn told_of(effective: &Effective) -> String {
    text(effective, Told::Needed)
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
