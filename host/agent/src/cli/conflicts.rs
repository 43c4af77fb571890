//! `tillhold conflicts` and `tillhold decisions`: what waits for a person, and what was decided.

use super::answering::Answering;
use super::newest::{self, NewestArgs};
use super::told::{Grid, cell, moment, shown, text};
use super::{Done, Settings};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;
use tillhold_env::{Env, out, outln};

/// Nothing of this asks the channel.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Subcommand)]
pub enum ConflictsCommand {
    /// The conflicts that wait for a person
    List(ListArgs),
    /// One conflict: the row as it was, at the channel and on the register, side by side
    Show(ShowArgs),
    /// Decide a conflict; it goes up with the next push
    Resolve(ResolveArgs),
}

#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub settings: Settings,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub settings: Settings,
    /// As listed, or so many of its first digits that it is the only one
    #[arg(value_name = "ID")]
    pub id: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ResolveArgs {
    #[command(flatten)]
    shown: ShowArgs,
    /// Start from this side; the register's side is its changes on the channel's row
    #[arg(long, value_enum, required_unless_present = "set")]
    take: Option<Take>,
    /// Give a column this value; `COLUMN=` is the empty text, `COLUMN` alone is NULL
    #[arg(long, value_name = "COLUMN=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    person: Person,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Who decides.
#[derive(Args)]
pub struct Person {
    /// For the record; the account that runs this command, unless given
    #[arg(long, visible_alias = "by", value_name = "NAME")]
    who: Option<String>,
}

impl Person {
    /// Empty where the operating system does not say: the front door refuses that.
    pub fn name(self) -> String {
        self.who.unwrap_or_else(|| whoami::username().unwrap_or_default())
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Take {
    Channel,
    Offline,
}

#[derive(Subcommand)]
pub enum DecisionsCommand {
    /// The newest decisions first
    List(NewestArgs),
}

pub async fn conflicts(env: &Env, command: ConflictsCommand) -> anyhow::Result<Done> {
    match command {
        ConflictsCommand::List(args) => list(env, args).await,
        ConflictsCommand::Show(args) => show(env, args).await,
        ConflictsCommand::Resolve(args) => resolve(env, args).await,
    }
}

async fn list(env: &Env, args: ListArgs) -> anyhow::Result<Done> {
    let answering = Answering::any(env, &args.settings).await?;
    let answer = answering.get("/v1/conflicts", LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.json)? {
        let mut grid = Grid::of(&["ID", "STATE", "SINCE", "TABLE", "ROW", "REASON"]);
        for one in answer["conflicts"].as_array().into_iter().flatten() {
            grid.row([
                text(&one["short"]),
                text(&one["state"]),
                moment(&one["since_ms"]),
                text(&one["table"]),
                key(&one["key"]),
                text(&one["reason"]),
            ]);
        }
        grid.print();
    }
    Ok(none_waits(&answer["conflicts"]))
}

/// Something that waits for a person is a no.
fn none_waits(list: &Json) -> Done {
    match list.as_array().is_some_and(|list| !list.is_empty()) {
        true => Done::No,
        false => Done::Yes,
    }
}

async fn show(env: &Env, args: ShowArgs) -> anyhow::Result<Done> {
    let answering = Answering::any(env, &args.settings).await?;
    let answer = answering.get(&format!("/v1/conflicts/{}", args.id), LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.json)? {
        out!("{}", side_by_side(&answer));
    }
    Ok(Done::Yes)
}

fn side_by_side(conflict: &Json) -> String {
    let plugin = conflict["plugin"].as_str().map(|digest| format!(" ({digest})"));
    let mut lines = vec![
        format!("conflict     {}", text(&conflict["id"])),
        format!("row          {} {}", text(&conflict["table"]), key(&conflict["key"])),
        format!("reason       {}", text(&conflict["reason"])),
        format!("left by      {}{}", text(&conflict["rule"]), plugin.unwrap_or_default()),
        format!("since        {}", moment(&conflict["since_ms"])),
        format!(
            "transaction  {}, received {}",
            text(&conflict["transaction"]),
            moment(&conflict["received_at_ms"])
        ),
    ];
    for row in conflict["transaction_rows"].as_array().into_iter().flatten() {
        let (operation, table) = (text(&row["operation"]), text(&row["table"]));
        lines.push(format!("             {operation} {table} {}", key(&row["key"])));
    }
    for (name, list) in
        [("beside it", "conflicts_beside"), ("waits for it", "waiting_transactions")]
    {
        for one in conflict[list].as_array().into_iter().flatten() {
            lines.push(format!("{name:<12} {}", text(one)));
        }
    }
    if let Some(decision) = conflict["decision"].as_object() {
        let (who, take) = (text(&decision["who"]), text(&decision["take"]));
        lines.push(format!("decided      by {who}: take {take}, set {}", decision["set"]));
    }
    lines.push(String::new());
    let mut grid = Grid::of(&["", "COLUMN", "BASE", "CHANNEL", "OFFLINE"]);
    // What the conflict is about stands above what is equal on all sides.
    let mut columns: Vec<&Json> = conflict["columns"].as_array().into_iter().flatten().collect();
    columns.sort_by_key(|column| {
        let is_changed = column["changed_by"].as_array().is_some_and(|by| !by.is_empty());
        if column["is_key"] == true {
            0
        } else if is_changed {
            1
        } else {
            2
        }
    });
    for column in columns {
        let by = |side: &str| {
            column["changed_by"].as_array().is_some_and(|by| by.iter().any(|one| one == side))
        };
        let marked = |side: &str| {
            let there = conflict["there"][side] == true;
            let mark = if by(side) { "* " } else { "  " };
            format!("{mark}{}", if there { cell(&column[side]) } else { "(no row)".to_string() })
        };
        let mark = match (column["is_key"] == true, by("channel") && by("offline")) {
            (true, _) => "key",
            (false, true) => "both",
            (false, false) => "",
        };
        let name = text(&column["column"]);
        grid.row([mark.to_string(), name, marked("base"), marked("channel"), marked("offline")]);
    }
    lines.push(grid.to_string());
    lines.push("* changed since the base".to_string());
    lines.join("\n") + "\n"
}

async fn resolve(env: &Env, args: ResolveArgs) -> anyhow::Result<Done> {
    let take = args.take.map(|take| match take {
        Take::Channel => "channel",
        Take::Offline => "offline",
    });
    let set: Map<String, Json> = args.set.iter().map(|given| assignment(given)).collect();
    let body = json!({ "take": take, "set": set, "who": args.person.name(), "why": args.why });
    let answering = Answering::any(env, &args.shown.settings).await?;
    let path = format!("/v1/conflicts/{}/resolve", args.shown.id);
    let answer = answering.post(&path, &body, LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.shown.json)? {
        outln!("decided: {}", answer["outcome"]);
        match answer["conflicts_left"].as_u64() {
            Some(0) => {
                outln!("transaction {} goes up with the next push", text(&answer["transaction"]))
            }
            left => outln!(
                "transaction {} waits for {} more",
                text(&answer["transaction"]),
                left.unwrap_or_default()
            ),
        }
    }
    Ok(Done::Yes)
}

fn assignment(given: &str) -> (String, Json) {
    match given.split_once('=') {
        Some((column, value)) => (column.to_string(), Json::from(value)),
        None => (given.to_string(), Json::Null),
    }
}

pub async fn decisions(env: &Env, command: DecisionsCommand) -> anyhow::Result<Done> {
    let DecisionsCommand::List(args) = command;
    if let Some(page) = args.page(env, "/v1/decisions").await? {
        let mut grid = Grid::of(&["NUMBER", "AT", "TABLE", "ROW", "RULE", "WHO", "WHY"]);
        for one in page["decisions"].as_array().into_iter().flatten() {
            let released = if one["released"].is_object() { "released by a " } else { "" };
            grid.row([
                text(&one["number"]),
                moment(&one["at_ms"]),
                text(&one["table"]),
                key(&one["key"]),
                format!("{released}{}", text(&one["rule"])),
                cell(&one["who"]),
                cell(&one["why"]),
            ]);
        }
        grid.print();
        newest::tell_more(&page);
    }
    Ok(Done::Yes)
}

/// `STORE=S0001, TERMINAL=000002`
pub fn key(key: &Json) -> String {
    let pairs = key.as_object().into_iter().flatten();
    pairs.map(|(name, value)| format!("{name}={}", cell(value))).collect::<Vec<_>>().join(", ")
}
