//! What must hold: on the way to rest, and when everything is at rest. With SQL of its own, on both databases.

mod sales;

use crate::machine::Machine;
use crate::store::SHARED;
use crate::world::World;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

type Rows = Vec<Vec<String>>;

/// Online, nothing unsent, no conflict and no refused row left (a mended rule's rows come back so many at a time), every
/// scope just pulled; the last answer when it does not come to that in time.
pub async fn settled(world: &World, machine: &Rc<Machine>, until: Instant) -> Result<(), String> {
    let mut last = "it has no front door".to_string();
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Some(client) = world.client(machine, "check") else { continue };
        match client.get("/v1/status", Duration::from_secs(5)).await {
            Ok(status) => {
                let body = status.body;
                last = format!(
                    "{} with {} pending, {} deferred, {} quarantined, {} rows refused",
                    body["state"],
                    body["pending"],
                    body["conflicts"],
                    body["quarantined"],
                    body["rows_aside"]
                );
                let is_open = body["pending"]["transactions"] != 0
                    || body["conflicts"] != 0
                    || body["rows_aside"] != 0;
                if body["state"] != "online" || is_open {
                    continue;
                }
            }
            Err(error) => {
                last = error.to_string();
                continue;
            }
        }
        // Where the log says so, as of a register that has sold nothing but since the backup.
        let needs_resend = machine.needs_resend.load(Ordering::Relaxed);
        let resend = if needs_resend { "?resend=true" } else { "" };
        match client
            .post(&format!("/v1/sync{resend}"), &serde_json::Value::Null, Duration::from_secs(60))
            .await
        {
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
    sales::hold(world, &tables);
    // Edits of customers, and numbers until the next sale, are what the backup had.
    if !world.channel_was_restored.get() {
        sales::edits_hold(world, &tables);
    }
    for machine in &world.machines {
        if let Err(error) = register(world, machine, &tables) {
            world.break_promise(format!("T{}'s files: {error:#}", machine.number));
        }
    }
    Ok(())
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
    // The channel's last numbers are the backup's until the next sale.
    let is_behind = |name: &str| world.channel_was_restored.get() && name == "RETAILPOSSEEDDATA";
    for (name, columns) in SHARED.into_iter().filter(|(name, _)| !is_behind(name)) {
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
