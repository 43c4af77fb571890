//! SQL Server's column types, as the channel's catalogue declares them.

use crate::value::DECIMAL_DIGITS_MAX;
use std::fmt;

/// Of a second; the finest grain is 100 nanoseconds.
const TIME_DIGITS_MAX: u8 = 7;

/// A declared column type. Lengths are characters (`n…` types: UTF-16 units) or bytes; `None` is `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    /// `decimal` and `numeric` are one type.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    Float,
    Real,
    Date,
    Time {
        scale: u8,
    },
    SmallDateTime,
    DateTime,
    DateTime2 {
        scale: u8,
    },
    DateTimeOffset {
        scale: u8,
    },
    UniqueIdentifier,
    Char {
        length: u16,
    },
    NChar {
        length: u16,
    },
    VarChar {
        length: Option<u16>,
    },
    NVarChar {
        length: Option<u16>,
    },
    Text,
    NText,
    Xml,
    Binary {
        length: u16,
    },
    VarBinary {
        length: Option<u16>,
    },
    Image,
    /// `rowversion`, `timestamp`: eight bytes that the channel assigns.
    RowVersion,
    /// A type that travels as another, through a cast each way.
    Cast(CastType),
}

/// Types that a client of SQL Server sees as raw bytes or not at all. Statements cast them to
/// [`CastType::through`] and back; a value here is one of that type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastType {
    HierarchyId,
    Geometry,
    Geography,
    /// SQL Server 2025.
    Json,
    /// SQL Server 2025; single-precision numbers as the text of a JSON array.
    Vector {
        dimensions: u16,
    },
}

impl CastType {
    /// What its values travel as. 892 bytes is the longest hierarchyid (Transact-SQL reference, "hierarchyid").
    pub fn through(self) -> SqlType {
        match self {
            CastType::HierarchyId => SqlType::VarBinary { length: Some(892) },
            CastType::Geometry | CastType::Geography => SqlType::VarBinary { length: None },
            CastType::Json | CastType::Vector { .. } => SqlType::NVarChar { length: None },
        }
    }
}

impl SqlType {
    /// Reads a declaration such as `numeric(32, 16)`, `nvarchar(max)` or `timestamp`; `None` for a type that
    /// Tillhold does not carry (`sql_variant`, CLR types of one's own).
    pub fn parse(declaration: &str) -> Option<SqlType> {
        let lower = declaration.trim().to_ascii_lowercase();
        let (name, arguments) = match lower.split_once('(') {
            Some((name, rest)) => (name.trim(), Some(rest.strip_suffix(')')?.trim())),
            None => (lower.as_str(), None),
        };
        let mut numbers = arguments.into_iter().flat_map(|list| list.split(',').map(str::trim));
        let first = numbers.next();
        let second = numbers.next();
        let length = |default: u16| match first {
            None => Some(Some(default)),
            Some("max") => Some(None),
            Some(number) => number.parse().ok().map(Some),
        };
        let scale = || first.map_or(Some(7), |number| number.parse().ok());
        let of = match name {
            "bit" => SqlType::Bit,
            "tinyint" => SqlType::TinyInt,
            "smallint" => SqlType::SmallInt,
            "int" | "integer" => SqlType::Int,
            "bigint" => SqlType::BigInt,
            "decimal" | "numeric" | "dec" => SqlType::Decimal {
                precision: first.map_or(Some(18), |number| number.parse().ok())?,
                scale: second.map_or(Some(0), |number| number.parse().ok())?,
            },
            "money" => SqlType::Money,
            "smallmoney" => SqlType::SmallMoney,
            "real" => SqlType::Real,
            // float(1..24) is real (Transact-SQL reference, "float and real").
            "float" => match first.map(str::parse::<u8>) {
                Some(Ok(bits)) if bits <= 24 => SqlType::Real,
                Some(Err(_)) => return None,
                _ => SqlType::Float,
            },
            "date" => SqlType::Date,
            "time" => SqlType::Time { scale: scale()? },
            "smalldatetime" => SqlType::SmallDateTime,
            "datetime" => SqlType::DateTime,
            "datetime2" => SqlType::DateTime2 { scale: scale()? },
            "datetimeoffset" => SqlType::DateTimeOffset { scale: scale()? },
            "uniqueidentifier" => SqlType::UniqueIdentifier,
            "char" => SqlType::Char { length: length(1)?? },
            "nchar" => SqlType::NChar { length: length(1)?? },
            "varchar" => SqlType::VarChar { length: length(1)? },
            "nvarchar" => SqlType::NVarChar { length: length(1)? },
            "sysname" => SqlType::NVarChar { length: Some(128) },
            "text" => SqlType::Text,
            "ntext" => SqlType::NText,
            "xml" => SqlType::Xml,
            "binary" => SqlType::Binary { length: length(1)?? },
            "varbinary" => SqlType::VarBinary { length: length(1)? },
            "image" => SqlType::Image,
            "rowversion" | "timestamp" => SqlType::RowVersion,
            "hierarchyid" => SqlType::Cast(CastType::HierarchyId),
            "geometry" => SqlType::Cast(CastType::Geometry),
            "geography" => SqlType::Cast(CastType::Geography),
            "json" => SqlType::Cast(CastType::Json),
            "vector" => SqlType::Cast(CastType::Vector { dimensions: first?.parse().ok()? }),
            _ => return None,
        };
        of.is_possible().then_some(of)
    }

