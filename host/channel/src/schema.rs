//! The channel's catalogue: tables with types, defaults, collations and primary keys, as SQL Server
//! describes them.
//!
//! * Columns that the channel assigns (identity, computed, rowversion, generated) are marked so and
//!   never written.
//! * A column of a type that Tillhold does not carry (`sql_variant`, CLR types of the database's own)
//!   is no column of the table; it is listed beside it, so that the profile's reader can say so.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use std::collections::BTreeMap;
use tillhold_core::alteration::alterations;
use tillhold_core::profile::ScopeTable;
use tillhold_core::spelling::edit_distance;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;

/// A table, and what of it cannot travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub table: Table,
    pub uncarried: Vec<Uncarried>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncarried {
    pub column: String,
    /// The type's name; `None` for a CLR type of the database's own, which has no base type.
    pub of: Option<String>,
}

/// The tables in the order of their names given, in full shape; a name that the channel does not
/// know is an error with the nearest one.
pub async fn tables(link: &mut Link, names: &[TableName]) -> Result<Vec<Table>, ChannelError> {
    Ok(described(link, names).await?.into_iter().map(|described| described.table).collect())
}

/// The same for a profile: a column that cannot travel must be one that it leaves out by name, since
/// data that stays behind unseen is data lost.
pub async fn tables_without(
    link: &mut Link,
    names: &[TableName],
    leaves_out: impl Fn(&TableName, &str) -> bool,
) -> Result<Vec<Table>, ChannelError> {
    let described = described(link, names).await?;
    for Described { table, uncarried } in &described {
        let unnamed = uncarried.iter().find(|one| !leaves_out(&table.name, &one.column));
        if let Some(Uncarried { column, of }) = unnamed {
            let (table, column) = (table.name.clone(), column.clone());
            let of = of.clone().unwrap_or_else(|| "a CLR type of its own".to_string());
            return Err(ChannelError::Uncarried { table, column, of });
        }
    }
    Ok(described.into_iter().map(|described| described.table).collect())
}

pub async fn described(
    link: &mut Link,
    names: &[TableName],
) -> Result<Vec<Described>, ChannelError> {
    let mut found = BTreeMap::new();
    for portion in names.chunks(NAMES_ASKED_MAX) {
        let parameters: Vec<Parameter> =
            portion.iter().map(|name| Parameter::Text(name.to_string())).collect();
        let sql = columns_sql(portion.len());
        let sets = link.ask(Ask::query(WHAT, &sql, &parameters)).await?;
        for cells in sets.into_iter().flatten() {
            add_column(&mut found, Cells::new(WHAT, cells))?;
        }
    }
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        match found.get(&folded(name)) {
            Some(building) => tables.push(building.clone().finished()),
            None => return Err(unknown(link, name).await),
        }
    }
    Ok(tables)
}

/// Every table that the account can see, by schema and name.
pub async fn all_table_names(link: &mut Link) -> Result<Vec<TableName>, ChannelError> {
    let sets = link.ask(Ask::query(WHAT, NAMES_SQL, &[])).await?;
    let one = |cells| {
        let mut cells = Cells::new(WHAT, cells);
        Ok(TableName::new(cells.text("schema_name")?, cells.text("table_name")?))
    };
    sets.into_iter().flatten().map(one).collect()
}

/// Refuses a table that cannot be followed any more in the shape that the register has.
pub async fn verify(link: &mut Link, tables: &[(&Table, &ScopeTable)]) -> Result<(), ChannelError> {
    let names: Vec<TableName> = tables.iter().map(|(table, _)| table.name.clone()).collect();
    let leaves_out = |name: &TableName, column: &str| {
        let of_name = tables.iter().find(|(table, _)| table.name == *name);
        of_name.is_some_and(|(_, entry)| entry.leaves_out(column))
    };
    let now = tables_without(link, &names, leaves_out).await?;
    for ((known, entry), now) in tables.iter().zip(now) {
        let alterations = alterations(known, &entry.travelling(&now));
        if !alterations.is_empty() {
            return Err(ChannelError::Altered { table: known.name.clone(), alterations });
        }
    }
    Ok(())
}

