//! What the real agent does without data to sell from, or with old ones: refused, warned, allowed, as the profile says.

use crate::door::{READ_ONLY, ask, heard, token};
use crate::harness::{Stage, proof};
use crate::numbers::sale;
use serde_json::Value as Json;
use std::path::PathBuf;
use std::time::Duration;
use tillhold_client::Answer;
use tillhold_demo::Fault;

const LIMIT: Duration = Duration::from_secs(120);

fn profile(stage: &Stage) -> PathBuf {
    stage.rehearsal.folder().join("profile.toml")
}

fn rewrite(stage: &Stage, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(profile(stage)).expect("the profile");
    std::fs::write(profile(stage), change(text)).expect("another profile");
}

/// Sections in front of the first scope.
fn with(profile: String, sections: &str) -> String {
    profile.replacen("[[scope]]", &format!("{sections}\n\n[[scope]]"), 1)
}

/// The scope of products is due after a second, so that it is soon overdue.
async fn hasty(stage: &Stage, sections: &str) {
    let status = get(stage, "/v1/status").await.body;
    let mut names =
        status["scopes"].as_array().expect("scopes").iter().map(|of| of["name"].as_str());
    let products = names.find(|name| name.is_some_and(|name| name.starts_with("1040"))).flatten();
    let own = format!("\n[[scope]]\nname = \"{}\"\nfrequency_s = 1\n", products.expect("a scope"));
    rewrite(stage, |profile| with(profile, sections) + &own);
}

async fn put(stage: &Stage, number: u64) -> Answer {
    let path = format!("/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc9{number:04}");
    stage.rehearsal.put(&path, &sale(stage, number)).await.expect("an answer")
}

async fn get(stage: &Stage, path: &str) -> Answer {
    stage.rehearsal.get(path).await.expect("an answer")
}

/// The codes of a list of faults.
fn codes(list: &Json) -> Vec<&str> {
    let list = list.as_array().expect("a list").iter();
    list.map(|fault| fault["code"].as_str().expect("a code")).collect()
}

async fn restart(stage: &mut Stage) {
    stage.rehearsal.kill();
    stage.rehearsal.start().await.expect("an agent again");
}

fn times_said(stage: &Stage, words: &str) -> usize {
    stage.rehearsal.log().lines().filter(|line| line.contains(words)).count()
}

