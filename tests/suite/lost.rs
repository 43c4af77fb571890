//! A channel that was restored from a backup gets what it lacks of the sales that it had taken.

use crate::harness::{Stage, proof};
use crate::snapshots::{Second, done, run};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::ops::Range;
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

fn ledger(stage: &Stage) -> usize {
    stage.rehearsal.ledger_count().expect("the ledger")
}

#[test]
fn what_a_restored_channel_lacks_is_sent_once_more() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(5).await.expect("sales");
        stage.rehearsal.settle().await.expect("all sent");
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
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(5).await.expect("sales");
        stage.rehearsal.settle().await.expect("all sent");
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
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(3).await.expect("sales");
        stage.rehearsal.settle().await.expect("all sent");
        stage.rehearsal.kill();
        restore(&stage, 0);
        let anew = stage.tillhold(&["reprovision"]);
        assert!(anew.stderr.contains("error[reprovision-unsent]"), "{}", anew.stderr);
        assert!(anew.stderr.contains("the last 3 sales"), "{}", anew.stderr);
        let before = ledger(&stage);
        stage.start().await;
        let log = stage.rehearsal.log();
        assert!(log.contains("the channel lacks the last 3 sales"), "{log}");
        // What arrives meanwhile hides nothing from a person.
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.settle().await.expect("all sent");
        assert_eq!(ledger(&stage), before + 1);
        let synced = stage.tillhold(&["sync", "--resend"]);
        assert!(synced.stdout.contains("pushed\t3 sales"), "{}{}", synced.stdout, synced.stderr);
        assert_eq!(ledger(&stage), before + 4);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
