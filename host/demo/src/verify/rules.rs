//! What the plugin `store-customers` must do, said a second time and natively: the check does not ask the plugin.
//!
//! * E-mails reach the register masked: RETAILCUSTTABLE.RECEIPTEMAIL, and LOGISTICSELECTRONICADDRESS.LOCATOR of an
//!   e-mail or with an `@` in it.
//! * Number seeds, accounts and cash declarations of other stores do not reach it.

use super::Cells;
use tillhold_core::row::fold;
use tillhold_core::table::Table;

const EMAIL: &str = "2";

/// Tables whose rows belong to a store, with the column that says to which.
const OWNED: [(&str, &str); 3] = [
    ("RETAILPOSSEEDDATA", "STORENUMBER"),
    ("RETAILINCOMEEXPENSEACCOUNTTABLE", "STOREID"),
    ("RETAILSTORECASHDECLARATIONTABLE", "STOREID"),
];

/// The channel's row as the register must have it; `None` when it must not have it.
pub(crate) fn expected(table: &Table, store: &str, mut row: Cells) -> Option<Cells> {
    let name = table.name.name.as_str();
    if let Some((_, owner)) = OWNED.iter().find(|(owned, _)| *owned == name) {
        let owner = fold(&cell(table, &row, owner));
        return (owner.is_empty() || owner == fold(store)).then_some(row);
    }
    if name == "RETAILCUSTTABLE" {
        mask(table, &mut row, "RECEIPTEMAIL");
    } else if name == "LOGISTICSELECTRONICADDRESS" {
        let locator = cell(table, &row, "LOCATOR");
        if cell(table, &row, "TYPE") == EMAIL || locator.contains('@') {
            mask(table, &mut row, "LOCATOR");
        }
    }
    Some(row)
}

fn cell(table: &Table, row: &Cells, column: &str) -> String {
    table.position(column).and_then(|at| row.get(at).cloned().flatten()).unwrap_or_default()
}

fn mask(table: &Table, row: &mut Cells, column: &str) {
    let cell = table.position(column).and_then(|at| row.get_mut(at)).and_then(Option::as_mut);
    if let Some(text) = cell {
        *text = masked(text);
    }
}

/// `anna@example.org` becomes `a***@example.org`; up to three letters become as many asterisks.
pub(crate) fn masked(email: &str) -> String {
    let (mailbox, domain) = match email.rfind('@') {
        Some(at) => email.split_at(at),
        None => (email.trim_end(), &email[email.trim_end().len()..]),
    };
    let letters = mailbox.chars().count();
    let first: String = mailbox.chars().take(usize::from(letters > 3)).collect();
    format!("{first}{}{domain}", "*".repeat(letters.min(3)))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_masked_address_keeps_its_first_letter_and_its_domain() {
        for (email, expected) in [
            ("anna.smith@example.org", "a***@example.org"),
            ("bob@example.org", "***@example.org"),
            ("é@example.org", "*@example.org"),
            ("ünal@b@example.org", "ü***@example.org"),
            ("no address", "n***"),
            ("@example.org", "@example.org"),
            ("", ""),
        ] {
            assert_eq!(masked(email), expected);
        }
    }
}
