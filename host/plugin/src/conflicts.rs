//! Conflicts to a resolver and its resolutions back.
//!
//! * A resolver sees the columns that it declared. What it was not shown it cannot decide, so a merged answer is
//!   completed here: an unseen column that one side changed keeps that change, and one that both changed makes the
//!   conflict wait for a person. Otherwise a resolver for three columns would silently undo a cashier's other edits.
//!   A value that it merges there itself stands.
//! * As with rows, nothing that a plugin says is believed.

use crate::answer::{self, plain};
use crate::columns::halves;
use crate::uses::Plan;
use crate::wire;
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::row::Row;
use tillhold_core::table::{Column, Table};
use tillhold_core::text;
use tillhold_core::value::Value;

pub(crate) fn to_wire(plan: &Plan, conflict: &Conflict) -> wire::Conflict {
    let columns = &conflict.table.columns;
    let side = |row: &Option<Row>| {
        row.as_ref().map(|row| plan.reads.iter().map(|at| value(&row.0[*at])).collect())
    };
    let key = conflict.key.0.iter().zip(conflict.table.key_columns());
    wire::Conflict {
        table: plan.spelled.clone(),
        key: key
            .map(|(cell, column)| wire::Cell { column: column.name.clone(), value: value(cell) })
            .collect(),
        columns: plan.reads.iter().map(|at| columns[*at].name.clone()).collect(),
        base: side(&conflict.base),
        channel: side(&conflict.channel),
        offline: side(&conflict.offline),
    }
}

/// The error says what is wrong with the answer.
pub(crate) fn from_wire(
    plan: &Plan,
    conflict: &Conflict,
    reason_bytes_max: usize,
    said: wire::Resolution,
) -> Result<Resolution, String> {
    match said {
        wire::Resolution::TakeChannel => Ok(Resolution::TakeChannel),
        wire::Resolution::TakeOffline => Ok(Resolution::TakeOffline),
        wire::Resolution::Deferred(reason) => {
            Ok(Resolution::Defer(plain(&reason, reason_bytes_max)))
        }
        wire::Resolution::Merged(cells) => merged(plan, conflict, cells),
    }
}

fn merged(plan: &Plan, conflict: &Conflict, said: Vec<wire::Cell>) -> Result<Resolution, String> {
    if conflict.channel.is_none() {
        return Err("a merge into a row that the channel no longer has".to_string());
    }
    let mut cells: Vec<(usize, Value)> = Vec::with_capacity(said.len());
    for wire::Cell { column, value } in said {
        let at = writable(&conflict.table, plan, &column)?;
        if cells.iter().any(|(taken, _)| *taken == at) {
            return Err(format!("{column} is merged twice"));
        }
        let declared = &conflict.table.columns[at];
        let value = cell(value, declared).map_err(|what| format!("{column}: {what}"))?;
        cells.push((at, value));
    }
    Ok(match unseen_changes(plan, conflict, &cells) {
        Ok(carried) => {
            cells.extend(carried);
            Resolution::Merge(cells)
        }
        Err(reason) => Resolution::Defer(reason),
    })
}

fn writable(table: &Table, plan: &Plan, column: &str) -> Result<usize, String> {
    let at = table.position(column).ok_or_else(|| format!("there is no column {column}"))?;
    match plan.writes.contains(&at) {
        true => Ok(at),
        false if plan.writes_granted && !table.is_key(at) => {
            Err(format!("{column} is merged, but the profile does not grant it for writing"))
        }
        false => Err(format!("{column} is merged, but was not declared as written")),
    }
}

/// The register's changes in columns that the plugin neither was shown nor merged; the error is why a person must look.
/// That it may write a column does not mean that it decided it.
fn unseen_changes(
    plan: &Plan,
    conflict: &Conflict,
    merged: &[(usize, Value)],
) -> Result<Vec<(usize, Value)>, String> {
    let (Some(channel), Some(offline)) = (&conflict.channel, &conflict.offline) else {
        return Ok(Vec::new());
    };
    let is_merged = |at: &usize| merged.iter().any(|(decided, _)| decided == at);
    let unseen = |at: &usize| !plan.reads.contains(at) && !is_merged(at);
    let mut carried = Vec::new();
    for at in offline.differences(channel).into_iter().filter(unseen) {
        let base = conflict.base.as_ref().map(|base| &base.0[at]);
        if base == Some(&offline.0[at]) {
            continue;
        }
        if base != Some(&channel.0[at]) {
            let name = &conflict.table.columns[at].name;
            return Err(format!("both sides changed {name}, which the resolver does not see"));
        }
        carried.push((at, offline.0[at].clone()));
    }
    Ok(carried)
}

fn value(value: &Value) -> wire::Value {
    match value {
        Value::Null => wire::Value::Null,
        Value::Bool(bit) => wire::Value::Boolean(*bit),
        Value::Int(number) => wire::Value::Integer(*number),
        Value::Float(number) => wire::Value::Float(*number),
        Value::Decimal(decimal) => wire::Value::Decimal(halves(*decimal)),
        Value::Text(text) => wire::Value::Text(text.clone()),
        Value::Bytes(bytes) => wire::Value::Binary(bytes.clone()),
        Value::Date(date) => wire::Value::Date(date.0),
        Value::Time(time) => wire::Value::Time(time.0),
        Value::Timestamp(moment) => wire::Value::Timestamp(moment.0),
        Value::OffsetTimestamp(moment) => wire::Value::OffsetTimestamp(wire::OffsetTimestamp {
            utc: moment.utc.0,
            offset_minutes: moment.offset_minutes,
        }),
        Value::Guid(guid) => wire::Value::Guid(guid.to_vec()),
    }
}

fn cell(said: wire::Value, declared: &Column) -> Result<Value, String> {
    let value = match said {
        wire::Value::Null => Value::Null,
        wire::Value::Boolean(bit) => Value::Bool(bit),
        wire::Value::Integer(number) => Value::Int(number),
        wire::Value::Float(number) => Value::Float(number),
        wire::Value::Decimal(decimal) => answer::decimal(decimal)?,
        wire::Value::Text(text) => Value::Text(text),
        wire::Value::Binary(bytes) => Value::Bytes(bytes),
        wire::Value::Date(days) => answer::date(days)?,
        wire::Value::Time(ticks) => answer::time(ticks)?,
        wire::Value::Timestamp(ticks) => answer::timestamp(ticks)?,
        wire::Value::OffsetTimestamp(moment) => {
            answer::offset_timestamp(moment.utc, moment.offset_minutes)?
        }
        wire::Value::Guid(bytes) => {
            Value::Guid(bytes.try_into().map_err(|_| "a guid is not 16 bytes".to_string())?)
        }
        wire::Value::Other(other) => {
            return text::parse(&other.text, declared.of).map_err(|misfit| misfit.reason);
        }
    };
    answer::fitted(value, declared)
}
