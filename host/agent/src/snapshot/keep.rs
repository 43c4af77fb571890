//! Exports by their schedule, and looks for new databases at their interval, as long as the agent runs.
//!
//! * A scheduled export that was missed, because nothing ran or because of blackout hours, is made up for once.
//! * What fails is said and tried again: an export at its next moment, a look after the interval. A look that comes to the
//!   same as the one before is not said again.

use super::adopt::{self, Demands, Looked, Way};
use super::export::{self, Exported};
use super::kind;
use super::source::Source;
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::freshness;
use crate::settings::device::NewDatabaseSettings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tillhold_core::failover::State;
use tillhold_core::schedule::{self, Turn};
use tillhold_local::TableState;

/// The minute in which the last scheduled export began, kept over a restart.
const EXPORTED: &str = "export-minute";
/// How often the clock is looked at; a schedule's grain is a minute.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the agent stops.
pub async fn keep_exported(agent: Arc<Agent>) {
    loop {
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        if let Err(error) = export_if_due(&agent).await {
            agent.say(&format!("the export failed: [{}] {error}", error.code()));
        }
    }
}

async fn export_if_due(agent: &Arc<Agent>) -> Result<(), FlowError> {
    let register = agent.register();
    let settings = &register.file.export;
    let Some(planned) = &settings.schedule else { return Ok(()) };
    let minute = minute(register.env.clock.wall_ms(), settings.utc_offset_min);
    let last = register.local.fact(EXPORTED).await?.and_then(|text| text.parse().ok());
    let turn = schedule::turn(planned, &settings.blackouts, last, minute);
    if turn == Turn::Wait {
        return Ok(());
    }
    register.local.set_fact(EXPORTED, &minute.to_string()).await?;
    if turn == Turn::CountFromHere {
        return Ok(());
    }
    match export_now(agent, !settings.is_unchanged_skipped).await? {
        Exported::Made { manifest, .. } => agent.say(&format!("exported {}", manifest.file)),
        Exported::Unchanged { .. } => agent.say("no export: no row has changed"),
    }
    Ok(())
}

/// Minutes since 1970 on the schedule's clock.
pub fn minute(wall_ms: i64, utc_offset_min: i64) -> i64 {
    wall_ms.div_euclid(60_000) + utc_offset_min
}

/// Also by hand.
pub async fn export_now(agent: &Arc<Agent>, is_forced: bool) -> Result<Exported, FlowError> {
    let _alone = agent.snapshots.alone().await;
    let register = agent.register();
    let stop = Arc::new(AtomicBool::new(false));
    let mut exporting = std::pin::pin!(export::export(&register, is_forced, stop.clone()));
    let result = tokio::select! {
        result = &mut exporting => result,
        () = agent.stopped() => {
            // The copy hears it at its next step.
            stop.store(true, Ordering::Relaxed);
            exporting.await
        }
    };
    agent.snapshots.exported(register.env.clock.wall_ms(), &result);
    result
}

/// Runs until the agent stops.
pub async fn keep_looking(agent: Arc<Agent>) {
    loop {
        let interval = match &agent.register().file.new_database {
            Some(settings) => settings.check_interval,
            None => return,
        };
        let random = agent.register().env.random.number();
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = tokio::time::sleep(tillhold_core::retry::jittered(interval, random)) => {}
        }
        let Some(settings) = agent.register().file.new_database.clone() else { return };
        let is_online = agent.state() == State::Online;
        say(&agent, &look_now(&agent, &settings, is_online).await);
    }
}

fn say(agent: &Agent, result: &Result<Looked, FlowError>) {
    if let Ok(Looked::Taken { manifest, .. }) = result {
        agent.say(&format!("the catalogue is now that of {}", manifest.file));
    }
    if let Some(complaint) = agent.snapshots.complaint(result) {
        agent.say(&complaint);
    }
}

/// Before the first load of a register that has a downloaded table still to load: a copy is quicker than that. What fails
/// is said, and the load goes its way.
pub async fn look_before_load(agent: &Arc<Agent>) -> Result<(), FlowError> {
    let register = agent.register();
    let Some(settings) = register.file.new_database.clone() else { return Ok(()) };
    let wanted = kind::tables(&register);
    let states = register.local.tables().await?;
    let is_empty = |state: &TableState| state.version.is_none();
    if states.iter().any(|state| is_empty(state) && wanted.contains(&state.table.name)) {
        say(agent, &look_now(agent, &settings, true).await);
    }
    Ok(())
}

/// Also by hand.
pub async fn look_now(
    agent: &Arc<Agent>,
    settings: &NewDatabaseSettings,
    is_online: bool,
) -> Result<Looked, FlowError> {
    let _alone = agent.snapshots.alone().await;
    let demands = Demands { trusted_keys: &settings.trusted_keys, bytes_max: settings.bytes_max };
    let way = Way { lane: &agent.lanes.pull.link, is_online, register: &|| agent.register() };
    let result = match Source::of(settings) {
        Ok(source) => adopt::look(&way, &source, &demands).await,
        Err(error) => Err(error.into()),
    };
    agent.snapshots.looked(agent.register().env.clock.wall_ms(), &result);
    if matches!(result, Ok(Looked::Taken { .. })) {
        freshness::exchanged(agent).await?;
    }
    result
}
