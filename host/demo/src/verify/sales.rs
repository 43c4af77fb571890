//! Every acknowledged sale against the channel's rows and its ledger.

use super::{Cells, Findings, ax, folded, named};
use crate::DemoError;
use crate::generate::{DemoStore, TRANSACTION_SEED};
use crate::sale::{HEADER, LINES, PAYMENTS, SEEDS, Sale, TAXES};
use crate::session::{ChannelRows, literal};
use std::collections::{BTreeMap, HashMap, HashSet};
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_core::value::Value;

/// A sale that the front door acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledged {
    pub sale: Sale,
    /// Where it was committed at first: `channel` or `offline`.
    pub committed: String,
}

/// The tables of a sale, each with its columns for store, terminal and transaction number.
const TABLES: [(&str, &str, &str); 4] = [
    (HEADER, "STORE", "TERMINAL"),
    (LINES, "STORE", "TERMINALID"),
    (TAXES, "STOREID", "TERMINALID"),
    (PAYMENTS, "STORE", "TERMINAL"),
];

pub(super) fn check(
    store: &DemoStore,
    sold: &[Acknowledged],
    channel: &mut dyn ChannelRows,
    findings: &mut Findings,
) -> Result<(), DemoError> {
    let mut broken: HashSet<&str> = HashSet::new();
    for place in TABLES {
        check_table(store, sold, place, channel, &mut broken, findings)?;
    }
    check_last_number(store, sold, channel, findings)?;
    findings.sales = sold.len() as u64;
    let ledger = ledger(channel)?;
    for acknowledged in sold {
        let entries = ledger.get(&acknowledged.sale.id).copied().unwrap_or(0);
        if entries == 0 {
            broken.insert(&acknowledged.sale.number);
            findings.tell(format!("{} is not in the ledger", acknowledged.sale.number));
        } else if entries > 1 {
            findings.duplicated += 1;
            findings.tell(format!("{} is in the ledger {entries} times", acknowledged.sale.number));
        }
    }
    findings.lost += broken.len() as u64;
    Ok(())
}

/// What was rung up of one table, by its folded key: the sale's number and the row.
type RungUp<'a> = HashMap<Vec<String>, (&'a str, &'a crate::sale::WrittenRow)>;

fn check_table<'a>(
    store: &DemoStore,
    sold: &'a [Acknowledged],
    (name, by_store, by_terminal): (&str, &str, &str),
    channel: &mut dyn ChannelRows,
    broken: &mut HashSet<&'a str>,
    findings: &mut Findings,
) -> Result<(), DemoError> {
    let name = ax(name);
    let Some(table) = store.schema.table(&name) else { return Ok(()) };
    let mut rung_up = rung_up(sold, table);
    let filter = format!(
        "[{by_store}] = {} AND [{by_terminal}] = {}",
        literal(&store.own().number),
        literal(store.register())
    );
    let asked = table.travelling(&[]);
    let mut strangers = BTreeMap::new();
    channel.rows(&name, &crate::session::names(&asked), Some(&filter), &mut |row| {
        let row = super::cells(&row, &asked);
        match rung_up.remove(&folded(&asked, &row)) {
            Some((number, written)) => {
                findings.sale_rows += 1;
                if let Some(what) = unlike(written, &asked, &row) {
                    broken.insert(number);
                    findings.tell(format!("{name} {}: {what}", named(&asked, &row)));
                }
            }
            None => *strangers.entry(named(&asked, &row)).or_insert(0u64) += 1,
        }
    })?;
    for (number, written) in rung_up.into_values() {
        broken.insert(number);
        findings.tell(format!("{} of {number} is not in the channel", written.table.name));
    }
    findings.duplicated += strangers.values().sum::<u64>();
    for stranger in strangers.into_keys() {
        findings.tell(format!("{name} has {stranger}, which nobody rang up"));
    }
    Ok(())
}

fn rung_up<'a>(sold: &'a [Acknowledged], table: &Table) -> RungUp<'a> {
    let asked = table.travelling(&[]);
    let mut rows = RungUp::new();
    for acknowledged in sold {
        for written in acknowledged.sale.rows.iter().filter(|row| row.table.name == table.name) {
            let mut cells: Cells = vec![None; asked.columns.len()];
            for (at, value) in &written.cells {
                let column = &table.columns[*at];
                if let Some(at) = asked.position(&column.name) {
                    cells[at] = text::canonical(value, column.of);
                }
            }
            rows.insert(folded(&asked, &cells), (acknowledged.sale.number.as_str(), written));
        }
    }
    rows
}

/// The columns that the cashier wrote, compared; the others are the channel's defaults.
fn unlike(written: &crate::sale::WrittenRow, asked: &Table, found: &Cells) -> Option<String> {
    written.cells.iter().find_map(|(at, value)| {
        let column = &written.table.columns[*at];
        let expected = text::canonical(value, column.of);
        let found = asked.position(&column.name).and_then(|at| found.get(at).cloned().flatten());
        (expected != found).then(|| {
            let side = |text: Option<String>| text.unwrap_or("NULL".to_string());
            format!("{} is '{}', not '{}'", column.name, side(found), side(expected))
        })
    })
}

/// The register's last used number must have come up with the last sale: the next register file begins there.
fn check_last_number(
    store: &DemoStore,
    sold: &[Acknowledged],
    channel: &mut dyn ChannelRows,
    findings: &mut Findings,
) -> Result<(), DemoError> {
    let written = |a: &Acknowledged| {
        let seed = a.sale.rows.iter().find(|row| row.table.name.name == SEEDS);
        seed.and_then(|row| row.value("DATAVALUE").cloned())
    };
    let Some(expected) = sold.last().and_then(written) else { return Ok(()) };
    let filter = format!(
        "[DATATYPE] = {TRANSACTION_SEED} AND [STORENUMBER] = {} AND [TERMINALID] = {}",
        literal(&store.own().number),
        literal(store.register())
    );
    let columns = ["DATATYPE", "STORENUMBER", "TERMINALID", "DATAVALUE"];
    let own = [
        Value::Int(TRANSACTION_SEED),
        Value::Text(store.own().number.clone()),
        Value::Text(store.register().to_string()),
    ];
    let mut found = None;
    channel.rows(&ax(SEEDS), &columns, Some(&filter), &mut |row| {
        if row.starts_with(&own) {
            found = row.last().cloned();
        }
    })?;
    if found.as_ref() != Some(&expected) {
        findings.differing += 1;
        findings
            .tell(format!("the channel's last number is {found:?}, the last sale's {expected:?}"));
    }
    Ok(())
}

/// How often each transaction is in the ledger.
fn ledger(channel: &mut dyn ChannelRows) -> Result<HashMap<[u8; 16], u64>, DemoError> {
    let mut entries = HashMap::new();
    let ledger = TableName::new("tillhold", "ledger");
    channel.rows(&ledger, &["transaction_id"], None, &mut |row| {
        if let Some(Value::Guid(id)) = row.first() {
            *entries.entry(*id).or_insert(0) += 1;
        }
    })?;
    Ok(entries)
}
