//! The ledger.

/// @P1: `[{"id":"…"},…]`.
pub(crate) const LEDGER_SQL: &str = "SELECT l.[transaction_id], l.[content_hash] FROM OPENJSON(@P1) WITH ([id] nvarchar(36) N'$.id') AS j INNER JOIN [tillhold].[ledger] AS l ON l.[transaction_id] = CAST(j.[id] AS uniqueidentifier);\n";
