-- no parameters
SELECT (SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch];
SELECT h.[table_name], h.[oldest] FROM [tillhold].[horizon] AS h;
SELECT s.[name] AS [schema_name], t.[name] AS [table_name], t.[object_id], CONVERT(nvarchar(33), t.[modify_date], 126) AS [altered], g.[object_id] AS [trigger_id], CONVERT(nvarchar(33), g.[modify_date], 126) AS [trigger_altered], g.[is_disabled] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] LEFT OUTER JOIN sys.triggers AS g ON g.[parent_id] = t.[object_id] AND g.[name] = N'tillhold_' + t.[name] WHERE t.[object_id] IN (OBJECT_ID(N'[ax].[INVENTITEMBARCODE]'), OBJECT_ID(N'[ax].[TAXDATA]'));
SELECT t.[name] AS [table_name], t.[object_id] FROM sys.tables AS t WHERE t.[schema_id] = SCHEMA_ID(N'tillhold');
