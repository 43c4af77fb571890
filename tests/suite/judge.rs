//! The end of an ordeal, looked at from outside: the channel by T-SQL, the registers' files by SQLite, and the program's own
//! verification beside them.
//!
//! * Every promised sale is in the channel once and whole, with nothing that nobody was promised.
//! * No number of a sale or receipt was given twice.
//! * Every register has its own sales, the channel's prices and all seeds; `tillhold verify` finds nothing.
//! * SQLite finds no damage in any offline file.

use crate::store::{Register, STORE, Store, tables};
use crate::till::Till;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::path::Path;
use tillhold_core::text::guid_text;

pub const FILES: [&str; 2] = ["journal.db", "catalogue.db"];

/// Waits until everything has come to rest, and holds it against what the tills were promised.
pub async fn judge(store: &Store, tills: &[Till]) {
    store.settle().await;
    compare(store, tills).await;
    for register in &store.registers {
        let said = register.tillhold(&["verify", "--json"]);
        let terminal = &register.terminal;
        assert_eq!(said.status, Some(0), "{terminal}: {}{}", said.stdout, said.stderr);
        intact(&register.offline());
    }
}

/// The channel's rows and every register's against the promises.
pub async fn compare(store: &Store, tills: &[Till]) {
    let [prices, seeds, headers, lines] = tables();
    let channel = &store.channel;
    let (price, seed) = (channel.rows(&prices).await, channel.rows(&seeds).await);
    let (sold, rows) = (channel.rows(&headers).await, channel.rows(&lines).await);
    let (mut promised, mut promised_lines) = (Vec::new(), Vec::new());
    for till in tills {
        let (headers, lines) = till.rows();
        promised.extend(headers);
        promised_lines.extend(lines);
    }
    promised.sort();
    promised_lines.sort();
    alike("sales of the channel", &promised, &sold);
    alike("lines of the channel", &promised_lines, &rows);
    alike("the channel's ledger", &ids(tills), &ledger(store).await);
    let numbers: BTreeSet<&str> = sold.iter().filter_map(|row| row.split('|').nth(4)).collect();
    assert_eq!(numbers.len(), sold.len(), "a receipt's number was given twice");
    let last: Vec<String> = store.registers.iter().zip(tills).map(last_seed).collect();
    alike("the channel's seeds", &last, &seed);
    for register in &store.registers {
        let of = |what: &str| format!("{what} of {}", register.terminal);
        alike(&of("prices"), &price, &register.rows(&prices));
        alike(&of("seeds"), &seed, &register.rows(&seeds));
        let own = |all: &[String]| -> Vec<String> {
            let own = all.iter().filter(|row| row.starts_with(register.terminal.as_str()));
            own.cloned().collect()
        };
        alike(&of("sales"), &own(&sold), &register.rows(&headers));
        alike(&of("lines"), &own(&rows), &register.rows(&lines));
    }
}

/// Both in order.
fn alike(what: &str, expected: &[String], found: &[String]) {
    if expected == found {
        return;
    }
    let (expected, found): (BTreeSet<_>, BTreeSet<_>) =
        (expected.iter().collect(), found.iter().collect());
    let lost: Vec<_> = expected.difference(&found).take(5).collect();
    let strange: Vec<_> = found.difference(&expected).take(5).collect();
    panic!("{what}: lost {lost:#?}, nobody's {strange:#?}, {} expected", expected.len());
}

fn ids(tills: &[Till]) -> Vec<String> {
    let promised = tills.iter().flat_map(|till| &till.promised);
    let mut ids: Vec<String> =
        promised.map(|promise| guid_text(&promise.id).to_uppercase()).collect();
    ids.sort();
    ids
}

/// Sales that were uploaded; what raises a register's number is an entry of one row.
async fn ledger(store: &Store) -> Vec<String> {
    let id = "UPPER(CAST(t.[transaction_id] AS nvarchar(36)))";
    store.channel.lines(id, "[tillhold].[ledger] AS t WHERE t.[rows] > 1").await
}

fn last_seed((register, till): (&Register, &Till)) -> String {
    let last = till.promised.iter().map(|promise| promise.number).max().unwrap_or(0);
    format!("{}|{STORE}|8|usrt|{last}", register.terminal)
}

/// SQLite's whole check of both files of a folder.
pub fn intact(offline: &Path) {
    for name in FILES {
        let path = offline.join(name);
        let file = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let found = file.and_then(|file| whole(&file));
        assert_eq!(found.as_deref(), Ok("ok"), "{}", path.display());
    }
}

/// What an agent left, or has at this moment, as the next one finds it; in a copy, for SQLite mends when it opens.
pub fn left_intact(offline: &Path) {
    let copy = tempfile::tempdir().expect("a folder");
    let mut is_filled = true;
    for name in FILES {
        for name in [name.to_string(), format!("{name}-wal")] {
            // An agent that was killed in its first moments has not all files.
            is_filled &= std::fs::copy(offline.join(&name), copy.path().join(&name)).is_ok();
        }
    }
    if is_filled {
        intact(copy.path());
    }
}

pub fn whole(file: &Connection) -> rusqlite::Result<String> {
    file.query_row("PRAGMA integrity_check", (), |row| row.get(0))
}
