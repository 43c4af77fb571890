//! Values on their way from a client: parameters and bulk rows.

use super::reader::{Reader, utf16};
use super::type_info::{Layout, WireType};
use super::value_out::{DAYS_TO_1900, LAST_DAY, mixed_endian, time_size};
use crate::fault::ServerError;
use tillhold_core::moment::{
    Date, EPOCH_DAYS, OffsetTimestamp, TICKS_PER_DAY, TICKS_PER_SECOND, Time, Timestamp,
};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};

/// Where a value stands: `text`, `ntext` and `image` are laid out differently in rows and in parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Parameter,
    Row,
}

pub fn take_value(
    reader: &mut Reader<'_>,
    wire: &WireType,
    place: Place,
) -> Result<Value, ServerError> {
    let bytes = match wire.layout {
        Layout::Untyped => None,
        Layout::Fixed(size) => Some(reader.take(usize::from(size))?),
        Layout::ByteLength => match reader.u8()? {
            0 => None,
            length => Some(reader.take(usize::from(length))?),
        },
        Layout::ShortLength => match reader.u16()? {
            0xFFFF => None,
            length => Some(reader.take(usize::from(length))?),
        },
        Layout::Chunks => {
            return match take_chunks(reader)? {
                Some(bytes) => decode(wire, &bytes),
                None => Ok(Value::Null),
            };
        }
        Layout::Long => take_long(reader, place)?,
    };
    bytes.map_or(Ok(Value::Null), |bytes| decode(wire, bytes))
}

/// PLP (2.2.5.2.3). The announced total is not believed: what is kept is what arrived.
fn take_chunks(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, ServerError> {
    if reader.u64()? == u64::MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    loop {
        let length = reader.u32()? as usize;
        if length == 0 {
            return Ok(Some(bytes));
        }
        bytes.extend_from_slice(reader.take(length)?);
    }
}

fn take_long<'a>(reader: &mut Reader<'a>, place: Place) -> Result<Option<&'a [u8]>, ServerError> {
    if place == Place::Row {
        let pointer = usize::from(reader.u8()?);
        if pointer == 0 {
            return Ok(None);
        }
        let _pointer_and_timestamp = reader.take(pointer + 8)?;
    }
    match reader.u32()? {
        u32::MAX => Ok(None),
        length => Ok(Some(reader.take(length as usize)?)),
    }
}

fn decode(wire: &WireType, bytes: &[u8]) -> Result<Value, ServerError> {
    Ok(match wire.of {
        SqlType::Bit => Value::Bool(exactly::<1>(bytes)?[0] != 0),
        SqlType::TinyInt => Value::Int(i64::from(exactly::<1>(bytes)?[0])),
        SqlType::SmallInt => Value::Int(i64::from(i16::from_le_bytes(exactly(bytes)?))),
        SqlType::Int => Value::Int(i64::from(i32::from_le_bytes(exactly(bytes)?))),
        SqlType::BigInt => Value::Int(i64::from_le_bytes(exactly(bytes)?)),
        SqlType::Real => float(f64::from(f32::from_le_bytes(exactly(bytes)?)))?,
        SqlType::Float => float(f64::from_le_bytes(exactly(bytes)?))?,
        SqlType::Decimal { scale, .. } => decimal(bytes, scale)?,
        SqlType::Money => money(exactly(bytes)?)?,
        SqlType::SmallMoney => amount(i128::from(i32::from_le_bytes(exactly(bytes)?)))?,
        SqlType::Date => Value::Date(date(exactly(bytes)?)?),
        SqlType::Time { scale } => Value::Time(time(bytes, scale)?),
        SqlType::DateTime2 { scale } => Value::Timestamp(timestamp(bytes, scale)?),
        SqlType::DateTimeOffset { scale } => offset_timestamp(bytes, scale)?,
        SqlType::DateTime => datetime(exactly(bytes)?)?,
        SqlType::SmallDateTime => small_datetime(exactly(bytes)?)?,
        SqlType::UniqueIdentifier => Value::Guid(mixed_endian(exactly(bytes)?)),
        SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText | SqlType::Xml => {
            Value::Text(utf16(bytes)?)
        }
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text => {
            Value::Text(wire.encoding.decode(bytes)?)
        }
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion
        // No token of the wire stands for one: it was refused by name.
        | SqlType::Cast(_) => Value::Bytes(bytes.to_vec()),
    })
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], ServerError> {
    bytes
        .try_into()
        .map_err(|_| ServerError::Malformed { what: "a value of another size than its type" })
}

fn float(number: f64) -> Result<Value, ServerError> {
    if !number.is_finite() {
        return Err(ServerError::Unsupported { what: "NaN or infinity as a float".to_string() });
    }
    Ok(Value::Float(number))
}

