//! `sys` and `INFORMATION_SCHEMA`: SQLite queries over the catalogue's own tables, with SQL Server's column types.
//!
//! Only the columns that readers of a schema ask for; an unknown one is error 207 like anywhere else.

use super::catalogue::DATABASE_COLLATION;
use super::catalogue::shape::system_types;
use super::syntax::ObjectName;
use super::translate::{Label, Shown, Typed};
use std::sync::LazyLock;
use tillhold_core::types::SqlType;

/// The number of the embedded channel's one user database (SQL Server's own are 1 to 4).
pub const DATABASE_ID: i64 = 5;

/// Users and roles with numbers: those up to 4 are SQL Server's own.
pub const PRINCIPALS: &str = "SELECT shown AS name, row_number() OVER (ORDER BY name) + 4 AS principal_id, \
    CASE WHEN is_role THEN 'R' ELSE 'S' END AS type, CASE WHEN is_role THEN 'DATABASE_ROLE' ELSE 'SQL_USER' END AS type_desc \
    FROM main.tsql_principal";

pub struct View {
    schema: &'static str,
    name: &'static str,
    pub columns: Vec<ViewColumn>,
    pub sql: String,
}

pub struct ViewColumn {
    name: &'static str,
    of: SqlType,
}

impl ViewColumn {
    pub fn shown(&self, source: &str) -> Shown {
        let value = Typed::new(format!("{source}.{}", self.name), self.of, true);
        let label = if self.of.is_text() {
            Label::Implicit(DATABASE_COLLATION.to_string())
        } else {
            Label::Default
        };
        Shown::new(self.name, value.with_label(label))
    }
}

static VIEWS: LazyLock<Vec<View>> = LazyLock::new(views);

pub fn find(name: &ObjectName) -> Option<&'static View> {
    let schema = name.schema.as_deref()?;
    VIEWS.iter().find(|view| {
        view.schema.eq_ignore_ascii_case(schema) && view.name.eq_ignore_ascii_case(&name.name)
    })
}

/// TYPE_NAME(id)
pub fn type_name(id: &str) -> String {
    let branches: Vec<String> = system_types()
        .iter()
        .map(|(name, shape)| format!("WHEN {} THEN '{name}'", shape.system_type_id))
        .collect();
    format!("CASE {id} {} END", branches.join(" "))
}

/// `name type, …` and the query that gives exactly those columns.
fn view(
    schema: &'static str,
    name: &'static str,
    columns: &'static str,
    sql: impl Into<String>,
) -> View {
    let columns = columns
        .split(',')
        .filter_map(|column| {
            let (name, of) = column.trim().split_once(' ')?;
            Some(ViewColumn { name, of: SqlType::parse(of)? })
        })
        .collect();
    View { schema, name, columns, sql: sql.into() }
}

const OBJECT: &str = "name sysname, object_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60), \
    create_date datetime, modify_date datetime, is_ms_shipped bit";

fn views() -> Vec<View> {
    let mut all = objects();
    all.extend(triggers());
    all.extend(columns());
    all.extend(keys());
    all.extend(database());
    all.extend(information_schema());
    all
}

/// A kept moment in datetime's canonical text.
fn moment(ms: &str) -> String {
    format!("strftime('%Y-%m-%d %H:%M:%f', {ms} / 1000.0, 'unixepoch')")
}

fn table_object() -> String {
    let modified =
        "ifnull((SELECT at_ms FROM main.tsql_modified AS m WHERE m.object_id = t.id), created_ms)";
    format!(
        "SELECT name, id AS object_id, schema_id, 0 AS parent_object_id, 'U ' AS type, 'USER_TABLE' AS type_desc, \
         {} AS create_date, {} AS modify_date, 0 AS is_ms_shipped FROM main.tsql_table AS t",
        moment("created_ms"),
        moment(modified)
    )
}

const TRIGGER: &str = "name sysname, object_id int, parent_class tinyint, parent_class_desc nvarchar(60), parent_id int, type char(2), \
    type_desc nvarchar(60), create_date datetime, modify_date datetime, is_ms_shipped bit, is_disabled bit, \
    is_not_for_replication bit, is_instead_of_trigger bit";

