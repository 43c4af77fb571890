//! Amounts add up for any basket, and every row fits its table.

use super::{Draft, HEADER, Item, LINES, PAYMENTS, Sale, TAXES, Till, body, ring_up};
use std::sync::LazyLock;
use tillhold_core::draw::Draw;
use tillhold_core::moment::Timestamp;
use tillhold_core::value::{Decimal, Value};
use tillhold_kit::Schema;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).expect("a decimal of the test")
}

fn till() -> Till {
    Till {
        store: "S0343".into(),
        terminal: "000002".into(),
        channel: 5_637_144_576,
        staff: "000101".into(),
    }
}

fn item(quantity: u32, price: &str, discount: &str, coupon: &str, rates: &[&str]) -> Item {
    let code = |(at, rate): (usize, &&str)| (format!("T{at}"), decimal(rate));
    Item {
        id: "820165".into(),
        barcode: "410000000007".into(),
        quantity,
        unit: "EA".into(),
        price: decimal(price),
        discount: decimal(discount),
        coupon: decimal(coupon),
        tax_group: "FOOD".into(),
        taxes: rates.iter().enumerate().map(code).collect(),
    }
}

fn ring(items: Vec<Item>, sequence: i64) -> Sale {
    static SCHEMA: LazyLock<Schema> =
        LazyLock::new(|| Schema::published().expect("the published schema reads"));
    let draft = Draft {
        id: [7; 16],
        sequence,
        at: Timestamp::from_unix_ms(1_488_208_955_000),
        customer: "C1989".into(),
        card: "5500000001".into(),
        items,
    };
    ring_up(&SCHEMA, &till(), &draft).expect("a sale")
}

fn sum(sale: &Sale, table: &str, column: &str) -> Decimal {
    let rows = sale.rows.iter().filter(|row| row.table.name.name == table);
    rows.fold(Decimal::ZERO, |sum, row| match row.value(column) {
        Some(Value::Decimal(amount)) => sum.checked_add(*amount).expect("small"),
        other => panic!("{table}.{column} is {other:?}"),
    })
}

fn assert_adds_up(sale: &Sale) {
    let header = |column| sum(sale, HEADER, column);
    let paid = sum(sale, PAYMENTS, "AMOUNTTENDERED");
    assert_eq!(header("GROSSAMOUNT").checked_add(paid), Some(Decimal::ZERO));
    assert_eq!(header("PAYMENTAMOUNT"), paid);
    assert_eq!(header("NETAMOUNT"), sum(sale, LINES, "NETAMOUNT"));
    assert_eq!(header("GROSSAMOUNT"), sum(sale, LINES, "NETAMOUNTINCLTAX"));
    assert_eq!(sum(sale, LINES, "TAXAMOUNT"), sum(sale, TAXES, "AMOUNT"));
    assert_eq!(header("DISCAMOUNT"), sum(sale, LINES, "DISCAMOUNT"));
    assert_eq!(sale.total, paid);
}

/// items, sequence, total, payments
type Case<'a> = (Vec<Item>, i64, &'a str, &'a [&'a str]);

#[test]
fn totals_and_payments_are_exact() {
    let cases: [Case<'_>; 6] = [
        (vec![item(2, "1.99", "0", "0", &[])], 1, "3.98", &["3.98"]),
        (vec![item(2, "1.99", "0.50", "0", &["6.25", "1.50"])], 1, "3.75", &["3.75"]),
        (vec![item(1, "0.10", "0", "0", &["5.00"])], 1, "0.11", &["0.11"]),
        (vec![item(1, "7.30", "0", "1.00", &[])], 3, "7.30", &["1.00", "10.00", "-3.70"]),
        (vec![item(12906, "0.0020", "0", "0", &[])], 2, "25.81", &["25.81"]),
        (vec![item(1, "2.00", "9.00", "1.00", &["6.25"])], 1, "0.00", &[]),
    ];
    for (items, sequence, total, payments) in cases {
        let sale = ring(items, sequence);
        assert_adds_up(&sale);
        assert_eq!(sale.total, decimal(total));
        let paid = sale.rows.iter().filter(|r| r.table.name.name == PAYMENTS);
        let paid: Vec<_> = paid.map(|row| row.value("AMOUNTCUR").cloned()).collect();
        let expected: Vec<_> = payments.iter().map(|p| Some(Value::Decimal(decimal(p)))).collect();
        assert_eq!(paid, expected);
    }
}

#[test]
fn any_basket_adds_up() {
    for case in 0..500 {
        let mut draw = Draw::of(11, "basket", case);
        let lines = 1 + draw.below(30);
        let items = (0..lines).map(|_| {
            let cents =
                |draw: &mut Draw, most| format!("{}.{:02}", draw.below(most), draw.below(100));
            let rates = [["6.25", "1.50", "9.00"]; 1];
            let codes = draw.below(4) as usize;
            item(
                1 + draw.below(9) as u32,
                &cents(&mut draw, 30),
                &cents(&mut draw, 2),
                &cents(&mut draw, 2),
                &rates[0][..codes],
            )
        });
        let items = items.collect();
        assert_adds_up(&ring(items, 1 + case as i64));
    }
}

#[test]
fn a_sale_is_one_transaction_of_every_table_and_moves_the_last_number() {
    let sale =
        ring(vec![item(2, "1.99", "0", "0", &["1.50"]), item(1, "3.00", "0", "0", &[])], 1234);
    assert_eq!(sale.number, "S0343-000002-1234");
    let tables: Vec<&str> = sale.rows.iter().map(|row| row.table.name.name.as_str()).collect();
    assert_eq!(tables, [HEADER, LINES, LINES, TAXES, PAYMENTS, "RETAILPOSSEEDDATA"]);
    let json = body(&sale.rows);
    assert_eq!(json["rows"][0]["values"]["GROSSAMOUNT"], "-7.0400000000000000");
    assert_eq!(json["rows"][0]["values"]["TRANSDATE"], "2017-02-27");
    assert_eq!(json["rows"][5]["operation"], "update");
    assert_eq!(json["rows"][5]["values"]["DATAVALUE"], "1234");
}
