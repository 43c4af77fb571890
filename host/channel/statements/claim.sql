-- @P1 register, @P2 incarnation, @P3 run, @P4 run looked at, @P5 why
SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
DECLARE @rc int, @done int, @lock nvarchar(255);
SET @lock = N'tillhold.upload:' + @P1;
SET @done = 0;
BEGIN TRY
BEGIN TRANSACTION;
EXEC @rc = sp_getapplock @Resource = @lock, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 5000;
IF @rc < 0 THROW 50001, N'another session holds the upload lock of this register', 1;
IF @P4 <> N''
BEGIN
UPDATE r SET r.[run] = CAST(@P3 AS uniqueidentifier), r.[seen_at] = SYSUTCDATETIME() FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND r.[run] = CAST(@P4 AS uniqueidentifier) AND r.[superseded_at] IS NULL AND r.[disputed_at] IS NULL;
SET @done = @@ROWCOUNT;
END;
IF @P4 = N'' AND NOT EXISTS (SELECT 1 FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier))
BEGIN
UPDATE r SET r.[superseded_at] = SYSUTCDATETIME() FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[superseded_at] IS NULL;
INSERT INTO [tillhold].[register] ([register], [incarnation], [run], [why]) VALUES (@P1, CAST(@P2 AS uniqueidentifier), CAST(@P3 AS uniqueidentifier), @P5);
SET @done = 1;
END;
SELECT @done AS [done];
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
