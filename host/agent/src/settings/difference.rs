//! What tells two profiles apart, setting by setting: what would change if one took the other's place.

use super::conduct::told;
use super::effective::same_table;
use super::field::Field;
use super::plugin_fields::{PLUGIN_KEYS, PLUGINS};
use super::profile_fields as fields;
use super::profile_text::{number, plugin_text, resolver_text, terms_text};
use super::selection_settings;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use tillhold_core::profile::{Profile, Scope, ScopeTable};
use tillhold_core::table::Table;

/// One of them. Without `from` it comes, without `to` it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub scope: Option<String>,
    pub table: Option<String>,
    /// The setting's key; `None` is the scope or table itself.
    pub setting: Option<&'static str>,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            |what: &str, name: &Option<String>| name.as_ref().map(|n| format!("{what} {n}"));
        let parts = [
            named("scope", &self.scope),
            named("table", &self.table),
            self.setting.map(str::to_string),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(": "))?;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, ": {from} -> {to}"),
            (None, Some(to)) => write!(f, ": added ({to})"),
            (Some(from), None) => write!(f, ": removed ({from})"),
            (None, None) => Ok(()),
        }
    }
}

/// In the order of the profile: its own settings, scopes, tables. `shapes` are tables as the channel has them: with
/// them, lists of columns are compared by what stays behind, however it is said.
pub fn differences(from: &Profile, to: &Profile, shapes: &[Table]) -> Vec<Difference> {
    let mut found = Found::default();
    of_profile(from, to, &mut found);
    for scope in &from.scopes {
        match to.scopes.iter().find(|other| other.name == scope.name) {
            Some(other) => of_scope(scope, other, &mut found),
            None => found.push(Some(scope), None, None, Some(summary(scope)), None),
        }
    }
    for scope in &to.scopes {
        if !from.scopes.iter().any(|other| other.name == scope.name) {
            found.push(Some(scope), None, None, None, Some(summary(scope)));
        }
    }
    of_tables(from, to, shapes, &mut found);
    of_plugins(from, to, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn push(
        &mut self,
        scope: Option<&Scope>,
        table: Option<&ScopeTable>,
        setting: Option<&'static str>,
        from: Option<String>,
        to: Option<String>,
    ) {
        self.0.push(Difference {
            scope: scope.map(|scope| scope.name.clone()),
            table: table.map(|table| table.name.to_string()),
            setting,
            from,
            to,
        });
    }

    fn compare<K>(&mut self, scope: Option<&Scope>, field: &Field<K>, from: String, to: String) {
        if from != to {
            self.push(scope, None, Some(field.key), Some(from), Some(to));
        }
    }
}

fn summary(scope: &Scope) -> String {
    let direction = fields::DIRECTION.spelled(&scope.direction);
    format!("{direction}, {} tables", scope.tables.len())
}

fn of_profile(from: &Profile, to: &Profile, found: &mut Found) {
    let seconds = |time: Duration| number(time.as_secs_f64());
    let minutes = |time: Duration| number(time.as_secs_f64() / 60.0);
    let path = |profile: &Profile| fields::WRITE_PATH.spelled(&profile.write_path).to_string();
    found.compare(None, &fields::NAME, from.name.clone(), to.name.clone());
    found.compare(None, &fields::DESCRIPTION, from.description.clone(), to.description.clone());
    let timeouts = (seconds(from.offline_timeout), seconds(to.offline_timeout));
    found.compare(None, &fields::OFFLINE_TIMEOUT, timeouts.0, timeouts.1);
    let intervals = (minutes(from.reconnect_interval), minutes(to.reconnect_interval));
    found.compare(None, &fields::RECONNECT_INTERVAL, intervals.0, intervals.1);
    found.compare(None, &fields::DWELL, seconds(from.dwell), seconds(to.dwell));
    found.compare(None, &fields::WRITE_PATH, path(from), path(to));
    // In no order: any of them will do.
    let keys = |profile: &Profile| {
        let keys: BTreeSet<&str> = profile.plugin_keys.iter().map(String::as_str).collect();
        if keys.is_empty() {
            "none".into()
        } else {
            keys.into_iter().collect::<Vec<_>>().join(", ")
        }
    };
    found.compare(None, &PLUGIN_KEYS, keys(from), keys(to));
    let capture = |profile: &Profile| profile.capture.name().to_string();
    found.compare(None, &fields::CAPTURE, capture(from), capture(to));
    let (before, now) =
        (selection_settings::told(&from.selections), selection_settings::told(&to.selections));
    let conduct = told(&from.conduct).into_iter().zip(told(&to.conduct));
    for (before, now) in conduct.chain(before.into_iter().zip(now)) {
        if before.1 != now.1 {
            found.push(None, None, Some(before.0), Some(before.1), Some(now.1));
        }
    }
    let common = |of: &Profile, other: &Profile| {
        let names = of.scopes.iter().map(|scope| scope.name.as_str());
        let both = names.filter(|name| other.scopes.iter().any(|scope| scope.name == *name));
        both.collect::<Vec<_>>().join(", ")
    };
    found.compare(None, &fields::ORDER, common(from, to), common(to, from));
}

fn of_scope(from: &Scope, to: &Scope, found: &mut Found) {
    let here = Some(to);
    let direction = |scope: &Scope| fields::DIRECTION.spelled(&scope.direction).to_string();
    found.compare(here, &fields::DIRECTION, direction(from), direction(to));
    let frequency = |scope: &Scope| number(scope.frequency.as_secs_f64());
    found.compare(here, &fields::FREQUENCY, frequency(from), frequency(to));
    let plugins = |scope: &Scope| match scope.transformers.is_empty() {
        true => "none".to_string(),
        false => scope.transformers.iter().map(plugin_text).collect::<Vec<_>>().join(", then "),
    };
    found.compare(here, &fields::TRANSFORMER, plugins(from), plugins(to));
    let resolver = |scope: &Scope| resolver_text(&scope.resolver);
    found.compare(here, &fields::RESOLVER, resolver(from), resolver(to));
    let failure =
        |scope: &Scope| fields::ON_PLUGIN_FAILURE.spelled(&scope.on_plugin_failure).to_string();
    found.compare(here, &fields::ON_PLUGIN_FAILURE, failure(from), failure(to));
}

/// Tables of scopes that both have, and those that moved from one scope to another.
fn of_tables(from: &Profile, to: &Profile, shapes: &[Table], found: &mut Found) {
    let both = |name: &str| [from, to].iter().all(|p| p.scopes.iter().any(|s| s.name == name));
    for (scope, table) in tables(from) {
        match find(to, table) {
            Some((other, now)) => {
                if other.name != scope.name {
                    let scopes = (Some(scope.name.clone()), Some(other.name.clone()));
                    found.push(None, Some(table), Some(fields::SCOPES.key), scopes.0, scopes.1);
                }
                of_columns(other, table, now, shapes, found);
                of_filter(other, table, now, found);
            }
            None if both(&scope.name) => {
                found.push(Some(scope), Some(table), None, Some("whole table".to_string()), None);
            }
            None => {}
        }
    }
    for (scope, table) in tables(to) {
        if find(from, table).is_none() && both(&scope.name) {
            found.push(Some(scope), Some(table), None, None, Some("whole table".to_string()));
        }
    }
}

fn tables(profile: &Profile) -> impl Iterator<Item = (&Scope, &ScopeTable)> {
    profile.scopes.iter().flat_map(|scope| scope.tables.iter().map(move |table| (scope, table)))
}

fn find<'p>(profile: &'p Profile, wanted: &ScopeTable) -> Option<(&'p Scope, &'p ScopeTable)> {
    tables(profile).find(|(_, table)| same_table(&table.name, &wanted.name))
}

