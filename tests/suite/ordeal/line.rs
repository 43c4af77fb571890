//! Several registers sell while their line to the channel fails in nine ways, each for less or more than the register waits: no
//! till is refused, nothing is lost or doubled.

use super::{dice, rounds, sell_until, tills};
use crate::dice::Dice;
use crate::harness::proof;
use crate::judge::judge;
use crate::store::{Conduct, Register, Store};
use crate::way::{Cut, Way};
use futures_util::future::join_all;
use std::time::Duration;

const REGISTERS: usize = 5;
const KINDS: u64 = 9;
/// A cut's length; the registers' offline timeout is two seconds.
const CUT_MS: (u64, u64) = (200, 3_000);

fn cut(kind: u64, dice: &mut Dice) -> Cut {
    match kind {
        0 => Cut::Refuse,
        1 => Cut::Reset,
        2 => Cut::HalfOpen,
        3 => Cut::Stall { after: dice.below(2_000) as usize },
        4 => Cut::Delay(Duration::from_millis(50 + dice.below(1_500))),
        5 => Cut::Throttle { bytes_per_second: 200 + dice.below(5_000) as u32 },
        6 => Cut::ResetAfter { bytes: dice.below(6_000) as usize },
        7 => Cut::AnswersLost,
        _ => Cut::QuestionsLost,
    }
}

#[test]
fn cut_off_in_every_way() {
    proof(async {
        let mut dice = dice("line");
        let store = Store::prepared(REGISTERS, &Conduct::default());
        let way = Way::open(([127, 0, 0, 1], store.channel.port).into()).await;
        store.registers.iter().for_each(|register| register.reach_by(way.address.port()));
        store.start().await;
        let mut tills = tills(&store, &mut dice);
        let mut left = rounds(KINDS);
        while left > 0 {
            let cuts = left.min(KINDS);
            left -= cuts;
            sell_until(&store.registers, &mut tills, async {
                for kind in 0..cuts {
                    tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
                    way.order(cut(kind, &mut dice)).await;
                    let length = CUT_MS.0 + dice.below(CUT_MS.1 - CUT_MS.0);
                    tokio::time::sleep(Duration::from_millis(length)).await;
                    way.heal().await;
                    join_all(store.registers.iter().map(Register::online)).await;
                }
            })
            .await;
            judge(&store, &tills).await;
        }
        let met: Vec<&String> = tills.iter().flat_map(|till| &till.met).collect();
        assert!(met.is_empty(), "no till was refused: {met:?}");
        let was_offline = tills.iter().flat_map(|till| &till.promised).any(|p| p.is_offline);
        assert!(was_offline, "no cut was felt");
    });
}
