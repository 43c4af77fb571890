//! How T-SQL values compare, as SQLite collations.

use super::text::lower;
use rusqlite::Connection;
use std::cmp::Ordering;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_collation("TSQL_CI", folded)?;
    connection.create_collation("TSQL_BIN", exact)?;
    connection.create_collation("TSQL_DECIMAL", decimal)?;
    connection.create_collation("TSQL_MOMENT", moment)?;
    connection.create_collation("TSQL_OFFSET", offset)?;
    connection.create_collation("TSQL_GUID", guid)
}

/// Blind to case and to trailing blanks: the default collation's equality. Its order is only ours.
pub fn folded(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    let (mut at_a, mut at_b) = (a.bytes(), b.bytes());
    loop {
        match (at_a.next(), at_b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii() && y.is_ascii() => {
                match x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase()) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                }
            }
            // From the first character outside ASCII on, fold whole strings.
            _ => return a.chars().map(lower).cmp(b.chars().map(lower)),
        }
    }
}

/// Code points, blind to trailing blanks only.
pub fn exact(a: &str, b: &str) -> Ordering {
    a.trim_end_matches(' ').cmp(b.trim_end_matches(' '))
}

/// Numbers whatever their scale: canonical texts of one scale and sign compare by length first.
fn decimal(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    // One column's values have one scale: then digits of one length compare as they stand.
    let point = |text: &str| text.bytes().position(|byte| byte == b'.');
    let plain = a.len() == b.len() && !a.starts_with('-') && !b.starts_with('-');
    if plain && point(a) == point(b) {
        return a.cmp(b);
    }
    match (Decimal::parse(a), Decimal::parse(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // Never written by the engine; any total order will do.
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// Canonical moments of different precision: digits that are missing are zeros.
fn moment(a: &str, b: &str) -> Ordering {
    let shared = a.len().min(b.len());
    match a.as_bytes()[..shared].cmp(&b.as_bytes()[..shared]) {
        Ordering::Equal if a.len() == b.len() => return Ordering::Equal,
        Ordering::Equal => {}
        unequal => return unequal,
    }
    let zeros = |rest: &[u8]| rest.iter().all(|byte| matches!(byte, b'.' | b'0'));
    match (zeros(&a.as_bytes()[shared..]), zeros(&b.as_bytes()[shared..])) {
        (false, _) => Ordering::Greater,
        (_, false) => Ordering::Less,
        _ => Ordering::Equal,
    }
}

/// Instants, whatever the offset they are written at.
fn offset(a: &str, b: &str) -> Ordering {
    let instant =
        |text: &str| match tillhold_core::text::parse(text, SqlType::DateTimeOffset { scale: 7 }) {
            Ok(Value::OffsetTimestamp(moment)) => moment.utc.0,
            _ => i64::MIN,
        };
    instant(a).cmp(&instant(b))
}

/// Places of a guid's byte pairs in its text, most significant first, as SQL Server compares them.
const GUID_ORDER: [usize; 16] = [24, 26, 28, 30, 32, 34, 19, 21, 16, 14, 11, 9, 6, 4, 2, 0];

fn guid(a: &str, b: &str) -> Ordering {
    if a.len() != 36 || b.len() != 36 {
        return a.cmp(b);
    }
    let pair = |text: &str, at: usize| (text.as_bytes()[at], text.as_bytes()[at + 1]);
    GUID_ORDER
        .iter()
        .map(|at| pair(a, *at).cmp(&pair(b, *at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::{decimal, exact, folded, guid, moment, offset};
    use std::cmp::Ordering::{self, Equal, Greater, Less};

    #[test]
    fn values_compare_as_sql_server_does() {
        type Collation = fn(&str, &str) -> Ordering;
        let cases: &[(Collation, &str, &str, Ordering)] = &[
            (folded, "abc", "ABC  ", Equal),
            (folded, "straße", "STRASSE", Greater),
            (folded, "äb", "ÄB ", Equal),
            (folded, "a", "ab", Less),
            (exact, "abc", "abc   ", Equal),
            (exact, "abc", "ABC", Greater),
            (decimal, "9.50", "10.5", Less),
            (decimal, "-9.50", "-10.5", Greater),
            (decimal, "1.5", "1.50", Equal),
            (moment, "2026-01-01 00:00:00", "2026-01-01 00:00:00.000", Equal),
            (moment, "2026-01-01 00:00:00.1", "2026-01-01 00:00:00", Greater),
            (moment, "2026-01-01", "2026-01-02 00:00:00", Less),
            (offset, "2026-01-01 12:00:00 +01:00", "2026-01-01 11:00:00 +00:00", Equal),
            (
                guid,
                "01000000-0000-0000-0000-000000000002",
                "ff000000-0000-0000-0000-000000000001",
                Greater,
            ),
            (
                guid,
                "0000ff01-0000-0000-0000-000000000000",
                "00000002-0000-0000-0000-000000000000",
                Less,
            ),
        ];
        for (collation, a, b, order) in cases {
            assert_eq!(collation(a, b), *order, "{a} against {b}");
            assert_eq!(collation(b, a), order.reverse(), "{b} against {a}");
        }
    }
}
