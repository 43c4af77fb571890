//! The channel of the demonstration: the embedded one, filled with the store, behind a gate that can be cut.

use crate::DemoError;
use crate::generate::DemoStore;
use crate::progress::{Bar, Stage};
use crate::register::{OFFICE_USER, REGISTER_USER, make_folder};
use crate::session::Session;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_core::table::Table;
use tillhold_core::text::hexadecimal;
use tillhold_core::value::Value;
use tillhold_embedded::{Engine, Gate, Server, ServerOptions, TlsIdentity};
use tillhold_env::Env;

/// Rows between two looks at the progress bar.
const ROWS_SHOWN: u64 = 500;

/// The embedded channel with its two ways in: the register's, which is cut, and head office's, which never is.
pub(crate) struct Channel {
    engine: Arc<Engine>,
    server: Server,
    pub(crate) register_gate: Gate,
    pub(crate) office_gate: Gate,
    pub(crate) certificate: PathBuf,
    pub(crate) register_password: String,
    pub(crate) office_password: String,
    /// Rows that the generator put in, and how long that took.
    pub(crate) filled: (u64, f64),
}

impl Channel {
    pub(crate) async fn open(
        env: &Env,
        folder: &Path,
        store: &Arc<DemoStore>,
        stage: &Stage,
    ) -> Result<Channel, DemoError> {
        make_folder(folder)?;
        let password = || hexadecimal(&env.random.uuid());
        let (register_password, office_password) = (password(), password());
        let engine = Engine::open(env, &folder.join("channel.db"))?;
        engine.create_login(OFFICE_USER, &office_password, true)?;
        engine.create_login(REGISTER_USER, &register_password, false)?;
        let filled = fill(env, &engine, store, stage).await?;
        let identity = TlsIdentity::kept_in(folder)?;
        let certificate = identity.certificate().to_path_buf();
        let options = ServerOptions { tls: Some(identity), ..ServerOptions::default() };
        let server = Server::start(env, engine.clone(), options);
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Channel {
            register_gate: server.listen(free).await?,
            office_gate: server.listen(free).await?,
            engine,
            server,
            certificate,
            register_password,
            office_password,
            filled,
        })
    }

    /// Head office's session: past every gate.
    pub(crate) fn office(&self) -> Result<Session, DemoError> {
        Session::open(&self.engine, OFFICE_USER, &self.office_password)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) async fn stop(&self) -> Result<(), DemoError> {
        Ok(self.server.stop().await?)
    }
}

async fn fill(
    env: &Env,
    engine: &Arc<Engine>,
    store: &Arc<DemoStore>,
    stage: &Stage,
) -> Result<(u64, f64), DemoError> {
    let started = env.clock.monotonic_us();
    let (engine, store, stage) = (engine.clone(), store.clone(), stage.clone());
    let work = move || load_all(&engine, &store, &stage);
    let rows = env
        .blocking("demo-fill", work)
        .await
        .ok_or(DemoError::BrokeOff("filling the channel"))??;
    Ok((rows, (env.clock.monotonic_us() - started) as f64 / 1e6))
}

fn load_all(engine: &Arc<Engine>, store: &DemoStore, stage: &Stage) -> Result<u64, DemoError> {
    let tables: Vec<Table> = store.schema.tables.iter().map(|table| Table::clone(table)).collect();
    engine.create_tables(&tables)?;
    stage.line(&format!("the channel has its {} tables", tables.len()));
    let total = store.loads().iter().map(|load| load.count).sum();
    let bar = stage.bar("filling the channel", total);
    let mut loaded = 0;
    for mut load in store.loads() {
        let names: Vec<String> = load.columns().iter().map(|name| name.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut rows = Counted { rows: &mut load.rows, done: loaded, bar: &bar };
        engine.load(&load.table.name, &names, &mut rows)?;
        loaded += load.count;
    }
    stage.finish(&bar, loaded);
    Ok(loaded)
}

/// Rows on their way, with a bar that follows them.
struct Counted<'a> {
    rows: &'a mut (dyn Iterator<Item = Vec<Value>> + Send),
    done: u64,
    bar: &'a Bar,
}

impl Iterator for Counted<'_> {
    type Item = Vec<Value>;

    fn next(&mut self) -> Option<Vec<Value>> {
        self.done += 1;
        if self.done.is_multiple_of(ROWS_SHOWN) {
            self.bar.set(self.done);
        }
        self.rows.next()
    }
}
