//! The register's two files, read only: while the agent runs, or after it was killed.

use super::Cells;
use crate::DemoError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_core::value::Value;

const FILES: [&str; 2] = ["journal.db", "catalogue.db"];

/// journal.db and catalogue.db.
pub(crate) struct RegisterFiles {
    files: Vec<(PathBuf, Connection)>,
}

/// A conflict as the register recorded its decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) table: String,
    pub(crate) key: String,
    pub(crate) rule: String,
    pub(crate) plugin: Option<String>,
}

impl RegisterFiles {
    pub(crate) fn open(folder: &Path) -> Result<RegisterFiles, DemoError> {
        let open = |name: &str| {
            let path = folder.join(name);
            match Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
                Ok(connection) => Ok((path, connection)),
                Err(cause) => Err(DemoError::OfflineFile { path, cause }),
            }
        };
        let files = FILES.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(RegisterFiles { files })
    }

    /// The columns that the register has of a table, and in which file; `None` when neither file has it.
    pub(crate) fn columns(
        &self,
        table: &TableName,
    ) -> Result<Option<(usize, Vec<String>)>, DemoError> {
        for (at, (path, connection)) in self.files.iter().enumerate() {
            let failed = |cause| DemoError::OfflineFile { path: path.clone(), cause };
            let mut statement =
                connection.prepare("SELECT name FROM pragma_table_info(?1)").map_err(failed)?;
            let names =
                statement.query_map([table.to_string()], |row| row.get(0)).map_err(failed)?;
            let names: Vec<String> = names.collect::<Result<_, _>>().map_err(failed)?;
            if !names.is_empty() {
                return Ok(Some((at, names)));
            }
        }
        Ok(None)
    }

    /// Every row of a table in file `at`, in `table`'s columns.
    pub(crate) fn rows(
        &self,
        at: usize,
        table: &Table,
        take: &mut dyn FnMut(Cells),
    ) -> Result<(), DemoError> {
        let (path, connection) = &self.files[at];
        let failed = |cause| DemoError::OfflineFile { path: path.clone(), cause };
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(&table.name.to_string()));
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query(()).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let cell = |(at, column): (usize, &tillhold_core::table::Column)| {
                row.get_ref(at).map(|stored| canonical(stored, column.of))
            };
            let cells = table.columns.iter().enumerate().map(cell).collect::<Result<_, _>>();
            take(cells.map_err(failed)?);
        }
        Ok(())
    }

    /// Transactions that have not ended: pending, deferred or set aside.
    pub(crate) fn waiting(&self) -> Result<u64, DemoError> {
        let sql = "SELECT count(*) FROM tillhold_transaction WHERE state <> 'settled'";
        let (path, connection) = &self.files[0];
        connection
            .query_row(sql, (), |row| row.get::<_, i64>(0))
            .map(|count| count as u64)
            .map_err(|cause| DemoError::OfflineFile { path: path.clone(), cause })
    }

    pub(crate) fn decisions(&self) -> Result<Vec<Decision>, DemoError> {
        let (path, connection) = &self.files[0];
        let failed = |cause| DemoError::OfflineFile { path: path.clone(), cause };
        let sql = "SELECT t.name, d.key, d.rule, d.plugin FROM tillhold_decision AS d \
                   JOIN tillhold_table AS t ON t.table_id = d.table_id ORDER BY d.decision_id";
        let mut statement = connection.prepare(sql).map_err(failed)?;
        let decisions = statement.query_map((), |row| {
            Ok(Decision {
                table: row.get(0)?,
                key: row.get(1)?,
                rule: row.get(2)?,
                plugin: row.get(3)?,
            })
        });
        decisions.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
    }
}

/// Offline files keep canonical texts; integers, reals and blobs in SQLite's own classes.
fn canonical(stored: ValueRef<'_>, of: tillhold_core::types::SqlType) -> Option<String> {
    match stored {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => text::canonical(&Value::Float(number), of),
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Some(text::hexadecimal(bytes)),
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
