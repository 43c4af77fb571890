//! A loaded plugin: what it said of itself, and the two things that it can be asked.
//!
//! Every call blocks and runs in an instance of its own. Safe to share and to call from several threads at once.

use crate::admit::{Exported, Exports};
use crate::answer::{self, Verdict, plain};
use crate::cache::Stored;
use crate::columns;
use crate::conflicts;
use crate::contract::Contract;
use crate::error::{PluginError, PluginId};
use crate::gate::Gate;
use crate::host::PluginLimits;
use crate::run::{self, Linked, LogSink};
use crate::ticker::Ticker;
use crate::uses::{self, Plan, Role, TableUse};
use crate::wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::grant::{Grant, Grants};
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_core::moment::Timestamp;
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use wasmtime::Engine;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower};

/// Which way the rows of a batch travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Down: channel to register.
    Pull,
    /// Up: register to channel.
    Push,
}

/// What a plugin is told about a batch. Nothing here may differ when the same batch is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchContext {
    pub flow: Flow,
    pub scope: String,
    pub store: String,
    pub register: String,
    /// Logical: the batch's own time, UTC, not the clock's.
    pub time: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub transforms: bool,
    pub resolves: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    shared: Arc<Shared>,
    uses: Arc<Vec<TableUse>>,
    log: LogSink,
}

pub(crate) struct Shared {
    pub id: Arc<PluginId>,
    pub config: String,
    pub signed_by: Option<String>,
    pub grants: Option<Grants>,
    pub stored: Stored,
    pub engine: Engine,
    pub linked: Linked,
    pub imports: Vec<String>,
    pub exports: Exports,
    pub ticker: Arc<Ticker>,
    pub gate: Arc<Gate>,
    pub limits: PluginLimits,
    pub memory_peak_bytes: AtomicUsize,
}

impl Plugin {
    pub fn id(&self) -> &PluginId {
        &self.shared.id
    }

    pub fn name(&self) -> &str {
        &self.shared.id.name
    }

