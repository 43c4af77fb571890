//! Where the cases are played: on the embedded channel, or on the SQL Server that `TILLHOLD_SQLSERVER` names.
//!
//! * Each case has a [`Ground`] of its own: a fresh file, or a database made for it.
//! * On a server every name that is made begins with `tillhold_conformance_` and ends in a random part; only
//!   these are dropped again, whatever became of the case. No other database is read or written.

use crate::session::{Session, refusal};
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_channel::{ChannelConfig, Encryption, Link, Secret, Trust};
use tillhold_embedded::{Engine, Gate, Server, ServerOptions};
use tillhold_env::Env;

pub enum Place {
    Embedded,
    SqlServer { address: Address, office: Account, random: String },
}

#[derive(Clone)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub encryption: Encryption,
    pub trust: Trust,
}

#[derive(Clone)]
pub struct Account {
    pub user: String,
    pub password: String,
}

/// One case's own database, and the two accounts in it: head office may do everything, the till what
/// the case grants it.
pub struct Ground {
    pub env: Env,
    pub address: Address,
    pub office: Account,
    pub till: Account,
    pub embedded: Option<Embedded>,
}

pub struct Embedded {
    pub engine: Arc<Engine>,
    pub gate: Gate,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Place {
    /// From `TILLHOLD_SQLSERVER=server,port;user;password;database` and `TILLHOLD_SQLSERVER_CA=file` or
    /// `TILLHOLD_SQLSERVER_TRUST=any`; without the first it is the embedded channel.
    pub fn of_environment(env: &Env) -> Result<Place, String> {
        let Ok(text) = env::var("TILLHOLD_SQLSERVER") else { return Ok(Place::Embedded) };
        let trust = match (env::var("TILLHOLD_SQLSERVER_CA"), env::var("TILLHOLD_SQLSERVER_TRUST"))
        {
            (Ok(file), _) => Trust::CertificateFile(PathBuf::from(file)),
            (_, Ok(any)) if any == "any" => Trust::AnyCertificate,
            (_, Ok(other)) => return Err(format!("TILLHOLD_SQLSERVER_TRUST is any, not {other}")),
            _ => Trust::System,
        };
        let (address, office) = parse_server(&text, trust).ok_or(
            "TILLHOLD_SQLSERVER is server,port;user;password;database (the database may be empty)",
        )?;
        let random = format!("{:016x}", env.random.number());
        Ok(Place::SqlServer { address, office, random })
    }

    pub fn is_embedded(&self) -> bool {
        matches!(self, Place::Embedded)
    }

    pub async fn open(&self, env: &Env, number: usize) -> Result<Ground, String> {
        match self {
            Place::Embedded => embedded(env).await,
            Place::SqlServer { address, office, random } => {
                let mut address = address.clone();
                let database = format!("tillhold_conformance_{random}_{number}");
                let make =
                    format!("CREATE DATABASE [{database}] COLLATE SQL_Latin1_General_CP1_CI_AS;");
                batch(env, &address, office, &make).await?;
                address.database = database;
                let till = self.till();
                let user = format!("CREATE USER [{0}] FOR LOGIN [{0}];", till.user);
                batch(env, &address, office, &user).await?;
                let (env, office) = (env.clone(), office.clone());
                Ok(Ground { env, address, office, till, embedded: None })
            }
        }
    }

    /// Drops what [`Place::open`] made, also when it came only half way.
    pub async fn close(&self, env: &Env, number: usize) -> Result<(), String> {
        let Place::SqlServer { address, office, random } = self else { return Ok(()) };
        let database = format!("tillhold_conformance_{random}_{number}");
        let drop = format!(
            "IF DB_ID(N'{database}') IS NOT NULL BEGIN ALTER DATABASE [{database}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE [{database}]; END;"
        );
        batch(env, address, office, &drop).await
    }

    /// The till's login is the server's, not a database's: made once, before the first case.
    pub async fn begin(&self, env: &Env) -> Result<(), String> {
        let Place::SqlServer { address, office, .. } = self else { return Ok(()) };
        let till = self.till();
        let make = format!(
            "CREATE LOGIN [{}] WITH PASSWORD = N'{}', CHECK_POLICY = OFF;",
            till.user, till.password
        );
        batch(env, address, office, &make).await
    }

    pub async fn end(&self, env: &Env) -> Result<(), String> {
        let Place::SqlServer { address, office, .. } = self else { return Ok(()) };
        let user = self.till().user;
        let drop = format!("IF SUSER_ID(N'{user}') IS NOT NULL DROP LOGIN [{user}];");
        batch(env, address, office, &drop).await
    }

    fn till(&self) -> Account {
        match self {
            Place::Embedded => account("till", "till"),
            Place::SqlServer { random, .. } => Account {
                user: format!("tillhold_conformance_{random}"),
                password: format!("Aa1!{random}"),
            },
        }
    }
}

impl Ground {
    pub fn account(&self, name: &str) -> &Account {
        if name == "till" { &self.till } else { &self.office }
    }

    pub fn link(&self, name: &str) -> Link {
        self.link_of(self.account(name), &self.address.database)
    }

    pub fn link_of(&self, account: &Account, database: &str) -> Link {
        let address = &self.address;
        let password = Secret::new(&account.password);
        let mut config =
            ChannelConfig::new(&address.host, address.port, database, &account.user, password);
        config.encryption = address.encryption;
        config.trust = address.trust.clone();
        Link::new(&self.env, Arc::new(config))
    }
}

fn parse_server(text: &str, trust: Trust) -> Option<(Address, Account)> {
    let (server, rest) = text.split_once(';')?;
    let (user, rest) = rest.split_once(';')?;
    // A password may hold a semicolon; a database's name hardly does.
    let (password, database) = rest.rsplit_once(';')?;
    let (host, port) = server.split_once(',').unwrap_or((server, "1433"));
    let database = if database.is_empty() { "master" } else { database };
    let address = Address {
        host: host.to_string(),
        port: port.trim().parse().ok()?,
        database: database.to_string(),
        encryption: Encryption::Required,
        trust,
    };
    Some((address, account(user, password)))
}

fn account(user: &str, password: &str) -> Account {
    Account { user: user.to_string(), password: password.to_string() }
}

async fn batch(env: &Env, address: &Address, account: &Account, sql: &str) -> Result<(), String> {
    let session = Session::open(env, address, account).await;
    let mut session = session.map_err(|e| format!("{}: {} {e}", address.host, refusal(&e)))?;
    match session.run(sql, false).await {
        answer if answer.is_empty() => Ok(()),
        answer => Err(format!("{sql}: {answer}")),
    }
}

async fn embedded(env: &Env) -> Result<Ground, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = folder.path().join("channel.db");
    let engine = Engine::open(env, &file).map_err(|e| e.to_string())?;
    let (office, till) = (account("office", "office"), account("till", "till"));
    engine.create_login("office", "office", true).map_err(|e| e.to_string())?;
    engine.create_login("till", "till", false).map_err(|e| e.to_string())?;
    let server = Server::start(env, engine.clone(), ServerOptions::default());
    let gate = server.listen(([127, 0, 0, 1], 0).into()).await.map_err(|e| e.to_string())?;
    let address = Address {
        host: "127.0.0.1".to_string(),
        port: gate.address().port(),
        database: "Channel".to_string(),
        encryption: Encryption::Off,
        trust: Trust::System,
    };
    batch(env, &address, &office, "CREATE USER [till] FOR LOGIN [till];").await?;
    let embedded = Some(Embedded { engine, gate, _server: server, _folder: folder });
    Ok(Ground { env: env.clone(), address, office, till, embedded })
}
