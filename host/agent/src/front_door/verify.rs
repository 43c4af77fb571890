//! `POST /v1/verify` with `{"scope": …, "table": …}`: the offline database against the channel, every difference by name.

use super::Door;
use super::extract::Whole;
use super::problem::Problem;
use crate::verify::{Asked, verify};
use axum::Json as JsonBody;
use axum::extract::State;
use serde_json::Value as Json;
use std::sync::Arc;
use tillhold_core::table::TableName;

/// Answers when it is done; a second one waits for the first.
pub async fn post(
    State(door): State<Door>,
    Whole(asked): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let register = door.agent.register();
    let asked = Asked { scope: scope(&door, &asked)?, table: table(&door, &asked)? };
    let comparing = async {
        let _one_at_a_time = door.agent.verifying.lock().await;
        verify(&register, &asked).await
    };
    let report = tokio::select! {
        report = comparing => report?,
        () = door.agent.stopped() => return Err(stopped("the agent stops")),
    };
    // Of two profiles no report is to be made.
    match Arc::ptr_eq(&register, &door.agent.register()) {
        true => Ok(JsonBody(report.told())),
        false => Err(stopped("the profile was changed meanwhile")),
    }
}

fn scope(door: &Door, asked: &Json) -> Result<Option<String>, Problem> {
    let Some(name) = asked["scope"].as_str() else { return Ok(None) };
    let register = door.agent.register();
    let Some(run) = register.scopes.iter().find(|run| run.scope.name == name) else {
        return Err(Problem::new(404, "scope-unknown", format!("the profile has no scope {name}"))
            .hint("GET /v1/status lists the scopes"));
    };
    if !run.is_pulled() {
        return Err(uploaded(&format!("scope {name}")));
    }
    Ok(Some(name.to_string()))
}

fn table(door: &Door, asked: &Json) -> Result<Option<TableName>, Problem> {
    let Some(name) = asked["table"].as_str() else { return Ok(None) };
    let register = door.agent.register();
    let named = TableName::parse(name).and_then(|name| register.table(&name));
    let Some((run, table)) = named else {
        let detail = format!("{name} is in no scope of the profile");
        return Err(Problem::new(404, "table-unknown", detail)
            .hint("name it as ax.TABLE; GET /v1/size lists the tables"));
    };
    if asked["scope"].as_str().is_some_and(|scope| scope != run.scope.name) {
        let detail = format!("{name} is in scope {}", run.scope.name);
        return Err(Problem::new(422, "verify-nothing", detail).hint("leave the scope out"));
    }
    if !run.is_pulled() {
        return Err(uploaded(name));
    }
    Ok(Some(table.name.clone()))
}

fn uploaded(what: &str) -> Problem {
    let detail = format!("{what} only goes up: there is nothing to compare");
    Problem::new(422, "verify-nothing", detail)
        .hint("`tillhold status` shows what is unsent; the channel's ledger has what arrived")
}

fn stopped(detail: &str) -> Problem {
    Problem::new(503, "verify-stopped", detail).hint("compare again")
}
