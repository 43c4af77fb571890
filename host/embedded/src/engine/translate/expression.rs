//! Values: constants, columns, operators, CASE, CAST, subqueries.

use super::scope::{Label, Scope, Typed};
use super::{Bound, Fact, Translated, Translator, literal};
use crate::answer::SqlError;
use crate::engine::catalogue::DATABASE_COLLATION;
use crate::engine::refusal;
use crate::engine::syntax::{BinaryOperator as Op, Expr, Query, UnaryOperator};
use crate::engine::types::{
    self, Family, arithmetic, bare, code, family, is_national, kept_alike, length, unify, varying,
};
use crate::engine::values;
use rusqlite::types::Value as Cell;
use tillhold_core::text::hexadecimal;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

impl<'q> Translator<'_, 'q> {
    pub(super) fn value(&mut self, given: &'q Expr, scope: &Scope<'_>) -> Translated<Typed> {
        if let Some(grouped) = self.grouped(given, scope)? {
            return Ok(grouped);
        }
        match given {
            Expr::Null => Ok(Typed { null: true, ..Typed::new("NULL", SqlType::Int, true) }),
            Expr::Number(text) => number(text),
            Expr::Text { text, national } => Ok(text_constant(text, *national)),
            Expr::Hex(bytes) => {
                let of = SqlType::VarBinary { length: Some(bytes.len().clamp(1, 8000) as u16) };
                Ok(constant(Value::Bytes(bytes.clone()), of))
            }
            Expr::Variable(name) => self.variable(name),
            Expr::Column(parts) => self.column(parts, scope),
            Expr::Unary(operator, value) => self.unary(*operator, value, scope),
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right, scope),
            Expr::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), scope)
            }
            Expr::Call(call) => self.call(call, scope),
            Expr::Cast { value, of, style, attempt } => {
                self.cast_expr(value, *of, style.as_deref(), *attempt, scope)
            }
            Expr::Query(query) => self.scalar_query(query, scope),
            Expr::Collate { value, collation } => {
                let value = self.value(value, scope)?;
                if family(value.of) != Family::Text {
                    return Err(SqlError::new(
                        447,
                        format!(
                            "Expression type {} is invalid for COLLATE clause.",
                            bare(value.of)
                        ),
                    ));
                }
                let database = collation.eq_ignore_ascii_case("database_default");
                let name =
                    if database { DATABASE_COLLATION.to_string() } else { collation.clone() };
                Ok(Typed { native: "", ..value.with_label(Label::Explicit(name)) })
            }
            Expr::IsNull { .. }
            | Expr::Between { .. }
            | Expr::InList { .. }
            | Expr::InQuery { .. }
            | Expr::Like { .. }
            | Expr::Exists(_) => Err(refusal::syntax("a condition where a value is expected")),
        }
    }

    fn variable(&mut self, name: &str) -> Translated<Typed> {
        if name.starts_with("@@") {
            let fact = Fact::global(name).ok_or_else(|| refusal::undeclared(name))?;
            return Ok(self.fact(fact));
        }
        let of = self.variable_type(name)?;
        let sql = self.bind(Bound::Variable(name.to_string()));
        Ok(Typed::new(sql, of, true))
    }

    pub(super) fn fact(&mut self, fact: Fact) -> Typed {
        let sql = self.bind(Bound::Fact(fact));
        Typed::new(sql, fact.of(), fact.nullable())
    }

    fn column(&mut self, parts: &[String], scope: &Scope<'_>) -> Translated<Typed> {
        let (found, own) = scope.column(parts)?;
        let grouped = self.grouping.as_ref().is_some_and(|keys| !keys.contains(&found.sql));
        if own && grouped && !self.in_aggregate {
            return Err(SqlError::new(
                8120,
                format!(
                    "Column '{}' is invalid in the select list because it is not contained in either an aggregate \
                     function or the GROUP BY clause.",
                    parts.join(".")
                ),
            ));
        }
        Ok(found)
    }

    fn unary(
        &mut self,
        operator: UnaryOperator,
        value: &'q Expr,
        scope: &Scope<'_>,
    ) -> Translated<Typed> {
        if operator == UnaryOperator::Not {
            return Err(refusal::syntax("NOT"));
        }
        let value = self.value(value, scope)?;
        match (operator, family(value.of)) {
            (UnaryOperator::Plus, _) => Ok(value),
            (UnaryOperator::Minus, Family::Integer | Family::Float | Family::Decimal) => {
                negated(value)
            }
            (UnaryOperator::BitNot, Family::Integer) if value.of != SqlType::Bit => {
                Ok(Typed::new(format!("(~{})", value.sql), value.of, value.nullable))
            }
            _ => Err(SqlError::new(
                8117,
                format!("Operand data type {} is invalid for this operator.", bare(value.of)),
            )),
        }
    }

    fn binary(
        &mut self,
        operator: Op,
        left: &'q Expr,
        right: &'q Expr,
        scope: &Scope<'_>,
    ) -> Translated<Typed> {
        if !matches!(
            operator,
            Op::Add
                | Op::Subtract
                | Op::Multiply
                | Op::Divide
                | Op::Modulo
                | Op::BitAnd
                | Op::BitOr
                | Op::BitXor
        ) {
            return Err(refusal::syntax("a condition where a value is expected"));
        }
        let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
        self.operation(operator, left, right)
    }

    pub(super) fn operation(
        &mut self,
        operator: Op,
        left: Typed,
        right: Typed,
    ) -> Translated<Typed> {
        let texts = |a: &Typed, b: &Typed| {
            (family(a.of) == Family::Text && !a.null) && (family(b.of) == Family::Text || b.null)
        };
        if operator == Op::Add && (texts(&left, &right) || texts(&right, &left)) {
            return concatenated(left, right);
        }
        if operator == Op::Add
            && family(left.of) == Family::Binary
            && family(right.of) == Family::Binary
        {
            return joined_bytes(left, right);
        }
        // A text beside a number is converted to the number's type.
        let left_of = if family(left.of) == Family::Text { right.of } else { left.of };
        let right_of = if family(right.of) == Family::Text { left.of } else { right.of };
        let (left, right) = (self.convert(left, left_of)?, self.convert(right, right_of)?);
        match operator {
            Op::Divide | Op::Modulo => self.division(operator, left, right),
            Op::BitAnd | Op::BitOr | Op::BitXor => bitwise(operator, left, right),
            _ => self.sum_or_product(operator, left, right),
        }
    }

    fn sum_or_product(&mut self, operator: Op, left: Typed, right: Typed) -> Translated<Typed> {
        let (sign, function) = match operator {
            Op::Add => ('+', "add"),
            Op::Subtract => ('-', "subtract"),
            _ => ('*', "multiply"),
        };
        let of = arithmetic(sign, exact_type(&left, &right), exact_type(&right, &left))?;
        let nullable = left.nullable || right.nullable;
        let sql = match family(of) {
            Family::Decimal => {
                format!("ts_decimal_{function}({}, {}, {})", left.sql, right.sql, code(of))
            }
            Family::Float => {
                let (left, right) = (self.convert(left, of)?, self.convert(right, of)?);
                format!("({} {sign} {})", left.sql, right.sql)
            }
            _ => format!("ts_range({} {sign} {}, {})", left.sql, right.sql, code(of)),
        };
        Ok(Typed::new(sql, of, nullable))
    }

    fn division(&mut self, operator: Op, left: Typed, right: Typed) -> Translated<Typed> {
        let of = arithmetic('/', exact_type(&left, &right), exact_type(&right, &left))?;
        match (family(of), operator) {
            (Family::Integer, _) => {
                let function = if operator == Op::Divide { "ts_divide" } else { "ts_modulo" };
                Ok(Typed::new(format!("{function}({}, {})", left.sql, right.sql), of, true))
            }
            (Family::Float, Op::Divide) => {
                let (left, right) = (self.convert(left, of)?, self.convert(right, of)?);
                Ok(Typed::new(format!("ts_divide_float({}, {})", left.sql, right.sql), of, true))
            }
            (Family::Decimal, Op::Divide) if matches!(of, SqlType::Decimal { .. }) => {
                let sql = format!("ts_decimal_divide({}, {}, {})", left.sql, right.sql, code(of));
                Ok(Typed::new(sql, of, true))
            }
            _ => Err(refusal::unsupported("division of money, and the remainder of decimals")),
        }
    }

    fn case(
        &mut self,
        operand: Option<&'q Expr>,
        branches: &'q [(Expr, Expr)],
        otherwise: Option<&'q Expr>,
        scope: &Scope<'_>,
    ) -> Translated<Typed> {
        let (mut whens, mut results) = (Vec::new(), Vec::new());
        for (when, then) in branches {
            whens.push(match operand {
                None => self.predicate(when, scope)?,
                Some(operand) => {
                    let (left, right) = (self.value(operand, scope)?, self.value(when, scope)?);
                    self.comparison(Op::Equal, left, right)?
                }
            });
            results.push(self.value(then, scope)?);
        }
        let exhaustive = otherwise.is_some();
        if let Some(otherwise) = otherwise {
            results.push(self.value(otherwise, scope)?);
        }
        let (results, of, label) = self.unified(results)?;
        let nullable = !exhaustive || results.iter().any(|result| result.nullable);
        let mut sql = "CASE".to_string();
        for (when, result) in whens.iter().zip(&results) {
            sql += &format!(" WHEN {when} THEN {}", result.sql);
        }
        if let Some(otherwise) = exhaustive.then(|| results.last()).flatten() {
            sql += &format!(" ELSE {}", otherwise.sql);
        }
        Ok(Typed::new(sql + " END", of, nullable).with_label(label))
    }

    /// Values brought to their common type; NULLs take it without a say.
    pub(super) fn unified(
        &mut self,
        values: Vec<Typed>,
    ) -> Translated<(Vec<Typed>, SqlType, Label)> {
        let (mut of, mut label) = (None, Label::Default);
        for value in values.iter().filter(|value| !value.null) {
            of = Some(match of {
                None => value.of,
                Some(so_far) => unify(so_far, value.of)?,
            });
            if family(value.of) == Family::Text {
                label = label.meet(&value.label)?;
            }
        }
        let of = of.unwrap_or(SqlType::Int);
        let values =
            values.into_iter().map(|value| self.convert(value, of)).collect::<Translated<_>>()?;
        Ok((values, of, label))
    }

    fn cast_expr(
        &mut self,
        value: &'q Expr,
        of: SqlType,
        style: Option<&'q Expr>,
        attempt: bool,
        scope: &Scope<'_>,
    ) -> Translated<Typed> {
        let value = self.value(value, scope)?;
        let style = style.map(|style| self.value(style, scope)).transpose()?;
        let fixed = match &style {
            None => Some(values::NO_STYLE),
            Some(Typed { constant: Some(Value::Int(style)), .. }) => Some(*style),
            Some(_) => None,
        };
        // CAST of a text keeps where its collation comes from; of anything else the result is a new text.
        let label =
            if family(value.of) == Family::Text { value.label.clone() } else { Label::Default };
        let nullable = value.nullable || attempt;
        if value.null || (kept_alike(value.of, of) && fixed == Some(values::NO_STYLE)) {
            return Ok(Typed { sql: value.sql, ..Typed::new("", of, nullable).with_label(label) });
        }
        if let (Some(given), Some(style), false) = (&value.constant, fixed, attempt) {
            let converted = values::convert(given.clone(), value.of, of, style)?;
            return Ok(constant(converted, of).with_label(label));
        }
        let style = style.map_or_else(|| values::NO_STYLE.to_string(), |style| style.sql);
        let function = if attempt { "ts_try" } else { "ts_cast" };
        let sql = format!("{function}({}, {}, {}, {style})", value.sql, code(value.of), code(of));
        Ok(Typed::new(sql, of, nullable).with_label(label))
    }

    /// An implicit conversion within an expression.
    pub(super) fn convert(&mut self, value: Typed, to: SqlType) -> Translated<Typed> {
        not_variant(&value, to)?;
        if value.null || kept_alike(value.of, to) {
            return Ok(Typed { of: to, ..value });
        }
        implicit(value.of, to)?;
        if let Some(given) = &value.constant {
            let converted = values::convert(given.clone(), value.of, to, values::NO_STYLE)?;
            return Ok(constant(converted, to).with_label(value.label));
        }
        let sql = format!("ts_cast({}, {}, {}, 0)", value.sql, code(value.of), code(to));
        Ok(Typed::new(sql, to, value.nullable).with_label(value.label))
    }

    /// A conversion into a column or variable: what is too long for a column is error 2628.
    pub(super) fn assign(
        &mut self,
        value: Typed,
        to: SqlType,
        place: Option<(&str, &str)>,
    ) -> Translated<Typed> {
        not_variant(&value, to)?;
        if value.null || kept_alike(value.of, to) {
            return Ok(Typed { of: to, ..value });
        }
        implicit(value.of, to)?;
        let Some((table, column)) = place else {
            // A variable cuts what is too long without a word.
            let sql = format!("ts_cast({}, {}, {}, 0)", value.sql, code(value.of), code(to));
            return Ok(Typed::new(sql, to, value.nullable));
        };
        if let Some(given) = &value.constant
            && values::fits(given, to)
        {
            return Ok(constant(
                values::convert(given.clone(), value.of, to, values::NO_STYLE)?,
                to,
            ));
        }
        let sql = format!(
            "ts_assign({}, {}, {}, {}, {})",
            value.sql,
            code(value.of),
            code(to),
            literal(table),
            literal(column)
        );
        Ok(Typed::new(sql, to, value.nullable))
    }

    fn scalar_query(&mut self, query: &'q Query, scope: &Scope<'_>) -> Translated<Typed> {
        let inner = self.subquery(query, scope)?;
        let [column] = inner.columns.as_slice() else {
            return Err(SqlError::new(
                116,
                "Only one expression can be specified in the select list when the subquery is not introduced with \
                 EXISTS.",
            ));
        };
        let sql = if inner.at_most_one {
            format!("({})", inner.sql)
        } else {
            format!("(SELECT ts_single(c0) FROM ({}))", inner.sql)
        };
        Ok(Typed::new(sql, column.value.of, true).with_label(column.value.label.clone()))
    }
}

