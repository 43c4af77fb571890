//! PULL: the channel's rows into the offline database, one scope at a time.
//!
//! ```text
//! channel/snapshot ─► rules ─► local/load_page      a table's first load, resumable, behind a "not ready" mark
//! channel/capture  ─► rules ─► local/stage ─► local/land      what changed since, whole or not at all
//! ```
//!
//! * A scope's rows and its channel version land in one SQLite transaction: a POS never sees half of it.
//! * The first load takes the channel's version before its first page and then pulls from it, so that nothing that
//!   moved meanwhile is missed.
//! * A table whose history the channel no longer keeps, or whose history is another (made anew, tracking switched off
//!   and on, another capture method), is loaded anew beside the old rows and swapped in; no other table is.
//! * Only rows that pass the profile's filter come, and a row that leaves it goes. Under another filter than the one that
//!   it was loaded under, a table is loaded anew.
//! * A table that was altered so that the register cannot follow stops its scope, naming the columns; selling and the
//!   other scopes go on.
//! * rows in = applied + dropped + quarantined, or the pull stops.

mod load;
mod refetch;

use crate::fault::FlowError;
use crate::numbers;
use crate::register::{Register, ScopeRun};
use crate::retry::by_rule;
use crate::rules::{self, RowOutcome};
use crate::selecting::{self, InForce};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tillhold_channel::capture::{self, Followed, Page, Pass, Standing, own_context};
use tillhold_channel::{ChannelError, Link, schema};
use tillhold_core::condition::Bound;
use tillhold_core::profile::ScopeTable;
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::stage::Tally;
use tillhold_core::table::{Table, TableName};
use tillhold_core::version::Position;
use tillhold_local::{Load, Refused, RulingOutcome, TableState};
use tillhold_plugin::{BatchContext, Flow};

/// Told about every page, for progress bars and status.
pub trait Progress: Send + Sync {
    fn loaded(&self, scope: &str, table: &Table, rows: u64);
}

/// For pulls that nobody watches.
pub struct Unwatched;

impl Progress for Unwatched {
    fn loaded(&self, _: &str, _: &Table, _: u64) {}
}

/// Brings one scope up to date; what it did, balanced.
pub async fn pull(
    register: &Register,
    link: &mut Link,
    run: &ScopeRun,
    progress: &dyn Progress,
) -> Result<Tally, FlowError> {
    let pulled = pull_filtered(register, link, run, progress).await;
    if pulled.is_err() {
        register.forget_filters(run);
    }
    pulled
}

async fn pull_filtered(
    register: &Register,
    link: &mut Link,
    run: &ScopeRun,
    progress: &dyn Progress,
) -> Result<Tally, FlowError> {
    let force = selecting::in_force(register).await?;
    let mut pull = Pull::new(register, run, force, progress).filtered(link).await?;
    pull.rows_aside = AtomicBool::new(register.local.counts().await?.rows_aside > 0);
    let mut tally = Tally::default();
    let unloaded = pull.tables_not_loaded().await?;
    pull.verify(link, &unloaded).await?;
    for state in &unloaded {
        tally += pull.load(link, state).await?;
    }
    for table in pull.tables_to_reread().await? {
        tally += pull.reload(link, &table).await?;
    }
    for _ in 0..RELOADS_MAX {
        match pull.changes(link).await? {
            Round::Landed(landed) => {
                tally += landed;
                return balanced("pull", tally);
            }
            Round::Outdated(tables) => {
                for table in tables {
                    tally += pull.reload(link, &table).await?;
                }
            }
        }
    }
    Err(FlowError::Outrun { scope: run.scope.name.clone() })
}

/// The same with all tables of the scope loaded anew, beside the rows that the till goes on reading.
pub async fn pull_anew(
    register: &Register,
    link: &mut Link,
    run: &ScopeRun,
) -> Result<Tally, FlowError> {
    let force = selecting::in_force(register).await?;
    let anew = Pull::new(register, run, force, &Unwatched).filtered(link).await?;
    let mut tally = Tally::default();
    for table in &run.tables {
        tally += anew.reload(link, table).await?;
    }
    tally += pull(register, link, run, &Unwatched).await?;
    Ok(tally)
}

