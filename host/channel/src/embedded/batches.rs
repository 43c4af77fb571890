//! Batches in which several transactions write the same rows: one statement has to come to what the
//! transactions come to one after another.

use super::{INCARNATION, Shop, card, cards, run, wrote};
use crate::upload::chains::Blocked;
use crate::upload::upload;
use std::collections::BTreeMap;
use tillhold_core::row::Row;
use tillhold_core::transaction::{ContentHash, Receipt, Transaction, TransactionId, Write};
use tillhold_core::version::{ChannelVersion, Sequence};
use tillhold_embedded::Fault;

/// Knuth's linear congruence: the same numbers for the same seed everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn transaction(number: u64, writes: Vec<Write>) -> Transaction {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Transaction {
        id: TransactionId(id),
        hash: ContentHash([7; 32]),
        sequence: Sequence(number),
        writes,
    }
}

/// What a register does to its own rows, which are under `prefix`; `seen` is what it last pulled.
fn sales(dice: &mut Dice, prefix: &str, first: u64, seen: ChannelVersion) -> Vec<Transaction> {
    let mut rows: BTreeMap<u64, Option<Row>> = (0..6).map(|key| (key, None)).collect();
    for key in 0..4 {
        rows.insert(key, Some(card(&format!("{prefix}{key}"), 1, Some("old"))));
    }
    let mut sales = Vec::new();
    for number in 0..10 {
        let mut writes = Vec::new();
        for _ in 0..=dice.below(3) {
            let key = dice.below(6);
            let base = rows[&key].clone();
            let name = format!("{prefix}{key}");
            let points = number as i64 * 10 + dice.below(10) as i64 + 2;
            let offline = match (&base, dice.below(4)) {
                (Some(_), 0) => None,
                (Some(row), 1) => {
                    let mut row = row.clone();
                    row.0[2] = card(&name, 0, Some(&format!("n{points}"))).0[2].clone();
                    Some(row)
                }
                (Some(row), _) => {
                    let mut row = row.clone();
                    row.0[1] = card(&name, points, None).0[1].clone();
                    Some(row)
                }
                (None, _) => Some(card(&name, points, None)),
            };
            rows.insert(key, offline.clone());
            writes.push(wrote(base, offline, seen));
        }
        sales.push(transaction(first + number, writes));
    }
    sales
}

/// Head office meanwhile: nothing, or a change, a removal, an insert of a key that the register has
/// not.
fn interference(dice: &mut Dice, prefix: &str) -> String {
    let mut sql = String::new();
    for key in 0..6 {
        let name = format!("{prefix}{key}");
        match dice.below(12) {
            0 => sql += &format!("DELETE FROM [dbo].[CARDS] WHERE [CARD] = N'{name}';"),
            1 if key < 4 => {
                sql += &format!("UPDATE [dbo].[CARDS] SET [POINTS] = 900 WHERE [CARD] = N'{name}';")
            }
            1 | 2 if key >= 4 => {
                sql += &format!(
                    "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS]) VALUES (N'{name}', 901);"
                )
            }
            _ => {}
        }
    }
    sql
}

/// Without names and versions, which differ between the two runs.
fn told(receipt: &Receipt) -> String {
    match receipt {
        Receipt::Contested(contests) => {
            let one = |c: &tillhold_core::transaction::Contest| {
                format!("{}:{:?}", c.write, c.channel.as_ref().map(|row| row.0[1].clone()))
            };
            format!("contested {:?}", contests.iter().map(one).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

async fn one_after_another(shop: &Shop, sales: &[Transaction]) -> Vec<Receipt> {
    let mut blocked = Blocked::default();
    let mut receipts = Vec::new();
    for sale in sales {
        let receipt = match blocked.holds(sale) {
            true => Receipt::Blocked,
            false => shop.upload(std::slice::from_ref(sale)).await.remove(0),
        };
        blocked.note(sale, &receipt);
        receipts.push(receipt);
    }
    receipts
}

async fn rows_of(shop: &Shop, prefix: &str) -> Vec<String> {
    let rows = shop.rows(&cards()).await;
    let key = |row: &Row| format!("{:?}", row.0[0]);
    let ours = rows.iter().filter(|row| key(row).contains(prefix));
    ours.map(|row| format!("{row:?}").replace(prefix, "")).collect()
}

#[tokio::test]
async fn a_batch_comes_to_what_its_transactions_come_to_one_by_one() {
    let shop = Shop::open().await;
    let (mut contested, mut applied) = (0, 0);
    for seed in 0..30 {
        let mut outcomes = Vec::new();
        for (way, letter) in ["one by one", "at once"].iter().zip(["s", "b"]) {
            let prefix = format!("{letter}{seed}-");
            let mut dice = Dice(seed);
            let values: Vec<String> =
                (0..4).map(|key| format!("(N'{prefix}{key}', 1, N'old')")).collect();
            let fill = format!(
                "INSERT INTO [dbo].[CARDS] ([CARD], [POINTS], [NOTE]) VALUES {};",
                values.join(", ")
            );
            run(&mut shop.office(), &fill).await;
            let seen = shop.version().await;
            let meanwhile = interference(&mut dice, &prefix);
            if !meanwhile.is_empty() {
                run(&mut shop.office(), &meanwhile).await;
            }
            let first = seed * 1_000 + if letter == "s" { 0 } else { 500 };
            let sales = sales(&mut dice, &prefix, first, seen);
            let receipts = match *way {
                "one by one" => one_after_another(&shop, &sales).await,
                _ => shop.upload(&sales).await,
            };
            applied += receipts.iter().filter(|r| **r == Receipt::Applied).count();
            contested += receipts
                .iter()
                .filter(|r| matches!(r, Receipt::Contested(_) | Receipt::Blocked))
                .count();
            let receipts: Vec<String> = receipts.iter().map(told).collect();
            outcomes.push((receipts, rows_of(&shop, &prefix).await));
        }
        assert_eq!(outcomes[0], outcomes[1], "seed {seed}");
    }
    assert!(contested > 60 && applied > 60, "{contested} contested or blocked, {applied} applied");
}

/// Of a batch whose answer was lost some transactions are known; the rest builds on them.
#[tokio::test]
async fn r7_a_batch_whose_answer_was_lost_goes_up_with_what_came_after_it() {
    let shop = Shop::open().await;
    let seen = shop.version().await;
    let count = |from: i64| {
        let base = (from > 0).then(|| card("seed", from, None));
        transaction(from as u64, vec![wrote(base, Some(card("seed", from + 1, None)), seen)])
    };
    let all: Vec<Transaction> = (0..6).map(count).collect();
    let mut till = shop.till();
    till.connect().await.expect("a connection");
    shop.gate.inject(Fault::DropAfterCommit { commits: 1 });
    let lost = upload(&mut till, "S1-1", INCARNATION, &all[..3]).await;
    assert!(lost.expect_err("a lost answer").is_in_doubt());
    let receipts = shop.upload(&all).await;
    assert_eq!(receipts[..3], vec![Receipt::AlreadyThere; 3]);
    assert_eq!(receipts[3..], vec![Receipt::Applied; 3]);
    assert_eq!(shop.rows(&cards()).await, [card("seed", 6, None)]);
}
