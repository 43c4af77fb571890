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

mod beginning;
mod page;
mod reading;
mod standing;
pub(crate) mod statement;

use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::{Ask, Link, ResultSet};
use crate::selection::{self, Set};
use beginning::read_bound;
pub use beginning::{current, start};
pub use page::{Captured, Page};
use reading::Progress;
use std::sync::Arc;
use tillhold_core::condition::Bound;
use tillhold_core::profile::{Capture, ScopeTable};
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

impl<'a> Pass<'a> {
    /// `epochs_known` are those of the tables' positions, none for a register that has none yet; `own` is [`own_context`].
    pub async fn begin(
        link: &'a mut Link,
        capture: Capture,
        epochs_known: &[[u8; 16]],
        own: Vec<u8>,
        tables: &[Followed],
    ) -> Result<Pass<'a>, ChannelError> {
        Pass::begin_with(link, capture, epochs_known, own, tables, &[Set::Members]).await
    }

    /// A pass in which the restrictions' members are yet to be given ([`Pass::go_by`]).
    pub async fn begin_choosing(
        link: &'a mut Link,
        capture: Capture,
        epochs_known: &[[u8; 16]],
        own: Vec<u8>,
        tables: &[Followed],
    ) -> Result<Pass<'a>, ChannelError> {
        let both = [Set::Members, Set::Joined];
        Pass::begin_with(link, capture, epochs_known, own, tables, &both).await
    }

    async fn begin_with(
        link: &'a mut Link,
        capture: Capture,
        epochs_known: &[[u8; 16]],
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
        pass.refuse_restored(epochs_known)?;
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

    fn refuse_outdated(&self, table: usize) -> Result<(), ChannelError> {
        if self.standing(table) == Standing::Current {
            return Ok(());
        }
        let Tracked { table, from, oldest, .. } = &self.tables[table];
        Err(ChannelError::Outdated { table: table.name.clone(), from: *from, oldest: *oldest })
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

fn no_position() -> ChannelError {
    ChannelError::Unexpected { what: "no row tells the current version".to_string() }
}

const BEGIN: &str = "begin a pass of changes";
const PAGE: &str = "give a page of changes";
const FINISH: &str = "end a pass of changes";

#[cfg(test)]
mod tests;