fn triggers() -> Vec<View> {
    let trigger = format!(
        "SELECT name, id AS object_id, 1 AS parent_class, 'OBJECT_OR_COLUMN' AS parent_class_desc, table_id AS parent_id, \
         'TR' AS type, 'SQL_TRIGGER' AS type_desc, {} AS create_date, {} AS modify_date, 0 AS is_ms_shipped, disabled AS is_disabled, \
         0 AS is_not_for_replication, 0 AS is_instead_of_trigger FROM main.tsql_trigger",
        moment("created_ms"),
        moment("modified_ms")
    );
    vec![
        view("sys", "triggers", TRIGGER, trigger),
        view(
            "sys",
            "sql_modules",
            "object_id int, definition nvarchar(max)",
            "SELECT id AS object_id, definition FROM main.tsql_trigger",
        ),
    ]
}

fn objects() -> Vec<View> {
    let tables = table_object();
    let constraints = format!(
        "{tables} UNION ALL SELECT c.default_name, c.default_id, t.schema_id, t.id, 'D ', 'DEFAULT_CONSTRAINT', \
         NULL, NULL, 0 FROM main.tsql_column AS c JOIN main.tsql_table AS t ON t.id = c.table_id WHERE c.default_id IS NOT NULL \
         UNION ALL SELECT i.name, i.object_id, t.schema_id, t.id, CASE WHEN i.is_primary THEN 'PK' ELSE 'UQ' END, \
         CASE WHEN i.is_primary THEN 'PRIMARY_KEY_CONSTRAINT' ELSE 'UNIQUE_CONSTRAINT' END, NULL, NULL, 0 \
         FROM main.tsql_index AS i JOIN main.tsql_table AS t ON t.id = i.table_id WHERE i.is_constraint \
         UNION ALL SELECT f.name, f.id, t.schema_id, t.id, 'F ', 'FOREIGN_KEY_CONSTRAINT', NULL, NULL, 0 \
         FROM main.tsql_foreign_key AS f JOIN main.tsql_table AS t ON t.id = f.table_id \
         UNION ALL SELECT k.name, k.id, t.schema_id, t.id, 'C ', 'CHECK_CONSTRAINT', NULL, NULL, 0 \
         FROM main.tsql_check AS k JOIN main.tsql_table AS t ON t.id = k.table_id \
         UNION ALL SELECT g.name, g.id, t.schema_id, t.id, 'TR', 'SQL_TRIGGER', {}, {}, 0 \
         FROM main.tsql_trigger AS g JOIN main.tsql_table AS t ON t.id = g.table_id",
        moment("g.created_ms"),
        moment("g.modified_ms")
    );
    vec![
        view(
            "sys",
            "schemas",
            "name sysname, schema_id int, principal_id int",
            "SELECT name, id AS schema_id, 1 AS principal_id FROM main.tsql_schema",
        ),
        view("sys", "objects", OBJECT, constraints),
        view(
            "sys",
            "tables",
            "name sysname, object_id int, schema_id int, parent_object_id int, type char(2), type_desc nvarchar(60), create_date datetime, \
             modify_date datetime, is_ms_shipped bit, temporal_type tinyint, is_memory_optimized bit, is_external bit",
            format!(
                "SELECT *, 0 AS temporal_type, 0 AS is_memory_optimized, 0 AS is_external FROM ({tables})"
            ),
        ),
        view(
            "sys",
            "views",
            "name sysname, object_id int, schema_id int, is_ms_shipped bit",
            "SELECT '' AS name, 0 AS object_id, 0 AS schema_id, 0 AS is_ms_shipped WHERE 0",
        ),
    ]
}

