//! The one statement of an upload: several transactions, several tables, one round trip, one SQL
//! transaction.
//!
//! ```text
//! lock of the register -> #t (transactions) <- ledger: same hash 1 already there, other hash 2 clash
//!                      -> #r0, #r1 … (rows, typed) -> present? -> changed by another? -> outcome of each row
//!                      -> a transaction with a contested row: 3, nothing of it is written
//!                      -> DELETE, UPDATE, INSERT of the others, with our context -> ledger -> contested rows -> COMMIT
//! ```
//!
//! * Promises: rows and ledger commit together; the check of versions comes after the rows are
//!   locked, so there is no window; no key occurs twice in one statement ([`super::waves`] sees to
//!   it), so a set-based join has one meaning.
//! * Row outcomes: 1 apply, 2 already gone, 3 changed by another since base, 4 insert but the key
//!   exists, 5 update but the row is gone.

use crate::statement::{
    from_text, key_join, key_list, object_id, presence, quoted, select_list, staged,
    staged_key_list,
};
use std::fmt::Write as _;
use tillhold_core::table::{Column, Table, bracket};
use tillhold_core::types::SqlType;

/// One table's part in an upload.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub table: &'a Table,
    /// Which operations occur: the others' statements are left out, and most tables of a sale only
    /// ever insert.
    pub inserts: bool,
    pub updates: bool,
    pub deletes: bool,
}

/// @P1 register, @P2 incarnation, @P3 the rows as JSON, @P4 the context of our writes, @P5 the
/// exact context by which rows are known as this register's own.
pub(crate) fn upload_sql(parts: &[Part<'_>]) -> String {
    let mut sql = String::from(OPENING);
    for (number, part) in parts.iter().enumerate() {
        stage(&mut sql, number, part.table);
        guard_code_pages(&mut sql, number, part.table);
        judge(&mut sql, number, part);
    }
    // A transaction whose every row was decided in the channel's favour still gets its ledger
    // entry.
    if !parts.is_empty() {
        contest(&mut sql, parts.len());
    }
    write_rows(&mut sql, parts);
    sql.push_str(LEDGER);
    for (number, part) in parts.iter().enumerate() {
        answer(&mut sql, number, part.table);
    }
    sql.push_str(CLOSING);
    sql
}

const OPENING: &str = "\
SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
DECLARE @rc int, @lock nvarchar(255), @context varbinary(128);
SET @lock = N'tillhold.upload:' + @P1;
SET @context = @P4;
BEGIN TRY
BEGIN TRANSACTION;
EXEC @rc = sp_getapplock @Resource = @lock, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 5000;
IF @rc < 0 THROW 50001, N'another session holds the upload lock of this register', 1;
CREATE TABLE #t ([s] int NOT NULL PRIMARY KEY, [id] uniqueidentifier NOT NULL UNIQUE, [h] binary(32) NOT NULL, [n] int NOT NULL, [o] tinyint NOT NULL);
INSERT INTO #t ([s], [id], [h], [n], [o]) SELECT j.[s], CAST(j.[id] AS uniqueidentifier), CONVERT(binary(32), j.[h], 2), j.[n], 0 FROM OPENJSON(@P3, N'$.t') WITH ([s] int N'$.s', [id] nvarchar(36) N'$.id', [h] nvarchar(64) N'$.h', [n] int N'$.n') AS j;
UPDATE q SET q.[o] = CASE WHEN l.[content_hash] = q.[h] THEN 1 ELSE 2 END FROM #t AS q INNER JOIN [tillhold].[ledger] AS l ON l.[transaction_id] = q.[id];
";

const LEDGER: &str = "\
INSERT INTO [tillhold].[ledger] ([register], [incarnation], [transaction_id], [content_hash], [rows]) SELECT @P1, CAST(@P2 AS uniqueidentifier), q.[id], q.[h], q.[n] FROM #t AS q WHERE q.[o] = 0;
SELECT q.[s], q.[o] FROM #t AS q ORDER BY q.[s];
";

const CLOSING: &str = "\
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
";

/// Positions of the columns that are no part of the key.
pub(crate) fn payload_positions(table: &Table) -> impl Iterator<Item = usize> + '_ {
    (0..table.columns.len()).filter(|at| !table.is_key(*at))
}

