//! A session's temporary tables: which are in reach, what scope made them, and SQLite tables that wait for reuse.
//!
//! A temporary table that goes out of scope is emptied and kept aside: the next one of the same definition takes it
//! over, and SQLite's prepared statements stay good (SQL Server caches temporary tables of procedures likewise).

use super::catalogue::{Relation, fold};
use super::refusal;
use crate::answer::SqlError;
use std::collections::HashMap;
use std::sync::Arc;

/// Tables kept aside for reuse; more are dropped.
const SPARE_MAX: usize = 64;
/// Temporary tables of one session at once.
pub const TEMPORARY_MAX: usize = 200;

#[derive(Debug, Default)]
pub struct Temporary {
    live: HashMap<String, Entry>,
    /// Definition -> tables of that shape, empty.
    spare: HashMap<String, Vec<Arc<Relation>>>,
    spares: usize,
    made: i32,
    /// Made within SQLite's present transaction: a rollback takes them away.
    pub made_below: Vec<i32>,
}

#[derive(Debug)]
struct Entry {
    table: Arc<Relation>,
    definition: String,
    /// How deep in calls it was made; it goes when that call ends.
    depth: u32,
    /// The transaction it was made in; it goes when that one rolls back.
    transaction: Option<u64>,
}

impl Temporary {
    pub fn find(&self, name: &str) -> Result<Arc<Relation>, SqlError> {
        self.live
            .get(&fold(name))
            .map(|entry| entry.table.clone())
            .ok_or_else(|| refusal::unknown_object(name))
    }

    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// A name for SQLite and a number that no other temporary table of the session has.
    pub fn next(&mut self, name: &str) -> (String, i32) {
        self.made += 1;
        (format!("{name}~{}", self.made), -self.made)
    }

    pub fn take_spare(&mut self, definition: &str) -> Option<Arc<Relation>> {
        let table = self.spare.get_mut(definition)?.pop()?;
        self.spares -= 1;
        Some(table)
    }

    pub fn add(
        &mut self,
        name: &str,
        table: Arc<Relation>,
        definition: String,
        depth: u32,
        transaction: Option<u64>,
    ) {
        self.live.insert(fold(name), Entry { table, definition, depth, transaction });
    }

    /// Takes a table out of reach. The caller empties it and hands it to [`Temporary::keep`], or drops it.
    pub fn remove(&mut self, name: &str) -> Option<(Arc<Relation>, String)> {
        self.live.remove(&fold(name)).map(|entry| (entry.table, entry.definition))
    }

    /// Whether there was room; if not, the caller drops the table.
    pub fn keep(&mut self, table: Arc<Relation>, definition: String) -> bool {
        if self.spares >= SPARE_MAX {
            return false;
        }
        self.spares += 1;
        self.spare.entry(definition).or_default().push(table);
        true
    }

    pub fn made_deeper_than(&self, depth: u32) -> Vec<String> {
        self.names(|entry| entry.depth > depth)
    }

    pub fn made_in(&self, transaction: u64) -> Vec<String> {
        self.names(|entry| entry.transaction == Some(transaction))
    }

    pub fn all(&self) -> Vec<String> {
        self.names(|_| true)
    }

    /// Whether a table is older than the transaction: its rows must come back when that one rolls back.
    pub fn is_older(&self, table: &Relation, transaction: u64) -> bool {
        self.live
            .values()
            .any(|entry| entry.table.id == table.id && entry.transaction != Some(transaction))
    }

    pub fn forget_made_below(&mut self) {
        let gone = std::mem::take(&mut self.made_below);
        self.live.retain(|_, entry| !gone.contains(&entry.table.id));
        for tables in self.spare.values_mut() {
            tables.retain(|table| !gone.contains(&table.id));
        }
        self.spares = self.spare.values().map(Vec::len).sum();
    }

    fn names(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<String> {
        self.live.iter().filter(|(_, entry)| wanted(entry)).map(|(name, _)| name.clone()).collect()
    }
}
