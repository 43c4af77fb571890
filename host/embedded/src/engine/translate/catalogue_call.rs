//! Functions that ask for names, numbers and rights of objects, for change tracking's versions and for the server.

use super::call::{exactly, first, text_of};
use super::expression::constant;
use super::scope::Typed;
use super::tracking::COMMITTED;
use super::{Translated, Translator, literal};
use crate::engine::catalogue::{DATABASE_COLLATION, fold};
use crate::engine::commits::TRACKING;
use crate::engine::refusal;
use crate::engine::views::{self, DATABASE_ID};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

const NAME: SqlType = SqlType::NVarChar { length: Some(128) };
/// Every table with its schema.
const TABLES: &str = "main.tsql_table AS t JOIN main.tsql_schema AS s ON s.id = t.schema_id";

impl Translator<'_, '_> {
    pub(super) fn catalogue_call(
        &mut self,
        name: &str,
        given: &[Typed],
    ) -> Translated<Option<Typed>> {
        if name == "OBJECT_ID"
            && let Some(temporary) = self.temporary_id(given)
        {
            return Ok(Some(temporary));
        }
        let found = match self.name_call(name, given)? {
            Some(found) => found,
            None => match self.tracking_call(name, given)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        self.uses.database = true;
        Ok(Some(found))
    }

    fn name_call(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        let asked = |default: &str| given.first().map_or(default.to_string(), |g| g.sql.clone());
        let (sql, of) = match name {
            "OBJECT_ID" => (object_id(given)?, SqlType::Int),
            "OBJECT_DEFINITION" => (
                format!(
                    "SELECT definition FROM main.tsql_trigger WHERE id = {}",
                    first(name, given)?.sql
                ),
                SqlType::NVarChar { length: None },
            ),
            "OBJECT_NAME" => (
                format!("SELECT name FROM main.tsql_table WHERE id = {}", first(name, given)?.sql),
                NAME,
            ),
            "OBJECT_SCHEMA_NAME" => (
                format!("SELECT s.name FROM {TABLES} WHERE t.id = {}", first(name, given)?.sql),
                NAME,
            ),
            "SCHEMA_ID" => {
                let wanted = asked("'dbo'");
                let sql = format!(
                    "SELECT id FROM main.tsql_schema WHERE name = {wanted} COLLATE TSQL_CI"
                );
                (sql, SqlType::Int)
            }
            "SCHEMA_NAME" => {
                (format!("SELECT name FROM main.tsql_schema WHERE id = {}", asked("1")), NAME)
            }
            "COL_LENGTH" => {
                let [table, column] = exactly(name, given)?;
                let sql = format!(
                    "SELECT max_length FROM main.tsql_column WHERE name = {} COLLATE TSQL_CI AND table_id = (SELECT t.id \
                     FROM {TABLES} WHERE ts_is_name({}, s.name, t.name))",
                    column.sql, table.sql
                );
                (sql, SqlType::SmallInt)
            }
            "COLUMNPROPERTY" => return self.column_property(given).map(Some),
            "OBJECTPROPERTY" | "OBJECTPROPERTYEX" => (object_property(given)?, SqlType::Int),
            "TYPE_NAME" => (format!("SELECT {}", views::type_name(&first(name, given)?.sql)), NAME),
            "DATABASE_PRINCIPAL_ID" => {
                let wanted = &first(name, given)?.sql;
                let sql = format!(
                    "SELECT principal_id FROM ({}) WHERE name = {wanted} COLLATE TSQL_CI",
                    views::PRINCIPALS
                );
                (sql, SqlType::Int)
            }
            _ => return Ok(None),
        };
        Ok(Some(Typed::new(format!("({sql})"), of, true)))
    }

    fn tracking_call(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        Ok(Some(match name {
            "CHANGE_TRACKING_CURRENT_VERSION" => {
                self.names_table(TRACKING);
                let sql = if self.around.catalogue.tracking.is_some() { COMMITTED } else { "NULL" };
                Typed::new(sql, SqlType::BigInt, true)
            }
            "CHANGE_TRACKING_MIN_VALID_VERSION" => {
                let id = &first(name, given)?.sql;
                // Without the right to a table its minimum is NULL, not an error.
                let sql = format!(
                    "(SELECT min_valid FROM main.tsql_tracking WHERE table_id = {id}{})",
                    self.readable("VIEW CHANGE TRACKING", "table_id")
                );
                Typed::new(sql, SqlType::BigInt, true)
            }
            "CHANGE_TRACKING_IS_COLUMN_IN_MASK" => {
                let [column, mask] = exactly(name, given)?;
                let sql = format!("ts_ct_in_mask({}, {})", column.sql, mask.sql);
                Typed::new(sql, SqlType::Int, true)
            }
            _ => return Ok(None),
        }))
    }

    /// `OBJECT_ID('tempdb..#t')`
    fn temporary_id(&self, given: &[Typed]) -> Option<Typed> {
        let Some(Value::Text(text)) = given.first()?.constant.as_ref() else { return None };
        let plain = text.replace(['[', ']'], "");
        let name = plain.rsplit('.').next().filter(|name| name.starts_with('#'))?;
        let id = self.around.temporary.find(name).ok().map(|table| i64::from(table.id));
        Some(constant(id.map_or(Value::Null, Value::Int), SqlType::Int))
    }

    /// For a user with few rights: only the tables that one of them covers.
    fn readable(&self, right: &str, column: &str) -> String {
        if self.around.is_owner {
            return String::new();
        }
        let catalogue = self.around.catalogue;
        let ids: Vec<String> = catalogue
            .by_id
            .values()
            .filter(|table| catalogue.principals.allows(self.around.user, &[right], Some(table)))
            .map(|table| table.id.to_string())
            .collect();
        format!(" AND {column} IN ({})", ids.join(", "))
    }

    fn column_property(&mut self, given: &[Typed]) -> Translated<Typed> {
        let [table, column, property] = exactly("COLUMNPROPERTY", given)?;
        let Some(Value::Text(wanted)) = &property.constant else {
            return Err(refusal::unsupported(
                "COLUMNPROPERTY of a property that is not a constant",
            ));
        };
        let sql = match fold(wanted).as_str() {
            "columnid" => "id",
            "isidentity" => "seed IS NOT NULL",
            "allowsnull" => "nullable",
            "iscomputed" => {
                "EXISTS (SELECT 1 FROM main.tsql_computed AS x WHERE x.table_id = tsql_column.table_id AND x.column_id = id)"
            }
            _ => return Err(refusal::unsupported(&format!("COLUMNPROPERTY {wanted}"))),
        };
        let sql = format!(
            "(SELECT {sql} FROM main.tsql_column WHERE table_id = {} AND name = {} COLLATE TSQL_CI)",
            table.sql, column.sql
        );
        Ok(Typed::new(sql, SqlType::Int, true))
    }

    pub(super) fn server_call(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        Ok(Some(match name {
            "DB_ID" => match given {
                [] => constant(Value::Int(DATABASE_ID), SqlType::SmallInt),
                _ => {
                    let database = literal(&self.around.catalogue.database);
                    let sql = format!(
                        "CASE WHEN {} = {database} COLLATE TSQL_CI THEN {DATABASE_ID} END",
                        first(name, given)?.sql
                    );
                    Typed::new(sql, SqlType::SmallInt, true)
                }
            },
            "DB_NAME" => {
                let database = literal(&self.around.catalogue.database);
                Typed::new(
                    format!(
                        "CASE WHEN {} = {DATABASE_ID} THEN {database} END",
                        first(name, given)?.sql
                    ),
                    NAME,
                    true,
                )
            }
            "DATABASEPROPERTYEX" => {
                let [_, property] = exactly(name, given)?;
                let of = match self.around.catalogue.read_only {
                    true => read_only_property,
                    false => database_property,
                };
                self.property(property, of)?
            }
            "SERVERPROPERTY" => {
                let [property] = exactly(name, given)?;
                self.property(property, server_property)?
            }
            "HAS_PERMS_BY_NAME" => self.has_permission(given)?,
            "IS_SRVROLEMEMBER" | "IS_MEMBER" | "IS_ROLEMEMBER" => {
                let role = text_of(first(name, given)?, name)?;
                let owner = matches!(fold(&role).as_str(), "sysadmin" | "db_owner");
                let member = (owner && self.around.is_owner)
                    || self.around.catalogue.principals.is_member(self.around.user, &role);
                constant(Value::Int(i64::from(member)), SqlType::Int)
            }
            _ => return Ok(None),
        }))
    }

    /// A property that SQL Server gives as sql_variant and the embedded channel as text; one it does not know is NULL.
    fn property(
        &mut self,
        given: &Typed,
        of: fn(&str) -> Option<&'static str>,
    ) -> Translated<Typed> {
        let name = text_of(given, "a property")?;
        Ok(match of(&fold(&name)) {
            Some(text) => Typed { nullable: true, ..constant(Value::Text(text.to_string()), NAME) },
            None => Typed::new("NULL", NAME, true),
        })
    }

    /// HAS_PERMS_BY_NAME(securable, class, right[, sub-securable, class]): NULL for what does not exist.
    fn has_permission(&mut self, given: &[Typed]) -> Translated<Typed> {
        let name = "HAS_PERMS_BY_NAME";
        if !(3..=5).contains(&given.len()) {
            return Err(refusal::argument_count(name, "3 to 5"));
        }
        let right = text_of(&given[2], name)?.to_ascii_uppercase();
        let column = match given.get(3) {
            Some(sub) if !sub.null => Some(text_of(sub, name)?),
            _ => None,
        };
        let answer = if given[0].null {
            Some(self.around.may(&right, None))
        } else {
            let wanted = text_of(&given[0], name)?;
            match text_of(&given[1], name)?.to_ascii_uppercase().as_str() {
                "DATABASE" => Some(self.around.may(&right, None)),
                "SCHEMA" => self.around.may_in_schema(&right, &wanted),
                _ => self.around.may_on_name(&right, &wanted, column.as_deref()),
            }
        };
        let value = answer.map_or(Value::Null, |may| Value::Int(i64::from(may)));
        Ok(Typed { nullable: true, ..constant(value, SqlType::Int) })
    }
}

/// OBJECT_ID(name[, type]): tables first, which is what nearly everybody asks for.
fn object_id(given: &[Typed]) -> Translated<String> {
    let wanted = &first("OBJECT_ID", given)?.sql;
    let table = format!("SELECT t.id FROM {TABLES} WHERE ts_is_name({wanted}, s.name, t.name)");
    let other = |condition: String| {
        format!(
            "SELECT o.id FROM ({OTHERS}) AS o JOIN main.tsql_table AS t ON t.id = o.table_id JOIN main.tsql_schema AS s \
             ON s.id = t.schema_id WHERE ts_is_name({wanted}, s.name, o.name){condition}"
        )
    };
    let Some(of) = given.get(1).filter(|of| !of.null) else {
        return Ok(format!("SELECT coalesce(({table}), ({}))", other(String::new())));
    };
    let of = text_of(of, "OBJECT_ID")?.trim().to_ascii_uppercase();
    Ok(match of.as_str() {
        "U" => table,
        _ => other(format!(" AND o.type = {}", literal(&of))),
    })
}

/// NULL for what does not exist; everything has the one owner.
fn object_property(given: &[Typed]) -> Translated<String> {
    let [id, property] = exactly("OBJECTPROPERTY", given)?;
    let wanted = text_of(property, "OBJECTPROPERTY")?;
    let (table, other) = match fold(&wanted).as_str() {
        "ownerid" => ("1", "1"),
        "istable" | "isusertable" => ("1", "0"),
        "istrigger" => ("0", "o.type = 'TR'"),
        "tablehasprimarykey" => (
            "EXISTS (SELECT 1 FROM main.tsql_index AS i WHERE i.table_id = t.id AND i.is_primary)",
            "NULL",
        ),
        "ismsshipped" => ("0", "0"),
        _ => return Err(refusal::unsupported(&format!("OBJECTPROPERTY {wanted}"))),
    };
    Ok(format!(
        "SELECT {table} FROM main.tsql_table AS t WHERE t.id = {0} UNION ALL SELECT {other} FROM ({OTHERS}) AS o WHERE o.id = {0}",
        id.sql
    ))
}

/// What has a name and a number beside tables, each with its table.
const OTHERS: &str = "SELECT id, table_id, name, 'TR' AS type FROM main.tsql_trigger \
    UNION ALL SELECT default_id, table_id, default_name, 'D' FROM main.tsql_column WHERE default_id IS NOT NULL \
    UNION ALL SELECT object_id, table_id, name, CASE WHEN is_primary THEN 'PK' ELSE 'UQ' END FROM main.tsql_index WHERE is_constraint \
    UNION ALL SELECT id, table_id, name, 'C' FROM main.tsql_check \
    UNION ALL SELECT id, table_id, name, 'F' FROM main.tsql_foreign_key";

fn database_property(name: &str) -> Option<&'static str> {
    Some(match name {
        "updateability" => "READ_WRITE",
        "status" => "ONLINE",
        "collation" => DATABASE_COLLATION,
        "recovery" => "SIMPLE",
        "useraccess" => "MULTI_USER",
        _ => return None,
    })
}

fn read_only_property(name: &str) -> Option<&'static str> {
    if name == "updateability" { Some("READ_ONLY") } else { database_property(name) }
}

fn server_property(name: &str) -> Option<&'static str> {
    Some(match name {
        "productversion" => "15.0.0.0",
        "productmajorversion" => "15",
        "productminorversion" => "0",
        "productlevel" => "RTM",
        "edition" => "Tillhold embedded channel",
        "engineedition" => "3",
        "collation" => DATABASE_COLLATION,
        "servername" | "machinename" => "TILLHOLD",
        _ => return None,
    })
}
