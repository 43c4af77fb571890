//! A register's database that was restored or copied is noticed before it sends; one that only stopped is not.

use crate::harness::{Stage, proof};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// The offline database's files as a backup would take them, while the agent is down.
struct Backup(Vec<(PathBuf, Vec<u8>)>);

impl Backup {
    fn take(folder: &Path) -> Backup {
        let files = std::fs::read_dir(folder.join("offline")).expect("the offline database");
        let files = files.map(|file| file.expect("a file").path());
        let files = files.filter(|file| file.to_string_lossy().contains(".db"));
        Backup(files.map(|f| (f.clone(), std::fs::read(f).expect("its bytes"))).collect())
    }

    fn restore(&self, folder: &Path) {
        for (path, _) in Backup::take(folder).0 {
            std::fs::remove_file(path).expect("an old file away");
        }
        for (path, bytes) in &self.0 {
            std::fs::write(path, bytes).expect("a file back");
        }
    }
}

async fn status(stage: &Stage) -> Json {
    stage.rehearsal.get("/v1/status").await.expect("a status").body
}

async fn until_fault(stage: &Stage, code: &'static str) {
    let limit = std::time::Duration::from_secs(60);
    let stands = |status: &Json| status["push_fault"]["code"] == code;
    let reached = stage.rehearsal.until(code, limit, stands).await;
    reached.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
}