fn decimal(bytes: &[u8], scale: u8) -> Result<Value, ServerError> {
    let malformed = ServerError::Malformed { what: "a decimal of another size than its type" };
    let Some((sign, magnitude)) = bytes.split_first().filter(|(_, m)| m.len() <= 16) else {
        return Err(malformed);
    };
    let mut wide = [0; 16];
    wide[..magnitude.len()].copy_from_slice(magnitude);
    let magnitude = i128::try_from(u128::from_le_bytes(wide)).ok();
    let signed = magnitude.map(|number| if *sign == 0 { -number } else { number });
    match signed.and_then(|number| Decimal::new(number, scale)) {
        Some(decimal) => Ok(Value::Decimal(decimal)),
        None => Err(ServerError::Unsupported { what: "a decimal of 39 digits".to_string() }),
    }
}

fn money(bytes: [u8; 8]) -> Result<Value, ServerError> {
    let [a, b, c, d, e, f, g, h] = bytes;
    amount(i128::from(i64::from_le_bytes([e, f, g, h, a, b, c, d])))
}

fn amount(units: i128) -> Result<Value, ServerError> {
    match Decimal::new(units, 4) {
        Some(decimal) => Ok(Value::Decimal(decimal)),
        None => Err(ServerError::Malformed { what: "an amount of more than 38 digits" }),
    }
}

const OUT_OF_RANGE: ServerError = ServerError::NoValue { what: "a date or time out of its range" };

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn date(bytes: [u8; 3]) -> Result<Date, ServerError> {
    let days = little_endian(&bytes) as i64;
    if days > LAST_DAY {
        return Err(OUT_OF_RANGE);
    }
    Ok(Date((days - EPOCH_DAYS) as i32))
}

fn time(bytes: &[u8], scale: u8) -> Result<Time, ServerError> {
    if bytes.len() != usize::from(time_size(scale)) {
        return Err(OUT_OF_RANGE);
    }
    // Five bytes times 10^7 stay within 64 bits.
    let ticks = little_endian(bytes).saturating_mul(10u64.pow(7 - u32::from(scale.min(7))));
    if ticks >= TICKS_PER_DAY as u64 {
        return Err(OUT_OF_RANGE);
    }
    Ok(Time(ticks))
}

fn timestamp(bytes: &[u8], scale: u8) -> Result<Timestamp, ServerError> {
    let Some((clock, day)) = bytes.split_last_chunk::<3>() else {
        return Err(OUT_OF_RANGE);
    };
    Ok(Timestamp::new(date(*day)?, time(clock, scale)?))
}

fn offset_timestamp(bytes: &[u8], scale: u8) -> Result<Value, ServerError> {
    let Some((moment, offset)) = bytes.split_last_chunk::<2>() else {
        return Err(OUT_OF_RANGE);
    };
    let offset_minutes = i16::from_le_bytes(*offset);
    if !(-840..=840).contains(&offset_minutes) {
        return Err(OUT_OF_RANGE);
    }
    Ok(Value::OffsetTimestamp(OffsetTimestamp { utc: timestamp(moment, scale)?, offset_minutes }))
}

fn datetime(bytes: [u8; 8]) -> Result<Value, ServerError> {
    let [a, b, c, d, e, f, g, h] = bytes;
    let days = i64::from(i32::from_le_bytes([a, b, c, d])) + DAYS_TO_1900;
    let grains = i64::from(u32::from_le_bytes([e, f, g, h]));
    if !(0..=LAST_DAY).contains(&days) || grains >= 86_400 * 300 {
        return Err(OUT_OF_RANGE);
    }
    // As SQL Server shows them: milliseconds that end in 0, 3 or 7.
    let ms = (grains % 300 * 10 + 1) / 3;
    let ticks = grains / 300 * TICKS_PER_SECOND + ms * (TICKS_PER_SECOND / 1_000);
    Ok(Value::Timestamp(Timestamp(days * TICKS_PER_DAY + ticks)))
}

fn small_datetime(bytes: [u8; 4]) -> Result<Value, ServerError> {
    let [a, b, c, d] = bytes;
    let days = i64::from(u16::from_le_bytes([a, b])) + DAYS_TO_1900;
    let minutes = i64::from(u16::from_le_bytes([c, d]));
    if minutes >= 1_440 {
        return Err(OUT_OF_RANGE);
    }
    Ok(Value::Timestamp(Timestamp(days * TICKS_PER_DAY + minutes * 60 * TICKS_PER_SECOND)))
}

#[cfg(test)]
mod tests {
    use super::{Place, take_value};
    use crate::wire::reader::Reader;
    use crate::wire::type_info::{WireType, put_type};
    use crate::wire::value_out::put_value;
    use tillhold_core::text;
    use tillhold_core::types::SqlType;
    use tillhold_core::value::Value;

