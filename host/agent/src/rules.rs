//! The retailers' rules at work: rows through a scope's transformer, conflicts through its resolver.
//!
//! * Plugins run away from the runtime's threads, one batch a call; the sale path never waits for one.
//! * A row passes the scope's transformers in their order, each as the one before left it; what one drops or refuses
//!   is not shown to the next.
//! * When one fails, the scope's choice holds for that one: halt (an error), pass (over this one, unchanged) or
//!   quarantine (down to the guilty row, found by halving the batch). The others go on as they would.
//! * Every row that goes in comes out once: kept (perhaps changed), dropped or quarantined.

use crate::fault::FlowError;
use crate::register::ScopeRun;
use crate::report;
use std::sync::Arc;
use tillhold_core::fault::Class;
use tillhold_core::limits;
use tillhold_core::profile::OnPluginFailure;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_env::Env;
use tillhold_plugin::{BatchContext, Flow, Plugin, PluginError, Verdict};

/// What became of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Ruled {
    Kept(Row),
    /// By the rule: the row must not be on the other side.
    Dropped(Key),
    /// Set aside with the reason; the other side keeps what it has.
    Quarantined(Key, String),
}

/// Runs `rows` through the scope's transformers; without one they all stay as they are.
pub async fn transform(
    env: &Env,
    scope: &ScopeRun,
    context: &BatchContext,
    table: &Arc<Table>,
    rows: Vec<Row>,
) -> Result<Vec<Ruled>, FlowError> {
    if scope.transformers.is_empty() {
        return Ok(rows.into_iter().map(Ruled::Kept).collect());
    }
    let chain = Chain {
        env: env.clone(),
        plugins: scope.transformers.clone(),
        context: context.clone(),
        table: table.clone(),
        on_failure: scope.scope.on_plugin_failure,
    };
    let ruled = env.blocking("transform", move || chain.run(rows)).await;
    ruled.ok_or(FlowError::BrokeOff("a transformer"))?.map_err(FlowError::Plugin)
}

/// A scope's transformers, with what each of them is told.
struct Chain {
    env: Env,
    plugins: Vec<Arc<Plugin>>,
    context: BatchContext,
    table: Arc<Table>,
    on_failure: OnPluginFailure,
}

impl Chain {
    /// One answer for each row, in their order.
    fn run(&self, rows: Vec<Row>) -> Result<Vec<Ruled>, PluginError> {
        let mut ruled: Vec<Ruled> = rows.into_iter().map(Ruled::Kept).collect();
        for plugin in &self.plugins {
            let (mut places, mut going) = (Vec::new(), Vec::new());
            for (place, one) in ruled.iter_mut().enumerate() {
                if let Ruled::Kept(row) = one {
                    places.push(place);
                    going.push(std::mem::replace(row, Row(Vec::new())));
                }
            }
            let mut batch = Batch { chain: self, plugin, failures: 0 };
            for (place, one) in places.into_iter().zip(batch.run(going)?) {
                ruled[place] = one;
            }
        }
        Ok(ruled)
    }
}

/// What one of them is asked about.
struct Batch<'c> {
    chain: &'c Chain,
    plugin: &'c Plugin,
    failures: u32,
}

impl Batch<'_> {
    fn run(&mut self, rows: Vec<Row>) -> Result<Vec<Ruled>, PluginError> {
        let Chain { context, table, .. } = self.chain;
        let error = match self.plugin.transform(context, table, &rows) {
            Ok(verdicts) => {
                return Ok(rows.into_iter().zip(verdicts).map(|(r, v)| self.rule(r, v)).collect());
            }
            Err(error) => error,
        };
        // What is wrong with the plugin or its grants, rather than with a row, is never passed over.
        if error.class() != Class::Park {
            return Err(error);
        }
        match self.chain.on_failure {
            OnPluginFailure::Halt => Err(self.placed(error, &rows)),
            OnPluginFailure::Pass => {
                let (count, error) = (rows.len(), self.placed(error, &rows));
                let passed = format!("{count} rows of {} pass over a plugin: {error}", table.name);
                report::line(&self.chain.env, &passed);
                Ok(rows.into_iter().map(Ruled::Kept).collect())
            }
            OnPluginFailure::Quarantine => self.halve(rows, &error),
        }
    }

    /// Sets aside the rows that the plugin cannot take, one by one, and rules the others.
    fn halve(
        &mut self,
        mut rows: Vec<Row>,
        error: &PluginError,
    ) -> Result<Vec<Ruled>, PluginError> {
        self.failures += 1;
        if rows.len() == 1 || self.failures >= limits::PLUGIN_FAILURES_MAX {
            let reason = error.to_string();
            let aside = |row: &Row| Ruled::Quarantined(row.key(&self.chain.table), reason.clone());
            return Ok(rows.iter().map(aside).collect());
        }
        let second = rows.split_off(rows.len() / 2);
        let mut ruled = self.run(rows)?;
        ruled.extend(self.run(second)?);
        Ok(ruled)
    }

    /// With the row's key where it can be no other row.
    fn placed(&self, error: PluginError, rows: &[Row]) -> PluginError {
        match rows {
            [only] => error.at_row(&self.chain.table, only),
            _ => error,
        }
    }

    fn rule(&self, mut row: Row, verdict: Verdict) -> Ruled {
        let table = &self.chain.table;
        match verdict {
            Verdict::Keep => Ruled::Kept(row),
            Verdict::Drop => Ruled::Dropped(row.key(table)),
            Verdict::Refuse(reason) => {
                let reason = format!("{} refuses it: {reason}", self.plugin.id());
                Ruled::Quarantined(row.key(table), reason)
            }
            Verdict::Replace(cells) => {
                for (at, value) in cells {
                    row.0[at] = value;
                }
                Ruled::Kept(row)
            }
        }
    }
}

/// The context that a batch is given: the only way in for time, and it is logical.
pub fn context(env: &Env, store: &str, register: &str, scope: &str, flow: Flow) -> BatchContext {
    BatchContext {
        flow,
        scope: scope.to_string(),
        store: store.to_string(),
        register: register.to_string(),
        time: tillhold_core::moment::Timestamp::from_unix_ms(env.clock.wall_ms()),
    }
}

#[cfg(test)]
mod tests;
