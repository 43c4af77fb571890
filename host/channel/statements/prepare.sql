-- plain batches, without the GO
-- Registers read one consistent moment without blocking anyone. Waits for open transactions to end.
IF EXISTS (SELECT 1 FROM sys.databases WHERE [database_id] = DB_ID() AND [snapshot_isolation_state] = 0)
    ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
-- The database remembers which rows changed; a register that was away longer than this loads its tables afresh.
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE [database_id] = DB_ID())
    ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 14 DAYS, AUTO_CLEANUP = ON);
GO
-- Everything of Tillhold's own lives in one schema.
IF SCHEMA_ID(N'tillhold') IS NULL
    EXEC (N'CREATE SCHEMA [tillhold]');
GO
-- One row for each sale that has arrived, written with the sale: what makes a repeated upload harmless.
IF OBJECT_ID(N'[tillhold].[ledger]') IS NULL
    CREATE TABLE [tillhold].[ledger] (
        [register] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        [incarnation] uniqueidentifier NOT NULL,
        [transaction_id] uniqueidentifier NOT NULL,
        [content_hash] binary(32) NOT NULL,
        [rows] int NOT NULL,
        [applied_at] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_ledger_applied_at] DEFAULT (SYSUTCDATETIME()),
        CONSTRAINT [PK_tillhold_ledger] PRIMARY KEY CLUSTERED ([transaction_id])
    );
GO
-- Which life of this database it is. After restoring a backup, prepare it as restored: registers then know that versions went back.
IF OBJECT_ID(N'[tillhold].[epoch]') IS NULL
    CREATE TABLE [tillhold].[epoch] (
        [id] uniqueidentifier NOT NULL CONSTRAINT [DF_tillhold_epoch_id] DEFAULT (NEWID()),
        [set_at] datetime2(7) NOT NULL CONSTRAINT [DF_tillhold_epoch_set_at] DEFAULT (SYSUTCDATETIME()),
        CONSTRAINT [PK_tillhold_epoch] PRIMARY KEY CLUSTERED ([id])
    );
GO
-- The first life.
IF NOT EXISTS (SELECT 1 FROM [tillhold].[epoch])
    INSERT INTO [tillhold].[epoch] ([id]) VALUES (NEWID());
GO
-- Every conflict that was decided, with all three rows and the rule, and every sale that a person let go of.
IF OBJECT_ID(N'[tillhold].[decision]') IS NULL
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
GO
-- Which offline database speaks for a register, and how far it has come: a restored or copied one is noticed before it sends.
IF OBJECT_ID(N'[tillhold].[register]') IS NULL
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
GO
-- What each register said about itself last: for `tillhold fleet`, and for anyone who asks who still holds unsent sales.
IF OBJECT_ID(N'[tillhold].[register_status]') IS NULL
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
GO
-- People decide too: who did, and why.
IF COL_LENGTH(N'[tillhold].[decision]', N'who') IS NULL
    ALTER TABLE [tillhold].[decision] ADD [who] nvarchar(128) NULL, [why] nvarchar(max) NULL;
GO
-- The rights of every register, in one role.
IF DATABASE_PRINCIPAL_ID(N'tillhold_register') IS NULL
    CREATE ROLE [tillhold_register];
GO
-- Registers read and add; they never change or remove what is written here.
GRANT SELECT, INSERT ON OBJECT::[tillhold].[ledger] TO [tillhold_register];
GRANT SELECT ON OBJECT::[tillhold].[epoch] TO [tillhold_register];
GRANT SELECT, INSERT ON OBJECT::[tillhold].[decision] TO [tillhold_register];
GO
-- What a register says about itself it says anew each time.
GRANT SELECT, INSERT, UPDATE ON OBJECT::[tillhold].[register] TO [tillhold_register];
GRANT SELECT, INSERT, UPDATE ON OBJECT::[tillhold].[register_status] TO [tillhold_register];
GO
-- AX's own log of synchronisations and list of offline terminals, where they are; and which terminals a store has.
IF OBJECT_ID(N'[dbo].[RETAILOFFLINESYNCLOG]') IS NOT NULL
    GRANT INSERT ON OBJECT::[dbo].[RETAILOFFLINESYNCLOG] TO [tillhold_register];
