//! The profile's plugins: loaded from the register's folder, checked, given to their scopes, and shown.

pub mod book;

use crate::fault::FlowError;
use crate::register::{Register, ScopeRun, plugins_of};
use crate::report;
use crate::settings::register_file::RegisterFile;
use book::Book;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_core::profile::{PluginUse, Resolver, Scope};
use tillhold_core::table::Table;
use tillhold_env::Env;
use tillhold_plugin::{ComponentSource, LogLine, Plugin, PluginHost, PluginLimits, PluginSource};

/// Loads each plugin of the profile once.
pub struct Plugins<'r> {
    env: &'r Env,
    file: &'r RegisterFile,
    host: Arc<PluginHost>,
    pub book: Arc<Book>,
}

impl<'r> Plugins<'r> {
    pub fn new(
        env: &'r Env,
        file: &'r RegisterFile,
        book: Arc<Book>,
    ) -> Result<Plugins<'r>, FlowError> {
        let cache = file.folder.join("compiled-plugins");
        let talk = env.clone();
        let sink = Arc::new(move |line: LogLine| {
            let level = if line.is_warning { "warns" } else { "says" };
            report::line(&talk, &format!("plugin {} {level}: {}", line.plugin.name, line.text));
        });
        let host = PluginHost::new(env, &cache, PluginLimits::default())?.with_log(sink);
        Ok(Plugins { env, file, host: Arc::new(host), book })
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
                transformers.push(self.load(plugin, &tables).await?);
            }
            let resolver = match &scope.resolver {
                Resolver::Plugin(plugin) => Some(self.load(plugin, &tables).await?),
                Resolver::BuiltIn(_) => None,
            };
            let book = self.book.clone();
            runs.push(ScopeRun { scope, tables, transformers, resolver, book });
        }
        Ok(runs)
    }

    async fn load(
        &self,
        plugin: &PluginUse,
        tables: &[Arc<Table>],
    ) -> Result<Arc<Plugin>, FlowError> {
        let file = self.file.plugin_folder.join(format!("{}.wasm", plugin.name));
        let source = PluginSource {
            name: plugin.name.clone(),
            component: ComponentSource::File(file),
            digest: plugin.digest.clone(),
            config: plugin.config.clone(),
        };
        let host = self.host.clone();
        let loaded = self.env.blocking("load plugin", move || host.load(&source)).await;
        let loaded =
            loaded.ok_or(FlowError::BrokeOff("loading a plugin"))?.map_err(FlowError::Plugin)?;
        for table in tables {
            loaded.check_against(table).map_err(FlowError::Plugin)?;
        }
        Ok(Arc::new(loaded))
    }
}

/// What is at work, for status: by name and digest, each with its scopes and what it did.
pub fn shown(register: &Register) -> Json {
    let mut at_work: BTreeMap<(&str, &str), &Arc<Plugin>> = BTreeMap::new();
    for plugin in plugins_of(&register.scopes) {
        at_work.insert((plugin.name(), plugin.digest()), plugin);
    }
    let one = |plugin: &Arc<Plugin>| {
        let mut shown = register.book.shown(plugin.id());
        let works =
            |run: &&ScopeRun| plugins_of(std::slice::from_ref(run)).any(|p| p.id() == plugin.id());
        let scopes = register.scopes.iter().filter(works);
        let scopes: Vec<&str> = scopes.map(|run| run.scope.name.as_str()).collect();
        shown.insert("scopes".to_string(), json!(scopes));
        Json::Object(shown)
    };
    at_work.into_values().map(one).collect()
}
