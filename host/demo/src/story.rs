//! The main job, told in one run: sell, lose the channel, sell on, come back, and be found whole.
//!
//! ```text
//! channel -> prepare -> provision -> agent -> sell online -> CUT -> sell offline, head office edits
//!         -> RESTORE -> push, pull, online -> sell on -> quiet -> check from outside -> summary
//! ```

use crate::DemoError;
use crate::cashier::{Cashier, Waits};
use crate::channel::Channel;
use crate::generate::{DemoStore, StoreSize};
use crate::head_office::{Contested, Edits, edit};
use crate::options::{DemoOptions, Outcome};
use crate::place::Place;
use crate::progress::{Stage, grouped};
use crate::register::{
    Agent, ChannelFacts, OFFICE_USER, Provisioned, REGISTER_USER, RegisterFolder,
};
use crate::scope_bars::ScopeBars;
use crate::shop::{Basket, Shop, ShopFiles};
use crate::summary::{Moved, Sales, Summary};
use crate::verify::{Acknowledged, Findings, RegisterFiles, verify};
use crate::{plugins, raw};
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tillhold_client::{Client, Door};
use tillhold_env::{Env, outln};

/// The return has to bring every sale and every change; a large store takes its time.
const RETURN_LIMIT: Duration = Duration::from_secs(300);
/// The switch must come within the profile's two seconds and the agent's own rhythm.
const SWITCH_LIMIT: Duration = Duration::from_secs(30);
const SYNC_LIMIT: Duration = Duration::from_secs(300);
/// Sales while the register comes back, and when it is online again.
const SALES_RETURNING: usize = 10;
const SALES_AFTER: usize = 10;

/// Runs the whole demonstration; the summary goes to stdout, everything else to stderr.
pub async fn run(env: &Env, options: DemoOptions) -> Result<Outcome, DemoError> {
    let options = options.checked()?;
    let place = Place::of(&options)?;
    let stage = Stage::new(env);
    stage.line(&format!("everything is in {}", place.path().display()));
    let told = tell(env, &options, place.path(), &stage).await;
    let keep = options.folder.is_some() || !matches!(told, Ok(Outcome::Holds));
    place.leave(keep, &stage);
    told
}

async fn tell(
    env: &Env,
    options: &DemoOptions,
    folder: &Path,
    stage: &Stage,
) -> Result<Outcome, DemoError> {
    let register = RegisterFolder::new(folder.join("register"), options.program.clone());
    let store = Arc::new(open_store(options)?);
    stage.line(&format!(
        "store {} and {} more, seed {}: {} real products, {} real baskets",
        store.own().number,
        store.branches.len() - 1,
        options.seed,
        grouped(store.shop.products.len() as u64),
        grouped(store.shop.baskets.len() as u64),
    ));
    crate::register::make_folder(&register.plugins())?;
    plugins::install(env, options, &register.plugins(), stage).await?;
    let channel = Channel::open(env, &folder.join("channel"), &store, stage).await?;
    let mut story = Story::new(env, options, stage, store, channel, register);
    story.prepare().await?;
    story.provision().await?;
    let (agent, door) = story.start().await?;
    story.sell(&door).await?;
    story.check(&door).await?;
    outln!("{}", story.summary);
    if options.keep {
        story.stay(&agent, &door).await?;
    }
    drop(agent);
    story.channel.stop().await?;
    match story.summary.findings.hold() {
        true => Ok(Outcome::Holds),
        false => Ok(Outcome::DoesNotHold),
    }
}

fn open_store(options: &DemoOptions) -> Result<DemoStore, DemoError> {
    let files =
        ShopFiles { products: options.products.as_deref(), baskets: options.baskets.as_deref() };
    let size = StoreSize::scaled(f64::from(options.scale));
    DemoStore::new(Shop::open(&files)?, size, options.seed)
}

struct Story<'a> {
    env: &'a Env,
    options: &'a DemoOptions,
    stage: &'a Stage,
    store: Arc<DemoStore>,
    channel: Channel,
    register: RegisterFolder,
    contested: Contested,
    sold: Vec<Acknowledged>,
    summary: Summary,
}

