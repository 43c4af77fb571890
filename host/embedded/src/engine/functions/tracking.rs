//! What triggers and inserts ask of their session: change tracking's version, context and mask, identity values,
//! row versions and new guids.

use super::{Answered, SESSION};
use crate::engine::running::Running;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::{Value as Cell, ValueRef};
use std::collections::BTreeSet;
use std::sync::Arc;

pub fn register(connection: &Connection, running: &Arc<Running>) -> rusqlite::Result<()> {
    let session = |name: &str, arguments: i32, function: fn(&Running, &Context<'_>) -> Answered| {
        let running = running.clone();
        connection.create_scalar_function(name, arguments, SESSION, move |context| {
            function(&running, context)
        })
    };
    session("ts_ct_version", 0, |running, _| Ok(Cell::Integer(running.tracked_version())))?;
    session("ts_ct_sequence", 0, |running, _| Ok(Cell::Integer(running.tracked_sequence())))?;
    session("ts_ct_context", 0, |running, _| Ok(running.context().map_or(Cell::Null, Cell::Blob)))?;
    session("ts_ct_mask", 0, |running, _| Ok(running.mask().map_or(Cell::Null, Cell::Blob)))?;
    session("ts_identity", 1, |running, context| {
        Ok(Cell::Integer(running.next_identity(context.get(0)?)))
    })?;
    session("ts_given_identity", 2, |running, context| {
        let value: Option<i64> = context.get(1)?;
        if let Some(value) = value {
            running.given_identity(context.get(0)?, value);
        }
        Ok(value.map_or(Cell::Null, Cell::Integer))
    })?;
    session("ts_rowversion", 0, |running, _| Ok(Cell::Blob(running.next_rowversion())))?;
    session("ts_own_rowversion", 0, |running, _| Ok(Cell::Blob(running.next_own_rowversion())))?;
    session("ts_capture", 0, |running, _| Ok(Cell::Integer(running.capture())))?;
    session("ts_newid", 0, |running, _| Ok(Cell::Text(running.new_guid())))?;
    connection.create_scalar_function("ts_ct_in_mask", 2, super::PURE, in_mask)?;
    connection.create_aggregate_function("ts_ct_masks", 2, super::PURE, Masks)
}

/// A mask is four zero bytes and then each column's number in four bytes, little-endian.
fn columns_of(mask: &[u8]) -> impl Iterator<Item = u32> {
    mask.chunks_exact(4)
        .skip(1)
        .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

pub fn mask_of(columns: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut mask = vec![0; 4];
    mask.extend(columns.into_iter().flat_map(u32::to_le_bytes));
    mask
}

/// CHANGE_TRACKING_IS_COLUMN_IN_MASK: no mask means every column.
fn in_mask(context: &Context<'_>) -> Answered {
    let column = context.get::<Option<i64>>(0)?;
    let Some(column) = column else { return Ok(Cell::Null) };
    match context.get_raw(1) {
        ValueRef::Blob(mask) => {
            Ok(Cell::Integer(i64::from(columns_of(mask).any(|c| i64::from(c) == column))))
        }
        _ => Ok(Cell::Integer(1)),
    }
}

/// `ts_ct_masks(mask, columns)`: all columns that a row's changes touched; NULL when one change has no mask (the
/// row was inserted or deleted between) or when every column outside the key changed.
struct Masks;

#[derive(Default)]
struct Touched {
    columns: BTreeSet<u32>,
    unmasked: bool,
    all: usize,
}

impl Aggregate<Option<Touched>, Cell> for Masks {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<Touched>> {
        Ok(None)
    }

    fn step(
        &self,
        context: &mut Context<'_>,
        touched: &mut Option<Touched>,
    ) -> rusqlite::Result<()> {
        let touched = touched.get_or_insert_with(Touched::default);
        touched.all = context.get::<i64>(1)? as usize;
        match context.get_raw(0) {
            ValueRef::Blob(mask) => touched.columns.extend(columns_of(mask)),
            _ => touched.unmasked = true,
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        touched: Option<Option<Touched>>,
    ) -> rusqlite::Result<Cell> {
        Ok(match touched.flatten() {
            Some(touched) if !touched.unmasked && touched.columns.len() < touched.all => {
                Cell::Blob(mask_of(touched.columns))
            }
            _ => Cell::Null,
        })
    }
}