    /// `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.shared.id.digest
    }

    /// The number of the trusted key that signed it; `None` where nobody need have.
    pub fn signed_by(&self) -> Option<&str> {
        self.shared.signed_by.as_deref()
    }

    /// The same, whose log lines go elsewhere from now on.
    pub fn heard_by(&self, log: LogSink) -> Plugin {
        Plugin { log, ..self.clone() }
    }

    pub fn kind(&self) -> Kind {
        let Exports { transform, resolve } = &self.shared.exports;
        Kind { transforms: transform.is_some(), resolves: resolve.is_some() }
    }

    /// Whether it can be what the profile makes of it.
    pub fn check_role(&self, role: Role) -> Result<(), PluginError> {
        let kind = self.kind();
        match role {
            Role::Transform if !kind.transforms => Err(self.lacks(Role::Transform, Role::Resolve)),
            Role::Resolve if !kind.resolves => Err(self.lacks(Role::Resolve, Role::Transform)),
            Role::Transform | Role::Resolve => Ok(()),
        }
    }

    /// The interfaces that it asks for, with their versions.
    pub fn imports(&self) -> &[String] {
        &self.shared.imports
    }

    /// The contract's interfaces that it offers, with their versions.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        let Exports { transform, resolve } = &self.shared.exports;
        [transform, resolve].into_iter().flatten().map(|exported| exported.interface.as_str())
    }

    /// What the plugin declared, transforms first.
    pub fn uses(&self) -> &[TableUse] {
        &self.uses
    }

    /// The grants with which it would work, in the order in which it names its tables. A resolver gets the key of each
    /// row too, so it needs the key's columns, which only `tables` can tell.
    pub fn grants_needed(&self, tables: &[&Table]) -> Vec<Grant> {
        uses::needed(&self.uses, tables)
    }

    /// The most memory that one call had so far.
    pub fn memory_peak_bytes(&self) -> usize {
        self.shared.memory_peak_bytes.load(Ordering::Relaxed)
    }

    /// What each of its calls may use.
    pub fn limits(&self) -> &PluginLimits {
        &self.shared.limits
    }

    /// Whether its compiled code was there already.
    pub fn stored(&self) -> &Stored {
        &self.shared.stored
    }

    /// Whether all that the plugin declared for `table` travels and may be written. A table that it does not use is
    /// always fine.
    pub fn check_against(&self, table: &Table) -> Result<(), PluginError> {
        for role in [Role::Transform, Role::Resolve] {
            self.plan(role, table)?;
        }
        Ok(())
    }

    /// The same for whoever is to mend it: all that is wrong, at once.
    pub fn mistakes_against(&self, table: &Table) -> Vec<PluginError> {
        uses::mistakes(&self.shared.id, &self.uses, table)
    }

    /// Whether it transforms rows of `table`; others pass without a call.
    pub fn works_on(&self, table: &Table) -> bool {
        matches!(self.plan(Role::Transform, table), Ok(Some(_)) | Err(_))
    }

    /// One verdict for each row, in order. A table that the plugin does not use is kept without a call.
    pub fn transform(
        &self,
        context: &BatchContext,
        table: &Table,
        rows: &[Row],
    ) -> Result<Vec<Verdict>, PluginError> {
        let Some(exported) = &self.shared.exports.transform else {
            return Err(self.lacks(Role::Transform, Role::Resolve));
        };
        let Some(plan) = self.plan(Role::Transform, table)? else {
            return Ok(vec![Verdict::Keep; rows.len()]);
        };
        let context = self.context(context);
        let mut verdicts = Vec::with_capacity(rows.len());
        for batch in columns::batches(rows, &plan.reads) {
            verdicts.extend(self.transform_batch(exported, &context, table, &plan, batch)?);
        }
        Ok(verdicts)
    }

    fn transform_batch(
        &self,
        exported: &Exported,
        context: &wire::Context,
        table: &Table,
        plan: &Plan,
        rows: &[Row],
    ) -> Result<Vec<Verdict>, PluginError> {
        let columns = columns::of_rows(table, &plan.reads, rows)?;
        let count = u32::try_from(rows.len()).expect("a batch has at most a thousand rows");
        let params: wire::TransformParams = (context, &plan.spelled, count, &columns);
        let (answer,): wire::TransformResult = match exported.contract {
            Contract::V0_1 => self.call("transform", &exported.act, params)?,
        };
        let limits = &self.shared.limits;
        let answer = answer.map_err(|message| PluginError::Refused {
            plugin: self.shared.id.clone(),
            table: table.name.clone(),
            message: plain(&message, limits.log_line_bytes_max),
        })?;
        let reason_max = limits.log_line_bytes_max;
        answer::verdicts(table, &plan.writes, rows.len(), reason_max, answer)
            .map_err(|what| self.bad_answer("transform", what))
    }

    /// One resolution for each conflict, in order. One of a table that the plugin does not use waits for a person.
    pub fn resolve(
        &self,
        context: &BatchContext,
        conflicts: &[Conflict],
    ) -> Result<Vec<Resolution>, PluginError> {
        let Some(exported) = &self.shared.exports.resolve else {
            return Err(self.lacks(Role::Resolve, Role::Transform));
        };
        let context = self.context(context);
        let mut resolutions = Vec::with_capacity(conflicts.len());
        for batch in conflicts.chunks(PULL_PAGE_ROWS_MAX) {
            resolutions.extend(self.resolve_batch(exported, &context, batch)?);
        }
        Ok(resolutions)
    }

    fn resolve_batch(
        &self,
        exported: &Exported,
        context: &wire::Context,
        batch: &[Conflict],
    ) -> Result<Vec<Resolution>, PluginError> {
        let plans = batch.iter().map(|conflict| self.plan(Role::Resolve, &conflict.table));
        let plans = plans.collect::<Result<Vec<Option<Plan>>, PluginError>>()?;
        let asked: Vec<(&Plan, &Conflict)> = plans
            .iter()
            .zip(batch)
            .filter_map(|(plan, conflict)| Some((plan.as_ref()?, conflict)))
            .collect();
        let mut decided = self.ask(exported, context, &asked)?.into_iter();
        let answers = plans.iter().zip(batch).map(|(plan, conflict)| match plan {
            Some(_) => decided.next().expect("one resolution for each conflict that was asked"),
            None => Resolution::Defer(format!(
                "resolver {} does not decide conflicts of {}",
                self.name(),
                conflict.table.name
            )),
        });
        Ok(answers.collect())
    }

    fn ask(
        &self,
        exported: &Exported,
        context: &wire::Context,
        asked: &[(&Plan, &Conflict)],
    ) -> Result<Vec<Resolution>, PluginError> {
        let Some((_, first)) = asked.first() else { return Ok(Vec::new()) };
        let sent: Vec<wire::Conflict> =
            asked.iter().map(|(plan, conflict)| conflicts::to_wire(plan, conflict)).collect();
        let params: wire::ResolveParams = (context, &sent);
        let (answer,): wire::ResolveResult = match exported.contract {
            Contract::V0_1 => self.call("resolve", &exported.act, params)?,
        };
        let reason_max = self.shared.limits.log_line_bytes_max;
        let said = answer.map_err(|message| PluginError::Refused {
            plugin: self.shared.id.clone(),
            table: first.table.name.clone(),
            message: plain(&message, reason_max),
        })?;
        if said.len() != asked.len() {
            let what = format!("{} resolutions for {} conflicts", said.len(), asked.len());
            return Err(self.bad_answer("resolve", what));
        }
        let decided = said
            .into_iter()
            .zip(asked)
            .map(|(said, (plan, conflict))| conflicts::from_wire(plan, conflict, reason_max, said));
        decided.collect::<Result<_, _>>().map_err(|what| self.bad_answer("resolve", what))
    }

    /// The last step of loading: the types of all exported functions are held against the contract, and the plugin
    /// says what it works on.
    pub(crate) fn described(shared: Shared, log: LogSink) -> Result<Plugin, PluginError> {
        let mut plugin = Plugin { shared: Arc::new(shared), uses: Arc::new(Vec::new()), log };
        let Exports { transform, resolve } = &plugin.shared.exports;
        let mut uses = Vec::new();
        if let Some(exported) = transform {
            match exported.contract {
                Contract::V0_1 => {
                    plugin.check_types::<wire::TransformParams, wire::TransformResult>(exported)?;
                }
            }
            uses.extend(plugin.describe(Role::Transform, exported)?);
        }
        if let Some(exported) = resolve {
            match exported.contract {
                Contract::V0_1 => {
                    plugin.check_types::<wire::ResolveParams, wire::ResolveResult>(exported)?;
                }
            }
            uses.extend(plugin.describe(Role::Resolve, exported)?);
        }
        plugin.uses = Arc::new(uses);
        uses::check_grants(&plugin.shared.id, &plugin.uses, plugin.shared.grants.as_ref())?;
        Ok(plugin)
    }

    fn check_types<P, R>(&self, exported: &Exported) -> Result<(), PluginError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let shared = &self.shared;
        let _place = shared.gate.enter();
        let running = shared.ticker.run();
        let mut store = run::fresh_store(&shared.engine, &shared.limits);
        let instance = shared.linked.instantiate(&mut store);
        drop(running);
        let instance =
            instance.map_err(|error| run::fault(&shared.id, "start", &error, store.data()))?;
        let describe = instance
            .get_typed_func::<(String,), wire::DescribeResult>(&mut store, &exported.describe)
            .map(|_| ());
        let act = instance.get_typed_func::<P, R>(&mut store, &exported.act).map(|_| ());
        describe.and(act).map_err(|error| PluginError::OtherShape {
            plugin: shared.id.clone(),
            interface: exported.interface.clone(),
            reason: plain(&format!("{error:#}"), shared.limits.log_line_bytes_max),
        })
    }

    fn describe(&self, role: Role, exported: &Exported) -> Result<Vec<TableUse>, PluginError> {
        let params = (self.shared.config.as_str(),);
        let (answer,): wire::DescribeResult = self.call("describe", &exported.describe, params)?;
        let described = answer.map_err(|message| PluginError::Describe {
            plugin: self.shared.id.clone(),
            message: plain(&message, self.shared.limits.log_line_bytes_max),
        })?;
        uses::checked(role, described).map_err(|what| self.bad_answer("describe", what))
    }

    fn call<P, R>(
        &self,
        call: &'static str,
        function: &ComponentExportIndex,
        params: P,
    ) -> Result<R, PluginError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let shared = &self.shared;
        let place = shared.gate.enter();
        let running = shared.ticker.run();
        let mut store = run::fresh_store(&shared.engine, &shared.limits);
        let answer = shared.linked.instantiate(&mut store).and_then(|instance| {
            let function = instance.get_typed_func::<P, R>(&mut store, function)?;
            function.call(&mut store, params)
        });
        drop(running);
        let answer = answer.map_err(|error| run::fault(&shared.id, call, &error, store.data()));
        shared.memory_peak_bytes.fetch_max(store.data().memory_bytes(), Ordering::Relaxed);
        let said = store.into_data();
        // Whoever hears the lines may take its time, or call a plugin.
        drop(place);
        said.deliver(&shared.id, &self.log);
        answer
    }

    fn plan(&self, role: Role, table: &Table) -> Result<Option<Plan>, PluginError> {
        let first_resolve = self.uses.partition_point(|used| used.role == Role::Transform);
        let (transforms, resolves) = self.uses.split_at(first_resolve);
        let uses = if role == Role::Transform { transforms } else { resolves };
        uses::plan(&self.shared.id, uses, self.shared.grants.as_ref(), table)
    }

    fn context(&self, context: &BatchContext) -> wire::Context {
        wire::Context {
            config: self.shared.config.clone(),
            flow: match context.flow {
                Flow::Pull => wire::Flow::Pull,
                Flow::Push => wire::Flow::Push,
            },
            scope: context.scope.clone(),
            store: context.store.clone(),
            register: context.register.clone(),
            time: context.time.0,
        }
    }

    fn lacks(&self, needs: Role, has: Role) -> PluginError {
        let plugin = self.shared.id.clone();
        PluginError::Role { plugin, needs: needs.name(), has: has.name() }
    }

    /// `what` quotes the plugin, whose cells and names may have megabytes and lines.
    fn bad_answer(&self, call: &'static str, what: String) -> PluginError {
        let what = plain(&what, self.shared.limits.log_line_bytes_max);
        PluginError::BadAnswer { plugin: self.shared.id.clone(), call, what }
    }
}
