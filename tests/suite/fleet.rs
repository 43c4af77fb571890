//! A store's registers, thirty agent processes, on one channel process: all sell at once, the channel goes and comes
//! back, prices change meanwhile; in the end everyone has everything, once.
//!
//! `TILLHOLD_FLEET_REGISTERS` and `TILLHOLD_FLEET_SALES` make it larger.

use crate::dice::Dice;
use crate::harness::{number, proof};
use crate::judge::compare;
use crate::store::{Conduct, PRICES, Register, Store, tables};
use crate::till::Till;
use futures_util::future::join_all;

async fn sell_everywhere(registers: &[Register], tills: &mut [Till], sales: usize) {
    let selling = registers.iter().zip(tills).map(|(register, till)| async move {
        for _ in 0..sales {
            till.sell(register).await;
        }
    });
    join_all(selling).await;
}

#[test]
fn a_stores_registers_converge_and_nothing_is_lost_or_doubled() {
    proof(async {
        let count = number("TILLHOLD_FLEET_REGISTERS", 30) as usize;
        let third = number("TILLHOLD_FLEET_SALES", 9).div_ceil(3) as usize;
        let conduct = Conduct { offline_timeout_s: 4, ..Conduct::default() };
        let mut store = Store::online(count, &conduct).await;
        let mut dice = Dice::new(1);
        let mut tills: Vec<Till> =
            store.registers.iter().map(|register| Till::new(register, dice.another())).collect();
        let dearer =
            "UPDATE [ax].[FLEETPRICE] SET [AMOUNT] = [AMOUNT] + 1000 WHERE [RECID] % 10 = 3;";
        tokio::join!(
            sell_everywhere(&store.registers, &mut tills, third),
            store.channel.run(dearer)
        );
        store.channel.order("cut");
        let before: Vec<usize> = tills.iter().map(|till| till.promised.len()).collect();
        sell_everywhere(&store.registers, &mut tills, third).await;
        for (till, before) in tills.iter().zip(before) {
            let is_offline = till.promised[before..].iter().all(|promise| promise.is_offline);
            assert!(is_offline, "there was no channel to take them");
        }
        store.channel.order("restore");
        let fewer = "DELETE FROM [ax].[FLEETPRICE] WHERE [RECID] % 10 = 7;";
        tokio::join!(
            sell_everywhere(&store.registers, &mut tills, third),
            store.channel.run(fewer)
        );
        store.settle().await;
        compare(&store, &tills).await;
        let prices = store.channel.rows(&tables()[0]).await;
        assert_eq!(prices.len() as i64, PRICES - PRICES / 10);
        assert!(prices.contains(&"13|I13|1013".to_string()), "the prices did change");
    });
}
