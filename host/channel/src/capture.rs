//! The channel's changes since the register last looked: one pass over all tables of a scope, under
//! one snapshot.
//!
//! 1. [`Pass::begin`]: temporary tables, SNAPSHOT transaction, then version, epoch, each table's
//!    oldest retained version and its mark in its first statements. So nothing later than
//!    [`Pass::reached`] can appear, and all tables agree.
//! 2. [`Pass::standing`]: a table whose last version is no longer retained, or whose history is
//!    another (dropped and made again, tracking switched off and on, another method), must be loaded
//!    afresh; only that one.
//! 3. [`Pass::page`] until `None`, table by table, bounded in memory.
//! 4. [`Pass::finish`]: the retained versions once more (clean-up runs beside us), then commit.
//!    Only after it may the caller store `reached`, each table's [`Pass::mark`] with it.
//!
//! * A table that was altered since its mark was taken is looked at once. The same travelling
//!   shape: the pass goes on. Another one: it is refused, naming each column, and nothing is read.
//! * A delta of any size is one snapshot: its keys wait in tempdb, its rows come by pages, so the
//!   register's memory is bounded and the snapshot lasts as long as the reading. There is no limit of
//!   keys a pass, on purpose: cut off, the tables of a scope would be of different moments, for as
//!   long as it takes to catch up. A snapshot that breaks loses its pass and no position; a register
//!   too far behind for one loads its tables anew, in pages of their own.
//! * A row that does not pass its table's filter comes as gone: nothing of it leaves the channel but
//!   its key.
//! * A row's existence is decided by the row itself in the same snapshot, never by the operation
//!   letter.
//! * Of a restricted table, a changed row that is no member's is gone for the register and not sent
//!   ([`Captured::is_elsewhere`]). A pass in which members are chosen anew ([`Pass::begin_choosing`],
//!   [`Pass::choose`], [`Pass::go_by`]) also gives the rows of those who joined
//!   ([`Pass::joined_page`]), of the same moment as everything else.
//! * A row that cannot be carried costs itself alone: [`Page::refused`] has its key and why.
//! * A pass that is dropped, or that meets any error, takes its connection with it: no half
//!   transaction is reused.
//! * A channel whose version went back, or whose epoch is another, was restored: nothing is
//!   delivered.

mod page;
mod standing;
pub(crate) mod statement;

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::filtering;
use crate::keyed::{self, Found};
use crate::link::{Ask, Link, ResultSet};
use crate::schema;
use crate::selection::choice::choose_here;
use crate::selection::{self, Choice, Chosen, Set, fill_sql, keys_json};
use crate::snapshot::{self, Among};
pub use page::{Captured, Page};
use standing::TableStanding;
use std::sync::Arc;
use tillhold_core::condition::Bound;
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_core::profile::{Capture, ScopeTable};
use tillhold_core::row::Key;
use tillhold_core::selection::{MemberKind, Members, Restricted, Restriction};
use tillhold_core::table::Table;
use tillhold_core::version::{ChannelVersion, Incarnation, Position, TableMark};

/// What every write of this register carries, so that pull knows its own rows again.
pub fn own_context(incarnation: Incarnation) -> Vec<u8> {
    let mut context = b"tillhold:".to_vec();
    context.extend_from_slice(&incarnation.0);
    context
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every change since `from` is there.
    Current,
    /// The channel no longer keeps them all: load the table afresh.
    Outdated,
}

/// A table that a pass is to read, as the register has it.
#[derive(Clone, Debug)]
pub struct Followed {
    /// In its travelling shape.
    pub table: Arc<Table>,
    /// What of it travels, by the profile: an altered table is compared under it.
    pub entry: ScopeTable,
    /// The profile's filter over the channel's columns; `None` passes every row.
    pub filter: Option<Arc<Bound>>,
    pub position: Position,
    /// Which rows are the register's; `None`: all.
    pub restricted: Option<Restricted>,
}

