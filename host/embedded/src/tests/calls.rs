//! Calls, prepared statements, resets and attentions, byte by byte.

use super::House;
use super::raw::{Call, Seen, headers, seen};
use super::{count_rows, number};
use std::sync::atomic::Ordering;
use tiberius::Command;
use tillhold_core::value::Value;
use tokio::io::AsyncWriteExt as _;

const DONE: u8 = 0xFD;
const DONE_PROCEDURE: u8 = 0xFE;
const DONE_IN_PROCEDURE: u8 = 0xFF;
const MORE: u16 = 1;
const FAILED: u16 = 2;
const COUNTED: u16 = 0x10;
const ATTENTION: u16 = 0x20;

#[tokio::test]
async fn prepared_statements_live_until_they_are_let_go() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let prepare = Call::numbered(11).int(1, 0).text("@a int").text("fail 547");
    let ended = Seen::Done { token: DONE_PROCEDURE, status: 0 };
    assert_eq!(raw.call(prepare).await, [Seen::Status(0), Seen::ReturnedInt(1), ended.clone()]);
    let failed = raw.call(Call::numbered(12).int(0, 1).int(0, 5)).await;
    assert_eq!(failed[1], Seen::Error(547));
    assert_eq!(raw.call(Call::numbered(15).int(0, 1)).await, [Seen::Status(0), ended.clone()]);
    let gone = raw.call(Call::numbered(12).int(0, 1).int(0, 5)).await;
    assert_eq!(gone[0], Seen::Error(8_179));

    let both = Call::named("sp_prepexec").int(1, 0).text("@a int").text("print x").int(0, 5);
    let expected = [
        Seen::Other(0xAB),
        Seen::Done { token: DONE_IN_PROCEDURE, status: MORE },
        Seen::Status(0),
        Seen::ReturnedInt(1),
        ended,
    ];
    assert_eq!(raw.call(both).await, expected);
}

/// A parameter without a name: datetime, its size twice, days since 1900 and ticks.
const FAR_TOO_EARLY: [u8; 13] = [0, 0, 0x6F, 8, 8, 0, 0, 0, 0x80, 0, 0, 0, 0];

#[tokio::test]
async fn what_is_not_spoken_is_refused_and_the_connection_stays() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let null = || Value::Null;
    let int = || Value::Int(1);
    for (call, expected) in [
        (Call::numbered(2).int(1, 0), 2_812),
        (Call::named("sp_cursoropen"), 2_812),
        (Call::named("unknown"), 2_812),
        (Call::named("answers").with("@x", 1, "int", null()), 40_517),
        (Call::numbered(10).text("echo").text("@a int").with("@a", 2, "int", int()), 40_517),
        (Call::numbered(10).text("echo").text("@a int").with("@b", 0, "int", int()), 8_145),
        (Call::numbered(10).text("echo").text("@a hierarchyid").int(0, 1), 2_715),
        (Call::numbered(10).int(0, 1), 214),
        (Call(Call::numbered(10).text("echo").0.into_iter().chain([0xFF]).collect()), 40_517),
        (Call(Call::numbered(10).0.into_iter().chain([0, 0, 0xF3]).collect()), 40_517),
        // A day of a datetime that is long before 1753.
        (Call(Call::numbered(10).0.into_iter().chain(FAR_TOO_EARLY).collect()), 8_023),
    ] {
        let answer = raw.call(call).await;
        assert_eq!(answer[0], Seen::Error(expected), "{answer:?}");
    }
    let answer = raw.batch(0, "print still here").await;
    assert_eq!(answer, [Seen::Other(0xAB), Seen::Done { token: DONE, status: 0 }]);
}

#[tokio::test]
async fn a_broken_stream_is_told_and_closed() {
    let house = House::open().await;
    for (kind, body) in [(1, vec![1, 2]), (3, vec![0xFF; 40]), (14, headers()), (99, vec![])] {
        let mut raw = house.raw().await;
        raw.send(kind, 0, &body).await;
        let answer = raw.answer().await.expect("a word of farewell");
        assert!(matches!(seen(&answer)[0], Seen::Error(8_009 | 40_517)), "{kind}");
        if kind != 99 {
            assert_eq!(raw.answer().await, None, "the connection of {kind} lives on");
        }
    }
}

