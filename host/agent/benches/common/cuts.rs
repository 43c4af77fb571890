//! Cashiers sell while the channel fails in five ways; then what they were promised is looked for in the channel.
//!
//! ```text
//! cashiers ──PUT──► tillhold run (a process) ──► channel serve --faults (a process) ◄── cut, heal, cut, ...
//! ```

use super::ceiling::{committed, empty};
use super::register::Running;
use super::sales::{self, Arrived, Tables};
use super::spread::Spread;
use super::{Fallible, Shop};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tillhold_client::Client;
use tillhold_core::text::guid_text;
use tillhold_env::{Env, Locked as _};

/// What is ordered, and what takes it back.
pub const KINDS: [(&str, &str, &str); 5] = [
    ("refused", "cut", "restore"),
    ("reset", "restart", "heal"),
    ("half-open", "half-open", "heal"),
    ("stalled mid-answer", "trickle 1", "heal"),
    ("dropped after commit", "drop-after-commit 1", "heal"),
];
/// Of one sale's answer; longer than the agent itself may wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// A cashier's time between two sales.
const BETWEEN_SALES: Duration = Duration::from_millis(250);
/// The register's `offline_timeout_s`.
pub const OFFLINE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a cut lasts: longer than the register waits before it goes offline.
const CUT_TIME: Duration = Duration::from_millis(1_400);
const LINES: i64 = 5;
/// How long the cashiers sell into a bare SQLite file, for the ceiling.
const BARE_TIME: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug, Default)]
pub struct Told {
    pub sales: usize,
    /// Answered with anything but a promise, with what was said.
    pub failed: Vec<String>,
    pub lost: usize,
    pub doubled: usize,
    /// The longest wait for one sale's answer, of each kind of cut.
    pub longest_us: BTreeMap<&'static str, u64>,
    /// The median wait of all.
    pub usual_us: u64,
    /// Answered while the register was offline.
    pub offline: usize,
    /// The longest wait of as many cashiers who write the bare rows into SQLite, one after the other, for a while before.
    pub bare_longest_us: u64,
}

impl Told {
    pub fn longest_us(&self) -> u64 {
        self.longest_us.values().copied().max().unwrap_or(0)
    }
}

/// One sale as the cashier knows it.
struct Promise {
    number: i64,
    began_us: u64,
    took_us: u64,
    is_offline: bool,
}

#[derive(Default)]
struct Till {
    is_over: AtomicBool,
    number: AtomicI64,
    promised: Mutex<Vec<Promise>>,
    failed: Mutex<Vec<String>>,
}

pub async fn run(write_path: &str, cuts: usize, cashiers: usize) -> Fallible<Told> {
    let tables = Arc::new(Tables::new()?);
    let conduct = format!(
        "write_path = \"{write_path}\"\noffline_timeout_s = {}\nreconnect_interval_min = 0.01\n\
         dwell_s = 0\nfailover.dwell_max_s = 0\n",
        OFFLINE_TIMEOUT.as_secs()
    );
    let shop = sales::shop(&tables, &conduct).await?;
    let running = Running::online(&shop).await?;
    let bare_longest_us = bare_longest_us(&shop, &tables, cashiers)?;
    let till: Arc<Till> = Arc::default();
    let (send, mut ended) = tokio::sync::mpsc::channel::<()>(1);
    for _ in 0..cashiers {
        let (env, client) = (shop.env.clone(), running.client(&shop));
        let (till, tables, send) = (till.clone(), tables.clone(), send.clone());
        shop.env.spawn(async move {
            sell(&env, &client, &till, &tables).await;
            drop(send);
        });
    }
    drop(send);
    let mut moments = Vec::new();
    for at in 0..cuts {
        let (kind, order, back) = KINDS[at % KINDS.len()];
        moments.push((shop.env.clock.monotonic_us(), kind));
        shop.order(order)?;
        tokio::time::sleep(CUT_TIME).await;
        shop.order(back)?;
        running.until(&shop, |status| status["state"] == "online").await?;
    }
    till.is_over.store(true, Ordering::Relaxed);
    // Answers nothing: the last cashier who goes closes it.
    let _ = ended.recv().await;
    running.until_sent(&shop).await?;
    Ok(Told { bare_longest_us, ..judge(&shop, &till, &moments).await? })
}

