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
INSERT INTO [tillhold].[ledger] ([register], [incarnation], [transaction_id], [content_hash], [rows]) SELECT @P1, CAST(@P2 AS uniqueidentifier), q.[id], q.[h], q.[n] FROM #t AS q WHERE q.[o] = 0;
UPDATE r SET r.[sequence] = q.[q], r.[transaction_id] = q.[id] FROM [tillhold].[register] AS r CROSS JOIN #t AS q WHERE @P6 <> N'' AND r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND q.[q] > r.[sequence] AND q.[o] IN (0, 1) AND NOT EXISTS (SELECT 1 FROM #t AS m WHERE m.[o] IN (0, 1) AND m.[q] > q.[q]);
SELECT q.[s], q.[o] FROM #t AS q ORDER BY q.[s];
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
