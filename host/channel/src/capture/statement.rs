//! The statements of one pass over the changes of a scope, under one snapshot.
//!
//! The keys of the changed rows are copied once into a temporary table and paged from there: a page
//! of `CHANGETABLE(CHANGES …)` itself would scan and sort all changes again, page after page.
//! Temporary tables are made before the transaction begins, since a snapshot transaction refuses
//! most DDL (error 3964).
//!
//! By triggers, `MIN_ACTIVE_ROWVERSION() - 1` bounds the pass: a row's rowversion is given when the
//! row is written, so a transaction that is still open hides below ones that have committed. It is
//! asked before the snapshot is taken: everything at or below it had ended by then and is visible.
//! Asked after, it could count in a transaction that the snapshot does not see, and lose it.

use crate::filtering::and_passes;
use crate::selection::{self, Set};
use crate::statement::{
    key_join, key_list, object_id, presence, quoted, readable_as, select_list, staged,
    staged_key_list,
};
use std::fmt::Write as _;
use std::sync::Arc;
use tillhold_core::condition::Bound;
use tillhold_core::profile::Capture;
use tillhold_core::selection::{MemberKind, Restriction};
use tillhold_core::table::{Table, TableName, bracket};

/// `[tillhold].[t_ax.CUSTTABLE]`: which of the table's keys changed, by its trigger.
pub(crate) fn tracking_table(table: &TableName) -> String {
    format!("[tillhold].{}", bracket(&format!("t_{table}")))
}

/// `[tillhold].[g_ax.CUSTTABLE]`: always empty; its foreign key makes the server refuse TRUNCATE,
/// which no trigger sees.
pub(crate) fn guard_table(table: &TableName) -> String {
    format!("[tillhold].{}", bracket(&format!("g_{table}")))
}

/// A trigger lives in its table's schema; `tillhold_CUSTTABLE`.
pub(crate) fn trigger_name(table: &TableName) -> String {
    format!("tillhold_{}", table.name)
}

/// No parameters.
pub(crate) const VERSION_SQL: &str = concat!(
    "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS [current], ",
    "(SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch];\n"
);

/// The highest position that no open transaction can still write below. No parameters.
pub(crate) const BOUND_SQL: &str = concat!(
    "SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION()) - 1 AS [current], ",
    "(SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch];\n"
);

const EPOCH: &str =
    "(SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch]";

/// A plain batch, so that the temporary tables live as long as the session. The isolation level is
/// always set: it outlives the transaction. By triggers it answers the bound.
pub(crate) fn begin_sql(
    capture: Capture,
    tables: &[Arc<Table>],
    sets: &[(Set, MemberKind)],
) -> String {
    let mut sql = String::new();
    for (number, table) in tables.iter().enumerate() {
        let mut keys = String::new();
        for (at, column) in table.key_columns().enumerate() {
            let _ = write!(keys, ", [k{at}] {} NOT NULL", staged(column));
        }
        let _ = writeln!(
            sql,
            "CREATE TABLE #k{number} ([n] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, [v] bigint NOT NULL, [c] varbinary(128) NULL{keys});"
        );
    }
    sql.extend(sets.iter().map(|(set, kind)| selection::make_sql(*set, *kind)));
    if capture == Capture::Triggers {
        sql.push_str(BOUND_SQL);
    }
    sql.push_str("SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nBEGIN TRANSACTION;\n");
    sql
}

/// The first statements inside the transaction: the first fixes the snapshot. No parameters.
/// Answers where the channel is, how far back each table's changes are kept, and what each table
/// is now.
pub(crate) fn standing_sql(capture: Capture, tables: &[Arc<Table>]) -> String {
    let ids: Vec<String> = tables.iter().map(|table| object_id(table)).collect();
    let ids = ids.join(", ");
    match capture {
        Capture::ChangeTracking => {
            let minima = minima(tables);
            format!(
                "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS [current], {EPOCH}, {minima};
SELECT s.[name] AS [schema_name], t.[name] AS [table_name], t.[object_id], CONVERT(nvarchar(33), t.[modify_date], 126) AS [altered], c.[begin_version] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] LEFT OUTER JOIN sys.change_tracking_tables AS c ON c.[object_id] = t.[object_id] WHERE t.[object_id] IN ({ids});
"
            )
        }
        Capture::Triggers => format!(
            "SELECT {EPOCH};
SELECT h.[table_name], h.[oldest] FROM [tillhold].[horizon] AS h;
SELECT s.[name] AS [schema_name], t.[name] AS [table_name], t.[object_id], CONVERT(nvarchar(33), t.[modify_date], 126) AS [altered], g.[object_id] AS [trigger_id], CONVERT(nvarchar(33), g.[modify_date], 126) AS [trigger_altered], g.[is_disabled] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] LEFT OUTER JOIN sys.triggers AS g ON g.[parent_id] = t.[object_id] AND g.[name] = N'tillhold_' + t.[name] WHERE t.[object_id] IN ({ids});
SELECT t.[name] AS [table_name], t.[object_id] FROM sys.tables AS t WHERE t.[schema_id] = SCHEMA_ID(N'tillhold');
"
        ),
    }
}

