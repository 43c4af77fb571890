//! The wire is real, the answers are told: what a pass makes of each thing that a channel may say.

use super::{Captured, Followed, Pass, Standing, own_context};
use crate::error::ChannelError;
use crate::link::Link;
use crate::sample;
use crate::scripted::{Channel, Line, Set, refuses, says};
use crate::upload::payload::tests::cards;
use std::sync::Arc;
use tillhold_core::profile::{Capture, ScopeTable};
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::table::Table;
use tillhold_core::value::Value;
use tillhold_core::version::{ChannelVersion, Incarnation, Position, TableMark};

const EPOCH: [u8; 16] = [9; 16];
const INCARNATION: Incarnation = Incarnation([7; 16]);

fn standing_line(current: Option<i64>, oldest: &[Option<i64>]) -> Line {
    let number = |n: Option<i64>| n.map_or(Value::Null, Value::Int);
    let mut columns = vec![("current", "bigint"), ("epoch", "uniqueidentifier")];
    columns.extend(oldest.iter().map(|_| ("min", "bigint")));
    let mut row = vec![number(current), Value::Guid(EPOCH)];
    row.extend(oldest.iter().map(|n| number(*n)));
    says("CHANGE_TRACKING_CURRENT_VERSION", vec![(columns, vec![row]), marks(1, ALTERED, 0)])
}

/// The table's object, when it was last altered, and the version that tracking began at.
fn marks(object: i64, altered: &str, begun: i64) -> Set {
    let columns = vec![
        ("schema_name", "nvarchar(128)"),
        ("table_name", "nvarchar(128)"),
        ("object_id", "int"),
        ("altered", "nvarchar(33)"),
        ("begin_version", "bigint"),
    ];
    let text = |text: &str| Value::Text(text.to_string());
    let name = cards().name.clone();
    let row = vec![
        text(&name.schema),
        text(&name.name),
        Value::Int(object),
        text(altered),
        Value::Int(begun),
    ];
    (columns, vec![row])
}

const ALTERED: &str = "2026-11-22T01:02:03.123";

async fn begin<'a>(
    link: &'a mut Link,
    epochs_known: &[[u8; 16]],
    own: Vec<u8>,
    tables: &[Followed],
) -> Result<Pass<'a>, ChannelError> {
    Pass::begin(link, Capture::ChangeTracking, epochs_known, own, tables).await
}

fn begin_line() -> Line {
    says("SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nBEGIN TRANSACTION;", Vec::new())
}

fn minima_line(oldest: &[i64]) -> Line {
    let columns = oldest.iter().map(|_| ("min", "bigint")).collect();
    let row = oldest.iter().map(|n| Value::Int(*n)).collect();
    says("SELECT CHANGE_TRACKING_MIN_VALID_VERSION", vec![(columns, vec![row])])
}

fn keys_line(last: i64, rows: i64) -> Line {
    let columns = vec![("last", "bigint"), ("rows", "int")];
    says("CHANGETABLE(CHANGES", vec![(columns, vec![vec![Value::Int(last), Value::Int(rows)]])])
}