/// Where a load of `table` begins: the channel's epoch, and the position that its first pass goes on
/// from. Nothing of the table may be read before. Its shape counts as not looked at yet.
pub async fn start(
    link: &mut Link,
    capture: Capture,
    table: &Arc<Table>,
) -> Result<([u8; 16], Position), ChannelError> {
    let (epoch, version) = current(link, capture).await?;
    let tables = std::slice::from_ref(table);
    let sql = statement::standing_sql(capture, tables);
    let sets = link.ask(Ask::query(START, &sql, &[])).await?;
    let mut tables = standing::read(START, capture, sets, tables)?.tables;
    let TableStanding { oldest, mark } = tables.remove(0);
    let Some(mark) = mark else {
        let (table, nearest) = (table.name.clone(), None);
        return Err(ChannelError::UnknownTable { table, nearest });
    };
    if oldest.is_none() {
        return Err(why_untracked(link, table).await);
    }
    let mark = TableMark { altered: String::new(), ..mark };
    Ok((epoch, Position { version, mark: Some(mark) }))
}

/// Which life of the channel database it is, and how far it has come.
pub async fn current(
    link: &mut Link,
    capture: Capture,
) -> Result<([u8; 16], ChannelVersion), ChannelError> {
    let sql = match capture {
        Capture::ChangeTracking => statement::VERSION_SQL,
        Capture::Triggers => statement::BOUND_SQL,
    };
    let sets = link.ask(Ask::query(START, sql, &[])).await?;
    let row = sets.into_iter().flatten().next().ok_or_else(no_position)?;
    let mut cells = Cells::new(START, row);
    let version = cells.optional_version("current")?;
    let version = version.ok_or(ChannelError::TrackingOff { table: None })?;
    Ok((standing::epoch(&mut cells)?, version))
}

pub struct Pass<'a> {
    link: &'a mut Link,
    capture: Capture,
    own: Vec<u8>,
    epoch: [u8; 16],
    reached: ChannelVersion,
    tables: Vec<Tracked>,
    /// The session's temporary tables of members.
    sets: Vec<(Set, MemberKind)>,
    members: Members,
    joined: Members,
    are_sets_filled: bool,
    finished: bool,
}

struct Tracked {
    table: Arc<Table>,
    filter: Option<Arc<Bound>>,
    from: ChannelVersion,
    oldest: ChannelVersion,
    mark: TableMark,
    is_same_history: bool,
    restriction: Option<Restriction>,
    progress: Progress,
}

/// How far a table's rows were read.
#[derive(Clone, Copy)]
enum Progress {
    Untouched,
    /// Row numbers in the temporary table, and how many rows are left.
    Reading {
        after: i64,
        last: i64,
        left: u64,
    },
    Done,
}

