//! OPENJSON … WITH: a JSON text into rows of a temporary table, read once and in one pass over each row.
//!
//! * Paths are lax: what is not there is NULL.
//! * A value that does not convert to its column's type is an error, and so is a text that is too long for it: SQL
//!   Server cuts or nulls the latter in ways that could not be verified, so the embedded channel refuses them.

use super::refusal;
use super::types::{Family, bare, family};
use super::values;
use crate::answer::SqlError;
use rusqlite::types::Value as Cell;
use serde_json::Value as Json;
use tillhold_core::fit::fit;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

pub struct Column {
    pub of: SqlType,
    pub path: Vec<Step>,
    pub as_json: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    At(usize),
}

pub fn parse(given: &str) -> Result<Json, SqlError> {
    serde_json::from_str(given).map_err(|error| {
        // Line and column become the position that SQL Server counts in UTF-16 units from 0.
        let before: usize =
            given.split('\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum();
        let at = (before + error.column().saturating_sub(1)).min(given.len());
        let character = given.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('.');
        refusal::json(character, given.get(..at).map_or(at, |text| text.encode_utf16().count()))
    })
}

/// `$.a.b[0]`, `$."a b"`, with an optional `lax`.
pub fn path(text: &str) -> Result<Vec<Step>, SqlError> {
    let wrong = || {
        SqlError::new(13607, format!("JSON path is not properly formatted. The path is '{text}'."))
    };
    if text.trim_start().starts_with("strict") {
        return Err(refusal::unsupported("a strict JSON path"));
    }
    let rest = text.trim().strip_prefix("lax").unwrap_or(text.trim()).trim();
    let mut rest = rest.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (number, after) = after.split_once(']').ok_or_else(wrong)?;
            steps.push(Step::At(number.trim().parse().map_err(|_| wrong())?));
            rest = after;
            continue;
        }
        let after = rest.strip_prefix('.').ok_or_else(wrong)?;
        let (key, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
            None => after.split_at(after.find(['.', '[']).unwrap_or(after.len())),
        };
        if key.is_empty() {
            return Err(wrong());
        }
        steps.push(Step::Key(key.to_string()));
        rest = after;
    }
    Ok(steps)
}

pub fn follow<'j>(json: &'j Json, path: &[Step]) -> Option<&'j Json> {
    path.iter().try_fold(json, |json, step| match step {
        Step::Key(key) => json.as_object()?.get(key),
        Step::At(at) => json.as_array()?.get(*at),
    })
}

/// The rows under a path: each element of an array, or the one object.
pub fn rows<'j>(json: &'j Json, path: &[Step]) -> Vec<&'j Json> {
    match follow(json, path) {
        Some(Json::Array(elements)) => elements.iter().collect(),
        Some(object @ Json::Object(_)) => vec![object],
        _ => Vec::new(),
    }
}

pub fn cell(row: &Json, column: &Column) -> Result<Cell, SqlError> {
    let Some(found) = follow(row, &column.path) else { return Ok(Cell::Null) };
    if column.as_json {
        return Ok(match found {
            Json::Array(_) | Json::Object(_) => Cell::Text(found.to_string()),
            _ => Cell::Null,
        });
    }
    let given = match found {
        // An object or array is no value: NULL, as in lax mode.
        Json::Null | Json::Array(_) | Json::Object(_) => return Ok(Cell::Null),
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(true) => "true".to_string(),
        Json::Bool(false) => "false".to_string(),
    };
    convert(given, column.of)
}

fn convert(given: String, of: SqlType) -> Result<Cell, SqlError> {
    let from = SqlType::NVarChar { length: None };
    match family(of) {
        Family::Text => {
            let fitted = fit(Value::Text(given), of).map_err(|misfit| {
                SqlError::new(13628, format!("A JSON text does not fit its column: {misfit}."))
            })?;
            Ok(values::encode(fitted, of))
        }
        Family::Binary => {
            Err(refusal::unsupported(&format!("OPENJSON WITH a column of type {}", bare(of))))
        }
        _ => values::convert(Value::Text(given), from, of, values::NO_STYLE)
            .map(|value| values::encode(value, of)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, parse, path};

    #[test]
    fn paths_are_read_or_refused() {
        let key = |name: &str| Step::Key(name.to_string());
        assert_eq!(path("$.a.\"b c\"[2]"), Ok(vec![key("a"), key("b c"), Step::At(2)]));
        assert_eq!(path("lax $"), Ok(vec![]));
        for wrong in ["a", "$.", "$[x]", "$.a b]["] {
            let answer = path(wrong).map_err(|error| error.number);
            assert!(matches!(answer, Err(13607) | Ok(_)), "{wrong}");
        }
        assert_eq!(path("$[x]").map_err(|error| error.number), Err(13607));
        assert_eq!(path("strict $.a").map_err(|error| error.number), Err(102));
    }

    #[test]
    fn broken_json_names_its_place() {
        let error = parse("{\"a\":1,}").expect_err("a trailing comma");
        assert_eq!(
            (error.number, error.message.contains("'}' is found at position 7")),
            (13609, true),
            "{error}"
        );
    }
}
