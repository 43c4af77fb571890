//! A table's first load: read, ruled and written at once, page by page.
//!
//! * While a page is written the next one waits and a third is read: reading and writing wait for
//!   each other only when one is slower.
//! * A row that the channel has but that cannot be carried is set aside like one that a rule
//!   refused; the others come.

use super::{Pull, Ruling, balanced};
use crate::fault::FlowError;
use std::sync::Arc;
use tillhold_channel::snapshot::Page;
use tillhold_channel::{Link, snapshot};
use tillhold_core::limits;
use tillhold_core::row::{Key, Row};
use tillhold_core::stage::Tally;
use tillhold_core::table::Table;
use tokio::sync::mpsc;

impl Pull<'_> {
    pub(super) async fn load_pages(
        &self,
        link: &mut Link,
        table: &Arc<Table>,
        after: Option<Key>,
    ) -> Result<Tally, FlowError> {
        let (out, pages) = mpsc::channel(limits::LOAD_PAGES_WAITING_MAX);
        let filter = self.filters.get(&table.name).map(Arc::as_ref);
        let restricted = self.force.get(&table.name);
        let reading =
            async { Ok(snapshot::pages(link, table, filter, restricted, after, out).await?) };
        let ((), tally) = tokio::try_join!(reading, self.write_pages(table, pages))?;
        self.register.local.end_load(&table.name).await?;
        balanced("load", tally)
    }

    async fn write_pages(
        &self,
        table: &Arc<Table>,
        mut pages: mpsc::Receiver<Page>,
    ) -> Result<Tally, FlowError> {
        let mut tally = Tally::default();
        while let Some(page) = pages.recv().await {
            tally += self.load_page(table, page).await?;
            self.progress.loaded(&self.run.scope.name, table, tally.rows_in);
        }
        Ok(tally)
    }

    async fn load_page(&self, table: &Arc<Table>, page: Page) -> Result<Tally, FlowError> {
        let rows_in = (page.rows.len() + page.refused.len()) as u64;
        let ruled = self.ruled(table, page.rows, page.refused).await?;
        let (dropped, quarantined) = (ruled.dropped.len() as u64, ruled.quarantined.len() as u64);
        self.set_aside(table, &ruled, Vec::new()).await?;
        let refused: Vec<Key> =
            ruled.quarantined.iter().map(|refused| refused.key.clone()).collect();
        if !refused.is_empty() {
            // A load takes what it does not bring for gone; a refused row stays as the register has it.
            self.register.local.keep_while_loading(&table.name, refused).await?;
        }
        let written = match page.last_key {
            Some(last_key) => {
                self.register.local.load_page(&table.name, ruled.kept, last_key).await?
            }
            None => Tally::default(),
        };
        let dropped = dropped + written.dropped;
        balanced("load", Tally { rows_in, applied: written.applied, dropped, quarantined })
    }

    /// A page is what SQLite commits well; a plugin takes less at once.
    pub(super) async fn rule_in_batches(
        &self,
        table: &Arc<Table>,
        mut rows: Vec<Row>,
    ) -> Result<Ruling, FlowError> {
        if self.run.transformers.is_empty() {
            return Ok(Ruling { kept: rows, ..Ruling::default() });
        }
        let mut ruling = Ruling::default();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(limits::PULL_PAGE_ROWS_MAX));
            ruling.add(self.rule(table, rows).await?);
            rows = rest;
        }
        Ok(ruling)
    }
}
