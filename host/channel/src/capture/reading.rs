//! A pass's rows: the changed ones by pages, those of who joined, and those that are asked for by their keys.

use super::{BEGIN, PAGE, Page, Pass, Standing, Tracked, statement};
use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::filtering;
use crate::keyed::{self, Found};
use crate::link::Ask;
use crate::selection::choice::choose_here;
use crate::selection::{Choice, Chosen, Set, fill_sql, keys_json};
use crate::snapshot::{self, Among};
use std::sync::Arc;
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_core::row::Key;
use tillhold_core::selection::Members;
use tillhold_core::table::Table;

const KEYS: &str = "list the changed rows";
const FILL: &str = "take in whose rows are asked for";

/// How far a table's rows were read.
#[derive(Clone, Copy)]
pub(super) enum Progress {
    Untouched,
    /// Row numbers in the temporary table, and how many rows are left.
    Reading {
        after: i64,
        last: i64,
        left: u64,
    },
    Done,
}

impl Pass<'_> {
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
}
