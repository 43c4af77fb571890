//! What a running agent gets over does not keep it from starting the next morning: a profile that cannot be taken, a
//! plugin's file that is broken, a password's file that is away. And what is misspelt is refused before it does harm.

use crate::door::{READ_ONLY, ask, token};
use crate::harness::{Stage, proof, write_password};
use crate::plugins::{component, plugin, rewrite, until};
use serde_json::Value as Json;

const SCOPE: &str = "name = \"1010 Customers\"\n";
const DWELL: &str = "dwell_s = 1\n";
/// No component has it.
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// As the demonstration's profile names it.
const PLUGIN: &str = "{ plugin = \"store-customers\" }";

/// Exit status and stdout of `tillhold status`, and the profile's line of the metrics.
async fn told(stage: &Stage) -> (Option<i32>, String, bool) {
    let ran = stage.tillhold(&["status"]);
    let metrics = ask(stage, "GET /metrics", &token(stage, READ_ONLY)).await.text;
    let line = |value: u8| format!("tillhold_profile_fault {value}");
    let is_fault = metrics.lines().any(|one| one.starts_with(&line(1)));
    assert!(is_fault || metrics.lines().any(|one| one.starts_with(&line(0))), "{metrics}");
    (ran.status, ran.stdout, is_fault)
}

async fn status(stage: &Stage) -> Json {
    stage.rehearsal.get("/v1/status").await.expect("a status").body
}

async fn restart(stage: &mut Stage) {
    stage.rehearsal.kill();
    let started = stage.rehearsal.start().await;
    started.unwrap_or_else(|error| panic!("{error}\nthe agent said:\n{}", stage.rehearsal.log()));
}

/// An operator saved a broken profile in the evening: the shop stood in front of a register that did not start.
#[test]
fn a_register_starts_by_the_profile_that_was_in_force_last() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let scopes = status(&stage).await["scopes"].as_array().expect("scopes").len();
        let extra = "[[scope]]\nname = \"Extra\"\ndirection = \"download\"\ntables = [\"dbo.UNITTXX\"]\n\n[[scope]]\n";
        let pinned = format!("{{ plugin = \"store-customers\", digest = \"{DIGEST}\" }}");
        let misspelt =
            format!("{SCOPE}tables = [{{ name = \"ax.CUSTTABLE\", exclude = [\"X\"] }}]\n");
        for (before, now, code) in [
            (DWELL, "dwel_s = 1\n", "settings"),
            (DWELL, "dwell_s = \n", "settings"),
            ("[[scope]]\n", extra, "channel-table"),
            (PLUGIN, &pinned, "plugin-digest"),
            (SCOPE, &misspelt, "settings"),
        ] {
            let path = stage.rehearsal.folder().join("profile.toml");
            let good = std::fs::read_to_string(&path).expect("the profile");
            std::fs::write(&path, good.replacen(before, now, 1)).expect("a broken profile");
            restart(&mut stage).await;
            stage.state("online").await;
            let shown = status(&stage).await;
            assert_eq!(shown["profile_fault"]["code"], code, "{now}: {shown:#}");
            assert_eq!(shown["scopes"].as_array().expect("scopes").len(), scopes, "{now}");
            assert_eq!(plugin(&shown, "store-customers")["name"], "store-customers", "{shown:#}");
            let (exit, words, is_fault) = told(&stage).await;
            assert_eq!((exit, is_fault), (Some(1), true), "{now}: {words}");
            assert!(words.contains(&format!("was not taken: [{code}]")), "{words}");
            let said = format!("the one that was in force last stays: [{code}]");
            assert!(stage.rehearsal.log().contains(&said), "{}", stage.rehearsal.log());
            stage.rehearsal.sell(1).await.expect("a sale by the last profile");
            std::fs::write(&path, good).expect("the profile mended");
            until(&stage, "the mended profile", |s| s["profile_fault"].is_null()).await;
            assert!(!told(&stage).await.2);
        }
        stage.holds().await;
        assert_eq!(told(&stage).await.0, Some(0));

        // Nor does it need the channel for it.
        rewrite(&stage, DWELL, "dwell_s = 2\ndwel_s = 1\n");
        stage.rehearsal.cut().await.expect("a cut");
        restart(&mut stage).await;
        stage.rehearsal.sell(1).await.expect("a sale offline");
        assert_eq!(status(&stage).await["profile_fault"]["code"], "settings");
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        assert_eq!(status(&stage).await["profile_fault"]["code"], "settings", "it still stands");
        rewrite(&stage, "dwel_s = 1\n", "");
        until(&stage, "the mended profile", |s| s["profile_fault"].is_null()).await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// What head office did to the channel's own profile overnight.
