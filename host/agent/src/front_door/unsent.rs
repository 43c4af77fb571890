//! Unsent sales by hand: written into a file, or brought from one into the channel.

use super::Door;
use super::extract::Whole;
use super::problem::Problem;
use crate::carry::{import, write};
use crate::fault::FlowError;
use axum::Json as JsonBody;
use axum::extract::State;
use serde_json::Value as Json;
use std::path::PathBuf;

/// `{"to": PATH or null}`; the path is of a new file.
pub async fn export(
    State(door): State<Door>,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let register = door.agent.register();
    let to = match body["to"].as_str() {
        Some(to) => Some(path(to)?),
        None => None,
    };
    let is_named = to.is_some();
    let carried = write::write(&register.env, &register.local, &register.file, to).await;
    Ok(JsonBody(carried.map_err(|error| of_path(error, is_named))?.json()))
}

/// `{"file": PATH, "key": KEY or null}`
pub async fn bring_in(
    State(door): State<Door>,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let file = path(body["file"].as_str().unwrap_or_default())?;
    let register = door.agent.register();
    let mut link = door.agent.push_lane().await;
    let imported = import::import(&register, &mut link, &file, body["key"].as_str()).await;
    Ok(JsonBody(imported.map_err(|error| of_path(error, true))?.json()))
}

fn path(text: &str) -> Result<PathBuf, Problem> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Problem::new(422, "unsent-no-file", "the body names no file")
            .hint("send {\"file\": PATH} with the path on this machine"));
    }
    Ok(PathBuf::from(text))
}

/// A file that cannot be used is the matter of who named it.
fn of_path(error: FlowError, is_named: bool) -> Problem {
    match error.code() {
        "snapshot-file" | "unsent-file" if is_named => {
            Problem::new(422, error.code(), error.to_string())
                .hint(error.hint().unwrap_or_default())
        }
        _ => error.into(),
    }
}
