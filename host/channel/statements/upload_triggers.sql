-- @P1 register, @P2 incarnation, @P3 JSON, @P4 own context, @P5 context of altered rows, @P6 run
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
CREATE TABLE #r0 ([t] int NOT NULL, [w] int NOT NULL, [o] nchar(1) COLLATE Latin1_General_100_BIN2 NOT NULL, [b] bigint NOT NULL, [m] nvarchar(1024) COLLATE Latin1_General_100_BIN2 NULL, [x] tinyint NOT NULL, [v] bigint NULL, [r] int NOT NULL, [k0] int NOT NULL, [k1] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k2] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k3] nvarchar(4) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [c1] bigint NULL, PRIMARY KEY ([t], [w]), UNIQUE ([k0], [k1], [k2], [k3]));
INSERT INTO #r0 ([t], [w], [o], [b], [m], [x], [r], [k0], [k1], [k2], [k3], [c1]) SELECT j.[t], j.[w], j.[o], j.[b], j.[m], 0, ISNULL(j.[r], 0), CAST(j.[k0] AS int), j.[k1], j.[k2], j.[k3], CAST(j.[c1] AS bigint) FROM OPENJSON(@P3, N'$.r0') WITH ([t] int N'$.t', [w] int N'$.w', [o] nchar(1) N'$.o', [b] bigint N'$.b', [m] nvarchar(1024) N'$.m', [r] int N'$.r', [k0] nvarchar(max) N'$.k0', [k1] nvarchar(max) N'$.k1', [k2] nvarchar(max) N'$.k2', [k3] nvarchar(max) N'$.k3', [c1] nvarchar(max) N'$.c1') AS j;
UPDATE s SET s.[x] = 1 FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] INNER JOIN [ax].[RETAILPOSSEEDDATA] AS t WITH (UPDLOCK, ROWLOCK) ON t.[DATATYPE] = s.[k0] AND t.[STORENUMBER] = s.[k1] AND t.[TERMINALID] = s.[k2] AND t.[DATAAREAID] = s.[k3] WHERE q.[o] = 0;
UPDATE s SET s.[v] = ISNULL(CONVERT(bigint, c.[rv]), ISNULL((SELECT h.[oldest] FROM [tillhold].[horizon] AS h WHERE h.[table_name] = N'ax.RETAILPOSSEEDDATA'), 0)), s.[x] = CASE WHEN s.[x] = 0 THEN 0 WHEN CONVERT(bigint, c.[rv]) IS NULL AND s.[b] < ISNULL((SELECT h.[oldest] FROM [tillhold].[horizon] AS h WHERE h.[table_name] = N'ax.RETAILPOSSEEDDATA'), 0) THEN 3 WHEN CONVERT(bigint, c.[rv]) > s.[b] AND (c.[origin] IS NULL OR c.[origin] <> @own) THEN 3 ELSE 1 END FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] LEFT OUTER JOIN [tillhold].[t_ax.RETAILPOSSEEDDATA] AS c ON c.[k0] = s.[k0] AND c.[k1] = s.[k1] AND c.[k2] = s.[k2] AND c.[k3] = s.[k3] WHERE q.[o] = 0 AND (s.[x] = 1 OR s.[o] <> N'I');
UPDATE s SET s.[x] = CASE WHEN s.[o] = N'I' AND s.[x] = 0 THEN 1 WHEN s.[o] = N'I' THEN 4 WHEN s.[o] = N'D' AND s.[x] = 0 THEN 2 WHEN s.[x] = 0 THEN 5 ELSE s.[x] END FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0;
UPDATE q SET q.[o] = 3 FROM #t AS q WHERE q.[o] = 0 AND (EXISTS (SELECT 1 FROM #r0 AS s WHERE s.[t] = q.[s] AND s.[x] > 2));
EXEC sp_set_session_context @key = N'tillhold_origin', @value = @own;
DELETE t FROM [ax].[RETAILPOSSEEDDATA] AS t INNER JOIN #r0 AS s ON t.[DATATYPE] = s.[k0] AND t.[STORENUMBER] = s.[k1] AND t.[TERMINALID] = s.[k2] AND t.[DATAAREAID] = s.[k3] INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'D' AND s.[x] = 1 AND s.[r] = 0;
EXEC sp_set_session_context @key = N'tillhold_origin', @value = @altered;
DELETE t FROM [ax].[RETAILPOSSEEDDATA] AS t INNER JOIN #r0 AS s ON t.[DATATYPE] = s.[k0] AND t.[STORENUMBER] = s.[k1] AND t.[TERMINALID] = s.[k2] AND t.[DATAAREAID] = s.[k3] INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'D' AND s.[x] = 1 AND s.[r] = 1;
EXEC sp_set_session_context @key = N'tillhold_origin', @value = @own;
UPDATE t SET t.[DATAVALUE] = CASE SUBSTRING(s.[m], 2, 1) WHEN N'1' THEN s.[c1] ELSE t.[DATAVALUE] END FROM [ax].[RETAILPOSSEEDDATA] AS t INNER JOIN #r0 AS s ON t.[DATATYPE] = s.[k0] AND t.[STORENUMBER] = s.[k1] AND t.[TERMINALID] = s.[k2] AND t.[DATAAREAID] = s.[k3] INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'U' AND s.[x] = 1 AND s.[r] = 0;
EXEC sp_set_session_context @key = N'tillhold_origin', @value = @altered;
UPDATE t SET t.[DATAVALUE] = CASE SUBSTRING(s.[m], 2, 1) WHEN N'1' THEN s.[c1] ELSE t.[DATAVALUE] END FROM [ax].[RETAILPOSSEEDDATA] AS t INNER JOIN #r0 AS s ON t.[DATATYPE] = s.[k0] AND t.[STORENUMBER] = s.[k1] AND t.[TERMINALID] = s.[k2] AND t.[DATAAREAID] = s.[k3] INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'U' AND s.[x] = 1 AND s.[r] = 1;
EXEC sp_set_session_context @key = N'tillhold_origin', @value = @own;
INSERT INTO [ax].[RETAILPOSSEEDDATA] ([DATATYPE], [STORENUMBER], [TERMINALID], [DATAAREAID], [DATAVALUE]) SELECT s.[k0], s.[k1], s.[k2], s.[k3], s.[c1] FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'I' AND s.[x] = 1 AND s.[r] = 0;
EXEC sp_set_session_context @key = N'tillhold_origin', @value = @altered;
INSERT INTO [ax].[RETAILPOSSEEDDATA] ([DATATYPE], [STORENUMBER], [TERMINALID], [DATAAREAID], [DATAVALUE]) SELECT s.[k0], s.[k1], s.[k2], s.[k3], s.[c1] FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'I' AND s.[x] = 1 AND s.[r] = 1;
INSERT INTO [tillhold].[ledger] ([register], [incarnation], [transaction_id], [content_hash], [rows]) SELECT @P1, CAST(@P2 AS uniqueidentifier), q.[id], q.[h], q.[n] FROM #t AS q WHERE q.[o] = 0;
UPDATE r SET r.[sequence] = q.[q], r.[transaction_id] = q.[id] FROM [tillhold].[register] AS r CROSS JOIN #t AS q WHERE @P6 <> N'' AND r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND q.[q] > r.[sequence] AND q.[o] IN (0, 1) AND NOT EXISTS (SELECT 1 FROM #t AS m WHERE m.[o] IN (0, 1) AND m.[q] > q.[q]);
SELECT q.[s], q.[o] FROM #t AS q ORDER BY q.[s];
SELECT s.[t] AS [_t], s.[w] AS [_w], s.[v] AS [_v], CASE WHEN t.[DATATYPE] IS NULL THEN 0 ELSE 1 END AS [_p], t.[DATATYPE], t.[DATAVALUE], t.[STORENUMBER], t.[TERMINALID], t.[DATAAREAID] FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] LEFT OUTER JOIN [ax].[RETAILPOSSEEDDATA] AS t ON t.[DATATYPE] = s.[k0] AND t.[STORENUMBER] = s.[k1] AND t.[TERMINALID] = s.[k2] AND t.[DATAAREAID] = s.[k3] WHERE q.[o] = 3 AND s.[x] > 2 ORDER BY s.[t], s.[w];
EXEC sp_set_session_context @key = N'tillhold_origin', @value = NULL;
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
EXEC sp_set_session_context @key = N'tillhold_origin', @value = NULL;
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
