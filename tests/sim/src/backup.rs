//! A register that is restored from a backup, as an operator does it: the till is closed, what was promised is sent, the
//! files of some time ago take the place of today's, and the register begins a new life before it sells again.

use crate::machine::Machine;
use crate::trouble::{fallen, rise};
use crate::world::World;
use serde_json::{Value as Json, json};
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tillhold_client::Answer;
use tokio::time::{Instant, sleep};

/// How long a till stays closed for a backup whose register cannot send what it promised.
const CLOSED_MAX: Duration = Duration::from_secs(8);
const OPERATOR: &str = "operator";
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const RENEW_LIMIT: Duration = Duration::from_secs(30);

/// Makes a backup, and restores it when the time has come; whether that came about. One at a time on a machine.
pub async fn restored(world: &Rc<World>, machine: &Rc<Machine>, after_ms: u64) -> bool {
    if machine.keeps_backup.replace(true) {
        return false;
    }
    let came_about = made_and_restored(world, machine, after_ms).await;
    machine.keeps_backup.set(false);
    came_about
}

async fn made_and_restored(world: &Rc<World>, machine: &Rc<Machine>, after_ms: u64) -> bool {
    let backup = machine.folder.join("backup");
    let (offline, until) = (machine.offline(), Instant::now() + CLOSED_MAX);
    if !shut_down(world, machine).await {
        return false;
    }
    put(world, &offline, &backup);
    rise(world, machine);
    sleep(Duration::from_millis(after_ms)).await;
    machine.closed.set(true);
    let mut is_there = false;
    while !is_there && Instant::now() < until + Duration::from_millis(after_ms) {
        sleep(Duration::from_millis(100)).await;
        let has_sent = !machine.asked.get() && has_nothing_unsent(world, machine).await;
        is_there = has_sent && shut_down(world, machine).await;
    }
    // Sales that the channel lost may be in this journal alone.
    if is_there && world.channel_was_restored.get() {
        rise(world, machine);
        is_there = false;
    }
    if is_there {
        machine.restored.set(true);
        machine.was_restored.set(true);
        put(world, &backup, &offline);
        machine.disk.settle();
        rise(world, machine);
    }
    reopened(world, machine).await;
    is_there
}

/// Opens the till again: at once, or after a restored register has begun its new life.
pub async fn reopened(world: &Rc<World>, machine: &Rc<Machine>) {
    while machine.restored.get() {
        sleep(Duration::from_millis(200)).await;
        let Some(client) = world.client(machine, OPERATOR) else { continue };
        let body = json!({ "who": "an operator", "why": "restored from a backup" });
        let answer = client.post("/v1/incarnation/renew", &body, RENEW_LIMIT).await;
        let told = match &answer {
            Ok(answer) => format!("{}: {}", answer.status, answer.body),
            Err(error) => error.to_string(),
        };
        world.trace.line(OPERATOR, format_args!("renew T{}: {told}", machine.number));
        let is_sound =
            |answer: &Answer| answer.is_success() || answer.body["code"] == "incarnation-sound";
        if answer.is_ok_and(|answer| is_sound(&answer)) {
            machine.restored.set(false);
        }
    }
    machine.closed.set(false);
}

/// Stopped in peace; `false` when something else is under way with it.
async fn shut_down(world: &Rc<World>, machine: &Rc<Machine>) -> bool {
    if !machine.is_running() || machine.is_attended() {
        return false;
    }
    machine.attend(true);
    machine.tell_to_stop();
    fallen(world, machine).await;
    true
}

async fn has_nothing_unsent(world: &Rc<World>, machine: &Rc<Machine>) -> bool {
    let Some(client) = world.client(machine, OPERATOR) else { return false };
    let is_empty = |body: &Json| {
        let counts = [&body["pending"]["transactions"], &body["conflicts"]];
        body["state"] == "online" && counts.into_iter().all(|count| *count == 0)
    };
    let answer = client.get("/v1/status", ANSWER_LIMIT).await;
    answer.is_ok_and(|answer| answer.is_success() && is_empty(&answer.body))
}

fn put(world: &Rc<World>, from: &Path, to: &Path) {
    if let Err(error) = replaced(from, to) {
        world.break_promise(format!("a copy of {}: {error}", from.display()));
    }
}

/// `to` becomes what `from` is.
fn replaced(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?.path();
        let to = to.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() {
            replaced(&entry, &to)?;
        } else {
            fs::copy(&entry, &to)?;
        }
    }
    Ok(())
}
