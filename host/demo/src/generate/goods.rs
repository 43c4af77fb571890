//! What is sold: products, their categories, barcodes and prices.

use super::sheet::{COMPANY, Load, day, load, money, record, whole, words};
use super::{DemoStore, taxes};
use crate::shop::{Product, Shop};
use tillhold_core::draw::Draw;
use tillhold_core::value::{Decimal, Value};

/// INVENTTABLEMODULE.MODULETYPE of sales; RETAILTRANSACTION prices come from here when no agreement applies.
pub(crate) const SALES_MODULE: i64 = 2;
/// PRICEDISCTABLE: a sales price, of one item.
pub(crate) const SALES_PRICE: i64 = 4;
/// PRICEDISCTABLE.ACCOUNTCODE: of a group (a store's price group), of everyone.
pub(crate) const OF_GROUP: i64 = 1;
const OF_EVERYONE: i64 = 2;

const VARIANTS: [&str; 16] = [
    "Family",
    "Organic",
    "Light",
    "Original",
    "Extra",
    "Mild",
    "Spicy",
    "Classic",
    "Value",
    "Mini",
    "Premium",
    "Fresh",
    "Low Salt",
    "Sugar Free",
    "Double",
    "Roasted",
];

/// A product as the channel knows it.
struct Item {
    id: String,
    name: String,
    department: usize,
    price: Decimal,
}

/// Whom a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceLevel {
    /// The price group of a store, by its place in [`DemoStore::branches`].
    Store(usize),
    Everyone,
    /// Everyone who takes at least so many.
    Quantity(u64),
}

/// Real product numbers end here; generated ones are larger numbers, so none can be a real one.
pub(super) fn first_free_number(shop: &Shop) -> u64 {
    let numbers = shop.products.iter().filter_map(|product| product.id.parse::<u64>().ok());
    numbers.max().unwrap_or(0) + 1
}

pub(super) fn departments(shop: &Shop) -> Vec<String> {
    let mut departments: Vec<String> = Vec::new();
    for product in &shop.products {
        let name = department(product);
        if !departments.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            departments.push(name.to_string());
        }
    }
    departments
}

fn department(product: &Product) -> &str {
    if product.department.is_empty() { "UNSORTED" } else { &product.department }
}

impl DemoStore {
    /// INVENTTABLE.ITEMID of the `index`th product.
    pub fn item_id(&self, index: u64) -> String {
        match self.shop.products.get(index as usize) {
            Some(real) => real.id.clone(),
            None => (self.first_free_number + index - self.shop.products.len() as u64).to_string(),
        }
    }

    /// What a unit of a product costs before any change, and PRICEDISCTABLE.RECID of the row that says so.
    pub fn own_price(&self, index: u64) -> (i64, Decimal) {
        let number = match record(index) {
            Value::Int(number) => number,
            _ => 0,
        };
        (number, self.item(index).price)
    }

    fn item(&self, index: u64) -> Item {
        let mut draw = Draw::of(self.seed, "product", index);
        let real = self.shop.products.get(index as usize);
        let pattern = real.unwrap_or_else(|| draw.pick(&self.shop.products));
        let variant = match real {
            Some(_) => String::new(),
            None => format!("{} ", draw.pick(&VARIANTS)),
        };
        let drawn = Decimal::new(i128::from(49 + draw.skewed(4_000)), 2).unwrap_or(Decimal::ZERO);
        let name = department(pattern);
        let department =
            self.departments.iter().position(|known| known.eq_ignore_ascii_case(name)).unwrap_or(0);
        Item {
            id: self.item_id(index),
            name: format!("{variant}{}", product_name(pattern)),
            department,
            price: real.and_then(|real| real.shelf_price).unwrap_or(drawn),
        }
    }

    fn price_level(&self, level: u64) -> PriceLevel {
        match level {
            0 => PriceLevel::Store(0),
            1 => PriceLevel::Everyone,
            level if level <= self.branches.len() as u64 => PriceLevel::Store(level as usize - 1),
            level => PriceLevel::Quantity(6 * (level - self.branches.len() as u64)),
        }
    }
}