/// The rows of one table, out of the JSON into exact types. Text columns are declared nvarchar(max)
/// in the WITH clause: a shorter declaration could cut silently, while the typed column refuses
/// (8152, 2628).
fn stage(sql: &mut String, number: usize, table: &Table) {
    let (mut declared, mut named, mut converted, mut read) = Default::default();
    let mut add = |name: String, column: &Column, null: &str| {
        write_column(&mut declared, &format!("[{name}] {} {null}", staged(column)));
        write_column(&mut named, &format!("[{name}]"));
        write_column(&mut converted, &from_text(&format!("j.[{name}]"), column.of));
        write_column(&mut read, &format!("[{name}] nvarchar(max) N'$.{name}'"));
    };
    for (at, column) in table.key_columns().enumerate() {
        add(format!("k{at}"), column, "NOT NULL");
    }
    for at in payload_positions(table) {
        add(format!("c{at}"), &table.columns[at], "NULL");
    }
    let keys = staged_key_list("", table);
    let _ = write!(
        sql,
        "CREATE TABLE #r{number} ([t] int NOT NULL, [w] int NOT NULL, [o] nchar(1) COLLATE Latin1_General_100_BIN2 NOT NULL, [b] bigint NOT NULL, [m] nvarchar(1024) COLLATE Latin1_General_100_BIN2 NULL, [x] tinyint NOT NULL, [v] bigint NULL{declared}, PRIMARY KEY ([t], [w]), UNIQUE ({keys}));
INSERT INTO #r{number} ([t], [w], [o], [b], [m], [x]{named}) SELECT j.[t], j.[w], j.[o], j.[b], j.[m], 0{converted} FROM OPENJSON(@P3, N'$.r{number}') WITH ([t] int N'$.t', [w] int N'$.w', [o] nchar(1) N'$.o', [b] bigint N'$.b', [m] nvarchar(1024) N'$.m'{read}) AS j;
"
    );
}

fn write_column(list: &mut String, text: &str) {
    list.push_str(", ");
    list.push_str(text);
}

/// A varchar column's code page may lack a letter, and the store would put `?` in its place without
/// a word.
fn guard_code_pages(sql: &mut String, number: usize, table: &Table) {
    let keys = table.key_columns().enumerate().map(|(at, column)| (format!("k{at}"), column));
    let others = payload_positions(table).map(|at| (format!("c{at}"), &table.columns[at]));
    let narrow = |(_, column): &(String, &Column)| {
        matches!(column.of, SqlType::Char { .. } | SqlType::VarChar { .. })
    };
    let names: Vec<String> = keys.chain(others).filter(narrow).map(|(name, _)| name).collect();
    if names.is_empty() {
        return;
    }
    let read: String = names.iter().map(|n| format!(", [{n}] nvarchar(max) N'$.{n}'")).collect();
    let exact = "COLLATE Latin1_General_100_BIN2";
    let differs = |n: &String| format!("CAST(s.[{n}] AS nvarchar(max)) {exact} <> j.[{n}] {exact}");
    let any = names.iter().map(differs).collect::<Vec<_>>().join(" OR ");
    let _ = writeln!(
        sql,
        "IF EXISTS (SELECT 1 FROM #r{number} AS s INNER JOIN OPENJSON(@P3, N'$.r{number}') WITH ([t] int N'$.t', [w] int N'$.w'{read}) AS j ON j.[t] = s.[t] AND j.[w] = s.[w] WHERE {any}) THROW 50003, {}, 1;",
        quoted(&format!("{}: the code page of a column lacks a letter of the text", table.name)),
    );
}

/// Locks the rows that are there, then reads versions in the next statement: under READ COMMITTED
/// nobody can slip in between. A base older than the retained history cannot be checked, so it
/// counts as changed.
fn judge(sql: &mut String, number: usize, part: &Part<'_>) {
    let table = part.table;
    let (name, join) = (table.name.bracketed(), key_join("t", "s", table));
    let open = format!("FROM #r{number} AS s INNER JOIN #t AS q ON q.[s] = s.[t]");
    let _ = write!(
        sql,
        "UPDATE s SET s.[x] = 1 {open} INNER JOIN {name} AS t WITH (UPDLOCK, ROWLOCK) ON {join} WHERE q.[o] = 0;
UPDATE s SET s.[v] = ISNULL(c.[SYS_CHANGE_VERSION], CHANGE_TRACKING_MIN_VALID_VERSION({})), s.[x] = CASE WHEN s.[x] = 0 THEN 0 WHEN c.[SYS_CHANGE_VERSION] IS NULL AND s.[b] < CHANGE_TRACKING_MIN_VALID_VERSION({}) THEN 3 WHEN c.[SYS_CHANGE_VERSION] > s.[b] AND (c.[SYS_CHANGE_CONTEXT] IS NULL OR c.[SYS_CHANGE_CONTEXT] <> @P5) THEN 3 ELSE 1 END {open} CROSS APPLY CHANGETABLE(VERSION {name}, ({}), ({})) AS c WHERE q.[o] = 0 AND (s.[x] = 1 OR s.[o] <> N'I');
UPDATE s SET s.[x] = CASE WHEN s.[o] = N'I' AND s.[x] = 0 THEN 1 WHEN s.[o] = N'I' THEN 4 WHEN s.[o] = N'D' AND s.[x] = 0 THEN 2 WHEN s.[x] = 0 THEN 5 ELSE s.[x] END {open} WHERE q.[o] = 0;
",
        object_id(table),
        object_id(table),
        key_list("", table),
        staged_key_list("s.", table),
    );
}

