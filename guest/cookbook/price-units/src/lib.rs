//! Prices in the unit that the till's scales weigh in, to the last digit.
//!
//! The office prices by the kilogram, the scales give grams. A price is `AMOUNT` for `PRICEUNIT` times `UNITID`, so the
//! unit changes without any division: 3.99 for 1 KG is 3.99 for 1000 G. The amount, which is what is printed and argued
//! about, stays as it is.
//!
//! On the way down:
//! * sales prices and line discounts (`PRICEDISCTABLE`): `UNITID`, `PRICEUNIT` and both ends of the quantity;
//! * base sales prices (`INVENTTABLEMODULE`): `UNITID`, `PRICEUNIT` and `PRICEQTY`;
//! * barcodes (`INVENTITEMBARCODE`): `UNITID` and `QTY`, so that a scan asks for the unit that has a price.
//!
//! On the way up nothing is touched: a sale says the unit and the quantity that the receipt says.
//!
//! Config: `convert = KG G 1000, LB G 45359237/100000`: from, to, and how many of the second make one of the first.

use tillhold_sdk::{Context, Decimal, Flow, Row, Settings, Verdict, transformer};

/// PriceType in AX 2012: 4 a sales price, 5 a line discount. The quantities of other discounts are sums of many lines.
const BY_UNIT: std::ops::RangeInclusive<i64> = 4..=5;
/// ModuleInventPurchSales in AX 2012.
const SALES_MODULE: i64 = 2;
/// numeric(32,16)
const SCALE: u8 = 16;
const UNSCALED_END: i128 = 10i128.pow(32);
/// UNITOFMEASURE.SYMBOL, in UTF-16 units.
const SYMBOL_UNITS: usize = 10;

transformer! {
    settings: ["convert"],
    check: readable,

    "ax.PRICEDISCTABLE" {
        reads: ["RELATION", "UNITID", "PRICEUNIT", "QUANTITYAMOUNTFROM", "QUANTITYAMOUNTTO"],
        writes: ["UNITID", "PRICEUNIT", "QUANTITYAMOUNTFROM", "QUANTITYAMOUNTTO"],
        rule: agreed_price,
    }
    "ax.INVENTTABLEMODULE" {
        reads: ["MODULETYPE", "UNITID", "PRICEUNIT", "PRICEQTY"],
        writes: ["UNITID", "PRICEUNIT", "PRICEQTY"],
        rule: base_price,
    }
    "ax.INVENTITEMBARCODE" { reads: ["UNITID", "QTY"], writes: ["UNITID", "QTY"], rule: barcode }
}

fn readable(settings: &Settings) -> Result<(), String> {
    let written = settings.get("convert").unwrap_or_default();
    if written.is_empty() {
        return Err("convert is not set: convert = KG G 1000".to_string());
    }
    let mut seen: Vec<&str> = Vec::new();
    for one in written.split(',') {
        let Some(conversion) = Conversion::read(one) else {
            return Err(format!("convert: '{}' is not FROM TO HOW-MANY, as KG G 1000", one.trim()));
        };
        if seen.iter().any(|other| is_same(other, conversion.from)) {
            return Err(format!("convert: {} is there twice", conversion.from));
        }
        seen.push(conversion.from);
    }
    Ok(())
}

fn agreed_price(context: &Context, row: &mut Row) -> Verdict {
    let is_by_unit = row.integer("RELATION").is_some_and(|relation| BY_UNIT.contains(&relation));
    if context.flow == Flow::Push || !is_by_unit {
        return Verdict::Keep;
    }
    convert(context, row, Some("PRICEUNIT"), &["QUANTITYAMOUNTFROM", "QUANTITYAMOUNTTO"])
}

fn base_price(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Push || row.integer("MODULETYPE") != Some(SALES_MODULE) {
        return Verdict::Keep;
    }
    convert(context, row, Some("PRICEUNIT"), &["PRICEQTY"])
}

fn barcode(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Push {
        return Verdict::Keep;
    }
    convert(context, row, None, &["QTY"])
}

fn convert(
    context: &Context,
    row: &mut Row,
    price_unit: Option<&str>,
    amounts: &[&str],
) -> Verdict {
    let unit = row.text("UNITID").unwrap_or_default();
    let written = context.setting("convert").unwrap_or_default();
    let mut conversions = written.split(',').filter_map(Conversion::read);
    let Some(conversion) = conversions.find(|one| is_same(one.from, unit)) else {
        return Verdict::Keep;
    };
    row.set("UNITID", conversion.to);
    for column in price_unit.iter().chain(amounts) {
        let amount = match row.decimal(column) {
            // AX reads no price unit as one.
            Some(amount) if amount.unscaled == 0 && price_unit == Some(*column) => {
                Decimal::new(1, 0)
            }
            Some(amount) => amount,
            None => continue,
        };
        match conversion.of(amount) {
            Some(converted) if Some(converted) == row.decimal(column) => {}
            Some(converted) => row.set(column, converted),
            None => return Verdict::refuse(format!("{column} does not fit in {}", conversion.to)),
        }
    }
    Verdict::Keep
}

struct Conversion<'a> {
    from: &'a str,
    to: &'a str,
    count: Decimal,
    /// 1, unless the factor is written as a fraction.
    by: Decimal,
}

