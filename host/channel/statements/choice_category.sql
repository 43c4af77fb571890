-- @P1 rows, @P2 name
SELECT TOP (@P1) c.[RECID] AS [k] FROM [ax].[ECORESCATEGORY] AS c WHERE c.[NAME] = @P2 OR c.[CODE] = @P2;
