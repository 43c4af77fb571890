//! Which transactions may go in one statement: those in which no row occurs twice.
//!
//! A set-based statement has one meaning only if each row of the channel meets at most one write.
//! So a batch is cut where a transaction touches a row that an earlier one of the same wave
//! touched. Order is kept; most sales touch rows of their own, and then the whole batch is one
//! wave.

use std::collections::HashSet;
use std::ops::Range;
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Receipt, Transaction};

type RowName<'a> = (&'a TableName, Vec<String>);

/// Consecutive ranges that cover all transactions.
pub(crate) fn waves(transactions: &[Transaction]) -> Vec<Range<usize>> {
    let mut waves = Vec::new();
    let mut start = 0;
    let mut seen: HashSet<RowName<'_>> = HashSet::new();
    for (at, transaction) in transactions.iter().enumerate() {
        let rows = rows_of(transaction);
        if rows.iter().any(|row| seen.contains(row)) {
            waves.push(start..at);
            start = at;
            seen.clear();
        }
        seen.extend(rows);
    }
    if start < transactions.len() {
        waves.push(start..transactions.len());
    }
    waves
}

/// Those of `wave` that share a row with an earlier transaction that was contested or held back
/// itself.
pub(crate) fn held_back(
    transactions: &[Transaction],
    receipts: &[Receipt],
    wave: Range<usize>,
) -> HashSet<usize> {
    let is_open = |receipt: &Receipt| matches!(receipt, Receipt::Contested(_));
    let open = transactions.iter().zip(receipts).filter(|(_, receipt)| is_open(receipt));
    let open: HashSet<RowName<'_>> = open.flat_map(|(t, _)| rows_of(t)).collect();
    // No two of a wave share a row, so none of them holds another back.
    wave.filter(|at| rows_of(&transactions[*at]).iter().any(|row| open.contains(row))).collect()
}

/// The rows that a transaction touches, by table and key as SQL Server compares it.
fn rows_of(transaction: &Transaction) -> HashSet<RowName<'_>> {
    transaction.writes.iter().map(|w| (&w.table.name, w.key.folded(&w.table))).collect()
}

#[cfg(test)]
mod tests {
    use super::{held_back, waves};
    use crate::upload::payload::tests::{transaction, write};
    use tillhold_core::transaction::{Operation, Receipt};

    #[test]
    fn a_row_occurs_once_in_a_wave() {
        let insert = |key| write(Operation::Insert, key, 1);
        let batch = [
            transaction(1, vec![insert("a"), insert("b")]),
            transaction(2, vec![insert("c")]),
            // The channel compares blind to case.
            transaction(3, vec![insert("A")]),
            transaction(4, vec![insert("c")]),
        ];
        assert_eq!(waves(&batch), [0..2, 2..4]);
        assert_eq!(waves(&[]), Vec::<std::ops::Range<usize>>::new());
    }

    #[test]
    fn what_depends_on_a_contested_transaction_waits_for_it() {
        let update = |key| write(Operation::Update, key, 1);
        let batch = [
            transaction(1, vec![update("a"), update("b")]),
            transaction(2, vec![update("b")]),
            transaction(3, vec![update("c")]),
        ];
        let contested = [Receipt::Contested(Vec::new())];
        assert_eq!(held_back(&batch, &contested, 1..3), [1].into());
        assert!(held_back(&batch, &[Receipt::Applied], 1..3).is_empty());
    }
}
