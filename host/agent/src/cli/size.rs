//! `tillhold size`: how large the offline database is, table by table, and when it will be full.

use super::answering::Answering;
use super::{Done, Settings};
use clap::Args;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_env::{Env, out, outln};

/// Every page of some gigabytes on a slow disk, read or rewritten.
const WORK_LIMIT: Duration = Duration::from_secs(3_600);
const MB: f64 = (1 << 20) as f64;

#[derive(Args)]
pub struct SizeArgs {
    #[command(flatten)]
    settings: Settings,
    /// Rewrite the files without their free pages first; no sale is taken meanwhile
    #[arg(long)]
    compact: bool,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

pub async fn size(env: &Env, args: SizeArgs) -> anyhow::Result<Done> {
    let answering = Answering::any(env, &args.settings).await?;
    if args.compact {
        answering.post("/v1/size/compact", &json!({}), WORK_LIMIT).await?;
    }
    let size = answering.get("/v1/size", WORK_LIMIT).await?;
    answering.done().await?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&size)?);
    } else {
        out!("{}", page(&size));
    }
    let is_well = size["standing"] == "fine" && size["reserve"] != "gone";
    Ok(if is_well { Done::Yes } else { Done::No })
}

fn mb(bytes: &Json) -> String {
    bytes.as_f64().map_or("?".to_string(), |bytes| format!("{:.1}", bytes / MB))
}

fn word(json: &Json) -> &str {
    json.as_str().unwrap_or("?")
}

/// The standing in one line, for status too.
pub fn line(size: &Json) -> String {
    let (used, limit) = (mb(&size["used_bytes"]), mb(&size["limit_bytes"]));
    let full = match size["reserve"] == "gone" {
        true => "; the disk is full: what was kept for that is gone",
        false => "",
    };
    format!("offline database: {used} of {limit} MB: {}{full}", word(&size["standing"]))
}

fn forecast(forecast: &Json) -> String {
    if forecast.is_null() {
        return "no forecast yet: it takes three days".to_string();
    }
    let at = |days: &Json, percent: &str| match days.as_u64() {
        Some(0) => format!("{percent} now"),
        Some(days) => format!("{percent} in {days} days"),
        None => format!("{percent} not within ten years"),
    };
    format!(
        "grows by {} MB a day: {}, {}",
        mb(&forecast["bytes_per_day"]),
        at(&forecast["days_to_warning"], "80 %"),
        at(&forecast["days_to_limit"], "100 %")
    )
}

/// For eyes: the files, the standing, then a line a table.
fn page(size: &Json) -> String {
    let mut lines = Vec::new();
    for file in size["files"].as_array().into_iter().flatten() {
        let hint = match file["can_shrink"].as_bool() {
            Some(false) => "  (does not shrink: `tillhold size --compact`)",
            _ => "",
        };
        lines.push(format!(
            "{:<14} {:>10} MB used, {:>9} MB free, {:>8} MB log{hint}",
            word(&file["name"]),
            mb(&file["used_bytes"]),
            mb(&file["free_bytes"]),
            mb(&file["log_bytes"]),
        ));
    }
    lines.push(line(size));
    lines.push(format!(
        "space kept for a full disk: {}; the disk has {} MB free",
        word(&size["reserve"]),
        mb(&size["disk_free_bytes"])
    ));
    lines.push(forecast(&size["forecast"]));
    let purge = &size["purge"];
    if let Some(message) = purge["fault"]["message"].as_str() {
        lines.push(format!("the last purge failed: {message}"));
    }
    lines.push(String::new());
    lines.push(format!("{:>14} {:>10}  {:<13} TABLE", "BYTES", "ROWS", "FILE"));
    for table in size["tables"].as_array().into_iter().flatten() {
        lines.push(format!(
            "{:>14} {:>10}  {:<13} {}",
            table["bytes"].to_string(),
            table["rows"].to_string(),
            word(&table["file"]),
            word(&table["table"])
        ));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::{forecast, page};
    use serde_json::json;

    #[test]
    fn a_forecast_reads_as_a_sentence() {
        for (told, expected) in [
            (json!(null), "no forecast yet: it takes three days"),
            (
                json!({ "bytes_per_day": 3 << 20, "days_to_warning": 9, "days_to_limit": 12 }),
                "grows by 3.0 MB a day: 80 % in 9 days, 100 % in 12 days",
            ),
            (
                json!({ "bytes_per_day": 0, "days_to_warning": 0, "days_to_limit": null }),
                "grows by 0.0 MB a day: 80 % now, 100 % not within ten years",
            ),
        ] {
            assert_eq!(forecast(&told), expected);
        }
    }

    #[test]
    fn the_page_shows_what_is_wrong() {
        let size = json!({
            "used_bytes": 9 << 20, "limit_bytes": 10 << 20, "standing": "warning", "reserve": "gone",
            "disk_free_bytes": null, "forecast": null,
            "files": [{ "name": "catalogue.db", "used_bytes": 0, "free_bytes": 0, "log_bytes": 0, "can_shrink": false }],
            "tables": [{ "file": "catalogue.db", "table": "ax.A", "bytes": 4096, "rows": 1 }],
            "purge": { "fault": { "message": "no" } },
        });
        let page = page(&size);
        for part in [
            "does not shrink",
            "9.0 of 10.0 MB: warning",
            "kept for a full disk: gone; the disk has ? MB",
            "the last purge failed: no",
            "          4096          1  catalogue.db  ax.A",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
