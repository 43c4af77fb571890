-- no parameters
SELECT CHANGE_TRACKING_CURRENT_VERSION() AS [current], (SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch];
