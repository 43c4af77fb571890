//! PUT a transaction: rows in several tables under one UUID, whole or not at all, as often as the POS likes.
//!
//! * An answer of 200 or 201 is a promise: the sale is on disk here, or in the channel, and will be in the channel
//!   exactly once.
//! * Same id and same body: the same answer, whatever has become of the profile since. Same id, other body: 409, and
//!   nothing is written.
//! * Every sale is on the register's own disk before anything else happens to it. Channel-first then waits for push
//!   to bring it into the channel and says so; when the channel does not answer in time the answer is "offline", and
//!   nothing has to be moved or repeated. Local-first answers at once.

use super::extract::{Part, Whole};
use super::problem::Problem;
use super::{Door, json};
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::freshness;
use crate::numbers;
use crate::register::Register;
use crate::sync::PUSH;
use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tillhold_channel::ChannelError;
use tillhold_core::default::DefaultValue;
use tillhold_core::fit::fit;
use tillhold_core::limits;
use tillhold_core::moment::Timestamp;
use tillhold_core::profile::WritePath;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Column, Table, TableName};
use tillhold_core::transaction::{ContentHash, Operation, TransactionId};
use tillhold_core::value::Value;
use tillhold_local::{Recorded, RowWrite, TransactionState};

pub async fn put(
    State(door): State<Door>,
    Part(id): Part,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let id = transaction_id(&id)?;
    Ok(commit(&door.agent, id, &body).await?.answer(id))
}

pub async fn get(State(door): State<Door>, Part(id): Part) -> Result<JsonBody<Json>, Problem> {
    let id = transaction_id(&id)?;
    match door.agent.register().local.lookup(id).await.map_err(FlowError::from)? {
        Some(record) => Ok(JsonBody(json!({
            "id": id.to_string(),
            "state": state(record.state),
            "received_at_ms": record.received_at_ms,
            "reason": record.reason.map(|(code, words)| format!("{code}: {words}")),
        }))),
        None => Err(Problem::new(
            404,
            "transaction-unknown",
            "this register does not remember the transaction",
        )
        .hint("a sale that went straight to the channel is found there, in tillhold.ledger")),
    }
}

/// What a person let go of is called as the command is that does it.
fn state(state: TransactionState) -> &'static str {
    match state {
        TransactionState::Released => "discarded",
        other => other.name(),
    }
}

fn transaction_id(text: &str) -> Result<TransactionId, Problem> {
    TransactionId::parse(text).ok_or_else(|| {
        Problem::new(422, "transaction-id", format!("'{text}' is not a UUID"))
            .hint("give each POS transaction a UUID and keep it over retries")
    })
}

/// Read and written under one profile; waited for under whichever comes.
async fn commit(agent: &Agent, id: TransactionId, body: &Json) -> Result<Committed, Problem> {
    let shapes = agent.shape_lock().read().await;
    let hash = content_hash(body);
    let recorded = match Sale::read(agent, id, body) {
        Ok(sale) => sale.record(agent, hash).await,
        Err(refusal) => Err(refusal),
    };
    let replayed = match recorded {
        Ok(replayed) => replayed,
        Err(refusal) => known(agent, id, hash, refusal).await?,
    };
    agent.note_sale();
    drop(shapes);
    agent.nudge.notify_one();
    let channel_first = agent.register().profile.write_path == WritePath::ChannelFirst;
    let stands = push_stands(agent);
    let waits = channel_first && agent.state().sells_on_channel() && !stands;
    let place = match (waits, replayed) {
        (true, _) => await_channel(agent, id).await,
        (false, true) => place(agent, id).await?,
        // Just now written; where push brings it meanwhile is not what was promised.
        (false, false) => Place::Pending,
    };
    Ok(Committed { place, replayed, warnings: freshness::warnings(agent) })
}

/// What is refused now may be here already: taken under an earlier profile, or a moment ago by the same request. Then the
/// answer is that of before; it always is `true`.
async fn known(
    agent: &Agent,
    id: TransactionId,
    hash: ContentHash,
    refusal: Problem,
) -> Result<bool, Problem> {
    match agent.register().local.lookup(id).await {
        Ok(Some(record)) if record.hash == hash => Ok(true),
        Ok(Some(_)) => Err(clash()),
        Ok(None) | Err(_) => Err(refusal),
    }
}

/// Nothing is known of when push brings a sale to the channel: it stands still, or a rule fails on the way up.
fn push_stands(agent: &Agent) -> bool {
    agent.scope_report(PUSH).fault.is_some() || agent.register().plugins.book.push_fails()
}

struct Committed {
    place: Place,
    replayed: bool,
    warnings: Vec<Json>,
}

