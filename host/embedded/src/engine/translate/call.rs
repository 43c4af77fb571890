//! Functions by name. One that is in none of these rooms is error 195.

use super::aggregate::AGGREGATES;
use super::facts::Fact;
use super::scope::{Scope, Typed};
use super::{Translated, Translator, literal};
use crate::engine::refusal;
use crate::engine::syntax::{BinaryOperator as Op, Call};
use crate::engine::types::{Family, bare, code, family};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

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
        for room in [
            Self::choice,
            Self::context_call,
            Self::text_call,
            Self::number,
            Self::moment,
            Self::catalogue_call,
            Self::server_call,
        ] {
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

    fn context_call(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        if name != "SESSION_CONTEXT" {
            return Ok(None);
        }
        let [key] = exactly(name, given)?;
        if !matches!(key.of, SqlType::NVarChar { .. }) {
            return Err(refusal::argument_type(bare(key.of), 1, "session_context"));
        }
        let key = text_of(key, name)?;
        Ok(Some(self.session_context(&key)))
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
                let sql = format!(
                    "ts_dateadd({}, {}, {}, {})",
                    part.sql,
                    number.sql,
                    value.sql,
                    code(value.of)
                );
                Typed::new(sql, value.of, true)
            }
            "DATEDIFF" | "DATEDIFF_BIG" => {
                let [part, from, to] = exactly(name, given)?;
                let wide = SqlType::DateTime2 { scale: 7 };
                let (from, to) = (moment(self, from)?, moment(self, to)?);
                let (from, to) = (self.convert(from, wide)?, self.convert(to, wide)?);
                let of = if name == "DATEDIFF" { SqlType::Int } else { SqlType::BigInt };
                let sql =
                    format!("ts_datediff({}, {}, {}, {})", part.sql, from.sql, to.sql, code(wide));
                Typed::new(format!("ts_range({sql}, {})", code(of)), of, true)
            }
            "DATEPART" => {
                let [part, value] = exactly(name, given)?;
                let value = moment(self, value)?;
                Typed::new(
                    format!("ts_datepart({}, {}, {})", part.sql, value.sql, code(value.of)),
                    SqlType::Int,
                    true,
                )
            }
            "YEAR" | "MONTH" | "DAY" => {
                let [value] = exactly(name, given)?;
                let value = moment(self, value)?;
                let part = literal(&name.to_lowercase());
                Typed::new(
                    format!("ts_datepart({part}, {}, {})", value.sql, code(value.of)),
                    SqlType::Int,
                    true,
                )
            }
            _ => return Ok(None),
        }))
    }
}

pub(super) fn exactly<'g, const N: usize>(
    name: &str,
    given: &'g [Typed],
) -> Translated<&'g [Typed; N]> {
    given.try_into().map_err(|_| refusal::argument_count(name, &N.to_string()))
}

pub(super) fn first<'g>(name: &str, given: &'g [Typed]) -> Translated<&'g Typed> {
    given.first().ok_or_else(|| refusal::argument_count(name, "1"))
}

/// A constant text: what must be known when the statement is translated.
pub(super) fn text_of(given: &Typed, function: &str) -> Translated<String> {
    match &given.constant {
        Some(Value::Text(text)) => Ok(text.clone()),
        _ => Err(refusal::unsupported(&format!("{function} of anything but constants"))),
    }
}
