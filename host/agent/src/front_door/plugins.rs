//! Which plugins are at work, what each did, what a new version would do, and the way back to an earlier one.

use super::Door;
use super::audit::Said;
use super::extract::{Part, Whole};
use super::problem::Problem;
use super::role::Role;
use crate::fault::FlowError;
use crate::plugins::earlier::WayBack;
use crate::plugins::preview::{self, Asked, Side};
use crate::plugins::{self, named_by};
use crate::register::{Register, ids_of};
use crate::renewal;
use axum::extract::State;
use axum::{Extension, Json as JsonBody};
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
        name: text("as"),
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

/// Back to an earlier component, between two passes; noted in the audit log before it is done.
pub async fn rollback(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Part(name): Part,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::required(&body)?;
    let agent = &door.agent;
    // Held to the end: no pass is under way.
    let _no_pull = agent.pull_lane().await;
    let register = agent.register();
    let now = may_go_back(&register, &name)?;
    let to = body["to"].as_str().map(str::to_string);
    let found = register.plugins.find_way_back(&name, &now, to).await;
    let (from, to) = found.ok_or_else(|| nothing_kept(&name))?;
    let (who, why) = (said.who.clone().unwrap_or_default(), said.why.clone().unwrap_or_default());
    let number = said.note(&door, role, "plugin-rollback", Some(format!("{name} {to}"))).await?;
    let at_ms = register.env.clock.wall_ms();
    agent.say(&format!("by hand, {who}: plugin {name} goes back to {to}"));
    let before = register.plugins.way_back(&name);
    let back = WayBack { from, to: to.clone(), who, why, at_ms };
    register.plugins.go_back(&register.local, &name, Some(back)).await?;
    renewal::exchange(agent).await?;
    let register = agent.register();
    let is_back = ids_of(&register.scopes).all(|id| id.name != name || id.digest == to);
    if !is_back {
        register.plugins.go_back(&register.local, &name, before).await?;
        let detail =
            format!("plugin {name} ({to}) does not fit the profile or the tables any more");
        return Err(Problem::new(409, "plugin-no-way-back", detail)
            .hint("`tillhold plugin list` and the log say why; the one at work stays"));
    }
    Ok(JsonBody(json!({ "plugin": name, "digest": to, "audit": number })))
}

/// The digest at work now, where the profile leaves it to a person.
fn may_go_back(register: &Register, name: &str) -> Result<String, Problem> {
    let Some(now) = ids_of(&register.scopes).find(|id| id.name == name) else {
        return Err(Problem::new(404, "plugin-unknown", format!("no scope uses a plugin {name}"))
            .hint("`tillhold plugin list` shows which are at work"));
    };
    let named = register.scopes.iter().flat_map(|run| named_by(&run.scope));
    let mut pins = named.filter(|plugin| plugin.name == name).filter_map(|p| p.pinned());
    match pins.next() {
        None => Ok(now.digest.clone()),
        Some(pin) => {
            let detail = format!("the profile pins plugin {name} to {pin}");
            Err(Problem::new(409, "plugin-pinned", detail).hint(
                "pin the earlier digest in the profile: a kept component is taken from there",
            ))
        }
    }
}

fn nothing_kept(name: &str) -> Problem {
    Problem::new(409, "plugin-no-earlier", format!("no such component of plugin {name} is kept"))
        .hint("`tillhold plugin list --json` has the digests of those that are")
}
