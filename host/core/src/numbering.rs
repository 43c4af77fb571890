//! The numbers of a register's sales: Store-Terminal-Sequence, each used once, whatever was restored or never loaded.
//!
//! * The high-water mark is the highest number known to be used, here or at the channel; the next sale's is above it.
//! * Used numbers are kept as ranges: a sale that was parked may come with a number below the mark, and only one that
//!   was really used is refused.

use crate::limits::NUMBER_RANGES_KEPT;
use crate::table::TableName;

/// Where AX keeps sales and their numbers. Data, so that one place names the columns.
pub struct SalesTables {
    pub schema: &'static str,
    /// A row for each sale.
    pub header: &'static str,
    pub header_store: &'static str,
    pub header_terminal: &'static str,
    pub header_number: &'static str,
    /// What was paid, positive for a sale; AX's GROSSAMOUNT is its negative.
    pub header_amount: &'static str,
    pub header_currency: &'static str,
    /// A row for each register and kind of number, with the last one that was used.
    pub seeds: &'static str,
    pub seed_kind: &'static str,
    pub seed_store: &'static str,
    pub seed_terminal: &'static str,
    pub seed_value: &'static str,
    pub company: &'static str,
}

/// AX 2012 R3's published channel schema.
pub const AX: SalesTables = SalesTables {
    schema: "ax",
    header: "RETAILTRANSACTIONTABLE",
    header_store: "STORE",
    header_terminal: "TERMINAL",
    header_number: "TRANSACTIONID",
    header_amount: "PAYMENTAMOUNT",
    header_currency: "CURRENCY",
    seeds: "RETAILPOSSEEDDATA",
    seed_kind: "DATATYPE",
    seed_store: "STORENUMBER",
    seed_terminal: "TERMINALID",
    seed_value: "DATAVALUE",
    company: "DATAAREAID",
};

impl SalesTables {
    pub fn header(&self) -> TableName {
        TableName::new(self.schema, self.header)
    }

    pub fn seeds(&self) -> TableName {
        TableName::new(self.schema, self.seeds)
    }
}

/// `S0343-T1-`: what a register's own numbers begin with.
pub fn prefix(store: &str, terminal: &str) -> String {
    format!("{store}-{terminal}-")
}

/// The sequence in a sale's number; `None` for a number of another form or of another register.
pub fn sequence(number: &str, store: &str, terminal: &str) -> Option<u64> {
    let prefix = prefix(store, terminal);
    let (head, digits) = (number.get(..prefix.len())?, number.get(prefix.len()..)?.trim_end());
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    (head.eq_ignore_ascii_case(&prefix) && is_number).then(|| digits.parse().ok()).flatten()
}

/// Numbers that were used, as ranges that never touch, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedNumbers(Vec<(u64, u64)>);

impl UsedNumbers {
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    pub fn highest(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }

    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    /// Whether it was not among them before.
    pub fn insert(&mut self, number: u64) -> bool {
        let is_new = !self.contains(number);
        if is_new {
            self.add(number, number);
        }
        is_new
    }

    pub fn add(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first.min(last), first.max(last));
        // Everything that overlaps the new range or touches it becomes part of it.
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.0.partition_point(|(begin, _)| *begin <= last.saturating_add(1));
        for (begin, end) in self.0.drain(from..to.max(from)) {
            (first, last) = (first.min(begin), last.max(end));
        }
        self.0.insert(from, (first, last));
        if self.0.len() > NUMBER_RANGES_KEPT {
            self.0[1].0 = self.0[0].0;
            self.0.remove(0);
        }
    }

    pub fn merge(&mut self, other: &UsedNumbers) {
        other.0.iter().for_each(|(first, last)| self.add(*first, *last));
    }

    /// `1-1500 1502-1502`
    pub fn text(&self) -> String {
        let one = |(first, last): &(u64, u64)| format!("{first}-{last}");
        self.0.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    pub fn parse(text: &str) -> Option<UsedNumbers> {
        let mut used = UsedNumbers::default();
        for range in text.split_whitespace() {
            let (first, last) = range.split_once('-')?;
            used.add(first.parse().ok()?, last.parse().ok()?);
        }
        Some(used)
    }
}

#[cfg(test)]
mod tests {
    use super::{UsedNumbers, sequence};
    use crate::limits::NUMBER_RANGES_KEPT;

    #[test]
    fn only_a_registers_own_numbers_have_a_sequence() {
        for (number, expected) in [
            ("S1-T2-17", Some(17)),
            ("s1-t2-0017  ", Some(17)),
            ("S1-T2-", None),
            ("S1-T2-1x", None),
            ("S1-T22-17", None),
            ("S1-T2-99999999999999999999999", None),
            ("17", None),
            ("ü", None),
        ] {
            assert_eq!(sequence(number, "S1", "T2"), expected, "{number}");
        }
    }

    fn of(text: &str) -> UsedNumbers {
        UsedNumbers::parse(text).expect("ranges of the test")
    }

    #[test]
    fn ranges_that_meet_become_one() {
        for (before, number, after) in [
            ("", 5, "5-5"),
            ("1-4", 5, "1-5"),
            ("6-9", 5, "5-9"),
            ("1-4 6-9", 5, "1-9"),
            ("1-4 7-9", 5, "1-5 7-9"),
            ("1-4 8-9", 6, "1-4 6-6 8-9"),
            ("1-9", 5, "1-9"),
        ] {
            let mut used = of(before);
            assert_eq!(used.insert(number), before != "1-9", "{before}");
            assert_eq!(used.text(), after, "{before} and {number}");
            assert!(used.contains(number));
        }
        let mut used = of("1-3 5-6 9-9 20-30");
        used.add(4, 12);
        assert_eq!(used.text(), "1-12 20-30");
        assert_eq!((used.contains(13), used.contains(20), used.highest()), (false, true, Some(30)));
    }

    #[test]
    fn what_is_not_kept_apart_counts_as_used() {
        let mut used = UsedNumbers::default();
        for number in 0..=NUMBER_RANGES_KEPT as u64 {
            used.insert(number * 10);
        }
        assert_eq!(used.ranges().len(), NUMBER_RANGES_KEPT);
        assert!(used.contains(5), "between the two lowest");
        assert!(!used.contains(15));
        assert_eq!(UsedNumbers::parse(&used.text()), Some(used));
        assert_eq!(UsedNumbers::parse("1-x"), None);
    }
}
