//! Rows that are asked for again, changed or not: in the pass's own moment, so that they are as its changes leave them.

use super::{Counted, Pull};
use crate::fault::FlowError;
use tillhold_channel::capture::{Captured, Followed, Page, Pass};
use tillhold_channel::keyed::Found;
use tillhold_core::row::{Change, Key};
use tillhold_core::table::TableName;
use tillhold_core::version::ChannelVersion;

impl Pull<'_> {
    /// Stages them; which were asked for, to be forgotten once they have landed.
    pub(super) async fn ask_again(
        &self,
        pass: &mut Pass<'_>,
        tables: &[Followed],
        counted: &mut Counted,
    ) -> Result<Vec<(TableName, Vec<Key>)>, FlowError> {
        let local = &self.register.local;
        let mut asked = Vec::new();
        if !local.scopes_to_ask_again().await?.contains(&self.run.scope.name) {
            return Ok(asked);
        }
        for (at, followed) in tables.iter().enumerate() {
            let keys = local.keys_to_ask_again(&followed.table.name).await?;
            if !keys.is_empty() {
                let found = pass.rows(at, &keys).await?;
                *counted += self.stage(&followed.table, page(&keys, found, pass.reached())).await?;
                asked.push((followed.table.name.clone(), keys));
            }
        }
        Ok(asked)
    }
}

fn page(keys: &[Key], found: Vec<Found>, version: ChannelVersion) -> Page {
    let mut page = Page::default();
    for (key, found) in keys.iter().zip(found) {
        let change = match found {
            Found::Row(row) => Change::Present(row),
            Found::Nothing => Change::Gone(key.clone()),
            Found::Refused(reason) => {
                page.refused.push((key.clone(), reason));
                continue;
            }
        };
        page.changes.push(Captured { change, version, own: false, is_elsewhere: false });
    }
    page
}
