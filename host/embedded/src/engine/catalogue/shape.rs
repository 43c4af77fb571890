//! Types as the catalogue's views describe them: numbers, lengths, precisions.

use crate::engine::types::{self, length};
use tillhold_core::types::SqlType;

/// A type as `sys.columns` describes it.
pub struct Shape {
    pub system_type_id: i32,
    pub max_length: i32,
    pub precision: i32,
    pub scale: i32,
}

impl Shape {
    pub fn of(of: SqlType) -> Shape {
        let shape = |system_type_id, max_length, precision, scale: u8| Shape {
            system_type_id,
            max_length,
            precision,
            scale: i32::from(scale),
        };
        let bytes = |unit: i32| length(of).map_or(-1, |length| i32::from(length) * unit);
        match of {
            SqlType::Bit => shape(104, 1, 1, 0),
            SqlType::TinyInt => shape(48, 1, 3, 0),
            SqlType::SmallInt => shape(52, 2, 5, 0),
            SqlType::Int => shape(56, 4, 10, 0),
            SqlType::BigInt => shape(127, 8, 19, 0),
            SqlType::Decimal { precision, scale } => {
                let bytes = match precision {
                    0..=9 => 5,
                    10..=19 => 9,
                    20..=28 => 13,
                    _ => 17,
                };
                shape(106, bytes, i32::from(precision), scale)
            }
            SqlType::Money => shape(60, 8, 19, 4),
            SqlType::SmallMoney => shape(122, 4, 10, 4),
            SqlType::Float => shape(62, 8, 53, 0),
            SqlType::Real => shape(59, 4, 24, 0),
            SqlType::Date => shape(40, 3, 10, 0),
            SqlType::Time { scale } => shape(41, 5, 8 + dotted(scale), scale),
            SqlType::SmallDateTime => shape(58, 4, 16, 0),
            SqlType::DateTime => shape(61, 8, 23, 3),
            SqlType::DateTime2 { scale } => shape(42, 8, 19 + dotted(scale), scale),
            SqlType::DateTimeOffset { scale } => shape(43, 10, 26 + dotted(scale), scale),
            SqlType::UniqueIdentifier => shape(36, 16, 0, 0),
            SqlType::Char { .. } => shape(175, bytes(1), 0, 0),
            SqlType::NChar { .. } => shape(239, bytes(2), 0, 0),
            SqlType::VarChar { .. } => shape(167, bytes(1), 0, 0),
            SqlType::NVarChar { .. } => shape(231, bytes(2), 0, 0),
            SqlType::Text => shape(35, 16, 0, 0),
            SqlType::NText => shape(99, 16, 0, 0),
            SqlType::Xml => shape(241, -1, 0, 0),
            SqlType::Binary { .. } => shape(173, bytes(1), 0, 0),
            SqlType::VarBinary { .. } => shape(165, bytes(1), 0, 0),
            SqlType::Image => shape(34, 16, 0, 0),
            SqlType::RowVersion => shape(189, 8, 0, 0),
            SqlType::Cast(cast) => Shape::of(cast.through()),
        }
    }
}

/// The point counts as a digit of a time's precision.
fn dotted(scale: u8) -> i32 {
    if scale == 0 { 0 } else { i32::from(scale) + 1 }
}

/// Every type's name and number: `sys.types`.
pub fn system_types() -> Vec<(&'static str, Shape)> {
    let declared = [
        "image",
        "text",
        "uniqueidentifier",
        "date",
        "time",
        "datetime2",
        "datetimeoffset",
        "tinyint",
        "smallint",
        "int",
        "smalldatetime",
        "real",
        "money",
        "datetime",
        "float",
        "ntext",
        "bit",
        "decimal(38,38)",
        "smallmoney",
        "bigint",
        "varbinary(8000)",
        "varchar(8000)",
        "binary(8000)",
        "char(8000)",
        "timestamp",
        "nvarchar(4000)",
        "nchar(4000)",
        "xml",
    ];
    let named = declared.into_iter().filter_map(SqlType::parse).map(|of| {
        let name = if matches!(of, SqlType::Decimal { .. }) { "decimal" } else { types::bare(of) };
        (name, Shape::of(of))
    });
    let mut all: Vec<_> = named.collect();
    all.push(("numeric", Shape { system_type_id: 108, max_length: 17, precision: 38, scale: 38 }));
    all
}
