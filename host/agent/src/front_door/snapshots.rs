//! Prebuilt catalogues by hand: make one now, look for one now.

use super::Door;
use super::problem::Problem;
use crate::snapshot::{board, keep};
use axum::Json as JsonBody;
use axum::extract::{Query, State as Shared};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use tillhold_core::failover::State;

/// `?force=true`: also when nothing has changed. Answers when it is done.
pub async fn export(
    Shared(door): Shared<Door>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<JsonBody<Json>, Problem> {
    let is_forced = asked.get("force").is_some_and(|word| word == "true");
    let result = keep::export_now(&door.agent, is_forced).await;
    let shown = board::exported(door.agent.register().env.clock.wall_ms(), &result);
    result?;
    Ok(JsonBody(shown))
}

pub async fn look(Shared(door): Shared<Door>) -> Result<JsonBody<Json>, Problem> {
    let Some(settings) = door.agent.register().file.new_database.clone() else {
        return Err(Problem::new(422, "new-database-off", "no new database is looked for")
            .hint("say where in [new_database] source of register.toml"));
    };
    let is_online = door.agent.state() == State::Online;
    let result = keep::look_now(&door.agent, &settings, is_online).await;
    let shown = board::looked(door.agent.register().env.clock.wall_ms(), &result);
    result?;
    Ok(JsonBody(shown))
}
