//! Offline products and customers, with the real agent on the demo's real schema and baskets.

use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const BASKETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/baskets.csv");

fn folder(stage: &Stage) -> PathBuf {
    stage.rehearsal.folder().join("offline")
}

/// One text column of an offline table, from whichever file has it.
fn offline(stage: &Stage, table: &str, select: &str) -> BTreeSet<String> {
    for file in ["catalogue.db", "journal.db"] {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let conn = Connection::open_with_flags(folder(stage).join(file), flags).expect("a file");
        let there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
        if conn.query_row(there, [table], |row| row.get(0)).expect("an answer") {
            let sql = format!("SELECT {select}");
            let mut statement = conn.prepare(&sql).expect("a statement");
            let rows = statement.query_map((), |row| row.get::<_, String>(0)).expect("rows");
            return rows.collect::<Result<_, _>>().expect("texts");
        }
    }
    panic!("no offline file has {table}")
}

/// The baskets' first twelve, as the demo's shop has them: each product's sales in cents.
pub fn sold() -> BTreeMap<String, i64> {
    let text = std::fs::read_to_string(BASKETS).expect("the baskets");
    let (mut baskets, mut sums) = (Vec::new(), BTreeMap::new());
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if !baskets.contains(&cells[0]) {
            if baskets.len() == 12 {
                break;
            }
            baskets.push(cells[0]);
        }
        let cents = (cells[6].parse::<f64>().expect("an amount") * 100.0).round() as i64;
        *sums.entry(cells[4].to_string()).or_insert(0) += cents;
    }
    sums
}

/// Most sold first.
fn ranked(sold: &BTreeMap<String, i64>) -> Vec<String> {
    let mut all: Vec<(&String, &i64)> = sold.iter().filter(|(_, cents)| **cents > 0).collect();
    all.sort_by_key(|(item, cents)| (-**cents, item.to_string()));
    all.into_iter().map(|(item, _)| item.clone()).collect()
}

/// A line of another register's sale in this register's store.
pub fn sale(stage: &Stage, number: usize, item: &str, cents: i64) {
    let settings = stage.rehearsal.config();
    let settings = std::fs::read_to_string(settings).expect("settings");
    let store = settings.lines().find_map(|line| line.strip_prefix("store = ")).expect("a store");
    let store = store.trim().trim_matches(['"', '\'']);
    let sql = format!(
        "INSERT INTO [ax].[RETAILTRANSACTIONSALESTRANS] ([CHANNEL], [STORE], [TERMINALID], [TRANSACTIONID], [LINENUM], [DATAAREAID], [ITEMID], [NETAMOUNT], [QTY], [TRANSDATE]) \
         VALUES (1, N'{store}', N'000099', N'T{number}', {number}, N'USRT', N'{item}', -{}.{:02}, -1, CONVERT(date, SYSUTCDATETIME()));",
        cents / 100,
        cents % 100
    );
    assert_eq!(stage.rehearsal.office(&sql).expect("a sale"), 1);
}

/// Everything that an item needs, by the item: each must be of exactly these.
fn assert_whole(stage: &Stage, items: &BTreeSet<String>) {
    for (table, column) in [
        ("ax.INVENTTABLE", "ITEMID"),
        ("ax.INVENTTABLEMODULE", "ITEMID"),
        ("ax.INVENTITEMBARCODE", "ITEMID"),
        ("ax.RETAILINVENTTABLE", "ITEMID"),
        ("ax.PRICEDISCTABLE", "ITEMRELATION"),
    ] {
        let found = offline(stage, table, &format!("DISTINCT {column} FROM \"{table}\""));
        assert_eq!(found, *items, "{table}");
    }
    let products =
        offline(stage, "ax.INVENTTABLE", "CAST(PRODUCT AS TEXT) FROM \"ax.INVENTTABLE\"");
    for (table, column) in [
        ("ax.ECORESPRODUCT", "RECID"),
        ("ax.ECORESPRODUCTTRANSLATION", "PRODUCT"),
        ("ax.ECORESPRODUCTCATEGORY", "PRODUCT"),
    ] {
        let found =
            offline(stage, table, &format!("DISTINCT CAST({column} AS TEXT) FROM \"{table}\""));
        assert_eq!(found, products, "{table}");
    }
}

