//! `tillhold selection show`: which products and customers are offline, and what would change.

use super::answering::Answering;
use super::told::moment;
use super::{Done, Settings};
use clap::{Args, Subcommand};
use serde_json::Value as Json;
use std::time::Duration;
use tillhold_env::{Env, out, outln};

/// The criteria read the sales of months.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Subcommand)]
pub enum SelectionCommand {
    /// How many members each criterion found, when, and who would join or leave now
    Show(ShowArgs),
}

#[derive(Args)]
pub struct ShowArgs {
    #[command(flatten)]
    settings: Settings,
    /// The whole answer as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub async fn selection(env: &Env, command: SelectionCommand) -> anyhow::Result<Done> {
    let SelectionCommand::Show(args) = command;
    let answering = Answering::any(env, &args.settings).await?;
    let shown = answering.get("/v1/selection?would_change=true", LIMIT).await;
    answering.done().await?;
    let shown = shown?;
    match args.json {
        true => outln!("{}", serde_json::to_string_pretty(&shown)?),
        false => out!("{}", table(&shown)),
    }
    let is_in_force = ["products", "customers"].iter().all(|name| shown[*name]["in_force"] == true);
    Ok(if is_in_force { Done::Yes } else { Done::No })
}

/// For eyes.
fn table(shown: &Json) -> String {
    let mut text = String::new();
    for name in ["products", "customers"] {
        let of = &shown[name];
        let chosen = of["chosen"].as_str().unwrap_or_default();
        let pending = if of["in_force"] == true { "" } else { ", not in force yet" };
        text.push_str(&format!("offline {name}: {chosen}{pending}\n"));
        for (what, list) in [("found by", &of["criteria"]), ("members by", &of["members"])] {
            for (key, count) in list.as_object().into_iter().flatten() {
                text.push_str(&format!("  {what} {key}: {count}\n"));
            }
        }
        for unknown in of["unknown"].as_array().into_iter().flatten() {
            text.push_str(&format!("  not known to the channel: {}\n", plain(unknown)));
        }
        if of["computed_at_ms"].is_i64() {
            let computed = moment(&of["computed_at_ms"]);
            text.push_str(&format!("  computed at {computed}, every {} h\n", of["refresh_h"]));
        }
        for (what, list) in [
            ("would join", &shown["would_change"][name]["would_join"]),
            ("would leave", &shown["would_change"][name]["would_leave"]),
        ] {
            if list["count"].as_u64().unwrap_or_default() > 0 {
                let first = list["first"].as_array().into_iter().flatten().map(plain);
                let first = first.collect::<Vec<_>>().join(", ");
                text.push_str(&format!("  {what}: {} ({first})\n", list["count"]));
            }
        }
    }
    if let Some(why) = shown["would_change_unknown"]["message"].as_str() {
        text.push_str(&format!("what would change is not known: {why}\n"));
    }
    text
}

fn plain(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::table;
    use serde_json::json;

    #[test]
    fn when_a_choice_was_computed_is_told_as_a_moment() {
        let chosen = json!({
            "chosen": "some", "in_force": true, "computed_at_ms": 1_700_000_000_000i64, "refresh_h": 24.0,
        });
        let told = table(&json!({ "products": chosen }));
        assert!(told.contains("  computed at 2023-11-14 22:13:20Z, every 24.0 h\n"), "{told}");
    }
}
