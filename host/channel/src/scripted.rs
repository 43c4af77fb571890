//! A channel that says what a test tells it to: the embedded channel's wire in front of a script.
//!
//! Statements are expected in order; one that does not hold the expected words fails the test by an
//! answer that no code of ours takes for its own.

use crate::config::{ChannelConfig, Encryption, Secret};
use crate::link::Link;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_embedded::answer::{
    Answer, Answers, Isolation, Parameter, ResultColumn, SqlEngine, SqlError, SqlSession,
};
use tillhold_embedded::{Gate, Server, ServerOptions};
use tillhold_env::Env;

/// A statement that is expected by some words of it, and what the channel says.
pub(crate) struct Line {
    words: &'static str,
    reply: Reply,
}

pub(crate) enum Reply {
    Sets(Vec<Set>),
    Refuse(u32, &'static str),
    /// Longer than any test waits.
    Silence,
}

/// A statement and its parameters.
pub(crate) type Asked = (String, Vec<Value>);
pub(crate) type Set = (Vec<(&'static str, &'static str)>, Vec<Vec<Value>>);

pub(crate) fn says(words: &'static str, sets: Vec<Set>) -> Line {
    Line { words, reply: Reply::Sets(sets) }
}

pub(crate) fn refuses(words: &'static str, number: u32, message: &'static str) -> Line {
    Line { words, reply: Reply::Refuse(number, message) }
}

pub(crate) fn is_silent(words: &'static str) -> Line {
    Line { words, reply: Reply::Silence }
}

#[derive(Clone, Default)]
struct Script {
    lines: Arc<Mutex<VecDeque<Line>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// What it was asked to keep, by name.
    kept: Arc<Mutex<HashMap<String, String>>>,
    interrupted: Arc<(Mutex<bool>, Condvar)>,
}

pub(crate) struct Channel {
    script: Script,
    pub gate: Gate,
    env: Env,
    // Dropping it would not stop it, but the tests end with it.
    _server: Server,
}

impl Channel {
    pub(crate) async fn start(lines: Vec<Line>) -> Channel {
        Channel::start_with(lines, ServerOptions::default()).await
    }

    pub(crate) async fn start_with(lines: Vec<Line>, options: ServerOptions) -> Channel {
        let env = Env::real();
        let script = Script { lines: Arc::new(Mutex::new(lines.into())), ..Script::default() };
        let server = Server::start(&env, Arc::new(script.clone()), options);
        let gate = server.listen(([127, 0, 0, 1], 0).into()).await.expect("a gate");
        Channel { script, gate, env, _server: server }
    }

    pub(crate) fn link(&self) -> Link {
        self.link_with(|_| {})
    }

    pub(crate) fn link_with(&self, change: impl FnOnce(&mut ChannelConfig)) -> Link {
        let port = self.gate.address().port();
        let mut config =
            ChannelConfig::new("127.0.0.1", port, "Channel", "till", Secret::new("right"));
        config.encryption = Encryption::Off;
        config.statement_timeout = Duration::from_secs(20);
        change(&mut config);
        Link::new(&self.env, Arc::new(config))
    }

    /// Statements and parameters so far, without those of the session itself.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().expect("the script").clone()
    }

    pub(crate) fn unsaid(&self) -> usize {
        self.script.lines.lock().expect("the script").len()
    }
}

impl SqlEngine for Script {
    fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
        _: &str,
    ) -> Result<Box<dyn SqlSession>, SqlError> {
        if password != "right" {
            return Err(SqlError::new(18456, format!("Login failed for user '{user}'.")));
        }
        if database != "Channel" {
            return Err(SqlError::new(4060, format!("Cannot open database \"{database}\".")));
        }
        Ok(Box::new(self.clone()))
    }
}

