//! A bar a scope while the register is provisioned.

use crate::generate::{DemoStore, ProfileScope};
use crate::progress::{Bar, Stage};
use crate::register::Provisioned;
use std::collections::HashMap;
use tillhold_core::profile::Direction;

/// The present scope's bar: its tables' rows against what the generator put into them.
pub(crate) struct ScopeBars<'a> {
    stage: &'a Stage,
    totals: HashMap<String, u64>,
    present: Option<Bar>,
    tables: HashMap<String, u64>,
    /// Of all scopes that are done.
    pub(crate) rows: u64,
}

impl<'a> ScopeBars<'a> {
    pub(crate) fn new(store: &DemoStore, stage: &'a Stage) -> ScopeBars<'a> {
        let counts: HashMap<String, u64> =
            store.loads().iter().map(|load| (load.table.name.to_string(), load.count)).collect();
        let pulled = store.scopes.iter().filter(|s| s.direction != Direction::Upload);
        let total = |scope: &ProfileScope| {
            let rows = scope.tables.iter().filter_map(|table| counts.get(&table.to_string()));
            (scope.name.clone(), rows.sum())
        };
        let totals = pulled.map(total).collect();
        ScopeBars { stage, totals, present: None, tables: HashMap::new(), rows: 0 }
    }

    pub(crate) fn show(&mut self, step: Provisioned) {
        match step {
            Provisioned::Rows { scope, table, rows } => {
                self.begin(&scope);
                self.tables.insert(table, rows);
                let rows = self.tables.values().sum();
                self.present.iter().for_each(|bar| bar.set(rows));
            }
            Provisioned::Scope { scope, rows } => {
                self.begin(&scope);
                self.present.iter().for_each(|bar| self.stage.finish(bar, rows));
                self.rows += rows;
            }
            Provisioned::All { .. } => {}
        }
    }

    fn begin(&mut self, scope: &str) {
        if self.present.as_ref().is_some_and(|bar| bar.name() == scope) {
            return;
        }
        let total = self.totals.get(scope).copied().unwrap_or(0);
        self.present = Some(self.stage.bar(scope, total));
        self.tables.clear();
    }
}
