//! A table's first load: read, ruled and written at once, page by page.
//!
//! * While a page is written the next one is ruled and a third is read, with one waiting between: reading, ruling and
//!   writing wait for each other only when one is slower.
//! * A row that the channel has but that cannot be carried is set aside like one that a rule
//!   refused; the others come.

use super::{Pull, Ruling, balanced};
use crate::fault::FlowError;
use std::sync::Arc;
use tillhold_channel::snapshot::Page;
use tillhold_channel::{Link, snapshot};
use tillhold_core::limits;
use tillhold_core::row::Key;
use tillhold_core::stage::Tally;
use tillhold_core::table::Table;
use tokio::sync::mpsc;

/// A page with what becomes of its rows.
struct RuledPage {
    rows_in: u64,
    ruling: Ruling,
    last_key: Option<Key>,
}

impl Pull<'_> {
    pub(super) async fn load_pages(
        &self,
        link: &mut Link,
        table: &Arc<Table>,
        after: Option<Key>,
    ) -> Result<Tally, FlowError> {
        let (out, pages) = mpsc::channel(limits::LOAD_PAGES_WAITING_MAX);
        let (ruled_out, ruled) = mpsc::channel(limits::LOAD_PAGES_WAITING_MAX);
        let filter = self.filters.get(&table.name).map(Arc::as_ref);
        let restricted = self.force.get(&table.name);
        let reading =
            async { Ok(snapshot::pages(link, table, filter, restricted, after, out).await?) };
        let ruling = self.rule_pages(table, pages, ruled_out);
        let ((), (), tally) = tokio::try_join!(reading, ruling, self.write_pages(table, ruled))?;
        self.register.local.end_load(&table.name).await?;
        balanced("load", tally)
    }

    async fn rule_pages(
        &self,
        table: &Arc<Table>,
        mut pages: mpsc::Receiver<Page>,
        out: mpsc::Sender<RuledPage>,
    ) -> Result<(), FlowError> {
        while let Some(Page { rows, refused, last_key }) = pages.recv().await {
            let rows_in = (rows.len() + refused.len()) as u64;
            let ruling = self.ruled(table, rows, refused).await?;
            // Who writes has failed, and says why.
            if out.send(RuledPage { rows_in, ruling, last_key }).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn write_pages(
        &self,
        table: &Arc<Table>,
        mut pages: mpsc::Receiver<RuledPage>,
    ) -> Result<Tally, FlowError> {
        let mut tally = Tally::default();
        while let Some(page) = pages.recv().await {
            tally += self.write_page(table, page).await?;
            self.progress.loaded(&self.run.scope.name, table, tally.rows_in);
        }
        Ok(tally)
    }

    async fn write_page(&self, table: &Arc<Table>, page: RuledPage) -> Result<Tally, FlowError> {
        let RuledPage { rows_in, ruling, last_key } = page;
        let (dropped, quarantined) = (ruling.dropped.len() as u64, ruling.quarantined.len() as u64);
        self.set_aside(table, &ruling, Vec::new()).await?;
        let refused: Vec<Key> =
            ruling.quarantined.iter().map(|refused| refused.key.clone()).collect();
        if !refused.is_empty() {
            // A load takes what it does not bring for gone; a refused row stays as the register has it.
            self.register.local.keep_while_loading(&table.name, refused).await?;
        }
        let written = match last_key {
            Some(last_key) => {
                self.register.local.load_page(&table.name, ruling.kept, last_key).await?
            }
            None => Tally::default(),
        };
        let dropped = dropped + written.dropped;
        balanced("load", Tally { rows_in, applied: written.applied, dropped, quarantined })
    }
}
