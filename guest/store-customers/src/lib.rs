//! What a register should know of customers: its own store's, and no address in clear.
//!
//! On the way down to the register:
//! * customers whose home is another store are dropped (CUSTTABLE.INVENTLOCATION, the store's warehouse, which bears
//!   its number; a customer without one is everybody's);
//! * e-mail addresses are masked (`anna.smith@example.org` becomes `a***@example.org`), so that a stolen register is
//!   no mailing list.
//!
//! On the way up nothing is touched: what the cashier entered is what the channel gets. A mask stays down, because
//! only changed columns go up.
//!
//! Config: nothing, or `store=S0001` for a register that serves another store than its own.

use tillhold_sdk::{Context, Flow, Row, Verdict, transformer};

/// LogisticsElectronicAddressMethodType in AX 2012: 1 phone, 2 e-mail, 3 URL, 4 telex, 5 fax.
const EMAIL: i64 = 2;

/// Widths of the two columns, in UTF-16 units as SQL Server counts them.
const RECEIPTEMAIL_UNITS: usize = 80;
const LOCATOR_UNITS: usize = 255;

transformer! {
    settings: ["store"],

    "ax.CUSTTABLE" { reads: ["INVENTLOCATION"], writes: [], rule: only_own_customers }
    "ax.RETAILCUSTTABLE" {
        reads: ["RECEIPTEMAIL"],
        writes: ["RECEIPTEMAIL"],
        rule: mask_receipt_email,
    }
    "ax.LOGISTICSELECTRONICADDRESS" {
        reads: ["TYPE", "LOCATOR"],
        writes: ["LOCATOR"],
        rule: mask_electronic_address,
    }
}

fn only_own_customers(context: &Context, row: &mut Row) -> Verdict {
    let own = context.setting("store").unwrap_or(&context.store).trim_end_matches(' ');
    let home = row.text("INVENTLOCATION").unwrap_or_default().trim_end_matches(' ');
    if context.flow == Flow::Push || home.is_empty() {
        return Verdict::Keep;
    }
    if own.is_empty() {
        // Without a store of our own "another store" has no meaning, and dropping everybody would look like order.
        return Verdict::refuse("this register has no store number: set `store=` in the config");
    }
    // As SQL Server compares: blind to case and trailing blanks.
    if own.eq_ignore_ascii_case(home) { Verdict::Keep } else { Verdict::Drop }
}

fn mask_receipt_email(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Pull {
        mask(row, "RECEIPTEMAIL", RECEIPTEMAIL_UNITS);
    }
    Verdict::Keep
}

fn mask_electronic_address(context: &Context, row: &mut Row) -> Verdict {
    if context.flow == Flow::Pull && row.integer("TYPE") == Some(EMAIL) {
        mask(row, "LOCATOR", LOCATOR_UNITS);
    }
    Verdict::Keep
}

fn mask(row: &mut Row, column: &str, units_max: usize) {
    let address = row.text(column).unwrap_or_default();
    if !address.is_empty() {
        row.set(column, masked(address, units_max));
    }
}

/// The first character, three asterisks whatever the length, and the domain; of a text without an `@` only asterisks.
/// Masking a masked address changes nothing. A mask that would not fit the column loses the domain's end.
fn masked(address: &str, units_max: usize) -> String {
    // The last `@`: a quoted local part may hold others (RFC 5321).
    let Some(at) = address.rfind('@') else { return "***".to_string() };
    let (mailbox, domain) = address.split_at(at);
    let mut mask = String::with_capacity(address.len() + 3);
    mask.extend(mailbox.chars().next().filter(|first| *first != '*'));
    mask.push_str("***");
    mask.push_str(domain);
    // Bytes are at least as many as units: most masks are never counted.
    while mask.len() > units_max && mask.encode_utf16().count() > units_max {
        mask.pop();
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::{TRANSFORMER, masked};
    use tillhold_sdk::testing::{TestContext, context};
    use tillhold_sdk::{Flow, Value, Verdict};

    #[test]
    fn a_mask_hides_the_person_and_keeps_the_domain() {
        for (address, expected) in [
            ("anna.smith@example.org", "a***@example.org"),
            ("anna@example.org", "a***@example.org"),
            ("a@example.org", "a***@example.org"),
            ("@example.org", "***@example.org"),
            ("\"a@b c\"@example.org", "\"***@example.org"),
            ("\u{fc}nal@example.org", "\u{fc}***@example.org"),
            ("no address", "***"),
        ] {
            let mask = masked(address, 80);
            assert_eq!(mask, expected);
            assert_eq!(masked(&mask, 80), mask, "masked again");
        }
    }

    #[test]
    fn a_mask_fits_where_the_address_fitted() {
        let widest = format!("a@{}.org", "d".repeat(74));
        assert_eq!(widest.len(), 80);
        let row = [("RECEIPTEMAIL", widest.as_str().into())];
        let judged = TRANSFORMER.judge(&context(), "ax.RETAILCUSTTABLE", &row);
        let mask = judged.changed("RECEIPTEMAIL").and_then(Value::as_text).expect("a mask");
        assert_eq!((mask.len(), mask.starts_with("a***@dd")), (80, true));
    }

    #[test]
    fn receipts_are_masked_down_and_left_alone_up() {
        let row = [("RECEIPTEMAIL", "anna.smith@example.org".into())];
        let down = TRANSFORMER.judge(&context(), "ax.RETAILCUSTTABLE", &row);
        assert_eq!(down.verdict, Verdict::Keep);
        assert_eq!(down.changed("RECEIPTEMAIL"), Some(&"a***@example.org".into()));
        let up = TRANSFORMER.judge(&context().flow(Flow::Push), "ax.RETAILCUSTTABLE", &row);
        assert_eq!((up.verdict, up.changes), (Verdict::Keep, vec![]));
    }

    #[test]
    fn electronic_addresses_are_masked_when_they_are_mail() {
        for (kind, locator, expected) in [
            (2, "anna.smith@example.org", Some("a***@example.org")),
            (2, "anna.smith", Some("***")),
            (2, "", None),
            (1, "+49 30 1234", None),
        ] {
            let row: [(&str, Value); 2] = [("TYPE", kind.into()), ("LOCATOR", locator.into())];
            let judged = TRANSFORMER.judge(&context(), "ax.LOGISTICSELECTRONICADDRESS", &row);
            assert_eq!(judged.changed("LOCATOR"), expected.map(Value::from).as_ref(), "{locator}");
        }
    }

    fn customer_of(home: &str, context: TestContext) -> Verdict {
        TRANSFORMER.judge(&context, "ax.CUSTTABLE", &[("INVENTLOCATION", home.into())]).verdict
    }

    #[test]
    fn customers_of_other_stores_stay_at_the_channel() {
        for (home, verdict) in [
            ("S0001", Verdict::Keep),
            ("s0001  ", Verdict::Keep),
            ("", Verdict::Keep),
            ("S0002", Verdict::Drop),
            ("S000", Verdict::Drop),
        ] {
            assert_eq!(customer_of(home, context()), verdict, "{home}");
            assert_eq!(customer_of(home, context().flow(Flow::Push)), Verdict::Keep, "{home} up");
        }
        assert_eq!(customer_of("S0002", context().config("store = S0002")), Verdict::Keep);
        assert!(matches!(customer_of("S0001", context().store(" ")), Verdict::Refuse(_)));
    }
}
