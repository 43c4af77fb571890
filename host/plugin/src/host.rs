//! The door through which a plugin enters: everything is checked here, once, before the first row.
//!
//! ```text
//! bytes -> size -> digest -> signature -> not machine code -> compiled (cache) -> imports -> exports, version, types
//!       -> describe -> what it declares, held against what it is granted
//! ```
//!
//! * A component that asks for anything but log lines is refused with the name of what it asks for.
//! * Loading blocks: compiling takes 30 ms for a Rust plugin and half a minute for Python. Do it when a plugin is
//!   installed, never at a sale.

use crate::admit;
use crate::answer::plain;
use crate::cache::Cache;
use crate::error::{PluginError, PluginId};
use crate::gate::Gate;
use crate::plugin::{Plugin, Shared};
use crate::run::{self, LogSink, State};
use crate::signature::{self, Beside};
use crate::ticker::Ticker;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tillhold_core::grant::Grants;
use tillhold_core::limits;
use tillhold_core::profile::PluginBounds;
use tillhold_core::text::hexadecimal;
use tillhold_env::Env;
use wasmtime::Engine;
use wasmtime::component::Linker;

/// Where a component comes from, and what the profile says about it.
#[derive(Clone, Debug)]
pub struct PluginSource {
    pub name: String,
    pub component: ComponentSource,
    /// `sha256:…`: any other component is refused.
    pub digest: Option<String>,
    /// Public keys as minisign writes them: one of them must have signed it. Empty: nobody need have.
    pub keys: Vec<String>,
    /// Handed to the plugin as it is.
    pub config: String,
    /// `None`: it gets what it declares.
    pub grants: Option<Grants>,
    /// Instead of the host's own limits.
    pub bounds: PluginBounds,
}

impl PluginSource {
    /// Any component, with all that it declares.
    pub fn plain(name: &str, component: ComponentSource, config: &str) -> PluginSource {
        let (name, config) = (name.to_string(), config.to_string());
        let bounds = PluginBounds::default();
        let keys = Vec::new();
        PluginSource { name, component, digest: None, keys, config, grants: None, bounds }
    }
}

#[derive(Clone, Debug)]
pub enum ComponentSource {
    Bytes(Vec<u8>),
    Signed(Vec<u8>, Beside),
    /// Its signature lies beside it.
    File(PathBuf),
}

/// What a plugin may use; `default()` is the product's (`tillhold_core::limits`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    pub memory_bytes_max: usize,
    /// In ticks of [`limits::PLUGIN_TICK`].
    pub ticks_max: u64,
    pub answer_bytes_max: usize,
    pub file_bytes_max: u64,
    pub log_lines_max: u32,
    pub log_line_bytes_max: usize,
}

impl Default for PluginLimits {
    fn default() -> PluginLimits {
        PluginLimits {
            memory_bytes_max: limits::PLUGIN_MEMORY_BYTES_MAX,
            ticks_max: limits::PLUGIN_TICKS_MAX,
            answer_bytes_max: limits::PLUGIN_ANSWER_BYTES_MAX,
            file_bytes_max: limits::PLUGIN_FILE_BYTES_MAX,
            log_lines_max: limits::PLUGIN_LOG_LINES_MAX,
            log_line_bytes_max: limits::PLUGIN_LOG_LINE_BYTES_MAX,
        }
    }
}

impl PluginLimits {
    /// The same, but what `bounds` say.
    pub fn within(&self, bounds: &PluginBounds) -> PluginLimits {
        let ticks = |time: Duration| time.as_millis().div_ceil(limits::PLUGIN_TICK.as_millis());
        PluginLimits {
            memory_bytes_max: bounds.memory_bytes.unwrap_or(self.memory_bytes_max),
            ticks_max: bounds.deadline.map_or(self.ticks_max, |time| ticks(time) as u64),
            answer_bytes_max: bounds.answer_bytes.unwrap_or(self.answer_bytes_max),
            log_lines_max: bounds.log_lines.unwrap_or(self.log_lines_max),
            ..self.clone()
        }
    }
}

/// One engine, one folder of compiled code, any number of plugins.
pub struct PluginHost {
    engine: Engine,
    linker: Linker<State>,
    cache: Cache,
    ticker: Arc<Ticker>,
    gate: Arc<Gate>,
    limits: PluginLimits,
    log: LogSink,
}

impl PluginHost {
    /// `cache_folder` is made when it is not there; nothing else may write to it.
    pub fn new(
        env: &Env,
        cache_folder: &Path,
        limits: PluginLimits,
    ) -> Result<PluginHost, PluginError> {
        PluginHost::with_engine(env, cache_folder, limits, run::engine())
    }

