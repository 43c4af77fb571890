//! How large the offline database is, and what a person can do about it.

use super::Door;
use super::problem::Problem;
use crate::fault::FlowError;
use crate::upkeep;
use axum::Json as JsonBody;
use axum::extract::State;
use serde_json::Value as Json;

/// Reads every page of both files: seconds for a large catalogue, beside the selling.
pub async fn get(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    Ok(JsonBody(upkeep::told_whole(&door.agent).await?))
}

/// Answers when it is done, with the standing then; no sale is taken meanwhile.
pub async fn compact(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    let local = door.agent.register().local.clone();
    local.compact().await.map_err(FlowError::from)?;
    Ok(JsonBody(upkeep::told(&door.agent).await?))
}
