//! Conditions: comparisons under the right collation, IN, LIKE, BETWEEN, EXISTS, and three-valued logic as it is.

use super::expression::constant;
use super::scope::{Label, Scope, Typed};
use super::{Translated, Translator, collate};
use crate::answer::SqlError;
use crate::engine::refusal;
use crate::engine::syntax::{BinaryOperator as Op, Expr, Query, UnaryOperator};
use crate::engine::types::{Family, collation_of, family, unify};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

impl<'q> Translator<'_, 'q> {
    pub(super) fn predicate(&mut self, given: &'q Expr, scope: &Scope<'_>) -> Translated<String> {
        match given {
            Expr::Binary(operator @ (Op::And | Op::Or), left, right) => {
                let word = if *operator == Op::And { "AND" } else { "OR" };
                let (left, right) = (self.predicate(left, scope)?, self.predicate(right, scope)?);
                Ok(format!("({left} {word} {right})"))
            }
            Expr::Unary(UnaryOperator::Not, inner) => {
                Ok(format!("(NOT {})", self.predicate(inner, scope)?))
            }
            Expr::Binary(operator, left, right) if symbol(*operator).is_some() => {
                let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
                self.comparison(*operator, left, right)
            }
            Expr::IsNull { value, negated } => {
                let value = self.value(value, scope)?;
                let word = if *negated { "IS NOT NULL" } else { "IS NULL" };
                Ok(format!("({} {word})", value.sql))
            }
            Expr::Between { value, low, high, negated } => {
                let value = self.value(value, scope)?;
                let (low, high) = (self.value(low, scope)?, self.value(high, scope)?);
                let above = self.comparison(Op::GreaterOrEqual, value.clone(), low)?;
                let below = self.comparison(Op::LessOrEqual, value, high)?;
                let not = if *negated { "NOT " } else { "" };
                Ok(format!("({not}({above} AND {below}))"))
            }
            Expr::InList { value, list, negated } => self.in_list(value, list, *negated, scope),
            Expr::InQuery { value, query, negated } => self.in_query(value, query, *negated, scope),
            Expr::Like { value, pattern, escape, negated } => {
                self.like(value, pattern, escape.as_deref(), *negated, scope)
            }
            Expr::Exists(query) => {
                let inner = self.subquery(query, scope)?;
                Ok(format!("EXISTS ({})", inner.sql))
            }
            _ => {
                self.value(given, scope)?;
                Err(refusal::not_boolean(near(given)))
            }
        }
    }

    pub(super) fn comparison(
        &mut self,
        operator: Op,
        left: Typed,
        right: Typed,
    ) -> Translated<String> {
        let (left, right, collation) = self.comparable(left, right, "equal to")?;
        let symbol = symbol(operator).unwrap_or("=");
        Ok(format!("({} {symbol} {}{})", left.sql, right.sql, collate(collation)))
    }

    /// Two values brought to where SQLite compares them as SQL Server would, and the collation that does it.
    fn comparable(
        &mut self,
        left: Typed,
        right: Typed,
        operation: &str,
    ) -> Translated<(Typed, Typed, &'static str)> {
        if left.variant || right.variant {
            return Err(refusal::unsupported("a comparison of a sql_variant (CONVERT it)"));
        }
        if left.null || right.null {
            return Ok((left, right, ""));
        }
        let (left, right) = (whole(&left, right.of), whole(&right, left.of));
        let of = unify(left.of, right.of)?;
        let both = (family(left.of), family(right.of));
        match (family(of), both) {
            (Family::Text, _) => {
                let collation = left.label.meet(&right.label)?.compared(operation)?;
                Ok((left, right, collation))
            }
            // Kept alike at every length, scale and width: compared as they are, so that indexes serve.
            (Family::Integer | Family::Binary, (a, b)) if a == b => Ok((left, right, "")),
            (Family::Decimal, (Family::Decimal, Family::Decimal)) => {
                Ok((left, right, "TSQL_DECIMAL"))
            }
            (Family::Moment, (Family::Moment, Family::Moment)) if same_clock(left.of, right.of) => {
                Ok((left, right, collation_of(of, None)))
            }
            _ => {
                let (left, right) = (self.convert(left, of)?, self.convert(right, of)?);
                Ok((left, right, collation_of(of, None)))
            }
        }
    }

    fn in_list(
        &mut self,
        value: &'q Expr,
        list: &'q [Expr],
        negated: bool,
        scope: &Scope<'_>,
    ) -> Translated<String> {
        let value = self.value(value, scope)?;
        let mut all = Vec::with_capacity(list.len());
        for item in list {
            all.push(whole(&self.value(item, scope)?, value.of));
        }
        // One common type for the whole list, as SQL Server finds it.
        let mut of = value.of;
        let mut label = value.label.clone();
        for item in all.iter().filter(|item| !item.null) {
            of = if value.null { item.of } else { unify(of, item.of)? };
            label = label.meet(&item.label)?;
        }
        let collation = self.member_collation(of, &label)?;
        let value = self.member(value, of)?;
        let mut items = Vec::with_capacity(all.len());
        for item in all {
            items.push(self.member(item, of)?.sql);
        }
        let word = if negated { "NOT IN" } else { "IN" };
        Ok(format!("({} {word} ({}))", with_collation(&value, collation), items.join(", ")))
    }

    fn in_query(
        &mut self,
        value: &'q Expr,
        query: &'q Query,
        negated: bool,
        scope: &Scope<'_>,
    ) -> Translated<String> {
        let value = self.value(value, scope)?;
        let inner = self.subquery(query, scope)?;
        let [column] = inner.columns.as_slice() else {
            return Err(SqlError::new(
                116,
                "Only one expression can be specified in the select list when the subquery is not introduced with \
                 EXISTS.",
            ));
        };
        let of = unify(value.of, column.value.of)?;
        let label = value.label.meet(&column.value.label)?;
        let collation = self.member_collation(of, &label)?;
        let value = self.member(value, of)?;
        let item =
            self.member(Typed { sql: "c0".to_string(), native: "", ..column.value.clone() }, of)?;
        let rows = if item.sql == "c0" {
            inner.sql
        } else {
            format!("SELECT {} FROM ({})", item.sql, inner.sql)
        };
        let word = if negated { "NOT IN" } else { "IN" };
        Ok(format!("({} {word} ({rows}))", with_collation(&value, collation)))
    }

    fn member_collation(&self, of: SqlType, label: &Label) -> Translated<&'static str> {
        if family(of) == Family::Text {
            label.compared("equal to")
        } else {
            Ok(collation_of(of, None))
        }
    }

    /// A member of IN: texts, numbers of one family and bytes stay as they are kept.
    fn member(&mut self, value: Typed, of: SqlType) -> Translated<Typed> {
        let alike =
            matches!(family(of), Family::Text | Family::Integer | Family::Decimal | Family::Binary);
        if alike && family(value.of) == family(of) { Ok(value) } else { self.convert(value, of) }
    }

    fn like(
        &mut self,
        value: &'q Expr,
        pattern: &'q Expr,
        escape: Option<&'q Expr>,
        negated: bool,
        scope: &Scope<'_>,
    ) -> Translated<String> {
        let (value, pattern) = (self.value(value, scope)?, self.value(pattern, scope)?);
        let collation = value.label.meet(&pattern.label)?.compared("like")?;
        let folds = i32::from(collation == "TSQL_CI");
        let escape = match escape {
            Some(escape) => self.value(escape, scope)?.sql,
            None => "NULL".to_string(),
        };
        let (value, pattern) = (self.as_text(value)?, self.as_text(pattern)?);
        let not = if negated { "NOT " } else { "" };
        Ok(format!("({not}ts_like({}, {}, {escape}, {folds}))", value.sql, pattern.sql))
    }

    /// A value where text belongs: numbers and moments are written out.
    pub(super) fn as_text(&mut self, value: Typed) -> Translated<Typed> {
        if family(value.of) == Family::Text || value.null {
            return Ok(value);
        }
        let most = SqlType::NVarChar { length: Some(64) };
        let of = if family(value.of) == Family::Binary {
            return Err(refusal::operand_clash("varbinary", "nvarchar"));
        } else {
            most
        };
        self.convert(value, of)
    }
}

