//! A running register takes a changed profile, and tables that were altered at the channel, without a new start.
//!
//! ```text
//! look ─┬► another text, or tables altered ─► plan, plugins ─► [no sale, pull or push under way] install, swap
//!       └► other components of plugins ─► [no pull or push under way] swap
//! ```
//!
//! * A profile's file is noticed as soon as it is written; one at the channel every
//!   [`limits::PROFILE_LOOK_INTERVAL`], before a register comes back too; both with every `tillhold sync`.
//! * Only online: the shapes of new tables are the channel's to tell.
//! * What plugins the profile names is loaded beforehand ([`crate::plugins::watch`]): neither pulls nor sales wait for a
//!   compiler. A component that is refused leaves the one that is at work.
//! * A profile that is wrong, or whose plugin cannot be used, is refused and told; the register goes on with what it has.
//! * A sale that arrives in the middle waits for the installation and is written in the new shape; none is refused.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::plugins::Stamp;
use crate::plugins::watch::{Prepared, profile_stamp};
use crate::register::{Outlook, Register, ScopeRun, ids_of};
use crate::settings::profile_file::{ProfileChoice, ProfileSource};
use serde_json::{Value as Json, json};
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use tillhold_channel::Link;
use tillhold_core::limits;
use tillhold_core::migration::Place;
use tillhold_env::Locked as _;

/// What was looked at last, and what came of it.
pub struct Renewal(Mutex<Looked>);

struct Looked {
    /// By the monotonic clock.
    at_ms: u64,
    file: Option<Stamp>,
    plugins: Option<Prepared>,
    /// The channel's tables were looked at too.
    by_tables: bool,
    fault: Option<Fault>,
}

/// Why a profile was not taken.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    code: String,
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub fn of(error: &FlowError) -> Fault {
        let (code, message) = (error.code().to_string(), error.to_string());
        Fault { code, message, hint: error.hint() }
    }
}

/// For a line of the log.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code, self.message.replace('\n', "; "))
    }
}

impl Renewal {
    /// Opening a register is a look too.
    pub fn of(register: &Register) -> Renewal {
        let at_ms = register.env.clock.monotonic_us() / 1000;
        let (file, plugins) = (profile_stamp(register), register.plugins.prepared());
        let fault = register.profile_fault.clone();
        Renewal(Mutex::new(Looked { at_ms, file, plugins, by_tables: false, fault }))
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.0.locked()
    }

    pub fn has_fault(&self) -> bool {
        self.looked().fault.is_some()
    }

    /// Its code and words.
    pub fn fault_words(&self) -> Option<(String, String)> {
        self.looked().fault.as_ref().map(|fault| (fault.code.clone(), fault.message.clone()))
    }

    /// Why the profile as it is now is not the one in force; null when it is.
    pub fn fault(&self) -> Json {
        match &self.looked().fault {
            Some(Fault { code, message, hint }) => {
                json!({ "code": code, "message": message, "hint": hint })
            }
            None => Json::Null,
        }
    }
}

/// Where the profile in force comes from.
pub fn origin(choice: &ProfileChoice) -> String {
    match choice {
        ProfileChoice::File(file) => file.display().to_string(),
        ProfileChoice::Channel => "channel".to_string(),
        ProfileChoice::Default => "default".to_string(),
    }
}

/// Looks when it is time to. `link` is the pull lane's, so no pull is under way.
pub async fn renew_if_due(agent: &Agent, link: &mut Link) -> Result<(), FlowError> {
    if is_due(agent) { look(agent, link, Asked::ByTime).await } else { Ok(()) }
}

/// Looks, and takes what has changed. Fails only when the channel does.
pub async fn renew(agent: &Agent, link: &mut Link) -> Result<(), FlowError> {
    look(agent, link, Asked::ByPerson).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    ByTime,
    /// Who asks for it now also waits for a plugin to be compiled.
    ByPerson,
}

