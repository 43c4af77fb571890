//! The steps of preparing a channel, each a batch of its own with its reason.
//!
//! * Promises: running them twice changes nothing but the life of a restored database; a step that is done already is
//!   skipped; nothing is ever removed.

use super::{PrepareOptions, Prepared, triggers};
use crate::statement::{object_id, quoted};
use std::fmt::Write as _;
use tillhold_core::profile::Capture;
use tillhold_core::table::{Table, bracket};

/// One statement and why it is there.
pub(crate) struct Step {
    pub why: String,
    pub sql: String,
}

pub(crate) fn steps(tables: &[Prepared<'_>], options: &PrepareOptions) -> Vec<Step> {
    let mut steps = vec![snapshot_isolation()];
    if options.capture == Capture::ChangeTracking {
        steps.push(change_tracking(options));
    }
    steps.extend(own_tables());
    if options.is_restored {
        steps.push(another_life());
    }
    if options.capture == Capture::Triggers {
        steps.push(triggers::own_tables());
    }
    steps.extend(role_steps(options));
    for prepared in tables {
        match options.capture {
            Capture::ChangeTracking => steps.push(tracking(prepared.table)),
            Capture::Triggers => steps.extend(triggers::steps(prepared.table)),
        }
        steps.push(rights(prepared, options));
    }
    steps
}

pub(super) fn step(why: impl Into<String>, sql: impl Into<String>) -> Step {
    Step { why: why.into(), sql: sql.into() }
}

fn snapshot_isolation() -> Step {
    step(
        "Registers read one consistent moment without blocking anyone. Waits for open transactions to end.",
        "IF EXISTS (SELECT 1 FROM sys.databases WHERE [database_id] = DB_ID() AND [snapshot_isolation_state] = 0)
    ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
",
    )
}

fn change_tracking(options: &PrepareOptions) -> Step {
    step(
        "The database remembers which rows changed; a register that was away longer than this loads its tables afresh.",
        format!(
            "IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE [database_id] = DB_ID())
    ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = {} DAYS, AUTO_CLEANUP = ON);
",
            options.retention_days
        ),
    )
}

fn another_life() -> Step {
    step(
        "Another life: the database was restored from a backup, and registers have seen versions that it will count again.",
        "UPDATE [tillhold].[epoch] SET [id] = NEWID(), [set_at] = SYSUTCDATETIME();
",
    )
}

fn own_tables() -> Vec<Step> {
    vec![
        step(
            "Everything of Tillhold's own lives in one schema.",
            "IF SCHEMA_ID(N'tillhold') IS NULL
    EXEC (N'CREATE SCHEMA [tillhold]');
",
        ),
        step(
            "One row for each sale that has arrived, written with the sale: what makes a repeated upload harmless.",
            "IF OBJECT_ID(N'[tillhold].[ledger]') IS NULL
    CREATE TABLE [tillhold].[ledger] (
        [register] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        [incarnation] uniqueidentifier NOT NULL,
        [transaction_id] uniqueidentifier NOT NULL,
        [content_hash] binary(32) NOT NULL,
        [rows] int NOT NULL,
        [applied_at] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_ledger_applied_at] DEFAULT (SYSUTCDATETIME()),
        CONSTRAINT [PK_tillhold_ledger] PRIMARY KEY CLUSTERED ([transaction_id])
    );
",
        ),
        step(
            "Which life of this database it is. After restoring a backup, prepare it as restored: registers then know that versions went back.",
            "IF OBJECT_ID(N'[tillhold].[epoch]') IS NULL
    CREATE TABLE [tillhold].[epoch] (
        [id] uniqueidentifier NOT NULL CONSTRAINT [DF_tillhold_epoch_id] DEFAULT (NEWID()),
        [set_at] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_epoch_set_at] DEFAULT (SYSUTCDATETIME()),
        CONSTRAINT [PK_tillhold_epoch] PRIMARY KEY CLUSTERED ([id])
    );
",
        ),
        step(
            "The first life.",
            "IF NOT EXISTS (SELECT 1 FROM [tillhold].[epoch])
    INSERT INTO [tillhold].[epoch] ([id]) VALUES (NEWID());
",
        ),
        decision_table(),
        register_table(),
        status_table(),
        step(
            "People decide too: who did, and why.",
            "IF COL_LENGTH(N'[tillhold].[decision]', N'who') IS NULL
    ALTER TABLE [tillhold].[decision] ADD [who] nvarchar(128) NULL, [why] nvarchar(max) NULL;
",
        ),
    ]
}

