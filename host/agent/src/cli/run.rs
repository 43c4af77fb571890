//! `tillhold run`: the agent, until it is told to stop.

use super::{Done, Settings};
use crate::agent::Agent;
use crate::plugins::looking;
use crate::register::Register;
use crate::settings::register_file::RegisterFile;
use crate::snapshot::keep;
use crate::{freshness, front_door, held, numbers, report, supervisor, sync, upkeep};
use tillhold_core::failover::Event;
use tillhold_env::Env;

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
    let register = Register::open(env, file).await?;
    introduce(env, &register);
    let (agent, events) = Agent::new(register);
    numbers::begin(&agent).await?;
    held::begin(&agent).await?;
    freshness::begin(&agent).await?;
    let door = front_door::open(&agent).await?;
    agent.say(&format!("the front door listens on http://{}", door.address));
    env.spawn(supervisor::supervise(agent.clone(), events));
    env.spawn(sync::keep_pushed(agent.clone()));
    env.spawn(sync::keep_pulled(agent.clone()));
    env.spawn(looking::keep_looking(agent.clone()));
    env.spawn(keep::keep_exported(agent.clone()));
    env.spawn(keep::keep_looking(agent.clone()));
    env.spawn(upkeep::keep_small(agent.clone()));
    env.spawn(freshness::keep(agent.clone()));
    env.spawn(crate::images::keep::keep_prefetched(agent.clone()));
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
