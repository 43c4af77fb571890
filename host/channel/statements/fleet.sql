-- @P1 store
SET NOCOUNT ON;
DECLARE @terminals int, @offline int;
SET @terminals = CASE WHEN HAS_PERMS_BY_NAME(N'[ax].[RETAILTERMINALTABLE]', N'OBJECT', N'SELECT', N'STORERECID', N'COLUMN') = 1 AND HAS_PERMS_BY_NAME(N'[ax].[RETAILSTORETABLE]', N'OBJECT', N'SELECT', N'STORENUMBER', N'COLUMN') = 1 THEN 1 ELSE 0 END;
SET @offline = ISNULL(HAS_PERMS_BY_NAME(N'[dbo].[RETAILTERMINALSYNCSTATUS]', N'OBJECT', N'SELECT'), 0);
SELECT @terminals AS [terminals], @offline AS [offline];
SELECT r.[terminal], DATEDIFF(SECOND, r.[reported_at], SYSUTCDATETIME()) AS [silent_s], r.[state], DATEDIFF(SECOND, r.[state_since], SYSUTCDATETIME()) AS [state_age_s], r.[unsent_transactions] AS [transactions], r.[unsent_rows] AS [rows], DATEDIFF(SECOND, r.[unsent_oldest_at], SYSUTCDATETIME()) AS [oldest_age_s], r.[unsent_amounts] AS [amounts], r.[quarantined], r.[conflicts], r.[rows_aside], DATEDIFF(SECOND, r.[synchronised_at], SYSUTCDATETIME()) AS [synchronised_age_s], r.[fault_code], r.[fault], r.[program], r.[profile] FROM [tillhold].[register_status] AS r WHERE r.[store] = @P1;
IF @terminals = 1 SELECT t.[TERMINALID] AS [terminal], t.[NAME] AS [name] FROM [ax].[RETAILTERMINALTABLE] AS t INNER JOIN [ax].[RETAILSTORETABLE] AS s ON s.[RECID] = t.[STORERECID] WHERE s.[STORENUMBER] = @P1;
IF @offline = 1 SELECT t.[TERMINALID] AS [terminal], t.[ISOFFLINE] AS [offline] FROM [dbo].[RETAILTERMINALSYNCSTATUS] AS t;
