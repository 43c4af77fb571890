//! Every way in which a plugin can fail its host, with a stable code, a class and what to do next.

use crate::answer::plain;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_core::fault::Class;
use tillhold_core::grant::Grant;
use tillhold_core::limits::{PLUGIN_LOG_LINE_BYTES_MAX, PLUGIN_TICK};
use tillhold_core::row::Row;
use tillhold_core::table::{Table, TableName};

/// Which plugin: a failure is never reported without its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginId {
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits, lower case.
    pub digest: String,
}

impl fmt::Display for PluginId {
    /// Twelve digits tell any two plugins of a shop apart; the whole digest is in [`PluginId::digest`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.digest.get(..19).unwrap_or(&self.digest);
        write!(f, "plugin {} ({short})", self.name)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("plugin {name}: {path} cannot be read: {source}")]
    Unreadable { name: String, path: PathBuf, source: std::io::Error },
    #[error("plugin {name} has {bytes} bytes, more than the {most} that a component may have")]
    TooLarge { name: String, bytes: u64, most: u64 },
    #[error("{plugin} is not the component that the profile pins: it pins {expected}")]
    DigestMismatch { plugin: Arc<PluginId>, expected: String },
    #[error("{plugin} is not signed, and the profile trusts signed plugins only")]
    Unsigned { plugin: Arc<PluginId> },
    #[error("{plugin}: its signature cannot be read: {reason}")]
    SignatureUnreadable { plugin: Arc<PluginId>, reason: String },
    #[error(
        "{plugin} is signed by the key {by}, which is none of the profile's: {}",
        listed(trusted)
    )]
    SignerUnknown { plugin: Arc<PluginId>, by: String, trusted: Vec<String> },
    #[error("{plugin} is not what the key {by} signed: the signature is not of these bytes")]
    SignatureWrong { plugin: Arc<PluginId>, by: String },
    #[error("{plugin} is compiled machine code, which cannot be checked")]
    Precompiled { plugin: Arc<PluginId> },
    #[error("{plugin} is not a WebAssembly component: {reason}")]
    NotAComponent { plugin: Arc<PluginId>, reason: String },
    #[error(
        "{plugin} imports {}; a plugin may import nothing but tillhold:plugin/log",
        listed(imports)
    )]
    ForeignImport { plugin: Arc<PluginId>, imports: Vec<String> },
    #[error(
        "{plugin} exports neither tillhold:plugin/transform nor tillhold:plugin/resolve, but {}",
        listed(found)
    )]
    OtherWorld { plugin: Arc<PluginId>, found: Vec<String> },
    #[error("{plugin} speaks version {found} of the contract, this host speaks {ours}")]
    OtherVersion { plugin: Arc<PluginId>, found: String, ours: String },
    #[error("{plugin} names {interface} as the contract does, but not with its types: {reason}")]
    OtherShape { plugin: Arc<PluginId>, interface: String, reason: String },
    #[error("{plugin} does not take its config: {message}")]
    Describe { plugin: Arc<PluginId>, message: String },
    #[error("{plugin} has no {needs}: it exports {has} only")]
    Role { plugin: Arc<PluginId>, needs: &'static str, has: &'static str },
    #[error("{plugin} names {column} of {table}, which does not travel")]
    ColumnUnknown { plugin: Arc<PluginId>, table: TableName, column: String },
    #[error("{plugin} would write {column} of {table}, which is part of its key")]
    KeyWritten { plugin: Arc<PluginId>, table: TableName, column: String },
    #[error("{plugin} asks for more than the profile grants it: {}", asked(missing))]
    NotGranted { plugin: Arc<PluginId>, missing: Vec<Grant> },
    #[error("{plugin} refused a batch of {table}: {message}")]
    Refused { plugin: Arc<PluginId>, table: TableName, message: String },
    #[error("{plugin} trapped in {call}: {what}{}", after(said))]
    Trap { plugin: Arc<PluginId>, call: &'static str, what: String, said: Option<String> },
    #[error("{plugin} was stopped in {call} after {} ms", ticks * PLUGIN_TICK.as_millis() as u64)]
    Deadline { plugin: Arc<PluginId>, call: &'static str, ticks: u64 },
    #[error(
        "{plugin} was stopped in {call}: it asked for {asked} bytes of memory, {most} are allowed"
    )]
    Memory { plugin: Arc<PluginId>, call: &'static str, asked: usize, most: usize },
    #[error("{plugin} answered {call} with more than {most} bytes")]
    AnswerTooLarge { plugin: Arc<PluginId>, call: &'static str, most: usize },
    #[error("{plugin} answered {call} wrongly: {what}")]
    BadAnswer { plugin: Arc<PluginId>, call: &'static str, what: String },
    #[error("{cause}, at {key} of {table}")]
    AtRow { table: TableName, key: String, cause: Box<PluginError> },
    #[error("{column} of {table} is {of}, but a row holds a {found} there")]
    RowShape { table: TableName, column: String, of: String, found: &'static str },
    #[error("the folder of compiled plugins, {path}, cannot be used: {source}")]
    Cache { path: PathBuf, source: std::io::Error },
    #[error("the WebAssembly engine did not start: {reason}")]
    Engine { reason: String },
}

impl PluginError {
    /// The same failure, of this one row.
    pub fn at_row(self, table: &Table, row: &Row) -> PluginError {
        let key = row.key(table).named(table).to_string();
        PluginError::AtRow { table: table.name.clone(), key, cause: Box::new(self) }
    }

    pub fn class(&self) -> Class {
        use PluginError as E;
        match self {
            E::Unreadable { .. }
            | E::TooLarge { .. }
            | E::DigestMismatch { .. }
            | E::Unsigned { .. }
            | E::SignatureUnreadable { .. }
            | E::SignerUnknown { .. }
            | E::SignatureWrong { .. }
            | E::Precompiled { .. }
            | E::NotAComponent { .. }
            | E::ForeignImport { .. }
            | E::OtherWorld { .. }
            | E::OtherVersion { .. }
            | E::OtherShape { .. }
            | E::Describe { .. }
            | E::Role { .. }
            | E::ColumnUnknown { .. }
            | E::KeyWritten { .. }
            | E::NotGranted { .. }
            | E::Cache { .. } => Class::Reconfigure,
            E::Refused { .. }
            | E::Trap { .. }
            | E::Deadline { .. }
            | E::Memory { .. }
            | E::AnswerTooLarge { .. }
            | E::BadAnswer { .. } => Class::Park,
            E::RowShape { .. } | E::Engine { .. } => Class::Stop,
            E::AtRow { cause, .. } => cause.class(),
        }
    }

    /// Which component it is about, where one could be read.
    pub fn plugin(&self) -> Option<&PluginId> {
        use PluginError as E;
        match self {
            E::DigestMismatch { plugin, .. }
            | E::Unsigned { plugin }
            | E::SignatureUnreadable { plugin, .. }
            | E::SignerUnknown { plugin, .. }
            | E::SignatureWrong { plugin, .. }
            | E::Precompiled { plugin }
            | E::NotAComponent { plugin, .. }
            | E::ForeignImport { plugin, .. }
            | E::OtherWorld { plugin, .. }
            | E::OtherVersion { plugin, .. }
            | E::OtherShape { plugin, .. }
            | E::Describe { plugin, .. }
            | E::Role { plugin, .. }
            | E::ColumnUnknown { plugin, .. }
            | E::KeyWritten { plugin, .. }
            | E::NotGranted { plugin, .. }
            | E::Refused { plugin, .. }
            | E::Trap { plugin, .. }
            | E::Deadline { plugin, .. }
            | E::Memory { plugin, .. }
            | E::AnswerTooLarge { plugin, .. }
            | E::BadAnswer { plugin, .. } => Some(plugin),
            E::AtRow { cause, .. } => cause.plugin(),
            E::Unreadable { .. }
            | E::TooLarge { .. }
            | E::RowShape { .. }
            | E::Cache { .. }
            | E::Engine { .. } => None,
        }
    }

    /// Stable: scripts and the documentation name it.
    pub fn code(&self) -> &'static str {
        use PluginError as E;
        match self {
            E::Unreadable { .. } => "plugin-unreadable",
            E::TooLarge { .. } => "plugin-too-large",
            E::DigestMismatch { .. } => "plugin-digest",
            E::Unsigned { .. } => "plugin-unsigned",
            E::SignatureUnreadable { .. } => "plugin-signature-unreadable",
            E::SignerUnknown { .. } => "plugin-signer-unknown",
            E::SignatureWrong { .. } => "plugin-signature-wrong",
            E::Precompiled { .. } => "plugin-precompiled",
            E::NotAComponent { .. } => "plugin-not-a-component",
            E::ForeignImport { .. } => "plugin-foreign-import",
            E::OtherWorld { .. } => "plugin-other-world",
            E::OtherVersion { .. } => "plugin-other-version",
            E::OtherShape { .. } => "plugin-other-shape",
            E::Describe { .. } => "plugin-config",
            E::Role { .. } => "plugin-role",
            E::ColumnUnknown { .. } => "plugin-column-unknown",
            E::KeyWritten { .. } => "plugin-key-written",
            E::NotGranted { .. } => "plugin-not-granted",
            E::Refused { .. } => "plugin-refused",
            E::Trap { .. } => "plugin-trap",
            E::Deadline { .. } => "plugin-deadline",
            E::Memory { .. } => "plugin-memory",
            E::AnswerTooLarge { .. } => "plugin-answer-too-large",
            E::BadAnswer { .. } => "plugin-bad-answer",
            E::RowShape { .. } => "plugin-row-shape",
            E::Cache { .. } => "plugin-cache",
            E::Engine { .. } => "plugin-engine",
            E::AtRow { cause, .. } => cause.code(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        use PluginError as E;
        Some(match self {
            E::Unreadable { .. } => "put the component there, or correct the plugin's name in the profile".into(),
            E::TooLarge { .. } => "build in release mode and strip debug sections".into(),
            E::DigestMismatch { plugin, .. } => format!(
                "restore the pinned component; if this one is wanted, set its digest in the profile: {}",
                plugin.digest
            ),
            E::Unsigned { plugin } => format!(
                "put {}.wasm.minisig beside it, as `minisign -S -m {0}.wasm` writes it",
                plugin.name
            ),
            E::SignatureUnreadable { plugin, .. } => format!(
                "sign it anew: `minisign -S -m {}.wasm` (before 0.11 with -H), and copy the file as it is",
                plugin.name
            ),
            E::SignerUnknown { .. } => {
                "have it signed by a key of the profile; if this key is to be trusted, add it to plugin_keys".into()
            }
            E::SignatureWrong { .. } => {
                "fetch component and signature from the author again, both of the same build; do not use this one".into()
            }
            E::Precompiled { .. } => {
                "hand in the .wasm component; the register compiles it itself".into()
            }
            E::NotAComponent { .. } => {
                "`tillhold plugin build` makes a component of a plugin's source, `wasm-tools component new` one of another tool's core module".into()
            }
            E::ForeignImport { imports, .. } => {
                cure_of_import(imports.first().map_or("", String::as_str))
            }
            E::OtherWorld { .. } => {
                "build against a world of wit/0.1.0: transformer, resolver or both".into()
            }
            E::OtherVersion { ours, .. } => {
                format!("rebuild the plugin against version {ours}, or install the agent that speaks its version")
            }
            E::OtherShape { .. } => {
                "build against the released text of wit/0.1.0, not an edited copy".into()
            }
            E::Describe { .. } => "correct the plugin's config in the profile".into(),
            E::Role { .. } => "name it where the profile asks for that role, or take another plugin".into(),
            E::ColumnUnknown { .. } => {
                "let the column travel (excluded columns of the scope), or change the plugin".into()
            }
            E::KeyWritten { .. } => "a plugin cannot change which row a row is: drop it instead".into(),
            E::NotGranted { plugin, missing } => {
                let text: Vec<String> = missing.iter().map(ToString::to_string).collect();
                format!(
                    "if it may have that, add to its grants in the profile (name = \"{}\" under [[plugin]]): {}",
                    plugin.name,
                    text.join(", ")
                )
            }
            E::Refused { .. } | E::Trap { .. } => {
                "tell the plugin's author, with the digest; the profile says what happens to the batch meanwhile".into()
            }
            E::Deadline { .. } | E::Memory { .. } | E::AnswerTooLarge { .. } => {
                "the author should test with a whole batch of 1,000 rows".into()
            }
            E::BadAnswer { .. } => "tell the author: `tillhold plugin test` and `fuzz` show it".into(),
            E::RowShape { .. } => "report this: the catalogue and the row disagree".into(),
            E::Cache { path, .. } => {
                format!("give the agent's account, and only it, the right to write {}", path.display())
            }
            E::Engine { .. } => return None,
            E::AtRow { cause, .. } => return cause.hint(),
        })
    }
}

/// What removes a foreign import, by where it usually comes from (measured per tool chain).
fn cure_of_import(import: &str) -> String {
    if import.starts_with("wasi:") {
        return "build without WASI: Rust for wasm32-unknown-unknown, componentize-py with --stub-wasi, jco componentize \
                with --disable all (or --backend-qjs-stub-wasi)"
            .into();
    }
    if import.starts_with("tillhold:plugin/") {
        return "this host does not offer it; build against wit/0.1.0".into();
    }
    "remove what needs it: a plugin gets rows and gives verdicts, nothing else".into()
}

/// `ax.A: reads B, C, writes C; ax.D: the table`
fn asked(missing: &[Grant]) -> String {
    let of_table = |grant: &Grant| {
        let parts = [("reads", &grant.reads), ("writes", &grant.writes)];
        let parts = parts.iter().filter(|(_, columns)| !columns.is_empty());
        let parts: Vec<String> =
            parts.map(|(how, columns)| format!("{how} {}", columns.join(", "))).collect();
        let parts = if parts.is_empty() { "the table".to_string() } else { parts.join(", ") };
        format!("{}: {parts}", grant.table)
    };
    missing.iter().map(of_table).collect::<Vec<_>>().join("; ")
}

/// A component's names are its author's text.
fn listed(names: &[String]) -> String {
    match names.is_empty() {
        true => "nothing".to_string(),
        false => plain(&names.join(", "), PLUGIN_LOG_LINE_BYTES_MAX),
    }
}

fn after(said: &Option<String>) -> String {
    said.as_ref().map(|line| format!("; its last words: {line}")).unwrap_or_default()
}