/// Killed, restarted, long offline: the same database goes on, and nobody is alarmed.
#[test]
fn a_register_that_only_stopped_raises_no_alarm() {
    proof(async {
        let mut stage = Stage::online(5).await;
        for round in 0..3 {
            stage.rehearsal.sell(2).await.expect("sales");
            stage.rehearsal.kill();
            if round == 1 {
                // Never heard of at the channel, this run.
                stage.rehearsal.cut().await.expect("a cut");
                stage.rehearsal.start().await.expect("an agent");
                stage.state("offline").await;
                stage.rehearsal.sell(2).await.expect("sales offline");
                stage.rehearsal.kill();
                stage.rehearsal.restore().await.expect("the line");
            }
            stage.start().await;
        }
        stage.holds().await;
        assert_eq!(status(&stage).await["push_fault"], Json::Null);
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_restored_database_sends_nothing_until_a_person_renews_it() {
    proof(async {
        let mut stage = Stage::online(5).await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.rehearsal.kill();
        let folder = stage.rehearsal.folder().to_path_buf();
        let backup = Backup::take(&folder);
        stage.start().await;
        stage.rehearsal.sell(3).await.expect("sales after the backup");
        let mark = status(&stage).await["numbers"]["mark"].as_u64().expect("a mark");
        stage.rehearsal.kill();
        backup.restore(&folder);
        stage.rehearsal.start().await.expect("an agent");
        until_fault(&stage, "register-restored").await;
        let arrived = stage.rehearsal.ledger_count().expect("a ledger");
        // It sells on, above the numbers that the channel knows, and sends nothing.
        let limit = std::time::Duration::from_secs(60);
        let known = |status: &Json| status["numbers"]["mark"].as_u64() == Some(mark);
        stage.rehearsal.until("the marks", limit, known).await.expect("the channel's marks");
        stage.rehearsal.sell(2).await.expect("sales");
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), arrived);
        let renewed = stage.rehearsal.command(&["incarnation", "renew", "--why", "a new disk"]);
        assert!(renewed.await.expect("a renewal")[0].starts_with("incarnation "));
        stage.holds().await;
        assert_eq!(status(&stage).await["push_fault"], Json::Null);
        let log = stage.rehearsal.log();
        let told = |words: &str| log.matches(words).count();
        assert_eq!(told("push stands still: [register-restored]"), 1, "{log}");
        assert_eq!(told("push goes on"), 1, "{log}");
        let why = "SELECT 1 FROM [tillhold].[register] WHERE [why] = N'a new disk';";
        assert_eq!(stage.rehearsal.count(why).expect("a count"), 1);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// With the channel out of reach a restored register cannot know better than its backup: what it sells under a used number
/// is set aside whole, and the sale that had the number stays as it is.
#[test]
fn a_sale_under_a_number_that_the_channel_has_is_never_mixed_into_the_other() {
    proof(async {
        let mut stage = Stage::online(5).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.kill();
        let folder = stage.rehearsal.folder().to_path_buf();
        let backup = Backup::take(&folder);
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales after the backup");
        stage.holds().await;
        stage.rehearsal.kill();
        let lines = "SELECT [LINENUM] FROM [ax].[RETAILTRANSACTIONSALESTRANS];";
        let before = stage.rehearsal.count(lines).expect("lines");
        let arrived = stage.rehearsal.ledger_count().expect("a ledger");
        backup.restore(&folder);
        stage.rehearsal.cut().await.expect("a cut");
        stage.rehearsal.start().await.expect("an agent");
        stage.state("offline").await;
        stage.rehearsal.sell(2).await.expect("sales under used numbers");
        stage.rehearsal.restore().await.expect("the line");
        until_fault(&stage, "register-restored").await;
        let renewed = stage.rehearsal.command(&["incarnation", "renew", "--why", "a new disk"]);
        renewed.await.expect("a renewal");
        let limit = std::time::Duration::from_secs(60);
        let aside = |status: &Json| status["quarantined"] == 2;
        let seen = stage.rehearsal.until("two sales set aside", limit, aside).await;
        seen.unwrap_or_else(|error| panic!("{error}\n{}", stage.rehearsal.log()));
        let list = stage.rehearsal.get("/v1/quarantine").await.expect("a list").body;
        assert_eq!(list.to_string().matches("number-taken").count(), 2, "{list}");
        assert_eq!(stage.rehearsal.count(lines).expect("lines"), before);
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), arrived);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Two computers with one register's files take turns: the second finds out, and then so does the first.
#[test]
fn a_copied_database_stops_both() {
    proof(async {
        let mut stage = Stage::online(5).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.kill();
        let folder = stage.rehearsal.folder().to_path_buf();
        let first = Backup::take(&folder);
        stage.start().await;
        stage.state("online").await;
        stage.rehearsal.kill();
        let second = Backup::take(&folder);
        first.restore(&folder);
        stage.rehearsal.start().await.expect("the copy");
        until_fault(&stage, "register-copied").await;
        stage.rehearsal.kill();
        second.restore(&folder);
        stage.rehearsal.start().await.expect("the other");
        until_fault(&stage, "register-copied").await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A new offline database was made for the register; the old one comes back, and by its profile takes no sale meanwhile.
#[test]
fn a_superseded_database_is_told_so_and_may_refuse_to_sell() {
    proof(async {
        let refuse = "\n[incarnation]\nwhen_in_doubt = \"refuse\"\n";
        let mut stage = Stage::prepared_with(5, |profile| profile + refuse).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale of the old database");
        stage.rehearsal.kill();
        let (now, old) = (
            stage.rehearsal.folder().join("offline"),
            stage.rehearsal.folder().join("offline.old"),
        );
        std::fs::rename(&now, &old).expect("the old database aside");
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale of the new database");
        stage.rehearsal.kill();
        std::fs::remove_dir_all(&now).expect("the new one gone");
        std::fs::rename(&old, &now).expect("the old database back");
        stage.rehearsal.start().await.expect("an agent");
        until_fault(&stage, "register-superseded").await;
        let arrived = stage.rehearsal.ledger_count().expect("a ledger");
        let status = status(&stage).await;
        let word = |name: &str| status[name].as_str().expect("a text").to_string();
        let (store, register) = (word("store"), word("register"));
        let values = json!({
            "CHANNEL": 1, "STORE": store, "TERMINAL": register, "DATAAREAID": "USRT",
            "TRANSACTIONID": format!("{store}-{register}-77"),
        });
        let row = json!({ "table": "ax.RETAILTRANSACTIONTABLE", "operation": "insert", "values": values });
        let path = "/v1/transactions/00000000-0000-4000-8000-000000000077";
        let refused =
            stage.rehearsal.put(path, &json!({ "rows": [row] })).await.expect("an answer");
        assert_eq!(refused.body["code"], "register-superseded", "{:#}", refused.body);
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), arrived);
        let renewed = stage.rehearsal.command(&["incarnation", "renew", "--why", "it is the one"]);
        assert!(renewed.await.expect("a renewal")[0].starts_with("incarnation "));
        stage.rehearsal.sell(1).await.expect("it sells again");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
