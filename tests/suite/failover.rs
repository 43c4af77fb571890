//! What the real agent does on a line that is slow, silent or lost in a commit, held by a person, or told another write path.

use crate::door::listened;
use crate::harness::{Stage, proof};
use crate::way::{Cut, Way};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_demo::{DemoError, Fault, Rehearsal};

/// What happens to a channel, and what mends it.
#[derive(Clone, Debug)]
enum Strike {
    Cut,
    ReadOnly,
    At(Fault),
}

impl Strike {
    async fn strike(&self, rehearsal: &Rehearsal) -> Result<(), DemoError> {
        match self {
            Strike::Cut => rehearsal.cut().await,
            Strike::ReadOnly => rehearsal.set_read_only(true).await,
            Strike::At(fault) => {
                rehearsal.inject(fault.clone());
                Ok(())
            }
        }
    }

    async fn mend(&self, rehearsal: &Rehearsal) -> Result<(), DemoError> {
        rehearsal.heal();
        match self {
            Strike::Cut => rehearsal.restore().await,
            Strike::ReadOnly => rehearsal.set_read_only(false).await,
            Strike::At(_) => Ok(()),
        }
    }
}

fn rewrite(stage: &Stage, from: &str, to: &str) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    assert!(text.contains(from), "the profile does not say {from}");
    std::fs::write(&path, text.replace(from, to)).expect("another profile");
}

/// With `[failover]` in front of the first scope.
fn wary(profile: String) -> String {
    let told = "[failover]\nslow_ms = 300\nslow_answers = 2\nquick_answers = 2\n\n[[scope]]";
    profile.replacen("[[scope]]", told, 1).replace("timeout_s = 2", "timeout_s = 8")
}

