//! Who is right about a customer that was changed at the till and at the office in the same hour: field by field.
//!
//! What only one side changed is taken, from either side. Where both sides changed the same field:
//!
//! | field | who wins | because |
//! |---|---|---|
//! | name, language, e-mail, phone, receipt by mail or paper | the till | the customer stood there and said so |
//! | credit limit, rating, blocking, payment terms, invoice account | the office | money is decided there |
//! | discounts and price groups | the office | they are agreed there |
//! | time of the last change | the later | it only ever grows |
//! | anything else | a person | nobody thought of it yet |
//!
//! A customer that one side deleted waits for a person too. To make this your own: change the lists below.

use tillhold_sdk::{Conflict, Context, Resolution, Winner, resolver};

resolver! {
    "ax.CUSTTABLE" { reads: *, writes: *, decide: customer }
    "ax.RETAILCUSTTABLE" { reads: *, writes: *, decide: receipt_wishes }
    "ax.DIRPARTYTABLE" { reads: *, writes: *, decide: name_and_language }
    "ax.LOGISTICSELECTRONICADDRESS" { reads: *, writes: *, decide: contact }
}

/// What a customer tells the cashier.
const SAID_AT_THE_TILL: &[&str] =
    &["CONTACTPERSONID", "DLVMODE", "IDENTIFICATIONNUMBER", "INVOICEADDRESS", "VATNUM"];

/// What the office alone may say: money, and what follows from agreements.
const DECIDED_AT_THE_OFFICE: &[&str] = &[
    "ACCOUNTSTATEMENT",
    "BLOCKED",
    "CASHDISC",
    "CREDITMAX",
    "CREDITRATING",
    "CUSTGROUP",
    "ENDDISC",
    "INVOICEACCOUNT",
    "LINEDISC",
    "MANDATORYCREDITLIMIT",
    "MULTILINEDISC",
    "ONETIMECUSTOMER",
    "PAYMMODE",
    "PAYMSPEC",
    "PAYMTERMID",
    "PRICEGROUP",
    "TAXGROUP",
];

fn customer(_: &Context, conflict: &Conflict) -> Resolution {
    conflict.merge(|field| match field {
        field if SAID_AT_THE_TILL.contains(&field) => Winner::Offline,
        field if DECIDED_AT_THE_OFFICE.contains(&field) => Winner::Channel,
        field => in_every_table(field),
    })
}

fn receipt_wishes(_: &Context, conflict: &Conflict) -> Resolution {
    conflict.merge(|field| match field {
        "RECEIPTEMAIL" | "RECEIPTOPTION" => Winner::Offline,
        "NONCHARGABLEACCOUNT" | "REQUIRESAPPROVAL" => Winner::Channel,
        field => in_every_table(field),
    })
}

fn name_and_language(_: &Context, conflict: &Conflict) -> Resolution {
    conflict.merge(|field| match field {
        "NAME" | "NAMEALIAS" | "KNOWNAS" | "LANGUAGEID" => Winner::Offline,
        field => in_every_table(field),
    })
}

fn contact(_: &Context, conflict: &Conflict) -> Resolution {
    conflict.merge(|field| match field {
        "LOCATOR" | "LOCATOREXTENSION" | "COUNTRYREGIONCODE" | "DESCRIPTION" | "ISPRIMARY" => {
            Winner::Offline
        }
        field => in_every_table(field),
    })
}

fn in_every_table(field: &str) -> Winner {
    match field {
        "MODIFIEDDATETIME" => Winner::Later,
        _ => Winner::Person,
    }
}

#[cfg(test)]
mod tests {
    use super::RESOLVER;
    use tillhold_sdk::testing::context;
    use tillhold_sdk::{Decimal, Resolution, Value};

    type Cells<'a> = &'a [(&'a str, Value)];

    fn decide(channel: Option<Cells>, offline: Option<Cells>) -> Resolution {
        let before: [(&str, Value); 7] = [
            ("ACCOUNTNUM", "C000001".into()),
            ("VATNUM", "".into()),
            ("CREDITMAX", Decimal::new(10_000, 2).into()),
            ("BLOCKED", 0.into()),
            ("CURRENCY", "EUR".into()),
            ("DESTINATIONCODEID", "".into()),
            ("MODIFIEDDATETIME", Value::Timestamp(10)),
        ];
        RESOLVER.judge(&context(), "ax.CUSTTABLE", &before, channel, offline)
    }

    fn merge(cells: &[(&str, Value)]) -> Resolution {
        let cells = cells.iter().map(|(name, value)| (name.to_string(), value.clone()));
        Resolution::Merge(cells.collect())
    }

    #[test]
    fn what_one_side_changed_is_taken() {
        let decided = decide(
            Some(&[("BLOCKED", 1.into()), ("MODIFIEDDATETIME", Value::Timestamp(30))]),
            Some(&[("CURRENCY", "USD".into()), ("MODIFIEDDATETIME", Value::Timestamp(20))]),
        );
        assert_eq!(
            decided,
            merge(&[("CURRENCY", "USD".into())]),
            "the channel's are there already"
        );
    }

    #[test]
    fn the_till_knows_the_customer_and_the_office_the_money() {
        let credit = |amount| ("CREDITMAX", Decimal::new(amount, 2).into());
        let decided = decide(
            Some(&[
                ("VATNUM", "DE1".into()),
                credit(50_000),
                ("MODIFIEDDATETIME", Value::Timestamp(20)),
            ]),
            Some(&[
                ("VATNUM", "DE2".into()),
                credit(90_000),
                ("MODIFIEDDATETIME", Value::Timestamp(30)),
            ]),
        );
        let expected =
            merge(&[("VATNUM", "DE2".into()), ("MODIFIEDDATETIME", Value::Timestamp(30))]);
        assert_eq!(decided, expected);
    }

    #[test]
    fn what_nobody_thought_of_waits_for_a_person() {
        let decided = decide(
            Some(&[("CURRENCY", "USD".into()), ("DESTINATIONCODEID", "A".into())]),
            Some(&[("CURRENCY", "CHF".into()), ("DESTINATIONCODEID", "B".into())]),
        );
        assert_eq!(decided, Resolution::defer("both sides changed CURRENCY, DESTINATIONCODEID"));
    }

    #[test]
    fn both_sides_may_say_the_same() {
        let same: Cells = &[("CURRENCY", "USD".into())];
        assert_eq!(decide(Some(same), Some(same)), merge(&[]));
    }

    #[test]
    fn a_deleted_customer_waits_for_a_person() {
        let change: Cells = &[("VATNUM", "DE1".into())];
        for (channel, offline, who) in
            [(None, Some(change), "the channel"), (Some(change), None, "the register")]
        {
            let reason = format!("{who} deleted the row, the other side changed it");
            assert_eq!(decide(channel, offline), Resolution::defer(reason));
        }
    }

    #[test]
    fn the_address_for_receipts_is_the_tills() {
        let before: [(&str, Value); 2] =
            [("ACCOUNTNUM", "C000001".into()), ("RECEIPTEMAIL", "a***@example.org".into())];
        let office: Cells = &[("RECEIPTEMAIL", "o***@example.org".into())];
        let till: Cells = &[("RECEIPTEMAIL", "new@example.org".into())];
        let decided =
            RESOLVER.judge(&context(), "ax.RETAILCUSTTABLE", &before, Some(office), Some(till));
        assert_eq!(decided, merge(&[("RECEIPTEMAIL", "new@example.org".into())]));
    }
}
