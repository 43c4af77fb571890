//! What must hold: on the way to rest, and when everything is at rest. With SQL of its own, on both databases.

use crate::machine::Machine;
use crate::store::{SHARED, STORE};
use crate::till::Sale;
use crate::world::World;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tillhold_client::Client;
use tillhold_core::text::guid_text;
use tokio::time::Instant;

type Rows = Vec<Vec<String>>;

/// Online, nothing unsent, every scope just pulled; the last answer when it does not come to that in time.
pub async fn settled(world: &World, machine: &Rc<Machine>, until: Instant) -> Result<(), String> {
    let env = crate::channel::env_of(
        &Arc::default(),
        machine.net(),
        Instant::now(),
        &mut crate::entropy::Dice::of(world.plan.seed, 5),
    );
    let mut last = "it has no front door".to_string();
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Some(door) = machine.door() else { continue };
        let client = Client::new(env.clone(), door);
        match client.get("/v1/status", Duration::from_secs(5)).await {
            Ok(status) => {
                let body = status.body;
                last = format!(
                    "{} with {} pending, {} deferred, {} quarantined",
                    body["state"], body["pending"], body["conflicts"], body["quarantined"]
                );
                if body["state"] != "online" || body["pending"]["transactions"] != 0 {
                    continue;
                }
            }
            Err(error) => {
                last = error.to_string();
                continue;
            }
        }
        match client.post("/v1/sync", &serde_json::Value::Null, Duration::from_secs(60)).await {
            Ok(answer) if answer.is_success() => {
                let none = |fault: &serde_json::Value| fault.is_null();
                let scopes = answer.body["scopes"].as_array().map(Vec::as_slice);
                let stands = scopes.unwrap_or_default().iter().any(|scope| !none(&scope["fault"]));
                if !stands && none(&answer.body["push_fault"]) {
                    return Ok(());
                }
                last = answer.body.to_string();
            }
            Ok(answer) => last = answer.reason(),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// With everyone stopped.
pub async fn everything(world: &Rc<World>) -> anyhow::Result<()> {
    let tables = world.channel.office(|office| {
        let mut tables = BTreeMap::new();
        for (name, columns) in SHARED {
            let list = columns.join("], [");
            tables.insert(name, office.select(&format!("SELECT [{list}] FROM [ax].[{name}];"))?);
        }
        let mut select = |name: &'static str, sql: &str| -> anyhow::Result<()> {
            tables.insert(name, office.select(sql)?);
            Ok(())
        };
        select("headers", "SELECT [TERMINAL], [TRANSACTIONID], [PAYMENTAMOUNT], [STORE] FROM [ax].[RETAILTRANSACTIONTABLE];")?;
        select("lines", "SELECT [TERMINALID], [TRANSACTIONID], [LINENUM], [ITEMID], [PRICE] FROM [ax].[RETAILTRANSACTIONSALESTRANS];")?;
        select("payments", "SELECT [TERMINAL], [TRANSACTIONID], [LINENUM], [AMOUNTTENDERED] FROM [ax].[RETAILTRANSACTIONPAYMENTTRANS];")?;
        select("ledger", "SELECT CONVERT(nvarchar(36), [transaction_id]) FROM [tillhold].[ledger];")?;
        Ok(tables)
    });
    let Some(tables) = tables.await else { anyhow::bail!("the channel is down") };
    let tables = tables?;
    sales(world, &tables);
    for machine in &world.machines {
        if let Err(error) = register(world, machine, &tables) {
            world.break_promise(format!("T{}'s files: {error:#}", machine.number));
        }
    }
    Ok(())
}

/// Rows without their first two cells, by these: the register and the sale's number.
fn by_sale(rows: &Rows) -> BTreeMap<(String, String), Rows> {
    let mut sales: BTreeMap<(String, String), Rows> = BTreeMap::new();
    for row in rows {
        sales.entry((row[0].clone(), row[1].clone())).or_default().push(row[2..].to_vec());
    }
    sales
}

/// Every promised sale once and whole, with its own number; nothing that no till rang up; nothing in halves.
fn sales(world: &World, tables: &BTreeMap<&'static str, Rows>) {
    let (mut lines, mut payments) = (by_sale(&tables["lines"]), by_sale(&tables["payments"]));
    let mut ledger: BTreeMap<String, u64> = BTreeMap::new();
    for row in &tables["ledger"] {
        *ledger.entry(row[0].to_ascii_lowercase()).or_default() += 1;
    }
    let header = |row: &Vec<String>| ((row[0].clone(), row[1].clone()), row.clone());
    let mut headers: BTreeMap<_, _> = tables["headers"].iter().map(header).collect();
    let books = world.books.sales.borrow();
    for (at, own) in books.iter().enumerate() {
        let terminal = format!("T{}", at + 1);
        let mut by_number: BTreeMap<u64, Vec<&Sale>> = BTreeMap::new();
        for sale in own {
            by_number.entry(sale.number).or_default().push(sale);
        }
        for (number, rung) in by_number {
            let promised: Vec<&&Sale> =
                rung.iter().filter(|sale| sale.promised.is_some()).collect();
            if promised.len() > 1 {
                world.break_promise(format!(
                    "{terminal}: number {number} was promised to {} sales",
                    promised.len()
                ));
            }
            let name = format!("{STORE}-{terminal}-{number}");
            let there = headers.remove(&(terminal.clone(), name.clone()));
            let found = there
                .and_then(|header| rung.iter().find(|sale| sale.amount.to_string() == header[2]));
            if let Some(sale) = promised.first()
                && found.is_none_or(|found| found.id != sale.id)
            {
                world.break_promise(format!(
                    "LOST: sale {name} was promised ({:?}), the channel has {there:?}",
                    sale.promised
                ));
            }
            let Some(sale) = found else {
                if there.is_some() {
                    world.break_promise(format!(
                        "{name} in the channel is no sale that was rung up"
                    ));
                }
                continue;
            };
            let key = (terminal.clone(), name.clone());
            let mut expected: Rows = (1..=sale.lines)
                .map(|line| {
                    vec![line.to_string(), format!("I{line}"), (sale.amount + line).to_string()]
                })
                .collect();
            let mut found = lines.remove(&key).unwrap_or_default();
            found.sort();
            expected.sort();
            let paid = payments.remove(&key).unwrap_or_default();
            if found != expected || paid != [vec!["1".to_string(), sale.amount.to_string()]] {
                world.break_promise(format!(
                    "HALF: {name} has lines {found:?} and payments {paid:?}, not {expected:?}"
                ));
            }
            match ledger.remove(&guid_text(&sale.id)) {
                Some(1) => {}
                other => world.break_promise(format!("{name} is {other:?} times in the ledger")),
            }
        }
    }
    if !headers.is_empty() || !lines.is_empty() || !payments.is_empty() {
        let (headers, lines, payments) = (headers.len(), lines.len(), payments.len());
        world.break_promise(format!("nobody rang up {headers} headers, {lines} sales' lines, {payments} payments of the channel"));
    }
}

/// The register has what the channel has, is sound, and owes nothing.
fn register(
    world: &World,
    machine: &Machine,
    tables: &BTreeMap<&'static str, Rows>,
) -> anyhow::Result<()> {
    let open = |name: &str| {
        Connection::open_with_flags(machine.offline().join(name), OpenFlags::SQLITE_OPEN_READ_ONLY)
    };
    let files = [open("journal.db")?, open("catalogue.db")?];
    for conn in &files {
        let sound: String = conn.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        if sound != "ok" {
            world.break_promise(format!("T{}: {sound}", machine.number));
        }
    }
    for (name, columns) in SHARED {
        let list = columns.join("\", \"");
        let sql = format!("SELECT \"{list}\" FROM \"ax.{name}\"");
        let mut here = None;
        for conn in &files {
            if let Ok(mut statement) = conn.prepare(&sql) {
                let rows = statement.query_map((), |row| {
                    (0..columns.len()).map(|at| Ok(shown(row.get_ref(at)?))).collect()
                })?;
                here = Some(rows.collect::<Result<Rows, _>>()?);
            }
        }
        let Some(mut here) = here else {
            world.break_promise(format!("T{} has no table {name}", machine.number));
            continue;
        };
        let mut there = tables[name].clone();
        here.sort();
        there.sort();
        if here != there {
            let only = |these: &Rows, those: &Rows| -> Rows {
                these.iter().filter(|row| !those.contains(row)).take(3).cloned().collect()
            };
            world.break_promise(format!(
                "DIFFERS: T{} of {name}: only here {:?}, only in the channel {:?}",
                machine.number,
                only(&here, &there),
                only(&there, &here)
            ));
        }
    }
    Ok(())
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}
