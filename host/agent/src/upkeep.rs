//! Keeps the offline database within its size, beside everything else: looks at it, warns, remembers how it grows, lets
//! old settled sales go, and keeps space for a full disk.
//!
//! * What other programs wrote since the last look becomes a transaction: offline nobody else asks for it, and hours of their
//!   writes would stand or fall as one.
//! * Nothing here stops synchronisation or selling: what fails is reported in status, said, and tried again.
//! * A purge goes in small steps through the journal's one writer, so that a sale waits for one step at most.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::Register;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use tillhold_core::limits;
use tillhold_core::migration::Place;
use tillhold_core::size::{self, DaySize, Fullness};
use tillhold_env::Locked as _;
use tillhold_local::{FileSize, LocalError, OldEnough, Reserve, TableSize};
use tokio::sync::watch;

const DAY_MS: i64 = 24 * 3_600_000;
const MB: u64 = 1 << 20;

/// What is known of the size, and how the last purge went.
pub struct Upkeep {
    fullness: watch::Sender<Fullness>,
    reserve: Mutex<Option<Reserve>>,
    purge: Mutex<Option<PurgeReport>>,
}

#[derive(Clone, Debug, Default)]
struct PurgeReport {
    at_ms: i64,
    transactions: u64,
    rows: u64,
    held: u64,
    /// Code, message, hint.
    fault: Option<(String, String, Option<String>)>,
}

impl Default for Upkeep {
    fn default() -> Upkeep {
        Upkeep {
            fullness: watch::Sender::new(Fullness::Fine),
            reserve: Mutex::default(),
            purge: Mutex::default(),
        }
    }
}

impl Upkeep {
    /// Changes whenever the standing against the limit does.
    pub fn listen(&self) -> watch::Receiver<Fullness> {
        self.fullness.subscribe()
    }

    fn purge_json(&self) -> Json {
        let report = self.purge.locked().clone();
        let Some(report) = report else { return Json::Null };
        let fault = report
            .fault
            .map(|(code, message, hint)| json!({ "code": code, "message": message, "hint": hint }));
        json!({
            "at_ms": report.at_ms,
            "transactions": report.transactions,
            "rows": report.rows,
            "held": report.held,
            "fault": fault,
        })
    }
}

/// Runs until the agent stops.
pub async fn keep_small(agent: Arc<Agent>) {
    let mut purged_at_us = None;
    loop {
        if let Err(error) = look(&agent).await {
            agent.say(&format!("the size cannot be looked at: [{}] {error}", error.code()));
        }
        if let Err(error) = agent.register().local.adopt().await {
            let code = error.code();
            agent.say(&format!(
                "what other programs wrote waits for its transaction: [{code}] {error}"
            ));
        }
        let now_us = agent.register().env.clock.monotonic_us();
        let is_due = |last: u64| u128::from(now_us - last) >= limits::PURGE_INTERVAL.as_micros();
        if purged_at_us.is_none_or(is_due) {
            // A day counts when the register has run an hour in it: until then a wrong clock may be set right.
            let counts = purged_at_us.is_some();
            purged_at_us = Some(now_us);
            let result = purge(&agent, counts).await;
            note_purge(&agent, result);
        }
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = tokio::time::sleep(limits::SIZE_LOOK_INTERVAL) => {}
        }
    }
}

/// One look: the day's size, the standing against the limit, the space for a full disk.
async fn look(agent: &Agent) -> Result<(), FlowError> {
    let register = agent.register();
    let rules = register.profile.conduct.size;
    register.local.limit_size(rules.limit_bytes);
    let used_bytes = used(&register.local.file_sizes().await?);
    let day = register.env.clock.wall_ms().div_euclid(DAY_MS);
    register.local.note_size(DaySize { day, used_bytes }).await?;
    let now = Fullness::of(used_bytes, rules.limit_bytes);
    // Listeners hear of a change alone.
    if agent.upkeep.fullness.send_if_modified(|known| std::mem::replace(known, now) != now) {
        let (used, limit) = (used_bytes / MB, rules.limit_bytes / MB);
        agent.say(&match now {
            Fullness::Fine => format!("the offline database is within its limit again: {used} of {limit} MB"),
            Fullness::Warned => format!("the offline database is nearly full: {used} of {limit} MB; `tillhold size` shows what is large"),
            Fullness::Full => format!("the offline database is full: {used} of {limit} MB; nothing more is loaded, selling goes on"),
        });
    }
    if agent.is_till_quiet() {
        register.local.overwrite_removed(&[Place::Journal]).await?;
    }
    let reserve = register.local.keep_reserve(rules.reserve_bytes).await?;
    let before = agent.upkeep.reserve.locked().replace(reserve);
    if before != Some(reserve) && reserve == Reserve::Gone {
        agent.say("the disk has no room for the space that is kept for a full one: nothing is loaded, selling goes on");
    }
    Ok(())
}

