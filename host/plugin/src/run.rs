//! One call of a plugin: a fresh instance under its limits, and its end told apart.
//!
//! * Fresh for every call: an answer cannot depend on what came before, and after a trap nothing is left over.
//! * Memory, tables, time and the size of the answer are bounded; log lines too.

use crate::answer::plain;
use crate::contract::Contract;
use crate::error::{PluginError, PluginId};
use crate::host::PluginLimits;
use crate::wire;
use std::sync::Arc;
use tillhold_core::limits;
use wasmtime::component::Linker;
use wasmtime::{
    Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store,
    StoreContextMut, Trap,
};

/// A line that a plugin wrote for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub plugin: Arc<PluginId>,
    pub is_warning: bool,
    pub text: String,
}

/// Where log lines go. Called on the thread that called the plugin, after the call.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// What an instance has beside it.
pub(crate) struct State {
    limits: PluginLimits,
    memory_bytes: usize,
    memory_refused: Option<usize>,
    lines: Vec<(bool, String)>,
    lines_dropped: u32,
}

/// The contract's imports, as this host offers them.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let write = |mut store: StoreContextMut<'_, State>, (level, line): (wire::Level, String)| {
        store.data_mut().log(level, line);
        Ok(())
    };
    for contract in Contract::SPOKEN {
        match contract {
            Contract::V0_1 => linker.instance(&contract.log())?.func_wrap("write", write)?,
        }
    }
    Ok(linker)
}

pub(crate) fn fresh_store(engine: &Engine, limits: &PluginLimits) -> Store<State> {
    let mut store = Store::new(engine, State::new(limits));
    store.limiter(|state| state);
    store.set_epoch_deadline(limits.ticks_max);
    store.epoch_deadline_trap();
    store.set_hostcall_fuel(limits.answer_bytes_max);
    // The contract has no resources, so no handle is ever honest.
    store.set_max_component_handles(0);
    store
}

/// What went wrong in `call`, from the error and from what the limits saw.
pub(crate) fn fault(
    plugin: &Arc<PluginId>,
    call: &'static str,
    error: &wasmtime::Error,
    state: &State,
) -> PluginError {
    let plugin = plugin.clone();
    let allowed = &state.limits;
    if let Some(asked) = state.memory_refused {
        return PluginError::Memory { plugin, call, asked, most: allowed.memory_bytes_max };
    }
    let text = error.root_cause().to_string();
    // wasmtime keeps this error's type to itself; its text is part of the version that Cargo.toml pins.
    if text.contains("too much data is being copied") {
        return PluginError::AnswerTooLarge { plugin, call, most: allowed.answer_bytes_max };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => PluginError::Deadline { plugin, call, ticks: allowed.ticks_max },
        Some(trap) => {
            PluginError::Trap { plugin, call, what: trap.to_string(), said: state.last_words() }
        }
        // An answer that breaks the component model's own rules: no UTF-8, a case that is not there.
        None => {
            let what = plain(&text, allowed.log_line_bytes_max);
            PluginError::BadAnswer { plugin, call, what }
        }
    }
}

impl State {
    fn new(limits: &PluginLimits) -> State {
        State {
            limits: limits.clone(),
            memory_bytes: 0,
            memory_refused: None,
            lines: Vec::new(),
            lines_dropped: 0,
        }
    }

    /// The most that the instance had: memory only grows.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn log(&mut self, level: wire::Level, mut line: String) {
        if self.lines.len() >= self.limits.log_lines_max as usize {
            self.lines_dropped = self.lines_dropped.saturating_add(1);
            return;
        }
        line.truncate(line.floor_char_boundary(self.limits.log_line_bytes_max));
        // A line is one line: a newline in it would let a plugin forge another's.
        let line = line.replace(|c: char| c.is_control(), " ");
        self.lines.push((level == wire::Level::Warning, line));
    }

    fn last_words(&self) -> Option<String> {
        self.lines.last().map(|(_, line)| line.clone())
    }

    /// Hands the lines over, and says how many there were too many.
    pub(crate) fn deliver(self, plugin: &Arc<PluginId>, sink: &LogSink) {
        let dropped = self.lines_dropped;
        let too_many = (dropped > 0).then(|| (true, format!("{dropped} more lines were dropped")));
        for (is_warning, text) in self.lines.into_iter().chain(too_many) {
            sink(LogLine { plugin: plugin.clone(), is_warning, text });
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let whole = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if whole > self.limits.memory_bytes_max {
            self.memory_refused = Some(whole);
            return Err(wasmtime::Error::msg("memory limit"));
        }
        self.memory_bytes = whole;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= limits::PLUGIN_TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        limits::PLUGIN_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        limits::PLUGIN_TABLES_MAX
    }

    fn memories(&self) -> usize {
        limits::PLUGIN_MEMORIES_MAX
    }
}

/// A component whose imports have been met and checked once.
pub(crate) type Linked = wasmtime::component::InstancePre<State>;

/// The product's engine. Its memories are reserved once and reset after each call, instead of mapped for each; where the
/// operating system has no room for them (a limit on addresses, a short address space), each call maps its own.
/// Why: docs/decisions/0025-pooled-plugin-memories.md.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut pooled = engine_config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    Engine::new(&pooled).or_else(|_| Engine::new(&engine_config()))
}

/// Addresses for the most that may run at once, each memory's whole 4 GiB: how much of it a plugin gets is the limiter's to
/// say, in its own words. Memory is used by what runs, and a little of it is kept.
fn pool() -> PoolingAllocationConfig {
    let calls = limits::PLUGIN_CALLS_MAX;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls * limits::PLUGIN_INSTANCES_MAX as u32)
        .total_memories(calls * limits::PLUGIN_MEMORIES_MAX as u32)
        .total_tables(calls * limits::PLUGIN_TABLES_MAX as u32)
        .max_core_instances_per_component(limits::PLUGIN_INSTANCES_MAX as u32)
        .max_memories_per_component(limits::PLUGIN_MEMORIES_MAX as u32)
        .max_memories_per_module(limits::PLUGIN_MEMORIES_MAX as u32)
        .max_tables_per_component(limits::PLUGIN_TABLES_MAX as u32)
        .max_tables_per_module(limits::PLUGIN_TABLES_MAX as u32)
        .table_elements(limits::PLUGIN_TABLE_ELEMENTS_MAX)
        .max_unused_warm_slots(limits::PLUGIN_MEMORIES_WARM);
    // Only with it are the pages that a call wrote to found without going through all of them.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(limits::PLUGIN_MEMORY_BYTES_WARM)
            .table_keep_resident(limits::PLUGIN_MEMORY_BYTES_WARM);
    }
    pool
}

/// The engine's settings, with everything off that a pure function does not need or that could make two runs differ.
pub(crate) fn engine_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(limits::PLUGIN_STACK_BYTES_MAX)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .shared_memory(false)
        .wasm_memory64(false)
        // A component made of components has a memory each, and wasmtime's own code between two of them needs both at
        // once; without this it panics on such a component. How many there may be is a limit of its own.
        .wasm_multi_memory(true);
    config
}
