//! The channel: the embedded one in a process of its own, with a gate for each register, on a disk that keeps its word.

use crate::entropy::Dice;
use crate::life::{Life, LifeClock, LifeRandom, LifeTasks};
use crate::net::{Net, Port};
use crate::store::{self, Office};
use anyhow::Context as _;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tillhold_embedded::engine::Options;
use tillhold_embedded::{Engine, Gate, Server, ServerOptions};
use tillhold_env::{Disk, Env};
use tokio::time::Instant;

/// The first register's port at the channel; the others follow.
pub const FIRST_PORT: u16 = 1433;

pub struct Channel {
    file: PathBuf,
    net: Arc<Net>,
    opening: Instant,
    dice: RefCell<Dice>,
    registers: u64,
    running: RefCell<Option<Running>>,
}

struct Running {
    life: Arc<Life>,
    env: Env,
    engine: Arc<Engine>,
    gates: Vec<Gate>,
}

/// The channel's disk is not the one that is tried here.
struct Endless;

impl Disk for Endless {
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn reserve(&self, _: &File, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// An environment of a process that is on no faulty machine.
pub fn env_of(life: &Arc<Life>, net: &Arc<Net>, opening: Instant, dice: &mut Dice) -> Env {
    let mut draw = || Mutex::new(Dice::new(dice.next()));
    Env {
        clock: Arc::new(LifeClock { opening, begun: opening, skew_ms: Arc::default() }),
        random: Arc::new(LifeRandom(draw())),
        network: Arc::new(Port { net: net.clone(), life: life.clone(), link: None }),
        tasks: Arc::new(LifeTasks { life: life.clone(), dice: draw() }),
        disk: Arc::new(Endless),
        vfs: None,
        talk: Arc::new(|_| {}),
    }
}

impl Channel {
    pub fn new(
        file: PathBuf,
        net: &Arc<Net>,
        opening: Instant,
        registers: u64,
        dice: Dice,
    ) -> Channel {
        let (net, dice, running) = (net.clone(), RefCell::new(dice), RefCell::default());
        Channel { file, net, opening, dice, registers, running }
    }

    /// Starts the process, with the database as the last one left it.
    pub async fn start(&self) -> anyhow::Result<()> {
        let life = Arc::new(Life::default());
        let env = env_of(&life, &self.net, self.opening, &mut self.dice.borrow_mut());
        let options = Options { database: store::DATABASE.to_string(), durable: false };
        let engine = Engine::open_with(&env, &self.file, &options).context("the channel's file")?;
        let server = Server::start(&env, engine.clone(), ServerOptions::default());
        let mut gates = Vec::new();
        for register in 0..self.registers {
            let port = FIRST_PORT + register as u16;
            gates.push(server.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?);
        }
        *self.running.borrow_mut() = Some(Running { life, env, engine, gates });
        Ok(())
    }

    /// The process is gone, with its sessions and what they had not committed.
    pub async fn die(&self) {
        let running = self.running.borrow_mut().take();
        if let Some(Running { life, .. }) = running {
            life.kill(false);
            life.gone().await;
        }
    }

    /// Copies the database, which nobody has open, aside or back.
    pub fn copy(&self, aside: bool) -> io::Result<()> {
        for suffix in ["", "-wal", "-shm"] {
            let with = |more: &str| PathBuf::from(format!("{}{more}{suffix}", self.file.display()));
            let (from, to) = match aside {
                true => (with(""), with(".backup")),
                false => (with(".backup"), with("")),
            };
            match std::fs::copy(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let gone = std::fs::remove_file(&to);
                    gone.or_else(|error| match error.kind() {
                        io::ErrorKind::NotFound => Ok(()),
                        _ => Err(error),
                    })?;
                }
                copied => drop(copied?),
            }
        }
        Ok(())
    }

    /// The gate of a register, while the channel runs.
    pub fn gate(&self, register: u64) -> Option<Gate> {
        let running = self.running.borrow();
        running.as_ref().map(|running| running.gates[register as usize - 1].clone())
    }

    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.running.borrow().as_ref().map(|running| running.engine.clone())
    }

    /// Work of head office with a session of its own; `None` while the channel is down.
    pub async fn office<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Office) -> anyhow::Result<T> + Send + 'static,
    ) -> Option<anyhow::Result<T>> {
        let (env, engine) = {
            let running = self.running.borrow();
            let running = running.as_ref()?;
            (running.env.clone(), running.engine.clone())
        };
        env.blocking("head office", move || work(&mut Office::open(&engine)?)).await
    }
}
