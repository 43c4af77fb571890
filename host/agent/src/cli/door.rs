//! `tillhold status` and `tillhold sync`: questions to the running agent, through its front door.

use super::answering::Answering;
use super::fleet::short;
use super::told::Grid;
use super::{Done, Settings};
use clap::Args;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_client::query;
use tillhold_env::{Env, errln, out, outln};

/// A question about the present; a longer silence means a hanging agent.
const STATUS_LIMIT: Duration = Duration::from_secs(10);
/// A synchronisation of everything, after long absence.
const SYNC_LIMIT: Duration = Duration::from_secs(3_600);

/// `sha256:` and twelve digits, as in the log.
const DIGEST_LETTERS: usize = 19;

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
    /// Send sales that the channel has lost once more, also where the log says that a person has to ask
    #[arg(long)]
    resend: bool,
}

pub async fn status(env: &Env, args: StatusArgs) -> anyhow::Result<Done> {
    let agent = Answering::running(env, &args.settings)?;
    let status = agent.get("/v1/status?rows=yes", STATUS_LIMIT).await?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        out!("{}", table(&status));
    }
    let nothing_waits = ["quarantined", "conflicts", "rows_aside"].iter().all(|n| status[*n] == 0);
    let well = status["state"] == "online"
        && nothing_waits
        && status["size"]["reserve"] != "gone"
        && faults(&status).is_empty()
        && status["profile_fault"].is_null()
        && status["data"]["fault"].is_null();
    Ok(if well { Done::Yes } else { Done::No })
}

pub async fn sync(env: &Env, args: SyncArgs) -> anyhow::Result<Done> {
    let agent = Answering::running(env, &args.settings)?;
    let mut asked: Vec<(&str, &str)> =
        args.scope.iter().map(|scope| ("scope", scope.as_str())).collect();
    if args.selection {
        asked.push(("selection", "true"));
    }
    if args.resend {
        asked.push(("resend", "true"));
    }
    let path = query("/v1/sync", &asked);
    let done = agent.post(&path, &json!({}), SYNC_LIMIT).await?;
    outln!("pushed\t{} sales\t{} rows", done["pushed"]["transactions"], done["pushed"]["rows"]);
    for scope in done["scopes"].as_array().into_iter().flatten() {
        outln!("pulled\t{} rows\t{}", scope["rows"]["rows_in"], text(&scope["scope"]));
    }
    let faults = faults(&done);
    for (what, fault) in &faults {
        errln!("{what} stands still: [{}] {}", text(&fault["code"]), text(&fault["message"]));
    }
    Ok(if faults.is_empty() { Done::Yes } else { Done::No })
}

/// What stands still, of push and of the scopes.
fn faults(answer: &Json) -> Vec<(String, &Json)> {
    let others =
        [("push", "push_fault"), ("lost sales", "lost_fault"), ("selection", "selection_fault")];
    let others = others.into_iter().map(|(what, key)| (what.to_string(), &answer[key]));
    let scopes = answer["scopes"].as_array().into_iter().flatten().map(|scope| {
        let name = if scope["name"].is_string() { &scope["name"] } else { &scope["scope"] };
        (text(name), &scope["fault"])
    });
    others.chain(scopes).filter(|(_, fault)| fault.is_object()).collect()
}

fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_string)
}

