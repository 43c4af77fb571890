//! Conflicts through real resolvers.

use super::shop::{Shop, context, refused, table, victim};
use std::sync::Arc;
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::moment::{TICKS_PER_DAY, TICKS_PER_SECOND, Timestamp};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::value::{Decimal, Value};

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

fn money(text: &str) -> Value {
    Value::Decimal(Decimal::parse(text).expect("a decimal"))
}

/// `base` with these cells changed on each side.
fn conflict(
    table: &Arc<Table>,
    base: &Row,
    channel: &[(usize, Value)],
    offline: &[(usize, Value)],
) -> Conflict {
    let with = |cells: &[(usize, Value)]| {
        let mut row = base.clone();
        cells.iter().for_each(|(at, value)| row.0[*at] = value.clone());
        Some(row)
    };
    Conflict {
        table: table.clone(),
        key: base.key(table),
        base: Some(base.clone()),
        channel: with(channel),
        offline: with(offline),
    }
}

/// On a day that a datetime holds: it begins with 1753.
fn at(seconds: i64) -> Value {
    const DAY_OF_2024: i64 = 739_000;
    Value::Timestamp(Timestamp(DAY_OF_2024 * TICKS_PER_DAY + seconds * TICKS_PER_SECOND))
}

fn customers() -> (Arc<Table>, Row) {
    let table = table(
        "ax.CUSTTABLE",
        &[
            ("ACCOUNTNUM", "nvarchar(20)"),
            ("CREDITMAX", "numeric(32,16)"),
            ("PAYMTERMID", "nvarchar(10)"),
            ("TAXLICENSENUM", "nvarchar(20)"),
            ("CURRENCY", "nvarchar(3)"),
            ("MODIFIEDDATETIME", "datetime"),
        ],
    );
    let row = Row(vec![
        text("C1"),
        money("100.0000000000000000"),
        text("N30"),
        text(""),
        text("EUR"),
        at(10),
    ]);
    (table, row)
}

#[test]
fn a_customer_is_decided_field_by_field() {
    let shop = Shop::new();
    let plugin = shop.load("customer-merge", "").expect("it loads");
    let (table, base) = customers();
    plugin.check_against(&table).expect("all its columns travel");
    let conflicts = [
        conflict(
            &table,
            &base,
            &[(1, money("500.0000000000000000")), (2, text("N60")), (5, at(20))],
            &[(1, money("900.0000000000000000")), (3, text("T-7")), (5, at(30))],
        ),
        conflict(&table, &base, &[(4, text("USD"))], &[(4, text("CHF"))]),
    ];
    let decided = plugin.resolve(&context(), &conflicts).expect("resolutions");
    assert_eq!(
        decided,
        [
            Resolution::Merge(vec![(3, text("T-7")), (5, at(30))]),
            Resolution::Defer("both sides changed CURRENCY".to_string()),
        ]
    );
}

#[test]
fn a_table_that_the_resolver_does_not_decide_waits_for_a_person() {
    let shop = Shop::new();
    let plugin = shop.load("customer-merge", "").expect("it loads");
    let (customer, base) = customers();
    let other = table("ax.OTHER", &[("ID", "int")]);
    let row = Row(vec![Value::Int(1)]);
    let conflicts = [
        conflict(&other, &row, &[], &[]),
        conflict(&customer, &base, &[], &[(3, text("T-7"))]),
        conflict(&other, &row, &[], &[]),
    ];
    let decided = plugin.resolve(&context(), &conflicts).expect("resolutions");
    let waits = Resolution::Defer("resolver tested does not decide conflicts of ax.OTHER".into());
    let merged = Resolution::Merge(vec![(3, text("T-7"))]);
    assert_eq!(decided, [waits.clone(), merged, waits]);
    assert_eq!(plugin.resolve(&context(), &[]).expect("nothing to decide"), []);
}

fn victim_row() -> Row {
    super::shop::victims(1).remove(0)
}

#[test]
fn what_a_resolver_does_not_see_is_merged_or_waits() {
    let shop = Shop::new();
    // It sees and writes NAME (2) only, and always merges it to "won".
    let plugin = shop.load("hostile", "resolve-name").expect("it loads");
    let (table, base) = (victim(), victim_row());
    let won = (2, text("won"));
    let unseen = |value: &str| (6, text(value));
    for (channel, offline, expected) in [
        (vec![], vec![unseen("till")], Resolution::Merge(vec![won.clone(), unseen("till")])),
        (vec![unseen("office")], vec![], Resolution::Merge(vec![won.clone()])),
        (vec![unseen("same")], vec![unseen("same")], Resolution::Merge(vec![won.clone()])),
        (
            vec![unseen("office")],
            vec![unseen("till")],
            Resolution::Defer("both sides changed UNSEEN, which the resolver does not see".into()),
        ),
    ] {
        let asked = [conflict(&table, &base, &channel, &offline)];
        let decided = plugin.resolve(&context(), &asked).expect("a resolution");
        assert_eq!(decided, [expected]);
    }
    let mut inserted_twice = conflict(&table, &base, &[unseen("office")], &[unseen("till")]);
    inserted_twice.base = None;
    let decided = plugin.resolve(&context(), &[inserted_twice]).expect("a resolution");
    assert!(matches!(&decided[0], Resolution::Defer(why) if why.contains("UNSEEN")), "{decided:?}");
}

#[test]
fn a_resolver_is_shown_what_it_declared() {
    let shop = Shop::new();
    let plugin = shop.load("hostile", "resolve-shown").expect("it loads");
    let asked = [conflict(&victim(), &victim_row(), &[], &[])];
    let decided = plugin.resolve(&context(), &asked).expect("a resolution");
    assert_eq!(decided, [Resolution::Defer("NAME".to_string())]);
}

#[test]
fn every_wrong_resolution_is_told() {
    let shop = Shop::new();
    let asked = [conflict(&victim(), &victim_row(), &[], &[(2, text("till"))])];
    for (lie, code, words) in [
        ("resolve-too-few", "plugin-bad-answer", "0 resolutions for 1 conflicts"),
        ("resolve-refuses", "plugin-refused", "ax.VICTIM: no"),
        ("resolve-undeclared", "plugin-bad-answer", "NUMBER is merged, but was not declared"),
        ("resolve-unknown", "plugin-bad-answer", "there is no column NOWHERE"),
        ("resolve-key", "plugin-bad-answer", "ID is merged, but was not declared"),
        ("resolve-every", "plugin-bad-answer", "ID is merged, but was not declared"),
        ("resolve-too-long", "plugin-bad-answer", "NAME: 13 characters do not fit nvarchar(8)"),
        ("resolve-guid", "plugin-bad-answer", "NAME: a guid is not 16 bytes"),
    ] {
        let plugin = shop.load("hostile", lie).expect("it loads");
        let error = refused(plugin.resolve(&context(), &asked));
        assert_eq!(error.code(), code, "{lie}: {error}");
        assert!(error.to_string().contains(words), "{lie}: {error}");
    }
    let plugin = shop.load("hostile", "resolve-name").expect("it loads");
    let mut deleted = asked[0].clone();
    deleted.channel = None;
    let error = refused(plugin.resolve(&context(), &[deleted]));
    assert!(error.to_string().contains("the channel no longer has"), "{error}");
}
