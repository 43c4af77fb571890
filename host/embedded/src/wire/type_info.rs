//! TYPE_INFO (2.2.5.6): how a column or parameter announces its type, both ways.
//!
//! * Sent: a column that is never NULL goes as a fixed-length type where TDS has one, as SQL Server sends it.
//! * Received: every type of [`SqlType`]; `sql_variant`, CLR types, table-valued parameters and the types of
//!   TDS before 7 are refused by name.

use super::codepage::{COLLATION, Encoding};
use super::reader::Reader;
use crate::fault::ServerError;
use tillhold_core::types::SqlType;

pub const NULL: u8 = 0x1F;
pub const GUID: u8 = 0x24;
pub const INTN: u8 = 0x26;
pub const DATEN: u8 = 0x28;
pub const TIMEN: u8 = 0x29;
pub const DATETIME2N: u8 = 0x2A;
pub const DATETIMEOFFSETN: u8 = 0x2B;
pub const INT1: u8 = 0x30;
pub const BIT: u8 = 0x32;
pub const INT2: u8 = 0x34;
pub const INT4: u8 = 0x38;
pub const DATETIM4: u8 = 0x3A;
pub const FLT4: u8 = 0x3B;
pub const MONEY: u8 = 0x3C;
pub const DATETIME: u8 = 0x3D;
pub const FLT8: u8 = 0x3E;
pub const MONEY4: u8 = 0x7A;
pub const INT8: u8 = 0x7F;
pub const BITN: u8 = 0x68;
pub const DECIMALN: u8 = 0x6A;
pub const NUMERICN: u8 = 0x6C;
pub const FLTN: u8 = 0x6D;
pub const MONEYN: u8 = 0x6E;
pub const DATETIMN: u8 = 0x6F;
pub const BIGVARBIN: u8 = 0xA5;
pub const BIGVARCHR: u8 = 0xA7;
pub const BIGBINARY: u8 = 0xAD;
pub const BIGCHAR: u8 = 0xAF;
pub const NVARCHAR: u8 = 0xE7;
pub const NCHAR: u8 = 0xEF;
pub const XML: u8 = 0xF1;
pub const IMAGE: u8 = 0x22;
pub const TEXT: u8 = 0x23;
pub const NTEXT: u8 = 0x63;

/// The length field that means `max`.
const MAX: u16 = 0xFFFF;

/// How a received value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// No bytes at all: NULL of no type, which takes its type from a declaration.
    Untyped,
    /// So many bytes, never NULL.
    Fixed(u8),
    /// One byte of length; 0 is NULL.
    ByteLength,
    /// Two bytes of length; 0xFFFF is NULL.
    ShortLength,
    /// Chunks with a total (2.2.5.2.3).
    Chunks,
    /// `text`, `ntext`, `image`.
    Long,
}

/// A received type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireType {
    pub of: SqlType,
    pub layout: Layout,
    /// Of `char`, `varchar` and `text`; the others carry UTF-16.
    pub encoding: Encoding,
}

impl WireType {
    fn new(of: SqlType, layout: Layout) -> WireType {
        WireType { of, layout, encoding: Encoding::Windows1252 }
    }

    pub fn read(reader: &mut Reader<'_>) -> Result<WireType, ServerError> {
        let token = reader.u8()?;
        match token {
            NULL => Ok(WireType::new(SqlType::Int, Layout::Untyped)),
            INT1 | BIT | INT2 | INT4 | DATETIM4 | FLT4 | MONEY | DATETIME | FLT8 | MONEY4
            | INT8 => Ok(fixed(token)),
            INTN | BITN | FLTN | MONEYN | DATETIMN | GUID => sized(token, reader.u8()?),
            DECIMALN | NUMERICN => decimal(reader),
            DATEN => Ok(WireType::new(SqlType::Date, Layout::ByteLength)),
            TIMEN | DATETIME2N | DATETIMEOFFSETN => scaled(token, reader.u8()?),
            BIGVARBIN | BIGBINARY => {
                let length = reader.u16()?;
                Ok(binary(token, length))
            }
            BIGVARCHR | BIGCHAR | NVARCHAR | NCHAR => characters(token, reader),
            XML => xml(reader),
            TEXT | NTEXT | IMAGE => long(token, reader),
            _ => Err(ServerError::Unsupported { what: stranger(token) }),
        }
    }
}

fn fixed(token: u8) -> WireType {
    let (of, size) = match token {
        INT1 => (SqlType::TinyInt, 1),
        BIT => (SqlType::Bit, 1),
        INT2 => (SqlType::SmallInt, 2),
        INT4 => (SqlType::Int, 4),
        DATETIM4 => (SqlType::SmallDateTime, 4),
        FLT4 => (SqlType::Real, 4),
        MONEY => (SqlType::Money, 8),
        DATETIME => (SqlType::DateTime, 8),
        FLT8 => (SqlType::Float, 8),
        MONEY4 => (SqlType::SmallMoney, 4),
        _ => (SqlType::BigInt, 8),
    };
    WireType::new(of, Layout::Fixed(size))
}