#[tokio::test]
async fn a_reset_rolls_back_before_the_request_runs() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    assert_eq!(raw.batch(0, "begin").await[0], Seen::Environment(8));
    let refused = raw.batch(0x10, "print x").await;
    assert_eq!(refused[0], Seen::Error(40_517), "a transaction cannot be kept over a reset");
    let answer = raw.batch(0x08, "print x").await;
    assert_eq!(answer[0], Seen::Environment(18));
    assert_eq!(house.log.rollbacks.load(Ordering::Acquire), 1);
    let next = raw.batch(0x10, "begin").await;
    assert_eq!(next[..2], [Seen::Environment(18), Seen::Environment(8)]);
}

#[tokio::test]
async fn attention_is_answered_wherever_it_comes() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let acknowledged = [Seen::Done { token: DONE, status: ATTENTION }];
    // With nothing in work.
    raw.send(6, 0, &[]).await;
    assert_eq!(seen(&raw.answer().await.expect("an answer")), acknowledged);
    // Between the packets of a message.
    raw.send_open(1, &headers()).await;
    raw.send(6, 0, &[]).await;
    assert_eq!(seen(&raw.answer().await.expect("an answer")), acknowledged);
    // With a request in work: its answer ends first.
    raw.send_batch(0, "wait").await;
    raw.send(6, 0, &[]).await;
    let cut_short = [Seen::Done { token: DONE, status: FAILED }];
    assert_eq!(seen(&raw.answer().await.expect("an answer")), cut_short);
    assert_eq!(seen(&raw.answer().await.expect("an answer")), acknowledged);
    // A message taken back.
    raw.send_open(1, &headers()).await;
    raw.stream.write_all(&[1, 3, 0, 8, 0, 0, 2, 0]).await.expect("written");
    let ignored = seen(&raw.answer().await.expect("an answer"));
    assert_eq!(ignored, [Seen::Done { token: DONE, status: FAILED }]);
    assert_eq!(raw.batch(0, "print x").await.len(), 2);
}

#[tokio::test]
async fn attention_within_a_result_ends_it_at_a_row() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let total = 5_000_000;
    for sql in [format!("rows {total}"), "rows 2".to_string()] {
        raw.send_batch(0, &sql).await;
        while house.log.rows_given.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        raw.send(6, 0, &[]).await;
        let answer = raw.answer().await.expect("the cut answer");
        // A whole result if it was short enough; every row of the engine's is whole in any case.
        assert!([FAILED, COUNTED].contains(&last_status(&answer)), "{sql}");
        let acknowledged = seen(&raw.answer().await.expect("an acknowledgement"));
        assert_eq!(acknowledged, [Seen::Done { token: DONE, status: ATTENTION }]);
        let given = house.log.rows_given.swap(0, Ordering::AcqRel);
        assert!(given < total, "the engine was not stopped");
    }
    assert_eq!(raw.batch(0, "print x").await.len(), 2);
}

fn last_status(answer: &[u8]) -> u16 {
    let done = &answer[answer.len() - 13..];
    assert_eq!(done[0], DONE, "no DONE at the end");
    u16::from_le_bytes([done[1], done[2]])
}

#[tokio::test]
async fn attention_between_the_engine_s_end_and_the_last_byte_is_answered_once() {
    let house = House::open().await;
    house.log.gate.set(house.gate.clone()).ok().expect("the first gate");
    let mut raw = house.raw().await;
    raw.send_batch(0, "stall").await;
    while house.log.rows_given.load(Ordering::Acquire) < 2 {
        tokio::task::yield_now().await;
    }
    // The engine ends, its answer stays in the stalled gate. Should it not have ended yet, the answer is one that
    // was cut short; that is right too.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    raw.send(6, 0, &[]).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    house.gate.heal();
    let answer = raw.answer().await.expect("an answer");
    assert!([FAILED, COUNTED].contains(&last_status(&answer)));
    let acknowledged = seen(&raw.answer().await.expect("an acknowledgement"));
    assert_eq!(acknowledged, [Seen::Done { token: DONE, status: ATTENTION }]);
    assert_eq!(raw.batch(0, "print x").await.len(), 2);
}

