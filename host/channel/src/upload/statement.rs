//! The one statement of an upload: several transactions, several tables, one round trip, one SQL
//! transaction.
//!
//! ```text
//! lock of the register -> its claim -> #t (transactions) <- ledger: same hash 1 already there, other hash 2 clash
//!                      -> #r0, #r1 … (rows, typed) -> present? -> changed by another? ([`super::judge`])
//!                      -> a transaction with a contested row: 3, nothing of it is written
//!                      -> one that shares a row with an earlier one that is not written: 5, it waits
//!                      -> DELETE, UPDATE, INSERT of the others, with our context -> ledger, decisions, head -> contested rows -> COMMIT
//! ```
//!
//! * Promises: rows and ledger commit together; the check of versions comes after the rows are
//!   locked, so there is no window; of the writes of one row only the last that goes through is
//!   carried out, so a set-based join has one meaning.
//! * Row outcomes: 0 not looked at yet, 1 apply, 2 already gone, 3 changed by another since base, 4
//!   insert but the key exists, 5 update but the row is gone, 6 a later transaction of the batch
//!   writes the row.
//! * A row that several transactions write ([`super::chains`]) comes with its depth `d`. When the
//!   ledger knows one transaction of such a batch, what the later rows add up to is wrong: nothing
//!   is written, and the others are told to come again (4).

use super::judge::judge;
use crate::decision;
use crate::statement::{
    from_text, key_join, presence, quoted, select_list, staged, staged_key_join, staged_key_list,
};
use std::fmt::Write as _;
use tillhold_core::profile::Capture;
use tillhold_core::table::{Assigned, Column, Table, bracket};
use tillhold_core::types::SqlType;

/// One table's part in an upload, with what occurs in it: the statements for the rest are left out,
/// and most tables of a sale only ever insert.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub table: &'a Table,
    /// Where the channel keeps who wrote a row last.
    pub capture: Capture,
    pub inserts: bool,
    pub updates: bool,
    pub deletes: bool,
    /// Several transactions write one row.
    pub is_chained: bool,
    /// A chain begins with a delete and goes on: if the row was gone already, it is inserted.
    pub revives: bool,
    /// Rows that the register has otherwise ([`super::Outgoing::altered`]).
    pub has_altered: bool,
}

