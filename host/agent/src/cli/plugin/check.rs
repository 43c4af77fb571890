//! `tillhold plugin check`: would a register load this file, and what does it work on?
//!
//! stdout: a page for eyes or one JSON object. Exit status 1 when a register would refuse it.

use super::subject::say_what_is_awaited;
use super::terms::Terms;
use crate::cli::Done;
use crate::cli::told::{Grid, shown};
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use tillhold_core::grant::Grant;
use tillhold_core::limits;
use tillhold_env::{Env, outln};
use tillhold_kit::{Checked, Component, Finding, Sandbox, Schema, UsedColumn};
use tillhold_plugin::{Beside, Plugin, PluginLimits, Role};

#[derive(Args)]
pub struct CheckArgs {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Hold what it reads and writes against these tables (`tillhold channel schema`)
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The config that the profile would hand to it
    #[arg(long, value_name = "TEXT", default_value = "")]
    config: String,
    #[command(flatten)]
    terms: Terms,
    /// Everything as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

pub fn check(env: &Env, args: &CheckArgs) -> anyhow::Result<Done> {
    let schema = args.schema.as_deref().map(Schema::open).transpose()?;
    let component = Component::read(&args.file)?;
    let sandbox = Sandbox::open(env)?.under(args.terms.of_a_file(&component.name)?);
    say_what_is_awaited(&sandbox, &component);
    let checked = tillhold_kit::check(&sandbox, &component, &args.config, schema.as_ref());
    let answer = as_json(args, &checked, &sandbox.limits());
    if !shown(&answer, args.json)? {
        tell(args, &checked, &sandbox.limits(), signer(&sandbox, &component, &checked));
    }
    Ok(if checked.findings.is_empty() { Done::Yes } else { Done::No })
}

/// Who signed it, as far as anybody asked.
fn signer(sandbox: &Sandbox, component: &Component, checked: &Checked) -> Option<String> {
    let by = checked.plugin.as_ref().and_then(Plugin::signed_by);
    let is_unasked = !sandbox.asks_for_signatures() && component.signature != Beside::Nothing;
    match by {
        Some(key) => Some(format!("by the key {key}")),
        None => is_unasked.then(|| "not looked at: no --profile with plugin_keys".to_string()),
    }
}

fn tell(args: &CheckArgs, checked: &Checked, limits: &PluginLimits, signer: Option<String>) {
    let mut facts = vec![
        ("file", args.file.display().to_string()),
        ("size", format!("{} bytes of {}", checked.bytes, limits.file_bytes_max)),
        ("digest", checked.digest.clone()),
    ];
    facts.extend(signer.map(|signer| ("signed", signer)));
    if let Some(plugin) = &checked.plugin {
        facts.push(("exports", exports(plugin).join(", ")));
        facts.push(("imports", plugin.imports().join(", ")));
        facts.push(("limits", limits_text(limits)));
    }
    for (name, fact) in facts {
        outln!("{name:<8} {fact}");
    }
    if checked.plugin.is_some() {
        outln!("\n{}", columns_text(&checked.columns));
        outln!("\n{}", grants_text(checked, args.schema.is_some()));
    }
    outln!();
    match checked.findings.is_empty() {
        true if args.schema.is_none() => {
            outln!("a register would load it; --schema FILE also checks its tables and columns");
        }
        true => outln!("a register would load it"),
        false => checked.findings.iter().for_each(tell_finding),
    }
}

fn tell_finding(finding: &Finding) {
    outln!("refused[{}]: {}", finding.code, finding.message);
    if let Some(hint) = &finding.hint {
        outln!("  next: {hint}");
    }
}

fn columns_text(columns: &[UsedColumn]) -> String {
    if columns.is_empty() {
        return "with this config it works on no table".to_string();
    }
    let mut grid = Grid::of(&["TABLE", "AS", "COLUMN", "TYPE", "ACCESS"]);
    for used in columns {
        let access = match (used.is_read, used.is_written) {
            (true, true) => "reads, writes",
            (true, false) => "reads",
            _ => "writes",
        };
        let of = used.of.as_deref().unwrap_or("-");
        grid.row([&used.table, used.role.name(), &used.column, of, access].map(str::to_string));
    }
    grid.to_string()
}

/// Ready to be pasted into a profile.
fn grants_text(checked: &Checked, has_schema: bool) -> String {
    let mut text = "what a profile grants it with, and nothing more:\n\n[[plugin]]\n".to_string();
    let name = checked.plugin.as_ref().map_or("", Plugin::name);
    text.push_str(&format!("name = \"{name}\"\ndigest = \"{}\"\ngrants = [\n", checked.digest));
    checked.grants.iter().for_each(|grant| text.push_str(&format!("    {grant},\n")));
    text.push(']');
    let resolves = checked.columns.iter().any(|used| used.role == Role::Resolve);
    if resolves && !has_schema {
        text.push_str(
            "\n# a resolver also reads the columns of each key: --schema FILE names them",
        );
    }
    text
}

fn limits_text(limits: &PluginLimits) -> String {
    const MIB: usize = 1 << 20;
    format!(
        "{} rows and {} MiB a batch, {} ms and {} MiB of memory for it, {} MiB an answer, {} log lines",
        limits::PULL_PAGE_ROWS_MAX,
        limits::PLUGIN_BATCH_BYTES_MAX / MIB,
        deadline_ms(limits),
        limits.memory_bytes_max / MIB,
        limits.answer_bytes_max / MIB,
        limits.log_lines_max
    )
}

fn deadline_ms(limits: &PluginLimits) -> u64 {
    limits.ticks_max * limits::PLUGIN_TICK.as_millis() as u64
}

fn exports(plugin: &Plugin) -> Vec<&str> {
    plugin.exports().collect()
}

fn as_json(args: &CheckArgs, checked: &Checked, limits: &PluginLimits) -> Json {
    let column = |used: &UsedColumn| {
        json!({
            "table": used.table,
            "as": used.role.name(),
            "column": used.column,
            "type": used.of,
            "reads": used.is_read,
            "writes": used.is_written,
        })
    };
    let grant = |grant: &Grant| json!({ "table": grant.table.to_string(), "reads": grant.reads, "writes": grant.writes });
    let finding = |finding: &Finding| json!({ "code": finding.code, "message": finding.message, "hint": finding.hint });
    json!({
        "file": args.file.display().to_string(),
        "bytes": checked.bytes,
        "digest": checked.digest,
        "signed_by": checked.plugin.as_ref().and_then(Plugin::signed_by),
        "exports": checked.plugin.as_ref().map(exports),
        "imports": checked.plugin.as_ref().map(Plugin::imports),
        "columns": checked.columns.iter().map(column).collect::<Vec<_>>(),
        "grants": checked.grants.iter().map(grant).collect::<Vec<_>>(),
        "limits": {
            "file_bytes": limits.file_bytes_max,
            "batch_rows": limits::PULL_PAGE_ROWS_MAX,
            "batch_bytes": limits::PLUGIN_BATCH_BYTES_MAX,
            "deadline_ms": deadline_ms(limits),
            "memory_bytes": limits.memory_bytes_max,
            "answer_bytes": limits.answer_bytes_max,
            "log_lines": limits.log_lines_max,
            "log_line_bytes": limits.log_line_bytes_max,
        },
        "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