    pub(crate) fn with_engine(
        env: &Env,
        cache_folder: &Path,
        limits: PluginLimits,
        engine: wasmtime::Result<Engine>,
    ) -> Result<PluginHost, PluginError> {
        let not_started = |error: &dyn ToString| PluginError::Engine { reason: error.to_string() };
        let engine = engine.map_err(|error| not_started(&error))?;
        let linker = run::linker(&engine).map_err(|error| not_started(&error))?;
        let ticker = Ticker::start(env, &engine).map_err(|error| not_started(&error))?;
        let cache = Cache::open(env, cache_folder, &engine)
            .map_err(|source| PluginError::Cache { path: cache_folder.to_path_buf(), source })?;
        let (ticker, gate) = (Arc::new(ticker), Gate::with_places(limits::PLUGIN_CALLS_MAX));
        let (gate, log): (_, LogSink) = (Arc::new(gate), Arc::new(|_| {}));
        Ok(PluginHost { engine, linker, cache, ticker, gate, limits, log })
    }

    /// Plugins loaded from now on send their log lines here; without it they are dropped.
    pub fn with_log(mut self, sink: LogSink) -> PluginHost {
        self.log = sink;
        self
    }

    pub fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// Blocks while it compiles and asks the plugin to describe itself.
    pub fn load(&self, source: &PluginSource) -> Result<Plugin, PluginError> {
        self.load_heard_by(source, self.log.clone())
    }

    /// The same, for a trial: its log lines are not those of a plugin at work.
    pub fn load_heard_by(
        &self,
        source: &PluginSource,
        log: LogSink,
    ) -> Result<Plugin, PluginError> {
        let wasm = self.read(source)?;
        let digest = digest_of(&wasm);
        let id = Arc::new(PluginId { name: source.name.clone(), digest });
        if let Some(expected) =
            source.digest.as_ref().filter(|d| !id.digest.eq_ignore_ascii_case(d))
        {
            return Err(PluginError::DigestMismatch { plugin: id, expected: expected.clone() });
        }
        let signed_by = signer(&id, &wasm, source)?;
        admit::bytes(&id, &wasm)?;
        // The engine quotes the component's names.
        let told =
            |error: wasmtime::Error| plain(&format!("{error:#}"), self.limits.log_line_bytes_max);
        let compiled = self.cache.compiled(&self.engine, &id.digest, &wasm);
        let (component, stored) = compiled.map_err(|error| PluginError::NotAComponent {
            plugin: id.clone(),
            reason: told(error),
        })?;
        let imports = admit::imports(&id, &self.engine, &component)?;
        let exports = admit::exports(&id, &self.engine, &component)?;
        let linked =
            self.linker.instantiate_pre(&component).map_err(|error| PluginError::OtherShape {
                plugin: id.clone(),
                interface: "tillhold:plugin/log".to_string(),
                reason: told(error),
            })?;
        let shared = Shared {
            id,
            config: source.config.clone(),
            signed_by,
            grants: source.grants.clone(),
            stored,
            engine: self.engine.clone(),
            linked,
            imports,
            exports,
            ticker: self.ticker.clone(),
            gate: self.gate.clone(),
            limits: self.limits.within(&source.bounds),
            memory_peak_bytes: AtomicUsize::new(0),
        };
        Plugin::described(shared, log)
    }

    fn read(&self, source: &PluginSource) -> Result<Vec<u8>, PluginError> {
        let too_large = |bytes: u64| PluginError::TooLarge {
            name: source.name.clone(),
            bytes,
            most: self.limits.file_bytes_max,
        };
        let path = match &source.component {
            ComponentSource::Bytes(bytes) | ComponentSource::Signed(bytes, _) => {
                let length = bytes.len() as u64;
                let fits = length <= self.limits.file_bytes_max;
                return if fits { Ok(bytes.clone()) } else { Err(too_large(length)) };
            }
            ComponentSource::File(path) => path,
        };
        let unreadable = |error| PluginError::Unreadable {
            name: source.name.clone(),
            path: path.clone(),
            source: error,
        };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if length > self.limits.file_bytes_max {
            return Err(too_large(length));
        }
        fs::read(path).map_err(unreadable)
    }
}

/// `None`: nobody need have signed it.
fn signer(
    plugin: &Arc<PluginId>,
    wasm: &[u8],
    source: &PluginSource,
) -> Result<Option<String>, PluginError> {
    if source.keys.is_empty() {
        return Ok(None);
    }
    let beside = match &source.component {
        ComponentSource::Bytes(_) => Beside::Nothing,
        ComponentSource::Signed(_, beside) => beside.clone(),
        ComponentSource::File(path) => Beside::of(path),
    };
    signature::signer(plugin, wasm, &beside, &source.keys).map(Some)
}

/// `sha256:` and 64 lower-case hexadecimal digits: how a profile pins a component.
pub fn digest_of(component: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(&Sha256::digest(component)).to_ascii_lowercase())
}