fn sized(token: u8, size: u8) -> Result<WireType, ServerError> {
    let of = match (token, size) {
        (INTN, 1) => SqlType::TinyInt,
        (INTN, 2) => SqlType::SmallInt,
        (INTN, 4) => SqlType::Int,
        (INTN, 8) => SqlType::BigInt,
        (BITN, 1) => SqlType::Bit,
        (FLTN, 4) => SqlType::Real,
        (FLTN, 8) => SqlType::Float,
        (MONEYN, 4) => SqlType::SmallMoney,
        (MONEYN, 8) => SqlType::Money,
        (DATETIMN, 4) => SqlType::SmallDateTime,
        (DATETIMN, 8) => SqlType::DateTime,
        (GUID, 16) => SqlType::UniqueIdentifier,
        _ => return Err(ServerError::Malformed { what: "a type of a size it does not have" }),
    };
    Ok(WireType::new(of, Layout::ByteLength))
}

fn decimal(reader: &mut Reader<'_>) -> Result<WireType, ServerError> {
    let [_size, precision, scale] = reader.array()?;
    if !(1..=38).contains(&precision) || scale > precision {
        return Err(ServerError::Unsupported { what: format!("decimal({precision},{scale})") });
    }
    Ok(WireType::new(SqlType::Decimal { precision, scale }, Layout::ByteLength))
}

fn scaled(token: u8, scale: u8) -> Result<WireType, ServerError> {
    if scale > 7 {
        return Err(ServerError::Malformed { what: "a time of more than seven decimals" });
    }
    let of = match token {
        TIMEN => SqlType::Time { scale },
        DATETIME2N => SqlType::DateTime2 { scale },
        _ => SqlType::DateTimeOffset { scale },
    };
    Ok(WireType::new(of, Layout::ByteLength))
}

fn binary(token: u8, length: u16) -> WireType {
    match (token, length) {
        (BIGVARBIN, MAX) => WireType::new(SqlType::VarBinary { length: None }, Layout::Chunks),
        (BIGVARBIN, _) => {
            WireType::new(SqlType::VarBinary { length: Some(length) }, Layout::ShortLength)
        }
        _ => WireType::new(SqlType::Binary { length }, Layout::ShortLength),
    }
}

fn characters(token: u8, reader: &mut Reader<'_>) -> Result<WireType, ServerError> {
    let length = reader.u16()?;
    let collation = reader.array()?;
    let (layout, bytes) =
        if length == MAX { (Layout::Chunks, None) } else { (Layout::ShortLength, Some(length)) };
    let fixed = bytes.unwrap_or(MAX);
    let (of, encoding) = match token {
        NVARCHAR => (SqlType::NVarChar { length: bytes.map(|b| b / 2) }, Encoding::Windows1252),
        NCHAR => (SqlType::NChar { length: fixed / 2 }, Encoding::Windows1252),
        BIGVARCHR => (SqlType::VarChar { length: bytes }, Encoding::of(collation)?),
        _ => (SqlType::Char { length: fixed }, Encoding::of(collation)?),
    };
    Ok(WireType { of, layout, encoding })
}

fn xml(reader: &mut Reader<'_>) -> Result<WireType, ServerError> {
    if reader.u8()? == 1 {
        let (_database, _owner) = (reader.b_varchar()?, reader.b_varchar()?);
        let _collection = reader.us_varchar()?;
    }
    Ok(WireType::new(SqlType::Xml, Layout::Chunks))
}

fn long(token: u8, reader: &mut Reader<'_>) -> Result<WireType, ServerError> {
    let _most = reader.u32()?;
    Ok(match token {
        IMAGE => WireType::new(SqlType::Image, Layout::Long),
        NTEXT => {
            let _collation: [u8; 5] = reader.array()?;
            WireType::new(SqlType::NText, Layout::Long)
        }
        _ => {
            let encoding = Encoding::of(reader.array()?)?;
            WireType { of: SqlType::Text, layout: Layout::Long, encoding }
        }
    })
}

fn stranger(token: u8) -> String {
    match token {
        0x62 => "the type sql_variant".to_string(),
        0xF0 => "CLR types".to_string(),
        0xF3 => "table-valued parameters".to_string(),
        0xF4 => "the type json".to_string(),
        0xF5 => "the type vector".to_string(),
        _ => format!("the type 0x{token:02X}"),
    }
}

