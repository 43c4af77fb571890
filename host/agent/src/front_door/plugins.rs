//! Which plugins are at work, what each did, and what a new version would do.

use super::Door;
use super::asked::Whole;
use super::problem::Problem;
use crate::fault::FlowError;
use crate::plugins;
use crate::plugins::preview::{self, Asked, Side};
use axum::Json as JsonBody;
use axum::extract::State;
use serde_json::{Value as Json, json};

/// Of each kind, for each table, where nobody says.
const EXAMPLES: u64 = 3;

pub async fn list(State(door): State<Door>) -> JsonBody<Json> {
    JsonBody(json!({ "plugins": plugins::shown(&door.agent.register()) }))
}

/// What is wrong with the file is the asker's to mend.
fn refused(error: FlowError) -> Problem {
    let FlowError::Plugin(cause) = &error else { return error.into() };
    let problem = Problem::new(422, cause.code(), cause.to_string());
    match cause.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// Answers when it is done; nothing is written.
pub async fn preview(
    State(door): State<Door>,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let register = door.agent.register();
    let text = |name: &str| body[name].as_str().map(str::to_string);
    let scope = text("scope");
    let is_known = |name: &String| register.scopes.iter().any(|run| run.scope.name == *name);
    if let Some(name) = scope.as_ref().filter(|name| !is_known(name)) {
        return Err(Problem::new(404, "scope-unknown", format!("the profile has no scope {name}"))
            .hint("GET /v1/status lists the scopes"));
    }
    let asked = Asked {
        file: text("file").unwrap_or_default().into(),
        scope,
        config: text("config"),
        examples: body["examples"].as_u64().unwrap_or(EXAMPLES) as usize,
        from: match body["from"].as_str() {
            Some("channel") => Side::Channel,
            _ => Side::Offline,
        },
    };
    tokio::select! {
        told = preview::preview(&register, &asked) => Ok(JsonBody(told.map_err(refused)?)),
        () = door.agent.stopped() => Err(stopped()),
    }
}

fn stopped() -> Problem {
    Problem::new(503, "preview-stopped", "the agent stops").hint("ask again")
}
