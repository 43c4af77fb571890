//! Sums that overflow as T-SQL's do, exact sums of decimals, and the check that a subquery gives one row.

use super::number::{decimal_cell, divided, read};
use super::{PURE, failed};
use crate::engine::refusal;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::{Value as Cell, ValueRef};
use tillhold_core::fit::fit;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    for (name, of) in [("ts_sum_int", SqlType::Int), ("ts_sum_bigint", SqlType::BigInt)] {
        connection.create_aggregate_function(name, 1, PURE, IntegerSum { of })?;
    }
    connection.create_aggregate_function("ts_sum_decimal", 2, PURE, DecimalSum)?;
    connection.create_aggregate_function("ts_avg_decimal", 2, PURE, DecimalAverage)?;
    connection.create_aggregate_function("ts_single", 1, PURE, Single)?;
    connection.create_aggregate_function("ts_join", 2, PURE, Join)
}

struct IntegerSum {
    of: SqlType,
}

impl Aggregate<Option<i64>, Cell> for IntegerSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i64>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<i64>) -> rusqlite::Result<()> {
        let ValueRef::Integer(number) = context.get_raw(0) else { return Ok(()) };
        let overflow = || failed(refusal::overflow(crate::engine::types::bare(self.of)));
        let next = sum.unwrap_or(0).checked_add(number).ok_or_else(overflow)?;
        fit(Value::Int(next), self.of).map_err(|_| overflow())?;
        *sum = Some(next);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<i64>>) -> rusqlite::Result<Cell> {
        Ok(sum.flatten().map_or(Cell::Null, Cell::Integer))
    }
}

/// `ts_sum_decimal(x, scale)`
struct DecimalSum;

impl Aggregate<Option<(Decimal, u8)>, Cell> for DecimalSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<(Decimal, u8)>> {
        Ok(None)
    }

    fn step(
        &self,
        context: &mut Context<'_>,
        sum: &mut Option<(Decimal, u8)>,
    ) -> rusqlite::Result<()> {
        let Some(number) = read(context.get_raw(0)) else { return Ok(()) };
        let scale: u8 = context.get(1)?;
        let so_far = sum.map_or(Decimal::ZERO, |(sum, _)| sum);
        let next =
            so_far.checked_add(number).ok_or_else(|| failed(refusal::overflow("numeric")))?;
        *sum = Some((next, scale));
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        sum: Option<Option<(Decimal, u8)>>,
    ) -> rusqlite::Result<Cell> {
        let Some((sum, scale)) = sum.flatten() else { return Ok(Cell::Null) };
        decimal_cell(sum, SqlType::Decimal { precision: 38, scale })
            .ok_or_else(|| failed(refusal::overflow("numeric")))
    }
}

/// `ts_avg_decimal(x, scale)`: the sum divided by the count, with so many decimals.
struct DecimalAverage;

impl Aggregate<Option<(Decimal, i64, u8)>, Cell> for DecimalAverage {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<(Decimal, i64, u8)>> {
        Ok(None)
    }

    fn step(
        &self,
        context: &mut Context<'_>,
        so_far: &mut Option<(Decimal, i64, u8)>,
    ) -> rusqlite::Result<()> {
        let Some(number) = read(context.get_raw(0)) else { return Ok(()) };
        let scale: u8 = context.get(1)?;
        let (sum, count) = so_far.map_or((Decimal::ZERO, 0), |(sum, count, _)| (sum, count));
        let sum = sum.checked_add(number).ok_or_else(|| failed(refusal::overflow("numeric")))?;
        *so_far = Some((sum, count + 1, scale));
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        found: Option<Option<(Decimal, i64, u8)>>,
    ) -> rusqlite::Result<Cell> {
        let Some((sum, count, scale)) = found.flatten() else { return Ok(Cell::Null) };
        Decimal::new(i128::from(count), 0)
            .and_then(|count| divided(sum, count, scale))
            .and_then(|average| decimal_cell(average, SqlType::Decimal { precision: 38, scale }))
            .ok_or_else(|| failed(refusal::overflow("numeric")))
    }
}

/// A scalar subquery's one value; a second row is error 512.
struct Single;

impl Aggregate<Option<Cell>, Cell> for Single {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<Cell>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, found: &mut Option<Cell>) -> rusqlite::Result<()> {
        if found.is_some() {
            return Err(failed(refusal::many_rows_in_subquery()));
        }
        *found = Some(Cell::try_from(context.get_raw(0))?);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, found: Option<Option<Cell>>) -> rusqlite::Result<Cell> {
        Ok(found.flatten().unwrap_or(Cell::Null))
    }
}

/// STRING_AGG
struct Join;

impl Aggregate<Option<String>, Cell> for Join {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<String>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, joined: &mut Option<String>) -> rusqlite::Result<()> {
        let Ok(text) = context.get_raw(0).as_str() else { return Ok(()) };
        match joined {
            Some(joined) => {
                joined.push_str(context.get_raw(1).as_str().unwrap_or(""));
                joined.push_str(text);
            }
            None => *joined = Some(text.to_string()),
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        joined: Option<Option<String>>,
    ) -> rusqlite::Result<Cell> {
        Ok(joined.flatten().map_or(Cell::Null, Cell::Text))
    }
}
