//! CHANGETABLE, over a tracked table's log of changes (`ct:<table>`: key, version, sequence, operation, mask, context).
//!
//! * One row a key: its last change after the baseline.
//! * The operation is relative to the baseline: gone now: `D`; first change after it an insert: `I`; else `U`.
//! * Only committed versions are seen, not even this transaction's own.

use super::joins::VERSION;
use super::scope::{Label, Scope, Shown, Typed, Visible};
use super::{Translated, Translator};
use crate::answer::SqlError;
use crate::engine::catalogue::{Field, Relation, fold, quote};
use crate::engine::commits::TRACKING;
use crate::engine::refusal;
use crate::engine::syntax::{Expr, ObjectName};
use crate::engine::tracking::log_name;
use std::sync::Arc;
use tillhold_core::types::SqlType;

/// The newest version that this reader may see.
pub(super) const COMMITTED: &str =
    "(SELECT value FROM main.tsql_state WHERE name = 'change_version')";

const CONTEXT: SqlType = SqlType::VarBinary { length: Some(128) };
const MASK: SqlType = SqlType::VarBinary { length: Some(4100) };

impl<'q> Translator<'_, 'q> {
    fn tracked(&mut self, name: &ObjectName) -> Translated<Arc<Relation>> {
        let table = self.table(name)?;
        self.names_table(TRACKING);
        if table.tracking.is_none() {
            return Err(refusal::untracked(&table.name.to_string()));
        }
        self.allow("VIEW CHANGE TRACKING", &table)?;
        // Of the table itself only the key is read.
        for field in table.key() {
            if !self.around.may_column("SELECT", &table, field.id) {
                self.allow("SELECT", &table)?;
            }
        }
        Ok(table)
    }

    pub(super) fn changes(
        &mut self,
        name: &ObjectName,
        since: &'q Expr,
        alias: &str,
    ) -> Translated<(String, Visible, bool)> {
        let table = self.tracked(name)?;
        let since = self.value(since, &Scope::empty())?;
        let since = self.convert(since, VERSION)?;
        let source = self.alias();
        let sql = changes_sql(&table, &format!("ifnull({}, -1)", since.sql));
        let fixed = [
            ("SYS_CHANGE_VERSION", "version", VERSION, false),
            ("SYS_CHANGE_CREATION_VERSION", "created", VERSION, true),
            ("SYS_CHANGE_OPERATION", "operation", SqlType::NChar { length: 1 }, false),
            ("SYS_CHANGE_COLUMNS", "mask", MASK, true),
            ("SYS_CHANGE_CONTEXT", "context", CONTEXT, true),
        ];
        let mut columns: Vec<Shown> = fixed
            .into_iter()
            .map(|(name, sql, of, nullable)| {
                Shown::new(name, Typed::new(format!("{source}.{sql}"), of, nullable))
            })
            .collect();
        columns.extend(table.key().enumerate().map(|(at, field)| {
            Shown::new(field.name.clone(), key_value(field, format!("{source}.k{at}")))
        }));
        let visible = Visible {
            alias: alias.to_string(),
            schema: None,
            columns,
            table: None,
            source: source.clone(),
        };
        Ok((format!("({sql}) AS {source}"), visible, false))
    }

    /// CHANGETABLE(VERSION t, (keys), (values)): columns that are looked up for each row around them.
    pub(super) fn version(
        &mut self,
        name: &ObjectName,
        keys: &[String],
        values: &'q [Expr],
        alias: &str,
        scope: &Scope<'_>,
    ) -> Translated<Visible> {
        let table = self.tracked(name)?;
        let fields: Vec<Field> = table.key().cloned().collect();
        if keys.len() != fields.len() || values.len() != fields.len() {
            return Err(SqlError::new(
                22110,
                format!(
                    "The number of columns specified in the CHANGETABLE(VERSION ...) function does not match the number \
                     of primary key columns for table '{}'.",
                    table.name
                ),
            ));
        }
        let mut given = vec![None; fields.len()];
        for (key, value) in keys.iter().zip(values) {
            let at = fields.iter().position(|field| fold(&field.name) == fold(key)).ok_or_else(|| {
                SqlError::new(
                    22111,
                    format!(
                        "The column '{key}' specified in the CHANGETABLE(VERSION ...) function is not part of the primary \
                         key for table '{}'.",
                        table.name
                    ),
                )
            })?;
            let value = self.value(value, scope)?;
            given[at] = Some(self.convert(value, fields[at].of)?);
        }
        let given: Vec<Typed> = given.into_iter().flatten().collect();
        if given.len() != fields.len() {
            return Err(SqlError::new(
                22112,
                "Each primary key column must be specified once in the CHANGETABLE(VERSION ...) function.",
            ));
        }
        let lookup = |wanted: &str| last_change(&table, &fields, &given, wanted);
        let mut columns = vec![
            Shown::new("SYS_CHANGE_VERSION", Typed::new(lookup("version"), VERSION, true)),
            Shown::new("SYS_CHANGE_CONTEXT", Typed::new(lookup("context"), CONTEXT, true)),
        ];
        columns.extend(fields.iter().zip(&given).map(|(field, value)| {
            Shown::new(field.name.clone(), key_value(field, value.sql.clone()))
        }));
        Ok(Visible {
            alias: alias.to_string(),
            schema: None,
            columns,
            table: None,
            source: String::new(),
        })
    }
}

