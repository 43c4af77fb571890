-- @P1 bigint reached, @P2 and @P3 bigint from
INSERT INTO #k0 ([v], [c], [k0]) SELECT CONVERT(bigint, c.[rv]), c.[origin], c.[k0] FROM [tillhold].[t_ax.INVENTITEMBARCODE] AS c WHERE c.[rv] > CONVERT(binary(8), @P2) AND c.[rv] <= CONVERT(binary(8), @P1) ORDER BY c.[rv];
SELECT ISNULL(MAX(k.[n]), 0) AS [last], COUNT(*) AS [rows] FROM #k0 AS k;
INSERT INTO #k1 ([v], [c], [k0], [k1], [k2], [k3], [k4], [k5]) SELECT CONVERT(bigint, c.[rv]), c.[origin], c.[k0], c.[k1], c.[k2], c.[k3], c.[k4], c.[k5] FROM [tillhold].[t_ax.TAXDATA] AS c WHERE c.[rv] > CONVERT(binary(8), @P3) AND c.[rv] <= CONVERT(binary(8), @P1) ORDER BY c.[rv];
SELECT ISNULL(MAX(k.[n]), 0) AS [last], COUNT(*) AS [rows] FROM #k1 AS k;
