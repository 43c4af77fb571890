//! An engine of a few words, enough to see every turn of the wire.
//!
//! | batch | what it does |
//! |---|---|
//! | `rows N` | N rows of `(int, nvarchar(40))` |
//! | `typed` | one row of every type at its extremes |
//! | `wait` | works until it is interrupted |
//! | `fail N` | refuses with number N after one good statement |
//! | `stumble` | an error in the middle, then another result |
//! | `begin`, `commit`, `rollback` | transactions |
//! | `panic`, `lie` | a faulty engine: a panic, a value of another type than its column |
//! | `print` | a message |
//! | `stall` | stalls the gate of the log, then gives two rows |

use crate::answer::{
    Answer, Answers, Flow, Isolation, Parameter, ResultColumn, SqlEngine, SqlError, SqlSession,
};
use crate::{Fault, Gate};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

#[derive(Default)]
pub struct Toy {
    pub log: Arc<Log>,
}

/// What sessions did, for tests to look at.
#[derive(Default)]
pub struct Log {
    pub commits: AtomicU64,
    pub rollbacks: AtomicU64,
    /// Rows that an engine gave to the wire, whether or not anyone read them.
    pub rows_given: AtomicU64,
    pub bulk: Mutex<Vec<Vec<Value>>>,
    pub gate: OnceLock<Gate>,
}

struct ToySession {
    log: Arc<Log>,
    interrupted: Arc<AtomicBool>,
    transaction: Option<u64>,
    prepared: HashMap<i32, String>,
    pending_bulk: Vec<Vec<Value>>,
}

/// Every type with a value at an extreme, as canonical text.
pub const TYPED: &[(&str, &str)] = &[
    ("bit", "1"),
    ("tinyint", "255"),
    ("smallint", "-32768"),
    ("int", "-2147483648"),
    ("bigint", "-9223372036854775808"),
    ("decimal(38,10)", "-9999999999999999999999999999.9999999999"),
    ("decimal(5,2)", "999.99"),
    ("smallmoney", "214748.3647"),
    ("float", "1.7976931348623157e308"),
    ("real", "0.10000000149011612"),
    ("date", "9999-12-31"),
    ("time(0)", "23:59:59"),
    ("time(7)", "23:59:59.9999999"),
    ("smalldatetime", "2079-06-06 23:59:00"),
    ("datetime", "9999-12-31 23:59:59.997"),
    ("datetime2(7)", "9999-12-31 23:59:59.9999999"),
    ("datetime2(0)", "0001-01-01 00:00:00"),
    ("datetimeoffset(7)", "2026-03-29 23:30:00.1234567 -05:30"),
    ("uniqueidentifier", "00112233-4455-6677-8899-aabbccddeeff"),
    ("char(6)", "für €"),
    ("nchar(4)", "日本"),
    ("varchar(20)", "für 5 €"),
    ("varchar(max)", "für 5 €"),
    ("nvarchar(20)", "\u{1F600} 日本"),
    ("nvarchar(max)", "\u{1F600} 日本"),
    ("text", "für"),
    ("ntext", "日本"),
    ("xml", "<a>日本</a>"),
    ("binary(4)", "00FF0000"),
    ("varbinary(20)", "00FF"),
    ("varbinary(max)", "00FF"),
    ("image", "00FF"),
    ("rowversion", "00000000000007D1"),
];

pub fn typed_column(declaration: &str, nullable: bool) -> ResultColumn {
    let of = SqlType::parse(declaration).expect("a type of the table");
    ResultColumn { name: declaration.to_string(), of, nullable }
}

pub fn typed_value(declaration: &str, given: &str) -> Value {
    let of = SqlType::parse(declaration).expect("a type of the table");
    text::parse(given, of).expect("a value of the table")
}

