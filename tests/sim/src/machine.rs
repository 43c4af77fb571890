//! One register's machine: its disk, its clock, its cable, and the agent that runs on it, is killed and is started again.

use crate::disk::{Disk, Mount};
use crate::entropy::Dice;
use crate::life::{Life, LifeClock, LifeRandom, LifeTasks};
use crate::net::{Link, Net, Port};
use crate::trace::Trace;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tillhold_client::Door;
use tillhold_env::{Disk as DiskSeam, Env};
use tokio::sync::watch;
use tokio::time::Instant;

/// How one start of the agent came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Running,
    /// Told to stop, it did.
    Stopped,
    /// It gave up by itself, with this error.
    Failed(String),
    Killed {
        dark: bool,
    },
}

pub struct Machine {
    pub number: u64,
    pub folder: PathBuf,
    pub link: Arc<Link>,
    pub disk: Arc<Disk>,
    pub skew_ms: Arc<AtomicI64>,
    net: Arc<Net>,
    port: u16,
    opening: Instant,
    dice: RefCell<Dice>,
    running: RefCell<Option<Running>>,
    /// Starts so far.
    pub starts: Cell<u64>,
    /// One of them came to a front door: from then on a register starts without its channel.
    has_opened: Cell<bool>,
    /// Whoever ended the agent starts it again.
    attended: Cell<bool>,
    /// Its till sells nothing for a while.
    pub closed: Cell<bool>,
    /// Someone makes a backup of it, or has one to put back.
    pub keeps_backup: Cell<bool>,
    /// Its files are a backup's, and it has not begun its new life yet.
    pub restored: Cell<bool>,
    /// They were once: what its cashier edits before the tables have been read again stands on rows of the backup, and a
    /// conflict with his own later edits may go against him.
    pub was_restored: Cell<bool>,
    /// Two cashiers work at it.
    pub has_second_till: Cell<bool>,
    /// Its till waits for an answer.
    pub asked: Cell<bool>,
    /// Its log says that a person has to ask for lost sales.
    pub needs_resend: Arc<AtomicBool>,
    /// Last, so that nobody has a file open when it goes.
    _mount: Mount,
}

struct Running {
    life: Arc<Life>,
    stop: watch::Sender<bool>,
    end: watch::Receiver<End>,
}

/// The seam's disk: room as SQLite's shim sees it.
struct Room(Arc<Disk>);

impl DiskSeam for Room {
    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(if self.0.is_full() { 0 } else { 20 << 30 })
    }

    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
        match self.0.is_full() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => file.set_len(bytes),
        }
    }
}

/// A process that ends with whoever began it.
struct Ends(Arc<Life>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.kill(false);
    }
}

impl Machine {
    pub fn new(
        number: u64,
        folder: PathBuf,
        name: &str,
        net: &Arc<Net>,
        port: u16,
        dice: &mut Dice,
    ) -> Machine {
        let skew_ms = Arc::new(AtomicI64::new(0));
        let nobody = Arc::new(Life::default());
        let (disk, mount) = Disk::mounted(name, &nobody, Dice::new(dice.next()), &skew_ms);
        Machine {
            number,
            folder,
            link: Link::new(Dice::new(dice.next())),
            disk,
            skew_ms,
            net: net.clone(),
            port,
            opening: Instant::now(),
            dice: RefCell::new(Dice::new(dice.next())),
            running: RefCell::default(),
            starts: Cell::new(0),
            has_opened: Cell::new(false),
            attended: Cell::new(false),
            closed: Cell::new(false),
            has_second_till: Cell::new(false),
            keeps_backup: Cell::new(false),
            restored: Cell::new(false),
            was_restored: Cell::new(false),
            asked: Cell::new(false),
            needs_resend: Arc::default(),
            _mount: mount,
        }
    }

    pub fn net(&self) -> &Arc<Net> {
        &self.net
    }

    pub fn attend(&self, is: bool) {
        self.attended.set(is);
    }

    pub fn is_attended(&self) -> bool {
        self.attended.get()
    }

    /// An agent may give up over a disk that fails, over one that has the files, and, while it has nothing to start from,
    /// over a channel out of reach or one that keeps it out: its service manager starts it again.
    pub fn may_fail(&self, why: &str) -> bool {
        let at_any_time = ["disk I/O error", "full", "another agent"];
        let on_the_first_day = [
            "never synchronised and its channel cannot be reached",
            "the channel refused the login",
        ];
        at_any_time.iter().any(|words| why.contains(words))
            || !self.came_to_a_door() && on_the_first_day.iter().any(|words| why.contains(words))
    }

    fn came_to_a_door(&self) -> bool {
        self.has_opened.get() || self.address_file().exists()
    }

    pub fn offline(&self) -> PathBuf {
        self.folder.join("offline")
    }

