-- @P1 register, @P2 incarnation
UPDATE r SET r.[disputed_at] = SYSUTCDATETIME() FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND r.[disputed_at] IS NULL;
