//! `tillhold status` and `tillhold sync`: questions to the running agent, through its front door.

use super::answering::Answering;
use super::{Done, Settings};
use clap::Args;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_client::query;
use tillhold_env::Env;

/// A question about the present; a longer silence means a hanging agent.
const STATUS_LIMIT: Duration = Duration::from_secs(10);
/// A synchronisation of everything, after long absence.
const SYNC_LIMIT: Duration = Duration::from_secs(3_600);

#[derive(Args)]
pub struct StatusArgs {
    #[command(flatten)]
    settings: Settings,
    /// The whole answer as JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct SyncArgs {
    #[command(flatten)]
    settings: Settings,
    /// One scope only
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
    /// Choose the offline products and customers anew, whenever they were chosen last
    #[arg(long)]
    selection: bool,
}

pub async fn status(env: &Env, args: StatusArgs) -> anyhow::Result<Done> {
    let agent = Answering::running(env, &args.settings)?;
    let status = agent.get("/v1/status", STATUS_LIMIT).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", table(&status));
    }
    let nothing_waits = ["quarantined", "conflicts", "rows_aside"].iter().all(|n| status[*n] == 0);
    let well = status["state"] == "online" && nothing_waits && faults(&status).is_empty();
    Ok(if well { Done::Yes } else { Done::No })
}

pub async fn sync(env: &Env, args: SyncArgs) -> anyhow::Result<Done> {
    let agent = Answering::running(env, &args.settings)?;
    let mut asked: Vec<(&str, &str)> =
        args.scope.iter().map(|scope| ("scope", scope.as_str())).collect();
    if args.selection {
        asked.push(("selection", "true"));
    }
    let path = query("/v1/sync", &asked);
    let done = agent.post(&path, &json!({}), SYNC_LIMIT).await?;
    for scope in done["scopes"].as_array().into_iter().flatten() {
        println!("{}\t{} rows in", text(&scope["scope"]), scope["rows"]["rows_in"]);
    }
    let faults = faults(&done);
    for (what, fault) in &faults {
        eprintln!("{what} stands still: [{}] {}", text(&fault["code"]), text(&fault["message"]));
    }
    Ok(if faults.is_empty() { Done::Yes } else { Done::No })
}

/// What stands still, of push and of the scopes.
fn faults(answer: &Json) -> Vec<(String, &Json)> {
    let push = [("push", "push_fault"), ("selection", "selection_fault")];
    let push = push.into_iter().map(|(what, key)| (what.to_string(), &answer[key]));
    let scopes = answer["scopes"].as_array().into_iter().flatten().map(|scope| {
        let name = if scope["name"].is_string() { &scope["name"] } else { &scope["scope"] };
        (text(name), &scope["fault"])
    });
    push.chain(scopes).filter(|(_, fault)| fault.is_object()).collect()
}

fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_string)
}

/// For eyes: the standing on top, a line a scope below.
fn table(status: &Json) -> String {
    let mut lines = vec![
        format!(
            "register {} of store {}: {}",
            text(&status["register"]),
            text(&status["store"]),
            text(&status["state"])
        ),
        format!(
            "unsent: {} transactions, {} rows; quarantined: {}; conflicts waiting: {}",
            status["pending"]["transactions"],
            status["pending"]["rows"],
            status["quarantined"],
            status["conflicts"]
        ),
        super::size::line(&status["size"]),
        String::new(),
        format!(
            "{:<44} {:<13} {:>6} {:>9} {:>10}  {}",
            "SCOPE", "DIRECTION", "TABLES", "VERSION", "ROWS IN", "STANDING"
        ),
    ];
    for scope in status["scopes"].as_array().into_iter().flatten() {
        let standing = match (&scope["fault"], scope["ready"].as_bool()) {
            (Json::Object(fault), _) => format!("stands still: {}", text(&fault["message"])),
            (_, Some(true)) => "ready".to_string(),
            _ => "not loaded yet".to_string(),
        };
        let version = scope["version"].as_str().unwrap_or("-");
        lines.push(format!(
            "{:<44} {:<13} {:>6} {:>9} {:>10}  {standing}",
            text(&scope["name"]),
            text(&scope["direction"]),
            scope["tables"].to_string(),
            version,
            scope["total"]["rows_in"].to_string(),
        ));
    }
    lines.join("\n") + "\n"
}
