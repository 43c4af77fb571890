//! A first load, page by page, against a channel that says what it is told.

use super::{Page, pages};
use crate::error::ChannelError;
use crate::scripted::{Asked, Channel, Line, Set, says};
use crate::upload::payload::tests::cards;
use tillhold_core::limits::{LOAD_PAGE_BYTES_MAX, LOAD_PAGE_ROWS_MAX, PULL_PAGE_ROWS_MAX};
use tillhold_core::row::{Key, Row};
use tillhold_core::value::Value;
use tillhold_embedded::Fault;
use tokio::sync::mpsc;

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

fn row(card: &str, note: &str) -> Vec<Value> {
    vec![text(card), Value::Int(1), text(note)]
}

/// `count` rows from `first` on, in the order of their keys.
fn many(first: usize, count: usize) -> Vec<Vec<Value>> {
    (first..first + count).map(|n| row(&format!("{n:06}"), "")).collect()
}

fn rows(rows: Vec<Vec<Value>>) -> Line {
    let columns = vec![("CARD", "nvarchar(20)"), ("POINTS", "int"), ("NOTE", "nvarchar(max)")];
    says("SELECT TOP", vec![(columns, rows)])
}

fn units(units: &[u16]) -> Line {
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let set: Set = (vec![("units", "varbinary(max)")], vec![vec![Value::Bytes(bytes)]]);
    says("AS [units]", vec![set])
}

struct Loaded {
    pages: Vec<Page>,
    ended: Result<(), ChannelError>,
    asked: Vec<Asked>,
    is_connected: bool,
}

impl Loaded {
    /// The pages, each as its rows' keys, its refused keys after `!`, and its place after `@`.
    fn shown(&self) -> Vec<String> {
        self.pages.iter().map(shown).collect()
    }

    /// For how many rows each statement asked, and after which key.
    fn statements(&self) -> Vec<(i64, Option<String>)> {
        let pages = self.asked.iter().filter(|(sql, _)| sql.contains("SELECT TOP"));
        let one = |(_, parameters): &Asked| match parameters.as_slice() {
            [Value::Int(rows)] => (*rows, None),
            [Value::Int(rows), Value::Text(key)] => (*rows, Some(key.clone())),
            other => panic!("a page asks for rows, perhaps after a key: {other:?}"),
        };
        pages.map(one).collect()
    }
}

fn shown(page: &Page) -> String {
    let key = |key: &Key| match &key.0[..] {
        [Value::Text(card)] => card.clone(),
        other => panic!("a card has one key column: {other:?}"),
    };
    let cards: Vec<String> = page.rows.iter().map(|row: &Row| key(&row.key(&cards()))).collect();
    let refused: Vec<String> = page.refused.iter().map(|(k, _)| format!("!{}", key(k))).collect();
    let place = page.last_key.as_ref().map_or("@".to_string(), |k| format!("@{}", key(k)));
    [cards, refused, vec![place]].concat().join(" ")
}

async fn load(script: Vec<Line>, fault: Option<Fault>, after: Option<&str>) -> Loaded {
    let channel = Channel::start(script).await;
    fault.into_iter().for_each(|fault| channel.gate.inject(fault));
    let (mut link, table) = (channel.link(), cards());
    let (out, mut taken) = mpsc::channel(1);
    let after = after.map(|card| Key(vec![text(card)]));
    let reading = pages(&mut link, &table, None, None, after, out);
    let taking = async {
        let mut all = Vec::new();
        while let Some(page) = taken.recv().await {
            all.push(page);
        }
        all
    };
    let (ended, pages) = tokio::join!(reading, taking);
    Loaded { pages, ended, asked: channel.asked(), is_connected: link.is_connected() }
}

#[tokio::test]
async fn statements_grow_and_pages_are_full_before_they_are_passed_on() {
    let (first, second) = (PULL_PAGE_ROWS_MAX, 4 * PULL_PAGE_ROWS_MAX);
    let script = vec![
        rows(many(1, first)),
        rows(many(first + 1, second)),
        rows(many(first + second + 1, 7)),
    ];
    let loaded = load(script, None, None).await;
    loaded.ended.as_ref().expect("a load");
    let last = |n: usize| Some(format!("{n:06}"));
    let wanted = [
        (first as i64, None),
        (second as i64, last(first)),
        (4 * second as i64, last(first + second)),
    ];
    assert_eq!(loaded.statements(), wanted);
    assert!(loaded.pages.iter().all(|page| page.rows.len() <= LOAD_PAGE_ROWS_MAX));
    let all: Vec<&Row> = loaded.pages.iter().flat_map(|page| &page.rows).collect();
    assert_eq!(all.len(), first + second + 7);
    assert!(all.windows(2).all(|two| two[0].0[0] != two[1].0[0]), "a row came twice");
    assert!(loaded.is_connected, "an answer that was read to its end keeps its connection");
}

/// A table of pictures: what is in memory at once is bounded by bytes, not by rows.
#[tokio::test]
async fn wide_rows_make_short_pages_and_short_statements() {
    let wide = "w".repeat(LOAD_PAGE_BYTES_MAX / 2 + 1);
    let mut script: Vec<Vec<Value>> = (0..5).map(|n| row(&n.to_string(), &wide)).collect();
    script.push(row("5", ""));
    let loaded = load(vec![rows(script)], None, None).await;
    assert_eq!(loaded.shown(), ["0 1 @1", "2 3 @3", "4 5 @5"]);
    let reach = super::Reach::at_first().further(1_000, 1_000 * 16 * LOAD_PAGE_BYTES_MAX);
    assert_eq!(reach, super::Reach { rows: 1 }, "a statement of pictures asks for few");
}

