//! What the steps of one case share, and which verb does what.
//!
//! | step | what it does |
//! |---|---|
//! | `office`, `till`, `office/2` | a T-SQL batch by that login, each name a session of its own; `types` shows the columns' types |
//! | `office/2 in background`, `wait office/2` | starts the batch and goes on; the second takes its answer |
//! | `shop` | the two tables of shop.sql, prepared both ways, and their version kept as `start` |
//! | `schema`, `names`, `prepare`, `check` | host/channel's catalogue and preparation |
//! | `snapshot`, `load`, `read`, `keyed`, `mark`, `pull`, `begin`, `page`, `finish` | its ways down |
//! | `upload`, `ledger`, `record`, `round trip`, `whole schema` | its way up, and there and back |
//! | `probe`, `login`, `profile` | the rest of it |
//! | `fault`, `fail`, `forget` | the embedded channel's orders: only in cases that are only embedded |

use crate::case::Step;
use crate::place::Ground;
use crate::session::Session;
use crate::{asking, catalogue, reading, round_trip, whole_schema, writing};
use std::collections::BTreeMap;
use std::time::Duration;
use tillhold_channel::capture::Pass;
use tillhold_channel::{ChannelError, Link};
use tillhold_core::profile::ScopeTable;
use tillhold_core::table::Table;
use tillhold_core::version::{ChannelVersion, Incarnation};
use tokio::sync::oneshot;

/// The register's incarnation, unless a step names another.
pub const INCARNATION: Incarnation = Incarnation([7; 16]);
/// Longer than any lock time-out of a case; a step that takes it hangs.
const STEP_MAX: Duration = Duration::from_secs(60);

pub struct World<'a> {
    pub ground: &'a Ground,
    sessions: BTreeMap<String, Session>,
    waiting: BTreeMap<String, oneshot::Receiver<(Session, String)>>,
    links: BTreeMap<String, Link>,
    pub marks: BTreeMap<String, ChannelVersion>,
    pub epochs: Vec<[u8; 16]>,
    /// Full shapes as the catalogue gave them, by lower-case name.
    pub tables: BTreeMap<String, Known>,
    pub pass: Option<Open>,
}

pub struct Known {
    pub full: Table,
    pub travelling: std::sync::Arc<Table>,
    /// What the profile would say of it.
    pub entry: ScopeTable,
    pub direction: tillhold_core::profile::Direction,
}

/// A pass between two steps; its link is never given back, as its connection is not either.
pub struct Open {
    pub pass: Pass<'static>,
    pub tables: Vec<String>,
}

/// `Err` is a mistake of the case's own text.
pub type Answer = Result<String, String>;

