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
CREATE TABLE #r0 ([t] int NOT NULL, [w] int NOT NULL, [o] nchar(1) COLLATE Latin1_General_100_BIN2 NOT NULL, [b] bigint NOT NULL, [m] nvarchar(1024) COLLATE Latin1_General_100_BIN2 NULL, [x] tinyint NOT NULL, [v] bigint NULL, [k0] hierarchyid NOT NULL, [c1] geography NULL, [c2] geometry NULL, [c3] json NULL, [c4] vector(3) NULL, PRIMARY KEY ([t], [w]), UNIQUE ([k0]));
INSERT INTO #r0 ([t], [w], [o], [b], [m], [x], [k0], [c1], [c2], [c3], [c4]) SELECT j.[t], j.[w], j.[o], j.[b], j.[m], 0, CAST(CONVERT(varbinary(892), j.[k0], 2) AS hierarchyid), CAST(CONVERT(varbinary(max), j.[c1], 2) AS geography), CAST(CONVERT(varbinary(max), j.[c2], 2) AS geometry), CAST(j.[c3] AS json), CAST(j.[c4] AS vector(3)) FROM OPENJSON(@P3, N'$.r0') WITH ([t] int N'$.t', [w] int N'$.w', [o] nchar(1) N'$.o', [b] bigint N'$.b', [m] nvarchar(1024) N'$.m', [k0] nvarchar(max) N'$.k0', [c1] nvarchar(max) N'$.c1', [c2] nvarchar(max) N'$.c2', [c3] nvarchar(max) N'$.c3', [c4] nvarchar(max) N'$.c4') AS j;
UPDATE s SET s.[x] = 1 FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] INNER JOIN [dbo].[CASTTYPES] AS t WITH (UPDLOCK, ROWLOCK) ON t.[NODE] = s.[k0] WHERE q.[o] = 0;
UPDATE s SET s.[v] = ISNULL(c.[SYS_CHANGE_VERSION], CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'[dbo].[CASTTYPES]'))), s.[x] = CASE WHEN s.[x] = 0 THEN 0 WHEN c.[SYS_CHANGE_VERSION] IS NULL AND s.[b] < CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'[dbo].[CASTTYPES]')) THEN 3 WHEN c.[SYS_CHANGE_VERSION] > s.[b] AND (c.[SYS_CHANGE_CONTEXT] IS NULL OR c.[SYS_CHANGE_CONTEXT] <> @own) THEN 3 ELSE 1 END FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] CROSS APPLY CHANGETABLE(VERSION [dbo].[CASTTYPES], ([NODE]), (s.[k0])) AS c WHERE q.[o] = 0 AND (s.[x] = 1 OR s.[o] <> N'I');
UPDATE s SET s.[x] = CASE WHEN s.[o] = N'I' AND s.[x] = 0 THEN 1 WHEN s.[o] = N'I' THEN 4 WHEN s.[o] = N'D' AND s.[x] = 0 THEN 2 WHEN s.[x] = 0 THEN 5 ELSE s.[x] END FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0;
UPDATE q SET q.[o] = 3 FROM #t AS q WHERE q.[o] = 0 AND (EXISTS (SELECT 1 FROM #r0 AS s WHERE s.[t] = q.[s] AND s.[x] > 2));
WITH CHANGE_TRACKING_CONTEXT (@own) DELETE t FROM [dbo].[CASTTYPES] AS t INNER JOIN #r0 AS s ON t.[NODE] = s.[k0] INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'D' AND s.[x] = 1;
WITH CHANGE_TRACKING_CONTEXT (@own) UPDATE t SET t.[PLACE] = CASE SUBSTRING(s.[m], 2, 1) WHEN N'1' THEN s.[c1] ELSE t.[PLACE] END, t.[SHAPE] = CASE SUBSTRING(s.[m], 3, 1) WHEN N'1' THEN s.[c2] ELSE t.[SHAPE] END, t.[DOCUMENT] = CASE SUBSTRING(s.[m], 4, 1) WHEN N'1' THEN s.[c3] ELSE t.[DOCUMENT] END, t.[EMBEDDING] = CASE SUBSTRING(s.[m], 5, 1) WHEN N'1' THEN s.[c4] ELSE t.[EMBEDDING] END FROM [dbo].[CASTTYPES] AS t INNER JOIN #r0 AS s ON t.[NODE] = s.[k0] INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'U' AND s.[x] = 1;
WITH CHANGE_TRACKING_CONTEXT (@own) INSERT INTO [dbo].[CASTTYPES] ([NODE], [PLACE], [SHAPE], [DOCUMENT], [EMBEDDING]) SELECT s.[k0], s.[c1], s.[c2], s.[c3], s.[c4] FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] WHERE q.[o] = 0 AND s.[o] = N'I' AND s.[x] = 1;
INSERT INTO [tillhold].[ledger] ([register], [incarnation], [transaction_id], [content_hash], [rows]) SELECT @P1, CAST(@P2 AS uniqueidentifier), q.[id], q.[h], q.[n] FROM #t AS q WHERE q.[o] = 0;
UPDATE r SET r.[sequence] = q.[q], r.[transaction_id] = q.[id] FROM [tillhold].[register] AS r CROSS JOIN #t AS q WHERE @P6 <> N'' AND r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND q.[q] > r.[sequence] AND q.[o] IN (0, 1) AND NOT EXISTS (SELECT 1 FROM #t AS m WHERE m.[o] IN (0, 1) AND m.[q] > q.[q]);
SELECT q.[s], q.[o] FROM #t AS q ORDER BY q.[s];
SELECT s.[t] AS [_t], s.[w] AS [_w], s.[v] AS [_v], CASE WHEN t.[NODE] IS NULL THEN 0 ELSE 1 END AS [_p], CAST(t.[NODE] AS varbinary(892)) AS [NODE], CAST(t.[PLACE] AS varbinary(max)) AS [PLACE], CAST(t.[SHAPE] AS varbinary(max)) AS [SHAPE], CAST(t.[DOCUMENT] AS nvarchar(max)) AS [DOCUMENT], CAST(t.[EMBEDDING] AS nvarchar(max)) AS [EMBEDDING] FROM #r0 AS s INNER JOIN #t AS q ON q.[s] = s.[t] LEFT OUTER JOIN [dbo].[CASTTYPES] AS t ON t.[NODE] = s.[k0] WHERE q.[o] = 3 AND s.[x] > 2 ORDER BY s.[t], s.[w];
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
