//! A profile as AX's own tables can hold it, and what of it they cannot.

use super::checks::Catalogue;
use super::effective::Effective;
use super::field::Field;
use super::plugin_fields::{PLUGIN_KEYS, PLUGINS};
use super::profile_fields as fields;
use super::profile_file::{ProfileChoice, ProfileFile, TableEntry};
use super::reader::Mistakes;
use tillhold_channel::profile::{ChannelProfile, ChannelScope, ChannelScopeTable};
use tillhold_core::conflict::Policy;
use tillhold_core::profile::Resolver;
use tillhold_core::table::{Assigned, TableName};

pub struct Published {
    pub profile: ChannelProfile,
    /// Settings that only the file can say.
    pub stays: Vec<String>,
}

pub fn published(
    profile: &Effective,
    name: Option<&str>,
    catalogue: &Catalogue,
) -> Result<Published, Mistakes> {
    let mut stays = of_profile(profile);
    let mut scopes = Vec::new();
    for scope in &profile.scopes {
        let tables = scope.tables.iter().map(|table| ChannelScopeTable {
            name: ax_name(&table.name.value),
            columns: columns(table, catalogue),
        });
        let seconds = scope.frequency.value.as_secs_f64().ceil();
        if seconds != scope.frequency.value.as_secs_f64() {
            stays.push(of_scope(&scope.name.value, &fields::FREQUENCY));
        }
        for table in scope.tables.iter().filter(|table| table.filter.is_some()) {
            let table = format!("{}: table {}", scope.name.value, table.name.value);
            stays.push(of_scope(&table, &fields::FILTER));
        }
        if !scope.transformers.is_empty() {
            stays.push(of_scope(&scope.name.value, &fields::TRANSFORMER));
        }
        if scope.resolver.value != Resolver::BuiltIn(Policy::ChannelWins) {
            stays.push(of_scope(&scope.name.value, &fields::RESOLVER));
        }
        if scope.on_plugin_failure.value != fields::ON_PLUGIN_FAILURE.default() {
            stays.push(of_scope(&scope.name.value, &fields::ON_PLUGIN_FAILURE));
        }
        scopes.push(ChannelScope {
            description: scope.name.value.clone(),
            direction: scope.direction.value,
            // At most a week.
            frequency_s: seconds as u32,
            tables: tables.collect(),
        });
    }
    let name = name.unwrap_or(&profile.name.value).to_string();
    let description = profile.description.value.clone();
    let of_channel = ChannelProfile { name, description, scopes };
    if order(&of_channel)? != profile.scopes.iter().map(|s| &s.name.value).collect::<Vec<_>>() {
        stays.push(fields::ORDER.key.to_string());
    }
    Ok(Published { profile: of_channel, stays })
}

fn of_scope<K>(scope: &str, field: &Field<K>) -> String {
    format!("scope {scope}: {}", field.key)
}

fn of_profile(profile: &Effective) -> Vec<String> {
    let seconds = |given: std::time::Duration, unit: f64| given.as_secs_f64() / unit;
    let (timeout, interval, dwell) =
        (&fields::OFFLINE_TIMEOUT, &fields::RECONNECT_INTERVAL, &fields::DWELL);
    let differing = [
        (timeout.key, seconds(profile.offline_timeout.value, 1.0) != timeout.default()),
        (interval.key, seconds(profile.reconnect_interval.value, 60.0) != interval.default()),
        (dwell.key, seconds(profile.dwell.value, 1.0) != dwell.default()),
        (fields::WRITE_PATH.key, profile.write_path.value != fields::WRITE_PATH.default()),
        (PLUGIN_KEYS.key, !profile.plugin_keys.is_empty()),
        (fields::CAPTURE.key, profile.capture.value != fields::CAPTURE_METHOD.default()),
    ];
    let conduct = profile
        .conduct
        .entries()
        .into_iter()
        .chain(profile.selections.entries())
        .filter(|entry| !entry.is_default);
    let conduct = conduct.map(|entry| format!("{}.{}", entry.section, entry.key));
    let plugins = profile.plugins.iter();
    let plugins = plugins.map(|plugin| format!("{} {}", PLUGINS.key, plugin.name.value));
    let own = differing.iter().filter(|(_, differs)| *differs).map(|(key, _)| key.to_string());
    own.chain(conduct).chain(plugins).collect()
}

/// AX writes its own tables without a schema.
fn ax_name(table: &TableName) -> String {
    if table.schema.eq_ignore_ascii_case("ax") { table.name.clone() } else { table.to_string() }
}

/// Every column that travels, where not all of them do.
fn columns(entry: &TableEntry, catalogue: &Catalogue) -> Vec<String> {
    if entry.columns.is_none() && entry.excluded.is_empty() {
        return Vec::new();
    }
    let scope_table = entry.scope_table();
    let Some(described) = catalogue.table(&entry.name.value) else { return Vec::new() };
    let table = &described.table;
    let travels = |at: &usize| {
        let column = &table.columns[*at];
        let wanted = table.is_key(*at) || !scope_table.leaves_out(&column.name);
        wanted && column.assigned == Assigned::ByWriter
    };
    let all = 0..table.columns.len();
    all.filter(travels).map(|at| table.columns[at].name.clone()).collect()
}

/// The scopes in the order in which a register would read them back.
fn order(profile: &ChannelProfile) -> Result<Vec<&String>, Mistakes> {
    let read = ProfileFile::open(&ProfileChoice::Channel)?.complete(Some(profile))?;
    let written = |name: &String| profile.scopes.iter().find(|s| s.description == *name);
    Ok(read.scopes.iter().filter_map(|s| Some(&written(&s.name)?.description)).collect())
}