async fn purge(agent: &Agent, day_counts: bool) -> Result<PurgeReport, FlowError> {
    let register = agent.register();
    let now_ms = register.env.clock.wall_ms();
    let days = register.profile.conduct.size.keep_settled_days;
    let day = day_counts.then(|| now_ms.div_euclid(DAY_MS));
    let kept_no_max = register.local.note_day(day, days as usize).await?;
    let old = OldEnough { before_ms: now_ms - i64::from(days) * DAY_MS, kept_no_max };
    let mut report = PurgeReport { at_ms: now_ms, ..PurgeReport::default() };
    let mut from = None;
    while !*agent.stopping.borrow() {
        let step = register.local.purge(old, from).await?;
        report.transactions += step.transactions;
        report.rows += step.rows;
        report.held += step.held;
        match step.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    Ok(report)
}

fn note_purge(agent: &Agent, result: Result<PurgeReport, FlowError>) {
    let report = match result {
        Ok(report) => {
            if report.transactions > 0 {
                let PurgeReport { transactions, rows, .. } = report;
                agent.say(&format!(
                    "{transactions} old settled sales left the register: {rows} rows"
                ));
            }
            report
        }
        Err(error) => {
            agent.say(&format!(
                "the purge failed, the next is in an hour: [{}] {error}",
                error.code()
            ));
            PurgeReport {
                at_ms: agent.register().env.clock.wall_ms(),
                fault: Some((error.code().to_string(), error.to_string(), error.hint())),
                ..PurgeReport::default()
            }
        }
    };
    *agent.upkeep.purge.locked() = Some(report);
}

/// Of both files, as the limit counts it.
pub fn used(files: &[FileSize; 2]) -> u64 {
    files.iter().map(FileSize::counted_bytes).sum()
}

/// Why no sale is taken while there is no room for one.
pub fn refusal(register: &Register) -> Option<FlowError> {
    let file = register.file.folder.join("journal.db");
    register.local.is_without_room().then(|| LocalError::DiskFull { file }.into())
}

/// The standing as status shows it: a few pages are read.
pub async fn told(agent: &Agent) -> Result<Json, FlowError> {
    let register = agent.register();
    let files = register.local.file_sizes().await?;
    standing(agent, &register, &files).await
}

/// With every file and every table: all pages are read.
pub async fn told_whole(agent: &Agent) -> Result<Json, FlowError> {
    let register = agent.register();
    let files = register.local.file_sizes().await?;
    let mut told = standing(agent, &register, &files).await?;
    told["files"] = files.iter().map(file).collect();
    told["tables"] = register.local.table_sizes().await?.iter().map(table).collect();
    Ok(told)
}

async fn standing(
    agent: &Agent,
    register: &Register,
    files: &[FileSize; 2],
) -> Result<Json, FlowError> {
    let limit_bytes = register.profile.conduct.size.limit_bytes;
    let used_bytes = used(files);
    let days = register.local.day_sizes().await?;
    let forecast = size::forecast(&days, used_bytes, limit_bytes).map(|forecast| {
        json!({
            "bytes_per_day": forecast.bytes_per_day,
            "days_to_warning": forecast.days_to_warning,
            "days_to_limit": forecast.days_to_limit,
        })
    });
    Ok(json!({
        "used_bytes": used_bytes,
        "limit_bytes": limit_bytes,
        "warning_bytes": size::warning_bytes(limit_bytes),
        "standing": Fullness::of(used_bytes, limit_bytes).name(),
        "reserve": register.local.reserve().name(),
        "disk_free_bytes": register.env.disk.free_bytes(&register.file.folder).ok(),
        "forecast": forecast,
        "purge": agent.upkeep.purge_json(),
    }))
}

fn file(file: &FileSize) -> Json {
    json!({
        "name": file.name,
        "bytes": file.bytes,
        "used_bytes": file.used_bytes,
        "free_bytes": file.free_bytes,
        "log_bytes": file.log_bytes,
        "can_shrink": file.can_shrink,
    })
}

fn table(table: &TableSize) -> Json {
    json!({
        "file": table.file,
        "table": table.table,
        "bytes": table.bytes,
        "rows": table.rows,
    })
}