/// `All Family Cereal 10.4 OZ` from a product's type, or its category, and its package.
fn product_name(product: &Product) -> String {
    let kind = if product.kind.is_empty() { &product.category } else { &product.kind };
    let kind = if kind.is_empty() { "Article" } else { kind };
    let words = kind.split_whitespace().map(capitalised).collect::<Vec<_>>().join(" ");
    format!("{words} {}", product.size).trim_end().to_string()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect(),
        None => String::new(),
    }
}

pub(super) fn loads(store: &DemoStore) -> Vec<Load<'_>> {
    let mut loads = categories(store);
    loads.extend(products(store));
    loads.push(barcodes(store));
    loads.push(prices(store));
    loads
}

fn categories(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, departments) = (&store.schema, &store.departments);
    let count = departments.len() as u64;
    vec![
        load(schema, "ECORESCATEGORYHIERARCHY", ["NAME"], 1, |_| [words("Departments")]),
        load(
            schema,
            "ECORESCATEGORY",
            ["CATEGORYHIERARCHY", "NAME", "CODE", "ISACTIVE"],
            count,
            |i| {
                let name = departments[i as usize].as_str();
                [record(0), words(name), words(group_id(i as usize)), whole(1)]
            },
        ),
        load(schema, "INVENTITEMGROUP", ["ITEMGROUPID", "NAME"], count, |i| {
            [words(group_id(i as usize)), words(departments[i as usize].as_str())]
        }),
    ]
}

fn group_id(department: usize) -> String {
    format!("D{:03}", department + 1)
}

fn products(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, count) = (&store.schema, store.size.products);
    let tax_group = |item: &Item| taxes::item_group(&store.departments[item.department]);
    vec![
        load(
            schema,
            "ECORESPRODUCT",
            [
                "DISPLAYPRODUCTNUMBER",
                "SEARCHNAME",
                "PRODUCTTYPE",
                "INSTANCERELATIONTYPE",
                "RELATIONTYPE",
            ],
            count,
            |i| {
                let item = store.item(i);
                [words(item.id), words(item.name), whole(1), whole(3_265), whole(3_265)]
            },
        ),
        load(schema, "ECORESPRODUCTTRANSLATION", ["PRODUCT", "LANGUAGEID", "NAME"], count, |i| {
            [record(i), words("en-us"), words(store.item(i).name)]
        }),
        load(
            schema,
            "ECORESPRODUCTCATEGORY",
            ["PRODUCT", "CATEGORY", "CATEGORYHIERARCHY"],
            count,
            |i| [record(i), record(store.item(i).department as u64), record(0)],
        ),
        load(schema, "INVENTTABLE", ["ITEMID", "PRODUCT", "NAMEALIAS"], count, |i| {
            let item = store.item(i);
            [words(item.id), record(i), words(item.name)]
        }),
        load(
            schema,
            "INVENTTABLEMODULE",
            ["ITEMID", "MODULETYPE", "PRICE", "PRICEUNIT", "TAXITEMGROUPID", "UNITID"],
            count,
            move |i| {
                let item = store.item(i);
                let group = tax_group(&item);
                [
                    words(item.id),
                    whole(SALES_MODULE),
                    money(item.price),
                    whole(1),
                    words(group),
                    words("EA"),
                ]
            },
        ),
        load(schema, "RETAILINVENTTABLE", ["ITEMID"], count, |i| [words(store.item_id(i))]),
        load(
            schema,
            "INVENTITEMGROUPITEM",
            ["ITEMID", "ITEMGROUPID", "ITEMDATAAREAID", "ITEMGROUPDATAAREAID"],
            count,
            |i| {
                let item = store.item(i);
                let group = words(group_id(item.department));
                [words(item.id), group, words(COMPANY), words(COMPANY)]
            },
        ),
    ]
}

