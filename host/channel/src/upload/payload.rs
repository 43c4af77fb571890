//! What one upload statement carries: transactions and their rows as one JSON text, every value in
//! canonical text.
//!
//! * Writes of one transaction to the same row are folded to their net effect ([`super::net`]); a
//!   contest is reported at the first of them. A row that several transactions write carries what
//!   it comes to up to there ([`super::chains`]).
//! * Text that the channel could not hold as it is (U+0000 inside, a code page without the letter)
//!   is refused here.

use super::Outgoing;
use super::chains::{Chains, Link, Membership};
use super::net::Effect;
use super::statement::{Part, payload_positions, upload_sql};
use crate::decision;
use crate::error::ChannelError;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use tillhold_core::conflict::Decision;
use tillhold_core::profile::Capture;
use tillhold_core::table::{Column, Table};
use tillhold_core::text::{canonical_text, hexadecimal};
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
    pub(crate) fn of(capture: Capture, sent: &[Outgoing<'a>]) -> Result<Payload<'a>, ChannelError> {
        let mut rows = Rows { capture, parts: Vec::new(), json: Vec::new() };
        let mut headers = Vec::with_capacity(sent.len());
        let mut writes = Vec::with_capacity(sent.len());
        let mut chains = Chains::default();
        let mut decisions = Vec::new();
        for (ordinal, one) in sent.iter().enumerate() {
            let Outgoing { transaction, altered, .. } = one;
            decisions.extend(one.decisions.iter().map(|made| decision_json(ordinal, made)));
            headers.push(json!({
                "s": ordinal,
                "id": transaction.id.to_string(),
                "h": hexadecimal(&transaction.hash.0),
                "n": transaction.writes.len(),
                "q": transaction.sequence.0,
            }));
            let links = chains.extend(ordinal, transaction);
            for (number, link) in links.iter().enumerate() {
                let place =
                    Place { ordinal, number, is_altered: altered.contains(&link.net.first) };
                rows.add(place, link)?;
            }
            writes.push(links.iter().map(|link| link.net.first).collect());
        }
        let sql = upload_sql(&rows.parts, !decisions.is_empty());
        let tables = rows.parts.iter().map(|part| part.table).collect();
        let json = rows.into_json(&headers, &chains.memberships, &decisions)?;
        Ok(Payload { json, sql, tables, writes })
    }

    /// The position in [`Transaction::writes`](tillhold_core::transaction::Transaction::writes)
    /// that a row stands for.
    pub(crate) fn write_of(&self, transaction: usize, row: usize) -> Option<usize> {
        self.writes.get(transaction)?.get(row).copied()
    }
}

struct Place {
    /// Of the transaction in the statement.
    ordinal: usize,
    /// Of the row in its transaction.
    number: usize,
    is_altered: bool,
}

/// Rows by table, in the order in which tables first occur.
struct Rows<'a> {
    capture: Capture,
    parts: Vec<Part<'a>>,
    /// Of each table its rows, with commas between them.
    json: Vec<String>,
}

impl<'a> Rows<'a> {
    fn add(&mut self, place: Place, link: &Link<'a>) -> Result<(), ChannelError> {
        let table: &'a Table = &link.net.write.table;
        let at = match self.parts.iter().position(|part| part.table == table) {
            Some(at) => at,
            None => {
                self.parts.push(Part { capture: self.capture, ..Part::of(table) });
                self.json.push(String::new());
                self.parts.len() - 1
            }
        };
        let part = &mut self.parts[at];
        match link.net.effect {
            Effect::Nothing => {}
            Effect::Insert => part.inserts = true,
            Effect::Update => part.updates = true,
            Effect::Delete => part.deletes = true,
        }
        part.is_chained |= link.depth > 1;
        part.has_altered |= place.is_altered;
        if link.depth > 1 && link.after_delete && link.net.effect == Effect::Update {
            part.revives = true;
            part.inserts = true;
        }
        let row = SentRow::of(&place, link)?;
        let json = &mut self.json[at];
        if !json.is_empty() {
            json.push(',');
        }
        json.push_str(&as_text(&row)?);
        Ok(())
    }

    fn into_json(
        self,
        headers: &[Json],
        memberships: &[Membership],
        decisions: &[Json],
    ) -> Result<String, ChannelError> {
        let mut whole = format!("{{\"t\":{}", as_text(&headers)?);
        if !decisions.is_empty() {
            whole += &format!(",\"j\":{}", as_text(&decisions)?);
        }
        if !memberships.is_empty() {
            let one = |m: &Membership| json!({ "g": m.chain, "t": m.transaction });
            let memberships: Vec<Json> = memberships.iter().map(one).collect();
            whole += &format!(",\"l\":{}", as_text(&memberships)?);
        }
        for (at, rows) in self.json.iter().enumerate() {
            whole.extend([&format!(",\"r{at}\":["), rows.as_str(), "]"]);
        }
        whole.push('}');
        Ok(whole)
    }
}

fn as_text(json: &impl Serialize) -> Result<String, ChannelError> {
    // Only a map whose names are no texts could fail.
    serde_json::to_string(json)
        .map_err(|error| ChannelError::Unexpected { what: format!("of an upload, {error}") })
}

fn decision_json(ordinal: usize, decision: &Decision) -> Json {
    let mut json = decision::as_json(decision);
    json.insert("s".to_string(), ordinal.into());
    Json::Object(json)
}

/// A row as it is sent, written straight into text: a day's sales are some hundred thousand cells.
struct SentRow<'a> {
    place: &'a Place,
    link: &'a Link<'a>,
    /// NULL is left out: that is what OPENJSON makes of a missing name.
    cells: Vec<(Name, Cow<'a, str>)>,
}

