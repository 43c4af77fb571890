-- @P1 rows, @P2 JSON
SELECT TOP (@P1) i.[ITEMID] AS [k], i.[RECID] AS [record], i.[PRODUCT] AS [product] FROM OPENJSON(@P2) WITH ([k] nvarchar(128) N'$') AS j INNER JOIN [ax].[INVENTTABLE] AS i ON i.[ITEMID] = j.[k] COLLATE DATABASE_DEFAULT;
