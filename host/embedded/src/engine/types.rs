//! Rules about types: precedence, the type of an operation's result, and how each type is compared and kept.
//!
//! | T-SQL | kept in SQLite as | compared by |
//! |---|---|---|
//! | bit and integers | INTEGER | number |
//! | decimal, money | TEXT, canonical | `TSQL_DECIMAL`: number, whatever the scale |
//! | float, real | REAL | number |
//! | character types | TEXT | `TSQL_CI` or `TSQL_BIN`: blind to trailing blanks |
//! | date and time | TEXT, canonical | `TSQL_MOMENT`: blind to zeros after the last digit |
//! | datetimeoffset | TEXT, canonical | `TSQL_OFFSET`: the instant |
//! | uniqueidentifier | TEXT, lower case | `TSQL_GUID`: SQL Server's order, last group first |
//! | binary, rowversion | BLOB | bytes |

use super::refusal;
use crate::answer::SqlError;
use tillhold_core::types::SqlType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Integer,
    Decimal,
    Float,
    Text,
    Binary,
    Moment,
    Guid,
}

pub fn family(of: SqlType) -> Family {
    match of {
        SqlType::Bit | SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            Family::Integer
        }
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => Family::Decimal,
        SqlType::Float | SqlType::Real => Family::Float,
        SqlType::Date
        | SqlType::Time { .. }
        | SqlType::SmallDateTime
        | SqlType::DateTime
        | SqlType::DateTime2 { .. }
        | SqlType::DateTimeOffset { .. } => Family::Moment,
        SqlType::UniqueIdentifier => Family::Guid,
        _ if of.is_binary() => Family::Binary,
        _ => Family::Text,
    }
}

/// Higher wins when two types meet (Transact-SQL reference, "Data Type Precedence").
fn precedence(of: SqlType) -> u8 {
    match of.travels_as() {
        SqlType::Xml => 28,
        SqlType::DateTimeOffset { .. } => 27,
        SqlType::DateTime2 { .. } => 26,
        SqlType::DateTime => 25,
        SqlType::SmallDateTime => 24,
        SqlType::Date => 23,
        SqlType::Time { .. } => 22,
        SqlType::Float => 21,
        SqlType::Real => 20,
        SqlType::Decimal { .. } => 19,
        SqlType::Money => 18,
        SqlType::SmallMoney => 17,
        SqlType::BigInt => 16,
        SqlType::Int => 15,
        SqlType::SmallInt => 14,
        SqlType::TinyInt => 13,
        SqlType::Bit => 12,
        SqlType::NText => 11,
        SqlType::Text => 10,
        SqlType::Image => 9,
        SqlType::RowVersion => 8,
        SqlType::UniqueIdentifier => 7,
        SqlType::NVarChar { .. } => 6,
        SqlType::NChar { .. } => 5,
        SqlType::VarChar { .. } => 4,
        SqlType::Char { .. } => 3,
        SqlType::VarBinary { .. } => 2,
        // A cast's own type was replaced above.
        SqlType::Binary { .. } | SqlType::Cast(_) => 1,
    }
}

/// The SQLite collation under which values of a type compare; empty for numbers and bytes.
pub fn collation_of(of: SqlType, name: Option<&str>) -> &'static str {
    match family(of) {
        Family::Decimal => "TSQL_DECIMAL",
        Family::Text => text_collation(name),
        Family::Guid => "TSQL_GUID",
        Family::Moment if matches!(of, SqlType::DateTimeOffset { .. }) => "TSQL_OFFSET",
        Family::Moment => "TSQL_MOMENT",
        Family::Integer | Family::Float | Family::Binary => "",
    }
}

/// Case and accents count in `_BIN`, `_BIN2` and `_CS_` collations; in all others case does not.
pub fn text_collation(name: Option<&str>) -> &'static str {
    let exact = name.is_some_and(|name| {
        let upper = name.to_ascii_uppercase();
        upper.ends_with("_BIN") || upper.ends_with("_BIN2") || upper.contains("_CS_")
    });
    if exact { "TSQL_BIN" } else { "TSQL_CI" }
}

