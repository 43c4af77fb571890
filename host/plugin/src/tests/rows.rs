//! Rows through real transformers.

use super::shop::{Shop, context, every_type, table, victim};
use crate::{Flow, Verdict};
use tillhold_core::limits::{PLUGIN_BATCH_BYTES_MAX, PULL_PAGE_ROWS_MAX};
use tillhold_core::moment::{Date, OffsetTimestamp, TICKS_PER_DAY, Time, Timestamp};
use tillhold_core::row::Row;
use tillhold_core::value::{Decimal, Value};

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

#[test]
fn addresses_are_masked_on_the_way_down_only() {
    let shop = Shop::new();
    let plugin = shop.load("store-customers", "").expect("it loads");
    let customers = table(
        "ax.RETAILCUSTTABLE",
        &[
            ("ACCOUNTNUM", "nvarchar(20)"),
            ("RECEIPTEMAIL", "nvarchar(80)"),
            ("RECEIPTOPTION", "int"),
        ],
    );
    let row = |mail: &str| Row(vec![text("C1"), text(mail), Value::Int(2)]);
    let rows = [row("anna.smith@example.org"), row(""), row("a***@example.org")];
    let down = plugin.transform(&context(), &customers, &rows).expect("verdicts");
    let masked = |mail: &str| Verdict::Replace(vec![(1, text(mail))]);
    assert_eq!(down, [masked("a***@example.org"), Verdict::Keep, masked("a***@example.org")]);
    let push = crate::BatchContext { flow: Flow::Push, ..context() };
    let up = plugin.transform(&push, &customers, &rows).expect("verdicts");
    assert_eq!(up, [Verdict::Keep, Verdict::Keep, Verdict::Keep]);
}

#[test]
fn customers_of_other_stores_are_dropped() {
    let shop = Shop::new();
    let plugin = shop.load("store-customers", "").expect("it loads");
    let customers = table(
        "AX.custtable",
        &[("ACCOUNTNUM", "nvarchar(20)"), ("inventlocation", "nvarchar(10)")],
    );
    let row = |home: &str| Row(vec![text("C1"), text(home)]);
    let rows = [row("S0001"), row("S0002"), row(""), row("s0001 ")];
    let judge = |config: &str, store: &str| {
        let plugin = shop.load("store-customers", config).expect("it loads");
        let context = crate::BatchContext { store: store.to_string(), ..context() };
        plugin.transform(&context, &customers, &rows).expect("verdicts")
    };
    use Verdict::{Drop, Keep};
    assert_eq!(judge("", "S0001"), [Keep, Drop, Keep, Keep]);
    assert_eq!(judge("store=S0002", "S0001"), [Drop, Keep, Keep, Drop]);
    assert!(matches!(&judge("", "")[0], Verdict::Refuse(why) if why.contains("no store number")));
    assert!(plugin.check_against(&customers).is_ok());
}

#[test]
fn a_table_that_the_plugin_does_not_use_is_kept_without_a_call() {
    let shop = Shop::new();
    // This plugin would trap if it were called.
    let plugin = shop.load("hostile", "panics").expect("it loads");
    let other = table("ax.OTHER", &[("ID", "bigint")]);
    let rows: Vec<Row> = (0..3).map(|id| Row(vec![Value::Int(id)])).collect();
    assert_eq!(
        plugin.transform(&context(), &other, &rows).expect("verdicts"),
        [Verdict::Keep, Verdict::Keep, Verdict::Keep]
    );
    assert_eq!(plugin.transform(&context(), &victim(), &[]).expect("no rows, no call"), []);
}

#[test]
fn a_transformer_sees_what_it_declared_and_no_more() {
    let shop = Shop::new();
    let plugin = shop.load("hostile", "tells-what-it-sees").expect("it loads");
    let error = plugin.transform(&context(), &victim(), &super::shop::victims(2));
    let error = super::shop::refused(error).to_string();
    let (number, name) = ("Integers([0, 1])", "offsets: [0, 4, 8]");
    assert!(error.contains(number) && error.contains(name), "{error}");
    assert_eq!(error.matches("validity").count(), 2, "two columns: {error}");
}

