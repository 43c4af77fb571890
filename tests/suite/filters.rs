//! Row filters with the real agent: a register has the rows that pass, whoever changed them and wherever they are read.

use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::collections::BTreeSet;

/// BLOCKED does not travel; the channel asks by it all the same.
const FILTER: &str = "CREDITMAX <= 500000 AND NOT BLOCKED = 1";

fn customers(filter: &str) -> String {
    format!(
        "[[scope]]\nname = \"1010 Customers\"\nresolver = \"offline-wins\"\n\
         tables = [{{ name = \"ax.CUSTTABLE\", exclude = [\"BLOCKED\"], filter = \"{filter}\" }}]\n"
    )
}

/// The demonstration's profile with a filter in the place of the customers' own settings.
pub fn filtered(profile: &str, filter: &str) -> String {
    let (top, rest) =
        profile.split_once("[[scope]]\nname = \"1010 Customers\"").expect("the scope");
    let (_, others) = rest.split_once("[[scope]]").expect("another scope");
    format!("{top}{}\n[[scope]]{others}", customers(filter))
}

struct Till {
    stage: Stage,
}

type Accounts = BTreeSet<String>;

impl Till {
    /// Accounts of the offline database itself.
    fn offline(&self) -> Accounts {
        let file = self.stage.rehearsal.folder().join("offline/journal.db");
        let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let conn = conn.expect("the journal");
        let mut select = conn.prepare("SELECT ACCOUNTNUM FROM \"ax.CUSTTABLE\"").expect("a table");
        let rows = select.query_map((), |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("accounts")
    }

    /// Accounts as the front door gives them, and which database gave them.
    async fn read(&self) -> (String, Accounts) {
        let path = "/v1/tables/ax.CUSTTABLE/rows?limit=1000";
        let page = self.stage.rehearsal.get(path).await.expect("a page").body;
        let rows = page["rows"].as_array().expect("rows");
        assert!(rows.iter().all(|row| row["BLOCKED"].is_null()), "it stays at the channel");
        let account = |row: &serde_json::Value| row["ACCOUNTNUM"].as_str().map(str::to_string);
        let source = page["source"].as_str().expect("a source").to_string();
        (source, rows.iter().filter_map(account).collect())
    }

    fn office(&self, set: &str, account: &str) {
        let sql = format!("UPDATE [ax].[CUSTTABLE] SET {set} WHERE [ACCOUNTNUM] = N'{account}';");
        self.stage.rehearsal.office(&sql).expect("an edit");
    }

    /// The cashier gives a customer another credit.
    async fn credit(&self, number: u32, account: &str, credit: &str) {
        let values = json!({ "ACCOUNTNUM": account, "DATAAREAID": self.company(account), "CREDITMAX": credit });
        let row = json!({ "table": "ax.CUSTTABLE", "operation": "update", "values": values });
        let path = format!("/v1/transactions/00000000-0000-4000-8000-{number:012}");
        let answer = self.stage.rehearsal.put(&path, &json!({ "rows": [row] })).await;
        let answer = answer.expect("an answer");
        assert!(answer.is_success(), "{} {}", answer.status, answer.body);
    }

    fn company(&self, account: &str) -> String {
        let file = self.stage.rehearsal.folder().join("offline/journal.db");
        let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let sql = "SELECT DATAAREAID FROM \"ax.CUSTTABLE\" WHERE ACCOUNTNUM = ?1";
        conn.expect("the journal").query_row(sql, [account], |row| row.get(0)).expect("a customer")
    }

    async fn settle(&self) {
        self.stage.rehearsal.settle().await.expect("a quiet register");
    }
}

#[test]
fn a_row_that_leaves_the_filter_leaves_the_register_and_one_that_enters_arrives() {
    proof(async {
        let mut stage = Stage::prepared_with(12, |profile| filtered(&profile, FILTER)).await;
        let zero = "UPDATE [ax].[CUSTTABLE] SET [CREDITMAX] = 0, [BLOCKED] = 0;";
        stage.rehearsal.office(zero).expect("a start");
        stage.start().await;
        let till = Till { stage };
        till.settle().await;
        let all: Vec<String> = till.offline().into_iter().collect();
        assert!(all.len() > 5, "{all:?}");
        let without = |gone: &[usize]| -> Accounts {
            (0..all.len()).filter(|at| !gone.contains(at)).map(|at| all[at].clone()).collect()
        };

        // Head office, by a column that travels and by one that does not.
        till.office("[CREDITMAX] = 600000", &all[0]);
        till.office("[BLOCKED] = 1", &all[1]);
        till.settle().await;
        assert_eq!(till.offline(), without(&[0, 1]));
        // The cashier: it leaves as its write is settled, before any pull.
        till.credit(1, &all[2], "600000").await;
        assert_eq!(till.offline(), without(&[0, 1, 2]), "its own write put it out");
        till.office("[BLOCKED] = 0", &all[1]);
        till.settle().await;
        assert_eq!(till.offline(), without(&[0, 2]), "one has come back");
        assert_eq!(till.read().await, ("channel".to_string(), without(&[0, 2])));

        // Offline: what is unsent stays until it is sent.
        till.stage.rehearsal.cut().await.expect("a cut");
        till.stage.state("offline").await;
        assert_eq!(till.read().await, ("offline".to_string(), without(&[0, 2])));
        till.credit(2, &all[3], "600000").await;
        till.credit(3, &all[4], "7").await;
        assert_eq!(till.read().await.1, without(&[0, 2]));
        // Head office puts out of the filter what the cashier has just changed: for the register it is gone.
        till.office("[BLOCKED] = 1", &all[4]);
        till.stage.rehearsal.restore().await.expect("the line back");
        till.stage.state("online").await;
        till.settle().await;
        assert_eq!(till.offline(), without(&[0, 2, 3, 4]));
        let sql = format!(
            "SELECT [ACCOUNTNUM] FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = N'{}' AND [CREDITMAX] = 7;",
            all[4]
        );
        assert_eq!(till.stage.rehearsal.count(&sql).expect("a count"), 1, "offline wins");
        till.stage.rehearsal.close().await.expect("an end");
    });
}

/// The profile gets another filter: that table is loaded anew, and rows that pass no longer vanish; unsent sales do not.
#[test]
fn another_filter_loads_the_table_anew_and_keeps_what_is_unsent() {
    proof(async {
        let mut stage = Stage::prepared_with(12, |profile| filtered(&profile, FILTER)).await;
        let odd = "UPDATE [ax].[CUSTTABLE] SET [CREDITMAX] = 0, [BLOCKED] = 0;";
        stage.rehearsal.office(odd).expect("a start");
        stage.start().await;
        let mut till = Till { stage };
        till.settle().await;
        let all: Vec<String> = till.offline().into_iter().collect();
        till.office("[CREDITMAX] = 9", &all[0]);
        till.stage.rehearsal.cut().await.expect("a cut");
        till.stage.state("offline").await;
        till.credit(1, &all[1], "12.50").await;
        till.stage.rehearsal.kill();
        let file = till.stage.rehearsal.folder().join("profile.toml");
        let profile = std::fs::read_to_string(&file).expect("the profile");
        std::fs::write(&file, filtered(&profile, "CREDITMAX > 5")).expect("another profile");
        till.stage.rehearsal.restore().await.expect("the line back");
        till.stage.start().await;
        till.settle().await;
        assert_eq!(till.offline(), all[..2].iter().cloned().collect::<Accounts>());
        let sent = format!(
            "SELECT [ACCOUNTNUM] FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = N'{}' AND [CREDITMAX] = 12.5;",
            all[1]
        );
        assert_eq!(till.stage.rehearsal.count(&sent).expect("a count"), 1);

        // A filter that does not fit is refused with its place, and the one before it stays.
        till.stage.rehearsal.kill();
        std::fs::write(&file, filtered(&profile, "CREDITMAXX > 5")).expect("a wrong profile");
        till.stage.start().await;
        till.settle().await;
        let status = till.stage.rehearsal.get("/v1/status").await.expect("a status").body;
        let fault = &status["profile_fault"];
        assert_eq!(fault["code"], "settings", "{fault:#}");
        let said = fault["message"].as_str().expect("words");
        assert!(
            said.ends_with(
                "column 1: ax.CUSTTABLE has no column CREDITMAXX; did you mean CREDITMAX?"
            ),
            "{said}"
        );
        assert_eq!(till.offline().len(), 2, "nothing came in unfiltered");
        till.stage.rehearsal.sell(1).await.expect("a sale");
        till.stage.rehearsal.close().await.expect("an end");
    });
}

/// The channel loses a column that a filter goes by and that does not travel: its scope stops with the filter's place, and no
/// sale.
#[test]
fn a_filter_that_fits_no_more_stops_its_scope_and_lets_nothing_in() {
    proof(async {
        let mut stage = Stage::prepared_with(12, |profile| filtered(&profile, FILTER)).await;
        // BLOCKED has a default, which holds its column.
        let own = "ALTER TABLE [ax].[CUSTTABLE] ADD [HIDDEN] int NULL;";
        stage.rehearsal.office(own).expect("a column of the retailer's");
        let odd = "UPDATE [ax].[CUSTTABLE] SET [CREDITMAX] = 0, [HIDDEN] = 0;";
        stage.rehearsal.office(odd).expect("a start");
        let file = stage.rehearsal.folder().join("profile.toml");
        let profile = std::fs::read_to_string(&file).expect("the profile");
        let by_own = filtered(&profile, "CREDITMAX <= 500000 AND HIDDEN = 0");
        let by_own =
            by_own.replace("exclude = [\"BLOCKED\"]", "exclude = [\"BLOCKED\", \"HIDDEN\"]");
        std::fs::write(&file, by_own).expect("another profile");
        stage.rehearsal.prepare().await.expect("the channel prepared for it");
        stage.start().await;
        let mut till = Till { stage };
        till.settle().await;
        let before = till.offline();
        assert!(before.len() > 2, "{before:?}");
        till.stage.rehearsal.kill();
        till.office("[CREDITMAX] = 600000", before.first().expect("an account"));
        let drop = "ALTER TABLE [ax].[CUSTTABLE] DROP COLUMN [HIDDEN];";
        till.stage.rehearsal.office(drop).expect("a column less");
        till.stage.start().await;
        till.settle().await;
        let status = till.stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert!(status["profile_fault"].is_null(), "the profile is what it was: {status:#}");
        let scopes = status["scopes"].as_array().expect("scopes").iter();
        let faults: Vec<_> =
            scopes.map(|scope| &scope["fault"]).filter(|f| f.is_object()).collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0]["code"], "filter-misfit");
        let said = faults[0]["message"].as_str().expect("words");
        assert!(said.contains("ax.CUSTTABLE has no column HIDDEN"), "{said}");
        assert_eq!(till.offline(), before, "nothing came in unfiltered, and nothing left");
        till.stage.rehearsal.sell(1).await.expect("a sale");
        till.stage.rehearsal.close().await.expect("an end");
    });
}