/// ` COLLATE x`, or nothing for values that compare as SQLite does.
pub fn collation_clause(collation: &str) -> String {
    if collation.is_empty() { String::new() } else { format!(" COLLATE {collation}") }
}

/// The column type in SQLite's CREATE TABLE. BLOB affinity where nothing may be converted behind our back.
pub fn storage(of: SqlType) -> &'static str {
    match family(of) {
        Family::Integer => "INTEGER",
        Family::Float => "REAL",
        Family::Binary => "BLOB",
        Family::Decimal | Family::Text | Family::Moment | Family::Guid => "TEXT",
    }
}

/// The name without lengths, as messages say it.
pub fn bare(of: SqlType) -> &'static str {
    match of {
        SqlType::Bit => "bit",
        SqlType::TinyInt => "tinyint",
        SqlType::SmallInt => "smallint",
        SqlType::Int => "int",
        SqlType::BigInt => "bigint",
        SqlType::Decimal { .. } => "numeric",
        SqlType::Money => "money",
        SqlType::SmallMoney => "smallmoney",
        SqlType::Float => "float",
        SqlType::Real => "real",
        SqlType::Date => "date",
        SqlType::Time { .. } => "time",
        SqlType::SmallDateTime => "smalldatetime",
        SqlType::DateTime => "datetime",
        SqlType::DateTime2 { .. } => "datetime2",
        SqlType::DateTimeOffset { .. } => "datetimeoffset",
        SqlType::UniqueIdentifier => "uniqueidentifier",
        SqlType::Char { .. } => "char",
        SqlType::NChar { .. } => "nchar",
        SqlType::VarChar { .. } => "varchar",
        SqlType::NVarChar { .. } => "nvarchar",
        SqlType::Text => "text",
        SqlType::NText => "ntext",
        SqlType::Xml => "xml",
        SqlType::Binary { .. } => "binary",
        SqlType::VarBinary { .. } => "varbinary",
        SqlType::Image => "image",
        SqlType::RowVersion => "timestamp",
        SqlType::Cast(cast) => bare(cast.through()),
    }
}

/// Characters (or bytes) that a text or binary type holds; `None` is max.
pub fn length(of: SqlType) -> Option<u16> {
    match of {
        SqlType::Char { length } | SqlType::NChar { length } | SqlType::Binary { length } => {
            Some(length)
        }
        SqlType::VarChar { length }
        | SqlType::NVarChar { length }
        | SqlType::VarBinary { length } => length,
        SqlType::RowVersion => Some(8),
        _ => None,
    }
}

pub fn is_national(of: SqlType) -> bool {
    matches!(of, SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText | SqlType::Xml)
}

/// A varying text type of at most `length` characters, max past SQL Server's limit.
pub fn varying(national: bool, length: Option<u32>) -> SqlType {
    let most = if national { 4000 } else { 8000 };
    let length = length.filter(|length| *length <= most).map(|length| length.max(1) as u16);
    if national { SqlType::NVarChar { length } } else { SqlType::VarChar { length } }
}

/// Digits before and after the point that a number of the type can have.
pub fn digits(of: SqlType) -> (u8, u8) {
    match of {
        SqlType::Bit => (1, 0),
        SqlType::TinyInt => (3, 0),
        SqlType::SmallInt => (5, 0),
        SqlType::Int => (10, 0),
        SqlType::BigInt => (19, 0),
        SqlType::Money => (15, 4),
        SqlType::SmallMoney => (6, 4),
        SqlType::Decimal { precision, scale } => (precision - scale, scale),
        _ => (38, 0),
    }
}