/// `k0`, `c12`
struct Name(char, usize);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}{}", self.0, self.1))
    }
}

impl<'a> SentRow<'a> {
    fn of(place: &'a Place, link: &'a Link<'_>) -> Result<SentRow<'a>, ChannelError> {
        let net = &link.net;
        let table: &Table = &net.write.table;
        let mut cells = Vec::with_capacity(table.columns.len());
        for (at, (value, column)) in net.write.key.0.iter().zip(table.key_columns()).enumerate() {
            put(&mut cells, Name('k', at), value, (column, table))?;
        }
        if let (Some(offline), Effect::Insert | Effect::Update) = (net.offline, net.effect) {
            for at in payload_positions(table).filter(|at| net.changed[*at]) {
                put(&mut cells, Name('c', at), &offline.0[at], (&table.columns[at], table))?;
            }
        }
        Ok(SentRow { place, link, cells })
    }
}

impl Serialize for SentRow<'_> {
    /// Depth and decision are left out where they are the usual ones.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let net = &self.link.net;
        let mut row = serializer.serialize_map(None)?;
        row.serialize_entry("t", &self.place.ordinal)?;
        row.serialize_entry("w", &self.place.number)?;
        row.serialize_entry("o", net.effect.letter())?;
        row.serialize_entry("b", &net.write.base_version.0)?;
        if self.link.depth > 1 {
            row.serialize_entry("d", &self.link.depth)?;
        }
        if self.place.is_altered {
            row.serialize_entry("r", &1)?;
        }
        if net.offline.is_some() && net.effect == Effect::Update {
            row.serialize_entry("m", &mask(&net.changed))?;
        }
        for (name, text) in &self.cells {
            row.serialize_entry(name, text)?;
        }
        row.end()
    }
}

/// `0110`: which columns are written, in the table's order.
fn mask(changed: &[bool]) -> String {
    changed.iter().map(|written| if *written { '1' } else { '0' }).collect()
}

fn put<'a>(
    cells: &mut Vec<(Name, Cow<'a, str>)>,
    name: Name,
    value: &'a Value,
    (column, table): (&Column, &Table),
) -> Result<(), ChannelError> {
    let Some(text) = canonical_text(value, column.of) else { return Ok(()) };
    if text.contains('\0') {
        return Err(ChannelError::Unwritable {
            table: table.name.clone(),
            column: column.name.clone(),
            reason: "the text holds the character U+0000".to_string(),
        });
    }
    cells.push((name, text));
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Outgoing, Payload};
    use std::sync::Arc;
    use tillhold_core::profile::Capture;
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
        let payload =
            Payload::of(Capture::default(), &[Outgoing::plain(&transaction)]).expect("a payload");
        let json: serde_json::Value = serde_json::from_str(&payload.json).expect("JSON");
        let rows = json.get("r0").map(|rows| rows.to_string()).unwrap_or_default();
        assert_eq!(rows, expected);
    }

    #[test]
    fn writes_of_one_row_are_sent_as_their_net_effect() {
        use Operation::{Delete, Insert, Update};
        let insert = r#"[{"t":0,"w":0,"o":"I","b":7,"k0":"a","c1":"2","c2":"n"}]"#;
        let update = r#"[{"t":0,"w":0,"o":"U","b":7,"m":"010","k0":"a","c1":"2"}]"#;
        let replace = r#"[{"t":0,"w":0,"o":"U","b":7,"m":"111","k0":"a","c1":"2","c2":"n"}]"#;
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

    /// What a batch sends of its one table, and the chains.
    fn check_batch(batch: &[Transaction], rows: &str, chains: &str) {
        let sent: Vec<Outgoing<'_>> = batch.iter().map(Outgoing::plain).collect();
        let payload = Payload::of(Capture::default(), &sent).expect("a payload");
        let json: serde_json::Value = serde_json::from_str(&payload.json).expect("JSON");
        let text = |name: &str| json.get(name).map(|part| part.to_string()).unwrap_or_default();
        assert_eq!((text("r0"), text("l")), (rows.to_string(), chains.to_string()));
    }

    #[test]
    fn a_row_of_several_transactions_tells_what_it_comes_to() {
        use Operation::{Insert, Update};
        let chained = [
            transaction(1, vec![write(Insert, "a", 1)]),
            transaction(2, vec![write(Update, "A", 2)]),
        ];
        let first = r#"{"t":0,"w":0,"o":"I","b":7,"k0":"a","c1":"1","c2":"n"}"#;
        let second = r#"{"t":1,"w":0,"o":"I","b":7,"d":2,"k0":"A","c1":"2","c2":"n"}"#;
        check_batch(&chained, &format!("[{first},{second}]"), r#"[{"g":0,"t":0},{"g":0,"t":1}]"#);
        let apart = [
            transaction(1, vec![write(Insert, "a", 1)]),
            transaction(2, vec![write(Insert, "b", 1)]),
        ];
        let other = r#"{"t":1,"w":0,"o":"I","b":7,"k0":"b","c1":"1","c2":"n"}"#;
        check_batch(&apart, &format!("[{first},{other}]"), "");
    }

    #[test]
    fn a_zero_character_is_refused_before_it_is_cut() {
        let refused = transaction(1, vec![write(Operation::Insert, "a\0b", 1)]);
        let error =
            Payload::of(Capture::default(), &[Outgoing::plain(&refused)]).err().expect("a refusal");
        assert_eq!(error.code(), "channel-unwritable");
    }
}