async fn chosen_anew(stage: &Stage) {
    let answer = stage.rehearsal.post("/v1/sync?selection=true").await.expect("an answer");
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

/// Top N by amount is what the baskets add up to; who joins comes whole in one landing, who leaves is gone, and a
/// price of neither ever arrives.
#[test]
fn the_best_sold_are_on_the_register_with_all_that_they_need() {
    proof(async {
        let choice = "\n[offline_products]\nsold_top = 5\nsold_days = 3\n";
        let mut stage = Stage::prepared_with(20, |profile| profile + choice).await;
        let sold = sold();
        for (number, (item, cents)) in sold.iter().enumerate() {
            sale(&stage, number + 1, item, *cents);
        }
        stage.start().await;
        let ranked = ranked(&sold);
        let best: BTreeSet<String> = ranked[..5].iter().cloned().collect();
        assert_whole(&stage, &best);

        let price = |item: &str| {
            format!(
                "UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = 77.07 WHERE [ITEMRELATION] = N'{item}';"
            )
        };
        for item in [&ranked[0], &ranked[9]] {
            assert!(stage.rehearsal.office(&price(item)).expect("prices") > 0);
        }
        let synced = stage.rehearsal.post("/v1/sync").await.expect("an answer");
        assert_eq!(synced.status, 200);
        assert_whole(&stage, &best);
        let dear = "DISTINCT ITEMRELATION FROM \"ax.PRICEDISCTABLE\" WHERE AMOUNT LIKE '77.07%'";
        let dear = offline(&stage, "ax.PRICEDISCTABLE", dear);
        assert_eq!(dear, BTreeSet::from([ranked[0].clone()]), "a member's alone");

        sale(&stage, 5_000, &ranked[9], 9_999_900);
        let shown = stage.rehearsal.get("/v1/selection?would_change=true").await.expect("shown");
        let change = &shown.body["would_change"]["products"];
        assert_eq!(change["would_join"]["first"], serde_json::json!([ranked[9]]));
        assert_eq!(change["would_leave"]["first"], serde_json::json!([ranked[4]]));
        chosen_anew(&stage).await;
        let now: BTreeSet<String> = ranked[..4].iter().chain([&ranked[9]]).cloned().collect();
        assert_whole(&stage, &now);
        let one_landing = "DISTINCT version || '/' || positioned_ms FROM tillhold_table WHERE name IN \
                           ('ax.INVENTTABLE', 'ax.PRICEDISCTABLE', 'ax.INVENTITEMBARCODE', 'ax.ECORESPRODUCTTRANSLATION')";
        assert_eq!(offline(&stage, "ax.INVENTTABLE", one_landing).len(), 1, "scopes apart");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["selection"]["products"]["members"]["item"], 5);
        assert_eq!(status["selection"]["products"]["in_force"], true);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A choice that comes later takes away, one that goes brings everything back.
#[test]
fn a_profile_that_chooses_otherwise_is_followed() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let all = offline(&stage, "ax.INVENTTABLE", "ITEMID FROM \"ax.INVENTTABLE\"");
        assert!(all.len() > 10);
        let profile = stage.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&profile).expect("a profile");
        let item = all.first().expect("an item").clone();
        stage.rehearsal.kill();
        let choice = format!("{text}\n[offline_products]\nitems = [\"{item}\"]\n");
        std::fs::write(&profile, choice).expect("a profile");
        stage.start().await;
        assert_whole(&stage, &BTreeSet::from([item]));
        stage.rehearsal.kill();
        std::fs::write(&profile, text).expect("a profile");
        stage.start().await;
        assert_whole(&stage, &all);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Switched off, the tables are empty and nothing of them can be read in the files.
#[test]
fn no_personal_data_stays_when_it_is_switched_off() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let mails =
            offline(&stage, "ax.RETAILCUSTTABLE", "RECEIPTEMAIL FROM \"ax.RETAILCUSTTABLE\"");
        assert!(mails.len() > 10, "customers are there at first");
        stage.rehearsal.kill();
        let profile = stage.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&profile).expect("a profile");
        let none = format!("{text}\n[offline_customers]\npersonal_data = false\n");
        std::fs::write(&profile, none).expect("a profile");
        stage.start().await;
        for table in [
            "ax.CUSTTABLE",
            "ax.RETAILCUSTTABLE",
            "ax.DIRPARTYTABLE",
            "ax.DIRPARTYLOCATION",
            "ax.LOGISTICSLOCATION",
            "ax.LOGISTICSELECTRONICADDRESS",
            "ax.RETAILLOYALTYCARD",
        ] {
            let count = offline(&stage, table, &format!("CAST(count(*) AS TEXT) FROM \"{table}\""));
            assert_eq!(count, BTreeSet::from(["0".to_string()]), "{table}");
        }
        let change = "UPDATE [ax].[CUSTTABLE] SET [CREDITMAX] = 1;";
        assert!(stage.rehearsal.office(change).expect("customers") > 10);
        chosen_anew(&stage).await;
        let left = offline(&stage, "ax.CUSTTABLE", "ACCOUNTNUM FROM \"ax.CUSTTABLE\"");
        assert!(left.is_empty(), "{left:?}");
        stage.rehearsal.close().await.expect("an end");
        let mail = mails.iter().max_by_key(|mail| mail.len()).expect("a mail").as_bytes();
        for file in std::fs::read_dir(folder_of(&profile)).expect("the files") {
            let path = file.expect("a file").path();
            let bytes =
                if path.is_file() { std::fs::read(&path).expect("bytes") } else { Vec::new() };
            let found = bytes.windows(mail.len()).any(|window| window == mail);
            assert!(!found, "{} still holds a customer's mail", path.display());
        }
    });
}