/// The one type that CASE, COALESCE, UNION and comparisons bring two types to.
pub fn unify(a: SqlType, b: SqlType) -> Result<SqlType, SqlError> {
    if a == b {
        return Ok(a);
    }
    let (higher, lower) = if precedence(a) >= precedence(b) { (a, b) } else { (b, a) };
    let clash = || refusal::operand_clash(bare(lower), bare(higher));
    match (family(higher), family(lower)) {
        (Family::Text, Family::Text) => Ok(wider_text(higher, lower)),
        (Family::Binary, Family::Binary) => {
            Ok(SqlType::VarBinary { length: length(a).zip(length(b)).map(|(a, b)| a.max(b)) })
        }
        (Family::Decimal, Family::Decimal | Family::Integer)
            if matches!(higher, SqlType::Decimal { .. }) =>
        {
            Ok(wider_decimal(higher, lower))
        }
        (Family::Moment, Family::Moment) => Ok(wider_moment(higher, lower)),
        (Family::Moment, Family::Text) => Ok(higher),
        (Family::Moment, _) => Err(clash()),
        (Family::Guid, Family::Text | Family::Binary) => Ok(higher),
        (Family::Guid, _) | (_, Family::Guid) => Err(clash()),
        (Family::Text, Family::Binary) => Err(clash()),
        _ => Ok(higher),
    }
}

fn wider_text(higher: SqlType, lower: SqlType) -> SqlType {
    let national = is_national(higher) || is_national(lower);
    let length = length(higher).zip(length(lower)).map(|(a, b)| u32::from(a.max(b)));
    match (higher, lower) {
        (SqlType::Xml, _) => SqlType::Xml,
        (SqlType::NChar { .. }, SqlType::NChar { .. } | SqlType::Char { .. }) => {
            SqlType::NChar { length: length.unwrap_or(1) as u16 }
        }
        (SqlType::Char { .. }, SqlType::Char { .. }) => {
            SqlType::Char { length: length.unwrap_or(1) as u16 }
        }
        _ => varying(national, length),
    }
}

fn wider_decimal(a: SqlType, b: SqlType) -> SqlType {
    let ((a_whole, a_scale), (b_whole, b_scale)) = (digits(a), digits(b));
    let whole = a_whole.max(b_whole);
    let scale = a_scale.max(b_scale).min(38 - whole.min(38));
    SqlType::Decimal { precision: (whole + scale).min(38), scale }
}

fn wider_moment(higher: SqlType, lower: SqlType) -> SqlType {
    let scale = |of: SqlType| match of {
        SqlType::Time { scale }
        | SqlType::DateTime2 { scale }
        | SqlType::DateTimeOffset { scale } => scale,
        SqlType::DateTime => 7,
        _ => 0,
    };
    let most = scale(higher).max(scale(lower));
    match higher {
        SqlType::Time { .. } => SqlType::Time { scale: most },
        SqlType::DateTime2 { .. } => SqlType::DateTime2 { scale: most },
        SqlType::DateTimeOffset { .. } => SqlType::DateTimeOffset { scale: most },
        other => other,
    }
}

/// The result of `+ - * /` on two numbers (Transact-SQL reference, "Precision, scale, and length"); decimals past
/// 38 digits give up scale, never whole digits, down to 6 decimals.
pub fn arithmetic(operator: char, a: SqlType, b: SqlType) -> Result<SqlType, SqlError> {
    let numeric =
        |of: SqlType| matches!(family(of), Family::Integer | Family::Decimal | Family::Float);
    if !numeric(a) || !numeric(b) {
        let name = match operator {
            '+' => "add",
            '-' => "subtract",
            '*' => "multiply",
            _ => "arithmetic",
        };
        return Err(refusal::operand_types(bare(a), bare(b), name));
    }
    let higher = if precedence(a) >= precedence(b) { a } else { b };
    if higher == SqlType::Bit {
        return Err(refusal::operand_types("bit", "bit", "arithmetic"));
    }
    if !matches!(higher, SqlType::Decimal { .. }) {
        return Ok(higher);
    }
    let ((a_whole, a_scale), (b_whole, b_scale)) = (digits(a), digits(b));
    let (precision, scale) = match operator {
        '*' => (a_whole + a_scale + b_whole + b_scale + 1, a_scale + b_scale),
        '/' => {
            let scale = (a_scale + b_whole + b_scale + 1).max(6);
            (a_whole + b_scale + scale, scale)
        }
        _ => {
            let scale = a_scale.max(b_scale);
            (a_whole.max(b_whole) + scale + 1, scale)
        }
    };
    Ok(capped(precision, scale))
}

