//! Customers: the households of the real baskets first, invented people after them; their addresses and cards.
//!
//! * CUSTTABLE.INVENTLOCATION is the store that a customer belongs to; empty: every store's.
//! * E-mails are in RETAILCUSTTABLE.RECEIPTEMAIL and in LOGISTICSELECTRONICADDRESS.LOCATOR where TYPE is 2.
//! * Names are drawn, not anyone's; domains and telephone numbers are reserved for examples (RFC 2606, NANP 555-01).

use super::DemoStore;
use super::sheet::{Load, cents, load, record, whole, words};
use tillhold_core::draw::Draw;

/// LOGISTICSELECTRONICADDRESS.TYPE
const PHONE: i64 = 1;
const EMAIL: i64 = 2;
/// Of so many customers, one buys in every store.
const EVERYWHERE_ONE_IN: u64 = 50;

const FIRST: [&str; 32] = [
    "Ada", "Alan", "Beatriz", "Boris", "Carla", "Chen", "Dara", "Diego", "Elena", "Emil", "Fatima",
    "Frank", "Grace", "Hana", "Igor", "Inés", "Jonas", "José", "Kira", "Lars", "Maja", "Nadia",
    "Omar", "Paula", "Quinn", "Rosa", "Sam", "Tariq", "Uma", "Viktor", "Wanda", "Zoë",
];
const LAST: [&str; 32] = [
    "Abbott",
    "Baker",
    "Carter",
    "Dubois",
    "Ekström",
    "Fischer",
    "García",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kaya",
    "Lindqvist",
    "Müller",
    "Novak",
    "O'Brien",
    "Park",
    "Quist",
    "Rossi",
    "Silva",
    "Tanaka",
    "Umarov",
    "Varga",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zimmermann",
    "Brooks",
    "Cole",
    "Dunn",
    "Ellis",
    "Frost",
    "Gray",
];
const DOMAINS: [&str; 3] = ["example.com", "example.org", "example.net"];

/// A customer as generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// CUSTTABLE.ACCOUNTNUM
    pub account: String,
    pub name: String,
    pub email: String,
    /// The store's number, or empty for every store.
    pub store: String,
    /// In cents.
    pub credit: u64,
}

impl DemoStore {
    pub fn customer(&self, index: u64) -> Customer {
        let mut draw = Draw::of(self.seed, "customer", index);
        let (first, last) = (*draw.pick(&FIRST), *draw.pick(&LAST));
        let domain = draw.pick(&DOMAINS);
        let household = self.shop.households.get(index as usize);
        let invented = match draw.one_in(EVERYWHERE_ONE_IN) {
            true => String::new(),
            false => draw.pick(&self.branches).number.clone(),
        };
        Customer {
            account: household_account(household.map(|h| h.id.as_str()), index),
            name: format!("{first} {last}"),
            email: format!("{}.{}{index}@{domain}", mailbox(first), mailbox(last)),
            store: household.map_or(invented, |household| household.store.clone()),
            credit: 1_000 * (1 + draw.below(500)),
        }
    }

    /// CUSTTABLE.ACCOUNTNUM of a basket's household.
    pub fn account_of(&self, household: &str) -> String {
        household_account(Some(household), 0)
    }

    /// RETAILLOYALTYCARD.CARDNUMBER of a basket's household; every household has one.
    pub fn card_of(&self, household: &str) -> Option<String> {
        let at = self.shop.households.iter().position(|known| known.id == household)?;
        Some(card_number(at as u64))
    }

    fn cards(&self) -> u64 {
        let households = self.shop.households.len() as u64;
        households + (self.size.customers - households) * 2 / 5
    }

    /// Households have the first cards; of the others, two in five have one.
    fn card_holder(&self, card: u64) -> u64 {
        let households = self.shop.households.len() as u64;
        if card < households { card } else { households + (card - households) * 5 / 2 }
    }
}

fn household_account(household: Option<&str>, index: u64) -> String {
    match household {
        Some(id) => format!("C{id}"),
        None => format!("G{index:08}"),
    }
}