/// For eyes: the standing on top, a line a scope below.
fn table(status: &Json) -> String {
    let now_ms = status["now_ms"].as_i64().unwrap_or_default();
    let mut lines = vec![
        format!(
            "register {} of store {}: {}, profile {} since {}",
            text(&status["register"]),
            text(&status["store"]),
            text(&status["state"]),
            text(&status["profile"]),
            super::told::moment(&status["profile_taken_at_ms"]),
        ),
        unsent(status, now_ms),
        format!(
            "waiting for a person: {} quarantined, {} conflicts, {} rows set aside; numbers of sales up to {}",
            status["quarantined"],
            status["conflicts"],
            status["rows_aside"],
            status["numbers"]["mark"],
        ),
    ];
    lines.push(data(&status["data"]));
    lines.push(super::size::line(&status["size"]));
    lines.extend(trouble(&status["last_trouble"], now_ms));
    if let Some(from_ms) = status["returns_from_ms"].as_i64() {
        lines.push(format!(
            "after its loss not back before {} from now; `tillhold reconnect` does not wait",
            age(from_ms, now_ms)
        ));
    }
    let fault = &status["profile_fault"];
    if fault.is_object() {
        let (code, message) = (text(&fault["code"]), text(&fault["message"]));
        let origin = text(&status["profile_origin"]);
        lines.push(format!("the profile in {origin} was not taken: [{code}] {message}"));
    }
    for (name, fault) in [("push", &status["push_fault"]), ("numbers", &status["numbers"]["fault"])]
    {
        if fault.is_object() {
            let (code, message) = (text(&fault["code"]), text(&fault["message"]));
            lines.push(format!("{name} stands still: [{code}] {message}"));
        }
    }
    let fault = &status["lost_fault"];
    if fault.is_object() {
        let [code, message, hint] = ["code", "message", "hint"].map(|key| text(&fault[key]));
        lines.push(format!("[{code}] {message}: {hint}"));
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<40} {:<13} {:>6} {:>9} {:>6} {:>9} {:>8} {:>6} {:>6}  STANDING",
        "SCOPE", "DIRECTION", "TABLES", "VERSION", "AGE", "ROWS", "PENDING", "ERRORS", "NEXT"
    ));
    let scopes = status["scopes"].as_array().into_iter().flatten();
    lines.extend(scopes.map(|scope| scope_line(scope, now_ms)));
    let plugins = status["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !plugins.is_empty() {
        lines.push(String::new());
    }
    lines.extend(self::plugins(plugins, Some(now_ms)));
    lines.join("\n") + "\n"
}

/// A line a plugin at work, one for how it failed last, and one for a file that was refused; nothing where there is
/// none. With `now_ms` moments are told as ages.
pub fn plugins(plugins: &[Json], now_ms: Option<i64>) -> Vec<String> {
    if plugins.is_empty() {
        return Vec::new();
    }
    let titles = [
        "PLUGIN",
        "DIGEST",
        "SIGNED BY",
        "SINCE",
        "CALLS",
        "ROWS",
        "DROPPED",
        "REFUSED",
        "FAILURES",
    ];
    let mut grid = Grid::of(&[&titles[..], &["SCOPES"]].concat());
    for one in plugins {
        let rows = &one["rows"];
        let failures = one["failures"].as_object().into_iter().flatten();
        let failures: u64 = failures.filter_map(|(_, count)| count.as_u64()).sum();
        let scopes = one["scopes"].as_array().into_iter().flatten().map(text);
        grid.row([
            text(&one["name"]),
            text(&one["digest"]).chars().take(DIGEST_LETTERS).collect(),
            one["signed_by"].as_str().unwrap_or("-").to_string(),
            super::told::moment(&one["since_ms"]),
            one["calls"].to_string(),
            rows["in"].to_string(),
            rows["dropped"].to_string(),
            rows["refused"].to_string(),
            failures.to_string(),
            scopes.collect::<Vec<_>>().join(", "),
        ]);
    }
    let last = plugins.iter().filter_map(|one| last_failure(&one["last_failure"], now_ms));
    let refused = plugins.iter().filter_map(|one| refused(one, now_ms));
    [grid.to_string()].into_iter().chain(last).chain(refused).collect()
}

fn when(at_ms: &Json, now_ms: Option<i64>) -> Option<String> {
    Some(match now_ms {
        Some(now_ms) => format!("{} ago", age(now_ms, at_ms.as_i64()?)),
        None => format!("at {}", super::told::moment(at_ms)),
    })
}

