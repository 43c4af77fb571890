//! What can be wrong with a profile beyond its own text: tables and columns that the channel does not have, keys
//! that cannot travel, plugins that are not there.
//!
//! * A mistake stops a register; a note says what it goes on without.
//! * Everything is found in one go, each with the line that a person has to mend.

use super::effective::{Effective, EffectiveScope, Given, Origin, did_you_mean, same_table};
use super::profile_file::TableEntry;
use super::reader::Mistake;
use crate::plugins::earlier::Folders;
use std::path::PathBuf;
use tillhold_channel::schema::{self, Described, Uncarried};
use tillhold_channel::{ChannelError, Link};
use tillhold_core::condition::Parameters;
use tillhold_core::conflict::Policy;
use tillhold_core::grant::{EVERY_COLUMN, Grant};
use tillhold_core::profile::{Direction, PluginUse, Profile, Resolver, ScopeTable};
use tillhold_core::selection::Restriction;
use tillhold_core::table::{Assigned, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_plugin::digest_of;

#[derive(Debug, Default)]
pub struct Findings {
    pub mistakes: Vec<Mistake>,
    pub notes: Vec<Mistake>,
}

/// What the channel has, as far as the account may see it.
pub struct Catalogue {
    pub names: Vec<TableName>,
    /// The profile's tables among them.
    pub tables: Vec<Described>,
}

impl Catalogue {
    /// The channel's real tables: all by name, the profile's with their columns.
    pub async fn read(link: &mut Link, profile: &Profile) -> Result<Catalogue, ChannelError> {
        let names = schema::all_table_names(link).await?;
        let wanted = profile.scopes.iter().flat_map(|scope| &scope.tables).map(|table| &table.name);
        let known: Vec<TableName> = wanted
            .filter(|wanted| names.iter().any(|name| same_table(name, wanted)))
            .cloned()
            .collect();
        let tables = schema::described(link, &known).await?;
        Ok(Catalogue { names, tables })
    }

    pub fn table(&self, name: &TableName) -> Option<&Described> {
        self.tables.iter().find(|described| same_table(&described.table.name, name))
    }
}

impl Findings {
    /// In the order of their lines; what is said once is enough.
    pub fn sorted(mut self) -> Findings {
        for list in [&mut self.mistakes, &mut self.notes] {
            list.sort_by_key(|one| (one.file.clone(), one.line));
            list.dedup();
        }
        self
    }

    pub fn mistake(&mut self, place: Place, message: String) {
        self.mistakes.push(Mistake { file: place.file, line: place.line, message });
    }

    pub fn note(&mut self, place: Place, message: String) {
        self.notes.push(Mistake { file: place.file, line: place.line, message });
    }
}

pub struct Place {
    file: PathBuf,
    line: Option<usize>,
}

pub fn place(profile: &Effective, from: Origin) -> Place {
    match from {
        Origin::File { line } => Place { file: profile.file.clone(), line: Some(line) },
        Origin::Default => Place { file: profile.file.clone(), line: None },
        Origin::Channel(place) => Place { file: PathBuf::from(place), line: None },
    }
}

/// What the profile alone shows.
pub fn alone(profile: &Effective, found: &mut Findings) {
    staleness(profile, found);
    unused_grants(profile, found);
    for scope in &profile.scopes {
        let pulled_only = scope.direction.value == Direction::Download;
        if pulled_only && scope.resolver.from != Origin::Default {
            let message = format!(
                "scope {}: its resolver is never asked: a download scope has no conflicts",
                scope.name.value
            );
            found.note(place(profile, scope.resolver.from), message);
        }
    }
}

/// Grants of tables that do not come to the register anyway.
fn unused_grants(profile: &Effective, found: &mut Findings) {
    let named = |table: &TableName| {
        profile.scopes.iter().flat_map(|scope| &scope.tables).any(|t| t.name.value.is_same(table))
    };
    for (plugin, grant) in grants(profile).filter(|(_, grant)| !named(&grant.value.table)) {
        let table = &grant.value.table;
        let message = format!("plugin {plugin} is granted columns of {table}, which no scope has");
        found.note(place(profile, grant.from), message);
    }
}

fn grants(profile: &Effective) -> impl Iterator<Item = (&str, &Given<Grant>)> {
    profile.plugins.iter().flat_map(|plugin| {
        let grants = plugin.grants.iter().flatten();
        grants.map(move |grant| (plugin.name.value.as_str(), grant))
    })
}

/// Columns that are granted and are not there.
fn granted_columns(profile: &Effective, catalogue: &Catalogue, found: &mut Findings) {
    for (plugin, given) in grants(profile) {
        let Some(described) = catalogue.table(&given.value.table) else { continue };
        let table = &described.table;
        let named = given.value.reads.iter().chain(&given.value.writes);
        for column in named.filter(|name| *name != EVERY_COLUMN) {
            if table.position(column).is_none() {
                let names = table.columns.iter().map(|column| column.name.as_str());
                let hint = did_you_mean(column, names);
                let message = format!(
                    "plugin {plugin} is granted {column} of {}, which is not there{hint}",
                    table.name
                );
                found.mistake(place(profile, given.from), message);
            }
        }
    }
}

/// A word about stale data that nothing makes stale, and scopes whose frequency makes more of their bound than the
/// number that is said.
fn staleness(profile: &Effective, found: &mut Findings) {
    if let Some(from) = profile.conduct.idle_staleness() {
        let message = "staleness: no data are ever stale without stale_after_s".to_string();
        found.note(place(profile, from), message);
    }
    let Some(after) = profile.conduct.stale_after() else { return };
    let longest = profile
        .scopes
        .iter()
        .filter(|scope| scope.direction.value.is_pulled())
        .max_by_key(|scope| scope.frequency.value);
    let Some(scope) = longest else { return };
    let (frequency_s, after_s) = (scope.frequency.value.as_secs_f64(), after.value);
    if frequency_s > after_s {
        let message = format!(
            "staleness: stale_after_s counts from when a scope is due: the data of {}, which is pulled every {frequency_s} s, are stale after {} s",
            scope.name.value,
            frequency_s + after_s
        );
        found.note(place(profile, after.from), message);
    }
}

/// The profile's tables, columns and filters against the channel's real ones; `given` is what the filters' parameters
/// stand for.
pub fn against(
    profile: &Effective,
    catalogue: &Catalogue,
    given: Parameters<'_>,
    found: &mut Findings,
) {
    for scope in &profile.scopes {
        for entry in &scope.tables {
            match catalogue.table(&entry.name.value) {
                Some(described) => {
                    columns(profile, entry, described, found);
                    filter(profile, entry, described, given, found);
                }
                None => {
                    let message = unknown_table(&entry.name.value, catalogue);
                    found.mistake(place(profile, entry.name.from), message);
                }
            }
        }
        policy_columns(profile, scope, catalogue, found);
    }
    granted_columns(profile, catalogue, found);
    choice(profile, catalogue, found);
}

/// What the choice of products and customers reads, and the columns by which tables hang on it.
fn choice(profile: &Effective, catalogue: &Catalogue, found: &mut Findings) {
    let selections = profile.selections.selections();
    let typed = profile.profile();
    for (domain, name, columns) in selections.reads() {
        let here = || place(profile, profile.selections.place(domain));
        let Some(scope) = typed.scope_of(&name) else {
            let message =
                format!("offline {} are chosen by {name}, which no scope has", domain.name());
            found.mistake(here(), message);
            continue;
        };
        let Some(described) = catalogue.table(&name) else { continue };
        let entry = scope.tables.iter().find(|entry| entry.name == name);
        for column in columns {
            let is_there = described.table.position(column).is_some();
            if !is_there || entry.is_some_and(|entry| entry.leaves_out(column)) {
                let message = format!(
                    "offline {} are chosen by {name}.{column}, which is not there or does not travel",
                    domain.name()
                );
                found.mistake(here(), message);
            }
        }
    }
    for scope in typed.scopes.iter().filter(|scope| scope.direction.is_pulled()) {
        for entry in &scope.tables {
            if let (Some((domain, restriction)), Some(described)) =
                (selections.restriction(&entry.name), catalogue.table(&entry.name))
            {
                let wrong = hanging(&restriction, entry, &described.table);
                let messages = wrong.into_iter().map(|what| format!("{} {what}", entry.name));
                messages.for_each(|message| {
                    found.mistake(place(profile, profile.selections.place(domain)), message);
                });
            }
        }
    }
}

/// What is wrong with the columns by which a table hangs on a choice.
fn hanging(restriction: &Restriction, entry: &ScopeTable, table: &Table) -> Vec<String> {
    let Restriction::Members(list) = restriction else { return Vec::new() };
    let mut wrong = Vec::new();
    for on in list {
        let code = on.only.as_ref().map(|code| &code.column);
        for column in std::iter::once(&on.column).chain(code) {
            if table.position(column).is_none() || entry.leaves_out(column) {
                let names = table.columns.iter().map(|column| column.name.as_str());
                let hint = did_you_mean(column, names);
                wrong.push(format!(
                    "hangs on the chosen by {column}, which is not there or does not travel{hint}"
                ));
            }
        }
        if let Some(at) =
            table.position(&on.column).filter(|at| !on.kind.fits(table.columns[*at].of))
        {
            let (of, kind) = (table.columns[at].of, on.kind.name());
            wrong.push(format!(
                "hangs on the chosen by {}, which is {of} and names no {kind}",
                on.column
            ));
        }
    }
    wrong
}

fn unknown_table(name: &TableName, catalogue: &Catalogue) -> String {
    let near = schema::nearest(name, catalogue.names.clone());
    let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    format!("the channel has no table {name}, or this login may not see it{hint}")
}

fn columns(profile: &Effective, entry: &TableEntry, described: &Described, found: &mut Findings) {
    let table = &described.table;
    let uncarried = |name: &str| described.uncarried.iter().any(|u| u.column == name);
    for column in entry.excluded.iter().chain(entry.columns.iter().flatten()) {
        if table.position(&column.value).is_none() && !uncarried(&column.value) {
            let names = table.columns.iter().map(|column| column.name.as_str());
            let hint = did_you_mean(&column.value, names);
            let message = format!("{} has no column {}{hint}", table.name, column.value);
            found.mistake(place(profile, column.from), message);
        }
    }
    for column in &entry.excluded {
        if table.position(&column.value).is_some_and(|at| table.is_key(at)) {
            let message = format!(
                "{} is part of the primary key of {} and always travels: it cannot be excluded",
                column.value, table.name
            );
            found.mistake(place(profile, column.from), message);
        }
    }
    let here = || place(profile, entry.name.from);
    let scope_table = entry.scope_table();
    let unnamed = |column: &&Uncarried| !scope_table.leaves_out(&column.column);
    for column in described.uncarried.iter().filter(unnamed) {
        let of = column.of.as_deref().unwrap_or("a CLR type");
        let message = format!(
            "{}: {} is {of}, which does not travel: name it under exclude",
            table.name, column.column
        );
        found.mistake(here(), message);
    }
    if let Some(reason) = keyless(entry, table) {
        found
            .note(here(), format!("{} {reason}: it cannot be tracked and is left out", table.name));
    }
}

fn filter(
    profile: &Effective,
    entry: &TableEntry,
    described: &Described,
    given: Parameters<'_>,
    found: &mut Findings,
) {
    let Some(filter) = &entry.filter else { return };
    for complaint in filter.value.bind(&described.table, given).err().into_iter().flatten() {
        found.mistake(place(profile, filter.from), complaint.to_string());
    }
}

/// Why no key of the table travels.
fn keyless(entry: &TableEntry, table: &Table) -> Option<String> {
    if table.key.is_empty() {
        return Some("has no primary key".to_string());
    }
    let left_out = entry.scope_table().left_out(table);
    let travels = !table.travelling(&left_out).key.is_empty();
    let assigned = table.key_columns().find(|column| column.assigned == Assigned::ByChannel);
    let column = assigned.map_or("a column", |column| column.name.as_str());
    (!travels).then(|| format!("has a primary key that the channel itself assigns ({column})"))
}

/// The columns that a policy goes by.
fn policy_columns(
    profile: &Effective,
    scope: &EffectiveScope,
    catalogue: &Catalogue,
    found: &mut Findings,
) {
    let tables: Vec<&Table> = scope
        .tables
        .iter()
        .filter_map(|entry| Some(&catalogue.table(&entry.name.value)?.table))
        .collect();
    let here = || place(profile, scope.resolver.from);
    match &scope.resolver.value {
        Resolver::BuiltIn(Policy::Newest { column }) if !column.is_empty() => {
            let is_somewhere = tables.iter().any(|table| table.position(column).is_some());
            for table in tables.iter().filter(|table| table.position(column).is_none()) {
                let lacking = format!("newest goes by {column}, which {} has not", table.name);
                // A scope of the channel has tables with and without it.
                if is_somewhere {
                    found.note(here(), format!("{lacking}: there the channel wins"));
                    continue;
                }
                let names = table.columns.iter().map(|column| column.name.as_str());
                found.mistake(here(), format!("{lacking}{}", did_you_mean(column, names)));
            }
        }
        Resolver::BuiltIn(Policy::Delta { columns }) => {
            for column in columns {
                let of =
                    tables.iter().find_map(|table| Some(table.columns[table.position(column)?].of));
                let message = match of {
                    Some(of) if is_numeric(of) => continue,
                    Some(of) => format!("delta adds up {column}, which is {of} and no number"),
                    None if tables.is_empty() => continue,
                    None => format!("delta adds up {column}, which no table of the scope has"),
                };
                found.mistake(here(), message);
            }
        }
        _ => {}
    }
}

fn is_numeric(of: SqlType) -> bool {
    matches!(
        of,
        SqlType::TinyInt
            | SqlType::SmallInt
            | SqlType::Int
            | SqlType::BigInt
            | SqlType::Decimal { .. }
            | SqlType::Money
            | SqlType::SmallMoney
            | SqlType::Real
            | SqlType::Float
    )
}

/// The plugins that the profile names, in the register's folder.
pub fn plugins(profile: &Effective, folders: &Folders, found: &mut Findings) {
    for scope in &profile.scopes {
        for used in scope.plugins() {
            plugin(profile, &used, folders, found);
        }
    }
}

fn plugin(profile: &Effective, given: &Given<PluginUse>, folders: &Folders, found: &mut Findings) {
    let named = &given.value;
    if named.name.is_empty() {
        return;
    }
    let places = folders.places(&named.name);
    let file = &places.file;
    let here = || place(profile, given.from);
    if places.kept_instead(&profile.governed(named)).is_some() {
        let message = format!(
            "plugin {}: {} is not the pinned component, which is taken from what is kept of it",
            named.name,
            file.display()
        );
        return found.note(here(), message);
    }
    let component = match std::fs::read(file) {
        Ok(component) => component,
        Err(error) => {
            let message =
                format!("plugin {}: {} cannot be read: {error}", named.name, file.display());
            return found.mistake(here(), message);
        }
    };
    let digest = digest_of(&component);
    match profile.governed(named).pinned() {
        None => {
            let signed = if profile.plugin_keys.is_empty() { "" } else { "signed " };
            let message = format!(
                "plugin {}: any {signed}component of that name is taken; digest = \"{digest}\" pins this one",
                named.name
            );
            found.note(here(), message);
        }
        Some(wanted) if wanted.eq_ignore_ascii_case(&digest) => {}
        Some(wanted) if !is_digest(wanted) => {
            let message =
                format!("plugin {}: digest is sha256: and 64 hexadecimal digits", named.name);
            found.mistake(here(), message);
        }
        Some(_) => {
            let message =
                format!("plugin {}: {} is another component, {digest}", named.name, file.display());
            found.mistake(here(), message);
        }
    }
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
