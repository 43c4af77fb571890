//! Offline customers with the real agent: who is chosen, together with a row filter, and what is unsent when no
//! personal data may stay.

use crate::filters::filtered;
use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::collections::BTreeSet;

type Accounts = BTreeSet<String>;

/// Passes every customer of the demonstration until head office says otherwise.
const FILTER: &str = "NOT BLOCKED = 1";

fn offline(stage: &Stage, table: &str) -> Accounts {
    let file = stage.rehearsal.folder().join("offline/journal.db");
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let conn = conn.expect("the journal");
    let sql = format!("SELECT ACCOUNTNUM FROM \"{table}\"");
    let mut select = conn.prepare(&sql).expect("a table");
    let rows = select.query_map((), |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("accounts")
}

/// The customers that the channel has, in order.
fn at_the_channel(stage: &Stage) -> Vec<String> {
    let wanted = stage.rehearsal.count("SELECT [RECID] FROM [ax].[CUSTTABLE];").expect("a count");
    let all: Vec<String> = offline(stage, "ax.CUSTTABLE").into_iter().collect();
    assert_eq!(all.len(), wanted, "a register without a choice has them all");
    all
}

fn change_profile(stage: &Stage, change: impl FnOnce(String) -> String) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    std::fs::write(&path, change(text)).expect("another profile");
}

fn office(stage: &Stage, set: &str, account: &str) {
    let sql = format!("UPDATE [ax].[CUSTTABLE] SET {set} WHERE [ACCOUNTNUM] = N'{account}';");
    assert_eq!(stage.rehearsal.office(&sql).expect("an edit"), 1);
}