/// Conversions that SQL Server makes by itself; the others need CAST (257) or clash (206).
fn implicit(from: SqlType, to: SqlType) -> Translated<()> {
    use Family::{Binary, Decimal, Float, Guid, Integer, Moment, Text};
    let refused = || Err(refusal::no_implicit_conversion(bare(from), bare(to)));
    match (family(from), family(to)) {
        (a, b) if a == b => Ok(()),
        (Text, Binary) => refused(),
        (Text, _) | (Integer | Decimal | Float, Text | Integer | Decimal | Float) => Ok(()),
        (Moment | Guid, Text) => Ok(()),
        (Integer, Binary) | (Binary, Integer | Guid) => Ok(()),
        (Integer | Decimal | Float, Moment)
            if matches!(to, SqlType::DateTime | SqlType::SmallDateTime) =>
        {
            Err(refusal::unsupported("a number as a datetime"))
        }
        (Guid, _) | (_, Guid) | (Moment, _) | (_, Moment) => {
            Err(refusal::operand_clash(bare(from), bare(to)))
        }
        _ => refused(),
    }
}

fn concatenated(left: Typed, right: Typed) -> Translated<Typed> {
    if left.null || right.null {
        // NULL takes the other's type, and makes the whole NULL.
        let of = if left.null { right.of } else { left.of };
        return Ok(Typed { null: true, ..Typed::new("NULL", of, true) });
    }
    let national = is_national(left.of) || is_national(right.of);
    let lengths = length(left.of).zip(length(right.of));
    let total =
        lengths.map(|(a, b)| (u32::from(a) + u32::from(b)).min(if national { 4000 } else { 8000 }));
    let label = left.label.meet(&right.label)?;
    let sql = format!("({} || {})", left.sql, right.sql);
    Ok(Typed::new(sql, varying(national, total), left.nullable || right.nullable).with_label(label))
}

