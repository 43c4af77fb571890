//! Prices that can be paid: in steps of a currency's smallest coin.
//!
//! Trade agreements come out of calculations with sixteen decimals, or out of another currency. What stands on the
//! shelf, on the receipt and in the drawer has to be the same number.
//!
//! On the way down, sales prices (`PRICEDISCTABLE.AMOUNT`) and, if their currency is named, base prices
//! (`INVENTTABLEMODULE.PRICE`) are rounded. A price never becomes nothing: one below the smallest coin becomes that coin.
//!
//! On the way up nothing is touched. A sale's amounts are what the customer paid; rounding them again would make the
//! receipt and the books differ.
//!
//! Config:
//!
//! | setting | default | |
//! |---|---|---|
//! | `steps` | | `EUR 0.01, CHF 0.05, JPY 1`; prices in other currencies stay as they are |
//! | `method` | `nearest` | or `up`, `down`; halves go away from zero, as in SQL Server |
//! | `base` | | the company's currency, in which base prices are; without it they stay as they are |

use std::cmp::Ordering;
use tillhold_sdk::{Context, Decimal, Flow, Row, Settings, Verdict, transformer};

/// PriceType in AX 2012: a sales price. Discounts are not rounded: a tenth of a cent off a thousand pieces is money.
const SALES_PRICE: i64 = 4;
/// ModuleInventPurchSales in AX 2012.
const SALES_MODULE: i64 = 2;
/// numeric(32,16)
const SCALE: u8 = 16;
const UNSCALED_END: i128 = 10i128.pow(32);

const METHODS: [&str; 3] = ["nearest", "up", "down"];

transformer! {
    settings: ["steps", "method", "base"],
    check: readable,

    "ax.PRICEDISCTABLE" {
        reads: ["RELATION", "CURRENCY", "AMOUNT"],
        writes: ["AMOUNT"],
        rule: agreed_price,
    }
    "ax.INVENTTABLEMODULE" { reads: ["MODULETYPE", "PRICE"], writes: ["PRICE"], rule: base_price }
}

fn readable(settings: &Settings) -> Result<(), String> {
    let steps = settings.get("steps").unwrap_or_default();
    if steps.is_empty() {
        return Err("steps is not set: steps = EUR 0.01, CHF 0.05".to_string());
    }
    for step in steps.split(',') {
        if read_step(step).is_none() {
            return Err(format!(
                "steps: '{}' is not a currency and its smallest coin",
                step.trim()
            ));
        }
    }
    let method = settings.get("method").unwrap_or(METHODS[0]);
    if !METHODS.contains(&method) {
        return Err(format!("method: '{method}' is none of {}", METHODS.join(", ")));
    }
    match settings.get("base") {
        Some(base) if step_of(steps, base).is_none() => {
            Err(format!("base: there is no step for '{base}' in `steps`"))
        }
        _ => Ok(()),
    }
}

fn agreed_price(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Push || row.integer("RELATION") != Some(SALES_PRICE) {
        return Verdict::Keep;
    }
    round(context, row, row.text("CURRENCY").unwrap_or_default(), "AMOUNT")
}

fn base_price(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Push || row.integer("MODULETYPE") != Some(SALES_MODULE) {
        return Verdict::Keep;
    }
    round(context, row, context.setting("base").unwrap_or_default(), "PRICE")
}

fn round(context: &Context, row: &mut Row, currency: &str, column: &str) -> Verdict {
    let step = step_of(context.setting("steps").unwrap_or_default(), currency);
    let (Some(step), Some(exact)) = (step, row.decimal(column)) else { return Verdict::Keep };
    let payable = in_steps(exact, step, context.setting("method").unwrap_or(METHODS[0]));
    match payable.filter(|payable| fits(*payable)) {
        Some(payable) if is_equal(payable, exact) => {}
        Some(payable) => row.set(column, payable),
        None => return Verdict::refuse(format!("{column} does not fit its column once rounded")),
    }
    Verdict::Keep
}

/// The step of a currency. Written as a list, read for each row: it is shorter than a row.
fn step_of(steps: &str, currency: &str) -> Option<Decimal> {
    let currency = currency.trim();
    let mut read = steps.split(',').filter_map(read_step);
    read.find(|(known, _)| known.eq_ignore_ascii_case(currency)).map(|(_, step)| step)
}

/// `CHF 0.05`
fn read_step(text: &str) -> Option<(&str, Decimal)> {
    let (currency, step) = text.trim().split_once(' ')?;
    let step = Decimal::parse(step.trim())?;
    let is_coin = step.unscaled > 0 && step.scale <= SCALE && fits(step);
    is_coin.then_some((currency, step))
}

