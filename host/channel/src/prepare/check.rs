//! What a prepared channel must answer, question by question, asked as the register's own account.
//!
//! * Each question is one expression that gives one number or NULL; a NULL is never taken for a yes.
//! * One missing thing is told once: what cannot be told without a right that is missing is not
//!   asked for beside it.

use super::{Prepared, steps, triggers};
use crate::capture::statement::{guard_table, tracking_table};
use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::statement::{object_id, quoted};
use std::fmt;
use tillhold_core::limits::RETENTION_DAYS_ADVISED;
use tillhold_core::profile::Capture;
use tillhold_core::table::TableName;

/// What [`check`] did not find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// SQL Server 2016 is the oldest that works; Azure SQL Database and Managed Instance do too.
    Server {
        major: i64,
    },
    /// OPENJSON needs 130, SQL Server 2016's.
    CompatibilityLevel {
        level: i64,
    },
    SnapshotIsolation,
    /// Of the database, or of one table.
    ChangeTracking {
        table: Option<TableName>,
    },
    /// The trigger with its tracking table and guard.
    Triggers {
        table: TableName,
    },
    /// A register that is away longer than the channel remembers loads its tables anew.
    Retention {
        minutes: i64,
    },
    /// One of Tillhold's own tables is as an earlier version made it.
    Column {
        table: &'static str,
        column: &'static str,
    },
    /// The account lacks the right, or cannot see the object at all.
    Right {
        right: &'static str,
        on: String,
    },
}

impl Missing {
    /// Advice is no reason not to work.
    pub fn is_advice(&self) -> bool {
        matches!(self, Missing::Retention { .. })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Server { major } => write!(
                f,
                "the server is version {major}, or an edition without change tracking; SQL Server 2016 (13) or later, Azure SQL Database or Managed Instance is needed"
            ),
            Missing::CompatibilityLevel { level } => {
                write!(f, "the database's compatibility level is {level}, 130 is needed")
            }
            Missing::SnapshotIsolation => f.write_str("snapshot isolation is not allowed"),
            Missing::ChangeTracking { table: None } => f.write_str("change tracking is off"),
            Missing::ChangeTracking { table: Some(table) } => {
                write!(f, "change tracking is off for {table}, or may not be seen")
            }
            Missing::Triggers { table } => {
                write!(f, "{table} has no enabled trigger with a tracking table and a guard")
            }
            Missing::Retention { minutes } => write!(
                f,
                "changes are kept for {} hours; {RETENTION_DAYS_ADVISED} days let a register be away over a long weekend",
                minutes / 60
            ),
            Missing::Column { table, column } => {
                write!(f, "{table} has no column {column}: an earlier version prepared the channel")
            }
            Missing::Right { right, on } => write!(f, "{right} on {on} is not granted"),
        }
    }
}