fn columns() -> Vec<View> {
    let column = "SELECT table_id AS object_id, name, id AS column_id, system_type_id, system_type_id AS user_type_id, max_length, \
        precision, scale, collation AS collation_name, nullable AS is_nullable, 0 AS is_rowguidcol, seed IS NOT NULL AS is_identity, \
        EXISTS (SELECT 1 FROM main.tsql_computed AS x WHERE x.table_id = c.table_id AND x.column_id = c.id) AS is_computed, 0 AS is_hidden, 0 AS is_sparse, 0 AS generated_always_type, ifnull(default_id, 0) AS default_object_id, \
        seed AS seed_value, step AS increment_value, (SELECT last FROM main.tsql_identity AS n WHERE n.table_id = c.table_id) AS last_value, \
        (SELECT x.text FROM main.tsql_computed AS x WHERE x.table_id = c.table_id AND x.column_id = c.id) AS definition, \
        (SELECT x.persisted FROM main.tsql_computed AS x WHERE x.table_id = c.table_id AND x.column_id = c.id) AS is_persisted \
        FROM main.tsql_column AS c";
    const COLUMN: &str = "object_id int, name sysname, column_id int, system_type_id tinyint, user_type_id int, max_length smallint, \
        precision tinyint, scale tinyint, collation_name sysname, is_nullable bit, is_rowguidcol bit, is_identity bit, is_computed bit, \
        is_hidden bit, is_sparse bit, generated_always_type tinyint, default_object_id int";
    const IDENTITY: &str = "object_id int, name sysname, column_id int, system_type_id tinyint, user_type_id int, is_nullable bit, \
        seed_value bigint, increment_value bigint, last_value bigint";
    const COMPUTED: &str =
        "object_id int, name sysname, column_id int, definition nvarchar(max), is_persisted bit";
    let types: Vec<String> = system_types()
        .iter()
        .map(|(name, shape)| {
            format!(
                "('{name}', {0}, {0}, {1}, {2}, {3}, 0)",
                shape.system_type_id, shape.max_length, shape.precision, shape.scale
            )
        })
        .collect();
    let types = format!(
        "SELECT column1 AS name, column2 AS system_type_id, column3 AS user_type_id, column4 AS max_length, column5 AS precision, \
         column6 AS scale, column7 AS is_user_defined, 0 AS is_table_type, 1 AS is_nullable, 4 AS schema_id FROM (VALUES {}, \
         ('sysname', 231, 256, 256, 0, 0, 0))",
        types.join(", ")
    );
    vec![
        view("sys", "columns", COLUMN, column),
        view("sys", "all_columns", COLUMN, column),
        view(
            "sys",
            "identity_columns",
            IDENTITY,
            format!("SELECT * FROM ({column}) WHERE is_identity"),
        ),
        view(
            "sys",
            "computed_columns",
            COMPUTED,
            format!("SELECT * FROM ({column}) WHERE is_computed"),
        ),
        view(
            "sys",
            "types",
            "name sysname, system_type_id tinyint, user_type_id int, max_length smallint, precision tinyint, scale tinyint, \
             is_user_defined bit, is_table_type bit, is_nullable bit, schema_id int",
            types,
        ),
        view(
            "sys",
            "default_constraints",
            "name sysname, object_id int, schema_id int, parent_object_id int, parent_column_id int, definition nvarchar(max)",
            "SELECT c.default_name AS name, c.default_id AS object_id, t.schema_id, t.id AS parent_object_id, c.id AS parent_column_id, \
             c.default_text AS definition FROM main.tsql_column AS c JOIN main.tsql_table AS t ON t.id = c.table_id \
             WHERE c.default_id IS NOT NULL",
        ),
    ]
}