impl<'a> Conversion<'a> {
    /// `KG G 1000`
    fn read(text: &'a str) -> Option<Conversion<'a>> {
        let mut words = text.split_whitespace();
        let (from, to, factor) = (words.next()?, words.next()?, words.next()?);
        let (count, by) = factor.split_once('/').unwrap_or((factor, "1"));
        let (count, by) = (Decimal::parse(count)?, Decimal::parse(by)?);
        let is_factor = count.unscaled > 0 && by.unscaled > 0 && count.scale.max(by.scale) <= SCALE;
        let is_unit = to.encode_utf16().count() <= SYMBOL_UNITS && !is_same(from, to);
        let is_whole = is_factor && is_unit && words.next().is_none();
        is_whole.then_some(Conversion { from, to, count, by })
    }

    /// With sixteen decimals, rounded half away from zero; `None` where the column ends.
    fn of(&self, amount: Decimal) -> Option<Decimal> {
        let scale = self.count.scale.max(self.by.scale);
        let (count, by) = (self.count.rounded(scale)?, self.by.rounded(scale)?);
        let divisor = greatest_common_divisor(count.unscaled, by.unscaled);
        let (count, by) = (count.unscaled / divisor, by.unscaled / divisor);
        let product = amount.rounded(SCALE)?.unscaled.checked_mul(count)?;
        let (whole, rest) = (product / by, product % by);
        let away = i128::from(rest.abs() >= by - rest.abs()) * product.signum();
        let unscaled = whole + away;
        (unscaled.abs() < UNSCALED_END).then_some(Decimal::new(unscaled, SCALE))
    }
}

/// Of two numbers above zero.
fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// As SQL Server compares: blind to case and trailing blanks.
fn is_same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b.trim_end_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::{Conversion, TRANSFORMER};
    use tillhold_sdk::testing::{Judged, context};
    use tillhold_sdk::{Decimal, Flow, Value, Verdict};

    const CONVERT: &str = "convert = KG G 1000, LB G 45359237/100000, DOZ EA 12, STK EA 1";

    fn number(text: &str) -> Value {
        Decimal::parse(text).and_then(|number| number.rounded(16)).expect("a number").into()
    }

    fn agreed(flow: Flow, relation: i32, unit: &str, price_unit: &str, from: &str) -> Judged {
        let row: [(&str, Value); 5] = [
            ("RELATION", relation.into()),
            ("UNITID", unit.into()),
            ("PRICEUNIT", number(price_unit)),
            ("QUANTITYAMOUNTFROM", number(from)),
            ("QUANTITYAMOUNTTO", number("0")),
        ];
        TRANSFORMER.judge(&context().flow(flow).config(CONVERT), "ax.PRICEDISCTABLE", &row)
    }

    #[test]
    fn the_unit_changes_and_the_amount_stays() {
        let judged = agreed(Flow::Pull, 4, "kg ", "1", "2.5");
        let expected = [
            ("UNITID", "G".into()),
            ("PRICEUNIT", number("1000")),
            ("QUANTITYAMOUNTFROM", number("2500")),
        ];
        assert_eq!(judged.changes, expected);
        let of_pound = agreed(Flow::Pull, 5, "LB", "1", "0");
        assert_eq!(of_pound.changed("PRICEUNIT"), Some(&number("453.59237")));
        let unset = agreed(Flow::Pull, 4, "DOZ", "0", "0");
        assert_eq!(unset.changed("PRICEUNIT"), Some(&number("12")));
        let same = agreed(Flow::Pull, 4, "STK", "1", "5");
        assert_eq!(same.changes, [("UNITID", "EA".into())]);
    }

    #[test]
    fn other_units_other_rows_and_the_way_up_are_left_alone() {
        for judged in [
            agreed(Flow::Pull, 4, "EA", "1", "2"),
            agreed(Flow::Pull, 4, "", "1", "2"),
            agreed(Flow::Pull, 7, "KG", "1", "2"),
            agreed(Flow::Push, 4, "KG", "1", "2"),
        ] {
            assert_eq!((judged.verdict, judged.changes), (Verdict::Keep, vec![]));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = agreed(Flow::Pull, 4, "KG", "1", "9999999999999999").verdict;
        assert_eq!(refused, Verdict::refuse("QUANTITYAMOUNTFROM does not fit in G"));
    }

    #[test]
    fn fractions_are_rounded_at_the_sixteenth_decimal() {
        let third = Conversion::read("A B 2/3").expect("a conversion");
        let one = third.of(Decimal::new(1, 0)).expect("it fits");
        assert_eq!(one.to_string(), "0.6666666666666667");
        let minus = third.of(Decimal::new(-1, 0)).expect("it fits");
        assert_eq!(minus.to_string(), "-0.6666666666666667");
    }

    #[test]
    fn a_scan_asks_for_the_unit_that_has_a_price() {
        let row = [("UNITID", "KG".into()), ("QTY", number("0.25"))];
        let judged = TRANSFORMER.judge(&context().config(CONVERT), "ax.INVENTITEMBARCODE", &row);
        assert_eq!(judged.changes, [("UNITID", "G".into()), ("QTY", number("250"))]);
        let row = [
            ("MODULETYPE", 2.into()),
            ("UNITID", "KG".into()),
            ("PRICEUNIT", number("1")),
            ("PRICEQTY", number("1")),
        ];
        let judged = TRANSFORMER.judge(&context().config(CONVERT), "ax.INVENTTABLEMODULE", &row);
        assert_eq!(judged.changes.len(), 3);
    }

    #[test]
    fn conversions_that_cannot_be_meant_are_told_at_the_start() {
        assert_eq!(TRANSFORMER.accepts(CONVERT), Ok(()));
        for wrong in [
            "",
            "convert = KG G",
            "convert = KG G 0",
            "convert = KG G -1",
            "convert = KG G 1/0",
            "convert = KG kg 1",
            "convert = KG G 1000 2",
            "convert = KG G 1000, kg LB 2",
            "convert = KG GRAMGRAMGRAM 1000",
        ] {
            assert!(TRANSFORMER.accepts(wrong).is_err(), "{wrong} was taken");
        }
    }
}