fn key_value(field: &Field, sql: String) -> Typed {
    let label = field.collation.clone().map_or(Label::Default, Label::Implicit);
    Typed::new(sql, field.of, false).with_label(label)
}

fn last_change(table: &Relation, fields: &[Field], given: &[Typed], wanted: &str) -> String {
    let log = quote(&log_name(table));
    let keys: Vec<String> = fields
        .iter()
        .zip(given)
        .enumerate()
        .map(|(at, (field, value))| {
            format!("l.k{at} = {}{}", value.sql, super::collate(field.sqlite_collation()))
        })
        .collect();
    format!(
        "(SELECT l.{wanted} FROM main.{log} AS l WHERE {} AND l.version <= {COMMITTED} ORDER BY l.version DESC, \
         l.sequence DESC LIMIT 1)",
        keys.join(" AND ")
    )
}

/// Driven by the log's (version, key) order, so that a page of changes is read without sorting the rest.
fn changes_sql(table: &Relation, since: &str) -> String {
    let log = quote(&log_name(table));
    let count = table.key().count();
    let keys: Vec<String> = (0..count).map(|at| format!("e.k{at} AS k{at}")).collect();
    let same: Vec<String> = (0..count).map(|at| format!("f.k{at} = e.k{at}")).collect();
    let same = same.join(" AND ");
    let after = format!(
        "FROM main.{log} AS f WHERE {same} AND f.version > {since} AND f.version <= {COMMITTED}"
    );
    let plain = table.fields.iter().filter(|field| field.computed.is_none()).count() - count;
    let mask = if table.tracking.is_some_and(|tracking| tracking.columns) {
        format!(
            "CASE WHEN e.operation = 'D' THEN NULL ELSE (SELECT ts_ct_masks(f.mask, {plain}) {after}) END"
        )
    } else {
        "NULL".to_string()
    };
    format!(
        "SELECT e.version AS version, (SELECT max(f.version) {after} AND f.operation = 'I') AS created, \
         CASE WHEN e.operation = 'D' THEN 'D' \
         WHEN (SELECT f.operation {after} ORDER BY f.version, f.sequence LIMIT 1) = 'I' THEN 'I' ELSE 'U' END AS operation, \
         {mask} AS mask, e.context AS context, {} FROM main.{log} AS e WHERE e.version > {since} AND e.version <= {COMMITTED} \
         AND NOT EXISTS (SELECT 1 FROM main.{log} AS f WHERE {same} AND (f.version, f.sequence) > (e.version, e.sequence) \
         AND f.version <= {COMMITTED})",
        keys.join(", ")
    )
}