/// Sales of the same rows at the same pace, with nothing else under way.
fn bare_longest_us(shop: &Shop, tables: &Tables, cashiers: usize) -> Fallible<u64> {
    let journal = Connection::open(shop.path("offline").join("journal.db"))?;
    let names = tables.all().map(|table| table.name.to_string());
    let bare = Mutex::new(empty(shop, &journal, "bare.db", &names)?);
    drop(journal);
    let (number, clock) = (AtomicI64::new(0), &shop.env.clock);
    let end_us = clock.monotonic_us() + BARE_TIME.as_micros() as u64;
    let sell = || -> Result<u64, String> {
        let mut longest_us = 0;
        while clock.monotonic_us() < end_us {
            let rows = sales::rows(tables, number.fetch_add(1, Ordering::Relaxed) + 1, LINES, 1);
            let began_us = clock.monotonic_us();
            let mut bare = bare.locked();
            committed(shop, &mut bare, &rows).map_err(|error| error.to_string())?;
            drop(bare);
            longest_us = longest_us.max(clock.monotonic_us() - began_us);
            shop.env.wait(std::future::pending::<()>(), Some(BETWEEN_SALES));
        }
        Ok(longest_us)
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..cashiers).map(|_| scope.spawn(sell)).collect();
        all.into_iter().try_fold(0, |longest_us: u64, one| {
            let one = one.join().map_err(|_| "a bare cashier panicked")??;
            Ok(longest_us.max(one))
        })
    })
}

async fn sell(env: &Env, client: &Client, till: &Till, tables: &Tables) {
    while !till.is_over.load(Ordering::Relaxed) {
        let number = till.number.fetch_add(1, Ordering::Relaxed) + 1;
        let body = sales::body(&sales::rows(tables, number, LINES, 1));
        let path = format!("/v1/transactions/{}", guid_text(&env.random.uuid()));
        let began_us = env.clock.monotonic_us();
        let answer = client.put(&path, &body, ANSWER_LIMIT).await;
        let took_us = env.clock.monotonic_us() - began_us;
        match answer {
            Ok(answer) if answer.is_success() => {
                let is_offline = answer.body["committed"] == "offline";
                let promise = Promise { number, began_us, took_us, is_offline };
                till.promised.locked().push(promise);
            }
            other => {
                let said = format!("S1-1-{number}: {other:?}");
                till.failed.locked().push(said);
            }
        }
        tokio::time::sleep(BETWEEN_SALES).await;
    }
}

/// Every promise against the channel's own tables, asked by a client that is not the agent's.
async fn judge(shop: &Shop, till: &Till, moments: &[(u64, &'static str)]) -> Fallible<Told> {
    let arrived = Arrived::at(shop).await?;
    let promised = till.promised.locked();
    let failed = till.failed.locked().clone();
    let usual_us = Spread::of(promised.iter().map(|promise| promise.took_us).collect()).at(0.5);
    let mut told = Told { sales: promised.len(), failed, usual_us, ..Told::default() };
    let mut ids = BTreeSet::new();
    for promise in promised.iter() {
        let id = sales::id_of(1, promise.number);
        let (is_lost, is_doubled) = arrived.judge(&id, LINES);
        told.lost += usize::from(is_lost);
        told.doubled += usize::from(is_doubled);
        told.offline += usize::from(promise.is_offline);
        ids.insert(id);
        let end_us = promise.began_us + promise.took_us;
        // The cut that it met, if any: the last one before its answer.
        let met = moments.iter().rev().find(|(at_us, _)| *at_us <= end_us);
        let longest = told.longest_us.entry(met.map_or("none yet", |(_, kind)| *kind)).or_default();
        *longest = promise.took_us.max(*longest);
    }
    told.doubled += arrived.uploaded_twice();
    if told.failed.is_empty() && arrived.headers.keys().any(|id| !ids.contains(id)) {
        return Err("the channel has a sale that nobody was promised".into());
    }
    Ok(told)
}
