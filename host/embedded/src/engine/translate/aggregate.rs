//! Grouping: aggregates, window functions, and what may stand beside them.

use super::scope::{Scope, Typed};
use super::{Translated, Translator, collate};
use crate::answer::SqlError;
use crate::engine::refusal;
use crate::engine::syntax::{Call, Expr, Over};
use crate::engine::types::{Family, bare, family, is_national};
use tillhold_core::types::SqlType;

pub(super) const AGGREGATES: &[&str] =
    &["COUNT", "COUNT_BIG", "SUM", "MIN", "MAX", "AVG", "STRING_AGG"];
const RANKS: &[&str] = &["ROW_NUMBER", "RANK", "DENSE_RANK"];

impl<'q> Translator<'_, 'q> {
    /// In a grouped query an expression that is one of the group's keys stands as a whole.
    pub(super) fn grouped(
        &mut self,
        given: &'q Expr,
        scope: &Scope<'_>,
    ) -> Translated<Option<Typed>> {
        let whole = !matches!(
            given,
            Expr::Column(_) | Expr::Null | Expr::Number(_) | Expr::Text { .. } | Expr::Variable(_)
        );
        if self.in_aggregate || !whole || self.grouping.as_ref().is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        let Some(keys) = self.grouping.take() else { return Ok(None) };
        let (bound, saw) = (self.bound.len(), self.saw_aggregate);
        let value = self.value(given, scope);
        let found = value.ok().filter(|value| keys.contains(&value.sql));
        if found.is_none() {
            // What was bound for the attempt is not needed; JSON tables and sources are only names.
            self.bound.truncate(bound);
            self.saw_aggregate = saw;
        }
        self.grouping = Some(keys);
        Ok(found)
    }

    pub(super) fn aggregate(&mut self, call: &'q Call, scope: &Scope<'_>) -> Translated<Typed> {
        if self.in_aggregate {
            return Err(SqlError::new(
                130,
                "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.",
            ));
        }
        let window = call.over.as_ref();
        let over = window.map(|over| self.over(over, scope)).transpose()?.unwrap_or_default();
        self.saw_aggregate |= window.is_none();
        if call.star {
            let of = if call.name == "COUNT_BIG" { SqlType::BigInt } else { SqlType::Int };
            return match call.name.as_str() {
                "COUNT" | "COUNT_BIG" => Ok(Typed::new(format!("count(*){over}"), of, false)),
                _ => Err(refusal::syntax("*")),
            };
        }
        if RANKS.contains(&call.name.as_str()) {
            return Err(refusal::syntax(&call.name));
        }
        let arguments = if call.name == "STRING_AGG" { 2 } else { 1 };
        if call.arguments.len() != arguments {
            return Err(refusal::argument_count(&call.name, &arguments.to_string()));
        }
        let outside = std::mem::replace(&mut self.in_aggregate, window.is_none());
        let value = self.value(&call.arguments[0], scope);
        let separator =
            call.arguments.get(1).map(|separator| self.value(separator, scope)).transpose();
        self.in_aggregate = outside;
        let (value, separator) = (value?, separator?);
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        if window.is_some() && !matches!(call.name.as_str(), "COUNT" | "COUNT_BIG" | "MIN" | "MAX")
        {
            return Err(refusal::unsupported(&format!("{} with OVER", call.name)));
        }
        let collated = format!("{}{}", value.sql, collate(value.collation()));
        match call.name.as_str() {
            "COUNT" => {
                Ok(Typed::new(format!("count({distinct}{collated}){over}"), SqlType::Int, false))
            }
            "COUNT_BIG" => {
                Ok(Typed::new(format!("count({distinct}{collated}){over}"), SqlType::BigInt, false))
            }
            "MIN" | "MAX" => {
                let function = call.name.to_lowercase();
                let sql = format!("{function}({collated}){over}");
                Ok(Typed { sql, nullable: true, constant: None, null: false, native: "", ..value })
            }
            "SUM" => sum(value, distinct),
            "AVG" => average(value, distinct),
            _ => {
                self.expect_family(&value, Family::Text, &call.name)?;
                let separator = separator.map_or("''".to_string(), |separator| separator.sql);
                let length = if is_national(value.of) { 4000 } else { 8000 };
                let of = super::super::types::varying(is_national(value.of), Some(length));
                Ok(Typed::new(format!("ts_join({}, {separator})", value.sql), of, true)
                    .with_label(value.label))
            }
        }
    }

    /// ROW_NUMBER and its kin.
    pub(super) fn rank(&mut self, call: &'q Call, scope: &Scope<'_>) -> Translated<Option<Typed>> {
        if !RANKS.contains(&call.name.as_str()) {
            return Ok(None);
        }
        let over = match &call.over {
            Some(over) if !over.order.is_empty() => over,
            _ => {
                return Err(SqlError::new(
                    4112,
                    format!("The function '{}' must have an OVER clause with ORDER BY.", call.name),
                ));
            }
        };
        let over = self.over(over, scope)?;
        let sql = format!("{}(){over}", call.name.to_lowercase());
        Ok(Some(Typed::new(sql, SqlType::BigInt, false)))
    }

    fn over(&mut self, over: &'q Over, scope: &Scope<'_>) -> Translated<String> {
        let mut parts = Vec::new();
        let mut keys = Vec::new();
        for key in &over.partition {
            let key = self.value(key, scope)?;
            keys.push(format!("{}{}", key.sql, collate(key.collation())));
        }
        if !keys.is_empty() {
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        let mut terms = Vec::new();
        for term in &over.order {
            let value = self.value(&term.value, scope)?;
            let direction = if term.descending { " DESC" } else { "" };
            terms.push(format!("{}{}{direction}", value.sql, collate(value.collation())));
        }
        if !terms.is_empty() {
            parts.push(format!("ORDER BY {}", terms.join(", ")));
        }
        Ok(format!(" OVER ({})", parts.join(" ")))
    }
}

