//! The retailers' rules at work: rows through a scope's transformer, conflicts through its resolver.
//!
//! * Plugins run away from the runtime's threads, one batch a call; the sale path never waits for one.
//! * A row passes the scope's transformers in their order, each as the one before left it; what one drops or refuses
//!   is not shown to the next.
//! * When one fails, the scope's choice holds for that one: halt (an error), pass (over this one, unchanged) or
//!   quarantine (down to the guilty row, found by halving the batch). The others go on as they would.
//! * Every row that goes in comes out once: kept (perhaps changed), dropped or quarantined.
//! * What a plugin does is noted in the book, and each of its failures is: none is silent.

use crate::fault::FlowError;
use crate::plugins::stats::{Book, Place, RowCounts, Work};
use crate::register::{Register, ScopeRun};
use crate::report;
use std::sync::Arc;
use tillhold_core::fault::Class;
use tillhold_core::limits;
use tillhold_core::moment::Timestamp;
use tillhold_core::profile::OnPluginFailure;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_core::transaction::TransactionId;
use tillhold_env::Env;
use tillhold_local::Identity;
use tillhold_plugin::{BatchContext, Flow, Plugin, PluginError, PluginId, Verdict};

/// What became of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowOutcome {
    Kept(Row),
    /// By the rule: the row must not be on the other side.
    Dropped(Key),
    /// Set aside with the reason; the other side keeps what it has.
    Quarantined(Key, String),
}

/// Runs `rows` through the scope's transformers, in batches of [`limits::PULL_PAGE_ROWS_MAX`]; without one they all stay as
/// they are.
pub async fn transform(
    env: &Env,
    scope: &ScopeRun,
    context: &BatchContext,
    table: &Arc<Table>,
    rows: Vec<Row>,
) -> Result<Vec<RowOutcome>, FlowError> {
    if scope.transformers.is_empty() {
        return Ok(rows.into_iter().map(RowOutcome::Kept).collect());
    }
    let chain = Chain {
        env: env.clone(),
        plugins: scope.transformers.clone(),
        context: context.clone(),
        table: table.clone(),
        on_failure: scope.scope.on_plugin_failure,
        book: scope.book.clone(),
    };
    let ruled = env.blocking("transform", move || chain.run_in_batches(rows)).await;
    ruled.ok_or(FlowError::BrokeOff("a transformer"))?.map_err(FlowError::Plugin)
}

/// A scope's transformers, with what each of them is told.
struct Chain {
    env: Env,
    plugins: Vec<Arc<Plugin>>,
    context: BatchContext,
    table: Arc<Table>,
    on_failure: OnPluginFailure,
    book: Arc<Book>,
}

