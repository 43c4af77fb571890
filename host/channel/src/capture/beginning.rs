//! Where a load and a pass begin: the channel's version and epoch, how far back the changes of each table are kept, and
//! whether it is still the table that the register knows.

use super::reading::Progress;
use super::standing::{self, TableStanding};
use super::{BEGIN, Followed, Pass, Tracked, no_position, statement};
use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::{Ask, Link, ResultSet};
use crate::schema;
use std::sync::Arc;
use tillhold_core::profile::{Capture, ScopeTable};
use tillhold_core::table::Table;
use tillhold_core::version::{ChannelVersion, Position, TableMark};

const START: &str = "begin a load";

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

impl Pass<'_> {
    pub(super) async fn stand(
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
    pub(super) async fn refuse_altered(&mut self, tables: &[Followed]) -> Result<(), ChannelError> {
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

    pub(super) fn refuse_restored(&self, epochs_known: &[[u8; 16]]) -> Result<(), ChannelError> {
        let reached = self.reached;
        let is_another = epochs_known.iter().any(|known| *known != self.epoch);
        let ahead = self.tables.iter().find(|tracked| tracked.from > reached);
        let reason = match ahead {
            _ if is_another => "its epoch is another than the one this register knows".to_string(),
            Some(Tracked { table, from, .. }) => format!(
                "it is at version {reached}, but {} was read at version {from} before",
                table.name
            ),
            None => return Ok(()),
        };
        Err(ChannelError::ChannelRestored { reason })
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

pub(super) fn read_bound(
    what: &'static str,
    sets: Vec<ResultSet>,
) -> Result<ChannelVersion, ChannelError> {
    let row = sets.into_iter().flatten().next().ok_or_else(no_position)?;
    Cells::new(what, row).version("current")
}
