//! A caller who hangs up takes nothing back: what he asked for is done whole, also by an agent that is told to stop.

use crate::door::{OPERATOR, READ_ONLY, ask, dial, request, token};
use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use std::process::Command;
use std::time::Duration;
use tillhold_embedded::Fault;
use tokio::io::AsyncWriteExt as _;

/// Of a scope that is pulled once an hour, before the one of the staff, which is too.
const LOCKED: &str = "EXCHANGERATECURRENCYPAIR";
const RENAMED: &str = "UPDATE [ax].[RETAILSTAFFTABLE] SET [NAMEONRECEIPT] = N'anew';";
const LIMIT: Duration = Duration::from_secs(60);

/// Online, and slow to go offline.
pub async fn patient() -> Stage {
    let longer =
        |profile: String| profile.replace("offline_timeout_s = 2\n", "offline_timeout_s = 60\n");
    let mut stage = Stage::prepared_with(20, longer).await;
    stage.start().await;
    stage
}

/// Until the agent's own numbers are these.
pub async fn counted(stage: &Stage, lines: &[&str]) {
    let read_only = token(stage, READ_ONLY);
    let seen = async {
        loop {
            let text = ask(stage, "GET /metrics", &read_only).await.text;
            if lines.iter().all(|line| text.lines().any(|seen| seen == *line)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, seen).await.unwrap_or_else(|_| panic!("never: {lines:?}"));
}

/// A synchronisation that waits at the channel before it comes to the staff, and whose caller is gone: the door knows it.
async fn hung_up_on(stage: &Stage) -> u64 {
    stage.rehearsal.inject(Fault::Lock { text: LOCKED.to_string() });
    let renamed = stage.rehearsal.office(RENAMED).expect("other names");
    assert!(renamed > 0 && renamed_here(stage) == 0);
    let operator = token(stage, OPERATOR);
    let mut stream = dial(stage).await;
    let sync = request("POST /v1/sync", &operator, "{}");
    stream.write_all(sync.as_bytes()).await.expect("a request");
    counted(stage, &["tillhold_door_requests_in_work 1.0"]).await;
    drop(stream);
    // Who asks for the numbers has one.
    counted(stage, &["tillhold_door_connections 1.0"]).await;
    renamed
}

fn renamed_here(stage: &Stage) -> u64 {
    let path = stage.rehearsal.folder().join("offline/catalogue.db");
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let sql = "SELECT count(*) FROM \"ax.RETAILSTAFFTABLE\" WHERE \"NAMEONRECEIPT\" = 'anew'";
    file.expect("a file").query_row(sql, (), |row| row.get::<_, u32>(0)).expect("a count").into()
}

#[test]
fn a_synchronisation_goes_on_to_its_end_when_its_caller_hangs_up() {
    proof(async {
        let mut stage = patient().await;
        let renamed = hung_up_on(&stage).await;
        stage.rehearsal.heal();
        // Its place is free when it is over.
        counted(&stage, &["tillhold_door_requests_in_work 0.0"]).await;
        assert_eq!(renamed_here(&stage), renamed, "{}", stage.rehearsal.log());
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn told_to_stop_the_agent_finishes_what_nobody_waits_for() {
    proof(async {
        let mut stage = patient().await;
        let renamed = hung_up_on(&stage).await;
        let agent = stage.rehearsal.agent_id().expect("an agent").to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &agent]).status();
        assert!(sent.expect("a signal").success());
        while !stage.rehearsal.log().contains("stopping") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stage.rehearsal.heal();
        assert_eq!(stage.rehearsal.ended(LIMIT).await, Some(0));
        assert_eq!(renamed_here(&stage), renamed, "{}", stage.rehearsal.log());
        stage.rehearsal.close().await.expect("an end");
    });
}
