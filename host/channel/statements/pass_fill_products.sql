-- @P1 JSON
INSERT INTO #j_product ([k]) SELECT DISTINCT j.[k] FROM OPENJSON(@P1) WITH ([k] bigint N'$') AS j;
