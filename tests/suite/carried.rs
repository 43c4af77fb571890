//! The sales of a dead register, carried by hand: out of its journal without its channel, into the channel from another
//! register of the store, each once, whoever else sends them.

use crate::decided::{edit_in_a_former_life, edit_one_customer, vat_at_the_channel};
use crate::harness::{Stage, proof};
use crate::snapshots::{Second, done, run};
use serde_json::Value as Json;

fn json(text: &str) -> Json {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_dead_registers_sales_come_in_by_hand_and_once() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(2).await.expect("sales online");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(6).await.expect("sales offline");
        let config = stage.rehearsal.config();
        // By the running agent, and once it is dead by its journal alone.
        let alive = json(done(&run(&["export", "unsent", "--json"], &config)));
        assert_eq!(alive["transactions"], 6, "{alive}");
        stage.rehearsal.kill();
        let dead = json(done(&run(&["export", "unsent", "--json"], &config)));
        assert_eq!(
            (&dead["transactions"], &dead["rows"]),
            (&alive["transactions"], &alive["rows"])
        );
        let path = dead["path"].as_str().expect("a path").to_string();
        let second = Second::of(&stage, "");
        // It needs no settings: whoever has the file can check it.
        let checked = std::process::Command::new(crate::harness::PROGRAM)
            .args(["export", "check", &path, "--key", dead["key"].as_str().expect("a key")])
            .output()
            .expect("a run of the program");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

        stage.rehearsal.restore().await.expect("the line back");
        let before = stage.rehearsal.ledger_count().expect("a ledger");
        let torn =
            std::fs::read_to_string(&path).expect("the file").replacen("insert", "delete", 1);
        let other = stage.rehearsal.folder().join("torn.jsonl");
        std::fs::write(&other, torn).expect("a changed file");
        let refused = second.run(&["import", "unsent", &other.display().to_string()]);
        assert!(refused.error.contains("error[unsent-changed]"), "{}", refused.error);
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), before, "nothing was sent");
        let first = json(done(&second.run(&["import", "unsent", "--json", &path])));
        assert_eq!((&first["applied"], &first["already_there"]), (&6.into(), &0.into()), "{first}");
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), before + 6);
        let again = json(done(&second.run(&["import", "unsent", "--json", &path])));
        assert_eq!((&again["applied"], &again["already_there"]), (&0.into(), &6.into()), "{again}");

        // It was not so dead: what it sends is there, and it sells on.
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Head office's row has a lower number than the one that the file's change stands on: it was written after the restoring.
#[test]
fn a_change_from_before_the_channel_was_restored_is_left_and_not_written_over_what_came_since() {
    proof(async {
        let mut stage = Stage::online(20).await;
        edit_in_a_former_life(&mut stage).await;
        let config = stage.rehearsal.config();
        let told = json(done(&run(&["export", "unsent", "--json"], &config)));
        let path = told["path"].as_str().expect("a path").to_string();
        stage.rehearsal.kill();
        stage.rehearsal.restore().await.expect("the line back");
        let second = Second::of(&stage, "");
        let told = second.run(&["import", "unsent", "--json", &path]);
        let left = json(&told.out);
        assert_eq!((told.status, &left["applied"]), (Some(1), &0.into()), "{left} {}", told.error);
        let reason = left["left"][0]["reason"].as_str().expect("a reason");
        assert_eq!(reason, "the channel has changed a row of it since");
        assert!(vat_at_the_channel(&stage, "US-OFFICE-1"));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Every sale counts its number up, and the backup counts from before the register's last ones.
#[test]
fn sales_come_into_a_restored_channel_and_the_higher_number_stands() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(2).await.expect("sales online");
        stage.rehearsal.settle().await.expect("all sent");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(5).await.expect("sales offline");
        let config = stage.rehearsal.config();
        let told = json(done(&run(&["export", "unsent", "--json"], &config)));
        let path = told["path"].as_str().expect("a path").to_string();
        stage.rehearsal.kill();
        let seeds = "UPDATE [ax].[RETAILPOSSEEDDATA] SET [DATAVALUE] = 1 WHERE [DATATYPE] = 8;";
        stage.rehearsal.office(seeds).expect("what the backup has");
        stage.rehearsal.office("UPDATE [tillhold].[epoch] SET [id] = NEWID();").expect("a life");
        stage.rehearsal.restore().await.expect("the line back");
        let before = stage.rehearsal.ledger_count().expect("a ledger");
        let told = Second::of(&stage, "").run(&["import", "unsent", "--json", &path]);
        let found = json(&told.out);
        assert_eq!((told.status, &found["applied"]), (Some(0), &5.into()), "{found}");
        assert_eq!(stage.rehearsal.ledger_count().expect("a ledger"), before + 5);
        let last = &stage.rehearsal.sold.last().expect("a sale").sale.number;
        let counted: u64 = last.rsplit('-').next().and_then(|n| n.parse().ok()).expect("a number");
        let seed = format!(
            "SELECT 1 FROM [ax].[RETAILPOSSEEDDATA] WHERE [DATATYPE] = 8 AND [DATAVALUE] = {counted};"
        );
        assert_eq!(stage.rehearsal.count(&seed).expect("a count"), 1, "{last}");
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A replacement of the register has sold under a number of the file: that sale is left, by name, and no other for it.
#[test]
fn a_sale_whose_number_is_taken_is_left_and_the_others_come_in() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(2).await.expect("sales online");
        stage.rehearsal.settle().await.expect("all sent");
        let there = stage.rehearsal.sold[0].sale.number.clone();
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(5).await.expect("sales offline");
        let first = stage.rehearsal.sold[2].sale.number.clone();
        let config = stage.rehearsal.config();
        let told = json(done(&run(&["export", "unsent", "--json"], &config)));
        let path = told["path"].as_str().expect("a path").to_string();
        stage.rehearsal.kill();
        let taken = format!(
            "UPDATE [ax].[RETAILTRANSACTIONTABLE] SET [TRANSACTIONID] = N'{first}' \
             WHERE [TRANSACTIONID] = N'{there}';"
        );
        stage.rehearsal.office(&taken).expect("another sale of that number");
        stage.rehearsal.restore().await.expect("the line back");
        let told = Second::of(&stage, "").run(&["import", "unsent", "--json", &path]);
        let found = json(&told.out);
        assert_eq!((told.status, &found["applied"]), (Some(1), &4.into()), "{found}");
        assert!(found["left"][0]["reason"].to_string().contains("number-taken"), "{found}");
        assert_eq!(found["left"].as_array().map(Vec::len), Some(1), "{found}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Which life the channel is in cannot be told: the sales come in, and a changed customer is nobody's to write over.
#[test]
fn a_channel_that_does_not_say_its_life_gets_the_sales_and_no_change() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(2).await.expect("sales offline");
        edit_one_customer(&stage, 1).await;
        let config = stage.rehearsal.config();
        let told = json(done(&run(&["export", "unsent", "--json"], &config)));
        let path = told["path"].as_str().expect("a path").to_string();
        stage.rehearsal.kill();
        stage.rehearsal.office("DROP TABLE [tillhold].[epoch];").expect("no life");
        stage.rehearsal.restore().await.expect("the line back");
        let told = Second::of(&stage, "").run(&["import", "unsent", "--json", &path]);
        let found = json(&told.out);
        assert_eq!(
            (told.status, &found["applied"]),
            (Some(1), &2.into()),
            "{found} {}",
            told.error
        );
        assert!(vat_at_the_channel(&stage, "US-OFFICE-1"));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Asked for by a token, the agent writes with its own account's rights.
#[test]
fn an_export_writes_over_nothing_whoever_writes_it() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(1).await.expect("a sale offline");
        let (config, folder) = (stage.rehearsal.config(), stage.rehearsal.folder().to_path_buf());
        let journal = folder.join("offline/journal.db");
        let (mine, fresh) = (folder.join("mine.txt"), folder.join("carried/sales.jsonl"));
        std::fs::write(&mine, "mine").expect("a file");
        let export = |to: &std::path::Path| {
            run(&["export", "unsent", "--json", "--to", &to.display().to_string()], &config)
        };
        for is_alive in [true, false] {
            for (to, code) in [(&mine, "unsent-file-exists"), (&journal, "unsent-file-inside")] {
                let refused = export(to);
                assert_eq!(refused.status, Some(2), "alive {is_alive}: {}", refused.out);
                let code = format!("error[{code}]");
                assert!(refused.error.contains(&code), "alive {is_alive}: {}", refused.error);
            }
            assert_eq!(std::fs::read_to_string(&mine).expect("the file"), "mine");
            if is_alive {
                assert_eq!(json(done(&export(&fresh)))["transactions"], 1);
                stage.rehearsal.kill();
            }
            assert!(export(&fresh).error.contains("error[unsent-file-exists]"), "not repeated");
        }
        stage.rehearsal.restore().await.expect("the line back");
        stage.start().await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_register_without_a_journal_has_nothing_to_export() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let second = Second::of(&stage, "");
        let told = second.run(&["export", "unsent"]);
        assert_eq!(told.status, Some(2));
        assert!(told.error.contains("error[unsent-no-journal]"), "{}", told.error);
        assert!(!second.catalogue().exists(), "no database was made by looking");
        stage.rehearsal.close().await.expect("an end");
    });
}
