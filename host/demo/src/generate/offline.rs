//! The offline profile in the channel's own ax.RETAILOFFLINE* tables, over `tests/data/default_profile_scopes.json`.
//!
//! * RETAILOFFLINEPROFILESCOPES has no order column; its RECIDs count in the order in which the scopes make sense.
//! * Tables that hold passwords list the columns that travel (RETAILOFFLINETABLECOLUMNS); all others travel whole.
//! * The localisation scope (Brazil, India, Russia) is left out: the demonstration's store is in none of them.

use super::DemoStore;
use super::sheet::{Load, load, record, whole, words};
use serde_json::Value as Json;
use tillhold_core::profile::Direction;
use tillhold_core::table::{Assigned, TableName};
use tillhold_core::value::Value;
use tillhold_kit::Schema;

const PUBLISHED: &str = include_str!("../../../../tests/data/default_profile_scopes.json");
/// AX holds ten characters.
pub const PROFILE_NAME: &str = "Default";

/// Scheduler jobs in the order of the data's meaning: no foreign keys exist that could enforce it.
const ORDER: [&str; 17] = [
    "1110", "1115", "1000", "1070", "1090", "1060", "1080", "1095", "1030", "1040", "1130", "1020",
    "1150", "1170", "1050", "1010", "Seeds",
];
const LEFT_OUT: &str = "localisation";
/// Password columns and what they would let someone do, by table.
const SECRETS: [(&str, &str); 4] = [
    ("RETAILSTAFFTABLE", "PASSWORD"),
    ("RETAILSTAFFTABLE", "PASSWORDDATA"),
    ("RETAILSTORETABLE", "PASSWORD"),
    ("RETAILHARDWAREPROFILE", "EFTPASSWORD"),
];

/// A scope of the demonstration's profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileScope {
    /// RETAILOFFLINESCOPE.DESCRIPTION
    pub name: String,
    pub direction: Direction,
    pub frequency_s: u32,
    pub tables: Vec<TableName>,
}

impl ProfileScope {
    fn new(name: &str, tables: Vec<TableName>) -> ProfileScope {
        let (direction, frequency_s) = match name.split(' ').next().unwrap_or_default() {
            "P-0001" => (Direction::Upload, 10),
            "1010" => (Direction::Bidirectional, 30),
            "Seeds" | "Shift" | "Suspended" => (Direction::Bidirectional, 30),
            "1020" => (Direction::Download, 30),
            "1040" | "1050" | "1130" => (Direction::Download, 300),
            _ => (Direction::Download, 3_600),
        };
        ProfileScope { name: name.to_string(), direction, frequency_s, tables }
    }
}

/// The scopes in their order, uploads last.
pub fn profile_scopes() -> Vec<ProfileScope> {
    let json: Json =
        serde_json::from_str(PUBLISHED).expect("the file is carried in the program and tested");
    let mut scopes: Vec<ProfileScope> =
        json.as_array().into_iter().flatten().filter_map(scope).collect();
    let two = [
        ("Shift staging", TableName::new("crt", "RETAILSHIFTSTAGINGTABLE")),
        ("Suspended transactions", TableName::new("dbo", "RETAILSUSPENDEDTRANSACTIONS")),
    ];
    scopes.extend(two.map(|(name, table)| ProfileScope::new(name, vec![table])));
    let place = |scope: &ProfileScope| {
        let number = scope.name.split(' ').next().unwrap_or_default();
        ORDER.iter().position(|known| *known == number).unwrap_or(ORDER.len())
    };
    scopes.sort_by_key(|scope| (scope.direction == Direction::Upload, place(scope)));
    scopes
}

fn scope(json: &Json) -> Option<ProfileScope> {
    let name = json["scope"].as_str()?;
    let tables =
        json["tables"].as_array()?.iter().filter_map(|t| TableName::parse(t.as_str()?)).collect();
    (!name.starts_with(LEFT_OUT)).then(|| ProfileScope::new(name, tables))
}

/// Columns that stay in the channel.
pub(crate) fn is_secret(table: &TableName, column: &str) -> bool {
    table.schema == "ax" && SECRETS.contains(&(table.name.as_str(), column))
}

/// RETAILSTORETABLE.OFFLINEPROFILE of every store.
pub(super) fn profile_record() -> Value {
    record(0)
}