impl<'a> Part<'a> {
    pub(crate) fn of(table: &'a Table) -> Part<'a> {
        Part {
            table,
            capture: Capture::default(),
            inserts: false,
            updates: false,
            deletes: false,
            is_chained: false,
            revives: false,
            has_altered: false,
        }
    }
}

/// @P1 register, @P2 incarnation, @P3 the rows as JSON, @P4 the context of the register's own
/// writes, @P5 the context of rows that it has otherwise, @P6 the run that has claimed the register,
/// or nothing where no claim is asked for.
///
/// `is_decided` when decisions come with it.
pub(crate) fn upload_sql(parts: &[Part<'_>], is_decided: bool) -> String {
    let chained: Vec<(usize, &Part<'_>)> =
        parts.iter().enumerate().filter(|(_, part)| part.is_chained).collect();
    let mut sql = String::from(OPENING);
    if !chained.is_empty() {
        sql.push_str(CHAINS);
    }
    for (number, part) in parts.iter().enumerate() {
        stage(&mut sql, number, part);
        guard_code_pages(&mut sql, number, part.table);
        judge(&mut sql, number, part);
    }
    // A transaction whose every row was decided in the channel's favour still gets its ledger
    // entry.
    if !parts.is_empty() {
        contest(&mut sql, parts.len());
    }
    if !chained.is_empty() {
        sql.push_str(HOLD);
    }
    for (number, part) in chained {
        pass_over(&mut sql, number, part);
    }
    write_rows(&mut sql, parts);
    sql.push_str(LEDGER);
    if is_decided {
        sql.push_str(decision::WITH_UPLOAD);
    }
    sql.push_str(OUTCOMES);
    for (number, part) in parts.iter().enumerate() {
        answer(&mut sql, number, part.table);
    }
    sql.push_str(match parts.first().map(|part| part.capture) {
        Some(Capture::Triggers) => CLOSING_TRIGGERS,
        _ => CLOSING,
    });
    sql
}

const OPENING: &str = "\
SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
DECLARE @rc int, @held int, @lock nvarchar(255), @own varbinary(128), @altered varbinary(128);
SET @lock = N'tillhold.upload:' + @P1;
SET @own = @P4;
SET @altered = @P5;
BEGIN TRY
BEGIN TRANSACTION;
EXEC @rc = sp_getapplock @Resource = @lock, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 5000;
IF @rc < 0 THROW 50001, N'another session holds the upload lock of this register', 1;
UPDATE r SET r.[seen_at] = SYSUTCDATETIME() FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND r.[run] = CAST(NULLIF(@P6, N'') AS uniqueidentifier) AND r.[superseded_at] IS NULL AND r.[disputed_at] IS NULL;
IF @@ROWCOUNT = 0 AND @P6 <> N'' THROW 50005, N'this offline database does not speak for the register', 1;
CREATE TABLE #t ([s] int NOT NULL PRIMARY KEY, [id] uniqueidentifier NOT NULL UNIQUE, [h] binary(32) NOT NULL, [n] int NOT NULL, [q] bigint NOT NULL, [o] tinyint NOT NULL);
INSERT INTO #t ([s], [id], [h], [n], [q], [o]) SELECT j.[s], CAST(j.[id] AS uniqueidentifier), CONVERT(binary(32), j.[h], 2), j.[n], j.[q], 0 FROM OPENJSON(@P3, N'$.t') WITH ([s] int N'$.s', [id] nvarchar(36) N'$.id', [h] nvarchar(64) N'$.h', [n] int N'$.n', [q] bigint N'$.q') AS j;
UPDATE q SET q.[o] = CASE WHEN l.[content_hash] = q.[h] THEN 1 ELSE 2 END FROM #t AS q INNER JOIN [tillhold].[ledger] AS l ON l.[transaction_id] = q.[id];
";

/// #l says which transactions write the same row: `g` is the chain.
const CHAINS: &str = "\
UPDATE q SET q.[o] = 4 FROM #t AS q WHERE q.[o] = 0 AND EXISTS (SELECT 1 FROM #t AS k WHERE k.[o] IN (1, 2));
CREATE TABLE #l ([g] int NOT NULL, [t] int NOT NULL, PRIMARY KEY ([g], [t]), UNIQUE ([t], [g]));
INSERT INTO #l ([g], [t]) SELECT j.[g], j.[t] FROM OPENJSON(@P3, N'$.l') WITH ([g] int N'$.g', [t] int N'$.t') AS j;
";

/// Until no transaction is left that shares a row with an earlier one that is not written. Contested
/// ones among them wait as well: what they stand against may look otherwise by then.
const HOLD: &str = "\
SET @held = (SELECT COUNT(*) FROM #t AS q WHERE q.[o] = 3);
WHILE @held > 0
BEGIN
UPDATE q SET q.[o] = 5 FROM #t AS q WHERE q.[o] IN (0, 3) AND EXISTS (SELECT 1 FROM #l AS l INNER JOIN #l AS e ON e.[g] = l.[g] AND e.[t] < l.[t] INNER JOIN #t AS b ON b.[s] = e.[t] WHERE l.[t] = q.[s] AND b.[o] IN (3, 5));
SET @held = @@ROWCOUNT;
END;
";

const LEDGER: &str = "\
INSERT INTO [tillhold].[ledger] ([register], [incarnation], [transaction_id], [content_hash], [rows]) SELECT @P1, CAST(@P2 AS uniqueidentifier), q.[id], q.[h], q.[n] FROM #t AS q WHERE q.[o] = 0;
UPDATE r SET r.[sequence] = q.[q], r.[transaction_id] = q.[id] FROM [tillhold].[register] AS r CROSS JOIN #t AS q WHERE @P6 <> N'' AND r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND q.[q] > r.[sequence] AND q.[o] IN (0, 1) AND NOT EXISTS (SELECT 1 FROM #t AS m WHERE m.[o] IN (0, 1) AND m.[q] > q.[q]);
";

const OUTCOMES: &str = "SELECT q.[s], q.[o] FROM #t AS q ORDER BY q.[s];\n";

const CLOSING: &str = "\
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
";

/// The session outlives the upload, and no rollback takes its origin away.
const CLOSING_TRIGGERS: &str = "\
EXEC sp_set_session_context @key = N'tillhold_origin', @value = NULL;
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
EXEC sp_set_session_context @key = N'tillhold_origin', @value = NULL;
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
";

/// Positions of the columns that are no part of the key. What the channel assigns is never written,
/// whatever shape of the table an upload is given.
pub(crate) fn payload_positions(table: &Table) -> impl Iterator<Item = usize> + '_ {
    let is_written = |at: &usize| table.columns[*at].assigned == Assigned::ByWriter;
    (0..table.columns.len()).filter(move |at| !table.is_key(*at) && is_written(at))
}

/// The rows of one table, out of the JSON into exact types. Text columns are declared nvarchar(max)
/// in the WITH clause: a shorter declaration could cut silently, while the typed column refuses
/// (8152, 2628).
fn stage(sql: &mut String, number: usize, part: &Part<'_>) {
    let table = part.table;
    let (mut declared, mut named, mut converted, mut read) = marks(part);
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
    let mut unique = staged_key_list("", table);
    if part.is_chained {
        unique.push_str(", [d]");
    }
    let _ = write!(
        sql,
        "CREATE TABLE #r{number} ([t] int NOT NULL, [w] int NOT NULL, [o] nchar(1) COLLATE Latin1_General_100_BIN2 NOT NULL, [b] bigint NOT NULL, [m] nvarchar(1024) COLLATE Latin1_General_100_BIN2 NULL, [x] tinyint NOT NULL, [v] bigint NULL{declared}, PRIMARY KEY ([t], [w]), UNIQUE ({unique}));
INSERT INTO #r{number} ([t], [w], [o], [b], [m], [x]{named}) SELECT j.[t], j.[w], j.[o], j.[b], j.[m], 0{converted} FROM OPENJSON(@P3, N'$.r{number}') WITH ([t] int N'$.t', [w] int N'$.w', [o] nchar(1) N'$.o', [b] bigint N'$.b', [m] nvarchar(1024) N'$.m'{read}) AS j;
"
    );
    if part.is_chained {
        guard_chains(sql, number, table);
    }
}

/// Columns of #r beside the rows' own: declared, named, converted, read.
fn marks(part: &Part<'_>) -> (String, String, String, String) {
    let (mut declared, mut named, mut converted, mut read) = Default::default();
    let mut add = |name: &str, usual: u8| {
        write_column(&mut declared, &format!("[{name}] int NOT NULL"));
        write_column(&mut named, &format!("[{name}]"));
        write_column(&mut converted, &format!("ISNULL(j.[{name}], {usual})"));
        write_column(&mut read, &format!("[{name}] int N'$.{name}'"));
    };
    if part.is_chained {
        add("d", 1);
    }
    if part.has_altered {
        add("r", 0);
    }
    (declared, named, converted, read)
}

/// Two keys that the register takes for one and the channel's collation for two would be one row
/// less. (One that the channel takes for one and the register for two is told by UNIQUE.)
fn guard_chains(sql: &mut String, number: usize, table: &Table) {
    let _ = writeln!(
        sql,
        "IF EXISTS (SELECT 1 FROM #r{number} AS s WHERE s.[d] > 1 AND NOT EXISTS (SELECT 1 FROM #r{number} AS f WHERE f.[d] = s.[d] - 1 AND {})) THROW 50004, {}, 1;",
        staged_key_join("f", "s", table),
        quoted(&format!("{}: keys that the register takes for one are two", table.name)),
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

fn contest(sql: &mut String, tables: usize) {
    let one = |number: usize| {
        format!("EXISTS (SELECT 1 FROM #r{number} AS s WHERE s.[t] = q.[s] AND s.[x] > 2)")
    };
    let any = (0..tables).map(one).collect::<Vec<_>>().join(" OR ");
    let _ = writeln!(sql, "UPDATE q SET q.[o] = 3 FROM #t AS q WHERE q.[o] = 0 AND ({any});");
}

/// Of the writes of one row the last that goes through is carried out: it carries the others.
fn pass_over(sql: &mut String, number: usize, part: &Part<'_>) {
    let keys = staged_key_join("n", "s", part.table);
    if part.revives {
        let _ = writeln!(
            sql,
            "UPDATE s SET s.[o] = N'I' FROM #r{number} AS s INNER JOIN #r{number} AS n ON {keys} AND n.[d] = 1 WHERE s.[d] > 1 AND s.[o] = N'U' AND n.[o] = N'D' AND n.[x] = 2;"
        );
    }
    let _ = writeln!(
        sql,
        "UPDATE s SET s.[x] = 6 FROM #r{number} AS s INNER JOIN #t AS q ON q.[s] = s.[t] INNER JOIN #r{number} AS n ON {keys} AND n.[d] = s.[d] + 1 INNER JOIN #t AS m ON m.[s] = n.[t] WHERE q.[o] = 0 AND m.[o] = 0;"
    );
}

/// Deletes first and from the last table backwards, so that a detail goes before its header; then
/// the rest in order.
fn write_rows(sql: &mut String, parts: &[Part<'_>]) {
    for (number, part) in parts.iter().enumerate().rev().filter(|(_, part)| part.deletes) {
        each_writer(part, |writer, which| delete(sql, number, part.table, writer, which));
    }
    for (number, part) in parts.iter().enumerate() {
        // A table that is nothing but its key has nothing to update.
        if part.updates && payload_positions(part.table).next().is_some() {
            each_writer(part, |writer, which| update(sql, number, part.table, writer, which));
        }
        if part.inserts {
            each_writer(part, |writer, which| insert(sql, number, part.table, writer, which));
        }
    }
}

/// What the register wrote as it stands is known as its own, and pull does not bring it again; what
/// a resolution or a rule made of it is marked otherwise, and pull brings it to the register.
fn each_writer(part: &Part<'_>, mut write: impl FnMut(&str, &str)) {
    if part.has_altered {
        write(&as_writer(part.capture, "@own"), " AND s.[r] = 0");
        write(&as_writer(part.capture, "@altered"), " AND s.[r] = 1");
    } else {
        write(&as_writer(part.capture, "@own"), "");
    }
}

/// What makes the next change known as that of `context`.
fn as_writer(capture: Capture, context: &str) -> String {
    match capture {
        Capture::ChangeTracking => format!("WITH CHANGE_TRACKING_CONTEXT ({context}) "),
        Capture::Triggers => {
            format!("EXEC sp_set_session_context @key = N'tillhold_origin', @value = {context};\n")
        }
    }
}

fn delete(sql: &mut String, number: usize, table: &Table, writer: &str, which: &str) {
    let (name, join) = (table.name.bracketed(), key_join("t", "s", table));
    let _ = writeln!(
        sql,
        "{writer}DELETE t FROM {name} AS t INNER JOIN #r{number} AS s ON {join} INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'D' AND s.[x] = 1{which};"
    );
}

/// Only the columns that the register changed: another writer's change of other columns, seen
/// before, stays.
fn update(sql: &mut String, number: usize, table: &Table, writer: &str, which: &str) {
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
        "{writer}UPDATE t SET {set} FROM {name} AS t INNER JOIN #r{number} AS s ON {join} INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'U' AND s.[x] = 1{which};"
    );
}

fn insert(sql: &mut String, number: usize, table: &Table, writer: &str, which: &str) {
    let mut names: Vec<String> = table.key_columns().map(|c| bracket(&c.name)).collect();
    let mut values: Vec<String> = (0..table.key.len()).map(|at| format!("s.[k{at}]")).collect();
    for at in payload_positions(table) {
        names.push(bracket(&table.columns[at].name));
        values.push(format!("s.[c{at}]"));
    }
    let (name, names, values) = (table.name.bracketed(), names.join(", "), values.join(", "));
    let _ = writeln!(
        sql,
        "{writer}INSERT INTO {name} ({names}) SELECT {values} FROM #r{number} AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'I' AND s.[x] = 1{which};"
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
