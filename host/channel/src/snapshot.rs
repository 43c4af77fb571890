//! First load.

use crate::statement::{after_key, key_list, select_list};
use tillhold_core::table::Table;

/// No parameters.
pub(crate) const VERSION_SQL: &str = "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS [current], (SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch];\n";

/// @P1 rows in the page; with `after`, @P2 and on the last key's values as canonical text.
pub(crate) fn page_sql(table: &Table, after: bool) -> String {
    let condition = match after {
        true => format!(" WHERE {}", after_key("t", table, 2)),
        false => String::new(),
    };
    format!(
        "SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nSELECT TOP (@P1) {} FROM {} AS t{condition} ORDER BY {};\n",
        select_list("t", table),
        table.name.bracketed(),
        key_list("t.", table),
    )
}
