//! One run: a store is opened, sells under everything that was planned, is healed, comes to rest, and is looked at.

use crate::channel::{Channel, FIRST_PORT, env_of};
use crate::check;
use crate::entropy::{self, Dice};
use crate::event::Kind;
use crate::life::Life;
use crate::machine::{End, Machine};
use crate::net::Net;
use crate::plan::Plan;
use crate::rule;
use crate::store::{self, Conduct};
use crate::till::{Books, Till};
use crate::trace::Trace;
use crate::trouble;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tillhold_client::Client;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// After everything is healed, all must be at rest within this much simulated time.
const REST_LIMIT: Duration = Duration::from_secs(180);

/// A run takes seconds of a processor. One that takes so many goes round in a circle, and its simulated clock stands still.
const PROCESSOR_LIMIT: Duration = Duration::from_secs(240);
/// One that waits for what never comes uses none.
const REAL_LIMIT: Duration = Duration::from_secs(1_200);
/// How a run is told that goes round in a circle.
pub const HANGS: &str = "HANGS:";

/// How a run went.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub seed: u64,
    /// Promises that did not hold, in words; a run without any passed.
    pub broken: Vec<String>,
    pub acknowledged: u64,
    pub starts: u64,
    pub longest_sale_ms: u64,
    pub simulated_ms: u64,
    /// Things that really happened, by kind: a crash that found nobody running is none.
    pub happened: BTreeMap<Kind, u64>,
    pub hash: u64,
    pub lines: Vec<String>,
}

/// What every part of a run sees.
pub struct World {
    pub plan: Plan,
    pub trace: Arc<Trace>,
    pub channel: Channel,
    pub machines: Vec<Rc<Machine>>,
    pub books: Rc<Books>,
    pub closing: Rc<Cell<bool>>,
    pub happened: RefCell<BTreeMap<Kind, u64>>,
    /// Once, from a backup of this run.
    pub channel_was_restored: Cell<bool>,
}

impl World {
    pub fn machine(&self, register: u64) -> &Rc<Machine> {
        &self.machines[register as usize - 1]
    }

    /// A client of a machine's front door, when it has one.
    pub fn client(&self, machine: &Machine, who: &str) -> Option<Client> {
        let mut dice = Dice::of(self.plan.seed, who);
        let env = env_of(&Arc::default(), machine.net(), Instant::now(), &mut dice);
        Some(Client::new(env, machine.door()?))
    }

    pub fn note(&self, kind: Kind) {
        *self.happened.borrow_mut().entry(kind).or_default() += 1;
    }

    pub fn break_promise(&self, what: impl Into<String>) {
        let what = what.into();
        self.trace.line("BROKEN", &what);
        self.books.break_promise(what);
    }
}

/// Carries a plan out, on a thread of its own. Once in a process: the runtime counts what it makes, and draws by that count.
pub fn run(plan: &Plan, shows: bool) -> Outcome {
    let plan = plan.clone();
    let name = format!("seed {}", plan.seed);
    // Deeper than a thread of production: what has its own thread there runs on this one.
    let thread = std::thread::Builder::new().name(name).stack_size(64 << 20);
    let (tell, ended) = std::sync::mpsc::channel();
    let seed = plan.seed;
    // Outside of the run: a compiler is a real program, and draws by nobody's seed.
    let rule = match plan.has_rule.then(rule::component).transpose() {
        Ok(rule) => rule,
        Err(error) => return failed(seed, format!("the plugin is not built: {error:#}")),
    };
    let running = thread.spawn(move || tell.send(run_here(plan, rule, shows))).expect("a thread");
    match within_limits(&ended) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Disconnected) => {
            let panic = running.join().err();
            let words = panic.as_ref().and_then(|panic| panic.downcast_ref::<String>());
            failed(seed, format!("the run panicked: {words:?}"))
        }
        // Its thread cannot be ended: it goes with the process.
        Err(RecvTimeoutError::Timeout) => {
            let used = processor_time().unwrap_or_default();
            failed(seed, format!("{HANGS} not done after {used:?} of a processor's time"))
        }
    }
}

/// The run's end, when it comes before a limit does.
fn within_limits(ended: &Receiver<Outcome>) -> Result<Outcome, RecvTimeoutError> {
    let looks = REAL_LIMIT.as_secs() / LOOK.as_secs();
    for _ in 0..looks {
        match ended.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            ends => return ends,
        }
        if processor_time().is_some_and(|used| used > PROCESSOR_LIMIT) {
            break;
        }
    }
    Err(RecvTimeoutError::Timeout)
}

/// How often a run is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What this process has used of its processors, where the system tells it (proc(5): fields 14 and 15 of `stat`, in
/// hundredths of a second).
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// A run that came to no end of its own.
pub(crate) fn failed(seed: u64, why: String) -> Outcome {
    Outcome { seed, broken: vec![why], ..Outcome::default() }
}

fn run_here(plan: Plan, rule: Option<Vec<u8>>, shows: bool) -> Outcome {
    entropy::sow(plan.seed);
    let folder = tempfile::Builder::new().prefix("tillhold-sim-").tempdir_in(memory());
    let folder = folder.expect("a folder");
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    let tasks = LocalSet::new();
    let seed = plan.seed;
    let outcome = tasks.block_on(&runtime, story(plan, rule.as_deref(), folder.path(), shows));
    outcome.unwrap_or_else(|error| failed(seed, format!("the run itself failed: {error:#}")))
}

