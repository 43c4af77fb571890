-- @P1 bigint rows, @P2 and on: the last key
SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
SELECT TOP (@P1) CAST(t.[NODE] AS varbinary(892)) AS [NODE], CAST(t.[PLACE] AS varbinary(max)) AS [PLACE], CAST(t.[SHAPE] AS varbinary(max)) AS [SHAPE], CAST(t.[DOCUMENT] AS nvarchar(max)) AS [DOCUMENT], CAST(t.[EMBEDDING] AS nvarchar(max)) AS [EMBEDDING] FROM [dbo].[CASTTYPES] AS t WHERE t.[NODE] > CAST(CONVERT(varbinary(892), @P2, 2) AS hierarchyid) ORDER BY t.[NODE];