fn keys() -> Vec<View> {
    vec![
        view(
            "sys",
            "indexes",
            "object_id int, name sysname, index_id int, type tinyint, type_desc nvarchar(60), is_unique bit, is_primary_key bit, \
             is_unique_constraint bit, is_disabled bit, has_filter bit",
            "SELECT table_id AS object_id, name, id AS index_id, CASE WHEN clustered THEN 1 ELSE 2 END AS type, \
             CASE WHEN clustered THEN 'CLUSTERED' ELSE 'NONCLUSTERED' END AS type_desc, is_unique, is_primary AS is_primary_key, \
             is_constraint AND NOT is_primary AS is_unique_constraint, 0 AS is_disabled, 0 AS has_filter FROM main.tsql_index",
        ),
        view(
            "sys",
            "index_columns",
            "object_id int, index_id int, index_column_id int, column_id int, key_ordinal tinyint, is_descending_key bit, \
             is_included_column bit",
            "SELECT table_id AS object_id, index_id, ordinal AS index_column_id, column_id, ordinal AS key_ordinal, \
             descending AS is_descending_key, 0 AS is_included_column FROM main.tsql_index_column",
        ),
        view(
            "sys",
            "key_constraints",
            "name sysname, object_id int, parent_object_id int, schema_id int, type char(2), unique_index_id int",
            "SELECT i.name, i.object_id, i.table_id AS parent_object_id, t.schema_id, CASE WHEN i.is_primary THEN 'PK' ELSE 'UQ' END \
             AS type, i.id AS unique_index_id FROM main.tsql_index AS i JOIN main.tsql_table AS t ON t.id = i.table_id WHERE i.is_constraint",
        ),
        view(
            "sys",
            "check_constraints",
            "name sysname, object_id int, parent_object_id int, schema_id int, type char(2), parent_column_id int, definition nvarchar(max), \
             is_disabled bit, is_not_trusted bit",
            "SELECT k.name, k.id AS object_id, k.table_id AS parent_object_id, t.schema_id, 'C ' AS type, \
             ifnull(k.column_id, 0) AS parent_column_id, k.text AS definition, 0 AS is_disabled, 0 AS is_not_trusted \
             FROM main.tsql_check AS k JOIN main.tsql_table AS t ON t.id = k.table_id",
        ),
        view(
            "sys",
            "foreign_keys",
            "name sysname, object_id int, parent_object_id int, referenced_object_id int, delete_referential_action tinyint",
            "SELECT name, id AS object_id, table_id AS parent_object_id, to_table_id AS referenced_object_id, \
             cascades AS delete_referential_action FROM main.tsql_foreign_key",
        ),
        view(
            "sys",
            "foreign_key_columns",
            "constraint_object_id int, constraint_column_id int, parent_object_id int, parent_column_id int, referenced_object_id int, \
             referenced_column_id int",
            "SELECT c.foreign_key_id AS constraint_object_id, c.ordinal AS constraint_column_id, f.table_id AS parent_object_id, \
             c.column_id AS parent_column_id, f.to_table_id AS referenced_object_id, c.to_column_id AS referenced_column_id \
             FROM main.tsql_foreign_key_column AS c JOIN main.tsql_foreign_key AS f ON f.id = c.foreign_key_id",
        ),
    ]
}

fn database() -> Vec<View> {
    let state = |name: &str| format!("(SELECT value FROM main.tsql_state WHERE name = '{name}')");
    let (snapshot, tracking) = (state("snapshot_allowed"), state("tracking"));
    let read_only = state("read_only");
    let compatibility = state("compatibility");
    let databases = format!(
        "SELECT name, {DATABASE_ID} AS database_id, {compatibility} AS compatibility_level, '{DATABASE_COLLATION}' AS collation_name, 'ONLINE' AS state_desc, \
         0 AS state, {read_only} AS is_read_only, {snapshot} AS snapshot_isolation_state, CASE {snapshot} WHEN 1 THEN 'ON' ELSE 'OFF' END \
         AS snapshot_isolation_state_desc, 1 AS is_read_committed_snapshot_on FROM main.tsql_database"
    );
    let tracked = format!(
        "SELECT {DATABASE_ID} AS database_id, {} AS is_auto_cleanup_on, {} AS retention_period, 'MINUTES' AS retention_period_units_desc, \
         1 AS retention_period_units WHERE {tracking} = 1",
        state("auto_cleanup"),
        state("retention_minutes")
    );
    vec![
        view(
            "sys",
            "databases",
            "name sysname, database_id int, compatibility_level tinyint, collation_name sysname, state_desc nvarchar(60), state tinyint, \
             is_read_only bit, snapshot_isolation_state tinyint, snapshot_isolation_state_desc nvarchar(60), \
             is_read_committed_snapshot_on bit",
            databases,
        ),
        view(
            "sys",
            "change_tracking_databases",
            "database_id int, is_auto_cleanup_on bit, retention_period int, retention_period_units_desc nvarchar(60), \
             retention_period_units tinyint",
            tracked,
        ),
        view(
            "sys",
            "change_tracking_tables",
            "object_id int, is_track_columns_updated_on bit, min_valid_version bigint, begin_version bigint, cleanup_version bigint",
            "SELECT table_id AS object_id, track_columns AS is_track_columns_updated_on, min_valid AS min_valid_version, begin_version, \
             cleanup_version FROM main.tsql_tracking",
        ),
        view(
            "sys",
            "database_principals",
            "name sysname, principal_id int, type char(2), type_desc nvarchar(60)",
            PRINCIPALS,
        ),
    ]
}