impl SqlEngine for Toy {
    fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
        _application: &str,
    ) -> Result<Box<dyn SqlSession>, SqlError> {
        if (user, password) != ("sa", "right") {
            let message = format!("Login failed for user '{user}'.");
            return Err(SqlError::new(18_456, message).with_severity(14));
        }
        if database == "nowhere" {
            let message = format!("Cannot open database \"{database}\" requested by the login.");
            return Err(SqlError::new(4_060, message).with_severity(11));
        }
        Ok(Box::new(ToySession {
            log: self.log.clone(),
            interrupted: Arc::default(),
            transaction: None,
            prepared: HashMap::new(),
            pending_bulk: Vec::new(),
        }))
    }
}

impl ToySession {
    fn run(&mut self, sql: &str, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.interrupted.store(false, Ordering::Release);
        let sql = sql.trim();
        let (word, rest) = sql.split_once(' ').unwrap_or((sql, ""));
        match word {
            "rows" => self.rows(rest.parse().expect("a count"), out),
            "typed" => typed(rest == "null", out),
            "wait" => {
                while !self.interrupted.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
            }
            "fail" => {
                let _ = out(Answer::Done { rows: Some(1) });
                return Err(SqlError::new(rest.parse().expect("a number"), "as you wished"));
            }
            "stumble" => {
                let _ = out(Answer::Error(SqlError::new(515, "a column does not allow nulls")));
                let _ = out(Answer::Done { rows: None });
                self.rows(1, out);
            }
            "begin" => return self.begin(Isolation::Unspecified, out),
            "commit" => return self.commit(out),
            "rollback" => return self.rollback(None, out),
            "panic" => panic!("as the test wished"),
            "lie" => {
                let _ = out(Answer::Columns(vec![typed_column("int", true)]));
                let _ = out(Answer::Row(vec![Value::Text("seven".to_string())]));
            }
            "print" => {
                let _ = out(Answer::Info { number: 0, message: rest.to_string() });
                let _ = out(Answer::Done { rows: None });
            }
            "stall" => {
                self.log.gate.get().expect("a gate to stall").inject(Fault::Stall);
                self.rows(2, out);
            }
            // tiberius asks for the columns of a bulk target this way.
            "SELECT" if rest.starts_with("TOP 0") => {
                let _ = out(Answer::Columns(bulk_columns()));
                let _ = out(Answer::Done { rows: Some(0) });
            }
            _ => return Err(SqlError::new(102, format!("Incorrect syntax near '{word}'."))),
        }
        Ok(())
    }

    fn rows(&mut self, count: i64, out: &mut Answers<'_>) {
        let columns = vec![typed_column("int", false), typed_column("nvarchar(40)", true)];
        let _ = out(Answer::Columns(columns));
        for number in 0..count {
            let row = vec![Value::Int(number), Value::Text(format!("row number {number}"))];
            self.log.rows_given.fetch_add(1, Ordering::Relaxed);
            if out(Answer::Row(row)) == Flow::Stop {
                return;
            }
        }
        let _ = out(Answer::Done { rows: Some(count as u64) });
    }
}

fn typed(null: bool, out: &mut Answers<'_>) {
    let columns = TYPED.iter().map(|(declaration, _)| typed_column(declaration, null)).collect();
    let _ = out(Answer::Columns(columns));
    let value = |(declaration, given): &(&str, &str)| {
        if null { Value::Null } else { typed_value(declaration, given) }
    };
    let _ = out(Answer::Row(TYPED.iter().map(value).collect()));
    let _ = out(Answer::Done { rows: Some(1) });
}

pub fn bulk_columns() -> Vec<ResultColumn> {
    vec![
        typed_column("int", false),
        typed_column("nvarchar(max)", true),
        typed_column("decimal(20,4)", true),
        typed_column("datetime2(7)", true),
        typed_column("varbinary(max)", true),
        typed_column("varchar(20)", true),
        typed_column("uniqueidentifier", true),
        typed_column("bigint", true),
    ]
}

impl SqlSession for ToySession {
    fn database(&self) -> String {
        "toys".to_string()
    }

    fn batch(&mut self, sql: &str, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.run(sql, out)
    }

