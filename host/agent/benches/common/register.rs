//! The agent as a process with a shop's settings or with those of another register of it, and its front door.

use super::{Account, Fallible, PROGRAM, Shop};
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tillhold_client::{Client, Door};

/// Waited for a state at most.
const STATE_LIMIT: Duration = Duration::from_secs(600);
pub const ASK_LIMIT: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Where much is unsent: a status takes the more of the register that is measured.
const LONG_LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Shorter: it is part of a time that is measured.
const OPEN_LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Killed when it goes.
pub struct Running {
    child: Child,
    folder: PathBuf,
    pub door: Door,
}

impl Running {
    /// Starts `tillhold run` and waits until its door opens.
    pub async fn start(shop: &Shop) -> Fallible<Running> {
        Running::start_in(shop, &shop.path("")).await
    }

    /// The same, of the register whose settings are in that folder.
    pub async fn start_in(shop: &Shop, folder: &Path) -> Fallible<Running> {
        let address = folder.join("offline").join("front-door.address");
        // A file of an earlier run would name a door that is closed.
        let _ = fs::remove_file(&address);
        let mut program = Command::new(PROGRAM);
        program.arg("run").arg("--config").arg(folder.join("register.toml"));
        let said = fs::File::create(folder.join("agent.log"))?;
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let nowhere = Door { host: String::new(), port: 0, token: String::new() };
        let mut running =
            Running { child: program.spawn()?, folder: folder.to_path_buf(), door: nowhere };
        let started_us = shop.env.clock.monotonic_us();
        loop {
            let read = |path| fs::read_to_string(path).unwrap_or_default();
            // The address comes last: with it the token is there.
            let listens = read(address.clone());
            if let Some(door) = Door::parse(&listens, &read(folder.join("front-door.token"))) {
                running.door = door;
                return Ok(running);
            }
            let ended = running.child.try_wait()?;
            if ended.is_some() || is_late(shop, started_us) {
                let said = read(folder.join("agent.log"));
                return Err(format!("no front door ({ended:?}); the agent said:\n{said}").into());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Starts it and waits until it is online with everything loaded.
    pub async fn online(shop: &Shop) -> Fallible<Running> {
        let running = Running::start(shop).await?;
        running.until(shop, is_ready).await?;
        Ok(running)
    }

    /// Until the door says that a sale which comes now is accepted.
    pub async fn until_open(&self, shop: &Shop) -> Fallible<()> {
        let client = self.client(shop);
        let started_us = shop.env.clock.monotonic_us();
        loop {
            match client.get("/readyz", ASK_LIMIT).await {
                Ok(answer) if answer.is_success() => return Ok(()),
                seen if is_late(shop, started_us) => {
                    return Err(format!("not ready: {seen:?}").into());
                }
                _ => tokio::time::sleep(OPEN_LOOK_INTERVAL).await,
            }
        }
    }

    pub fn client(&self, shop: &Shop) -> Client {
        Client::new(shop.env.clone(), self.door.clone())
    }

    /// Asks for the status until it is as wanted.
    pub async fn until(&self, shop: &Shop, wanted: impl Fn(&Json) -> bool) -> Fallible<()> {
        self.asked_each(LOOK_INTERVAL, shop, wanted).await
    }

    /// Until it is online with nothing left to send, asked seldom.
    pub async fn until_sent(&self, shop: &Shop) -> Fallible<()> {
        self.asked_each(LONG_LOOK_INTERVAL, shop, is_sent).await
    }

    async fn asked_each(
        &self,
        interval: Duration,
        shop: &Shop,
        wanted: impl Fn(&Json) -> bool,
    ) -> Fallible<()> {
        let client = self.client(shop);
        let started_us = shop.env.clock.monotonic_us();
        loop {
            let status = client.get("/v1/status", ASK_LIMIT).await;
            match status {
                Ok(answer) if wanted(&answer.body) => return Ok(()),
                seen if is_late(shop, started_us) => {
                    let said =
                        fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default();
                    return Err(format!("never came to it: {seen:?}\n{said}").into());
                }
                _ => tokio::time::sleep(interval).await,
            }
        }
    }

    /// Asks it to end, as a service's keeper does, and waits until it has.
    #[cfg(unix)]
    pub async fn end(mut self, shop: &Shop) -> Fallible<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let started_us = shop.env.clock.monotonic_us();
        while self.child.try_wait()?.is_none() {
            if is_late(shop, started_us) {
                return Err("it does not end".into());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    pub fn account(&self) -> Option<Account> {
        Account::of(&self.child)
    }

    /// How often its threads went to sleep and were woken, so far (proc(5)); none elsewhere than on Linux.
    pub fn changes_of_threads(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let of_thread = |status: String| -> Option<u64> {
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse().ok()
        };
        let threads = tasks.into_iter().flatten().flatten();
        let read = threads.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        read.filter_map(of_thread).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Online, every scope loaded, the numbers of sales known.
pub fn is_ready(status: &Json) -> bool {
    let scopes = status["scopes"].as_array();
    status["state"] == "online"
        && status["numbers"]["fault"].is_null()
        && scopes.is_some_and(|scopes| scopes.iter().all(|scope| scope["ready"] == true))
}

fn is_sent(status: &Json) -> bool {
    status["state"] == "online" && status["pending"]["transactions"] == 0
}

fn is_late(shop: &Shop, since_us: u64) -> bool {
    u128::from(shop.env.clock.monotonic_us() - since_us) > STATE_LIMIT.as_micros()
}