IF OBJECT_ID(N'[dbo].[RETAILTERMINALSYNCSTATUS]') IS NOT NULL
    GRANT SELECT, INSERT, UPDATE ON OBJECT::[dbo].[RETAILTERMINALSYNCSTATUS] TO [tillhold_register];
IF OBJECT_ID(N'[ax].[RETAILTERMINALTABLE]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILTERMINALTABLE] ([TERMINALID], [NAME], [STORERECID]) TO [tillhold_register];
GO
-- The offline profile that AX keeps for the store, where it is: which tables are synchronised.
IF OBJECT_ID(N'[ax].[RETAILSTORETABLE]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILSTORETABLE] ([RECID], [STORENUMBER]) TO [tillhold_register];
IF COL_LENGTH(N'[ax].[RETAILSTORETABLE]', N'OFFLINEPROFILE') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILSTORETABLE] ([OFFLINEPROFILE]) TO [tillhold_register];
IF OBJECT_ID(N'[ax].[RETAILOFFLINEPROFILE]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILOFFLINEPROFILE] TO [tillhold_register];
IF OBJECT_ID(N'[ax].[RETAILOFFLINEPROFILESCOPES]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILOFFLINEPROFILESCOPES] TO [tillhold_register];
IF OBJECT_ID(N'[ax].[RETAILOFFLINESCOPE]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILOFFLINESCOPE] TO [tillhold_register];
IF OBJECT_ID(N'[ax].[RETAILOFFLINESCOPETABLES]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILOFFLINESCOPETABLES] TO [tillhold_register];
IF OBJECT_ID(N'[ax].[RETAILOFFLINETABLE]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILOFFLINETABLE] TO [tillhold_register];
IF OBJECT_ID(N'[ax].[RETAILOFFLINETABLECOLUMNS]') IS NOT NULL
    GRANT SELECT ON OBJECT::[ax].[RETAILOFFLINETABLECOLUMNS] TO [tillhold_register];
GO
-- till is a register's account.
ALTER ROLE [tillhold_register] ADD MEMBER [till];
GO
-- ax.INVENTITEMBARCODE: remember which rows change.
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE [object_id] = OBJECT_ID(N'[ax].[INVENTITEMBARCODE]'))
    ALTER TABLE [ax].[INVENTITEMBARCODE] ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF);
GO
-- ax.INVENTITEMBARCODE: what a register may do.
GRANT SELECT ON OBJECT::[ax].[INVENTITEMBARCODE] TO [tillhold_register];
GRANT VIEW CHANGE TRACKING ON OBJECT::[ax].[INVENTITEMBARCODE] TO [tillhold_register];
GRANT VIEW DEFINITION ON OBJECT::[ax].[INVENTITEMBARCODE] TO [tillhold_register];
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: remember which rows change.
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE [object_id] = OBJECT_ID(N'[ax].[RETAILTRANSACTIONPAYMENTTRANS]'))
    ALTER TABLE [ax].[RETAILTRANSACTIONPAYMENTTRANS] ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF);
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: what a register may do.
GRANT SELECT ON OBJECT::[ax].[RETAILTRANSACTIONPAYMENTTRANS] ([AMOUNTCUR], [BUSINESSDATE], [CHANNEL], [LINENUM], [STORE], [TENDERTYPE], [TERMINAL], [TRANSACTIONID], [CREATEDDATETIME], [DATAAREAID]) TO [tillhold_register];
GRANT VIEW CHANGE TRACKING ON OBJECT::[ax].[RETAILTRANSACTIONPAYMENTTRANS] TO [tillhold_register];
GRANT VIEW DEFINITION ON OBJECT::[ax].[RETAILTRANSACTIONPAYMENTTRANS] TO [tillhold_register];
GRANT INSERT, UPDATE, DELETE ON OBJECT::[ax].[RETAILTRANSACTIONPAYMENTTRANS] TO [tillhold_register];
GO
