//! A real shop: its products and the baskets that were carried to its tills.
//!
//! The files are `products.csv` and `baskets.csv` of `tests/data` (767 baskets of three supermarkets, public Complete
//! Journey data), carried in the program, or any other shop's with the same columns.
//!
//! * A line of quantity 0 (a coupon alone, a correction) is left out; a basket without lines is left out.
//! * The shelf price of a product is what its newest line shows: (sales value + retailer's discount) / quantity.
//! * A product that baskets name and products.csv does not is an article without a name: it is sold all the same.

mod csv;

use crate::DemoError;
use csv::Named;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use tillhold_core::limits::TRANSACTION_ROWS_MAX;
use tillhold_core::moment::Timestamp;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};
use tillhold_kit::csv::Problem;

const PRODUCTS: &str = include_str!("../../../../tests/data/products.csv");
const BASKETS: &str = include_str!("../../../../tests/data/baskets.csv");

/// A shop's file is read into memory: forty times the one that is shipped.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// A sale has a header, a row and at most three tax rows a line, at most three payments and its number.
pub const BASKET_LINES_MAX: usize = (TRANSACTION_ROWS_MAX - 5) / 4;
/// Each store brings its own terminals, staff and prices.
pub const STORES_MAX: usize = 200;
/// ITEMID is nvarchar(20), ACCOUNTNUM too, with a letter in front.
const ID_LENGTH_MAX: usize = 18;

