//! `tillhold plugin fuzz`: invented rows, until the plugin breaks its contract.
//!
//! stdout: a line a table and role, below it what was found. Exit status 1 when something was.

use super::subject::Subject;
use crate::cli::Done;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_env::{Env, outln};
use tillhold_kit::{Answers, Found, Fuzz, Sandbox, Schema};
use tillhold_plugin::{Plugin, TableUse};

#[derive(Args)]
pub struct FuzzArgs {
    #[command(flatten)]
    subject: Subject,
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
    tried(env, args, &args.subject.open(env)?)
}

/// Nobody asked what the plugin says of rows that come by the million: none of it is kept.
fn tried(
    env: &Env,
    args: &FuzzArgs,
    (sandbox, schema, plugin): &(Sandbox, Schema, Plugin),
) -> anyhow::Result<Done> {
    let plugin = sandbox.heard_by(plugin, Arc::new(|_| {}));
    let seed = args.seed.unwrap_or_else(|| env.random.number() >> 32);
    outln!("seed {seed}");
    let fuzz =
        Fuzz { plugin: &plugin, config: &args.subject.config, schema, seed, rows: args.rows };
    let all = fuzz.run(|used, found, answers| outln!("{}", told(used, found, answers)))?;
    for found in &all {
        outln!("\nfound[{}]: {}", found.code, found.message);
        outln!("  case: {}", found.write(&args.cases)?.display());
    }
    Ok(if all.is_empty() { Done::Yes } else { Done::No })
}

fn told(used: &TableUse, found: &[Found], answers: Option<Answers>) -> String {
    let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
    let codes = if codes.is_empty() { "nothing found".to_string() } else { codes.join(", ") };
    let answers = answers.map_or(String::new(), |Answers { rows, dropped, refused }| {
        format!("; of {rows} rows that were answered, {dropped} dropped, {refused} refused")
    });
    format!("{} {}: {codes}{answers}", used.table, used.role.name())
}

#[cfg(test)]
mod tests {
    use super::{FuzzArgs, tried};
    use crate::cli::plugin::run::tests::Desk;
    use tillhold_env::Env;

    #[test]
    fn what_the_plugin_says_is_not_kept() {
        let (env, desk) = (Env::real(), Desk::new());
        let cases = desk.folder.path().join("cases").display().to_string();
        let args: FuzzArgs = desk.args(&["--rows", "20", "--seed", "1", "--cases", &cases]);
        let opened = args.subject.open(&env).expect("a rule");
        tried(&env, &args, &opened).expect("it runs");
        assert!(opened.0.said().is_empty(), "lines were kept");
    }
}
