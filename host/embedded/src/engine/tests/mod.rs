//! Tests through one door: T-SQL in, what a client would see out, as text.
//!
//! A case file is a list of cases; each is T-SQL, a line `--->`, and the answer; a blank line and `===` end it. A line
//! `-- session b` before the T-SQL sends it from another session. All cases of a file run on one fresh engine, in order.

mod cases;
mod load;
mod sessions;
mod statements;
mod tracking;
mod triggers;

use super::{Engine, EngineSession};
use crate::answer::{Answer, Flow, Parameter, SqlError, SqlSession};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_core::text::canonical;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::Env;

/// An engine on a file that goes with it.
pub struct Bench {
    pub engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

pub fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine =
        Engine::open(&Env::real(), &folder.path().join("channel.db")).expect("a new engine");
    engine.create_login("sa", "secret", true).expect("a login");
    Bench { engine, _folder: folder }
}

impl Bench {
    pub fn session(&self) -> EngineSession {
        self.engine.login("sa", "secret", "", "test").expect("a session")
    }
}

/// Runs a batch and shows its answer, a line for each step.
pub fn shown(session: &mut EngineSession, sql: &str) -> String {
    render(|out| session.batch(sql, out))
}

/// The same through `sp_executesql`.
pub fn executed(session: &mut EngineSession, sql: &str, parameters: &[Parameter]) -> String {
    render(|out| session.execute(sql, parameters, out))
}

pub fn parameter(name: &str, declared: &str, text: Option<&str>) -> Parameter {
    let of = SqlType::parse(declared).expect("a type of the test");
    let value = text.map_or(Value::Null, |text| {
        tillhold_core::text::parse(text, of).expect("a value of the test")
    });
    Parameter { name: name.to_string(), of, value }
}

fn render(run: impl FnOnce(&mut dyn FnMut(Answer) -> Flow) -> Result<(), SqlError>) -> String {
    let mut lines = Vec::new();
    let mut types = Vec::new();
    let mut out = |answer: Answer| {
        lines.push(match answer {
            Answer::Columns(columns) => {
                types = columns.iter().map(|column| column.of).collect();
                let shown: Vec<String> =
                    columns.iter().map(|column| format!("{} {}", column.name, column.of)).collect();
                format!("[{}]", shown.join(", "))
            }
            Answer::Row(values) => {
                let texts: Vec<String> = values
                    .iter()
                    .zip(&types)
                    .map(|(value, of)| canonical(value, *of).unwrap_or_else(|| "NULL".to_string()))
                    .collect();
                texts.join(" | ")
            }
            Answer::Done { rows: Some(rows) } => format!("({rows})"),
            Answer::Done { rows: None } => "()".to_string(),
            Answer::Info { message, .. } => format!("info: {message}"),
            Answer::TransactionBegun(_) => "begun".to_string(),
            Answer::TransactionCommitted(_) => "committed".to_string(),
            Answer::TransactionRolledBack(_) => "rolled back".to_string(),
            Answer::DatabaseChanged(name) => format!("database: {name}"),
            Answer::Error(error) => format!("error {} {}", error.number, error.message),
        });
        Flow::Continue
    };
    if let Err(error) = run(&mut out) {
        lines.push(format!("ended {} {}", error.number, error.message));
    }
    lines.join("\n")
}

/// One case file, on one engine.
pub fn check(name: &str, text: &str) {
    let bench = bench();
    let mut sessions: BTreeMap<String, EngineSession> = BTreeMap::new();
    let mut answers = String::new();
    let mut different = Vec::new();
    for case in text.split("\n===\n").filter(|case| !case.trim().is_empty()) {
        let (sql, expected) = case.split_once("\n--->\n").unwrap_or((case, ""));
        let sql = sql.trim_start_matches('\n');
        let session =
            sql.strip_prefix("-- session ").and_then(|rest| rest.lines().next()).unwrap_or("a");
        let session = sessions.entry(session.to_string()).or_insert_with(|| bench.session());
        let answer = shown(session, sql);
        if answer.trim_end() != expected.trim_end() {
            different.push(format!("{sql}\n  expected:\n{expected}\n  answered:\n{answer}\n"));
        }
        answers += &format!("{sql}\n--->\n{answer}\n\n===\n");
    }
    // For whoever writes cases: the file as it would be, to be read before it is believed.
    if let Ok(folder) = std::env::var("TILLHOLD_CASES_TO") {
        std::fs::write(format!("{folder}/{name}"), answers).expect("the cases written");
    }
    assert!(
        different.is_empty(),
        "{} of {name} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}