#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// INVENTTABLE.ITEMID.
    pub id: String,
    pub department: String,
    pub brand: String,
    pub category: String,
    pub kind: String,
    pub size: String,
    /// Per unit, as the newest basket shows it; `None` when no basket has it at a price.
    pub shelf_price: Option<Decimal>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Basket {
    pub id: String,
    pub sold_at: Timestamp,
    /// RETAILSTORETABLE.STORENUMBER, see [`store_number`].
    pub store: String,
    pub household: String,
    pub lines: Vec<BasketLine>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BasketLine {
    /// Position in [`Shop::products`].
    pub product: usize,
    pub quantity: u32,
    /// The retailer's discount on the line.
    pub discount: Decimal,
    /// A manufacturer's coupon: money for the store, off the shopper's bill.
    pub coupon: Decimal,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Household {
    pub id: String,
    /// The store of its first basket.
    pub store: String,
}

#[derive(Debug)]
pub struct Shop {
    pub products: Vec<Product>,
    pub baskets: Vec<Basket>,
    /// Their numbers in the order in which baskets name them; the demonstration's register stands in the first.
    pub stores: Vec<String>,
    /// Shoppers, in the order in which baskets name them.
    pub households: Vec<Household>,
}

/// Files that replace the shipped ones.
#[derive(Clone, Debug, Default)]
pub struct ShopFiles<'a> {
    pub products: Option<&'a Path>,
    pub baskets: Option<&'a Path>,
}

impl Shop {
    pub fn open(files: &ShopFiles<'_>) -> Result<Shop, DemoError> {
        let text = |path: Option<&Path>, shipped: &str, name: &str| match path {
            None => Ok((name.to_string(), shipped.to_string())),
            Some(path) => read_file(path).map(|text| (path.display().to_string(), text)),
        };
        let products = text(files.products, PRODUCTS, "products.csv")?;
        let baskets = text(files.baskets, BASKETS, "baskets.csv")?;
        Shop::read((&products.0, &products.1), (&baskets.0, &baskets.1))
    }

    /// The same shop with its first `baskets` only, and the products and households of those: for tests that need
    /// a store in a second.
    pub fn reduced(mut self, baskets: usize) -> Shop {
        self.baskets.truncate(baskets.max(1));
        let mut kept: Vec<usize> =
            self.baskets.iter().flat_map(|b| b.lines.iter().map(|line| line.product)).collect();
        kept.sort_unstable();
        kept.dedup();
        for line in self.baskets.iter_mut().flat_map(|b| b.lines.iter_mut()) {
            line.product = kept.binary_search(&line.product).expect("every product was kept");
        }
        let shopped = |h: &Household| self.baskets.iter().any(|b| b.household == h.id);
        let households = self.households.iter().filter(|h| shopped(h)).cloned().collect();
        let products = kept.iter().map(|at| self.products[*at].clone()).collect();
        Shop { products, households, ..self }
    }

    /// Both files as (name, text).
    pub fn read(products: (&str, &str), baskets: (&str, &str)) -> Result<Shop, DemoError> {
        let mut reading =
            Reading { products: read_products(products.0, products.1)?, ..Reading::default() };
        reading.index();
        let columns = [
            "basket_id",
            "sold_at",
            "store_id",
            "household_id",
            "product_id",
            "quantity",
            "sales_value",
            "retail_disc",
            "coupon_disc",
        ];
        csv::read(baskets.0, baskets.1, columns, |record| reading.line(&record))?;
        reading.shop(baskets.0)
    }
}

/// What the channel calls a store of the files: `S0343` for 343.
pub fn store_number(id: &str) -> String {
    match id.bytes().all(|b| b.is_ascii_digit()) && id.len() <= 9 {
        true => format!("S{id:0>4}"),
        false => id.chars().take(10).collect(),
    }
}

fn read_file(path: &Path) -> Result<String, DemoError> {
    let failed = |cause| DemoError::File { path: path.to_path_buf(), cause };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(DemoError::FileTooLong { path: path.to_path_buf(), length });
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn read_products(file: &str, text: &str) -> Result<Vec<Product>, DemoError> {
    let mut products = Vec::new();
    let mut known = HashSet::new();
    let columns =
        ["product_id", "department", "brand", "product_category", "product_type", "package_size"];
    csv::read(file, text, columns, |record| {
        let [id, department, brand, category, kind, size] = record.fields;
        let id = identifier("product_id", id)?;
        if !known.insert(id.clone()) {
            return Err(format!("product {id} is there twice"));
        }
        products.push(Product {
            id,
            department: department.to_string(),
            brand: brand.to_string(),
            category: category.to_string(),
            kind: kind.to_string(),
            size: size.to_string(),
            shelf_price: None,
        });
        Ok(())
    })?;
    Ok(products)
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    products: Vec<Product>,
    product_at: HashMap<String, usize>,
    priced_at: HashMap<usize, Timestamp>,
    baskets: Vec<Basket>,
    basket_at: HashMap<String, usize>,
    stores: Vec<String>,
    households: Vec<Household>,
    household_known: HashSet<String>,
}

impl Reading {
    fn index(&mut self) {
        self.product_at =
            self.products.iter().enumerate().map(|(at, p)| (p.id.clone(), at)).collect();
    }

    fn line(&mut self, record: &Named<'_, 9>) -> Result<(), String> {
        let [basket, sold_at, store, household, product, quantity, value, discount, coupon] =
            record.fields;
        let basket = identifier("basket_id", basket)?;
        let store = store_number(&identifier("store_id", store)?);
        let household = identifier("household_id", household)?;
        let product = identifier("product_id", product)?;
        let sold_at = moment(sold_at)?;
        let quantity: u32 =
            quantity.parse().map_err(|_| format!("quantity '{quantity}' is not a whole number"))?;
        let value = amount("sales_value", value)?;
        let discount = amount("retail_disc", discount)?;
        let coupon = amount("coupon_disc", coupon)?;
        if quantity == 0 {
            return Ok(());
        }
        let product = self.product(product);
        self.price(product, sold_at, quantity, value, discount);
        if !self.stores.contains(&store) {
            if self.stores.len() == STORES_MAX {
                return Err(format!("there are more than {STORES_MAX} stores"));
            }
            self.stores.push(store.clone());
        }
        if self.household_known.insert(household.clone()) {
            self.households.push(Household { id: household.clone(), store: store.clone() });
        }
        let new = Basket { id: basket, sold_at, store, household, lines: Vec::new() };
        let line = BasketLine { product, quantity, discount, coupon };
        self.add(new, line)
    }

    fn product(&mut self, id: String) -> usize {
        let products = &mut self.products;
        *self.product_at.entry(id).or_insert_with_key(|id| {
            products.push(nameless(id));
            products.len() - 1
        })
    }

    fn price(
        &mut self,
        product: usize,
        at: Timestamp,
        quantity: u32,
        value: Decimal,
        discount: Decimal,
    ) {
        let newer = self.priced_at.get(&product).is_none_or(|before| *before <= at);
        let price = value.checked_add(discount).and_then(|gross| unit_price(gross, quantity));
        if let Some(price) = price.filter(|price| newer && *price > Decimal::ZERO) {
            self.products[product].shelf_price = Some(price);
            self.priced_at.insert(product, at);
        }
    }

    fn add(&mut self, basket: Basket, line: BasketLine) -> Result<(), String> {
        let at = match self.basket_at.get(&basket.id) {
            Some(at) => *at,
            None => {
                self.basket_at.insert(basket.id.clone(), self.baskets.len());
                self.baskets.push(basket);
                self.baskets.len() - 1
            }
        };
        let lines = &mut self.baskets[at].lines;
        if lines.len() == BASKET_LINES_MAX {
            return Err(format!("a basket has more than {BASKET_LINES_MAX} lines"));
        }
        lines.push(line);
        Ok(())
    }

    fn shop(self, file: &str) -> Result<Shop, DemoError> {
        if self.baskets.is_empty() {
            let reason = "no basket has a line with a quantity".to_string();
            let problems = vec![Problem { line: 1, reason }];
            return Err(DemoError::Data { file: file.to_string(), problems });
        }
        let Reading { products, baskets, stores, households, .. } = self;
        Ok(Shop { products, baskets, stores, households })
    }
}

fn nameless(id: &str) -> Product {
    let (department, brand, category) = (String::new(), String::new(), String::new());
    let kind = format!("ARTICLE {id}");
    Product {
        id: id.to_string(),
        department,
        brand,
        category,
        kind,
        size: String::new(),
        shelf_price: None,
    }
}

/// To the cent; fuel is counted in thousandths of a gallon and needs four decimals.
fn unit_price(gross: Decimal, quantity: u32) -> Option<Decimal> {
    let exact = Decimal::new(gross.rescale(8)?.unscaled() / i128::from(quantity), 8)?;
    let cents = exact.rescale(2)?;
    let coarse = cents < Decimal::new(10, 2)?;
    if coarse { exact.rescale(4) } else { Some(cents) }
}

fn identifier(column: &str, text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > ID_LENGTH_MAX || !text.chars().all(plain) {
        return Err(format!("{column} '{text}' is not 1 to {ID_LENGTH_MAX} letters and digits"));
    }
    // The channel's collation takes `a1` and `A1` for one key.
    Ok(text.to_ascii_uppercase())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    match text::parse(text, SqlType::DateTime2 { scale: 0 }) {
        Ok(Value::Timestamp(moment)) => Ok(moment),
        _ => Err(format!("sold_at '{text}' is not YYYY-MM-DDThh:mm:ss")),
    }
}

fn amount(column: &str, text: &str) -> Result<Decimal, String> {
    let whole = Decimal::parse(text).and_then(|d| d.rescale(2));
    match whole.filter(|d| *d >= Decimal::ZERO && d.unscaled() < 1_000_000_000_000) {
        Some(amount) => Ok(amount),
        None => Err(format!("{column} '{text}' is not an amount of 0 or more, such as 12.50")),
    }
}

#[cfg(test)]
mod tests;
