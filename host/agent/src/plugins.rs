//! The profile's plugins: loaded from the register's folder, checked, given to their scopes, exchanged, and shown.
//!
//! ```text
//! a file changes ─► still at the next look ─► loaded beside the work ([`watch`]) ─┬► exchanged between two passes
//!                                                                                   └► refused: the old one stays
//! ```
//!
//! * One engine for the life of the agent. A component is loaded anew only when its file or its entry in the profile
//!   is another than before.
//! * A scope works with one set of plugins from the beginning of a pass to its end.

pub mod earlier;
pub mod preview;
pub mod stats;
pub mod watch;

use crate::fault::FlowError;
use crate::register::{Register, ScopeRun, ids_of, plugins_of};
use crate::report;
use crate::settings::register_file::RegisterFile;
use earlier::{Folders, WayBack};
use serde_json::{Value as Json, json};
use stats::Book;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;
use tillhold_core::limits;
use tillhold_core::profile::{PluginUse, Resolver, Scope};
use tillhold_core::table::Table;
use tillhold_env::{Env, Locked as _};
use tillhold_plugin::{
    ComponentSource, LogLine, Plugin, PluginError, PluginHost, PluginId, PluginLimits,
    PluginSource, Role, signature_file,
};
use watch::Prepared;

pub struct Plugins {
    env: Env,
    /// Also of what was at work, to go back to.
    folders: Folders,
    ways_back: Mutex<BTreeMap<String, WayBack>>,
    /// Of a start, where a file could not be used.
    stand_ins: Mutex<BTreeMap<String, WayBack>>,
    host: Arc<PluginHost>,
    pub book: Arc<Book>,
    loaded: Mutex<Vec<Loaded>>,
    prepared: Mutex<Option<Prepared>>,
}

/// A component that was loaded, and from what.
struct Loaded {
    of: PluginUse,
    stamps: Stamps,
    back: Option<WayBack>,
    plugin: Arc<Plugin>,
    /// The digest of the file that lies in the folder, where a kept one is wanted instead.
    passed_over: Option<String>,
}

/// A component, and the digest of the file that it was taken instead of.
type Checked = (Arc<Plugin>, Option<String>);

/// Tells one writing of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

/// Of a component and of the signature beside it: either may come first, and the other be news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    component: Option<Stamp>,
    signature: Option<Stamp>,
}

impl Stamps {
    fn of(component: &Path) -> Stamps {
        let signature = Stamp::of(&signature_file(component));
        Stamps { component: Stamp::of(component), signature }
    }
}

impl Stamp {
    /// `None` when it is not there.
    pub fn of(file: &Path) -> Option<Stamp> {
        let about = std::fs::metadata(file).ok()?;
        Some(Stamp { modified: about.modified().ok()?, bytes: about.len() })
    }
}

impl Plugins {
    pub fn new(env: &Env, file: &RegisterFile) -> Result<Plugins, FlowError> {
        let cache = file.folder.join("compiled-plugins");
        let talk = env.clone();
        let sink = Arc::new(move |line: LogLine| {
            let level = if line.is_warning { "warns" } else { "says" };
            report::line(&talk, &format!("plugin {} {level}: {}", line.plugin.name, line.text));
        });
        let host = PluginHost::new(env, &cache, PluginLimits::default())?.with_log(sink);
        Ok(Plugins {
            env: env.clone(),
            folders: Folders::of(file),
            ways_back: Mutex::default(),
            stand_ins: Mutex::default(),
            host: Arc::new(host),
            book: Arc::default(),
            loaded: Mutex::default(),
            prepared: Mutex::default(),
        })
    }

    pub async fn equip(
        &self,
        scopes: Vec<Scope>,
        tables: &[Arc<Table>],
    ) -> Result<Vec<ScopeRun>, FlowError> {
        let mut runs = Vec::new();
        for scope in scopes {
            let of_scope = |table: &&Arc<Table>| scope.tables.iter().any(|t| t.name == table.name);
            let tables: Vec<Arc<Table>> = tables.iter().filter(of_scope).cloned().collect();
            let mut transformers = Vec::new();
            for plugin in &scope.transformers {
                transformers.push(self.load(plugin, &[Role::Transform], &tables).await?);
            }
            let resolver = match &scope.resolver {
                Resolver::Plugin(plugin) => {
                    Some(self.load(plugin, &[Role::Resolve], &tables).await?)
                }
                Resolver::BuiltIn(_) => None,
            };
            let book = self.book.clone();
            runs.push(ScopeRun { scope, tables, transformers, resolver, book });
        }
        Ok(runs)
    }

