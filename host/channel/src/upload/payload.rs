//! What one upload statement carries: transactions and their rows as one JSON text, every value in
//! canonical text.
//!
//! * Writes of one transaction to the same row are folded to their net effect, so that the
//!   statement meets each row once; a contest is reported at the first of them.
//! * Text that the channel could not hold as it is (U+0000 inside, a code page without the letter)
//!   is refused here.

use crate::error::ChannelError;
use crate::upload::statement::{Part, payload_positions, upload_sql};
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;
use tillhold_core::row::Row;
use tillhold_core::table::{Column, Table};
use tillhold_core::text::{canonical, hexadecimal};
use tillhold_core::transaction::{Operation, Transaction, Write};
use tillhold_core::value::Value;

pub(crate) struct Payload<'a> {
    pub json: String,
    pub sql: String,
    /// In the order of `r0`, `r1`, …
    pub tables: Vec<&'a Table>,
    /// Rows in a transaction, and the write each stands for.
    writes: Vec<Vec<usize>>,
}

impl<'a> Payload<'a> {
    pub(crate) fn of(sent: &[&'a Transaction]) -> Result<Payload<'a>, ChannelError> {
        let mut rows = Rows { parts: Vec::new(), json: Vec::new() };
        let mut headers = Vec::with_capacity(sent.len());
        let mut writes = Vec::with_capacity(sent.len());
        for (ordinal, transaction) in sent.iter().enumerate() {
            headers.push(json!({
                "s": ordinal,
                "id": transaction.id.to_string(),
                "h": hexadecimal(&transaction.hash.0),
                "n": transaction.writes.len(),
            }));
            let nets = net_effect(transaction);
            for (number, net) in nets.iter().enumerate() {
                rows.add(ordinal, number, net)?;
            }
            writes.push(nets.iter().map(|net| net.first).collect());
        }
        let sql = upload_sql(&rows.parts);
        let tables = rows.parts.iter().map(|part| part.table).collect();
        Ok(Payload { json: rows.into_json(headers), sql, tables, writes })
    }

    /// The position in [`Transaction::writes`] that a row stands for.
    pub(crate) fn write_of(&self, transaction: usize, row: usize) -> Option<usize> {
        self.writes.get(transaction)?.get(row).copied()
    }
}

/// Rows by table, in the order in which tables first occur.
struct Rows<'a> {
    parts: Vec<Part<'a>>,
    json: Vec<Vec<Json>>,
}

impl<'a> Rows<'a> {
    fn add(&mut self, ordinal: usize, number: usize, net: &Net<'a>) -> Result<(), ChannelError> {
        let table: &'a Table = &net.write.table;
        let at = match self.parts.iter().position(|part| part.table == table) {
            Some(at) => at,
            None => {
                self.parts.push(Part { table, inserts: false, updates: false, deletes: false });
                self.json.push(Vec::new());
                self.parts.len() - 1
            }
        };
        match net.operation {
            Operation::Insert => self.parts[at].inserts = true,
            Operation::Update => self.parts[at].updates = true,
            Operation::Delete => self.parts[at].deletes = true,
        }
        self.json[at].push(row_json(ordinal, number, net)?);
        Ok(())
    }

    fn into_json(self, headers: Vec<Json>) -> String {
        let mut whole = Map::new();
        whole.insert("t".to_string(), Json::from(headers));
        for (at, rows) in self.json.into_iter().enumerate() {
            whole.insert(format!("r{at}"), Json::from(rows));
        }
        Json::Object(whole).to_string()
    }
}

fn row_json(ordinal: usize, number: usize, net: &Net<'_>) -> Result<Json, ChannelError> {
    let table: &Table = &net.write.table;
    let letter = match net.operation {
        Operation::Insert => "I",
        Operation::Update => "U",
        Operation::Delete => "D",
    };
    let mut row = Map::new();
    row.insert("t".to_string(), ordinal.into());
    row.insert("w".to_string(), number.into());
    row.insert("o".to_string(), letter.into());
    row.insert("b".to_string(), net.write.base_version.0.into());
    for (at, (value, column)) in net.write.key.0.iter().zip(table.key_columns()).enumerate() {
        put(&mut row, format!("k{at}"), value, column, table)?;
    }
    if let Some(offline) = net.offline {
        if net.operation == Operation::Update {
            row.insert("m".to_string(), mask(&net.changed, table.columns.len()).into());
        }
        for at in payload_positions(table).filter(|at| net.changed.contains(at)) {
            put(&mut row, format!("c{at}"), &offline.0[at], &table.columns[at], table)?;
        }
    }
    Ok(Json::Object(row))
}

/// `0110`: which columns the register changed, in the table's order.
fn mask(changed: &[usize], columns: usize) -> String {
    (0..columns).map(|at| if changed.contains(&at) { '1' } else { '0' }).collect()
}

/// NULL is left out: that is what OPENJSON makes of a missing name.
fn put(
    row: &mut Map<String, Json>,
    name: String,
    value: &Value,
    column: &Column,
    table: &Table,
) -> Result<(), ChannelError> {
    let Some(text) = canonical(value, column.of) else { return Ok(()) };
    if text.contains('\0') {
        return Err(ChannelError::Unwritable {
            table: table.name.clone(),
            column: column.name.clone(),
            reason: "the text holds the character U+0000".to_string(),
        });
    }
    row.insert(name, text.into());
    Ok(())
}

/// What one transaction does to one row in the end.
struct Net<'a> {
    operation: Operation,
    /// Carries table, key and base version: the first write's.
    write: &'a Write,
    /// Its position in the transaction.
    first: usize,
    offline: Option<&'a Row>,
    /// Positions of the columns to write.
    changed: Vec<usize>,
}

