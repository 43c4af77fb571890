-- no parameters
SELECT s.[name] AS [schema_name], t.[name] AS [table_name] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] WHERE t.[is_ms_shipped] = 0 ORDER BY s.[name], t.[name];