impl<'a> World<'a> {
    pub fn new(ground: &'a Ground) -> World<'a> {
        World {
            ground,
            sessions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            links: BTreeMap::new(),
            marks: BTreeMap::from([("zero".to_string(), ChannelVersion(0))]),
            epochs: Vec::new(),
            tables: BTreeMap::new(),
            pass: None,
        }
    }

    pub async fn play(&mut self, step: &Step) -> Answer {
        let body = self.with_names(&step.body);
        let answer = tokio::time::timeout(STEP_MAX, self.verb(&step.head, &body)).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {} s", STEP_MAX.as_secs())))
    }

    async fn verb(&mut self, head: &str, body: &str) -> Answer {
        let (verb, rest) = head.split_once(' ').unwrap_or((head, ""));
        match verb {
            "office" | "till" => self.batch(verb, rest, body).await,
            _ if verb.starts_with("office/") || verb.starts_with("till/") => {
                self.batch(verb, rest, body).await
            }
            "wait" => self.wait(rest).await,
            "shop" => catalogue::shop(self).await,
            "schema" => catalogue::schema(self, rest).await,
            "names" => catalogue::names(self).await,
            "prepare" => catalogue::prepare(self, rest).await,
            "check" => catalogue::check(self, rest).await,
            "snapshot" => reading::snapshot(self, rest).await,
            "load" => reading::load(self, rest).await,
            "read" => reading::read(self, rest).await,
            "keyed" => reading::keyed(self, rest).await,
            "mark" => reading::mark(self, rest).await,
            "pull" => reading::pull(self, rest).await,
            "begin" => reading::begin(self, rest).await,
            "page" => reading::page(self, rest).await,
            "finish" => reading::finish(self, rest).await,
            "upload" => writing::upload(self, rest, body).await,
            "ledger" => writing::ledger(self, rest).await,
            "record" => writing::record(self, rest).await,
            "round" => round_trip::round_trip(self, rest).await,
            "whole" => whole_schema::whole_schema(self).await,
            "probe" => asking::probe(self, rest).await,
            "login" => asking::login(self, rest).await,
            "profile" => asking::profile(self, rest).await,
            "fault" | "fail" | "forget" => asking::order(self, verb, rest),
            _ => Err(format!("no verb {verb}")),
        }
    }

    async fn batch(&mut self, name: &str, rest: &str, sql: &str) -> Answer {
        let with_types = rest.contains("types");
        let mut session = match self.sessions.remove(name) {
            Some(session) => session,
            None => self.open(name).await?,
        };
        if rest.contains("in background") {
            let (tell, wait) = oneshot::channel();
            let sql = sql.to_string();
            self.ground.env.spawn(async move {
                let answer = session.run(&sql, with_types).await;
                // Nobody waits any more when the case has failed.
                let _ = tell.send((session, answer));
            });
            self.waiting.insert(name.to_string(), wait);
            return Ok(String::new());
        }
        let answer = session.run(sql, with_types).await;
        self.sessions.insert(name.to_string(), session);
        Ok(answer)
    }

    async fn open(&self, name: &str) -> Result<Session, String> {
        let ground = self.ground;
        let account = ground.account(name.split('/').next().unwrap_or(name));
        let session = Session::open(&ground.env, &ground.address, account).await;
        session.map_err(|error| format!("{name} cannot log in: {error}"))
    }

    async fn wait(&mut self, name: &str) -> Answer {
        let waiting = self.waiting.remove(name).ok_or(format!("nobody waits for {name}"))?;
        let (session, answer) = waiting.await.map_err(|_| format!("{name} ended"))?;
        self.sessions.insert(name.to_string(), session);
        Ok(answer)
    }

    /// The register's own connection, or head office's.
    pub fn link(&mut self, name: &str) -> &mut Link {
        let ground = self.ground;
        self.links.entry(name.to_string()).or_insert_with(|| ground.link(name))
    }

    pub fn known(&self, name: &str) -> Result<&Known, String> {
        let known = self.tables.get(&name.to_lowercase());
        known.ok_or(format!("{name} is not prepared and no `schema` step has read it"))
    }

    pub fn mark(&self, name: &str) -> Result<ChannelVersion, String> {
        self.marks.get(name).copied().ok_or(format!("no version is kept as {name}"))
    }

    /// Accounts and databases have other names at a server.
    fn with_names(&self, text: &str) -> String {
        text.replace("{till}", &self.ground.till.user)
            .replace("{office}", &self.ground.office.user)
            .replace("{database}", &self.ground.address.database)
    }
}

/// An answer that is an error: its stable code, and the server's number where it has one.
pub fn refusal(error: &ChannelError) -> String {
    match error {
        ChannelError::Sql { number, .. } | ChannelError::Busy { number, .. } => {
            format!("error {} {number}", error.code())
        }
        ChannelError::TrackingOff { table: Some(table) }
        | ChannelError::Outdated { table, .. }
        | ChannelError::NoPrimaryKey { table } => format!("error {} {table}", error.code()),
        other => format!("error {}", other.code()),
    }
}

/// `a, b` as its parts.
pub fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// The word behind `word`, as in `since start reach next`.
pub fn named<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let mut words = text.split_whitespace();
    words.find(|one| *one == word)?;
    words.next()
}
