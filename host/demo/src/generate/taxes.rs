//! Sales tax: three codes, four groups of goods, one group a store.
//!
//! A line is taxed by every code that is both in its item's group (TAXONITEM) and in its store's (TAXGROUPDATA),
//! each at TAXDATA.TAXVALUE percent of the line's net amount.

use super::DemoStore;
use super::sheet::{Load, cents, day, load, whole, words};

/// One tax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxCode {
    pub code: &'static str,
    name: &'static str,
    /// In hundredths of a percent.
    pub rate: u64,
}

pub const TAX_CODES: [TaxCode; 3] = [
    TaxCode { code: "ST", name: "State sales tax", rate: 625 },
    TaxCode { code: "CO", name: "County sales tax", rate: 150 },
    TaxCode { code: "AL", name: "Alcohol tax", rate: 900 },
];

/// Groups of goods with their codes; a group without codes is free of tax.
const ITEM_GROUPS: [(&str, &str); 6] = [
    ("FOOD", "CO"),
    ("GENERAL", "ST"),
    ("GENERAL", "CO"),
    ("ALCOHOL", "ST"),
    ("ALCOHOL", "CO"),
    ("ALCOHOL", "AL"),
];

/// The tax group of a department's goods.
pub(super) fn item_group(department: &str) -> &'static str {
    let has =
        |words: &[&str]| words.iter().any(|word| department.to_ascii_uppercase().contains(word));
    if has(&["SPIRITS", "WINE", "BEER", "LIQUOR"]) {
        "ALCOHOL"
    } else if has(&["FUEL", "COUPON"]) {
        "EXEMPT"
    } else if has(&[
        "GROCERY",
        "PRODUCE",
        "MEAT",
        "DELI",
        "PASTRY",
        "SEAFOOD",
        "NUTRITION",
        "SALAD",
        "DAIRY",
        "FOOD",
    ]) {
        "FOOD"
    } else {
        "GENERAL"
    }
}

pub(super) fn loads(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, branches) = (&store.schema, &store.branches);
    let codes = TAX_CODES.len() as u64;
    let code = |i: u64| TAX_CODES[i as usize % TAX_CODES.len()];
    let number = |i: u64| words(branches[i as usize].number.as_str());
    vec![
        load(
            schema,
            "TAXTABLE",
            ["TAXCODE", "TAXNAME", "TAXCURRENCYCODE", "TAXROUNDOFF"],
            codes,
            move |i| [words(code(i).code), words(code(i).name), words("USD"), cents(1)],
        ),
        load(
            schema,
            "TAXDATA",
            ["TAXCODE", "TAXVALUE", "TAXFROMDATE", "TAXTODATE"],
            codes,
            move |i| [words(code(i).code), cents(code(i).rate), day(2010, 1, 1), day(2154, 12, 31)],
        ),
        load(schema, "TAXONITEM", ["TAXITEMGROUP", "TAXCODE"], ITEM_GROUPS.len() as u64, |i| {
            let (group, code) = ITEM_GROUPS[i as usize];
            [words(group), words(code)]
        }),
        load(
            schema,
            "TAXGROUPHEADING",
            ["TAXGROUP", "TAXGROUPNAME"],
            branches.len() as u64,
            move |i| [number(i), words(format!("Taxes of {}", branches[i as usize].number))],
        ),
        load(
            schema,
            "TAXGROUPDATA",
            ["TAXGROUP", "TAXCODE", "EXEMPTTAX"],
            branches.len() as u64 * codes,
            move |i| [number(i / codes), words(code(i).code), whole(0)],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::item_group;

    #[test]
    fn departments_fall_into_groups_as_a_shop_taxes_them() {
        for (department, group) in [
            ("GROCERY", "FOOD"),
            ("MEAT-PCKGD", "FOOD"),
            ("DRUG GM", "GENERAL"),
            ("SPIRITS", "ALCOHOL"),
            ("FUEL", "EXEMPT"),
            ("", "GENERAL"),
        ] {
            assert_eq!(item_group(department), group, "{department}");
        }
    }
}
