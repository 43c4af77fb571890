//! The operator's hand on the failover: held offline, released, tried now; noted in the audit log before it is done.

use super::Door;
use super::audit::Said;
use super::extract::Maybe;
use super::problem::Problem;
use super::role::Role;
use crate::hold;
use axum::extract::State;
use axum::{Extension, Json as JsonBody};
use serde_json::{Value as Json, json};
use tillhold_core::failover::Event;

pub async fn hold(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Maybe(body): Maybe,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::required(&body)?;
    by_hand(&door, role, Event::Hold, "hold", said).await
}

pub async fn release(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Maybe(body): Maybe,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::required(&body)?;
    by_hand(&door, role, Event::Release, "release", said).await
}

/// An attempt takes nothing from anyone, so nobody has to say why.
pub async fn reconnect(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Maybe(body): Maybe,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::of(&body)?;
    by_hand(&door, role, Event::Reconnect, "reconnect", said).await
}

async fn by_hand(
    door: &Door,
    role: Role,
    event: Event,
    action: &str,
    said: Said,
) -> Result<JsonBody<Json>, Problem> {
    let who = said.who.clone().unwrap_or_else(|| role.name().to_string());
    let why = said.why.clone();
    let _alone = door.hand.lock().await;
    let number = said.note(door, role, action, None).await?;
    door.agent.say(&format!("by hand, {who}: {action}"));
    match event {
        Event::Hold => hold::lay(&door.agent, who, why).await?,
        Event::Release => hold::lift(&door.agent).await?,
        _ => {}
    }
    door.agent.tell_surely(event).await;
    Ok(JsonBody(json!({ "asked": action, "audit": number })))
}
