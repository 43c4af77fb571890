-- plain batches, without the GO
-- Registers read one consistent moment without blocking anyone. Waits for open transactions to end.
IF EXISTS (SELECT 1 FROM sys.databases WHERE [database_id] = DB_ID() AND [snapshot_isolation_state] = 0)
    ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
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
-- From where on the changes of a table are all there; no row means from the beginning. Whoever removes rows from a tracking table writes down the highest rowversion that went.
IF OBJECT_ID(N'[tillhold].[horizon]') IS NULL
    CREATE TABLE [tillhold].[horizon] (
        [table_name] nvarchar(261) NOT NULL,
        [oldest] bigint NOT NULL,
        CONSTRAINT [PK_tillhold_horizon] PRIMARY KEY CLUSTERED ([table_name])
    );
GO
-- The rights of every register, in one role.
IF DATABASE_PRINCIPAL_ID(N'tillhold_register') IS NULL
    CREATE ROLE [tillhold_register];
GO
-- Registers read and add; they never change or remove what is written here.
GRANT SELECT, INSERT ON OBJECT::[tillhold].[ledger] TO [tillhold_register];
GRANT SELECT ON OBJECT::[tillhold].[epoch] TO [tillhold_register];
GRANT SELECT, INSERT ON OBJECT::[tillhold].[decision] TO [tillhold_register];
GRANT SELECT ON OBJECT::[tillhold].[horizon] TO [tillhold_register];
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
-- ax.INVENTITEMBARCODE: its trigger writes to tillhold, whoever fires it; that takes one owner.
IF (SELECT s.[principal_id] FROM sys.schemas AS s WHERE s.[name] = N'ax') <> (SELECT s.[principal_id] FROM sys.schemas AS s WHERE s.[name] = N'tillhold')
    THROW 50005, N'ax.INVENTITEMBARCODE and the schema tillhold have different owners: give both schemas one owner', 1;
GO
-- ax.INVENTITEMBARCODE: which of its rows changed; one row a key that ever changed.
IF OBJECT_ID(N'[tillhold].[t_ax.INVENTITEMBARCODE]') IS NULL
    CREATE TABLE [tillhold].[t_ax.INVENTITEMBARCODE] ([k0] bigint NOT NULL, [rv] rowversion NOT NULL, [origin] varbinary(128) NULL, [deleted] bit NOT NULL, CONSTRAINT [PK_t_ax.INVENTITEMBARCODE] PRIMARY KEY CLUSTERED ([k0]));
GO
-- ax.INVENTITEMBARCODE: registers ask for what changed since a position.
IF NOT EXISTS (SELECT 1 FROM sys.indexes AS i WHERE i.[object_id] = OBJECT_ID(N'[tillhold].[t_ax.INVENTITEMBARCODE]') AND i.[name] = N'IX_t_ax.INVENTITEMBARCODE')
    CREATE INDEX [IX_t_ax.INVENTITEMBARCODE] ON [tillhold].[t_ax.INVENTITEMBARCODE] ([rv]);
GO
-- ax.INVENTITEMBARCODE: TRUNCATE TABLE fires no trigger; with this it is refused (4712). Use DELETE, or drop this table, truncate, and run the script again.
IF OBJECT_ID(N'[tillhold].[g_ax.INVENTITEMBARCODE]') IS NULL
    CREATE TABLE [tillhold].[g_ax.INVENTITEMBARCODE] ([k0] bigint NOT NULL, CONSTRAINT [FK_g_ax.INVENTITEMBARCODE] FOREIGN KEY ([k0]) REFERENCES [ax].[INVENTITEMBARCODE] ([RECID]));
