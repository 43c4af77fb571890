//! A channel that was restored from a backup gets what it lacks of the sales that it had taken.

use crate::harness::{Stage, proof};
use crate::snapshots::{Second, done, run};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use tillhold_core::text::hexadecimal;

/// As a backup from before them: the channel knows nothing of all sales but the first `kept`.
fn restore(stage: &Stage, kept: usize) {
    lose(stage, kept..stage.rehearsal.sold.len());
    let office = |sql| stage.rehearsal.office(sql).expect("what the backup has");
    office("UPDATE [ax].[RETAILPOSSEEDDATA] SET [DATAVALUE] = 1 WHERE [DATATYPE] = 8;");
    office("UPDATE [tillhold].[epoch] SET [id] = NEWID();");
}

fn lose(stage: &Stage, sales: Range<usize>) {
    let office = |sql: String| stage.rehearsal.office(&sql).expect("a loss");
    for sold in &stage.rehearsal.sold[sales] {
        let sale = &sold.sale;
        let tables: BTreeSet<String> =
            sale.rows.iter().map(|row| row.table.name.to_string()).collect();
        for table in tables.iter().filter(|table| table.starts_with("ax.RETAILTRANSACTION")) {
            office(format!("DELETE FROM {table} WHERE [TRANSACTIONID] = N'{}';", sale.number));
        }
        let id = hexadecimal(&sale.id);
        let parts = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        let ledger = format!("DELETE FROM [tillhold].[ledger] WHERE [transaction_id] = '{parts}';");
        assert_eq!(office(ledger), 1, "{parts}");
    }
}

impl Stage {
    /// A register that is online and has sold, and its channel has it all.
    async fn sold(sales: usize) -> Stage {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(sales).await.expect("sales");
        stage.rehearsal.settle().await.expect("all sent");
        stage
    }

    /// Whoever looks at the register, its store or its data is told how many sales wait for a person.
    async fn awaits(&self, sales: u64) {
        let told = |status: &Json| status["lost"] == sales;
        let limit = Duration::from_secs(60);
        let status = self.rehearsal.until("what is lost", limit, told).await.expect("a status");
        let verified = self.tillhold(&["verify", "--json"]);
        let verified: Json = serde_json::from_str(&verified.stdout).expect("what it says");
        assert_eq!(verified["sales_lost"], sales, "{verified:#}");
        assert_eq!(verified["equal"], sales == 0, "{verified:#}");
        let code = if sales == 0 { Json::Null } else { "sales-lost".into() };
        assert_eq!(status["lost_fault"]["code"], code, "{status:#}");
        let shown = self.tillhold(&["status"]).stdout;
        assert_eq!(shown.contains("[sales-lost]"), sales > 0, "{shown}");
        let is_told = |_: &Json| {
            let fleet = self.tillhold(&["fleet"]).stdout;
            fleet.contains("sales-lost") == (sales > 0)
        };
        self.rehearsal.until("a word to the store", limit, is_told).await.expect("a report");
    }
}

fn ledger(stage: &Stage) -> usize {
    stage.rehearsal.ledger_count().expect("the ledger")
}

