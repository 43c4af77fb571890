//! What a register shows of a person: enough to recognise them by, too little to write to, ring up or visit them.
//!
//! On the way down to the register:
//! * e-mail addresses keep their first letter and their domain, phone and fax numbers their last digits;
//! * street, number, box and position of a postal address are emptied; town, post code and country stay, because taxes
//!   and delivery go by them;
//! * bank account, tax and identity numbers of a customer keep their last digits.
//!
//! On the way up nothing is touched: what the cashier entered is what the channel gets. Only columns that the register
//! changed go up, so a mask stays down.
//!
//! Names stay. Cashiers find customers by them, and the tables of parties hold stores, companies and staff as well,
//! which a row does not tell apart. A register without any person on it is a setting of the profile:
//! `[offline_customers] personal_data = false`.
//!
//! Config:
//!
//! | setting | default | |
//! |---|---|---|
//! | `digits` | 2 | how many last characters of a number stay: 0 to 4 |
//! | `domain` | `keep` | `hide` leaves nothing of an e-mail address but its first letter |
//! | `addresses` | `all` | `private` leaves postal addresses in clear that are not marked as private |
//! | `keep_locations` | | LOCATION of addresses that stay in clear: the stores' own, which receipts show |

use tillhold_sdk::{Context, Decimal, Flow, Row, Settings, Value, Verdict, transformer};

/// LogisticsElectronicAddressMethodType in AX 2012: 1 phone, 2 e-mail, 3 URL, 4 telex, 5 fax.
const EMAIL: i64 = 2;
const URL: i64 = 3;

const MASK: &str = "***";
const DIGITS: usize = 2;
const DIGITS_MAX: usize = 4;
/// Widths of the two columns, in UTF-16 units as SQL Server counts them.
const RECEIPTEMAIL_UNITS: usize = 80;
const LOCATOR_UNITS: usize = 255;

const NUMBERS_OF_A_CUSTOMER: &[&str] = &[
    "BANKACCOUNT",
    "CNPJCPFNUM_BR",
    "IDENTIFICATIONNUMBER",
    "IENUM_BR",
    "TAXLICENSENUM",
    "VATNUM",
];
const PLACES_OF_AN_ADDRESS: &[&str] =
    &["ADDRESS", "BUILDINGCOMPLIMENT", "POSTBOX", "STREET", "STREETNUMBER"];
const POSITION: &[&str] = &["LATITUDE", "LONGITUDE"];

transformer! {
    settings: ["digits", "domain", "addresses", "keep_locations"],
    check: readable,

    "ax.CUSTTABLE" {
        reads: ["BANKACCOUNT", "CNPJCPFNUM_BR", "IDENTIFICATIONNUMBER", "IENUM_BR", "TAXLICENSENUM", "VATNUM"],
        writes: ["BANKACCOUNT", "CNPJCPFNUM_BR", "IDENTIFICATIONNUMBER", "IENUM_BR", "TAXLICENSENUM", "VATNUM"],
        rule: customer,
    }
    "ax.RETAILCUSTTABLE" { reads: ["RECEIPTEMAIL"], writes: ["RECEIPTEMAIL"], rule: receipt_address }
    "ax.LOGISTICSELECTRONICADDRESS" {
        reads: ["LOCATION", "TYPE", "LOCATOR", "LOCATOREXTENSION"],
        writes: ["LOCATOR", "LOCATOREXTENSION"],
        rule: electronic_address,
    }
    "ax.LOGISTICSPOSTALADDRESS" {
        reads: ["LOCATION", "ISPRIVATE", "ADDRESS", "BUILDINGCOMPLIMENT", "POSTBOX", "STREET", "STREETNUMBER",
                "LATITUDE", "LONGITUDE"],
        writes: ["ADDRESS", "BUILDINGCOMPLIMENT", "POSTBOX", "STREET", "STREETNUMBER", "LATITUDE", "LONGITUDE"],
        rule: postal_address,
    }
}

/// A slip of the pen must not become a mask that is thinner than was meant.
fn readable(settings: &Settings) -> Result<(), String> {
    let digits = settings.get("digits").unwrap_or("2");
    if !digits.parse().is_ok_and(|digits: usize| digits <= DIGITS_MAX) {
        return Err(format!("digits: '{digits}' is not a number from 0 to {DIGITS_MAX}"));
    }
    for (name, words) in [("domain", ["keep", "hide"]), ("addresses", ["all", "private"])] {
        let word = settings.get(name).unwrap_or(words[0]);
        if !words.contains(&word) {
            return Err(format!("{name}: '{word}' is neither {} nor {}", words[0], words[1]));
        }
    }
    match locations(settings.get("keep_locations")).find(|one| one.parse::<i64>().is_err()) {
        Some(wrong) => Err(format!("keep_locations: '{wrong}' is no LOCATION")),
        None => Ok(()),
    }
}