impl<'a> Story<'a> {
    fn new(
        env: &'a Env,
        options: &'a DemoOptions,
        stage: &'a Stage,
        store: Arc<DemoStore>,
        channel: Channel,
        register: RegisterFolder,
    ) -> Story<'a> {
        let (rows, seconds) = channel.filled;
        let summary = Summary { filled: Moved { rows, seconds }, ..Summary::default() };
        let contested = Contested::of(&store);
        Story {
            env,
            options,
            stage,
            store,
            channel,
            register,
            contested,
            sold: Vec::new(),
            summary,
        }
    }

    /// Change tracking, the ledger and the register's rights, by the agent's own command.
    async fn prepare(&mut self) -> Result<(), DemoError> {
        let channel = &self.channel;
        let facts = ChannelFacts {
            address: channel.register_gate.address(),
            certificate: &channel.certificate,
            register_password: &channel.register_password,
            office_password: &channel.office_password,
        };
        self.register.write(&self.store, &facts)?;
        let config = self.register.config().display().to_string();
        let password = self.register.path.join("office.password").display().to_string();
        let arguments = [
            "channel",
            "prepare",
            "--config",
            &config,
            "--user",
            OFFICE_USER,
            "--password-file",
            &password,
            "--member",
            REGISTER_USER,
        ];
        self.register.command(self.env, &arguments, |line| self.stage.line(line)).await?;
        self.stage
            .line("the channel is prepared: change tracking, the ledger, the register's rights");
        Ok(())
    }

    /// Scope by scope in the profile's order, a bar each.
    async fn provision(&mut self) -> Result<(), DemoError> {
        let config = self.register.config().display().to_string();
        let arguments = ["provision", "--config", &config, "--progress", "json"];
        let started = self.env.clock.monotonic_us();
        let mut bars = ScopeBars::new(&self.store, self.stage);
        let mut all = None;
        self.register
            .command(self.env, &arguments, |line| match Provisioned::read(line) {
                Some(Provisioned::All { rows, seconds }) => all = Some(Moved { rows, seconds }),
                Some(step) => bars.show(step),
                None => self.stage.line(line),
            })
            .await?;
        let seconds = (self.env.clock.monotonic_us() - started) as f64 / 1e6;
        self.summary.down = all.unwrap_or(Moved { rows: bars.rows, seconds });
        self.stage.line(&format!("provisioned in {seconds:.1} s"));
        Ok(())
    }

    async fn start(&mut self) -> Result<(Agent, Door), DemoError> {
        let (agent, door) = self.register.run(self.env).await?;
        let client = Client::new(self.env.clone(), door.clone());
        self.until(&client, SWITCH_LIMIT, "online", |status| status["state"] == "online").await?;
        self.stage
            .line(&format!("the agent is online, its front door at {}:{}", door.host, door.port));
        Ok((agent, door))
    }

    /// Everything between the first sale and the last.
    async fn sell(&mut self, door: &Door) -> Result<(), DemoError> {
        let store = self.store.clone();
        let slips = self.register.path.join("sales.jsonl");
        let mut cashier = Cashier::open(self.env, door.clone(), &store, &slips).await?;
        let mut baskets = own_first(&store).into_iter().cycle();
        let (online, offline) =
            (self.options.sales_online as usize, self.options.sales_offline as usize);
        for basket in baskets.by_ref().take(online - 1) {
            cashier.sell(basket).await?;
        }
        self.stage.line(&format!("{online} sales online"));
        let client = Client::new(self.env.clone(), door.clone());
        self.lose_the_channel(&client, &mut cashier, baskets.next()).await?;
        self.summary.median_online_us = std::mem::take(&mut cashier.waits.sales_us).median();
        let third = offline.div_ceil(3);
        for basket in baskets.by_ref().take(third) {
            cashier.sell(basket).await?;
        }
        self.edit_on_both_sides(&mut cashier).await?;
        for basket in baskets.by_ref().take(offline - third) {
            cashier.sell(basket).await?;
        }
        self.summary.median_offline_us = std::mem::take(&mut cashier.waits.sales_us).median();
        self.stage.line(&format!("{offline} sales offline, not one failed"));
        let returning: Vec<&Basket> = baskets.by_ref().take(SALES_RETURNING).collect();
        self.come_back(&client, &mut cashier, &returning).await?;
        for basket in baskets.take(SALES_AFTER) {
            cashier.sell(basket).await?;
        }
        self.summary.sales = Sales {
            online: online as u64,
            offline: offline as u64,
            returning: SALES_RETURNING as u64,
            after: SALES_AFTER as u64,
            at_the_channel: cashier.sold.iter().filter(|s| s.committed == "channel").count() as u64,
        };
        self.summary.waits = std::mem::take(&mut cashier.waits);
        self.sold = std::mem::take(&mut cashier.sold);
        Ok(())
    }

    /// Cuts the line in the middle of a sale, and waits for the register to notice.
    async fn lose_the_channel(
        &mut self,
        client: &Client,
        cashier: &mut Cashier<'_>,
        basket: Option<&Basket>,
    ) -> Result<(), DemoError> {
        let cut_at = self.env.clock.monotonic_us();
        let cut = self.channel.register_gate.cut();
        match basket {
            Some(basket) => {
                let (sold, cut) = tokio::join!(cashier.sell(basket), cut);
                sold?;
                cut?;
            }
            None => cut.await?,
        }
        self.stage.line("the channel is cut: connections dropped, new ones refused");
        let offline = |status: &Json| status["state"] == "offline";
        self.until(client, SWITCH_LIMIT, "offline", offline).await?;
        self.summary.offline_after_s = (self.env.clock.monotonic_us() - cut_at) as f64 / 1e6;
        self.stage
            .line(&format!("the register is offline after {:.1} s", self.summary.offline_after_s));
        Ok(())
    }

    async fn edit_on_both_sides(&mut self, cashier: &mut Cashier<'_>) -> Result<(), DemoError> {
        cashier.write(&self.contested.at_the_till(&self.store)?).await?;
        let (store, contested, mut office) =
            (self.store.clone(), self.contested.clone(), self.channel.office()?);
        let work = move || edit(&store, &contested, &mut office);
        let edits: Edits =
            self.env.blocking("demo-edits", work).await.ok_or(DemoError::BrokeOff("editing"))??;
        self.stage.line(&format!(
            "meanwhile head office changes {} prices and edits customer {}; so does the cashier",
            edits.prices, self.contested.account
        ));
        self.summary.edits = edits;
        Ok(())
    }

    /// Restores the line; the cashier sells on while the register pushes, pulls and goes online.
    async fn come_back(
        &mut self,
        client: &Client,
        cashier: &mut Cashier<'_>,
        baskets: &[&Basket],
    ) -> Result<(), DemoError> {
        let pending = cashier.status().await?["pending"]["rows"].as_u64().unwrap_or(0);
        let restored_at = self.env.clock.monotonic_us();
        self.channel.register_gate.restore().await?;
        self.stage.line(&format!("the channel is back; {} rows wait to go up", grouped(pending)));
        let since = |at: u64| (self.env.clock.monotonic_us() - at) as f64 / 1e6;
        let watch = async {
            let away =
                |status: &Json| status["state"] != "offline" && status["state"] != "doubtful";
            self.until(client, RETURN_LIMIT, "returning", away).await?;
            let returning_at = self.env.clock.monotonic_us();
            let sent = |status: &Json| status["pending"]["transactions"] == 0;
            self.until(client, RETURN_LIMIT, "everything sent", sent).await?;
            let up_s = since(returning_at);
            let online = |status: &Json| status["state"] == "online";
            self.until(client, RETURN_LIMIT, "online", online).await?;
            Ok::<(f64, f64), DemoError>((up_s, since(restored_at)))
        };
        let selling = async {
            for basket in baskets {
                cashier.sell(basket).await?;
            }
            Ok::<(), DemoError>(())
        };
        let (watched, sold) = tokio::join!(watch, selling);
        let (up_s, online_s) = watched?;
        sold?;
        self.summary.up = Moved { rows: pending, seconds: up_s };
        self.summary.online_after_s = online_s;
        self.stage.line(&format!("pushed, pulled and online again after {online_s:.1} s"));
        Ok(())
    }

    async fn check(&mut self, door: &Door) -> Result<(), DemoError> {
        let client = Client::new(self.env.clone(), door.clone());
        let answer = client.post("/v1/sync", &Json::Null, SYNC_LIMIT).await?;
        if !answer.is_success() {
            let path = "/v1/sync".to_string();
            return Err(DemoError::Refused { path, reason: answer.reason() });
        }
        let quiet =
            |status: &Json| status["state"] == "online" && status["pending"]["transactions"] == 0;
        self.until(&client, RETURN_LIMIT, "everything sent", quiet).await?;
        self.stage.line("now the check from outside, row by row");
        let (store, offline) = (self.store.clone(), self.register.offline());
        let (sold, contested) = (std::mem::take(&mut self.sold), self.contested.clone());
        let (mut office, env, raw_file) =
            (self.channel.office()?, self.env.clone(), self.register.path.join("raw.db"));
        let work = move || -> Result<_, DemoError> {
            let files = RegisterFiles::open(&offline)?;
            let mut findings = verify(&store, &sold, &mut office, &files)?;
            let decisions = files.decisions()?;
            check_conflict(&contested, contested.differs(&mut office)?, &decisions, &mut findings);
            Ok((findings, decisions, raw::measure(&env, &offline, &raw_file)?))
        };
        let checked = self.env.blocking("demo-check", work).await;
        let (findings, decisions, raw) = checked.ok_or(DemoError::BrokeOff("the check"))??;
        self.summary.findings = findings;
        self.summary.decisions = decisions;
        self.summary.outcome = self.contested.outcome();
        self.summary.raw = raw;
        Ok(())
    }

    /// `--keep`: everything goes on running until Ctrl-C.
    async fn stay(&self, agent: &Agent, door: &Door) -> Result<(), DemoError> {
        let config = self.register.config();
        outln!("  Everything is still running (agent: process {}). Have a look:", agent.id());
        outln!("    {} status --config {}", self.options.program.display(), config.display());
        outln!("    tail -f {}", self.register.log().display());
        outln!("    the front door: http://{}:{}", door.host, door.port);
        outln!(
            "    the channel, TDS, by head office's own way: {} (user {OFFICE_USER}, password in {})",
            self.channel.office_gate.address(),
            self.register.path.join("office.password").display()
        );
        outln!("  Ctrl-C ends it.");
        // Without a terminal there is no Ctrl-C to wait for; then it ends at once.
        let _ = tokio::signal::ctrl_c().await;
        Ok(())
    }

    /// Asks for the status until it is as wanted.
    async fn until(
        &self,
        client: &Client,
        limit: Duration,
        what: &'static str,
        wanted: impl Fn(&Json) -> bool,
    ) -> Result<(), DemoError> {
        let started = self.env.clock.monotonic_us();
        loop {
            let asked = client.get("/v1/status", Duration::from_secs(5)).await;
            let seen = match &asked {
                Ok(answer) if wanted(&answer.body) => return Ok(()),
                Ok(answer) => answer.body.to_string(),
                Err(error) => error.to_string(),
            };
            let waited = self.env.clock.monotonic_us() - started;
            if u128::from(waited) > limit.as_micros() {
                return Err(DemoError::Never { what, seen });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The conflict must have been decided by the plugin, and as its rules say.
fn check_conflict(
    contested: &Contested,
    differs: Option<String>,
    decisions: &[crate::verify::Decision],
    findings: &mut Findings,
) {
    if let Some(differs) = differs {
        findings.differing += 1;
        findings.tell(differs);
    }
    let decided = |d: &crate::verify::Decision| {
        d.table == "ax.CUSTTABLE" && d.key.contains(&contested.account) && d.plugin.is_some()
    };
    if !decisions.iter().any(decided) {
        findings.tell(format!("no plugin decided about customer {}", contested.account));
    }
}

/// The own store's baskets first, then its neighbours'.
fn own_first(store: &DemoStore) -> Vec<&Basket> {
    let own = &store.own().number;
    let (mut baskets, others): (Vec<&Basket>, Vec<&Basket>) =
        store.shop.baskets.iter().partition(|basket| basket.store == *own);
    baskets.extend(others);
    baskets
}

trait Median {
    fn median(self) -> u64;
}

impl Median for Vec<u64> {
    fn median(self) -> u64 {
        Waits { sales_us: self, ..Waits::default() }.median_us()
    }
}
