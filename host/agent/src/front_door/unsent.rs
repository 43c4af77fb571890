//! Unsent sales by hand: written into a file, or brought from one into the channel.

use super::Door;
use super::problem::Problem;
use crate::carry::{import, write};
use axum::Json as JsonBody;
use axum::extract::State;
use serde_json::Value as Json;
use std::path::PathBuf;

/// `{"to": PATH or null}`
pub async fn export(
    State(door): State<Door>,
    JsonBody(body): JsonBody<Json>,
) -> Result<JsonBody<Json>, Problem> {
    let register = door.agent.register();
    let to = body["to"].as_str().map(PathBuf::from);
    let carried = write::write(&register.env, &register.local, &register.file, to).await?;
    Ok(JsonBody(carried.json()))
}

/// `{"file": PATH, "key": KEY or null}`
pub async fn bring_in(
    State(door): State<Door>,
    JsonBody(body): JsonBody<Json>,
) -> Result<JsonBody<Json>, Problem> {
    let Some(file) = body["file"].as_str().map(PathBuf::from) else {
        return Err(Problem::new(422, "unsent-no-file", "the body names no file")
            .hint("send {\"file\": PATH} with the path on this machine"));
    };
    let register = door.agent.register();
    let mut link = door.agent.push_lane().await;
    let imported = import::import(&register, &mut link, &file, body["key"].as_str()).await?;
    Ok(JsonBody(imported.json()))
}
