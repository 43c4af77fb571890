//! Rows that several transactions of one batch write: the typical one is the register's seed row,
//! which every sale counts up.
//!
//! * A row's writes form a chain, oldest first. Each link carries what the chain comes to up to
//!   there, so that the statement writes one row once, whichever transaction turns out to be the
//!   last that goes through.
//! * Only the first link is held against the channel; a transaction that does not go through holds
//!   back all later ones that share a row with it, and those that share one with them. So what goes
//!   through of a chain is its beginning.
//! * Two keys that only the client takes for one are found by the statement, which then writes
//!   nothing.

use super::net::{Effect, Net, RowName, net_effect, row_name};
use std::collections::{HashMap, HashSet};
use tillhold_core::transaction::{Receipt, Transaction};

/// A row of one transaction, told from the beginning of its chain.
pub(crate) struct Link<'a> {
    pub net: Net<'a>,
    /// 1 for the first transaction of the batch that writes the row.
    pub depth: usize,
    /// Whether the chain begins with a delete: the row may be gone already, and what comes after is
    /// an insert then.
    pub after_delete: bool,
}

/// A transaction that is part of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub chain: usize,
    pub transaction: usize,
}

#[derive(Default)]
pub(crate) struct Chains<'a> {
    rows: HashMap<RowName<'a>, Chain<'a>>,
    /// Of chains with two transactions or more.
    pub memberships: Vec<Membership>,
    count: usize,
}

struct Chain<'a> {
    net: Net<'a>,
    depth: usize,
    after_delete: bool,
    first: usize,
    number: usize,
}

impl<'a> Chains<'a> {
    /// The rows of the next transaction of the batch.
    pub(crate) fn extend(&mut self, ordinal: usize, transaction: &'a Transaction) -> Vec<Link<'a>> {
        net_effect(transaction).into_iter().map(|net| self.add(ordinal, net)).collect()
    }

    fn add(&mut self, ordinal: usize, net: Net<'a>) -> Link<'a> {
        let name = row_name(net.write);
        let Some(chain) = self.rows.get_mut(&name) else {
            let after_delete = net.effect == Effect::Delete;
            let chain =
                Chain { net: net.clone(), depth: 1, after_delete, first: ordinal, number: 0 };
            self.rows.insert(name, chain);
            return Link { net, depth: 1, after_delete };
        };
        if chain.depth == 1 {
            chain.number = self.count;
            self.count += 1;
            self.memberships.push(Membership { chain: chain.number, transaction: chain.first });
        }
        self.memberships.push(Membership { chain: chain.number, transaction: ordinal });
        chain.depth += 1;
        chain.net = chain.net.then(&net);
        let (depth, after_delete) = (chain.depth, chain.after_delete);
        Link { net: chain.net.clone(), depth, after_delete }
    }
}

/// Rows of transactions that did not go through: who touches one of them has to wait.
#[derive(Default)]
pub(crate) struct Blocked<'a> {
    rows: HashSet<RowName<'a>>,
}

impl<'a> Blocked<'a> {
    /// Whether the transaction has to wait; then what it touches is blocked as well.
    pub(crate) fn holds(&mut self, transaction: &'a Transaction) -> bool {
        let held = touched(transaction).any(|row| self.rows.contains(&row));
        if held {
            self.rows.extend(touched(transaction));
        }
        held
    }

    pub(crate) fn note(&mut self, transaction: &'a Transaction, receipt: &Receipt) {
        if !matches!(receipt, Receipt::Applied | Receipt::AlreadyThere) {
            self.rows.extend(touched(transaction));
        }
    }
}

/// A row that a transaction makes and takes away again is none of its own.
fn touched(transaction: &Transaction) -> impl Iterator<Item = RowName<'_>> {
    net_effect(transaction).into_iter().map(|net| row_name(net.write))
}

#[cfg(test)]
mod tests {
    use super::{Blocked, Chains, Membership};
    use crate::upload::payload::tests::{transaction, write};
    use tillhold_core::transaction::{Operation, Receipt, Transaction};

    /// `a1:I b1:I` for the row `a` at depth 1 with the effect of an insert, a line a transaction.
    fn chained(batch: &[Transaction]) -> (Vec<String>, Vec<Membership>) {
        let mut chains = Chains::default();
        let mut lines = Vec::new();
        for (at, transaction) in batch.iter().enumerate() {
            let links = chains.extend(at, transaction);
            let one = |link: &super::Link<'_>| {
                let tillhold_core::value::Value::Text(key) = &link.net.write.key.0[0] else {
                    panic!("no text key")
                };
                format!("{key}{}:{}", link.depth, link.net.effect.letter())
            };
            lines.push(links.iter().map(one).collect::<Vec<_>>().join(" "));
        }
        (lines, chains.memberships)
    }

    #[test]
    fn each_link_tells_its_chain_from_the_beginning() {
        use Operation::{Delete, Insert, Update};
        let one = |number, operation, key| transaction(number, vec![write(operation, key, 2)]);
        for (operations, expected) in [
            (&[Insert, Update][..], &["a1:I", "a2:I"][..]),
            (&[Insert, Delete, Insert], &["a1:I", "a2:N", "a3:I"]),
            (&[Update, Update, Delete], &["a1:U", "a2:U", "a3:D"]),
            (&[Update, Delete, Insert, Update], &["a1:U", "a2:D", "a3:U", "a4:U"]),
            (&[Delete, Insert, Delete], &["a1:D", "a2:U", "a3:D"]),
        ] {
            let batch: Vec<Transaction> = operations
                .iter()
                .enumerate()
                .map(|(at, operation)| one(at as u8, *operation, "a"))
                .collect();
            assert_eq!(chained(&batch).0, expected, "{operations:?}");
        }
    }

    #[test]
    fn memberships_are_of_shared_rows_only() {
        let update = |key| write(Operation::Update, key, 1);
        let batch = [
            transaction(1, vec![update("a"), update("b")]),
            transaction(2, vec![update("c")]),
            // The channel compares blind to case.
            transaction(3, vec![update("B")]),
            transaction(4, vec![update("b")]),
        ];
        let (_, memberships) = chained(&batch);
        let of = |transaction| Membership { chain: 0, transaction };
        assert_eq!(memberships, [of(0), of(2), of(3)]);
    }

    #[test]
    fn what_depends_on_a_transaction_that_waits_waits_too() {
        let update = |key| write(Operation::Update, key, 1);
        let batch = [
            transaction(1, vec![update("a"), update("b")]),
            transaction(2, vec![update("B"), update("c")]),
            transaction(3, vec![update("c")]),
            transaction(4, vec![update("d")]),
        ];
        let mut blocked = Blocked::default();
        blocked.note(&batch[0], &Receipt::Clash);
        let held: Vec<bool> = batch[1..].iter().map(|t| blocked.holds(t)).collect();
        assert_eq!(held, [true, true, false]);
        let mut free = Blocked::default();
        free.note(&batch[0], &Receipt::AlreadyThere);
        assert!(!free.holds(&batch[1]));
    }
}
