//! The shipped shop and what may be poured in instead.

use super::{Shop, ShopFiles, store_number};
use tillhold_core::value::Decimal;

const PRODUCTS: &str = "product_id,department,brand,product_category,product_type,package_size\n\
     1,GROCERY,Private,SOUP,TOMATO,10 OZ\n2,FUEL,National,,REGULAR,\n";
const HEADER: &str = "basket_id,sold_at,store_id,household_id,product_id,quantity,sales_value,retail_disc,coupon_disc\n";

fn read(lines: &str) -> Result<Shop, String> {
    let baskets = format!("{HEADER}{lines}");
    Shop::read(("p.csv", PRODUCTS), ("b.csv", &baskets)).map_err(|e| e.to_string())
}

#[test]
fn the_shipped_shop_is_the_one_that_its_note_describes() {
    let shop = Shop::open(&ShopFiles::default()).expect("the shipped files read");
    assert_eq!(shop.stores, ["S0343", "S0367", "S0406"]);
    assert_eq!(shop.products.len(), 4_490 + 1, "5978656 is sold without being listed");
    assert_eq!(shop.households.len(), 177);
    let lines: usize = shop.baskets.iter().map(|b| b.lines.len()).sum();
    assert_eq!(lines, 7_561 - 45, "45 lines have no quantity");
    let first = &shop.baskets[0];
    assert_eq!((first.id.as_str(), first.household.as_str()), ("32041370859", "1989"));
    assert_eq!(shop.products[first.lines[0].product].id, "820165");
}

#[test]
fn the_newest_line_sets_the_shelf_price() {
    let shop = read(
        "9,2017-03-02T10:00:00,1,7,1,2,3.00,1.00,0.00\n\
         8,2017-03-01T10:00:00,1,7,1,1,9.00,0.00,0.00\n\
         9,2017-03-02T10:00:00,1,7,2,12906,26.44,0.00,0.50\n",
    )
    .expect("readable");
    assert_eq!(shop.baskets.len(), 2);
    assert_eq!(shop.products[0].shelf_price, Decimal::parse("2.00"));
    assert_eq!(shop.products[1].shelf_price, Decimal::parse("0.0020"));
    assert_eq!(Some(shop.baskets[0].lines[1].coupon), Decimal::parse("0.50"));
}

#[test]
fn a_shop_that_cannot_be_sold_is_refused_with_every_line() {
    for (lines, part) in [
        ("", "no basket"),
        ("9,2017-03-02T10:00:00,1,7,1,0,3.00,0,0\n", "no basket"),
        ("9,yesterday,1,7,1,2,3.00,0,0\n", "line 2: sold_at"),
        ("9,2017-03-02T10:00:00,1,7,1,2,-3.00,0,0\n", "line 2: sales_value"),
        ("9,2017-03-02T10:00:00,1,7,1,1.5,3.00,0,0\n", "line 2: quantity"),
        ("9,2017-03-02T10:00:00,a b,7,1,1,3.00,0,0\n", "line 2: store_id"),
        ("9,2017-03-02T10:00:00,1,7,1234567890123456789,1,3.00,0,0\n", "line 2: product_id"),
    ] {
        let error = read(lines).expect_err("refused");
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn stores_are_named_as_the_channel_can_hold_them() {
    for (id, number) in [
        ("343", "S0343"),
        ("123456789", "S123456789"),
        ("1234567890", "1234567890"),
        ("west", "west"),
    ] {
        assert_eq!(store_number(id), number);
    }
}

#[test]
fn a_product_stands_once_whatever_its_case() {
    let products = "product_id,department,brand,product_category,product_type,package_size\na1,,,,,\nA1,,,,,\n";
    let error = Shop::read(("p.csv", products), ("b.csv", HEADER)).expect_err("refused");
    assert!(error.to_string().contains("line 3: product A1 is there twice"), "{error}");
}

#[test]
fn a_reduced_shop_keeps_what_its_baskets_need() {
    let whole = Shop::open(&ShopFiles::default()).expect("the shipped files read");
    let names = |shop: &Shop, basket: usize| -> Vec<String> {
        shop.baskets[basket].lines.iter().map(|l| shop.products[l.product].id.clone()).collect()
    };
    let before = names(&whole, 4);
    let small = whole.reduced(5);
    assert_eq!((small.baskets.len(), names(&small, 4)), (5, before));
    assert!(small.products.len() < 200 && small.households.len() <= 5);
}
