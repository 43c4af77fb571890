//! `round trip dbo.A rows 40 seed 7`: generated rows up, and down again on both ways, compared cell by cell.
//!
//! 1. The rows are uploaded as sales of one row each, so that a refusal names its row.
//! 2. They are read by snapshot, in small pages, and by a pass as another register.
//! 3. Every column that is no key gets a new value, uploaded as updates, and read again both ways.
//!
//! * The first cell that differs is told with its column, what was sent and what came, and the seed.
//! * `TILLHOLD_SEED=number` takes another seed than the case's.

use crate::generate;
use crate::values::{row_text, value_text};
use crate::world::{Answer, INCARNATION, World, named, refusal};
use crate::writing::write;
use std::collections::HashMap;
use std::sync::Arc;
use tillhold_channel::capture::{Followed, Pass, current, own_context};
use tillhold_channel::snapshot::page;
use tillhold_channel::upload::upload;
use tillhold_channel::{ChannelError, Link};
use tillhold_core::draw::Draw;
use tillhold_core::profile::{Capture, ScopeTable};
use tillhold_core::row::{Change, Row};
use tillhold_core::table::Table;
use tillhold_core::transaction::{ContentHash, Operation, Receipt, Transaction, TransactionId};
use tillhold_core::version::{ChannelVersion, Incarnation, Sequence};

/// Odd and small, so that rows of one page and of several are met.
const PAGE_ROWS: usize = 7;

type Pair = (Option<Row>, Row);

pub async fn round_trip(world: &mut World<'_>, rest: &str) -> Answer {
    generate::assert_calendar();
    let name = rest.split_whitespace().nth(1).ok_or("round trip of which table?")?;
    let number = |word| named(rest, word).and_then(|n| n.parse::<u64>().ok());
    let seed = match std::env::var("TILLHOLD_SEED") {
        Ok(seed) => seed.parse().map_err(|_| format!("TILLHOLD_SEED is no number: {seed}"))?,
        Err(_) => number("seed").ok_or("which seed?")?,
    };
    let count = number("rows").ok_or("how many rows?")? as usize;
    let table = world.known(name)?.travelling.clone();
    let mut random = Draw::of(seed, "rows", 0);
    let first = generate::rows(&mut random, &table, count);
    let count = first.len();
    let mut second = first.clone();
    for row in &mut second {
        let other = generate::row(&mut random, &table);
        for at in (0..row.0.len()).filter(|at| !table.is_key(*at)) {
            row.0[at] = other.0[at].clone();
        }
    }
    let inserts: Vec<Pair> = first.iter().map(|row| (None, row.clone())).collect();
    let updates =
        first.into_iter().zip(second).map(|(before, after)| (Some(before), after)).collect();
    for (turn, pairs) in [inserts, updates].iter().enumerate() {
        match both_ways(world.link("till"), &table, turn as u64, pairs).await {
            Ok(None) => {}
            Ok(Some(difference)) => return Ok(format!("seed {seed}: {difference}")),
            Err(error) => return Ok(format!("seed {seed}: {} ({error})", refusal(&error))),
        }
    }
    Ok(format!("{count} rows there and back, twice"))
}

/// The first difference.
async fn both_ways(
    link: &mut Link,
    table: &Arc<Table>,
    turn: u64,
    pairs: &[Pair],
) -> Result<Option<String>, ChannelError> {
    let (_, since) = current(link, Capture::ChangeTracking).await?;
    let sales: Vec<Transaction> =
        pairs.iter().enumerate().map(|(at, pair)| sale(table, turn, at, pair, since)).collect();
    let receipts = upload(link, "S1-1", INCARNATION, &sales).await?;
    for (receipt, (_, row)) in receipts.iter().zip(pairs) {
        if *receipt != Receipt::Applied {
            return Ok(Some(format!("{receipt:?}\nof {}", row_text(row, table))));
        }
    }
    let rows = all_rows(link, table).await?;
    if let Some(difference) = difference("snapshot", table, pairs, &rows) {
        return Ok(Some(difference));
    }
    let rows = all_changes(link, table, since).await?;
    Ok(difference("pass", table, pairs, &rows))
}

fn sale(
    table: &Arc<Table>,
    turn: u64,
    at: usize,
    (before, after): &Pair,
    since: ChannelVersion,
) -> Transaction {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&turn.to_le_bytes());
    id[8..].copy_from_slice(&(at as u64).to_le_bytes());
    let operation = if before.is_some() { Operation::Update } else { Operation::Insert };
    Transaction {
        id: TransactionId(id),
        hash: ContentHash([1; 32]),
        sequence: Sequence(at as u64),
        writes: vec![write(table.clone(), operation, before.clone(), Some(after.clone()), since)],
    }
}

async fn all_rows(link: &mut Link, table: &Table) -> Result<Vec<Row>, ChannelError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut after = None;
    loop {
        // A row that is refused is missing then, and found to be.
        let page = page(link, table, after.as_ref(), PAGE_ROWS).await?;
        rows.extend(page.rows);
        // More rows than were ever written: a page came again.
        if page.last_key.is_none() || rows.len() > 100_000 {
            return Ok(rows);
        }
        after = page.last_key;
    }
}

async fn all_changes(
    link: &mut Link,
    table: &Arc<Table>,
    since: ChannelVersion,
) -> Result<Vec<Row>, ChannelError> {
    let other = own_context(Incarnation([8; 16]));
    let (table, entry) = (table.clone(), ScopeTable::whole(table.name.clone()));
    let position = since.into();
    let tables = [Followed { table, entry, filter: None, position, restricted: None }];
    let mut pass = Pass::begin(link, Capture::ChangeTracking, &[], other, &tables).await?;
    let mut rows = Vec::new();
    while let Some(page) = pass.page(0).await? {
        rows.extend(page.changes.into_iter().filter_map(|captured| match captured.change {
            Change::Present(row) => Some(row),
            Change::Gone(_) => None,
        }));
    }
    pass.finish().await?;
    Ok(rows)
}

fn difference(way: &str, table: &Table, pairs: &[Pair], rows: &[Row]) -> Option<String> {
    if rows.len() != pairs.len() {
        return Some(format!("{way}: {} rows of {}", rows.len(), pairs.len()));
    }
    let found: HashMap<Vec<String>, &Row> =
        rows.iter().map(|row| (row.key(table).folded(table), row)).collect();
    for (_, sent) in pairs {
        let Some(row) = found.get(&sent.key(table).folded(table)) else {
            return Some(format!("{way}: no row {}", row_text(sent, table)));
        };
        let at = sent.differences(row).first().copied();
        if let Some(at) = at {
            let column = &table.columns[at];
            return Some(format!(
                "{way}: {} {}: sent {}, came {}",
                column.name,
                column.of,
                value_text(&sent.0[at], column.of),
                value_text(&row.0[at], column.of)
            ));
        }
    }
    None
}