    /// `echo` gives the parameters back as a row; anything else is a batch.
    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        if sql != "echo" {
            return self.run(sql, out);
        }
        let column =
            |p: &Parameter| ResultColumn { name: p.name.clone(), of: p.of, nullable: true };
        let _ = out(Answer::Columns(parameters.iter().map(column).collect()));
        let _ = out(Answer::Row(parameters.iter().map(|p| p.value.clone()).collect()));
        let _ = out(Answer::Done { rows: Some(1) });
        Ok(())
    }

    fn prepare(&mut self, sql: &str, _declarations: &str) -> Result<i32, SqlError> {
        let handle = self.prepared.len() as i32 + 1;
        self.prepared.insert(handle, sql.to_string());
        Ok(handle)
    }

    fn execute_prepared(
        &mut self,
        id: i32,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<(), SqlError> {
        let sql = self.prepared.get(&id).cloned().unwrap_or_default();
        self.execute(&sql, parameters, out)
    }

    fn unprepare(&mut self, id: i32) -> Result<(), SqlError> {
        self.prepared.remove(&id);
        Ok(())
    }

    fn procedure(
        &mut self,
        name: &str,
        parameters: &[Parameter],
        out: &mut Answers<'_>,
    ) -> Result<i32, SqlError> {
        if name != "answers" {
            return Err(SqlError::new(2_812, format!("Could not find stored procedure '{name}'.")));
        }
        self.execute("echo", parameters, out)?;
        Ok(7)
    }

    fn begin(&mut self, _isolation: Isolation, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.transaction = Some(0x0102);
        let _ = out(Answer::TransactionBegun(0x0102));
        Ok(())
    }

    fn commit(&mut self, out: &mut Answers<'_>) -> Result<(), SqlError> {
        let refusal = || SqlError::new(3_902, "There is no transaction to commit.");
        let descriptor = self.transaction.take().ok_or_else(refusal)?;
        self.log.commits.fetch_add(1, Ordering::Release);
        self.log.bulk.lock().expect("not poisoned").append(&mut self.pending_bulk);
        let _ = out(Answer::TransactionCommitted(descriptor));
        Ok(())
    }

    fn rollback(&mut self, savepoint: Option<&str>, out: &mut Answers<'_>) -> Result<(), SqlError> {
        self.pending_bulk.clear();
        if savepoint.is_some() {
            return Ok(());
        }
        let refusal = || SqlError::new(3_903, "There is no transaction to roll back.");
        let descriptor = self.transaction.take().ok_or_else(refusal)?;
        self.log.rollbacks.fetch_add(1, Ordering::Release);
        let _ = out(Answer::TransactionRolledBack(descriptor));
        Ok(())
    }

    fn save(&mut self, _savepoint: &str, _out: &mut Answers<'_>) -> Result<(), SqlError> {
        Ok(())
    }

    fn bulk_target(&mut self, statement: &str) -> Result<Vec<ResultColumn>, SqlError> {
        if !statement.contains("toys") {
            return Err(SqlError::new(208, "Invalid object name."));
        }
        Ok(bulk_columns())
    }

    /// Refuses the number 13 as a duplicate.
    fn bulk_rows(&mut self, rows: Vec<Vec<Value>>) -> Result<u64, SqlError> {
        if rows.iter().any(|row| row[0] == Value::Int(-13)) {
            return Err(SqlError::new(2_627, "Violation of PRIMARY KEY constraint."));
        }
        let count = rows.len() as u64;
        self.pending_bulk.extend(rows);
        Ok(count)
    }

    fn interrupter(&self) -> Arc<dyn Fn() + Send + Sync> {
        let interrupted = self.interrupted.clone();
        Arc::new(move || interrupted.store(true, Ordering::Release))
    }

    fn reset(&mut self) {
        if self.transaction.take().is_some() {
            self.log.rollbacks.fetch_add(1, Ordering::Release);
        }
    }
}

impl Drop for ToySession {
    fn drop(&mut self) {
        self.reset();
    }
}
