//! Contested rows of a test case, and what a resolver said to each.
//!
//! ```text
//! conflict.json   {"base": {…}, "channel": {…} or null, "offline": {…} or null}, or an array of such
//! expected.json   [{"take": "channel"}, {"take": "offline"}, {"merge": {…}}, {"defer": "reason"}], one a conflict
//! ```
//! `base` has every column; `channel` and `offline` only those that differ from it. Where there is no base, the row is
//! new on both sides and each has every column.

use crate::KitError;
use crate::cells::{from_json, resolution_json, to_json};
use crate::csv::Problem;
use crate::rows::{json_reason, row_json, row_of_json, shape, unknown};
use serde_json::{Map, Value as Json, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::value::Value;

type Cells = Map<String, Json>;

pub(crate) fn read(file: &Path, table: &Table) -> Result<(Arc<Table>, Vec<Conflict>), KitError> {
    let wrong = |line, reason| wrong(file, line, reason);
    let all = objects(file)?;
    let first = all.first().ok_or_else(|| wrong(1, "there is no conflict".to_string()))?;
    let sides = [first.get("base"), first.get("channel"), first.get("offline")];
    let whole = sides.into_iter().flatten().find_map(Json::as_object);
    let whole = whole.ok_or_else(|| wrong(1, "no side has a row".to_string()))?;
    let names: Vec<String> = whole.keys().cloned().collect();
    let shape = shape(table, &names).map_err(|reasons| wrong(1, reasons.join("; ")))?;
    let shape = Arc::new(shape);
    let one = |(at, json): (usize, &Cells)| {
        conflict(json, &shape).map_err(|reason| wrong(at + 1, reason))
    };
    let conflicts = all.iter().enumerate().map(one).collect::<Result<_, _>>()?;
    Ok((shape, conflicts))
}

/// An object, or an array of objects.
fn objects(file: &Path) -> Result<Vec<Cells>, KitError> {
    let unread = |cause| KitError::File { path: file.to_path_buf(), done: "read", cause };
    let text = fs::read_to_string(file).map_err(unread)?;
    let json: Json = serde_json::from_str(&text)
        .map_err(|error| wrong(file, error.line(), json_reason(&error)))?;
    let all = if let Json::Array(all) = json { all } else { vec![json] };
    let object = |(at, json)| match json {
        Json::Object(cells) => Ok(cells),
        _ => Err(wrong(file, at + 1, "it is not an object".to_string())),
    };
    all.into_iter().enumerate().map(object).collect()
}

fn wrong(file: &Path, line: usize, reason: String) -> KitError {
    KitError::Rows { file: file.display().to_string(), problems: vec![Problem { line, reason }] }
}

fn conflict(json: &Cells, shape: &Arc<Table>) -> Result<Conflict, String> {
    if let Some(other) =
        json.keys().find(|key| !["base", "channel", "offline"].contains(&key.as_str()))
    {
        return Err(format!("'{other}' is not base, channel or offline"));
    }
    let cells = |side: &str| match json.get(side) {
        Some(Json::Object(cells)) => Ok(Some(cells)),
        Some(Json::Null) => Ok(None),
        None if side == "base" => Ok(None),
        _ => Err(format!("{side} is not an object of columns, or null where there is no row")),
    };
    let base = cells("base")?.map(|cells| row_of_json(cells, shape)).transpose()?;
    let side = |name: &str| -> Result<Option<Row>, String> {
        let row = cells(name)?.map(|cells| changed(cells, base.as_ref(), shape)).transpose();
        row.map_err(|reason| format!("{name}: {reason}"))
    };
    let (channel, offline) = (side("channel")?, side("offline")?);
    let one = base.as_ref().or(channel.as_ref()).or(offline.as_ref()).ok_or("no side has a row")?;
    Ok(Conflict { table: shape.clone(), key: one.key(shape), base: base.clone(), channel, offline })
}

fn changed(cells: &Cells, base: Option<&Row>, shape: &Table) -> Result<Row, String> {
    let Some(base) = base else { return row_of_json(cells, shape) };
    let mut row = base.clone();
    for (at, value) in values(cells, shape)? {
        row.0[at] = value;
    }
    Ok(row)
}

fn values(cells: &Cells, shape: &Table) -> Result<Vec<(usize, Value)>, String> {
    let value = |(name, json): (&String, &Json)| {
        let at = shape.position(name).ok_or_else(|| unknown(shape, name))?;
        let value = from_json(json, &shape.columns[at]);
        value.map(|value| (at, value)).map_err(|misfit| format!("{name}: {misfit}"))
    };
    cells.iter().map(value).collect()
}

/// As [`read`] takes them: of two sides with a base only what differs.
pub(crate) fn text(conflicts: &[Conflict], shape: &Table) -> String {
    let one = |conflict: &Conflict| {
        let side = |row: &Option<Row>| match (row, &conflict.base) {
            (None, _) => Json::Null,
            (Some(row), None) => row_json(row, shape),
            (Some(row), Some(base)) => {
                let differing = row.differences(base).into_iter();
                let cell = |at: usize| {
                    let column = &shape.columns[at];
                    (column.name.clone(), to_json(&row.0[at], column))
                };
                Json::Object(differing.map(cell).collect())
            }
        };
        let base = conflict.base.as_ref().map(|base| row_json(base, shape));
        json!({ "base": base, "channel": side(&conflict.channel), "offline": side(&conflict.offline) })
            .to_string()
    };
    format!("[\n{}\n]\n", conflicts.iter().map(one).collect::<Vec<_>>().join(",\n"))
}

pub(crate) fn read_resolutions(file: &Path, shape: &Table) -> Result<Vec<Resolution>, KitError> {
    let one = |(at, json): (usize, &Cells)| {
        resolution(json, shape).map_err(|reason| wrong(file, at + 1, reason))
    };
    objects(file)?.iter().enumerate().map(one).collect()
}

fn resolution(json: &Cells, shape: &Table) -> Result<Resolution, String> {
    let mut members = json.iter();
    match (members.next().map(|(name, json)| (name.as_str(), json)), members.next()) {
        (Some(("take", side)), None) if side == "channel" => Ok(Resolution::TakeChannel),
        (Some(("take", side)), None) if side == "offline" => Ok(Resolution::TakeOffline),
        (Some(("merge", Json::Object(cells))), None) => values(cells, shape).map(Resolution::Merge),
        (Some(("defer", Json::String(reason))), None) => Ok(Resolution::Defer(reason.clone())),
        _ => Err(r#"it is not {"take": "channel"}, {"take": "offline"}, {"merge": {…}} or {"defer": "…"}"#.to_string()),
    }
}

/// As [`read_resolutions`] takes them, one a line.
pub(crate) fn resolutions_text(resolutions: &[Resolution], shape: &Table) -> String {
    let lines = resolutions.iter().map(|one| resolution_json(shape, one).to_string());
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}