/// Row number, version, context, presence, card, points.
type PageRow = (i64, i64, Option<Vec<u8>>, bool, &'static str, i64);

fn page_line(rows: Vec<PageRow>) -> Line {
    let columns = vec![
        ("_n", "bigint"),
        ("_v", "bigint"),
        ("_c", "varbinary(128)"),
        ("_p", "int"),
        ("_k0", "nvarchar(20)"),
        ("CARD", "nvarchar(20)"),
        ("POINTS", "int"),
        ("NOTE", "nvarchar(max)"),
    ];
    let row = |(n, v, context, present, card, points): PageRow| {
        let card = Value::Text(card.to_string());
        let mut row = vec![
            Value::Int(n),
            Value::Int(v),
            context.map_or(Value::Null, Value::Bytes),
            Value::Int(present.into()),
            card.clone(),
        ];
        row.extend(match present {
            true => [card, Value::Int(points), Value::Null],
            false => [Value::Null, Value::Null, Value::Null],
        });
        row
    };
    says("FROM #k", vec![(columns, rows.into_iter().map(row).collect())])
}

fn end_line() -> Line {
    says("COMMIT TRANSACTION;\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED;", Vec::new())
}

fn tables(versions: &[u64]) -> Vec<Followed> {
    versions.iter().map(|version| followed(cards(), *version)).collect()
}

fn followed(table: Arc<Table>, version: u64) -> Followed {
    let mark = TableMark {
        capture: Capture::ChangeTracking,
        history: "1/0".to_string(),
        altered: ALTERED.to_string(),
    };
    let position = Position { version: ChannelVersion(version), mark: Some(mark) };
    let (entry, filter) = (ScopeTable::whole(table.name.clone()), None);
    Followed { entry, table, filter, position, restricted: None }
}

fn card(key: &str) -> Key {
    Key(vec![Value::Text(key.to_string())])
}

#[tokio::test]
async fn a_pass_delivers_rows_by_their_presence_and_knows_its_own() {
    let own = own_context(INCARNATION);
    let resolved = [own.as_slice(), b"R"].concat();
    let channel = Channel::start(vec![
        begin_line(),
        standing_line(Some(30), &[Some(0)]),
        keys_line(3, 3),
        page_line(vec![
            (1, 11, None, true, "a", 5),
            (2, 12, Some(own.clone()), true, "b", 6),
            (3, 13, Some(resolved), false, "c", 0),
        ]),
        minima_line(&[0]),
        end_line(),
    ])
    .await;
    let mut link = channel.link();
    let mut pass = begin(&mut link, &[EPOCH], own, &tables(&[10])).await.expect("a pass");
    assert_eq!((pass.reached(), pass.epoch()), (ChannelVersion(30), EPOCH));
    let page = pass.page(0).await.expect("a page").expect("changes");
    let present = |key: &str, points, version, own| Captured {
        change: Change::Present(Row(vec![
            Value::Text(key.to_string()),
            Value::Int(points),
            Value::Null,
        ])),
        version: ChannelVersion(version),
        own,
        is_elsewhere: false,
    };
    let (change, version) = (Change::Gone(card("c")), ChannelVersion(13));
    let gone = Captured { change, version, own: false, is_elsewhere: false };
    assert_eq!(page.changes, [present("a", 5, 11, false), present("b", 6, 12, true), gone]);
    assert_eq!(page.refused, []);
    assert_eq!(pass.page(0).await.expect("the end"), None);
    pass.finish().await.expect("the end of the pass");
    assert!(link.is_connected());
    assert_eq!(channel.unsaid(), 0);
}

/// A version behind the register's, or another epoch, is a restored channel.
#[tokio::test]
async fn a_restored_channel_is_noticed_before_anything_is_delivered() {
    for (epoch, from) in [([1; 16], 10), (EPOCH, 31)] {
        let channel = Channel::start(vec![begin_line(), standing_line(Some(30), &[Some(0)])]).await;
        let mut link = channel.link();
        let begun = begin(&mut link, &[epoch], Vec::new(), &tables(&[from])).await;
        assert_eq!(begun.err().expect("a refusal").code(), "channel-restored");
        assert!(!link.is_connected(), "the snapshot transaction stayed open");
    }
}

/// Only the table whose history is gone is outdated, not the whole scope.
#[tokio::test]
async fn a_table_is_outdated_by_its_own_history() {
    let channel = Channel::start(vec![
        begin_line(),
        standing_line(Some(30), &[Some(11), Some(10)]),
        keys_line(0, 0),
        minima_line(&[11, 10]),
        end_line(),
    ])
    .await;
    let mut link = channel.link();
    let mut pass = begin(&mut link, &[], Vec::new(), &tables(&[10, 10])).await.expect("a pass");
    assert_eq!([pass.standing(0), pass.standing(1)], [Standing::Outdated, Standing::Current]);
    assert_eq!(pass.page(1).await.expect("no changes"), None);
    pass.finish().await.expect("the end");
}

#[tokio::test]
async fn an_outdated_table_gives_no_page() {
    let channel = Channel::start(vec![begin_line(), standing_line(Some(30), &[Some(11)])]).await;
    let mut link = channel.link();
    let mut pass = begin(&mut link, &[], Vec::new(), &tables(&[10])).await.expect("a pass");
    assert_eq!(pass.page(0).await.expect_err("outdated").code(), "channel-outdated");
}

/// NULL compares as unknown, so "no right" must not pass for "still valid".
#[tokio::test]
async fn an_unknown_minimum_is_no_minimum() {
    for (right, code) in [(0, "channel-right"), (1, "channel-tracking")] {
        let answer = vec![(vec![("right", "int")], vec![vec![Value::Int(right)]])];
        let channel = Channel::start(vec![
            begin_line(),
            standing_line(Some(30), &[None]),
            says("HAS_PERMS_BY_NAME", answer),
        ])
        .await;
        let mut link = channel.link();
        let begun = begin(&mut link, &[], Vec::new(), &tables(&[10])).await;
        assert_eq!(begun.err().expect("a refusal").code(), code);
    }
}

#[tokio::test]
async fn history_that_is_cleaned_up_during_the_pass_spoils_it() {
    let channel = Channel::start(vec![
        begin_line(),
        standing_line(Some(30), &[Some(0)]),
        keys_line(0, 0),
        minima_line(&[11]),
    ])
    .await;
    let mut link = channel.link();
    let mut pass = begin(&mut link, &[], Vec::new(), &tables(&[10])).await.expect("a pass");
    assert_eq!(pass.page(0).await.expect("no changes"), None);
    assert_eq!(pass.finish().await.expect_err("too late").code(), "channel-outdated");
    assert!(!link.is_connected());
}

/// A collected key whose row does not come back would be a change lost without a sound.
#[tokio::test]
async fn every_collected_change_must_come_back() {
    let channel = Channel::start(vec![
        begin_line(),
        standing_line(Some(30), &[Some(0)]),
        keys_line(2, 2),
        page_line(vec![(1, 11, None, true, "a", 5)]),
    ])
    .await;
    let mut link = channel.link();
    let mut pass = begin(&mut link, &[], Vec::new(), &tables(&[10])).await.expect("a pass");
    assert_eq!(pass.page(0).await.expect_err("a row is missing").code(), "channel-answer");
}

#[tokio::test]
async fn a_pass_never_goes_on_over_another_connection() {
    let channel = Channel::start(vec![begin_line(), standing_line(Some(30), &[Some(0)])]).await;
    let mut link = channel.link();
    let mut pass = begin(&mut link, &[], Vec::new(), &tables(&[10])).await.expect("a pass");
    channel.gate.cut().await.expect("a cut");
    channel.gate.restore().await.expect("the channel back");
    assert!(pass.page(0).await.expect_err("the cut").is_in_doubt());
    assert!(pass.page(0).await.expect_err("no second life").is_in_doubt());
    assert_eq!(channel.asked().len(), 2, "something ran outside of the snapshot");
}

#[tokio::test]
async fn snapshot_isolation_that_is_off_is_said_so() {
    let text = "Snapshot isolation transaction failed accessing database 'Channel'.";
    let channel = Channel::start(vec![begin_line(), refuses("CURRENT_VERSION", 3952, text)]).await;
    let mut link = channel.link();
    let begun = begin(&mut link, &[], Vec::new(), &tables(&[10])).await;
    assert_eq!(begun.err(), Some(ChannelError::SnapshotIsolationOff));
}

#[tokio::test]
async fn a_table_without_a_travelling_key_is_refused_before_anything_is_sent() {
    let channel = Channel::start(Vec::new()).await;
    let keyless = Arc::new(sample::table("ax.LOG", &["TXT nvarchar(10)"], &[]));
    let mut link = channel.link();
    let begun = begin(&mut link, &[], Vec::new(), &[followed(keyless, 0)]).await;
    assert_eq!(begun.err().expect("a refusal").code(), "channel-key");
    assert!(channel.asked().is_empty());
}

/// A row that is not what the catalogue says, and one with text that is none: each is named, the rest comes.
#[tokio::test]
async fn a_row_that_cannot_be_carried_costs_itself_alone() {
    let columns = vec![
        ("_n", "bigint"),
        ("_v", "bigint"),
        ("_c", "varbinary(128)"),
        ("_p", "int"),
        ("_k0", "nvarchar(20)"),
        ("CARD", "nvarchar(20)"),
        ("POINTS", "bigint"),
        ("NOTE", "nvarchar(max)"),
    ];
    let text = |text: &str| Value::Text(text.to_string());
    let row = |n: i64, card: &str, points: i64, note: &str| {
        let (n, card) = (Value::Int(n), text(card));
        let row = [Value::Int(11), Value::Null, Value::Int(1), card.clone(), card];
        [vec![n], row.to_vec(), vec![Value::Int(points), text(note)]].concat()
    };
    let rows = vec![
        row(1, "a", 1, ""),
        row(2, "b", i64::MAX, ""),
        row(3, "c", 3, "x\u{FFFD}"),
        row(4, "d", 4, ""),
    ];
    let units = vec![b'x', 0, 0x00, 0xD8];
    let channel = Channel::start(vec![
        begin_line(),
        standing_line(Some(30), &[Some(0)]),
        keys_line(4, 4),
        says("FROM #k", vec![(columns, rows)]),
        says("units", vec![(vec![("units", "varbinary(max)")], vec![vec![Value::Bytes(units)]])]),
    ])
    .await;
    let mut link = channel.link();
    let own = own_context(INCARNATION);
    let mut pass = begin(&mut link, &[EPOCH], own, &tables(&[10])).await.expect("a pass");
    let page = pass.page(0).await.expect("a page").expect("changes");
    let keys =
        |of: &[Captured]| of.iter().map(|one| format!("{:?}", one.change)).collect::<Vec<_>>();
    assert_eq!(page.changes.len(), 2, "{:?}", keys(&page.changes));
    assert_eq!(
        page.changes[1].change,
        Change::Present(Row(vec![text("d"), Value::Int(4), text("")]))
    );
    let refused: Vec<&Key> = page.refused.iter().map(|(key, _)| key).collect();
    assert_eq!(refused, [&card("b"), &card("c")]);
    assert!(page.refused[0].1.contains("POINTS"), "{}", page.refused[0].1);
    assert!(page.refused[1].1.contains("surrogate"), "{}", page.refused[1].1);
}
