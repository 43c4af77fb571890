//! Which products and customers the register has offline, and what would change if it were computed now.

use super::Door;
use super::problem::Problem;
use crate::selecting;
use axum::Json as JsonBody;
use axum::extract::{Query, State};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// `?would_change=true` asks the channel; without it in reach `would_change` is null.
pub async fn get(
    State(door): State<Door>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<JsonBody<Json>, Problem> {
    let agent = &door.agent;
    let register = agent.register();
    let mut shown = selecting::shown(&register).await?;
    if asked.get("would_change").is_some_and(|asked| asked == "true") {
        let mut lane = agent.lanes.front().await;
        let changes = selecting::would_change(&register, &mut lane).await;
        let (changes, why) = match changes {
            Ok(changes) => (changes, Json::Null),
            Err(error) => {
                (Json::Null, json!({ "code": error.code(), "message": error.to_string() }))
            }
        };
        shown["would_change"] = changes;
        shown["would_change_unknown"] = why;
    }
    Ok(JsonBody(shown))
}
