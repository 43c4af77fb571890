//! `tillhold verify`: the offline database held against the channel, every difference by name.

use super::answering::Answering;
use super::told::{Grid, cell, shown, text};
use super::{Done, Settings};
use clap::Args;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_env::{Env, outln};

/// Some millions of rows over a slow line, through a rule.
const LIMIT: Duration = Duration::from_secs(4 * 3_600);

#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    settings: Settings,
    /// Only this scope
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
    /// Only this table
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// The answer as JSON, with every difference
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("scope {scope} could not be compared: {message}")]
pub struct VerifyError {
    scope: String,
    code: String,
    message: String,
    hint: Option<String>,
}

impl VerifyError {
    pub fn code(&self) -> String {
        self.code.clone()
    }

    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

pub async fn verify(env: &Env, args: VerifyArgs) -> anyhow::Result<Done> {
    let answering = Answering::any(env, &args.settings).await?;
    let asked = json!({ "scope": args.scope, "table": args.table });
    let answer = answering.post("/v1/verify", &asked, LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.json)? {
        print(&answer);
    }
    if let Some(fault) = list(&answer, "faults").next() {
        return Err(fault_of(fault).into());
    }
    Ok(if answer["equal"] == true { Done::Yes } else { Done::No })
}

fn fault_of(fault: &Json) -> VerifyError {
    VerifyError {
        scope: text(&fault["scope"]),
        code: text(&fault["code"]),
        message: text(&fault["message"]),
        hint: fault["hint"].as_str().map(str::to_string),
    }
}

fn list<'a>(answer: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    answer[name].as_array().into_iter().flatten()
}

/// Counts of every table, then the differences, a line a column.
fn print(answer: &Json) {
    const COUNTS: [(&str, &str); 8] = [
        ("rows_expected", "EXPECTED"),
        ("rows_offline", "OFFLINE"),
        ("ranges", "RANGES"),
        ("behind", "BEHIND"),
        ("unsent", "UNSENT"),
        ("deferred", "DEFERRED"),
        ("set_aside", "ASIDE"),
        ("different", "DIFFERENT"),
    ];
    let titles = ["SCOPE", "TABLE", "STANDING"].into_iter();
    let titles: Vec<&str> = titles.chain(COUNTS.iter().map(|(_, title)| *title)).collect();
    let mut tables = Grid::of(&titles);
    let is_empty = |table: &&Json| {
        table["standing"] == "compared" && COUNTS.iter().all(|(name, _)| table[name] == 0)
    };
    for table in list(answer, "tables").filter(|table| !is_empty(table)) {
        let names = ["scope", "table", "standing"].into_iter();
        tables.row(names.chain(COUNTS.iter().map(|(name, _)| *name)).map(|n| text(&table[n])));
    }
    tables.print();
    let empty = list(answer, "tables").filter(is_empty).count();
    if empty > 0 {
        outln!("{empty} further tables are empty on both sides");
    }
    if list(answer, "differences").next().is_some() {
        outln!();
        let mut grid = Grid::of(&["TABLE", "KEY", "DIFFERENCE", "COLUMN", "CHANNEL", "OFFLINE"]);
        list(answer, "differences").for_each(|one| difference(&mut grid, one));
        grid.print();
    }
    if let Some(sales) = answer["sales_lost"].as_u64().filter(|sales| *sales > 0) {
        outln!(
            "\nthe channel lacks the last {sales} sales that it took: `tillhold status` says what is done about it"
        );
    }
    let unexamined: u64 =
        list(answer, "tables").filter_map(|table| table["unexamined"].as_u64()).sum();
    for (count, what) in [
        (answer["differences_unnamed"].as_u64().unwrap_or_default(), "differences are not named"),
        (unexamined, "rows in doubt were not examined"),
    ] {
        if count > 0 {
            outln!("\n{count} further {what}: load the table anew");
        }
    }
}

fn difference(grid: &mut Grid, one: &Json) {
    let key = one["key"].as_object().into_iter().flatten();
    let key: Vec<String> = key.map(|(name, value)| format!("{name}={}", cell(value))).collect();
    let front = || [text(&one["table"]), key.join(", "), text(&one["kind"])].into_iter();
    let reason = one["reason"].as_str().unwrap_or_default();
    if list(one, "columns").next().is_none() {
        grid.row(front().chain(["".to_string(), "".to_string(), reason.to_string()]));
    }
    for column in list(one, "columns") {
        let cells = ["column", "channel", "offline"].map(|name| cell(&column[name]));
        grid.row(front().chain(cells));
    }
}