fn customer(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Pull {
        for column in NUMBERS_OF_A_CUSTOMER {
            shorten(context, row, column);
        }
    }
    Verdict::Keep
}

fn receipt_address(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Pull {
        mask_mail(context, row, "RECEIPTEMAIL", RECEIPTEMAIL_UNITS);
    }
    Verdict::Keep
}

fn electronic_address(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Push || is_kept(context, row) {
        return Verdict::Keep;
    }
    match row.integer("TYPE") {
        Some(URL) => {}
        Some(EMAIL) => mask_mail(context, row, "LOCATOR", LOCATOR_UNITS),
        // Also a kind that is new: masked too much is mended sooner than masked too little.
        _ => {
            shorten(context, row, "LOCATOR");
            empty(row, "LOCATOREXTENSION");
        }
    }
    Verdict::Keep
}

fn postal_address(context: &Context, row: &mut Row) -> Verdict {
    let only_private = context.setting("addresses") == Some("private");
    let is_public = only_private && row.integer("ISPRIVATE") == Some(0);
    if context.flow == Flow::Push || is_public || is_kept(context, row) {
        return Verdict::Keep;
    }
    for column in PLACES_OF_AN_ADDRESS {
        empty(row, column);
    }
    for column in POSITION {
        if row.decimal(column).is_some_and(|degrees| degrees.unscaled != 0) {
            row.set(column, Decimal::new(0, 0));
        }
    }
    Verdict::Keep
}

/// What a till shows to the customer as the store's own.
fn is_kept(context: &Context, row: &Row) -> bool {
    let location = row.integer("LOCATION");
    locations(context.setting("keep_locations")).any(|kept| kept.parse().ok() == location)
}

fn locations(setting: Option<&str>) -> impl Iterator<Item = &str> {
    setting.unwrap_or_default().split([' ', ',']).filter(|one| !one.is_empty())
}

fn empty(row: &mut Row, column: &str) {
    if row.text(column).is_some_and(|text| !text.is_empty()) {
        row.set(column, "");
    }
}

fn shorten(context: &Context, row: &mut Row, column: &str) {
    let digits = context.setting("digits").and_then(|digits| digits.parse().ok()).unwrap_or(DIGITS);
    change(row, column, |number| last_of(number, digits));
}

fn mask_mail(context: &Context, row: &mut Row, column: &str, units_max: usize) {
    let hides_domain = context.setting("domain") == Some("hide");
    change(row, column, |address| match hides_domain {
        true => masked(address.split('@').next().unwrap_or_default(), "", units_max),
        // The last `@`: a quoted local part may hold others (RFC 5321).
        false => match address.rfind('@') {
            Some(at) => masked(&address[..at], &address[at..], units_max),
            None => MASK.to_string(),
        },
    });
}

/// An empty text is no datum, and stays one.
fn change(row: &mut Row, column: &str, of: impl Fn(&str) -> String) {
    let Some(text) = row.text(column).filter(|text| !text.is_empty()) else { return };
    let mask = of(text);
    if mask != text {
        row.set(column, Value::Text(mask));
    }
}

/// The last digits or letters of a number that has more than twice as many; of a shorter one nothing. A masked number
/// stays as it is.
fn last_of(number: &str, digits: usize) -> String {
    let plain = |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).count();
    if number.strip_prefix(MASK).is_some_and(|rest| rest.chars().count() <= digits) {
        return number.to_string();
    }
    if plain(number) <= 2 * digits {
        return MASK.to_string();
    }
    let end: Vec<char> =
        number.chars().rev().filter(|l| l.is_alphanumeric()).take(digits).collect();
    MASK.chars().chain(end.into_iter().rev()).collect()
}