fn of_columns(
    scope: &Scope,
    from: &ScopeTable,
    to: &ScopeTable,
    shapes: &[Table],
    found: &mut Found,
) {
    if let Some(shape) = shapes.iter().find(|shape| same_table(&shape.name, &to.name)) {
        let stays = |table: &ScopeTable| {
            let left = table.left_out(shape).into_iter();
            let assigned = |name: &String| {
                shape.position(name).is_some_and(|at| {
                    shape.is_key(at)
                        || shape.columns[at].assigned == tillhold_core::table::Assigned::ByChannel
                })
            };
            listed(left.filter(|name| !assigned(name)))
        };
        let (before, now) = (stays(from), stays(to));
        if before != now {
            found.push(Some(scope), Some(to), Some(fields::EXCLUDE.key), Some(before), Some(now));
        }
        return;
    }
    let excluded = |table: &ScopeTable| listed(table.excluded_columns.iter().cloned());
    let only = |table: &ScopeTable| {
        table.only_columns.as_ref().map_or("all".to_string(), |c| listed(c.iter().cloned()))
    };
    for (field, before, now) in [
        (fields::EXCLUDE.key, excluded(from), excluded(to)),
        (fields::COLUMNS.key, only(from), only(to)),
    ] {
        if before != now {
            found.push(Some(scope), Some(to), Some(field), Some(before), Some(now));
        }
    }
}

