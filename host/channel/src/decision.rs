//! Decided conflicts.

/// @P1: a JSON array of decisions. An id that is there already is the same decision sent again.
pub(crate) const DECISION_SQL: &str = "\
SET NOCOUNT ON;
INSERT INTO [tillhold].[decision] ([id], [decided_at], [register], [transaction_id], [table_name], [row_key], [rule], [plugin_digest], [base_row], [channel_row], [offline_row], [outcome]) SELECT CAST(j.[id] AS uniqueidentifier), CONVERT(datetime2(7), j.[at], 121), j.[register], CAST(j.[transaction] AS uniqueidentifier), j.[table], j.[key], j.[rule], j.[digest], j.[base], j.[channel], j.[offline], j.[outcome] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id', [at] nvarchar(40) N'$.at', [register] nvarchar(64) N'$.register', [transaction] nvarchar(36) N'$.transaction', [table] nvarchar(261) N'$.table', [key] nvarchar(max) N'$.key', [rule] nvarchar(200) N'$.rule', [digest] nvarchar(80) N'$.digest', [base] nvarchar(max) N'$.base', [channel] nvarchar(max) N'$.channel', [offline] nvarchar(max) N'$.offline', [outcome] nvarchar(max) N'$.outcome') AS j WHERE NOT EXISTS (SELECT 1 FROM [tillhold].[decision] AS d WHERE d.[id] = CAST(j.[id] AS uniqueidentifier));
";
