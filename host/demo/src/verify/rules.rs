//! What the plugin `store-customers` must do, said a second time and natively: the check does not ask the plugin.
//!
//! * Customers of other stores (CUSTTABLE.INVENTLOCATION) do not reach the register.
//! * E-mails reach it masked: RETAILCUSTTABLE.RECEIPTEMAIL, and LOGISTICSELECTRONICADDRESS.LOCATOR of an e-mail.

use super::Cells;
use tillhold_core::row::fold;
use tillhold_core::table::Table;

const EMAIL: &str = "2";

/// The channel's row as the register must have it; `None` when it must not have it.
pub(crate) fn expected(table: &Table, store: &str, mut row: Cells) -> Option<Cells> {
    let name = table.name.name.as_str();
    if name == "CUSTTABLE" {
        let home = fold(&cell(table, &row, "INVENTLOCATION"));
        return (home.is_empty() || home == fold(store)).then_some(row);
    }
    if name == "RETAILCUSTTABLE" {
        mask(table, &mut row, "RECEIPTEMAIL");
    }
    if name == "LOGISTICSELECTRONICADDRESS" && cell(table, &row, "TYPE") == EMAIL {
        mask(table, &mut row, "LOCATOR");
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

/// `anna@example.org` becomes `a***@example.org`; what is no address becomes asterisks; nothing stays nothing.
pub(crate) fn masked(email: &str) -> String {
    match email.rsplit_once('@') {
        Some((mailbox, domain)) => {
            let first: String = mailbox.chars().take(1).collect();
            format!("{first}***@{domain}")
        }
        None if email.is_empty() => String::new(),
        None => "***".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_masked_address_keeps_its_first_letter_and_its_domain() {
        for (email, expected) in [
            ("anna.smith@example.org", "a***@example.org"),
            ("é@example.org", "é***@example.org"),
            ("ünal@b@example.org", "ü***@example.org"),
            ("no address", "***"),
            ("@example.org", "***@example.org"),
            ("", ""),
        ] {
            assert_eq!(masked(email), expected);
        }
    }
}