fn invalid(value: &Typed, function: &str) -> SqlError {
    SqlError::new(
        8117,
        format!("Operand data type {} is invalid for {function} operator.", bare(value.of)),
    )
}

fn sum(value: Typed, distinct: &str) -> Translated<Typed> {
    let (sql, of) = match (family(value.of), value.of) {
        (_, SqlType::Bit) => return Err(invalid(&value, "sum")),
        (Family::Integer, SqlType::BigInt) => {
            (format!("ts_sum_bigint({distinct}{})", value.sql), SqlType::BigInt)
        }
        (Family::Integer, _) => (format!("ts_sum_int({distinct}{})", value.sql), SqlType::Int),
        (Family::Float, _) => (format!("sum({distinct}{})", value.sql), SqlType::Float),
        (Family::Decimal, of) => {
            let (scale, of) = match of {
                SqlType::Decimal { scale, .. } => {
                    (scale, SqlType::Decimal { precision: 38, scale })
                }
                _ => (4, SqlType::Money),
            };
            if !distinct.is_empty() {
                return Err(refusal::unsupported("SUM(DISTINCT) of decimals"));
            }
            (format!("ts_sum_decimal({}, {scale})", value.sql), of)
        }
        _ => return Err(invalid(&value, "sum")),
    };
    Ok(Typed::new(sql, of, true))
}

fn average(value: Typed, distinct: &str) -> Translated<Typed> {
    match family(value.of) {
        Family::Float => {
            Ok(Typed::new(format!("avg({distinct}{})", value.sql), SqlType::Float, true))
        }
        Family::Integer if value.of != SqlType::Bit => {
            let of = if value.of == SqlType::BigInt { SqlType::BigInt } else { SqlType::Int };
            // The average of integers is an integer, cut towards zero; of no rows it is NULL.
            let sql = format!(
                "CASE WHEN count({0}) = 0 THEN NULL ELSE ts_divide(sum({distinct}{0}), count({distinct}{0})) END",
                value.sql
            );
            Ok(Typed::new(sql, of, true))
        }
        Family::Decimal => {
            let SqlType::Decimal { scale, .. } = value.of else {
                return Err(refusal::unsupported("AVG of money"));
            };
            if !distinct.is_empty() {
                return Err(refusal::unsupported("AVG(DISTINCT) of decimals"));
            }
            let scale = scale.max(6);
            let of = SqlType::Decimal { precision: 38, scale };
            Ok(Typed::new(format!("ts_avg_decimal({}, {scale})", value.sql), of, true))
        }
        _ => Err(invalid(&value, "avg")),
    }
}
