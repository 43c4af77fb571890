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
    Show(ShowColumnsArgs),
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
pub struct ShowColumnsArgs {
    #[command(flatten)]
    shown: ShowArgs,
    /// Also the columns that are equal on all sides
    #[arg(long)]
    all: bool,
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
    #[arg(long, value_name = "NAME")]
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

async fn show(env: &Env, args: ShowColumnsArgs) -> anyhow::Result<Done> {
    let ShowColumnsArgs { shown: args, all } = args;
    let answering = Answering::any(env, &args.settings).await?;
    let answer = answering.get(&format!("/v1/conflicts/{}", args.id), LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.json)? {
        out!("{}", side_by_side(&answer, all));
    }
    Ok(Done::Yes)
}

fn side_by_side(conflict: &Json, is_whole: bool) -> String {
    let mut lines = about(conflict);
    lines.push(String::new());
    let mut grid = Grid::of(&["", "COLUMN", "BASE", "CHANNEL", "OFFLINE"]);
    // What the conflict is about stands above what is equal on all sides.
    let mut columns: Vec<&Json> = conflict["columns"].as_array().into_iter().flatten().collect();
    columns.sort_by_key(|column| match (column["is_key"] == true, is_changed(column)) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    });
    let all = columns.len();
    columns.retain(|column| is_whole || !is_equal(conflict, column));
    let equal = all - columns.len();
    for column in columns {
        grid.row(line_of(conflict, column));
    }
    lines.push(grid.to_string());
    if equal > 0 {
        lines.push(format!("{equal} columns are equal on all sides: --all shows them"));
    }
    let since = moment(&conflict["since_ms"]);
    lines.push(format!("CHANNEL as of {since}, when the conflict was found"));
    lines.push("* changed since the base".to_string());
    lines.join("\n") + "\n"
}

/// What is to be known beside the rows.
fn about(conflict: &Json) -> Vec<String> {
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
    lines
}

fn line_of(conflict: &Json, column: &Json) -> [String; 5] {
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
    [mark.to_string(), name, marked("base"), marked("channel"), marked("offline")]
}

fn is_changed(column: &Json) -> bool {
    column["changed_by"].as_array().is_some_and(|by| !by.is_empty())
}

/// Nothing to decide about: a side without a row has nothing that could be equal.
fn is_equal(conflict: &Json, column: &Json) -> bool {
    let is_there =
        ["base", "channel", "offline"].iter().all(|side| conflict["there"][side] == true);
    is_there
        && column["is_key"] != true
        && !is_changed(column)
        && column["base"] == column["channel"]
        && column["base"] == column["offline"]
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
            let discarded = if one["discarded"].is_object() { "discarded by a " } else { "" };
            grid.row([
                text(&one["number"]),
                moment(&one["at_ms"]),
                text(&one["table"]),
                key(&one["key"]),
                format!("{discarded}{}", text(&one["rule"])),
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

#[cfg(test)]
mod tests {
    use super::side_by_side;
    use serde_json::{Value as Json, json};

    fn conflict(is_at_channel: bool) -> Json {
        let column = |name: &str, is_key: bool, [base, channel, offline]: [&str; 3]| {
            let sides = [("channel", channel), ("offline", offline)];
            let by = sides.into_iter().filter(|(_, value)| *value != base).map(|(side, _)| side);
            let by: Vec<&str> = by.collect();
            json!({
                "column": name, "is_key": is_key, "changed_by": by,
                "base": base, "channel": channel, "offline": offline,
            })
        };
        json!({
            "id": "e595", "since_ms": 1_700_000_000_000i64,
            "there": { "base": true, "channel": is_at_channel, "offline": true },
            "columns": [
                column("SAME", false, ["s", "s", "s"]),
                column("VATNUM", false, ["", "office", "till"]),
                column("ACCOUNTNUM", true, ["C1", "C1", "C1"]),
            ],
        })
    }

    /// What is equal on all sides is counted, unless it is asked for; the channel's side says of when it is.
    #[test]
    fn a_conflict_shows_what_there_is_to_decide_and_of_when_the_channels_row_is() {
        let told = side_by_side(&conflict(true), false);
        assert!(told.contains("VATNUM") && told.contains("ACCOUNTNUM"), "{told}");
        assert!(!told.contains("SAME"), "{told}");
        assert!(told.contains("1 columns are equal on all sides: --all shows them"), "{told}");
        let as_of = "CHANNEL as of 2023-11-14 22:13:20Z, when the conflict was found";
        assert!(told.contains(as_of), "{told}");
        let whole = side_by_side(&conflict(true), true);
        assert!(whole.contains("SAME") && !whole.contains("equal on all sides"), "{whole}");
        let gone = side_by_side(&conflict(false), false);
        assert!(gone.contains("SAME") && gone.contains("(no row)"), "{gone}");
    }
}