/// Where a recorded sale is.
enum Place {
    /// In the channel, with its ledger entry; a copy is on the register.
    Channel,
    /// On the register's disk, to be pushed.
    Pending,
    /// On the register's disk until a person has decided a conflict.
    Deferred,
    /// On the register's disk, but the channel refused it: a person must look.
    SetAside(Option<String>),
}

impl Committed {
    fn answer(self, id: TransactionId) -> Response {
        let status = if self.replayed { StatusCode::OK } else { StatusCode::CREATED };
        let (at, quarantined) = match self.place {
            Place::Channel => ("channel", None),
            Place::Pending | Place::Deferred => ("offline", None),
            Place::SetAside(reason) => ("offline", Some(reason.unwrap_or_default())),
        };
        let body = json!({
            "id": id.to_string(),
            "committed": at,
            "replayed": self.replayed,
            "quarantined": quarantined,
            "warnings": self.warnings,
        });
        (status, JsonBody(body)).into_response()
    }
}

/// A checked transaction: every row has its table's shape and values that fit.
struct Sale {
    id: TransactionId,
    rows: Vec<SaleRow>,
}

struct SaleRow {
    /// Its index in the body, from 0.
    at: usize,
    table: Arc<Table>,
    operation: Operation,
    /// Given cells by position; an insert has them all.
    cells: Vec<Option<Value>>,
}

impl Sale {
    fn read(agent: &Agent, id: TransactionId, body: &Json) -> Result<Sale, Problem> {
        let rows = body["rows"].as_array().filter(|rows| !rows.is_empty()).ok_or_else(|| {
            Problem::new(422, "transaction-rows", "the body has no rows").hint(
                "send {\"rows\": [{\"table\": …, \"operation\": \"insert\", \"values\": {…}}]}",
            )
        })?;
        if rows.len() > limits::TRANSACTION_ROWS_MAX {
            let most = limits::TRANSACTION_ROWS_MAX;
            let detail = format!("{} rows; one transaction may have {most}", rows.len());
            return Err(Problem::new(413, "transaction-rows", detail));
        }
        let row = |(at, row)| sale_row(agent, at, row);
        let rows = rows.iter().enumerate().map(row).collect::<Result<_, _>>()?;
        Ok(Sale { id, rows })
    }

    /// On the register's disk; whether it was there before.
    async fn record(self, agent: &Agent, hash: ContentHash) -> Result<bool, Problem> {
        let (register, id, rows) = (agent.register(), self.id, self.rows);
        let inserted = rows.iter().filter(|row| row.operation == Operation::Insert);
        let number = |row: &SaleRow| numbers::sequence_of(&register, &row.table, &row.cells);
        let numbers: Vec<u64> = inserted.filter_map(number).collect();
        let writes =
            rows.into_iter().map(|row| row.local_write(agent)).collect::<Result<_, _>>()?;
        admit(agent, &register, id, &numbers).await?;
        let received_at_ms = register.env.clock.wall_ms();
        let recorded = register
            .local
            .record(id, hash, writes, received_at_ms)
            .await
            .map_err(FlowError::from)?;
        match recorded {
            Recorded::Committed => {
                // From here on they are used.
                numbers.into_iter().for_each(|number| agent.numbers.note(number));
                Ok(false)
            }
            Recorded::AlreadyThere => Ok(true),
            Recorded::Clash => Err(clash()),
        }
    }
}

/// A register without fresh data may refuse what is new, and a sale's number is used once. What is known under its id
/// is no news, and is answered as before.
async fn admit(
    agent: &Agent,
    register: &Register,
    id: TransactionId,
    numbers: &[u64],
) -> Result<(), Problem> {
    let of_data = freshness::refusal(agent);
    let of_numbers = numbers::refusal(agent, register).filter(|_| !numbers.is_empty());
    if (numbers.is_empty() && of_data.is_none())
        || register.local.lookup(id).await.map_err(FlowError::from)?.is_some()
    {
        return Ok(());
    }
    if let Some(refusal) = of_data.or(of_numbers) {
        return Err(refusal.into());
    }
    match numbers.iter().find(|number| agent.numbers.is_used(**number)) {
        None => Ok(()),
        Some(number) => Err(number_used(register, *number)),
    }
}

/// Waits for push to bring the sale to the channel, at most as long as the register waits before it goes offline. Whatever
/// goes wrong meanwhile: the sale is on the register's disk.
async fn await_channel(agent: &Agent, id: TransactionId) -> Place {
    let (mut settlements, mut steps) = (agent.settlements(), agent.steps());
    let next_round = agent.rounds.next();
    let settled = async {
        loop {
            // Asked before the place: what a round settles it has settled before its end.
            let is_passed_over = agent.rounds.has_ended(next_round);
            let Ok(place) = place(agent, id).await else { return Place::Pending };
            let is_over = is_passed_over || push_stands(agent) || agent.is_stopping();
            if !matches!(place, Place::Pending) || is_over || !agent.state().sells_on_channel() {
                return place;
            }
            // Both senders live as long as the agent, so neither wait can fail.
            tokio::select! {
                _ = settlements.changed() => {}
                _ = steps.changed() => {}
                () = agent.stopped() => {}
            }
        }
    };
    let limit = agent.register().profile.offline_timeout;
    match tokio::time::timeout(limit, settled).await {
        Ok(place) => place,
        // The channel is not to blame for a rule.
        Err(_elapsed) if agent.register().plugins.book.holds_push_up() => Place::Pending,
        Err(_elapsed) => {
            agent.suffer(ChannelError::Timeout { what: "take a sale", limit });
            Place::Pending
        }
    }
}

