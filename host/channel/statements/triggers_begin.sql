-- a plain batch
CREATE TABLE #k0 ([n] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, [v] bigint NOT NULL, [c] varbinary(128) NULL, [k0] bigint NOT NULL);
CREATE TABLE #k1 ([n] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, [v] bigint NOT NULL, [c] varbinary(128) NULL, [k0] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [k1] date NOT NULL, [k2] date NOT NULL, [k3] decimal(32,16) NOT NULL, [k4] bigint NOT NULL, [k5] nvarchar(4) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL);
SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION()) - 1 AS [current], (SELECT TOP (1) e.[id] FROM [tillhold].[epoch] AS e ORDER BY e.[set_at] DESC) AS [epoch];
SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
BEGIN TRANSACTION;
