//! A component that was built for contract 0.1.0 once loads and answers as it always did: tests/data/contract-0.1.0.

use super::shop::{Shop, context, every_type, refused, repository};
use crate::{BatchContext, Flow, Plugin, PluginError, Verdict};
use std::sync::{Arc, Mutex};
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::moment::{Date, OffsetTimestamp, TICKS_PER_DAY, Time, Timestamp};
use tillhold_core::row::Row;
use tillhold_core::value::{Decimal, Value};

/// As README.md beside it has them: another build proves nothing.
const DIGEST: &str = "sha256:4156813e63d8286692fe399efc3c718d942c3093237157c9a219c2c42b29d859";

fn load(shop: &Shop, config: &str) -> Result<Plugin, PluginError> {
    let path = repository().join("tests/data/contract-0.1.0/released.wasm");
    shop.load_bytes(std::fs::read(path).expect("the released component"), config)
}

fn row(id: i64) -> Row {
    let moment = Timestamp(3_652_059 * TICKS_PER_DAY - 1);
    Row(vec![
        Value::Int(id),
        Value::Bool(true),
        Value::Int(i64::MIN + id),
        Value::Float(-1.0 / 3.0),
        Value::Decimal(Decimal::new(-(10i128.pow(38) - 1), 16).expect("38 digits")),
        Value::Text("\u{1F600} \u{e4}\0 ".to_string()),
        Value::Bytes(vec![0, 255]),
        Value::Date(Date::from_civil(9999, 12, 31).expect("a date")),
        Value::Time(Time(TICKS_PER_DAY as u64 - 1)),
        Value::Timestamp(moment),
        Value::OffsetTimestamp(OffsetTimestamp { utc: moment, offset_minutes: -840 }),
        Value::Guid([7; 16]),
        Value::Decimal(Decimal::new(i128::from(i64::MAX), 4).expect("money")),
    ])
}

fn nulls(id: i64) -> Row {
    Row([vec![Value::Int(id)], vec![Value::Null; 12]].concat())
}

#[test]
fn it_is_the_very_component_and_says_what_it_is() {
    let shop = Shop::new();
    let plugin = load(&shop, "mirror").expect("it loads for ever");
    assert_eq!(plugin.digest(), DIGEST);
    let interfaces = ["tillhold:plugin/transform@0.1.0", "tillhold:plugin/resolve@0.1.0"];
    assert!(plugin.exports().eq(interfaces));
    assert_eq!(plugin.imports(), ["tillhold:plugin/log@0.1.0", "tillhold:plugin/types@0.1.0"]);
    plugin.check_against(&every_type()).expect("its columns travel");
    let error = refused(load(&shop, "wrong"));
    assert_eq!(error.code(), "plugin-config", "{error}");
    assert!(error.to_string().contains("no such config"), "{error}");
}

#[test]
fn its_cells_come_back_to_the_last_bit_and_its_lines_are_heard() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut shop = Shop::new();
    let ear = heard.clone();
    shop.host = shop.host.with_log(Arc::new(move |line| {
        ear.lock().expect("no test panics while holding it").push((line.is_warning, line.text));
    }));
    let plugin = load(&shop, "mirror").expect("it loads for ever");
    let rows = [row(1), nulls(2), row(3)];
    let verdicts = plugin.transform(&context(), &every_type(), &rows).expect("a mirror");
    for (row, verdict) in rows.iter().zip(verdicts) {
        let expected = (1..13).map(|at| (at, row.0[at].clone())).collect();
        assert_eq!(verdict, Verdict::Replace(expected));
    }
    let lines = heard.lock().expect("no test panics while holding it").clone();
    let expected = [(false, "3 rows of ax.EVERYTYPE"), (true, "a warning")];
    assert_eq!(lines, expected.map(|(is_warning, text)| (is_warning, text.to_string())));
}

#[test]
fn its_verdicts_and_its_context_are_those_of_the_contract() {
    let shop = Shop::new();
    let plugin = load(&shop, "judge").expect("it loads for ever");
    let rows: Vec<Row> = (0..4).map(row).collect();
    let verdicts = plugin.transform(&context(), &every_type(), &rows).expect("verdicts");
    let refusal = Verdict::Refuse("row 2".to_string());
    assert_eq!(verdicts, [Verdict::Keep, Verdict::Drop, refusal, Verdict::Keep]);
    let plugin = load(&shop, "tell").expect("it loads for ever");
    let push = BatchContext { flow: Flow::Push, time: Timestamp(77), ..context() };
    let error = refused(plugin.transform(&push, &every_type(), &rows));
    assert_eq!(error.code(), "plugin-refused");
    let told = error.to_string();
    for part in ["tell", "Flow::Push", "1010 Customers", "S0001", "000001", "77"] {
        assert!(told.contains(part), "no {part}: {told}");
    }
}

#[test]
fn its_resolutions_are_those_of_the_contract() {
    let shop = Shop::new();
    let plugin = load(&shop, "merge").expect("it loads for ever");
    let table = every_type();
    let conflict = Conflict {
        table: table.clone(),
        key: row(1).key(&table),
        base: Some(nulls(1)),
        channel: Some(row(1)),
        offline: None,
    };
    let resolutions = plugin.resolve(&context(), &vec![conflict; 4]).expect("resolutions");
    let [Resolution::TakeChannel, Resolution::TakeOffline, Resolution::Defer(why), merged] =
        &resolutions[..]
    else {
        panic!("{resolutions:?}")
    };
    assert_eq!(why, "BIT,INT,FLT,DEC,TXT,BIN,DAT,TIM,MOM,OFS,GUI,MON");
    let cells: Vec<_> = (1..13).map(|at| (at, row(1).0[at].clone())).collect();
    assert_eq!(*merged, Resolution::Merge(cells));
}