/// How often tables are loaded anew in one pull before it is given up: the channel forgets faster than it is read.
const RELOADS_MAX: u32 = 3;

fn balanced(stage: &'static str, tally: Tally) -> Result<Tally, FlowError> {
    tally.balanced().map_err(|cause| FlowError::Unbalanced { stage, cause })
}

enum Round {
    Landed(Tally),
    /// The channel keeps no history back to these tables' versions any more.
    Outdated(Vec<Arc<Table>>),
}

pub(crate) struct Pull<'p> {
    register: &'p Register,
    pub(crate) run: &'p ScopeRun,
    /// Which rows of the scope's tables are the register's.
    force: InForce,
    progress: &'p dyn Progress,
    context: BatchContext,
    /// Of the tables that have one.
    filters: BTreeMap<TableName, Arc<Bound>>,
    /// Whether marks may stand that rows of this pull take away; asked once a pull, not once a page.
    rows_aside: AtomicBool,
}

impl<'p> Pull<'p> {
    pub(crate) fn new(
        register: &'p Register,
        run: &'p ScopeRun,
        force: InForce,
        progress: &'p dyn Progress,
    ) -> Pull<'p> {
        let (identity, now) = (register.file.identity(), rules::now(&register.env));
        let context = rules::context(&identity, &run.scope.name, Flow::Pull, now);
        Pull {
            register,
            run,
            force,
            progress,
            context,
            filters: BTreeMap::new(),
            rows_aside: AtomicBool::new(true),
        }
    }

    /// Looks the profile's row filters up.
    pub(crate) async fn filtered(mut self, link: &mut Link) -> Result<Pull<'p>, FlowError> {
        self.filters = self.register.filters_of(link, self.run).await?;
        Ok(self)
    }

    pub(crate) async fn states(&self) -> Result<Vec<TableState>, FlowError> {
        Ok(self.register.local.states_of(&self.run.tables).await?)
    }

    async fn tables_not_loaded(&self) -> Result<Vec<TableState>, FlowError> {
        let mut states = self.states().await?;
        states.retain(|state| state.load != Load::Loaded || !self.is_filtered_so(state));
        Ok(states)
    }

    /// Whether the table was loaded, or is being loaded, under the profile's filter.
    pub(crate) fn is_filtered_so(&self, state: &TableState) -> bool {
        state.filter == self.register.filter_text(self.run, &state.table.name)
    }

    /// What a migration could not know of the rows that were here is read from the channel.
    async fn tables_to_reread(&self) -> Result<Vec<Arc<Table>>, FlowError> {
        let due = self.register.local.rereads(&self.run.scope.name).await?;
        let mut states = self.states().await?;
        states.retain(|state| due.contains(&state.table.name));
        Ok(states.into_iter().map(|state| state.table).collect())
    }

    fn entry(&self, table: &Table) -> ScopeTable {
        let entry = self.run.scope.tables.iter().find(|entry| entry.name == table.name);
        entry.cloned().unwrap_or_else(|| ScopeTable::whole(table.name.clone()))
    }

    /// A page of a column that is gone would say so in the server's words only.
    pub(crate) async fn verify(
        &self,
        link: &mut Link,
        states: &[TableState],
    ) -> Result<(), FlowError> {
        if states.is_empty() {
            return Ok(());
        }
        let entries: Vec<ScopeTable> =
            states.iter().map(|state| self.entry(&state.table)).collect();
        let tables: Vec<(&Table, &ScopeTable)> =
            states.iter().map(|state| state.table.as_ref()).zip(&entries).collect();
        Ok(schema::verify(link, &tables).await?)
    }

    /// A table's first load, from where an earlier one stopped.
    async fn load(&self, link: &mut Link, state: &TableState) -> Result<Tally, FlowError> {
        let table = &state.table;
        let after = match &state.load {
            Load::Loading { after, .. } if self.is_filtered_so(state) => after.clone(),
            _ => {
                self.begin(link, table).await?;
                None
            }
        };
        self.load_pages(link, table, after).await
    }

    pub(crate) async fn reload(
        &self,
        link: &mut Link,
        table: &Arc<Table>,
    ) -> Result<Tally, FlowError> {
        self.begin(link, table).await?;
        self.load_pages(link, table, None).await
    }

    async fn begin(&self, link: &mut Link, table: &Arc<Table>) -> Result<(), FlowError> {
        let method = self.register.profile.capture;
        let (epoch, from) = capture::start(link, method, table).await?;
        let filter = self.register.filter_text(self.run, &table.name);
        Ok(self.register.local.begin_filtered_load(&table.name, epoch, from, filter).await?)
    }

    /// One pass over what changed in all of the scope's tables, landed in one transaction.
    async fn changes(&self, link: &mut Link) -> Result<Round, FlowError> {
        let local = &self.register.local;
        let scope = &self.run.scope.name;
        let tables = self.followed().await?;
        if tables.is_empty() {
            return Ok(Round::Landed(Tally::default()));
        }
        local.discard_staged(scope).await?;
        let own = own_context(local.incarnation());
        let epochs = local.epochs_of(scope).await?;
        let method = self.register.profile.capture;
        let mut pass = match Pass::begin(link, method, &epochs, own, &tables).await {
            // Another channel than the one that was read before: everything is loaded anew, nothing unsent is lost.
            Err(ChannelError::ChannelRestored { .. }) => {
                let all = tables.into_iter().map(|followed| followed.table).collect();
                return Ok(Round::Outdated(all));
            }
            begun => begun?,
        };
        let outdated = |at: &usize| pass.standing(*at) == Standing::Outdated;
        let outdated: Vec<Arc<Table>> =
            (0..tables.len()).filter(outdated).map(|at| tables[at].table.clone()).collect();
        if !outdated.is_empty() {
            pass.finish().await?;
            return Ok(Round::Outdated(outdated));
        }
        let mut counted = Counted::default();
        for (at, followed) in tables.iter().enumerate() {
            while let Some(page) = pass.page(at).await? {
                counted += self.stage(&followed.table, page).await?;
            }
        }
        let asked = self.ask_again(&mut pass, &tables, &mut counted).await?;
        let epoch = pass.epoch();
        let positions = positions(&pass, &tables);
        let is_altered =
            (0..tables.len()).any(|at| tables[at].position.mark.as_ref() != Some(pass.mark(at)));
        pass.finish().await?;
        let landed = local.land_asked(scope, positions, epoch, asked).await?;
        if is_altered {
            self.register.forget_filters(self.run);
        }
        Ok(Round::Landed(balanced("pull", counted.tally(landed))?))
    }

    /// The scope's tables with the positions that the next pass goes on from.
    pub(crate) async fn followed(&self) -> Result<Vec<Followed>, FlowError> {
        let followed = |state: TableState| Followed {
            entry: self.entry(&state.table),
            filter: self.filters.get(&state.table.name).cloned(),
            position: Position { version: state.version.unwrap_or_default(), mark: state.mark },
            restricted: self.force.get(&state.table.name).cloned(),
            table: state.table,
        };
        let loaded = self.states().await?.into_iter().filter(|state| state.load == Load::Loaded);
        Ok(loaded.map(followed).collect())
    }

    pub(crate) async fn stage(&self, table: &Arc<Table>, page: Page) -> Result<Counted, FlowError> {
        let rows = (page.changes.len() + page.refused.len()) as u64;
        let mut counted = Counted { captured: rows, ..Counted::default() };
        let mut changes = Vec::new();
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for captured in page.changes {
            match captured.change {
                _ if captured.own => counted.own += 1,
                Change::Present(row) => present.push(row),
                gone => {
                    counted.elsewhere += u64::from(captured.is_elsewhere);
                    absent.push(gone.key(table));
                    changes.push(gone);
                }
            }
        }
        let ruled = self.ruled(table, present, page.refused).await?;
        counted.dropped += ruled.dropped.len() as u64;
        counted.quarantined += ruled.quarantined.len() as u64;
        self.set_aside(table, &ruled, absent).await?;
        changes.extend(ruled.kept.into_iter().map(Change::Present));
        // A row that the rule drops must not stay on the register from an earlier pull.
        changes.extend(ruled.dropped.into_iter().map(Change::Gone));
        self.register.local.stage(&table.name, changes).await?;
        Ok(counted)
    }

    /// What becomes of rows that the channel gave, `refused` those that cannot be carried.
    pub(crate) async fn ruled(
        &self,
        table: &Arc<Table>,
        rows: Vec<Row>,
        refused: Vec<(Key, String)>,
    ) -> Result<Ruling, FlowError> {
        let mut ruled = Ruling::default();
        match self.run.transformers.is_empty() {
            true => ruled.kept = rows,
            false => ruled.add(self.rule(table, rows).await?),
        }
        numbers::keep_seeds(self.register, table, &mut ruled.kept).await?;
        let uncarried = |(key, reason)| Refused { key, code: "row-uncarried", reason };
        ruled.quarantined.extend(refused.into_iter().map(uncarried));
        Ok(ruled)
    }

    async fn rule(&self, table: &Arc<Table>, rows: Vec<Row>) -> Result<Vec<RowOutcome>, FlowError> {
        rules::transform(&self.register.env, self.run, &self.context, table, rows).await
    }

    /// Marks the rows that were refused, and takes earlier marks away from rows that pass now or are gone (`absent`).
    async fn set_aside(
        &self,
        table: &Arc<Table>,
        ruling: &Ruling,
        absent: Vec<Key>,
    ) -> Result<(), FlowError> {
        let local = &self.register.local;
        if !ruling.quarantined.is_empty() {
            self.rows_aside.store(true, Ordering::Relaxed);
        }
        if !self.rows_aside.load(Ordering::Relaxed) {
            return Ok(());
        }
        let kept = ruling.kept.iter().map(|row| row.key(table));
        let outcome = RulingOutcome {
            refused: ruling.quarantined.clone(),
            passed: kept.chain(ruling.dropped.iter().cloned()).chain(absent).collect(),
            circumstances: Some(by_rule(self.run, table)),
        };
        Ok(local.set_rows_aside(&self.run.scope.name, &table.name, outcome).await?)
    }
}