async fn place(agent: &Agent, id: TransactionId) -> Result<Place, Problem> {
    let record = agent.register().local.lookup(id).await.map_err(FlowError::from)?;
    Ok(match record.map(|record| (record.state, record.reason)) {
        Some((TransactionState::Settled, _)) => Place::Channel,
        Some((TransactionState::Deferred, _)) => Place::Deferred,
        Some((TransactionState::Quarantined | TransactionState::Released, reason)) => {
            Place::SetAside(reason.map(|(code, words)| format!("{code}: {words}")))
        }
        Some((TransactionState::Pending, _)) | None => Place::Pending,
    })
}

fn number_used(register: &Register, number: u64) -> Problem {
    let (store, register_id) = (&register.file.store, &register.file.register);
    let detail = format!("{store}-{register_id}-{number} is the number of an earlier sale");
    Problem::new(409, "number-used", detail).hint(
        "nothing was written; take the next number from RETAILPOSSEEDDATA, which has the last used one",
    )
}

fn clash() -> Problem {
    Problem::new(409, "transaction-clash", "another transaction is known under this id")
        .hint(
            "nothing was written. A repeat sends what was sent first, as it was spelled; only a sale that was never sent gets \
             an id of its own",
        )
}

/// SHA-256 of the body's canonical JSON: keys sorted, so that a POS may write them in any order.
fn content_hash(body: &Json) -> ContentHash {
    let mut text = String::new();
    canonical(&mut text, &body["rows"]);
    ContentHash(Sha256::digest(text).into())
}

fn canonical(text: &mut String, json: &Json) {
    // Quoted text and bare literals cannot be mistaken for each other or for a container's head.
    match json {
        Json::Object(members) => {
            let mut members: Vec<(&String, &Json)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            *text += &format!("{{{}", members.len());
            for (name, member) in members {
                quoted(text, name);
                canonical(text, member);
            }
        }
        Json::Array(items) => {
            *text += &format!("[{}", items.len());
            items.iter().for_each(|item| canonical(text, item));
        }
        Json::String(word) => quoted(text, word),
        other => *text += &format!("{other},"),
    }
}

/// As JSON writes it. Most words are plain, and a sale has thousands.
fn quoted(text: &mut String, word: &str) {
    let is_plain = |byte: u8| !matches!(byte, 0..0x20 | b'"' | b'\\');
    match word.bytes().all(is_plain) {
        true => text.extend(["\"", word, "\","]),
        false => *text += &format!("{},", Json::from(word)),
    }
}

/// What a row may have.
const ROW_MEMBERS: [&str; 3] = ["table", "operation", "values"];

fn sale_row(agent: &Agent, at: usize, row: &Json) -> Result<SaleRow, Problem> {
    let wrong = |code, detail: String| Problem::new(422, code, format!("row {at}: {detail}"));
    let members = || row.as_object().into_iter().flat_map(|members| members.keys());
    if let Some(other) = members().find(|name| !ROW_MEMBERS.contains(&name.as_str())) {
        let known = ROW_MEMBERS.join(", ");
        return Err(wrong("body-member", format!("has a member {other:?}; a row has {known}")));
    }
    let name = row["table"].as_str().and_then(TableName::parse);
    let name = name.ok_or_else(|| wrong("row-table", "names no table".to_string()))?;
    let register = agent.register();
    let Some((run, table)) = register.table(&name) else {
        return Err(wrong("row-table", format!("{name} is in no scope of the profile")));
    };
    if !run.is_pushed() {
        return Err(wrong("row-table", format!("{name} is downloaded only"))
            .hint("make its scope upload or bidirectional, or write another table"));
    }
    let operation = match &row["operation"] {
        Json::Null => Operation::Insert,
        word if word == "insert" => Operation::Insert,
        word if word == "update" => Operation::Update,
        word if word == "delete" => Operation::Delete,
        other => {
            return Err(wrong("row-operation", format!("{other} is not insert, update or delete")));
        }
    };
    let values = row["values"].as_object();
    let values = values.ok_or_else(|| wrong("row-values", "has no values".to_string()))?;
    let mut cells = vec![None; table.columns.len()];
    let mut next = 0;
    for (column, given) in values {
        // Most name the columns in the table's order, and it may have hundreds.
        let is_next = |at: &Column| at.name.eq_ignore_ascii_case(column);
        let in_order = table.columns.get(next).is_some_and(is_next).then_some(next);
        let Some(position) = in_order.or_else(|| table.position(column)) else {
            return Err(wrong("row-column", format!("{name} has no column {column} that travels")));
        };
        let value = json::from_json(given, &table.columns[position])
            .map_err(|misfit| wrong("row-value", format!("{name}.{column}: {misfit}")))?;
        if matches!(&value, Value::Text(text) if text.contains('\0')) {
            let detail = format!("{name}.{column} has a U+0000, which does not travel");
            return Err(wrong("row-value", detail));
        }
        if cells[position].replace(value).is_some() {
            return Err(wrong("row-column", format!("{name}.{column} is given twice")));
        }
        next = position + 1;
    }
    Ok(SaleRow { at, table: table.clone(), operation, cells })
}

