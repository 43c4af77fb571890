//! The demonstration's parts step by step, for tests that stop in the middle: the same channel, agent process,
//! cashier and check from outside, on a store small enough to be filled in a second.

use crate::DemoError;
use crate::cashier::Cashier;
use crate::channel::Channel;
use crate::generate::{DemoStore, StoreSize};
use crate::halfway::Halfway;
use crate::head_office::{Contested, Edits, edit};
use crate::options::DemoOptions;
use crate::plugins;
use crate::progress::Stage;
use crate::register::{
    Agent, ChannelFacts, OFFICE_USER, Provisioned, REGISTER_USER, RegisterFolder, make_folder,
};
use crate::session::Session;
use crate::shop::{Shop, ShopFiles};
use crate::verify::{Acknowledged, Findings, RegisterFiles, verify};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tillhold_client::{Answer, Client, Door};
use tillhold_embedded::Fault;
use tillhold_env::Env;
use tokio::sync::mpsc;

/// Real baskets that are kept, with the products and households in them.
const BASKETS: usize = 12;
/// One question at the front door.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// A store, its channel and one register, under the hands of a proof.
pub struct Rehearsal {
    pub store: Arc<DemoStore>,
    pub sold: Vec<Acknowledged>,
    env: Env,
    stage: Stage,
    channel: Channel,
    register: RegisterFolder,
    contested: Contested,
    running: Option<(Agent, Door)>,
    slips: u32,
    next_basket: usize,
}

/// Which tables the register's offline profile has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileSize {
    /// AX's default profile.
    Whole,
    /// Those of it in which a shop's day leaves rows.
    InUse,
}

impl Rehearsal {
    /// Fills a channel in `folder`, prepares it and writes the register's files; nothing runs yet.
    /// `program` is the agent's executable, `customers` how many the channel has beyond the baskets' own.
    pub async fn open(
        env: &Env,
        program: &Path,
        folder: &Path,
        (customers, profile): (u64, ProfileSize),
    ) -> Result<Rehearsal, DemoError> {
        let stage = Stage::new(env);
        let shop = Shop::open(&ShopFiles { products: None, baskets: None })?.reduced(BASKETS);
        let size = StoreSize { products: 1, barcodes: 1, prices: 200, customers };
        let store = DemoStore::new(shop, size, 1)?;
        let store = Arc::new(match profile {
            ProfileSize::Whole => store,
            ProfileSize::InUse => store.with_tables_in_use(),
        });
        let register = RegisterFolder::new(folder.join("register"), program.to_path_buf());
        make_folder(&register.plugins())?;
        let options = DemoOptions { program: program.to_path_buf(), ..DemoOptions::default() };
        plugins::install(env, &options, &register.plugins(), &stage).await?;
        let channel = Channel::open(env, &folder.join("channel"), &store, &stage).await?;
        let facts = ChannelFacts {
            address: channel.register_gate.address(),
            certificate: &channel.certificate,
            register_password: &channel.register_password,
            office_password: &channel.office_password,
        };
        register.write(&store, &facts)?;
        let contested = Contested::of(&store);
        Ok(Rehearsal {
            store,
            sold: Vec::new(),
            env: env.clone(),
            stage,
            channel,
            register,
            contested,
            running: None,
            slips: 0,
            next_basket: 0,
        })
    }

    /// The register's settings file.
    pub fn config(&self) -> PathBuf {
        self.register.config()
    }

    /// The folder with the register's files.
    pub fn folder(&self) -> &Path {
        &self.register.path
    }