/// Where files are made that no disk need hold.
fn memory() -> std::path::PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() }
}

async fn story(
    plan: Plan,
    rule: Option<&[u8]>,
    folder: &Path,
    shows: bool,
) -> anyhow::Result<Outcome> {
    let world = open(plan, rule, folder, shows).await?;
    let opening = Instant::now();
    for machine in &world.machines {
        machine.start(&world.trace);
    }
    let (net_life, mut dice) = (Arc::new(Life::default()), Dice::of(world.plan.seed, "tills"));
    let tills: Vec<_> = world
        .machines
        .iter()
        .map(|machine| {
            let env = env_of(&net_life, machine.net(), opening, &mut dice);
            let till = Till {
                machine: machine.clone(),
                books: world.books.clone(),
                trace: world.trace.clone(),
                env,
                dice: Dice::new(dice.next()),
                terminal: format!("T{}", machine.number),
                is_numbered: true,
                pause_ms: world.plan.pause_ms,
                closing: world.closing.clone(),
                last_edit: None,
            };
            tokio::task::spawn_local(till.sell(world.plan.seed))
        })
        .collect();
    let office = tokio::task::spawn_local(trouble::work_of_office(world.clone()));
    trouble::all_of_it(&world).await;
    world.closing.set(true);
    world.trace.line("world", "everything is healed");
    trouble::heal(&world).await?;
    // Its last job is ended first: what is compared must stand still.
    office.await.context("head office")?;
    rest(&world, tills).await;
    let rested = Instant::now();
    check::everything(&world).await?;
    net_life.kill(false);
    Ok(Outcome {
        seed: world.plan.seed,
        broken: world.books.broken.borrow().clone(),
        acknowledged: world.books.acknowledged.get(),
        starts: world.machines.iter().map(|machine| machine.starts.get()).sum(),
        longest_sale_ms: world.books.longest_ms.get(),
        simulated_ms: (rested - opening).as_millis() as u64,
        happened: world.happened.borrow().clone(),
        hash: world.trace.hash(),
        lines: world.trace.lines(),
    })
}

/// The channel furnished and prepared, the registers' files written; nothing sells yet.
async fn open(
    plan: Plan,
    rule: Option<&[u8]>,
    folder: &Path,
    shows: bool,
) -> anyhow::Result<Rc<World>> {
    let (net, opening) = (Arc::new(Net::default()), Instant::now());
    let trace = Arc::new(Trace::new(opening, folder, shows));
    let mut dice = Dice::of(plan.seed, "store");
    let conduct = Conduct::drawn(&mut dice);
    trace.line("world", format_args!("{} registers, {conduct:?}", plan.registers));
    let file = folder.join("channel.db");
    let channel = Channel::new(file, &net, opening, plan.registers, Dice::new(dice.next()));
    channel.start().await?;
    let (registers, engine) = (plan.registers, channel.engine().context("a channel")?);
    store::furnish(&engine, registers, plan.first_barcodes())?;
    let mut machines = Vec::new();
    for number in 1..=registers {
        let home = folder.join(format!("T{number}"));
        let port = FIRST_PORT + number as u16 - 1;
        let profile = conduct.profile(rule.is_some());
        store::write_files(&home, &format!("T{number}"), port, &profile)?;
        if let Some(rule) = rule {
            rule::deploy(rule, &home)?;
        }
        let name = format!("tillhold-sim-{}-{number}", folder.display());
        machines.push(Rc::new(Machine::new(number, home, &name, &net, port, &mut dice)));
    }
    let password = folder.join("T1/channel.password").display().to_string();
    let words = [
        "channel",
        "prepare",
        "--user",
        store::OFFICE,
        "--password-file",
        &password,
        "--member",
        store::REGISTER,
    ];
    machines[0].command(&trace, &words).await.context("channel prepare")?;
    let books = Rc::new(Books::default());
    books.sales.borrow_mut().resize(registers as usize, Vec::new());
    Ok(Rc::new(World {
        plan,
        trace,
        channel,
        machines,
        books,
        closing: Rc::default(),
        happened: RefCell::default(),
        channel_was_restored: Cell::default(),
    }))
}

/// The last sales are promised, all is sent and every register is online; then everyone is told to stop.
async fn rest(world: &Rc<World>, tills: Vec<tokio::task::JoinHandle<()>>) {
    let until = Instant::now() + REST_LIMIT;
    let sold = async {
        for till in tills {
            if let Err(error) = till.await {
                world.break_promise(format!("a till died: {error}"));
            }
        }
    };
    if tokio::time::timeout_at(until, sold).await.is_err() {
        world.break_promise("a till is still not answered");
    }
    // Twice: what one register sent last is for the others to fetch.
    let until = Instant::now() + REST_LIMIT;
    for machine in world.machines.iter().chain(&world.machines) {
        if let Err(last) = check::settled(world, machine, until).await {
            world.break_promise(format!("T{} does not come to rest: {last}", machine.number));
        }
    }
    for machine in &world.machines {
        machine.tell_to_stop();
        let stopped = tokio::time::timeout(Duration::from_secs(30), machine.ended()).await;
        if stopped != Ok(End::Stopped) {
            world.break_promise(format!("T{} does not stop: {stopped:?}", machine.number));
        }
        if let (Err(_), Some(life)) = (stopped, machine.life()) {
            life.kill(false);
            life.gone().await;
        }
    }
}
