-- @P1 register, @P2 incarnation
SELECT r.[run], r.[sequence], r.[transaction_id], CASE WHEN r.[superseded_at] IS NULL THEN 0 ELSE 1 END AS [superseded], CASE WHEN r.[disputed_at] IS NULL THEN 0 ELSE 1 END AS [disputed], DATEDIFF(SECOND, r.[seen_at], SYSUTCDATETIME()) AS [silent_s] FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier);
