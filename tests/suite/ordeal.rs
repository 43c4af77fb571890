//! What happens to registers in shops, done to real ones: agents that are killed, stopped, cut off and run out of disk, machines
//! that lose their power. `docs/ordeals.md` says what each does.
//!
//! * `TILLHOLD_ORDEAL_ROUNDS` makes each longer, `TILLHOLD_ORDEAL_SEED` repeats one; the seed is always told.
//! * An ordeal ends with the judge: every acknowledged sale once and whole, no number twice, nothing unlike, no file damaged.

#[cfg(target_os = "linux")]
mod full;
mod killed;
mod line;
#[cfg(target_os = "linux")]
mod power;
mod stopped;

use crate::dice::Dice;
use crate::harness::number;
use crate::store::{Register, Store};
use crate::till::Till;
use futures_util::future::join_all;
use std::cell::Cell;
use std::io::Write as _;
use std::time::Duration;
use tillhold_env::Env;

const BETWEEN_SALES: Duration = Duration::from_millis(40);

/// The dice of an ordeal, with its seed told.
fn dice(ordeal: &str) -> Dice {
    let seed = number("TILLHOLD_ORDEAL_SEED", Env::real().random.number());
    tell(&format!("{ordeal}: TILLHOLD_ORDEAL_SEED={seed}"));
    Dice::new(seed)
}

/// Past the capture of a test's output, so that it is there when a run hangs or is killed.
fn tell(line: &str) {
    // Nobody may be listening.
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}

/// How often something is done to the registers.
fn rounds(usual: u64) -> u64 {
    number("TILLHOLD_ORDEAL_ROUNDS", usual)
}

fn tills(store: &Store, dice: &mut Dice) -> Vec<Till> {
    store.registers.iter().map(|register| Till::new(register, dice.another())).collect()
}

/// Every till sells, one sale after another, until the story is over.
async fn sell_until(registers: &[Register], tills: &mut [Till], story: impl Future<Output = ()>) {
    let is_over = Cell::new(false);
    let selling = registers.iter().zip(tills).map(|(register, till)| async {
        while !is_over.get() {
            till.sell(register).await;
            tokio::time::sleep(BETWEEN_SALES).await;
        }
    });
    let story = async {
        story.await;
        is_over.set(true);
    };
    tokio::join!(join_all(selling), story);
}