/// Every probe is answered within its deadline, so no answer is trouble: only the threshold can make it leave.
#[test]
fn a_channel_that_answers_too_slowly_is_left_and_come_back_to() {
    proof(async {
        let mut stage = Stage::prepared_with(20, wary).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale online");
        let online = listened(&stage, "", 1).await.remove(0).0;
        stage.rehearsal.inject(Fault::Slow { delay: Duration::from_millis(600) });
        stage.state("offline").await;
        let left = listened(&stage, &online, 1).await.remove(0).1;
        assert_eq!(left, ["online", "offline", "slow"]);
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["last_trouble"]["code"], "channel-slow", "{:#}", status["last_trouble"]);
        stage.rehearsal.sell(2).await.expect("sales offline");
        let offline = stage.rehearsal.sold.iter().filter(|sold| sold.committed == "offline");
        assert_eq!(offline.count(), 2);
        stage.rehearsal.heal();
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A loss of before is forgotten at once, so that one after the other does not grow the dwell.
fn forgetful(profile: String) -> String {
    profile.replacen("[[scope]]", "[failover]\nsteady_s = 0\n\n[[scope]]", 1)
}

/// A server that is there and takes no sale: found without a request, sold past, told in the operator's words with SQL
/// Server's number, and come back to.
#[test]
fn a_channel_that_refuses_is_left_and_says_why() {
    proof(async {
        let mut stage = Stage::prepared_with(20, forgetful).await;
        stage.start().await;
        let login = |number| Strike::At(Fault::RefuseLogins { number, keeps_sessions: false });
        let request = |number| Strike::At(Fault::RefuseRequests { number });
        for (strike, code, number) in [
            (login(18_456), "channel-login", Some(18_456)),
            (login(4_060), "channel-database", Some(4_060)),
            (login(927), "channel-database", Some(927)),
            (login(924), "channel-busy", Some(924)),
            (login(40_613), "channel-busy", Some(40_613)),
            (request(1_222), "channel-busy", Some(1_222)),
            (request(8_645), "channel-busy", Some(8_645)),
            (request(10_928), "channel-busy", Some(10_928)),
            (request(10_929), "channel-busy", Some(10_929)),
            (request(40_501), "channel-busy", Some(40_501)),
            (Strike::ReadOnly, "channel-read-only", None),
        ] {
            strike.strike(&stage.rehearsal).await.expect("a strike");
            stage.state("offline").await;
            let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
            let last = &status["last_trouble"];
            assert_eq!(last["code"], code, "{strike:?}: {last:#}");
            assert_eq!(last["number"].as_u64(), number, "{strike:?}: {last:#}");
            stage.rehearsal.sell(1).await.expect("a sale");
            let sold = stage.rehearsal.sold.last().expect("the sale");
            assert_eq!(sold.committed, "offline", "{strike:?}");
            let log = stage.rehearsal.log();
            let line = log.lines().rfind(|line| line.contains("the register is offline"));
            let line = line.expect("a line of the log");
            assert!(line.contains(&format!("[{code}]")), "{line}");
            if let Some(number) = number {
                assert!(line.contains(&format!("(message {number})")), "{line}");
            }
            let told = stage.tillhold(&["status"]).stdout;
            let line = told.lines().find(|line| line.starts_with("last trouble with the channel"));
            println!("{}", line.expect("a line of the status"));
            strike.mend(&stage.rehearsal).await.expect("mended");
            stage.state("online").await;
        }
        stage.holds().await;
        assert_eq!(stage.rehearsal.sold.len(), 11);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The account is disabled while its sessions live: the probe is answered in its own. The first connection that has to be
/// made anew finds it out, and then nobody relies on the old ones.
#[test]
fn a_login_that_is_refused_to_one_connection_is_found() {
    proof(async {
        let mut stage = Stage::prepared_with(20, forgetful).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale, so that push has its connection");
        stage.rehearsal.inject(Fault::RefuseLogins { number: 18_470, keeps_sessions: true });
        stage.rehearsal.lose_the_answer_to_commit(1);
        stage.rehearsal.sell(1).await.expect("a sale that costs push its connection");
        stage.state("offline").await;
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["last_trouble"]["number"], 18_470, "{:#}", status["last_trouble"]);
        stage.rehearsal.sell(1).await.expect("a sale offline");
        stage.rehearsal.heal();
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// In the morning, with the server in single-user mode or its password changed: whoever has the data sells from them.
#[test]
fn a_register_starts_and_sells_while_its_login_is_refused() {
    proof(async {
        let mut stage = Stage::prepared_with(20, forgetful).await;
        stage.start().await;
        stage.rehearsal.kill();
        stage.rehearsal.inject(Fault::RefuseLogins { number: 18_461, keeps_sessions: false });
        stage.rehearsal.start().await.expect("a start without the channel");
        stage.rehearsal.sell(1).await.expect("a sale offline");
        let sold = stage.rehearsal.sold.last().expect("the sale");
        assert_eq!(sold.committed, "offline");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["last_trouble"]["code"], "channel-login", "{:#}", status["last_trouble"]);
        stage.rehearsal.heal();
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A transaction at the channel holds what every upload needs, and the probe needs nothing of it: the sales that wait in
/// vain are what makes the register doubt, and then leave.
#[test]
fn a_channel_that_is_locked_for_sales_is_left_after_some_of_them() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let touch = "UPDATE [ax].[RETAILPOSSEEDDATA] SET [DATAVALUE] = [DATAVALUE];";
        let locked = stage.rehearsal.office_begins(touch).expect("a transaction that stays open");
        let mut waited = 0;
        while stage.rehearsal.get("/v1/status").await.expect("a status").body["state"] != "offline"
        {
            stage.rehearsal.sell(1).await.expect("a sale");
            waited += 1;
            assert!(waited <= 50, "the agent said:\n{}", stage.rehearsal.log());
        }
        let sold = &stage.rehearsal.sold;
        assert!(sold.iter().all(|sold| sold.committed == "offline"), "one got through the lock");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        let code = status["last_trouble"]["code"].as_str().unwrap_or_default();
        assert!(["channel-timeout", "channel-busy"].contains(&code), "{status:#}");
        println!("left after {waited} sales: {}", status["last_trouble"]["message"]);
        locked.commit().expect("the end of the lock");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Several cashiers' sales are half sent or wait for the channel when it goes, in each way that it can go: each is answered
/// under its id, is not doubled when it is sent again, and is in the channel once.
#[test]
fn sales_under_way_when_the_channel_goes_end_once_on_either_write_path() {
    proof(async {
        const CASHIERS: usize = 6;
        let mut stage = Stage::prepared_with(20, forgetful).await;
        stage.start().await;
        let strikes = [
            Strike::Cut,
            Strike::At(Fault::Stall),
            Strike::At(Fault::HalfOpen),
            Strike::At(Fault::Slow { delay: Duration::from_millis(1_500) }),
            Strike::At(Fault::RefuseLogins { number: 18_456, keeps_sessions: false }),
            Strike::At(Fault::RefuseRequests { number: 40_501 }),
            Strike::ReadOnly,
            Strike::At(Fault::DropAfterCommit { commits: 1 }),
        ];
        for path in ["channel-first", "local-first"] {
            if path == "local-first" {
                rewrite(&stage, "channel-first", path);
                let limit = Duration::from_secs(120);
                let seen = stage.rehearsal.until("the path", limit, |s| s["write_path"] == path);
                seen.await.expect("the write path, switched while it runs");
            }
            for strike in &strikes {
                // Answers of the channel take a while, so that what was sent whole still waits for one.
                stage.rehearsal.inject(Fault::Slow { delay: Duration::from_millis(200) });
                let happens = async |rehearsal: &Rehearsal| strike.strike(rehearsal).await;
                let answered = stage.rehearsal.sell_while(CASHIERS, happens).await.expect("sales");
                assert_eq!(answered, CASHIERS, "{path}, {strike:?}: answered at the first try");
                if !matches!(strike, Strike::At(Fault::DropAfterCommit { .. })) {
                    stage.state("offline").await;
                }
                strike.mend(&stage.rehearsal).await.expect("mended");
                stage.state("online").await;
            }
        }
        stage.holds().await;
        assert_eq!(stage.rehearsal.sold.len(), 2 * strikes.len() * (CASHIERS + 1));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A line over a satellite: each answer comes in time, and the many that a new connection needs do not come within a
/// probe's deadline together.
#[test]
fn a_line_on_which_connecting_takes_longer_than_a_probe_may_is_come_back_to() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(1).await.expect("a sale offline");
        stage.rehearsal.inject(Fault::Slow { delay: Duration::from_millis(500) });
        stage.rehearsal.restore().await.expect("a line");
        stage.state("returning").await;
        // What is pulled now need not be late.
        stage.rehearsal.heal();
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Its channel is back, and a flapping line would make it wait for a minute.
#[test]
fn a_register_that_dwells_says_until_when_and_a_person_need_not_wait() {
    proof(async {
        let patient = |profile: String| profile.replace("dwell_s = 1\n", "dwell_s = 60\n");
        let mut stage = Stage::prepared_with(20, patient).await;
        stage.start().await;
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.restore().await.expect("the line");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        let [now, from] = ["now_ms", "returns_from_ms"].map(|name| status[name].as_i64());
        let left_ms = from.expect("a moment") - now.expect("a moment");
        assert!((1..=60_000).contains(&left_ms), "{left_ms}");
        let shown = stage.tillhold(&["status"]).stdout;
        assert!(shown.contains("`tillhold reconnect` does not wait"), "{shown}");
        stage.rehearsal.command(&["reconnect"]).await.expect("an attempt");
        stage.state("online").await;
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["returns_from_ms"], Json::Null);
        // Trouble with the channel tells itself: nothing stood still for a reason of its own.
        let log = stage.rehearsal.log();
        assert!(!log.contains("stands still") && !log.contains("goes on"), "{log}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The attempts by interval are an hour apart, so only those that a person asks for can bring it back: the second one is
/// asked for while the first still hangs.
#[test]
fn a_reconnect_asked_for_while_an_attempt_hangs_is_not_forgotten() {
    proof(async {
        let rare = |profile: String| {
            profile.replace("reconnect_interval_min = 0.02", "reconnect_interval_min = 60")
        };
        let mut stage = Stage::prepared_with(20, rare).await;
        let way = stage.on_a_way().await;
        stage.start().await;
        way.order(Cut::Delay(Duration::from_secs(120))).await;
        stage.state("offline").await;
        stage.rehearsal.command(&["reconnect"]).await.expect("an attempt that hangs");
        stage.rehearsal.sell(1).await.expect("a sale offline");
        // So that what it has said by now is what the way holds back.
        tokio::time::sleep(Duration::from_millis(500)).await;
        way.heal().await;
        stage.rehearsal.command(&["reconnect"]).await.expect("another attempt");
        stage.state("online").await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// From here on nothing comes of what is said on the connections that there are, and a sale's upload is said on one.
async fn hung_upload(stage: &mut Stage, way: &Way) {
    let happens = async |_: &Rehearsal| {
        way.order(Cut::Delay(Duration::from_secs(120))).await;
        Ok(())
    };
    stage.rehearsal.sell_while(1, happens).await.expect("a sale whose upload hangs");
    assert!(stage.rehearsal.sold.iter().rev().take(2).all(|sold| sold.committed == "offline"));
}

/// A pull and an upload wait on connections that say nothing any more while the channel answers on new ones. By its own
/// time each would wait for half a minute, and the return with it.
#[test]
fn what_hangs_on_the_line_as_it_was_holds_no_return_up() {
    proof(async {
        let mut stage = Stage::prepared_with(20, forgetful).await;
        let way = stage.on_a_way().await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale, so that push has its connection");
        hung_upload(&mut stage, &way).await;
        stage.state("offline").await;
        way.heal().await;
        stage.state("online").await;
        let log = stage.rehearsal.log();
        assert!(log.contains("said nothing for too long"), "{log}");
        assert!(!log.contains("within 30000 ms"), "{log}");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The break is over before the offline timeout, and the connection on which push waits is gone all the same: the next
/// sale does not wait for that in vain.
#[test]
fn an_upload_that_hangs_after_a_doubt_keeps_no_later_sale_from_the_channel() {
    proof(async {
        let patient =
            |profile: String| forgetful(profile).replace("timeout_s = 2", "timeout_s = 12");
        let mut stage = Stage::prepared_with(20, patient).await;
        let way = stage.on_a_way().await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale, so that push has its connection");
        hung_upload(&mut stage, &way).await;
        way.heal().await;
        stage.state("online").await;
        stage.rehearsal.sell(1).await.expect("a sale behind it");
        let sold = stage.rehearsal.sold.last().expect("the sale");
        assert_eq!(sold.committed, "channel", "the agent said:\n{}", stage.rehearsal.log());
        let log = stage.rehearsal.log();
        assert!(!log.contains("the register is offline"), "{log}");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Nobody asks anything; the supervisor finds out by itself, and comes back by itself.
#[test]
fn a_silent_channel_is_noticed_without_a_request() {
    proof(async {
        let mut stage = Stage::online(20).await;
        for fault in [Fault::Stall, Fault::HalfOpen] {
            stage.rehearsal.inject(fault);
            stage.state("offline").await;
            stage.rehearsal.sell(1).await.expect("a sale offline");
            stage.rehearsal.heal();
            stage.state("online").await;
        }
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

async fn status_of(stage: &Stage) -> Json {
    stage.rehearsal.get("/v1/status").await.expect("a status").body
}

#[test]
fn a_hold_outlives_a_crash_and_says_who_and_why() {
    proof(async {
        let mut stage = Stage::online(20).await;
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert!(status["held"].is_null(), "{status:#}");
        let hold = ["hold", "--who", "Ann", "--why", "the line is being mended"];
        stage.rehearsal.command(&hold).await.expect("a hold");
        stage.state("held").await;
        for _ in 0..2 {
            stage.rehearsal.kill();
            stage.rehearsal.start().await.expect("an agent again");
            stage.rehearsal.sell(1).await.expect("a sale held");
            let held = stage.rehearsal.get("/v1/status").await.expect("a status").body;
            assert_eq!(held["state"], "held", "the channel is there, and it is not gone to");
            assert_eq!(held["held"]["by"], "Ann");
            assert_eq!(held["held"]["why"], "the line is being mended");
            assert_eq!(held["held"]["since_ms"], held["since_ms"]);
            println!("{:#}", held["held"]);
        }
        let since_ms = status_of(&stage).await["held"]["since_ms"].clone();
        let again = ["hold", "--who", "Cid", "--why", "and the switch"];
        stage.rehearsal.command(&again).await.expect("a second hold");
        for _ in 0..2 {
            let held = status_of(&stage).await["held"].clone();
            let expected = json!({ "by": "Cid", "why": "and the switch", "since_ms": since_ms });
            assert_eq!(held, expected, "the last word counts, the first moment stays");
            stage.rehearsal.kill();
            stage.rehearsal.start().await.expect("an agent again");
        }
        let release = ["release", "--who", "Bob", "--why", "it is mended"];
        stage.rehearsal.command(&release).await.expect("a release");
        stage.state("online").await;
        stage.rehearsal.kill();
        stage.start().await;
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Committed, and the answer lost: each sale is answered once and is in the channel once, whichever way it was written.
/// In between the write path is switched while the register runs.
#[test]
fn a_lost_answer_to_a_commit_doubles_nothing_on_either_write_path() {
    proof(async {
        let mut stage = Stage::online(20).await;
        for (path, committed) in [("channel-first", "channel"), ("local-first", "offline")] {
            if path == "local-first" {
                rewrite(&stage, "channel-first", path);
                let limit = Duration::from_secs(120);
                let seen = stage.rehearsal.until("the path", limit, |s| s["write_path"] == path);
                seen.await.expect("the write path, switched while it runs");
            }
            stage.rehearsal.sell(1).await.expect("a sale");
            let last = stage.rehearsal.sold.last().expect("the sale");
            assert_eq!(last.committed, committed, "{path}");
            for number in 1..=3 {
                stage.rehearsal.lose_the_answer_to_commit(number);
                stage.rehearsal.sell(2).await.expect("sales");
                stage.rehearsal.heal();
                stage.state("online").await;
            }
        }
        stage.holds().await;
        assert_eq!(stage.rehearsal.sold.len(), 14);
        stage.rehearsal.close().await.expect("an end");
    });
}
