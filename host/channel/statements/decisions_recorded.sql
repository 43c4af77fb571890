-- @P1 JSON
SELECT d.[id] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id') AS j INNER JOIN [tillhold].[decision] AS d ON d.[id] = CAST(j.[id] AS uniqueidentifier);
