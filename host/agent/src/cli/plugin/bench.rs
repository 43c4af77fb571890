//! `tillhold plugin bench`: what a plugin costs a row, on this machine.

use super::subject::Subject;
use crate::cli::Done;
use crate::cli::told::{Grid, shown};
use clap::Args;
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_core::moment::Timestamp;
use tillhold_core::row::Row;
use tillhold_env::{Env, outln};
use tillhold_kit::{Bench, Cost, KitError, RowReader, Sandbox, Schema};
use tillhold_plugin::{BatchContext, Flow, Plugin};

#[derive(Args)]
pub struct BenchArgs {
    #[command(flatten)]
    subject: Subject,
    /// Rows of your own, as CSV or JSON, instead of invented ones
    #[arg(long, value_name = "FILE", requires = "table")]
    input: Option<PathBuf>,
    /// Which table the input's rows are of
    #[arg(long, value_name = "NAME", requires = "input")]
    table: Option<String>,
    /// How many rows are invented for each table; a tenth of it in conflicts
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rows: u64,
    /// Invent the same rows as another run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

pub fn bench(env: &Env, args: &BenchArgs) -> anyhow::Result<Done> {
    let costs = costs(env, args, &args.subject.open(env)?)?;
    if !shown(&Json::from(costs.iter().map(as_json).collect::<Vec<_>>()), args.json)? {
        tell(&costs);
    }
    Ok(Done::Yes)
}

/// Nobody asked what the plugin says of rows that come by the million: none of it is kept.
fn costs(
    env: &Env,
    args: &BenchArgs,
    (sandbox, schema, plugin): &(Sandbox, Schema, Plugin),
) -> Result<Vec<Cost>, KitError> {
    let plugin = sandbox.heard_by(plugin, Arc::new(|_| {}));
    let context = BatchContext {
        flow: Flow::Pull,
        scope: "test".to_string(),
        store: "S0001".to_string(),
        register: "000001".to_string(),
        time: Timestamp(0),
    };
    let bench = Bench { clock: &*env.clock, plugin: &plugin, context };
    match (&args.input, &args.table) {
        (Some(input), Some(table)) => Ok(vec![of_input(&bench, schema, input, table)?]),
        _ => bench.invented(schema, args.seed, args.rows as usize),
    }
}

fn of_input(bench: &Bench, schema: &Schema, input: &Path, table: &str) -> Result<Cost, KitError> {
    let table = schema.find(table)?.travelling(&[]);
    let unread = |cause| KitError::File { path: input.to_path_buf(), done: "read", cause };
    let source = BufReader::new(File::open(input).map_err(unread)?);
    let mut reader = RowReader::open(&input.display().to_string(), source, None, &table, false)?;
    let rows: Vec<Row> = reader.all()?.into_iter().map(|entry| entry.row).collect();
    bench.transform(reader.shape(), &rows)
}

fn tell(costs: &[Cost]) {
    let mut grid =
        Grid::of(&["TABLE", "AS", "ROWS", "NS A ROW", "DOING NOTHING", "US A CALL", "MEMORY"]);
    for cost in costs {
        grid.row([
            cost.table.to_string(),
            cost.role.name().to_string(),
            cost.rows.to_string(),
            cost.row_ns.to_string(),
            cost.nothing_ns.to_string(),
            (cost.call_ns / 1_000).to_string(),
            format!("{:.1} MB", cost.memory_bytes as f64 / f64::from(1 << 20)),
        ]);
    }
    outln!("{grid}");
}

fn as_json(cost: &Cost) -> Json {
    json!({
        "table": cost.table.to_string(),
        "as": cost.role.name(),
        "rows": cost.rows,
        "row_ns": cost.row_ns,
        "nothing_ns": cost.nothing_ns,
        "call_ns": cost.call_ns,
        "memory_bytes": cost.memory_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::{BenchArgs, costs};
    use crate::cli::plugin::run::tests::Desk;
    use tillhold_env::Env;

    #[test]
    fn what_the_plugin_says_is_not_kept() {
        let (env, desk) = (Env::real(), Desk::new());
        let args: BenchArgs = desk.args(&["--rows", "2"]);
        let opened = args.subject.open(&env).expect("a rule");
        assert!(!costs(&env, &args, &opened).expect("costs").is_empty());
        assert!(opened.0.said().is_empty(), "lines were kept");
    }
}