fn joined_bytes(left: Typed, right: Typed) -> Translated<Typed> {
    let length = length(left.of).zip(length(right.of)).map(|(a, b)| (a + b).min(8000));
    // `||` makes text of blobs; the cast takes the bytes back as they are.
    let sql = format!("CAST({} || {} AS BLOB)", left.sql, right.sql);
    Ok(Typed::new(sql, SqlType::VarBinary { length }, left.nullable || right.nullable))
}

fn bitwise(operator: Op, left: Typed, right: Typed) -> Translated<Typed> {
    if family(left.of) != Family::Integer || family(right.of) != Family::Integer {
        return Err(refusal::operand_types(bare(left.of), bare(right.of), "bitwise"));
    }
    let of = unify(left.of, right.of)?;
    let nullable = left.nullable || right.nullable;
    let (a, b) = (left.sql, right.sql);
    let sql = match operator {
        Op::BitAnd => format!("({a} & {b})"),
        Op::BitOr => format!("({a} | {b})"),
        _ => format!("(({a} | {b}) - ({a} & {b}))"),
    };
    Ok(Typed::new(sql, of, nullable))
}

fn negated(value: Typed) -> Translated<Typed> {
    match &value.constant {
        Some(Value::Int(number)) => Ok(constant(Value::Int(-number), value.of)),
        Some(Value::Decimal(d)) => {
            let negative = Decimal::new(-d.unscaled(), d.scale()).unwrap_or(*d);
            // -2147483648 and -9223372036854775808 are written as minus and a decimal constant.
            let small = (d.scale() == 0).then(|| i64::try_from(negative.unscaled()).ok()).flatten();
            match small.filter(|number| i32::try_from(*number).is_ok()) {
                Some(number) => Ok(constant(Value::Int(number), SqlType::Int)),
                None => Ok(constant(Value::Decimal(negative), value.of)),
            }
        }
        _ => {
            let sql = match family(value.of) {
                Family::Decimal => format!("ts_decimal_negate({})", value.sql),
                Family::Integer => format!("ts_range(-{}, {})", value.sql, code(value.of)),
                _ => format!("(-{})", value.sql),
            };
            Ok(Typed::new(sql, value.of, value.nullable))
        }
    }
}