/// UPC-A: eleven digits and their check digit. Products beyond the first round get a second barcode.
fn barcodes(store: &DemoStore) -> Load<'_> {
    load(
        &store.schema,
        "INVENTITEMBARCODE",
        ["ITEMBARCODE", "ITEMID", "DESCRIPTION", "UNITID", "USEFORINPUT", "USEFORPRINTING"],
        store.size.barcodes,
        |i| {
            let product = i % store.size.products;
            let item = store.item(product);
            let first = i64::from(i < store.size.products);
            [
                words(barcode(i)),
                words(item.id),
                words(item.name),
                words("EA"),
                whole(1),
                whole(first),
            ]
        },
    )
}

pub(crate) fn barcode(index: u64) -> String {
    let body = format!("{:011}", 41_000_000_000 + index);
    let sum: u32 = body
        .bytes()
        .enumerate()
        .map(|(at, b)| u32::from(b - b'0') * if at % 2 == 0 { 3 } else { 1 })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn prices(store: &DemoStore) -> Load<'_> {
    load(
        &store.schema,
        "PRICEDISCTABLE",
        [
            "RELATION",
            "ITEMCODE",
            "ITEMRELATION",
            "ACCOUNTCODE",
            "ACCOUNTRELATION",
            "AMOUNT",
            "CURRENCY",
            "UNITID",
            "PRICEUNIT",
            "QUANTITYAMOUNTFROM",
            "MODULE",
            "FROMDATE",
            "SEARCHAGAIN",
        ],
        store.size.prices,
        |i| {
            let (product, level) = (i % store.size.products, i / store.size.products);
            let item = store.item(product);
            let level = store.price_level(level);
            let (code, group, least) = match level {
                PriceLevel::Store(at) => (OF_GROUP, store.branches[at].number.as_str(), 0),
                PriceLevel::Everyone => (OF_EVERYONE, "", 0),
                PriceLevel::Quantity(least) => (OF_EVERYONE, "", least),
            };
            [
                whole(SALES_PRICE),
                whole(0),
                words(item.id),
                whole(code),
                words(group),
                money(amount(store, product, item.price, level)),
                words("USD"),
                words("EA"),
                whole(1),
                whole(least as i64),
                whole(1),
                day(2017, 1, 1),
                whole(1),
            ]
        },
    )
}

/// The own store and everyone pay the shelf price; other stores a few percent more or less; many units cost less.
fn amount(store: &DemoStore, product: u64, shelf: Decimal, level: PriceLevel) -> Decimal {
    let percent = match level {
        PriceLevel::Store(0) | PriceLevel::Everyone => return shelf,
        PriceLevel::Store(at) => {
            let mut draw = Draw::of(store.seed, "price elsewhere", product * 256 + at as u64);
            95 + draw.below(11)
        }
        PriceLevel::Quantity(least) => 95 - least.min(60) / 6,
    };
    percent_of(shelf, percent).unwrap_or(shelf)
}

/// Rounded to the shelf price's own decimals.
pub(crate) fn percent_of(price: Decimal, percent: u64) -> Option<Decimal> {
    price.checked_mul(Decimal::new(i128::from(percent), 2)?)?.rescale(price.scale())
}

#[cfg(test)]
mod tests {
    use super::{barcode, percent_of};
    use tillhold_core::value::Decimal;

    #[test]
    fn barcodes_carry_their_check_digit() {
        let sum = |code: &str| -> u32 {
            code.bytes()
                .enumerate()
                .map(|(at, b)| u32::from(b - b'0') * if at % 2 == 0 { 3 } else { 1 })
                .sum()
        };
        assert_eq!(sum("036000291452") % 10, 0);
        for index in [0, 1, 9, 10, 12_345, 9_999_999] {
            let code = barcode(index);
            assert_eq!((code.len(), sum(&code) % 10), (12, 0), "{code}");
        }
    }

    #[test]
    fn percentages_keep_the_decimals() {
        for (price, percent, expected) in
            [("2.00", 105, "2.10"), ("0.0020", 97, "0.0019"), ("1.99", 100, "1.99")]
        {
            let price = Decimal::parse(price).expect("a price of the test");
            assert_eq!(
                percent_of(price, percent).map(|p| p.to_string()).as_deref(),
                Some(expected)
            );
        }
    }
}
