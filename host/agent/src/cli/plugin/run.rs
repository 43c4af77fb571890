//! `tillhold plugin run`: rows through a transformer, as a filter of a shell does it.
//!
//! stdin: rows as CSV, or as JSON objects. stdout: the rows that go on, in the same form. stderr: each refused row with
//! its reason, and the sum.

use super::subject::Subject;
use crate::cli::Done;
use clap::{Args, ValueEnum};
use std::io::{BufWriter, stdin, stdout};
use tillhold_core::moment::Timestamp;
use tillhold_env::Env;
use tillhold_kit::{Format, RowReader, stream};
use tillhold_plugin::{BatchContext, Flow};

#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    subject: Subject,
    /// Which table the rows are of
    #[arg(long, value_name = "NAME")]
    table: String,
    /// Down to the register, or up to the channel
    #[arg(long, value_enum, default_value_t = Way::Pull)]
    flow: Way,
    /// How the rows are written; the first letter says it by default
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Write every row, with what becomes of it
    #[arg(long)]
    verdicts: bool,
    #[arg(long, value_name = "NAME", default_value = "test")]
    scope: String,
    #[arg(long, value_name = "NUMBER", default_value = "S0001")]
    store: String,
    #[arg(long, value_name = "NUMBER", default_value = "000001")]
    register: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    Pull,
    Push,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Csv,
    Jsonl,
}

pub fn run(env: &Env, args: &RunArgs) -> anyhow::Result<Done> {
    let (sandbox, schema, plugin) = args.subject.open(env)?;
    let table = schema.find(&args.table)?.travelling(&[]);
    let format = args.format.map(|form| match form {
        Form::Csv => Format::Csv,
        Form::Jsonl => Format::Json,
    });
    let mut reader = RowReader::open("stdin", stdin().lock(), format, &table, false)?;
    let mut out = BufWriter::new(stdout().lock());
    let refused = |line: usize, reason: &str| eprintln!("stdin:{line}: refused: {reason}");
    let counts = stream(&plugin, &context(args), &mut reader, args.verdicts, &mut out, refused);
    for line in sandbox.said() {
        eprintln!("the plugin said: {}", line.text);
    }
    let counts = counts?;
    eprintln!(
        "{} rows go on, {} of them changed; {} dropped, {} refused",
        counts.kept, counts.changed, counts.dropped, counts.refused
    );
    Ok(Done::Yes)
}

fn context(args: &RunArgs) -> BatchContext {
    BatchContext {
        flow: match args.flow {
            Way::Pull => Flow::Pull,
            Way::Push => Flow::Push,
        },
        scope: args.scope.clone(),
        store: args.store.clone(),
        register: args.register.clone(),
        time: Timestamp(0),
    }
}
