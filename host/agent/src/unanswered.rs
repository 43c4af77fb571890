//! Reads that the channel could not answer: each is told once until it works again, however often a till asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tillhold_core::table::TableName;

#[derive(Default)]
pub struct Unanswered(Mutex<BTreeMap<TableName, &'static str>>);

impl Unanswered {
    pub fn is_news(&self, table: &TableName, code: &'static str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(table.clone(), code) != Some(code)
    }

    pub fn is_over(&self, table: &TableName) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.is_empty() {
            told.remove(table);
        }
    }
}