    /// Each text, read as the type, comes back the same after a trip over the wire, nullable or not.
    fn check(declaration: &str, texts: &[&str]) {
        let of = SqlType::parse(declaration).expect("a type of the test");
        for given in texts {
            let value = text::parse(given, of).expect("a value of the test");
            for nullable in [true, false] {
                assert_eq!(trip(of, nullable, &value), value, "{declaration} of {given}");
            }
        }
        assert_eq!(trip(of, true, &Value::Null), Value::Null, "NULL of {declaration}");
    }

    fn trip(of: SqlType, nullable: bool, value: &Value) -> Value {
        let mut bytes = Vec::new();
        put_type(&mut bytes, of, nullable);
        put_value(&mut bytes, of, nullable, value).expect("the value fits");
        let mut reader = Reader::new(&bytes);
        let wire = WireType::read(&mut reader).expect("a type");
        let back = take_value(&mut reader, &wire, Place::Row).expect("a value");
        assert!(reader.is_empty(), "{of} left bytes");
        back
    }

    #[test]
    fn every_type_round_trips_at_its_extremes() {
        check("bit", &["0", "1"]);
        check("tinyint", &["0", "255"]);
        check("smallint", &["-32768", "32767"]);
        check("int", &["-2147483648", "2147483647"]);
        check("bigint", &["-9223372036854775808", "9223372036854775807"]);
        check("decimal(9,2)", &["-9999999.99", "0.00", "9999999.99"]);
        check("decimal(19,0)", &["9999999999999999999"]);
        check("decimal(28,12)", &["-9999999999999999.999999999999"]);
        check("decimal(38,38)", &["0.99999999999999999999999999999999999999"]);
        check("decimal(38,0)", &["-99999999999999999999999999999999999999"]);
        check("money", &["-922337203685477.5808", "922337203685477.5807", "0.0001"]);
        check("smallmoney", &["-214748.3648", "214748.3647"]);
        check("float", &["1.7976931348623157e308", "-5e-324", "0.1"]);
        check("real", &["3.4028234663852886e38", "0.1"]);
        check("date", &["0001-01-01", "1969-12-31", "9999-12-31"]);
        check("time(0)", &["23:59:59"]);
        check("time(3)", &["23:59:59.999"]);
        check("time(7)", &["00:00:00.0000001", "23:59:59.9999999"]);
        check("datetime", &["1753-01-01 00:00:00.003", "9999-12-31 23:59:59.997"]);
        check("smalldatetime", &["1900-01-01 00:00:00", "2079-06-06 23:59:00"]);
        check("datetime2(0)", &["0001-01-01 00:00:00"]);
        check("datetime2(7)", &["9999-12-31 23:59:59.9999999"]);
        check("datetimeoffset(7)", &["0001-01-02 00:00:00.0000001 +14:00"]);
        check("datetimeoffset(2)", &["2026-03-29 02:30:00.55 -05:30"]);
        check("uniqueidentifier", &["00112233-4455-6677-8899-aabbccddeeff"]);
        check("char(5)", &["abc", "€€€€€"]);
        check("nchar(3)", &["", "\u{1F600}x"]);
        check("varchar(20)", &["", "für 5 €"]);
        check("varchar(max)", &["", "für 5 €"]);
        check("nvarchar(4000)", &["", "日本\u{1F600}\0x"]);
        check("nvarchar(max)", &["", "日本\u{1F600}"]);
        check("text", &["", "für"]);
        check("ntext", &["", "日本"]);
        check("xml", &["<a>日</a>"]);
        check("binary(4)", &["00FF"]);
        check("varbinary(8000)", &["", "00FF"]);
        check("varbinary(max)", &["", "00FF"]);
        check("image", &["", "00FF"]);
        check("rowversion", &["0000000000000001"]);
    }

    #[test]
    fn every_tick_of_a_datetime_second_round_trips() {
        for ms in 0..1_000 {
            let given = format!("2026-01-01 00:00:00.{ms:03}");
            let value = text::parse(&given, SqlType::DateTime).expect("a datetime");
            assert_eq!(trip(SqlType::DateTime, true, &value), value, "{given}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (declaration, value) in [
            ("nvarchar(1)", Value::Text("ab".to_string())),
            ("varchar(1)", Value::Text("ab".to_string())),
            ("tinyint", Value::Int(256)),
            ("smallmoney", Value::Int(i64::MAX)),
            ("int", Value::Text("1".to_string())),
            ("float", Value::Float(f64::NAN)),
            ("datetime", text::parse("1752-12-31", SqlType::DateTime2 { scale: 0 }).expect("ok")),
            ("varbinary(1)", Value::Bytes(vec![1, 2])),
        ] {
            let of = SqlType::parse(declaration).expect("a type of the test");
            let refused = put_value(&mut Vec::new(), of, true, &value);
            assert!(refused.is_err(), "{declaration} took {value:?}");
        }
        assert!(put_value(&mut Vec::new(), SqlType::Int, false, &Value::Null).is_err());
    }
}