fn refused(plugin: &Json, now_ms: Option<i64>) -> Option<String> {
    let refused = Some(&plugin["refused"]).filter(|refused| refused.is_object())?;
    let (when, name) = (when(&refused["at_ms"], now_ms)?, text(&plugin["name"]));
    let hint = refused["hint"].as_str().map(|hint| format!("; {hint}")).unwrap_or_default();
    let (code, message) = (text(&refused["code"]), text(&refused["message"]));
    Some(format!("{name}'s file was refused {when}, the one above stays: [{code}] {message}{hint}"))
}

fn last_failure(last: &Json, now_ms: Option<i64>) -> Option<String> {
    let when = when(Some(&last["at_ms"]).filter(|_| last.is_object())?, now_ms)?;
    let row = last["key"].as_str().map(|key| format!(", row {key}")).unwrap_or_default();
    let place = format!("scope {}, {}{row}", text(&last["scope"]), text(&last["table"]));
    Some(format!("failed {when}: [{}] {} ({place})", text(&last["code"]), text(&last["message"])))
}

fn data(data: &Json) -> String {
    let standing = text(&data["standing"]);
    let fault = &data["fault"];
    if fault.is_object() {
        let (code, message) = (text(&fault["code"]), text(&fault["message"]));
        let does = if data["reaction"] == "refuse" { "sales are refused" } else { "sales go on" };
        return format!("data: {standing}, {does}: [{code}] {message}");
    }
    match (data["age_s"].as_u64(), data["oldest_scope"].as_str()) {
        (Some(age_s), Some(scope)) => {
            format!("data: {standing}; the oldest are those of {scope}, {} old", short(age_s))
        }
        _ => format!("data: {standing}"),
    }
}

/// What was wrong with the channel last, whether or not it still is.
fn trouble(last: &Json, now_ms: i64) -> Option<String> {
    let ago = age(now_ms, last["at_ms"].as_i64()?);
    let words = format!("[{}] {}", text(&last["code"]), text(&last["message"]));
    let hint = last["hint"].as_str().map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(format!("last trouble with the channel, {ago} ago: {words}{hint}"))
}

fn unsent(status: &Json, now_ms: i64) -> String {
    let unsent = &status["unsent"];
    let amounts = unsent["amounts"].as_array().into_iter().flatten();
    let amounts = amounts.map(|one| format!("{} {}", text(&one["amount"]), text(&one["currency"])));
    let amounts = amounts.collect::<Vec<_>>().join(", ");
    let mut line = format!("unsent: {} sales, {} rows", unsent["transactions"], unsent["rows"]);
    if !amounts.is_empty() {
        line.push_str(&format!(", {amounts}"));
    }
    if let Some(oldest) = unsent["oldest_ms"].as_i64() {
        line.push_str(&format!(", the oldest {} old", age(now_ms, oldest)));
    }
    line
}

fn age(now_ms: i64, then_ms: i64) -> String {
    short(u64::try_from(now_ms - then_ms).unwrap_or(0) / 1_000)
}

fn scope_line(scope: &Json, now_ms: i64) -> String {
    let standing = match (&scope["fault"], scope["ready"].as_bool()) {
        (Json::Object(fault), _) => format!("stands still: {}", text(&fault["message"])),
        (_, Some(true)) => "ready".to_string(),
        _ => "not loaded yet".to_string(),
    };
    let or_dash = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_string());
    let at = |name: &str| scope[name].as_i64();
    // Also of before the start; push has a last time only.
    let known_age = scope["age_s"].as_u64().map(short);
    format!(
        "{:<40} {:<13} {:>6} {:>9} {:>6} {:>9} {:>8} {:>6} {:>6}  {standing}",
        text(&scope["name"]),
        text(&scope["direction"]),
        scope["tables"].to_string(),
        scope["version"].as_str().unwrap_or("-"),
        or_dash(known_age.or(at("last_sync_ms").map(|then| age(now_ms, then)))),
        or_dash(at("rows").map(|rows| rows.to_string())),
        scope["pending"].to_string(),
        scope["errors"].to_string(),
        or_dash(at("next_due_ms").map(|due| age(due, now_ms))),
    )
}