/// The multiple of `step` next to `exact`; `None` past 128 bits.
fn in_steps(exact: Decimal, step: Decimal, method: &str) -> Option<Decimal> {
    let scale = exact.scale.max(step.scale);
    let (value, step) = (exact.rounded(scale)?.unscaled, step.rounded(scale)?.unscaled);
    let (below, rest) = (value.div_euclid(step), value.rem_euclid(step));
    let is_up = rest != 0
        && match method {
            "up" => true,
            "down" => false,
            _ => match (rest * 2).cmp(&step) {
                Ordering::Greater => true,
                Ordering::Less => false,
                Ordering::Equal => value > 0,
            },
        };
    let count = match below + i128::from(is_up) {
        0 if value != 0 => value.signum(),
        count => count,
    };
    Some(Decimal::new(count.checked_mul(step)?, scale))
}

fn fits(decimal: Decimal) -> bool {
    decimal.rounded(SCALE).is_some_and(|wide| wide.unscaled.abs() < UNSCALED_END)
}

fn is_equal(a: Decimal, b: Decimal) -> bool {
    let scale = a.scale.max(b.scale);
    a.rounded(scale) == b.rounded(scale)
}

#[cfg(test)]
mod tests {
    use super::{TRANSFORMER, in_steps};
    use tillhold_sdk::testing::{Judged, context};
    use tillhold_sdk::{Decimal, Flow, Value, Verdict};

    const STEPS: &str = "steps = EUR 0.01, CHF 0.05, JPY 1; base = CHF";

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a number")
    }

    fn agreed(flow: Flow, relation: i32, currency: &str, amount: &str) -> Judged {
        let row: [(&str, Value); 3] = [
            ("RELATION", relation.into()),
            ("CURRENCY", currency.into()),
            ("AMOUNT", decimal(amount).into()),
        ];
        TRANSFORMER.judge(&context().flow(flow).config(STEPS), "ax.PRICEDISCTABLE", &row)
    }

    #[test]
    fn a_price_goes_to_the_next_coin() {
        for (exact, step, method, expected) in [
            ("2.9951", "0.01", "nearest", "3.0000"),
            ("2.975", "0.05", "nearest", "3.000"),
            ("2.974", "0.05", "nearest", "2.950"),
            ("-2.975", "0.05", "nearest", "-3.000"),
            ("2.951", "0.05", "up", "3.000"),
            ("-2.951", "0.05", "up", "-2.950"),
            ("2.999", "0.05", "down", "2.950"),
            ("2.95", "0.05", "up", "2.95"),
            ("0.01", "0.05", "nearest", "0.05"),
            ("0.01", "0.05", "down", "0.05"),
            ("-0.01", "0.05", "up", "-0.05"),
            ("0.00", "0.05", "up", "0.00"),
            ("149.5", "1", "nearest", "150.0"),
        ] {
            let payable = in_steps(decimal(exact), decimal(step), method).expect("it fits");
            assert_eq!(payable.to_string(), expected, "{exact} {step} {method}");
        }
        assert_eq!(in_steps(Decimal::new(i128::MAX, 16), Decimal::new(1, 0), "up"), None);
    }

    #[test]
    fn only_sales_prices_of_a_known_currency_are_rounded_and_only_down() {
        let rounded = |judged: Judged| judged.changed("AMOUNT").map(|value| value.as_decimal());
        let five = Some(Some(decimal("5.000")));
        assert_eq!(rounded(agreed(Flow::Pull, 4, "CHF", "4.975")), five);
        assert_eq!(rounded(agreed(Flow::Pull, 4, "chf", "4.975")), five);
        assert_eq!(rounded(agreed(Flow::Pull, 4, "USD", "4.975")), None);
        assert_eq!(rounded(agreed(Flow::Pull, 5, "CHF", "4.975")), None);
        assert_eq!(rounded(agreed(Flow::Pull, 4, "CHF", "4.9500")), None);
        assert_eq!(rounded(agreed(Flow::Push, 4, "CHF", "4.975")), None);
    }

    #[test]
    fn base_prices_are_in_the_companys_currency() {
        for (config, module, expected) in [
            (STEPS, 2, Some(Decimal::new(500, 2))),
            (STEPS, 1, None),
            ("steps = CHF 0.05", 2, None),
        ] {
            let row = [("MODULETYPE", Value::from(module)), ("PRICE", decimal("4.98").into())];
            let judged = TRANSFORMER.judge(&context().config(config), "ax.INVENTTABLEMODULE", &row);
            assert_eq!(judged.changed("PRICE"), expected.map(Value::from).as_ref(), "{config}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let widest = format!("{}.{}", "9".repeat(16), "9".repeat(16));
        let refused = agreed(Flow::Pull, 4, "EUR", &widest).verdict;
        assert!(matches!(refused, Verdict::Refuse(_)), "{refused:?}");
    }

    #[test]
    fn steps_that_cannot_be_meant_are_told_at_the_start() {
        assert_eq!(TRANSFORMER.accepts(STEPS), Ok(()));
        for wrong in [
            "",
            "steps = EUR",
            "steps = EUR 0",
            "steps = EUR -1",
            "steps = EUR 0,01",
            "steps = EUR 0.01; method = off",
            "steps = EUR 0.01; base = CHF",
        ] {
            assert!(TRANSFORMER.accepts(wrong).is_err(), "{wrong} was taken");
        }
    }
}
