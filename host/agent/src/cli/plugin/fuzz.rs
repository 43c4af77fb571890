//! `tillhold plugin fuzz`: invented rows, until the plugin breaks its contract.
//!
//! stdout: a line a table and role, below it what was found. Exit status 1 when something was.

use crate::cli::Done;
use clap::Args;
use std::path::PathBuf;
use tillhold_env::Env;
use tillhold_kit::{Component, Found, Fuzz, Sandbox, Schema};
use tillhold_plugin::{Role, TableUse};

#[derive(Args)]
pub struct FuzzArgs {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The tables' types (`tillhold channel schema`)
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The config that the profile would hand to it
    #[arg(long, value_name = "TEXT", default_value = "")]
    config: String,
    /// How many rows each table gets; a tenth of it in conflicts
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rows: u64,
    /// Repeat a run: everything follows from it
    #[arg(long)]
    seed: Option<u64>,
    /// Where what is found is written, a case each
    #[arg(long, value_name = "FOLDER", default_value = "cases")]
    cases: PathBuf,
}

pub fn fuzz(env: &Env, args: &FuzzArgs) -> anyhow::Result<Done> {
    let schema = Schema::open(&args.schema)?;
    let sandbox = Sandbox::open(env)?;
    let plugin = sandbox.load(&Component::read(&args.file)?, &args.config)?;
    let seed = args.seed.unwrap_or_else(|| env.random.number() >> 32);
    println!("seed {seed}");
    let fuzz =
        Fuzz { plugin: &plugin, config: &args.config, schema: &schema, seed, rows: args.rows };
    let all = fuzz.run(|used, found| println!("{}", told(used, found)))?;
    for found in &all {
        println!("\nfound[{}]: {}", found.code, found.message);
        println!("  case: {}", found.write(&args.cases)?.display());
    }
    Ok(if all.is_empty() { Done::Yes } else { Done::No })
}

fn told(used: &TableUse, found: &[Found]) -> String {
    let role = match used.role {
        Role::Transform => "transform",
        Role::Resolve => "resolve",
    };
    let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
    let codes = if codes.is_empty() { "nothing found".to_string() } else { codes.join(", ") };
    format!("{} {role}: {codes}", used.table)
}
