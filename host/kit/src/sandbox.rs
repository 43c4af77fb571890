//! The sandbox of production, for an author's own machine: the same host, the same limits.
//!
//! Compiled code is kept in the cache folder of this account, so that a plugin of a scripted language is compiled once.

use crate::KitError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tillhold_core::grant::Grants;
use tillhold_core::profile::PluginBounds;
use tillhold_env::{Env, Locked as _};
use tillhold_plugin::{
    Beside, ComponentSource, LogLine, LogSink, Plugin, PluginError, PluginHost, PluginLimits,
    PluginSource, digest_of,
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
        let sink = move |line| hearing.locked().push(line);
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

    /// The plugin with its lines told as they come, those of its loading first. None is kept, so it may run for as long
    /// as there are rows.
    pub fn heard_by(&self, plugin: &Plugin, sink: LogSink) -> Plugin {
        for line in self.said() {
            sink(line);
        }
        plugin.heard_by(sink)
    }

    /// What plugins wrote for the operator since this was last asked. It is kept until then, so ask after each case.
    pub fn said(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.said.locked())
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

#[cfg(test)]
mod tests {
    use crate::Schema;
    use crate::fixtures::{component, context, sandbox};
    use crate::rows::RowReader;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tillhold_core::row::Row;
    use tillhold_env::Locked as _;
    use tillhold_plugin::Plugin;

    const VICTIM: &str = r#"{"ax.VICTIM": {"columns": [["ID", "bigint", "not null"], ["NUMBER", "int", "not null"],
        ["NAME", "nvarchar(8)", "not null"], ["AMOUNT", "numeric(32,2)", "null"],
        ["MOMENT", "datetime", "null"], ["KIND", "float", "null"]],
        "keys": [{"kind": "PK", "cols": ["ID"]}]}}"#;
    /// A hundred of each call, and how many there were more.
    const LINES: usize = 101;

    /// One call of a rule that says a thousand lines.
    fn call(plugin: &Plugin) {
        let schema = Schema::read("schema.json", VICTIM).expect("a schema");
        let table = schema.find("VICTIM").expect("the table").travelling(&[]);
        let text = "ID,NUMBER,NAME,AMOUNT,MOMENT,KIND\n1,1,a,,,\n";
        let reader = RowReader::open("rows", text.as_bytes(), None, &table, false);
        let mut reader = reader.expect("a header");
        let entries = reader.all().expect("a row");
        let rows: Vec<Row> = entries.into_iter().map(|entry| entry.row).collect();
        let verdicts = plugin.transform(&context(), reader.shape(), &rows);
        assert_eq!(verdicts.expect("an answer").len(), 1);
    }

    /// Each line of a streamed file, however long, lay in memory until the end.
    #[test]
    fn lines_are_told_as_they_come_and_none_is_kept() {
        let sandbox = sandbox();
        let plugin = sandbox.load(&component("hostile"), "chatters").expect("it loads");
        call(&plugin);
        let told: Arc<AtomicUsize> = Arc::default();
        let telling = told.clone();
        let sink = Arc::new(move |_| {
            telling.fetch_add(1, Ordering::Relaxed);
        });
        let heard = sandbox.heard_by(&plugin, sink);
        assert_eq!(told.load(Ordering::Relaxed), LINES, "what was said before");
        for calls in 2..5 {
            call(&heard);
            assert_eq!(told.load(Ordering::Relaxed), calls * LINES, "after {calls} calls");
            let kept = sandbox.said.locked();
            assert_eq!(kept.len(), 0, "after {calls} calls");
        }
    }

    /// `test` tells a case's lines beside the case.
    #[test]
    fn lines_that_are_asked_for_are_kept_until_then() {
        let sandbox = sandbox();
        let plugin = sandbox.load(&component("hostile"), "chatters").expect("it loads");
        call(&plugin);
        assert_eq!([sandbox.said().len(), sandbox.said().len()], [LINES, 0]);
    }
}