    /// The scopes with the components that lie in the folder now; `None` when all are at work already. A component that
    /// is refused leaves each scope that names it as it is.
    pub async fn exchanged(&self, scopes: &[ScopeRun]) -> Result<Option<Vec<ScopeRun>>, FlowError> {
        let mut refused: BTreeSet<&str> = BTreeSet::new();
        for run in scopes {
            for (role, plugin) in roles_in(&run.scope) {
                match self.load(plugin, &[role], &run.tables).await {
                    Ok(_) => {}
                    Err(FlowError::Plugin(_)) => drop(refused.insert(&plugin.name)),
                    Err(error) => return Err(error),
                }
            }
        }
        let (mut runs, mut is_other) = (Vec::with_capacity(scopes.len()), false);
        for run in scopes {
            if named_by(&run.scope).any(|plugin| refused.contains(&*plugin.name)) {
                runs.push(run.clone());
                continue;
            }
            let anew = self.equip(vec![run.scope.clone()], &run.tables).await?;
            is_other |= !told_apart(&anew).eq(told_apart(std::slice::from_ref(run)));
            runs.extend(anew);
        }
        Ok(is_other.then_some(runs))
    }

    /// A refusal is noted, and said when it is news.
    async fn load(
        &self,
        plugin: &PluginUse,
        roles: &[Role],
        tables: &[Arc<Table>],
    ) -> Result<Arc<Plugin>, FlowError> {
        let loaded = self.checked(plugin, roles, tables).await;
        match &loaded {
            Ok((_, Some(digest))) if plugin.pinned().is_some() => {
                let plugin_id = PluginId { name: plugin.name.clone(), digest: digest.clone() };
                let expected = plugin.pinned().cloned().unwrap_or_default();
                let plugin_id = Arc::new(plugin_id);
                self.refuse(plugin, &PluginError::DigestMismatch { plugin: plugin_id, expected });
            }
            // The refusal of the file that lies there goes on being shown.
            Ok((_, Some(_))) if self.has_stand_in(&plugin.name) => {}
            Ok(_) => self.book.accept(plugin),
            Err(FlowError::Plugin(error)) => self.refuse(plugin, error),
            Err(_) => {}
        }
        loaded.map(|(plugin, _)| plugin)
    }

    fn refuse(&self, plugin: &PluginUse, error: &PluginError) {
        if let Some(said) = self.book.refuse(plugin, error, self.env.clock.wall_ms()) {
            report::line(&self.env, &said);
        }
    }

    async fn checked(
        &self,
        plugin: &PluginUse,
        roles: &[Role],
        tables: &[Arc<Table>],
    ) -> Result<Checked, FlowError> {
        let (loaded, passed_over) = self.loaded(plugin).await?;
        for role in roles {
            loaded.check_role(*role).map_err(FlowError::Plugin)?;
        }
        for table in tables {
            loaded.check_against(table).map_err(FlowError::Plugin)?;
        }
        Ok((loaded, passed_over))
    }