impl<'a> Pass<'a> {
    /// `epoch_known` is `None` for a register that has none yet; `own` is [`own_context`].
    pub async fn begin(
        link: &'a mut Link,
        capture: Capture,
        epoch_known: Option<[u8; 16]>,
        own: Vec<u8>,
        tables: &[Followed],
    ) -> Result<Pass<'a>, ChannelError> {
        Pass::begin_with(link, capture, epoch_known, own, tables, &[Set::Members]).await
    }

    /// A pass in which the restrictions' members are yet to be given ([`Pass::go_by`]).
    pub async fn begin_choosing(
        link: &'a mut Link,
        capture: Capture,
        epoch_known: Option<[u8; 16]>,
        own: Vec<u8>,
        tables: &[Followed],
    ) -> Result<Pass<'a>, ChannelError> {
        let both = [Set::Members, Set::Joined];
        Pass::begin_with(link, capture, epoch_known, own, tables, &both).await
    }

    async fn begin_with(
        link: &'a mut Link,
        capture: Capture,
        epoch_known: Option<[u8; 16]>,
        own: Vec<u8>,
        tables: &[Followed],
        wanted: &[Set],
    ) -> Result<Pass<'a>, ChannelError> {
        if let Some(keyless) = tables.iter().find(|followed| followed.table.key.is_empty()) {
            return Err(ChannelError::NoPrimaryKey { table: keyless.table.name.clone() });
        }
        let shapes: Vec<Arc<Table>> = tables.iter().map(|one| one.table.clone()).collect();
        let restricted = || tables.iter().filter_map(|one| one.restricted.as_ref());
        let kinds = selection::kinds(restricted().map(|one| &one.restriction));
        let mut members = Members::default();
        restricted().for_each(|one| members.merge(&one.members));
        link.connect().await?;
        let mut pass = Pass {
            link,
            capture,
            own,
            epoch: [0; 16],
            reached: ChannelVersion(0),
            tables: Vec::with_capacity(tables.len()),
            sets: kinds.iter().flat_map(|kind| wanted.iter().map(|set| (*set, *kind))).collect(),
            members,
            joined: Members::default(),
            are_sets_filled: false,
            finished: false,
        };
        let sql = statement::begin_sql(capture, &shapes, &pass.sets);
        let begun = pass.ask_all(Ask::batch(BEGIN, &sql)).await?;
        if capture == Capture::Triggers {
            pass.reached = read_bound(BEGIN, begun)?;
        }
        pass.stand(&shapes, tables).await?;
        pass.refuse_restored(epoch_known)?;
        pass.refuse_altered(tables).await?;
        Ok(pass)
    }

    /// The version that all tables of this pass are at: what the register stores when it has
    /// applied everything.
    pub fn reached(&self) -> ChannelVersion {
        self.reached
    }

    pub fn epoch(&self) -> [u8; 16] {
        self.epoch
    }

    pub fn standing(&self, table: usize) -> Standing {
        let Tracked { from, oldest, is_same_history, .. } = &self.tables[table];
        if from < oldest || !is_same_history { Standing::Outdated } else { Standing::Current }
    }

    /// What the table is now; to be stored with [`Pass::reached`].
    pub fn mark(&self, table: usize) -> &TableMark {
        &self.tables[table].mark
    }

    /// Who is chosen, in this pass's own snapshot.
    pub async fn choose(&mut self, choice: &Choice<'_>) -> Result<Chosen, ChannelError> {
        self.refuse_lost(BEGIN)?;
        let chosen = choose_here(self.link, choice).await;
        if chosen.is_err() {
            self.link.disconnect();
        }
        chosen
    }

    /// The sets that the restrictions go by from here on; before the first page.
    pub fn go_by(&mut self, members: &Members, joined: Members) {
        self.members.merge(members);
        self.joined = joined;
    }

    /// Rows of a table that hang on one who joined, behind `after`; to be read until there is no
    /// [`snapshot::Page::last_key`].
    pub async fn joined_page(
        &mut self,
        table: usize,
        after: Option<&Key>,
    ) -> Result<snapshot::Page, ChannelError> {
        self.refuse_outdated(table)?;
        let Some(restriction) = self.tables[table].restriction.clone() else {
            return Ok(snapshot::Page::default());
        };
        self.fill_sets().await?;
        self.refuse_lost(PAGE)?;
        let shape = self.tables[table].table.clone();
        let filter = self.tables[table].filter.clone();
        let among = Among::joined(&restriction).passing(filter.as_deref());
        let page = snapshot::page_among(self.link, &shape, &among, after, PULL_PAGE_ROWS_MAX).await;
        if page.is_err() {
            self.link.disconnect();
        }
        page
    }

    /// The next changes of a table, oldest first, at most [`PULL_PAGE_ROWS_MAX`]; `None` when there
    /// are no more.
    pub async fn page(&mut self, table: usize) -> Result<Option<Page>, ChannelError> {
        self.refuse_outdated(table)?;
        if let Progress::Untouched = self.tables[table].progress {
            self.collect_keys().await?;
        }
        let Progress::Reading { after, last, left } = self.tables[table].progress else {
            return Ok(None);
        };
        let upto = after.saturating_add(PULL_PAGE_ROWS_MAX as i64).min(last);
        let shape = self.tables[table].table.clone();
        let restriction = self.tables[table].restriction.clone();
        if restriction.is_some() {
            self.fill_sets().await?;
        }
        let filter = self.tables[table].filter.clone();
        let sql = statement::page_sql(table, &shape, restriction.as_ref(), filter.as_deref());
        let mut bounds = vec![Parameter::Number(after), Parameter::Number(upto)];
        bounds.extend(filtering::parameters(filter.as_deref()));
        let rows = self.ask(Ask::query(PAGE, &sql, &bounds)).await?;
        self.advance(table, upto, last, left, rows.len() as u64)?;
        let mut page = Page::of(rows, &shape, &self.own, restriction.is_some())?;
        // Still inside the snapshot, so the bytes are those of the row that was read.
        let found = self.link.look_again(&shape, page.present()).await?;
        page.refuse(&shape, &found)?;
        Ok(Some(page))
    }

    /// Rows of a table by their keys, as they are in the pass's own moment, those that pass the filter and are members'.
    pub async fn rows(&mut self, table: usize, keys: &[Key]) -> Result<Vec<Found>, ChannelError> {
        self.refuse_lost(PAGE)?;
        if self.tables[table].restriction.is_some() {
            self.fill_sets().await?;
        }
        let Tracked { table, filter, restriction, .. } = &self.tables[table];
        keyed::rows_of_members(self.link, table, filter.as_deref(), restriction.as_ref(), keys)
            .await
    }

    /// Ends the snapshot. An error here means that what was read may have holes: nothing of it may
    /// be kept.
    pub async fn finish(mut self) -> Result<(), ChannelError> {
        let shapes: Vec<Arc<Table>> = self.tables.iter().map(|t| t.table.clone()).collect();
        // A purge of trigger tables is part of the snapshot or is not: it cannot run beside us.
        if !shapes.is_empty() && self.capture == Capture::ChangeTracking {
            self.check_minima(&shapes).await?;
        }
        let sql = statement::end_sql(shapes.len(), &self.sets);
        self.ask(Ask::batch("end a pass", &sql)).await?;
        self.finished = true;
        Ok(())
    }

    /// The first result set of a statement on the pass's own connection: nobody else can have the
    /// link meanwhile, so either it is still the one that holds the snapshot, or there is none.
    async fn ask(&mut self, ask: Ask<'_>) -> Result<ResultSet, ChannelError> {
        Ok(self.ask_all(ask).await?.into_iter().next().unwrap_or_default())
    }

    async fn ask_all(&mut self, ask: Ask<'_>) -> Result<Vec<ResultSet>, ChannelError> {
        self.refuse_lost(ask.what)?;
        let sets = self.link.ask(ask).await;
        if sets.is_err() {
            self.link.disconnect();
        }
        sets
    }

    fn refuse_lost(&self, what: &'static str) -> Result<(), ChannelError> {
        let cause = || "the connection that held the snapshot is gone".to_string();
        match self.link.is_connected() {
            true => Ok(()),
            false => Err(ChannelError::Lost { what, cause: cause() }),
        }
    }

    /// Once, when the first restricted table is read: a pass without a change in them sends none.
    async fn fill_sets(&mut self) -> Result<(), ChannelError> {
        if std::mem::replace(&mut self.are_sets_filled, true) {
            return Ok(());
        }
        for (set, kind) in self.sets.clone() {
            let members = match set {
                Set::Members => &self.members,
                Set::Joined => &self.joined,
            };
            let keys = keys_json(kind, members.of(kind).into_iter().flatten());
            self.ask(Ask::query(FILL, &fill_sql(set, kind, 1), &[keys])).await?;
        }
        Ok(())
    }

    async fn stand(
        &mut self,
        shapes: &[Arc<Table>],
        tables: &[Followed],
    ) -> Result<(), ChannelError> {
        let sql = statement::standing_sql(self.capture, shapes);
        let sets = self.ask_all(Ask::query(BEGIN, &sql, &[])).await?;
        let read = standing::read(BEGIN, self.capture, sets, shapes)?;
        self.epoch = read.epoch;
        self.reached = read.current.unwrap_or(self.reached);
        for (followed, TableStanding { oldest, mark }) in tables.iter().zip(read.tables) {
            let (table, Position { version, mark: known }) =
                (followed.table.clone(), &followed.position);
            let Some(mark) = mark else {
                return Err(self.why_missing(followed).await);
            };
            let Some(oldest) = oldest else {
                return Err(why_untracked(self.link, &table).await);
            };
            let is_same_history = match known {
                Some(known) => known.is_same_history(&mark),
                // Before marks were kept there was one method.
                None => self.capture == Capture::ChangeTracking,
            };
            let (from, progress) = (*version, Progress::Untouched);
            let restriction = followed.restricted.as_ref().map(|one| one.restriction.clone());
            let filter = followed.filter.clone();
            self.tables.push(Tracked {
                table,
                filter,
                from,
                oldest,
                mark,
                is_same_history,
                restriction,
                progress,
            });
        }
        Ok(())
    }

    /// Asks the catalogue, which knows the nearest name.
    async fn why_missing(&mut self, followed: &Followed) -> ChannelError {
        match schema::verify(self.link, &[(&followed.table, &followed.entry)]).await {
            Err(error) => error,
            // Made anew between the two questions.
            Ok(()) => {
                let table = followed.table.name.clone();
                ChannelError::UnknownTable { table, nearest: None }
            }
        }
    }

    /// A moment of alteration other than the known one says nothing yet: an index moves it as well.
    async fn refuse_altered(&mut self, tables: &[Followed]) -> Result<(), ChannelError> {
        let is_unseen = |(followed, tracked): &(&Followed, &Tracked)| {
            let known = followed.position.mark.as_ref();
            known.is_none_or(|known| *known != tracked.mark)
        };
        let unseen: Vec<(&Table, &ScopeTable)> = tables
            .iter()
            .zip(&self.tables)
            .filter(is_unseen)
            .map(|(followed, _)| (followed.table.as_ref(), &followed.entry))
            .collect();
        match unseen.is_empty() {
            true => Ok(()),
            false => schema::verify(self.link, &unseen).await,
        }
    }

    fn refuse_restored(&self, epoch_known: Option<[u8; 16]>) -> Result<(), ChannelError> {
        let reached = self.reached;
        let ahead = self.tables.iter().find(|tracked| tracked.from > reached);
        let reason = match (epoch_known, ahead) {
            (Some(known), _) if known != self.epoch => {
                "its epoch is another than the one this register knows".to_string()
            }
            (_, Some(Tracked { table, from, .. })) => format!(
                "it is at version {reached}, but {} was read at version {from} before",
                table.name
            ),
            _ => return Ok(()),
        };
        Err(ChannelError::ChannelRestored { reason })
    }

    fn refuse_outdated(&self, table: usize) -> Result<(), ChannelError> {
        if self.standing(table) == Standing::Current {
            return Ok(());
        }
        let Tracked { table, from, oldest, .. } = &self.tables[table];
        Err(ChannelError::Outdated { table: table.name.clone(), from: *from, oldest: *oldest })
    }

    /// For all tables at once: a pass over forty tables that have not changed takes one round trip,
    /// not forty.
    async fn collect_keys(&mut self) -> Result<(), ChannelError> {
        let wanted: Vec<(usize, Arc<Table>)> = (0..self.tables.len())
            .filter(|at| self.standing(*at) == Standing::Current)
            .map(|at| (at, self.tables[at].table.clone()))
            .collect();
        let mut versions = vec![Parameter::version(self.reached)];
        versions.extend(wanted.iter().map(|(at, _)| Parameter::version(self.tables[*at].from)));
        let sql = statement::keys_sql(self.capture, &wanted);
        let sets = self.ask_all(Ask::query(KEYS, &sql, &versions)).await?;
        if sets.len() != wanted.len() {
            let what = format!("{} lists of changes for {} tables", sets.len(), wanted.len());
            return Err(ChannelError::Unexpected { what });
        }
        for ((at, _), set) in wanted.iter().zip(sets) {
            let mut cells = Cells::new(KEYS, set.into_iter().next().unwrap_or_default());
            let (last, left) = (cells.number("last")?, cells.number("rows")? as u64);
            self.tables[*at].progress = match left {
                0 => Progress::Done,
                left => Progress::Reading { after: 0, last, left },
            };
        }
        Ok(())
    }

    /// Every key that was collected must have come back as a row: fewer would be changes lost
    /// without a sound.
    fn advance(
        &mut self,
        table: usize,
        upto: i64,
        last: i64,
        left: u64,
        rows: u64,
    ) -> Result<(), ChannelError> {
        let name = &self.tables[table].table.name;
        let miscounted = |left: u64| ChannelError::Unexpected {
            what: format!("{rows} changes of {name} came where {left} were left"),
        };
        let remaining = left.checked_sub(rows).ok_or_else(|| miscounted(left))?;
        if upto == last && remaining != 0 {
            return Err(miscounted(left));
        }
        self.tables[table].progress = match remaining {
            0 => Progress::Done,
            left => Progress::Reading { after: upto, last, left },
        };
        Ok(())
    }

    async fn check_minima(&mut self, shapes: &[Arc<Table>]) -> Result<(), ChannelError> {
        let sql = statement::minima_sql(shapes);
        let row = self.ask(Ask::query(FINISH, &sql, &[])).await?.into_iter().next();
        let mut cells = Cells::new(FINISH, row.ok_or_else(no_position)?);
        for table in 0..self.tables.len() {
            let was_current = self.standing(table) == Standing::Current;
            let oldest = cells.optional_version("min")?;
            let name = self.tables[table].table.name.clone();
            self.tables[table].oldest =
                oldest.ok_or(ChannelError::TrackingOff { table: Some(name) })?;
            if was_current {
                self.refuse_outdated(table)?;
            }
        }
        Ok(())
    }
}

