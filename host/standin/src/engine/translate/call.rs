//! Functions by name. One that is not here is error 195.

use super::aggregate::AGGREGATES;
use super::expression::constant;
use super::facts::Fact;
use super::scope::{Label, Scope, Typed};
use super::tracking::COMMITTED;
use super::{Translated, Translator, literal};
use crate::engine::catalogue::fold;
use crate::engine::refusal;
use crate::engine::syntax::{BinaryOperator as Op, Call};
use crate::engine::views;
use crate::engine::types::{Family, code, family, is_national, length, varying};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

const NAME: SqlType = SqlType::NVarChar { length: Some(128) };
/// The number of the stand-in's one user database.
pub(super) const DATABASE_ID: i64 = 5;

impl<'q> Translator<'_, 'q> {
    pub(super) fn call(&mut self, call: &'q Call, scope: &Scope<'_>) -> Translated<Typed> {
        if AGGREGATES.contains(&call.name.as_str()) {
            return self.aggregate(call, scope);
        }
        if let Some(rank) = self.rank(call, scope)? {
            return Ok(rank);
        }
        if call.star || call.distinct || call.over.is_some() {
            return Err(refusal::syntax(&call.name));
        }
        if call.name == "IIF" {
            return self.iif(call, scope);
        }
        if let Some(fact) = Fact::function(&call.name).filter(|_| call.arguments.is_empty()) {
            return Ok(self.fact(fact));
        }
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            arguments.push(self.value(argument, scope)?);
        }
        let name = call.name.as_str();
        for room in [Self::choice, Self::text, Self::number, Self::moment, Self::catalogue_call, Self::server] {
            if let Some(found) = room(self, name, &arguments)? {
                return Ok(found);
            }
        }
        Err(refusal::unknown_function(&call.name))
    }

    fn iif(&mut self, call: &'q Call, scope: &Scope<'_>) -> Translated<Typed> {
        let [condition, then, otherwise] = call.arguments.as_slice() else {
            return Err(refusal::argument_count("iif", "3"));
        };
        let when = self.predicate(condition, scope)?;
        let results = vec![self.value(then, scope)?, self.value(otherwise, scope)?];
        let (results, of, label) = self.unified(results)?;
        let nullable = results.iter().any(|result| result.nullable);
        let sql = format!("CASE WHEN {when} THEN {} ELSE {} END", results[0].sql, results[1].sql);
        Ok(Typed::new(sql, of, nullable).with_label(label))
    }

    fn choice(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        Ok(Some(match name {
            "ISNULL" => {
                let [value, other] = exactly(name, given)?;
                if value.null {
                    return Ok(Some(other.clone()));
                }
                let fallback = self.convert(other.clone(), value.of)?;
                let sql = format!("ifnull({}, {})", value.sql, fallback.sql);
                Typed::new(sql, value.of, other.nullable).with_label(value.label.clone())
            }
            "COALESCE" => {
                if given.len() < 2 {
                    return Err(refusal::argument_count(name, "2 or more"));
                }
                let nullable = given.iter().all(|value| value.nullable);
                let (values, of, label) = self.unified(given.to_vec())?;
                let list: Vec<&str> = values.iter().map(|value| value.sql.as_str()).collect();
                Typed::new(format!("coalesce({})", list.join(", ")), of, nullable).with_label(label)
            }
            "NULLIF" => {
                let [value, other] = exactly(name, given)?;
                let same = self.comparison(Op::Equal, value.clone(), other.clone())?;
                let sql = format!("CASE WHEN {same} THEN NULL ELSE {} END", value.sql);
                Typed::new(sql, value.of, true).with_label(value.label.clone())
            }
            "NEWID" => Typed::new("ts_newid()", SqlType::UniqueIdentifier, false),
            _ => return Ok(None),
        }))
    }

    fn text(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        Ok(Some(match name {
            "LEN" => {
                let [value] = exactly(name, given)?;
                let value = if family(value.of) == Family::Binary { value.clone() } else { self.as_text(value.clone())? };
                let of = if length(value.of).is_none() { SqlType::BigInt } else { SqlType::Int };
                Typed::new(format!("ts_len({})", value.sql), of, value.nullable)
            }
            "DATALENGTH" => {
                let [value] = exactly(name, given)?;
                let of = if length(value.of).is_none() { SqlType::BigInt } else { SqlType::Int };
                let sql = format!("ts_datalength({}, {})", value.sql, code(value.of));
                Typed::new(sql, of, value.nullable)
            }
            "UPPER" | "LOWER" | "LTRIM" | "RTRIM" | "TRIM" | "REVERSE" => self.mapped(name, given)?,
            "SUBSTRING" => {
                let [value, start, length] = exactly(name, given)?;
                self.part(value.clone(), start.clone(), length.clone())?
            }
            "LEFT" => {
                let [value, length] = exactly(name, given)?;
                let start = constant(Value::Int(1), SqlType::Int);
                self.part(value.clone(), start, length.clone())?
            }
            "RIGHT" => {
                let [value, length] = exactly(name, given)?;
                let value = self.as_text(value.clone())?;
                let length = self.convert(length.clone(), SqlType::BigInt)?;
                let sql = format!(
                    "ts_substring({0}, ts_len({0} || '.') - min({1}, ts_len({0} || '.') - 1), {1})",
                    value.sql, length.sql
                );
                let of = varying(is_national(value.of), bounded(&value, &length));
                Typed::new(sql, of, true).with_label(value.label)
            }
            "REPLACE" => {
                let [value, from, to] = exactly(name, given)?;
                let value = self.as_text(value.clone())?;
                let (from, to) = (self.as_text(from.clone())?, self.as_text(to.clone())?);
                let folds = i32::from(value.label.meet(&from.label)?.compared("replace")? == "TSQL_CI");
                let national = is_national(value.of);
                let most = length(value.of).map(|_| if national { 4000 } else { 8000 });
                let sql = format!("ts_replace({}, {}, {}, {folds})", value.sql, from.sql, to.sql);
                Typed::new(sql, varying(national, most), true).with_label(value.label)
            }
            "CHARINDEX" => {
                if !(2..=3).contains(&given.len()) {
                    return Err(refusal::argument_count(name, "2 to 3"));
                }
                let (needle, value) = (self.as_text(given[0].clone())?, self.as_text(given[1].clone())?);
                let folds = i32::from(needle.label.meet(&value.label)?.compared("charindex")? == "TSQL_CI");
                let start = given.get(2).map_or("1", |start| &start.sql);
                let of = if length(value.of).is_none() { SqlType::BigInt } else { SqlType::Int };
                Typed::new(format!("ts_charindex({}, {}, {start}, {folds})", needle.sql, value.sql), of, true)
            }
            "REPLICATE" => {
                let [value, times] = exactly(name, given)?;
                let value = self.as_text(value.clone())?;
                let most = if is_national(value.of) { 4000 } else { 8000 };
                let sql = format!("ts_replicate({}, {})", value.sql, times.sql);
                Typed::new(sql, varying(is_national(value.of), Some(most)), true).with_label(value.label)
            }
            "CONCAT" => self.concat(given)?,
            "QUOTENAME" => {
                let [value] = exactly(name, given)?;
                let value = self.as_text(value.clone())?;
                let of = SqlType::NVarChar { length: Some(258) };
                Typed::new(format!("ts_quotename({})", value.sql), of, true)
            }
            _ => return Ok(None),
        }))
    }

    fn mapped(&mut self, name: &str, given: &[Typed]) -> Translated<Typed> {
        let [value] = exactly(name, given)?;
        let value = self.as_text(value.clone())?;
        let sql = match name {
            "TRIM" => format!("ts_ltrim(ts_rtrim({}))", value.sql),
            _ => format!("ts_{}({})", name.to_lowercase(), value.sql),
        };
        let of = varying(is_national(value.of), length(value.of).map(u32::from));
        Ok(Typed::new(sql, of, value.nullable).with_label(value.label))
    }

    fn part(&mut self, value: Typed, start: Typed, count: Typed) -> Translated<Typed> {
        let binary = family(value.of) == Family::Binary;
        let value = if binary { value } else { self.as_text(value)? };
        let (start, count) = (self.convert(start, SqlType::BigInt)?, self.convert(count, SqlType::BigInt)?);
        let most = bounded(&value, &count);
        let of = if binary {
            SqlType::VarBinary { length: most.map(|most| most.clamp(1, 8000) as u16) }
        } else {
            varying(is_national(value.of), most)
        };
        let sql = format!("ts_substring({}, {}, {})", value.sql, start.sql, count.sql);
        Ok(Typed::new(sql, of, true).with_label(value.label))
    }

    fn concat(&mut self, given: &[Typed]) -> Translated<Typed> {
        let (mut parts, mut national, mut total, mut label) = (Vec::new(), false, Some(0), Label::Default);
        for value in given {
            let value = self.as_text(value.clone())?;
            national |= is_national(value.of);
            total = total.zip(length(value.of)).map(|(total, length)| total + u32::from(length));
            label = label.meet(&value.label)?;
            parts.push(value.sql);
        }
        let most = if national { 4000 } else { 8000 };
        let of = varying(national, total.map(|total: u32| total.min(most)));
        Ok(Typed::new(format!("ts_concat({})", parts.join(", ")), of, false).with_label(label))
    }

    fn number(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        if name != "ABS" {
            return Ok(None);
        }
        let [value] = exactly(name, given)?;
        let sql = match family(value.of) {
            Family::Integer | Family::Float => format!("abs({})", value.sql),
            Family::Decimal => format!("ltrim({}, '-')", value.sql),
            _ => return Err(refusal::unsupported("ABS of this type")),
        };
        Ok(Some(Typed::new(sql, value.of, value.nullable)))
    }

    fn moment(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        // A text counts as datetime2, as in SQL Server since 2008 for DATEDIFF and DATEPART.
        let moment = |this: &mut Self, value: &Typed| match family(value.of) {
            Family::Moment => Ok(value.clone()),
            Family::Text => this.convert(value.clone(), SqlType::DateTime2 { scale: 7 }),
            _ => Err(refusal::operand_clash("int", "datetime")),
        };
        Ok(Some(match name {
            "DATEADD" => {
                let [part, number, value] = exactly(name, given)?;
                let value = moment(self, value)?;
                let number = self.convert(number.clone(), SqlType::BigInt)?;
                let sql = format!("ts_dateadd({}, {}, {}, {})", part.sql, number.sql, value.sql, code(value.of));
                Typed::new(sql, value.of, true)
            }
            "DATEDIFF" | "DATEDIFF_BIG" => {
                let [part, from, to] = exactly(name, given)?;
                let wide = SqlType::DateTime2 { scale: 7 };
                let (from, to) = (moment(self, from)?, moment(self, to)?);
                let (from, to) = (self.convert(from, wide)?, self.convert(to, wide)?);
                let of = if name == "DATEDIFF" { SqlType::Int } else { SqlType::BigInt };
                let sql = format!("ts_datediff({}, {}, {}, {})", part.sql, from.sql, to.sql, code(wide));
                Typed::new(format!("ts_range({sql}, {})", code(of)), of, true)
            }
            "DATEPART" => {
                let [part, value] = exactly(name, given)?;
                let value = moment(self, value)?;
                Typed::new(format!("ts_datepart({}, {}, {})", part.sql, value.sql, code(value.of)), SqlType::Int, true)
            }
            "YEAR" | "MONTH" | "DAY" => {
                let [value] = exactly(name, given)?;
                let value = moment(self, value)?;
                let part = literal(&name.to_lowercase());
                Typed::new(format!("ts_datepart({part}, {}, {})", value.sql, code(value.of)), SqlType::Int, true)
            }
            _ => return Ok(None),
        }))
    }

    /// Names and numbers of objects. Constants are looked up now; a translation falls with its catalogue.
    fn catalogue_call(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        let names = "SELECT t.id FROM main.tsql_table AS t JOIN main.tsql_schema AS s ON s.id = t.schema_id";
        let found = match name {
            "OBJECT_ID" => {
                if let Some(temporary) = self.temporary_id(given) {
                    return Ok(Some(temporary));
                }
                let sql = format!("({names} WHERE ts_is_name({}, s.name, t.name))", first(name, given)?.sql);
                Typed::new(sql, SqlType::Int, true)
            }
            "OBJECT_NAME" => {
                let sql = format!("(SELECT name FROM main.tsql_table WHERE id = {})", first(name, given)?.sql);
                Typed::new(sql, NAME, true)
            }
            "OBJECT_SCHEMA_NAME" => Typed::new(
                format!(
                    "(SELECT s.name FROM main.tsql_table AS t JOIN main.tsql_schema AS s ON s.id = t.schema_id WHERE t.id = {})",
                    first(name, given)?.sql
                ),
                NAME,
                true,
            ),
            "SCHEMA_ID" => {
                let wanted = given.first().map_or("'dbo'", |given| &given.sql);
                Typed::new(format!("(SELECT id FROM main.tsql_schema WHERE name = {wanted} COLLATE TSQL_CI)"), SqlType::Int, true)
            }
            "SCHEMA_NAME" => {
                let wanted = given.first().map_or("1", |given| &given.sql);
                Typed::new(format!("(SELECT name FROM main.tsql_schema WHERE id = {wanted})"), NAME, true)
            }
            "COL_LENGTH" => {
                let [table, column] = exactly(name, given)?;
                let sql = format!(
                    "(SELECT max_length FROM main.tsql_column WHERE name = {} COLLATE TSQL_CI AND table_id = ({names} WHERE \
                     ts_is_name({}, s.name, t.name)))",
                    column.sql, table.sql
                );
                Typed::new(sql, SqlType::SmallInt, true)
            }
            "COLUMNPROPERTY" => self.column_property(given)?,
            "TYPE_NAME" => {
                let sql = views::type_name(&first(name, given)?.sql);
                Typed::new(sql, NAME, true)
            }
            "DATABASE_PRINCIPAL_ID" => {
                let sql = format!(
                    "(SELECT rowid_ FROM (SELECT row_number() OVER (ORDER BY name) + 4 AS rowid_, name FROM main.tsql_principal) \
                     WHERE name = ts_lower({}))",
                    first(name, given)?.sql
                );
                Typed::new(sql, SqlType::Int, true)
            }
            "CHANGE_TRACKING_CURRENT_VERSION" => {
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
                Typed::new(format!("ts_ct_in_mask({}, {})", column.sql, mask.sql), SqlType::Int, true)
            }
            _ => return Ok(None),
        };
        self.uses.database = true;
        Ok(Some(found))
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
            return Err(refusal::unsupported("COLUMNPROPERTY of a property that is not a constant"));
        };
        let sql = match fold(wanted).as_str() {
            "columnid" => "id",
            "isidentity" => "seed IS NOT NULL",
            "allowsnull" => "nullable",
            "iscomputed" => "0",
            _ => return Err(refusal::unsupported(&format!("COLUMNPROPERTY {wanted}"))),
        };
        let sql = format!(
            "(SELECT {sql} FROM main.tsql_column WHERE table_id = {} AND name = {} COLLATE TSQL_CI)",
            table.sql, column.sql
        );
        Ok(Typed::new(sql, SqlType::Int, true))
    }

    fn server(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        Ok(Some(match name {
            "DB_ID" => match given {
                [] => constant(Value::Int(DATABASE_ID), SqlType::SmallInt),
                _ => {
                    let database = literal(&self.around.catalogue.database);
                    let sql = format!("CASE WHEN {} = {database} COLLATE TSQL_CI THEN {DATABASE_ID} END", first(name, given)?.sql);
                    Typed::new(sql, SqlType::SmallInt, true)
                }
            },
            "DB_NAME" => {
                let database = literal(&self.around.catalogue.database);
                Typed::new(format!("CASE WHEN {} = {DATABASE_ID} THEN {database} END", first(name, given)?.sql), NAME, true)
            }
            "DATABASEPROPERTYEX" => {
                let [_, property] = exactly(name, given)?;
                self.property(property, database_property)?
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

    /// A property that SQL Server gives as sql_variant and the stand-in as text; one it does not know is NULL.
    fn property(&mut self, given: &Typed, of: fn(&str) -> Option<&'static str>) -> Translated<Typed> {
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

fn exactly<'g, const N: usize>(name: &str, given: &'g [Typed]) -> Translated<&'g [Typed; N]> {
    given.try_into().map_err(|_| refusal::argument_count(name, &N.to_string()))
}

fn first<'g>(name: &str, given: &'g [Typed]) -> Translated<&'g Typed> {
    given.first().ok_or_else(|| refusal::argument_count(name, "1"))
}

fn text_of(given: &Typed, function: &str) -> Translated<String> {
    match &given.constant {
        Some(Value::Text(text)) => Ok(text.clone()),
        _ => Err(refusal::unsupported(&format!("{function} of anything but constants"))),
    }
}

/// The length of a part: no longer than the whole, nor than a constant count.
fn bounded(value: &Typed, count: &Typed) -> Option<u32> {
    let whole = length(value.of).map(u32::from);
    match &count.constant {
        Some(Value::Int(count)) => {
            let count = (*count).clamp(1, 8000) as u32;
            Some(whole.map_or(count, |whole| whole.min(count)))
        }
        _ => whole,
    }
}

fn database_property(name: &str) -> Option<&'static str> {
    Some(match name {
        "updateability" => "READ_WRITE",
        "status" => "ONLINE",
        "collation" => crate::engine::catalogue::DATABASE_COLLATION,
        "recovery" => "SIMPLE",
        "useraccess" => "MULTI_USER",
        _ => return None,
    })
}

fn server_property(name: &str) -> Option<&'static str> {
    Some(match name {
        "productversion" => "15.0.0.0",
        "productlevel" => "RTM",
        "edition" => "Tillhold stand-in",
        "engineedition" => "3",
        "collation" => crate::engine::catalogue::DATABASE_COLLATION,
        "servername" | "machinename" => "TILLHOLD",
        _ => return None,
    })
}
