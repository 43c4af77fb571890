//! Is the channel there?

/// No parameters. `Updateability` tells a read-only replica or a database set read-only from one that takes sales.
pub(crate) const PROBE_SQL: &str = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(128)) AS [updateability], DB_NAME() AS [database], @@VERSION AS [version];\n";
