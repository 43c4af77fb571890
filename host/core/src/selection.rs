//! Which products and customers a register has offline: the rules, what a table's rows hang on, and the sets that
//! come of it.
//!
//! ```text
//! OfflineProducts, OfflineCustomers ─► (at the channel) ─► Members ─┐
//! Dependent: "ax.PRICEDISCTABLE by ITEMRELATION, an item" ──────────┴─► Restriction of a table's rows
//! ```
//!
//! * A row of a dependent table is on the register when its column names a member. A column that is empty, zero or NULL
//!   names nobody in particular: such a row always comes (a price for all items, a conversion of units in general).
//! * The sets are plain keys, stored with the rows that were read by them. Between two computations they stand still.

mod members;
mod restriction;

use crate::table::TableName;
pub use members::{MemberKind, Members};
use restriction::WITHHELD;
pub use restriction::{Code, Dependence, Dependent, Restricted, Restriction};
use std::time::Duration;

/// What is chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    Products,
    Customers,
}

impl Domain {
    pub const ALL: [Domain; 2] = [Domain::Products, Domain::Customers];

    pub const fn name(self) -> &'static str {
        match self {
            Domain::Products => "products",
            Domain::Customers => "customers",
        }
    }
}

/// By what the best-sold are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoldBy {
    Amount,
    Quantity,
}

impl SoldBy {
    pub const fn name(self) -> &'static str {
        match self {
            SoldBy::Amount => "amount",
            SoldBy::Quantity => "quantity",
        }
    }
}

/// The union of its criteria; without any, all products.
#[derive(Clone, Debug, PartialEq)]
pub struct OfflineProducts {
    /// So many that sold best in this store.
    pub sold_top: u32,
    pub sold_by: SoldBy,
    pub sold_days: u32,
    /// So many of the newest.
    pub newest: u32,
    /// Names or codes of categories, with all below them.
    pub categories: Vec<String>,
    /// ITEMIDs.
    pub items: Vec<String>,
    pub refresh: Duration,
}

impl Default for OfflineProducts {
    fn default() -> OfflineProducts {
        OfflineProducts {
            sold_top: 0,
            sold_by: SoldBy::Amount,
            sold_days: SOLD_DAYS_DEFAULT,
            newest: 0,
            categories: Vec::new(),
            items: Vec::new(),
            refresh: REFRESH_DEFAULT,
        }
    }
}

pub const SOLD_DAYS_DEFAULT: u32 = 90;
pub const REFRESH_DEFAULT: Duration = Duration::from_secs(24 * 3_600);

impl OfflineProducts {
    pub fn is_all(&self) -> bool {
        (self.sold_top, self.newest) == (0, 0)
            && self.categories.is_empty()
            && self.items.is_empty()
    }

    /// Another text is another choice; how often it is computed is none of it.
    pub fn rule(&self) -> String {
        let OfflineProducts { sold_top, sold_days, newest, categories, items, .. } = self;
        let by = self.sold_by.name();
        format!(
            "sold {sold_top} by {by} in {sold_days}; newest {newest}; {categories:?}; {items:?}"
        )
    }
}

/// By what the best customers are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankedBy {
    Sales,
    Visits,
}

impl RankedBy {
    pub const fn name(self) -> &'static str {
        match self {
            RankedBy::Sales => "sales",
            RankedBy::Visits => "visits",
        }
    }
}

/// How it is known which customers are this store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfStore {
    No,
    /// By the store's address books of customers, as AX does it.
    AddressBook,
    /// CUSTTABLE.INVENTLOCATION is the store's warehouse, or empty.
    Warehouse,
}

impl OfStore {
    pub const fn name(self) -> &'static str {
        match self {
            OfStore::No => "no",
            OfStore::AddressBook => "address-book",
            OfStore::Warehouse => "warehouse",
        }
    }
}

/// The union of its criteria; without any, all customers.
#[derive(Clone, Debug, PartialEq)]
pub struct OfflineCustomers {
    pub top: u32,
    pub top_by: RankedBy,
    pub days: u32,
    pub of_store: OfStore,
    /// ACCOUNTNUMs.
    pub accounts: Vec<String>,
    /// Off: no row of the tables of customers, parties, addresses and loyalty comes to the register or stays there.
    pub personal_data: bool,
    pub refresh: Duration,
}

pub const RANKED_DAYS_DEFAULT: u32 = 365;

impl Default for OfflineCustomers {
    fn default() -> OfflineCustomers {
        OfflineCustomers {
            top: 0,
            top_by: RankedBy::Sales,
            days: RANKED_DAYS_DEFAULT,
            of_store: OfStore::No,
            accounts: Vec::new(),
            personal_data: true,
            refresh: REFRESH_DEFAULT,
        }
    }
}

impl OfflineCustomers {
    pub fn is_all(&self) -> bool {
        self.personal_data
            && self.top == 0
            && self.of_store == OfStore::No
            && self.accounts.is_empty()
    }

    pub fn rule(&self) -> String {
        if !self.personal_data {
            return WITHHELD.to_string();
        }
        let OfflineCustomers { top, days, accounts, .. } = self;
        let (by, of) = (self.top_by.name(), self.of_store.name());
        format!("top {top} by {by} in {days}; of store {of}; {accounts:?}")
    }
}

/// Both choices of a profile, and the tables that hang on them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selections {
    pub products: OfflineProducts,
    pub customers: OfflineCustomers,
    /// The shipped list with the profile's own lines over it.
    pub dependents: Vec<Dependent>,
}

impl Selections {
    pub fn is_all(&self, domain: Domain) -> bool {
        match domain {
            Domain::Products => self.products.is_all(),
            Domain::Customers => self.customers.is_all(),
        }
    }

