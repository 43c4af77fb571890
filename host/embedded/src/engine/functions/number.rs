//! Arithmetic with T-SQL's errors: overflow 8115, division by zero 8134, exact decimals.

use super::{Answered, argument_type, failed, is_null, pure};
use crate::answer::SqlError;
use crate::engine::refusal;
use crate::engine::types::bare;
use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::{Value as Cell, ValueRef};
use tillhold_core::fit::fit;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    pure(connection, "ts_range", 2, range)?;
    pure(connection, "ts_count", 2, count)?;
    pure(connection, "ts_divide", 2, |context| divide(context, |a, b| a.checked_div(b)))?;
    pure(connection, "ts_modulo", 2, |context| divide(context, |a, b| a.checked_rem(b)))?;
    pure(connection, "ts_divide_float", 2, divide_float)?;
    pure(connection, "ts_decimal_add", 3, |context| decimal(context, Decimal::checked_add))?;
    pure(connection, "ts_decimal_subtract", 3, |context| decimal(context, Decimal::checked_sub))?;
    pure(connection, "ts_decimal_multiply", 3, |context| decimal(context, Decimal::checked_mul))?;
    pure(connection, "ts_decimal_divide", 3, divide_decimal)?;
    pure(connection, "ts_decimal_negate", 1, negate)
}

/// `ts_range(x, type)`: the integer, if the type can hold it.
fn range(context: &Context<'_>) -> Answered {
    let of = argument_type(context, 1)?;
    let number = match context.get_raw(0) {
        ValueRef::Null => return Ok(Cell::Null),
        ValueRef::Integer(number) => number,
        // SQLite turns an integer that overflows into a real.
        _ => return Err(failed(refusal::overflow(bare(of)))),
    };
    match fit(Value::Int(number), of) {
        Ok(_) => Ok(Cell::Integer(number)),
        Err(_) => Err(failed(refusal::overflow(bare(of)))),
    }
}

/// `ts_count(n, is_top)`: what TOP, OFFSET and FETCH count to.
fn count(context: &Context<'_>) -> Answered {
    match context.get::<Option<i64>>(0)? {
        Some(count) if count >= 0 => Ok(Cell::Integer(count)),
        _ if context.get(1)? => {
            Err(failed(SqlError::new(1014, "A TOP or FETCH clause contains an invalid value.")))
        }
        _ => Err(failed(SqlError::new(
            10742,
            "The offset specified in a OFFSET clause may not be negative.",
        ))),
    }
}

fn divide(context: &Context<'_>, operation: fn(i64, i64) -> Option<i64>) -> Answered {
    if is_null(context, 0) || is_null(context, 1) {
        return Ok(Cell::Null);
    }
    let (a, b): (i64, i64) = (context.get(0)?, context.get(1)?);
    if b == 0 {
        return Err(failed(refusal::divided_by_zero()));
    }
    operation(a, b).map(Cell::Integer).ok_or_else(|| failed(refusal::overflow("bigint")))
}

fn divide_float(context: &Context<'_>) -> Answered {
    if is_null(context, 0) || is_null(context, 1) {
        return Ok(Cell::Null);
    }
    let (a, b): (f64, f64) = (context.get(0)?, context.get(1)?);
    if b == 0.0 {
        return Err(failed(refusal::divided_by_zero()));
    }
    Ok(Cell::Real(a / b))
}

/// `operation(a, b)` rounded to the type of the third argument.
fn decimal(context: &Context<'_>, operation: fn(Decimal, Decimal) -> Option<Decimal>) -> Answered {
    if is_null(context, 0) || is_null(context, 1) {
        return Ok(Cell::Null);
    }
    let of = argument_type(context, 2)?;
    let overflow = || failed(refusal::overflow(bare(of)));
    let (a, b) = (read(context.get_raw(0)), read(context.get_raw(1)));
    let (Some(a), Some(b)) = (a, b) else { return Err(overflow()) };
    let result = operation(a, b).ok_or_else(overflow)?;
    decimal_cell(result, of).ok_or_else(overflow)
}

fn divide_decimal(context: &Context<'_>) -> Answered {
    if is_null(context, 0) || is_null(context, 1) {
        return Ok(Cell::Null);
    }
    let of = argument_type(context, 2)?;
    let SqlType::Decimal { scale, .. } = of else {
        return Err(failed(refusal::overflow(bare(of))));
    };
    let overflow = || failed(refusal::overflow(bare(of)));
    let (a, b) = (read(context.get_raw(0)), read(context.get_raw(1)));
    let (Some(a), Some(b)) = (a, b) else { return Err(overflow()) };
    if b.unscaled() == 0 {
        return Err(failed(refusal::divided_by_zero()));
    }
    divided(a, b, scale).and_then(|result| decimal_cell(result, of)).ok_or_else(overflow)
}

/// `a / b` with `scale` decimals, the rest cut off (`SELECT 2.0 / 3` is 0.666666); digit by digit, because the dividend
/// with its decimals appended may be longer than any integer. The divisor is not zero.
pub fn divided(a: Decimal, b: Decimal, scale: u8) -> Option<Decimal> {
    let (dividend, divisor) = (a.unscaled().unsigned_abs(), b.unscaled().unsigned_abs());
    let (mut quotient, mut rest) = (dividend / divisor, dividend % divisor);
    let digits = i32::from(scale) + i32::from(b.scale()) - i32::from(a.scale());
    for _ in digits..0 {
        quotient /= 10;
    }
    for _ in 0..digits {
        let (mut digit, mut sum) = (0, 0);
        for _ in 0..10 {
            // Both are less than the divisor, of at most 38 digits: their sum is in range.
            sum += rest;
            if sum >= divisor {
                sum -= divisor;
                digit += 1;
            }
        }
        rest = sum;
        quotient = quotient.checked_mul(10)?.checked_add(digit)?;
    }
    let sign = if (a.unscaled() < 0) == (b.unscaled() < 0) { 1 } else { -1 };
    Decimal::new(i128::try_from(quotient).ok()? * sign, scale)
}

pub fn decimal_cell(result: Decimal, of: SqlType) -> Option<Cell> {
    let fitted = fit(Value::Decimal(result), of).ok()?;
    text::canonical(&fitted, of).map(Cell::Text)
}

fn negate(context: &Context<'_>) -> Answered {
    let Some(number) = read(context.get_raw(0)) else { return Ok(Cell::Null) };
    let negated = Decimal::new(-number.unscaled(), number.scale()).unwrap_or(number);
    Ok(Cell::Text(negated.to_string()))
}

/// A kept decimal, or an integer that stands for one.
pub fn read(cell: ValueRef<'_>) -> Option<Decimal> {
    match cell {
        ValueRef::Integer(number) => Decimal::new(i128::from(number), 0),
        ValueRef::Text(bytes) => Decimal::parse(std::str::from_utf8(bytes).ok()?),
        _ => None,
    }
}
