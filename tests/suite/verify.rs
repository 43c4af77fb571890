//! `tillhold verify` with the real agent: equal after a synchronisation, and whatever somebody did to either side is
//! named for what it is.

use crate::harness::{PROGRAM, Stage, proof};
use crate::selection::{sale, sold};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value as Json;
use std::fs::File;
use std::process::Command;

const PRICES: &str = "ax.PRICEDISCTABLE";
const CUSTOMERS: &str = "ax.CUSTTABLE";

fn verify(stage: &Stage, words: &[&str]) -> (Option<i32>, Json, String) {
    let ran = stage.tillhold(&[&["verify"], words, &["--json"]].concat());
    (ran.status, ran.answer().unwrap_or_default(), ran.stderr)
}

fn table<'a>(report: &'a Json, name: &str) -> &'a Json {
    let mut tables = report["tables"].as_array().expect("tables").iter();
    tables.find(|table| table["table"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

/// Kind, key and the columns that differ, of every difference, in order.
fn named(report: &Json) -> Vec<String> {
    let one = |difference: &Json| {
        let key = difference["key"].as_object().expect("a key").values();
        let key: Vec<&str> = key.filter_map(Json::as_str).collect();
        let columns = difference["columns"].as_array().expect("columns").iter();
        let columns: Vec<String> = columns
            .map(|c| {
                format!(" {}:{}/{}", text(&c["column"]), text(&c["channel"]), text(&c["offline"]))
            })
            .collect();
        format!("{} {}{}", text(&difference["kind"]), key.join(","), columns.concat())
    };
    let mut all: Vec<String> =
        report["differences"].as_array().into_iter().flatten().map(one).collect();
    all.sort();
    all
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or("?")
}

fn open(stage: &Stage, file: &str) -> Connection {
    let path = stage.rehearsal.folder().join("offline").join(file);
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("the file")
}

/// Writes past the triggers that would take it for a sale's change.
fn tamper(stage: &Stage, file: &str, table: &str, statements: &[String]) {
    let mut conn = open(stage, file);
    let work = conn.transaction().expect("a transaction");
    let mut select = work
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1")
        .expect("the schema");
    let read = select.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).expect("triggers");
    let triggers: Vec<(String, String)> = read.collect::<Result<_, _>>().expect("triggers");
    drop(select);
    for (name, _) in &triggers {
        work.execute_batch(&format!("DROP TRIGGER \"{name}\"")).expect("a dropped trigger");
    }
    for statement in statements {
        assert_eq!(work.execute(statement, ()).expect("a change"), 1, "{statement}");
    }
    for (_, sql) in &triggers {
        work.execute_batch(sql).expect("the trigger again");
    }
    work.commit().expect("a commit");
}

fn numbers(conn: &Connection, sql: &str) -> Vec<i64> {
    let mut select = conn.prepare(sql).expect("a query");
    let rows = select.query_map((), |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("numbers")
}

fn texts(conn: &Connection, sql: &str) -> Vec<String> {
    let mut select = conn.prepare(sql).expect("a query");
    let rows = select.query_map((), |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}

/// A row like another one, under another number.
fn copied(conn: &Connection, table: &str, from: i64, to: i64) -> String {
    let columns = texts(conn, &format!("SELECT name FROM pragma_table_info('{table}')"));
    let values = columns.iter().map(|name| match name.as_str() {
        "RECID" => to.to_string(),
        name => format!("\"{name}\""),
    });
    let values: Vec<String> = values.collect();
    let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    format!(
        "INSERT INTO \"{table}\" ({}) SELECT {} FROM \"{table}\" WHERE RECID = {from}",
        names.join(", "),
        values.join(", ")
    )
}

#[test]
fn equal_after_a_synchronisation_and_every_harm_to_the_file_is_named() {
    proof(async {
        let mut stage = Stage::online(40).await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.rehearsal.settle().await.expect("a quiet register");
        // Through the running agent; the customers' scope has a rule that drops and masks.
        let (status, report, told) = verify(&stage, &[]);
        assert_eq!(status, Some(0), "{told}\n{report:#}");
        assert_eq!(report["equal"], true, "{report:#}");
        let tables = report["tables"].as_array().expect("tables");
        assert!(tables.len() > 20, "{}", tables.len());
        for one in tables {
            assert_eq!(one["standing"], "compared", "{one:#}");
            assert_eq!(one["rows_expected"], one["rows_offline"], "{one:#}");
        }
        assert!(table(&report, PRICES)["rows_offline"].as_u64() >= Some(200), "{report:#}");
        assert!(table(&report, CUSTOMERS)["rows_offline"].as_u64() >= Some(10), "{report:#}");

        // Another program in the catalogue: first, middle, last key; a row more at either end.
        let conn = open(&stage, "catalogue.db");
        let keys = numbers(&conn, &format!("SELECT RECID FROM \"{PRICES}\" ORDER BY RECID"));
        let (first, middle, last) = (keys[0], keys[keys.len() / 2], keys[keys.len() - 1]);
        let amount =
            texts(&conn, &format!("SELECT AMOUNT FROM \"{PRICES}\" WHERE RECID = {middle}"));
        let other = "12345.0000000000000000";
        let harm = [
            copied(&conn, PRICES, middle, first - 7),
            copied(&conn, PRICES, middle, last + 7),
            format!("DELETE FROM \"{PRICES}\" WHERE RECID = {first}"),
            format!("DELETE FROM \"{PRICES}\" WHERE RECID = {last}"),
            format!("UPDATE \"{PRICES}\" SET AMOUNT = '{other}' WHERE RECID = {middle}"),
        ];
        tamper(&stage, "catalogue.db", PRICES, &harm);
        let mut expected = [
            format!("missing-at-channel {}", first - 7),
            format!("missing-at-channel {}", last + 7),
            format!("missing-offline {first}"),
            format!("missing-offline {last}"),
            format!("differs {middle} AMOUNT:{}/{other}", amount[0]),
        ];
        expected.sort();
        let (status, report, told) = verify(&stage, &[]);
        assert_eq!(status, Some(1), "{told}\n{report:#}");
        assert_eq!(named(&report), expected, "{report:#}");
        let different = |one: &&Json| one["different"] != 0;
        assert_eq!(
            report["tables"].as_array().expect("tables").iter().filter(different).count(),
            1
        );

        // A cell that no agent would write, and the journal's own table past its triggers.
        let spoil = format!("UPDATE \"{PRICES}\" SET AMOUNT = 'much' WHERE RECID = {middle}");
        tamper(&stage, "catalogue.db", PRICES, &[spoil]);
        let (status, report, _) = verify(&stage, &["--table", "ax.pricedisctable"]);
        assert_eq!(status, Some(1));
        assert_eq!(report["tables"].as_array().expect("tables").len(), 1);
        assert!(named(&report).contains(&format!("unreadable {middle}")), "{report:#}");
        let journal = open(&stage, "journal.db");
        let accounts =
            texts(&journal, &format!("SELECT ACCOUNTNUM FROM \"{CUSTOMERS}\" ORDER BY 1"));
        let account = &accounts[accounts.len() / 2];
        let harm = [format!("DELETE FROM \"{CUSTOMERS}\" WHERE ACCOUNTNUM = '{account}'")];
        tamper(&stage, "journal.db", CUSTOMERS, &harm);
        let (status, report, told) = verify(&stage, &["--scope", "1010 Customers"]);
        assert_eq!(status, Some(1), "{told}\n{report:#}");
        assert_eq!(named(&report).len(), 1, "{report:#}");
        assert!(named(&report)[0].contains(account.as_str()), "{report:#}");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn what_is_on_its_way_is_no_difference() {
    proof(async {
        let mut stage = Stage::online(40).await;
        stage.rehearsal.settle().await.expect("a quiet register");
        stage.rehearsal.kill();
        // Nobody pulls and nobody pushes: the command itself compares.
        let conn = open(&stage, "catalogue.db");
        let keys = numbers(&conn, &format!("SELECT RECID FROM \"{PRICES}\" ORDER BY RECID"));
        drop(conn);
        let price =
            format!("UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = 7.5 WHERE [RECID] = {};", keys[3]);
        stage.rehearsal.office(&price).expect("another price");
        let gone = format!("DELETE FROM [ax].[PRICEDISCTABLE] WHERE [RECID] = {};", keys[9]);
        stage.rehearsal.office(&gone).expect("a price less");
        // The cashier's side: any program's write is a change to send.
        let journal = open(&stage, "journal.db");
        let accounts =
            texts(&journal, &format!("SELECT ACCOUNTNUM FROM \"{CUSTOMERS}\" ORDER BY 1"));
        let credit = format!(
            "UPDATE \"{CUSTOMERS}\" SET CREDITMAX = '77.0000000000000000' WHERE ACCOUNTNUM = '{}'",
            accounts[1]
        );
        assert_eq!(journal.execute(&credit, ()).expect("a credit"), 1);
        drop(journal);

        let (status, report, told) = verify(&stage, &[]);
        assert_eq!(status, Some(0), "{told}\n{report:#}");
        assert_eq!(table(&report, PRICES)["behind"], 2, "{report:#}");
        assert_eq!(table(&report, CUSTOMERS)["unsent"], 1, "{report:#}");
        assert!(named(&report).is_empty(), "{report:#}");

        // A harm beside what is on its way is still one, in the very same table.
        let harm = [format!("DELETE FROM \"{PRICES}\" WHERE RECID = {}", keys[4])];
        tamper(&stage, "catalogue.db", PRICES, &harm);
        let (status, report, _) = verify(&stage, &["--table", PRICES]);
        assert_eq!(status, Some(1), "{report:#}");
        assert_eq!(named(&report), [format!("missing-offline {}", keys[4])]);
        assert_eq!(table(&report, PRICES)["behind"], 2);

        for (words, code) in [
            (["--table", "ax.NOWHERE"], "table-unknown"),
            (["--scope", "Nowhere"], "scope-unknown"),
            (["--table", "ax.RETAILTRANSACTIONTABLE"], "verify-nothing"),
        ] {
            let (status, _, told) = verify(&stage, &words);
            assert_eq!(status, Some(2), "{told}");
            assert!(told.contains(code), "{told}");
        }
        stage.start().await;
        stage.rehearsal.settle().await.expect("a quiet register");
        let (_, report, _) = verify(&stage, &[]);
        assert_eq!(named(&report), [format!("missing-offline {}", keys[4])], "{report:#}");
        for name in [PRICES, CUSTOMERS] {
            assert_eq!(table(&report, name)["behind"], 0, "{report:#}");
            assert_eq!(table(&report, name)["unsent"], 0, "{report:#}");
        }
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        let (status, _, told) = verify(&stage, &["--table", PRICES]);
        assert_eq!(status, Some(2), "{told}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The register has the rows that pass; rows that do not are neither missing nor, when they are there, welcome.
#[test]
fn a_row_filter_holds_for_the_comparison_too() {
    proof(async {
        let filtered = |profile: String| {
            let (top, rest) =
                profile.split_once("[[scope]]\nname = \"1010 Customers\"").expect("the scope");
            let (_, others) = rest.split_once("[[scope]]").expect("another scope");
            format!(
                "{top}[[scope]]\nname = \"1010 Customers\"\nresolver = \"offline-wins\"\n\
                 tables = [{{ name = \"{CUSTOMERS}\", exclude = [\"BLOCKED\"], \
                 filter = \"CREDITMAX <= 500000\" }}]\n\n[[scope]]{others}"
            )
        };
        let mut stage = Stage::prepared_with(20, filtered).await;
        stage.rehearsal.office("UPDATE [ax].[CUSTTABLE] SET [CREDITMAX] = 0;").expect("a start");
        let rich =
            "UPDATE [ax].[CUSTTABLE] SET [CREDITMAX] = 600000 WHERE [ACCOUNTNUM] LIKE N'%1';";
        assert!(stage.rehearsal.office(rich).expect("rich customers") > 0);
        stage.start().await;
        stage.rehearsal.settle().await.expect("a quiet register");
        let (status, report, told) = verify(&stage, &[]);
        assert_eq!(status, Some(0), "{told}\n{report:#}");
        let rows = table(&report, CUSTOMERS)["rows_offline"].as_u64().expect("rows");
        let all = stage.rehearsal.count("SELECT [ACCOUNTNUM] FROM [ax].[CUSTTABLE];").expect("all");
        assert!(rows > 0 && rows < all as u64, "{rows} of {all}");
        // As if one had stayed that does not pass.
        let journal = open(&stage, "journal.db");
        let accounts =
            texts(&journal, &format!("SELECT ACCOUNTNUM FROM \"{CUSTOMERS}\" ORDER BY 1"));
        let stray = format!(
            "UPDATE \"{CUSTOMERS}\" SET ACCOUNTNUM = '{}x' WHERE ACCOUNTNUM = '{}'",
            accounts[2], accounts[2]
        );
        tamper(&stage, "journal.db", CUSTOMERS, &[stray]);
        let (status, report, _) = verify(&stage, &["--table", CUSTOMERS]);
        assert_eq!(status, Some(1), "{report:#}");
        let kinds: Vec<String> = named(&report);
        assert_eq!(kinds.len(), 2, "{report:#}");
        assert!(kinds[0].starts_with("missing-at-channel"), "{report:#}");
        assert!(kinds[1].starts_with("missing-offline"), "{report:#}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Both sides move while they are compared: sales, pushes, pulls and head office. Nothing of that is a difference, and
/// nobody waits.
#[test]
fn a_busy_register_is_compared_without_a_false_word() {
    proof(async {
        let mut stage = Stage::online(40).await;
        stage.rehearsal.settle().await.expect("a quiet register");
        let told = stage.rehearsal.folder().join("verify.json");
        let mut round = 0;
        for _ in 0..6 {
            let mut comparing = Command::new(PROGRAM)
                .args(["verify", "--json", "--config"])
                .arg(stage.rehearsal.config())
                .stdout(File::create(&told).expect("a file"))
                .spawn()
                .expect("a run of the program");
            let status = loop {
                if let Some(status) = comparing.try_wait().expect("its end") {
                    break status;
                }
                round += 1;
                stage.rehearsal.sell(1).await.expect("a sale");
                let price = format!(
                    "UPDATE [ax].[PRICEDISCTABLE] SET [AMOUNT] = {round} WHERE [RECID] % 5 = {};",
                    round % 5
                );
                stage.rehearsal.office(&price).expect("other prices");
                let credit = format!("UPDATE [ax].[CUSTTABLE] SET [CREDITMAX] = {round};");
                stage.rehearsal.office(&credit).expect("other credits");
                if round % 2 == 0 {
                    stage.rehearsal.settle().await.expect("a pull");
                }
            };
            let report = std::fs::read_to_string(&told).expect("a report");
            assert_eq!(status.code(), Some(0), "{report}");
        }
        assert!(round >= 6, "{round} rounds beside six comparisons");
        stage.rehearsal.settle().await.expect("a quiet register");
        let (status, report, told) = verify(&stage, &[]);
        assert_eq!(status, Some(0), "{told}\n{report:#}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Only the chosen products' rows are expected: another one is at the channel, and still a row too many here.
#[test]
fn an_offline_choice_holds_for_the_comparison_too() {
    proof(async {
        let choice = "\n[offline_products]\nsold_top = 5\nsold_days = 3\n";
        let mut stage = Stage::prepared_with(20, |profile| profile + choice).await;
        for (number, (item, cents)) in sold().iter().enumerate() {
            sale(&stage, number + 1, item, *cents);
        }
        stage.start().await;
        stage.rehearsal.settle().await.expect("a quiet register");
        let (status, report, told) = verify(&stage, &[]);
        assert_eq!(status, Some(0), "{told}\n{report:#}");
        let rows = table(&report, PRICES)["rows_offline"].as_u64().expect("rows");
        assert!(rows > 0 && rows < 200, "{rows}");

        let recids = "SELECT RECID FROM \"ax.PRICEDISCTABLE\" ORDER BY RECID";
        let here = numbers(&open(&stage, "catalogue.db"), recids);
        let least = here[0].min(5_637_144_576);
        let elsewhere = (least..).find(|number| !here.contains(number)).expect("a number");
        let there =
            format!("SELECT [RECID] FROM [ax].[PRICEDISCTABLE] WHERE [RECID] = {elsewhere};");
        assert_eq!(stage.rehearsal.count(&there).expect("a count"), 1, "{elsewhere}");
        let harm = [copied(&open(&stage, "catalogue.db"), PRICES, here[0], elsewhere)];
        tamper(&stage, "catalogue.db", PRICES, &harm);
        let (status, report, _) = verify(&stage, &["--table", PRICES]);
        assert_eq!(status, Some(1), "{report:#}");
        assert_eq!(named(&report), [format!("missing-at-channel {elsewhere}")], "{report:#}");
        stage.rehearsal.close().await.expect("an end");
    });
}
