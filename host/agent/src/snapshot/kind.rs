//! Whom a snapshot serves: everything that decides which rows a register downloads, as one fingerprint.
//!
//! * Store, profile name, capture method; of each downloaded table its name and shape; of each scope its rule, by the
//!   plugin's digest and config, and what becomes of rows when it fails; and the rows that the profile selects.
//! * A rule sees the register that it runs for, so a scope with one makes the snapshot that register's own.

use crate::register::Register;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tillhold_core::conflict::Policy;
use tillhold_core::profile::{
    Direction, OnPluginFailure, Profile, Resolver, Scope, ScopeTable, WritePath,
};
use tillhold_core::table::TableName;
use tillhold_core::text;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Hexadecimal.
    pub fingerprint: String,
    /// In words.
    pub of: String,
}

/// Hexadecimal digits of a fingerprint that a file's name has.
const NAME_DIGITS: usize = 16;

impl Kind {
    pub fn of(register: &Register) -> Kind {
        let (file, profile) = (&register.file, &register.profile);
        let mut hash = Sha256::new();
        let mut say = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        say("tillhold snapshot 1");
        say(&file.store);
        say(&format!("{:?}", decisive(profile)));
        let mut is_of_one = false;
        for run in register.scopes.iter().filter(|run| is_downloaded(run.scope.direction)) {
            for table in &run.tables {
                say(&table.name.to_string());
                say(&table.fingerprint());
            }
            for plugin in &run.transformers {
                is_of_one = true;
                say(plugin.digest());
            }
            is_of_one |= run.scope.tables.iter().any(names_register);
        }
        if is_of_one {
            say(&file.register);
        }
        let whom = if is_of_one { format!(" register {}", file.register) } else { String::new() };
        Kind {
            fingerprint: text::hexadecimal(&hash.finalize()).to_ascii_lowercase(),
            of: format!("store {}{whom}, profile {}", file.store, profile.name),
        }
    }

    /// The manifest that always names the newest snapshot of this kind.
    pub fn latest(&self) -> String {
        format!("latest-{}.json", self.short())
    }

    pub fn short(&self) -> &str {
        &self.fingerprint[..NAME_DIGITS]
    }
}

fn is_downloaded(direction: Direction) -> bool {
    direction == Direction::Download
}

/// The profile without what changes no downloaded row. What is added to a profile counts until it is taken out here: a
/// snapshot that serves too few is harmless.
fn decisive(profile: &Profile) -> Profile {
    let scope = |scope: &Scope| Scope {
        frequency: Duration::ZERO,
        resolver: Resolver::BuiltIn(Policy::ChannelWins),
        on_plugin_failure: match scope.transformers.is_empty() {
            false => scope.on_plugin_failure,
            true => OnPluginFailure::Halt,
        },
        ..scope.clone()
    };
    let scopes = profile.scopes.iter().filter(|scope| is_downloaded(scope.direction));
    Profile {
        description: String::new(),
        offline_timeout: Duration::ZERO,
        reconnect_interval: Duration::ZERO,
        dwell: Duration::ZERO,
        write_path: WritePath::ChannelFirst,
        scopes: scopes.map(scope).collect(),
        ..profile.clone()
    }
}

/// Whether what the table says beside its name asks for the register's own number.
fn names_register(table: &ScopeTable) -> bool {
    let mut nameless = table.clone();
    nameless.name = TableName::new("", "");
    (nameless.only_columns, nameless.excluded_columns) = (None, Vec::new());
    format!("{nameless:?}").to_ascii_lowercase().contains("register")
}

/// The tables that a snapshot of this register holds.
pub fn tables(register: &Register) -> Vec<TableName> {
    let runs = register.scopes.iter().filter(|run| is_downloaded(run.scope.direction));
    let mut names: Vec<TableName> =
        runs.flat_map(|run| run.tables.iter().map(|table| table.name.clone())).collect();
    names.sort();
    names
}