#[test]
fn every_type_comes_back_to_the_last_bit() {
    let shop = Shop::new();
    let plugin = shop.load("hostile", "mirrors").expect("it loads");
    let every = every_type();
    let decimal =
        |unscaled, scale| Value::Decimal(Decimal::new(unscaled, scale).expect("38 digits"));
    let offset = |utc, offset_minutes| {
        Value::OffsetTimestamp(OffsetTimestamp { utc: Timestamp(utc), offset_minutes })
    };
    let date = |year, month, day| Value::Date(Date::from_civil(year, month, day).expect("a date"));
    let last_moment = 3_652_059 * TICKS_PER_DAY - 1;
    let rows = [
        vec![
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Float(5e-324),
            decimal(10i128.pow(38) - 1, 16),
            text("\u{1F600} \u{e4}\0 "),
            Value::Bytes(vec![0, 255]),
            date(1, 1, 1),
            Value::Time(Time(0)),
            Value::Timestamp(Timestamp(0)),
            offset(0, 840),
            Value::Guid([1; 16]),
            decimal(i128::from(i64::MAX), 4),
        ],
        vec![Value::Null; 12],
        vec![
            Value::Bool(false),
            Value::Int(9_007_199_254_740_993),
            Value::Float(-1.0 / 3.0),
            decimal(-(10i128.pow(38) - 1), 16),
            text(""),
            Value::Bytes(vec![]),
            date(9999, 12, 31),
            Value::Time(Time(TICKS_PER_DAY as u64 - 1)),
            Value::Timestamp(Timestamp(last_moment)),
            offset(last_moment, -840),
            Value::Guid([255; 16]),
            decimal(-1, 4),
        ],
    ];
    let numbered = rows.iter().zip(0..).map(|(cells, id)| {
        Row(std::iter::once(Value::Int(id)).chain(cells.iter().cloned()).collect())
    });
    let numbered: Vec<Row> = numbered.collect();
    let verdicts = plugin.transform(&context(), &every, &numbered).expect("a mirror");
    for (row, verdict) in numbered.iter().zip(verdicts) {
        let expected = (1..13).map(|at| (at, row.0[at].clone())).collect();
        assert_eq!(verdict, Verdict::Replace(expected));
    }
}

#[test]
fn verdicts_stay_with_their_rows_across_batches() {
    let shop = Shop::new();
    let plugin = shop.load("store-customers", "").expect("it loads");
    let customers = table(
        "ax.CUSTTABLE",
        &[("ACCOUNTNUM", "nvarchar(20)"), ("INVENTLOCATION", "nvarchar(10)")],
    );
    let is_own = |number: usize| number.is_multiple_of(3);
    let row = |number: usize| {
        Row(vec![text(&number.to_string()), text(if is_own(number) { "S0001" } else { "S9" })])
    };
    let rows: Vec<Row> = (0..2 * PULL_PAGE_ROWS_MAX + 1).map(row).collect();
    let verdicts = plugin.transform(&context(), &customers, &rows).expect("verdicts");
    assert_eq!(verdicts.len(), rows.len());
    for (number, verdict) in verdicts.iter().enumerate() {
        assert_eq!(*verdict == Verdict::Keep, is_own(number), "row {number}");
    }
}

#[test]
fn batches_respect_rows_and_bytes_and_lose_none() {
    let row = |bytes: usize| Row(vec![Value::Int(0), Value::Bytes(vec![0; bytes])]);
    let quarter = PLUGIN_BATCH_BYTES_MAX / 4;
    for (rows, positions, expected) in [
        (vec![], vec![1], vec![]),
        (vec![row(quarter); 7], vec![1], vec![3, 3, 1]),
        (vec![row(quarter); 7], vec![0], vec![7]),
        (vec![row(1), row(5 * quarter), row(1)], vec![1], vec![1, 1, 1]),
        (vec![row(1); 2_001], vec![1], vec![1_000, 1_000, 1]),
    ] {
        let batches = crate::columns::batches(&rows, &positions).map(<[Row]>::len);
        assert_eq!(batches.collect::<Vec<_>>(), expected);
    }
}
