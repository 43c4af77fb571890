//! Pieces of T-SQL that several statements share, all generated from a [`Table`].
//!
//! * Promises: every identifier is bracketed, every literal name is a parameter or a quoted
//!   constant, and every value travels as its canonical text and is cast to the exact type of its
//!   column at the channel. So a key seek stays a seek (nvarchar against a varchar key would scan),
//!   no float stands between a decimal and its digits, and one statement has one plan whatever the
//!   values are.
//! * Refuses: guessing. A caller that pages or joins by key checks first that there is one.

use tillhold_core::table::{Column, Table, bracket};
use tillhold_core::types::SqlType;

/// `N'…'` with quotes doubled.
pub(crate) fn quoted(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// `OBJECT_ID(N'[ax].[T]')`.
pub(crate) fn object_id(table: &Table) -> String {
    format!("OBJECT_ID({})", quoted(&table.name.bracketed()))
}

/// The select list of a table's columns under `alias`, in the table's order, each in a form that
/// arrives lossless.
pub(crate) fn select_list(alias: &str, table: &Table) -> String {
    let one = |column: &Column| readable(alias, column);
    table.columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// How a column is read. The client decodes `money` through a float and does not know UTF-8
/// collations, a server may rewrite `xml`'s encoding, and CLR types, json and vector have no form of
/// their own on the wire that it knows: those come over as types that keep every digit, byte and
/// character.
pub(crate) fn readable(alias: &str, column: &Column) -> String {
    let name = bracket(&column.name);
    let plain = format!("{alias}.{name}");
    match readable_as(&plain, column) {
        cast if cast == plain => plain,
        cast => format!("{cast} AS {name}"),
    }
}

/// The same for an expression that holds the column's values.
pub(crate) fn readable_as(expression: &str, column: &Column) -> String {
    match read_as(column) {
        Some(of) => format!("CAST({expression} AS {of})"),
        None => expression.to_string(),
    }
}

fn read_as(column: &Column) -> Option<String> {
    let is_utf8 =
        || column.collation.as_ref().is_some_and(|c| c.to_ascii_uppercase().contains("_UTF8"));
    match column.of {
        SqlType::Money => Some("decimal(19,4)".to_string()),
        SqlType::SmallMoney => Some("decimal(10,4)".to_string()),
        SqlType::Xml => Some("nvarchar(max)".to_string()),
        SqlType::Cast(cast) => Some(cast.through().to_string()),
        SqlType::Char { length } if is_utf8() => Some(format!("nvarchar({})", length.min(4000))),
        SqlType::VarChar { length: Some(length) } if is_utf8() && length <= 4000 => {
            Some(format!("nvarchar({length})"))
        }
        SqlType::VarChar { .. } if is_utf8() => Some("nvarchar(max)".to_string()),
        _ => None,
    }
}

/// An expression of the column's exact type from `text`, an nvarchar expression that holds its
/// canonical text. Styles are named where the plain cast depends on the session's language
/// (Transact-SQL reference, "CAST and CONVERT").
pub(crate) fn from_text(text: &str, of: SqlType) -> String {
    match of {
        SqlType::Money => format!("CAST({text} AS decimal(19,4))"),
        SqlType::SmallMoney => format!("CAST({text} AS decimal(10,4))"),
        SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => {
            format!("CONVERT({of}, {text}, 121)")
        }
        // Longer than the column on purpose: the store into the typed column then refuses what
        // would be cut.
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion => {
            format!("CONVERT(varbinary(max), {text}, 2)")
        }
        // A CLR type's bytes go through varbinary; what is none of its own is error 6522.
        SqlType::Cast(cast) if cast.through().is_binary() => {
            format!("CAST(CONVERT({}, {text}, 2) AS {of})", cast.through())
        }
        _ if is_plain_text(of) => text.to_string(),
        _ => format!("CAST({text} AS {of})"),
    }
}

/// Text with a collation, which an nvarchar is without a cast.
fn is_plain_text(of: SqlType) -> bool {
    of.is_text() && !matches!(of, SqlType::Xml | SqlType::Cast(_))
}

/// A key parameter in the column's exact type, so that the index on the key is sought.
pub(crate) fn key_parameter(number: usize, column: &Column) -> String {
    let parameter = format!("@P{number}");
    match column.of {
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::RowVersion => {
            let of = if column.of == SqlType::RowVersion {
                SqlType::Binary { length: 8 }
            } else {
                column.of
            };
            format!("CONVERT({of}, {parameter}, 2)")
        }
        // The code page of a varchar comes from the collation of what is cast.
        SqlType::Char { .. } | SqlType::VarChar { .. } => match &column.collation {
            Some(collation) => format!("CAST({parameter} COLLATE {collation} AS {})", column.of),
            None => format!("CAST({parameter} AS {})", column.of),
        },
        of if is_plain_text(of) => format!("CAST({parameter} AS {of})"),
        of => from_text(&parameter, of),
    }
}

/// The column's type in a temporary table. Deprecated large types become their `max` forms: they
/// cannot be compared, and a rowversion there would be a new one.
pub(crate) fn staged(column: &Column) -> String {
    let of = match column.of {
        SqlType::Text | SqlType::NText => SqlType::NVarChar { length: None },
        SqlType::Image => SqlType::VarBinary { length: None },
        SqlType::RowVersion => SqlType::Binary { length: 8 },
        of => of,
    };
    if !is_plain_text(of) {
        return of.to_string();
    }
    // tempdb may have another collation; without the column's own, comparing the two is error 468.
    format!("{of} COLLATE {}", column.collation.as_deref().unwrap_or("DATABASE_DEFAULT"))
}

/// `t.[A] = k.[k0] AND t.[B] = k.[k1]`: a table joined to a temporary table of its keys.
pub(crate) fn key_join(table_alias: &str, staged_alias: &str, table: &Table) -> String {
    let one = |(at, column): (usize, &Column)| {
        format!("{table_alias}.{} = {staged_alias}.[k{at}]", bracket(&column.name))
    };
    table.key_columns().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
}

/// `a.[k0] = b.[k0] AND a.[k1] = b.[k1]`: two temporary tables of one table's keys.
pub(crate) fn staged_key_join(one: &str, other: &str, table: &Table) -> String {
    let same = |at: usize| format!("{one}.[k{at}] = {other}.[k{at}]");
    (0..table.key.len()).map(same).collect::<Vec<_>>().join(" AND ")
}

/// `[A], [B]` with a prefix on each.
pub(crate) fn key_list(prefix: &str, table: &Table) -> String {
    let one = |column: &Column| format!("{prefix}{}", bracket(&column.name));
    table.key_columns().map(one).collect::<Vec<_>>().join(", ")
}

/// `[k0], [k1]` with a prefix on each.
pub(crate) fn staged_key_list(prefix: &str, table: &Table) -> String {
    (0..table.key.len()).map(|at| format!("{prefix}[k{at}]")).collect::<Vec<_>>().join(", ")
}

/// Whether the joined row exists: a key column is never NULL in a row that does.
pub(crate) fn presence(alias: &str, table: &Table) -> String {
    let first = table.key_columns().next().expect("callers refuse tables without a key");
    format!("CASE WHEN {alias}.{} IS NULL THEN 0 ELSE 1 END", bracket(&first.name))
}

/// Rows after a key in the server's own order: `A >= a AND (A > a OR (B >= b AND (B > b OR C >
/// c)))`. The outer comparison on the first column is what makes it a seek.
pub(crate) fn after_key(alias: &str, table: &Table, first_parameter: usize) -> String {
    let columns: Vec<&Column> = table.key_columns().collect();
    let mut condition = String::new();
    for (at, column) in columns.iter().enumerate().rev() {
        let name = format!("{alias}.{}", bracket(&column.name));
        let value = key_parameter(first_parameter + at, column);
        condition = match condition.is_empty() {
            true => format!("{name} > {value}"),
            false => format!("{name} >= {value} AND ({name} > {value} OR ({condition}))"),
        };
    }
    condition
}