/// TYPE_INFO of a column or return value.
pub fn put_type(buffer: &mut Vec<u8>, of: SqlType, nullable: bool) {
    if let Some(token) = fixed_token(of).filter(|_| !nullable) {
        buffer.push(token);
        return;
    }
    match of {
        SqlType::Bit => buffer.extend([BITN, 1]),
        SqlType::TinyInt => buffer.extend([INTN, 1]),
        SqlType::SmallInt => buffer.extend([INTN, 2]),
        SqlType::Int => buffer.extend([INTN, 4]),
        SqlType::BigInt => buffer.extend([INTN, 8]),
        SqlType::Real => buffer.extend([FLTN, 4]),
        SqlType::Float => buffer.extend([FLTN, 8]),
        SqlType::SmallMoney => buffer.extend([MONEYN, 4]),
        SqlType::Money => buffer.extend([MONEYN, 8]),
        SqlType::SmallDateTime => buffer.extend([DATETIMN, 4]),
        SqlType::DateTime => buffer.extend([DATETIMN, 8]),
        SqlType::UniqueIdentifier => buffer.extend([GUID, 16]),
        SqlType::Date => buffer.push(DATEN),
        SqlType::Time { scale } => buffer.extend([TIMEN, scale]),
        SqlType::DateTime2 { scale } => buffer.extend([DATETIME2N, scale]),
        SqlType::DateTimeOffset { scale } => buffer.extend([DATETIMEOFFSETN, scale]),
        SqlType::Decimal { precision, scale } => {
            buffer.extend([DECIMALN, decimal_size(precision), precision, scale]);
        }
        SqlType::Xml => buffer.extend([XML, 0]),
        _ => put_long_type(buffer, of),
    }
}

/// The character and binary types.
fn put_long_type(buffer: &mut Vec<u8>, of: SqlType) {
    let mut sized = |token: u8, bytes: u16, collation: bool| {
        buffer.push(token);
        buffer.extend(bytes.to_le_bytes());
        if collation {
            buffer.extend(COLLATION);
        }
    };
    let double = |length: u16| length.saturating_mul(2);
    match of {
        SqlType::Char { length } => sized(BIGCHAR, length, true),
        SqlType::NChar { length } => sized(NCHAR, double(length), true),
        SqlType::VarChar { length } => sized(BIGVARCHR, length.unwrap_or(MAX), true),
        SqlType::NVarChar { length } => sized(NVARCHAR, length.map_or(MAX, double), true),
        SqlType::Binary { length } => sized(BIGBINARY, length, false),
        SqlType::VarBinary { length } => sized(BIGVARBIN, length.unwrap_or(MAX), false),
        SqlType::RowVersion => sized(BIGBINARY, 8, false),
        SqlType::Text => {
            buffer.push(TEXT);
            buffer.extend(0x7FFF_FFFFu32.to_le_bytes());
            buffer.extend(COLLATION);
        }
        SqlType::NText => {
            buffer.push(NTEXT);
            buffer.extend(0x7FFF_FFFEu32.to_le_bytes());
            buffer.extend(COLLATION);
        }
        _ => {
            buffer.push(IMAGE);
            buffer.extend(0x7FFF_FFFFu32.to_le_bytes());
        }
    }
}

/// The token of a type that has a fixed-length form.
fn fixed_token(of: SqlType) -> Option<u8> {
    Some(match of {
        SqlType::Bit => BIT,
        SqlType::TinyInt => INT1,
        SqlType::SmallInt => INT2,
        SqlType::Int => INT4,
        SqlType::BigInt => INT8,
        SqlType::Real => FLT4,
        SqlType::Float => FLT8,
        SqlType::SmallMoney => MONEY4,
        SqlType::Money => MONEY,
        SqlType::SmallDateTime => DATETIM4,
        SqlType::DateTime => DATETIME,
        _ => return None,
    })
}

/// Whether values of the column go without a length before them.
pub fn is_bare(of: SqlType, nullable: bool) -> bool {
    !nullable && fixed_token(of).is_some()
}

/// Bytes of a decimal with its sign (2.2.5.5.1.6).
pub fn decimal_size(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

#[cfg(test)]
mod tests {
    use super::{WireType, put_type};
    use crate::wire::reader::Reader;
    use tillhold_core::types::SqlType;

    #[test]
    fn every_type_that_is_sent_is_also_received() {
        for declaration in [
            "bit",
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "decimal(1,0)",
            "decimal(38,38)",
            "money",
            "smallmoney",
            "float",
            "real",
            "date",
            "time(0)",
            "time(7)",
            "smalldatetime",
            "datetime",
            "datetime2(3)",
            "datetimeoffset(7)",
            "uniqueidentifier",
            "char(10)",
            "nchar(10)",
            "varchar(8000)",
            "varchar(max)",
            "nvarchar(4000)",
            "nvarchar(max)",
            "text",
            "ntext",
            "xml",
            "binary(8)",
            "varbinary(8000)",
            "varbinary(max)",
            "image",
        ] {
            let of = SqlType::parse(declaration).expect("a type of the test");
            for nullable in [false, true] {
                let mut bytes = Vec::new();
                put_type(&mut bytes, of, nullable);
                let mut reader = Reader::new(&bytes);
                let read = WireType::read(&mut reader).expect("a type that this server sent");
                assert_eq!(read.of, of, "{declaration}");
                assert!(reader.is_empty(), "{declaration} left bytes");
            }
        }
    }

    #[test]
    fn strangers_are_refused_by_name() {
        for (bytes, name) in [
            (&[0xF3u8][..], "table-valued parameters"),
            (&[0x62], "the type sql_variant"),
            (&[0x6C, 17, 39, 38], "decimal(39,38)"),
        ] {
            let refusal = WireType::read(&mut Reader::new(bytes)).expect_err("a stranger");
            assert!(refusal.to_string().ends_with(name), "{refusal}");
        }
    }
}
