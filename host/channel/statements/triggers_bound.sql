-- no parameters
SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION()) - 1 AS [current], (SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch];
