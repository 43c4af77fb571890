//! How large the offline database is, and what a person can do about it.

use super::Door;
use super::problem::Problem;
use crate::detached::carry_out;
use crate::fault::FlowError;
use crate::upkeep;
use axum::Json as JsonBody;
use axum::extract::State;
use serde_json::Value as Json;

/// Reads every page of both files: seconds for a large catalogue, beside the selling, and for one caller at a time.
pub async fn get(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    let walk = door.places.walk()?;
    let (agent, env) = (door.agent.clone(), door.agent.register().env.clone());
    // The reading does not end when the caller hangs up, so its place may not be free before.
    let told = carry_out(&env, async move {
        let told = upkeep::told_whole(&agent).await;
        drop(walk);
        told
    });
    Ok(JsonBody(told.await.ok_or(FlowError::BrokeOff("a look at the size"))??))
}

/// Answers when it is done, with the standing then; no sale is taken meanwhile.
pub async fn compact(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    let local = door.agent.register().local.clone();
    local.compact().await.map_err(FlowError::from)?;
    Ok(JsonBody(upkeep::told(&door.agent).await?))
}