/// The first character, three asterisks whatever the length, and the domain, as far as the column is wide.
fn masked(mailbox: &str, domain: &str, units_max: usize) -> String {
    let first = mailbox.chars().next().filter(|first| *first != '*');
    let mut mask: String = first.into_iter().chain(MASK.chars()).chain(domain.chars()).collect();
    while mask.encode_utf16().count() > units_max {
        mask.pop();
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::{NUMBERS_OF_A_CUSTOMER, TRANSFORMER, last_of};
    use tillhold_sdk::testing::{Judged, context};
    use tillhold_sdk::{Decimal, Flow, Value};

    const ELECTRONIC: &str = "ax.LOGISTICSELECTRONICADDRESS";

    fn electronic(config: &str, kind: i32, locator: &str) -> Judged {
        let row: [(&str, Value); 4] = [
            ("LOCATION", 77.into()),
            ("TYPE", kind.into()),
            ("LOCATOR", locator.into()),
            ("LOCATOREXTENSION", "12".into()),
        ];
        TRANSFORMER.judge(&context().config(config), ELECTRONIC, &row)
    }

    #[test]
    fn a_number_keeps_its_end_if_enough_is_hidden() {
        for (number, digits, expected) in [
            ("+49 30 1234567", 2, "***67"),
            ("+49 30 123-456", 4, "***3456"),
            ("12345", 2, "***45"),
            ("1234", 2, "***"),
            ("12345", 0, "***"),
            ("\u{1D7D8}\u{1D7D9}\u{1D7DA}\u{1D7DB}\u{1D7DC}", 2, "***\u{1D7DB}\u{1D7DC}"),
        ] {
            let mask = last_of(number, digits);
            assert_eq!(mask, expected);
            assert_eq!(last_of(&mask, digits), mask, "masked again");
        }
    }

    #[test]
    fn each_kind_of_electronic_address_has_its_mask() {
        for (config, kind, locator, expected) in [
            ("", 2, "anna.smith@example.org", Some("a***@example.org")),
            ("domain = hide", 2, "anna.smith@example.org", Some("a***")),
            ("", 2, "no address", Some("***")),
            ("", 1, "+49 30 1234567", Some("***67")),
            ("digits = 4", 5, "+49 30 1234567", Some("***4567")),
            ("", 3, "https://example.org", None),
            ("", 9, "unheard of", Some("***of")),
            ("", 1, "", None),
            ("keep_locations = 5, 77", 1, "+49 30 1234567", None),
        ] {
            let judged = electronic(config, kind, locator);
            assert_eq!(judged.changed("LOCATOR"), expected.map(Value::from).as_ref(), "{locator}");
        }
        assert_eq!(electronic("", 1, "1").changed("LOCATOREXTENSION"), Some(&"".into()));
        assert_eq!(electronic("", 2, "a@b").changed("LOCATOREXTENSION"), None);
    }

    #[test]
    fn an_address_keeps_its_town() {
        let row = |private: i32| {
            [
                ("LOCATION", Value::from(77)),
                ("ISPRIVATE", private.into()),
                ("ADDRESS", "5 Oak Street\nSpringfield".into()),
                ("BUILDINGCOMPLIMENT", "".into()),
                ("POSTBOX", "".into()),
                ("STREET", "Oak Street".into()),
                ("STREETNUMBER", "5".into()),
                ("LATITUDE", Decimal::new(525, 1).into()),
                ("LONGITUDE", Decimal::new(0, 16).into()),
            ]
        };
        let judge = |config: &str, private| {
            let context = context().config(config);
            TRANSFORMER.judge(&context, "ax.LOGISTICSPOSTALADDRESS", &row(private))
        };
        let names =
            |judged: Judged| judged.changes.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let hidden = ["ADDRESS", "STREET", "STREETNUMBER", "LATITUDE"];
        assert_eq!(names(judge("", 0)), hidden);
        assert_eq!(names(judge("addresses = private", 1)), hidden);
        assert_eq!(names(judge("addresses = private", 0)), [""; 0]);
        assert_eq!(names(judge("keep_locations=77", 1)), [""; 0]);
    }

    #[test]
    fn nothing_is_masked_on_the_way_up() {
        let customer: Vec<(&str, Value)> =
            NUMBERS_OF_A_CUSTOMER.iter().map(|name| (*name, "DE123456789".into())).collect();
        let down = TRANSFORMER.judge(&context(), "ax.CUSTTABLE", &customer);
        assert_eq!(down.changed("VATNUM"), Some(&"***89".into()));
        assert_eq!(down.changes.len(), NUMBERS_OF_A_CUSTOMER.len());
        let up = context().flow(Flow::Push);
        assert_eq!(TRANSFORMER.judge(&up, "ax.CUSTTABLE", &customer).changes, []);
        let mail = [("RECEIPTEMAIL", "anna@example.org".into())];
        assert_eq!(TRANSFORMER.judge(&up, "ax.RETAILCUSTTABLE", &mail).changes, []);
    }

    #[test]
    fn a_slip_of_the_pen_is_told_at_the_start() {
        assert_eq!(TRANSFORMER.accepts("digits=0; domain=hide; keep_locations=1 2"), Ok(()));
        for wrong in
            ["digits=5", "digits=many", "domain=hid", "addresses=none", "keep_locations=S1"]
        {
            assert!(TRANSFORMER.accepts(wrong).is_err(), "{wrong} was taken");
        }
    }
}
