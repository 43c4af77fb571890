-- a plain batch; called with the same parameters
CREATE PROCEDURE #tillhold_1 @P1 nvarchar(4000), @P2 nvarchar(4000), @P3 nvarchar(max), @P4 varbinary(128), @P5 varbinary(128), @P6 nvarchar(4000) AS
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
CREATE TABLE #r0 ([t] int NOT NULL, [w] int NOT NULL, [o] nchar(1) COLLATE Latin1_General_100_BIN2 NOT NULL, [b] bigint NOT NULL, [m] nvarchar(1024) COLLATE Latin1_General_100_BIN2 NULL, [x] tinyint NOT NULL, [v] bigint NULL, [k0] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k1] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k2] nvarchar(44) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k3] decimal(32,16) NOT NULL, [k4] bigint NOT NULL, [k5] nvarchar(4) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [c0] decimal(32,16) NULL, [c1] date NULL, [c4] nvarchar(max) COLLATE SQL_Latin1_General_CP1_CI_AS NULL, [c6] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NULL, [c9] datetime NULL, PRIMARY KEY ([t], [w]), UNIQUE ([k0], [k1], [k2], [k3], [k4], [k5]));
INSERT INTO #r0 ([t], [w], [o], [b], [m], [x], [k0], [k1], [k2], [k3], [k4], [k5], [c0], [c1], [c4], [c6], [c9]) SELECT j.[t], j.[w], j.[o], j.[b], j.[m], 0, j.[k0], j.[k1], j.[k2], CAST(j.[k3] AS decimal(32,16)), CAST(j.[k4] AS bigint), j.[k5], CAST(j.[c0] AS decimal(32,16)), CAST(j.[c1] AS date), j.[c4], j.[c6], CONVERT(datetime, j.[c9], 121) FROM OPENJSON(@P3, N'$.r0') WITH ([t] int N'$.t', [w] int N'$.w', [o] nchar(1) N'$.o', [b] bigint N'$.b', [m] nvarchar(1024) N'$.m', [k0] nvarchar(max) N'$.k0', [k1] nvarchar(max) N'$.k1', [k2] nvarchar(max) N'$.k2', [k3] nvarchar(max) N'$.k3', [k4] nvarchar(max) N'$.k4', [k5] nvarchar(max) N'$.k5', [c0] nvarchar(max) N'$.c0', [c1] nvarchar(max) N'$.c1', [c4] nvarchar(max) N'$.c4', [c6] nvarchar(max) N'$.c6', [c9] nvarchar(max) N'$.c9') AS j;
UPDATE s SET s.[x] = 1 FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] INNER JOIN [ax].[RETAILTRANSACTIONPAYMENTTRANS] AS t WITH (UPDLOCK, ROWLOCK) ON t.[STORE] = s.[k0] AND t.[TERMINAL] = s.[k1] AND t.[TRANSACTIONID] = s.[k2] AND t.[LINENUM] = s.[k3] AND t.[CHANNEL] = s.[k4] AND t.[DATAAREAID] = s.[k5] WHERE q.[o] = 0;
UPDATE s SET s.[v] = ISNULL(c.[SYS_CHANGE_VERSION], CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'[ax].[RETAILTRANSACTIONPAYMENTTRANS]'))), s.[x] = CASE WHEN s.[x] = 0 THEN 0 WHEN c.[SYS_CHANGE_VERSION] IS NULL AND s.[b] < CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'[ax].[RETAILTRANSACTIONPAYMENTTRANS]')) THEN 3 WHEN c.[SYS_CHANGE_VERSION] > s.[b] AND (c.[SYS_CHANGE_CONTEXT] IS NULL OR c.[SYS_CHANGE_CONTEXT] <> @own) THEN 3 ELSE 1 END FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] CROSS APPLY CHANGETABLE(VERSION [ax].[RETAILTRANSACTIONPAYMENTTRANS], ([STORE], [TERMINAL], [TRANSACTIONID], [LINENUM], [CHANNEL], [DATAAREAID]), (s.[k0], s.[k1], s.[k2], s.[k3], s.[k4], s.[k5])) AS c WHERE q.[o] = 0 AND (s.[x] = 1 OR s.[o] <> N'I');
UPDATE s SET s.[x] = CASE WHEN s.[o] = N'I' AND s.[x] = 0 THEN 1 WHEN s.[o] = N'I' THEN 4 WHEN s.[o] = N'D' AND s.[x] = 0 THEN 2 WHEN s.[x] = 0 THEN 5 ELSE s.[x] END FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0;
UPDATE q SET q.[o] = 3 FROM #t AS q WHERE q.[o] = 0 AND (EXISTS (SELECT 1 FROM #r0 AS s WHERE s.[t] = q.[s] AND s.[x] > 2));
WITH CHANGE_TRACKING_CONTEXT (@own) INSERT INTO [ax].[RETAILTRANSACTIONPAYMENTTRANS] ([STORE], [TERMINAL], [TRANSACTIONID], [LINENUM], [CHANNEL], [DATAAREAID], [AMOUNTCUR], [BUSINESSDATE], [PAYMENTAUTHORIZATION], [TENDERTYPE], [CREATEDDATETIME]) SELECT s.[k0], s.[k1], s.[k2], s.[k3], s.[k4], s.[k5], s.[c0], s.[c1], s.[c4], s.[c6], s.[c9] FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'I' AND s.[x] = 1;
INSERT INTO [tillhold].[ledger] ([register], [incarnation], [transaction_id], [content_hash], [rows]) SELECT @P1, CAST(@P2 AS uniqueidentifier), q.[id], q.[h], q.[n] FROM #t AS q WHERE q.[o] = 0;
UPDATE r SET r.[sequence] = q.[q], r.[transaction_id] = q.[id] FROM [tillhold].[register] AS r CROSS JOIN #t AS q WHERE @P6 <> N'' AND r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND q.[q] > r.[sequence] AND q.[o] IN (0, 1) AND NOT EXISTS (SELECT 1 FROM #t AS m WHERE m.[o] IN (0, 1) AND m.[q] > q.[q]);
SELECT q.[s], q.[o] FROM #t AS q ORDER BY q.[s];
SELECT s.[t] AS [_t], s.[w] AS [_w], s.[v] AS [_v], CASE WHEN t.[STORE] IS NULL THEN 0 ELSE 1 END AS [_p], t.[AMOUNTCUR], t.[BUSINESSDATE], t.[CHANNEL], t.[LINENUM], t.[PAYMENTAUTHORIZATION], t.[STORE], t.[TENDERTYPE], t.[TERMINAL], t.[TRANSACTIONID], t.[CREATEDDATETIME], t.[DATAAREAID] FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] LEFT OUTER JOIN [ax].[RETAILTRANSACTIONPAYMENTTRANS] AS t ON t.[STORE] = s.[k0] AND t.[TERMINAL] = s.[k1] AND t.[TRANSACTIONID] = s.[k2] AND t.[LINENUM] = s.[k3] AND t.[CHANNEL] = s.[k4] AND t.[DATAAREAID] = s.[k5] WHERE q.[o] = 3 AND s.[x] > 2 ORDER BY s.[t], s.[w];
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
