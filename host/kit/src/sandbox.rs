//! The sandbox of production, for an author's own machine: the same host, the same limits.
//!
//! Compiled code is kept in the cache folder of this account, so that a plugin of a scripted language is compiled once.

use crate::KitError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tillhold_core::grant::Grants;
use tillhold_core::profile::PluginBounds;
use tillhold_env::Env;
use tillhold_plugin::{
    Beside, ComponentSource, LogLine, Plugin, PluginError, PluginHost, PluginLimits, PluginSource,
    digest_of,
};
use tillhold_toolchain::cache_folder;

pub struct Sandbox {
    host: PluginHost,
    said: Arc<Mutex<Vec<LogLine>>>,
    terms: Terms,
    /// Where the compiled code is kept.
    compiled: PathBuf,
}

/// What an operator says of a plugin, for who tries it beforehand; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// `sha256:…`: any other component is refused.
    pub digest: Option<String>,
    /// One of them must have signed it; none: nobody need have.
    pub keys: Vec<String>,
    /// `None`: it gets what it declares.
    pub grants: Option<Grants>,
    /// Instead of the limits of every plugin.
    pub bounds: PluginBounds,
}

/// A component in memory, so that one command judges one state of its file.
pub struct Component {
    /// Its file's name without the ending, as a register would call it.
    pub name: String,
    pub wasm: Vec<u8>,
    pub signature: Beside,
}

impl Sandbox {
    pub fn open(env: &Env) -> Result<Sandbox, KitError> {
        let said: Arc<Mutex<Vec<LogLine>>> = Arc::default();
        let hearing = said.clone();
        let sink = move |line| hearing.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let folder = cache_folder()?.join("compiled-plugins");
        let host = PluginHost::new(env, &folder, PluginLimits::default())?;
        let (host, terms) = (host.with_log(Arc::new(sink)), Terms::default());
        Ok(Sandbox { host, said, terms, compiled: folder })
    }

    /// Whatever is loaded from now on is held to these.
    pub fn under(self, terms: Terms) -> Sandbox {
        Sandbox { terms, ..self }
    }

    pub fn limits(&self) -> PluginLimits {
        self.host.limits().within(&self.terms.bounds)
    }

    /// Whether anybody must have signed what is loaded.
    pub fn asks_for_signatures(&self) -> bool {
        !self.terms.keys.is_empty()
    }

    pub fn load(&self, component: &Component, config: &str) -> Result<Plugin, PluginError> {
        let wasm = ComponentSource::Signed(component.wasm.clone(), component.signature.clone());
        let Terms { digest, keys, grants, bounds } = self.terms.clone();
        let plain = PluginSource::plain(&component.name, wasm, config);
        self.host.load(&PluginSource { digest, keys, grants, bounds, ..plain })
    }

    /// As a register would load it, with all that its profile says.
    pub fn load_as(&self, source: &PluginSource) -> Result<Plugin, PluginError> {
        self.host.load(source)
    }

    /// Whether loading it would compile it first: seconds for a compiled language, half a minute for an interpreter.
    pub fn must_compile(&self, component: &Component) -> bool {
        let digest = digest_of(&component.wasm);
        let digest = digest.trim_start_matches("sha256:");
        let entries = std::fs::read_dir(&self.compiled).into_iter().flatten().flatten();
        !entries
            .map(|entry| entry.file_name())
            .any(|name| name.to_string_lossy().starts_with(digest))
    }

    /// What plugins wrote for the operator since this was last asked.
    pub fn said(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Component {
    pub fn read(file: &Path) -> Result<Component, KitError> {
        let unread = |cause| KitError::File { path: file.to_path_buf(), done: "read", cause };
        let wasm = std::fs::read(file).map_err(unread)?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let (name, signature) = (name.unwrap_or_default(), Beside::of(file));
        Ok(Component { name, wasm, signature })
    }
}
