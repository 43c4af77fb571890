//! The wire is real, the answers are told: what an upload makes of each thing that a channel may
//! say.

use super::payload::tests::{cards, transaction, write};
use super::{Outgoing, upload, upload_altered};
use crate::capture::own_context;
use crate::error::ChannelError;
use crate::scripted::{Asked, Channel, Line, Set, refuses, says};
use tillhold_core::row::Row;
use tillhold_core::transaction::{Contest, Operation, Receipt, Transaction};
use tillhold_core::value::Value;
use tillhold_core::version::{ChannelVersion, Incarnation};

const INCARNATION: Incarnation = Incarnation([7; 16]);

fn outcomes(outcomes: &[i64]) -> Set {
    let row = |(at, outcome): (usize, &i64)| vec![Value::Int(at as i64), Value::Int(*outcome)];
    (vec![("s", "int"), ("o", "tinyint")], outcomes.iter().enumerate().map(row).collect())
}

/// Transaction, row, version, and the points of the channel's row if there is one.
fn contests(rows: &[(i64, i64, Option<i64>, Option<i64>)]) -> Set {
    let columns = vec![
        ("_t", "int"),
        ("_w", "int"),
        ("_v", "bigint"),
        ("_p", "int"),
        ("CARD", "nvarchar(20)"),
        ("POINTS", "int"),
        ("NOTE", "nvarchar(max)"),
    ];
    let row = |(t, w, v, points): &(i64, i64, Option<i64>, Option<i64>)| {
        let number = |n: &Option<i64>| n.map_or(Value::Null, Value::Int);
        let card = points.map_or(Value::Null, |_| Value::Text("x".to_string()));
        let present = Value::Int(points.is_some().into());
        vec![Value::Int(*t), Value::Int(*w), number(v), present, card, number(points), Value::Null]
    };
    (columns, rows.iter().map(row).collect())
}

fn inserts(keys: &[&str]) -> Vec<Transaction> {
    let one =
        |(at, key): (usize, &&str)| transaction(at as u8, vec![write(Operation::Insert, key, 1)]);
    keys.iter().enumerate().map(one).collect()
}

async fn uploaded(
    lines: Vec<Line>,
    transactions: &[Transaction],
) -> (Result<Vec<Receipt>, ChannelError>, Vec<Asked>) {
    let channel = Channel::start(lines).await;
    let mut link = channel.link();
    let receipts = upload(&mut link, "S1-1", INCARNATION, transactions).await;
    assert_eq!(channel.unsaid(), 0, "the script was not played to its end: {receipts:?}");
    (receipts, channel.asked())
}

const UPLOAD: &str = "sp_getapplock";

#[tokio::test]
async fn each_outcome_is_its_own_receipt() {
    let batch = inserts(&["a", "b", "c", "d"]);
    let answer = vec![outcomes(&[0, 1, 2, 3]), contests(&[(3, 0, Some(12), Some(5))])];
    let (receipts, asked) = uploaded(vec![says(UPLOAD, answer)], &batch).await;
    let channel = Row(vec![Value::Text("x".to_string()), Value::Int(5), Value::Null]);
    let contest = Contest { write: 0, channel: Some(channel), version: Some(ChannelVersion(12)) };
    assert_eq!(
        receipts.expect("receipts"),
        [
            Receipt::Applied,
            Receipt::AlreadyThere,
            Receipt::Clash,
            Receipt::Contested(vec![contest])
        ]
    );
    assert_eq!(asked[0].1[3], Value::Bytes(own_context(INCARNATION)));
}

