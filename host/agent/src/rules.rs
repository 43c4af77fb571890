//! The retailers' rules at work: rows through a scope's transformer, conflicts through its resolver.
//!
//! * Plugins run away from the runtime's threads, one batch a call; the sale path never waits for one.
//! * On failure the scope's choice holds: halt (an error), pass (rows unchanged) or quarantine (down to the guilty
//!   row, found by halving the batch).
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

/// Runs `rows` through the scope's transformer; without one they all stay as they are.
pub async fn transform(
    env: &Env,
    scope: &ScopeRun,
    context: &BatchContext,
    table: &Arc<Table>,
    rows: Vec<Row>,
) -> Result<Vec<Ruled>, FlowError> {
    let Some(plugin) = scope.transformer.clone() else {
        return Ok(rows.into_iter().map(Ruled::Kept).collect());
    };
    let mut work = Batch {
        env: env.clone(),
        plugin,
        context: context.clone(),
        table: table.clone(),
        on_failure: scope.scope.on_plugin_failure,
        failures: 0,
    };
    let ruled = env.blocking("transform", move || work.run(rows)).await;
    ruled.ok_or(FlowError::BrokeOff("a transformer"))?.map_err(FlowError::Plugin)
}

struct Batch {
    env: Env,
    plugin: Arc<Plugin>,
    context: BatchContext,
    table: Arc<Table>,
    on_failure: OnPluginFailure,
    failures: u32,
}

impl Batch {
    fn run(&mut self, rows: Vec<Row>) -> Result<Vec<Ruled>, PluginError> {
        let error = match self.plugin.transform(&self.context, &self.table, &rows) {
            Ok(verdicts) => {
                return Ok(rows.into_iter().zip(verdicts).map(|(r, v)| self.rule(r, v)).collect());
            }
            Err(error) => error,
        };
        // What is wrong with the plugin or its grants, rather than with a row, is never passed over.
        if error.class() != Class::Park {
            return Err(error);
        }
        match self.on_failure {
            OnPluginFailure::Halt => Err(error),
            OnPluginFailure::Pass => {
                let passed =
                    format!("{} rows of {} pass unchanged: {error}", rows.len(), self.table.name);
                report::line(&self.env, &passed);
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
            let aside = |row: &Row| Ruled::Quarantined(row.key(&self.table), reason.clone());
            return Ok(rows.iter().map(aside).collect());
        }
        let second = rows.split_off(rows.len() / 2);
        let mut ruled = self.run(rows)?;
        ruled.extend(self.run(second)?);
        Ok(ruled)
    }

    fn rule(&self, mut row: Row, verdict: Verdict) -> Ruled {
        match verdict {
            Verdict::Keep => Ruled::Kept(row),
            Verdict::Drop => Ruled::Dropped(row.key(&self.table)),
            Verdict::Refuse(reason) => Ruled::Quarantined(row.key(&self.table), reason),
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