fn register_table() -> Step {
    step(
        "Which offline database speaks for a register, and how far it has come: a restored or copied one is noticed before it sends.",
        "IF OBJECT_ID(N'[tillhold].[register]') IS NULL
    CREATE TABLE [tillhold].[register] (
        [register] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        [incarnation] uniqueidentifier NOT NULL,
        [run] uniqueidentifier NOT NULL,
        [sequence] bigint NOT NULL CONSTRAINT [DF_tillhold_register_sequence] DEFAULT (0),
        [transaction_id] uniqueidentifier NULL,
        [begun_at] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_register_begun_at] DEFAULT (SYSUTCDATETIME()),
        [seen_at] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_register_seen_at] DEFAULT (SYSUTCDATETIME()),
        [superseded_at] datetime2(7) NULL,
        [disputed_at] datetime2(7) NULL,
        [why] nvarchar(400) NULL,
        CONSTRAINT [PK_tillhold_register] PRIMARY KEY CLUSTERED ([register], [incarnation])
    );
",
    )
}

fn status_table() -> Step {
    step(
        "What each register said about itself last: for `tillhold fleet`, and for anyone who asks who still holds unsent sales.",
        "IF OBJECT_ID(N'[tillhold].[register_status]') IS NULL
    CREATE TABLE [tillhold].[register_status] (
        [register] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        [store] nvarchar(10) NOT NULL,
        [terminal] nvarchar(10) NOT NULL,
        [incarnation] uniqueidentifier NOT NULL,
        [reported_at] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_register_status_reported_at] DEFAULT (SYSUTCDATETIME()),
        [state] nvarchar(20) NOT NULL,
        [state_since] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_register_status_state_since] DEFAULT (SYSUTCDATETIME()),
        [unsent_transactions] bigint NOT NULL CONSTRAINT [DF_tillhold_register_status_unsent_transactions] DEFAULT (0),
        [unsent_rows] bigint NOT NULL CONSTRAINT [DF_tillhold_register_status_unsent_rows] DEFAULT (0),
        [unsent_oldest_at] datetime2(7) NULL,
        [unsent_amounts] nvarchar(400) NOT NULL CONSTRAINT [DF_tillhold_register_status_unsent_amounts] DEFAULT (N''),
        [quarantined] bigint NOT NULL CONSTRAINT [DF_tillhold_register_status_quarantined] DEFAULT (0),
        [conflicts] bigint NOT NULL CONSTRAINT [DF_tillhold_register_status_conflicts] DEFAULT (0),
        [rows_aside] bigint NOT NULL CONSTRAINT [DF_tillhold_register_status_rows_aside] DEFAULT (0),
        [synchronised_at] datetime2(7) NULL,
        [fault_code] nvarchar(64) NULL,
        [fault] nvarchar(1000) NULL,
        [program] nvarchar(40) NOT NULL,
        [profile] nvarchar(128) NOT NULL,
        CONSTRAINT [PK_tillhold_register_status] PRIMARY KEY CLUSTERED ([register])
    );
",
    )
}

