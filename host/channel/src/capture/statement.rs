//! The statements of one pass over the changes of a scope, under one snapshot.
//!
//! The keys of the changed rows are copied once into a temporary table and paged from there: a page
//! of `CHANGETABLE(CHANGES …)` itself would scan and sort all changes again, page after page.
//! Temporary tables are made before the transaction begins, since a snapshot transaction refuses
//! most DDL (error 3964).

use crate::statement::{
    key_join, key_list, object_id, presence, quoted, readable_as, select_list, staged,
    staged_key_list,
};
use std::fmt::Write as _;
use std::sync::Arc;
use tillhold_core::table::Table;

/// A plain batch, so that the temporary tables live as long as the session. The isolation level is
/// always set: it outlives the transaction.
pub(crate) fn begin_sql(tables: &[Arc<Table>]) -> String {
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
    sql.push_str("SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nBEGIN TRANSACTION;\n");
    sql
}

/// The first statement inside the transaction: it fixes the snapshot. No parameters.
pub(crate) fn standing_sql(tables: &[Arc<Table>]) -> String {
    let mut sql = String::from(
        "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS [current], (SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch]",
    );
    for (number, table) in tables.iter().enumerate() {
        let _ = write!(
            sql,
            ", CHANGE_TRACKING_MIN_VALID_VERSION({}) AS [min{number}]",
            object_id(table)
        );
    }
    sql.push_str(";\n");
    sql
}

/// The keys of all changed rows of these tables, by their numbers in the pass, in one round trip.
/// @P1 the version that the pass reaches, then each table's version to go on from. Answers, for
/// each, the last row number and how many rows there are: numbers may have gaps, a count has none.
pub(crate) fn keys_sql(tables: &[(usize, Arc<Table>)]) -> String {
    let mut sql = String::new();
    for (at, (number, table)) in tables.iter().enumerate() {
        let keys = key_list("c.", table);
        let _ = write!(
            sql,
            "INSERT INTO #k{number} ([v], [c], {}) SELECT c.[SYS_CHANGE_VERSION], c.[SYS_CHANGE_CONTEXT], {keys} FROM CHANGETABLE(CHANGES {}, @P{}) AS c WHERE c.[SYS_CHANGE_VERSION] <= @P1 ORDER BY c.[SYS_CHANGE_VERSION], {keys};
SELECT ISNULL(MAX(k.[n]), 0) AS [last], COUNT(*) AS [rows] FROM #k{number} AS k;
",
            staged_key_list("", table),
            table.name.bracketed(),
            at + 2,
        );
    }
    sql
}

/// @P1 the last row number that was read, @P2 the last one of this page. Existence is the joined
/// row's matter (`_p`): the operation letter can be wrong (KB4135113).
pub(crate) fn page_sql(number: usize, table: &Table) -> String {
    let mut keys = String::new();
    for (at, column) in table.key_columns().enumerate() {
        let _ = write!(keys, ", {} AS [_k{at}]", readable_as(&format!("k.[k{at}]"), column));
    }
    format!(
        "SELECT k.[n] AS [_n], k.[v] AS [_v], k.[c] AS [_c], {} AS [_p]{keys}, {} FROM #k{number} AS k LEFT OUTER JOIN {} AS t ON {} WHERE k.[n] > @P1 AND k.[n] <= @P2 ORDER BY k.[n];\n",
        presence("t", table),
        select_list("t", table),
        table.name.bracketed(),
        key_join("t", "k", table),
    )
}

/// The oldest version whose changes are still kept, once more: clean-up runs beside the pass. No
/// parameters.
pub(crate) fn minima_sql(tables: &[Arc<Table>]) -> String {
    let one = |(number, table): (usize, &Arc<Table>)| {
        format!("CHANGE_TRACKING_MIN_VALID_VERSION({}) AS [min{number}]", object_id(table))
    };
    let list = tables.iter().enumerate().map(one).collect::<Vec<_>>().join(", ");
    format!("SELECT {list};\n")
}

/// Tells a table without change tracking from one whose tracking the account may not see. No
/// parameters.
pub(crate) fn right_sql(table: &Table) -> String {
    let name = quoted(&table.name.bracketed());
    format!("SELECT HAS_PERMS_BY_NAME({name}, N'OBJECT', N'VIEW CHANGE TRACKING') AS [right];\n")
}

/// A plain batch; the session goes on with the level that every other statement expects.
pub(crate) fn end_sql(tables: usize) -> String {
    let mut sql =
        String::from("COMMIT TRANSACTION;\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n");
    for number in 0..tables {
        let _ = writeln!(sql, "DROP TABLE #k{number};");
    }
    sql
}
