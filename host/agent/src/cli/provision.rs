//! `tillhold provision`: the register's offline database, filled scope by scope in the profile's order.
//!
//! A provisioning that was cut off goes on where it stopped.

use super::{Done, Settings, plan};
use crate::freshness;
use crate::numbers;
use crate::pull::{self, Progress};
use crate::register::{Register, ScopeRun};
use crate::report;
use crate::selecting;
use crate::settings::register_file::RegisterFile;
use crate::snapshot::adopt;
use clap::{Args, ValueEnum};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use tillhold_core::stage::Tally;
use tillhold_core::table::Table;
use tillhold_env::{Env, outln};

#[derive(Args)]
pub struct ProvisionArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    filling: Filling,
    /// Show what would become of the offline database, and change nothing
    #[arg(long, conflicts_with = "from")]
    dry_run: bool,
}

/// How an offline database is filled.
#[derive(Args)]
pub struct Filling {
    /// Begin with a prebuilt catalogue: an export folder, one manifest in it, or the https address of either
    #[arg(long, value_name = "FOLDER or URL")]
    from: Option<String>,
    /// How progress is shown, or what a dry run finds
    #[arg(long, value_enum, default_value_t = Shown::Auto)]
    progress: Shown,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Shown {
    /// Bars on a terminal, a line a scope otherwise
    Auto,
    /// One JSON object a line on stdout
    Json,
}

pub async fn provision(env: &Env, args: ProvisionArgs) -> anyhow::Result<Done> {
    let file = RegisterFile::read(&args.settings.config)?;
    if args.dry_run {
        let is_json = args.filling.progress == Shown::Json;
        return plan::show(&Register::plan(env, &file).await?, is_json);
    }
    fill(env, Register::open(env, file).await?, &args.filling).await?;
    Ok(Done::Yes)
}

/// Fills the register's offline database, and closes it.
pub(super) async fn fill(env: &Env, register: Register, args: &Filling) -> anyhow::Result<()> {
    let register = Arc::new(register);
    let filled = fill_open(env, &register, args).await;
    let closed = register.local.close().await;
    let (total, seconds) = filled?;
    closed?;
    if args.progress == Shown::Json {
        outln!(
            "{}",
            json!({ "rows": total.rows_in, "applied": total.applied,
            "dropped": total.dropped, "quarantined": total.quarantined, "seconds": seconds })
        );
    } else {
        report::line(env, &format!("{} rows came in {seconds:.1} s", total.rows_in));
    }
    Ok(())
}

/// What came, and in how many seconds.
async fn fill_open(
    env: &Env,
    register: &Arc<Register>,
    args: &Filling,
) -> anyhow::Result<(Tally, f64)> {
    for table in &register.left_out {
        report::line(env, &format!("{table} has no primary key and is left out"));
    }
    let bars = MultiProgress::new();
    let mut link = register.link();
    if let Some(from) = &args.from {
        let (taken, same) = adopt::take_from(register, link, from).await?;
        link = same;
        report::line(env, &format!("took {}: {} rows", taken.file, taken.rows()));
    }
    let (mut total, mut began_us) = (Tally::default(), BTreeMap::new());
    let started_us = env.clock.monotonic_us();
    selecting::begin(register, &mut link).await?;
    for run in register.scopes.iter().filter(|run| run.is_pulled()) {
        let shown = ScopeProgress::new(args.progress, run, &bars);
        began_us.insert(run.scope.name.clone(), env.clock.monotonic_us());
        let tally = pull::pull(register, &mut link, run, &shown).await?;
        shown.finish(env, tally);
        total += tally;
    }
    numbers::provisioned(register, &mut link).await?;
    freshness::provisioned(register, &began_us).await?;
    let seconds = (env.clock.monotonic_us() - started_us) as f64 / 1e6;
    Ok((total, seconds))
}

/// One scope's progress, as a bar over its tables, a line, or JSON lines.
struct ScopeProgress {
    shown: Shown,
    scope: String,
    tables: Vec<String>,
    bar: Option<ProgressBar>,
}

impl ScopeProgress {
    fn new(shown: Shown, run: &ScopeRun, bars: &MultiProgress) -> ScopeProgress {
        let terminal = shown == Shown::Auto && std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let style =
                ProgressStyle::with_template("{prefix:36!} {bar:24} {pos:>3}/{len} tables {msg}")
                    .expect("the template above is well-formed");
            let bar = bars.add(ProgressBar::new(run.tables.len() as u64).with_style(style));
            bar.with_prefix(run.scope.name.clone())
        });
        let tables = run.tables.iter().map(|table| table.name.to_string()).collect();
        ScopeProgress { shown, scope: run.scope.name.clone(), tables, bar }
    }

    fn finish(&self, env: &Env, tally: Tally) {
        let rows = tally.rows_in;
        match (&self.bar, self.shown) {
            (Some(bar), _) => {
                bar.set_position(self.tables.len() as u64);
                bar.finish_with_message(format!("{rows} rows"));
            }
            (None, Shown::Auto) => {
                report::line(
                    env,
                    &format!("{}: {} tables, {rows} rows", self.scope, self.tables.len()),
                );
            }
            (None, Shown::Json) => {
                outln!(
                    "{}",
                    json!({ "scope": self.scope, "done": true, "rows": rows,
                    "tables": self.tables.len(), "dropped": tally.dropped })
                );
            }
        }
    }
}

impl Progress for ScopeProgress {
    fn loaded(&self, scope: &str, table: &Table, rows: u64) {
        let name = table.name.to_string();
        if let Some(bar) = &self.bar {
            let at = self.tables.iter().position(|known| *known == name).unwrap_or(0);
            bar.set_position(at as u64);
            bar.set_message(format!("{name} {rows} rows"));
        } else if self.shown == Shown::Json {
            outln!("{}", json!({ "scope": scope, "table": name, "rows": rows }));
        }
    }
}
