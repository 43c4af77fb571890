//! The numbers of sales that the register's own tables hold.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::Trouble;
use crate::registry::Entry;
use crate::schema::{comparable, folded, quoted};
use rusqlite::Connection;
use tillhold_core::numbering::{SalesTables, UsedNumbers, sequence};

impl LocalDatabase {
    /// The numbers of a register's sales; none when the offline database has no such table.
    pub async fn used_numbers(
        &self,
        tables: &'static SalesTables,
        store: &str,
        terminal: &str,
    ) -> Result<UsedNumbers, LocalError> {
        let Ok(entry) = self.registry().get(&tables.header()).cloned() else {
            return Ok(UsedNumbers::default());
        };
        let columns = [tables.header_number, tables.header_store, tables.header_terminal];
        let Some(sql) = question(&entry, columns) else { return Ok(UsedNumbers::default()) };
        let (store, terminal, kind) = (store.to_string(), terminal.to_string(), entry.kind);
        let read = move |conn: &Connection| -> Result<UsedNumbers, Trouble> {
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query([&store, &terminal])?;
            let mut used = UsedNumbers::default();
            while let Some(row) = rows.next()? {
                let number: String = row.get(0)?;
                if let Some(number) = sequence(&number, &store, &terminal) {
                    used.add(number, number);
                }
            }
            Ok(used)
        };
        self.readers(kind).run_long(read).await
    }
}

/// The condition is put as the key's index is built, so that SQLite seeks it.
fn question(entry: &Entry, columns: [&str; 3]) -> Option<String> {
    let [number, store, terminal] = columns.map(|name| entry.table.position(name));
    let equals = |at: usize, parameter: &str| {
        let column = &entry.table.columns[at];
        let mark = if column.folds() { folded(parameter) } else { parameter.to_string() };
        format!("{} = {mark}", comparable(column, ""))
    };
    Some(format!(
        "SELECT {} FROM {} WHERE {} AND {}",
        quoted(&entry.table.columns[number?].name),
        quoted(&entry.table.name.to_string()),
        equals(store?, "?1"),
        equals(terminal?, "?2"),
    ))
}