/// An integer constant beside a decimal counts with its own digits only: `1.5 * 2` is decimal(3,1) times decimal(1,0).
fn exact_type(value: &Typed, beside: &Typed) -> SqlType {
    match &value.constant {
        Some(Value::Int(number)) if matches!(beside.of, SqlType::Decimal { .. }) => {
            SqlType::Decimal { precision: number.unsigned_abs().to_string().len() as u8, scale: 0 }
        }
        _ => value.of,
    }
}

/// A constant of SQLite, in the form in which its type is kept.
pub(super) fn constant(value: Value, of: SqlType) -> Typed {
    let sql = match values::encode(value.clone(), of) {
        Cell::Null => "NULL".to_string(),
        Cell::Integer(i64::MIN) => "(-9223372036854775807 - 1)".to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => format!("{number:?}"),
        Cell::Text(text) => literal(&text),
        Cell::Blob(bytes) => format!("x'{}'", hexadecimal(&bytes)),
    };
    let nullable = value.is_null();
    Typed { constant: Some(value), ..Typed::new(sql, of, nullable) }
}

fn text_constant(text: &str, national: bool) -> Typed {
    let units = if national { text.encode_utf16().count() } else { text.chars().count() };
    constant(Value::Text(text.to_string()), varying(national, u32::try_from(units).ok()))
}