/// The channel is there, but so slow that nothing is loaded.
#[test]
fn a_register_that_was_never_synchronised_does_what_the_profile_says() {
    proof(async {
        let slow = "[failover]\nslow_ms = 300\n\n[numbers]\nwhen_in_doubt = \"sell\"\n\n\
                    [staleness]\nnever_synchronised = \"refuse\"";
        let wary = |profile| with(profile, slow).replace("timeout_s = 2", "timeout_s = 8");
        let mut stage = Stage::prepared_with(20, wary).await;
        stage.rehearsal.inject(Fault::Slow { delay: Duration::from_millis(600) });
        stage.rehearsal.start().await.expect("an agent");
        let refused = put(&stage, 1).await;
        assert_eq!((refused.status, &refused.body["code"]), (503, &"never-synchronised".into()));
        assert!(refused.body["hint"].as_str().expect("a hint").contains("never_synchronised"));
        let ready = get(&stage, "/readyz").await;
        assert_eq!(
            (ready.status, codes(&ready.body["reasons"])),
            (503, vec!["never-synchronised"])
        );
        let data = &get(&stage, "/v1/status").await.body["data"];
        assert_eq!(
            (&data["standing"], &data["reaction"]),
            (&"never-synchronised".into(), &"refuse".into())
        );
        assert_eq!((&data["synchronised"], &data["age_s"]), (&Json::Bool(false), &Json::Null));
        for (word, expected) in [("warn", vec!["never-synchronised"]), ("allow", vec![])] {
            let said = format!("never_synchronised = \"{word}\"");
            rewrite(&stage, |profile| {
                let line = |line: &str| match line.starts_with("never_synchronised") {
                    true => format!("{said}\n"),
                    false => format!("{line}\n"),
                };
                profile.lines().map(line).collect()
            });
            restart(&mut stage).await;
            let number = 1 + expected.len() as u64;
            let sold = put(&stage, number).await;
            assert_eq!((sold.status, codes(&sold.body["warnings"])), (201, expected), "{word}");
            assert_eq!(get(&stage, "/readyz").await.status, 200, "{word}");
        }
        stage.rehearsal.heal();
        stage.state("online").await;
        let data = &get(&stage, "/v1/status").await.body["data"];
        assert_eq!(
            (&data["standing"], &data["synchronised"]),
            (&"fresh".into(), &Json::Bool(true))
        );
        let sent = |status: &Json| status["pending"]["transactions"] == 0;
        stage.rehearsal.until("all sent", LIMIT, sent).await.expect("both sales, sent");
        assert_eq!(stage.rehearsal.ledger_count().expect("a count"), 2);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Fresh while the channel is there; then cut off until the data are overdue, over one start after another.
#[test]
fn a_register_with_stale_data_does_what_the_profile_says() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let first = put(&stage, 1).await;
        assert_eq!((first.status, codes(&first.body["warnings"])), (201, vec![]));
        let rows = "/v1/tables/ax.INVENTTABLE/rows?limit=1";
        let page = get(&stage, rows).await.body;
        assert_eq!((&page["source"], &page["stale"]), (&"offline".into(), &Json::Bool(false)));
        stage.rehearsal.cut().await.expect("no channel");
        hasty(&stage, "[staleness]\nstale_after_s = 2").await;
        stage.rehearsal.kill();
        stage.rehearsal.start().await.expect("an agent without its channel");
        let stale = |status: &Json| status["data"]["standing"] == "stale";
        stage.rehearsal.until("stale", LIMIT, stale).await.expect("stale data");
        warned(&stage, rows).await;

        rewrite(&stage, |profile| {
            profile.replace("stale_after_s = 2", "stale_after_s = 2\nstale = \"refuse\"")
        });
        restart(&mut stage).await;
        refused(&stage).await;

        rewrite(&stage, |profile| profile.replace("stale = \"refuse\"", "stale = \"allow\""));
        restart(&mut stage).await;
        let sold = put(&stage, 4).await;
        assert_eq!((sold.status, codes(&sold.body["warnings"])), (201, vec![]));
        let data = get(&stage, "/v1/status").await.body["data"].clone();
        assert_eq!((&data["standing"], &data["fault"]), (&"stale".into(), &Json::Null));

        stage.rehearsal.restore().await.expect("the channel again");
        let fresh =
            |status: &Json| status["state"] == "online" && status["data"]["standing"] == "fresh";
        stage.rehearsal.until("fresh", LIMIT, fresh).await.expect("fresh data");
        let sent = |status: &Json| status["pending"]["transactions"] == 0;
        stage.rehearsal.until("all sent", LIMIT, sent).await.expect("every sale, sent");
        assert_eq!(stage.rehearsal.ledger_count().expect("a count"), 3);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The default: every answer says so, the log once.
async fn warned(stage: &Stage, rows: &str) {
    let sold = put(stage, 2).await;
    assert_eq!((sold.status, codes(&sold.body["warnings"])), (201, vec!["data-stale"]));
    let page = get(stage, rows).await.body;
    assert_eq!(page["stale"], true, "{page}");
    assert!(page["age_s"].as_u64() >= Some(3), "{page}");
    assert_eq!(get(stage, "/readyz").await.status, 200);
    let metrics = ask(stage, "GET /metrics", &token(stage, READ_ONLY)).await.text;
    assert!(metrics.contains("tillhold_data{standing=\"stale\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\ntillhold_data_age_seconds "), "{metrics}");
    let said = "event: data\ndata: {\"standing\":\"stale\",\"reaction\":\"warn\"}\n";
    heard(stage, "", |text| text.contains(said)).await;
    let older = |status: &Json| status["data"]["age_s"].as_u64() >= Some(7);
    let status = stage.rehearsal.until("older data", LIMIT, older).await.expect("older data");
    let of = status["data"]["oldest_scope"].as_str().expect("a scope");
    assert!(status["data"]["fault"]["message"].as_str().expect("words").contains(" old"), "{of}");
    assert_eq!(times_said(stage, "sales go on, but the data of"), 1, "{}", stage.rehearsal.log());
    let told = stage.tillhold(&["status"]);
    assert_eq!(told.status, Some(1), "{}", told.stdout);
    assert!(told.stdout.contains("data: stale, sales go on: [data-stale]"), "{}", told.stdout);
}

/// What is new is refused; what was committed before is answered as before.
async fn refused(stage: &Stage) {
    let refused = put(stage, 3).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &"data-stale".into()));
    assert!(refused.body["hint"].as_str().expect("a hint").contains("reconnect"));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
    let again = put(stage, 2).await;
    assert_eq!((again.status, &again.body["replayed"]), (200, &Json::Bool(true)));
    let ready = get(stage, "/readyz").await;
    assert_eq!((ready.status, codes(&ready.body["reasons"])), (503, vec!["data-stale"]));
    assert_eq!(times_said(stage, "sales are refused: the data of"), 1, "{}", stage.rehearsal.log());
}
