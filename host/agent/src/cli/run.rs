//! `tillhold run`: the agent, until it is told to stop.

use super::{Done, Settings};
use crate::agent::Agent;
use crate::detached::keep_going;
use crate::images::keep::keep_prefetched;
use crate::plugins::watch;
use crate::register::Register;
use crate::settings::register_file::RegisterFile;
use crate::snapshot::keep;
use crate::{freshness, front_door, hold, numbers, report, supervisor, sync, upkeep};
use std::sync::Arc;
use tillhold_core::failover::Event;
use tillhold_env::{BoxFuture, Env};
use tokio::sync::{Mutex, mpsc};

pub async fn run(env: &Env, settings: &Settings) -> anyhow::Result<Done> {
    run_until(env, settings, stop_signal()).await
}

/// Until `told` ends, and what was begun by then is finished.
pub async fn run_until(
    env: &Env,
    settings: &Settings,
    told: impl Future<Output = ()> + Send,
) -> anyhow::Result<Done> {
    let file = RegisterFile::read(&settings.config)?;
    let register = Register::start(env, file).await?;
    introduce(env, &register);
    let (agent, events) = Agent::new(register);
    numbers::begin(&agent).await?;
    hold::begin(&agent).await?;
    freshness::begin(&agent).await?;
    let door = front_door::open(&agent).await?;
    agent.say(&format!("the front door listens on http://{}", door.address));
    begin_loops(env, &agent, events);
    agent.tell(Event::Tick);

    let stop = async {
        told.await;
        agent.say("stopping: requests in work are finished first");
        agent.stopping.send_replace(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = door.serve() => {}
        () = stop => {}
    }
    freshness::keep_or_say(&agent).await;
    agent.register().local.close().await?;
    agent.say("stopped");
    Ok(Done::Yes)
}

/// What goes on beside the front door until the agent stops.
fn begin_loops(env: &Env, agent: &Arc<Agent>, events: mpsc::Receiver<Event>) {
    let (hold, events) = (agent.clone(), Arc::new(Mutex::new(events)));
    let supervise = move || supervisor::supervise(hold.clone(), events.clone());
    env.spawn(keep_going(agent.clone(), "the failover", supervise));
    let begin = |name, work: fn(Arc<Agent>) -> BoxFuture<'static, ()>| {
        let of = agent.clone();
        env.spawn(keep_going(agent.clone(), name, move || work(of.clone())));
    };
    begin("the upload", |agent| Box::pin(sync::keep_pushed(agent)));
    begin("the download", |agent| Box::pin(sync::keep_pulled(agent)));
    begin("the look at the plugins", |agent| Box::pin(watch::keep_looking(agent)));
    begin("the export of snapshots", |agent| Box::pin(keep::keep_exported(agent)));
    begin("the look for snapshots", |agent| Box::pin(keep::keep_looking(agent)));
    begin("the upkeep of the offline database", |agent| Box::pin(upkeep::keep_small(agent)));
    begin("the count of the data's age", |agent| Box::pin(freshness::keep(agent)));
    begin("the fetch of pictures", |agent| Box::pin(keep_prefetched(agent)));
}

fn introduce(env: &Env, register: &Register) {
    let (store, register_id) = (&register.file.store, &register.file.register);
    let tables: usize = register.scopes.iter().map(|run| run.tables.len()).sum();
    report::line(
        env,
        &format!(
            "register {register_id} of store {store}: profile {}, {} scopes, {tables} tables",
            register.profile.name,
            register.scopes.len()
        ),
    );
    for table in &register.left_out {
        report::line(env, &format!("{table} has no primary key and is left out"));
    }
}

/// Ctrl-C, or what a service manager sends to stop a service.
#[cfg(unix)]
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
pub async fn stop_signal() {
    // Without a console there is no Ctrl-C to wait for; the service stop comes another way.
    let _ = tokio::signal::ctrl_c().await;
}
