//! One table's comparison.
//!
//! 1. The channel's rows in its key order, page by page, through the scope's rule; each range's sum against that of the
//!    rows that the offline database has under the same keys. Only a range that differs is compared row by row.
//! 2. The offline database's keys in its own order, counted against those that were met. Only when they do not come out
//!    even are the keys of the uneven ranges looked for in the channel, which is read once more for that.
//! 3. The keys in doubt once more, all under one snapshot of the channel that also knows what changed there since the
//!    register's position, and before and after it in the offline database.

use super::report::{Difference, Standing, TableReport};
use crate::fault::FlowError;
use crate::pull::{Pull, Ruling};
use crate::register::Register;
use crate::selecting;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tillhold_channel::capture::{self, Followed, Pass, own_context};
use tillhold_channel::keyed::Found;
use tillhold_channel::snapshot::Page;
use tillhold_channel::{ChannelError, Link, snapshot};
use tillhold_core::comparison::{Expected, Here, KeySums, Looked, RangeSum, difference};
use tillhold_core::limits;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_local::{Refused, RowHere};
use tokio::sync::mpsc;

/// A key as both sides compare it.
type Folded = Vec<String>;

/// A key in doubt.
struct Candidate {
    key: Key,
    /// Here, and no row of the channel that is this register's was met under it.
    is_stray: bool,
}

pub struct Comparing<'c> {
    register: &'c Register,
    pull: &'c Pull<'c>,
    /// With the position from before the first row was read.
    followed: Followed,
    epochs: &'c [[u8; 16]],
    seen: KeySums,
    candidates: BTreeMap<Folded, Candidate>,
    told: TableReport,
}

