//! The steps of capture by triggers: for each table a tracking table, a guard, and one trigger.
//!
//! ```text
//! ax.T  --ax.tillhold_T-->  tillhold.t_ax.T (key, rowversion, who wrote last, whether it is deleted)
//!   ^----foreign key------  tillhold.g_ax.T (always empty)
//! ```
//!
//! * The trigger works on whole sets, says nothing of rows to its caller, and never merges: a row of
//!   the tracking table is guarded by the lock that its writer has on the row itself.
//! * The guard's foreign key makes the server refuse TRUNCATE TABLE (4712), which no trigger sees. To
//!   truncate all the same: drop the guard, truncate, run the script again; the new guard has another
//!   number, and registers load the table anew.
//! * Who writes to the table needs no right on the tracking table as long as both have one owner. The
//!   script refuses another owner (50005): the shop's own writes would fail.
//! * Not noticed: BULK INSERT and bcp without FIRE_TRIGGERS.

use super::steps::{Step, step};
use crate::capture::statement::{guard_table, tracking_table, trigger_name};
use crate::statement::{quoted, staged};
use tillhold_core::table::{Column, Table, bracket};

/// Beside the tables of both methods.
pub(super) fn own_tables() -> Step {
    step(
        "From where on the changes of a table are all there; no row means from the beginning. Whoever removes rows from a tracking table writes down the highest rowversion that went.",
        "IF OBJECT_ID(N'[tillhold].[horizon]') IS NULL
    CREATE TABLE [tillhold].[horizon] (
        [table_name] nvarchar(261) NOT NULL,
        [oldest] bigint NOT NULL,
        CONSTRAINT [PK_tillhold_horizon] PRIMARY KEY CLUSTERED ([table_name])
    );
",
    )
}

pub(super) fn steps(table: &Table) -> Vec<Step> {
    vec![
        one_owner(table),
        tracking(table),
        index(table),
        guard(table),
        step(
            format!("{}: note every change, in the transaction that makes it.", table.name),
            format!(
                "IF OBJECT_ID({}) IS NULL
    EXEC ({});
",
                quoted(&trigger(table)),
                quoted(&trigger_sql(table))
            ),
        ),
    ]
}

/// The role's rights beside those on the table itself.
pub(super) fn rights(table: &Table, role: &str) -> String {
    format!(
        "GRANT SELECT ON OBJECT::{} TO {role};\nGRANT VIEW DEFINITION ON OBJECT::{} TO {role};\n",
        tracking_table(&table.name),
        guard_table(&table.name)
    )
}

/// `[ax].[tillhold_CUSTTABLE]`.
pub(super) fn trigger(table: &Table) -> String {
    format!("{}.{}", bracket(&table.name.schema), bracket(&trigger_name(&table.name)))
}

fn one_owner(table: &Table) -> Step {
    let (schema, name) = (quoted(&table.name.schema), &table.name);
    let message = format!(
        "{name} and the schema tillhold have different owners: give both schemas one owner"
    );
    step(
        format!("{name}: its trigger writes to tillhold, whoever fires it; that takes one owner."),
        format!(
            "IF (SELECT s.[principal_id] FROM sys.schemas AS s WHERE s.[name] = {schema}) <> (SELECT s.[principal_id] FROM sys.schemas AS s WHERE s.[name] = N'tillhold')
    THROW 50005, {}, 1;
",
            quoted(&message)
        ),
    )
}

fn declared_keys(table: &Table) -> String {
    let one = |(at, column): (usize, &Column)| format!("[k{at}] {} NOT NULL", staged(column));
    table.key_columns().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn staged_keys(table: &Table) -> String {
    crate::statement::staged_key_list("", table)
}

fn tracking(table: &Table) -> Step {
    let (name, tracking) = (&table.name, tracking_table(&table.name));
    step(
        format!("{name}: which of its rows changed; one row a key that ever changed."),
        format!(
            "IF OBJECT_ID({}) IS NULL
    CREATE TABLE {tracking} ({}, [rv] rowversion NOT NULL, [origin] varbinary(128) NULL, [deleted] bit NOT NULL, CONSTRAINT {} PRIMARY KEY CLUSTERED ({}));
",
            quoted(&tracking),
            declared_keys(table),
            bracket(&format!("PK_t_{name}")),
            staged_keys(table)
        ),
    )
}

fn index(table: &Table) -> Step {
    let (name, tracking) = (&table.name, tracking_table(&table.name));
    let index = format!("IX_t_{name}");
    step(
        format!("{name}: registers ask for what changed since a position."),
        format!(
            "IF NOT EXISTS (SELECT 1 FROM sys.indexes AS i WHERE i.[object_id] = OBJECT_ID({}) AND i.[name] = {})
    CREATE INDEX {} ON {tracking} ([rv]);
",
            quoted(&tracking),
            quoted(&index),
            bracket(&index)
        ),
    )
}

fn guard(table: &Table) -> Step {
    let (name, guard) = (&table.name, guard_table(&table.name));
    let keys: Vec<String> = table.key_columns().map(|column| bracket(&column.name)).collect();
    step(
        format!(
            "{name}: TRUNCATE TABLE fires no trigger; with this it is refused (4712). Use DELETE, or drop this table, truncate, and run the script again."
        ),
        format!(
            "IF OBJECT_ID({}) IS NULL
    CREATE TABLE {guard} ({}, CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}));
",
            quoted(&guard),
            declared_keys(table),
            bracket(&format!("FK_g_{name}")),
            staged_keys(table),
            name.bracketed(),
            keys.join(", ")
        ),
    )
}

/// The definition itself; it must be alone in its batch, so the script runs it as a text.
pub(crate) fn trigger_sql(table: &Table) -> String {
    let columns: Vec<String> = table.key_columns().map(|column| bracket(&column.name)).collect();
    let list = |alias: &str| {
        columns.iter().map(|name| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
    };
    let joined = |left: &str, right: &str| {
        let one = |(at, name): (usize, &String)| format!("{left}.{name} = {right}.[k{at}]");
        columns.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
    };
    let same = |left: &str, right: &str| {
        let one = |name: &String| format!("{left}.{name} = {right}.{name}");
        columns.iter().map(one).collect::<Vec<_>>().join(" AND ")
    };
    let changed = format!(
        "(SELECT {} FROM inserted AS i UNION SELECT {} FROM deleted AS d) AS c",
        list("i"),
        list("d")
    );
    let tracking = tracking_table(&table.name);
    format!(
        "CREATE TRIGGER {} ON {} AFTER INSERT, UPDATE, DELETE AS
BEGIN
SET NOCOUNT ON;
DECLARE @origin varbinary(128) = CONVERT(varbinary(128), SESSION_CONTEXT(N'tillhold_origin'));
UPDATE k SET k.[origin] = @origin, k.[deleted] = CASE WHEN EXISTS (SELECT 1 FROM inserted AS i WHERE {}) THEN 0 ELSE 1 END FROM {tracking} AS k INNER JOIN {changed} ON {};
INSERT INTO {tracking} ({}, [origin], [deleted]) SELECT {}, @origin, CASE WHEN EXISTS (SELECT 1 FROM inserted AS i WHERE {}) THEN 0 ELSE 1 END FROM {changed} WHERE NOT EXISTS (SELECT 1 FROM {tracking} AS k WHERE {});
END;
",
        trigger(table),
        table.name.bracketed(),
        joined("i", "k"),
        joined("c", "k"),
        staged_keys(table),
        list("c"),
        same("i", "c"),
        joined("c", "k")
    )
}
