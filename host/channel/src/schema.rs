//! The channel's catalogue.

/// `names` parameters, each `schema.NAME`. Alias types resolve to their base type; CLR types have none of their own.
pub(crate) fn columns_sql(names: usize) -> String {
    let list = (1..=names).map(|n| format!("@P{n}")).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT s.[name] AS [schema_name], t.[name] AS [table_name], c.[name] AS [column_name], y.[name] AS [type_name], c.[max_length], c.[precision], c.[scale], c.[is_nullable], c.[is_identity], c.[is_computed], c.[generated_always_type], c.[collation_name], d.[definition] AS [default_text], x.[key_ordinal] \
FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] INNER JOIN sys.columns AS c ON c.[object_id] = t.[object_id] LEFT OUTER JOIN sys.types AS y ON y.[user_type_id] = c.[system_type_id] LEFT OUTER JOIN sys.default_constraints AS d ON d.[object_id] = c.[default_object_id] LEFT OUTER JOIN sys.indexes AS i ON i.[object_id] = t.[object_id] AND i.[is_primary_key] = 1 LEFT OUTER JOIN sys.index_columns AS x ON x.[object_id] = i.[object_id] AND x.[index_id] = i.[index_id] AND x.[column_id] = c.[column_id] \
WHERE s.[name] + N'.' + t.[name] IN ({list}) ORDER BY s.[name], t.[name], c.[column_id];\n"
    )
}

/// No parameters.
pub(crate) const NAMES_SQL: &str = "SELECT s.[name] AS [schema_name], t.[name] AS [table_name] FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.[schema_id] = t.[schema_id] WHERE t.[is_ms_shipped] = 0 ORDER BY s.[name], t.[name];\n";