impl<'c> Comparing<'c> {
    pub fn of(
        register: &'c Register,
        pull: &'c Pull<'c>,
        followed: Followed,
        epochs: &'c [[u8; 16]],
    ) -> Comparing<'c> {
        let told = TableReport::of(&pull.run.scope.name, &followed.table.name, Standing::Compared);
        let (seen, candidates) = (KeySums::default(), BTreeMap::new());
        Comparing { register, pull, followed, epochs, seen, candidates, told }
    }

    pub async fn run(mut self, link: &mut Link) -> Result<TableReport, FlowError> {
        self.compare_ranges(link).await?;
        self.find_strays(link).await?;
        if !self.candidates.is_empty() {
            self.look_again(link).await?;
        }
        Ok(self.told)
    }

    fn table(&self) -> &Arc<Table> {
        &self.followed.table
    }

    fn suspect(&mut self, key: Key, is_stray: bool) {
        match self.candidates.len() < limits::VERIFY_CANDIDATES_MAX {
            true => {
                let folded = key.folded(self.table());
                self.candidates.insert(folded, Candidate { key, is_stray });
            }
            false => self.told.unexamined += 1,
        }
    }

    async fn compare_ranges(&mut self, link: &mut Link) -> Result<(), FlowError> {
        let Followed { table, filter, restricted, .. } = self.followed.clone();
        let (out, mut pages) = mpsc::channel(limits::LOAD_PAGES_WAITING_MAX);
        let (filter, restricted) = (filter.as_deref(), restricted.as_ref());
        let reading =
            async { Ok(snapshot::pages(link, &table, filter, restricted, None, out).await?) };
        let comparing = async {
            while let Some(page) = pages.recv().await {
                self.compare_page(page).await?;
            }
            Ok::<_, FlowError>(())
        };
        tokio::try_join!(reading, comparing).map(drop)
    }

    async fn compare_page(&mut self, page: Page) -> Result<(), FlowError> {
        let table = self.table().clone();
        let Ruling { kept, dropped, quarantined } =
            self.pull.ruled(&table, page.rows, page.refused).await?;
        self.told.rows_expected += kept.len() as u64;
        self.told.aside += quarantined.len() as u64;
        for range in kept.chunks(limits::VERIFY_RANGE_ROWS_MAX) {
            self.compare_range(range).await?;
        }
        let refused = quarantined.into_iter().map(|one| (one.key, Expected::Refused));
        let dropped = dropped.into_iter().map(|key| (key, Expected::Dropped));
        let others: Vec<(Key, Expected)> = refused.chain(dropped).collect();
        let keys: Vec<Key> = others.iter().map(|(key, _)| key.clone()).collect();
        let here = self.register.local.rows_here(&table.name, &keys).await?;
        for ((key, expected), RowHere { here, .. }) in others.into_iter().zip(here) {
            self.compare_row(key, &expected, &here);
        }
        Ok(())
    }

    async fn compare_range(&mut self, rows: &[Row]) -> Result<(), FlowError> {
        let table = self.table().clone();
        let keys: Arc<[Key]> = rows.iter().map(|row| row.key(&table)).collect();
        self.told.ranges += 1;
        let local = &self.register.local;
        if local.range_sum(&table.name, keys.clone()).await? == RangeSum::of(rows) {
            keys.iter().for_each(|key| self.seen.add(&table, key));
            return Ok(());
        }
        self.told.ranges_differing += 1;
        let here = local.rows_here(&table.name, &keys).await?;
        for (row, RowHere { here, .. }) in rows.iter().zip(here) {
            self.compare_row(row.key(&table), &Expected::Row(row.clone()), &here);
        }
        Ok(())
    }

    fn compare_row(&mut self, key: Key, expected: &Expected, here: &Here) {
        if *here != Here::Nothing {
            self.seen.add(&self.followed.table, &key);
        }
        if difference(expected, here).is_some() {
            self.suspect(key, false);
        }
    }

    /// Rows that are here and that no page of the channel had.
    async fn find_strays(&mut self, link: &mut Link) -> Result<(), FlowError> {
        let table = self.table().clone();
        let mut after = None;
        loop {
            let (keys, is_last) = self.keys_behind(&mut after).await?;
            self.told.rows_offline += keys.len() as u64;
            keys.iter().for_each(|key| self.seen.take(&table, key));
            if is_last {
                break;
            }
        }
        if self.seen.is_even() {
            return Ok(());
        }
        let mut open = self.open_keys().await?;
        self.close(link, &mut open).await?;
        open.into_values().for_each(|key| self.suspect(key, true));
        Ok(())
    }

    async fn keys_behind(&self, after: &mut Option<Key>) -> Result<(Vec<Key>, bool), FlowError> {
        let name = &self.table().name;
        let keys = self.register.local.keys_behind(name, after.clone()).await?;
        *after = keys.last().cloned();
        let is_last = keys.len() < limits::READ_ROWS_MAX;
        Ok((keys, is_last))
    }

    async fn open_keys(&mut self) -> Result<BTreeMap<Folded, Key>, FlowError> {
        let table = self.table().clone();
        let (mut open, mut after) = (BTreeMap::new(), None);
        loop {
            let (keys, is_last) = self.keys_behind(&mut after).await?;
            for key in keys {
                if !self.seen.is_uneven_at(&table, &key) {
                    continue;
                }
                match open.len() < limits::VERIFY_OPEN_KEYS_MAX {
                    true => drop(open.insert(key.folded(&table), key)),
                    false => self.told.unexamined += 1,
                }
            }
            if is_last {
                return Ok(open);
            }
        }
    }

    /// Takes away those that the channel has after all.
    async fn close(
        &self,
        link: &mut Link,
        open: &mut BTreeMap<Folded, Key>,
    ) -> Result<(), FlowError> {
        let Followed { table, filter, restricted, .. } = self.followed.clone();
        let (out, mut pages) = mpsc::channel(limits::LOAD_PAGES_WAITING_MAX);
        let (filter, restricted) = (filter.as_deref(), restricted.as_ref());
        let reading = snapshot::pages(link, &table, filter, restricted, None, out);
        let closing = async {
            while let Some(Page { rows, refused, .. }) = pages.recv().await {
                for row in &rows {
                    open.remove(&row.key(&table).folded(&table));
                }
                for (key, _) in &refused {
                    open.remove(&key.folded(&table));
                }
            }
        };
        let (read, ()) = tokio::join!(reading, closing);
        Ok(read?)
    }

    async fn look_again(&mut self, link: &mut Link) -> Result<(), FlowError> {
        let (table, local) = (self.table().clone(), &self.register.local);
        let candidates = std::mem::take(&mut self.candidates);
        let keys: Vec<Key> = candidates.values().map(|one| one.key.clone()).collect();
        let before = local.rows_here(&table.name, &keys).await?;
        let Some((changed, found)) = self.ask_channel(link, &candidates, &keys).await? else {
            self.told.standing = Standing::Outdated;
            return Ok(());
        };
        let unruled = self.unruled(&found);
        let mut expected = self.expected(found).await?;
        let now = local.rows_here(&table.name, &keys).await?;
        let force = selecting::in_force(self.register).await?;
        // Rows join and leave by another choice without being changed themselves.
        let is_rechosen = force.get(&table.name) != self.followed.restricted.as_ref();
        for (((folded, Candidate { key, is_stray }), before), now) in
            candidates.iter().zip(&before).zip(&now)
        {
            let mut there = expected.remove(folded).unwrap_or(Expected::Nothing);
            if *is_stray && self.followed.restricted.is_some() {
                // By its key the channel gives any row; which are this register's the pages have said.
                there = Expected::Nothing;
            }
            let looked = Looked {
                expected: &there,
                before: &before.here,
                now: &now.here,
                held: now.held.or(before.held),
                is_changed: is_rechosen || changed.contains(folded),
                unruled: unruled.get(folded),
            };
            // Refused rows were counted when their page came.
            if there == Expected::Refused {
                continue;
            }
            if let Some(kind) = self.told.count(looked.verdict()) {
                let named = Difference::of(&table, key, &kind, &there, &now.here);
                self.told.differences.push(named);
            }
        }
        Ok(())
    }

    /// What others changed of the candidates since the register's position, and what is there now, all of one moment;
    /// `None` when the channel no longer knows.
    async fn ask_channel(
        &self,
        link: &mut Link,
        candidates: &BTreeMap<Folded, Candidate>,
        keys: &[Key],
    ) -> Result<Option<(BTreeSet<Folded>, Vec<Found>)>, FlowError> {
        let table = self.table();
        let own = own_context(self.register.local.incarnation());
        let method = self.register.profile.capture;
        let followed = std::slice::from_ref(&self.followed);
        let mut pass = match Pass::begin(link, method, self.epochs, own, followed).await {
            Err(ChannelError::ChannelRestored { .. }) => return Ok(None),
            begun => begun?,
        };
        if pass.standing(0) == capture::Standing::Outdated {
            pass.finish().await?;
            return Ok(None);
        }
        let mut changed = BTreeSet::new();
        while let Some(page) = pass.page(0).await? {
            let others = page.changes.iter().filter(|captured| !captured.own);
            let refused = page.refused.iter().map(|(key, _)| key.clone());
            let keys = others.map(|captured| captured.change.key(table)).chain(refused);
            changed.extend(keys.map(|k| k.folded(table)).filter(|k| candidates.contains_key(k)));
        }
        let found = pass.rows(0, keys).await?;
        pass.finish().await?;
        Ok(Some((changed, found)))
    }

    /// The rows as the channel has them, where this register's own writes go up and do not come back through a rule.
    fn unruled(&self, found: &[Found]) -> BTreeMap<Folded, Row> {
        let run = self.pull.run;
        if run.transformers.is_empty() || !run.is_pushed() {
            return BTreeMap::new();
        }
        let table = self.table();
        let rows = found.iter().filter_map(|one| match one {
            Found::Row(row) => Some((row.key(table).folded(table), row.clone())),
            Found::Nothing | Found::Refused(_) => None,
        });
        rows.collect()
    }

    /// What the offline database should have, by key; nothing where there is no entry.
    async fn expected(&self, found: Vec<Found>) -> Result<BTreeMap<Folded, Expected>, FlowError> {
        let table = self.table();
        let rows = found.into_iter().filter_map(|one| match one {
            Found::Row(row) => Some(row),
            // Its page has said so, and it was counted.
            Found::Nothing | Found::Refused(_) => None,
        });
        let ruled = self.pull.ruled(table, rows.collect(), Vec::new()).await?;
        let mut expected = BTreeMap::new();
        for row in ruled.kept {
            expected.insert(row.key(table).folded(table), Expected::Row(row));
        }
        for key in ruled.dropped {
            expected.insert(key.folded(table), Expected::Dropped);
        }
        for Refused { key, .. } in ruled.quarantined {
            expected.insert(key.folded(table), Expected::Refused);
        }
        Ok(expected)
    }
}
