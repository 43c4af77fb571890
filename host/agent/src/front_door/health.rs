//! Signs of life for whoever watches the register: it is alive, it takes sales, and if not, why.

use super::Door;
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::{freshness, numbers, upkeep};
use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

/// Answers whenever the process answers at all.
pub async fn alive() -> JsonBody<Json> {
    JsonBody(json!({ "alive": true }))
}

/// 200 when a sale that comes now is accepted, whichever database it goes to; otherwise 503 with the reasons.
pub async fn ready(State(door): State<Door>) -> Response {
    let reasons = reasons(&door.agent).await;
    let body = JsonBody(json!({
        "ready": reasons.is_empty(),
        "state": door.agent.state().name(),
        "reasons": reasons,
    }));
    match body["ready"] == true {
        true => body.into_response(),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
        }
    }
}

/// Why no sale is taken now; empty when one is.
pub async fn reasons(agent: &Agent) -> Vec<Json> {
    let mut reasons = Vec::new();
    if *agent.stopping.borrow() {
        let reason = ("door-stopping", "the agent stops: it finishes what it has begun");
        reasons.push(json!({ "code": reason.0, "message": reason.1, "hint": "start it again" }));
    }
    let register = agent.register();
    let unreadable = register.local.counts().await.err().map(FlowError::from);
    let data = freshness::refusal(agent);
    let refusals = unreadable.into_iter().chain(upkeep::refusal(&register)).chain(data);
    let refusals = refusals.chain(numbers::refusal(agent, &register));
    reasons.extend(refusals.map(|error| freshness::told(&error)));
    reasons
}
