//! Which plugins are at work, and what each did.

use super::Door;
use crate::plugins;
use axum::Json as JsonBody;
use axum::extract::State;
use serde_json::{Value as Json, json};

pub async fn list(State(door): State<Door>) -> JsonBody<Json> {
    JsonBody(json!({ "plugins": plugins::shown(&door.agent.register()) }))
}
