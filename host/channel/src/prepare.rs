//! What a database administrator sets up once: change tracking, Tillhold's own schema, and the
//! least rights that a register needs.
//!
//! * [`script`] is what [`prepare`] runs, word for word, to be read first: each step says why.
//! * Both may run again at any time; nothing is removed and no data is touched.
//! * [`check`] asks right by right as the register's own account, and needs none of the
//!   administrator's.

mod steps;

use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::statement::{object_id, quoted};
use std::fmt;
use tillhold_core::profile::Direction;
use tillhold_core::table::{Table, TableName};

/// A table of the profile with the direction it travels in.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    /// The full shape, as the catalogue has it.
    pub table: &'a Table,
    /// The travelling shape; where columns are left out, rights are granted by column.
    pub travelling: &'a Table,
    pub direction: Direction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareOptions {
    /// How long the channel keeps changes; a register that was away longer is loaded afresh.
    pub retention_days: u16,
    /// The role that holds the rights.
    pub role: String,
    /// Database users that become members of the role; the administrator can add them by hand just
    /// as well.
    pub members: Vec<String>,
}

impl Default for PrepareOptions {
    fn default() -> PrepareOptions {
        PrepareOptions {
            retention_days: 14,
            role: "tillhold_register".to_string(),
            members: Vec::new(),
        }
    }
}

/// T-SQL for `sqlcmd` or Management Studio, to run in the channel database.
pub fn script(tables: &[Prepared<'_>], options: &PrepareOptions) -> String {
    let steps = steps::steps(tables, options).into_iter();
    steps.map(|step| format!("-- {}\n{}GO\n", step.why, step.sql)).collect()
}

/// Runs the script's batches; the account needs the rights that the script itself uses.
pub async fn prepare(
    link: &mut Link,
    tables: &[Prepared<'_>],
    options: &PrepareOptions,
) -> Result<(), ChannelError> {
    for step in steps::steps(tables, options) {
        link.ask(Ask::batch("be prepared", &step.sql)).await?;
    }
    Ok(())
}

/// What [`check`] did not find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// OPENJSON needs 130, SQL Server 2016's.
    CompatibilityLevel {
        level: i64,
    },
    SnapshotIsolation,
    /// Of the database, or of one table.
    ChangeTracking {
        table: Option<TableName>,
    },
    /// The account lacks the right, or cannot see the object at all.
    Right {
        right: &'static str,
        on: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::CompatibilityLevel { level } => {
                write!(f, "the database's compatibility level is {level}, 130 is needed")
            }
            Missing::SnapshotIsolation => f.write_str("snapshot isolation is not allowed"),
            Missing::ChangeTracking { table: None } => f.write_str("change tracking is off"),
            Missing::ChangeTracking { table: Some(table) } => {
                write!(f, "change tracking is off for {table}, or may not be seen")
            }
            Missing::Right { right, on } => write!(f, "{right} on {on} is not granted"),
        }
    }
}

/// Everything that is missing, in the script's order; empty when the register can work.
pub async fn check(link: &mut Link, tables: &[Prepared<'_>]) -> Result<Vec<Missing>, ChannelError> {
    let mut missing = Vec::new();
    for portion in questions(tables).chunks(QUESTIONS_ASKED_MAX) {
        let sql = check_sql(portion);
        let sets = link.ask(Ask::query(WHAT, &sql, &[])).await?;
        let row = sets.into_iter().flatten().next().unwrap_or_default();
        let mut cells = Cells::new(WHAT, row);
        for question in portion {
            let answer = cells.optional_number("answer")?;
            missing.extend(question.missing(answer));
        }
    }
    Ok(missing)
}

const WHAT: &str = "tell what the account may do";

/// A select list may hold 4,096 expressions.
const QUESTIONS_ASKED_MAX: usize = 500;

/// An expression that gives one number or NULL, and what it means when it is not enough.
pub(crate) struct Question {
    expression: String,
    least: i64,
    missing: Missing,
}

impl Question {
    fn missing(&self, answer: Option<i64>) -> Option<Missing> {
        match (answer, &self.missing) {
            (Some(answer), _) if answer >= self.least => None,
            (answer, Missing::CompatibilityLevel { .. }) => {
                Some(Missing::CompatibilityLevel { level: answer.unwrap_or(0) })
            }
            (_, missing) => Some(missing.clone()),
        }
    }
}

pub(crate) fn questions(tables: &[Prepared<'_>]) -> Vec<Question> {
    let of_database = |column: &str| {
        format!("(SELECT d.[{column}] FROM sys.databases AS d WHERE d.[database_id] = DB_ID())")
    };
    let level = Missing::CompatibilityLevel { level: 0 };
    let untracked = Missing::ChangeTracking { table: None };
    let mut list = vec![
        ask(of_database("compatibility_level"), 130, level),
        ask(of_database("snapshot_isolation_state"), 1, Missing::SnapshotIsolation),
        ask("CHANGE_TRACKING_CURRENT_VERSION()".to_string(), 0, untracked),
    ];
    for (name, right) in [
        ("[tillhold].[ledger]", "SELECT"),
        ("[tillhold].[ledger]", "INSERT"),
        ("[tillhold].[epoch]", "SELECT"),
        ("[tillhold].[decision]", "SELECT"),
        ("[tillhold].[decision]", "INSERT"),
    ] {
        list.push(right_on(name, right));
    }
    for prepared in tables {
        questions_of_table(prepared, &mut list);
    }
    list
}

fn questions_of_table(prepared: &Prepared<'_>, list: &mut Vec<Question>) {
    let table = prepared.table;
    let name = table.name.bracketed();
    let untracked = Missing::ChangeTracking { table: Some(table.name.clone()) };
    let oldest = format!("CHANGE_TRACKING_MIN_VALID_VERSION({})", object_id(table));
    list.push(ask(oldest, 0, untracked));
    match steps::selected_columns(prepared) {
        None => list.push(right_on(&name, "SELECT")),
        Some(columns) => {
            list.extend(columns.iter().map(|column| right_on_column(&name, column, "SELECT")));
        }
    }
    if prepared.direction.is_pushed() {
        list.extend(["INSERT", "UPDATE", "DELETE"].map(|right| right_on(&name, right)));
    }
}

fn ask(expression: String, least: i64, missing: Missing) -> Question {
    Question { expression, least, missing }
}

/// 1 or 0; NULL when the account cannot even see the object.
fn right_on(name: &str, right: &'static str) -> Question {
    let expression = format!("HAS_PERMS_BY_NAME({}, N'OBJECT', N'{right}')", quoted(name));
    ask(expression, 1, Missing::Right { right, on: name.replace(['[', ']'], "") })
}

fn right_on_column(name: &str, column: &str, right: &'static str) -> Question {
    let expression = format!(
        "HAS_PERMS_BY_NAME({}, N'OBJECT', N'{right}', {}, N'COLUMN')",
        quoted(name),
        quoted(column)
    );
    let on = format!("{}.{column}", name.replace(['[', ']'], ""));
    ask(expression, 1, Missing::Right { right, on })
}

/// No parameters; one row with the answers in the questions' order.
pub(crate) fn check_sql(questions: &[Question]) -> String {
    let one = |(at, question): (usize, &Question)| format!("{} AS [q{at}]", question.expression);
    let list = questions.iter().enumerate().map(one).collect::<Vec<_>>().join(", ");
    format!("SELECT {list};\n")
}