impl Script {
    fn answer(
        &self,
        sql: &str,
        parameters: Vec<Value>,
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        // An upload begins like the session's settings, and goes on.
        let is_housekeeping = sql.starts_with("IF @@TRANCOUNT") || sql == crate::link::SESSION_SQL;
        if is_housekeeping || self.keeps_unasked(sql) {
            let _ = out(Answer::Done { rows: None });
            return Ok(());
        }
        let kept = self.kept.lock().expect("the script").get(sql).cloned();
        self.asked.lock().expect("the script").push((sql.to_string(), parameters));
        let sql = &[sql, &kept.unwrap_or_default()].join("\n");
        let line = self.lines.lock().expect("the script").pop_front();
        let Some(line) = line else {
            return Err(SqlError::new(102, format!("not in the script: {sql}")));
        };
        if !sql.contains(line.words) {
            return Err(SqlError::new(102, format!("'{}' was expected, not: {sql}", line.words)));
        }
        match line.reply {
            Reply::Refuse(number, message) => Err(SqlError::new(number, message)),
            Reply::Sets(sets) => {
                sets.into_iter().for_each(|set| tell(set, out));
                Ok(())
            }
            Reply::Silence => {
                let (interrupted, bell) = &*self.interrupted;
                let waiting = interrupted.lock().expect("the script");
                drop(bell.wait_while(waiting, |interrupted| !*interrupted));
                Err(SqlError::new(3617, "The query has been cancelled."))
            }
        }
    }

    /// A statement that is to be kept is no line of its own where the script does not speak of it.
    fn keeps_unasked(&self, sql: &str) -> bool {
        let Some(rest) = sql.strip_prefix(MAKING) else { return false };
        let (head, body) = rest.split_once('\n').unwrap_or((rest, ""));
        let name = head.split(' ').next().unwrap_or_default();
        self.kept.lock().expect("the script").insert(name.to_string(), body.to_string());
        let lines = self.lines.lock().expect("the script");
        !lines.front().is_some_and(|line| line.words.starts_with(MAKING))
    }
}

const MAKING: &str = "CREATE PROCEDURE ";

fn tell((columns, rows): Set, out: &mut Answers<'_>) {
    let column = |(name, of): &(&str, &str)| ResultColumn {
        name: name.to_string(),
        of: SqlType::parse(of).expect("a type of the script"),
        nullable: true,
    };
    let _ = out(Answer::Columns(columns.iter().map(column).collect()));
    let count = rows.len() as u64;
    for row in rows {
        let _ = out(Answer::Row(row));
    }
    let _ = out(Answer::Done { rows: Some(count) });
}

impl SqlSession for Script {
    fn database(&self) -> String {
        "Channel".to_string()
    }

    fn batch(&mut self, sql: &str, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.answer(sql, Vec::new(), out)
    }

    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        self.answer(sql, parameters.iter().map(|p| p.value.clone()).collect(), out)
    }

    fn prepare(&mut self, _: &str, _: &str) -> Result<i32, SqlError> {
        Err(unused())
    }

    fn execute_prepared(
        &mut self,
        _: i32,
        _: &[Parameter],
        _: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        Err(unused())
    }

    fn unprepare(&mut self, _: i32) -> Result<(), SqlError> {
        Err(unused())
    }

    fn procedure(
        &mut self,
        name: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        self.execute(name, parameters, out).map(|()| 0)
    }

    fn begin(&mut self, _: Isolation, _: &mut Answers<'_>) -> Result<(), SqlError> {
        Err(unused())
    }

    fn commit(&mut self, _: &mut Answers<'_>) -> Result<(), SqlError> {
        Err(unused())
    }

    fn rollback(&mut self, _: Option<&str>, _: &mut Answers<'_>) -> Result<(), SqlError> {
        Err(unused())
    }

    fn save(&mut self, _: &str, _: &mut Answers<'_>) -> Result<(), SqlError> {
        Err(unused())
    }

    fn bulk_target(&mut self, _: &str) -> Result<Vec<ResultColumn>, SqlError> {
        Err(unused())
    }

    fn bulk_rows(&mut self, _: Vec<Vec<Value>>) -> Result<u64, SqlError> {
        Err(unused())
    }

    fn interrupter(&self) -> Arc<dyn Fn() + Send + Sync> {
        let interrupted = self.interrupted.clone();
        Arc::new(move || {
            *interrupted.0.lock().expect("the script") = true;
            interrupted.1.notify_all();
        })
    }

    fn reset(&mut self) {}
}

fn unused() -> SqlError {
    SqlError::new(40_000, "the channel's statements do not use this")
}