fn capped(precision: u8, scale: u8) -> SqlType {
    if precision <= 38 {
        return SqlType::Decimal { precision, scale };
    }
    let whole = precision - scale;
    let kept = scale.min(38u8.saturating_sub(whole).max(scale.min(6)));
    SqlType::Decimal { precision: 38, scale: kept }
}

/// A type as one number, for the conversion functions inside SQLite.
pub fn code(of: SqlType) -> i64 {
    let sized = |length: Option<u16>| i64::from(length.map_or(0xFFFF, |length| length));
    let (tag, size, scale) = match of {
        SqlType::Bit => (1, 0, 0),
        SqlType::TinyInt => (2, 0, 0),
        SqlType::SmallInt => (3, 0, 0),
        SqlType::Int => (4, 0, 0),
        SqlType::BigInt => (5, 0, 0),
        SqlType::Decimal { precision, scale } => (6, i64::from(precision), scale),
        SqlType::Money => (7, 0, 0),
        SqlType::SmallMoney => (8, 0, 0),
        SqlType::Float => (9, 0, 0),
        SqlType::Real => (10, 0, 0),
        SqlType::Date => (11, 0, 0),
        SqlType::Time { scale } => (12, 0, scale),
        SqlType::SmallDateTime => (13, 0, 0),
        SqlType::DateTime => (14, 0, 0),
        SqlType::DateTime2 { scale } => (15, 0, scale),
        SqlType::DateTimeOffset { scale } => (16, 0, scale),
        SqlType::UniqueIdentifier => (17, 0, 0),
        SqlType::Char { length } => (18, sized(Some(length)), 0),
        SqlType::NChar { length } => (19, sized(Some(length)), 0),
        SqlType::VarChar { length } => (20, sized(length), 0),
        SqlType::NVarChar { length } => (21, sized(length), 0),
        SqlType::Text => (22, 0, 0),
        SqlType::NText => (23, 0, 0),
        SqlType::Xml => (24, 0, 0),
        SqlType::Binary { length } => (25, sized(Some(length)), 0),
        SqlType::VarBinary { length } => (26, sized(length), 0),
        SqlType::Image => (27, 0, 0),
        SqlType::RowVersion => (28, 0, 0),
        SqlType::Cast(cast) => return code(cast.through()),
    };
    tag | size << 8 | i64::from(scale) << 24
}

/// The reverse of [`code`].
pub fn decode(code: i64) -> Option<SqlType> {
    let (size, scale) = ((code >> 8 & 0xFFFF) as u16, (code >> 24 & 0xFF) as u8);
    let sized = (size != 0xFFFF).then_some(size);
    Some(match code & 0xFF {
        1 => SqlType::Bit,
        2 => SqlType::TinyInt,
        3 => SqlType::SmallInt,
        4 => SqlType::Int,
        5 => SqlType::BigInt,
        6 => SqlType::Decimal { precision: size as u8, scale },
        7 => SqlType::Money,
        8 => SqlType::SmallMoney,
        9 => SqlType::Float,
        10 => SqlType::Real,
        11 => SqlType::Date,
        12 => SqlType::Time { scale },
        13 => SqlType::SmallDateTime,
        14 => SqlType::DateTime,
        15 => SqlType::DateTime2 { scale },
        16 => SqlType::DateTimeOffset { scale },
        17 => SqlType::UniqueIdentifier,
        18 => SqlType::Char { length: size },
        19 => SqlType::NChar { length: size },
        20 => SqlType::VarChar { length: sized },
        21 => SqlType::NVarChar { length: sized },
        22 => SqlType::Text,
        23 => SqlType::NText,
        24 => SqlType::Xml,
        25 => SqlType::Binary { length: size },
        26 => SqlType::VarBinary { length: sized },
        27 => SqlType::Image,
        28 => SqlType::RowVersion,
        _ => return None,
    })
}