    /// Another text of the register's profile, made out of the one that it has.
    pub fn rewrite_profile(&self, other: impl FnOnce(&str) -> String) {
        let file = self.folder.join("profile.toml");
        let text = std::fs::read_to_string(&file).expect("the profile that was written");
        std::fs::write(file, other(&text)).expect("room");
    }

    /// The environment of one process on this machine.
    fn env(&self, life: &Arc<Life>, trace: &Arc<Trace>) -> Env {
        let mut dice = self.dice.borrow_mut();
        let mut draw = || Mutex::new(Dice::new(dice.next()));
        let (who, trace) = (format!("T{}", self.number), trace.clone());
        let needs_resend = self.needs_resend.clone();
        Env {
            clock: Arc::new(LifeClock {
                opening: self.opening,
                begun: Instant::now(),
                skew_ms: self.skew_ms.clone(),
            }),
            random: Arc::new(LifeRandom(draw())),
            network: Arc::new(Port {
                net: self.net.clone(),
                life: life.clone(),
                link: Some((self.link.clone(), self.port)),
            }),
            tasks: Arc::new(LifeTasks { life: life.clone(), dice: draw() }),
            disk: Arc::new(Room(self.disk.clone())),
            vfs: Some(self.disk.name()),
            talk: Arc::new(move |line| {
                trace.line(&who, line);
                needs_resend.fetch_or(line.contains("sync --resend"), Ordering::Relaxed);
            }),
        }
    }

    /// Starts the agent. Whatever ran before must be gone.
    pub fn start(&self, trace: &Arc<Trace>) {
        let life = Arc::new(Life::default());
        self.disk.serve(&life);
        self.has_opened.set(self.came_to_a_door());
        // A file of an earlier run would name a door that is closed.
        let _ = std::fs::remove_file(self.address_file());
        let env = self.env(&life, trace);
        let (stop, mut told) = watch::channel(false);
        let (tell, end) = watch::channel(End::Running);
        let config = self.folder.join("register.toml");
        let own = env.clone();
        env.tasks.spawn(Box::pin(async move {
            let stopped = async {
                let _ = told.wait_for(|told| *told).await;
            };
            let ended = match tillhold::run(&own, &config, stopped).await {
                Ok(()) => End::Stopped,
                Err(error) => End::Failed(format!("{error:#}")),
            };
            tell.send_replace(ended);
        }));
        self.starts.set(self.starts.get() + 1);
        *self.running.borrow_mut() = Some(Running { life, stop, end });
    }

    /// The process that runs, or ran last.
    pub fn life(&self) -> Option<Arc<Life>> {
        self.running.borrow().as_ref().map(|running| running.life.clone())
    }

    pub fn end(&self) -> Option<End> {
        let running = self.running.borrow();
        let running = running.as_ref()?;
        Some(match &*running.end.borrow() {
            End::Running if running.life.is_dead() => End::Killed { dark: running.life.is_dark() },
            end => end.clone(),
        })
    }

    pub fn is_running(&self) -> bool {
        self.end() == Some(End::Running)
    }

    /// Tells the agent to stop, as a service manager does.
    pub fn tell_to_stop(&self) {
        if let Some(running) = &*self.running.borrow() {
            running.stop.send_replace(true);
        }
    }

    /// Until the process has ended by itself or by force, and nothing of it is left; how it ended.
    pub async fn ended(&self) -> End {
        let Some((life, mut end)) = self
            .running
            .borrow()
            .as_ref()
            .map(|running| (running.life.clone(), running.end.clone()))
        else {
            return End::Stopped;
        };
        loop {
            if let Some(end) = self.end().filter(|end| *end != End::Running) {
                // A process that ends takes its tasks with it.
                life.kill(false);
                life.gone().await;
                return end;
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), end.changed()).await;
        }
    }

    /// What a power cut does to the disk, when it was one.
    pub fn come_back(&self) -> io::Result<()> {
        match self.end() {
            Some(End::Killed { dark: true }) => self.disk.lose_power(&self.offline()),
            _ => Ok(()),
        }
    }

    fn address_file(&self) -> PathBuf {
        self.offline().join("front-door.address")
    }

    /// The agent's front door, when it has one.
    pub fn door(&self) -> Option<Door> {
        if !self.is_running() {
            return None;
        }
        let address = std::fs::read_to_string(self.address_file()).ok()?;
        let token = std::fs::read_to_string(self.folder.join("front-door.token")).ok()?;
        Door::parse(&address, &token)
    }

    pub fn set_clock(&self, by_ms: i64) {
        self.skew_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Carries out a command line of the program on this machine, beside the agent.
    pub async fn command(&self, trace: &Arc<Trace>, words: &[&str]) -> anyhow::Result<()> {
        let life = Arc::new(Life::default());
        let env = self.env(&life, trace);
        let config = self.folder.join("register.toml").display().to_string();
        let words: Vec<&str> = words.iter().copied().chain(["--config", &config]).collect();
        let ends = Ends(life.clone());
        let answer = tillhold::command(&env, &words).await;
        drop(ends);
        life.gone().await;
        answer
    }
}