impl Drop for Pass<'_> {
    /// The transaction is still open: the connection goes, and the server rolls it back.
    fn drop(&mut self) {
        if !self.finished {
            self.link.disconnect();
        }
    }
}

/// NULL means no tracking as well as no right to see it; taken for a number it would pass for "still
/// valid".
async fn why_untracked(link: &mut Link, table: &Table) -> ChannelError {
    let sql = statement::right_sql(table);
    let row = match link.ask(Ask::query(BEGIN, &sql, &[])).await {
        Ok(sets) => sets.into_iter().flatten().next().unwrap_or_default(),
        Err(error) => return error,
    };
    match Cells::new(BEGIN, row).optional_number("right") {
        Ok(Some(0)) => ChannelError::NoRight {
            message: format!("VIEW CHANGE TRACKING on {} is not granted", table.name),
        },
        _ => ChannelError::TrackingOff { table: Some(table.name.clone()) },
    }
}

fn read_bound(what: &'static str, sets: Vec<ResultSet>) -> Result<ChannelVersion, ChannelError> {
    let row = sets.into_iter().flatten().next().ok_or_else(no_position)?;
    Cells::new(what, row).version("current")
}

fn no_position() -> ChannelError {
    ChannelError::Unexpected { what: "no row tells the current version".to_string() }
}

const START: &str = "begin a load";
const BEGIN: &str = "begin a pass of changes";
const KEYS: &str = "list the changed rows";
const FILL: &str = "take in whose rows are asked for";
const PAGE: &str = "give a page of changes";
const FINISH: &str = "end a pass of changes";

#[cfg(test)]
mod tests;