/// Only the row that was altered flows back; the sale's other rows are the register's own.
#[tokio::test]
async fn an_altered_row_is_marked_so_that_it_flows_back() {
    let answer = vec![outcomes(&[0]), contests(&[])];
    let channel = Channel::start(vec![says("s.[r] = 1", answer)]).await;
    let mut link = channel.link();
    let insert = |key| write(Operation::Insert, key, 1);
    let sale = transaction(1, vec![insert("a"), insert("b")]);
    let sent = [Outgoing { altered: &[1], ..Outgoing::plain(&sale) }];
    let sent = upload_altered(&mut link, "S1-1", INCARNATION, &sent).await;
    assert_eq!(sent.expect("a receipt"), [Receipt::Applied]);
    let own = own_context(INCARNATION);
    let parameters = channel.asked().remove(0).1;
    assert_eq!(parameters[3], Value::Bytes(own.clone()));
    assert_eq!(parameters[4], Value::Bytes([own.as_slice(), b"R"].concat()));
    let Value::Text(json) = &parameters[2] else { panic!("no JSON: {parameters:?}") };
    assert!(json.contains(r#""r":1,"k0":"b""#) && !json.contains(r#""r":1,"k0":"a""#), "{json}");
}

/// Three sales of one shape, on one connection: what was asked, each by its first words.
async fn three_times(lines: Vec<Line>) -> (Vec<String>, Vec<Vec<Value>>) {
    let channel = Channel::start(lines).await;
    let mut link = channel.link();
    for sale in inserts(&["a", "b", "c"]) {
        let receipts = upload(&mut link, "S1-1", INCARNATION, &[sale]).await;
        assert_eq!(receipts.expect("receipts"), [Receipt::Applied]);
    }
    assert_eq!(channel.unsaid(), 0, "the script was not played to its end");
    let asked = channel.asked().into_iter().map(|(sql, parameters)| {
        let words: Vec<&str> = sql.split_whitespace().take(3).collect();
        (words.join(" "), parameters)
    });
    asked.unzip()
}

const MAKING: &str = "CREATE PROCEDURE #tillhold_1 @P1 nvarchar(4000), @P2";
const TEXT: &str = "SET NOCOUNT ON;";

fn applied() -> Vec<Set> {
    vec![outcomes(&[0]), contests(&[])]
}

#[tokio::test]
async fn a_sale_like_the_ones_before_is_said_by_its_name() {
    let script = vec![
        says(UPLOAD, applied()),
        says(MAKING, Vec::new()),
        says("#tillhold_1", applied()),
        says("#tillhold_1", applied()),
    ];
    let (asked, parameters) = three_times(script).await;
    assert_eq!(asked[0], TEXT);
    assert_eq!(asked[1], "CREATE PROCEDURE #tillhold_1");
    assert_eq!(asked[2..], ["#tillhold_1", "#tillhold_1"]);
    let [told, making, called, again] = &parameters[..] else { panic!("{parameters:?}") };
    assert!(making.is_empty());
    for parameters in [called, again] {
        assert_eq!(parameters.len(), told.len());
        assert_ne!(parameters[2], told[2], "each has its own sale");
        assert_eq!((&parameters[..2], &parameters[3..]), (&told[..2], &told[3..]));
    }
}

/// Whoever may make no procedure sells all the same, and is not asked for one again and again.
#[tokio::test]
async fn a_channel_that_keeps_no_statement_is_told_the_text() {
    let script = vec![
        says(UPLOAD, applied()),
        refuses(MAKING, 262, "CREATE PROCEDURE permission denied in database 'tempdb'."),
        says(UPLOAD, applied()),
        says(UPLOAD, applied()),
    ];
    let (asked, _) = three_times(script).await;
    assert_eq!([&asked[0], &asked[2], &asked[3]], [TEXT, TEXT, TEXT]);
}

/// Something between the two gave the register another session.
#[tokio::test]
async fn a_statement_that_the_channel_has_lost_is_told_from_then_on() {
    let script = vec![
        says(UPLOAD, applied()),
        says(MAKING, Vec::new()),
        refuses("#tillhold_1", 2812, "Could not find stored procedure '#tillhold_1'."),
        says(UPLOAD, applied()),
        says(UPLOAD, applied()),
    ];
    let (asked, _) = three_times(script).await;
    assert_eq!(asked[2..], ["#tillhold_1", TEXT, TEXT]);
}

#[tokio::test]
async fn one_poisonous_row_costs_its_own_transaction_only() {
    let batch = inserts(&["a", "b", "c", "d", "e"]);
    let long =
        "String or binary data would be truncated in table 'Channel.ax.CARDS', column 'NOTE'.";
    let script = vec![
        refuses(UPLOAD, 2628, long),                          // a b c d e
        says(UPLOAD, vec![outcomes(&[0, 0]), contests(&[])]), // a b
        refuses(UPLOAD, 2628, long),                          // c d e
        says(UPLOAD, vec![outcomes(&[1]), contests(&[])]),    // c
        refuses(UPLOAD, 2628, long),                          // d e
        refuses(UPLOAD, 2628, long),                          // d
        says(UPLOAD, vec![outcomes(&[0]), contests(&[])]),    // e
    ];
    let (receipts, _) = uploaded(script, &batch).await;
    let refused = Receipt::Refused {
        number: 2628,
        message: long.to_string(),
        table: Some(cards().name.clone()),
    };
    assert_eq!(
        receipts.expect("receipts"),
        [Receipt::Applied, Receipt::Applied, Receipt::AlreadyThere, refused, Receipt::Applied]
    );
}

#[tokio::test]
async fn a_deadlock_is_tried_again_with_the_same_ids_and_not_for_ever() {
    let batch = inserts(&["a"]);
    let busy = || refuses(UPLOAD, 1205, "Transaction was deadlocked.");
    let script = vec![busy(), says(UPLOAD, vec![outcomes(&[0]), contests(&[])])];
    let (receipts, asked) = uploaded(script, &batch).await;
    assert_eq!(receipts.expect("receipts"), [Receipt::Applied]);
    assert_eq!(asked[0].1, asked[1].1);
    let (receipts, _) = uploaded(vec![busy(), busy(), busy(), busy()], &batch).await;
    assert_eq!(receipts.expect_err("still busy").code(), "channel-busy");
}

#[tokio::test]
async fn what_concerns_the_whole_channel_is_not_blamed_on_a_transaction() {
    let batch = inserts(&["a", "b"]);
    for (number, message, code) in [
        (229, "The INSERT permission was denied.", "channel-right"),
        (207, "Invalid column name 'NOTE'.", "channel-schema"),
        (9002, "The transaction log is full.", "channel-full"),
        (208, "Invalid object name 'tillhold.ledger'.", "channel-unprepared"),
        (102, "Incorrect syntax.", "channel-sql"),
    ] {
        let (receipts, _) = uploaded(vec![refuses(UPLOAD, number, message)], &batch).await;
        assert_eq!(receipts.expect_err("a refusal").code(), code);
    }
}

#[tokio::test]
async fn a_transaction_behind_a_contested_one_waits_for_it() {
    let update = |key| write(Operation::Update, key, 1);
    let batch = [
        transaction(1, vec![update("a"), update("b")]),
        transaction(2, vec![update("B")]),
        transaction(3, vec![update("c")]),
    ];
    let answer = vec![outcomes(&[3, 5, 0]), contests(&[(0, 0, None, None)])];
    let (receipts, _) = uploaded(vec![says("WHILE @held > 0", answer)], &batch).await;
    let contest = Contest { write: 0, channel: None, version: None };
    assert_eq!(
        receipts.expect("receipts"),
        [Receipt::Contested(vec![contest]), Receipt::Blocked, Receipt::Applied]
    );
}

/// What the ledger knows is left out of the sum, so the others come again, once.
#[tokio::test]
async fn what_builds_on_a_known_transaction_is_sent_again_without_it() {
    let update = |key| write(Operation::Update, key, 1);
    let batch = [
        transaction(1, vec![update("a")]),
        transaction(2, vec![update("a")]),
        transaction(3, vec![update("a")]),
    ];
    let script = vec![
        says(UPLOAD, vec![outcomes(&[1, 4, 4]), contests(&[])]),
        says(UPLOAD, vec![outcomes(&[0, 0]), contests(&[])]),
    ];
    let (receipts, asked) = uploaded(script, &batch).await;
    assert_eq!(
        receipts.expect("receipts"),
        [Receipt::AlreadyThere, Receipt::Applied, Receipt::Applied]
    );
    let Value::Text(json) = &asked[1].1[2] else { panic!("no JSON: {:?}", asked[1].1) };
    assert!(json.contains(r#""t":0,"w":0,"o":"U","b":7,"m":"010","k0":"a""#), "{json}");
}

/// A clash is nobody's row to build upon, and neither is a refused sale's.
#[tokio::test]
async fn what_shares_a_row_with_a_refused_transaction_is_not_sent_over_it() {
    let update = |key| write(Operation::Update, key, 1);
    let batch = [
        transaction(1, vec![update("a")]),
        transaction(2, vec![update("a"), update("b")]),
        transaction(3, vec![update("b")]),
        transaction(4, vec![update("c")]),
    ];
    let held = || Receipt::Blocked;
    let clash = vec![
        says(UPLOAD, vec![outcomes(&[2, 4, 4, 4]), contests(&[])]),
        says(UPLOAD, vec![outcomes(&[0]), contests(&[])]),
    ];
    let (receipts, _) = uploaded(clash, &batch).await;
    let expected = [Receipt::Clash, held(), held(), Receipt::Applied];
    assert_eq!(receipts.expect("receipts"), expected);
    let long = "String or binary data would be truncated.";
    let refusal = vec![
        refuses(UPLOAD, 8152, long),                       // 1 2 3 4
        refuses(UPLOAD, 8152, long),                       // 1 2
        refuses(UPLOAD, 8152, long),                       // 1
        says(UPLOAD, vec![outcomes(&[0]), contests(&[])]), // 4
    ];
    let (receipts, _) = uploaded(refusal, &batch).await;
    let receipts = receipts.expect("receipts");
    assert!(matches!(receipts[0], Receipt::Refused { number: 8152, .. }), "{receipts:?}");
    assert_eq!(receipts[1..], [held(), held(), Receipt::Applied]);
}

#[tokio::test]
async fn an_answer_with_too_few_outcomes_is_refused() {
    let batch = inserts(&["a", "b"]);
    for answer in [
        vec![outcomes(&[0]), contests(&[])],
        vec![outcomes(&[0, 9]), contests(&[])],
        vec![outcomes(&[0, 3]), contests(&[])],
        vec![outcomes(&[4, 4]), contests(&[])],
        vec![outcomes(&[0, 0, 0]), contests(&[])],
        Vec::new(),
    ] {
        let (receipts, _) = uploaded(vec![says(UPLOAD, answer)], &batch).await;
        assert_eq!(receipts.expect_err("not an answer").code(), "channel-answer");
    }
}

/// Two sessions inserted the same key; asked again, the other's row is there to see.
#[tokio::test]
async fn a_key_that_came_twice_is_asked_about_once_more() {
    let twice = || refuses(UPLOAD, 2627, "Violation of PRIMARY KEY constraint 'PK_CARDS'.");
    let answer = vec![outcomes(&[3]), contests(&[(0, 0, Some(12), Some(5))])];
    let (receipts, _) = uploaded(vec![twice(), says(UPLOAD, answer)], &inserts(&["x"])).await;
    let receipts = receipts.expect("receipts");
    assert!(matches!(&receipts[..], [Receipt::Contested(contests)] if contests.len() == 1));
    let (receipts, _) = uploaded(vec![twice(), twice()], &inserts(&["x"])).await;
    assert!(matches!(receipts.expect("receipts")[..], [Receipt::Refused { number: 2627, .. }]));
}

#[tokio::test]
async fn an_upload_too_large_for_one_statement_is_cut_between_transactions() {
    let mut batch = inserts(&["a", "b"]);
    let note = Value::Text("n".repeat(tillhold_core::limits::UPLOAD_BYTES_MAX / 2));
    for transaction in &mut batch {
        let offline = transaction.writes[0].offline.as_mut().expect("a row");
        offline.0[2] = note.clone();
    }
    let one = || says(UPLOAD, vec![outcomes(&[0]), contests(&[])]);
    let (receipts, _) = uploaded(vec![one(), one()], &batch).await;
    assert_eq!(receipts.expect("receipts"), [Receipt::Applied, Receipt::Applied]);
}

#[tokio::test]
async fn a_transaction_that_was_decided_away_still_gets_its_ledger_entry() {
    let script = vec![says("[tillhold].[ledger]", vec![outcomes(&[0])])];
    let (receipts, _) = uploaded(script, &[transaction(1, Vec::new())]).await;
    assert_eq!(receipts.expect("receipts"), [Receipt::Applied]);
}

#[test]
fn a_commit_that_cannot_be_divided_has_the_time_of_as_many_uploads() {
    let usual = std::time::Duration::from_secs(30);
    let most = tillhold_core::limits::UPLOAD_BYTES_MAX;
    let times = |bytes: usize| super::time_for(bytes, usual).as_secs() / usual.as_secs();
    assert_eq!([0, most - 1, most, 20 * most].map(times), [1, 1, 2, 21]);
}
