//! `tillhold quarantine`: what was refused and set aside, and sending it again once the cause is mended.

use super::answering::Answering;
use super::conflicts::{ListArgs, Person, ShowArgs};
use super::told::{Grid, moment, shown, text};
use super::{Done, Settings};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_env::Env;

/// Nothing of this asks the channel.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Subcommand)]
pub enum QuarantineCommand {
    /// Sales and rows that were refused, with the reason
    List(ListArgs),
    /// One sale: its rows, the channel's words, and what waits for it
    Show(ShowArgs),
    /// Send sales again as they are, after what stood in their way was mended
    Retry(RetryArgs),
}

#[derive(Args)]
pub struct RetryArgs {
    #[command(flatten)]
    settings: Settings,
    /// As listed, or so many of its first digits that it is the only one
    #[arg(value_name = "ID", required_unless_present_any = ["all", "code"])]
    id: Option<String>,
    /// All of them
    #[arg(long, conflicts_with_all = ["id", "code"])]
    all: bool,
    /// Those that were refused with this code
    #[arg(long, value_name = "CODE", conflicts_with = "id")]
    code: Option<String>,
    #[command(flatten)]
    person: Person,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn quarantine(env: &Env, command: QuarantineCommand) -> anyhow::Result<Done> {
    match command {
        QuarantineCommand::List(args) => list(env, args).await,
        QuarantineCommand::Show(args) => show(env, args).await,
        QuarantineCommand::Retry(args) => retry(env, args).await,
    }
}

async fn list(env: &Env, args: ListArgs) -> anyhow::Result<Done> {
    let answering = Answering::any(env, &args.settings).await?;
    let answer = answering.get("/v1/quarantine", LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.json)? {
        let mut sales = Grid::of(&["ID", "RECEIVED", "ROWS", "CODE", "REASON"]);
        for sale in all(&answer["sales"]) {
            sales.row([
                text(&sale["short"]),
                moment(&sale["received_at_ms"]),
                text(&sale["rows"]),
                text(&sale["code"]),
                text(&sale["reason"]),
            ]);
        }
        sales.print();
        if all(&answer["rows"]).next().is_some() {
            let mut rows = Grid::of(&["SCOPE", "TABLE", "ROW", "SINCE", "REASON"]);
            for row in all(&answer["rows"]) {
                let since = moment(&row["since_ms"]);
                let [scope, table, key, reason] =
                    ["scope", "table", "key", "reason"].map(|name| text(&row[name]));
                rows.row([scope, table, key, since, reason]);
            }
            println!();
            rows.print();
        }
    }
    let is_empty = ["sales", "rows"].iter().all(|name| all(&answer[*name]).next().is_none());
    Ok(if is_empty { Done::Yes } else { Done::No })
}

fn all(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

async fn show(env: &Env, args: ShowArgs) -> anyhow::Result<Done> {
    let answering = Answering::any(env, &args.settings).await?;
    let answer = answering.get(&format!("/v1/quarantine/{}", args.id), LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if shown(&answer, args.json)? {
        return Ok(Done::Yes);
    }
    println!(
        "sale         {}, received {}",
        text(&answer["id"]),
        moment(&answer["received_at_ms"])
    );
    println!("reason       [{}] {}", text(&answer["code"]), text(&answer["reason"]));
    println!("since        {}", moment(&answer["since_ms"]));
    for row in all(&answer["transaction_rows"]) {
        let [operation, table, key] = ["operation", "table", "key"].map(|name| text(&row[name]));
        println!("row          {operation} {table} {key}");
    }
    for waiting in all(&answer["waiting_transactions"]) {
        println!("waits for it {}", text(waiting));
    }
    Ok(Done::Yes)
}

async fn retry(env: &Env, args: RetryArgs) -> anyhow::Result<Done> {
    let (who, why) = (args.person.name(), args.why);
    let (path, body) = match &args.id {
        Some(id) => (format!("/v1/quarantine/{id}/retry"), json!({ "who": who, "why": why })),
        None => {
            let body = json!({ "all": args.all, "code": args.code, "who": who, "why": why });
            ("/v1/quarantine/retry".to_string(), body)
        }
    };
    let answering = Answering::any(env, &args.settings).await?;
    let answer = answering.post(&path, &body, LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.json)? {
        for id in all(&answer["transactions"]) {
            println!("{} goes up with the next push", text(id));
        }
    }
    let any = all(&answer["transactions"]).next().is_some();
    Ok(if any { Done::Yes } else { Done::No })
}