GO
-- ax.INVENTITEMBARCODE: note every change, in the transaction that makes it.
IF OBJECT_ID(N'[ax].[tillhold_INVENTITEMBARCODE]') IS NULL
    EXEC (N'CREATE TRIGGER [ax].[tillhold_INVENTITEMBARCODE] ON [ax].[INVENTITEMBARCODE] AFTER INSERT, UPDATE, DELETE AS
BEGIN
SET NOCOUNT ON;
DECLARE @origin varbinary(128) = CONVERT(varbinary(128), SESSION_CONTEXT(N''tillhold_origin''));
UPDATE k SET k.[origin] = @origin, k.[deleted] = CASE WHEN EXISTS (SELECT 1 FROM inserted AS i WHERE i.[RECID] = k.[k0]) THEN 0 ELSE 1 END FROM [tillhold].[t_ax.INVENTITEMBARCODE] AS k INNER JOIN (SELECT i.[RECID] FROM inserted AS i UNION SELECT d.[RECID] FROM deleted AS d) AS c ON c.[RECID] = k.[k0];
INSERT INTO [tillhold].[t_ax.INVENTITEMBARCODE] ([k0], [origin], [deleted]) SELECT c.[RECID], @origin, CASE WHEN EXISTS (SELECT 1 FROM inserted AS i WHERE i.[RECID] = c.[RECID]) THEN 0 ELSE 1 END FROM (SELECT i.[RECID] FROM inserted AS i UNION SELECT d.[RECID] FROM deleted AS d) AS c WHERE NOT EXISTS (SELECT 1 FROM [tillhold].[t_ax.INVENTITEMBARCODE] AS k WHERE c.[RECID] = k.[k0]);
END;
');
GO
-- ax.INVENTITEMBARCODE: what a register may do.
GRANT SELECT ON OBJECT::[ax].[INVENTITEMBARCODE] TO [tillhold_register];
GRANT SELECT ON OBJECT::[tillhold].[t_ax.INVENTITEMBARCODE] TO [tillhold_register];
GRANT VIEW DEFINITION ON OBJECT::[tillhold].[g_ax.INVENTITEMBARCODE] TO [tillhold_register];
GRANT VIEW DEFINITION ON OBJECT::[ax].[INVENTITEMBARCODE] TO [tillhold_register];
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: its trigger writes to tillhold, whoever fires it; that takes one owner.
IF (SELECT s.[principal_id] FROM sys.schemas AS s WHERE s.[name] = N'ax') <> (SELECT s.[principal_id] FROM sys.schemas AS s WHERE s.[name] = N'tillhold')
    THROW 50005, N'ax.RETAILTRANSACTIONPAYMENTTRANS and the schema tillhold have different owners: give both schemas one owner', 1;
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: which of its rows changed; one row a key that ever changed.
IF OBJECT_ID(N'[tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS]') IS NULL
    CREATE TABLE [tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS] ([k0] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k1] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k2] nvarchar(44) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k3] decimal(32,16) NOT NULL, [k4] bigint NOT NULL, [k5] nvarchar(4) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [rv] rowversion NOT NULL, [origin] varbinary(128) NULL, [deleted] bit NOT NULL, CONSTRAINT [PK_t_ax.RETAILTRANSACTIONPAYMENTTRANS] PRIMARY KEY CLUSTERED ([k0], [k1], [k2], [k3], [k4], [k5]));
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: registers ask for what changed since a position.
IF NOT EXISTS (SELECT 1 FROM sys.indexes AS i WHERE i.[object_id] = OBJECT_ID(N'[tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS]') AND i.[name] = N'IX_t_ax.RETAILTRANSACTIONPAYMENTTRANS')
    CREATE INDEX [IX_t_ax.RETAILTRANSACTIONPAYMENTTRANS] ON [tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS] ([rv]);
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: TRUNCATE TABLE fires no trigger; with this it is refused (4712). Use DELETE, or drop this table, truncate, and run the script again.
IF OBJECT_ID(N'[tillhold].[g_ax.RETAILTRANSACTIONPAYMENTTRANS]') IS NULL
    CREATE TABLE [tillhold].[g_ax.RETAILTRANSACTIONPAYMENTTRANS] ([k0] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k1] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k2] nvarchar(44) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k3] decimal(32,16) NOT NULL, [k4] bigint NOT NULL, [k5] nvarchar(4) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, CONSTRAINT [FK_g_ax.RETAILTRANSACTIONPAYMENTTRANS] FOREIGN KEY ([k0], [k1], [k2], [k3], [k4], [k5]) REFERENCES [ax].[RETAILTRANSACTIONPAYMENTTRANS] ([STORE], [TERMINAL], [TRANSACTIONID], [LINENUM], [CHANNEL], [DATAAREAID]));
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: note every change, in the transaction that makes it.
IF OBJECT_ID(N'[ax].[tillhold_RETAILTRANSACTIONPAYMENTTRANS]') IS NULL
    EXEC (N'CREATE TRIGGER [ax].[tillhold_RETAILTRANSACTIONPAYMENTTRANS] ON [ax].[RETAILTRANSACTIONPAYMENTTRANS] AFTER INSERT, UPDATE, DELETE AS
BEGIN
SET NOCOUNT ON;
DECLARE @origin varbinary(128) = CONVERT(varbinary(128), SESSION_CONTEXT(N''tillhold_origin''));
UPDATE k SET k.[origin] = @origin, k.[deleted] = CASE WHEN EXISTS (SELECT 1 FROM inserted AS i WHERE i.[STORE] = k.[k0] AND i.[TERMINAL] = k.[k1] AND i.[TRANSACTIONID] = k.[k2] AND i.[LINENUM] = k.[k3] AND i.[CHANNEL] = k.[k4] AND i.[DATAAREAID] = k.[k5]) THEN 0 ELSE 1 END FROM [tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS] AS k INNER JOIN (SELECT i.[STORE], i.[TERMINAL], i.[TRANSACTIONID], i.[LINENUM], i.[CHANNEL], i.[DATAAREAID] FROM inserted AS i UNION SELECT d.[STORE], d.[TERMINAL], d.[TRANSACTIONID], d.[LINENUM], d.[CHANNEL], d.[DATAAREAID] FROM deleted AS d) AS c ON c.[STORE] = k.[k0] AND c.[TERMINAL] = k.[k1] AND c.[TRANSACTIONID] = k.[k2] AND c.[LINENUM] = k.[k3] AND c.[CHANNEL] = k.[k4] AND c.[DATAAREAID] = k.[k5];
INSERT INTO [tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS] ([k0], [k1], [k2], [k3], [k4], [k5], [origin], [deleted]) SELECT c.[STORE], c.[TERMINAL], c.[TRANSACTIONID], c.[LINENUM], c.[CHANNEL], c.[DATAAREAID], @origin, CASE WHEN EXISTS (SELECT 1 FROM inserted AS i WHERE i.[STORE] = c.[STORE] AND i.[TERMINAL] = c.[TERMINAL] AND i.[TRANSACTIONID] = c.[TRANSACTIONID] AND i.[LINENUM] = c.[LINENUM] AND i.[CHANNEL] = c.[CHANNEL] AND i.[DATAAREAID] = c.[DATAAREAID]) THEN 0 ELSE 1 END FROM (SELECT i.[STORE], i.[TERMINAL], i.[TRANSACTIONID], i.[LINENUM], i.[CHANNEL], i.[DATAAREAID] FROM inserted AS i UNION SELECT d.[STORE], d.[TERMINAL], d.[TRANSACTIONID], d.[LINENUM], d.[CHANNEL], d.[DATAAREAID] FROM deleted AS d) AS c WHERE NOT EXISTS (SELECT 1 FROM [tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS] AS k WHERE c.[STORE] = k.[k0] AND c.[TERMINAL] = k.[k1] AND c.[TRANSACTIONID] = k.[k2] AND c.[LINENUM] = k.[k3] AND c.[CHANNEL] = k.[k4] AND c.[DATAAREAID] = k.[k5]);
END;
');
GO
-- ax.RETAILTRANSACTIONPAYMENTTRANS: what a register may do.
GRANT SELECT ON OBJECT::[ax].[RETAILTRANSACTIONPAYMENTTRANS] ([AMOUNTCUR], [BUSINESSDATE], [CHANNEL], [LINENUM], [STORE], [TENDERTYPE], [TERMINAL], [TRANSACTIONID], [CREATEDDATETIME], [DATAAREAID]) TO [tillhold_register];
GRANT SELECT ON OBJECT::[tillhold].[t_ax.RETAILTRANSACTIONPAYMENTTRANS] TO [tillhold_register];
GRANT VIEW DEFINITION ON OBJECT::[tillhold].[g_ax.RETAILTRANSACTIONPAYMENTTRANS] TO [tillhold_register];
GRANT VIEW DEFINITION ON OBJECT::[ax].[RETAILTRANSACTIONPAYMENTTRANS] TO [tillhold_register];
GRANT INSERT, UPDATE, DELETE ON OBJECT::[ax].[RETAILTRANSACTIONPAYMENTTRANS] TO [tillhold_register];
GO