async fn look(agent: &Agent, link: &mut Link, asked: Asked) -> Result<(), FlowError> {
    // Before the look: what is written during it is looked at again.
    let seen = (profile_stamp(&agent.register()), agent.register().plugins.prepared());
    let by_tables = has_altered_tables(agent) || agent.register().has_waiting_tables;
    let result = match agent.register().outlook(link, by_tables).await {
        Ok(Some(outlook)) => take(agent, link, outlook).await,
        Ok(None) if asked == Asked::ByPerson || is_prepared(agent) => exchange(agent).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    match result {
        // The failover's business, which says nothing about the profile.
        Err(error) if error.is_channel_trouble() => Err(error),
        result => {
            note(agent, seen, by_tables, result.err());
            Ok(())
        }
    }
}

fn note(
    agent: &Agent,
    (file, plugins): (Option<Stamp>, Option<Prepared>),
    by_tables: bool,
    error: Option<FlowError>,
) {
    let fault = error.as_ref().map(Fault::of);
    let is_news = fault.is_some() && agent.renewal.looked().fault != fault;
    if let Some(fault) = fault.as_ref().filter(|_| is_news) {
        agent.say(&format!("the profile was not taken, the old one stays: {fault}"));
    }
    *agent.renewal.looked() = Looked { at_ms: agent.now_ms(), file, plugins, by_tables, fault };
}

fn is_due(agent: &Agent) -> bool {
    let stamp = profile_stamp(&agent.register());
    let prepared = agent.register().plugins.prepared();
    let is_altered = has_altered_tables(agent);
    // What it waits for may have been sent meanwhile.
    let waits = agent.register().has_waiting_tables;
    let asks_channel = is_altered || waits || follows_channel(agent);
    let (now_ms, looked) = (agent.now_ms(), agent.renewal.looked());
    let interval_ms = limits::PROFILE_LOOK_INTERVAL.as_millis() as u64;
    let is_time = asks_channel && now_ms >= looked.at_ms + interval_ms;
    // Where somebody prepares, a changed profile is not taken before its plugins are.
    let is_ready = prepared.is_none_or(|prepared| prepared.profile == stamp);
    let is_other = looked.file != stamp || looked.plugins != prepared;
    is_time || (is_ready && is_other) || (is_altered && !looked.by_tables)
}

/// Components were loaded since the last look.
fn is_prepared(agent: &Agent) -> bool {
    agent.renewal.looked().plugins != agent.register().plugins.prepared()
}

fn follows_channel(agent: &Agent) -> bool {
    agent.register().source == ProfileSource::Channel
}

/// The scope's pull found a table that is no more what the register knows.
pub fn is_altered(agent: &Agent, run: &ScopeRun) -> bool {
    agent.scope_report(&run.scope.name).is_altered
}

fn has_altered_tables(agent: &Agent) -> bool {
    agent.register().scopes.iter().any(|run| is_altered(agent, run))
}

async fn take(agent: &Agent, link: &mut Link, outlook: Outlook) -> Result<(), FlowError> {
    install(agent, link, outlook).await?;
    // What was removed of the journal is overwritten in a quiet moment ([`crate::upkeep`]): no sale can be written then.
    Ok(agent.register().local.overwrite_removed(&[Place::Catalogue]).await?)
}

async fn install(agent: &Agent, link: &mut Link, outlook: Outlook) -> Result<(), FlowError> {
    let _no_push = agent.push_lane().await;
    let _no_sale = agent.shape_lock().write().await;
    let register = agent.register().renewed(outlook).await?;
    let (name, scopes) = (register.profile.name.clone(), register.scopes.len());
    let tables: usize = register.scopes.iter().map(|run| run.tables.len()).sum();
    *link = register.link().in_place_of(link);
    agent.become_register(register);
    keep_plugins(agent).await;
    agent.say(&format!("the profile {name} was taken anew: {scopes} scopes, {tables} tables"));
    Ok(())
}

/// Other components under the same profile. No table changes, so sales need not wait; the caller holds the pull lane.
pub async fn exchange(agent: &Agent) -> Result<(), FlowError> {
    let Some((register, said)) = agent.register().with_plugins_exchanged().await? else {
        return Ok(());
    };
    let _no_push = agent.push_lane().await;
    register.plugins.book.put_to_work(ids_of(&register.scopes), register.env.clock.wall_ms());
    agent.become_register(register);
    keep_plugins(agent).await;
    for line in said {
        agent.say(&line);
    }
    Ok(())
}

async fn keep_plugins(agent: &Agent) {
    let register = agent.register();
    register.plugins.keep(&register.scopes).await;
}