    pub fn rule(&self, domain: Domain) -> String {
        match domain {
            Domain::Products => self.products.rule(),
            Domain::Customers => self.customers.rule(),
        }
    }

    pub fn refresh(&self, domain: Domain) -> Duration {
        match domain {
            Domain::Products => self.products.refresh,
            Domain::Customers => self.customers.refresh,
        }
    }

    pub fn withholds(&self, domain: Domain) -> bool {
        domain == Domain::Customers && !self.customers.personal_data
    }

    /// The tables, with their columns, that the criteria read; each must be in a scope.
    pub fn reads(&self) -> Vec<(Domain, TableName, &'static [&'static str])> {
        let (products, customers) = (&self.products, &self.customers);
        let mut all: Vec<(Domain, &str, &'static [&'static str])> = Vec::new();
        if !self.is_all(Domain::Products) {
            all.push((Domain::Products, "INVENTTABLE", &["ITEMID", "RECID", "PRODUCT"]));
        }
        if products.sold_top > 0 {
            let columns =
                &["ITEMID", "STORE", "TRANSDATE", "TRANSACTIONSTATUS", "NETAMOUNT", "QTY"];
            all.push((Domain::Products, "RETAILTRANSACTIONSALESTRANS", columns));
        }
        if !products.categories.is_empty() {
            let columns = &["RECID", "NAME", "CODE", "PARENTCATEGORY"];
            all.push((Domain::Products, "ECORESCATEGORY", columns));
            all.push((Domain::Products, "ECORESPRODUCTCATEGORY", &["CATEGORY", "PRODUCT"]));
        }
        if !self.is_all(Domain::Customers) && customers.personal_data {
            let columns = &["ACCOUNTNUM", "PARTY", "INVENTLOCATION"];
            all.push((Domain::Customers, "CUSTTABLE", columns));
            if customers.top > 0 {
                let columns =
                    &["CUSTACCOUNT", "STORE", "TRANSDATE", "TYPE", "ENTRYSTATUS", "GROSSAMOUNT"];
                all.push((Domain::Customers, "RETAILTRANSACTIONTABLE", columns));
            }
            if customers.of_store != OfStore::No {
                all.push((Domain::Customers, "RETAILSTORETABLE", &["RECID", "STORENUMBER"]));
            }
            match customers.of_store {
                OfStore::No => {}
                OfStore::AddressBook => {
                    let columns = &["STORERECID", "ADDRESSBOOK", "ADDRESSBOOKTYPE"];
                    all.push((Domain::Customers, "RETAILSTOREADDRESSBOOK", columns));
                    let columns = &["ADDRESSBOOK", "PARTY"];
                    all.push((Domain::Customers, "DIRADDRESSBOOKPARTY", columns));
                }
                OfStore::Warehouse => {
                    let columns = &["RECID", "INVENTLOCATION"];
                    all.push((Domain::Customers, "RETAILCHANNELTABLE", columns));
                }
            }
        }
        let named = all.into_iter();
        named.map(|(of, table, columns)| (of, TableName::new("ax", table), columns)).collect()
    }

    /// What the profile asks of a table's rows; `None`: all of them come.
    pub fn restriction(&self, table: &TableName) -> Option<(Domain, Restriction)> {
        let of_table = |line: &&Dependent| {
            line.table.schema.eq_ignore_ascii_case(&table.schema)
                && line.table.name.eq_ignore_ascii_case(&table.name)
        };
        let lines: Vec<&Dependent> = self.dependents.iter().filter(of_table).collect();
        let domain = lines.first()?.domain;
        let on: Vec<Dependence> = lines.iter().filter_map(|line| line.on.clone()).collect();
        if on.is_empty() || self.is_all(domain) {
            return None;
        }
        match self.withholds(domain) {
            true => Some((domain, Restriction::Withheld)),
            false => Some((domain, Restriction::Members(on))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dependent, Domain, OfflineCustomers, OfflineProducts, Restriction, Selections};
    use crate::table::TableName;

    #[test]
    fn a_table_is_restricted_only_where_something_is_chosen() {
        let name = |name: &str| TableName::new("ax", name);
        let line = |table: &str, domain, on: Option<&str>| {
            let on = on.map(|on| match Restriction::parse(on) {
                Some(Restriction::Members(mut list)) => list.remove(0),
                other => panic!("{other:?}"),
            });
            Dependent { table: name(table), domain, on }
        };
        let mut chosen = Selections {
            dependents: vec![
                line("INVENTTABLE", Domain::Products, Some("ITEMID item")),
                line("RETAILKIT", Domain::Products, None),
                line("CUSTTABLE", Domain::Customers, Some("ACCOUNTNUM account")),
            ],
            ..Selections::default()
        };
        assert_eq!(chosen.restriction(&name("INVENTTABLE")), None, "all products");
        chosen.products = OfflineProducts { newest: 5, ..OfflineProducts::default() };
        let restriction = chosen.restriction(&name("inventtable")).expect("restricted").1;
        assert_eq!(restriction.to_string(), "ITEMID item");
        assert_eq!(chosen.restriction(&name("RETAILKIT")), None, "taken out of the list");
        assert_eq!(chosen.restriction(&name("CURRENCY")), None, "not in the list");
        assert_eq!(chosen.restriction(&name("CUSTTABLE")), None, "all customers");
        chosen.customers = OfflineCustomers { personal_data: false, ..OfflineCustomers::default() };
        let customers = chosen.restriction(&name("CUSTTABLE"));
        assert_eq!(customers, Some((Domain::Customers, Restriction::Withheld)));
    }
}