fn net_effect(transaction: &Transaction) -> Vec<Net<'_>> {
    let mut nets: Vec<Option<Net<'_>>> = Vec::with_capacity(transaction.writes.len());
    let mut known = HashMap::new();
    for (at, write) in transaction.writes.iter().enumerate() {
        let row = (&write.table.name, write.key.folded(&write.table));
        let earlier = known.get(&row).copied().and_then(|at: usize| nets[at].take());
        known.insert(row, nets.len());
        let changed = write.changed();
        let net = Net {
            operation: write.operation,
            write,
            first: at,
            offline: write.offline.as_ref(),
            changed,
        };
        nets.push(match earlier {
            None => Some(net),
            Some(earlier) => folded(earlier, net),
        });
    }
    nets.into_iter().flatten().collect()
}

/// Two writes of one row as one; `None` when nothing is left of them.
fn folded<'a>(earlier: Net<'a>, later: Net<'a>) -> Option<Net<'a>> {
    use Operation::{Delete, Insert, Update};
    let whole = || (0..later.write.table.columns.len()).collect::<Vec<usize>>();
    let (operation, changed) = match (earlier.operation, later.operation) {
        (Insert, Delete) => return None,
        (Insert, _) => (Insert, whole()),
        // The row is there and stays there, with all that the new one says.
        (Delete, Insert | Update) => (Update, whole()),
        (_, Delete) => (Delete, Vec::new()),
        (Update, Insert | Update) => {
            let mut changed = earlier.changed;
            changed.extend(&later.changed);
            (Update, changed)
        }
    };
    let (write, first) = (earlier.write, earlier.first);
    Some(Net { operation, write, first, offline: later.offline, changed })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Payload;
    use std::sync::Arc;
    use tillhold_core::row::{Key, Row};
    use tillhold_core::table::Table;
    use tillhold_core::transaction::{ContentHash, Operation, Transaction, TransactionId, Write};
    use tillhold_core::value::Value;
    use tillhold_core::version::{ChannelVersion, Sequence};

    pub(crate) fn cards() -> Arc<Table> {
        Arc::new(crate::sample::table(
            "ax.CARDS",
            &["CARD nvarchar(20)", "POINTS int", "NOTE nvarchar(max) null"],
            &["CARD"],
        ))
    }

    fn row(key: &str, points: i64) -> Row {
        let note = Value::Text("n".to_string());
        Row(vec![Value::Text(key.to_string()), Value::Int(points), note])
    }

    /// A write whose base, where there is one, has one point less.
    pub(crate) fn write(operation: Operation, key: &str, points: i64) -> Write {
        let base = (operation != Operation::Insert).then(|| row(key, points - 1));
        let offline = (operation != Operation::Delete).then(|| row(key, points));
        Write {
            table: cards(),
            operation,
            key: Key(vec![Value::Text(key.to_string())]),
            base,
            offline,
            base_version: ChannelVersion(7),
        }
    }

    pub(crate) fn transaction(number: u8, writes: Vec<Write>) -> Transaction {
        Transaction {
            id: TransactionId([number; 16]),
            hash: ContentHash([number; 32]),
            sequence: Sequence(number.into()),
            writes,
        }
    }

    /// The rows of one transaction as they are sent.
    fn check(writes: Vec<Write>, expected: &str) {
        let transaction = transaction(1, writes);
        let payload = Payload::of(&[&transaction]).expect("a payload");
        let json: serde_json::Value = serde_json::from_str(&payload.json).expect("JSON");
        let rows = json.get("r0").map(|rows| rows.to_string()).unwrap_or_default();
        assert_eq!(rows, expected);
    }

    #[test]
    fn writes_of_one_row_are_sent_as_their_net_effect() {
        use Operation::{Delete, Insert, Update};
        let insert = r#"[{"t":0,"w":0,"o":"I","b":7,"k0":"a","c1":"2","c2":"n"}]"#;
        let update = r#"[{"t":0,"w":0,"o":"U","b":7,"k0":"a","m":"010","c1":"2"}]"#;
        let replace = r#"[{"t":0,"w":0,"o":"U","b":7,"k0":"a","m":"111","c1":"2","c2":"n"}]"#;
        let delete = r#"[{"t":0,"w":0,"o":"D","b":7,"k0":"a"}]"#;
        let last = |operation| write(operation, "a", 2);
        check(vec![last(Insert)], insert);
        check(vec![last(Update)], update);
        check(vec![last(Delete)], delete);
        check(vec![write(Insert, "a", 1), write(Update, "A", 2)], insert);
        check(vec![write(Update, "a", 1), last(Update)], update);
        check(vec![write(Update, "a", 1), last(Delete)], delete);
        check(vec![write(Delete, "a", 1), last(Insert)], replace);
        check(vec![write(Insert, "a", 1), last(Delete)], "");
        check(vec![write(Insert, "a", 1), write(Delete, "a", 1), last(Insert)], insert);
    }

    #[test]
    fn a_zero_character_is_refused_before_it_is_cut() {
        let refused = transaction(1, vec![write(Operation::Insert, "a\0b", 1)]);
        let error = Payload::of(&[&refused]).err().expect("a refusal");
        assert_eq!(error.code(), "channel-unwritable");
    }
}
