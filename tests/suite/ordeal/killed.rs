//! Ten registers sell while one or another of them, or the channel, is killed with SIGKILL at any moment, its start and the
//! return of the others among them.

use super::{dice, rounds, sell_until, tell, tills};
use crate::harness::proof;
use crate::judge::{judge, left_intact};
use crate::store::{Conduct, Register, Store};
use std::time::Duration;

const REGISTERS: usize = 10;
const USUAL_KILLS: u64 = 24;
/// Between two kills, in milliseconds.
const PAUSE_MS_MAX: u64 = 1_500;

#[test]
fn killed_at_any_moment() {
    proof(async {
        let mut dice = dice("killed");
        let mut store = Store::online(REGISTERS, &Conduct::default()).await;
        let mut tills = tills(&store, &mut dice);
        let Store { registers, channel, .. } = &mut store;
        sell_until(registers, &mut tills, async {
            for _ in 0..rounds(USUAL_KILLS) {
                tokio::time::sleep(Duration::from_millis(dice.below(PAUSE_MS_MAX))).await;
                match registers.get(dice.below(REGISTERS as u64 + 1) as usize) {
                    Some(register) => kill(register),
                    None => channel.kill(),
                }
            }
        })
        .await;
        let sales: usize = tills.iter().map(|till| till.promised.len()).sum();
        let repeated: usize = tills.iter().map(|till| till.met.len()).sum();
        tell(&format!("killed: {sales} sales, {repeated} tries without a promise"));
        assert!(tills.iter().all(|till| !till.promised.is_empty()), "each register sold");
        judge(&store, &tills).await;
    });
}

fn kill(register: &Register) {
    register.kill();
    left_intact(&register.offline());
    register.start();
}