/// Whether every value of `from` is kept under `to` exactly as it is kept under `from`: no conversion needed.
pub fn kept_alike(from: SqlType, to: SqlType) -> bool {
    if from == to {
        return true;
    }
    let fits = || match (length(from), length(to)) {
        (_, None) => true,
        (Some(from), Some(to)) => from <= to,
        (None, Some(_)) => false,
    };
    match (from, to) {
        (SqlType::Decimal { precision: p, scale: s }, SqlType::Decimal { precision, scale }) => {
            s == scale && p <= precision
        }
        (SqlType::Real, SqlType::Float) => true,
        (SqlType::SmallMoney, SqlType::Money) => true,
        (_, SqlType::Bit) => false,
        (SqlType::Bit, _) => family(to) == Family::Integer,
        (
            _,
            SqlType::Char { .. }
            | SqlType::NChar { .. }
            | SqlType::Binary { .. }
            | SqlType::RowVersion,
        ) => false,
        (_, SqlType::Xml) => false,
        _ if family(from) == Family::Integer && family(to) == Family::Integer => {
            precedence(from) < precedence(to)
        }
        _ if family(from) == Family::Text && family(to) == Family::Text => fits(),
        _ if family(from) == Family::Binary && family(to) == Family::Binary => fits(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{arithmetic, code, decode, unify};
    use tillhold_core::types::SqlType;

    fn of(declaration: &str) -> SqlType {
        SqlType::parse(declaration).expect("a type of the test")
    }

    #[test]
    fn two_types_meet_where_sql_server_says() {
        for (a, b, meeting) in [
            ("int", "bigint", "bigint"),
            ("int", "decimal(5,2)", "decimal(12,2)"),
            ("decimal(32,16)", "decimal(10,2)", "decimal(32,16)"),
            ("varchar(10)", "nvarchar(4)", "nvarchar(10)"),
            ("varchar(10)", "varchar(max)", "varchar(max)"),
            ("datetime", "datetime2(3)", "datetime2(7)"),
            ("date", "varchar(10)", "date"),
            ("uniqueidentifier", "nvarchar(36)", "uniqueidentifier"),
            ("int", "varchar(10)", "int"),
        ] {
            assert_eq!(unify(of(a), of(b)), Ok(of(meeting)), "{a} and {b}");
            assert_eq!(unify(of(b), of(a)), Ok(of(meeting)), "{b} and {a}");
        }
        assert_eq!(unify(of("int"), of("datetime")).map_err(|e| e.number), Err(206));
    }

    #[test]
    fn decimal_results_follow_the_reference() {
        for (operator, a, b, result) in [
            ('+', "decimal(10,2)", "decimal(10,4)", "decimal(13,4)"),
            ('*', "decimal(10,2)", "decimal(10,4)", "decimal(21,6)"),
            ('*', "decimal(32,16)", "decimal(32,16)", "decimal(38,6)"),
            ('+', "decimal(38,10)", "int", "decimal(38,9)"),
            ('/', "decimal(10,2)", "decimal(10,4)", "decimal(25,13)"),
            ('/', "decimal(2,1)", "decimal(1,0)", "decimal(7,6)"),
            ('/', "decimal(32,16)", "decimal(32,16)", "decimal(38,6)"),
            ('/', "decimal(38,0)", "decimal(5,0)", "decimal(38,6)"),
        ] {
            assert_eq!(arithmetic(operator, of(a), of(b)), Ok(of(result)), "{a} {operator} {b}");
        }
    }

    #[test]
    fn codes_round_trip() {
        for declaration in [
            "bit",
            "decimal(38,38)",
            "nvarchar(max)",
            "varchar(8000)",
            "binary(3)",
            "time(3)",
            "xml",
        ] {
            assert_eq!(decode(code(of(declaration))), Some(of(declaration)), "{declaration}");
        }
    }
}