    async fn loaded(&self, of: &PluginUse) -> Result<Checked, FlowError> {
        let (places, back) = (self.places(&of.name), self.way_back(&of.name));
        // Before the file is read: what is written meanwhile is another.
        let stamps = Stamps::of(&places.file);
        let is =
            |loaded: &&Loaded| loaded.of == *of && loaded.stamps == stamps && loaded.back == back;
        if let Some(loaded) = self.all_loaded().iter().find(is) {
            return Ok((loaded.plugin.clone(), loaded.passed_over.clone()));
        }
        let (host, wanted, word) = (self.host.clone(), of.clone(), back.clone());
        let load = move || {
            let (source, passed_over) = places.choose(&wanted, word.as_ref());
            host.load(&source).map(|plugin| (plugin, passed_over))
        };
        let loaded = self.env.blocking("load plugin", load).await;
        let loaded = loaded.ok_or(FlowError::BrokeOff("loading a plugin"))?;
        let (plugin, passed_over) = loaded.map_err(FlowError::Plugin)?;
        let plugin = Arc::new(plugin);
        let mut all = self.all_loaded();
        all.retain(|loaded| loaded.of != *of);
        let (of, kept) = (of.clone(), plugin.clone());
        all.push(Loaded { of, stamps, back, plugin: kept, passed_over: passed_over.clone() });
        let too_many = all.len().saturating_sub(limits::PLUGINS_LOADED_MAX);
        all.drain(..too_many);
        Ok((plugin, passed_over))
    }

    fn all_loaded(&self) -> MutexGuard<'_, Vec<Loaded>> {
        self.loaded.locked()
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.folders.places(name).file
    }
}

/// A plugin as the profile has it loaded for this use.
pub fn source(of: &PluginUse, folder: &Path) -> PluginSource {
    let file = ComponentSource::File(folder.join(format!("{}.wasm", of.name)));
    PluginSource {
        digest: of.pinned().cloned(),
        keys: of.keys.clone(),
        grants: of.terms.grants.clone(),
        bounds: of.terms.bounds.clone(),
        ..PluginSource::plain(&of.name, file, &of.config)
    }
}

/// The profile's entries of a scope.
pub fn named_by(scope: &Scope) -> impl Iterator<Item = &PluginUse> {
    roles_in(scope).map(|(_, plugin)| plugin)
}

/// The same, each with what it is there for.
fn roles_in(scope: &Scope) -> impl Iterator<Item = (Role, &PluginUse)> {
    let resolver = match &scope.resolver {
        Resolver::Plugin(plugin) => Some((Role::Resolve, plugin)),
        Resolver::BuiltIn(_) => None,
    };
    scope.transformers.iter().map(|plugin| (Role::Transform, plugin)).chain(resolver)
}

/// The same component under another key's signature is another for whoever asks who signed it.
fn told_apart(scopes: &[ScopeRun]) -> impl Iterator<Item = (&PluginId, Option<&str>)> {
    plugins_of(scopes).map(|plugin| (plugin.id(), plugin.signed_by()))
}

/// What took whose place, for the operator.
pub fn exchange_text(before: &[ScopeRun], after: &[ScopeRun]) -> Vec<String> {
    let mut said: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (old, new) in before.iter().zip(after) {
        let (old_ids, new_ids) = (std::slice::from_ref(old), std::slice::from_ref(new));
        for (was, is) in ids_of(old_ids).zip(ids_of(new_ids)).filter(|(was, is)| was != is) {
            let text = format!("{is} took the place of {was}");
            said.entry(text).or_default().push(&new.scope.name);
        }
    }
    said.into_iter().map(|(text, scopes)| format!("{text} in {}", scopes.join(", "))).collect()
}

/// What is at work, for status: by name and digest, each with its scopes and what it did.
pub fn shown(register: &Register) -> Json {
    let mut at_work: BTreeMap<(&str, &str), &Arc<Plugin>> = BTreeMap::new();
    for plugin in plugins_of(&register.scopes) {
        at_work.insert((plugin.name(), plugin.digest()), plugin);
    }
    let one = |plugin: &Arc<Plugin>| {
        let mut shown = register.plugins.book.shown(plugin.id());
        let works = |run: &&ScopeRun| ids_of(std::slice::from_ref(run)).any(|id| id == plugin.id());
        let scopes = register.scopes.iter().filter(works);
        let scopes: Vec<&str> = scopes.map(|run| run.scope.name.as_str()).collect();
        let (kept, back) = register.plugins.told_of_earlier(plugin.id());
        shown.insert("signed_by".to_string(), json!(plugin.signed_by()));
        shown.insert("scopes".to_string(), json!(scopes));
        shown.insert("kept".to_string(), json!(kept));
        shown.insert("rolled_back".to_string(), back);
        Json::Object(shown)
    };
    at_work.into_values().map(one).collect()
}