#[tokio::test]
async fn a_load_goes_on_where_it_stopped() {
    let loaded = load(vec![rows(many(8, 2))], None, Some("000007")).await;
    assert_eq!(loaded.shown(), ["000008 000009 @000009"]);
    assert_eq!(loaded.statements(), [(1_000, Some("000007".to_string()))]);
}

#[tokio::test]
async fn a_cell_that_cannot_be_carried_costs_its_row_and_says_why() {
    // The catalogue says 20 characters for a card, but for a note whatever it likes.
    let columns = vec![("CARD", "nvarchar(20)"), ("POINTS", "bigint"), ("NOTE", "nvarchar(max)")];
    let points = |card: &str, points: i64| vec![text(card), Value::Int(points), text("")];
    let answer = vec![points("a", 1), points("b", i64::MAX), points("c", 3)];
    let loaded = load(vec![says("SELECT TOP", vec![(columns, answer)])], None, None).await;
    loaded.ended.as_ref().expect("a load");
    assert_eq!(loaded.shown(), ["a c !b @c"]);
    let reason = &loaded.pages[0].refused[0].1;
    assert!(reason.contains("POINTS") && reason.contains("CARD=b"), "{reason}");
}

#[tokio::test]
async fn text_in_doubt_is_asked_for_again_and_costs_at_most_its_row() {
    let answer = vec![row("a", ""), row("b", "x\u{FFFD}"), row("c", "y\u{FFFD}"), row("d", "")];
    let script = vec![rows(answer), units(&[u16::from(b'x'), 0xD800]), units(&[0x79, 0xFFFD])];
    let loaded = load(script, None, None).await;
    loaded.ended.as_ref().expect("a load");
    assert_eq!(loaded.shown(), ["a c d !b @d"]);
    assert!(loaded.pages[0].refused[0].1.contains("lone UTF-16 surrogate"));
}

/// The doubt needs the connection, which is busy: the rest of the answer is asked for again.
#[tokio::test]
async fn what_follows_a_page_in_doubt_is_asked_for_again() {
    let wide = "w".repeat(LOAD_PAGE_BYTES_MAX) + "\u{FFFD}";
    let first = vec![row("a", ""), row("b", &wide), row("c", ""), row("d", "")];
    let whole: Vec<u16> = wide.encode_utf16().collect();
    let script = vec![rows(first), units(&whole), rows(vec![row("c", ""), row("d", "")])];
    let loaded = load(script, None, None).await;
    loaded.ended.as_ref().expect("a load");
    assert_eq!(loaded.shown(), ["a b @b", "c d @d"]);
    assert_eq!(loaded.statements(), [(1_000, None), (1_000, Some("b".to_string()))]);
}

/// A key that is not what the channel has is no place to go on from.
#[tokio::test]
async fn a_broken_key_costs_its_row_and_is_never_a_place() {
    let answer = vec![row("a", ""), row("b\u{FFFD}", "")];
    let loaded = load(vec![rows(answer), units(&[0x62, 0xDC00])], None, None).await;
    loaded.ended.as_ref().expect("a load");
    assert_eq!(loaded.shown(), ["a !b\u{FFFD} @a"]);
    let alone = load(vec![rows(vec![row("\u{FFFD}", "")]), units(&[0xDC00])], None, None).await;
    alone.ended.as_ref().expect("a load");
    assert_eq!(alone.shown(), ["!\u{FFFD} @"]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_keeps_whole_pages_and_costs_the_connection() {
    let fault = Fault::HalfRow { rows: 6_500 };
    let script = vec![rows(many(1, 1_000)), rows(many(1_001, 8_000))];
    let loaded = load(script, Some(fault), None).await;
    let error = loaded.ended.expect_err("half a row");
    assert_eq!(error.code(), "channel-lost", "{error}");
    assert!(!loaded.is_connected, "a half-read connection was kept");
    let rows: usize = loaded.pages.iter().map(|page| page.rows.len()).sum();
    assert_eq!(rows, 6_000, "the first statement and one whole page of the second");
}

#[tokio::test]
async fn nobody_who_takes_pages_ends_the_reading() {
    let channel = Channel::start(vec![rows(many(1, 1_000)), rows(many(1_001, 1_000))]).await;
    let (mut link, table) = (channel.link(), cards());
    let (out, taken) = mpsc::channel(1);
    drop(taken);
    pages(&mut link, &table, None, None, None, out).await.expect("no error: nobody wanted more");
    assert_eq!(channel.unsaid(), 1, "it asked on");
    assert!(!link.is_connected());
}

/// A peer that stops in the middle of an answer is noticed by the bound of the page that does not
/// come; what came before stays.
#[tokio::test]
async fn an_answer_that_stalls_costs_its_connection_after_the_bound() {
    let wide = "w".repeat(4_000);
    let script = vec![rows((0..8_000).map(|n| row(&format!("{n:06}"), &wide)).collect())];
    let channel = Channel::start(script).await;
    let mut link = channel.link_with(|config| {
        config.statement_timeout = std::time::Duration::from_secs(2);
    });
    let (out, mut taken) = mpsc::channel(1);
    let table = cards();
    let reading = pages(&mut link, &table, None, None, None, out);
    let stalling = async {
        let first = taken.recv().await.expect("a first page");
        channel.gate.inject(Fault::Stall);
        while taken.recv().await.is_some() {}
        first
    };
    let (ended, first) = tokio::join!(reading, stalling);
    assert_eq!(ended.expect_err("a stall").code(), "channel-timeout");
    assert!(!first.rows.is_empty() && !link.is_connected());
}