fn contest(sql: &mut String, tables: usize) {
    let one = |number: usize| {
        format!("EXISTS (SELECT 1 FROM #r{number} AS s WHERE s.[t] = q.[s] AND s.[x] > 2)")
    };
    let any = (0..tables).map(one).collect::<Vec<_>>().join(" OR ");
    let _ = writeln!(sql, "UPDATE q SET q.[o] = 3 FROM #t AS q WHERE q.[o] = 0 AND ({any});");
}

/// Deletes first and from the last table backwards, so that a detail goes before its header; then
/// the rest in order.
fn write_rows(sql: &mut String, parts: &[Part<'_>]) {
    for (number, part) in parts.iter().enumerate().rev().filter(|(_, part)| part.deletes) {
        delete(sql, number, part.table);
    }
    for (number, part) in parts.iter().enumerate() {
        // A table that is nothing but its key has nothing to update.
        if part.updates && payload_positions(part.table).next().is_some() {
            update(sql, number, part.table);
        }
        if part.inserts {
            insert(sql, number, part.table);
        }
    }
}

fn delete(sql: &mut String, number: usize, table: &Table) {
    let (name, join) = (table.name.bracketed(), key_join("t", "s", table));
    let _ = writeln!(
        sql,
        "WITH CHANGE_TRACKING_CONTEXT (@context) DELETE t FROM {name} AS t INNER JOIN #r{number} AS s ON {join} INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'D' AND s.[x] = 1;"
    );
}

/// Only the columns that the register changed: another writer's change of other columns, seen
/// before, stays.
fn update(sql: &mut String, number: usize, table: &Table) {
    let one = |at: usize| {
        let column = &table.columns[at];
        let name = bracket(&column.name);
        let kept = match column.of {
            SqlType::Text | SqlType::NText => format!("CAST(t.{name} AS nvarchar(max))"),
            SqlType::Image => format!("CAST(t.{name} AS varbinary(max))"),
            _ => format!("t.{name}"),
        };
        let mark = at + 1;
        format!(
            "t.{name} = CASE SUBSTRING(s.[m], {mark}, 1) WHEN N'1' THEN s.[c{at}] ELSE {kept} END"
        )
    };
    let set = payload_positions(table).map(one).collect::<Vec<_>>().join(", ");
    let (name, join) = (table.name.bracketed(), key_join("t", "s", table));
    let _ = writeln!(
        sql,
        "WITH CHANGE_TRACKING_CONTEXT (@context) UPDATE t SET {set} FROM {name} AS t INNER JOIN #r{number} AS s ON {join} INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'U' AND s.[x] = 1;"
    );
}

fn insert(sql: &mut String, number: usize, table: &Table) {
    let mut names: Vec<String> = table.key_columns().map(|c| bracket(&c.name)).collect();
    let mut values: Vec<String> = (0..table.key.len()).map(|at| format!("s.[k{at}]")).collect();
    for at in payload_positions(table) {
        names.push(bracket(&table.columns[at].name));
        values.push(format!("s.[c{at}]"));
    }
    let (name, names, values) = (table.name.bracketed(), names.join(", "), values.join(", "));
    let _ = writeln!(
        sql,
        "WITH CHANGE_TRACKING_CONTEXT (@context) INSERT INTO {name} ({names}) SELECT {values} FROM #r{number} AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'I' AND s.[x] = 1;"
    );
}

/// The contested rows with what the channel has, read before the commit while they are still
/// locked.
fn answer(sql: &mut String, number: usize, table: &Table) {
    let (name, join) = (table.name.bracketed(), key_join("t", "s", table));
    let _ = writeln!(
        sql,
        "SELECT s.[t] AS [_t], s.[w] AS [_w], s.[v] AS [_v], {} AS [_p], {} FROM #r{number} AS s INNER JOIN #t AS q ON q.[s] = s.[t] LEFT OUTER JOIN {name} AS t ON {join} WHERE q.[o] = 3 AND s.[x] > 2 ORDER BY s.[t], s.[w];",
        presence("t", table),
        select_list("t", table),
    );
}