/// Ten digits: too short to be taken for a payment card.
fn card_number(card: u64) -> String {
    format!("55{:08}", card + 1)
}

fn mailbox(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
}

fn phone(index: u64) -> String {
    format!("({}) 555-01{:02}", 201 + index / 100 % 700, index % 100)
}

pub(super) fn loads(store: &DemoStore) -> Vec<Load<'_>> {
    let mut loads = customers(store);
    loads.extend(parties(store));
    loads.extend(addresses(store));
    loads.push(load(
        &store.schema,
        "RETAILLOYALTYCARD",
        ["CARDNUMBER", "PARTY", "CARDTENDERTYPE"],
        store.cards(),
        |i| [words(card_number(i)), record(store.card_holder(i)), whole(0)],
    ));
    loads
}

fn customers(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, count) = (&store.schema, store.size.customers);
    vec![
        load(schema, "CUSTGROUP", ["CUSTGROUP", "NAME"], 1, |_| {
            [words("RETAIL"), words("Retail customers")]
        }),
        load(
            schema,
            "CUSTTABLE",
            [
                "ACCOUNTNUM",
                "PARTY",
                "CURRENCY",
                "CUSTGROUP",
                "INVENTLOCATION",
                "CREDITMAX",
                "PAYMTERMID",
                "TAXGROUP",
            ],
            count,
            |i| {
                let customer = store.customer(i);
                let credit = cents(customer.credit);
                let home = customer.store.as_str();
                let (account, tax) = (words(customer.account.as_str()), words(home));
                [
                    account,
                    record(i),
                    words("USD"),
                    words("RETAIL"),
                    words(home),
                    credit,
                    words("NET30"),
                    tax,
                ]
            },
        ),
        load(
            schema,
            "RETAILCUSTTABLE",
            ["ACCOUNTNUM", "RECEIPTEMAIL", "RECEIPTOPTION"],
            count,
            |i| {
                let customer = store.customer(i);
                [words(customer.account), words(customer.email), whole((i % 3) as i64)]
            },
        ),
    ]
}

fn parties(store: &DemoStore) -> Vec<Load<'_>> {
    let count = store.size.customers;
    vec![load(
        &store.schema,
        "DIRPARTYTABLE",
        ["NAME", "NAMEALIAS", "KNOWNAS", "LANGUAGEID", "PARTYNUMBER", "INSTANCERELATIONTYPE"],
        count,
        |i| {
            let name = store.customer(i).name;
            let number = words(format!("{:09}", i + 1));
            [
                words(name.as_str()),
                words(name.as_str()),
                words(name),
                words("en-us"),
                number,
                whole(2_975),
            ]
        },
    )]
}

/// One location a customer, with the e-mail; every second one also has a telephone.
fn addresses(store: &DemoStore) -> Vec<Load<'_>> {
    let (schema, count) = (&store.schema, store.size.customers);
    vec![
        load(schema, "LOGISTICSLOCATION", ["LOCATIONID", "DESCRIPTION"], count, |i| {
            [words(format!("{:09}", i + 1)), words("Contact")]
        }),
        load(schema, "DIRPARTYLOCATION", ["PARTY", "LOCATION", "ISPRIMARY"], count, |i| {
            [record(i), record(i), whole(1)]
        }),
        load(
            schema,
            "LOGISTICSELECTRONICADDRESS",
            ["LOCATION", "TYPE", "LOCATOR", "ISPRIMARY", "DESCRIPTION"],
            count + count / 2,
            move |i| match i < count {
                true => {
                    let email = words(store.customer(i).email);
                    [record(i), whole(EMAIL), email, whole(1), words("E-mail")]
                }
                false => {
                    let customer = (i - count) * 2;
                    [
                        record(customer),
                        whole(PHONE),
                        words(phone(customer)),
                        whole(1),
                        words("Phone"),
                    ]
                }
            },
        ),
    ]
}