fn folder_of(profile: &std::path::Path) -> PathBuf {
    profile.with_file_name("offline")
}

/// The choice of products reads this table; the register may not any more.
const NO_CHOICE: &str =
    "REVOKE SELECT ON OBJECT::[ax].[RETAILPARAMETERS] FROM [tillhold_register];";

async fn mend(stage: &Stage) {
    stage.rehearsal.prepare().await.expect("the right back");
    chosen_anew(stage).await;
}

/// What a crash or another profile has left, or would have.
fn changed(stage: &Stage, file: &str, sql: &str) {
    let conn = Connection::open(folder(stage).join(file)).expect("a file");
    conn.execute_batch(sql).expect("a change");
}

async fn assert_waits(stage: &Stage, table: &str) {
    let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
    assert!(!status["selection_fault"].is_null(), "the choice stands still");
    let rows = offline(stage, table, &format!("CAST(count(*) AS TEXT) FROM \"{table}\""));
    let load = format!("load_state FROM tillhold_table WHERE name = '{table}'");
    let found = (rows, offline(stage, table, &load));
    let none = |text: &str| BTreeSet::from([text.to_string()]);
    assert_eq!(found, (none("0"), none("none")), "{table}");
}

/// While nobody can say who is chosen, what hangs on it does not come whole; all else comes. Mended, the chosen rows come:
/// of a first choice, and where a table came to an older one.
#[test]
fn a_table_waits_for_its_choice_and_no_other_does() {
    proof(async {
        let item = ranked(&sold()).remove(0);
        let choice = format!("\n[offline_products]\nitems = [\"{item}\"]\n");
        let mut stage = Stage::prepared_whole(20, |profile| profile + &choice).await;
        stage.rehearsal.office(NO_CHOICE).expect("a right less");
        stage.start().await;
        for table in ["ax.INVENTTABLE", "ax.PRICEDISCTABLE", "ax.ECORESPRODUCT"] {
            assert_waits(&stage, table).await;
        }
        let customers = offline(&stage, "ax.CUSTTABLE", "ACCOUNTNUM FROM \"ax.CUSTTABLE\"");
        assert!(!customers.is_empty(), "they hang on another choice");
        let items = BTreeSet::from([item]);
        mend(&stage).await;
        assert_whole(&stage, &items);

        stage.rehearsal.kill();
        changed(
            &stage,
            "catalogue.db",
            "DELETE FROM \"ax.PRICEDISCTABLE\"; \
             UPDATE tillhold_table SET load_state = 'none', ready = 0, version = NULL, epoch = NULL, \
             positioned_ms = NULL, mark = NULL WHERE name = 'ax.PRICEDISCTABLE'; \
             UPDATE tillhold_selection SET tables = replace(tables, \
             'ax.PRICEDISCTABLE' || char(9) || 'ITEMRELATION item ITEMCODE=0' || char(10), '')",
        );
        let without = "tables FROM tillhold_selection WHERE tables NOT LIKE '%PRICEDISCTABLE%'";
        assert_eq!(offline(&stage, "ax.INVENTTABLE", without).len(), 1, "the proof needs it");
        stage.rehearsal.office(NO_CHOICE).expect("a right less");
        stage.start().await;
        assert_waits(&stage, "ax.PRICEDISCTABLE").await;
        mend(&stage).await;
        assert_whole(&stage, &items);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Two of three were chosen at the last landing, which the journal has and the catalogue has not; then all three are.
#[test]
fn who_left_the_journal_alone_joins_again() {
    proof(async {
        let mut stage = Stage::online(12).await;
        let accounts = "ACCOUNTNUM FROM \"ax.CUSTTABLE\"";
        let all = offline(&stage, "ax.CUSTTABLE", accounts);
        let chosen: BTreeSet<String> = all.into_iter().take(3).collect();
        stage.rehearsal.kill();
        let profile = stage.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&profile).expect("a profile");
        let list: Vec<&String> = chosen.iter().collect();
        let choice = format!("{text}\n[offline_customers]\naccounts = {list:?}\n");
        std::fs::write(&profile, choice).expect("a profile");
        stage.start().await;
        assert_eq!(offline(&stage, "ax.CUSTTABLE", accounts), chosen);
        stage.rehearsal.kill();
        let gone = chosen.first().expect("three");
        changed(
            &stage,
            "journal.db",
            &format!(
                "BEGIN; INSERT INTO tillhold_applying VALUES (1); \
                 DELETE FROM \"ax.CUSTTABLE\" WHERE ACCOUNTNUM = '{gone}'; \
                 DELETE FROM tillhold_member WHERE kind = 'account' AND key = '{gone}'; \
                 DELETE FROM tillhold_applying; COMMIT;"
            ),
        );
        stage.start().await;
        chosen_anew(&stage).await;
        assert_eq!(offline(&stage, "ax.CUSTTABLE", accounts), chosen);
        stage.rehearsal.close().await.expect("an end");
    });
}