fn information_schema() -> Vec<View> {
    let catalog = "(SELECT name FROM main.tsql_database)";
    let on = "JOIN main.tsql_schema AS s ON s.id = t.schema_id";
    let type_names = type_name("c.system_type_id");
    vec![
        view(
            "INFORMATION_SCHEMA",
            "TABLES",
            "TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME sysname, TABLE_TYPE varchar(10)",
            format!(
                "SELECT {catalog} AS TABLE_CATALOG, s.name AS TABLE_SCHEMA, t.name AS TABLE_NAME, 'BASE TABLE' AS TABLE_TYPE \
                 FROM main.tsql_table AS t {on}"
            ),
        ),
        view(
            "INFORMATION_SCHEMA",
            "COLUMNS",
            "TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME sysname, COLUMN_NAME sysname, ORDINAL_POSITION int, \
             COLUMN_DEFAULT nvarchar(4000), IS_NULLABLE varchar(3), DATA_TYPE nvarchar(128), CHARACTER_MAXIMUM_LENGTH int, \
             NUMERIC_PRECISION tinyint, NUMERIC_SCALE int, DATETIME_PRECISION smallint, COLLATION_NAME sysname",
            format!(
                "SELECT {catalog} AS TABLE_CATALOG, s.name AS TABLE_SCHEMA, t.name AS TABLE_NAME, c.name AS COLUMN_NAME, \
                 row_number() OVER (PARTITION BY c.table_id ORDER BY c.id) AS ORDINAL_POSITION, c.default_text AS COLUMN_DEFAULT, \
                 CASE WHEN c.nullable THEN 'YES' ELSE 'NO' END AS IS_NULLABLE, {type_names} AS DATA_TYPE, \
                 CASE WHEN c.system_type_id IN (231, 239) AND c.max_length > 0 THEN c.max_length / 2 \
                 WHEN c.system_type_id IN (167, 175, 165, 173, 231, 239) THEN c.max_length \
                 WHEN c.system_type_id IN (34, 35) THEN 2147483647 WHEN c.system_type_id = 99 THEN 1073741823 END \
                 AS CHARACTER_MAXIMUM_LENGTH, CASE WHEN c.system_type_id IN (48, 52, 56, 127, 106, 60, 122, 59, 62) THEN c.precision END \
                 AS NUMERIC_PRECISION, CASE WHEN c.system_type_id IN (48, 52, 56, 127, 106, 60, 122) THEN c.scale END AS NUMERIC_SCALE, \
                 CASE WHEN c.system_type_id IN (40, 41, 42, 43, 58, 61) THEN c.scale END AS DATETIME_PRECISION, \
                 c.collation AS COLLATION_NAME FROM main.tsql_column AS c JOIN main.tsql_table AS t ON t.id = c.table_id {on}"
            ),
        ),
        view(
            "INFORMATION_SCHEMA",
            "TABLE_CONSTRAINTS",
            "CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME sysname, TABLE_SCHEMA nvarchar(128), \
             TABLE_NAME sysname, CONSTRAINT_TYPE varchar(11)",
            format!(
                "SELECT {catalog} AS CONSTRAINT_CATALOG, s.name AS CONSTRAINT_SCHEMA, i.name AS CONSTRAINT_NAME, s.name AS TABLE_SCHEMA, \
                 t.name AS TABLE_NAME, CASE WHEN i.is_primary THEN 'PRIMARY KEY' ELSE 'UNIQUE' END AS CONSTRAINT_TYPE \
                 FROM main.tsql_index AS i JOIN main.tsql_table AS t ON t.id = i.table_id {on} WHERE i.is_constraint"
            ),
        ),
        view(
            "INFORMATION_SCHEMA",
            "KEY_COLUMN_USAGE",
            "CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME sysname, TABLE_SCHEMA nvarchar(128), \
             TABLE_NAME sysname, COLUMN_NAME sysname, ORDINAL_POSITION int",
            format!(
                "SELECT {catalog} AS CONSTRAINT_CATALOG, s.name AS CONSTRAINT_SCHEMA, i.name AS CONSTRAINT_NAME, s.name AS TABLE_SCHEMA, \
                 t.name AS TABLE_NAME, c.name AS COLUMN_NAME, x.ordinal AS ORDINAL_POSITION FROM main.tsql_index AS i \
                 JOIN main.tsql_index_column AS x ON x.table_id = i.table_id AND x.index_id = i.id \
                 JOIN main.tsql_column AS c ON c.table_id = x.table_id AND c.id = x.column_id \
                 JOIN main.tsql_table AS t ON t.id = i.table_id {on} WHERE i.is_constraint"
            ),
        ),
    ]
}