#[test]
fn what_a_restored_channel_lacks_is_sent_once_more() {
    proof(async {
        let mut stage = Stage::sold(5).await;
        let all = ledger(&stage);
        stage.rehearsal.cut().await.expect("a cut");
        restore(&stage, 2);
        assert_eq!(ledger(&stage), all - 3);
        stage.rehearsal.sell(1).await.expect("a sale offline");
        stage.rehearsal.restore().await.expect("the line");
        stage.state("online").await;
        stage.holds().await;
        assert_eq!(ledger(&stage), all + 1);
        let log = stage.rehearsal.log();
        assert!(log.contains("the channel has lost 3 sales that it took"), "{log}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Another register has carried in by hand what was unsent: that it is there says nothing of what came before.
#[test]
fn what_arrived_another_way_hides_nothing_that_is_lost() {
    proof(async {
        let mut stage = Stage::sold(5).await;
        let all = ledger(&stage);
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(2).await.expect("sales offline");
        let told = run(&["export", "unsent", "--json"], &stage.rehearsal.config());
        let told: Json = serde_json::from_str(done(&told)).expect("what it says");
        stage.rehearsal.kill();
        lose(&stage, 2..5);
        stage.rehearsal.restore().await.expect("the line");
        let file = told["path"].as_str().expect("its path");
        done(&Second::of(&stage, "").run(&["import", "unsent", file]));
        assert_eq!(ledger(&stage), all - 3 + 2);
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        assert_eq!(ledger(&stage), all + 3);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// It may be the wrong one: nobody fills that with all sales of the last weeks by a slip.
#[test]
fn a_channel_that_has_no_sale_of_the_register_gets_them_when_a_person_says_so() {
    proof(async {
        let mut stage = Stage::sold(3).await;
        stage.rehearsal.kill();
        restore(&stage, 0);
        let anew = stage.tillhold(&["reprovision"]);
        assert!(anew.stderr.contains("error[reprovision-unsent]"), "{}", anew.stderr);
        assert!(anew.stderr.contains("the last 3 sales"), "{}", anew.stderr);
        let before = ledger(&stage);
        stage.start().await;
        let log = stage.rehearsal.log();
        assert!(log.contains("[sales-lost] the channel lacks the last 3 sales"), "{log}");
        stage.awaits(3).await;
        // What arrives meanwhile hides nothing, from a person or from whoever starts the agent again.
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.settle().await.expect("all sent");
        assert_eq!(ledger(&stage), before + 1);
        stage.rehearsal.kill();
        stage.start().await;
        stage.awaits(3).await;
        let synced = stage.tillhold(&["sync", "--resend"]);
        assert!(synced.stdout.contains("pushed\t3 sales"), "{}{}", synced.stdout, synced.stderr);
        assert_eq!(ledger(&stage), before + 4);
        stage.awaits(0).await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

const OURS: &str = "11111111-1111-4111-8111-111111111111";
const INTERIM: &str = "22222222-2222-4222-8222-222222222222";

fn live(stage: &Stage, life: &str) {
    let sql = format!("UPDATE [tillhold].[epoch] SET [id] = '{life}';");
    assert_eq!(stage.rehearsal.office(&sql).expect("a life"), 1);
}

/// An empty database was in place while the channel was mended: what it took is behind what it got by a person's word.
#[test]
fn what_was_sent_to_a_channel_in_between_is_told_when_the_first_one_is_back() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        live(&stage, OURS);
        stage.start().await;
        stage.rehearsal.sell(3).await.expect("sales");
        stage.rehearsal.settle().await.expect("all sent");
        stage.rehearsal.kill();
        let all = ledger(&stage);
        lose(&stage, 0..3);
        live(&stage, INTERIM);
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.rehearsal.settle().await.expect("all sent");
        let synced = stage.tillhold(&["sync", "--resend"]);
        assert!(synced.stdout.contains("pushed\t3 sales"), "{}{}", synced.stdout, synced.stderr);
        stage.rehearsal.kill();
        lose(&stage, 3..5);
        live(&stage, OURS);
        stage.start().await;
        assert_eq!(ledger(&stage), all);
        stage.awaits(2).await;
        let synced = stage.tillhold(&["sync", "--resend"]);
        assert!(synced.stdout.contains("pushed\t2 sales"), "{}{}", synced.stdout, synced.stderr);
        assert_eq!(ledger(&stage), all + 2);
        stage.awaits(0).await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

const EARLY: &str = "1020 Prices and discounts";
const LATE: &str = "1010 Customers";

/// Nobody cuts a line or starts a register, and the customers are not due for an hour.
#[test]
fn a_register_that_stays_online_loads_everything_anew_from_a_restored_channel() {
    proof(async {
        let rarely = |profile: String| {
            let late = format!("name = \"{LATE}\"\n");
            let rarely = profile.replace(&late, &format!("{late}frequency_s = 3600\n"));
            format!("{rarely}\n[[scope]]\nname = \"{EARLY}\"\nfrequency_s = 1\n")
        };
        let mut stage = Stage::prepared_with(20, rarely).await;
        stage.start().await;
        stage.rehearsal.sell(4).await.expect("sales");
        stage.rehearsal.settle().await.expect("all sent");
        let all = ledger(&stage);
        let rows = |status: &Json| {
            let scopes = status["scopes"].as_array().expect("scopes");
            let late = scopes.iter().find(|scope| scope["name"] == LATE).expect("the scope");
            late["total"]["rows_in"].as_u64().expect("a number")
        };
        let first = rows(&stage.rehearsal.get("/v1/status").await.expect("a status").body);
        assert!(first > 0);
        restore(&stage, 2);
        // Before anybody has noticed, perhaps: it lies above what is missing.
        stage.rehearsal.sell(1).await.expect("a sale");
        let limit = Duration::from_secs(60);
        let anew = |status: &Json| rows(status) >= 2 * first;
        stage.rehearsal.until("everything anew", limit, anew).await.expect("a load");
        let is_whole = |_: &Json| ledger(&stage) == all + 1;
        stage.rehearsal.until("all sent", limit, is_whole).await.expect("a push");
        let log = stage.rehearsal.log();
        assert!(log.contains("the channel has lost 2 sales that it took"), "{log}");
        // Which brings the channel the register's last numbers.
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
