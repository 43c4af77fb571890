//! Agents and the channel that stand still for longer than anybody waits (SIGSTOP), and go on as if nothing had been; and a
//! second agent on the files of one that runs, stands still, or was killed.
//!
//! `TILLHOLD_ORDEAL_STOP_S` is how long; minutes by hand.

use super::{dice, rounds, sell_until, tills};
use crate::harness::{number, proof};
use crate::judge::judge;
use crate::store::{Conduct, Register, Store};
use futures_util::future::join_all;
use std::process::Command;
use std::time::Duration;

const REGISTERS: usize = 3;
/// Longer than the register's offline timeout (2 s), the bounds of its connections (6 s) and of a sale's answer (10 s).
const USUAL_STOP_S: u64 = 12;

fn signal(name: &str, id: u32) {
    let sent = Command::new("kill").args([name, &id.to_string()]).status();
    assert!(sent.expect("the program kill").success(), "{name}");
}

/// Stands still for the ordeal's time; nobody is left so.
async fn stand_still(id: u32, meanwhile: impl Future<Output = ()>) {
    signal("-STOP", id);
    let time = Duration::from_secs(number("TILLHOLD_ORDEAL_STOP_S", USUAL_STOP_S));
    tokio::join!(tokio::time::sleep(time), meanwhile);
    signal("-CONT", id);
}

/// What a second agent on the register's files says.
fn second(register: &Register) {
    let refused = register.tillhold(&["run"]);
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("local-in-use"), "{}", refused.stderr);
    assert!(refused.stderr.contains("stop the other agent"), "{}", refused.stderr);
}

#[test]
fn stopped_for_longer_than_anybody_waits() {
    proof(async {
        let mut dice = dice("stopped");
        let store = Store::online(REGISTERS, &Conduct::default()).await;
        let mut tills = tills(&store, &mut dice);
        for _ in 0..rounds(1) {
            let stopped = &store.registers[dice.below(REGISTERS as u64) as usize];
            sell_until(&store.registers, &mut tills, async {
                tokio::time::sleep(Duration::from_millis(dice.below(500))).await;
                second(stopped);
                stand_still(stopped.id(), async { second(stopped) }).await;
                stopped.online().await;
                second(stopped);
                stopped.kill();
                // Nobody holds the files any more.
                stopped.start();
                stopped.online().await;
            })
            .await;
            let before: Vec<usize> = tills.iter().map(|till| till.promised.len()).collect();
            sell_until(&store.registers, &mut tills, async {
                tokio::time::sleep(Duration::from_millis(dice.below(500))).await;
                stand_still(store.channel.id(), async {
                    for register in &store.registers {
                        register.status("offline", |status| status["state"] == "offline").await;
                    }
                })
                .await;
                join_all(store.registers.iter().map(Register::online)).await;
            })
            .await;
            for (till, before) in tills.iter().zip(before) {
                let was_offline = till.promised[before..].iter().any(|promise| promise.is_offline);
                assert!(was_offline, "it sold while the channel stood still");
            }
        }
        judge(&store, &tills).await;
    });
}
