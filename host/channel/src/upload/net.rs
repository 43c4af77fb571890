//! What several writes of one row come to: within a transaction, and from transaction to
//! transaction of a batch.
//!
//! * A row that one transaction inserts and another deletes comes to nothing, and still stands in
//!   its chain: what comes after it builds on it.
//! * The columns to write add up: a later write keeps what an earlier one changed.

use std::collections::HashMap;
use tillhold_core::row::Row;
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Operation, Transaction, Write};

/// A row by its table and its key as SQL Server compares it, as far as a client can tell.
pub(crate) type RowName<'a> = (&'a TableName, Vec<String>);

pub(crate) fn row_name(write: &Write) -> RowName<'_> {
    (&write.table.name, write.key.folded(&write.table))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Insert,
    Update,
    Delete,
}

impl Effect {
    /// As the statement reads it.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Effect::Nothing => "N",
            Effect::Insert => "I",
            Effect::Update => "U",
            Effect::Delete => "D",
        }
    }
}

impl From<Operation> for Effect {
    fn from(operation: Operation) -> Effect {
        match operation {
            Operation::Insert => Effect::Insert,
            Operation::Update => Effect::Update,
            Operation::Delete => Effect::Delete,
        }
    }
}

/// What is done to one row in the end.
#[derive(Clone, Debug)]
pub(crate) struct Net<'a> {
    pub effect: Effect,
    /// Carries table, key and base version: the transaction's first write of the row.
    pub write: &'a Write,
    /// Its position in the transaction.
    pub first: usize,
    pub offline: Option<&'a Row>,
    /// Which columns are written, by position.
    pub changed: Vec<bool>,
}

impl<'a> Net<'a> {
    fn of(write: &'a Write, first: usize) -> Net<'a> {
        let mut changed = vec![false; write.table.columns.len()];
        for at in write.changed() {
            changed[at] = true;
        }
        let effect = write.operation.into();
        Net { effect, write, first, offline: write.offline.as_ref(), changed }
    }

    /// Both as one, told of the later write.
    pub(crate) fn then(&self, later: &Net<'a>) -> Net<'a> {
        use Effect::{Delete, Insert, Nothing, Update};
        let whole = || vec![true; later.changed.len()];
        let (effect, changed) = match (self.effect, later.effect) {
            (_, Nothing) => return self.clone(),
            (Nothing | Insert, Delete) => (Nothing, Vec::new()),
            (Nothing | Insert, Insert | Update) => (Insert, whole()),
            // The row is there and stays there, with all that the new one says.
            (Delete, Insert | Update) => (Update, whole()),
            (Update | Delete, Delete) => (Delete, Vec::new()),
            (Update, Insert | Update) => {
                let either = |(a, b): (&bool, &bool)| *a || *b;
                (Update, self.changed.iter().zip(&later.changed).map(either).collect())
            }
        };
        Net { effect, write: later.write, first: later.first, offline: later.offline, changed }
    }
}

/// One for each row that a transaction changes, in the order of the rows' last writes.
pub(crate) fn net_effect(transaction: &Transaction) -> Vec<Net<'_>> {
    let mut nets: Vec<Option<Net<'_>>> = Vec::with_capacity(transaction.writes.len());
    let mut known: HashMap<RowName<'_>, usize> = HashMap::new();
    for (at, write) in transaction.writes.iter().enumerate() {
        let net = Net::of(write, at);
        let earlier = known.insert(row_name(write), nets.len()).and_then(|at| nets[at].take());
        nets.push(match earlier {
            None => Some(net),
            // Version and position are the first write's: that is what the register had seen.
            Some(earlier) => {
                let both = earlier.then(&net);
                Some(Net { write: earlier.write, first: earlier.first, ..both })
            }
        });
    }
    nets.into_iter().flatten().filter(|net| net.effect != Effect::Nothing).collect()
}