fn of_plugins(from: &Profile, to: &Profile, found: &mut Found) {
    let text = |profile: &Profile, name: &str| {
        profile.plugins.iter().find(|terms| terms.name == name).map(terms_text)
    };
    let added = to.plugins.iter().filter(|one| text(from, &one.name).is_none());
    for terms in from.plugins.iter().chain(added) {
        let (before, now) = (text(from, &terms.name), text(to, &terms.name));
        if before != now {
            found.push(None, None, Some(PLUGINS.key), before, now);
        }
    }
}

fn of_filter(scope: &Scope, from: &ScopeTable, to: &ScopeTable, found: &mut Found) {
    let said = |table: &ScopeTable| table.filter.as_ref().map(ToString::to_string);
    let (before, now) = (said(from), said(to));
    if before != now {
        found.push(Some(scope), Some(to), Some(fields::FILTER.key), before, now);
    }
}

/// Names in one order and one case, since SQL Server knows none of either.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: BTreeSet<String> = names.map(|name| name.to_uppercase()).collect();
    match names.is_empty() {
        true => "none".to_string(),
        false => names.into_iter().collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::differences;
    use crate::settings::profile_file::ProfileFile;
    use crate::settings::reader::Source;
    use std::path::Path;
    use tillhold_core::profile::Profile;
    use tillhold_core::table::{Assigned, Column, Table, TableName};
    use tillhold_core::types::SqlType;

    fn profile(text: &str) -> Profile {
        let parsed = ProfileFile::of(&Source::new(Path::new("p"), text.to_string()));
        assert_eq!(parsed.mistakes, []);
        parsed.built.complete(None).expect("a whole profile")
    }

    fn scope(name: &str, rest: &str) -> String {
        format!("[[scope]]\nname = '{name}'\ndirection = 'upload'\n{rest}\n")
    }

    fn told(from: &str, to: &str, shapes: &[Table]) -> Vec<String> {
        let found = differences(&profile(from), &profile(to), shapes);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_setting_that_differs_is_told_and_nothing_else() {
        let (one, two) = (scope("One", "tables = ['A', 'B']"), scope("Two", "tables = ['C']"));
        let base = format!("{one}{two}");
        let excluded = scope("One", "tables = ['A', { name = 'b', exclude = ['Y', 'x'] }]");
        let chain = "tables = ['A', 'B']\ntransformer = [{ plugin = 'p' }, { plugin = 'q' }]";
        let granted = "[[plugin]]\nname = 'p'\ngrants = [{ table = 'A', reads = ['X'] }]";
        let key = "RWRTfMJGyFtm3C73E5FC8pVSYwkPctortB4baRphAoVV50tkJiul8PYe";
        let trusted = format!("plugin_keys: none -> {key}");
        let cases: [(String, &[&str]); 13] = [
            (format!("plugin_keys = ['{key}']\n{base}"), &[&trusted]),
            (base.clone(), &[]),
            (
                format!(
                    "{}{two}{granted}",
                    scope("One", "tables = ['A', 'B']\nresolver = { plugin = 'p' }")
                ),
                &[
                    "scope One: resolver: \"channel-wins\" -> { plugin = \"p\" }",
                    "plugin: added ({ name = \"p\", grants = [{ table = \"ax.A\", reads = [\"X\"] }] })",
                ],
            ),
            (
                format!("{}{two}", scope("One", chain)),
                &["scope One: transformer: none -> { plugin = \"p\" }, then { plugin = \"q\" }"],
            ),
            (
                format!("name = 'N'\ndwell_s = 3\n{base}"),
                &["name: Default -> N", "dwell_s: 10 -> 3"],
            ),
            (format!("{two}{one}"), &["order: One, Two -> Two, One"]),
            (one.clone(), &["scope Two: removed (upload, 1 tables)"]),
            (
                format!("{base}{}", scope("Three", "tables = ['D']")),
                &["scope Three: added (upload, 1 tables)"],
            ),
            (
                format!("{}{two}", scope("One", "tables = ['A', 'E']\nresolver = 'defer'")),
                &[
                    "scope One: resolver: \"channel-wins\" -> \"defer\"",
                    "scope One: table ax.B: removed (whole table)",
                    "scope One: table ax.E: added (whole table)",
                ],
            ),
            (
                format!(
                    "{}{}",
                    scope("One", "tables = ['A']"),
                    scope("Two", "tables = ['C', 'B']")
                ),
                &["table ax.B: scope: One -> Two"],
            ),
            (format!("{excluded}{two}"), &["scope One: table ax.b: exclude: none -> X, Y"]),
            (
                format!("[capture]\nmethod = 'triggers'\n{base}"),
                &["capture: change-tracking -> triggers"],
            ),
            (
                format!("[upload]\ninterval_s = 0.5\n[numbers]\nwhen_in_doubt = 'sell'\n{base}"),
                &["upload.interval_s: 0 -> 0.5", "numbers.when_in_doubt: refuse -> sell"],
            ),
        ];
        for (other, expected) in cases {
            assert_eq!(told(&base, &other, &[]), expected, "{other}");
        }
    }

    #[test]
    fn a_filter_is_compared_by_what_it_says_and_not_by_how_it_is_spelled() {
        let filtered = |filter: &str| {
            let table = format!("tables = [{{ name = 'A', filter = \"{filter}\" }}]");
            format!("[[scope]]\nname = 'S'\ndirection = 'download'\n{table}\n")
        };
        let (one, other) = (filtered("A = 1 and B = 2"), filtered("([a]=1) AND b =2"));
        assert_eq!(told(&one, &other, &[]), [""; 0]);
        let expected = "scope S: table ax.A: filter: [A] = 1 AND [B] = 2 -> [A] = 3";
        assert_eq!(told(&one, &filtered("A = 3"), &[]), [expected]);
        let without = "[[scope]]\nname = 'S'\ndirection = 'download'\ntables = ['A']\n";
        let expected = "scope S: table ax.A: filter: removed ([A] = 3)";
        assert_eq!(told(&filtered("A = 3"), without, &[]), [expected]);
    }

    #[test]
    fn columns_are_compared_by_what_stays_behind_when_the_table_is_known() {
        let column = |name: &str| Column {
            name: name.to_string(),
            of: SqlType::Int,
            nullable: false,
            assigned: Assigned::ByWriter,
            default: None,
            collation: None,
        };
        let columns = ["K", "X", "Y"].map(column).into();
        let shape = Table { name: TableName::new("ax", "A"), columns, key: vec![0] };
        let excluding = scope("S", "tables = [{ name = 'A', exclude = ['Y'] }]");
        let listing = scope("S", "tables = [{ name = 'a', columns = ['x'] }]");
        assert_eq!(told(&excluding, &listing, &[shape]), [""; 0]);
        assert_eq!(told(&excluding, &listing, &[]).len(), 2);
    }
}