impl SaleRow {
    /// The whole row of an insert: what was not given takes the channel's default.
    fn whole(self, agent: &Agent) -> Result<Row, Problem> {
        let cell = |(given, column): (Option<Value>, &Column)| match given {
            Some(value) => Ok(value),
            None => default_of(agent, column).ok_or_else(|| {
                let (at, name) = (self.at, &self.table.name);
                let why = match column.default {
                    Some(_) => "has a default that only the channel can compute",
                    None => "has no default",
                };
                let detail = format!("row {at}: {name}.{} {why}: give it a value", column.name);
                Problem::new(422, "row-value", detail)
            }),
        };
        self.cells.into_iter().zip(&self.table.columns).map(cell).collect::<Result<_, _>>().map(Row)
    }

    fn key(&self) -> Result<Key, Problem> {
        let part = |at: &usize| {
            self.cells[*at].clone().ok_or_else(|| {
                let (row, name, column) =
                    (self.at, &self.table.name, &self.table.columns[*at].name);
                let detail = format!("row {row}: {name}.{column} is part of the key: give it");
                Problem::new(422, "row-key", detail)
            })
        };
        self.table.key.iter().map(part).collect::<Result<_, _>>().map(Key)
    }

    fn local_write(self, agent: &Agent) -> Result<RowWrite, Problem> {
        let table = self.table.name.clone();
        Ok(match self.operation {
            Operation::Insert => RowWrite::Insert { table, row: self.whole(agent)? },
            Operation::Delete => RowWrite::Delete { table, key: self.key()? },
            Operation::Update => {
                let key = self.key()?;
                let given = self.cells.into_iter().enumerate();
                let cells = given.filter_map(|(at, cell)| Some((at, cell?))).collect();
                RowWrite::Amend { table, key, cells }
            }
        })
    }
}

/// The value that SQL Server would give; `None` for a NOT NULL column without a default, or one that only the channel
/// can compute.
fn default_of(agent: &Agent, column: &Column) -> Option<Value> {
    let env = &agent.register().env;
    let value = match column.default_value() {
        None => return column.nullable.then_some(Value::Null),
        Some(DefaultValue::Constant(value)) => return Some(value),
        Some(DefaultValue::UtcNow) => {
            Value::Timestamp(Timestamp::from_unix_ms(env.clock.wall_ms()))
        }
        Some(DefaultValue::NewGuid) => Value::Guid(env.random.uuid()),
        Some(DefaultValue::Computed) => return None,
    };
    fit(value, column.of).ok()
}

#[cfg(test)]
mod tests {
    use super::{canonical, content_hash};
    use serde_json::json;

    /// The hash lies in the journals and in the channel's ledger: a sale that is sent again must be known.
    #[test]
    fn a_bodys_hash_is_that_of_its_canonical_text() {
        let words = ["", "plain", "Ärger\u{1F600}", "a\"b\\c", "tab\tnul\u{0}", "\u{7f}\u{2028}"];
        let mut text = String::new();
        canonical(&mut text, &json!({ "b": words, "a\n": [null, true, 1.50, -7] }));
        let expected = "{2\"a\\n\",[4null,true,1.5,-7,\"b\",[6\"\",\"plain\",\"Ärger\u{1F600}\",\
                        \"a\\\"b\\\\c\",\"tab\\tnul\\u0000\",\"\u{7f}\u{2028}\",";
        assert_eq!(text, expected);
        let (one, other) = (json!({ "x": 1, "y": 2 }), json!({ "y": 2, "x": 1 }));
        let hash = |row| content_hash(&json!({ "rows": [row] })).0;
        assert_eq!(hash(one.clone()), hash(other));
        assert_ne!(hash(one), hash(json!({ "x": 1, "y": "2" })));
    }
}
