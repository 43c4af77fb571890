//! `tillhold plugin preview`: what a new version would do to the rows of this register, before it is put to work.
//!
//! stdout: a line a table, then examples, a line a cell. Exit status 1 when a row would be refused or a table could not be
//! judged.

use crate::cli::answering::Answering;
use crate::cli::told::{Grid, cell, shown, text};
use crate::cli::{Done, Settings};
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;
use tillhold_env::{Env, outln};
use tillhold_kit::KitError;

/// Some millions of rows through two rules.
const LIMIT: Duration = Duration::from_secs(4 * 3_600);

#[derive(Args)]
pub struct PreviewArgs {
    /// The new component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The plugin in whose place it would come, with what the profile grants that one; by default FILE
    #[arg(long = "as", value_name = "PLUGIN")]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Only this scope
    #[arg(long, value_name = "NAME")]
    scope: Option<String>,
    /// Its config; by default what the profile says to the plugin in whose place it comes
    #[arg(long, value_name = "TEXT")]
    with_config: Option<String>,
    /// Which rows: the register's as they are, or the channel's through the rule at work and through the new one
    #[arg(long, value_enum, default_value_t = From::Offline)]
    from: From,
    /// Examples of each kind, for each table
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    limit: u64,
    /// The whole answer as JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    Offline,
    Channel,
}

pub async fn preview(env: &Env, args: &PreviewArgs) -> anyhow::Result<Done> {
    let unread = |cause| KitError::File { path: args.file.clone(), done: "read", cause };
    // The agent has another working folder.
    let file = args.file.canonicalize().map_err(unread)?;
    let from = match args.from {
        From::Offline => "offline",
        From::Channel => "channel",
    };
    let asked = json!({
        "file": file.display().to_string(),
        "as": args.name,
        "scope": args.scope,
        "config": args.with_config,
        "from": from,
        "examples": args.limit,
    });
    let answering = Answering::any(env, &args.settings).await?;
    let answer = answering.post("/v1/plugins-preview", &asked, LIMIT).await;
    answering.done().await?;
    let answer = answer?;
    if !shown(&answer, args.json)? {
        print(&answer);
    }
    let faults = list(&answer["tables"]).any(|table| table["fault"].is_object());
    Ok(if faults || answer["refused"] != 0 { Done::No } else { Done::Yes })
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn print(answer: &Json) {
    let counts = ["rows", "same", "changed", "dropped", "comes", "refused"];
    let titles: Vec<String> = counts.map(str::to_uppercase).into();
    let mut grid = Grid::of(
        &["TABLE", "SCOPE"]
            .into_iter()
            .chain(titles.iter().map(String::as_str))
            .collect::<Vec<_>>(),
    );
    for table in list(&answer["tables"]) {
        let names = [text(&table["table"]), text(&table["scope"])];
        grid.row(names.into_iter().chain(counts.map(|name| text(&table[name]))));
    }
    grid.print();
    if list(&answer["tables"]).next().is_none() {
        outln!(
            "nothing was tried: here it is the transformer of no table that comes down; a resolver is asked about conflicts \
             only, and is not previewed"
        );
    }
    if answer["in_profile"] == false {
        let name = text(&answer["plugin"]);
        outln!(
            "the profile names no plugin {name}: it was shown all that it asks for; --as PLUGIN says in whose place"
        );
    }
    for table in list(&answer["tables"]) {
        let name = text(&table["table"]);
        for one in list(&table["examples"]) {
            let reason = one["reason"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
            outln!("{name}, {}: {}{reason}", text(&one["key"]), text(&one["outcome"]));
            for changed in list(&one["cells"]) {
                let (before, after) = (cell(&changed["before"]), cell(&changed["after"]));
                outln!("    {}: {before} -> {after}", text(&changed["column"]));
            }
        }
        let fault = &table["fault"];
        if fault.is_object() {
            let (code, message) = (text(&fault["code"]), text(&fault["message"]));
            outln!("{name} could not be judged: [{code}] {message}");
        }
    }
    for line in list(&answer["said"]) {
        let level = if line["is_warning"] == true { "warns" } else { "says" };
        outln!("the new version {level}: {}", text(&line["text"]));
    }
    if answer["said_more"] != 0 {
        outln!("the new version says {} lines more", answer["said_more"]);
    }
}
