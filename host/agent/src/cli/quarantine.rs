//! `tillhold quarantine`: what was refused and set aside; sending it again once the cause is mended, or letting go of it.

use super::answering::Answering;
use super::conflicts::{ListArgs, Person, ShowArgs, key};
use super::told::{Grid, moment, shown, text};
use super::{Done, Settings};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_client::query;
use tillhold_env::{Env, errln, outln};

/// Nothing of this asks the channel.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Subcommand)]
pub enum QuarantineCommand {
    /// Sales and rows that were refused, with the reason
    List(PageArgs),
    /// One sale: its rows, which of them was refused and why, and what waits for it; or one row
    Show(ShowArgs),
    /// Send sales again as they are, or ask for rows again, after what stood in their way was mended
    Retry(RetryArgs),
    /// Discard a sale, which will never be sent, or a row, until it changes again; on record on both sides
    Discard(DiscardArgs),
}

#[derive(Args)]
pub struct PageArgs {
    #[command(flatten)]
    listed: ListArgs,
    /// So many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    limit: usize,
    /// Those behind this place, which the page before named
    #[arg(long, value_name = "PLACE", conflicts_with = "all")]
    after: Option<String>,
    /// Every page
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub struct DiscardArgs {
    #[command(flatten)]
    shown: ShowArgs,
    /// What became of it instead: it was entered at the channel by hand, say
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    person: Person,
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
        QuarantineCommand::Discard(args) => discard(env, args).await,
    }
}

async fn list(env: &Env, args: PageArgs) -> anyhow::Result<Done> {
    let answering = Answering::any(env, &args.listed.settings).await?;
    let answer = pages(&answering, &args).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.listed.json)? {
        print_list(&answer);
        if let Some(next) = answer["next"].as_str() {
            errln!("more: --after {next}");
        }
    }
    let is_empty = ["sales", "rows"].iter().all(|name| all(&answer[*name]).next().is_none());
    Ok(if is_empty { Done::Yes } else { Done::No })
}

/// One page, or all of them as if they were one.
async fn pages(answering: &Answering, args: &PageArgs) -> anyhow::Result<Json> {
    let limit = args.limit.to_string();
    let (mut sales, mut rows, mut after) = (Vec::new(), Vec::new(), args.after.clone());
    loop {
        let mut asked = vec![("limit", limit.as_str())];
        asked.extend(after.as_deref().map(|after| ("after", after)));
        let page = answering.get(&query("/v1/quarantine", &asked), LIMIT).await?;
        sales.extend(all(&page["sales"]).cloned());
        rows.extend(all(&page["rows"]).cloned());
        after = page["next"].as_str().map(str::to_string);
        if after.is_none() || !args.all {
            return Ok(json!({ "sales": sales, "rows": rows, "next": after }));
        }
    }
}

fn print_list(answer: &Json) {
    let mut sales = Grid::of(&["SALE", "STATE", "RECEIVED", "ROWS", "CODE", "REASON"]);
    for sale in all(&answer["sales"]) {
        let [short, state, code, reason] =
            ["short", "state", "code", "reason"].map(|name| text(&sale[name]));
        let received = moment(&sale["received_at_ms"]);
        sales.row([short, state, received, text(&sale["rows"]), code, reason]);
    }
    let has_rows = all(&answer["rows"]).next().is_some();
    if !has_rows || all(&answer["sales"]).next().is_some() {
        sales.print();
    }
    if has_rows {
        let mut rows = Grid::of(&["ROW", "STATE", "SINCE", "TABLE", "KEY", "REASON"]);
        for row in all(&answer["rows"]) {
            let [short, state, table, key, reason] =
                ["short", "state", "table", "key", "reason"].map(|name| text(&row[name]));
            rows.row([short, state, moment(&row["since_ms"]), table, key, reason]);
        }
        rows.print();
    }
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
    match answer["kind"] == "row" {
        true => print_row(&answer),
        false => print_sale(&answer),
    }
    Ok(Done::Yes)
}

fn print_row(row: &Json) {
    outln!("row          {}", text(&row["id"]));
    outln!("which        {} {}", text(&row["table"]), text(&row["key"]));
    outln!("scope        {}", text(&row["scope"]));
    outln!("state        {}", text(&row["state"]));
    outln!("reason       [{}] {}", text(&row["code"]), text(&row["reason"]));
    outln!("since        {}", moment(&row["since_ms"]));
}

fn print_sale(sale: &Json) {
    outln!("sale         {}, received {}", text(&sale["id"]), moment(&sale["received_at_ms"]));
    outln!("state        {}", text(&sale["state"]));
    outln!("reason       [{}] {}", text(&sale["code"]), text(&sale["reason"]));
    outln!("since        {}", moment(&sale["since_ms"]));
    for row in all(&sale["transaction_rows"]) {
        let [operation, table] = ["operation", "table"].map(|name| text(&row[name]));
        outln!("row          {operation} {table} {}{}", key(&row["key"]), mark(row, sale));
    }
    for waiting in all(&sale["waiting_transactions"]) {
        outln!("waits for it {}", text(waiting));
    }
}

/// Which row was refused, and why.
fn mark(row: &Json, sale: &Json) -> String {
    match row["refused"].as_str() {
        Some("yes") => format!("  <- refused: {}", text(&sale["reason"])),
        Some(_) => "  <- perhaps this one: the channel named its table only".to_string(),
        None => String::new(),
    }
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
            outln!("{} goes up with the next push", text(id));
        }
        for id in all(&answer["rows"]) {
            outln!("{} is asked for with the next pull", text(id));
        }
    }
    let any = ["transactions", "rows"].iter().any(|name| all(&answer[*name]).next().is_some());
    Ok(if any { Done::Yes } else { Done::No })
}

async fn discard(env: &Env, args: DiscardArgs) -> anyhow::Result<Done> {
    let body = json!({ "why": args.why, "who": args.person.name() });
    let answering = Answering::any(env, &args.shown.settings).await?;
    let path = format!("/v1/quarantine/{}/discard", args.shown.id);
    let answer = answering.post(&path, &body, LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.shown.json)? {
        let (kind, id) = (text(&answer["kind"]), text(&answer["id"]));
        outln!("{kind} {id} is discarded; it leaves as soon as the channel has that on record");
    }
    Ok(Done::Yes)
}