/// What a register reads and writes beside the profile's tables, where AX has it.
fn of_ax(role: &str) -> Step {
    step(
        "AX's own log of synchronisations and list of offline terminals, where they are; and which terminals a store has.",
        [
            grant_where_it_is("[dbo].[RETAILOFFLINESYNCLOG]", "INSERT", "", role),
            grant_where_it_is(
                "[dbo].[RETAILTERMINALSYNCSTATUS]",
                "SELECT, INSERT, UPDATE",
                "",
                role,
            ),
            grant_where_it_is(
                "[ax].[RETAILTERMINALTABLE]",
                "SELECT",
                " ([TERMINALID], [NAME], [STORERECID])",
                role,
            ),
        ]
        .concat(),
    )
}

/// What [`crate::profile::read_profile`] asks, also of a register whose profile is a file: `profile diff` compares the two.
fn of_published(role: &str) -> Step {
    let known = STORES_COLUMNS.map(bracket).join(", ");
    let mut sql = grant_where_it_is(STORES, "SELECT", &format!(" ({known})"), role);
    // An AX without offline profiles has stores without it.
    let _ = writeln!(
        sql,
        "IF COL_LENGTH(N'{STORES}', N'{STORES_PROFILE}') IS NOT NULL
    GRANT SELECT ON OBJECT::{STORES} ([{STORES_PROFILE}]) TO {role};"
    );
    for table in PUBLISHED {
        sql.push_str(&grant_where_it_is(table, "SELECT", "", role));
    }
    step(
        "The offline profile that AX keeps for the store, where it is: which tables are synchronised.",
        sql,
    )
}

fn grant_where_it_is(table: &str, rights: &str, columns: &str, role: &str) -> String {
    format!(
        "IF OBJECT_ID(N'{table}') IS NOT NULL
    GRANT {rights} ON OBJECT::{table}{columns} TO {role};
"
    )
}

/// The stores, of which a register's account reads two columns and the one that names the profile.
pub(super) const STORES: &str = "[ax].[RETAILSTORETABLE]";
pub(super) const STORES_COLUMNS: [&str; 2] = ["RECID", "STORENUMBER"];
pub(super) const STORES_PROFILE: &str = "OFFLINEPROFILE";

/// Nothing but offline profiles is in them: they are read whole.
pub(super) const PUBLISHED: [&str; 6] = [
    "[ax].[RETAILOFFLINEPROFILE]",
    "[ax].[RETAILOFFLINEPROFILESCOPES]",
    "[ax].[RETAILOFFLINESCOPE]",
    "[ax].[RETAILOFFLINESCOPETABLES]",
    "[ax].[RETAILOFFLINETABLE]",
    "[ax].[RETAILOFFLINETABLECOLUMNS]",
];

/// Those alone that let a register's account read the channel's own profile.
pub(crate) fn steps_of_published(options: &PrepareOptions) -> Vec<Step> {
    let role = bracket(&options.role);
    let mut steps = vec![role_itself(options), of_published(&role)];
    steps.extend(members(options));
    steps
}

fn decision_table() -> Step {
    step(
        "Every conflict that was decided, with all three rows and the rule, and every sale that a person let go of.",
        "IF OBJECT_ID(N'[tillhold].[decision]') IS NULL
    CREATE TABLE [tillhold].[decision] (
        [id] uniqueidentifier NOT NULL,
        [decided_at] datetime2(7) NOT NULL,
        [register] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        [transaction_id] uniqueidentifier NOT NULL,
        [table_name] nvarchar(261) NOT NULL,
        [row_key] nvarchar(max) NOT NULL,
        [rule] nvarchar(200) NOT NULL,
        [plugin_digest] nvarchar(80) NULL,
        [base_row] nvarchar(max) NULL,
        [channel_row] nvarchar(max) NULL,
        [offline_row] nvarchar(max) NULL,
        [outcome] nvarchar(max) NOT NULL,
        [who] nvarchar(128) NULL,
        [why] nvarchar(max) NULL,
        CONSTRAINT [PK_tillhold_decision] PRIMARY KEY CLUSTERED ([id])
    );
",
    )
}