    /// Whether SQL Server has it: whoever rounds and pads goes by these numbers.
    fn is_possible(self) -> bool {
        match self {
            SqlType::Decimal { precision, scale } => {
                (1..=DECIMAL_DIGITS_MAX).contains(&precision) && scale <= precision
            }
            SqlType::Time { scale }
            | SqlType::DateTime2 { scale }
            | SqlType::DateTimeOffset { scale } => scale <= TIME_DIGITS_MAX,
            _ => true,
        }
    }

    /// Itself, but for a type that travels through a cast.
    pub fn travels_as(self) -> SqlType {
        match self {
            SqlType::Cast(cast) => cast.through(),
            plain => plain,
        }
    }

    /// Character data, which SQL Server compares by collation: blind to trailing blanks, usually to case.
    pub fn is_text(self) -> bool {
        matches!(
            self.travels_as(),
            SqlType::Char { .. }
                | SqlType::NChar { .. }
                | SqlType::VarChar { .. }
                | SqlType::NVarChar { .. }
                | SqlType::Text
                | SqlType::NText
                | SqlType::Xml
        )
    }

    pub fn is_binary(self) -> bool {
        matches!(
            self.travels_as(),
            SqlType::Binary { .. }
                | SqlType::VarBinary { .. }
                | SqlType::Image
                | SqlType::RowVersion
        )
    }
}

/// The declaration in T-SQL, readable by [`SqlType::parse`].
impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sized = |f: &mut fmt::Formatter<'_>, name: &str, length: &Option<u16>| match length {
            Some(length) => write!(f, "{name}({length})"),
            None => write!(f, "{name}(max)"),
        };
        match self {
            SqlType::Bit => f.write_str("bit"),
            SqlType::TinyInt => f.write_str("tinyint"),
            SqlType::SmallInt => f.write_str("smallint"),
            SqlType::Int => f.write_str("int"),
            SqlType::BigInt => f.write_str("bigint"),
            SqlType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            SqlType::Money => f.write_str("money"),
            SqlType::SmallMoney => f.write_str("smallmoney"),
            SqlType::Float => f.write_str("float"),
            SqlType::Real => f.write_str("real"),
            SqlType::Date => f.write_str("date"),
            SqlType::Time { scale } => write!(f, "time({scale})"),
            SqlType::SmallDateTime => f.write_str("smalldatetime"),
            SqlType::DateTime => f.write_str("datetime"),
            SqlType::DateTime2 { scale } => write!(f, "datetime2({scale})"),
            SqlType::DateTimeOffset { scale } => write!(f, "datetimeoffset({scale})"),
            SqlType::UniqueIdentifier => f.write_str("uniqueidentifier"),
            SqlType::Char { length } => write!(f, "char({length})"),
            SqlType::NChar { length } => write!(f, "nchar({length})"),
            SqlType::VarChar { length } => sized(f, "varchar", length),
            SqlType::NVarChar { length } => sized(f, "nvarchar", length),
            SqlType::Text => f.write_str("text"),
            SqlType::NText => f.write_str("ntext"),
            SqlType::Xml => f.write_str("xml"),
            SqlType::Binary { length } => write!(f, "binary({length})"),
            SqlType::VarBinary { length } => sized(f, "varbinary", length),
            SqlType::Image => f.write_str("image"),
            SqlType::RowVersion => f.write_str("rowversion"),
            SqlType::Cast(CastType::HierarchyId) => f.write_str("hierarchyid"),
            SqlType::Cast(CastType::Geometry) => f.write_str("geometry"),
            SqlType::Cast(CastType::Geography) => f.write_str("geography"),
            SqlType::Cast(CastType::Json) => f.write_str("json"),
            SqlType::Cast(CastType::Vector { dimensions }) => write!(f, "vector({dimensions})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SqlType;

    #[test]
    fn declarations_round_trip() {
        for declaration in [
            "bit",
            "tinyint",
            "bigint",
            "decimal(32,16)",
            "money",
            "real",
            "float",
            "time(3)",
            "datetime",
            "datetime2(7)",
            "datetimeoffset(0)",
            "uniqueidentifier",
            "nchar(2)",
            "varchar(max)",
            "nvarchar(10)",
            "binary(32)",
            "varbinary(max)",
            "image",
            "rowversion",
            "xml",
            "ntext",
            "hierarchyid",
            "geometry",
            "geography",
            "json",
            "vector(3)",
        ] {
            let parsed = SqlType::parse(declaration).expect("a known type");
            assert_eq!(parsed.to_string(), declaration);
        }
        assert_eq!(SqlType::parse("NUMERIC(28, 12)"), SqlType::parse("decimal(28,12)"));
        for none in ["decimal(39,0)", "decimal(4,5)", "decimal(0,0)", "time(8)", "datetime2(255)"] {
            assert_eq!(SqlType::parse(none), None, "{none}");
        }
        assert_eq!(SqlType::parse("timestamp"), Some(SqlType::RowVersion));
        for unknown in ["sql_variant", "vector", "nvarchar(x)", "decimal(1"] {
            assert_eq!(SqlType::parse(unknown), None, "{unknown} was taken");
        }
    }
}