/// The keys of all changed rows of these tables, by their numbers in the pass, in one round trip.
/// @P1 the version that the pass reaches, then each table's version to go on from. Answers, for
/// each, the last row number and how many rows there are: numbers may have gaps, a count has none.
pub(crate) fn keys_sql(capture: Capture, tables: &[(usize, Arc<Table>)]) -> String {
    let mut sql = String::new();
    for (at, (number, table)) in tables.iter().enumerate() {
        let staged_keys = staged_key_list("", table);
        let from = at + 2;
        let select = match capture {
            Capture::ChangeTracking => {
                let keys = key_list("c.", table);
                format!(
                    "SELECT c.[SYS_CHANGE_VERSION], c.[SYS_CHANGE_CONTEXT], {keys} FROM CHANGETABLE(CHANGES {}, @P{from}) AS c WHERE c.[SYS_CHANGE_VERSION] <= @P1 ORDER BY c.[SYS_CHANGE_VERSION], {keys}",
                    table.name.bracketed()
                )
            }
            Capture::Triggers => format!(
                "SELECT CONVERT(bigint, c.[rv]), c.[origin], {} FROM {} AS c WHERE c.[rv] > CONVERT(binary(8), @P{from}) AND c.[rv] <= CONVERT(binary(8), @P1) ORDER BY c.[rv]",
                staged_key_list("c.", table),
                tracking_table(&table.name)
            ),
        };
        let _ = write!(
            sql,
            "INSERT INTO #k{number} ([v], [c], {staged_keys}) {select};
SELECT ISNULL(MAX(k.[n]), 0) AS [last], COUNT(*) AS [rows] FROM #k{number} AS k;
"
        );
    }
    sql
}

/// @P1 the last row number that was read, @P2 the last one of this page, then the filter's values.
/// Existence is the joined row's matter (`_p`): the operation letter can be wrong (KB4135113). A row
/// that does not pass the filter is not joined, and so is not there; one that is no member's is not
/// there for the register (`_o` tells it from one that is gone), and nothing of either is sent.
pub(crate) fn page_sql(
    number: usize,
    table: &Table,
    restriction: Option<&Restriction>,
    filter: Option<&Bound>,
) -> String {
    let mut keys = String::new();
    for (at, column) in table.key_columns().enumerate() {
        let _ = write!(keys, ", {} AS [_k{at}]", readable_as(&format!("k.[k{at}]"), column));
    }
    let (mut join, mut elsewhere) = (key_join("t", "k", table), String::new());
    if let Some(restriction) = restriction {
        let condition = selection::condition("t", restriction);
        elsewhere = format!(
            ", CASE WHEN EXISTS (SELECT 1 FROM {} AS o WHERE {}) THEN 1 ELSE 0 END AS [_o]",
            table.name.bracketed(),
            key_join("o", "k", table)
        );
        join = format!("{join} AND {condition}");
    }
    format!(
        "SELECT k.[n] AS [_n], k.[v] AS [_v], k.[c] AS [_c], {} AS [_p]{elsewhere}{keys}, {} FROM #k{number} AS k LEFT OUTER JOIN {} AS t ON {join}{} WHERE k.[n] > @P1 AND k.[n] <= @P2 ORDER BY k.[n];\n",
        presence("t", table),
        select_list("t", table),
        table.name.bracketed(),
        and_passes("t", filter, 3),
    )
}

/// The oldest version whose changes are still kept, once more: change tracking's clean-up runs
/// beside the pass and is not part of its snapshot. No parameters.
pub(crate) fn minima_sql(tables: &[Arc<Table>]) -> String {
    format!("SELECT {};\n", minima(tables))
}

fn minima(tables: &[Arc<Table>]) -> String {
    let one = |(number, table): (usize, &Arc<Table>)| {
        format!("CHANGE_TRACKING_MIN_VALID_VERSION({}) AS [min{number}]", object_id(table))
    };
    tables.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// Tells a table without change tracking from one whose tracking the account may not see. No
/// parameters.
pub(crate) fn right_sql(table: &Table) -> String {
    let name = quoted(&table.name.bracketed());
    format!("SELECT HAS_PERMS_BY_NAME({name}, N'OBJECT', N'VIEW CHANGE TRACKING') AS [right];\n")
}

/// A plain batch; the session goes on with the level that every other statement expects.
pub(crate) fn end_sql(tables: usize, sets: &[(Set, MemberKind)]) -> String {
    let mut sql =
        String::from("COMMIT TRANSACTION;\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n");
    for number in 0..tables {
        let _ = writeln!(sql, "DROP TABLE #k{number};");
    }
    sql.extend(sets.iter().map(|(set, kind)| selection::drop_sql(*set, *kind)));
    sql
}
