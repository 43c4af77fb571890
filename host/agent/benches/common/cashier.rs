//! A cashier at a register's front door: sells at a pace, and remembers what was promised.

use super::Fallible;
use super::load::{Caller, request};
use super::sales::{self, Tables};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tillhold_client::Door;
use tillhold_core::text::guid_text;
use tillhold_env::Env;

/// As the front door's Retry-After says.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const TRIES_MAX: u32 = 120;

pub struct Cashier<'a> {
    pub env: &'a Env,
    pub tables: &'a Tables,
    /// The register's number, which is in its sales.
    pub register: usize,
    pub lines: i64,
    /// The next sale's number: several cashiers of a register share it, and it outlives the agent.
    pub next: &'a Cell<i64>,
    /// Numbers that were answered with a promise.
    pub promised: &'a RefCell<Vec<String>>,
}

impl Cashier<'_> {
    /// One sale; answers with the microseconds. What is answered with 503 is sent again under the same id after the second that
    /// the door asks for, as a till does; the time counts.
    pub async fn sell(&self, door: &Door, caller: &mut Caller) -> Fallible<u64> {
        let sale = self.next.get();
        self.next.set(sale + 1);
        let rows = sales::rows_of(self.tables, self.register, sale, self.lines);
        let path = format!("/v1/transactions/{}", guid_text(&self.env.random.uuid()));
        let request = request(door, "PUT", &path, &sales::body(&rows).to_string());
        let began_us = self.env.clock.monotonic_us();
        let id = sales::id_of(self.register, sale);
        for _ in 0..TRIES_MAX {
            match caller.call(&request).await?.status {
                200 | 201 => {
                    let took_us = self.env.clock.monotonic_us() - began_us;
                    self.promised.borrow_mut().push(id);
                    return Ok(took_us);
                }
                503 => {
                    println!("{id} is asked to come again: {}", caller.said());
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                status => {
                    return Err(
                        format!("{id} was answered with {status}: {}", caller.said()).into()
                    );
                }
            }
        }
        Err(format!("{id} was refused {TRIES_MAX} times: {}", caller.said()).into())
    }

    /// Sale after sale, one begun each `pace`, or when the one before is over; until `is_over` of how many there were.
    pub async fn sell_on(
        &self,
        door: &Door,
        pace: Duration,
        is_over: impl Fn(usize) -> bool,
    ) -> Fallible<Vec<u64>> {
        let mut caller = Caller::connect(self.env, door).await?;
        let (started_us, mut times) = (self.env.clock.monotonic_us(), Vec::new());
        while !is_over(times.len()) {
            times.push(self.sell(door, &mut caller).await?);
            let due_us = started_us + pace.as_micros() as u64 * times.len() as u64;
            let early_us = due_us.saturating_sub(self.env.clock.monotonic_us());
            if early_us > 0 {
                tokio::time::sleep(Duration::from_micros(early_us)).await;
            }
        }
        Ok(times)
    }
}
