//! The measure beside the agent's rates: what bare SQLite does with the same rows on the same disk in the same run.
//!
//! The register's own tables are copied into a fresh file: same columns, same key index, WAL with synchronous=FULL,
//! prepared statements, a commit every thousand rows. Reading the rows is not counted.

use crate::DemoError;
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::path::{Path, PathBuf};
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_env::Env;

/// Rows and the time that inserting them took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RawRate {
    pub(crate) rows: u64,
    pub(crate) seconds: f64,
}

/// Copies every synchronised table of both offline files into `target`, which is made for it and removed.
pub(crate) fn measure(env: &Env, offline: &Path, target: &Path) -> Result<RawRate, DemoError> {
    let mut rate = RawRate::default();
    let failed = |cause| DemoError::OfflineFile { path: target.to_path_buf(), cause };
    let mut into = Connection::open(target).map_err(failed)?;
    into.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").map_err(failed)?;
    for name in ["journal.db", "catalogue.db"] {
        let source = Source::open(offline.join(name))?;
        for table in source.tables()? {
            source.copy(env, &table, &mut into, &mut rate)?;
        }
    }
    drop(into);
    for suffix in ["", "-wal", "-shm"] {
        let mut file = target.as_os_str().to_owned();
        file.push(suffix);
        // Nothing depends on it: the folder is the demonstration's own.
        let _ = std::fs::remove_file(file);
    }
    Ok(rate)
}

struct Source {
    path: PathBuf,
    connection: Connection,
}

/// A table with the SQL that makes it and its indexes.
struct Copied {
    name: String,
    create: Vec<String>,
}

impl Source {
    fn open(path: PathBuf) -> Result<Source, DemoError> {
        match Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            Ok(connection) => Ok(Source { path, connection }),
            Err(cause) => Err(DemoError::OfflineFile { path, cause }),
        }
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> DemoError {
        let path = self.path.clone();
        move |cause| DemoError::OfflineFile { path: path.clone(), cause }
    }

    /// `ax.NAME` and the like; Tillhold's own tables are not rows of the channel.
    fn tables(&self) -> Result<Vec<Copied>, DemoError> {
        let sql = "SELECT t.name, x.sql FROM sqlite_schema AS t JOIN sqlite_schema AS x ON x.tbl_name = t.name \
                   WHERE t.type = 'table' AND t.name NOT LIKE 'tillhold%' AND t.name NOT LIKE 'sqlite%' \
                   AND x.type IN ('table', 'index') AND x.sql IS NOT NULL \
                   ORDER BY t.name, x.type = 'index'";
        let mut statement = self.connection.prepare(sql).map_err(self.failed())?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
        let mut tables: Vec<Copied> = Vec::new();
        for row in rows.map_err(self.failed())? {
            let (name, create): (String, String) = row.map_err(self.failed())?;
            match tables.last_mut().filter(|table| table.name == name) {
                Some(table) => table.create.push(create),
                None => tables.push(Copied { name, create: vec![create] }),
            }
        }
        Ok(tables)
    }

    fn copy(
        &self,
        env: &Env,
        table: &Copied,
        into: &mut Connection,
        rate: &mut RawRate,
    ) -> Result<(), DemoError> {
        let failed = self.failed();
        for create in &table.create {
            into.execute_batch(create).map_err(&failed)?;
        }
        let quoted = crate::verify::quoted(&table.name);
        let mut select =
            self.connection.prepare(&format!("SELECT * FROM {quoted}")).map_err(&failed)?;
        let marks = vec!["?"; select.column_count()].join(", ");
        let insert = format!("INSERT INTO {quoted} VALUES ({marks})");
        let columns = select.column_count();
        let mut rows = select.query(()).map_err(&failed)?;
        loop {
            let mut page: Vec<Vec<Stored>> = Vec::with_capacity(PULL_PAGE_ROWS_MAX);
            while page.len() < PULL_PAGE_ROWS_MAX
                && let Some(row) = rows.next().map_err(&failed)?
            {
                let cells = (0..columns).map(|at| row.get(at)).collect::<Result<_, _>>();
                page.push(cells.map_err(&failed)?);
            }
            if page.is_empty() {
                return Ok(());
            }
            let started = env.clock.monotonic_us();
            write_page(into, &insert, &page).map_err(&failed)?;
            rate.seconds += (env.clock.monotonic_us() - started) as f64 / 1e6;
            rate.rows += page.len() as u64;
        }
    }
}

fn write_page(into: &mut Connection, insert: &str, page: &[Vec<Stored>]) -> rusqlite::Result<()> {
    let transaction = into.transaction()?;
    let mut statement = transaction.prepare_cached(insert)?;
    for row in page {
        statement.execute(params_from_iter(row))?;
    }
    drop(statement);
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::measure;
    use rusqlite::Connection;
    use tillhold_env::Env;

    #[test]
    fn every_row_of_both_files_is_copied_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, rows) in [("journal.db", 3), ("catalogue.db", 2_500)] {
            let file = Connection::open(folder.path().join(name)).expect("a file");
            let sql = format!(
                "CREATE TABLE \"ax.A\" (K INTEGER, T TEXT); CREATE UNIQUE INDEX \"tillhold_key.{name}\" ON \"ax.A\" (K);
                 CREATE TABLE tillhold_meta (name TEXT); INSERT INTO tillhold_meta VALUES ('x');
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO \"ax.A\" SELECT i, 'text' FROM n;"
            );
            file.execute_batch(&sql.replace("ax.A", &format!("ax.{name}"))).expect("a table");
        }
        let target = folder.path().join("raw.db");
        let rate = measure(&Env::real(), folder.path(), &target).expect("measured");
        assert_eq!(rate.rows, 2_503);
        assert!(rate.seconds > 0.0 && !target.exists());
    }
}
