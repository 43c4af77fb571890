//! What the plugin `store-customers` must do, said a second time and natively: the check does not ask the plugin.
//!
//! * A customer of another store does not reach the register (CUSTTABLE.INVENTLOCATION; empty: every store's).
//! * E-mails reach it masked: RETAILCUSTTABLE.RECEIPTEMAIL, and LOGISTICSELECTRONICADDRESS.LOCATOR where TYPE is 2.

use super::Cells;
use tillhold_core::table::Table;

const EMAIL: &str = "2";

/// The channel's row as the register must have it; `None` when it must not have it.
pub(crate) fn expected(table: &Table, store: &str, mut row: Cells) -> Option<Cells> {
    match table.name.name.as_str() {
        "CUSTTABLE" => {
            let home = cell(table, &row, "INVENTLOCATION");
            let fold = tillhold_core::row::fold;
            (home.is_empty() || fold(&home) == fold(store)).then_some(row)
        }
        "RETAILCUSTTABLE" => {
            mask(table, &mut row, "RECEIPTEMAIL");
            Some(row)
        }
        "LOGISTICSELECTRONICADDRESS" => {
            if cell(table, &row, "TYPE") == EMAIL {
                mask(table, &mut row, "LOCATOR");
            }
            Some(row)
        }
        _ => Some(row),
    }
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

/// `anna@example.org` becomes `a***@example.org`; a text without `@` becomes `***`.
pub(crate) fn masked(email: &str) -> String {
    if email.is_empty() {
        return String::new();
    }
    match email.rsplit_once('@') {
        Some((mailbox, domain)) => {
            let first: String = mailbox.chars().take(1).collect();
            format!("{first}***@{domain}")
        }
        None => "***".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_masked_address_keeps_its_first_letter_and_its_domain() {
        for (email, expected) in [
            ("anna@example.org", "a***@example.org"),
            ("", ""),
            ("no address", "***"),
            ("@example.org", "***@example.org"),
            ("é@b@example.org", "é***@example.org"),
        ] {
            assert_eq!(masked(email), expected);
        }
    }
}