const WHAT: &str = "describe its tables";

/// Well below the 2,100 parameters that a call may have.
const NAMES_ASKED_MAX: usize = 500;

/// `names` parameters, each `schema.NAME`. Alias types resolve to their base type. CLR types (240)
/// have none; the three that SQL Server brings (hierarchyid, geometry, geography) are known by
/// their own number, a database's own ones are not carried.
pub(crate) fn columns_sql(names: usize) -> String {
    let list = (1..=names).map(|n| format!("@P{n}")).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT s.[name] AS [schema_name], t.[name] AS [table_name], c.[name] AS [column_name], y.[name] AS [type_name], c.[max_length], c.[precision], c.[scale], c.[is_nullable], c.[is_identity], c.[is_computed], c.[generated_always_type], c.[collation_name], d.[definition] AS [default_text], x.[key_ordinal] \
FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] INNER JOIN sys.columns AS c ON c.[object_id] = t.[object_id] LEFT OUTER JOIN sys.types AS y ON y.[user_type_id] = CASE WHEN c.[system_type_id] <> 240 THEN c.[system_type_id] WHEN c.[user_type_id] IN (128, 129, 130) THEN c.[user_type_id] END LEFT OUTER JOIN sys.default_constraints AS d ON d.[object_id] = c.[default_object_id] LEFT OUTER JOIN sys.indexes AS i ON i.[object_id] = t.[object_id] AND i.[is_primary_key] = 1 LEFT OUTER JOIN sys.index_columns AS x ON x.[object_id] = i.[object_id] AND x.[index_id] = i.[index_id] AND x.[column_id] = c.[column_id] \
WHERE s.[name] + N'.' + t.[name] IN ({list}) ORDER BY s.[name], t.[name], c.[column_id];\n"
    )
}

/// No parameters.
pub(crate) const NAMES_SQL: &str = "SELECT s.[name] AS [schema_name], t.[name] AS [table_name] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] WHERE t.[is_ms_shipped] = 0 ORDER BY s.[name], t.[name];\n";

/// A table while its columns arrive.
#[derive(Clone)]
struct Building {
    table: Table,
    uncarried: Vec<Uncarried>,
    /// Key ordinal and position.
    key: Vec<(i64, usize)>,
    /// A key column of a type that does not travel leaves the table without a key.
    is_keyless: bool,
}

impl Building {
    fn finished(mut self) -> Described {
        self.key.sort_unstable();
        if !self.is_keyless {
            self.table.key = self.key.into_iter().map(|(_, at)| at).collect();
        }
        Described { table: self.table, uncarried: self.uncarried }
    }
}

/// Names are compared blind to case.
pub(crate) fn folded(name: &TableName) -> (String, String) {
    (name.schema.to_lowercase(), name.name.to_lowercase())
}

fn add_column(
    found: &mut BTreeMap<(String, String), Building>,
    mut cells: Cells,
) -> Result<(), ChannelError> {
    let name = TableName::new(cells.text("schema_name")?, cells.text("table_name")?);
    let building = found.entry(folded(&name)).or_insert_with(|| Building {
        table: Table { name, columns: Vec::new(), key: Vec::new() },
        uncarried: Vec::new(),
        key: Vec::new(),
        is_keyless: false,
    });
    let (name, type_name, declared) = read_declaration(&mut cells)?;
    let column = read_column(&mut cells, name.clone(), declared.unwrap_or(SqlType::Bit))?;
    let ordinal = cells.optional_number("key_ordinal")?.filter(|ordinal| *ordinal > 0);
    if declared.is_none() {
        building.is_keyless |= ordinal.is_some();
        building.uncarried.push(Uncarried { column: name, of: type_name });
        return Ok(());
    }
    if let Some(ordinal) = ordinal {
        building.key.push((ordinal, building.table.columns.len()));
    }
    building.table.columns.push(column);
    Ok(())
}

