//! The row filters of a register's tables, bound to the channel's real columns.
//!
//! * Bound when the channel is first asked under them, so that a register opens and sells without it; kept until their
//!   table was altered or a pull of their scope failed.
//! * A filter may go by columns that do not travel, so the channel's own catalogue is asked, not the register's.
//! * A filter that fits no more stops its scope and says where; no row comes in unfiltered.

use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tillhold_channel::{Link, schema};
use tillhold_core::condition::{Bound, Condition};
use tillhold_core::table::TableName;
use tillhold_env::Locked as _;

#[derive(Default)]
pub struct Filters {
    known: Mutex<BTreeMap<TableName, Arc<Bound>>>,
}

impl ScopeRun {
    /// The profile's filter of a table.
    pub fn filter(&self, table: &TableName) -> Option<&Condition> {
        let entry = self.scope.tables.iter().find(|entry| entry.name == *table)?;
        entry.filter.as_ref()
    }
}

impl Register {
    /// As the register remembers it beside the table's position.
    pub fn filter_text(&self, run: &ScopeRun, table: &TableName) -> Option<String> {
        Some(run.filter(table)?.under(self.file.filter_parameters()))
    }

    /// The filter of one table; `None` passes every row.
    pub async fn filter(
        &self,
        link: &mut Link,
        run: &ScopeRun,
        table: &TableName,
    ) -> Result<Option<Arc<Bound>>, FlowError> {
        let Some(condition) = run.filter(table) else { return Ok(None) };
        if let Some(known) = self.filters.lock().get(table) {
            return Ok(Some(known.clone()));
        }
        // Columns of types that do not travel are none of the table's here, and no filter can go by them.
        let described = schema::described(link, std::slice::from_ref(table)).await?;
        let Some(described) = described.into_iter().next() else { return Ok(None) };
        let bound = condition.bind(&described.table, self.file.filter_parameters());
        let bound =
            bound.map_err(|complaints| FlowError::Filter { table: table.clone(), complaints })?;
        let bound = Arc::new(bound);
        self.filters.lock().insert(table.clone(), bound.clone());
        Ok(Some(bound))
    }

    /// The filters of a scope's tables that have one.
    pub async fn filters_of(
        &self,
        link: &mut Link,
        run: &ScopeRun,
    ) -> Result<BTreeMap<TableName, Arc<Bound>>, FlowError> {
        let mut filters = BTreeMap::new();
        for table in &run.tables {
            if let Some(filter) = self.filter(link, run, &table.name).await? {
                filters.insert(table.name.clone(), filter);
            }
        }
        Ok(filters)
    }

    /// The channel's columns are looked up again before the scope's next pull.
    pub fn forget_filters(&self, run: &ScopeRun) {
        let mut known = self.filters.lock();
        run.tables.iter().for_each(|table| drop(known.remove(&table.name)));
    }
}

impl Filters {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TableName, Arc<Bound>>> {
        self.known.locked()
    }
}
