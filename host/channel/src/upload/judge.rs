//! Whether the channel's rows still are as the register saw them: the outcome of each row of an
//! upload.
//!
//! * The rows that are there are locked first, then their last writes are looked at in the next
//!   statement: under READ COMMITTED nobody can slip in between.
//! * Only the first write of a row is judged; the later ones of the batch stand on it.
//! * A base older than what the channel still knows cannot be checked, so it counts as changed.

use super::statement::Part;
use crate::capture::statement::tracking_table;
use crate::statement::{key_join, key_list, object_id, quoted, staged_key_join, staged_key_list};
use std::fmt::Write as _;
use tillhold_core::profile::Capture;
use tillhold_core::table::Table;

/// Where the channel keeps who wrote a row last, as pieces of a statement over `s`, the staged rows.
struct LastWrite {
    /// Joins what is known of the row as `c`.
    join: String,
    /// The version of the last write; NULL when none is known.
    version: String,
    /// The context of its writer; NULL for one without.
    writer: String,
    /// Writes before this version are forgotten.
    oldest: String,
}

fn last_write(capture: Capture, table: &Table) -> LastWrite {
    if capture == Capture::Triggers {
        return noted_by_trigger(table);
    }
    LastWrite {
        join: format!(
            "CROSS APPLY CHANGETABLE(VERSION {}, ({}), ({})) AS c",
            table.name.bracketed(),
            key_list("", table),
            staged_key_list("s.", table),
        ),
        version: "c.[SYS_CHANGE_VERSION]".to_string(),
        writer: "c.[SYS_CHANGE_CONTEXT]".to_string(),
        oldest: format!("CHANGE_TRACKING_MIN_VALID_VERSION({})", object_id(table)),
    }
}

/// The row is locked, so nobody has its entry in work.
fn noted_by_trigger(table: &Table) -> LastWrite {
    let name = quoted(&table.name.to_string());
    LastWrite {
        join: format!(
            "LEFT OUTER JOIN {} AS c ON {}",
            tracking_table(&table.name),
            staged_key_join("c", "s", table)
        ),
        version: "CONVERT(bigint, c.[rv])".to_string(),
        writer: "c.[origin]".to_string(),
        oldest: format!(
            "ISNULL((SELECT h.[oldest] FROM [tillhold].[horizon] AS h WHERE h.[table_name] = {name}), 0)"
        ),
    }
}

pub(crate) fn judge(sql: &mut String, number: usize, part: &Part<'_>) {
    let table = part.table;
    let (name, keys) = (table.name.bracketed(), key_join("t", "s", table));
    let open = format!("FROM #r{number} AS s INNER JOIN #t AS q ON q.[s] = s.[t]");
    let (first, stands) = match part.is_chained {
        true => (" AND s.[d] = 1", "WHEN s.[d] > 1 THEN 1 "),
        false => ("", ""),
    };
    let LastWrite { join, version, writer, oldest } = last_write(part.capture, table);
    let _ = write!(
        sql,
        "UPDATE s SET s.[x] = 1 {open} INNER JOIN {name} AS t WITH (UPDLOCK, ROWLOCK) ON {keys} WHERE q.[o] = 0{first};
UPDATE s SET s.[v] = ISNULL({version}, {oldest}), s.[x] = CASE WHEN s.[x] = 0 THEN 0 WHEN {version} IS NULL AND s.[b] < {oldest} THEN 3 WHEN {version} > s.[b] AND ({writer} IS NULL OR {writer} <> @own) THEN 3 ELSE 1 END {open} {join} WHERE q.[o] = 0{first} AND (s.[x] = 1 OR s.[o] <> N'I');
UPDATE s SET s.[x] = CASE {stands}WHEN s.[o] = N'I' AND s.[x] = 0 THEN 1 WHEN s.[o] = N'I' THEN 4 WHEN s.[o] = N'D' AND s.[x] = 0 THEN 2 WHEN s.[x] = 0 THEN 5 ELSE s.[x] END {open} WHERE q.[o] = 0;
"
    );
}