/// Dates and times that need no conversion to compare: canonical texts of one shape, whatever their scale. Not
/// datetime with datetime2: its thirds of a millisecond count.
fn same_clock(a: SqlType, b: SqlType) -> bool {
    let plain = |of: SqlType| matches!(of, SqlType::DateTime2 { .. } | SqlType::SmallDateTime);
    match (a, b) {
        (SqlType::Time { .. }, SqlType::Time { .. }) => true,
        (SqlType::DateTimeOffset { .. }, SqlType::DateTimeOffset { .. }) => true,
        (SqlType::DateTime, SqlType::SmallDateTime)
        | (SqlType::SmallDateTime, SqlType::DateTime) => true,
        _ => a == b || (plain(a) && plain(b)),
    }
}

fn symbol(operator: Op) -> Option<&'static str> {
    Some(match operator {
        Op::Equal => "=",
        Op::NotEqual => "<>",
        Op::Less => "<",
        Op::LessOrEqual => "<=",
        Op::Greater => ">",
        Op::GreaterOrEqual => ">=",
        _ => return None,
    })
}

/// The left side of IN decides its collation: said only where the column does not say it.
fn with_collation(value: &Typed, collation: &str) -> String {
    if collation.is_empty() || value.native == collation {
        value.sql.clone()
    } else {
        format!("({} COLLATE {collation})", value.sql)
    }
}

/// A word of the expression for error 4145.
fn near(given: &Expr) -> &'static str {
    match given {
        Expr::Column(_) => "a column",
        Expr::Variable(_) => "a variable",
        Expr::Call(_) => "a function",
        _ => "a value",
    }
}

/// A constant too long for int is a decimal; beside an integer column it is compared as a bigint, so that the
/// column's index serves.
fn whole(value: &Typed, beside: SqlType) -> Typed {
    let number = match &value.constant {
        Some(Value::Decimal(d)) if d.scale() == 0 && family(beside) == Family::Integer => {
            i64::try_from(d.unscaled()).ok()
        }
        _ => None,
    };
    number.map_or_else(|| value.clone(), |number| constant(Value::Int(number), SqlType::BigInt))
}
