//! What a transformer costs a row: the same rule natively and as a plugin, on rows of twelve columns.
//!
//! `cargo run --release -p tillhold-plugin --example transform_cost` prints a table of nanoseconds a row; medians, so
//! that a busy machine does not decide. Builds the shipped plugin first, with the product's own tool chain.

#[path = "../../agent/benches/common/customers.rs"]
mod customers;
#[path = "../../agent/benches/common/figures.rs"]
mod figures;

use customers::COLUMNS;
use figures::{tell, tell_beside};
use std::error::Error;
use std::hint::black_box;
use tillhold_core::moment::Timestamp;
use tillhold_core::row::Row;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};
use tillhold_env::Env;
use tillhold_plugin::{
    BatchContext, ComponentSource, Flow, PluginHost, PluginLimits, PluginSource, Verdict,
};
use tillhold_toolchain::{GuestSource, cache_folder, find};

const ROWS: usize = 20_000;
const REPEATS: usize = 9;
const BATCHES: [usize; 4] = [1, 10, 100, 1_000];

const EMAIL: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::real();
    let folder = tempfile::tempdir()?;
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let guest = GuestSource::new(format!("{repository}/guest/store-customers"), "store-customers");
    let target = std::path::Path::new(repository).join("target/guests");
    let component = find(&cache_folder()?, &mut |_| {})?.build(&guest, &target, &mut |_| {})?;
    let host = PluginHost::new(&env, folder.path(), PluginLimits::default())?;
    let component = ComponentSource::Bytes(component.component);
    let plugin = host.load(&PluginSource::plain("store-customers", component, ""))?;
    let (table, rows) = (table(), rows());
    let context = BatchContext {
        flow: Flow::Pull,
        scope: "1010 Customers".to_string(),
        store: "S0001".to_string(),
        register: "000001".to_string(),
        time: Timestamp(0),
    };
    assert_eq!(native(&rows), plugin.transform(&context, &table, &rows)?, "one rule, two homes");
    println!("rule: mask one e-mail of {} columns; ns per row, median of {REPEATS}", COLUMNS.len());
    println!("{:>10} {:>10} {:>10} {:>8}", "batch", "native", "plugin", "times");
    let mut alone = f64::NAN;
    for batch in BATCHES {
        let sample = &rows[..ROWS.min(batch * 500)];
        let in_place = median(&env, sample, batch, |rows| {
            black_box(native(rows));
        });
        let sandboxed = median(&env, sample, batch, |rows| {
            black_box(plugin.transform(&context, &table, rows).expect("it did a moment ago"));
        });
        let times = sandboxed / in_place;
        println!("{batch:>10} {in_place:>10.0} {sandboxed:>10.0} {times:>8.1}");
        let ceiling = ("the same rule in native Rust", in_place);
        tell_beside(&format!("batch-{batch}.row"), sandboxed, "ns", ceiling)?;
        if batch == 1 {
            alone = sandboxed;
        } else if batch == BATCHES[BATCHES.len() - 1] {
            // What a call costs beside the work on its rows.
            tell("call", (alone - sandboxed) / 1e3, "µs")?;
        }
    }
    Ok(())
}

/// Nanoseconds a row.
fn median(env: &Env, rows: &[Row], batch: usize, work: impl Fn(&[Row])) -> f64 {
    let mut measured: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = env.clock.monotonic_us();
            rows.chunks(batch).for_each(&work);
            (env.clock.monotonic_us() - start) as f64 * 1_000.0 / rows.len() as f64
        })
        .collect();
    measured.sort_by(f64::total_cmp);
    measured[REPEATS / 2]
}

fn native(rows: &[Row]) -> Vec<Verdict> {
    let verdict = |row: &Row| match &row.0[EMAIL] {
        Value::Text(address) if !address.is_empty() => {
            Verdict::Replace(vec![(EMAIL, Value::Text(masked(address)))])
        }
        _ => Verdict::Keep,
    };
    rows.iter().map(verdict).collect()
}

fn masked(address: &str) -> String {
    let Some(at) = address.rfind('@') else { return "***".to_string() };
    let (mailbox, domain) = address.split_at(at);
    let mut mask = String::with_capacity(address.len() + 3);
    mask.extend(mailbox.chars().next());
    mask.push_str("***");
    mask.push_str(domain);
    mask
}

fn table() -> Table {
    let column = |(name, declaration): &(&str, &str)| Column {
        name: name.to_string(),
        of: SqlType::parse(declaration).expect("the declarations above are known types"),
        nullable: false,
        assigned: Assigned::ByWriter,
        default: None,
        collation: None,
    };
    Table {
        name: TableName::new("ax", "RETAILCUSTTABLE"),
        columns: COLUMNS.iter().map(column).collect(),
        key: vec![1, 10],
    }
}

fn rows() -> Vec<Row> {
    let text = |text: &str| Value::Text(text.to_string());
    let row = |number: usize| {
        let mail = match number % 4 {
            0 => String::new(),
            _ => format!("anna.smith{number}@example.org"),
        };
        Row(vec![
            Value::Int(5_637_144_576 + number as i64),
            text(&format!("C{number:06}")),
            text(""),
            Value::Int(0),
            Value::Int(0),
            Value::Text(mail),
            Value::Int(2),
            Value::Int(0),
            Value::Int(0),
            Value::Timestamp(Timestamp(630_000_000_000_000_000 + number as i64)),
            text("USRT"),
            Value::Decimal(Decimal::new(number as i128, 16).expect("few digits")),
        ])
    };
    (0..ROWS).map(row).collect()
}
