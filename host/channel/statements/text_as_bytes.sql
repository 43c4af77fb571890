-- @P1 key
SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
SELECT CAST(CAST(t.[TXT] AS nvarchar(max)) AS varbinary(max)) AS [units] FROM [ax].[CURRENCY] AS t WHERE t.[CURRENCYCODE] = CAST(@P1 AS nvarchar(3));