/// `1` is int, `3000000000` decimal(10,0), `1.50` decimal(3,2), `1e3` float.
fn number(text: &str) -> Translated<Typed> {
    if text.contains(['e', 'E']) {
        let number: f64 = text.parse().map_err(|_| refusal::syntax(text))?;
        return Ok(constant(Value::Float(number), SqlType::Float));
    }
    if let Ok(number) = text.parse::<i32>() {
        return Ok(constant(Value::Int(i64::from(number)), SqlType::Int));
    }
    let too_long = || {
        SqlError::new(
            1007,
            format!(
                "The number '{text}' is out of the range for numeric representation (maximum precision 38)."
            ),
        )
    };
    let decimal = Decimal::parse(text.trim_start_matches('0'))
        .or_else(|| Decimal::parse(text))
        .ok_or_else(too_long)?;
    let digits = decimal.unscaled().unsigned_abs().to_string().len() as u8;
    let precision = digits.max(decimal.scale()).max(1);
    Ok(constant(Value::Decimal(decimal), SqlType::Decimal { precision, scale: decimal.scale() }))
}

impl Translator<'_, '_> {
    /// The name of a type's family rule, for messages of functions.
    pub(super) fn expect_family(
        &self,
        value: &Typed,
        wanted: Family,
        function: &str,
    ) -> Translated<()> {
        if value.null || family(value.of) == wanted {
            return Ok(());
        }
        Err(SqlError::new(
            8116,
            format!(
                "Argument data type {} is invalid for argument 1 of {} function.",
                types::bare(value.of),
                function.to_lowercase()
            ),
        ))
    }
}

/// SQL Server converts a sql_variant to nothing without being told.
fn not_variant(value: &Typed, to: SqlType) -> Translated<()> {
    if value.variant {
        return Err(refusal::no_implicit_conversion("sql_variant", bare(to)));
    }
    Ok(())
}