    /// What the agent said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.register.log()).unwrap_or_default()
    }

    /// `tillhold channel prepare`, as head office.
    pub async fn prepare(&self) -> Result<(), DemoError> {
        let password = self.register.path.join("office.password").display().to_string();
        self.command(&[
            "channel",
            "prepare",
            "--user",
            OFFICE_USER,
            "--password-file",
            &password,
            "--member",
            REGISTER_USER,
        ])
        .await
        .map(drop)
    }

    /// Runs one of the agent's commands to its end; its lines of stdout.
    pub async fn command(&self, words: &[&str]) -> Result<Vec<String>, DemoError> {
        let config = self.register.config().display().to_string();
        let arguments = [words, &["--config", &config]].concat();
        let mut lines = Vec::new();
        self.register.command(&self.env, &arguments, |line| lines.push(line.to_string())).await?;
        Ok(lines)
    }

    /// Provisions, and kills the process with SIGKILL once `rows` rows of `table` have come in; whether it was killed.
    pub async fn provision_killed_at(&self, table: &str, rows: u64) -> Result<bool, DemoError> {
        let config = self.register.config().display().to_string();
        let arguments = ["provision", "--config", &config, "--progress", "json"];
        let reached = |line: &str| match Provisioned::read(line) {
            Some(Provisioned::Rows { table: name, rows: loaded, .. }) => {
                name == table && loaded >= rows
            }
            _ => false,
        };
        self.register.command_killed_at(&self.env, &arguments, reached).await
    }

    /// Starts `tillhold run` and waits for its front door.
    pub async fn start(&mut self) -> Result<(), DemoError> {
        self.running = Some(self.register.run(&self.env).await?);
        Ok(())
    }

    /// SIGKILL, as a power cut would end it.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The running agent's process.
    pub fn agent_id(&self) -> Option<u32> {
        self.running.as_ref().map(|(agent, _)| agent.id())
    }

    /// Waits for the agent to end by itself; its exit status, or `None` when it was killed or still runs after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Option<i32> {
        let (agent, _) = self.running.as_mut()?;
        let started = self.env.clock.monotonic_us();
        while u128::from(self.env.clock.monotonic_us() - started) < limit.as_micros() {
            if let Some(status) = agent.ended() {
                self.running = None;
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Cuts the register off the channel: connections are dropped, new ones refused.
    pub async fn cut(&self) -> Result<(), DemoError> {
        Ok(self.channel.register_gate.cut().await?)
    }

    /// The so-manieth commit from now on is carried out, and its answer is lost with the connection.
    pub fn lose_the_answer_to_commit(&self, number: u64) {
        self.channel.register_gate.inject(Fault::DropAfterCommit { commits: number });
    }

    /// From now on the register's line to the channel is faulty, until it is healed.
    pub fn inject(&self, fault: Fault) {
        self.channel.register_gate.inject(fault);
    }

    /// Takes back a fault that has not struck.
    pub fn heal(&self) {
        self.channel.register_gate.heal();
    }

    /// The account of the customer that both sides edit.
    pub fn contested_account(&self) -> &str {
        &self.contested.account
    }

    pub async fn restore(&self) -> Result<(), DemoError> {
        Ok(self.channel.register_gate.restore().await?)
    }

    /// The next `baskets` baskets, one after another; each acknowledged sale is kept for the check.
    pub async fn sell(&mut self, baskets: usize) -> Result<(), DemoError> {
        self.slips += 1;
        let slips = self.register.path.join(format!("sales-{}.jsonl", self.slips));
        let store = self.store.clone();
        let mut cashier = Cashier::open(&self.env, self.door()?, &store, &slips).await?;
        for _ in 0..baskets {
            let basket = &store.shop.baskets[self.next_basket % store.shop.baskets.len()];
            cashier.sell(basket).await?;
            self.next_basket += 1;
        }
        self.sold.append(&mut cashier.sold);
        Ok(())
    }

    /// `cashiers` sales whose PUTs are under way when `happens`: each other one's body is half sent, the others wait for
    /// their answer. Each is ended, one more is sold after them, and all are kept for the check; how many of them had
    /// their answer at the first try.
    pub async fn sell_while(
        &mut self,
        cashiers: usize,
        happens: impl AsyncFnOnce(&Rehearsal) -> Result<(), DemoError>,
    ) -> Result<usize, DemoError> {
        self.slips += 1;
        let slips = self.register.path.join(format!("sales-{}.jsonl", self.slips));
        let (store, door) = (self.store.clone(), self.door()?);
        let mut cashier = Cashier::open(&self.env, door.clone(), &store, &slips).await?;
        let baskets = &store.shop.baskets;
        let mut under_way = Vec::new();
        for at in 0..cashiers {
            let sale = cashier.ring(&baskets[(self.next_basket + at) % baskets.len()]).await?;
            under_way.push(sale);
        }
        let mut sent = Vec::new();
        for (at, sale) in under_way.into_iter().enumerate() {
            sent.push(Halfway::begin(&self.env, &door, sale, at % 2 == 0).await?);
        }
        happens(self).await?;
        let (tell, mut ends) = mpsc::channel(cashiers.max(1));
        for sale in sent {
            let tell = tell.clone();
            self.env.spawn(async move {
                // Nobody listens any more when an earlier one has failed.
                let _ = tell.send(sale.finish().await).await;
            });
        }
        drop(tell);
        let (mut ended, mut answered) = (0, 0);
        while let Some((sale, answer)) = ends.recv().await {
            answered += usize::from(cashier.end(sale, answer).await?);
            ended += 1;
        }
        if ended < cashiers {
            return Err(DemoError::BrokeOff("a sale's PUT"));
        }
        // In which order they came to the register is nobody's; the last number is this one's.
        cashier.sell(&baskets[(self.next_basket + cashiers) % baskets.len()]).await?;
        self.next_basket += cashiers + 1;
        self.sold.append(&mut cashier.sold);
        Ok(answered)
    }

    /// The channel's database takes only reads, or writes again.
    pub async fn set_read_only(&self, is: bool) -> Result<(), DemoError> {
        let channel = self.channel.engine().clone();
        let set = self.env.blocking("read-only", move || channel.set_read_only(is)).await;
        Ok(set.ok_or(DemoError::BrokeOff("altering the channel's database"))??)
    }

    /// Head office and the cashier both edit: prices, a customer on both sides, one who moves away.
    pub async fn edit_on_both_sides(&mut self) -> Result<(), DemoError> {
        let slips = self.register.path.join("edits.jsonl");
        let store = self.store.clone();
        let mut cashier = Cashier::open(&self.env, self.door()?, &store, &slips).await?;
        cashier.write(&self.contested.at_the_till(&store)?).await?;
        let (contested, mut office) = (self.contested.clone(), self.channel.office()?);
        let work = move || -> Result<Edits, DemoError> { edit(&store, &contested, &mut office) };
        self.env.blocking("edits", work).await.ok_or(DemoError::BrokeOff("editing"))?.map(drop)
    }

    /// T-SQL at the channel, as head office; how many rows it changed.
    pub fn office(&self, sql: &str) -> Result<u64, DemoError> {
        self.channel.office()?.run(sql)
    }

    /// A transaction of head office that stays open, with `sql` in it.
    pub fn office_begins(&self, sql: &str) -> Result<OpenTransaction, DemoError> {
        let mut session = self.channel.office()?;
        session.run(&format!("BEGIN TRANSACTION; {sql}"))?;
        Ok(OpenTransaction { session })
    }

    /// Transactions that the channel's ledger has.
    pub fn ledger_count(&self) -> Result<usize, DemoError> {
        self.count("SELECT [transaction_id] FROM [tillhold].[ledger];")
    }

    /// How many rows the channel answers to head office.
    pub fn count(&self, sql: &str) -> Result<usize, DemoError> {
        let mut count = 0;
        self.channel.office()?.select(sql, |_| count += 1)?;
        Ok(count)
    }

    pub async fn get(&self, path: &str) -> Result<Answer, DemoError> {
        Ok(self.client()?.get(path, ASK_LIMIT).await?)
    }

    pub async fn put(&self, path: &str, body: &Json) -> Result<Answer, DemoError> {
        Ok(self.client()?.put(path, body, ASK_LIMIT).await?)
    }

    pub async fn post(&self, path: &str) -> Result<Answer, DemoError> {
        Ok(self.client()?.post(path, &Json::Null, Duration::from_secs(120)).await?)
    }

    /// Asks for the status until it is as wanted, at most `limit`; the status then.
    pub async fn until(
        &self,
        what: &'static str,
        limit: Duration,
        wanted: impl Fn(&Json) -> bool,
    ) -> Result<Json, DemoError> {
        let started = self.env.clock.monotonic_us();
        loop {
            let asked = self.get("/v1/status").await;
            let seen = match asked {
                Ok(answer) if wanted(&answer.body) => return Ok(answer.body),
                Ok(answer) => answer.body.to_string(),
                Err(error) => error.to_string(),
            };
            if u128::from(self.env.clock.monotonic_us() - started) > limit.as_micros() {
                return Err(DemoError::Never { what, seen });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Online, with nothing unsent and every scope just pulled. A connection that breaks meanwhile takes the register offline
    /// for a moment: it is asked again then, as a person would.
    pub async fn settle(&self) -> Result<(), DemoError> {
        let quiet = |s: &Json| s["state"] == "online" && s["pending"]["transactions"] == 0;
        let mut tries = 5;
        loop {
            self.until("online with nothing unsent", Duration::from_secs(120), quiet).await?;
            let answer = self.post("/v1/sync").await?;
            tries -= 1;
            if answer.is_success() {
                return Ok(());
            }
            if answer.status != 503 || tries == 0 {
                let reason = answer.reason();
                return Err(DemoError::Refused { path: "/v1/sync".into(), reason });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The check from outside: its own SQL on both databases.
    pub async fn verify(&self) -> Result<Findings, DemoError> {
        let (store, sold, offline) =
            (self.store.clone(), self.sold.clone(), self.register.offline());
        let mut office = self.channel.office()?;
        let work = move || -> Result<Findings, DemoError> {
            verify(&store, &sold, &mut office, &RegisterFiles::open(&offline)?)
        };
        self.env.blocking("check", work).await.ok_or(DemoError::BrokeOff("the check"))?
    }

    fn door(&self) -> Result<Door, DemoError> {
        self.running
            .as_ref()
            .map(|(_, door)| door.clone())
            .ok_or(DemoError::BrokeOff("asking an agent that does not run"))
    }

    fn client(&self) -> Result<Client, DemoError> {
        Ok(Client::new(self.env.clone(), self.door()?))
    }

    /// Ends the agent and the channel.
    pub async fn close(mut self) -> Result<(), DemoError> {
        self.kill();
        self.channel.stop().await
    }

    /// A line for whoever watches the tests.
    pub fn note(&self, text: &str) {
        self.stage.line(text);
    }
}

/// Rolled back when it is dropped.
pub struct OpenTransaction {
    session: Session,
}

impl OpenTransaction {
    pub fn commit(mut self) -> Result<(), DemoError> {
        self.session.run("COMMIT TRANSACTION;").map(drop)
    }
}