/// Name, type's name, and the type where it travels.
fn read_declaration(
    cells: &mut Cells,
) -> Result<(String, Option<String>, Option<SqlType>), ChannelError> {
    let name = cells.text("column_name")?;
    let type_name = cells.optional_text("type_name")?;
    let length = cells.number("max_length")?;
    let (precision, scale) = (cells.number("precision")?, cells.number("scale")?);
    let declaration = type_name.as_ref().map(|of| declaration(of, length, precision, scale));
    let declared = declaration.and_then(|text| SqlType::parse(&text));
    Ok((name, type_name, declared))
}

/// `max_length` counts bytes, also for `n…` types; -1 is `max`.
fn declaration(of: &str, length: i64, precision: i64, scale: i64) -> String {
    let sized = |length: i64| match length {
        -1 => format!("{of}(max)"),
        length => format!("{of}({length})"),
    };
    match of {
        "decimal" | "numeric" => format!("{of}({precision},{scale})"),
        "time" | "datetime2" | "datetimeoffset" => format!("{of}({scale})"),
        // Eight bytes of header, four for each dimension (Transact-SQL reference, "vector").
        "vector" => format!("{of}({})", (length - 8) / 4),
        "nchar" | "nvarchar" if length > 0 => sized(length / 2),
        "char" | "varchar" | "nchar" | "nvarchar" | "binary" | "varbinary" => sized(length),
        _ => of.to_string(),
    }
}

fn read_column(cells: &mut Cells, name: String, of: SqlType) -> Result<Column, ChannelError> {
    let nullable = cells.flag("is_nullable")?;
    let identity = cells.flag("is_identity")?;
    let computed = cells.flag("is_computed")?;
    let generated = cells.flag("generated_always_type")?;
    let by_channel = identity || computed || generated || of == SqlType::RowVersion;
    let collation = cells.optional_text("collation_name")?;
    let default = cells.optional_text("default_text")?;
    Ok(Column {
        name,
        of,
        nullable,
        assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
        default,
        collation,
    })
}

async fn unknown(link: &mut Link, table: &TableName) -> ChannelError {
    match all_table_names(link).await {
        Ok(names) => {
            ChannelError::UnknownTable { table: table.clone(), nearest: nearest(table, names) }
        }
        Err(error) => error,
    }
}

