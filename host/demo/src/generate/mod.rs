//! The channel's rows: a store of a chosen size around the real products and baskets, from a seed.
//!
//! ```text
//! Shop (real products, baskets) + StoreSize + seed -> DemoStore -> one Load a table -> Engine::load
//! ```
//!
//! * Same shop, size and seed: same rows, byte for byte. A row is a pure function of its number ([`crate::draw`]), so
//!   memory stays the same whatever the size.
//! * Real products and households come first, with their own names, departments and prices.
//! * Every row satisfies the schema (types, widths, NOT NULL) and every key is unique; a test says so over all rows.
//! * Password columns hold obvious fakes, e-mails end in reserved domains, telephone numbers are reserved ones.

mod goods;
mod offline;
mod people;
mod places;
mod sheet;
mod taxes;

pub use goods::PriceLevel;
pub(crate) use goods::{SALES_MODULE, SALES_PRICE, barcode, percent_of};
pub(crate) use offline::is_secret;
pub use offline::{PROFILE_NAME, ProfileScope, profile_scopes};
pub use people::Customer;
pub use places::{Branch, TRANSACTION_SEED};
#[cfg(test)]
pub(crate) use sheet::default_value;
pub use sheet::{COMPANY, Load};
pub use taxes::{TAX_CODES, TaxCode};

use crate::DemoError;
use crate::shop::Shop;
use std::collections::HashSet;
use tillhold_core::profile::Direction;
use tillhold_core::table::TableName;
use tillhold_kit::Schema;

/// How many rows the large tables get. The real products and households are always among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSize {
    pub products: u64,
    pub barcodes: u64,
    pub prices: u64,
    pub customers: u64,
}

/// The size of one middling supermarket; `--scale 50` is the largest store that Tillhold is built for.
pub const SCALE_1: StoreSize =
    StoreSize { products: 10_000, barcodes: 12_000, prices: 40_000, customers: 20_000 };
/// A scale beyond this would be a hundred million rows.
pub const SCALE_MAX: f64 = 200.0;

impl StoreSize {
    pub fn scaled(scale: f64) -> StoreSize {
        let times =
            |count: u64| ((count as f64 * scale.clamp(0.0, SCALE_MAX)).round() as u64).max(1);
        StoreSize {
            products: times(SCALE_1.products),
            barcodes: times(SCALE_1.barcodes),
            prices: times(SCALE_1.prices),
            customers: times(SCALE_1.customers),
        }
    }

    /// Room for every real product and household, and at least one barcode and one price a product, and
    /// one spare barcode for head office to withdraw.
    fn around(self, shop: &Shop) -> StoreSize {
        let products = self.products.max(shop.products.len() as u64);
        StoreSize {
            products,
            barcodes: self.barcodes.max(products + 1),
            prices: self.prices.max(products),
            customers: self.customers.max(shop.households.len() as u64 + 10),
        }
    }
}

/// The store that the demonstration sells in, and its channel's rows.
pub struct DemoStore {
    pub schema: Schema,
    pub shop: Shop,
    pub size: StoreSize,
    pub seed: u64,
    /// At least three; the demonstration's register stands in the first.
    pub branches: Vec<Branch>,
    /// The first product number that no real product has.
    first_free_number: u64,
    /// Department names, in the order of the products; ECORESCATEGORY.
    departments: Vec<String>,
    /// Its offline profile.
    pub scopes: Vec<ProfileScope>,
}

impl DemoStore {
    pub fn new(shop: Shop, size: StoreSize, seed: u64) -> Result<DemoStore, DemoError> {
        let size = size.around(&shop);
        let branches = places::branches(&shop);
        let first_free_number = goods::first_free_number(&shop);
        let departments = goods::departments(&shop);
        let schema = Schema::published()?;
        let scopes = profile_scopes();
        Ok(DemoStore { schema, shop, size, seed, branches, first_free_number, departments, scopes })
    }

    /// The same with an offline profile of the tables alone in which a shop's day leaves rows: of the 317 most stay
    /// empty, and each costs the channel and the register its preparing.
    pub fn with_tables_in_use(mut self) -> DemoStore {
        let filled: HashSet<TableName> =
            self.loads().into_iter().map(|load| load.table.name.clone()).collect();
        for scope in &mut self.scopes {
            let is_used = |table: &TableName| {
                filled.contains(table)
                    || crate::sale::TABLES.contains(&table.name.as_str())
                    || scope.direction == Direction::Bidirectional
            };
            scope.tables.retain(is_used);
        }
        self.scopes.retain(|scope| !scope.tables.is_empty());
        self
    }

    /// The store in which the demonstration's register stands.
    pub fn own(&self) -> &Branch {
        &self.branches[0]
    }

    /// The register: the second terminal of the first store.
    pub fn register(&self) -> &str {
        &self.own().terminals[1]
    }

    /// Every table that has rows, small ones first.
    pub fn loads(&self) -> Vec<Load<'_>> {
        let mut loads = places::loads(self);
        loads.extend(taxes::loads(self));
        loads.extend(offline::loads(self));
        loads.extend(goods::loads(self));
        loads.extend(people::loads(self));
        loads
    }
}

#[cfg(test)]
mod tests;
