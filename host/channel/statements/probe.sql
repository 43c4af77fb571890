-- no parameters
SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(128)) AS [updateability], DB_NAME() AS [database], @@VERSION AS [version];
