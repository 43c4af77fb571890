//! `tillhold plugin run`: rows through a transformer, as a filter of a shell does it.
//!
//! stdin: rows as CSV, or as JSON objects. stdout: the rows that go on, in the same form. stderr: what the plugin says
//! and each refused row with its reason, as they come, and the sum.

use super::subject::Subject;
use crate::cli::Done;
use clap::{Args, ValueEnum};
use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use std::sync::Arc;
use tillhold_core::moment::Timestamp;
use tillhold_env::{Env, errln};
use tillhold_kit::{Counts, Format, RowReader, Sandbox, Schema, stream};
use tillhold_plugin::{BatchContext, Flow, LogLine, LogSink, Plugin};

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
    let opened = args.subject.open(env)?;
    let mut out = BufWriter::new(stdout().lock());
    let tell = Arc::new(|line: LogLine| errln!("the plugin said: {}", line.text));
    let counts = piped(args, &opened, stdin().lock(), &mut out, tell)?;
    errln!(
        "{} rows go on, {} of them changed; {} dropped, {} refused",
        counts.kept,
        counts.changed,
        counts.dropped,
        counts.refused
    );
    Ok(Done::Yes)
}

/// Rows come for as long as they like, so what the plugin says of them is told and not kept.
fn piped(
    args: &RunArgs,
    (sandbox, schema, plugin): &(Sandbox, Schema, Plugin),
    rows: impl BufRead,
    out: &mut dyn Write,
    tell: LogSink,
) -> anyhow::Result<Counts> {
    let table = schema.find(&args.table)?.travelling(&[]);
    let format = args.format.map(|form| match form {
        Form::Csv => Format::Csv,
        Form::Jsonl => Format::Json,
    });
    let mut reader = RowReader::open("stdin", rows, format, &table, false)?;
    let refused = |line: usize, reason: &str| errln!("stdin:{line}: refused: {reason}");
    if plugin.kind().transforms && !plugin.works_on(reader.shape()) {
        errln!("{} has no rule for {}: its rows go on as they are", plugin.name(), table.name);
    }
    let plugin = sandbox.heard_by(plugin, tell);
    Ok(stream(&plugin, &context(args), &mut reader, args.verdicts, out, refused)?)
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

#[cfg(test)]
pub(super) mod tests {
    use super::{RunArgs, piped};
    use crate::rules::tests::hostile;
    use clap::Args;
    use std::fs;
    use std::io::{self, Write};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tempfile::TempDir;
    use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
    use tillhold_env::Env;

    const SCHEMA: &str = r#"{"ax.VICTIM": {"columns": [["ID", "bigint", "not null"], ["NUMBER", "int", "not null"],
        ["NAME", "nvarchar(8)", "not null"], ["AMOUNT", "numeric(32,2)", "null"],
        ["MOMENT", "datetime", "null"], ["KIND", "float", "null"]],
        "keys": [{"kind": "PK", "cols": ["ID"]}]}}"#;
    /// A hundred of each call, and how many there were more.
    const LINES: usize = 101;

    /// A rule that says a thousand lines at each call, and the schema of its table.
    pub(in crate::cli::plugin) struct Desk {
        pub folder: TempDir,
    }

    impl Desk {
        pub fn new() -> Desk {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join("rule.wasm"), hostile()).expect("the rule");
            fs::write(folder.path().join("schema.json"), SCHEMA).expect("the schema");
            Desk { folder }
        }

        pub fn args<A: Args>(&self, more: &[&str]) -> A {
            let at = |name: &str| self.folder.path().join(name).display().to_string();
            let (rule, schema) = (at("rule.wasm"), at("schema.json"));
            let words = [rule.as_str(), "--schema", &schema, "--config", "chatters"];
            let command = A::augment_args(clap::Command::new("plugin")).no_binary_name(true);
            let words = command.try_get_matches_from(words.iter().chain(more));
            A::from_arg_matches(&words.expect("words")).expect("words of this command")
        }
    }

    /// Notes at each write how many lines were told by then.
    struct Watched {
        told: Arc<AtomicUsize>,
        at_writes: Vec<usize>,
    }

    impl Write for Watched {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.at_writes.push(self.told.load(Ordering::Relaxed));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// They lay in memory until the end of a file that may be as long as it likes.
    #[test]
    fn what_the_plugin_says_is_told_as_it_comes_and_not_kept() {
        let desk = Desk::new();
        let args: RunArgs = desk.args(&["--table", "VICTIM"]);
        let opened = args.subject.open(&Env::real()).expect("a rule");
        let line = |at: usize| format!("{at},1,a,,,\n");
        let rows: String = (0..2 * PULL_PAGE_ROWS_MAX + 1).map(line).collect();
        let rows = format!("ID,NUMBER,NAME,AMOUNT,MOMENT,KIND\n{rows}");
        let told: Arc<AtomicUsize> = Arc::default();
        let telling = told.clone();
        let tell = Arc::new(move |_| {
            telling.fetch_add(1, Ordering::Relaxed);
        });
        let mut out = Watched { told, at_writes: Vec::new() };
        let counts = piped(&args, &opened, rows.as_bytes(), &mut out, tell).expect("rows");
        assert_eq!(counts.kept, 2 * PULL_PAGE_ROWS_MAX as u64 + 1);
        assert_eq!(out.at_writes, [0, LINES, 2 * LINES, 3 * LINES], "the header, then the batches");
        assert!(opened.0.said().is_empty(), "lines were kept");
    }
}
