//! Steps that write: uploads and what is left of them.
//!
//! ```text
//! == upload since start by S1-2 resolved          base versions, the register's name, the mark of its writes
//! 1: insert dbo.CARDS a | 1 | NULL                the sale's number, then its writes in order
//! 1: update dbo.CARDS a | 1 | NULL -> a | 2 | NULL
//! 2 content 9: delete dbo.CARDS a | 2 | NULL      the same id with other content is a clash
//! == ledger 1, 2                                  arrived, arrived with other content, unknown
//! ```

use crate::values::{read_row, row_text};
use crate::world::{Answer, INCARNATION, World, listed, named, refusal};
use std::sync::Arc;
use tillhold_channel::ledger::ledger as ask_ledger;
use tillhold_channel::upload::{Outgoing, upload_altered};
use tillhold_core::conflict::{Conflict, Decision, Resolution};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::transaction::{
    ContentHash, Contest, Operation, Receipt, Transaction, TransactionId, Write,
};
use tillhold_core::version::{ChannelVersion, Sequence};

pub async fn upload(world: &mut World<'_>, rest: &str, body: &str) -> Answer {
    let since = named(rest, "since").unwrap_or("start");
    let base = world.mark(since)?;
    let mut sales: Vec<Transaction> = Vec::new();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        add_line(world, line, base, &mut sales)?;
    }
    let every = |sale: &Transaction| (0..sale.writes.len()).collect::<Vec<usize>>();
    let none = |_: &Transaction| Vec::new();
    let altered: Vec<Vec<usize>> = match rest.contains("resolved") {
        true => sales.iter().map(every).collect(),
        false => sales.iter().map(none).collect(),
    };
    let pairs = sales.iter().zip(&altered);
    let outgoing: Vec<Outgoing<'_>> =
        pairs.map(|(sale, altered)| Outgoing { altered, ..Outgoing::plain(sale) }).collect();
    let register = named(rest, "by").unwrap_or("S1-1");
    let sent = upload_altered(world.link("till"), register, INCARNATION, &outgoing).await;
    let receipts = match sent {
        Ok(receipts) => receipts,
        Err(error) => return Ok(refusal(&error)),
    };
    let lines: Vec<String> =
        sales.iter().zip(&receipts).map(|(sale, receipt)| told(sale, receipt)).collect();
    Ok(lines.join("\n"))
}

fn add_line(
    world: &World<'_>,
    line: &str,
    base: ChannelVersion,
    sales: &mut Vec<Transaction>,
) -> Result<(), String> {
    let (sale, write) = line.split_once(':').ok_or(format!("{line}: which sale?"))?;
    let mut words = sale.split_whitespace();
    let number = words.next().and_then(|n| n.parse().ok()).ok_or(format!("{line}: no number"))?;
    let content = named(sale, "content").map_or(Ok(number), str::parse);
    let content: u8 = content.map_err(|_| format!("{line}: which content?"))?;
    let id = TransactionId([number; 16]);
    if sales.last().is_none_or(|sale| sale.id != id) {
        let hash = ContentHash([content; 32]);
        let sequence = Sequence(u64::from(number));
        sales.push(Transaction { id, hash, sequence, writes: Vec::new() });
    }
    if write.trim() != "nothing" {
        let write = read_write(world, write.trim(), base)?;
        sales.last_mut().expect("one was added").writes.push(write);
    }
    Ok(())
}

fn read_write(
    world: &World<'_>,
    text: &str,
    base_version: ChannelVersion,
) -> Result<Write, String> {
    let mut words = text.splitn(3, ' ');
    let (Some(verb), Some(name), Some(row)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("{text}: say insert, update or delete, the table and its row"));
    };
    let table = world.known(name)?.travelling.clone();
    let (operation, base, offline) = match (verb, row.split_once(" -> ")) {
        ("insert", None) => (Operation::Insert, None, Some(read_row(row, &table)?)),
        ("delete", None) => (Operation::Delete, Some(read_row(row, &table)?), None),
        ("update", Some((base, offline))) => {
            let (base, offline) = (read_row(base, &table)?, read_row(offline, &table)?);
            (Operation::Update, Some(base), Some(offline))
        }
        _ => return Err(format!("{text}: is no write")),
    };
    Ok(write(table, operation, base, offline, base_version))
}

