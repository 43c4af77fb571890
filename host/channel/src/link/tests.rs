//! The wire is real, the answers are told: what breaks a connection, and that nothing is asked
//! twice on half of one.

use crate::probe::probe;
use crate::scripted::{Channel, Line, is_silent, says};
use std::pin::pin;
use std::time::Duration;
use tillhold_core::value::Value;
use tillhold_embedded::Fault;

fn probe_line() -> Line {
    let columns = vec![
        ("updateability", "nvarchar(128)"),
        ("database", "nvarchar(128)"),
        ("version", "nvarchar(300)"),
    ];
    let text = |text: &str| Value::Text(text.to_string());
    says(
        "Updateability",
        vec![(columns, vec![vec![text("READ_WRITE"), text("Channel"), text("scripted")]])],
    )
}

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_keeps_a_register_out_is_told_apart() {
    let channel = Channel::start(Vec::new()).await;
    let mut wrong =
        channel.link_with(|config| config.password = crate::Secret::new("wrong").into());
    let error = wrong.connect().await.expect_err("a wrong password");
    assert_eq!(error.code(), "channel-login", "{error}");
    let mut other = channel.link_with(|config| config.database = "Other".to_string());
    let error = other.connect().await.expect_err("another database");
    assert_eq!(error.code(), "channel-database", "{error}");
    let mut strict = channel.link_with(|config| config.encryption = crate::Encryption::Required);
    let error = strict.connect().await.expect_err("a server without TLS");
    assert_eq!(error.code(), "channel-tls", "{error}");
    channel.gate.cut().await.expect("a cut");
    let error = channel.link().connect().await.expect_err("no channel");
    assert_eq!(error.code(), "channel-unreachable", "{error}");
}

#[tokio::test]
async fn a_read_only_database_is_no_channel() {
    let columns = vec![
        ("updateability", "nvarchar(128)"),
        ("database", "nvarchar(128)"),
        ("version", "nvarchar(300)"),
    ];
    let text = |text: &str| Value::Text(text.to_string());
    let answer = vec![(columns, vec![vec![text("READ_ONLY"), text("Channel"), text("x")]])];
    let channel = Channel::start(vec![says("Updateability", answer)]).await;
    let error = probe(&mut channel.link(), LIMIT).await.expect_err("read only");
    assert_eq!(error.code(), "channel-read-only");
}

/// What a server without resources says is known also where it ends the connection over it.
#[tokio::test]
async fn a_busy_server_says_so_whether_it_keeps_the_connection_or_not() {
    let channel = Channel::start(vec![probe_line(), probe_line()]).await;
    for (number, stays) in [(8_645, true), (1_222, true), (40_501, false), (10_929, false)] {
        let mut link = channel.link();
        link.connect().await.expect("a connection");
        channel.gate.inject(Fault::RefuseRequests { number });
        let error = probe(&mut link, LIMIT).await.expect_err("no resources");
        assert_eq!((error.code(), error.number()), ("channel-busy", Some(number)), "{error}");
        assert_eq!(link.is_connected(), stays, "{number}");
        channel.gate.heal();
    }
    for (number, code) in
        [(18_456, "channel-login"), (927, "channel-database"), (924, "channel-busy")]
    {
        channel.gate.inject(Fault::RefuseLogins { number, keeps_sessions: false });
        let error = probe(&mut channel.link(), LIMIT).await.expect_err("kept out");
        assert_eq!((error.code(), error.number()), (code, Some(number)), "{error}");
    }
}

/// A client whose answer was not read to its end must never answer the next question.
#[tokio::test]
async fn a_silent_channel_costs_its_connection_and_the_next_answer_is_the_right_one() {
    let channel = Channel::start(vec![is_silent("Updateability"), probe_line()]).await;
    let mut link = channel.link();
    link.connect().await.expect("a connection");
    let error = probe(&mut link, Duration::from_millis(300)).await.expect_err("silence");
    assert_eq!(error.code(), "channel-timeout");
    assert!(!link.is_connected(), "a half-asked connection was kept");
    assert_eq!(probe(&mut link, LIMIT).await.expect("an answer").server, "scripted");
}

/// A moment later than the one at which somebody began to wait, and as much silence as there was: both have to be so.
#[tokio::test]
async fn who_waits_on_a_silent_connection_gives_up_when_told_to() {
    let channel = Channel::start(vec![is_silent("Updateability"), probe_line()]).await;
    let mut link = channel.link();
    link.connect().await.expect("a connection");
    let (line, clock) = (link.line(), link.env().clock.clone());
    let now_ms = || clock.monotonic_us() / 1000;
    let pause = || tokio::time::sleep(Duration::from_millis(50));
    let begun_ms = now_ms();
    {
        let mut asking = pin!(probe(&mut link, LIMIT));
        let told_otherwise = async {
            while channel.asked().is_empty() {
                pause().await;
            }
            line.give_up(begun_ms, Duration::ZERO);
            pause().await;
            line.give_up(now_ms(), LIMIT);
            pause().await;
        };
        tokio::select! {
            biased;
            answer = &mut asking => panic!("not told to give up: {answer:?}"),
            () = told_otherwise => {}
        }
        line.give_up(now_ms(), Duration::from_millis(50));
        let error = asking.await.expect_err("silence");
        assert_eq!((error.code(), error.is_in_doubt()), ("channel-lost", true), "{error}");
    }
    assert!(!link.is_connected(), "a half-asked connection was kept");
    line.give_up(now_ms(), Duration::ZERO);
    assert_eq!(probe(&mut link, LIMIT).await.expect("an answer").server, "scripted");
}

#[tokio::test]
async fn a_dropped_call_costs_its_connection_too() {
    let channel = Channel::start(vec![is_silent("Updateability"), probe_line()]).await;
    let mut link = channel.link();
    link.connect().await.expect("a connection");
    {
        let asking = probe(&mut link, LIMIT);
        let given_up = tokio::time::timeout(Duration::from_millis(300), asking).await;
        assert!(given_up.is_err(), "the script keeps silent");
    }
    assert!(!link.is_connected());
    assert_eq!(probe(&mut link, LIMIT).await.expect("an answer").server, "scripted");
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_a_row_is_lost_and_in_doubt() {
    let columns = vec![("schema_name", "nvarchar(128)"), ("table_name", "nvarchar(128)")];
    let name = |n: usize| vec![Value::Text("ax".to_string()), Value::Text(format!("T{n}"))];
    let many = vec![(columns, (0..2_000).map(name).collect::<Vec<_>>())];
    let channel = Channel::start(vec![says("sys.tables", many)]).await;
    channel.gate.inject(Fault::HalfRow { rows: 1_500 });
    let mut link = channel.link();
    let error = crate::schema::all_table_names(&mut link).await.expect_err("half a row");
    assert!(error.is_in_doubt() && !link.is_connected(), "{error}");
}