impl Chain {
    /// One answer for each row, in their order. Rows come in pages of what SQLite commits well; a plugin takes less at once.
    fn run_in_batches(&self, rows: Vec<Row>) -> Result<Vec<RowOutcome>, PluginError> {
        let mut ruled = Vec::with_capacity(rows.len());
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            ruled.extend(self.run(rows.by_ref().take(limits::PULL_PAGE_ROWS_MAX).collect())?);
        }
        Ok(ruled)
    }

    /// The same for one batch.
    fn run(&self, rows: Vec<Row>) -> Result<Vec<RowOutcome>, PluginError> {
        let Some((first, others)) = self.plugins.split_first() else {
            return Ok(rows.into_iter().map(RowOutcome::Kept).collect());
        };
        let mut ruled = Batch::new(self, first).noted(rows)?;
        for plugin in others {
            let (mut places, mut going) = (Vec::new(), Vec::new());
            for (place, one) in ruled.iter_mut().enumerate() {
                if let RowOutcome::Kept(row) = one {
                    places.push(place);
                    going.push(std::mem::replace(row, Row(Vec::new())));
                }
            }
            for (place, one) in places.into_iter().zip(Batch::new(self, plugin).noted(going)?) {
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
    /// Of tables that the plugin does not use, nothing is its work.
    is_used: bool,
    /// So far.
    work: Work,
    failures: u32,
}

impl<'c> Batch<'c> {
    fn new(chain: &'c Chain, plugin: &'c Plugin) -> Batch<'c> {
        let is_used = plugin.works_on(&chain.table);
        Batch { chain, plugin, is_used, work: Work::default(), failures: 0 }
    }

    fn noted(&mut self, rows: Vec<Row>) -> Result<Vec<RowOutcome>, PluginError> {
        let rows_in = rows.len() as u64;
        let ruled = self.run(rows);
        let counts = &mut self.work.rows;
        match &ruled {
            Ok(ruled) => {
                let kept =
                    ruled.iter().filter(|one| matches!(one, RowOutcome::Kept(_))).count() as u64;
                counts.kept = kept - counts.passed;
            }
            Err(_) => *counts = RowCounts { halted: rows_in, ..RowCounts::default() },
        }
        counts.rows_in = rows_in;
        if self.is_used || ruled.is_err() {
            self.chain.book.note(self.plugin.id(), self.work);
        }
        ruled
    }

    fn run(&mut self, rows: Vec<Row>) -> Result<Vec<RowOutcome>, PluginError> {
        let Chain { env, context, table, book, .. } = self.chain;
        self.work.calls += 1;
        let call = || self.plugin.transform(context, table, &rows);
        let is_up = context.flow == Flow::Push && self.is_used;
        let answer = if is_up { book.on_the_way_up(call) } else { call() };
        let error = match answer {
            Ok(verdicts) => {
                if self.is_used {
                    book.succeed(self.plugin.id());
                }
                return Ok(rows.into_iter().zip(verdicts).map(|(r, v)| self.rule(r, v)).collect());
            }
            Err(error) => error,
        };
        let place = Place {
            scope: context.scope.clone(),
            table: table.name.to_string(),
            key: match rows.as_slice() {
                [guilty] => Some(key_text(&guilty.key(table), table)),
                _ => None,
            },
        };
        note_failure(env, book, self.plugin.id(), &error, place);
        // What is wrong with the plugin or its grants, rather than with a row, is never passed over.
        if error.class() != Class::Park {
            return Err(error);
        }
        match self.chain.on_failure {
            OnPluginFailure::Halt => Err(self.placed(error, &rows)),
            OnPluginFailure::Pass => {
                let (count, plugin) = (rows.len(), self.plugin.id());
                report::line(env, &format!("{count} rows of {} pass over {plugin}", table.name));
                self.work.rows.passed += rows.len() as u64;
                Ok(rows.into_iter().map(RowOutcome::Kept).collect())
            }
            OnPluginFailure::Quarantine => self.halve(rows, &error),
        }
    }

    /// Sets aside the rows that the plugin cannot take, one by one, and rules the others.
    fn halve(
        &mut self,
        mut rows: Vec<Row>,
        error: &PluginError,
    ) -> Result<Vec<RowOutcome>, PluginError> {
        self.failures += 1;
        if rows.len() == 1 || self.failures >= limits::PLUGIN_FAILURES_MAX {
            self.work.rows.aside += rows.len() as u64;
            let reason = error.to_string();
            let aside =
                |row: &Row| RowOutcome::Quarantined(row.key(&self.chain.table), reason.clone());
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

    fn rule(&mut self, mut row: Row, verdict: Verdict) -> RowOutcome {
        let table = &self.chain.table;
        match verdict {
            Verdict::Keep => RowOutcome::Kept(row),
            Verdict::Drop => {
                self.work.rows.dropped += 1;
                RowOutcome::Dropped(row.key(table))
            }
            Verdict::Refuse(reason) => {
                self.work.rows.refused += 1;
                let reason = format!("{} refuses it: {reason}", self.plugin.id());
                RowOutcome::Quarantined(row.key(table), reason)
            }
            Verdict::Replace(cells) => {
                for (at, value) in cells {
                    row.0[at] = value;
                }
                RowOutcome::Kept(row)
            }
        }
    }
}

/// Into the book, and for the operator when it is news.
pub fn note_failure(env: &Env, book: &Book, plugin: &PluginId, error: &PluginError, place: Place) {
    if let Some(said) = book.fail(plugin, error, place, env.clock.wall_ms()) {
        report::line(env, &said);
    }
}

/// One line of bounded length: what a row holds must not forge a line of the log.
pub fn key_text(key: &Key, table: &Table) -> String {
    let named = key.named(table).to_string();
    let letters = named.chars().take(limits::PLUGIN_KEY_LETTERS_MAX);
    letters.map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The context that a batch is given: the only way in for time, and it is logical.
pub fn context(identity: &Identity, scope: &str, flow: Flow, time: Timestamp) -> BatchContext {
    let Identity { store, register } = identity.clone();
    BatchContext { flow, scope: scope.to_string(), store, register, time }
}

/// The time of a batch that is read now.
pub fn now(env: &Env) -> Timestamp {
    Timestamp::from_unix_ms(env.clock.wall_ms())
}

/// The time of a sale's rows and conflicts: when the register got it, however often they are sent; now, for another
/// register's sale.
pub async fn time_of(register: &Register, id: TransactionId) -> Result<Timestamp, FlowError> {
    let record = register.local.lookup(id).await?;
    Ok(record.map_or_else(
        || now(&register.env),
        |record| Timestamp::from_unix_ms(record.received_at_ms),
    ))
}

#[cfg(test)]
pub(crate) mod tests;