/// Everything that is missing, in the script's order; empty when the register can work.
pub async fn check(
    link: &mut Link,
    capture: Capture,
    tables: &[Prepared<'_>],
) -> Result<Vec<Missing>, ChannelError> {
    answers(link, &questions(capture, tables)).await
}

/// The rights to read the channel's own profile, where the account could not: the tables to [`check`] are in it.
pub async fn check_published(link: &mut Link) -> Result<Vec<Missing>, ChannelError> {
    answers(link, &questions_of_published()).await
}

async fn answers(link: &mut Link, questions: &[Question]) -> Result<Vec<Missing>, ChannelError> {
    let mut missing: Vec<Missing> = Vec::new();
    for portion in questions.chunks(QUESTIONS_ASKED_MAX) {
        let sql = check_sql(portion);
        let sets = link.ask(Ask::query(WHAT, &sql, &[])).await?;
        let row = sets.into_iter().flatten().next().unwrap_or_default();
        let mut cells = Cells::new(WHAT, row);
        for question in portion {
            let answer = cells.optional_number("answer")?;
            if !question.is_hidden_by(&missing) {
                missing.extend(question.missing(answer));
            }
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
        let given = answer.unwrap_or(0);
        match (answer, &self.missing) {
            (Some(answer), _) if answer >= self.least => None,
            (_, Missing::CompatibilityLevel { .. }) => {
                Some(Missing::CompatibilityLevel { level: given })
            }
            (_, Missing::Server { .. }) => Some(Missing::Server { major: given }),
            // The view of it is for owners; a register's account sees nothing there.
            (None, Missing::Retention { .. }) => None,
            (Some(minutes), Missing::Retention { .. }) => Some(Missing::Retention { minutes }),
            (_, missing) => Some(missing.clone()),
        }
    }

    /// The server answers NULL to who may not see: then the right is what is missing.
    fn is_hidden_by(&self, missing: &[Missing]) -> bool {
        if let Missing::Column { table, .. } = self.missing {
            return missing
                .iter()
                .any(|one| matches!(one, Missing::Right { on, .. } if on == table));
        }
        let (Missing::ChangeTracking { table: Some(table) } | Missing::Triggers { table }) =
            &self.missing
        else {
            return false;
        };
        let of_table = |on: &str| {
            let rest = on.strip_prefix(table.to_string().as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        missing.iter().any(|one| matches!(one, Missing::Right { on, .. } if of_table(on)))
    }
}

const SERVER: &str = "CASE CAST(SERVERPROPERTY(N'EngineEdition') AS int) WHEN 5 THEN 13 WHEN 8 THEN 13 WHEN 6 THEN 0 WHEN 11 THEN 0 ELSE CAST(SERVERPROPERTY(N'ProductMajorVersion') AS int) END";

/// Units: 1 minutes, 2 hours, 3 days (sys.change_tracking_databases).
const RETENTION: &str = "(SELECT c.[retention_period] * CASE c.[retention_period_units] WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END FROM sys.change_tracking_databases AS c WHERE c.[database_id] = DB_ID())";

pub(crate) fn questions(capture: Capture, tables: &[Prepared<'_>]) -> Vec<Question> {
    let of_database = |column: &str| {
        format!("(SELECT d.[{column}] FROM sys.databases AS d WHERE d.[database_id] = DB_ID())")
    };
    let mut list = vec![
        ask(SERVER.to_string(), 13, Missing::Server { major: 0 }),
        ask(of_database("compatibility_level"), 130, Missing::CompatibilityLevel { level: 0 }),
        ask(of_database("snapshot_isolation_state"), 1, Missing::SnapshotIsolation),
    ];
    let mut rights = vec![
        ("[tillhold].[ledger]", "SELECT"),
        ("[tillhold].[ledger]", "INSERT"),
        ("[tillhold].[epoch]", "SELECT"),
        ("[tillhold].[decision]", "SELECT"),
        ("[tillhold].[decision]", "INSERT"),
        ("[tillhold].[register]", "SELECT"),
        ("[tillhold].[register]", "INSERT"),
        ("[tillhold].[register]", "UPDATE"),
        ("[tillhold].[register_status]", "SELECT"),
        ("[tillhold].[register_status]", "INSERT"),
        ("[tillhold].[register_status]", "UPDATE"),
    ];
    match capture {
        Capture::ChangeTracking => {
            let untracked = Missing::ChangeTracking { table: None };
            list.push(ask("CHANGE_TRACKING_CURRENT_VERSION()".to_string(), 0, untracked));
            let least = i64::from(RETENTION_DAYS_ADVISED) * 1_440;
            let kept = Missing::Retention { minutes: 0 };
            list.push(ask(RETENTION.to_string(), least, kept));
        }
        Capture::Triggers => rights.push(("[tillhold].[horizon]", "SELECT")),
    }
    list.extend(rights.into_iter().map(|(name, right)| right_on(name, right)));
    // Added together with "why".
    let who = Missing::Column { table: "tillhold.decision", column: "who" };
    list.push(ask("COL_LENGTH(N'[tillhold].[decision]', N'who')".to_string(), 1, who));
    for prepared in tables {
        questions_of_table(capture, prepared, &mut list);
    }
    list
}

pub(crate) fn questions_of_published() -> Vec<Question> {
    let stores = steps::STORES_COLUMNS.into_iter().chain([steps::STORES_PROFILE]);
    let mut list: Vec<Question> =
        stores.map(|column| right_on_column(steps::STORES, column, "SELECT")).collect();
    list.extend(steps::PUBLISHED.map(|table| right_on(table, "SELECT")));
    list
}

/// The rights first: what the others answer hangs on them.
fn questions_of_table(capture: Capture, prepared: &Prepared<'_>, list: &mut Vec<Question>) {
    let table = prepared.table;
    let name = table.name.bracketed();
    match steps::selected_columns(prepared) {
        None => list.push(right_on(&name, "SELECT")),
        Some(columns) => {
            list.extend(columns.iter().map(|column| right_on_column(&name, column, "SELECT")));
        }
    }
    list.push(right_on(&name, "VIEW DEFINITION"));
    match capture {
        Capture::ChangeTracking => {
            list.push(right_on(&name, "VIEW CHANGE TRACKING"));
            let untracked = Missing::ChangeTracking { table: Some(table.name.clone()) };
            let oldest = format!("CHANGE_TRACKING_MIN_VALID_VERSION({})", object_id(table));
            list.push(ask(oldest, 0, untracked));
        }
        Capture::Triggers => {
            list.push(right_on(&tracking_table(&table.name), "SELECT"));
            list.push(right_on(&guard_table(&table.name), "VIEW DEFINITION"));
            let enabled = format!(
                "(SELECT COUNT(*) FROM sys.triggers AS g WHERE g.[object_id] = OBJECT_ID({}) AND g.[is_disabled] = 0)",
                quoted(&triggers::trigger(table))
            );
            list.push(ask(enabled, 1, Missing::Triggers { table: table.name.clone() }));
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
