//! The rule that every language writes: addresses masked, other stores' sales left out, amounts in whole cents.

use tillhold_sdk::{Context, Row, Verdict, transformer};

transformer! {
    "ax.RETAILTRANSACTIONTABLE" {
        reads: ["STORE", "RECEIPTEMAIL", "GROSSAMOUNT"],
        writes: ["RECEIPTEMAIL", "GROSSAMOUNT"],
        rule: sales,
    }
    "ax.SHAPES" {
        reads: ["BIT", "BIG", "FLT", "DEC", "TXT", "BIN", "DAY", "TIM", "AT", "OFFS", "GUID"],
        writes: ["BIT2", "BIG2", "FLT2", "DEC2", "TXT2", "BIN2", "DAY2", "TIM2", "AT2", "OFFS2", "GUID2"],
        rule: copied,
    }
}

fn sales(context: &Context, row: &mut Row) -> Verdict {
    if !context.is_own_store(row.text("STORE").unwrap_or_default()) {
        return Verdict::Drop;
    }
    let address = row.text("RECEIPTEMAIL").unwrap_or_default();
    if !address.is_empty() {
        let first = address.chars().next().filter(|first| *first != '@');
        let (Some(first), Some((_, domain))) = (first, address.split_once('@')) else {
            return Verdict::refuse("RECEIPTEMAIL is no address");
        };
        row.set("RECEIPTEMAIL", format!("{first}***@{domain}"));
    }
    if let Some(amount) = row.decimal("GROSSAMOUNT")
        && let Some(cents) = amount.rounded(2)
        && cents.rounded(amount.scale) != Some(amount)
    {
        row.set("GROSSAMOUNT", cents);
    }
    Verdict::Keep
}

/// Every shape of value goes in and comes out whole.
fn copied(_: &Context, row: &mut Row) -> Verdict {
    for (shape, copy) in [
        ("BIT", "BIT2"),
        ("BIG", "BIG2"),
        ("FLT", "FLT2"),
        ("DEC", "DEC2"),
        ("TXT", "TXT2"),
        ("BIN", "BIN2"),
        ("DAY", "DAY2"),
        ("TIM", "TIM2"),
        ("AT", "AT2"),
        ("OFFS", "OFFS2"),
        ("GUID", "GUID2"),
    ] {
        row.set(copy, row.value(shape));
    }
    Verdict::Keep
}
