//! The settings of `profile.toml` about which products and customers a register has offline, described once (see
//! [`super::field`]).

use super::field::{Field, Flag, Number, Presence, Shape, Table, Texts, Word};
use tillhold_core::selection::{OfStore, RANKED_DAYS_DEFAULT, RankedBy, SOLD_DAYS_DEFAULT, SoldBy};

pub const OFFLINE_PRODUCTS: Field<Table> = Field {
    key: "offline_products",
    kind: Table { shape: &PRODUCTS_SHAPE, is_required: false },
    meaning: "AX's option Offline products: the union of what is chosen here, with all that the items need; without a \
              choice, all products.",
};

pub static PRODUCTS_SHAPE: Shape = Shape {
    fields: &[&SOLD_TOP, &SOLD_BY, &SOLD_DAYS, &NEWEST, &CATEGORIES, &ITEMS, &REFRESH, &TABLES],
};

const fn count() -> Number {
    Number { least: 0.0, most: 250_000.0, is_whole: true, default: 0.0 }
}

const fn days(default: u32) -> Number {
    Number { least: 1.0, most: 3_650.0, is_whole: true, default: default as f64 }
}

pub const SOLD_TOP: Field<Number> = Field {
    key: "sold_top",
    kind: count(),
    meaning: "So many items that sold best in this store, by the channel's sales lines; 0: none for that reason.",
};

pub const SOLD_BY: Field<Word<SoldBy>> = Field {
    key: "sold_by",
    kind: Word {
        choices: &[("amount", SoldBy::Amount), ("quantity", SoldBy::Quantity)],
        default: Presence::Default(0),
    },
    meaning: "Whether the best sold are so by amount or by quantity.",
};

pub const SOLD_DAYS: Field<Number> = Field {
    key: "sold_days",
    kind: days(SOLD_DAYS_DEFAULT),
    meaning: "How many days back sales count for `sold_top`.",
};

pub const NEWEST: Field<Number> = Field {
    key: "newest",
    kind: count(),
    meaning: "So many items that were added last (the highest INVENTTABLE.RECID).",
};

pub const CATEGORIES: Field<Texts> = Field {
    key: "categories",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Names or codes of categories (ECORESCATEGORY) whose items come, with those of all categories below.",
};

pub const ITEMS: Field<Texts> = Field {
    key: "items",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "ITEMIDs that always come.",
};

pub const REFRESH: Field<Number> = Field {
    key: "refresh_h",
    kind: Number { least: 0.01, most: 8_760.0, is_whole: false, default: 24.0 },
    meaning: "Hours after which the choice is computed anew; `tillhold sync --selection` does it at once.",
};

pub const TABLES: Field<Texts> = Field {
    key: "tables",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Lines over the shipped list of tables that hang on the choice: `\"ax.T COLUMN KEY\"`, \
              `\"ax.T COLUMN KEY CODE=0\"`, or `\"ax.T whole\"` for a table that comes whole.",
};

pub const OFFLINE_CUSTOMERS: Field<Table> = Field {
    key: "offline_customers",
    kind: Table { shape: &CUSTOMERS_SHAPE, is_required: false },
    meaning: "AX's option Offline customers: the union of what is chosen here; without a choice, all customers.",
};

pub static CUSTOMERS_SHAPE: Shape = Shape {
    fields: &[&TOP, &TOP_BY, &DAYS, &OF_STORE, &ACCOUNTS, &PERSONAL_DATA, &REFRESH, &TABLES],
};

pub const TOP: Field<Number> = Field {
    key: "top",
    kind: count(),
    meaning: "So many customers that bought most in this store; 0: none for that reason.",
};

pub const TOP_BY: Field<Word<RankedBy>> = Field {
    key: "top_by",
    kind: Word {
        choices: &[("sales", RankedBy::Sales), ("visits", RankedBy::Visits)],
        default: Presence::Default(0),
    },
    meaning: "Whether by the amount of their sales or by how many there were.",
};

pub const DAYS: Field<Number> = Field {
    key: "days",
    kind: days(RANKED_DAYS_DEFAULT),
    meaning: "How many days back sales count for `top`.",
};

pub const OF_STORE: Field<Word<OfStore>> = Field {
    key: "of_store",
    kind: Word {
        choices: &[
            ("no", OfStore::No),
            ("address-book", OfStore::AddressBook),
            ("warehouse", OfStore::Warehouse),
        ],
        default: Presence::Default(0),
    },
    meaning: "The customers of this store: by the store's address books of customers, as AX does it, or by \
              CUSTTABLE.INVENTLOCATION, which is the store's warehouse or empty.",
};

pub const ACCOUNTS: Field<Texts> = Field {
    key: "accounts",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "ACCOUNTNUMs that always come.",
};

pub const PERSONAL_DATA: Field<Flag> = Field {
    key: "personal_data",
    kind: Flag { default: true },
    meaning: "`false`: no row of the tables of customers, parties, addresses and loyalty comes to the register, and what is \
              there is removed once it was sent.",
};
