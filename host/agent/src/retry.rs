//! What was refused is tried again by itself, once, when what the refusal hung on has become another.
//!
//! * What a rule refused hangs on the plugin (its digest, configuration and limits, what is done when it fails) and on the
//!   table's shape; what the channel refused also on when its tables were last altered.
//! * Looked at when the register takes a profile, at the start, with every `tillhold sync`, and for the channel's tables
//!   every [`limits::PROFILE_LOOK_INTERVAL`] while a sale stands in quarantine.
//! * So many at a time ([`limits::SALES_RETRIED_MAX`], [`limits::ROWS_AGAIN_MAX`]); the rest with the next look.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tillhold_channel::Link;
use tillhold_channel::altered::altered;
use tillhold_core::limits;
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_core::transaction::Transaction;
use tillhold_env::Locked as _;
use tillhold_local::{Circumstances, kept_circumstances, stored_shape};

/// When it was looked at last, for which state of the register, and what was tried again since the start.
#[derive(Default)]
pub struct Again(Mutex<Looked>);

#[derive(Default)]
struct Looked {
    /// A changed profile makes another register of it. Held weakly, so that no other can stand at the same address.
    register: Weak<Register>,
    /// By the monotonic clock; `None` asks for a look.
    at_ms: Option<u64>,
    sales: u64,
    rows: u64,
}

impl Again {
    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.0.locked()
    }

    /// The next push looks.
    pub fn ask(&self) {
        self.looked().at_ms = None;
    }

    /// Since the agent's start.
    pub fn shown(&self) -> Json {
        let looked = self.looked();
        json!({ "sales": looked.sales, "rows": looked.rows })
    }

    fn is_due(&self, register: &Arc<Register>, now_ms: u64) -> bool {
        let interval_ms = limits::PROFILE_LOOK_INTERVAL.as_millis() as u64;
        let looked = self.looked();
        let is_same = std::ptr::eq(looked.register.as_ptr(), Arc::as_ptr(register));
        !is_same || looked.at_ms.is_none_or(|at_ms| now_ms >= at_ms + interval_ms)
    }

    fn note(&self, register: &Arc<Register>, at_ms: Option<u64>, sales: u64, rows: u64) {
        let mut looked = self.looked();
        looked.register = Arc::downgrade(register);
        looked.at_ms = at_ms;
        looked.sales += sales;
        looked.rows += rows;
    }
}

/// Looks when it is time to; what is due goes up with this push and comes with the next pull.
pub async fn look_if_due(
    agent: &Agent,
    register: &Arc<Register>,
    link: &mut Link,
) -> Result<(), FlowError> {
    let now_ms = agent.now_ms();
    if !agent.again.is_due(register, now_ms) {
        return Ok(());
    }
    let counts = register.local.counts().await?;
    let (mut sales, mut rows) = (0, 0);
    if counts.quarantined > 0 {
        let mut now = of_rules(register, ScopeRun::is_pushed);
        now.extend(at_channel(link, &pushed(register)).await?);
        sales = register.local.retry_where_changed(now).await?.len();
    }
    if counts.rows_aside > 0 {
        let now = of_rules(register, ScopeRun::is_pulled);
        rows = register.local.ask_again_where_changed(now).await? as usize;
    }
    if sales + rows > 0 {
        agent.say(&format!(
            "what stood in their way has changed: {sales} refused sales and {rows} rows are tried again"
        ));
    }
    let is_rest = sales == limits::SALES_RETRIED_MAX || rows == limits::ROWS_AGAIN_MAX;
    agent.again.note(register, Some(now_ms).filter(|_| !is_rest), sales as u64, rows as u64);
    Ok(())
}

/// What a rule's refusal of the table's rows hangs on.
pub fn by_rule(run: &ScopeRun, table: &Table) -> String {
    let mut hash = Sha256::new();
    let on_failure = format!("{:?}", run.scope.on_plugin_failure);
    for (plugin, said) in run.transformers.iter().zip(&run.scope.transformers) {
        let limits = format!("{:?}", plugin.limits());
        for part in [plugin.name(), plugin.digest(), &said.config, &on_failure, &limits] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.update(stored_shape(table));
    text::hexadecimal(&hash.finalize())
}

/// The same for one sale that a rule refused because of a row of this table.
pub fn of_ruled_sale(run: &ScopeRun, table: &Table) -> String {
    kept_circumstances(&[(table.name.to_string(), by_rule(run, table))].into())
}

/// What the channel's refusal of a sale hangs on: the table that it named, or all that the sale writes.
pub async fn of_refused_sale(
    register: &Register,
    link: &mut Link,
    transaction: &Transaction,
    named: Option<&TableName>,
) -> Result<String, FlowError> {
    let written: BTreeMap<&TableName, &Table> = transaction
        .writes
        .iter()
        .map(|write| (&write.table.name, write.table.as_ref()))
        .filter(|(table, _)| named.is_none_or(|named| named == *table))
        .collect();
    let tables: Vec<&Table> = written.into_values().collect();
    let mut of = at_channel(link, &tables).await?;
    for table in tables {
        if let Some(run) = register.scope_of(&table.name) {
            of.insert(table.name.to_string(), by_rule(run, table));
        }
    }
    Ok(kept_circumstances(&of))
}

fn of_rules(register: &Register, wanted: impl Fn(&ScopeRun) -> bool) -> Circumstances {
    let runs = register.scopes.iter().filter(|run| wanted(run));
    runs.flat_map(|run| {
        run.tables.iter().map(move |table| (table.name.to_string(), by_rule(run, table)))
    })
    .collect()
}

fn pushed(register: &Register) -> Vec<&Table> {
    let runs = register.scopes.iter().filter(|run| run.is_pushed());
    runs.flat_map(|run| run.tables.iter().map(AsRef::as_ref)).collect()
}

async fn at_channel(link: &mut Link, tables: &[&Table]) -> Result<Circumstances, FlowError> {
    let moments = altered(link, tables).await?;
    let named = |(table, moment)| (format!("{table} at the channel"), moment);
    Ok(moments.into_iter().map(named).collect())
}
