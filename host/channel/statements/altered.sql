-- no parameters
SELECT s.[name] AS [schema_name], t.[name] AS [table_name], t.[object_id], CONVERT(nvarchar(33), t.[modify_date], 126) AS [altered] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] WHERE t.[object_id] IN (OBJECT_ID(N'[ax].[INVENTITEMBARCODE]'), OBJECT_ID(N'[ax].[TAXDATA]'));