/// The name that differs least, if it differs by few letters: the same name in another schema comes
/// first.
pub fn nearest(wanted: &TableName, names: Vec<TableName>) -> Option<TableName> {
    let want = wanted.name.to_lowercase();
    let most = (want.chars().count() / 4).max(2);
    names
        .into_iter()
        .map(|name| (edit_distance(&want, &name.name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{add_column, declaration, nearest, tables_without};
    use crate::cells::Cells;
    use crate::error::ChannelError;
    use crate::scripted::{Channel, says};
    use std::collections::BTreeMap;
    use tiberius::ColumnData;
    use tillhold_core::table::{Assigned, Table, TableName};
    use tillhold_core::types::SqlType;
    use tillhold_core::value::Value;

    #[test]
    fn a_name_near_enough_is_proposed() {
        let names = ["ax.CUSTTABLE", "ax.CUSTGROUP", "crt.RETAILUNIT", "dbo.X"];
        let names: Vec<TableName> = names.iter().filter_map(|n| TableName::parse(n)).collect();
        for (wanted, expected) in [
            ("ax.CUSTABLE", Some("ax.CUSTTABLE")),
            ("ax.RETAILUNIT", Some("crt.RETAILUNIT")),
            ("ax.SALESORDERS", None),
        ] {
            let wanted = TableName::parse(wanted).expect("a name");
            let found = nearest(&wanted, names.clone()).map(|name| name.to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn declarations_follow_the_catalogue() {
        for (of, length, precision, scale, expected) in [
            ("nvarchar", 20, 0, 0, "nvarchar(10)"),
            ("nvarchar", -1, 0, 0, "nvarchar(max)"),
            ("varbinary", -1, 0, 0, "varbinary(max)"),
            ("numeric", 17, 32, 16, "numeric(32,16)"),
            ("datetime2", 8, 27, 7, "datetime2(7)"),
            ("int", 4, 10, 0, "int"),
            ("vector", 20, 0, 0, "vector(3)"),
            ("hierarchyid", 892, 0, 0, "hierarchyid"),
        ] {
            assert_eq!(declaration(of, length, precision, scale), expected);
        }
    }

    fn text(text: &str) -> ColumnData<'static> {
        ColumnData::String(Some(text.to_string().into()))
    }

    /// A row of the catalogue: column, type, bytes, identity, key ordinal.
    fn cells(
        column: &str,
        of: Option<&str>,
        length: i16,
        identity: bool,
        key: Option<u8>,
    ) -> Cells {
        let row = vec![
            text("ax"),
            text("T"),
            text(column),
            of.map_or(ColumnData::String(None), text),
            ColumnData::I16(Some(length)),
            ColumnData::U8(Some(32)),
            ColumnData::U8(Some(16)),
            ColumnData::Bit(Some(false)),
            ColumnData::Bit(Some(identity)),
            ColumnData::Bit(Some(false)),
            ColumnData::U8(Some(0)),
            ColumnData::String(None),
            ColumnData::String(None),
            ColumnData::U8(key),
        ];
        Cells::new("test", row)
    }

    #[test]
    fn a_table_is_put_together_in_key_order_without_what_cannot_travel() {
        let mut found = BTreeMap::new();
        for row in [
            cells("B", Some("nvarchar"), 20, false, Some(2)),
            cells("PLACE", None, -1, false, None),
            cells("N", Some("int"), 4, true, None),
            cells("A", Some("bigint"), 8, false, Some(1)),
        ] {
            add_column(&mut found, row).expect("a column");
        }
        let (_, building) = found.pop_first().expect("one table");
        let described = building.finished();
        let names: Vec<&str> = described.table.key_columns().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["A", "B"]);
        assert_eq!(described.table.columns[0].of, SqlType::NVarChar { length: Some(10) });
        assert_eq!(described.table.columns[1].assigned, Assigned::ByChannel);
        assert_eq!(described.uncarried[0].column, "PLACE");
    }

    /// A catalogue's answer: a key and a column of that type.
    async fn with_column(of: Value, excluded: &'static str) -> Result<Vec<Table>, ChannelError> {
        let text = |text: &str| Value::Text(text.to_string());
        let row = |column: &str, of: Value, ordinal: Value| {
            let mut row = vec![text("ax"), text("T"), text(column), of];
            row.extend([-1, 0, 0, 1, 0, 0, 0].map(Value::Int));
            row.extend([Value::Null, Value::Null, ordinal]);
            row
        };
        let rows = vec![row("ID", text("int"), Value::Int(1)), row("V", of, Value::Null)];
        let named = ["schema_name", "table_name", "column_name", "type_name"];
        let mut columns: Vec<_> = named.map(|name| (name, "nvarchar(128)")).into();
        columns.extend(["a", "b", "c", "d", "e", "f", "g"].map(|name| (name, "int")));
        columns.extend([("h", "nvarchar(128)"), ("i", "nvarchar(max)"), ("key", "int")]);
        let channel = Channel::start(vec![says("sys.columns", vec![(columns, rows)])]).await;
        let names = [TableName::new("ax", "T")];
        tables_without(&mut channel.link(), &names, |_, column| column == excluded).await
    }

    /// Left out without a word, its data would be lost without a word.
    #[tokio::test]
    async fn a_column_that_cannot_travel_must_be_left_out_by_name() {
        for of in [Value::Text("sql_variant".to_string()), Value::Null] {
            let error = with_column(of.clone(), "").await.expect_err("V does not travel");
            assert_eq!(error.code(), "channel-column", "{error}");
            let tables = with_column(of, "V").await.expect("V is left out");
            assert_eq!(tables[0].columns.len(), 1);
        }
        let geography = with_column(Value::Text("geography".to_string()), "").await;
        assert_eq!(geography.expect("it travels")[0].columns[1].of.to_string(), "geography");
    }
}