fn positions(pass: &Pass<'_>, tables: &[Followed]) -> Vec<(TableName, Position)> {
    let at =
        |number: usize| Position { version: pass.reached(), mark: Some(pass.mark(number).clone()) };
    tables.iter().enumerate().map(|(n, followed)| (followed.table.name.clone(), at(n))).collect()
}

/// Ruled rows, sorted by what becomes of them.
#[derive(Default)]
pub(crate) struct Ruling {
    pub(crate) kept: Vec<Row>,
    pub(crate) dropped: Vec<Key>,
    pub(crate) quarantined: Vec<Refused>,
}

impl Ruling {
    fn add(&mut self, ruled: Vec<RowOutcome>) {
        for one in ruled {
            match one {
                RowOutcome::Kept(row) => self.kept.push(row),
                RowOutcome::Dropped(key) => self.dropped.push(key),
                RowOutcome::Quarantined(key, reason) => {
                    self.quarantined.push(Refused { key, code: "rule-refused", reason });
                }
            }
        }
    }
}

/// What a pass captured and what became of it before it was staged.
#[derive(Default)]
pub(crate) struct Counted {
    captured: u64,
    /// This register's own writes coming back.
    own: u64,
    /// There, but no row of this register's; staged as deletions.
    elsewhere: u64,
    /// By rule; staged as deletions.
    dropped: u64,
    quarantined: u64,
}

impl Counted {
    /// `landed` counts what was staged, the deletions of dropped rows among it.
    fn tally(&self, landed: Tally) -> Tally {
        Tally {
            rows_in: self.captured,
            applied: landed.applied.saturating_sub(self.dropped + self.elsewhere),
            dropped: landed.dropped
                + self.own
                + (self.dropped + self.elsewhere).min(landed.applied),
            quarantined: landed.quarantined + self.quarantined,
        }
    }
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Counted) {
        self.captured += other.captured;
        self.own += other.own;
        self.elsewhere += other.elsewhere;
        self.dropped += other.dropped;
        self.quarantined += other.quarantined;
    }
}