pub fn write(
    table: Arc<Table>,
    operation: Operation,
    base: Option<Row>,
    offline: Option<Row>,
    base_version: ChannelVersion,
) -> Write {
    let key = offline.as_ref().or(base.as_ref()).expect("one side at least").key(&table);
    Write { table, operation, key, base, offline, base_version }
}

fn told(sale: &Transaction, receipt: &Receipt) -> String {
    let number = sale.id.0[0];
    match receipt {
        Receipt::Applied => format!("{number} applied"),
        Receipt::AlreadyThere => format!("{number} already there"),
        Receipt::Clash => format!("{number} clash"),
        Receipt::Blocked => format!("{number} waits"),
        Receipt::Contested(contests) => {
            let lines: Vec<String> = contests.iter().map(|c| contest(sale, c)).collect();
            format!("{number} contested\n{}", lines.join("\n"))
        }
        Receipt::Refused { number: error, table, .. } => {
            let table = table.as_ref().map(|t| format!(" {t}")).unwrap_or_default();
            format!("{number} refused {error}{table}")
        }
    }
}

/// Versions are not told as numbers: where they begin and how they grow is not documented.
fn contest(sale: &Transaction, contest: &Contest) -> String {
    let write = &sale.writes[contest.write];
    let since = match contest.version {
        Some(version) if version > write.base_version => "changed since",
        Some(_) => "not changed since",
        None => "change unknown",
    };
    let row = match &contest.channel {
        Some(row) => row_text(row, &write.table),
        None => "no row".to_string(),
    };
    format!("  write {}: {row} ({since})", contest.write)
}

pub async fn ledger(world: &mut World<'_>, rest: &str) -> Answer {
    let mut ids = Vec::new();
    for number in listed(rest) {
        let number: u8 = number.parse().map_err(|_| format!("{number} is no sale"))?;
        ids.push(TransactionId([number; 16]));
    }
    let found = match ask_ledger(world.link("till"), &ids).await {
        Ok(found) => found,
        Err(error) => return Ok(refusal(&error)),
    };
    let one = |(id, hash): (&TransactionId, &Option<ContentHash>)| {
        let state = match hash {
            Some(hash) if hash.0[0] == id.0[0] => "arrived",
            Some(_) => "arrived with other content",
            None => "unknown",
        };
        format!("{} {state}", id.0[0])
    };
    Ok(ids.iter().zip(&found).map(one).collect::<Vec<_>>().join("\n"))
}

/// `record dbo.CARDS base / channel / offline`: a decision in the channel's favour.
pub async fn record(world: &mut World<'_>, rest: &str) -> Answer {
    let (name, rows) = rest.split_once(' ').ok_or("a decision about which table?")?;
    let table = world.known(name)?.travelling.clone();
    let sides: Result<Vec<Row>, String> =
        rows.split(" / ").map(|row| read_row(row, &table)).collect();
    let [base, channel, offline] =
        sides?.try_into().map_err(|_| "three rows: base, channel, offline")?;
    let decision = Decision {
        id: [5; 16],
        decided_at_ms: 1_772_000_000_000,
        register: "S1-1".to_string(),
        transaction: TransactionId([1; 16]),
        conflict: Conflict {
            key: base.key(&table),
            table,
            base: Some(base),
            channel: Some(channel),
            offline: Some(offline),
        },
        rule: "channel-wins".to_string(),
        plugin_digest: None,
        who: None,
        why: None,
        resolution: Resolution::TakeChannel,
    };
    // Nothing of it is written: the channel keeps its row.
    let sale = Transaction {
        id: decision.transaction,
        hash: ContentHash([1; 32]),
        sequence: Sequence(1),
        writes: Vec::new(),
    };
    let outgoing =
        [Outgoing { decisions: std::slice::from_ref(&decision), ..Outgoing::plain(&sale) }];
    match upload_altered(world.link("till"), "S1-1", INCARNATION, &outgoing).await {
        Ok(receipts) => Ok(told(&sale, &receipts[0])),
        Err(error) => Ok(refusal(&error)),
    }
}