/// Rows of one `int` column would not do: the target has eight. All but the first are NULL by their bits.
fn bulk_with_null_bits(numbers: &[i32]) -> Vec<u8> {
    let columns = super::toy::bulk_columns();
    let mut bytes = vec![0x81, columns.len() as u8, 0];
    for column in &columns {
        bytes.extend([0; 6]);
        crate::wire::type_info::put_type(&mut bytes, column.of, column.nullable);
        bytes.push(0);
    }
    for number in numbers {
        bytes.extend([0xD2, 0b1111_1110]);
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

#[tokio::test]
async fn a_bulk_load_can_be_taken_back() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let accepted = [Seen::Done { token: DONE, status: 0 }];
    let acknowledged = [Seen::Done { token: DONE, status: ATTENTION }];
    let rows = bulk_with_null_bits(&(0..2_000).collect::<Vec<_>>());
    let end = [0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    assert_eq!(raw.batch(0, "insert bulk toys (a int)").await, accepted);
    raw.send_open(7, &rows).await;
    raw.send(6, 0, &[]).await;
    assert_eq!(seen(&raw.answer().await.expect("an answer")), acknowledged);

    assert_eq!(raw.batch(0, "INSERT  BULK toys (a int)").await, accepted);
    raw.send_open(7, &rows).await;
    raw.stream.write_all(&[7, 3, 0, 8, 0, 0, 2, 0]).await.expect("written");
    let ignored = [Seen::Done { token: DONE, status: FAILED }];
    assert_eq!(seen(&raw.answer().await.expect("an answer")), ignored);
    assert_eq!(house.log.rollbacks.load(Ordering::Acquire), 2);
    assert!(house.log.bulk.lock().expect("not poisoned").is_empty());

    assert_eq!(raw.batch(0, "insert bulk toys (a int)").await, accepted);
    raw.send(7, 0, &[&rows[..], &end].concat()).await;
    let loaded = seen(&raw.answer().await.expect("an answer"));
    assert_eq!(loaded, [Seen::Done { token: DONE, status: COUNTED }]);
    assert_eq!(house.log.bulk.lock().expect("not poisoned").len(), 2_000);

    assert_eq!(raw.batch(0, "insert bulk toys (a int)").await, accepted);
    raw.send(7, 0, &rows[..rows.len() - 1]).await;
    let broken = seen(&raw.answer().await.expect("an answer"));
    assert_eq!(broken, [Seen::Error(8_009), Seen::Done { token: DONE, status: FAILED }]);
    assert_eq!(raw.batch(0, "print x").await.len(), 2);
}

#[tokio::test]
async fn a_request_sent_ahead_waits_for_its_turn() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    for _ in 0..3 {
        raw.send_batch(0, "print x").await;
    }
    for _ in 0..3 {
        assert_eq!(seen(&raw.answer().await.expect("an answer")).len(), 2);
    }
}

#[tokio::test]
async fn commit_can_begin_the_next_transaction() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let request = |body: &[u8]| [headers(), body.to_vec()].concat();
    raw.send(14, 0, &request(&[5, 0, 0, 0])).await;
    let begun = seen(&raw.answer().await.expect("an answer"));
    assert_eq!(begun, [Seen::Environment(8), Seen::Done { token: DONE, status: 0 }]);
    raw.send(14, 0, &request(&[7, 0, 0, 1, 5, 0])).await;
    let next = seen(&raw.answer().await.expect("an answer"));
    assert_eq!(next[..2], [Seen::Environment(9), Seen::Environment(8)]);
    raw.send(14, 0, &request(&[0, 0])).await;
    let refused = seen(&raw.answer().await.expect("an answer"));
    assert_eq!(refused, [Seen::Error(40_517), Seen::Done { token: DONE, status: FAILED }]);
}

#[tokio::test]
async fn a_failed_statement_of_a_batch_says_so_after_what_was_done() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let expected = [
        Seen::Done { token: DONE, status: COUNTED | MORE },
        Seen::Error(547),
        Seen::Done { token: DONE, status: FAILED },
    ];
    assert_eq!(raw.batch(0, "fail 547").await, expected);
}

#[tokio::test]
async fn a_named_procedure_answers_rows_and_a_status() {
    let house = House::open().await;
    let mut client = house.client().await;
    let mut command = Command::new("answers");
    command.bind_param("@a", 5i32);
    let answer = command.exec(&mut client).await.expect("an answer");
    let answer = answer.into_command_result().await.expect("a result");
    assert_eq!(answer.return_code(), 7);
    let rows = answer.to_query_result(0).expect("a result set");
    assert_eq!(rows[0].get::<i32, _>(0), Some(5));
    assert_eq!(number(count_rows(&mut client, "nonsense").await), Some(102));
}