fn role_steps(options: &PrepareOptions) -> Vec<Step> {
    let role = bracket(&options.role);
    let horizon = match options.capture {
        Capture::ChangeTracking => String::new(),
        Capture::Triggers => format!("GRANT SELECT ON OBJECT::[tillhold].[horizon] TO {role};\n"),
    };
    let mut steps = vec![
        role_itself(options),
        step(
            "Registers read and add; they never change or remove what is written here.",
            format!(
                "GRANT SELECT, INSERT ON OBJECT::[tillhold].[ledger] TO {role};
GRANT SELECT ON OBJECT::[tillhold].[epoch] TO {role};
GRANT SELECT, INSERT ON OBJECT::[tillhold].[decision] TO {role};
{horizon}"
            ),
        ),
        step(
            "What a register says about itself it says anew each time.",
            format!(
                "GRANT SELECT, INSERT, UPDATE ON OBJECT::[tillhold].[register] TO {role};
GRANT SELECT, INSERT, UPDATE ON OBJECT::[tillhold].[register_status] TO {role};
"
            ),
        ),
        of_ax(&role),
        of_published(&role),
    ];
    steps.extend(members(options));
    steps
}

fn role_itself(options: &PrepareOptions) -> Step {
    step(
        "The rights of every register, in one role.",
        format!(
            "IF DATABASE_PRINCIPAL_ID({}) IS NULL
    CREATE ROLE {};
",
            quoted(&options.role),
            bracket(&options.role)
        ),
    )
}

fn members(options: &PrepareOptions) -> impl Iterator<Item = Step> {
    let role = bracket(&options.role);
    options.members.iter().map(move |member| {
        step(
            format!("{member} is a register's account."),
            format!("ALTER ROLE {role} ADD MEMBER {};\n", bracket(member)),
        )
    })
}

fn tracking(table: &Table) -> Step {
    let sql = format!(
        "IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE [object_id] = {})
    ALTER TABLE {} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF);
",
        object_id(table),
        table.name.bracketed()
    );
    step(format!("{}: remember which rows change.", table.name), sql)
}

/// Least rights: reading by column where columns are left out, writing only where the register
/// uploads. The definition is needed for the columns' defaults, which a till may rely on while
/// offline.
fn rights(prepared: &Prepared<'_>, options: &PrepareOptions) -> Step {
    let (name, role) = (prepared.table.name.bracketed(), bracket(&options.role));
    let mut sql = String::new();
    match selected_columns(prepared) {
        None => {
            let _ = writeln!(sql, "GRANT SELECT ON OBJECT::{name} TO {role};");
        }
        Some(columns) => {
            let columns = columns.iter().map(|c| bracket(c)).collect::<Vec<_>>().join(", ");
            let _ = writeln!(sql, "GRANT SELECT ON OBJECT::{name} ({columns}) TO {role};");
        }
    }
    match options.capture {
        Capture::ChangeTracking => {
            let _ = writeln!(sql, "GRANT VIEW CHANGE TRACKING ON OBJECT::{name} TO {role};");
        }
        Capture::Triggers => sql.push_str(&triggers::rights(prepared.table, &role)),
    }
    let _ = writeln!(sql, "GRANT VIEW DEFINITION ON OBJECT::{name} TO {role};");
    if prepared.direction.is_pushed() {
        let _ = writeln!(sql, "GRANT INSERT, UPDATE, DELETE ON OBJECT::{name} TO {role};");
    }
    step(format!("{}: what a register may do.", prepared.table.name), sql)
}

/// `None` when every column that a writer gives travels: then the whole table may be read.
pub(super) fn selected_columns(prepared: &Prepared<'_>) -> Option<Vec<String>> {
    let read = prepared.travelling;
    let whole = prepared.table.travelling(&[]);
    if whole.columns.iter().all(|column| read.position(&column.name).is_some()) {
        return None;
    }
    Some(read.columns.iter().map(|c| c.name.clone()).collect())
}