async fn chosen_anew(stage: &Stage) {
    let answer = stage.rehearsal.post("/v1/sync?selection=true").await.expect("an answer");
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

/// The changed profile is taken, and its choice stands.
async fn in_force(stage: &Stage) {
    stage.rehearsal.settle().await.expect("the profile taken");
    let stands = |status: &serde_json::Value| {
        status["selection"]["customers"]["in_force"] == true && status["profile_fault"].is_null()
    };
    let limit = std::time::Duration::from_secs(120);
    let reached = stage.rehearsal.until("the choice in force", limit, stands).await;
    reached.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
}

/// A sale of another register of this store on a customer's account.
fn visit(stage: &Stage, number: usize, account: &str) {
    let settings = std::fs::read_to_string(stage.rehearsal.config()).expect("settings");
    let store = settings.lines().find_map(|line| line.strip_prefix("store = ")).expect("a store");
    let store = store.trim().trim_matches(['"', '\'']);
    let sql = format!(
        "INSERT INTO [ax].[RETAILTRANSACTIONTABLE] ([CHANNEL], [STORE], [TERMINAL], [TRANSACTIONID], [DATAAREAID], [TYPE], [ENTRYSTATUS], [CUSTACCOUNT], [TRANSDATE]) \
         VALUES (1, N'{store}', N'000099', N'V{number}', N'USRT', 2, 0, N'{account}', CONVERT(date, SYSUTCDATETIME()));"
    );
    assert_eq!(stage.rehearsal.office(&sql).expect("a visit"), 1);
}

/// A row is on the register when both the choice and the filter let it in, whichever of them changes.
#[test]
fn a_customer_is_there_who_is_chosen_and_passes_the_filter() {
    proof(async {
        let mut stage = Stage::prepared_with(12, |profile| filtered(&profile, FILTER)).await;
        stage.start().await;
        let all = at_the_channel(&stage);
        assert!(all.len() > 6, "{all:?}");
        let of = |at: &[usize]| -> Accounts { at.iter().map(|at| all[*at].clone()).collect() };
        // Blocked before anyone chose, and never chosen.
        office(&stage, "[BLOCKED] = 1", &all[1]);
        office(&stage, "[BLOCKED] = 1", &all[5]);
        let choice = format!(
            "\n[offline_customers]\naccounts = [\"{}\", \"{}\", \"{}\"]\n",
            all[0], all[1], all[2]
        );
        change_profile(&stage, |profile| profile + &choice);
        in_force(&stage).await;
        assert_eq!(offline(&stage, "ax.CUSTTABLE"), of(&[0, 2]), "chosen, and not blocked");
        assert_eq!(offline(&stage, "ax.RETAILCUSTTABLE"), of(&[0, 1, 2]), "it has no filter");

        for (set, account, expected) in [
            ("[BLOCKED] = 0", 1, &[0, 1, 2][..]),
            ("[BLOCKED] = 1", 2, &[0, 1]),
            ("[BLOCKED] = 0", 5, &[0, 1]),
            ("[CREDITMAX] = 7", 4, &[0, 1]),
        ] {
            office(&stage, set, &all[account]);
            stage.rehearsal.settle().await.expect("settled");
            assert_eq!(offline(&stage, "ax.CUSTTABLE"), of(expected), "{set} of {account}");
        }
        // Who joins by the choice has to pass the filter too.
        let more = format!("accounts = [\"{}\", \"{}\", ", all[5], all[6]);
        office(&stage, "[BLOCKED] = 1", &all[6]);
        change_profile(&stage, |profile| profile.replace("accounts = [", &more));
        chosen_anew(&stage).await;
        in_force(&stage).await;
        assert_eq!(offline(&stage, "ax.CUSTTABLE"), of(&[0, 1, 5]));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The most frequent visitors, as head office's own count has them; then nobody, but for what is unsent.
#[test]
fn the_best_customers_come_and_an_unsent_one_stays_until_it_is_sent() {
    proof(async {
        let mut stage = Stage::prepared_with(12, |profile| filtered(&profile, FILTER)).await;
        stage.start().await;
        let all = at_the_channel(&stage);
        let mut number = 0;
        for (at, visits) in [(3, 4), (4, 3), (2, 1)] {
            for _ in 0..visits {
                number += 1;
                visit(&stage, number, &all[at]);
            }
        }
        let top = "\n[offline_customers]\ntop = 2\ntop_by = \"visits\"\ndays = 3\n";
        change_profile(&stage, |profile| profile + top);
        in_force(&stage).await;
        let best: Accounts = [all[3].clone(), all[4].clone()].into();
        assert_eq!(offline(&stage, "ax.CUSTTABLE"), best);
        for _ in 0..5 {
            number += 1;
            visit(&stage, number, &all[2]);
        }
        chosen_anew(&stage).await;
        let best: Accounts = [all[2].clone(), all[3].clone()].into();
        assert_eq!(offline(&stage, "ax.CUSTTABLE"), best);

        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        let values = json!({ "ACCOUNTNUM": all[3], "DATAAREAID": "USRT", "CREDITMAX": "4711" });
        let row = json!({ "table": "ax.CUSTTABLE", "operation": "update", "values": values });
        let path = "/v1/transactions/00000000-0000-4000-8000-000000000001";
        let answer = stage.rehearsal.put(path, &json!({ "rows": [row] })).await.expect("an answer");
        assert!(answer.is_success(), "{} {}", answer.status, answer.body);
        stage.rehearsal.kill();
        change_profile(&stage, |profile| profile.replace(top, NOBODY));
        stage.rehearsal.start().await.expect("a start without the channel");
        assert!(offline(&stage, "ax.CUSTTABLE").contains(&all[3]), "it is unsent");
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        in_force(&stage).await;
        chosen_anew(&stage).await;
        assert_eq!(offline(&stage, "ax.CUSTTABLE"), Accounts::new());
        let sql = format!(
            "SELECT [RECID] FROM [ax].[CUSTTABLE] WHERE [ACCOUNTNUM] = N'{}' AND [CREDITMAX] = 4711;",
            all[3]
        );
        assert_eq!(stage.rehearsal.count(&sql).expect("a count"), 1, "the channel has the edit");
        stage.rehearsal.close().await.expect("an end");
    });
}

const NOBODY: &str = "\n[offline_customers]\npersonal_data = false\n";