pub(super) fn loads(store: &DemoStore) -> Vec<Load<'_>> {
    let schema = &store.schema;
    let scopes = &store.scopes;
    let count = scopes.len() as u64;
    let members: Vec<(u64, TableName)> = scopes
        .iter()
        .enumerate()
        .flat_map(|(at, scope)| scope.tables.iter().map(move |table| (at as u64, table.clone())))
        .collect();
    let columns = listed_columns(schema, &members);
    let tables = members.len() as u64;
    let scope_of = members.iter().map(|(scope, _)| *scope).collect::<Vec<u64>>();
    vec![
        load(schema, "RETAILOFFLINEPROFILE", ["NAME", "DESCRIPTION"], 1, |_| {
            [words(PROFILE_NAME), words("What a register needs to sell on its own")]
        }),
        load(schema, "RETAILOFFLINEPROFILESCOPES", ["PROFILEID", "SCOPEID"], count, |i| {
            [profile_record(), record(i)]
        }),
        load(
            schema,
            "RETAILOFFLINESCOPE",
            ["DESCRIPTION", "SYNCDIRECTION", "SYNCFREQUENCY"],
            count,
            move |i| {
                let scope = &scopes[i as usize];
                [
                    words(scope.name.as_str()),
                    whole(stored(scope.direction)),
                    whole(scope.frequency_s),
                ]
            },
        ),
        load(schema, "RETAILOFFLINESCOPETABLES", ["SCOPEID", "SYNCTABLEID"], tables, move |i| {
            [record(scope_of[i as usize]), record(i)]
        }),
        load(schema, "RETAILOFFLINETABLE", ["TABLENAME"], tables, move |i| {
            [words(plain_name(&members[i as usize].1))]
        }),
        load(
            schema,
            "RETAILOFFLINETABLECOLUMNS",
            ["SYNCCOLUMNNAME", "SYNCTABLE"],
            columns.len() as u64,
            move |i| {
                let (table, column) = &columns[i as usize];
                [words(column.as_str()), record(*table)]
            },
        ),
    ]
}

/// 0, 1, 2, as AX stores it.
fn stored(direction: Direction) -> i64 {
    match direction {
        Direction::Download => 0,
        Direction::Upload => 1,
        Direction::Bidirectional => 2,
    }
}

/// AX writes its own tables without a schema.
fn plain_name(table: &TableName) -> String {
    if table.schema == "ax" { table.name.clone() } else { table.to_string() }
}

fn listed_columns(schema: &Schema, members: &[(u64, TableName)]) -> Vec<(u64, String)> {
    let mut columns = Vec::new();
    for (at, (_, name)) in members.iter().enumerate() {
        let Some(table) = schema.table(name) else { continue };
        if !table.columns.iter().any(|c| is_secret(name, &c.name)) {
            continue;
        }
        let travelling = table.columns.iter().filter(|c| c.assigned == Assigned::ByWriter);
        let open = travelling.filter(|c| !is_secret(name, &c.name));
        columns.extend(open.map(|c| (at as u64, c.name.clone())));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::profile_scopes;
    use tillhold_core::profile::Direction;
    use tillhold_kit::Schema;

    #[test]
    fn the_profile_covers_the_schema_in_a_sensible_order() {
        let scopes = profile_scopes();
        let names: Vec<&str> =
            scopes.iter().map(|s| s.name.split(' ').next().unwrap_or("")).collect();
        assert_eq!(names.first(), Some(&"1110"));
        assert_eq!(names.last(), Some(&"P-0001"));
        assert_eq!(names.len(), 20);
        let at = |name| names.iter().position(|n| *n == name).expect("a scope of the profile");
        assert!(at("1040") < at("1020") && at("1020") < at("1010") && at("1010") < at("Seeds"));
        let bidirectional = scopes
            .iter()
            .filter(|s| s.direction == Direction::Bidirectional)
            .map(|s| s.name.as_str());
        let expected = [
            "1010 Customers",
            "Seeds (offline-only scope)",
            "Shift staging",
            "Suspended transactions",
        ];
        assert_eq!(bidirectional.collect::<Vec<_>>(), expected);
        let schema = Schema::published().expect("the published schema reads");
        assert!(scopes.iter().flat_map(|s| &s.tables).all(|t| schema.table(t).is_some()));
    }
}