#[test]
fn a_profile_that_the_channel_gives_no_more_is_remembered() {
    proof(async {
        let mut stage = Stage::online(20).await;
        for (now, back, code) in [
            (
                "UPDATE [ax].[RETAILSTORETABLE] SET [OFFLINEPROFILE] = -[OFFLINEPROFILE];",
                "UPDATE [ax].[RETAILSTORETABLE] SET [OFFLINEPROFILE] = -[OFFLINEPROFILE];",
                "channel-profile",
            ),
            (
                "REVOKE SELECT ON [ax].[RETAILOFFLINESCOPE] FROM [tillhold_register];",
                "GRANT SELECT ON [ax].[RETAILOFFLINESCOPE] TO [tillhold_register];",
                "channel-right",
            ),
        ] {
            stage.rehearsal.office(now).expect("a change at the channel");
            restart(&mut stage).await;
            stage.state("online").await;
            let fault = &status(&stage).await["profile_fault"];
            assert_eq!(fault["code"], code, "{fault:#}");
            stage.rehearsal.sell(1).await.expect("a sale by the last profile");
            stage.rehearsal.office(back).expect("the change taken back");
            until(&stage, "the channel's profile", |s| s["profile_fault"].is_null()).await;
        }
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The profile is as it was; the file of a plugin was written in the night and is none.
#[test]
fn the_component_that_was_at_work_last_stands_in_for_a_broken_file() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let first = status(&stage).await;
        let digest = plugin(&first, "store-customers")["digest"].clone();
        let file = component(&stage, "store-customers");
        let good = std::fs::read(&file).expect("the plugin");
        for broken in [Some(&b"#!/bin/sh\n"[..]), None] {
            match broken {
                Some(bytes) => std::fs::write(&file, bytes).expect("no component"),
                None => std::fs::remove_file(&file).expect("no file"),
            }
            restart(&mut stage).await;
            stage.state("online").await;
            let shown = status(&stage).await;
            let at_work = plugin(&shown, "store-customers");
            assert_eq!(at_work["digest"], digest, "{shown:#}");
            assert!(at_work["refused"].is_object(), "{at_work:#}");
            assert!(at_work["rolled_back"].is_null(), "nobody said so: {at_work:#}");
            stage.rehearsal.sell(1).await.expect("a sale");
            std::fs::write(&file, &good).expect("the component again");
            until(&stage, "the file taken", |status| {
                plugin(status, "store-customers")["refused"].is_null()
            })
            .await;
        }
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// There is nothing that it could start by.
#[test]
fn a_register_that_was_never_provisioned_refuses_a_broken_profile() {
    proof(async {
        let stage = Stage::prepared(20).await;
        rewrite(&stage, DWELL, "dwel_s = 1\n");
        let ran = stage.tillhold(&["run"]);
        assert_eq!(ran.status, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains("error[settings]") && ran.stderr.contains("dwel_s"));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// `exclude` with a column's name misspelt brought the column onto the register: nobody had held the changed profile
/// against the channel's tables.
#[test]
fn a_misspelt_column_is_refused_as_the_check_refuses_it() {
    proof(async {
        let excluded =
            format!("{SCOPE}tables = [{{ name = \"ax.CUSTTABLE\", exclude = [\"CREDITMAX\"] }}]\n");
        let mut stage = Stage::prepared_with(20, |profile| profile.replace(SCOPE, &excluded)).await;
        stage.start().await;
        rewrite(&stage, "\"CREDITMAX\"", "\"CREDITMAXX\"");
        let refused = until(&stage, "a refusal", |s| s["profile_fault"].is_object()).await;
        let fault = &refused["profile_fault"];
        let words = "ax.CUSTTABLE has no column CREDITMAXX; did you mean CREDITMAX?";
        assert_eq!(fault["code"], "settings", "{fault:#}");
        let checked = stage.tillhold(&["profile", "check"]);
        assert_eq!(checked.status, Some(1));
        let line = checked.stdout.lines().find(|line| line.ends_with(words)).expect("the check");
        assert_eq!(fault["message"], line, "in the same words");
        let stays_away = |stage: &Stage| {
            let columns = stage.columns("journal.db", "ax.CUSTTABLE");
            assert!(!columns.is_empty() && !columns.contains(&"CREDITMAX".to_string()));
        };
        stays_away(&stage);
        restart(&mut stage).await;
        stage.state("online").await;
        until(&stage, "the same refusal", |s| s["profile_fault"]["code"] == "settings").await;
        stays_away(&stage);

        // Started without the channel there is nothing to hold it against; with it, it is.
        stage.rehearsal.cut().await.expect("a cut");
        restart(&mut stage).await;
        stage.rehearsal.sell(1).await.expect("a sale offline");
        stage.rehearsal.restore().await.expect("the line back");
        stage.state("online").await;
        until(&stage, "the same refusal", |s| s["profile_fault"]["code"] == "settings").await;
        stage.rehearsal.settle().await.expect("a synchronisation");
        stays_away(&stage);
        rewrite(&stage, "\"CREDITMAXX\"", "\"CREDITMAX\"");
        until(&stage, "the mended profile", |s| s["profile_fault"].is_null()).await;
        stays_away(&stage);
        // The check looks at the column that stays away too, and cannot hold; of the sales it says all.
        stage.rehearsal.settle().await.expect("a synchronisation");
        let findings = stage.rehearsal.verify().await.expect("a check");
        assert_eq!((findings.sales, findings.lost, findings.duplicated), (1, 0, 0));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The password was changed at the channel and in its file, and the agent went on with the one that it had read.
#[test]
fn the_file_of_a_password_is_read_at_each_login() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let file = stage.rehearsal.folder().join("register.password");
        let right = std::fs::read_to_string(&file).expect("the password");
        let code = |code: &'static str| move |s: &Json| s["last_trouble"]["code"] == code;
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        write_password(&file, "another");
        stage.rehearsal.restore().await.expect("the line back");
        until(&stage, "a refused login", code("channel-login")).await;
        std::fs::remove_file(&file).expect("no file");
        until(&stage, "a file that is away", code("password-file")).await;
        stage.rehearsal.sell(1).await.expect("a sale offline");
        assert_eq!(stage.rehearsal.sold.last().expect("the sale").committed, "offline");
        write_password(&file, &right);
        stage.state("online").await;

        // A start is no other thing: the register sells, and says what keeps it out.
        std::fs::remove_file(&file).expect("no file");
        restart(&mut stage).await;
        stage.rehearsal.sell(1).await.expect("a sale offline");
        until(&stage, "a file that is away", code("password-file")).await;
        assert!(stage.tillhold(&["profile", "check"]).stdout.contains("password file"));
        write_password(&file, &right);
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
